//! What must be remembered of how a report looked: final rows can't tell pauses, reopenings and erased
//! answers. Of a case that the store keeps, each change that a read showed is written once.

use super::case::{Case, Report};
use super::id::ReportKey;
use super::observation::Row;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A report as one read saw it, where that differed from the read before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub report: ReportKey,
    /// When the read began that saw it so.
    pub seen_at: Timestamp,
    /// When the last read began that saw it as before; `None` at the first sight.
    pub seen_before: Option<Timestamp>,
    /// `None`: there was no such row.
    pub row: Option<Row>,
}

/// Finds what a case shows that its stored state doesn't. `held` is the case before this input, stored or not.
pub fn news(case: &Case, stored: Option<&Case>, held: Option<&Case>, found: &mut Vec<Observed>) {
    for (key, report) in case.reports.iter().filter(|(_, report)| !report.is_superseded()) {
        let before = stored.and_then(|stored| stored.reports.get(key));
        let last = held.and_then(|held| held.reports.get(key));
        match (before, last) {
            // Until now nothing of it was remembered: how it looked before this read, and how it looks now.
            (None, Some(last)) if differs(last, report) => {
                found.push(observed(key, last, report.first_seen, None));
                found.push(observed(key, report, report.read_began, Some(last.read_began)));
            }
            (None, _) => found.push(observed(key, report, report.first_seen, None)),
            (Some(before), last) if differs(before, report) => {
                found.push(observed(key, report, report.read_began, last.map(|last| last.read_began)));
            }
            (Some(_), _) => found.extend(resumed(case, stored, key, report)),
        }
    }
}

fn differs(a: &Report, b: &Report) -> bool {
    a.row != b.row || a.gone != b.gone
}

fn observed(key: &ReportKey, report: &Report, seen_at: Timestamp, seen_before: Option<Timestamp>) -> Observed {
    let row = report.gone.is_none().then(|| report.row.clone());
    Observed { report: key.clone(), seen_at, seen_before, row }
}

/// A pause that was lost from sight and is seen again: nothing is credited across that.
fn resumed(case: &Case, stored: Option<&Case>, key: &ReportKey, report: &Report) -> Option<Observed> {
    let earlier = &stored?.pauses;
    let (last, new) = (earlier.last()?, case.pauses.get(earlier.len())?);
    report.is_paused().then(|| observed(key, report, new.from, Some(last.until)))
}
