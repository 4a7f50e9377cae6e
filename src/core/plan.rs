//! What goes into the core and what comes out. A plan is a set of facts to commit: the shell stores it
//! in one transaction and only then hands it back to `Core::apply`. A discarded plan never happened.

use super::act::{Act, Audited};
use super::arrivals::{Arrived, Seen, Watched};
use super::by_report::ByReport;
use super::case::{Case, Conclusion};
use super::clock::Ending;
use super::id::{EpisodeKey, IncidentNo, Name, ReportId, ReportKey};
use super::incident::{Blind, Incident};
use super::known::Known;
use super::lines::LineChanges;
use super::observation::{Observation, Reject};
use super::observed::Observed;
use super::pace::Answers;
use super::policy::{Priority, Standing};
use super::quiet::{Quiet, Refusal};
use super::rejected::Rejections;
use super::segments::{Recalled, Remembered, Segment, Segmented};
use super::selfcheck::Findings;
use super::sight::{Looked, Measured};
use super::time::Timestamp;
use super::trouble::{Trouble, TroubleKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most rows that one input may carry, and the most cases that one tick takes up.
pub const BATCH: usize = 1_000;

#[derive(Clone, Debug)]
pub enum Input {
    /// Rows that one read saw, at most `BATCH`.
    Rows(Rows),
    /// A scan of a source's open rows, begun at `began`, is complete: whatever is known to be open and
    /// wasn't seen by it must be read by key.
    ScanEnded { source: Name, began: Timestamp },
    /// Whether something is wrong that the shell knows of, or that it is over.
    Trouble { kind: TroubleKind, subject: Name, holds: bool },
    /// What was measured of how well a source can be seen.
    Sight { source: Name, measured: Measured },
    /// What the store remembers of the reports that were open before the start.
    Recalled(Recalled),
    /// A named person did something.
    Act(Act),
    /// Judges the next cases anew by a policy that has changed. With what the store remembers of
    /// `Core::strangers_of_reassess`.
    Reassess { recalled: Vec<Case> },
    /// Time has passed.
    Tick,
}

#[derive(Clone, Debug)]
pub struct Rows {
    pub source: Name,
    /// When the read began, by the monitor's clock: proof of nothing after it.
    pub read_began: Timestamp,
    pub rows: Vec<Observation>,
    pub rejects: Vec<Reject>,
    /// What the store remembers of cases that the core doesn't hold, as `Core::strangers` asked.
    pub recalled: Vec<Case>,
}

/// A breach as the store keeps it, under (episode, target, report, deadline).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreachRecord {
    pub episode: EpisodeKey,
    pub target: Name,
    /// Set where the target is kept per report.
    pub report: Option<ReportKey>,
    /// The report by which people know the case.
    pub first_report: ReportKey,
    pub category: Name,
    pub rule: Name,
    pub priority: Priority,
    pub started: Option<Timestamp>,
    pub deadline: Timestamp,
    pub detected_at: Timestamp,
    pub inherited: bool,
    pub status: BreachStatus,
    pub ended: Option<Ending>,
    pub contradicted_at: Option<Timestamp>,
    pub incident: Option<IncidentNo>,
    pub policy_hash: Name,
    /// What was known when it was found.
    pub known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreachStatus {
    /// Paged without proof: the database could not be seen.
    Unverified,
    Verified,
    /// The first answer proved that it never was one.
    Withdrawn,
}

impl BreachStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            BreachStatus::Unverified => "unverified",
            BreachStatus::Verified => "verified",
            BreachStatus::Withdrawn => "withdrawn",
        }
    }
}

/// A deadline comes near: told once for each (case, target, deadline), and no breach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub episode: EpisodeKey,
    pub category: Name,
    pub priority: Priority,
    pub target: Name,
    pub deadline: Timestamp,
    /// Whose channels hear it: the obligation's own, else the case's. `None` leaves it to the log.
    pub escalation: Option<Name>,
}

/// One notification, before it is given keys. Unique by (incident, round, step, channel, kind).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub incident: IncidentNo,
    pub round: u32,
    pub step: u32,
    pub channel: Name,
    pub kind: PageKind,
    pub priority: Priority,
    pub created_at: Timestamp,
    /// The channels that ring in this one's place when it fails, the next first.
    pub fallbacks: Vec<Name>,
    /// "Part 2 of 3" of a bundle.
    pub part: Option<(u32, u32)>,
    pub about: About,
    /// Cases in the incident that it tells of, all of them.
    pub count: u64,
    /// The most urgent of them, at most `CASES_PER_PAGE`.
    pub cases: Vec<PageCase>,
}

impl Page {
    pub fn is_test(&self) -> bool {
        self.about == About::Test
    }
}

/// What a page tells of: one thing alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Deadlines that have passed unmet.
    Overdue,
    /// F4: an open P0 was reported again; whether it is overdue is said by its deadline.
    Repeat,
    /// F20: many P0 cases were closed at once under one account.
    BulkClosures,
    /// Deadlines that come near: the cases are not overdue.
    Warning,
    /// The monitor itself can't see.
    Blind(Blind),
    /// Something that the operators must see to.
    Trouble(Trouble),
    /// What the auditor found that should have rung and did not.
    Audit(Findings),
    /// A test of the way that pages take: nothing is overdue.
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    Ring,
    Resolve,
}

impl PageKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            PageKind::Ring => "ring",
            PageKind::Resolve => "resolve",
        }
    }
}

/// A case as a page may tell of it: no field can hold content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageCase {
    pub episode: EpisodeKey,
    pub category: Name,
    pub priority: Priority,
    pub standing: Standing,
    pub reports: u32,
    /// The overdue target with the earliest deadline; where none is overdue, the one due next.
    pub target: Name,
    pub deadline: Timestamp,
    pub unverified: bool,
    pub inherited: bool,
}

/// What remains of an ended episode, kept for 25 months.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub episode: EpisodeKey,
    pub category: Name,
    pub rule: Name,
    pub priority: Priority,
    pub standing: Standing,
    pub received: Timestamp,
    pub first_response: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub conclusion: Conclusion,
    pub reports: u32,
    pub reopenings: u32,
    /// A second review that counts followed a closure as "no violation".
    pub second_review: bool,
    pub overturned: bool,
    pub targets: Vec<TargetOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetOutcome {
    pub target: Name,
    pub deadline: Option<Timestamp>,
    pub met_at: Option<Timestamp>,
    pub breached: bool,
}

/// Something the operators must hear of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A category in neither list: its cases are presumed P0 until somebody names it.
    PresumedCategory { source: Name, category: Name },
    /// Reports below P0 are gone in such a number that it isn't believed for now.
    ManyGone { source: Name, count: u64 },
    /// No case can be made of a row without an id.
    RowsWithoutId { source: Name, count: u64 },
    /// `received` is unreadable or in the future, usually because the configured zone is wrong.
    AnchoredAtFirstSight { report: ReportKey },
    /// A predicate could not be decided for a report: a fact is unreadable, or a number ran over. The
    /// stricter side was taken.
    Undecided { source: Name, predicate: Name },
    /// An event lies before `received` and is counted as happening at it.
    Skew { report: ReportKey },
}

/// A report's place: the episode that holds it, under which incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub incarnation: u32,
    pub episode: EpisodeKey,
}

/// Everything one input changes.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Each changed case as it now is; `None` when its memory is freed.
    pub cases: BTreeMap<EpisodeKey, Option<Box<Case>>>,
    /// Changed cases that the store must hold, settled ones included.
    pub kept: Vec<KeptCase>,
    pub homes: ByReport<Option<Home>>,
    pub incidents: BTreeMap<IncidentNo, Incident>,
    pub breaches: Vec<BreachRecord>,
    pub pages: Vec<Page>,
    pub outcomes: Vec<Outcome>,
    /// How reports of kept cases looked, where that changed.
    pub observed: Vec<Observed>,
    pub rejects: Vec<(Name, Reject)>,
    /// Counts of arrivals, and watched hours, that the store lacks.
    pub arrived: Vec<Arrived>,
    pub watched: Vec<Watched>,
    /// Reports that are known to be open, for the next start; and that segments of a source from before an
    /// instant are replaced.
    pub segment: Option<Segment>,
    pub segments_before: Option<(Name, Timestamp)>,
    /// The entry of the store's inbox that this plan takes up.
    pub taken_up: Option<i64>,
    /// Why what a person asked for has no effect.
    pub refused: Option<Refusal>,
    /// Snoozes and windows that begin or, with `None`, are forgotten.
    pub quiets: BTreeMap<i64, Option<Quiet>>,
    /// What it did, for the audit log.
    pub audited: Option<Audited>,
    pub alarms: BTreeSet<Alarm>,
    /// Deadlines that come near.
    pub warnings: Vec<Warning>,
    /// Which of `breaches` are new, by their places, for the counters: memory only.
    pub incurred: Vec<usize>,
    /// What reads told of answers to cases that are lines: memory only.
    pub answers: Vec<Answers>,
    /// Reports to be read again by key, P0 first.
    pub asks: Vec<ReportKey>,
    /// Reports that a read found unchanged: memory only.
    pub seen: Vec<(EpisodeKey, ReportKey, Timestamp)>,
    /// Since when many reports of a source are gone at once, or that it is over: memory only.
    pub doubts: Vec<(Name, Option<Timestamp>)>,
    /// What changes of cases of which no more than a line is held: memory only.
    pub lines: LineChanges,
    /// A source whose first look is complete: memory only.
    pub caught_up: Option<Name>,
    /// When the scan of that source began that has ended: memory only.
    pub scan_began: Option<Timestamp>,
    /// Reports seen for the first time, by hour, category and source: memory only.
    pub counted: Vec<Seen>,
    /// What a read said of rows that can't be read whole: memory only.
    pub rejections: Option<Rejections>,
    /// Reports that were open before the start and aren't under watch, and those of them that were read
    /// since: memory only.
    pub expected: Vec<(Name, Remembered)>,
    pub found: Vec<(Name, ReportId)>,
    /// How far the segments of a source are: memory only.
    pub segmented: Option<Segmented>,
    /// How well a source can be seen: memory only.
    pub looked: Option<Looked>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCase {
    pub case: Box<Case>,
    /// Its outcome is written and its memory freed; kept to be recalled.
    pub settled: bool,
}

impl Plan {
    /// Whether there is anything to commit; an idle poll writes nothing.
    pub fn is_durable(&self) -> bool {
        !(self.kept.is_empty()
            && self.incidents.is_empty()
            && self.breaches.is_empty()
            && self.pages.is_empty()
            && self.outcomes.is_empty()
            && self.rejects.is_empty()
            && self.arrived.is_empty()
            && self.watched.is_empty()
            && self.segment.is_none()
            && self.segments_before.is_none()
            && self.taken_up.is_none())
    }
}
