//! Pixelfed: MySQL, one state that says only that an admin has seen it.

use super::*;
use crate::source_reading::mysql::Database as Mysql;

const TABLES: &str = "
CREATE TABLE reports (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, profile_id bigint unsigned NOT NULL, user_id bigint unsigned NULL,
  object_id bigint unsigned NOT NULL, object_type varchar(255) NULL, reported_profile_id bigint unsigned NULL, type varchar(255) NULL,
  message varchar(255) NULL, admin_seen timestamp NULL, not_interested tinyint(1) NOT NULL DEFAULT 0, spam tinyint(1) NOT NULL DEFAULT 0,
  nsfw tinyint(1) NOT NULL DEFAULT 0, abusive tinyint(1) NOT NULL DEFAULT 0, meta json NULL, created_at timestamp NULL, updated_at timestamp NULL,
  UNIQUE KEY (user_id, object_type(100), object_id), KEY (profile_id), KEY (object_id), KEY (object_type(100)));
CREATE TABLE remote_reports (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, action_taken_at timestamp NULL,
  action_taken_by_account_id bigint unsigned NULL, created_at timestamp NULL, updated_at timestamp NULL, KEY (action_taken_at))";

/// As a session in UTC would write it: the server's own zone is another.
fn report(id: u32, user: u32, object: u32, kind: &str) -> String {
    format!(
        "SET time_zone = '+00:00';\nINSERT INTO reports (id, profile_id, user_id, object_id, object_type, type, message, created_at, updated_at) \
         VALUES ({id}, {user}, {user}, {object}, 'App\\\\Status', '{kind}', 'words', UTC_TIMESTAMP(), UTC_TIMESTAMP())"
    )
}

#[tokio::test]
async fn a_report_of_pixelfed_lives_through_everything_that_can_happen_to_it() {
    let database = Mysql::with(TABLES).await;
    let config = written("pixelfed", &database.url()).await;
    assert_eq!(config.sources.len(), 2);
    let mut desk = watch(&config, "reports");
    desk.poll().await.unwrap();
    database.run(&report(1, 10, 70, "underage")).await;
    database.run(&report(2, 10, 71, "sensitive")).await;
    database.run(&report(3, 10, 72, "spam")).await;
    assert_eq!(told(&mut desk, "1").await, [""; 0]);
    assert!(case_of(&desk, "1").is_p0() && !is_presumed(&case_of(&desk, "1")));
    assert!(is_presumed(&case_of(&desk, "2")) && !case_of(&desk, "3").is_p0());
    let behind = tocsin::run::clock::Clock::now(&desk.clock).since(received(&desk, "1"));
    assert!(behind < Span::from_mins(1), "a TIMESTAMP is an instant whatever the server's zone: {behind}");

    database.run(&report(4, 11, 70, "spam")).await;
    desk.poll_after(SECOND).await;
    assert_eq!(case_of(&desk, "1").reports.keys().count(), 1, "P0 joins P0 alone");
    database.run(&report(5, 12, 70, "underage")).await;
    desk.poll_after(SECOND).await;
    assert_eq!(case_of(&desk, "5").reports.keys().count(), 2, "a repeat by another account joins the case");

    database.run("SET time_zone = '+00:00';\nUPDATE reports SET admin_seen = UTC_TIMESTAMP() WHERE id = 1").await;
    assert_eq!(told(&mut desk, "1").await, ["closed by nobody named"]);
    database.run("UPDATE reports SET admin_seen = NULL WHERE id = 1").await;
    assert_eq!(told(&mut desk, "1").await, [""; 0]);
    database.run("UPDATE reports SET type = 'spam' WHERE id = 1").await;
    desk.poll_after(SECOND).await;
    assert!(case_of(&desk, "1").is_p0(), "another type lowers no minor's report");
    database.run("DELETE FROM reports").await;
    desk.poll_after(SECOND).await;
    desk.poll_after(SECOND).await;
    assert!(holds(&desk, "1") && !holds(&desk, "3"));
    database.end().await;
}

#[tokio::test]
async fn a_remote_report_is_presumed_minor_safety_and_closed_by_whoever_acted() {
    let database = Mysql::with(TABLES).await;
    let config = written("pixelfed", &database.url()).await;
    let mut desk = watch(&config, "remote-reports");
    database
        .run("SET time_zone = '+00:00';\nINSERT INTO remote_reports (id, created_at) VALUES (1, UTC_TIMESTAMP())")
        .await;
    desk.poll().await.unwrap();
    assert!(is_presumed(&case_of(&desk, "1")));
    database
        .run("SET time_zone = '+00:00';\nUPDATE remote_reports SET action_taken_at = UTC_TIMESTAMP(), action_taken_by_account_id = 5")
        .await;
    assert_eq!(told(&mut desk, "1").await, ["closed by 5"]);
    database.end().await;
}
