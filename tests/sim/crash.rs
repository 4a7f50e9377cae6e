//! A night's history, told once without a fault to count its effects, and then told again for every
//! effect with the process lost before it and after it. No page may be lost, none may come under
//! another key, and the store must end up with the same breaches.

use crate::faults::{Faults, Faulty, Side};
use crate::kit::*;
use crate::model_store::ModelStore;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tocsin::core::id::{Name, ReportId};
use tocsin::core::observation::{EventName, Observation, Row, Verdict};
use tocsin::core::plan::Input;
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::pager::{Answer, Outgoing, Sender};
use tocsin::run::asks::Asks;
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::engine::Engine;
use tocsin::run::outbox::{Outbox, OutboxStats};
use tocsin::run::poller::{Inputs, Poller};
use tocsin::source::{Batch, ScanPosition, Source};
use tocsin::status::{Mode, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::Lane;
use tokio::sync::mpsc;

/// A report table in memory.
#[derive(Default)]
struct Table {
    rows: Mutex<BTreeMap<i64, Row>>,
}

impl Source for Table {
    async fn scan_open(
        &self,
        _after: Option<&ScanPosition>,
        _limit: u32,
    ) -> tocsin::source::Result<(Batch, Option<ScanPosition>)> {
        let rows = self.rows.lock().unwrap();
        let open = rows.iter().filter(|(_, row)| row.event(EventName::Closed).is_none());
        let rows = open.map(|(id, row)| Observation { id: ReportId::Int(*id), row: Some(row.clone()) }).collect();
        Ok((Batch { rows, rejects: Vec::new() }, None))
    }

    async fn read(&self, ids: &[ReportId]) -> tocsin::source::Result<Batch> {
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
struct Receiver {
    delivered: Mutex<BTreeSet<String>>,
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

/// What outlives a crash: the two databases, the receiver, and time.
struct World {
    store: Arc<ModelStore>,
    table: Arc<Table>,
    receiver: Arc<Receiver>,
    clock: VirtualClock,
}

impl World {
    fn new() -> Self {
        World {
            store: Arc::default(),
            table: Arc::default(),
            receiver: Arc::default(),
            clock: VirtualClock::new(minute(0)),
        }
    }

    /// The platform's night, minute by minute.
    fn live(&self, minute_no: i64) {
        let mut rows = self.table.rows.lock().unwrap();
        let at = minute(minute_no);
        match minute_no {
            0 => {
                rows.insert(1, row("csam", at).about(1));
                rows.insert(2, row("threat", at));
                rows.insert(3, row("threat", minute(-60)));
                rows.insert(4, row("never_seen", at));
            }
            5 => {
                rows.insert(5, row("csam", at).about(1));
                rows.insert(6, row("ncii", at));
            }
            20 => {
                let answered = row("csam", minute(0)).about(1).with(EventName::FirstResponse, at, person("ada"));
                rows.insert(1, answered);
            }
            35 => {
                rows.insert(2, row("threat", minute(0)).closed(at, person("ada"), Verdict::Violation));
                rows.remove(&4);
            }
            70 => {
                for id in [1, 5] {
                    let received = minute(if id == 1 { 0 } else { 5 });
                    let closed = row("csam", received).about(1).closed(at, person("ada"), Verdict::NoViolation);
                    rows.insert(id, closed);
                }
            }
            90 => {
                rows.insert(7, row("grooming", at).about(1));
                rows.insert(3, row("threat", minute(-60)).closed(at, person("ada"), Verdict::Violation));
            }
            _ => {}
        }
    }

    /// One life of the process: from its start until the night is over or it is lost.
    async fn process(&self, faults: Arc<Faults>, from_minute: Arc<Mutex<i64>>) {
        let faulty = || Faulty { inner: self.store.clone(), faults: faults.clone() };
        let store = Arc::new(faulty());
        let status = status();
        let (policy, keys) = (Arc::new(policy()), Keys::new(b"a deployment's secret"));
        let engine = Engine::start(policy, store.clone(), self.clock.clone(), keys, status, "test").await;
        let mut engine = engine.unwrap();
        let sender = Faulty { inner: self.receiver.clone(), faults: faults.clone() };
        let outbox = Outbox::new(
            store,
            sender,
            self.clock.clone(),
            OutboxStats::new(&["p0-pager".into(), "pager".into()]).unwrap(),
        );
        let (proof, mut proofs) = mpsc::channel(100);
        let (scan, mut scans) = mpsc::channel(100);
        let asks = Arc::new(Asks::default());
        let poller = Poller {
            name: "reports".into(),
            every: Span::from_mins(1),
            source: Arc::new(Faulty { inner: self.table.clone(), faults: faults.clone() }),
            clock: self.clock.clone(),
            inputs: Inputs { proof, scan },
            asks: asks.clone(),
        };
        loop {
            let minute_no = *from_minute.lock().unwrap();
            if minute_no > 130 {
                return;
            }
            self.live(minute_no);
            let end = minute(minute_no + 1);
            poller.scan().await.unwrap();
            loop {
                let due = engine.core().next_wake().filter(|wake| *wake <= self.clock.now());
                let input = match due {
                    Some(_) => Some(Input::Tick),
                    None => proofs.try_recv().or_else(|_| scans.try_recv()).ok(),
                };
                if let Some(input) = input {
                    let fed = engine.feed(input).await.unwrap();
                    asks.add(fed.asks);
                    poller.answer().await.unwrap();
                    continue;
                }
                for lane in [Lane::P0, Lane::Lesser] {
                    while outbox.pump(lane).await.unwrap() > 0 {}
                }
                match engine.core().next_wake().filter(|wake| *wake < end) {
                    Some(wake) => self.clock.set(wake.max(self.clock.now())),
                    None => break,
                }
            }
            self.clock.set(end);
            *from_minute.lock().unwrap() += 1;
        }
    }

    /// The whole night, with the process started again whenever it is lost. Gives the effects counted
    /// in its first life.
    fn night(&self, crash_at: Option<(u64, Side)>) -> u64 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let minute_no = Arc::new(Mutex::new(0));
        let mut faults = Faults::crashing(crash_at);
        let counted = faults.clone();
        loop {
            let life = self.process(faults.clone(), minute_no.clone());
            let lost = runtime.block_on(async {
                tokio::select! {
                    () = faults.crashed() => true,
                    () = life => false,
                }
            });
            if !lost {
                return counted.count();
            }
            faults = Faults::crashing(None);
        }
    }

    fn delivered(&self) -> BTreeSet<String> {
        self.receiver.delivered.lock().unwrap().clone()
    }

    fn breaches(&self) -> BTreeSet<(String, Name, Timestamp)> {
        let tables = self.store.tables();
        tables.breaches.keys().map(|(e, target, _, deadline)| (e.to_string(), target.clone(), *deadline)).collect()
    }
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

#[test]
fn l11_the_process_lost_before_or_after_any_effect_loses_no_page_and_doubles_none_under_another_key() {
    let golden = World::new();
    let effects = golden.night(None);
    assert!(golden.delivered().len() >= 10, "the night has too few pages to prove anything");
    assert!(effects > 300, "only {effects} effects were counted");
    for effect in 0..effects {
        for side in [Side::Before, Side::After] {
            let world = World::new();
            world.night(Some((effect, side)));
            assert_eq!(world.breaches(), golden.breaches(), "lost {side:?} effect {effect} of {effects}");
            assert_eq!(world.delivered(), golden.delivered(), "lost {side:?} effect {effect} of {effects}");
        }
    }
    println!("{effects} effects, {} pages, {} crashes", golden.delivered().len(), effects * 2);
}
