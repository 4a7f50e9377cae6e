//! What the rest of the house may see of the core: counts, incidents and the head of the queue, built
//! once after a plan is applied and never changed.

use super::case::Case;
use super::id::{EpisodeKey, IncidentNo, Name, ReportKey};
use super::incident::Incident;
use super::observation::EventName;
use super::pace::PaceView;
use super::policy::{Priority, Standing};
use super::quiet::Quiet;
use super::rank::Rank;
use super::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Rows of the queue that a view holds.
pub const VIEW_ROWS: usize = 1_000;

#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    /// The instant of the last applied plan, by the monitor's clock.
    pub as_of: Option<Timestamp>,
    /// The head of the queue, in rank order, at most `VIEW_ROWS`.
    pub queue: Vec<QueueRow>,
    /// Open cases by source, category and priority; a combination once seen stays, at zero.
    pub open: BTreeMap<Group, Counts>,
    /// Open incidents, newest first.
    pub incidents: Vec<IncidentRow>,
    /// Breaches since the process started, by group and target.
    pub breaches_total: BTreeMap<(Group, Name), u64>,
    pub rejects_total: BTreeMap<(Name, &'static str), u64>,
    /// Snoozes and maintenance windows, in force or to come.
    pub quiets: Vec<Quiet>,
    /// Categories in neither list, by source.
    pub presumed_categories: Vec<(Name, Name)>,
    /// Ages, deadlines and answers.
    pub pace: PaceView,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    pub source: Name,
    pub category: Name,
    pub priority: Priority,
}

impl Group {
    pub fn of(case: &Case) -> Group {
        let source = case.key.case.source().clone();
        Group { source, category: case.category.clone(), priority: case.priority }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub open: u64,
    pub overdue: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct QueueRow {
    /// Its place; the rows after it are asked for by this.
    #[serde(skip)]
    pub rank: Rank,
    pub episode: EpisodeKey,
    /// The report by which people know the case: the earliest.
    pub first_report: ReportKey,
    pub reports: u32,
    pub category: Name,
    pub priority: Priority,
    pub standing: Standing,
    pub rule: Name,
    pub received: Timestamp,
    /// The earliest unmet deadline and its target; overdue when it has passed.
    pub next: Option<NextDeadline>,
    pub overdue: bool,
    /// Paged without proof, because the database could not be seen at the deadline.
    pub unverified: bool,
    pub incident: Option<IncidentNo>,
}

#[derive(Clone, Debug, Serialize)]
pub struct NextDeadline {
    pub target: Name,
    pub until: EventName,
    pub deadline: Timestamp,
}

#[derive(Clone, Debug, Serialize)]
pub struct IncidentRow {
    pub incident: Incident,
    pub priority: Priority,
    pub category: Name,
    /// Overdue cases in it.
    pub count: u64,
}
