//! What a scan of the open rows costs, page by page as the monitor takes it, beside reading the same
//! columns of the same rows with one bare statement in the same run.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and breaks where it must"
)]

mod support;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};
use std::str::FromStr;
use std::time::Instant;
use support::platform::{Platform, PlatformRow};
use support::{LESSER, SEED, heading, line, millis, not_measured, quantile};
use tocsin::core::plan::BATCH;
use tocsin::core::time::{Span, Timestamp};
use tocsin::source::{AnySource, PAGE_MAX, Source};

const ROUNDS: usize = 5;
const START: Timestamp = Timestamp::from_secs(1_790_000_000);

#[tokio::main]
async fn main() {
    let sizes: &[usize] = if support::is_full() { &[10_000, 100_000, 1_000_000] } else { &[10_000, 100_000] };
    heading("scan of the open rows; floor: the same columns by the bare row protocol");
    for size in sizes {
        let rows = rows(*size);
        let scratch = support::Scratch::new("source");
        measure(&Platform::sqlite(&scratch.sqlite_url("reports.db"), &rows).await, *size).await;
        match Platform::postgres("source", &rows).await {
            Some(platform) => measure(&platform, *size).await,
            None => not_measured(&format!("{size} rows, PostgreSQL"), support::NO_POSTGRES),
        }
    }
}

fn rows(size: usize) -> Vec<PlatformRow> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let row = |n: usize| PlatformRow {
        id: n as i64,
        category: LESSER[random.usize(..LESSER.len())],
        received: START.plus(Span::from_secs(n as i64)),
    };
    (0..size).map(row).collect()
}

async fn measure(platform: &Platform, size: usize) {
    let source = AnySource::open(platform.settings(Span::from_secs(5)), support::keys()).unwrap();
    for (what, limit) in [("pages of 1000", BATCH as u32), ("pages of 10000", PAGE_MAX)] {
        let (mut ours, mut floors) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            floors.push(bare(platform, size).await);
            ours.push(scan(&source, limit, size).await);
        }
        let what = format!("{size} rows, {}, {what}", platform.name());
        line(&what, "ms", quantile(&mut ours, 50), quantile(&mut floors, 50));
    }
}

async fn scan(source: &AnySource, limit: u32, size: usize) -> f64 {
    let began = Instant::now();
    let (mut after, mut seen) = (None, 0);
    loop {
        let (batch, next) = source.scan_open(after.as_ref(), limit).await.unwrap();
        seen += batch.rows.len();
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, size);
    millis(began.elapsed())
}

type Bare = (i64, String, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
type BareTimes = (
    i64,
    String,
    Option<chrono::NaiveDateTime>,
    Option<chrono::NaiveDateTime>,
    Option<chrono::NaiveDateTime>,
    Option<chrono::NaiveDateTime>,
);

async fn bare(platform: &Platform, size: usize) -> f64 {
    let seen = if platform.is_postgres {
        let mut conn = PgConnection::connect(&platform.url).await.unwrap();
        let sql = "SELECT id, category, received_at AT TIME ZONE 'UTC', responded_at AT TIME ZONE 'UTC', \
             acted_at AT TIME ZONE 'UTC', closed_at AT TIME ZONE 'UTC' FROM reports WHERE closed_at IS NULL ORDER BY id";
        let began = Instant::now();
        let rows: Vec<BareTimes> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        (rows.len(), began.elapsed())
    } else {
        let mut conn: SqliteConnection =
            SqliteConnectOptions::from_str(&platform.url).unwrap().read_only(true).connect().await.unwrap();
        let sql = "SELECT id, category, received_ms, responded_ms, acted_ms, closed_ms FROM reports \
             WHERE closed_ms IS NULL ORDER BY id";
        let began = Instant::now();
        let rows: Vec<Bare> = sqlx::query_as(sql).fetch_all(&mut conn).await.unwrap();
        (rows.len(), began.elapsed())
    };
    assert_eq!(seen.0, size);
    millis(seen.1)
}
