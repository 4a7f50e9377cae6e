//! A night's history, told once without a fault to count its effects, and then told again for every
//! effect with the process lost before it and after it. No page may be lost, none may come under
//! another key, and the store must end up with the same breaches.

use crate::driver::{Life, World, keys};
use crate::faults::{Faults, Faulty, Side};
use crate::kit::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tocsin::core::id::Name;
use tocsin::core::observation::{EventName, Verdict};
use tocsin::core::time::Timestamp;
use tocsin::run::outbox::{Outbox, OutboxStats};
use tocsin::store::Lane;

impl World {
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
        let store = Arc::new(Faulty { inner: self.store.clone(), faults: faults.clone() });
        let table = Arc::new(Faulty { inner: self.table.clone(), faults: faults.clone() });
        let mut life = Life::start(Arc::new(policy()), store.clone(), table, self.clock.clone()).await;
        let sender = Faulty { inner: self.receiver.clone(), faults: faults.clone() };
        let stats = OutboxStats::new(&["p0-pager".into(), "pager".into()]).unwrap();
        let outbox = Outbox::new(store, sender, self.clock.clone(), keys(), stats);
        loop {
            let minute_no = *from_minute.lock().unwrap();
            if minute_no > 130 {
                return;
            }
            self.live(minute_no);
            let end = minute(minute_no + 1);
            life.scan().await.unwrap();
            loop {
                if life.step().await {
                    continue;
                }
                for lane in [Lane::P0, Lane::Lesser] {
                    while outbox.pump(lane).await.unwrap() > 0 {}
                }
                match life.next_wake_before(end) {
                    Some(wake) => self.clock.set(wake),
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
