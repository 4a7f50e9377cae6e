//! The bodies of /api/v1 about single cases, incidents and pages.

use crate::core::clock::Ending;
use crate::core::plan::BreachRecord;
use crate::core::policy::{Priority, Standing};
use crate::store::AuditLine;
use crate::web::api::QueueEntry;
use crate::zone::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

/// Of GET /api/v1/cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CasesBody {
    pub now: String,
    pub cases: Vec<QueueEntry>,
    /// The cursor of the next page; null at the end.
    pub next: Option<String>,
}

/// Of GET /api/v1/cases/{reference}.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CaseBody {
    pub now: String,
    pub reference: String,
    pub source: String,
    /// Whether the source can be seen; the case is last known otherwise.
    pub source_seen: bool,
    #[schema(value_type = String, example = "P0")]
    pub priority: Priority,
    #[schema(value_type = String, example = "known")]
    pub standing: Standing,
    pub category: String,
    pub rule: String,
    /// Who is paged; null where nobody is.
    pub escalation: Option<String>,
    pub episode: u32,
    pub received: String,
    /// The ids of its reports, at most 1000.
    pub reports: Vec<String>,
    pub reopenings: u32,
    pub overdue: bool,
    pub ended: Option<String>,
    /// "violation", "no_violation", "closed" or "vanished"
    pub conclusion: Option<String>,
    pub incident: Option<String>,
    /// The report in the platform's own tool, where the configuration knows it.
    pub link: Option<String>,
    pub targets: Vec<TargetBody>,
    /// Every promise that was broken, by its deadline.
    pub breaches: Vec<BreachBody>,
}

/// A target, and why its deadline is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetBody {
    pub name: String,
    /// Imposed by a law or an authority.
    pub obligation: bool,
    pub from: String,
    pub until: String,
    /// "within 1h of calendar \"office\""
    pub due: String,
    pub started: Option<String>,
    pub met: Option<String>,
    pub deadline: Option<String>,
    /// "not_started", "running", "paused", "met", "due", "breached", "met_late" or "moot"
    pub state: String,
    /// From its start until it was met, or until now, without a gap.
    pub walk: Vec<StretchBody>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StretchBody {
    pub from: String,
    pub until: String,
    pub counted: bool,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BreachBody {
    pub target: String,
    pub deadline: String,
    pub detected_at: String,
    /// Missed before the monitor first saw the case.
    pub inherited: bool,
    /// "unverified", "verified" or "withdrawn"
    pub status: String,
    pub met_at: Option<String>,
    pub contradicted_at: Option<String>,
    pub policy_hash: String,
}

impl BreachBody {
    pub fn of(breach: &BreachRecord) -> Self {
        BreachBody {
            target: breach.target.to_string(),
            deadline: rfc3339(breach.deadline),
            detected_at: rfc3339(breach.detected_at),
            inherited: breach.inherited,
            status: breach.status.as_str().to_owned(),
            met_at: match breach.ended {
                Some(Ending::Met { at }) => Some(rfc3339(at)),
                _ => None,
            },
            contradicted_at: breach.contradicted_at.map(rfc3339),
            policy_hash: breach.policy_hash.to_string(),
        }
    }
}

/// Of GET /api/v1/incidents: those that are open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentsBody {
    pub now: String,
    pub incidents: Vec<IncidentBody>,
    /// The cursor of the next page; null at the end.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentBody {
    pub no: String,
    /// What it is about: a category, or a bundle, or the monitor itself.
    pub about: String,
    /// The reference of its case, of minor safety.
    pub case: Option<String>,
    #[schema(value_type = String, example = "P0")]
    pub priority: Priority,
    pub overdue_cases: u64,
    pub opened_at: String,
    /// Null while it is open.
    pub resolved_at: Option<String>,
    /// How often it has rung.
    pub rounds: u32,
    pub rung_at: Option<String>,
    pub next_ring_at: Option<String>,
    pub escalation: String,
    /// Who has taken it; null where nobody has.
    pub acknowledged_by: Option<String>,
    pub acknowledged_at: Option<String>,
}

/// Of GET /api/v1/incidents/{no}.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IncidentWithCases {
    #[serde(flatten)]
    pub incident: IncidentBody,
    /// The first of its overdue cases, at most 100.
    pub cases: Vec<QueueEntry>,
}

/// Of GET /api/v1/pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PagesBody {
    pub now: String,
    pub pages: Vec<PageBody>,
    /// The cursor of the next page; null at the end.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PageBody {
    pub id: i64,
    pub incident: String,
    /// "ring" or "resolve"
    pub kind: String,
    #[schema(value_type = String, example = "P0")]
    pub priority: Priority,
    pub channel: String,
    pub created_at: String,
    /// "queued", "sending", "retrying", "accepted", "parked" or "superseded"
    pub state: String,
    pub attempts: u32,
    /// A status or the kind of an error; never what a receiver wrote.
    pub last_answer: Option<String>,
    pub accepted_at: Option<String>,
    pub is_test: bool,
}

/// Of GET /api/v1/audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditBody {
    pub now: String,
    pub audit: Vec<AuditLineBody>,
    /// The cursor of the next page; null at the end.
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditLineBody {
    pub id: i64,
    /// When the engine took it up.
    pub taken_at: String,
    /// When it was done, by the clock of the process that was spoken to.
    pub done_at: String,
    pub by: String,
    /// A program did it in their name.
    pub integration: bool,
    pub kind: String,
    pub subject: String,
    /// What was said of a report, and when that happened.
    pub said: Option<String>,
    pub said_at: Option<String>,
    pub effect: String,
    /// From where, as far as it is known: "board 10.0.0.7", "link", "command line".
    pub origin: Option<String>,
}

impl AuditLineBody {
    pub fn of(line: &AuditLine) -> Self {
        AuditLineBody {
            id: line.id,
            taken_at: rfc3339(line.taken_at),
            done_at: rfc3339(line.done_at),
            by: line.by.clone(),
            integration: line.integration,
            kind: line.kind.clone(),
            subject: line.subject.clone(),
            said: line.said.as_ref().map(|(said, _)| said.clone()),
            said_at: line.said.as_ref().map(|(_, at)| rfc3339(*at)),
            effect: line.effect.clone(),
            origin: line.origin.clone(),
        }
    }
}
