//! `[heartbeat]` and `[canary]`: how others notice that tocsin is silent, and how tocsin tries its own voice.

use super::channels::judge_url;
use super::read::{Reader, Table, within_bounds};
use super::rules::Terms;
use super::secrets::{Purpose, secret};
use super::weekly;
use crate::core::id::Name;
use crate::core::time::Span;
use crate::pager::heartbeat::{HeartbeatMethod, HeartbeatSettings};
use crate::zone::cron::Rhythm;

const EVERY_DEFAULT: Span = Span::from_secs(60);
const EVERY_BOUNDS: (Span, Span) = (Span::from_secs(10), Span::from_hours(1));
const CANARY_BOUNDS: (Span, Span) = (Span::from_mins(15), Span::from_hours(31 * 24));

/// Which escalation the canary tests, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct CanarySettings {
    pub escalation: Name,
    pub rhythm: Rhythm,
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
    const KEYS: &[&str] = &["escalation", "every", "cron", "timezone"];
    let table = root.get("canary")?.table(r, "[canary]", KEYS, EXAMPLE)?;
    let escalation = super::rules::escalation_name(r, &table.require(r, "escalation", EXAMPLE)?, terms);
    let rhythm = match (table.get("every"), table.get("cron")) {
        (Some(_), Some(cron)) => {
            r.refuse(&cron.place, "a canary has either `every` or `cron`", "take one of them out");
            None
        }
        (None, Some(cron)) => {
            let (cron, zone) =
                (weekly::cron(r, &cron, "cron = \"0 9 * * *\", each morning at 9"), weekly::zone(r, &table));
            cron.zip(zone).map(|(cron, zone)| Rhythm::At(Box::new(cron), zone))
        }
        _ => every(r, &table),
    };
    Some(CanarySettings { escalation: escalation?, rhythm: rhythm? })
}

fn every(r: &Reader, table: &Table) -> Option<Rhythm> {
    const EXAMPLE: &str = "every = \"24h\"";
    let every = table.require(r, "every", EXAMPLE)?;
    let span = every.duration(r, EXAMPLE)?.span;
    within_bounds(r, &every, span, "15m", "31d", CANARY_BOUNDS).then_some(Rhythm::Every(span))
}
