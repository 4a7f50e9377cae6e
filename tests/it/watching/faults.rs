//! What befalls a report database while it is watched: each ends in a clear cause, and by itself once it is over, with
//! nothing lost and nothing taken for news twice.

use super::{Desk, settings, with_updated};
use crate::binary::proxy::{Proxy, Wire};
use crate::source_reading::postgres::Database;
use crate::support::{ScratchDir, open_sqlite};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tocsin::core::time::Span;
use tocsin::run::poller::PollError;
use tocsin::source::settings::{Reading, Settings};

const SECOND: Span = Span::from_secs(1);
const REPORTS: &str = "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz, updated timestamptz);
     INSERT INTO reports SELECT n, 'spam', now() - interval '1 minute', NULL, now() - interval '1 hour' FROM generate_series(1, 12000) n";

/// The cause of a poll that must fail.
async fn fails(desk: &mut Desk) -> String {
    desk.clock.advance(SECOND);
    match desk.poll().await {
        Err(PollError::Source(error)) => error.to_string(),
        other => panic!("expected a failure: {other:?}"),
    }
}

async fn cut_all(database: &Database) {
    let sessions = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'tocsin'",
        database.name
    );
    database.admin(&sessions).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_read_costs_nothing() {
    let database = Database::with(REPORTS).await;
    let url = database.url();
    let (who, rest) = url.rsplit_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let wire = Proxy::to(server).await;
    let settings = || with_updated(&format!("{who}@{}/{name}", wire.address), Span::ZERO);
    Desk::new(settings()).poll().await.unwrap();
    let whole = wire.bytes_sent();
    let mut desk = Desk::new(settings());
    // The second of the two pages has been asked for, which is among the last that a poll says.
    let cutting = async {
        wire.has_sent(2 * whole - 150).await;
        wire.set(Wire::Cut);
        std::future::pending().await
    };
    let failed = tokio::select! {
        polled = desk.poll() => polled,
        () = cutting => unreachable!("it waits for ever"),
    };
    match failed {
        Err(PollError::Source(error)) => assert!(error.to_string().starts_with("source reports: "), "{error}"),
        other => panic!("expected a failure: {other:?}"),
    }
    assert!(fails(&mut desk).await.contains("cannot connect"));
    wire.set(Wire::Open);
    desk.poll_after(SECOND).await;
    assert_eq!(desk.held().len(), 12_000);
    // Cut while it follows: what changes meanwhile is found behind where the cursor stood.
    wire.set(Wire::Cut);
    database.run("UPDATE reports SET reason = 'threat', updated = clock_timestamp() WHERE id = 7").await;
    fails(&mut desk).await;
    wire.set(Wire::Open);
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["7"]);
    desk.poll_after(SECOND).await;
    assert!(desk.came.is_empty());
    drop(desk);
    database.end().await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_and_a_locked_table_are_named_and_get_over() {
    let database = Database::with(REPORTS).await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::ZERO));
    desk.poll().await.unwrap();
    let mut locker = PgConnection::connect(&database.url()).await.unwrap();
    locker.execute("BEGIN; LOCK TABLE reports").await.unwrap();
    let cause = fails(&mut desk).await;
    assert!(cause.contains("another session holds a lock on the table"), "{cause}");
    let cancel = async {
        let waiting = format!(
            "SELECT count(pg_cancel_backend(pid))::text FROM pg_stat_activity WHERE datname = '{}' \
             AND application_name = 'tocsin' AND wait_event_type = 'Lock'",
            database.name
        );
        while database.texts(&waiting).await == ["0"] {}
    };
    let (cause, ()) = tokio::join!(fails(&mut desk), cancel);
    assert!(cause.contains("the statement took longer than the monitor allows itself"), "{cause}");
    locker
        .execute("UPDATE reports SET reason = 'threat', updated = clock_timestamp() WHERE id = 7; COMMIT")
        .await
        .unwrap();
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["7"]);
    drop(desk);
    locker.close().await.unwrap();
    database.end().await;
}

/// Nothing tells of a row that doesn't change, until the next sweep.
#[tokio::test]
async fn a_deadline_that_passed_while_nothing_could_be_read_is_proved_by_the_first_poll_that_can() {
    let scratch = ScratchDir::new("unanswered");
    let url = scratch.sqlite_url("reports.db");
    let mut database = open_sqlite(&url).await;
    let now = |minutes: i64| format!("datetime('now', '{minutes} minutes')");
    let rows = format!(
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT, updated TEXT);
         INSERT INTO reports VALUES (1, 'threat', {0}, NULL, {0}), (2, 'csam', {1}, NULL, {1})",
        now(-29),
        now(-14)
    );
    database.execute(AssertSqlSafe(rows)).await.unwrap();
    let mut desk = Desk::new(with_updated(&url, Span::ZERO));
    desk.poll().await.unwrap();
    database.execute("ALTER TABLE reports RENAME TO away").await.unwrap();
    desk.clock.advance(Span::from_mins(2));
    desk.wake();
    fails(&mut desk).await;
    desk.clock.advance(SECOND);
    desk.wake();
    let found = |desk: &Desk| -> Vec<String> {
        let breaches = desk.plans.iter().flat_map(|plan| &plan.breaches);
        breaches.map(|breach| format!("{} {} {:?}", breach.category, breach.target, breach.status)).collect()
    };
    assert_eq!(found(&desk), ["csam first_response Unverified"]);
    database.execute("ALTER TABLE away RENAME TO reports").await.unwrap();
    assert_eq!(desk.poll_after(SECOND).await.rows, None, "no sweep is due");
    let proved = ["csam first_response Verified", "threat closed Verified"];
    assert_eq!(found(&desk)[1..], proved);
    desk.poll_after(SECOND).await;
    assert_eq!((desk.came.len(), found(&desk).len()), (0, 3), "each is read once");
    database.close().await.unwrap();
}

#[tokio::test]
async fn the_column_of_changes_may_go_and_come_back_in_another_type() {
    let database = Database::with(REPORTS).await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::ZERO));
    desk.poll().await.unwrap();
    database.run("ALTER TABLE reports DROP COLUMN updated").await;
    let cause = fails(&mut desk).await;
    assert!(cause.contains("table reports has no column updated; its columns are: id, reason"), "{cause}");
    database.run("ALTER TABLE reports ADD updated timestamp DEFAULT (now() AT TIME ZONE 'UTC'); UPDATE reports SET reason = 'ncii' WHERE id = 3").await;
    desk.sweep().await;
    assert_eq!(desk.category("3"), Some("ncii"));
    database
        .run("UPDATE reports SET reason = 'threat', updated = clock_timestamp() AT TIME ZONE 'UTC' WHERE id = 7")
        .await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.category("7"), Some("threat"));
    desk.poll_after(SECOND).await;
    assert!(desk.came.is_empty(), "{}", desk.came.len());
    drop(desk);
    database.end().await;
}

#[tokio::test]
async fn a_password_that_is_rotated_in_its_file_is_found_and_the_refusal_is_named_until_then() {
    let database = Database::with(REPORTS).await;
    let role = format!("{}_reader", database.name);
    database.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'old'; GRANT SELECT ON reports TO {role}")).await;
    let scratch = ScratchDir::new("rotated");
    let file = scratch.path().join("url");
    let url = |password: &str| database.url_as(Some((&role, password)));
    std::fs::write(&file, url("old") + "\n").unwrap();
    let reading = Reading { url_file: Some(file.clone()), ..Reading::default() };
    let mut desk = Desk::new(Settings { reading, ..settings(&url("old")) });
    desk.poll().await.unwrap();
    database.run(&format!("ALTER ROLE {role} PASSWORD 'new'")).await;
    desk.poll_after(SECOND).await;
    cut_all(&database).await;
    let cause = fails(&mut desk).await;
    assert!(cause.contains("password authentication failed") && !cause.contains("old"), "{cause}");
    std::fs::write(&file, url("new") + "\n").unwrap();
    desk.poll_after(SECOND).await;
    assert!(desk.came.len() >= 12_000);
    drop(desk);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    database.end().await;
}

#[tokio::test]
async fn a_server_that_ends_every_session_and_takes_no_write_any_more_is_read_on() {
    let database = Database::with(REPORTS).await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::ZERO));
    desk.poll().await.unwrap();
    database.run("UPDATE reports SET reason = 'threat', updated = clock_timestamp() WHERE id = 7").await;
    database.admin(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name)).await;
    cut_all(&database).await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["7"], "within one poll, over a new connection");
    drop(desk);
    database.end().await;
}

#[tokio::test]
async fn a_nul_byte_in_a_text_id_is_a_reject_and_stops_no_cursor() {
    let scratch = ScratchDir::new("nul_id");
    let url = scratch.sqlite_url("reports.db");
    let mut platform = open_sqlite(&url).await;
    platform
        .execute("CREATE TABLE reports (id TEXT, reason TEXT, created TEXT, closed TEXT, updated TEXT)")
        .await
        .unwrap();
    platform
        .execute("INSERT INTO reports VALUES ('a', 'spam', '2025-06-15T15:06:40Z', '', '2025-06-15T15:06:40Z')")
        .await
        .unwrap();
    let mut desk = Desk::new(with_updated(&url, SECOND));
    desk.poll().await.unwrap();
    let now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
    for id in ["'b' || char(0) || 'c'", "CAST(x'ff' AS TEXT)", "'d'"] {
        let insert = format!("INSERT INTO reports VALUES ({id}, 'spam', {now}, '', {now})");
        platform.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
    }
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["d"]);
    let rejects: Vec<_> = desk.plans.iter().flat_map(|plan| &plan.rejects).collect();
    assert_eq!(rejects.len(), 2, "{rejects:?}");
    platform.close().await.unwrap();
}
