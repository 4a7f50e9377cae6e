//! The PagerDuty channel: Events API v2. The alert key is the dedup_key, so that a retry joins the alert that
//! it repeats and a resolve closes it.

use super::http::{Client, accepted_only_as, endpoint};
use super::payload::{Payload, PayloadAbout};
use super::{Answer, Rendering};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use crate::secret::Secret;
use reqwest::Url;
use serde::Serialize;
use std::fmt;

/// Where PagerDuty takes events, but for accounts in its European region.
pub const BASE: &str = "https://events.pagerduty.com";

/// PagerDuty refuses what is longer than 512 KB.
const BODY_BYTES_MAX: usize = 500_000;

/// One integration of a PagerDuty service.
pub struct PagerDuty {
    client: Client,
    url: Url,
    routing_key: Secret,
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PagerDuty(..)")
    }
}

impl PagerDuty {
    /// # Errors
    /// What is wrong with the url or the routing key, without showing either.
    pub fn new(client: Client, base: Option<&Secret>, routing_key: &Secret) -> Result<PagerDuty, String> {
        let own = Secret::new(BASE);
        let url = endpoint(base.unwrap_or(&own), "/v2/enqueue")?;
        if !is_routing_key(routing_key) {
            return Err("a routing key has 32 letters and digits".to_owned());
        }
        Ok(PagerDuty { client, url, routing_key: routing_key.clone() })
    }

    /// One attempt, begun at `now`.
    pub async fn send(&self, rendering: Rendering<'_>, now: Timestamp) -> Answer {
        let Some(body) = body(rendering, self.routing_key.expose()) else {
            return Answer::permanent("the body can't be written as json");
        };
        accepted_only_as("202", self.client.post_json(&self.url, body, now).await)
    }
}

/// Whether it looks like the integration key of a service.
pub fn is_routing_key(key: &Secret) -> bool {
    key.expose().len() == 32 && key.expose().bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Alert<'a>>,
    client: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<&'a str>,
}

#[derive(Serialize)]
struct Link<'a> {
    href: &'a str,
    text: &'static str,
}

#[derive(Serialize)]
struct Alert<'a> {
    summary: &'a str,
    source: &'static str,
    severity: &'static str,
    timestamp: &'a str,
    custom_details: &'a Payload,
}

fn body(rendering: Rendering<'_>, routing_key: &str) -> Option<Vec<u8>> {
    let Rendering { page, payload, title, public_url } = rendering;
    payload.fit(BODY_BYTES_MAX, |payload| {
        let alert = Alert {
            summary: &title,
            source: "tocsin",
            severity: severity(page.priority, &payload.about),
            timestamp: &payload.created_at,
            custom_details: payload,
        };
        let acknowledge = payload.acknowledge.as_deref();
        let (event_action, payload) = match page.kind {
            PageKind::Ring => ("trigger", Some(alert)),
            PageKind::Resolve => ("resolve", None),
        };
        let dedup_key = page.alert_key;
        let links = acknowledge.map(|href| Link { href, text: "Acknowledge in tocsin" }).into_iter().collect();
        let event =
            Event { routing_key, event_action, dedup_key, payload, client: "tocsin", links, client_url: public_url };
        serde_json::to_vec(&event).ok()
    })
}

/// A warning is never as loud as the breach that it warns of.
const fn severity(priority: Priority, about: &PayloadAbout) -> &'static str {
    match priority {
        Priority::P0 | Priority::P1 if matches!(about, PayloadAbout::Warning) => "warning",
        Priority::P0 => "critical",
        Priority::P1 => "error",
        Priority::P2 => "warning",
        Priority::P3 | Priority::P4 => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::samples;
    use serde_json::{Value, json};

    fn event(payload: Payload) -> Value {
        let board = Some("https://tocsin.example.org");
        let bytes = samples::rendered(payload, board, |page| body(page, "R0UT1NG")).unwrap();
        assert!(bytes.len() <= BODY_BYTES_MAX);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_trigger_has_what_the_api_requires_and_references_only() {
        let expected = json!({
            "routing_key": "R0UT1NG",
            "event_action": "trigger",
            "dedup_key": "aaaa",
            "client": "tocsin",
            "client_url": "https://tocsin.example.org",
            "payload": {
                "summary": "P0 minor safety overdue: C-00000-00000, first_response 4m late",
                "source": "tocsin",
                "severity": "critical",
                "timestamp": "2026-11-23T08:04:00Z",
                "custom_details": serde_json::to_value(samples::payload(1)).unwrap(),
            },
        });
        assert_eq!(event(samples::payload(1)), expected);
    }

    #[test]
    fn a_resolve_is_its_key_alone() {
        let resolve = event(Payload { kind: PageKind::Resolve, ..samples::payload(0) });
        assert_eq!((&resolve["event_action"], &resolve["dedup_key"]), (&json!("resolve"), &json!("aaaa")));
        assert_eq!(resolve.get("payload"), None);
    }

    #[test]
    fn the_priority_is_the_severity() {
        let of = |priority: &str| event(Payload { priority: priority.into(), ..samples::payload(1) });
        let severities = ["P0", "P1", "P2", "P3", "P4"].map(|priority| of(priority)["payload"]["severity"].clone());
        assert_eq!(severities, ["critical", "error", "warning", "info", "info"]);
        let warning = |priority: &str| {
            let payload = Payload { about: PayloadAbout::Warning, ..samples::payload(1) };
            event(Payload { priority: priority.into(), ..payload })["payload"]["severity"].clone()
        };
        assert_eq!(["P0", "P1", "P2", "P3"].map(warning), ["warning", "warning", "warning", "info"]);
    }

    #[test]
    fn an_event_stays_under_512_kb_and_its_summary_under_1024_characters() {
        let mut payload = samples::payload(50);
        payload.cases.iter_mut().for_each(|case| case.category = "x".repeat(50_000));
        let event = event(payload);
        assert!(event["payload"]["custom_details"]["cases"].as_array().unwrap().len() < 10);
        assert!(event["payload"]["summary"].as_str().unwrap().chars().count() <= 1_024);
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_showing_it() {
        let client = Client::new().unwrap();
        for key in ["hidden", "hidden-hidden-hidden-hidden-hidd", ""] {
            let error = PagerDuty::new(client.clone(), None, &Secret::new(key)).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!(PagerDuty::new(client, None, &Secret::new("0123456789abcdef0123456789ABCDEF")).is_ok());
    }
}
