//! A night's history, told once without a fault to count its effects, and then told again for every
//! effect with the process lost before it and after it. No page may be lost, none may come under
//! another key, the store must end up with the same breaches, and no heartbeat may be missing or say that all
//! is well while a P0 waits unheard.

use crate::driver::{Life, Switch, World, keys, status};
use crate::faults::{Faults, Faulty, Side};
use crate::kit::*;
use crate::model_store::{ModelStore, PageState};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tocsin::core::act::Deed;
use tocsin::core::id::{IncidentNo, Name};
use tocsin::core::observation::{EventName, Verdict};
use tocsin::core::plan::PageKind;
use tocsin::core::policy::{Policy, Priority, Step};
use tocsin::core::selfcheck::Findings;
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::auditor::{Audit, LastAudit};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::heartbeat::Heartbeat;
use tocsin::run::outbox::{Outbox, OutboxStats};
use tocsin::store::Lane;

/// While another process leads there is nothing to beat for.
fn is_led_by_another(at: Timestamp) -> bool {
    (minute(50)..minute(55)).contains(&at)
}

/// The heartbeat, with every effect of it counted.
type Heart = Heartbeat<VirtualClock, Faulty<Switch>, Faulty<ModelStore>>;

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

    /// Half an hour in, somebody takes every incident that is open, once.
    fn acknowledge(&self, minute_no: i64) {
        let mut tables = self.store.tables();
        if minute_no != 40 || !tables.acknowledged.is_empty() {
            return;
        }
        let open: Vec<IncidentNo> = tables.incidents.values().filter(|i| i.is_open()).map(|i| i.no).collect();
        for incident in open {
            tables.acknowledged.insert(incident);
            tables.put_inbox(&Deed::Acknowledge { incident }, minute(40));
        }
    }

    /// A heartbeat of this life of the process.
    fn heartbeat(&self, store: Arc<Faulty<ModelStore>>, faults: Arc<Faults>) -> Heart {
        Heartbeat {
            sender: Faulty { inner: self.switch.clone(), faults },
            every: Span::from_mins(1),
            store,
            clock: self.clock.clone(),
            status: status(),
            audit: LastAudit::default(),
            has_canary: true,
        }
    }

    /// One look whether to beat; all but what the store says is well.
    async fn beat(&self, heartbeat: &Heart) {
        let now = self.clock.now();
        heartbeat.audit.set(Audit { at: now, found: Findings::default() });
        heartbeat.status.update(|status| {
            (status.leader, status.engine_alive_at) = (!is_led_by_another(now), Some(now));
            status.sources[0].last_ok = Some(now);
        });
        let _silent_or_not = heartbeat.beat(now).await;
    }

    /// One life of the process: from its start until the night is over or it is lost.
    async fn process(&self, faults: Arc<Faults>, from_minute: Arc<Mutex<i64>>) {
        let store = Arc::new(Faulty { inner: self.store.clone(), faults: faults.clone() });
        let table = Arc::new(Faulty { inner: self.table.clone(), faults: faults.clone() });
        let policy = if self.receiver.is_stubborn { of_two_channels() } else { policy() };
        let mut life = Life::start(Arc::new(policy), store.clone(), table, self.clock.clone()).await;
        let sender = Faulty { inner: self.receiver.clone(), faults: faults.clone() };
        let stats = OutboxStats::new([]).unwrap();
        let heartbeat = self.heartbeat(store.clone(), faults.clone());
        let outbox = Outbox::new(store, sender, self.clock.clone(), keys(), stats);
        loop {
            let minute_no = *from_minute.lock().unwrap();
            if minute_no > 130 {
                return;
            }
            self.live(minute_no);
            self.acknowledge(minute_no);
            self.beat(&heartbeat).await;
            let end = minute(minute_no + 1);
            life.scan().await.unwrap();
            loop {
                if life.step().await {
                    continue;
                }
                life.take_up_inbox().await;
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

    fn beats(&self) -> BTreeSet<Timestamp> {
        self.switch.beats.lock().unwrap().clone()
    }

    fn breaches(&self) -> BTreeSet<(String, Name, Timestamp)> {
        let tables = self.store.tables();
        tables.breaches.keys().map(|(e, target, _, deadline)| (e.to_string(), target.clone(), *deadline)).collect()
    }
}

/// A second channel for each escalation, so that a page that is refused rings there.
fn of_two_channels() -> Policy {
    let mut policy = policy();
    for (name, second) in [("minor-safety", "p0-mail"), ("on-call", "mail")] {
        let escalation = policy.escalations.get_mut(name).expect("an escalation of the kit");
        escalation.steps.push(Step { at: Span::from_hours(3), notify: vec![second.into()] });
    }
    policy
}

/// Every ring of P0 has been heard somewhere, whatever was refused and given up.
fn every_p0_was_heard(world: &World) {
    let tables = world.store.tables();
    let rings = || tables.pages.iter().filter(|state| state.page.kind == PageKind::Ring);
    for ring in rings().filter(|state| state.page.priority == Priority::P0) {
        let place = (ring.page.incident, ring.page.round);
        let heard = |state: &PageState| (state.page.incident, state.page.round) == place && state.state == "accepted";
        assert!(rings().any(heard), "nobody heard of round {} of {}", place.1, place.0);
    }
}

#[test]
fn l11_the_process_lost_around_any_effect_of_a_fallback_loses_no_page_and_gives_up_none_unheard() {
    let golden = World::stubborn();
    let effects = golden.night(None);
    every_p0_was_heard(&golden);
    let states = |world: &World| {
        let tables = world.store.tables();
        // A lease that was lost with its process runs out: the page is to be sent, as one that is queued.
        let to_be_sent = |state| if state == "leased" { "queued" } else { state };
        let state = |state: &PageState| (state.page.delivery_key.clone(), to_be_sent(state.state));
        tables.pages.iter().map(state).collect::<BTreeSet<_>>()
    };
    let superseded = states(&golden).iter().filter(|(_, state)| *state == "superseded").count();
    let fallbacks = golden.store.tables().pages.iter().filter(|state| state.page.in_place_of.is_some()).count();
    assert!(fallbacks >= 3 && superseded > 0, "{fallbacks} fallbacks, {superseded} given up prove too little");
    for effect in 0..effects {
        for side in [Side::Before, Side::After] {
            let world = World::stubborn();
            world.night(Some((effect, side)));
            assert_eq!(world.breaches(), golden.breaches(), "lost {side:?} effect {effect} of {effects}");
            assert_eq!(world.delivered(), golden.delivered(), "lost {side:?} effect {effect} of {effects}");
            assert_eq!(states(&world), states(&golden), "lost {side:?} effect {effect} of {effects}");
        }
    }
    println!("{effects} effects, {fallbacks} fallbacks, {} crashes", effects * 2);
}

#[test]
fn l11_the_process_lost_before_or_after_any_effect_loses_no_page_and_doubles_none_under_another_key() {
    let golden = World::new();
    let effects = golden.night(None);
    assert!(golden.delivered().len() >= 10, "the night has too few pages to prove anything");
    assert!(effects > 500, "only {effects} effects were counted");
    let looks = 131;
    assert!(golden.beats().len() > looks / 2, "the heart beats {} times", golden.beats().len());
    for effect in 0..effects {
        for side in [Side::Before, Side::After] {
            let world = World::new();
            world.night(Some((effect, side)));
            assert_eq!(world.breaches(), golden.breaches(), "lost {side:?} effect {effect} of {effects}");
            assert_eq!(world.delivered(), golden.delivered(), "lost {side:?} effect {effect} of {effects}");
            let missed: Vec<_> = golden.beats().difference(&world.beats()).copied().collect();
            assert!(missed.is_empty(), "lost {side:?} effect {effect} of {effects}: no beat at {missed:?}");
            assert!(!world.beats().into_iter().any(is_led_by_another), "lost {side:?} effect {effect} of {effects}");
        }
    }
    println!("{effects} effects, {} pages, {} crashes", golden.delivered().len(), effects * 2);
}
