//! The bodies of /api/v1. They hold references, ids, categories and times, never content. The page and
//! `tocsin queue` are made of the same bodies, so that all three say the same.

use super::words::{self, Summary};
use crate::core::id::{Name, ReportId};
use crate::core::policy::{Priority, Standing};
use crate::core::sight::Blindness;
use crate::core::time::{Span, Timestamp};
use crate::core::view::{QueueRow, View};
use crate::keys::Keys;
use crate::status::{Failure, Sight, SourceStatus, Status, Unready};
use crate::zone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use utoipa::ToSchema;

/// What a body is built from: one moment of the monitor.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub view: &'a View,
    pub status: &'a Status,
    pub keys: &'a Keys,
    /// The platform's own review tool by source, with `{id}` for the report's id.
    pub links: &'a BTreeMap<Name, String>,
    pub now: Timestamp,
}

/// Of GET /api/v1/queue: the queue in rank order, from its head or from a cursor. `rank` counts within the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueBody {
    /// RFC 3339 in UTC, like every time here.
    pub now: String,
    /// When the engine last applied a change; null before the first.
    pub as_of: Option<String>,
    pub mode: String,
    pub summary: Summary,
    /// Sources of which nothing is known at present.
    pub unseen: Vec<UnseenSource>,
    /// Categories in no list of the configuration: their reports are presumed minor safety.
    pub presumed_categories: Vec<PresumedCategory>,
    pub queue: Vec<QueueEntry>,
    /// The cursor of the next page of it; null at its end.
    #[serde(default)]
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnseenSource {
    pub source: String,
    /// "blind", "in_doubt" or "not_yet_read"
    pub state: String,
    pub since: String,
    pub cause: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PresumedCategory {
    pub source: String,
    pub category: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueEntry {
    pub rank: usize,
    /// tocsin's own name of the case, "C-XXXXX-XXXXX"; the only one that leaves the house.
    pub reference: String,
    pub source: String,
    /// Whether the source can be seen; the entry is last known otherwise.
    pub source_seen: bool,
    /// The earliest report of the case.
    pub report_id: String,
    pub reports: u32,
    pub episode: u32,
    pub category: String,
    #[schema(value_type = String, example = "P0")]
    pub priority: Priority,
    /// "known" or "presumed"
    #[schema(value_type = String, example = "known")]
    pub standing: Standing,
    pub rule: String,
    pub received: String,
    pub received_age_secs: i64,
    /// The earliest unmet deadline; null when no target runs.
    pub next: Option<NextEntry>,
    pub overdue: bool,
    /// Paged without proof, because the database could not be seen at the deadline.
    pub unverified: bool,
    pub incident: Option<String>,
    /// The report in the platform's own tool, where the configuration knows it.
    pub link: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextEntry {
    pub target: String,
    pub until: String,
    pub deadline: String,
    /// Negative once it has passed; whole seconds, rounded down.
    pub due_in_secs: i64,
}

impl QueueBody {
    /// Of these rows.
    pub fn of(moment: Moment<'_>, rows: &[QueueRow]) -> Self {
        let Moment { view, status, now, .. } = moment;
        let presumed = view.presumed_categories.iter();
        QueueBody {
            now: zone::rfc3339(now),
            as_of: view.as_of.map(zone::rfc3339),
            mode: status.mode.as_str().to_owned(),
            summary: Summary::of(view, status, now),
            unseen: status.sources.iter().filter_map(|source| UnseenSource::of(source, status, now)).collect(),
            presumed_categories: presumed
                .map(|(source, category)| PresumedCategory {
                    source: source.to_string(),
                    category: category.to_string(),
                })
                .collect(),
            queue: rows.iter().enumerate().map(|(i, row)| QueueEntry::of(moment, i + 1, row)).collect(),
            next: None,
        }
    }
}

impl UnseenSource {
    fn of(source: &SourceStatus, status: &Status, now: Timestamp) -> Option<Self> {
        let sight = source.sight(status.started_at, now);
        let state = sight.as_str().to_owned();
        let (since, cause) = match sight {
            Sight::Clear | Sight::Failing { .. } => return None,
            Sight::NotYet => (status.started_at, "the first read is under way".to_owned()),
            Sight::Doubted { since, cause } | Sight::Blind { since, cause } => (since, cause),
        };
        Some(UnseenSource { source: source.name.to_string(), state, since: zone::rfc3339(since), cause })
    }
}

impl QueueEntry {
    pub fn of(moment: Moment<'_>, rank: usize, row: &QueueRow) -> QueueEntry {
        let source = &row.first_report.source;
        let now = moment.now;
        QueueEntry {
            rank,
            reference: moment.keys.reference(&row.episode.case),
            source: source.to_string(),
            source_seen: moment.status.sees(source, now),
            report_id: row.first_report.id.to_string(),
            reports: row.reports,
            episode: row.episode.episode,
            category: row.category.to_string(),
            priority: row.priority,
            standing: row.standing,
            rule: row.rule.to_string(),
            received: zone::rfc3339(row.received),
            received_age_secs: now.since(row.received).secs(),
            next: row.next.as_ref().map(|next| NextEntry {
                target: next.target.to_string(),
                until: next.until.to_string(),
                deadline: zone::rfc3339(next.deadline),
                due_in_secs: next.deadline.since(now).secs(),
            }),
            overdue: row.overdue,
            unverified: row.unverified,
            incident: row.incident.map(|no| no.to_string()),
            link: moment.links.get(source).and_then(|template| link(template, &row.first_report.id)),
        }
    }

    pub fn priority_words(&self) -> &'static str {
        words::priority_words(self.priority, self.standing)
    }

    pub fn category_words(&self) -> &str {
        words::category_words(&self.category)
    }

    pub fn due_words(&self) -> String {
        match &self.next {
            Some(next) => words::due_words(Span::from_secs(next.due_in_secs), self.overdue, self.unverified),
            None => "no deadline".to_owned(),
        }
    }

    /// How long ago it was received.
    pub fn age(&self) -> Span {
        Span::from_secs(self.received_age_secs.max(0))
    }
}

/// Puts the id into the configured link, percent-encoded so that no id can change where it leads.
/// Anything but http and https is no link.
pub fn link(template: &str, id: &ReportId) -> Option<String> {
    if !template.starts_with("https://") && !template.starts_with("http://") {
        return None;
    }
    let mut encoded = String::new();
    for byte in id.to_string().bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if plain {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").ok()?;
        }
    }
    Some(template.replace("{id}", &encoded))
}

/// Of GET /api/v1/status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusBody {
    pub version: String,
    pub mode: String,
    pub deployment: String,
    pub leader: bool,
    pub now: String,
    pub started_at: String,
    pub engine_alive_at: Option<String>,
    pub ready: bool,
    pub summary: Summary,
    pub store: StoreBody,
    pub sources: Vec<SourceBody>,
    /// Why the last reload of the configuration was refused; the one before it holds.
    #[serde(default)]
    pub reload_refused: Option<FailureBody>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreBody {
    pub writable: bool,
    pub sequence: u64,
    pub last_commit: Option<String>,
    pub last_error: Option<FailureBody>,
    /// Whether its clock is apart from the monitor's.
    #[serde(default)]
    pub blind: Vec<BlindBody>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceBody {
    pub name: String,
    /// "seen", "failing", "in_doubt", "not_yet_read" or "blind"
    pub state: String,
    /// Every way in which it is blind.
    #[serde(default)]
    pub blind: Vec<BlindBody>,
    pub last_ok: Option<String>,
    pub last_error: Option<FailureBody>,
    pub poll_every_ms: i64,
    pub stale_after_ms: i64,
    pub last_poll_took_ms: Option<i64>,
    /// How much of it the database took.
    #[serde(default)]
    pub last_poll_database_ms: Option<i64>,
    /// By priority, the time since which not all of it has been read, or told as unchanged.
    #[serde(default)]
    pub staleness_ms: BTreeMap<String, i64>,
    pub rows_last_scan: u64,
    pub caught_up: bool,
}

/// One way to be blind: its name, since when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlindBody {
    /// "stale", "refused", "timed_out", "failed", "replica_lag", "clocks_apart", "rejects", "silent" or "too_few"
    pub kind: String,
    pub since: String,
    pub why: String,
    /// Which categories, where it isn't the whole source.
    pub categories: Vec<String>,
}

impl BlindBody {
    fn of(blindness: &Blindness) -> Self {
        BlindBody {
            kind: blindness.kind.to_string(),
            since: zone::rfc3339(blindness.since),
            why: blindness.why.to_string(),
            categories: blindness.categories.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureBody {
    pub at: String,
    pub cause: String,
}

/// Of GET /readyz, and the reason of its 503.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyBody {
    pub ready: bool,
    pub reasons: Vec<ReasonBody>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReasonBody {
    /// "engine_silent", "not_leading", "store_not_writable", "source_not_seen" or "source_in_doubt"
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The way in which the source is blind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    pub detail: String,
}

impl StatusBody {
    pub fn of(moment: Moment<'_>) -> Self {
        let Moment { view, status, now, .. } = moment;
        StatusBody {
            version: status.version.to_owned(),
            mode: status.mode.as_str().to_owned(),
            deployment: status.deployment.clone(),
            leader: status.leader,
            now: zone::rfc3339(now),
            started_at: zone::rfc3339(status.started_at),
            engine_alive_at: status.engine_alive_at.map(zone::rfc3339),
            ready: status.unready(now).is_empty(),
            summary: Summary::of(view, status, now),
            store: StoreBody {
                writable: status.store.failing().is_none(),
                sequence: status.store.sequence,
                last_commit: status.store.last_commit.map(zone::rfc3339),
                last_error: status.store.last_error.as_ref().map(FailureBody::of),
                blind: status.store.blind.iter().map(BlindBody::of).collect(),
            },
            sources: status.sources.iter().map(|source| SourceBody::of(source, status.started_at, now)).collect(),
            reload_refused: status.reload.refused.as_ref().map(FailureBody::of),
        }
    }
}

impl SourceBody {
    fn of(source: &SourceStatus, started_at: Timestamp, now: Timestamp) -> Self {
        let millis = |span: Span| span.micros() / 1_000;
        SourceBody {
            name: source.name.to_string(),
            state: source.sight(started_at, now).as_str().to_owned(),
            blind: source.blindness(started_at, now).iter().map(BlindBody::of).collect(),
            last_ok: source.last_ok.map(zone::rfc3339),
            last_error: source.last_error.as_ref().map(FailureBody::of),
            poll_every_ms: millis(source.poll_every),
            stale_after_ms: millis(source.stale_after),
            last_poll_took_ms: source.last_poll_took.map(millis),
            last_poll_database_ms: source.last_poll_database.map(millis),
            staleness_ms: source.looked_at.iter().map(|(p, at)| (p.to_string(), millis(now.since(*at)))).collect(),
            rows_last_scan: source.rows_last_scan,
            caught_up: source.caught_up,
        }
    }
}

impl FailureBody {
    fn of(failure: &Failure) -> Self {
        FailureBody { at: zone::rfc3339(failure.at), cause: failure.cause.clone() }
    }
}

impl ReadyBody {
    pub fn of(status: &Status, now: Timestamp) -> Self {
        let reasons: Vec<ReasonBody> = status.unready(now).iter().map(ReasonBody::of).collect();
        ReadyBody { ready: reasons.is_empty(), reasons }
    }
}

impl ReasonBody {
    fn of(unready: &Unready) -> Self {
        let of = |reason: &str, source: Option<&Name>, kind: Option<String>, detail: String| ReasonBody {
            reason: reason.to_owned(),
            source: source.map(ToString::to_string),
            kind,
            detail,
        };
        match unready {
            Unready::EngineSilent { secs } => {
                let detail = format!("the engine has taken up nothing for {}", Span::from_secs(*secs));
                of("engine_silent", None, None, detail)
            }
            Unready::NotLeading => of(
                "not_leading",
                None,
                None,
                "standby: another process leads this store, and this one takes over".to_owned(),
            ),
            Unready::StoreNotWritable { cause } => of("store_not_writable", None, None, cause.clone()),
            Unready::SourceNotYetRead { source } => {
                of("source_not_seen", Some(source), None, "the first read is under way".to_owned())
            }
            Unready::Blind { source, blindness } => {
                let (reason, since) = if blindness.kind.hides() {
                    ("source_not_seen", "not seen since")
                } else {
                    ("source_in_doubt", "in doubt since")
                };
                let detail = format!("{since} {}: {}", zone::rfc3339(blindness.since), blindness.why);
                of(reason, Some(source), Some(blindness.kind.to_string()), detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_change_where_a_link_leads() {
        let of = |template: &str, id: &str| link(template, &ReportId::Text(id.into()));
        let template = "https://mod.example.org/reports/{id}";
        assert_eq!(of(template, "a-1"), Some("https://mod.example.org/reports/a-1".into()));
        let hostile = of(template, "../x?y=\"><script>");
        assert_eq!(hostile, Some("https://mod.example.org/reports/..%2Fx%3Fy%3D%22%3E%3Cscript%3E".into()));
        assert_eq!(of("javascript:alert({id})", "1"), None);
    }
}
