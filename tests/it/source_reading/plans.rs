//! What the monitor advises where an index is missing: what it names is what its polls then use.

use super::{mysql, open, postgres, settings};
use tocsin::source::settings::{Reading, Settings, TimeColumn};

fn with_updated(url: &str) -> Settings {
    let updated = Some(TimeColumn { column: "updated".into(), unit: None });
    Settings { reading: Reading { updated, ..Reading::default() }, ..settings(url, "reports") }
}

/// What each statement lacks, by its purpose, and how it would run.
async fn advice(settings: Settings) -> Vec<(&'static str, Option<String>, String)> {
    let plans = open(settings).plans().await.expect("plans");
    plans.into_iter().map(|plan| (plan.purpose, plan.lacks.map(|(_, create)| create), plan.plan)).collect()
}

fn lacking(advice: &[(&'static str, Option<String>, String)]) -> Vec<(&'static str, String)> {
    advice.iter().filter_map(|(purpose, create, _)| Some((*purpose, create.clone()?))).collect()
}

#[tokio::test]
async fn in_postgres_a_feed_without_an_index_is_told_and_the_index_that_is_named_serves_it() {
    let database = postgres::Database::with(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz, updated timestamptz);
         INSERT INTO reports SELECT n, 'spam', now() - n * interval '1 second', NULL, now() FROM generate_series(1, 20000) n;
         ANALYZE reports",
    )
    .await;
    for (settings, purpose, index) in [
        (with_updated(&database.url()), "what has changed", "(\"updated\", \"id\")"),
        (settings(&database.url(), "reports"), "what has come in", "(\"created\", \"id\")"),
    ] {
        let create = format!("CREATE INDEX CONCURRENTLY ON \"reports\" {index};");
        assert_eq!(lacking(&advice(settings.clone()).await), [(purpose, create.clone())]);
        database.run(&create).await;
        let after = advice(settings).await;
        assert!(lacking(&after).is_empty(), "{after:?}");
        let (_, _, plan) = after.iter().find(|(found, ..)| *found == purpose).unwrap();
        assert!(plan.starts_with("Index Scan using"), "{plan}");
    }
    database.end().await;
}

#[tokio::test]
async fn in_mysql_a_feed_without_an_index_is_told_and_the_index_that_is_named_serves_it() {
    let database = mysql::Database::with(&format!(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created datetime, closed datetime, updated datetime(6), KEY (closed, id));
         INSERT INTO reports SELECT seq, 'spam', NOW(), NULL, NOW() - INTERVAL seq SECOND FROM {};
         ANALYZE TABLE reports",
        mysql::seq_to(30_000)
    ))
    .await;
    let create = "CREATE INDEX reports_feed ON `reports` (`updated`, `id`);".to_owned();
    assert_eq!(lacking(&advice(with_updated(&database.url())).await), [("what has changed", create.clone())]);
    database.run(&create).await;
    let after = advice(with_updated(&database.url())).await;
    assert!(lacking(&after).is_empty(), "{after:?}");
    assert!(after.iter().any(|(_, _, plan)| plan.contains("using reports_feed")), "{after:?}");
    database.end().await;
}

#[tokio::test]
async fn in_mysql_the_index_of_the_ids_serves_whatever_character_set_they_are_written_in() {
    for charset in ["utf8mb4", "latin1"] {
        let database = mysql::Database::with(&format!(
            "CREATE TABLE reports (id varchar(40) CHARACTER SET {charset} PRIMARY KEY, reason text, created datetime, closed datetime);
             INSERT INTO reports SELECT CONCAT('report ', seq), 'spam', NOW(), NULL FROM {};
             ANALYZE TABLE reports",
            mysql::seq_to(2_000)
        ))
        .await;
        let found = advice(settings(&database.url(), "reports")).await;
        assert!(found.contains(&("rows by their ids", None, "range using PRIMARY".to_owned())), "{charset}: {found:?}");
        database.end().await;
    }
}
