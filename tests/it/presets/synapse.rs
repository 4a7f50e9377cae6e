//! Synapse: numbers of milliseconds, deletion as the answer, ids that come again; on PostgreSQL and on SQLite.

use super::*;
use crate::support::open_sqlite;
use sqlx::{AssertSqlSafe, Executor};

const TABLES: &str = "
CREATE TABLE event_reports (id BIGINT NOT NULL PRIMARY KEY, received_ts BIGINT NOT NULL, room_id TEXT NOT NULL, event_id TEXT NOT NULL,
  user_id TEXT NOT NULL, reason TEXT, content TEXT);
CREATE TABLE room_reports (id BIGINT NOT NULL PRIMARY KEY, received_ts BIGINT NOT NULL, room_id TEXT NOT NULL, user_id TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE user_reports (id BIGINT NOT NULL PRIMARY KEY, received_ts BIGINT NOT NULL, target_user_id TEXT NOT NULL, user_id TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX user_reports_target_user_id ON user_reports (target_user_id);
CREATE INDEX user_reports_user_id ON user_reports (user_id);
CREATE TABLE redactions (event_id TEXT NOT NULL UNIQUE, redacts TEXT NOT NULL, have_censored BOOLEAN NOT NULL DEFAULT false, received_ts BIGINT);
CREATE INDEX redactions_redacts ON redactions (redacts);
";

/// A homeserver's database of either kind.
enum Home {
    Postgres(Database),
    Sqlite(ScratchDir),
}

impl Home {
    async fn all() -> [Home; 2] {
        let homes = [Home::Postgres(Database::with("").await), Home::Sqlite(ScratchDir::new("synapse"))];
        for home in &homes {
            home.run(TABLES).await;
        }
        homes
    }

    fn url(&self) -> String {
        match self {
            Home::Postgres(database) => database.url(),
            Home::Sqlite(scratch) => scratch.sqlite_url("homeserver.db"),
        }
    }

    async fn run(&self, sql: &str) {
        match self {
            Home::Postgres(database) => database.run(sql).await,
            Home::Sqlite(_) => {
                open_sqlite(&self.url()).await.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            }
        }
    }

    async fn end(self) {
        if let Home::Postgres(database) = self {
            database.end().await;
        }
    }
}

fn millis(desk: &Desk) -> i64 {
    tocsin::run::clock::Clock::now(&desk.clock).micros() / 1_000
}

fn report(id: u32, by: &str, room: &str, at: i64) -> String {
    format!("INSERT INTO event_reports VALUES ({id}, {at}, '{room}', '$event', '{by}', 'words', '{{\"score\": -100}}')")
}

#[tokio::test]
async fn a_report_of_synapse_lives_through_everything_that_can_happen_to_it() {
    for home in Home::all().await {
        let config = written("synapse", &home.url()).await;
        assert_eq!(config.sources.len(), 3);
        let mut desk = watch(&config, "event-reports");
        desk.poll().await.unwrap();
        home.run(&report(1, "@a:x", "!room:x", millis(&desk))).await;
        assert_eq!(told(&mut desk, "1").await, [""; 0]);
        assert!(is_presumed(&case_of(&desk, "1")), "without a reason code every report is presumed minor safety");
        home.run(&report(2, "@b:x", "!room:x", millis(&desk))).await;
        desk.poll_after(SECOND).await;
        assert_eq!(case_of(&desk, "2").reports.keys().count(), 2, "a repeat by another account joins the case");

        let redact = format!(
            "INSERT INTO redactions (event_id, redacts, received_ts) VALUES ('$r', '$event', {})",
            millis(&desk)
        );
        home.run(&redact).await;
        assert_eq!(told(&mut desk, "1").await, ["closed by nobody named"]);
        home.run("DELETE FROM redactions").await;
        assert_eq!(told(&mut desk, "1").await, [""; 0], "open again");

        home.run("DELETE FROM event_reports WHERE id = 2").await;
        desk.poll_after(SECOND).await;
        desk.poll_after(SECOND).await;
        assert!(holds(&desk, "2"), "a deletion closes no minor's report, known or presumed");
        home.end().await;
    }
}

#[tokio::test]
async fn an_id_that_comes_again_after_a_deletion_is_seen_and_is_another_report_once_its_absence_was_seen() {
    for home in Home::all().await {
        let mut config = written("synapse", &home.url()).await;
        config.policy.categories.insert("event_report".into(), tocsin::core::policy::CategoryClass::Other);
        let mut desk = watch(&config, "event-reports");
        let earlier = millis(&desk) - 60_000;
        home.run(&report(7, "@a:x", "!room:x", earlier)).await;
        desk.poll().await.unwrap();
        assert!(holds(&desk, "7") && !case_of(&desk, "7").is_p0());
        home.run("DELETE FROM event_reports WHERE id = 7").await;
        home.run(&report(7, "@c:x", "!room:x", millis(&desk))).await;
        desk.poll_after(SECOND).await;
        assert!(holds(&desk, "7"), "between two polls it keeps the earlier clock, and is not missed");
        home.run("DELETE FROM event_reports WHERE id = 7").await;
        for _ in 0..2 {
            desk.poll_after(SECOND).await;
        }
        assert!(!holds(&desk, "7"), "handled");
        let again = millis(&desk);
        home.run(&report(7, "@d:x", "!room:x", again)).await;
        desk.poll_after(SECOND).await;
        let received = case_of(&desk, "7").received();
        assert_eq!(received, Timestamp::from_micros(again * 1_000), "the same id, and the clock of another report");
        // Handled: the row is deleted, which is how Synapse closes a report.
        home.run("DELETE FROM event_reports").await;
        desk.poll_after(SECOND).await;
        desk.poll_after(SECOND).await;
        assert!(!holds(&desk, "7"));
        let ends: Vec<_> =
            desk.plans.iter().flat_map(|plan| &plan.outcomes).map(|outcome| outcome.conclusion).collect();
        assert!(!ends.contains(&tocsin::core::case::Conclusion::Vanished), "{ends:?}");
        home.end().await;
    }
}
