//! How many reports of each category came in each hour, so that a category that falls silent is noticed
//! however much the others speak. Bounded: five weeks, and so many categories a source.

use super::draft::Draft;
use super::engine::Core;
use super::id::Name;
use super::observation::Row;
use super::plan::Plan;
use super::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const HOUR_SECS: i64 = 3_600;
const WEEK_HOURS: i64 = 168;
/// Weeks that are compared with, and at least so many of them must have been watched.
const WEEKS: i64 = 4;
const WEEKS_MIN: usize = 2;
/// Hours that are kept: those weeks and the present one.
pub const KEPT_HOURS: i64 = (WEEKS + 1) * WEEK_HOURS + 1;
/// The spans that are compared, in hours: the shortest that holds enough reports decides first.
const WINDOWS_HOURS: [i64; 7] = [1, 2, 4, 8, 24, 72, WEEK_HOURS];
/// Only a span that held at least this many reports in every week before says anything.
const LEAST: u64 = 20;
/// A tenth of the least is too few: by chance one time in a million. A fifth ends it.
const TOO_FEW_PART: u64 = 10;
const ENOUGH_PART: u64 = 5;
/// Of a span that is compared, this much must have been watched.
const WATCHED_PERCENT: i64 = 90;
/// Two looks further apart than this didn't watch what was between them.
const LOOK_APART_MAX: Span = Span::from_mins(5);
/// How often counts go to the store, at most.
const FLUSH_EVERY: Span = Span::from_mins(5);
/// Categories of one source that are counted; the configuration names far fewer.
const CATEGORIES_MAX: usize = 500;

/// Reports of one category that were received in one hour since 1970.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    pub source: Name,
    pub category: Name,
    pub hour: i64,
    pub count: u32,
}

/// For how long a source was watched in one hour since 1970.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    pub source: Name,
    pub hour: i64,
    pub secs: u32,
}

/// Reports of one category and hour that one input showed for the first time.
#[derive(Clone, Debug)]
pub struct Seen {
    pub source: Name,
    pub category: Name,
    pub hour: i64,
    pub count: u32,
    pub newest: Timestamp,
}

/// Far fewer reports than in each of the weeks before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFew {
    pub hours: i64,
    pub seen: u64,
    pub least: u64,
}

/// One hour's count: what the store remembers, and what this process has counted. The reports that are open
/// are counted anew after a start, so the larger of the two holds.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    stored: u32,
    fresh: u32,
}

impl Count {
    fn held(self) -> u32 {
        self.stored.max(self.fresh)
    }
}

#[derive(Debug, Default)]
struct OfSource {
    hours: BTreeMap<Name, BTreeMap<i64, Count>>,
    newest: BTreeMap<Name, Timestamp>,
    watched: BTreeMap<i64, u32>,
    /// Counts that the store doesn't have yet.
    changed: BTreeSet<(Name, i64)>,
    looked_at: Option<Timestamp>,
    flushed_at: Option<Timestamp>,
    /// Hours before this one are in the store as watched.
    told_until: i64,
}

#[derive(Debug, Default)]
pub struct Arrivals(BTreeMap<Name, OfSource>);

pub const fn hour_of(at: Timestamp) -> i64 {
    at.micros().div_euclid(HOUR_SECS * 1_000_000)
}

impl Arrivals {
    /// What the store remembers.
    pub fn restore(&mut self, arrived: Vec<Arrived>, watched: Vec<Watched>) {
        for Arrived { source, category, hour, count } in arrived {
            let of = self.0.entry(source).or_default();
            let end = Timestamp::from_secs((hour + 1) * HOUR_SECS);
            let newest = of.newest.entry(category.clone()).or_insert(end);
            *newest = end.max(*newest);
            of.hours.entry(category).or_default().entry(hour).or_default().stored = count;
        }
        for Watched { source, hour, secs } in watched {
            let of = self.0.entry(source).or_default();
            of.watched.insert(hour, secs);
            of.told_until = of.told_until.max(hour + 1);
        }
    }

    /// Counts reports that were seen for the first time.
    pub fn add(&mut self, seen: Seen) {
        let Seen { source, category, hour, .. } = seen;
        let of = self.0.entry(source).or_default();
        if of.hours.len() >= CATEGORIES_MAX && !of.hours.contains_key(&category) {
            return;
        }
        let newest = of.newest.entry(category.clone()).or_insert(seen.newest);
        *newest = seen.newest.max(*newest);
        let count = of.hours.entry(category.clone()).or_default().entry(hour).or_default();
        let before = count.held();
        count.fresh = count.fresh.saturating_add(seen.count);
        if count.held() > before {
            of.changed.insert((category, hour));
        }
    }

    /// When the newest report of a category was received; by the end of its hour where only the store knows.
    pub fn newest(&self, source: &Name, category: &Name) -> Option<Timestamp> {
        self.0.get(source)?.newest.get(category).copied()
    }

    /// Puts what the store lacks into a plan, at most every so often; nothing where nothing came.
    pub fn flush(&self, source: &Name, seen: bool, now: Timestamp, plan: &mut Plan) {
        let Some(of) = self.0.get(source) else { return };
        let hour = hour_of(now);
        if seen && of.told_until < hour {
            let whole = of.watched.range(of.told_until..hour);
            plan.watched.extend(whole.map(|(hour, secs)| Watched { source: source.clone(), hour: *hour, secs: *secs }));
        }
        if of.flushed_at.is_some_and(|at| now.since(at) < FLUSH_EVERY && now >= at) {
            return;
        }
        let kept = of.changed.iter().filter(|(_, of_hour)| *of_hour > hour - KEPT_HOURS);
        plan.arrived.extend(kept.filter_map(|(category, hour)| {
            let count = of.hours.get(category)?.get(hour)?.held();
            Some(Arrived { source: source.clone(), category: category.clone(), hour: *hour, count })
        }));
    }

    /// What a plan that is committed has told the store.
    pub fn told(&mut self, arrived: &[Arrived], watched: &[Watched], now: Timestamp) {
        for Arrived { source, .. } in arrived {
            if let Some(of) = self.0.get_mut(source) {
                of.changed.clear();
                of.flushed_at = Some(now);
            }
        }
        for Watched { source, hour, .. } in watched {
            if let Some(of) = self.0.get_mut(source) {
                of.told_until = of.told_until.max(hour + 1);
            }
        }
    }

    /// Time in which the source was seen, or wasn't.
    pub fn watch(&mut self, source: &Name, seen: bool, now: Timestamp) {
        let of = self.0.entry(source.clone()).or_default();
        let before = std::mem::replace(&mut of.looked_at, seen.then_some(now));
        let Some(before) = before.filter(|before| seen && *before <= now) else { return };
        let span = now.since(before);
        if span > LOOK_APART_MAX {
            return;
        }
        let hour = hour_of(now);
        let secs = of.watched.entry(hour).or_default();
        // Whole seconds since 1970, so that many short looks add up to what they cover.
        let covered = now.micros().div_euclid(1_000_000) - before.micros().div_euclid(1_000_000);
        *secs = secs.saturating_add(u32::try_from(covered).unwrap_or(0)).min(HOUR_SECS as u32);
        let oldest = hour - KEPT_HOURS;
        if of.watched.first_key_value().is_some_and(|(hour, _)| *hour < oldest) {
            of.watched = of.watched.split_off(&oldest);
            for hours in of.hours.values_mut() {
                *hours = hours.split_off(&oldest);
            }
        }
    }

    /// Categories of which far fewer reports came than in the same hours of each of the weeks before, in
    /// spans that were watched then and now.
    pub fn too_few(&self, source: &Name, now: Timestamp, was_held: impl Fn(&Name) -> bool) -> Vec<(Name, TooFew)> {
        let Some(of) = self.0.get(source) else { return Vec::new() };
        let few = |(category, hours): (&Name, &BTreeMap<i64, Count>)| {
            let part = if was_held(category) { ENOUGH_PART } else { TOO_FEW_PART };
            let windows = WINDOWS_HOURS.into_iter().filter_map(|window| of.compare(hours, window, hour_of(now)));
            let found = windows.into_iter().find(|few| few.seen * part <= few.least)?;
            Some((category.clone(), found))
        };
        of.hours.iter().filter_map(few).collect()
    }
}

impl OfSource {
    /// The last whole hours, what has come since included, beside the same hours of the weeks before.
    fn compare(&self, hours: &BTreeMap<i64, Count>, window: i64, hour: i64) -> Option<TooFew> {
        let sum =
            |from: i64, until: i64| hours.range(from..until).map(|(_, count)| u64::from(count.held())).sum::<u64>();
        let is_watched = |from: i64| {
            let secs: i64 = self.watched.range(from..from + window).map(|(_, secs)| i64::from(*secs)).sum();
            secs * 100 >= window * HOUR_SECS * WATCHED_PERCENT
        };
        let from = hour - window;
        if !is_watched(from) {
            return None;
        }
        let weeks = (1..=WEEKS).map(|week| from - week * WEEK_HOURS).filter(|from| is_watched(*from));
        let weeks: Vec<u64> = weeks.map(|from| sum(from, from + window)).collect();
        let least = weeks.iter().copied().min().filter(|least| weeks.len() >= WEEKS_MIN && *least >= LEAST)?;
        Some(TooFew { hours: window, seen: sum(from, hour + 1), least })
    }
}

impl Core {
    /// How many reports came in the weeks before, as the store remembers it.
    pub fn remember(&mut self, arrived: Vec<Arrived>, watched: Vec<Watched>) {
        self.arrivals.restore(arrived, watched);
    }
}

impl Draft<'_> {
    /// Counts a report that was seen for the first time, in the hour in which it was received.
    pub(super) fn count_arrival(&mut self, source: &Name, row: &Row) {
        let Some(received) = row.received.stated(self.now) else { return };
        let hour = hour_of(received);
        if hour <= hour_of(self.now) - KEPT_HOURS {
            return;
        }
        let counted = &mut self.plan.counted;
        let beside = |seen: &Seen| (seen.hour, &seen.category, &seen.source).cmp(&(hour, &row.category, source));
        let place = counted.binary_search_by(beside).unwrap_or_else(|place| {
            let (source, category) = (source.clone(), row.category.clone());
            counted.insert(place, Seen { source, category, hour, count: 0, newest: received });
            place
        });
        if let Some(seen) = counted.get_mut(place) {
            (seen.count, seen.newest) = (seen.count + 1, seen.newest.max(received));
        }
    }
}
