//! The webhook channel: Standard Webhooks 1.0. The id and the body are the same in every attempt of a
//! page; only the timestamp and with it the signature differ.

use super::http::{Client, parse_url};
use super::letter::Letter;
use super::notice::webhook_type;
use super::payload::Payload;
use super::{Answer, Rendering};
use crate::core::time::Timestamp;
use crate::secret::Secret;
use crate::zone::rfc3339;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use sha2::Sha256;
use std::fmt;

/// The standard asks for bodies under 20 KB.
pub const BODY_BYTES_MAX: usize = 20_000;

const SECRET_PREFIX: &str = "whsec_";

/// One receiver of signed webhooks.
pub struct Webhook {
    client: Client,
    url: Url,
    keys: Vec<Vec<u8>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook(..)")
    }
}

impl Webhook {
    /// # Errors
    /// What is wrong with the url or a secret, without showing either.
    pub fn new(client: Client, url: &Secret, secrets: &[Secret]) -> Result<Webhook, String> {
        let url = parse_url(url)?;
        let keys = secrets.iter().map(signing_key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("a webhook needs at least one signing secret".to_owned());
        }
        Ok(Webhook { client, url, keys })
    }

    /// One attempt, begun at `now`.
    pub async fn send(&self, rendering: Rendering<'_>, now: Timestamp) -> Answer {
        let page = rendering.page;
        match body(rendering) {
            Some(body) => self.deliver(page.delivery_key, body, now).await,
            None => Answer::permanent("the body can't be written as json"),
        }
    }

    /// One attempt to send a letter: what it says in short and where it is, since the standard keeps bodies small.
    pub async fn post(&self, letter: &Letter, now: Timestamp) -> Answer {
        let body = serde_json::json!({
            "type": letter.kind,
            "timestamp": rfc3339(letter.written_at),
            "data": { "title": letter.title, "summary": summary_within(&letter.summary), "url": letter.url },
        });
        self.deliver(&letter.key, body.to_string().into_bytes(), now).await
    }

    async fn deliver(&self, key: &str, body: Vec<u8>, now: Timestamp) -> Answer {
        let at_secs = now.micros().div_euclid(1_000_000).to_string();
        let signatures: Vec<String> = self.keys.iter().map(|secret| signature(secret, key, &at_secs, &body)).collect();
        let values = [
            ("webhook-id", key.to_owned()),
            ("webhook-timestamp", at_secs),
            ("webhook-signature", signatures.join(" ")),
        ];
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (name, value) in values {
            let Ok(value) = HeaderValue::from_str(&value) else {
                return Answer::permanent("the delivery key can't be sent as a header");
            };
            headers.insert(HeaderName::from_static(name), value);
        }
        self.client.post(&self.url, headers, body, now).await
    }
}

/// The beginning of a summary, as much as a body holds however it is escaped.
fn summary_within(summary: &str) -> String {
    summary.chars().take(BODY_BYTES_MAX / 12).collect()
}

/// The key inside a signing secret.
///
/// # Errors
/// Where it isn't as the standard has it; the text doesn't show it.
pub fn signing_key(secret: &Secret) -> Result<Vec<u8>, String> {
    let key = secret.expose().trim().strip_prefix(SECRET_PREFIX).and_then(|text| STANDARD.decode(text).ok());
    key.filter(|key| (24..=64).contains(&key.len()))
        .ok_or_else(|| "a signing secret is \"whsec_\" and the base64 of 24 to 64 random bytes".to_owned())
}

fn signature(key: &[u8], id: &str, at_secs: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length, so this can't fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    for part in [id.as_bytes(), b".", at_secs.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    /// When the page was created; the attempt's own time is in the header.
    timestamp: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    alert_key: &'a str,
    /// The board, where the complete list is.
    url: Option<&'a str>,
    #[serde(flatten)]
    payload: &'a Payload,
}

fn body(rendering: Rendering<'_>) -> Option<Vec<u8>> {
    let Rendering { page, payload, title, public_url } = rendering;
    let r#type = webhook_type(&payload.about, page.kind);
    payload.fit(BODY_BYTES_MAX, |payload| {
        let data = Data { title: &title, alert_key: page.alert_key, url: public_url, payload };
        serde_json::to_vec(&Body { r#type, timestamp: &payload.created_at, data }).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::PageKind;
    use crate::pager::samples;
    use serde_json::Value;

    fn payload(cases: usize, category: &str) -> Payload {
        let mut payload = Payload { count: 4_711, ..samples::payload(cases) };
        payload.cases.iter_mut().for_each(|case| case.category = category.into());
        payload
    }

    fn rendered(payload: Payload, public_url: Option<&str>) -> (usize, Value) {
        let bytes = samples::rendered(payload, public_url, body).unwrap();
        (bytes.len(), serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn a_body_says_type_time_title_keys_and_cases() {
        let (_, body) = rendered(payload(2, "grooming"), Some("https://tocsin.example.org"));
        assert_eq!(body["type"], "incident.ring");
        assert_eq!(body["timestamp"], "2026-11-23T08:04:00Z");
        assert_eq!(body["data"]["alert_key"], "aaaa");
        assert_eq!(body["data"]["url"], "https://tocsin.example.org");
        assert_eq!(body["data"]["incident"], "I-42");
        assert_eq!(body["data"]["count"], 4_711);
        assert_eq!(body["data"]["cases"][1]["case"], "C-00000-00001");
        let title = body["data"]["title"].as_str().unwrap();
        assert!(title.starts_with("P0 minor safety overdue: 4711 cases, most urgent C-00000-00000"), "{title}");
        let resolve = Payload { kind: PageKind::Resolve, ..payload(0, "grooming") };
        assert_eq!(rendered(resolve, None).1["type"], "incident.resolved");
    }

    #[test]
    fn a_body_stays_under_20_kb_by_leaving_out_the_least_urgent() {
        let (full_bytes, full) = rendered(payload(50, "grooming"), None);
        assert!(full_bytes <= BODY_BYTES_MAX);
        assert_eq!(full["data"]["cases"].as_array().unwrap().len(), 50);

        let (bytes, cut) = rendered(payload(50, &"x".repeat(1_000)), None);
        let listed = cut["data"]["cases"].as_array().unwrap();
        assert!(bytes <= BODY_BYTES_MAX, "{bytes}");
        assert!((10..20).contains(&listed.len()), "{} cases are listed", listed.len());
        assert_eq!(listed[0]["case"], "C-00000-00000");
        assert_eq!(cut["data"]["count"], 4_711);

        let (bytes, none) = rendered(payload(3, &"x".repeat(50_000)), None);
        assert!(bytes <= BODY_BYTES_MAX);
        assert_eq!(none["data"]["cases"].as_array().unwrap().len(), 0);
        assert!(none["data"]["title"].as_str().unwrap().contains("C-00000-00000"));
    }

    #[test]
    fn a_signature_is_what_the_independent_verifier_makes() {
        let key: Vec<u8> = (0..32).collect();
        let theirs = standardwebhooks::Webhook::from_bytes(key.clone()).unwrap();
        let ours = signature(&key, "dddd", "1795420800", b"{\"a\":1}");
        assert_eq!(ours, theirs.sign("dddd", 1_795_420_800, b"{\"a\":1}").unwrap());
    }

    #[test]
    fn a_secret_that_the_standard_does_not_allow_is_refused_without_showing_it() {
        let key = |text: &str| signing_key(&Secret::new(text));
        assert_eq!(key(&format!("whsec_{}", STANDARD.encode([7; 24]))), Ok(vec![7; 24]));
        let refused = [
            format!("whsec_{}", STANDARD.encode([7; 23])),
            format!("whsec_{}", STANDARD.encode([7; 65])),
            STANDARD.encode([7; 32]),
            "whsec_not base64".to_owned(),
            String::new(),
        ];
        for text in refused {
            let error = key(&text).unwrap_err();
            assert!(error.contains("whsec_") && (text.is_empty() || !error.contains(&text)), "{error}");
        }
    }
}
