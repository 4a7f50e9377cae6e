//! Random histories of a platform, played through the engine over a store in memory, with the process lost
//! between any two inputs; after every minute what the store holds is compared with a truth worked out by
//! brute force. It covers P0's first_response, closed and second_review with latch, actors and cases by
//! item, and `closed` below P0 with pauses and office hours across a change of the clocks; for both blindness,
//! vanishing rows, restarts, other policies while the process runs, and a clock that is set forward and back.

mod history;
mod model;
mod office;
mod on_postgres;
mod on_sql;
mod platform;

use crate::driver::Life;
use crate::kit::*;
use crate::model_store::{ModelStore, PageState};
use history::{Kind, Promises, Rows, Step, Told, Witness};
use model::{Breach, Case, Model, Sight};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tocsin::core::engine::Core;
use tocsin::core::id::{CaseKey, IncidentNo, Name, ReportId};
use tocsin::core::incident::IncidentKind;
use tocsin::core::observation::Actor;
use tocsin::core::plan::{BreachRecord, BreachStatus, PageKind};
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::source::Source;
use tocsin::store::Store;

/// One seed's history and what must be true of it.
struct Night {
    store: Arc<ModelStore>,
    model: Model,
    /// Breaches as they were recorded when they were first found proved.
    recorded: BTreeMap<(String, Name, Timestamp), Timestamp>,
    /// Breaches whose page has been found.
    rung: BTreeSet<(String, Name, Timestamp, IncidentNo)>,
    /// Deadlines of known P0 episodes as they were last.
    deadlines: BTreeMap<(String, Name), Timestamp>,
    counts: Counts,
    traced: bool,
}

/// What histories were made of.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    breaches: usize,
    pages: usize,
    restarts: usize,
    reloads: usize,
    clocks_set_back: usize,
    repeats: usize,
    bulks: usize,
    days: i64,
}

impl Witness for Night {
    fn lives(&mut self, step: &Step, before: &Rows, rows: &Rows) {
        self.trace(step, before, rows);
    }

    fn looks(&mut self, rows: &Rows, told: &Told, now: Timestamp) {
        self.model.look(rows, told, now);
    }

    fn loses(&mut self) {
        self.counts.restarts += 1;
        self.tell("restart");
        self.model.restart();
    }

    fn reloads(&mut self, promises: Promises, now: Timestamp) {
        self.counts.reloads += 1;
        self.tell(&format!("reload: {promises:?}"));
        self.model.reload(promises, now);
        // Another promise may give more time.
        self.deadlines.clear();
    }

    fn ends<St: Store, So: Source>(&mut self, step: &Step, life: &Life<St, So>) {
        // A clock that was set back only tells again what has been told.
        if step.kind != Kind::Again {
            let sight = if step.blind { Sight::Blind } else { Sight::Clear };
            self.model.judge(minute(step.until).minus(Span::from_micros(1)), sight);
        }
        self.counts.clocks_set_back += usize::from(step.kind == Kind::Ahead);
        self.counts.days += step.until - step.from;
        self.check(life.engine.core(), step);
    }
}

impl Night {
    fn new() -> Self {
        Night {
            store: Arc::default(),
            model: Model::new(),
            recorded: BTreeMap::new(),
            rung: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            counts: Counts::default(),
            traced: false,
        }
    }

    fn tell(&self, what: &str) {
        if self.traced {
            println!("{what}");
        }
    }

    /// Tells a history that is replayed alone.
    fn trace(&self, step: &Step, before: &Rows, rows: &Rows) {
        if !self.traced {
            return;
        }
        let Step { from: minute_no, blind, .. } = *step;
        let changed = rows.iter().filter(|(id, row)| before.get(id) != Some(row));
        for (id, row) in changed {
            let minutes = |at: Timestamp| at.since(minute(0)).secs() / 60 - minute_no;
            let events: Vec<_> =
                row.events.iter().map(|e| format!("{} {} {:?}", minutes(e.at), e.name, e.by)).collect();
            let (item, received) = (row.subject.map(|subject| subject.0[0]), row.received);
            let state = (item, &row.category, received, row.paused, row.verdict);
            println!("{step:?}: report {id} {state:?} {events:?}{}", if blind { ", unseen" } else { "" });
        }
        for id in before.keys().filter(|id| !rows.contains_key(id)) {
            println!("{step:?}: report {id} vanished{}", if blind { ", unseen" } else { "" });
        }
    }

    /// What the core and the truth hold of P0, for finding out why they differ.
    fn trace_state(&self, core: &Core) {
        for case in core.cases().filter(|case| case.is_p0()) {
            let ids: Vec<String> = case.reports.keys().map(|report| report.id.to_string()).collect();
            println!("core: {} reports {ids:?} ended {:?} closed by {:?}", case.key, case.ended, case.closed_by);
        }
        self.model.trace();
    }

    fn check(&mut self, core: &Core, step: &Step) {
        let minute_no = step.from;
        let found: BTreeSet<Breach> = self.standing().iter().map(breach).collect();
        let missing: Vec<_> = self.model.breaches.difference(&found).collect();
        let surplus: Vec<_> = found.difference(&self.model.breaches).collect();
        if !(missing.is_empty() && surplus.is_empty()) {
            self.trace_state(core);
            panic!("minute {minute_no}: missing {missing:?} surplus {surplus:?}");
        }
        self.check_that_nothing_moved(minute_no);
        self.check_pages(minute_no);
        self.check_repeats(minute_no);
        self.check_bulk(core, minute_no);
        self.check_clocks(core, minute_no);
        let queue: Vec<_> = core.queue().collect();
        assert!(queue.windows(2).all(|pair| pair[0].rank() < pair[1].rank()), "the order is total");
        assert!(queue.windows(2).all(|pair| pair[0].is_p0() || !pair[1].is_p0()), "P0 is first");
    }

    fn standing(&self) -> Vec<BreachRecord> {
        let tables = self.store.tables();
        tables.breaches.values().filter(|breach| breach.status != BreachStatus::Withdrawn).cloned().collect()
    }

    fn check_that_nothing_moved(&mut self, minute_no: i64) {
        let proved: BTreeMap<_, _> = self
            .standing()
            .into_iter()
            .filter(|breach| breach.status == BreachStatus::Verified)
            .map(|breach| ((breach.episode.to_string(), breach.target, breach.deadline), breach.detected_at))
            .collect();
        for (key, detected_at) in &self.recorded {
            assert_eq!(proved.get(key), Some(detected_at), "minute {minute_no}: {key:?} was lost or moved");
        }
        self.recorded = proved;
    }

    /// Each breach of P0 that was broken under our eyes, or is overdue when first seen, has rung in the
    /// minute in which it was found, and once more in each incident that it opened anew.
    fn check_pages(&mut self, minute_no: i64) {
        let tables = self.store.tables();
        let rings: BTreeSet<(IncidentNo, Timestamp)> = tables
            .pages
            .iter()
            .filter(|state| state.page.kind == PageKind::Ring)
            .map(|state| (state.page.incident, state.page.created_at))
            .collect();
        let tells_of = |told: IncidentNo, no: IncidentNo| {
            told == no
                || matches!(&tables.incidents[&told].kind, IncidentKind::Bundle { members } if members.contains(&no))
        };
        for breach in tables.breaches.values().filter(|breach| breach.priority == Priority::P0) {
            let Some(no) = breach.incident else {
                assert!(breach.inherited && breach.ended.is_some(), "minute {minute_no}: {breach:?} without a page");
                continue;
            };
            if self.rung.insert((breach.episode.to_string(), breach.target.clone(), breach.deadline, no)) {
                let mut now = rings.iter().filter(|(_, at)| *at >= minute(minute_no));
                assert!(now.any(|(told, _)| tells_of(*told, no)), "minute {minute_no}: {breach:?} without a page");
            }
        }
        let keys: BTreeSet<&String> = tables.pages.iter().map(|state| &state.page.delivery_key).collect();
        assert_eq!(keys.len(), tables.pages.len(), "minute {minute_no}: a page doubled under one key");
    }

    /// F4: the second, fourth, eighth report on an open P0 has rung in the minute in which it was seen.
    fn check_repeats(&mut self, minute_no: i64) {
        let tables = self.store.tables();
        for (case, episode, reports) in std::mem::take(&mut self.model.repeats) {
            let about = |no: &IncidentNo| match &tables.incidents[no].kind {
                IncidentKind::Episode(key) => breach_case(&key.case) == case && key.episode == episode,
                _ => false,
            };
            let rang = |state: &&PageState| {
                let page = &state.page;
                let rings = page.kind == PageKind::Ring && page.created_at >= minute(minute_no);
                rings
                    && match &tables.incidents[&page.incident].kind {
                        IncidentKind::Bundle { members } => members.iter().any(about),
                        _ => about(&page.incident),
                    }
            };
            let found = tables.pages.iter().rev().take(200).find(rang);
            assert!(found.is_some(), "minute {minute_no}: {reports} reports of {case:?} and no ring");
            self.counts.repeats += 1;
        }
    }

    /// F20: an incident of the operators is open for whoever closed in bulk, while a closure of it waits.
    fn check_bulk(&mut self, core: &Core, minute_no: i64) {
        let tables = self.store.tables();
        let open = tables.incidents.values().filter(|incident| incident.is_open());
        let closers: BTreeSet<Name> = open
            .filter_map(|incident| match &incident.kind {
                IncidentKind::Bulk { by: Actor::Person(name), .. } => Some(name.clone()),
                _ => None,
            })
            .collect();
        if closers != self.model.bulk_closers() {
            drop(tables);
            self.trace_state(core);
            panic!("minute {minute_no}: bulk closures by {closers:?}, not {:?}", self.model.bulk_closers());
        }
        self.counts.bulks += closers.len();
    }

    /// The deadline of a known P0 never moves out, whatever happens to its rows and to the process.
    fn check_clocks(&mut self, core: &Core, minute_no: i64) {
        let mut deadlines: BTreeMap<(String, Name), Timestamp> = BTreeMap::new();
        for case in core.cases().filter(|case| case.is_latched()) {
            for clock in case.clocks.iter().filter(|clock| &*clock.target != "second_review") {
                let key = (case.key.to_string(), clock.target.clone());
                deadlines.extend(clock.deadline.map(|deadline| (key, deadline)));
            }
        }
        for (key, deadline) in &deadlines {
            let before = self.deadlines.get(key).copied().unwrap_or(*deadline);
            assert!(*deadline <= before, "minute {minute_no}: the clock of {key:?} was reset");
        }
        self.deadlines = deadlines;
    }

    /// Everything that left the process, for telling two histories apart.
    fn told(&self) -> Vec<String> {
        let tables = self.store.tables();
        let breaches = tables.breaches.values().map(|breach| format!("{breach:?}"));
        breaches.chain(tables.pages.iter().map(|state| format!("{:?}", state.page.delivery_key))).collect()
    }
}

fn breach_case(key: &CaseKey) -> Case {
    match key {
        CaseKey::Subject { subject, .. } => Case::Item(on_postgres::item(subject).unwrap_or(subject.0[0])),
        CaseKey::Report(report) => match report.id {
            ReportId::Int(id) => Case::Report(id),
            _ => unreachable!("this platform's ids are numbers"),
        },
    }
}

fn breach(record: &BreachRecord) -> Breach {
    let case = breach_case(&record.episode.case);
    let target = ["first_response", "closed", "second_review"].into_iter().find(|name| *name == &*record.target);
    (record.priority == Priority::P0, case, target.unwrap(), record.deadline)
}

/// Says how to play a seed again when it fails.
struct Replayable(u64);

impl Drop for Replayable {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "seed {0} failed; replay it: TOCSIN_SIM_SEEDS={0} tests/run --test sim seeds_of -- --ignored",
                self.0
            );
        }
    }
}

fn play(seed: u64, traced: bool) -> Night {
    let _replayable = Replayable(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut night = Night { traced, ..Night::new() };
    runtime.block_on(history::live(seed, night.store.clone(), &mut night));
    night
}

/// Plays seeds on both cores, each to its end, and says what they were made of and which of them failed.
fn play_all(seeds: std::ops::Range<u64>) -> Counts {
    let (from, until) = (seeds.start, seeds.end);
    let play_one = |seed: u64| {
        let played = std::panic::catch_unwind(|| Counts::default().and(play(seed, until - from == 1)));
        played.map_err(|_told_already| seed)
    };
    let play_every_second = |first: u64| (first..until).step_by(2).map(play_one).collect::<Vec<_>>();
    let (mine, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| play_every_second(from + 1));
        (play_every_second(from), other.join().expect("the other half"))
    });
    let (played, failed): (Vec<_>, Vec<_>) = mine.into_iter().chain(other).partition(Result::is_ok);
    let failed: BTreeSet<u64> = failed.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "of {} seeds these failed: {failed:?}", until - from);
    let counts = played.into_iter().flatten().fold(Counts::default(), Counts::plus);
    println!("{} seeds: {counts:?}", until - from);
    counts
}

impl Counts {
    fn and(self, night: Night) -> Counts {
        let tables = night.store.tables();
        let of_night = Counts { breaches: tables.breaches.len(), pages: tables.pages.len(), ..night.counts };
        self.plus(Counts { days: of_night.days / 1_440, ..of_night })
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            breaches: self.breaches + other.breaches,
            pages: self.pages + other.pages,
            restarts: self.restarts + other.restarts,
            reloads: self.reloads + other.reloads,
            clocks_set_back: self.clocks_set_back + other.clocks_set_back,
            repeats: self.repeats + other.repeats,
            bulks: self.bulks + other.bulks,
            days: self.days + other.days,
        }
    }
}

#[test]
fn a_hundred_random_histories_end_in_the_breaches_and_pages_that_brute_force_finds() {
    let Counts { breaches, pages, restarts, reloads, clocks_set_back, repeats, bulks, days } = play_all(0..100);
    let made_of = [breaches, pages, restarts, reloads, clocks_set_back, repeats, bulks];
    assert!(made_of.iter().all(|count| *count >= 100) && days >= 1_400, "too little happens to prove anything");
}

#[test]
fn the_same_seed_tells_the_same_history() {
    for seed in [1, 17] {
        let (one, other) = (play(seed, false), play(seed, false));
        assert!(!one.told().is_empty());
        assert_eq!(one.told(), other.told());
    }
}

/// TOCSIN_SIM_SEEDS is a number, for that seed alone, or a range such as 100..1100.
fn seeds_of_the_environment() -> std::ops::Range<u64> {
    let asked = std::env::var("TOCSIN_SIM_SEEDS").unwrap_or_else(|_| "100..1100".to_owned());
    let range = asked.split_once("..").map(|(from, until)| (from.parse().unwrap(), until.parse().unwrap()));
    let (from, until) = range.unwrap_or_else(|| asked.parse().map(|seed: u64| (seed, seed + 1)).unwrap());
    from..until
}

#[test]
#[ignore = "long: the seeds of TOCSIN_SIM_SEEDS, by default 100..1100"]
fn the_seeds_of_the_environment_end_in_the_breaches_and_pages_that_brute_force_finds() {
    play_all(seeds_of_the_environment());
}
