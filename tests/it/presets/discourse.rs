//! Discourse: later flags are merged into one reviewable, a re-flag opens it again by raw SQL, its histories tell.

use super::*;

const TABLES: &str = "
CREATE TABLE reviewables (id bigserial PRIMARY KEY, type varchar NOT NULL, status integer NOT NULL DEFAULT 0, created_by_id integer NOT NULL,
  reviewable_by_moderator boolean NOT NULL DEFAULT false, reviewable_by_group_id integer, category_id integer, topic_id integer,
  score float8 NOT NULL DEFAULT 0, potential_spam boolean NOT NULL DEFAULT false, target_id integer, target_type varchar,
  target_created_by_id integer, payload json, version integer NOT NULL DEFAULT 0, latest_score timestamp, created_at timestamp NOT NULL,
  updated_at timestamp NOT NULL, force_review boolean NOT NULL DEFAULT false, reject_reason text);
CREATE INDEX ON reviewables (score DESC, created_at DESC);
CREATE INDEX ON reviewables (reviewable_by_group_id);
CREATE INDEX ON reviewables (status, created_at);
CREATE INDEX ON reviewables (status, score);
CREATE INDEX ON reviewables (status, type);
CREATE INDEX ON reviewables (target_id) WHERE target_type = 'Post';
CREATE INDEX ON reviewables (topic_id, status, created_by_id);
CREATE UNIQUE INDEX ON reviewables (type, target_id);
CREATE TABLE reviewable_scores (id bigserial PRIMARY KEY, reviewable_id integer NOT NULL, user_id integer NOT NULL,
  reviewable_score_type integer NOT NULL, status integer NOT NULL DEFAULT 0, score float8 NOT NULL DEFAULT 0,
  take_action_bonus float8 NOT NULL DEFAULT 0, user_accuracy_bonus float8 NOT NULL DEFAULT 0, reviewed_by_id integer, reviewed_at timestamp,
  meta_topic_id integer, reason varchar, created_at timestamp NOT NULL, updated_at timestamp NOT NULL);
CREATE INDEX ON reviewable_scores (reviewable_id);
CREATE INDEX ON reviewable_scores (user_id);
CREATE TABLE reviewable_histories (id bigserial PRIMARY KEY, reviewable_id integer NOT NULL, reviewable_history_type integer NOT NULL,
  status integer NOT NULL, created_by_id integer NOT NULL, edited json, created_at timestamp NOT NULL, updated_at timestamp NOT NULL);
CREATE INDEX ON reviewable_histories (reviewable_id);
CREATE INDEX ON reviewable_histories (created_by_id);
CREATE TABLE reviewable_claimed_topics (id bigserial PRIMARY KEY, user_id integer NOT NULL, topic_id integer NOT NULL UNIQUE,
  created_at timestamp NOT NULL, updated_at timestamp NOT NULL, system boolean DEFAULT false);
INSERT INTO reviewables (id, type, created_by_id, topic_id, target_id, target_type, created_at, updated_at)
  VALUES (1, 'ReviewableFlaggedPost', 10, 7, 70, 'Post', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC');
";

const NOW: &str = "(clock_timestamp() AT TIME ZONE 'UTC')";

fn flag(id: u32, by: u32, kind: u32) -> String {
    format!(
        "INSERT INTO reviewable_scores (id, reviewable_id, user_id, reviewable_score_type, created_at, updated_at) \
         VALUES ({id}, 1, {by}, {kind}, {NOW}, {NOW}); UPDATE reviewables SET latest_score = {NOW} WHERE id = 1"
    )
}

fn history(kind: u32, status: u32, by: i32) -> String {
    format!(
        "INSERT INTO reviewable_histories (reviewable_id, reviewable_history_type, status, created_by_id, created_at, updated_at) \
         VALUES (1, {kind}, {status}, {by}, {NOW}, {NOW})"
    )
}

#[tokio::test]
async fn a_flag_of_discourse_lives_through_everything_that_can_happen_to_it() {
    let database = Database::with(TABLES).await;
    let config = written("discourse", &database.url()).await;
    let mut desk = watch(&config, "flags");
    desk.poll().await.unwrap();
    database.run(&flag(1, 10, 4)).await;
    assert_eq!(told(&mut desk, "1").await, [""; 0]);
    assert_eq!(desk.category("1"), Some("inappropriate"));
    assert!(is_presumed(&case_of(&desk, "1")));
    let first = received(&desk, "1");

    database.run(&history(2, 0, -1)).await;
    assert_eq!(told(&mut desk, "1").await, ["reviewer_action by a script"]);
    database
        .run(&format!("INSERT INTO reviewable_claimed_topics (user_id, topic_id, created_at, updated_at) VALUES (5, 7, {NOW}, {NOW})"))
        .await;
    assert_eq!(told(&mut desk, "1").await[1..], ["reviewer_action by 5"]);
    database.run(&history(2, 0, 5)).await;
    assert_eq!(told(&mut desk, "1").await[2..], ["reviewer_action by 5"]);

    // A person closes it: the scores are told, the reviewable's history too.
    let close = format!(
        "UPDATE reviewables SET status = 1 WHERE id = 1; \
         UPDATE reviewable_scores SET status = 1, reviewed_by_id = 5, reviewed_at = {NOW} WHERE status = 0; {}",
        history(1, 1, 5)
    );
    database.run(&close).await;
    let closed = told(&mut desk, "1").await;
    assert!(closed.contains(&"closed by 5".to_owned()), "{closed:?}");
    assert_eq!(verdict(&desk, "1"), Verdict::Violation);
    database.end().await;
    assert_eq!(received(&desk, "1"), first);
}

#[tokio::test]
async fn f14_a_later_flag_of_another_account_joins_the_case_and_moves_no_deadline() {
    let database = Database::with(TABLES).await;
    let config = written("discourse", &database.url()).await;
    let mut desk = watch(&config, "flags");
    database.run(&flag(1, 10, 4)).await;
    desk.poll().await.unwrap();
    let (first, deadline) = (received(&desk, "1"), case_of(&desk, "1").clocks.iter().filter_map(|c| c.deadline).min());
    database.run(&flag(2, 11, 8)).await;
    desk.poll_after(SECOND).await;
    let case = case_of(&desk, "2");
    assert_eq!((desk.category("1"), desk.category("2")), (Some("inappropriate"), Some("spam")), "merged, and yet two");
    assert!(case_of(&desk, "1").is_p0());
    assert_eq!(received(&desk, "1"), first);
    assert_eq!(case_of(&desk, "1").clocks.iter().filter_map(|c| c.deadline).min(), deadline);
    drop(case);

    // Closed without touching a score, and opened again by a re-flag, which touches no updated_at.
    database.run(&format!("UPDATE reviewables SET status = 2 WHERE id = 1; {}", history(1, 2, -1))).await;
    assert!(told(&mut desk, "1").await.contains(&"closed by a script".to_owned()));
    database
        .run(&format!("UPDATE reviewables SET status = 0 WHERE id = 1; {}; {}", history(1, 0, 12), flag(3, 12, 4)))
        .await;
    let reopened = told(&mut desk, "1").await;
    assert!(reopened.contains(&"reopened by 12".to_owned()), "{reopened:?}");
    assert!(!reopened.iter().any(|event| event.starts_with("closed")), "{reopened:?}");
    assert!(case_of(&desk, "3").reports.keys().count() >= 2, "the new flag joins the old ones");
    database.end().await;
}
