//! What a named person did, as the core hears of it: written to the store's inbox by whoever they spoke to,
//! applied by exactly one commit.

use super::id::{IncidentNo, Name};
use super::policy::Priority;
use super::selfcheck::Findings;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One entry of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its number in the inbox.
    pub inbox: i64,
    pub by: Name,
    /// When they did it, by the clock of the process that they spoke to.
    pub at: Timestamp,
    pub deed: Deed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// Takes an incident.
    Acknowledge { incident: IncidentNo },
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
            Deed::FellBack { .. } => "fell_back",
            Deed::TestPage { .. } => "test_page",
            Deed::Audit { .. } => "audit",
            Deed::Unknown => "unknown",
        }
    }
}
