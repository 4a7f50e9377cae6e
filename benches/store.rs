//! What the commit of a large plan costs: 1,000 cases, 1,000 breaches, what was observed and 10 pages, new and changed. The
//! floor is the same values, ready as they are, in one statement a table that puts them in or over what is there, and one
//! COMMIT.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and breaks where it must"
)]

mod support;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection, Executor, PgConnection, Row as _, SqliteConnection,
    TypeInfo as _,
};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Instant;
use support::{LESSER, SOURCE, heading, line, millis, not_measured, quantile};
use tocsin::core::engine::{Core, Decision};
use tocsin::core::id::ReportId;
use tocsin::core::observation::{Actor, Event, EventName, Observation, Received, Row, Verdict};
use tocsin::core::plan::{BATCH, Input, Plan, Rows};
use tocsin::core::time::{Span, Timestamp};
use tocsin::secret::Secret;
use tocsin::store::{Commit, Lead, NewPage, SqlStore, Store};

const ROUNDS: usize = 20;
const START: Timestamp = Timestamp::from_secs(1_790_000_000);

#[tokio::main]
async fn main() {
    heading("commit of 1000 cases, 1000 breaches and 10 pages; floor: the same rows, bare");
    let scratch = support::Scratch::new("store");
    measure("SQLite", &scratch.sqlite_url("store.db"), &scratch.sqlite_url("bare.db")).await;
    match (support::postgres_url("store").await, support::postgres_url("store_bare").await) {
        (Some(store), Some(bare)) => measure("PostgreSQL", &store, &bare).await,
        _ => not_measured("PostgreSQL", support::NO_POSTGRES),
    }
}

async fn measure(name: &str, store_url: &str, bare_url: &str) {
    let fingerprint = support::keys().fingerprint();
    let store = SqlStore::open(&Secret::new(store_url), &fingerprint).await.unwrap();
    // The bare rows go into the same schema, its indices included.
    SqlStore::open(&Secret::new(bare_url), &fingerprint).await.unwrap().close().await;
    let mut feeder = Feeder::new(&store).await;
    let (mut inserts, mut updates, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_inserts, mut bare_updates) = (Vec::new(), Vec::new());
    let mut bare = Bare::open(bare_url).await;
    let mut rows: Option<(Tables, Tables)> = None;
    for round in 0..ROUNDS {
        let breached = feeder.plan(round, false);
        assert_eq!((breached.plan.kept.len(), breached.plan.breaches.len()), (BATCH, BATCH));
        assert_eq!(breached.plan.pages.len(), LESSER.len());
        inserts.push(feeder.commit(&store, breached).await);
        let before = if rows.is_none() { Some(held_rows(store_url).await) } else { None };
        let answered = feeder.plan(round, true);
        assert_eq!(
            (answered.plan.kept.len(), answered.plan.breaches.len(), answered.plan.observed.len()),
            (BATCH, BATCH, BATCH)
        );
        updates.push(feeder.commit(&store, answered).await);
        if let Some(before) = before {
            let mut changed = changed_rows(&before, held_rows(store_url).await);
            // A few pages are made and settled beside, which the floor goes without.
            changed[PAGES].clear();
            assert_eq!(changed.each_ref().map(Vec::len), [BATCH, BATCH, 0, BATCH]);
            rows = Some((before, changed));
        }
        let (new, changed) = rows.as_ref().unwrap();
        bare_inserts.push(bare.commit(new, round).await);
        bare_updates.push(bare.commit(changed, round).await);
        idle.push(bare.commit(&Tables::default(), round).await);
    }
    let floor = quantile(&mut bare_inserts, 50);
    line(&format!("{name}: new rows, p50"), "ms", quantile(&mut inserts, 50), floor);
    line(&format!("{name}: new rows, p90"), "ms", quantile(&mut inserts, 90), quantile(&mut bare_inserts, 90));
    let (changed, bare_changed) = (quantile(&mut updates, 50), quantile(&mut bare_updates, 50));
    line(&format!("{name}: the same cases and breaches changed, p50"), "ms", changed, bare_changed);
    line(
        &format!("{name}: that bare commit of new rows; floor: a commit of one row"),
        "ms",
        floor,
        quantile(&mut idle, 50),
    );
    store.close().await;
}

/// Makes plans by the core itself and commits them as the engine does.
struct Feeder {
    core: Core,
    token: u64,
    sequence: u64,
    now: Timestamp,
}

impl Feeder {
    async fn new(store: &SqlStore) -> Feeder {
        let Lead::Taken { token, .. } = store.lead("bench", START, None).await.unwrap() else { panic!("it is led") };
        let mut core = Core::new(support::shared_policy(15));
        let decision = core.decide(&Input::ScanEnded { source: SOURCE.into(), began: START }, START);
        core.apply(decision);
        Feeder { core, token, sequence: 0, now: START }
    }

    /// 1,000 reports whose first response is late; `answered` lets the same be answered, late.
    fn plan(&mut self, round: usize, answered: bool) -> Decision {
        // Groups ring again at most every five minutes.
        self.now = self.now.plus(Span::from_mins(3));
        let received = START.minus(Span::from_hours(30));
        let row = |n: usize| {
            let respond =
                Event { at: START.plus(Span::from_secs(1)), name: EventName::FirstResponse, by: Actor::Unmapped };
            let row = Row {
                received: Received::At(received.plus(Span::from_secs(n as i64))),
                category: LESSER[n % LESSER.len()].into(),
                subject: None,
                events: if answered { vec![respond] } else { Vec::new() },
                dues: Vec::new(),
                paused: false,
                verdict: Verdict::Unmapped,
                facts: Vec::new(),
            };
            Observation { id: ReportId::Int((round * BATCH + n) as i64), row: Some(row) }
        };
        let rows = (0..BATCH).map(row).collect();
        let (source, read_began) = (SOURCE.into(), self.now);
        let rows = Rows { source, read_began, rows, rejects: Vec::new(), recalled: Vec::new() };
        self.core.decide(&Input::Rows(rows), self.now)
    }

    async fn commit(&mut self, store: &SqlStore, decision: Decision) -> f64 {
        let pages = pages(&decision.plan);
        let commit = Commit {
            sequence: self.sequence + 1,
            token: self.token,
            at: self.now,
            plan: &decision.plan,
            pages,
            next_incident: decision.next_incident,
            sent: Vec::new(),
        };
        let began = Instant::now();
        store.commit(&commit).await.unwrap();
        let took = millis(began.elapsed());
        self.sequence += 1;
        drop(commit);
        self.core.apply(decision);
        took
    }
}

fn pages(plan: &Plan) -> Vec<NewPage> {
    let keys = support::keys();
    let page = |page: &tocsin::core::plan::Page| NewPage {
        incident: page.incident,
        round: page.round,
        step: page.step,
        channel: page.channel.clone(),
        kind: page.kind,
        priority: page.priority,
        created_at: page.created_at,
        alert_key: keys.alert(page.incident, page.round),
        delivery_key: keys.delivery(&keys.alert(page.incident, page.round), page.step, &page.channel, page.kind),
        payload: serde_json::to_string(&tocsin::pager::payload::Payload::freeze(page, &keys)).unwrap(),
        fallbacks: page.fallbacks.clone(),
        in_place_of: None,
        is_test: false,
    };
    plan.pages.iter().map(page).collect()
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

/// A table, how many of its first columns become another row's in every round, and what a row does that is there already.
struct Table {
    name: &'static str,
    keys: usize,
    over: &'static str,
}

const TABLES: [Table; 4] = [
    Table {
        name: "cases",
        keys: 2,
        over: "ON CONFLICT (episode) DO UPDATE SET priority = excluded.priority, settled = excluded.settled, \
            state = excluded.state, sequence = excluded.sequence",
    },
    Table {
        name: "breaches",
        keys: 1,
        over: "ON CONFLICT (episode, target, report, deadline) DO UPDATE SET status = excluded.status, \
            detected_at = excluded.detected_at, ended = excluded.ended, ended_at = excluded.ended_at, \
            contradicted_at = excluded.contradicted_at, incident = excluded.incident, known = excluded.known",
    },
    Table { name: "pages", keys: 2, over: "" },
    Table {
        name: "observations",
        keys: 2,
        over: "ON CONFLICT (source, report, incarnation, seen_at) DO UPDATE SET observed = excluded.observed",
    },
];

/// Where the pages stand among them.
const PAGES: usize = 2;

/// The rows of each table.
type Tables = [Vec<Vec<Value>>; TABLES.len()];

/// What the store holds, read back from its own tables.
async fn held_rows(url: &str) -> Tables {
    let mut tables = Tables::default();
    for (table, held) in TABLES.iter().zip(&mut tables) {
        let sql = AssertSqlSafe(format!("SELECT * FROM {}", table.name));
        *held = if url.starts_with("sqlite:") {
            let mut conn: SqliteConnection = SqliteConnectOptions::from_str(url).unwrap().connect().await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut conn).await.unwrap();
            let value = |row: &sqlx::sqlite::SqliteRow, at: usize| match row.try_get::<Option<i64>, _>(at) {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Text(row.get(at)),
            };
            rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect()
        } else {
            let mut conn = PgConnection::connect(url).await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut conn).await.unwrap();
            // By its type, because a NULL reads as whatever is asked for.
            let value = |row: &sqlx::postgres::PgRow, at: usize| match row.column(at).type_info().name() {
                "INT8" => Value::Int(row.get(at)),
                _ => Value::Text(row.get(at)),
            };
            rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect()
        };
    }
    tables
}

/// Rows that are new, or say something else than before.
fn changed_rows(before: &Tables, mut after: Tables) -> Tables {
    for (before, after) in before.iter().zip(&mut after) {
        let before: BTreeSet<&Vec<Value>> = before.iter().collect();
        after.retain(|row| !before.contains(row));
    }
    after
}

/// A connection and statements prepared once.
enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

macro_rules! insert {
    ($conn:expr, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql));
        for value in $values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
            };
        }
        query.execute($conn).await.unwrap();
    }};
}

impl Bare {
    async fn open(url: &str) -> Bare {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).unwrap();
            let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
            return Bare::Sqlite(options.connect().await.unwrap());
        }
        Bare::Postgres(PgConnection::connect(url).await.unwrap())
    }

    async fn commit(&mut self, tables: &Tables, round: usize) -> f64 {
        // PostgreSQL numbers pages itself unless it is told not to.
        let as_given = if matches!(self, Bare::Postgres(_)) { "OVERRIDING SYSTEM VALUE " } else { "" };
        let mut statements = Vec::new();
        for (table, rows) in TABLES.iter().zip(tables) {
            let Some(columns) = rows.first().map(Vec::len) else { continue };
            // SQLite is quick with parameters that have no number.
            let numbered = matches!(self, Bare::Postgres(_));
            let tuple = |row: usize| {
                let place = |column| if numbered { format!("${}", row * columns + column) } else { "?".to_owned() };
                let places: Vec<String> = (1..=columns).map(place).collect();
                format!("({})", places.join(","))
            };
            let tuples: Vec<String> = (0..rows.len()).map(tuple).collect();
            let values: Vec<Value> = rows.iter().flat_map(|row| of_round(row, table, round)).collect();
            let (name, over) = (table.name, table.over);
            statements.push((format!("INSERT INTO {name} {as_given}VALUES {} {over}", tuples.join(",")), values));
        }
        let began = Instant::now();
        match self {
            Bare::Sqlite(conn) => {
                conn.execute("BEGIN IMMEDIATE").await.unwrap();
                conn.execute("UPDATE deployment SET sequence = sequence + 1").await.unwrap();
                for (sql, values) in statements {
                    insert!(&mut *conn, sql, values);
                }
                conn.execute("COMMIT").await.unwrap();
            }
            Bare::Postgres(conn) => {
                conn.execute("BEGIN").await.unwrap();
                conn.execute("UPDATE deployment SET sequence = sequence + 1").await.unwrap();
                for (sql, values) in statements {
                    insert!(&mut *conn, sql, values);
                }
                conn.execute("COMMIT").await.unwrap();
            }
        }
        millis(began.elapsed())
    }
}

/// The row with other keys, so that it can be inserted once a round.
fn of_round(row: &[Value], table: &Table, round: usize) -> Vec<Value> {
    let mut row = row.to_vec();
    // The key columns stand first.
    for value in row.iter_mut().take(table.keys) {
        match value {
            Value::Int(Some(number)) => *number += (round as i64 + 1) * 1_000_000,
            Value::Text(Some(text)) => *text = format!("{}{round}:{text}", table.name),
            Value::Int(None) | Value::Text(None) => {}
        }
    }
    row
}
