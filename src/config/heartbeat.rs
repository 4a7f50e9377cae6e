//! `[heartbeat]` and `[canary]`: how others notice that tocsin is silent, and how tocsin tries its own voice.

use super::channels::judge_url;
use super::read::{Reader, Table, within_bounds};
use super::rules::Terms;
use super::secrets::{Purpose, secret};
use crate::core::id::Name;
use crate::core::time::Span;
use crate::pager::heartbeat::{HeartbeatMethod, HeartbeatSettings};

const EVERY_DEFAULT: Span = Span::from_secs(60);
const EVERY_BOUNDS: (Span, Span) = (Span::from_secs(10), Span::from_hours(1));
const CANARY_BOUNDS: (Span, Span) = (Span::from_mins(15), Span::from_hours(31 * 24));

/// Which escalation the canary tests, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanarySettings {
    pub escalation: Name,
    pub every: Span,
}

pub fn heartbeat(r: &Reader, root: &Table) -> Option<HeartbeatSettings> {
    const EXAMPLE: &str = "url_env = \"HEALTHCHECKS_URL\"";
    let table =
        root.get("heartbeat")?.table(r, "[heartbeat]", &["url", "url_env", "url_file", "every", "method"], EXAMPLE)?;
    let url = secret(r, &table, "url", Purpose::Other, Some(EXAMPLE))?;
    let url = judge_url(r, url, "the heartbeat's url", "https://hc-ping.com/...");
    let every = match table.get("every") {
        None => Some(EVERY_DEFAULT),
        Some(entry) => {
            let span = entry.duration(r, "every = \"1m\"")?.span;
            within_bounds(r, &entry, span, "10s", "1h", EVERY_BOUNDS).then_some(span)
        }
    };
    let method = match table.get("method") {
        None => Some(HeartbeatMethod::Post),
        Some(entry) => entry.text(r, "method = \"POST\"").and_then(|text| match text.value {
            "POST" => Some(HeartbeatMethod::Post),
            "GET" => Some(HeartbeatMethod::Get),
            other => {
                let what = format!("a heartbeat is never sent by \"{other}\"");
                r.refuse(&text.place, what, "write \"POST\" or \"GET\"");
                None
            }
        }),
    };
    Some(HeartbeatSettings { url: url?, method: method?, every: every? })
}

pub fn canary(r: &Reader, root: &Table, terms: &Terms) -> Option<CanarySettings> {
    const EXAMPLE: &str = "escalation = \"on-call\"";
    let table = root.get("canary")?.table(r, "[canary]", &["escalation", "every"], EXAMPLE)?;
    let escalation = super::rules::escalation_name(r, &table.require(r, "escalation", EXAMPLE)?, terms);
    let every = table.require(r, "every", "every = \"24h\"")?;
    let span = every.duration(r, "every = \"24h\"")?.span;
    within_bounds(r, &every, span, "15m", "31d", CANARY_BOUNDS).then_some(())?;
    Some(CanarySettings { escalation: escalation?, every: span })
}
