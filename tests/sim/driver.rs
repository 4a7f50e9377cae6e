//! What simulations share: a report table, a receiver and a store that outlive the process, and one life
//! of the process over them, driven input by input in time that only a test moves.

use crate::kit::minute;
use crate::model_store::{ModelStore, PageState};
use crate::port::lead;
use futures_util::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tocsin::core::id::ReportId;
use tocsin::core::observation::{EventName, Observation, Row};
use tocsin::core::plan::{Input, PageKind};
use tocsin::core::policy::{Policy, Priority};
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::pager::{Answer, Outgoing, Sender};
use tocsin::run::asks::Asks;
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::engine::Engine;
use tocsin::run::heartbeat::Beats;
use tocsin::run::inbox;
use tocsin::run::lists::{Lists, Question};
use tocsin::run::poller::{Inputs, PollError, Poller};
use tocsin::run::watcher::{Polled, Watcher};
use tocsin::source::{Batch, ScanPosition, Source, SourceError};
use tocsin::status::{Mode, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::Store;
use tokio::sync::mpsc;

/// A report table in memory. While it is away, it can't be read.
#[derive(Default)]
pub struct Table {
    pub rows: Mutex<BTreeMap<i64, Row>>,
    pub away: AtomicBool,
}

impl Table {
    fn reach(&self) -> tocsin::source::Result<()> {
        let away = self.away.load(Ordering::SeqCst);
        let error = || SourceError::Unreachable { source_name: "reports".into(), cause: "away".into() };
        if away { Err(error()) } else { Ok(()) }
    }
}

impl Source for Table {
    async fn scan_open(
        &self,
        _after: Option<&ScanPosition>,
        _limit: u32,
    ) -> tocsin::source::Result<(Batch, Option<ScanPosition>)> {
        self.reach()?;
        let rows = self.rows.lock().unwrap();
        let open = rows.iter().filter(|(_, row)| row.event(EventName::Closed).is_none());
        let rows = open.map(|(id, row)| Observation { id: ReportId::Int(*id), row: Some(row.clone()) }).collect();
        Ok((Batch { rows, rejects: Vec::new() }, None))
    }

    async fn read(&self, ids: &[ReportId]) -> tocsin::source::Result<Batch> {
        self.reach()?;
        let rows = self.rows.lock().unwrap();
        let row = |id: &ReportId| match id {
            ReportId::Int(n) => rows.get(n).cloned(),
            _ => None,
        };
        let rows = ids.iter().map(|id| Observation { id: id.clone(), row: row(id) }).collect();
        Ok(Batch { rows, rejects: Vec::new() })
    }
}

/// A receiver that remembers every key it was sent, and refuses each page's first attempt now and then.
#[derive(Default)]
pub struct Receiver {
    pub delivered: Mutex<BTreeSet<String>>,
    refused: Mutex<BTreeSet<String>>,
    /// Its first channels never take most pages: some are refused for good, some for now, each time.
    pub is_stubborn: bool,
}

impl Sender for Receiver {
    async fn send(&self, page: &Outgoing<'_>, _now: Timestamp) -> Answer {
        let key = page.delivery_key.to_owned();
        if self.is_stubborn && page.channel.ends_with("pager") {
            match key.as_bytes()[0] {
                b'0'..=b'6' => return Answer::permanent("400"),
                b'7'..=b'9' | b'a'..=b'c' => return Answer::retry("503"),
                _ => {}
            }
        }
        let refuses = key.starts_with(['0', '1', '2', '3']) && self.refused.lock().unwrap().insert(key.clone());
        if refuses {
            return Answer::retry("503");
        }
        self.delivered.lock().unwrap().insert(key);
        Answer::accepted("202")
    }
}

/// What hears the heartbeat, and finds by itself whether a P0 waits unheard.
#[derive(Default)]
pub struct Switch {
    pub store: Arc<ModelStore>,
    pub beats: Mutex<BTreeSet<Timestamp>>,
}

impl Beats for Switch {
    async fn beat(&self, now: Timestamp) -> Answer {
        let tables = self.store.tables();
        let rings = || tables.pages.iter().filter(|state| state.page.kind == PageKind::Ring);
        let waits = |state: &&PageState| matches!(state.state, "queued" | "leased" | "parked");
        let late = |state: &&PageState| state.page.created_at.plus(Span::from_secs(15)) <= now;
        for waiting in rings().filter(waits).filter(late).filter(|state| state.page.priority == Priority::P0) {
            let round = |state: &PageState| (state.page.incident, state.page.round);
            let heard = rings().any(|state| state.state == "accepted" && round(state) == round(waiting));
            assert!(heard, "a beat at {now:?} though nobody has heard {:?}", round(waiting));
        }
        self.beats.lock().unwrap().insert(now);
        Answer::accepted("200")
    }
}

/// What outlives the process: the two databases, the receivers, and time.
pub struct World {
    pub store: Arc<ModelStore>,
    pub table: Arc<Table>,
    pub receiver: Arc<Receiver>,
    pub switch: Arc<Switch>,
    pub clock: VirtualClock,
}

impl World {
    /// As `new`, with a receiver whose first channels never take most pages.
    pub fn stubborn() -> Self {
        World { receiver: Arc::new(Receiver { is_stubborn: true, ..Receiver::default() }), ..World::new() }
    }

    pub fn new() -> Self {
        let store: Arc<ModelStore> = Arc::default();
        World {
            switch: Arc::new(Switch { store: store.clone(), ..Switch::default() }),
            store,
            table: Arc::default(),
            receiver: Arc::default(),
            clock: VirtualClock::new(minute(0)),
        }
    }
}

/// One life of the process, without its loops: whoever holds it says what happens next.
pub struct Life<St: Store, So: Source> {
    pub engine: Engine<St, VirtualClock>,
    store: Arc<St>,
    poller: Arc<Poller<So, VirtualClock>>,
    watcher: Watcher<So, VirtualClock>,
    proofs: mpsc::Receiver<Input>,
    scans: mpsc::Receiver<Input>,
    questions: mpsc::Receiver<Question>,
    asks: Arc<Asks>,
    clock: VirtualClock,
}

impl<St: Store, So: Source> Life<St, So> {
    pub async fn start(policy: Arc<Policy>, store: Arc<St>, source: Arc<So>, clock: VirtualClock) -> Self {
        let token = lead(&*store, "test", clock.now()).await;
        let engine = Engine::start(policy, store.clone(), clock.clone(), keys(), status(), token).await.unwrap();
        let (proof, proofs) = mpsc::channel(100);
        let (scan, scans) = mpsc::channel(100);
        let asks = Arc::new(Asks::default());
        let poller = Arc::new(Poller {
            name: "reports".into(),
            every: Span::from_mins(1),
            source,
            clock: clock.clone(),
            inputs: Inputs { proof, scan },
            asks: asks.clone(),
        });
        let (lists, questions) = Lists::new();
        let watcher = Watcher::new(poller.clone(), lists);
        Life { engine, store, poller, watcher, proofs, scans, questions, asks, clock }
    }

    /// Polls once; what it saw waits to be taken up.
    pub async fn scan(&mut self) -> Result<Polled, PollError> {
        let polled = {
            let polling = self.watcher.poll();
            tokio::pin!(polling);
            loop {
                tokio::select! {
                    biased;
                    Some(question) = self.questions.recv() => question.answer(self.engine.core()),
                    polled = &mut polling => break polled,
                }
            }
        };
        self.answer().await;
        polled
    }

    /// Reads what is asked for, as the loop does that waits for it.
    async fn answer(&self) {
        if self.asks.added().now_or_never().is_none() {
            return;
        }
        match self.poller.answer().await {
            Ok(()) | Err(PollError::Source(_)) => {}
            Err(PollError::Stopped) => panic!("the engine is held by the same life"),
        }
    }

    /// Takes up one input: P0 that another policy judges, a deadline, proof, what else is judged anew, the rows
    /// of scans. False when none waits.
    pub async fn step(&mut self) -> bool {
        let due = self.engine.core().next_wake().is_some_and(|wake| wake <= self.clock.now());
        let reassess = Input::Reassess { recalled: Vec::new() };
        let input = match self.engine.core().stale() {
            (1.., _) => Some(reassess),
            _ if due => Some(Input::Tick),
            (0, 0) => self.proofs.try_recv().or_else(|_| self.scans.try_recv()).ok(),
            _ => self.proofs.try_recv().ok().or(Some(reassess)),
        };
        let Some(input) = input else { return false };
        let fed = self.engine.feed(input).await.unwrap();
        self.asks.add(fed.asks);
        self.answer().await;
        true
    }

    /// Takes up what waits in the inbox.
    pub async fn take_up_inbox(&mut self) {
        for entry in self.store.inbox().await.unwrap() {
            self.engine.feed(Input::Act(inbox::act(&entry))).await.unwrap();
        }
    }

    /// When time alone changes something, if that is before `end`.
    pub fn next_wake_before(&self, end: Timestamp) -> Option<Timestamp> {
        let wake = self.engine.core().next_wake().filter(|wake| *wake < end)?;
        Some(wake.max(self.clock.now()))
    }
}

pub fn keys() -> Keys {
    Keys::new(b"a deployment's secret")
}

pub fn status() -> StatusHandle {
    StatusHandle::new(Status {
        version: "test",
        mode: Mode::Live,
        deployment: "test".into(),
        leader: false,
        started_at: minute(0),
        engine_alive_at: None,
        sources: vec![SourceStatus::new("reports".into(), Span::from_mins(1), Span::from_mins(5))],
        store: StoreStatus::default(),
        reload: tocsin::status::Reload::default(),
    })
}
