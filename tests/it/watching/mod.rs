//! Watching report databases: what a poll sees, what it reads for that, and what it never misses, held against real
//! databases. The core takes in what the polls see; a clock that only the test moves says when they are due.

mod faults;
mod feeds;
mod history;
mod late_commits;
mod mysql;
mod mysql_replica;
mod pages;
mod replica;
mod vanishing;

use crate::kit;
use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tocsin::core::case::Case;
use tocsin::core::engine::Core;
use tocsin::core::id::ReportId;
use tocsin::core::observation::{EventName, Row};
use tocsin::core::plan::{Input, Plan};
use tocsin::core::policy::Policy;
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::run::asks::Asks;
use tocsin::run::clock::{Clock, SystemClock, VirtualClock};
use tocsin::run::lists::{Lists, Question};
use tocsin::run::poller::{Inputs, PollError, Poller};
use tocsin::run::watcher::{Polled, Watcher};
use tocsin::secret::Secret;
use tocsin::source::feed::{Begin, Changes, FeedKind, Moment, Replayed};
use tocsin::source::settings::{
    Actors, CategoryFrom, Columns, EventColumn, Reading, RowsFrom, Settings, States, TimeColumn,
};
use tocsin::source::{AnySource, Batch, Part, Result, ScanPosition, Source, Watching};
use tokio::sync::mpsc;

/// A monitor of one source without its loops: the test says when it polls.
pub struct Desk {
    pub core: Core,
    pub clock: VirtualClock,
    watcher: Watcher<Ticking, VirtualClock>,
    poller: Arc<Poller<Ticking, VirtualClock>>,
    asks: Arc<Asks>,
    scans: mpsc::Receiver<Input>,
    proofs: mpsc::Receiver<Input>,
    questions: mpsc::Receiver<Question>,
    /// Each report as it was last seen; without a row it was gone.
    pub seen: BTreeMap<String, Option<Row>>,
    /// Ids in the order in which they came, of the last poll.
    pub came: Vec<String>,
    pub plans: Vec<Plan>,
}

impl Desk {
    pub fn new(settings: Settings) -> Desk {
        Desk::with(settings, kit::policy())
    }

    pub fn with(settings: Settings, policy: Policy) -> Desk {
        Desk::ticking(settings, policy, Span::ZERO)
    }

    /// Every page of a scan takes `tick` of the desk's time.
    pub fn ticking(settings: Settings, policy: Policy, tick: Span) -> Desk {
        let clock = VirtualClock::new(SystemClock.now());
        let (proof, proofs) = mpsc::channel(1_000);
        let (scan, scans) = mpsc::channel(1_000);
        let (lists, questions) = Lists::new();
        let asks = Arc::new(Asks::default());
        let (name, every) = (settings.name.clone(), settings.poll);
        let inner = AnySource::open(settings, Keys::new(b"a secret of a test")).unwrap();
        let source = Arc::new(Ticking { inner, clock: clock.clone(), tick });
        let inputs = Inputs { proof, scan };
        let poller = Arc::new(Poller { name, every, source, clock: clock.clone(), inputs, asks: asks.clone() });
        let watcher = Watcher::new(poller.clone(), lists);
        let core = Core::new(Arc::new(policy));
        let (seen, came, plans) = (BTreeMap::new(), Vec::new(), Vec::new());
        Desk { core, clock, watcher, poller, asks, scans, proofs, questions, seen, came, plans }
    }

    /// One poll, and the reads by key that the core asks for because of it.
    pub async fn poll(&mut self) -> std::result::Result<Polled, PollError> {
        self.came.clear();
        let (core, asks, clock) = (&mut self.core, &self.asks, &self.clock);
        let polled = {
            let polling = self.watcher.poll();
            tokio::pin!(polling);
            loop {
                tokio::select! {
                    biased;
                    Some(input) = self.scans.recv() => {
                        take(core, &mut self.plans, &mut self.seen, &mut self.came, asks, clock, &input);
                    }
                    Some(question) = self.questions.recv() => question.answer(core),
                    polled = &mut polling => break polled,
                }
            }
        };
        self.take_waiting();
        // As the loop does that waits for it.
        let answered = match self.asks.added().now_or_never() {
            Some(()) => self.poller.answer().await,
            None => Ok(()),
        };
        self.take_waiting();
        let polled = polled?;
        answered?;
        Ok(polled)
    }

    /// A deadline has passed: what the core asks for because of it waits for the next poll.
    pub fn wake(&mut self) {
        let (asks, clock) = (&self.asks, &self.clock);
        take(&mut self.core, &mut self.plans, &mut self.seen, &mut self.came, asks, clock, &Input::Tick);
    }

    fn take_waiting(&mut self) {
        while let Ok(input) = self.proofs.try_recv().or_else(|_| self.scans.try_recv()) {
            take(&mut self.core, &mut self.plans, &mut self.seen, &mut self.came, &self.asks, &self.clock, &input);
        }
    }

    /// Time passes, and a poll is due.
    pub async fn poll_after(&mut self, span: Span) -> Polled {
        self.clock.advance(span);
        self.poll().await.unwrap()
    }

    /// Polls until a lap has come to its end.
    pub async fn sweep(&mut self) {
        for _ in 0..10_000 {
            if self.poll_after(Span::from_mins(20)).await.rows.is_some() {
                return;
            }
        }
        panic!("no lap comes to its end");
    }

    pub fn category(&self, id: &str) -> Option<&str> {
        self.seen.get(id)?.as_ref().map(|row| &*row.category)
    }

    pub fn held(&self) -> BTreeSet<String> {
        let ids = |case: Case| case.reports.keys().map(|key| key.id.to_string()).collect::<Vec<_>>();
        self.core.cases().flat_map(ids).collect()
    }

    pub fn holds(&self, id: i64) -> bool {
        self.core.holds(&"reports".into(), &ReportId::Int(id))
    }
}

/// A source of which every page of a scan takes a while.
pub struct Ticking {
    inner: AnySource,
    clock: VirtualClock,
    tick: Span,
}

impl Source for Ticking {
    async fn scan_open(&self, after: Option<&ScanPosition>, limit: u32) -> Result<(Batch, Option<ScanPosition>)> {
        let page = self.inner.scan_open(after, limit).await;
        self.clock.advance(self.tick);
        page
    }

    async fn read(&self, ids: &[ReportId]) -> Result<Batch> {
        self.inner.read(ids).await
    }

    fn watching(&self) -> Watching {
        self.inner.watching()
    }

    async fn moment(&self) -> Result<Moment> {
        self.inner.moment().await
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

fn take(
    core: &mut Core,
    plans: &mut Vec<Plan>,
    seen: &mut BTreeMap<String, Option<Row>>,
    came: &mut Vec<String>,
    asks: &Asks,
    clock: &VirtualClock,
    input: &Input,
) {
    if let Input::Rows(rows) = input {
        assert!(rows.rows.len() <= tocsin::core::plan::BATCH);
        for row in &rows.rows {
            came.push(row.id.to_string());
            seen.insert(row.id.to_string(), row.row.clone());
        }
    }
    let decision = core.decide(input, clock.now());
    let plan = decision.plan.clone();
    core.apply(decision);
    asks.add(plan.asks.iter().map(|report| (core.priority_of(report), report.clone())));
    plans.push(plan);
}

fn event(name: EventName, column: &str) -> EventColumn {
    EventColumn { name, column: column.into(), by: None, unit: None }
}

/// id, reason, created and closed of the table `reports`.
pub fn settings(url: &str) -> Settings {
    Settings {
        name: "reports".into(),
        url: Secret::new(url),
        poll: Span::from_secs(1),
        timezone: "UTC".parse().unwrap(),
        rows: RowsFrom::Table("reports".into()),
        columns: Columns { id: "id".into(), case: vec![], category: CategoryFrom::Column("reason".into()) },
        events: vec![event(EventName::Received, "created"), event(EventName::Closed, "closed")],
        dues: vec![],
        facts: vec![],
        actors: Actors::default(),
        states: States::default(),
        reading: Reading::default(),
    }
}

/// As `settings`, with the column of changes.
pub fn with_updated(url: &str, overlap: Span) -> Settings {
    let updated = Some(TimeColumn { column: "updated".into(), unit: None });
    let reading = Reading { updated, overlap: Some(overlap), ..Reading::default() };
    Settings { reading, ..settings(url) }
}
