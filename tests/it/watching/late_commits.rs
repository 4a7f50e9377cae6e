//! Writers that hold their transactions open, so that what they commit is stamped earlier than what has been read:
//! in PostgreSQL the first poll after a commit sees it, in SQLite the next sweep.

use super::{Desk, with_updated};
use crate::source_reading::postgres::Database;
use crate::support::{ScratchDir, open_sqlite};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tocsin::core::time::Span;

const WRITERS: u64 = 6;

/// What has been committed: the version of each report.
type Committed = Arc<Mutex<BTreeMap<String, u64>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_row_is_seen_by_the_first_poll_after_its_commit_however_late_that_is() {
    late_commits(2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "long: 100,000 rows"]
async fn a_hundred_thousand_rows_are_each_seen_by_the_first_poll_after_their_commit() {
    late_commits(100_000).await;
}

async fn late_commits(rows: u64) {
    let database = Database::with(
        "CREATE TABLE reports (id text PRIMARY KEY, reason text, created timestamptz, closed timestamptz,
         updated timestamptz, body text); CREATE INDEX ON reports (updated, id)",
    )
    .await;
    let reader = format!("{}_reader", database.name);
    database
        .run(&format!(
            "CREATE ROLE {reader} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA public TO {reader};
             GRANT SELECT (id, reason, created, closed, updated) ON reports TO {reader}"
        ))
        .await;
    // The overlap covers the moment between a transaction's stamp and its being seen to run, on a machine that
    // stalls; of the longer ones nothing but the horizon stands between a late commit and its loss.
    let overlap = Span::from_micros(200_000);
    let mut desk = Desk::new(with_updated(&database.url_as(Some((&reader, "pw"))), overlap));
    desk.poll().await.unwrap();
    let committed: Committed = Arc::default();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(database.url(), writer, rows / WRITERS, committed.clone())))
        .collect();
    let mut polls = 0_u64;
    loop {
        let done = writers.iter().all(|writer| writer.is_finished());
        let before = committed.lock().unwrap().clone();
        desk.clock.advance(Span::from_micros(1_000));
        desk.poll().await.unwrap();
        polls += 1;
        let missed: Vec<_> = before.iter().filter(|(id, version)| seen(&desk, id) < **version).collect();
        assert!(missed.is_empty(), "poll {polls} misses {} of {}: {:?}", missed.len(), before.len(), &missed[..1]);
        if done {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    println!("{} reports committed, {polls} polls", committed.lock().unwrap().len());
    assert!(polls > 5, "the polls were too few to say anything");
    database.end().await;
}

/// The version that was seen of a report; 0 of none.
fn seen(desk: &Desk, id: &str) -> u64 {
    desk.category(id).and_then(|category| category.strip_prefix('v')?.parse().ok()).unwrap_or(0)
}

/// Transactions of a few rows each, new ones and changed ones, stamped at their beginning, held open for a random
/// time, every seventh one prepared in between.
async fn write(url: String, writer: u64, rows: u64, committed: Committed) {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let (mut written, mut transaction) = (0, 0);
    while written < rows {
        transaction += 1;
        let mut changed = BTreeMap::new();
        let mut sql = "BEGIN;".to_owned();
        for _ in 0..random.u64(1..40) {
            written += 1;
            let id = format!("w{writer}-{}", random.u64(0..=written));
            let version = committed.lock().unwrap().get(&id).copied().unwrap_or(0) + 1;
            // Stamps of the transaction's beginning and of now.
            let stamp = if random.bool() { "now()" } else { "clock_timestamp()" };
            sql.push_str(&format!(
                "INSERT INTO reports VALUES ('{id}', 'v{version}', now(), NULL, {stamp}) ON CONFLICT (id) DO UPDATE \
                 SET reason = excluded.reason, updated = excluded.updated;"
            ));
            changed.insert(id, version);
        }
        let (hold, more) = (random.f64().powi(3) * 2.0, random.f64() * 0.4);
        let name = format!("late-{}-{writer}-{transaction}", std::process::id());
        match transaction % 7 {
            0 => {
                sql.push_str(&format!(
                    "SELECT pg_sleep({hold}); PREPARE TRANSACTION '{name}'; SELECT pg_sleep({more});"
                ));
                conn.execute(AssertSqlSafe(sql)).await.unwrap();
                conn.execute(AssertSqlSafe(format!("COMMIT PREPARED '{name}'"))).await.unwrap();
            }
            _ => {
                sql.push_str(&format!("SELECT pg_sleep({hold}); COMMIT;"));
                conn.execute(AssertSqlSafe(sql)).await.unwrap();
            }
        }
        committed.lock().unwrap().extend(changed);
    }
    conn.close().await.unwrap();
}

#[tokio::test]
async fn in_sqlite_what_is_stamped_earlier_than_the_cursor_has_passed_is_seen_by_the_next_sweep() {
    let scratch = ScratchDir::new("late_lite");
    let url = scratch.sqlite_url("reports.db");
    let mut platform = open_sqlite(&url).await;
    let table = "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT, updated TEXT)";
    platform.execute("PRAGMA journal_mode = WAL").await.unwrap();
    platform.execute(table).await.unwrap();
    let mut desk = Desk::new(with_updated(&url, Span::ZERO));
    desk.poll().await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut id = 0;
    for _ in 0..30 {
        for _ in 0..random.u32(1..40) {
            id += 1;
            let back = Span::from_secs(if random.bool() { 0 } else { random.i64(1..600) });
            let stamp = tocsin::zone::rfc3339(tocsin::run::clock::Clock::now(&desk.clock).minus(back));
            let insert = format!("INSERT INTO reports VALUES ({id}, 'spam', '{stamp}', '', '{stamp}')");
            platform.execute(AssertSqlSafe(insert)).await.unwrap();
        }
        desk.poll_after(Span::from_secs(1)).await;
    }
    let early = desk.seen.len();
    desk.sweep().await;
    assert_eq!(desk.seen.len(), id);
    assert!(early > 10 && early < id, "{early} of {id}: the cursor alone sees some and can't see all");
    platform.close().await.unwrap();
}
