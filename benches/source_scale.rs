//! What watching a large report database costs: the first look, a poll that finds changes, one that finds none,
//! and reading again by key; in PostgreSQL, MariaDB and SQLite. The first argument that is a number, or
//! TOCSIN_BENCH_OPEN, sets the number of open reports, by default 10,000; for each of them lie as many closed ones
//! beside as TOCSIN_BENCH_CLOSED says, by default five. `-- --full` measures 10,000, 100,000, a million and ten millions,
//! those without closed ones. 13 % of the open ones have broken their deadline when the monitor first looks.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock, and breaks where it must"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use support::backlog::{Base, Kind};
use support::{MINOR_SAFETY, SOURCE, alone, heading, line, millis, not_measured, quantile};
use tocsin::core::engine::Core;
use tocsin::core::observation::Observation;
use tocsin::core::plan::Input;
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::asks::Asks;
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::run::engine::Engine;
use tocsin::run::lists::{Lists, Question};
use tocsin::run::poller::{Inputs, Poller};
use tocsin::run::watcher::{Polled, Watcher};
use tocsin::secret::Secret;
use tocsin::source::AnySource;
use tocsin::status::{Mode, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::{Lead, SqlStore, Store};
use tokio::sync::{mpsc, oneshot};

const ROUNDS: usize = 15;
const CHANGED: usize = 1_000;

#[tokio::main]
async fn main() {
    for (open, closed) in sizes() {
        let scratch = support::Scratch::new("source_scale");
        heading(&format!("watching {open} open reports and {} closed ones", closed * open));
        for kind in Kind::ALL {
            match Base::fill(kind, &scratch, open, closed).await {
                Some(mut base) => {
                    println!("{}", base.server);
                    pageable(&base, &scratch).await;
                    first_look(&mut base, open).await;
                    changes(&mut base).await;
                    by_key(&base).await;
                    base.end().await;
                }
                None => not_measured(kind.name(), kind.without()),
            }
        }
    }
}

/// Numbers of open reports, and of closed ones for each of them.
fn sizes() -> Vec<(usize, usize)> {
    if support::is_full() {
        return vec![(10_000, 5), (100_000, 5), (1_000_000, 5), (10_000_000, 0)];
    }
    vec![(open_reports(), number_of("TOCSIN_BENCH_CLOSED").unwrap_or(5))]
}

/// The first number among the arguments, else TOCSIN_BENCH_OPEN, else 10,000.
fn open_reports() -> usize {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    given.or_else(|| number_of("TOCSIN_BENCH_OPEN")).unwrap_or(10_000)
}

fn number_of(variable: &str) -> Option<usize> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A monitor without its store: what is read goes through the core.
struct Desk {
    hearing: Option<Hearing>,
    watcher: Watcher<AnySource, SystemClock>,
}

/// The core, and where it hears of what was read and of what it is asked.
struct Hearing {
    seen: Seen,
    scans: mpsc::Receiver<Input>,
    questions: mpsc::Receiver<Question>,
}

struct Seen {
    core: Core,
    rows: usize,
    began: Instant,
    /// From the beginning of the poll to the last case of minor safety, and until the whole queue is ranked.
    minor_ms: f64,
    ranked_ms: f64,
}

type Watching = (Watcher<AnySource, SystemClock>, mpsc::Receiver<Input>, mpsc::Receiver<Question>);

/// Whoever polls, and where what it reads and what it asks come out.
fn watching(base: &Base, tells_changes: bool) -> Watching {
    let (proof, _) = mpsc::channel(1_000);
    let (scan, scans) = mpsc::channel(2);
    let (lists, questions) = Lists::new();
    let source = AnySource::open(base.settings(tells_changes), support::keys()).unwrap();
    let poller = Arc::new(Poller {
        name: SOURCE.into(),
        every: Span::from_secs(3_600),
        source: Arc::new(source),
        clock: SystemClock,
        inputs: Inputs { proof, scan },
        asks: Arc::new(Asks::default()),
    });
    (Watcher::new(poller, lists), scans, questions)
}

impl Desk {
    fn new(base: &Base, tells_changes: bool) -> Desk {
        let (watcher, scans, questions) = watching(base, tells_changes);
        let core = Core::new(support::shared_policy(15));
        let seen = Seen { core, rows: 0, began: Instant::now(), minor_ms: 0.0, ranked_ms: 0.0 };
        Desk { hearing: Some(Hearing { seen, scans, questions }), watcher }
    }

    fn seen(&self) -> &Seen {
        &self.hearing.as_ref().unwrap().seen
    }

    /// Polls while the core is on a thread of its own.
    async fn poll_beside(&mut self) -> Polled {
        let (done, is_done) = oneshot::channel();
        let hearing = tokio::spawn(self.hearing.take().unwrap().hear(is_done));
        let polled = self.watcher.poll().await.unwrap();
        done.send(()).unwrap();
        self.hearing = Some(hearing.await.unwrap());
        polled
    }

    /// The same on one thread, so that what the processor spends is not on the handing over.
    async fn poll(&mut self) -> Polled {
        let (done, is_done) = oneshot::channel();
        let hearing = self.hearing.take().unwrap().hear(is_done);
        let polling = async {
            let polled = self.watcher.poll().await.unwrap();
            done.send(()).unwrap();
            polled
        };
        let (hearing, polled) = tokio::join!(hearing, polling);
        self.hearing = Some(hearing);
        polled
    }
}

impl Hearing {
    /// Takes in all that comes until it is done, and what has come by then.
    async fn hear(mut self, mut is_done: oneshot::Receiver<()>) -> Hearing {
        (self.seen.rows, self.seen.began) = (0, Instant::now());
        loop {
            tokio::select! {
                biased;
                Some(input) = self.scans.recv() => self.seen.take(&input),
                Some(question) = self.questions.recv() => question.answer(&self.seen.core),
                _ = &mut is_done => return self,
            }
        }
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
        if matches!(input, Input::ScanEnded { .. }) {
            self.ranked_ms = millis(self.began.elapsed());
        }
        if minor {
            self.minor_ms = millis(self.began.elapsed());
        }
    }
}

/// From the start until every case that is minor safety by its category is committed, its pages with it, in a new
/// store in SQLite.
async fn pageable(base: &Base, scratch: &support::Scratch) {
    const BAR_MS: f64 = 2_000.0;
    let (clock, keys) = (SystemClock, support::keys());
    let url = scratch.sqlite_url(&format!("store_of_{}.db", base.kind.name()));
    let store = Arc::new(SqlStore::open(&Secret::new(url), &keys.fingerprint()).await.unwrap());
    let Lead::Taken { token, .. } = store.lead("bench", clock.now(), None).await.unwrap() else {
        panic!("nobody else leads a new store");
    };
    let policy = support::shared_policy(15);
    let mut engine = Engine::start(policy, store.clone(), clock, keys, status(clock.now()), token).await.unwrap();
    let (mut watcher, mut scans, mut questions) = watching(base, true);
    let (began, mut took) = (Instant::now(), 0.0);
    let polling = tokio::spawn(async move { watcher.poll().await.map(drop) });
    loop {
        tokio::select! {
            biased;
            Some(input) = scans.recv() => {
                let is_minor = |seen: &Observation| seen.row.as_ref().is_some_and(|row| &*row.category == MINOR_SAFETY);
                if !matches!(&input, Input::Rows(rows) if rows.rows.iter().all(is_minor)) {
                    break;
                }
                engine.feed(input).await.unwrap();
                took = millis(began.elapsed());
            }
            Some(question) = questions.recv() => question.answer(engine.core()),
            else => break,
        }
    }
    polling.abort();
    let cases = engine.core().cases().count();
    line(&format!("start: {cases} cases of minor safety committed and pageable; the bar as floor"), "ms", took, BAR_MS);
    store.close().await;
}

fn status(now: Timestamp) -> StatusHandle {
    StatusHandle::new(Status {
        version: "bench",
        mode: Mode::Live,
        deployment: "bench".to_owned(),
        leader: false,
        started_at: now,
        engine_alive_at: None,
        sources: vec![SourceStatus::new(SOURCE.into(), Span::from_secs(1), Span::from_mins(1))],
        store: StoreStatus::default(),
        reload: tocsin::status::Reload::default(),
    })
}

async fn first_look(base: &mut Base, open: usize) {
    let began = Instant::now();
    let bare = base.bare("WHERE closed_at IS NULL ORDER BY id").await;
    let index: BTreeSet<(bool, i64, i64)> = bare.iter().copied().fold(BTreeSet::new(), |mut index, key| {
        index.insert(key);
        index
    });
    let floor = millis(began.elapsed());
    assert_eq!((bare.len(), index.len()), (open, open));
    let mut desk = Desk::new(base, true);
    let began = Instant::now();
    let polled = desk.poll_beside().await;
    let took = millis(began.elapsed());
    assert_eq!(polled.rows, Some(open as u64));
    alone("start: minor safety decided", "ms", desk.seen().minor_ms);
    line("start: the whole ranked queue; floor: the columns alone, and an index", "ms", desk.seen().ranked_ms, floor);
    alone("start: until it has also looked for rows that are closed at no time", "ms", took);
}

/// With a column of changes: polls of a table in which nothing has changed for a while, polls that find a thousand
/// changed rows, and the polls after those, which read what changed a moment ago once more.
async fn changes(base: &mut Base) {
    let mut desk = Desk::new(base, true);
    desk.poll().await;
    let (mut idle, mut changed, mut after) = (Polls::default(), Polls::default(), Polls::default());
    for _ in 0..ROUNDS {
        idle.time(&mut desk, 0).await;
    }
    let mut floors = Vec::new();
    for round in 0..ROUNDS {
        base.change(round, CHANGED).await;
        let began = Instant::now();
        let bare = base.bare(&format!("ORDER BY updated_at DESC LIMIT {CHANGED}")).await;
        floors.push(millis(began.elapsed()));
        assert_eq!(bare.len(), CHANGED);
        changed.time(&mut desk, CHANGED).await;
        after.time(&mut desk, 0).await;
    }
    let floor = quantile(&mut floors, 50);
    line("poll with 1,000 changed rows; floor: the rows alone", "ms", quantile(&mut changed.took, 50), floor);
    for (what, mut polls) in [
        ("poll with 1,000 changed rows", changed),
        ("idle poll", idle),
        ("idle poll that reads 1,000 just changed rows again", after),
    ] {
        alone(&format!("{what}, fetched and decided, processor"), "ms", quantile(&mut polls.cpu, 50));
    }
}

/// What polls took, and what they cost this process.
#[derive(Default)]
struct Polls {
    took: Vec<f64>,
    cpu: Vec<f64>,
}

impl Polls {
    async fn time(&mut self, desk: &mut Desk, rows: usize) {
        let (began, cpu) = (Instant::now(), cpu_ms());
        desk.poll().await;
        self.took.push(millis(began.elapsed()));
        self.cpu.push(cpu_ms() - cpu);
        assert_eq!(desk.seen().rows, rows);
    }
}

/// Without a column of changes: what reading again by key costs the database, for each 1,000 rows.
async fn by_key(base: &Base) {
    let mut desk = Desk::new(base, false);
    desk.poll().await;
    let (mut took, mut database) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let polled = desk.poll().await;
        let thousands = desk.seen().rows as f64 / 1_000.0;
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
