//! Reports of which something can't be read, so that each flaw is told and counted once for as long as it
//! lasts: a row that stays broken is read at every poll. Bounded.

use super::id::{Name, ReportId};
use super::observation::{Flaw, Reject};
use super::plan::Rows;
use super::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Rejected reports of one source that are remembered; more than these are neither listed nor counted.
const REPORTS_MAX: usize = 10_000;

/// Of one source.
#[derive(Clone, Debug, Default)]
pub struct Rejected {
    reports: BTreeMap<ReportId, BTreeSet<(Name, Flaw)>>,
    /// Rows without an id, which can't be told apart: how many, and when a read that saw them began.
    nameless: BTreeMap<(Name, Flaw), (u64, Timestamp)>,
}

/// What one read changes about them.
#[derive(Clone, Debug)]
pub struct Rejections {
    pub source: Name,
    pub read_began: Timestamp,
    /// Flaws that were not known, a row without an id as often as there are more of them.
    pub news: Vec<Reject>,
    /// Known reports that this read could read whole.
    pub mended: Vec<ReportId>,
    /// Rows without an id, by column and flaw.
    pub nameless: BTreeMap<(Name, Flaw), u64>,
}

impl Rejected {
    /// Reports, and rows without an id, of which something can't be read.
    pub fn count(&self) -> u64 {
        self.reports.len() as u64 + self.nameless.values().map(|(count, _)| count).sum::<u64>()
    }

    /// What a read says of rejects; `None` where there is nothing to say.
    pub fn read(&self, rows: &Rows) -> Option<Rejections> {
        if rows.rejects.is_empty() && self.reports.is_empty() {
            return None;
        }
        let mut found = Rejections {
            source: rows.source.clone(),
            read_began: rows.read_began,
            news: Vec::new(),
            mended: Vec::new(),
            nameless: BTreeMap::new(),
        };
        let mut flawed = BTreeSet::new();
        for reject in &rows.rejects {
            let flaw = (reject.column.clone(), reject.flaw);
            match &reject.id {
                Some(id) => {
                    flawed.insert(id);
                    if self.is_news(id, &flaw) {
                        found.news.push(reject.clone());
                    }
                }
                None => {
                    let count = found.nameless.entry(flaw.clone()).or_default();
                    *count += 1;
                    if *count > self.nameless.get(&flaw).map_or(0, |(known, _)| *known) {
                        found.news.push(reject.clone());
                    }
                }
            }
        }
        if !self.reports.is_empty() {
            let whole = rows.rows.iter().map(|seen| &seen.id).filter(|id| !flawed.contains(id));
            found.mended.extend(whole.filter(|id| self.reports.contains_key(id)).cloned());
        }
        Some(found)
    }

    fn is_news(&self, id: &ReportId, flaw: &(Name, Flaw)) -> bool {
        match self.reports.get(id) {
            Some(known) => !known.contains(flaw),
            None => self.reports.len() < REPORTS_MAX,
        }
    }

    /// Takes in what a committed plan says.
    pub fn apply(&mut self, found: Rejections) {
        for id in &found.mended {
            self.reports.remove(id);
        }
        for reject in found.news {
            if let Some(id) = reject.id {
                self.reports.entry(id).or_default().insert((reject.column, reject.flaw));
            }
        }
        for (flaw, count) in found.nameless {
            self.nameless.insert(flaw, (count, found.read_began));
        }
    }

    /// A report is no longer under watch.
    pub fn forget(&mut self, id: &ReportId) {
        self.reports.remove(id);
    }

    /// A scan of everything that began then has ended: rows without an id that it didn't see are gone.
    pub fn end_scan(&mut self, began: Timestamp) {
        self.nameless.retain(|_, (_, seen)| *seen >= began);
    }
}
