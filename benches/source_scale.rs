//! What watching a large report database costs: the first look, a poll that finds changes, one that finds none,
//! and reading again by key. TOCSIN_BENCH_OPEN sets the number of open reports, by default 10,000; for each of them
//! five closed ones lie beside. 13 % of the open ones have broken their deadline when the monitor first looks.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, and breaks where it must"
)]

mod support;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::Arc;
use std::time::Instant;
use support::{MINOR_SAFETY, SOURCE, alone, heading, line, millis, not_measured, quantile};
use tocsin::core::engine::Core;
use tocsin::core::observation::EventName;
use tocsin::core::plan::Input;
use tocsin::core::time::Span;
use tocsin::keys::Keys;
use tocsin::run::asks::Asks;
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::run::lists::{Lists, Question};
use tocsin::run::poller::{Inputs, Poller};
use tocsin::run::watcher::{Polled, Watcher};
use tocsin::secret::Secret;
use tocsin::source::AnySource;
use tocsin::source::settings::{
    Actors, CategoryFrom, Columns, EventColumn, Reading, RowsFrom, Settings, States, TimeColumn,
};
use tocsin::zone::Zone;
use tokio::sync::mpsc;

const ROUNDS: usize = 15;
const CHANGED: usize = 1_000;

/// The seed is part of every drawn value: the same table at every run, but for the times, which count back from now.
const TABLE: &str = "
    CREATE TABLE reports (id bigint PRIMARY KEY, category text NOT NULL, received_at timestamptz NOT NULL,
      responded_at timestamptz, acted_at timestamptz, closed_at timestamptz, updated_at timestamptz NOT NULL, body text);
    INSERT INTO reports
      SELECT n, (ARRAY['grooming','threat','ncii','doxxing','hate','harassment','fraud','nudity','spam','copyright'])
               [1 + CASE WHEN draw < 2 THEN 0 ELSE 1 + draw % 9 END],
        now() - age, NULL, NULL, CASE WHEN n % 6 > 0 THEN now() - age / 2 END, now() - age / 2, repeat('x', 200)
      FROM (SELECT n, (hashint8extended(n, SEED) & 1023)::int % 100 AS draw,
              CASE WHEN (hashint8extended(n, SEED + 1) & 1023)::int % 100 < 13 THEN interval '4 days' ELSE interval '1 hour' END
                + (hashint8extended(n, SEED + 2) & 1023) * interval '1 second' AS age
            FROM generate_series(1, TOTAL) n) drawn;
    CREATE INDEX ON reports (updated_at, id);
    CREATE INDEX ON reports (received_at, id);
    CREATE INDEX ON reports (id) WHERE closed_at IS NULL;
    CREATE INDEX ON reports (category, id) WHERE closed_at IS NULL";

const COLUMNS: &str = "id, category, received_at AT TIME ZONE 'UTC', responded_at AT TIME ZONE 'UTC', \
     acted_at AT TIME ZONE 'UTC', closed_at AT TIME ZONE 'UTC'";

type Time = Option<chrono::NaiveDateTime>;
type Bare = (i64, String, Time, Time, Time, Time);

#[tokio::main]
async fn main() {
    let open: usize = std::env::var("TOCSIN_BENCH_OPEN").ok().map_or(10_000, |text| text.parse().unwrap());
    heading(&format!("watching {open} open reports and {} closed ones", 5 * open));
    let Some(url) = support::postgres_url("source_scale").await else {
        return not_measured("PostgreSQL", support::NO_POSTGRES);
    };
    let mut conn = PgConnection::connect(&url).await.unwrap();
    let fill = TABLE.replace("TOTAL", &(6 * open).to_string()).replace("SEED", "2020");
    conn.execute(AssertSqlSafe(fill)).await.unwrap();
    conn.execute("VACUUM ANALYZE reports").await.unwrap();
    first_look(&url, &mut conn, open).await;
    changes(&url, &mut conn).await;
    by_key(&url).await;
}

/// A monitor without its store: what is read goes through the core.
struct Desk {
    seen: Seen,
    watcher: Watcher<AnySource, SystemClock>,
    scans: mpsc::Receiver<Input>,
    questions: mpsc::Receiver<Question>,
}

struct Seen {
    core: Core,
    rows: usize,
    began: Instant,
    /// From the beginning of the poll to the last case of minor safety.
    minor_ms: f64,
}

impl Desk {
    fn new(url: &str, tells_changes: bool) -> Desk {
        let (proof, _) = mpsc::channel(1_000);
        let (scan, scans) = mpsc::channel(2);
        let (lists, questions) = Lists::new();
        let source = AnySource::open(settings(url, tells_changes), Keys::new(b"a bench's deployment")).unwrap();
        let poller = Arc::new(Poller {
            name: SOURCE.into(),
            every: Span::from_secs(3_600),
            source: Arc::new(source),
            clock: SystemClock,
            inputs: Inputs { proof, scan },
            asks: Arc::new(Asks::default()),
        });
        let core = Core::new(support::shared_policy(15));
        let seen = Seen { core, rows: 0, began: Instant::now(), minor_ms: 0.0 };
        Desk { seen, watcher: Watcher::new(poller, lists), scans, questions }
    }

    async fn poll(&mut self) -> Polled {
        (self.seen.rows, self.seen.began) = (0, Instant::now());
        let polled = {
            let polling = self.watcher.poll();
            tokio::pin!(polling);
            loop {
                tokio::select! {
                    biased;
                    Some(input) = self.scans.recv() => self.seen.take(&input),
                    Some(question) = self.questions.recv() => question.answer(&self.seen.core),
                    polled = &mut polling => break polled.unwrap(),
                }
            }
        };
        while let Ok(input) = self.scans.try_recv() {
            self.seen.take(&input);
        }
        polled
    }
}

impl Seen {
    fn take(&mut self, input: &Input) {
        if let Input::Rows(seen) = input {
            self.rows += seen.rows.len();
        }
        let decision = self.core.decide(input, SystemClock.now());
        let minor = decision.plan.cases.values().flatten().any(|case| case.is_p0());
        self.core.apply(decision);
        if minor {
            self.minor_ms = millis(self.began.elapsed());
        }
    }
}

async fn first_look(url: &str, conn: &mut PgConnection, open: usize) {
    let began = Instant::now();
    let sql = format!("SELECT {COLUMNS} FROM reports WHERE closed_at IS NULL ORDER BY id");
    let bare: Vec<Bare> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *conn).await.unwrap();
    let floor = millis(began.elapsed());
    assert_eq!(bare.len(), open);
    let mut desk = Desk::new(url, true);
    let began = Instant::now();
    let polled = desk.poll().await;
    let took = millis(began.elapsed());
    assert_eq!(polled.rows, Some(open as u64));
    alone("start: minor safety decided", "ms", desk.seen.minor_ms);
    line("start: the whole ranked queue; floor: the columns alone", "ms", took, floor);
}

/// With a column of changes: a poll that finds a thousand changed rows, and one that finds nothing.
async fn changes(url: &str, conn: &mut PgConnection) {
    let mut desk = Desk::new(url, true);
    desk.poll().await;
    let (mut ours, mut floors, mut idle, mut idle_cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let change = format!(
            "UPDATE reports SET responded_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id IN \
             (SELECT id FROM reports WHERE closed_at IS NULL AND category <> '{MINOR_SAFETY}' \
              ORDER BY hashint8extended(id, {round}) LIMIT {CHANGED})"
        );
        conn.execute(AssertSqlSafe(change)).await.unwrap();
        let began = Instant::now();
        let sql = format!("SELECT {COLUMNS} FROM reports ORDER BY updated_at DESC LIMIT {CHANGED}");
        let bare: Vec<Bare> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *conn).await.unwrap();
        floors.push(millis(began.elapsed()));
        assert_eq!(bare.len(), CHANGED);
        let began = Instant::now();
        desk.poll().await;
        ours.push(millis(began.elapsed()));
        assert_eq!(desk.seen.rows, CHANGED);
        let (began, cpu) = (Instant::now(), cpu_ms());
        desk.poll().await;
        idle.push(millis(began.elapsed()));
        idle_cpu.push(cpu_ms() - cpu);
        assert_eq!(desk.seen.rows, 0);
    }
    line(
        "poll with 1,000 changed rows; floor: the rows alone",
        "ms",
        quantile(&mut ours, 50),
        quantile(&mut floors, 50),
    );
    alone("idle poll", "ms", quantile(&mut idle, 50));
    alone("idle poll, processor", "ms", quantile(&mut idle_cpu, 50));
}

/// Without a column of changes: what reading again by key costs the database, for each 1,000 rows.
async fn by_key(url: &str) {
    let mut desk = Desk::new(url, false);
    desk.poll().await;
    let (mut took, mut database) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let polled = desk.poll().await;
        let thousands = desk.seen.rows as f64 / 1_000.0;
        took.push(millis(began.elapsed()) / thousands);
        database.push(polled.database.micros() as f64 / 1_000.0 / thousands);
    }
    alone("reading again, per 1,000 rows", "ms", quantile(&mut took, 50));
    alone("reading again, per 1,000 rows, of the database's time", "ms", quantile(&mut database, 50));
}

/// Processor time of all threads of this process.
fn cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e6
}

fn settings(url: &str, tells_changes: bool) -> Settings {
    let event = |name, column: &str| EventColumn { name, column: column.to_owned(), by: None, unit: None };
    let updated = tells_changes.then(|| TimeColumn { column: "updated_at".to_owned(), unit: None });
    // Without a pause between the changes and the polls an overlap would count them several times.
    let overlap = Some(Span::ZERO);
    Settings {
        name: SOURCE.into(),
        url: Secret::new(url),
        poll: Span::from_secs(1),
        timezone: Zone::UTC,
        rows: RowsFrom::Table("reports".to_owned()),
        columns: Columns {
            id: "id".to_owned(),
            case: Vec::new(),
            category: CategoryFrom::Column("category".to_owned()),
        },
        events: vec![
            event(EventName::Received, "received_at"),
            event(EventName::FirstResponse, "responded_at"),
            event(EventName::ReviewerAction, "acted_at"),
            event(EventName::Closed, "closed_at"),
        ],
        dues: Vec::new(),
        facts: Vec::new(),
        actors: Actors::default(),
        states: States::default(),
        reading: Reading { updated, overlap, first: vec![MINOR_SAFETY.into()], ..Reading::default() },
    }
}
