//! F20: closures that come faster than anybody can look at children's cases, under one account. They are no
//! evidence by themselves: each waits for a second review.

use super::id::{EpisodeKey, IncidentNo};
use super::observation::Actor;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many P0 cases one actor may close within how long: more can't each have been looked at. Cases are
/// counted, not reports, because one decision closes all reports about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkBound {
    pub cases_max: u32,
    pub within: Span,
}

impl Default for BulkBound {
    /// Six seconds a case; a configuration can only make it stricter.
    fn default() -> Self {
        BulkBound { cases_max: 10, within: Span::from_mins(1) }
    }
}

/// That an actor closed a report of a P0 case: of each actor the latest closure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub by: Actor,
    /// As stated, but never before a read that still saw the report open: a script may write any time.
    pub at: Timestamp,
    /// When the read that saw it began.
    pub seen: Timestamp,
    /// The incident of the bulk that it was part of; stays for the episode.
    pub bulk: Option<IncidentNo>,
}

/// Of one actor's closures, the cases that lie with too many others within the bound's time.
pub fn in_bulk(closures: &BTreeSet<(Timestamp, EpisodeKey)>, bound: BulkBound) -> BTreeSet<EpisodeKey> {
    let closures: Vec<&(Timestamp, EpisodeKey)> = closures.iter().collect();
    let mut within: BTreeMap<&EpisodeKey, u32> = BTreeMap::new();
    let (mut bulk, mut from) = (BTreeSet::new(), 0);
    let mut told_until = 0;
    for (until, (at, key)) in closures.iter().enumerate() {
        *within.entry(key).or_default() += 1;
        while at.since(closures[from].0) > bound.within {
            let left = &closures[from].1;
            if let Some(count) = within.get_mut(left) {
                *count -= 1;
                if *count == 0 {
                    within.remove(left);
                }
            }
            from += 1;
        }
        if within.len() > bound.cases_max as usize {
            bulk.extend(closures[from.max(told_until)..=until].iter().map(|(_, key)| key.clone()));
            told_until = until + 1;
        }
    }
    bulk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::{CaseKey, ReportId, ReportKey};

    fn closures(at: &[(i64, i64)]) -> BTreeSet<(Timestamp, EpisodeKey)> {
        let key = |id| {
            let report = ReportKey { source: "reports".into(), id: ReportId::Int(id), incarnation: 0 };
            EpisodeKey { case: CaseKey::Report(report), episode: 0 }
        };
        at.iter().map(|(secs, id)| (Timestamp::from_secs(*secs), key(*id))).collect()
    }

    fn counted(at: &[(i64, i64)]) -> usize {
        in_bulk(&closures(at), BulkBound { cases_max: 3, within: Span::from_secs(60) }).len()
    }

    #[test]
    fn f20_more_cases_than_the_bound_within_its_time_are_a_bulk_and_all_of_them() {
        assert_eq!(counted(&[(0, 1), (20, 2), (60, 3)]), 0);
        assert_eq!(counted(&[(0, 1), (20, 2), (40, 3), (60, 4)]), 4);
        assert_eq!(counted(&[(0, 1), (20, 2), (40, 3), (61, 4)]), 0, "the window has its length and no more");
        assert_eq!(counted(&[(0, 9), (100, 1), (101, 2), (102, 3), (103, 4), (104, 5), (300, 8)]), 5);
    }

    #[test]
    fn f20_many_reports_of_one_case_are_one_decision() {
        assert_eq!(counted(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (5, 3)]), 0);
    }
}
