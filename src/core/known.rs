//! What was known when a breach was found: kept with it, so that a year later "why did it ring?" is answered
//! by what was known then, apart from what is known now.

use super::calendar::{Interval, Stretch};
use super::case::{Case, Report};
use super::clock::Clock;
use super::id::ReportKey;
use super::observation::Event;
use super::policy::Policy;
use super::time::Timestamp;
use super::{calendar, explain};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Reports of a case that are kept with each breach of it, at most: the earliest.
pub const KNOWN_REPORTS_MAX: usize = 20;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// From the start of the clock until its deadline, without a gap.
    #[serde(default)]
    pub walk: Vec<(Interval, Stretch)>,
    /// The reports as last read, at most `KNOWN_REPORTS_MAX`.
    #[serde(default)]
    pub reports: Arc<[KnownReport]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownReport {
    pub report: ReportKey,
    pub received: Timestamp,
    /// When the last read that answered for it began.
    pub read_began: Timestamp,
    /// Since when its row was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
    /// Its own events and what people said, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

impl Known {
    /// What is known of a breach's clock now; `reports` are all that is known of its case's.
    pub fn of(case: &Case, clock: &Clock, reports: Arc<[KnownReport]>, policy: &Policy) -> Self {
        let deadline = clock.breach().map(|breach| breach.deadline).or(clock.deadline);
        let walk = clock.started.zip(deadline).map(|(started, deadline)| {
            let calendar = explain::calendar_of(case, clock, policy);
            calendar::stretches(calendar, started, deadline.max(started), case.credited())
        });
        Known { walk: walk.unwrap_or_default(), reports }
    }
}

impl KnownReport {
    /// What is known now of the earliest reports of a case.
    pub fn all(case: &Case) -> Arc<[KnownReport]> {
        let mut reports: Vec<_> = case.reports.iter().collect();
        reports.sort_by_key(|(key, report)| (report.received, *key));
        reports.into_iter().take(KNOWN_REPORTS_MAX).map(|(key, report)| KnownReport::of(key, report)).collect()
    }

    fn of(key: &ReportKey, report: &Report) -> KnownReport {
        let mut events: Vec<Event> = report.events().cloned().collect();
        events.sort();
        let (received, read_began, gone) = (report.received, report.read_began, report.gone);
        KnownReport { report: key.clone(), received, read_began, gone, events }
    }
}
