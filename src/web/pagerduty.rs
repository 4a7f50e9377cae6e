//! PagerDuty's v3 webhooks: what a person presses there acknowledges here. Signed by a secret that may rotate,
//! delivered at least once and counted once; a "resolve" pressed there is an acknowledgement, and what an
//! integration does is nobody's.

use super::desk::{NAME_BYTES_MAX, Signed, person};
use super::{WebState, problem};
use crate::core::act::Deed;
use crate::core::time::{Span, Timestamp};
use crate::keys::{hex, same};
use crate::secret::Secret;
use crate::store::WEBHOOKS_KEPT;
use crate::zone::parse_rfc3339;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// Where PagerDuty posts to.
pub const PATH: &str = "/webhooks/pagerduty";
/// PagerDuty's own bodies are a few kilobytes.
pub const BODY_BYTES_MAX: u64 = 256 * 1024;
const SIGNATURE: &str = "x-pagerduty-signature";
/// Signatures looked at; PagerDuty sends one for each of its secrets.
const SIGNATURES_MAX: usize = 8;
/// How far ahead of ours PagerDuty's clock may be.
const AHEAD_MAX: Span = Span::from_mins(10);
/// No longer ago than this, so that what is forgotten here can't come a second time.
const AGE_MAX: Span = WEBHOOKS_KEPT.minus(Span::from_hours(24));

#[derive(Debug, Deserialize)]
struct Envelope {
    event: Event,
}

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    event_type: String,
    occurred_at: String,
    agent: Option<Agent>,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Agent {
    id: Option<String>,
    summary: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
struct Data {
    /// The dedup_key that opened the incident.
    incident_key: Option<String>,
}

/// Why an event changes nothing, for the log: none of them is an error of PagerDuty's.
enum Ignored {
    /// Of another kind, such as an annotation or the ping of a new subscription.
    Kind,
    /// An integration, an automation or PagerDuty itself.
    NoPerson,
    /// Not opened by an alert of ours.
    NotOurs,
}

pub async fn receive(State(state): State<WebState>, headers: HeaderMap, body: Bytes) -> Response {
    if state.pagerduty_secrets.is_empty() {
        return problem(StatusCode::NOT_FOUND, "set [web] pagerduty_webhook_secrets_env to take webhooks");
    }
    if !is_signed(&state.pagerduty_secrets, &headers, &body) {
        tracing::warn!("a PagerDuty webhook without a valid signature was refused; is its secret configured?");
        return problem(StatusCode::UNAUTHORIZED, "the signature is missing or of another secret");
    }
    let Ok(Envelope { event }) = serde_json::from_slice(&body) else {
        return problem(StatusCode::BAD_REQUEST, "the body is no v3 webhook");
    };
    let now = (state.now)();
    if !is_of_now(&event, now) {
        return problem(StatusCode::BAD_REQUEST, "the event is too old, or of the future");
    }
    let Some((key, by)) = judged(&event) else { return StatusCode::OK.into_response() };
    let Some(found) = state.within(state.desk.incident_of_alert(key)).await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer; send it again");
    };
    let Some((incident, round)) = found else {
        tell_ignored(&event, Ignored::NotOurs);
        return StatusCode::OK.into_response();
    };
    let deed = Deed::AcknowledgePage { incident, round };
    match state.within(state.desk.put_once(&event.id, &deed, Signed { by: &by, from: "PagerDuty", at: now })).await {
        Some(true) => StatusCode::ACCEPTED.into_response(),
        Some(false) => StatusCode::OK.into_response(),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer; send it again"),
    }
}

/// The key of the alert and who took it, where the event is a person's acknowledgement.
fn judged(event: &Event) -> Option<(&str, String)> {
    if !matches!(event.event_type.as_str(), "incident.acknowledged" | "incident.resolved") {
        tell_ignored(event, Ignored::Kind);
        return None;
    }
    let agent = event.agent.as_ref().filter(|agent| matches!(agent.kind.as_str(), "user_reference" | "user"));
    let Some(by) = agent.and_then(name_of) else {
        tell_ignored(event, Ignored::NoPerson);
        return None;
    };
    let Some(key) = event.data.incident_key.as_deref() else {
        tell_ignored(event, Ignored::NotOurs);
        return None;
    };
    Some((key, by))
}

/// "Ada Lovelace (PagerDuty)".
fn name_of(agent: &Agent) -> Option<String> {
    const FROM: &str = " (PagerDuty)";
    let name = agent.summary.as_deref().and_then(person).or(agent.id.as_deref().and_then(person))?;
    let room = NAME_BYTES_MAX - FROM.len();
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last()?;
    Some(format!("{}{FROM}", &name[..end]))
}

fn tell_ignored(event: &Event, why: Ignored) {
    let why = match why {
        Ignored::Kind => return,
        Ignored::NoPerson => "it was not pressed by a person, so the escalation goes on",
        Ignored::NotOurs => "no alert of ours opened the incident",
    };
    tracing::info!(event = event.event_type, why, "a PagerDuty webhook without effect");
}

fn is_of_now(event: &Event, now: Timestamp) -> bool {
    let at = parse_rfc3339(&event.occurred_at);
    let plain = !event.id.is_empty() && event.id.len() <= 256;
    plain && at.is_some_and(|at| at <= now.plus(AHEAD_MAX) && at >= now.minus(AGE_MAX))
}

/// Whether any of the signatures is by any of the secrets: both sides rotate.
fn is_signed(secrets: &[Secret], headers: &HeaderMap, body: &[u8]) -> bool {
    let given = headers.get_all(SIGNATURE).iter().filter_map(|value| value.to_str().ok());
    let given = given.flat_map(|value| value.split(',')).filter_map(|part| part.trim().strip_prefix("v1="));
    let given: Vec<&str> = given.take(SIGNATURES_MAX).collect();
    let signed_by = |secret: &Secret| {
        let ours = signature(secret, body);
        given.iter().any(|theirs| same(ours.as_bytes(), theirs.to_ascii_lowercase().as_bytes()))
    };
    secrets.iter().any(signed_by)
}

fn signature(secret: &Secret, body: &[u8]) -> String {
    // HMAC takes keys of any length, so this can't fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).unwrap_or_else(|_| unreachable!());
    mac.update(body);
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_published_example() {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(&Secret::new("Jefe"), b"what do ya want for nothing?"), expected);
    }

    #[test]
    fn only_a_person_has_a_name_and_it_fits() {
        let agent = |kind: &str, summary: &str| Agent {
            id: Some("P1".into()),
            summary: Some(summary.into()),
            kind: kind.into(),
        };
        assert_eq!(name_of(&agent("user_reference", "Ada Lovelace")).as_deref(), Some("Ada Lovelace (PagerDuty)"));
        assert_eq!(name_of(&agent("user_reference", "")).as_deref(), Some("P1 (PagerDuty)"));
        let long = name_of(&agent("user_reference", &"ä".repeat(126))).unwrap();
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("ä (PagerDuty)"));
    }
}
