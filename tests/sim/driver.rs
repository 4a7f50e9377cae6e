//! What simulations share: a report table, a receiver and a store that outlive the process, and one life
//! of the process over them, driven input by input in time that only a test moves.

use crate::kit::minute;
use crate::model_store::ModelStore;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tocsin::core::id::ReportId;
use tocsin::core::observation::{EventName, Observation, Row};
use tocsin::core::plan::Input;
use tocsin::core::policy::Policy;
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::pager::{Answer, Outgoing, Sender};
use tocsin::run::asks::Asks;
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::engine::Engine;
use tocsin::run::poller::{Inputs, PollError, Poller, Scanned};
use tocsin::source::{Batch, ScanPosition, Source, SourceError};
use tocsin::status::{Mode, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::{Lead, Store};
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
}

impl Sender for Receiver {
    async fn send(&self, page: &Outgoing<'_>, _now: Timestamp) -> Answer {
        let key = page.delivery_key.to_owned();
        let refuses = key.starts_with(['0', '1', '2', '3']) && self.refused.lock().unwrap().insert(key.clone());
        if refuses {
            return Answer::retry("503");
        }
        self.delivered.lock().unwrap().insert(key);
        Answer::accepted("202")
    }
}

/// What outlives the process: the two databases, the receiver, and time.
pub struct World {
    pub store: Arc<ModelStore>,
    pub table: Arc<Table>,
    pub receiver: Arc<Receiver>,
    pub clock: VirtualClock,
}

impl World {
    pub fn new() -> Self {
        World {
            store: Arc::default(),
            table: Arc::default(),
            receiver: Arc::default(),
            clock: VirtualClock::new(minute(0)),
        }
    }
}

/// One life of the process, without its loops: whoever holds it says what happens next.
pub struct Life<St: Store, So: Source> {
    pub engine: Engine<St, VirtualClock>,
    poller: Poller<So, VirtualClock>,
    proofs: mpsc::Receiver<Input>,
    scans: mpsc::Receiver<Input>,
    asks: Arc<Asks>,
    clock: VirtualClock,
}

impl<St: Store, So: Source> Life<St, So> {
    pub async fn start(policy: Arc<Policy>, store: Arc<St>, source: Arc<So>, clock: VirtualClock) -> Self {
        let Lead::Taken { token, .. } = store.lead("test", clock.now(), None).await.unwrap() else {
            panic!("nobody else leads")
        };
        let engine = Engine::start(policy, store, clock.clone(), keys(), status(), token).await.unwrap();
        let (proof, proofs) = mpsc::channel(100);
        let (scan, scans) = mpsc::channel(100);
        let asks = Arc::new(Asks::default());
        let poller = Poller {
            name: "reports".into(),
            every: Span::from_mins(1),
            source,
            clock: clock.clone(),
            inputs: Inputs { proof, scan },
            asks: asks.clone(),
        };
        Life { engine, poller, proofs, scans, asks, clock }
    }

    /// Reads every open row; what it saw waits to be taken up.
    pub async fn scan(&self) -> Result<Scanned, PollError> {
        self.poller.scan().await
    }

    /// Takes up one input: a deadline before proof, proof before the rows of scans. False when none waits.
    pub async fn step(&mut self) -> bool {
        let due = self.engine.core().next_wake().is_some_and(|wake| wake <= self.clock.now());
        let input = match due {
            true => Some(Input::Tick),
            false => self.proofs.try_recv().or_else(|_| self.scans.try_recv()).ok(),
        };
        let Some(input) = input else { return false };
        let fed = self.engine.feed(input).await.unwrap();
        self.asks.add(fed.asks);
        match self.poller.answer().await {
            Ok(()) | Err(PollError::Source(_)) => true,
            Err(PollError::Stopped) => panic!("the engine is held by the same life"),
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

fn status() -> StatusHandle {
    StatusHandle::new(Status {
        version: "test",
        mode: Mode::Live,
        deployment: "test".into(),
        leader: false,
        started_at: minute(0),
        engine_alive_at: None,
        sources: vec![SourceStatus::new("reports".into(), Span::from_mins(1), Span::from_mins(5))],
        store: StoreStatus::default(),
    })
}
