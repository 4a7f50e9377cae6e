//! Snoozes and maintenance windows as the page and GET /api/v1/quiets say them: never silent about silence.

use super::api::Moment;
use super::when::{Spoken, When};
use super::words::utc_words;
use crate::core::quiet::{Quiet, Scope};
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::zone;
use serde::Serialize;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QuietEntry {
    /// "Q-17": what ends it before its time.
    pub no: String,
    pub what: String,
    /// RFC 3339, UTC.
    pub from: String,
    pub until: String,
    pub by: String,
    pub reason: String,
    pub in_force: bool,
    #[serde(skip)]
    #[schema(ignore)]
    pub from_words: String,
    #[serde(skip)]
    #[schema(ignore)]
    pub until_words: String,
    #[serde(skip)]
    #[schema(ignore)]
    pub until_at: Timestamp,
}

impl QuietEntry {
    /// How long it lasts yet.
    pub fn left(&self, spoken: &Option<Timestamp>) -> When {
        When::new(self.until_at, Spoken::In, *spoken)
    }
}

/// Those in force or to come.
pub fn entries(moment: Moment<'_>) -> Vec<QuietEntry> {
    let entry = |quiet: &Quiet| QuietEntry {
        no: format!("Q-{}", quiet.no),
        what: what(&quiet.scope, moment.keys),
        from: zone::rfc3339(quiet.from),
        until: zone::rfc3339(quiet.until),
        by: quiet.by.to_string(),
        reason: quiet.reason.to_string(),
        in_force: quiet.is_in_force(moment.now),
        from_words: utc_words(quiet.from, moment.now),
        until_words: utc_words(quiet.until, moment.now),
        until_at: quiet.until,
    };
    moment.view.quiets.iter().filter(|quiet| !quiet.is_over(moment.now)).map(entry).collect()
}

/// What is kept quiet, in words.
pub fn what(scope: &Scope, keys: &Keys) -> String {
    match scope {
        Scope::Incident(no) => format!("incident {no}"),
        Scope::Case(case) => format!("case {}", keys.reference(case)),
        Scope::Category(name) => format!("category {name}"),
        Scope::Escalation(name) => format!("escalation {name}"),
    }
}
