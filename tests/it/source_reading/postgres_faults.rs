//! What the monitor may do to a PostgreSQL report database, and what becomes of it when that fails.

use super::postgres::{Database, REPORTS};
use super::*;
use std::time::Duration;

async fn failure(settings: Settings) -> String {
    match open(settings).check().await {
        Err(error) => error.to_string(),
        Ok(checked) => panic!("expected a failure: {checked:?}"),
    }
}

#[tokio::test]
async fn nothing_can_be_written_over_a_connection_of_the_monitor() {
    let database = Database::with(REPORTS).await;
    database
        .run(
            "CREATE FUNCTION sneak() RETURNS SETOF reports LANGUAGE sql AS
             'INSERT INTO reports VALUES (9, ''x'', now(), NULL) RETURNING *'",
        )
        .await;
    let error = failure(query_settings(&database.url(), "SELECT * FROM sneak()")).await;
    assert!(error.contains("read-only transaction"), "{error}");
    assert_eq!(database.texts("SELECT count(*)::text FROM reports").await, ["3"]);
    database.end().await;
}

#[tokio::test]
async fn a_session_is_bounded_in_time_and_named_and_there_are_at_most_two() {
    let database = Database::with(REPORTS).await;
    let shown = "SELECT 1 AS id, now() AS created, NULL::timestamptz AS closed, concat_ws(' ', \
                 current_setting('default_transaction_read_only'), current_setting('statement_timeout'), \
                 current_setting('lock_timeout'), current_setting('max_parallel_workers_per_gather'), \
                 current_setting('random_page_cost'), current_setting('application_name')) AS reason";
    let seen = scan(&open(query_settings(&database.url(), shown)), 1).await;
    assert_eq!(&*row(&seen.rows[0]).category, "on 10s 2s 0 1.1 tocsin");
    let source = open(settings(&database.url(), "reports"));
    for _ in 0..5 {
        let keys = [ReportId::Int(1)];
        let (scanned, read) = tokio::join!(source.scan_open(None, 10), source.read(&keys));
        assert_eq!((scanned.expect("a page").0.rows.len(), read.expect("a row").rows.len()), (2, 1));
    }
    let count = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'tocsin'",
        database.name
    );
    // The two of this source; the one above closes when the server has noticed.
    assert!(["2", "3"].contains(&database.texts(&count).await[0].as_str()));
    database.end().await;
}

#[tokio::test]
async fn a_lost_connection_is_made_again_within_the_next_call() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    let keys = [ReportId::Int(1), ReportId::Int(4)];
    for _ in 0..3 {
        assert_eq!(ids(&scan(&source, 1).await), ["1", "2"]);
        let read = source.read(&keys).await.expect("rows by key");
        assert_eq!(read.rows.iter().map(|seen| seen.row.is_some()).collect::<Vec<_>>(), [true, false]);
        let cut = format!(
            "SELECT pg_terminate_backend(pid, 5000)::text FROM pg_stat_activity \
             WHERE datname = '{}' AND application_name = 'tocsin'",
            database.name
        );
        assert_eq!(database.texts(&cut).await, ["true", "true"]);
    }
    database.end().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_told_by_its_true_cause_and_found_again() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    let cut = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
        database.name
    );
    database.admin(&cut).await;
    database.admin(&format!("ALTER DATABASE {} RENAME TO {}_away", database.name, database.name)).await;
    match source.scan_open(None, 10).await {
        Err(SourceError::Unreachable { cause, .. }) => assert!(cause.contains("does not exist"), "{cause}"),
        other => panic!("expected that there is no database: {other:?}"),
    }
    database.admin(&format!("ALTER DATABASE {}_away RENAME TO {}", database.name, database.name)).await;
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    database.end().await;
}

#[tokio::test]
async fn a_refused_connection_names_the_cause_and_never_the_url() {
    let error = failure(settings("postgres://watcher:hunter2@127.0.0.1:1/reports", "reports")).await;
    assert!(error.starts_with("source reports: cannot connect: ") && error.contains("refused"), "{error}");
    let bad = failure(settings("postgres://watcher:hunter2@[nowhere/reports?sslmode=hunter2", "reports")).await;
    let database = Database::with("").await;
    let wrong = failure(settings(&database.url_as(Some(("nobody_here", "hunter2"))), "reports")).await;
    for error in [error, bad, wrong] {
        assert!(!["hunter2", "watcher", "nowhere", "127.0.0.1"].iter().any(|part| error.contains(part)), "{error}");
    }
    match AnySource::open(settings("oracle://hunter2@db/reports", "reports"), Keys::new(b"a secret")) {
        Err(error) => assert!(!error.to_string().contains("hunter2"), "{error}"),
        Ok(_) => panic!("expected that it is refused"),
    }
    database.end().await;
}

#[tokio::test]
async fn no_error_quotes_a_cell() {
    let database = Database::with(
        "CREATE TABLE reports (id int, reason text, created timestamptz, closed timestamptz);
         INSERT INTO reports VALUES (1, 'canary-in-a-cell', now(), NULL);
         CREATE FUNCTION tell() RETURNS text LANGUAGE plpgsql AS
         'BEGIN RAISE EXCEPTION ''%'', (SELECT reason FROM reports LIMIT 1); END'",
    )
    .await;
    for query in [
        "SELECT id, (reason::int)::text AS reason, created, closed FROM reports",
        "SELECT id, tell() AS reason, created, closed FROM reports",
    ] {
        let error = failure(query_settings(&database.url(), query)).await;
        assert!(error.contains("SQLSTATE") && !error.contains("canary"), "{error}");
    }
    database.end().await;
}

#[tokio::test]
async fn a_column_that_changes_while_running_is_told_and_its_return_is_noticed() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    database.run("ALTER TABLE reports RENAME COLUMN reason TO cause").await;
    match source.scan_open(None, 10).await {
        Err(SourceError::Mapping { what, .. }) => assert!(what.contains("no column reason"), "{what}"),
        other => panic!("expected a mapping error: {other:?}"),
    }
    database
        .run("ALTER TABLE reports RENAME COLUMN cause TO reason; ALTER TABLE reports ALTER created TYPE text")
        .await;
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    // A change of type under a prepared statement.
    database.run("ALTER TABLE reports ALTER id TYPE text").await;
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    database.end().await;
}

#[tokio::test]
async fn a_locked_table_ends_in_a_clear_error_and_a_call_that_is_given_up_blocks_nobody() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    let mut locker = <sqlx::PgConnection as sqlx::Connection>::connect(&database.url()).await.expect("a connection");
    sqlx::raw_sql("BEGIN; LOCK TABLE reports").execute(&mut locker).await.expect("a lock");
    // The caller gives up long before the lock's timeout.
    let given_up = tokio::time::timeout(Duration::from_millis(50), source.scan_open(None, 10)).await;
    assert!(given_up.is_err());
    match source.scan_open(None, 10).await {
        Err(SourceError::Failed { cause, .. }) => assert!(cause.contains("lock"), "{cause}"),
        other => panic!("expected a lock's timeout: {other:?}"),
    }
    sqlx::raw_sql("COMMIT").execute(&mut locker).await.expect("the lock's end");
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    drop(locker);
    database.end().await;
}
