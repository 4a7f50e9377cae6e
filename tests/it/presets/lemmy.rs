//! Lemmy: two generations of columns, a resolver that is written when a report is unresolved too, one report an account.

use super::*;

/// With the columns of one generation; `RECEIVED` and `CHANGED` are their names.
const TABLES: &str = "
CREATE TABLE person (id serial PRIMARY KEY, name varchar(255), bot_account boolean NOT NULL DEFAULT false);
CREATE TABLE post (id serial PRIMARY KEY, name varchar(200), community_id int NOT NULL);
CREATE TABLE post_report (id serial PRIMARY KEY, creator_id int NOT NULL, post_id int NOT NULL, original_post_name varchar(200) NOT NULL,
  original_post_url text, original_post_body text, reason text NOT NULL, resolved boolean NOT NULL DEFAULT false, resolver_id int,
  RECEIVED timestamptz NOT NULL DEFAULT now(), CHANGED timestamptz, UNIQUE (post_id, creator_id));
CREATE INDEX idx_post_report_published ON post_report (RECEIVED DESC);
CREATE TABLE comment_report (id serial PRIMARY KEY, creator_id int NOT NULL, comment_id int NOT NULL, original_comment_text text NOT NULL,
  reason text NOT NULL, resolved boolean NOT NULL DEFAULT false, resolver_id int, RECEIVED timestamptz NOT NULL DEFAULT now(),
  CHANGED timestamptz, UNIQUE (comment_id, creator_id));
CREATE INDEX idx_comment_report_published ON comment_report (RECEIVED DESC);
CREATE TABLE private_message_report (id serial PRIMARY KEY, creator_id int NOT NULL, private_message_id int NOT NULL,
  original_pm_text text NOT NULL, reason text NOT NULL, resolved boolean NOT NULL DEFAULT false, resolver_id int,
  RECEIVED timestamptz NOT NULL DEFAULT now(), CHANGED timestamptz, UNIQUE (private_message_id, creator_id));
INSERT INTO person (id, name, bot_account) VALUES (5, 'mod', false), (6, 'bot', true);
INSERT INTO post (id, name, community_id) VALUES (70, 'words', 9);
";

fn report(id: u32, reporter: u32, post: u32) -> String {
    format!(
        "INSERT INTO post_report (id, creator_id, post_id, original_post_name, reason) VALUES ({id}, {reporter}, {post}, 'words', 'words')"
    )
}

#[tokio::test]
async fn a_report_of_lemmy_lives_through_everything_that_can_happen_to_it_in_both_generations() {
    for (received_at, changed) in [("published_at", "updated_at"), ("published", "updated")] {
        let database = Database::with(&TABLES.replace("RECEIVED", received_at).replace("CHANGED", changed)).await;
        if changed == "updated_at" {
            database
                .run(
                    "ALTER TABLE post_report ADD violates_instance_rules boolean NOT NULL DEFAULT false, ADD conclusion text;
                     CREATE TABLE community_report (id serial PRIMARY KEY, creator_id int NOT NULL, community_id int NOT NULL,
                       original_community_name text NOT NULL, reason text NOT NULL, resolved boolean NOT NULL DEFAULT false, resolver_id int,
                       published_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz, UNIQUE (community_id, creator_id))",
                )
                .await;
        }
        let config = written("lemmy", &database.url()).await;
        assert_eq!(config.sources.len(), if changed == "updated_at" { 4 } else { 3 }, "{changed}");
        let mut desk = watch(&config, "post-reports");
        desk.poll().await.unwrap();
        database.run(&report(1, 10, 70)).await;
        assert_eq!(told(&mut desk, "1").await, [""; 0]);
        assert!(is_presumed(&case_of(&desk, "1")), "without a reason code every report is presumed minor safety");

        let resolve = |resolved: bool, by: u32| {
            format!(
                "UPDATE post_report SET resolved = {resolved}, resolver_id = {by}, {changed} = clock_timestamp() WHERE id = 1"
            )
        };
        database.run(&resolve(true, 6)).await;
        assert_eq!(told(&mut desk, "1").await, ["closed by a script"]);
        // Unresolved: its resolver stands there all the same.
        database.run(&resolve(false, 5)).await;
        assert_eq!(told(&mut desk, "1").await, [""; 0]);
        database.run(&report(2, 11, 70)).await;
        desk.poll_after(SECOND).await;
        assert_eq!(case_of(&desk, "2").reports.keys().count(), 2, "a repeat by another account joins the case");
        database.run(&resolve(true, 5)).await;
        assert_eq!(told(&mut desk, "1").await, ["closed by person-5"]);

        database.run("DELETE FROM post_report").await;
        desk.poll_after(SECOND).await;
        desk.poll_after(SECOND).await;
        assert!(holds(&desk, "2"), "purged with its post, and still owed an answer");
        database.end().await;
    }
}

#[tokio::test]
async fn f19_no_join_of_the_preset_hides_a_report() {
    let database = Database::with(&TABLES.replace("RECEIVED", "published_at").replace("CHANGED", "updated_at")).await;
    let mut config = written("lemmy", &database.url()).await;
    if let tocsin::source::settings::RowsFrom::Query(query) = &mut config.sources[0].rows {
        *query = query.replace("'{}'::int[]", "'{9}'::int[]");
    }
    let mut desk = watch(&config, "post-reports");
    database.run(&report(1, 10, 70)).await;
    database.run(&report(2, 10, 71)).await;
    database.run("UPDATE post_report SET resolved = true, resolver_id = 99 WHERE id = 2").await;
    database.run(&report(3, 10, 72)).await;
    desk.poll().await.unwrap();
    assert_eq!(desk.category("1"), Some("minor_report"), "by its community, as the configuration says to");
    assert!(holds(&desk, "3"), "a report whose post and whose resolver are gone is a report");
    database.end().await;
}
