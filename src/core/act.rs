//! What a named person did, as the core hears of it: written to the store's inbox by whoever they spoke to,
//! applied by exactly one commit.

use super::id::{IncidentNo, Name};
use super::policy::Priority;
use super::quiet::Scope;
use super::selfcheck::Findings;
use super::time::Timestamp;
use super::told::Word;
use serde::{Deserialize, Serialize};

/// One entry of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its number in the inbox.
    pub inbox: i64,
    pub by: Name,
    /// When they did it, by the clock of the process that they spoke to.
    pub at: Timestamp,
    /// A program did it in their name, such as a pager product: it is not a person's deed.
    pub integration: bool,
    pub deed: Deed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// Takes an incident.
    Acknowledge { incident: IncidentNo },
    /// Takes an incident by one of its pages: without effect where something new has rung since.
    AcknowledgePage { incident: IncidentNo, round: u32 },
    /// Keeps an incident or a case below P0 from ringing until an instant.
    Snooze { scope: Scope, reason: Name, until: Timestamp },
    /// Keeps what is below P0 in a category or under an escalation from ringing between two instants.
    Window { scope: Scope, reason: Name, from: Timestamp, until: Timestamp },
    /// Ends a snooze or a window before its time.
    EndQuiet { no: i64 },
    /// Says something of a report, by the id that its table gives it.
    Tell { source: Name, report: Name, word: Word, at: Timestamp },
    /// Told by the outbox: a round has rung on a channel that stands in for one that failed, and is to be
    /// closed there too.
    FellBack { incident: IncidentNo, round: u32, channel: Name, priority: Priority },
    /// Rings the first step of an escalation, marked as a test.
    TestPage { escalation: Name },
    /// Told by the auditor: what in the store should have rung and did not, all of it as of now.
    Audit { found: Findings },
    /// Written by another version: taken up without effect, or it would come for ever.
    #[serde(other)]
    Unknown,
}

impl Deed {
    /// The name under which the inbox keeps it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Deed::Acknowledge { .. } => "acknowledge",
            Deed::AcknowledgePage { .. } => "acknowledge_page",
            Deed::Snooze { .. } => "snooze",
            Deed::Window { .. } => "window",
            Deed::EndQuiet { .. } => "end_quiet",
            Deed::Tell { .. } => "event",
            Deed::FellBack { .. } => "fell_back",
            Deed::TestPage { .. } => "test_page",
            Deed::Audit { .. } => "audit",
            Deed::Unknown => "unknown",
        }
    }
}

/// What became of a deed when the core took it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Done,
    /// No incident of this number is open.
    NotOpen,
    /// No open case holds this report.
    NotHeld,
    /// It said that a vanished report was looked into, but the report is there.
    NotVanished,
    /// The same person had said the same.
    SaidBefore,
    /// It was not to be had: what is P0 can't be kept quiet, or something new had rung.
    Refused,
    /// Written by another version.
    NotUnderstood,
}

impl Effect {
    pub const ALL: [Effect; 7] = [
        Effect::Done,
        Effect::NotOpen,
        Effect::NotHeld,
        Effect::NotVanished,
        Effect::SaidBefore,
        Effect::Refused,
        Effect::NotUnderstood,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::Done => "done",
            Effect::NotOpen => "not_open",
            Effect::NotHeld => "not_held",
            Effect::NotVanished => "not_vanished",
            Effect::SaidBefore => "said_before",
            Effect::Refused => "refused",
            Effect::NotUnderstood => "not_understood",
        }
    }

    pub fn parse(text: &str) -> Option<Effect> {
        Effect::ALL.into_iter().find(|effect| effect.as_str() == text)
    }
}

/// One line of the audit log: who did what to what, and what became of it. Written by the commit that takes
/// the deed up, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    pub taken_at: Timestamp,
    pub done_at: Timestamp,
    pub by: Name,
    pub integration: bool,
    /// As `Deed::kind`.
    pub kind: Name,
    /// What it was done to: "I-42", or a source and a report's id.
    pub subject: Name,
    /// What was said of a report, and when that happened.
    pub said: Option<(Name, Timestamp)>,
    pub effect: Effect,
}

impl Audited {
    /// `None` of what no person does: the outbox's and the auditor's own words.
    pub fn new(act: &Act, effect: Effect, taken_at: Timestamp) -> Option<Self> {
        let (subject, said) = match &act.deed {
            Deed::Acknowledge { incident } | Deed::AcknowledgePage { incident, .. } => (incident.to_string(), None),
            Deed::Snooze { scope, .. } | Deed::Window { scope, .. } => (scope.to_string(), None),
            Deed::EndQuiet { no } => (no.to_string(), None),
            Deed::Tell { source, report, word, at } => (format!("{source}:{report}"), Some((Name::from(*word), *at))),
            Deed::TestPage { escalation } => (escalation.to_string(), None),
            Deed::Unknown => (String::new(), None),
            Deed::FellBack { .. } | Deed::Audit { .. } => return None,
        };
        Some(Audited {
            taken_at,
            done_at: act.at,
            by: act.by.clone(),
            integration: act.integration,
            kind: act.deed.kind().into(),
            subject: subject.as_str().into(),
            said,
            effect,
        })
    }
}
