//! Counting: every episode is added once, in any order, and the sums are the figures. Memory is bounded by
//! the number of groups, not of episodes.

use super::figures::{Breaches, GroupFigures, Kept, TargetFigures};
use super::tally::{Lasted, Tally};
use super::week::Week;
use crate::core::case::Conclusion;
use crate::core::id::Name;
use crate::core::outcome::{BreachFact, Life};
use crate::core::plan::{BreachStatus, TargetOutcome};
use crate::core::policy::{Priority, Standing};
use crate::core::time::Timestamp;
use crate::zone::Zone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The week and the four before it.
pub const WEEKS: usize = 5;
/// So many closures of one category and priority in one second are a bulk.
pub const BULK: u32 = 10;

/// The stretches of time that are counted, the week itself first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The week's end, its begin, and the begins of the weeks before, each earlier than the last.
    pub edges: [Timestamp; WEEKS + 1],
    /// Nothing after it is counted; the week's end, or now in a week that isn't over.
    pub as_of: Timestamp,
}

impl Bounds {
    /// A whole week and those before it.
    pub fn of(week: Week, zone: Zone) -> Bounds {
        let mut edges = [week.until(zone); WEEKS + 1];
        for (edge, back) in edges[1..].iter_mut().zip(0..) {
            *edge = week.back(back).from(zone);
        }
        Bounds { edges, as_of: edges[0] }
    }

    /// Whether they are whole weeks of a zone, all of them over.
    pub fn are_weeks(&self, zone: Zone) -> bool {
        *self == Bounds::of(Week::of(self.from(), zone), zone)
    }

    pub fn from(&self) -> Timestamp {
        self.edges[1]
    }

    pub fn until(&self) -> Timestamp {
        self.edges[0]
    }

    /// The begin of the earliest week.
    pub fn earliest(&self) -> Timestamp {
        self.edges[WEEKS]
    }

    /// How many weeks back an instant lies; `None` outside all of them and after `as_of`.
    pub(super) fn weeks_back(&self, at: Timestamp) -> Option<usize> {
        if at >= self.until() || at > self.as_of {
            return None;
        }
        (0..WEEKS).find(|back| at >= self.edges[back + 1])
    }

    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.weeks_back(at) == Some(0)
    }

    /// When and how an episode ended, as far as that is known by now.
    pub(super) fn ended(&self, life: &Life) -> Option<(Timestamp, Conclusion)> {
        life.ended.filter(|(at, _)| *at < self.until() && *at <= self.as_of)
    }
}

/// A priority, and a category within it.
pub(super) type Group = (Priority, Name);
/// A promise: priority, category and target.
pub(super) type TargetKey = (Priority, Name, Name);

/// Everything that has been added, but how long it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) groups: BTreeMap<Group, Tally>,
    pub(super) targets: BTreeMap<TargetKey, Kept>,
    presumed: BTreeSet<Name>,
}

/// How long it took.
pub(super) type Lengths = BTreeMap<Group, Lasted>;

/// Everything that has been added.
#[derive(Clone, Debug, PartialEq)]
pub struct Counting {
    bounds: Bounds,
    pub(super) sums: Sums,
    pub(super) lengths: Lengths,
}

impl Counting {
    pub fn new(bounds: Bounds) -> Self {
        Counting { bounds, sums: Sums::default(), lengths: Lengths::new() }
    }

    /// Adds an episode.
    pub fn add(&mut self, life: &Life) {
        let bounds = self.bounds;
        if life.received >= bounds.until() || life.received > bounds.as_of {
            return;
        }
        let group = (life.priority, life.category.clone());
        if bounds.holds(life.received) {
            self.lengths.entry(group.clone()).or_insert_with(|| Lasted::of(life.priority)).add(life, &bounds);
        }
        let tally = self.sums.groups.entry(group).or_default();
        tally.count(life, &bounds);
        for target in &life.targets {
            let Some((back, kept)) = judged(target, life, &bounds) else { continue };
            tally.deadlines[back].add(&kept);
            if back == 0 {
                let key = (life.priority, life.category.clone(), target.target.clone());
                self.sums.targets.entry(key).or_default().add(&kept);
            }
        }
        let alive = life.ended.is_none_or(|(at, _)| at >= bounds.from());
        if life.standing == Standing::Presumed && alive {
            self.sums.presumed.insert(life.category.clone());
        }
    }

    /// Adds a breach.
    pub fn add_breach(&mut self, breach: &BreachFact) {
        self.add_breach_within(breach, (Timestamp::MIN, Timestamp::MAX));
    }

    /// Adds as much of a breach as happened within a stretch of time.
    pub fn add_breach_within(&mut self, breach: &BreachFact, within: (Timestamp, Timestamp)) {
        for (at, counts) in happenings(breach).filter(|(at, _)| within.0 <= *at && *at < within.1) {
            if let Some(back) = self.bounds.weeks_back(at) {
                self.add_breaches((breach.priority, breach.category.clone()), &counts, back);
            }
        }
    }

    /// Adds breaches that happened so many weeks back.
    pub(super) fn add_breaches(&mut self, group: Group, counts: &Breaches, back: usize) {
        self.sums.groups.entry(group).or_default().breaches[back].add(counts);
    }

    /// Keeps of lengths and seconds no more than the figures need.
    pub(super) fn condense(&mut self) {
        self.sums.groups.values_mut().for_each(Tally::condense);
        self.lengths.values_mut().for_each(Lasted::condense);
    }

    /// By priority.
    pub fn priorities(&self) -> Vec<GroupFigures> {
        let mut sums: BTreeMap<Priority, (Tally, Lasted)> = BTreeMap::new();
        for (group, tally) in &self.sums.groups {
            let (sum, lasted) = sums.entry(group.0).or_insert_with(|| (Tally::default(), Lasted::of(group.0)));
            sum.merge(tally);
            if let Some(of_group) = self.lengths.get(group) {
                lasted.merge(of_group);
            }
        }
        let figures =
            sums.iter().map(|(priority, (tally, lasted))| tally.figures((*priority, ""), lasted, &self.bounds));
        figures.filter(GroupFigures::says_something).collect()
    }

    /// By priority and category.
    pub fn categories(&self) -> Vec<GroupFigures> {
        let none = Lasted::default();
        let figures = self.sums.groups.iter().map(|(group, tally)| {
            let lasted = self.lengths.get(group).unwrap_or(&none);
            tally.figures((group.0, &group.1), lasted, &self.bounds)
        });
        figures.filter(GroupFigures::says_something).collect()
    }

    pub fn targets(&self) -> Vec<TargetFigures> {
        let figures = self.sums.targets.iter().map(|((priority, category, target), deadlines)| TargetFigures {
            priority: priority.to_string(),
            category: category.to_string(),
            target: target.to_string(),
            deadlines: *deadlines,
        });
        figures.collect()
    }

    pub fn unknown_categories(&self) -> Vec<String> {
        self.sums.presumed.iter().map(ToString::to_string).collect()
    }
}

impl Sums {
    /// Adds the sums of the same week.
    pub(super) fn merge(&mut self, other: Sums) {
        for (group, tally) in other.groups {
            self.groups.entry(group).or_default().merge(&tally);
        }
        for (target, kept) in other.targets {
            self.targets.entry(target).or_default().add(&kept);
        }
        self.presumed.extend(other.presumed);
    }
}

/// What happened of a breach and when: it passed its deadline, and it was contradicted.
pub(super) fn happenings(breach: &BreachFact) -> impl Iterator<Item = (Timestamp, Breaches)> + use<> {
    let mut counts = Breaches::default();
    let count = match (breach.status, breach.inherited) {
        (BreachStatus::Withdrawn, _) => &mut counts.withdrawn,
        (BreachStatus::Unverified | BreachStatus::Verified, true) => &mut counts.inherited,
        (BreachStatus::Unverified, false) => &mut counts.unverified,
        (BreachStatus::Verified, false) => &mut counts.verified,
    };
    *count += 1;
    // What was overdue at the first sight belongs to the week that found it.
    let happened = if breach.inherited { breach.detected_at } else { breach.deadline };
    let contradicted = breach.contradicted_at.map(|at| (at, Breaches { contradicted: 1, ..Breaches::default() }));
    [(happened, counts)].into_iter().chain(contradicted)
}

/// The week in which a target fell due, and what became of it.
fn judged(target: &TargetOutcome, life: &Life, bounds: &Bounds) -> Option<(usize, Kept)> {
    let back = bounds.weeks_back(target.deadline?)?;
    Some((back, verdict(target, life)?))
}

/// What became of a target that has a deadline. A verified breach stays one, whatever the database said later.
pub(super) fn verdict(target: &TargetOutcome, life: &Life) -> Option<Kept> {
    let deadline = target.deadline?;
    let one = Kept::default();
    Some(match target.met_at {
        _ if target.breached => Kept { missed: 1, ..one },
        Some(met) if met <= deadline => Kept { met: 1, ..one },
        Some(_) => Kept { missed: 1, ..one },
        None if life.ended.is_some() => Kept { moot: 1, ..one },
        None => Kept { undecided: 1, ..one },
    })
}

impl Breaches {
    /// Breaches that happened while the monitor watched.
    pub fn happened(&self) -> u64 {
        self.verified + self.unverified
    }

    pub fn add(&mut self, other: &Breaches) {
        self.verified += other.verified;
        self.unverified += other.unverified;
        self.withdrawn += other.withdrawn;
        self.inherited += other.inherited;
        self.contradicted += other.contradicted;
    }
}

impl GroupFigures {
    fn says_something(&self) -> bool {
        let week = self.received + self.closed + self.open + self.vanished + self.deadlines.decided();
        week + self.breaches.happened() + self.breaches.inherited + self.breaches.contradicted > 0
            || self.before.weeks > 0
    }
}
