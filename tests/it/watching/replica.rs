//! A streaming replica is watched: nobody there sees who is at work on the primary, so that an overlap stands for late
//! commits, counted in the primary's time.

use super::{Desk, with_updated};
use crate::support::PrivatePostgres;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tocsin::core::time::Span;

const SECOND: Span = Span::from_secs(1);
const REPORTS: &str = "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz, updated timestamptz);
     CREATE INDEX ON reports (updated, id);
     INSERT INTO reports VALUES (1, 'spam', now(), NULL, now() - interval '1 hour')";

struct Pair {
    primary: PgConnection,
    replica: PgConnection,
    primary_url: String,
    replica_url: String,
    // Last, so that the connections end before the servers.
    _servers: [PrivatePostgres; 2],
}

impl Pair {
    async fn start() -> Pair {
        let server = PrivatePostgres::start().await;
        let primary_url = server.database("platform").await;
        let mut primary = PgConnection::connect(&primary_url).await.unwrap();
        primary.execute(REPORTS).await.unwrap();
        let standby = server.replica();
        let replica_url = standby.url("platform");
        let replica = PgConnection::connect(&replica_url).await.unwrap();
        Pair { primary, replica, primary_url, replica_url, _servers: [standby, server] }
    }

    /// A statement that inserts an open report stamped with now.
    fn file(id: i64) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("INSERT INTO reports VALUES ({id}, 'csam', now(), NULL, clock_timestamp())"))
    }

    /// The replica has replayed what the primary has written.
    async fn is_replayed(&mut self) {
        let written: String =
            sqlx::query_scalar("SELECT pg_current_wal_lsn()::text").fetch_one(&mut self.primary).await.unwrap();
        let asked = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn FROM pg_sleep(0.01)");
        while !sqlx::query_scalar::<_, bool>(AssertSqlSafe(asked.clone())).fetch_one(&mut self.replica).await.unwrap() {
        }
    }
}

/// Report 3 was read, and 2, which came before it, isn't committed yet: by the connection that is given.
async fn one_is_late(overlap: Span) -> (Pair, Desk, PgConnection) {
    let mut pair = Pair::start().await;
    let mut desk = Desk::new(with_updated(&pair.replica_url, overlap));
    desk.poll().await.unwrap();
    let mut late = PgConnection::connect(&pair.primary_url).await.unwrap();
    late.execute("BEGIN").await.unwrap();
    late.execute(Pair::file(2)).await.unwrap();
    pair.primary.execute(Pair::file(3)).await.unwrap();
    pair.is_replayed().await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["3"]);
    (pair, desk, late)
}

#[tokio::test]
async fn on_a_replica_a_late_commit_within_the_overlap_is_seen_at_once_and_a_later_one_by_the_next_sweep() {
    let (mut pair, mut desk, mut late) = one_is_late(Span::from_secs(30)).await;
    late.execute("COMMIT").await.unwrap();
    pair.is_replayed().await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["2"], "stamped before what was read already");
    let long_ago = "INSERT INTO reports VALUES (4, 'csam', now(), NULL, now() - interval '3 hours')";
    pair.primary.execute(long_ago).await.unwrap();
    pair.is_replayed().await;
    desk.poll_after(SECOND).await;
    assert!(desk.came.is_empty(), "{:?}", desk.came);
    desk.sweep().await;
    assert!(desk.holds(4), "what is stamped before the overlap is found by the sweep");
}

#[tokio::test]
async fn while_the_replay_stands_still_the_overlap_does_too() {
    let (mut pair, mut desk, mut late) = one_is_late(Span::from_micros(300_000)).await;
    pair.replica.execute("SELECT pg_wal_replay_pause()").await.unwrap();
    late.execute("COMMIT").await.unwrap();
    for _ in 0..5 {
        pair.replica.execute("SELECT pg_sleep(0.2)").await.unwrap();
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{:?}", desk.came);
    }
    pair.replica.execute("SELECT pg_wal_replay_resume()").await.unwrap();
    pair.is_replayed().await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["2"], "committed within the overlap, and shown long after it");
}

#[tokio::test]
async fn a_cursor_that_begins_on_a_replica_that_lags_begins_where_the_replica_stands() {
    let mut pair = Pair::start().await;
    pair.primary.execute(Pair::file(2)).await.unwrap();
    pair.is_replayed().await;
    pair.replica.execute("SELECT pg_wal_replay_pause()").await.unwrap();
    pair.primary.execute(Pair::file(3)).await.unwrap();
    pair.replica.execute("SELECT pg_sleep(1)").await.unwrap();
    let mut desk = Desk::new(with_updated(&pair.replica_url, Span::from_micros(300_000)));
    desk.poll().await.unwrap();
    desk.poll_after(SECOND).await;
    assert!(desk.holds(2) && !desk.holds(3));
    pair.replica.execute("SELECT pg_wal_replay_resume()").await.unwrap();
    pair.is_replayed().await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["3"], "stamped a second before the cursor began");
}
