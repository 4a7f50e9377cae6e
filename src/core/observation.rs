//! What a poll saw. An observation is the core's only knowledge of a report database: it is parsed at
//! the edge, so what is in it is already typed, and what could not be parsed is listed as a flaw.

use super::facts::{Fact, Facts};
use super::id::{Name, ReportId, Subject};
use super::sight::CLOCKS_APART_MAX;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What can happen to a report, by the only names the configuration, the store and the pages use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    Received,
    ValidRequest,
    AuthorityOrder,
    Confirmed,
    FirstResponse,
    ReviewerAction,
    DecisionSent,
    Removed,
    SecondReview,
    Overturned,
    ReporterNotified,
    Filed,
    Closed,
    Reopened,
}

impl EventName {
    pub const ALL: [EventName; 14] = [
        EventName::Received,
        EventName::ValidRequest,
        EventName::AuthorityOrder,
        EventName::Confirmed,
        EventName::FirstResponse,
        EventName::ReviewerAction,
        EventName::DecisionSent,
        EventName::Removed,
        EventName::SecondReview,
        EventName::Overturned,
        EventName::ReporterNotified,
        EventName::Filed,
        EventName::Closed,
        EventName::Reopened,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            EventName::Received => "received",
            EventName::ValidRequest => "valid_request",
            EventName::AuthorityOrder => "authority_order",
            EventName::Confirmed => "confirmed",
            EventName::FirstResponse => "first_response",
            EventName::ReviewerAction => "reviewer_action",
            EventName::DecisionSent => "decision_sent",
            EventName::Removed => "removed",
            EventName::SecondReview => "second_review",
            EventName::Overturned => "overturned",
            EventName::ReporterNotified => "reporter_notified",
            EventName::Filed => "filed",
            EventName::Closed => "closed",
            EventName::Reopened => "reopened",
        }
    }

    pub fn parse(text: &str) -> Option<EventName> {
        EventName::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who did it, as far as the source can tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The source maps no actor for this event: nothing can be enforced.
    Unmapped,
    /// An actor that matches a `people` pattern, by its id.
    Person(Name),
    /// An actor that matches an `automated` pattern.
    Automated,
    /// NULL, or an actor that matches no pattern. On P0 it counts as automated.
    Unknown,
}

/// Something that happened at an instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    pub name: EventName,
    pub by: Actor,
}

/// How a closure reads in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The source maps no outcome: nothing can be enforced.
    #[default]
    Unmapped,
    Violation,
    /// Anything that is not in `violation`, "duplicate" and NULL included.
    NoViolation,
}

/// When the report came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Received {
    At(Timestamp),
    /// NULL or not a time: the core anchors the report at its first sight and raises an alarm.
    Unreadable,
}

impl Received {
    /// The instant itself, where it can be read and a read that is taken in at `now` can have seen it. A report that came
    /// in after its read began, or by a clock that runs a little ahead, is not one of the future: that is what clocks
    /// can't explain, and usually a wrong zone.
    pub fn stated(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Received::At(at) => Some(at).filter(|at| *at <= now.plus(CLOCKS_APART_MAX)),
            Received::Unreadable => None,
        }
    }
}

/// One row of a report table, in the monitor's own terms. It has no field that could hold content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub received: Received,
    /// The reason code as the source writes it; empty when it is NULL or unreadable, which is in no
    /// list and therefore presumed P0.
    pub category: Name,
    /// Where a source is cased by the reported item; `None` makes the report its own case.
    pub subject: Option<Subject>,
    /// Every event but `received`, ordered by (at, name).
    pub events: Vec<Event>,
    /// Deadlines that the source itself states, by column name. NULL or empty: no entry.
    pub dues: Vec<(Name, Timestamp)>,
    pub paused: bool,
    pub verdict: Verdict,
    /// What predicates may read; a fact that the source doesn't map has no entry.
    #[serde(default)]
    pub facts: Facts,
}

impl Row {
    /// A row of which nothing is known but when it came in and its category.
    pub fn bare(received: Received, category: Name) -> Row {
        Row {
            received,
            category,
            subject: None,
            events: Vec::new(),
            dues: Vec::new(),
            paused: false,
            verdict: Verdict::Unmapped,
            facts: Vec::new(),
        }
    }

    /// The earliest event of this name.
    pub fn event(&self, name: EventName) -> Option<&Event> {
        self.events.iter().find(|event| event.name == name)
    }

    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|(known, _)| &**known == name).map(|(_, fact)| fact)
    }

    pub fn due(&self, column: &str) -> Option<Timestamp> {
        self.dues.iter().find(|(name, _)| &**name == column).map(|(_, at)| *at)
    }
}

/// A report as one read saw it. `row` is `None` when a read by key found no such row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub id: ReportId,
    pub row: Option<Row>,
}

/// Something in a row that could not be read. It names the place and the kind, never the value:
/// the value may be content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reject {
    /// `None` when the row has no id: no case can be made of it and the operators are alarmed.
    pub id: Option<ReportId>,
    pub column: Name,
    pub flaw: Flaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// The row has no id.
    NoId,
    /// A NULL where a value is needed.
    Missing,
    /// Not a time in the encoding that the configuration names.
    NotATime,
    /// A time outside the years 1970 to 9999.
    TimeOutOfRange,
    /// Not text, not a number, or a type that the column cannot have.
    WrongType,
    /// Text that no id, category or state can be: a NUL byte, or longer than 256 bytes.
    BadText,
}

impl Flaw {
    pub const fn as_str(self) -> &'static str {
        match self {
            Flaw::NoId => "no_id",
            Flaw::Missing => "missing",
            Flaw::NotATime => "not_a_time",
            Flaw::TimeOutOfRange => "time_out_of_range",
            Flaw::WrongType => "wrong_type",
            Flaw::BadText => "bad_text",
        }
    }
}
