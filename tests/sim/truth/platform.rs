//! A platform that lives by a seed: reports about few items, answers, closures, reopenings, changes of
//! category, rows that vanish and return, pauses, and stretches in which nobody can see it.

use super::history::{Kind, Promises, Step};
use super::office::CHANGES;
use crate::kit::*;
use std::collections::{BTreeMap, BTreeSet};
use tocsin::core::id::Subject;
use tocsin::core::observation::{Actor, EventName, Row, Verdict};

pub const CATEGORIES: [&str; 7] = ["csam", "grooming", "new_code", "odd_code", "threat", "ncii", "spam"];
const REPORTS_MAX: i64 = 60;
/// How long before a change of Berlin's clocks a history begins, in minutes.
const BEFORE_THE_CHANGE: std::ops::Range<i64> = 4 * 1_440..8 * 1_440;

pub struct Platform {
    rng: fastrand::Rng,
    /// Whether rows vanish now and then.
    pub vanishes: bool,
    /// Whether what is closed changes no more, but for a second look at it and for being opened again.
    pub rests: bool,
    /// Whether every report is written when it is received.
    pub is_prompt: bool,
    next_id: i64,
    hidden: BTreeMap<i64, Row>,
    blind_until: i64,
    /// The minute of the next step.
    pub now: i64,
    /// Where the clock was before it was set back.
    caught_up: i64,
}

impl Platform {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let change = CHANGES[rng.usize(..CHANGES.len())].since(minute(0)).secs() / 60;
        let now = change - rng.i64(BEFORE_THE_CHANGE);
        Platform {
            rng,
            vanishes: true,
            rests: false,
            is_prompt: false,
            next_id: 1,
            hidden: BTreeMap::new(),
            blind_until: now,
            now,
            caught_up: now,
        }
    }

    /// The next step: now and then hours in which nothing is written and nobody looks, and now and then a
    /// clock that is set forward for a minute.
    pub fn step(&mut self) -> Step {
        if self.one_in(90) {
            let from = self.now + self.rng.i64(3..60);
            (self.caught_up, self.now) = (from + 1, self.now + 1);
            return Step { from, until: from + 1, kind: Kind::Ahead, blind: false };
        }
        let (from, blind) = (self.now, self.is_blind());
        self.now += if self.one_in(14) { self.rng.i64(30..1_440) } else { 1 };
        Step { from, until: self.now, kind: Kind::Live, blind }
    }

    /// After a clock was set back, a step on the way to where it was.
    pub fn step_again(&mut self) -> Option<Step> {
        let from = self.now;
        if from >= self.caught_up {
            return None;
        }
        self.now = self.caught_up.min(from + self.rng.i64(1..10));
        Some(Step { from, until: self.now, kind: Kind::Again, blind: false })
    }

    /// Whether another policy comes, and which.
    pub fn reloads(&mut self, held: Promises) -> Option<Promises> {
        if !self.one_in(60) {
            return None;
        }
        let mut one_of = |minutes: &[i64]| minutes[self.rng.usize(..minutes.len())];
        let promises = Promises {
            first_response: one_of(&[10, 15, 25]),
            closed: one_of(&[45, 60, 90]),
            second_review: one_of(&[120, 240]),
            threat: one_of(&[20, 30, 300]),
            ncii: one_of(&[40, 75]),
            spam: one_of(&[300, 600, 1_200]),
        };
        Some(promises).filter(|promises| *promises != held)
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    /// Whether the process is lost here.
    pub fn loses_the_process(&mut self) -> bool {
        self.one_in(300)
    }

    /// Whether the platform can't be seen from now on.
    fn is_blind(&mut self) -> bool {
        if self.now > self.blind_until && self.one_in(60) {
            self.blind_until = self.now + self.rng.i64(1..15);
        }
        self.now < self.blind_until
    }

    /// What is written at the beginning of this minute: of each item at most one thing, so that no order
    /// within an instant decides anything.
    pub fn live(&mut self, rows: &mut BTreeMap<i64, Row>, minute_no: i64) {
        if self.one_in(150) {
            self.close_in_bulk(rows, minute_no);
            return;
        }
        let mut touched: BTreeSet<Option<Subject>> = BTreeSet::new();
        if self.next_id <= REPORTS_MAX && self.one_in(4) {
            let row = self.arrival(minute_no);
            touched.extend(row.subject.map(Some));
            rows.insert(self.next_id, row);
            self.next_id += 1;
        }
        let ids: Vec<i64> = rows.keys().chain(self.hidden.keys()).copied().collect();
        for id in ids {
            let subject = rows.get(&id).or(self.hidden.get(&id)).and_then(|row| row.subject);
            if !self.one_in(25) || (subject.is_some() && !touched.insert(subject)) {
                continue;
            }
            if let Some(row) = self.hidden.remove(&id) {
                rows.insert(id, row);
            } else if self.vanishes && self.one_in(15) {
                self.hidden.extend(rows.remove(&id).map(|row| (id, row)));
            } else if let Some(row) = rows.get_mut(&id) {
                self.change(row, minute_no);
            }
        }
    }

    /// A script closes whatever is open, under a person's account.
    fn close_in_bulk(&mut self, rows: &mut BTreeMap<i64, Row>, minute_no: i64) {
        let by = person(["ada", "grace", "joan"][self.rng.usize(..3)]);
        for row in rows.values_mut().filter(|row| row.event(EventName::Closed).is_none()) {
            *row = row.clone().closed(minute(minute_no), by.clone(), Verdict::Violation);
        }
    }

    fn arrival(&mut self, minute_no: i64) -> Row {
        let category = CATEGORIES[self.rng.usize(..CATEGORIES.len())];
        let late = self.rng.i64(0..3);
        let received = minute(minute_no - if self.is_prompt { 0 } else { late });
        let row = Row { verdict: Verdict::NoViolation, ..row(category, received) };
        if self.one_in(3) { row } else { row.about(self.rng.u8(1..6)) }
    }

    fn change(&mut self, row: &mut Row, minute_no: i64) {
        let at = minute(minute_no);
        let is_closed = row.event(EventName::Closed).is_some();
        let is_reviewed = row.event(EventName::SecondReview).is_some();
        match self.rng.u32(..12) {
            0..=5 | 9.. if self.rests && is_closed => {}
            7 | 8 if self.rests && is_reviewed => {}
            0..=2 => self.add(row, EventName::FirstResponse, minute_no),
            3..=5 if !is_closed || self.one_in(3) => {
                row.events.retain(|event| event.name != EventName::Closed);
                let violation = self.one_in(3);
                row.verdict = if violation { Verdict::Violation } else { Verdict::NoViolation };
                self.add(row, EventName::Closed, minute_no);
            }
            6 if is_closed => {
                row.events.retain(|event| event.name != EventName::Closed);
                row.verdict = Verdict::NoViolation;
            }
            7 | 8 if is_closed => self.add(row, EventName::SecondReview, minute_no),
            9 => row.category = CATEGORIES[self.rng.usize(..CATEGORIES.len())].into(),
            10 | 11 => row.paused = !row.paused,
            _ => {}
        }
        debug_assert!(row.events.iter().all(|event| event.at <= at));
    }

    fn add(&mut self, row: &mut Row, name: EventName, minute_no: i64) {
        let by = match self.rng.u32(..6) {
            0 => Actor::Automated,
            1 => Actor::Unknown,
            2 | 3 => person("ada"),
            4 => person("grace"),
            _ => person("joan"),
        };
        *row = row.clone().with(name, minute(minute_no), by);
    }
}
