//! The same histories with the platform's rows in a real PostgreSQL, written there as a platform writes them and
//! read by the real source: whole at every poll, or by the column of changes; answers and reviews stand in a log
//! of actions beside the table. While the platform can't be seen the server refuses every connection.

use super::history::{Database, Written, live_in};
use super::platform::Platform;
use super::{Counts, Night};
use crate::driver::keys;
use crate::support::{fresh_postgres_database, postgres_admin_url};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use tocsin::core::id::{ReportId, Subject};
use tocsin::core::observation::{Actor, Event, EventName, Received, Row, Verdict};
use tocsin::core::time::{Span, Timestamp};
use tocsin::secret::Secret;
use tocsin::source::feed::{Begin, Changes, FeedKind, Live, Moment, Replayed};
use tocsin::source::settings::*;
use tocsin::source::{AnySource, Batch, Part, Result, ScanPosition, Source, Watching};
use tocsin::zone::rfc3339;

const TABLES: &str = "
CREATE TABLE reports (id bigint PRIMARY KEY, item text, reason text, created timestamptz, closed timestamptz,
  closed_by text, outcome text, state text, updated timestamptz, body text);
CREATE TABLE actions (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, report bigint, at timestamptz, by text,
  what text, note text);
CREATE INDEX ON reports (updated, id); CREATE INDEX ON actions (at, id); CREATE INDEX ON actions (report);
CREATE ROLE READER LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA public TO READER;
GRANT SELECT (id, item, reason, created, closed, closed_by, outcome, state, updated) ON reports TO READER;
GRANT SELECT (id, report, at, by, what) ON actions TO READER";

/// How far behind what has been read a change may still be stamped.
const OVERLAP: Span = Span::from_secs(2);
const PEOPLE: [&str; 3] = ["ada", "grace", "joan"];

/// Which of the platform's items a subject stands for, as the source hides it.
pub fn item(subject: &Subject) -> Option<u8> {
    static ITEMS: LazyLock<BTreeMap<Subject, u8>> = LazyLock::new(|| {
        (0..=u8::MAX).map(|item| (keys().subject("reports", &[format!("item-{item}")]), item)).collect()
    });
    ITEMS.get(subject).copied()
}

/// A platform's database, as its own people write it.
struct Reports {
    name: String,
    owner: PgConnection,
    shown: Arc<Shown>,
}

/// What the monitor reads of it. Its clock shows the history's time.
struct Shown {
    inner: AnySource,
    clock_micros: AtomicI64,
}

impl Reports {
    async fn new(tells_changes: bool) -> Reports {
        let url = fresh_postgres_database("truth").await;
        let mut owner = PgConnection::connect(&url).await.unwrap();
        let (_, name) = url.rsplit_once('/').unwrap();
        let reader = format!("{name}_reader");
        owner.execute(AssertSqlSafe(TABLES.replace("READER", &reader))).await.unwrap();
        let (_, place) = url.rsplit_once('@').unwrap();
        let settings = settings(format!("postgres://{reader}:pw@{place}"), tells_changes);
        let inner = AnySource::open(settings, keys()).unwrap();
        let shown = Arc::new(Shown { inner, clock_micros: AtomicI64::new(0) });
        Reports { name: name.to_owned(), owner, shown }
    }
}

fn settings(url: String, tells_changes: bool) -> Settings {
    let event = |name, column: &str, by: Option<&str>| EventColumn {
        name,
        column: column.into(),
        by: by.map(str::to_owned),
        unit: None,
    };
    let time = |column: &str| TimeColumn { column: column.into(), unit: None };
    let words = [("answer", EventName::FirstResponse), ("review", EventName::SecondReview)];
    let history = History {
        rows: RowsFrom::Table("actions".into()),
        id: "id".into(),
        report: "report".into(),
        at: time("at"),
        by: Some("by".into()),
        name: "what".into(),
        events: words.into_iter().map(|(word, name)| (word.to_owned(), name)).collect(),
    };
    Settings {
        name: "reports".into(),
        url: Secret::new(url),
        poll: Span::from_mins(1),
        timezone: "UTC".parse().unwrap(),
        rows: RowsFrom::Table("reports".into()),
        columns: Columns {
            id: "id".into(),
            case: vec!["item".into()],
            category: CategoryFrom::Column("reason".into()),
        },
        events: vec![
            event(EventName::Received, "created", None),
            event(EventName::Closed, "closed", Some("closed_by")),
        ],
        dues: Vec::new(),
        facts: Vec::new(),
        actors: Actors { automated: vec!["automod".into()], people: PEOPLE.map(str::to_owned).to_vec() },
        states: States {
            column: Some("state".into()),
            paused: vec!["waiting".into()],
            outcome: Some(OutcomeFrom { column: "outcome".into(), violation: vec!["removed".into()] }),
            ..States::default()
        },
        reading: Reading {
            updated: tells_changes.then(|| time("updated")),
            overlap: Some(OVERLAP),
            history: Some(history),
            ..Reading::default()
        },
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or("NULL".to_owned(), |text| format!("'{text}'"))
}

fn by(actor: &Actor) -> String {
    match actor {
        Actor::Person(name) => quoted(Some(name)),
        Actor::Automated => quoted(Some("automod")),
        Actor::Unknown | Actor::Unmapped => quoted(None),
    }
}

fn upsert(id: i64, row: &Row, at: Timestamp) -> String {
    let Received::At(received) = row.received else { unreachable!("this platform's times can be read") };
    let item = row.subject.map(|subject| format!("item-{}", subject.0[0]));
    let closed = row.event(EventName::Closed);
    let columns = [
        ("item", quoted(item.as_deref())),
        ("reason", quoted(Some(&row.category))),
        ("created", quoted(Some(&rfc3339(received)))),
        ("closed", quoted(closed.map(|event| rfc3339(event.at)).as_deref())),
        ("closed_by", closed.map_or("NULL".to_owned(), |event| by(&event.by))),
        ("outcome", quoted(Some("removed").filter(|_| row.verdict == Verdict::Violation))),
        ("state", quoted(Some(if row.paused { "waiting" } else { "open" }))),
        ("updated", quoted(Some(&rfc3339(at)))),
    ];
    let names = columns.each_ref().map(|(name, _)| *name).join(", ");
    let values = columns.each_ref().map(|(_, value)| value.as_str()).join(", ");
    let sets = columns.each_ref().map(|(name, value)| format!("{name} = {value}")).join(", ");
    format!("INSERT INTO reports (id, {names}) VALUES ({id}, {values}) ON CONFLICT (id) DO UPDATE SET {sets};")
}

fn act(report: i64, event: &Event) -> String {
    let what = if event.name == EventName::FirstResponse { "answer" } else { "review" };
    let (at, by) = (rfc3339(event.at), by(&event.by));
    format!("INSERT INTO actions (report, at, by, what) VALUES ({report}, '{at}', {by}, '{what}');")
}

impl Database for Reports {
    type Source = Shown;

    fn source(&self) -> Arc<Shown> {
        self.shown.clone()
    }

    fn be_at(&mut self, at: Timestamp) {
        self.shown.clock_micros.store(at.micros(), Ordering::SeqCst);
    }

    /// An action alone doesn't touch its report's row.
    async fn write(&mut self, written: &Written, at: Timestamp) {
        let mut sql = "BEGIN;".to_owned();
        sql.extend(written.changed.iter().map(|id| upsert(*id, &written.rows[id], at)));
        sql.extend(written.actions.iter().map(|(report, event)| act(*report, event)));
        sql.extend(written.gone.iter().map(|id| format!("DELETE FROM reports WHERE id = {id};")));
        if sql != "BEGIN;" {
            self.owner.execute(AssertSqlSafe(sql + "COMMIT")).await.unwrap();
        }
    }

    async fn be_away(&mut self, away: bool) {
        let mut server = PgConnection::connect(&postgres_admin_url()).await.unwrap();
        let Reports { name, .. } = self;
        let mut sql = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {};", !away);
        if away {
            sql += &format!(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}' AND usename = '{name}_reader'"
            );
        }
        for statement in sql.split_terminator(';') {
            server.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
        }
        server.close().await.unwrap();
    }
}

impl Source for Shown {
    async fn scan_open(&self, after: Option<&ScanPosition>, limit: u32) -> Result<(Batch, Option<ScanPosition>)> {
        self.inner.scan_open(after, limit).await
    }

    async fn read(&self, ids: &[ReportId]) -> Result<Batch> {
        self.inner.read(ids).await
    }

    fn watching(&self) -> Watching {
        self.inner.watching()
    }

    async fn moment(&self) -> Result<Moment> {
        let clock = Some(Timestamp::from_micros(self.clock_micros.load(Ordering::SeqCst)));
        let moment = self.inner.moment().await?;
        // Whoever else works on this server would call for sweeps, and make another history of the same seed.
        Ok(Moment { clock, live: moment.live.map(|_| Live::default()), ..moment })
    }

    async fn currency(&self) -> Result<Option<Replayed>> {
        self.inner.currency().await
    }

    async fn changes(&self, feed: FeedKind, begin: &Begin, clock: Timestamp, limit: u32) -> Result<Changes> {
        self.inner.changes(feed, begin, clock, limit).await
    }

    async fn reread(&self, ids: &[ReportId]) -> Result<Batch> {
        self.inner.reread(ids).await
    }

    async fn scan_part(
        &self,
        part: Part,
        after: Option<&ScanPosition>,
        limit: u32,
    ) -> Result<(Batch, Option<ScanPosition>)> {
        self.inner.scan_part(part, after, limit).await
    }
}

/// Plays seeds one after the other, and says what they were made of.
async fn play_all(seeds: Range<u64>, tells_changes: bool) -> Counts {
    let mut counts = Counts::default();
    let traced = seeds.end - seeds.start == 1;
    for seed in seeds {
        println!("seed {seed}");
        let database = Reports::new(tells_changes).await;
        // Where a column tells of changes nothing tells of a row that is gone, until the next sweep.
        let mut platform = Platform::new(seed);
        platform.vanishes = !tells_changes;
        platform.rests = true;
        // What is written later than it was received stands behind the cursor that follows what comes in.
        platform.is_prompt = !tells_changes;
        let mut night = Night { traced, ..Night::new() };
        live_in(database, platform, night.store.clone(), &mut night).await;
        counts = counts.and(night);
    }
    println!("{counts:?}");
    counts
}

#[tokio::test]
async fn random_histories_in_postgres_read_whole_end_in_the_breaches_that_brute_force_finds() {
    let counts = play_all(0..4, false).await;
    assert!(counts.breaches >= 50 && counts.pages >= 50 && counts.restarts >= 4, "too little happens: {counts:?}");
}

#[tokio::test]
async fn random_histories_in_postgres_followed_by_their_changes_end_in_the_breaches_that_brute_force_finds() {
    let counts = play_all(0..4, true).await;
    assert!(counts.breaches >= 50 && counts.pages >= 50 && counts.restarts >= 4, "too little happens: {counts:?}");
}

/// Nothing changes after a deadline below P0 that passed while the database was away: only what was asked for then and
/// not answered tells that it is overdue.
#[tokio::test]
async fn a_history_in_postgres_in_which_a_deadline_passes_unseen_ends_in_the_breaches_that_brute_force_finds() {
    play_all(42..43, true).await;
}

#[tokio::test]
#[ignore = "long: the seeds of TOCSIN_SIM_SEEDS, by default 100..1100"]
async fn the_seeds_of_the_environment_in_postgres_read_whole_end_in_the_breaches_that_brute_force_finds() {
    play_all(super::seeds_of_the_environment(), false).await;
}

#[tokio::test]
#[ignore = "long: the seeds of TOCSIN_SIM_SEEDS, by default 100..1100"]
async fn the_seeds_of_the_environment_in_postgres_followed_end_in_the_breaches_that_brute_force_finds() {
    play_all(super::seeds_of_the_environment(), true).await;
}
