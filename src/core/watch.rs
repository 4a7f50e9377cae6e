//! Which reports a poll reads again by key, and what it believes when many of them are gone at once.

use super::case::Case;
use super::engine::Core;
use super::id::{EpisodeKey, Name, ReportId};
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
    /// Everything else, in the order of ids, round and round.
    Rest { after: Option<ReportId>, limit: usize },
}

/// Reports below P0 gone in one read, from which on it is asked whether that can be.
pub(super) const GONE_MANY: usize = 20;
/// As many are doubted whatever their share.
const GONE_DOUBTED: usize = 200;
/// How long many that are gone at once are doubted: their source counts as blind so long, and people hear of it.
pub const DOUBTED_FOR: Span = Span::from_hours(1);

/// Held cases that are read again for a reason of their own, and sources in doubt.
#[derive(Debug, Default)]
pub struct Watch {
    urgent: BTreeSet<EpisodeKey>,
    pausing: BTreeSet<EpisodeKey>,
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
    }

    pub fn remove(&mut self, key: &EpisodeKey) {
        self.urgent.remove(key);
        self.pausing.remove(key);
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

    pub fn is_doubted(&self, source: &Name) -> bool {
        self.doubts.contains_key(source)
    }
}

impl Core {
    /// The reports of a source that must be read again for this reason.
    pub fn to_reread(&self, source: &Name, why: &Reread) -> Vec<ReportId> {
        match why {
            Reread::Urgent => self.reports_of(source, self.watch.urgent.iter().chain(&self.watch.pausing)),
            Reread::Untold if self.policy.minor_safety.spread.is_some() => {
                let p0 = |key: &&EpisodeKey| self.cases.get(*key).is_some_and(|case| case.is_p0());
                self.reports_of(source, self.watch.urgent.iter().filter(p0).chain(&self.watch.pausing))
            }
            Reread::Untold => self.reports_of(source, self.watch.pausing.iter()),
            Reread::Rest { after, limit } => self.rest_of(source, after.as_ref(), *limit),
        }
    }

    fn reports_of<'c>(&self, source: &Name, keys: impl Iterator<Item = &'c EpisodeKey>) -> Vec<ReportId> {
        let cases = keys.filter(|key| key.case.source() == source).filter_map(|key| self.cases.get(key));
        let reports = cases.flat_map(|case| case.reports.iter());
        let ids: BTreeSet<ReportId> =
            reports.filter(|(_, report)| !report.is_superseded()).map(|(key, _)| key.id.clone()).collect();
        ids.into_iter().collect()
    }

    fn rest_of(&self, source: &Name, after: Option<&ReportId>, limit: usize) -> Vec<ReportId> {
        let from = match after {
            Some(after) => Bound::Excluded((source.clone(), after.clone())),
            None => Bound::Included((source.clone(), ReportId::Int(i64::MIN))),
        };
        let of_source = self.homes.range((from, Bound::Unbounded)).take_while(|((of, _), _)| of == source);
        let lesser = of_source
            .filter(|(_, home)| self.cases.get(&home.episode).is_some_and(|case| case.priority > Priority::P1));
        lesser.take(limit).map(|((_, id), _)| id.clone()).collect()
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
        let from = (rows.source.clone(), ReportId::Int(i64::MIN));
        let held = self.homes.range(from..).take_while(|((of, _), _)| *of == rows.source).count();
        let many = match closes.unwrap_or_default() {
            DeletedMeans::Vanished => gone.len() >= GONE_DOUBTED || gone.len() * 5 >= held,
            // Where deletion resolves, a great many may go, but hardly all.
            DeletedMeans::Closed => gone.len() * 10 >= held * 9,
        };
        many.then_some((gone, alarm))
    }

    fn is_held_below_p0(&self, source: &Name, seen: &Observation) -> bool {
        let home = self.homes.get(&(source.clone(), seen.id.clone()));
        let case = home.and_then(|home| self.cases.get(&home.episode)).filter(|case| !case.is_p0());
        let report = case.and_then(|case| case.reports.iter().find(|(key, _)| key.id == seen.id));
        report.is_some_and(|(_, report)| report.gone.is_none())
    }
}
