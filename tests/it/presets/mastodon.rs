//! Mastodon: times without a zone, resolutions that leave no trace when they are taken back, logs of what was done.

use super::*;

const TABLES: &str = "
CREATE TABLE reports (id bigserial PRIMARY KEY, status_ids bigint[] NOT NULL DEFAULT '{}', comment text NOT NULL DEFAULT '',
  created_at timestamp NOT NULL, updated_at timestamp NOT NULL, account_id bigint NOT NULL, action_taken_by_account_id bigint,
  target_account_id bigint NOT NULL, assigned_account_id bigint, uri varchar, forwarded boolean, category integer NOT NULL DEFAULT 0,
  action_taken_at timestamp, rule_ids bigint[], application_id bigint);
CREATE INDEX index_reports_on_account_id ON reports (account_id);
CREATE INDEX index_reports_on_action_taken_by_account_id ON reports (action_taken_by_account_id) WHERE action_taken_by_account_id IS NOT NULL;
CREATE INDEX index_reports_on_assigned_account_id ON reports (assigned_account_id) WHERE assigned_account_id IS NOT NULL;
CREATE INDEX index_reports_on_target_account_id ON reports (target_account_id);
CREATE TABLE rules (id bigserial PRIMARY KEY, priority integer, deleted_at timestamp, text text, hint text, created_at timestamp, updated_at timestamp);
CREATE TABLE report_notes (id bigserial PRIMARY KEY, content text NOT NULL, report_id bigint NOT NULL, account_id bigint NOT NULL,
  created_at timestamp NOT NULL, updated_at timestamp NOT NULL);
CREATE INDEX ON report_notes (report_id);
CREATE TABLE admin_action_logs (id bigserial PRIMARY KEY, account_id bigint NOT NULL, action varchar NOT NULL DEFAULT '',
  target_type varchar, target_id bigint, created_at timestamp NOT NULL, updated_at timestamp NOT NULL);
CREATE INDEX ON admin_action_logs (target_type, target_id);
CREATE TABLE account_warnings (id bigserial PRIMARY KEY, account_id bigint, target_account_id bigint, action integer NOT NULL DEFAULT 0,
  text text NOT NULL DEFAULT '', created_at timestamp NOT NULL, updated_at timestamp NOT NULL, report_id bigint, status_ids varchar[],
  overruled_at timestamp);
CREATE INDEX ON account_warnings (account_id);
CREATE INDEX ON account_warnings (target_account_id);
";

const NOW: &str = "(clock_timestamp() AT TIME ZONE 'UTC')";

fn report(id: u32, reporter: u32, category: u32, rules: &str) -> String {
    format!(
        "INSERT INTO reports (id, created_at, updated_at, account_id, target_account_id, category, rule_ids, comment) \
         VALUES ({id}, {NOW}, {NOW}, {reporter}, 20, {category}, {rules}, 'words')"
    )
}

fn log(account: &str, action: &str) -> String {
    format!(
        "INSERT INTO admin_action_logs (account_id, action, target_type, target_id, created_at, updated_at) \
         VALUES ({account}, '{action}', 'Report', 1, {NOW}, {NOW})"
    )
}

fn note(account: &str) -> String {
    format!(
        "INSERT INTO report_notes (content, report_id, account_id, created_at, updated_at) \
         VALUES ('words', 1, {account}, {NOW}, {NOW})"
    )
}

#[tokio::test]
async fn a_report_of_mastodon_lives_through_everything_that_can_happen_to_it() {
    let database = Database::with(TABLES).await;
    let config = written("mastodon", &database.url()).await;
    let mut desk = watch(&config, "reports");
    desk.poll().await.unwrap();
    database.run(&report(1, 10, 2000, "'{3}'")).await;
    assert_eq!(told(&mut desk, "1").await, [""; 0]);
    assert_eq!(desk.category("1"), Some("violation"));
    assert!(is_presumed(&case_of(&desk, "1")), "a violation of a rule that nobody has sorted is presumed minor safety");

    database.run(&note("-99")).await;
    assert_eq!(told(&mut desk, "1").await, ["first_response by a script"]);
    database.run(&log("5", "assigned_to_self")).await;
    assert_eq!(told(&mut desk, "1").await[1..], ["reviewer_action by 5"]);
    database.run(&note("5")).await;
    assert_eq!(told(&mut desk, "1").await[2..], ["first_response by 5"]);

    database.run(&report(2, 11, 2000, "'{3}'")).await;
    desk.poll_after(SECOND).await;
    assert_eq!(case_of(&desk, "2").reports.keys().count(), 2, "a repeat by another account joins the case");
    database.run("DELETE FROM reports WHERE id = 2").await;

    database
        .run(&format!(
            "UPDATE reports SET action_taken_at = {NOW}, action_taken_by_account_id = 5, updated_at = {NOW} WHERE id = 1; {};
             INSERT INTO account_warnings (account_id, target_account_id, action, created_at, updated_at, report_id)
               VALUES (5, 20, 3000, {NOW}, {NOW}, 1)",
            log("5", "resolve")
        ))
        .await;
    // Closed rows leave the queue and are read once more by their key.
    let closed = told(&mut desk, "1").await;
    assert!(closed.contains(&"closed by 5".to_owned()), "{closed:?}");
    assert_eq!(verdict(&desk, "1"), Verdict::Violation, "it led to a sanction");

    database
        .run(&format!(
            "UPDATE reports SET action_taken_at = NULL, action_taken_by_account_id = NULL, updated_at = {NOW} WHERE id = 1; {}",
            log("5", "reopen")
        ))
        .await;
    let reopened = told(&mut desk, "1").await;
    assert!(
        reopened.contains(&"reopened by 5".to_owned()) && !reopened.contains(&"closed by 5".to_owned()),
        "{reopened:?}"
    );
    database
        .run(&format!("UPDATE reports SET category = 1000, rule_ids = NULL, updated_at = {NOW} WHERE id = 1"))
        .await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.category("1"), Some("spam"));
    database.end().await;
}

#[tokio::test]
async fn f13_a_minors_report_that_goes_with_its_account_is_still_owed_an_answer() {
    let database = Database::with(TABLES).await;
    let url = database.url();
    let mut config = written("mastodon", &url).await;
    // As the configuration says to: rule 3 of this instance is about minors.
    if let tocsin::source::settings::RowsFrom::Query(query) = &mut config.sources[0].rows {
        *query = query.replace("'{}'::bigint[]", "'{3}'::bigint[]");
    }
    let mut desk = watch(&config, "reports");
    database.run(&report(1, 10, 2000, "'{1,3}'")).await;
    database.run(&report(2, 10, 1000, "NULL")).await;
    desk.poll().await.unwrap();
    assert_eq!((desk.category("1"), desk.category("2")), (Some("minor_violation"), Some("spam")));
    assert!(case_of(&desk, "1").is_p0() && !is_presumed(&case_of(&desk, "1")));
    database.run(&format!("UPDATE reports SET category = 0, updated_at = {NOW} WHERE id = 1")).await;
    desk.poll_after(SECOND).await;
    assert!(case_of(&desk, "1").is_p0(), "a recategorisation lowers no minor's report");
    database.run("DELETE FROM reports").await;
    desk.poll_after(SECOND).await;
    desk.poll_after(SECOND).await;
    assert!(holds(&desk, "1") && !holds(&desk, "2"), "the account was deleted, and the reports with it");
    database.end().await;
}
