//! Counting: every episode is added once, in any order, and the sums are the figures. Memory is bounded by
//! the number of groups, not of episodes.

use super::figures::{AGES_SECS, Before, Breaches, GroupFigures, Kept, TargetFigures, Times};
use super::slice::Slice;
use super::survival::Survival;
use super::week::Week;
use crate::core::case::Conclusion;
use crate::core::id::Name;
use crate::core::outcome::{Basis, BreachFact, Life};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    fn weeks_back(&self, at: Timestamp) -> Option<usize> {
        if at >= self.until() || at > self.as_of {
            return None;
        }
        (0..WEEKS).find(|back| at >= self.edges[back + 1])
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.weeks_back(at) == Some(0)
    }
}

/// A promise: priority, category and target.
pub(super) type TargetKey = (Priority, Name, Name);

/// The sums of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    received: [u64; WEEKS],
    closed: [u64; WEEKS],
    deadlines: [Kept; WEEKS],
    breaches: [Breaches; WEEKS],
    open: u64,
    oldest: Option<Timestamp>,
    ages: [u64; AGES_SECS.len() + 1],
    first_response: Survival,
    closing: Survival,
    repeats: u64,
    reopenings: u64,
    unreviewed: u64,
    overturned: u64,
    vanished: u64,
    from_rows: u64,
    /// Closures in bulk, of the seconds that are no longer told apart.
    bulk_closed: u64,
    /// Closures of the week by second.
    #[serde(skip)]
    seconds: BTreeMap<i64, u32>,
}

/// Everything that has been added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counting {
    bounds: Bounds,
    #[serde(with = "pairs")]
    groups: BTreeMap<(Priority, Name), Tally>,
    #[serde(with = "pairs")]
    pub(super) targets: BTreeMap<TargetKey, Kept>,
    presumed: BTreeSet<Name>,
}

/// A map as a list of pairs, because JSON has only texts for keys.
pub(super) mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub fn deserialize<'d, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'d> + Ord,
        V: Deserialize<'d>,
        D: Deserializer<'d>,
    {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}

impl Counting {
    pub fn new(bounds: Bounds) -> Self {
        Counting { bounds, groups: BTreeMap::new(), targets: BTreeMap::new(), presumed: BTreeSet::new() }
    }

    /// Adds an episode.
    pub fn add(&mut self, life: &Life) {
        let bounds = self.bounds;
        if life.received >= bounds.until() || life.received > bounds.as_of {
            return;
        }
        let key = (life.priority, life.category.clone());
        let tally = self.groups.entry(key).or_insert_with(|| Tally::of(life.priority));
        tally.count(life, &bounds);
        for target in &life.targets {
            let Some((back, kept)) = judged(target, life, &bounds) else { continue };
            tally.deadlines[back].add(&kept);
            if back == 0 {
                let key = (life.priority, life.category.clone(), target.target.clone());
                self.targets.entry(key).or_default().add(&kept);
            }
        }
        let alive = life.ended.is_none_or(|(at, _)| at >= bounds.from());
        if life.standing == Standing::Presumed && alive {
            self.presumed.insert(life.category.clone());
        }
    }

    /// Adds what ended within a slice of the week that lies so many weeks back.
    pub fn add_slice(&mut self, slice: &Slice, back: usize) {
        for ((priority, category), told) in &slice.own.groups {
            let tally = self.groups.entry((*priority, category.clone())).or_insert_with(|| Tally::of(*priority));
            if back == 0 {
                tally.merge(told);
            } else {
                tally.merge_earlier(told, back);
            }
        }
        for ((priority, category, target), kept) in slice.due_in(back) {
            let tally = self.groups.entry((*priority, category.clone())).or_insert_with(|| Tally::of(*priority));
            // Those of the slice's own week are among its group's.
            if back > 0 {
                tally.deadlines[0].add(kept);
            }
            self.targets.entry((*priority, category.clone(), target.clone())).or_default().add(kept);
        }
        for between in 1..back {
            for ((priority, category, _), kept) in slice.due_in(between) {
                let tally = self.groups.entry((*priority, category.clone())).or_insert_with(|| Tally::of(*priority));
                tally.deadlines[back - between].add(kept);
            }
        }
        if back == 0 {
            self.presumed.extend(slice.own.presumed.iter().cloned());
        }
    }

    /// Keeps of the lengths and seconds no more than the figures need.
    pub(super) fn condense(&mut self) {
        for tally in self.groups.values_mut() {
            tally.bulk_closed = tally.bulks();
            tally.seconds.clear();
            tally.first_response.condense();
            tally.closing.condense();
        }
    }

    /// Adds a breach.
    pub fn add_breach(&mut self, breach: &BreachFact) {
        let bounds = self.bounds;
        let key = (breach.priority, breach.category.clone());
        let tally = self.groups.entry(key).or_insert_with(|| Tally::of(breach.priority));
        if breach.contradicted_at.is_some_and(|at| bounds.holds(at)) {
            tally.breaches[0].contradicted += 1;
        }
        // What was overdue at the first sight belongs to the week that found it.
        let happened = if breach.inherited { breach.detected_at } else { breach.deadline };
        let Some(back) = bounds.weeks_back(happened) else { return };
        let breaches = &mut tally.breaches[back];
        let count = match (breach.status, breach.inherited) {
            (BreachStatus::Withdrawn, _) => &mut breaches.withdrawn,
            (BreachStatus::Unverified | BreachStatus::Verified, true) => &mut breaches.inherited,
            (BreachStatus::Unverified, false) => &mut breaches.unverified,
            (BreachStatus::Verified, false) => &mut breaches.verified,
        };
        *count += 1;
    }

    /// By priority.
    pub fn priorities(&self) -> Vec<GroupFigures> {
        let mut sums: BTreeMap<Priority, Tally> = BTreeMap::new();
        for ((priority, _), tally) in &self.groups {
            sums.entry(*priority).or_insert_with(|| Tally::of(*priority)).merge(tally);
        }
        let figures = sums.iter().map(|(priority, tally)| tally.figures(*priority, "", &self.bounds));
        figures.filter(GroupFigures::says_something).collect()
    }

    /// By priority and category.
    pub fn categories(&self) -> Vec<GroupFigures> {
        let figures =
            self.groups.iter().map(|((priority, category), tally)| tally.figures(*priority, category, &self.bounds));
        figures.filter(GroupFigures::says_something).collect()
    }

    pub fn targets(&self) -> Vec<TargetFigures> {
        let figures = self.targets.iter().map(|((priority, category, target), deadlines)| TargetFigures {
            priority: priority.to_string(),
            category: category.to_string(),
            target: target.to_string(),
            deadlines: *deadlines,
        });
        figures.collect()
    }

    pub fn unknown_categories(&self) -> Vec<String> {
        self.presumed.iter().map(ToString::to_string).collect()
    }
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

impl Tally {
    /// Of P0 every length is kept exact.
    fn of(priority: Priority) -> Self {
        match priority {
            Priority::P0 => Tally { first_response: Survival::exact(), closing: Survival::exact(), ..Tally::default() },
            _ => Tally::default(),
        }
    }

    /// Closures in bulk, of seconds that are told apart and of those that no longer are.
    fn bulks(&self) -> u64 {
        let bulks = self.seconds.values().filter(|count| **count >= BULK);
        self.bulk_closed + bulks.map(|count| u64::from(*count)).sum::<u64>()
    }

    /// Adds the sums of an earlier week, so many weeks back, all of whose episodes have ended.
    fn merge_earlier(&mut self, earlier: &Tally, back: usize) {
        for (sum, count) in self.received[back..].iter_mut().zip(earlier.received) {
            *sum += count;
        }
        for (sum, kept) in self.deadlines[back..].iter_mut().zip(&earlier.deadlines) {
            sum.add(kept);
        }
        for (sum, count) in self.closed[back..].iter_mut().zip(earlier.closed) {
            *sum += count;
        }
    }

    fn count(&mut self, life: &Life, bounds: &Bounds) {
        let ended = life.ended.filter(|(at, _)| *at < bounds.until() && *at <= bounds.as_of);
        let in_week = ended.filter(|(at, _)| bounds.holds(*at));
        if let Some(back) = bounds.weeks_back(life.received) {
            self.received[back] += 1;
            if back == 0 {
                self.time(life, ended, bounds);
                self.repeats += u64::from(life.reports.saturating_sub(1));
            }
        }
        if let Some((at, how)) = ended {
            match bounds.weeks_back(at) {
                Some(0) if how == Conclusion::Vanished => self.vanished += 1,
                Some(back) if how != Conclusion::Vanished => self.closed[back] += 1,
                _ => {}
            }
        } else {
            self.open += 1;
            self.oldest = Some(self.oldest.map_or(life.received, |oldest| oldest.min(life.received)));
            let age_secs = bounds.as_of.since(life.received).secs();
            let place = AGES_SECS.iter().position(|up_to| age_secs <= *up_to).unwrap_or(AGES_SECS.len());
            self.ages[place] += 1;
        }
        let alive = ended.is_none() || in_week.is_some();
        if alive {
            self.reopenings += u64::from(life.reopenings);
            self.overturned += u64::from(life.overturned);
            self.from_rows += u64::from(life.basis == Basis::Row);
        }
        let unreviewed = match in_week {
            Some((_, Conclusion::NoViolation)) => !life.second_review,
            _ => life.unreviewed.is_some_and(|at| bounds.holds(at)),
        };
        self.unreviewed += u64::from(unreviewed);
        if let Some((at, how)) = in_week
            && how != Conclusion::Vanished
        {
            *self.seconds.entry(at.micros().div_euclid(1_000_000)).or_default() += 1;
        }
    }

    /// How long a case that was received in the week took, or has taken so far.
    fn time(&mut self, life: &Life, ended: Option<(Timestamp, Conclusion)>, bounds: &Bounds) {
        // A row that vanished was watched until it did, and nobody answered it.
        let watched_until = ended.map_or(bounds.as_of, |(at, _)| at);
        match life.first_response.filter(|at| *at <= bounds.as_of && *at < bounds.until()) {
            Some(at) => self.first_response.add(at.since(life.received), true),
            None => self.first_response.add(watched_until.since(life.received), false),
        }
        let closed = ended.is_some_and(|(_, how)| how != Conclusion::Vanished);
        self.closing.add(watched_until.since(life.received), closed);
    }

    fn merge(&mut self, other: &Tally) {
        for back in 0..WEEKS {
            self.received[back] += other.received[back];
            self.closed[back] += other.closed[back];
            self.deadlines[back].add(&other.deadlines[back]);
            self.breaches[back].add(&other.breaches[back]);
        }
        self.open += other.open;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        for (sum, count) in self.ages.iter_mut().zip(other.ages) {
            *sum += count;
        }
        self.first_response.merge(&other.first_response);
        self.closing.merge(&other.closing);
        self.repeats += other.repeats;
        self.reopenings += other.reopenings;
        self.unreviewed += other.unreviewed;
        self.overturned += other.overturned;
        self.vanished += other.vanished;
        self.from_rows += other.from_rows;
        self.bulk_closed += other.bulks();
    }

    fn figures(&self, priority: Priority, category: &str, bounds: &Bounds) -> GroupFigures {
        GroupFigures {
            priority: priority.to_string(),
            category: category.to_owned(),
            received: self.received[0],
            closed: self.closed[0],
            open: self.open,
            oldest_secs: self.oldest.map(|received| bounds.as_of.since(received).secs()),
            open_ages: self.ages.to_vec(),
            first_response: Times::of(&self.first_response),
            closing: Times::of(&self.closing),
            deadlines: self.deadlines[0],
            breaches: self.breaches[0],
            repeats: self.repeats,
            reopenings: self.reopenings,
            unreviewed: self.unreviewed,
            overturned: self.overturned,
            vanished: self.vanished,
            bulk_closed: self.bulks(),
            from_rows: self.from_rows,
            before: self.before(),
        }
    }

    /// The mean is over the weeks since the earliest of which anything is known.
    fn before(&self) -> Before {
        let happened = |back: &usize| {
            self.received[*back]
                + self.closed[*back]
                + self.deadlines[*back].decided()
                + self.breaches[*back].happened()
                > 0
        };
        let weeks = (1..WEEKS).rev().find(happened).unwrap_or(0);
        let mean = |counts: &dyn Fn(usize) -> u64| {
            let sum: u64 = (1..=weeks).map(counts).sum();
            if weeks == 0 { 0.0 } else { (sum as f64 / weeks as f64 * 10.0).round() / 10.0 }
        };
        let mut deadlines = Kept::default();
        self.deadlines[1..].iter().for_each(|kept| deadlines.add(kept));
        let mut breaches = [0; WEEKS - 1];
        for (sum, week) in breaches.iter_mut().zip(&self.breaches[1..]) {
            *sum = week.happened();
        }
        Before {
            weeks: u32::try_from(weeks).unwrap_or(0),
            received_mean: mean(&|back| self.received[back]),
            closed_mean: mean(&|back| self.closed[back]),
            breaches_mean: mean(&|back| self.breaches[back].happened()),
            deadlines,
            breaches,
        }
    }
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
