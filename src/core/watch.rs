//! Which reports a poll reads again by key, and what it believes when many of them are gone at once.

use super::case::Case;
use super::engine::Core;
use super::id::{EpisodeKey, Name, ReportId};
use super::lines::Slot;
use super::observation::Observation;
use super::plan::{Alarm, Rows};
use super::policy::{DeletedMeans, Priority};
use super::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Why reports are read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reread {
    /// Nothing tells what changes: all of P0 and P1, and what pauses.
    Urgent,
    /// A column tells what changes, but not that a pause still lasts, nor how far something has spread.
    Untold,
    /// Everything else, round and round.
    Rest { from: RestPlace, limit: usize },
}

/// Where a round of the rest stands: among the lines, and behind them among the whole cases, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestPlace {
    Line(Slot),
    Whole(Option<ReportId>),
}

/// Reports to be read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToReread {
    pub ids: Vec<ReportId>,
    /// Where a round of the rest goes on; `None` at its end.
    pub next: Option<RestPlace>,
}

impl Default for RestPlace {
    fn default() -> Self {
        RestPlace::Line(0)
    }
}

/// What people are told of a source that has lost many reports at once.
pub const MANY_GONE: &str = "many reports that were open are gone at once: was the table restored, emptied, or hidden from \
     the monitor's role? If they stay away for an hour they count as vanished";

/// Reports below P0 gone in one read, from which on it is asked whether that can be.
pub(super) const GONE_MANY: usize = 20;
/// As many are doubted whatever their share.
const GONE_DOUBTED: usize = 200;
/// Cases below P0 whose growth is read again at every poll; further ones are seen when everything is.
const SPREADING_MAX: usize = 10_000;
/// How long many that are gone at once are doubted: their source counts as blind so long, and people hear of it.
pub const DOUBTED_FOR: Span = Span::from_hours(1);

/// Held cases that are read again for a reason of their own, and sources in doubt.
#[derive(Debug, Default)]
pub struct Watch {
    urgent: BTreeSet<EpisodeKey>,
    pausing: BTreeSet<EpisodeKey>,
    /// Below P0, where a rule asks how fast they spread.
    spreading: BTreeSet<EpisodeKey>,
    /// Since when a source has shown many reports gone at once.
    doubts: BTreeMap<Name, Timestamp>,
}

impl Watch {
    pub fn add(&mut self, case: &Case) {
        if case.priority <= Priority::P1 {
            self.urgent.insert(case.key.clone());
        }
        if !case.is_p0() && case.reports.values().any(|report| report.is_paused()) {
            self.pausing.insert(case.key.clone());
        }
        if !case.is_p0() && case.ended.is_none() && case.reports.values().any(|report| report.base.is_some()) {
            self.spreading.insert(case.key.clone());
        }
    }

    pub fn remove(&mut self, key: &EpisodeKey) {
        self.urgent.remove(key);
        self.pausing.remove(key);
        self.spreading.remove(key);
    }

    /// Takes in what a plan says of doubts.
    pub fn doubt(&mut self, source: Name, since: Option<Timestamp>) {
        match since {
            Some(since) => {
                self.doubts.entry(source).or_insert(since);
            }
            None => {
                self.doubts.remove(&source);
            }
        }
    }

    pub fn doubted_since(&self, source: &Name) -> Option<Timestamp> {
        self.doubts.get(source).copied()
    }
}

impl Core {
    /// The reports of a source that must be read again for this reason.
    pub fn to_reread(&self, source: &Name, why: &Reread) -> ToReread {
        let whole = |ids| ToReread { ids, next: None };
        match why {
            Reread::Urgent => {
                let mut ids = self.reports_of(source, self.watch.urgent.iter().chain(&self.watch.pausing));
                let lines = self.lines.of_priority(Priority::P1).filter_map(|slot| self.lines.report_key(slot));
                ids.extend(lines.filter(|key| key.source == *source).map(|key| key.id));
                whole(ids)
            }
            Reread::Untold => {
                let p0 = |key: &&EpisodeKey| self.cases.get(*key).is_some_and(|case| case.is_p0());
                let urgent = self.policy.minor_safety.spread.is_some().then_some(&self.watch.urgent);
                let growing = urgent.into_iter().flatten().filter(p0);
                let growing = growing.chain(self.watch.spreading.iter().take(SPREADING_MAX));
                whole(self.reports_of(source, growing.chain(&self.watch.pausing)))
            }
            Reread::Rest { from: RestPlace::Line(slot), limit } => self.lines_of(source, *slot, *limit),
            Reread::Rest { from: RestPlace::Whole(after), limit } => self.rest_of(source, after.as_ref(), *limit),
        }
    }

    fn reports_of<'c>(&self, source: &Name, keys: impl Iterator<Item = &'c EpisodeKey>) -> Vec<ReportId> {
        let cases = keys.filter(|key| key.case.source() == source).filter_map(|key| self.cases.get(key));
        let reports = cases.flat_map(|case| case.reports.iter());
        let ids: BTreeSet<ReportId> =
            reports.filter(|(_, report)| !report.is_superseded()).map(|(key, _)| key.id.clone()).collect();
        ids.into_iter().collect()
    }

    fn lines_of(&self, source: &Name, from: Slot, limit: usize) -> ToReread {
        let (mut ids, mut next) = (Vec::new(), RestPlace::Whole(None));
        for slot in self.lines.starting_at(from) {
            if ids.len() == limit {
                next = RestPlace::Line(slot);
                break;
            }
            let lesser = self.lines.priority(slot).is_some_and(|priority| priority > Priority::P1);
            let key = self.lines.report_key(slot).filter(|key| lesser && key.source == *source);
            ids.extend(key.map(|key| key.id));
        }
        ToReread { ids, next: Some(next) }
    }

    fn rest_of(&self, source: &Name, after: Option<&ReportId>, limit: usize) -> ToReread {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let lesser = self
            .homes
            .of(source, (from, Bound::Unbounded))
            .filter(|(_, home)| self.cases.get(&home.episode).is_some_and(|case| case.priority > Priority::P1));
        let ids: Vec<ReportId> = lesser.take(limit).map(|(id, _)| id.clone()).collect();
        let next = ids.last().filter(|_| ids.len() == limit).map(|last| RestPlace::Whole(Some(last.clone())));
        ToReread { ids, next }
    }

    /// Reports that a read doesn't find although they are held. A few may go at any time; many at once are
    /// rather a table that was restored, emptied or hidden, and believing it would end them in silence. P0
    /// is owed an answer whether its row is there or not, so there the read counts.
    pub(super) fn doubted<'r>(&self, rows: &'r Rows, now: Timestamp) -> Option<(BTreeSet<&'r ReportId>, Alarm)> {
        let gone = rows.rows.iter().filter(|seen| seen.row.is_none() && self.is_held_below_p0(&rows.source, seen));
        let gone: BTreeSet<&ReportId> = gone.map(|seen| &seen.id).collect();
        let alarm = Alarm::ManyGone { source: rows.source.clone(), count: gone.len() as u64 };
        match self.watch.doubts.get(&rows.source) {
            Some(since) if now.since(*since) >= DOUBTED_FOR => return None,
            Some(_) => return (!gone.is_empty()).then_some((gone, alarm)),
            None if gone.len() < GONE_MANY => return None,
            None => {}
        }
        let closes = self.policy.sources.get(&rows.source).map(|source| source.deleted_means);
        let held = usize::try_from(self.open_cases(&rows.source)).unwrap_or(usize::MAX);
        let many = match closes.unwrap_or_default() {
            DeletedMeans::Vanished => gone.len() >= GONE_DOUBTED || gone.len() * 5 >= held,
            // Where deletion resolves, a great many may go, but hardly all.
            DeletedMeans::Closed => gone.len() * 10 >= held * 9,
        };
        many.then_some((gone, alarm))
    }

    fn is_held_below_p0(&self, source: &Name, seen: &Observation) -> bool {
        if self.lines.slot(source, &seen.id).is_some() {
            return true;
        }
        let home = self.homes.get(source, &seen.id);
        let case = home.and_then(|home| self.cases.get(&home.episode)).filter(|case| !case.is_p0());
        let report = case.and_then(|case| case.reports.iter().find(|(key, _)| key.id == seen.id));
        report.is_some_and(|(_, report)| report.gone.is_none())
    }
}
