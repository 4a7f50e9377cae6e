//! The GoAlert channel: its generic API. The alert key is its dedup, so that a retry joins the alert that it
//! repeats and a close finds it.

use super::details::details;
use super::http::{Client, accepted_only_as, endpoint};
use super::{Answer, Rendering};
use crate::core::plan::PageKind;
use crate::core::time::Timestamp;
use crate::secret::Secret;
use reqwest::Url;
use serde_json::json;
use std::fmt;

/// GoAlert cuts longer details, in characters.
const DETAILS_CHARS_MAX: usize = 6_144;

/// One integration key of a GoAlert service.
pub struct GoAlert {
    client: Client,
    /// With the token in its query: a secret as a whole.
    url: Url,
}

impl fmt::Debug for GoAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GoAlert(..)")
    }
}

impl GoAlert {
    /// # Errors
    /// What is wrong with the url or the token, without showing either.
    pub fn new(client: Client, base: &Secret, token: &Secret) -> Result<GoAlert, String> {
        let mut url = endpoint(base, "/api/v2/generic/incoming")?;
        let token = token.expose().trim();
        if token.is_empty() {
            return Err("its token is empty".to_owned());
        }
        url.query_pairs_mut().append_pair("token", token);
        Ok(GoAlert { client, url })
    }

    /// One attempt, begun at `now`.
    pub async fn send(&self, rendering: Rendering<'_>, now: Timestamp) -> Answer {
        accepted_only_as("204", self.client.post_json(&self.url, body(&rendering), now).await)
    }
}

fn body(rendering: &Rendering<'_>) -> Vec<u8> {
    let mut body = json!({
        "summary": rendering.title,
        "details": details(rendering, DETAILS_CHARS_MAX, str::to_owned),
        "dedup": rendering.page.alert_key,
    });
    if rendering.page.kind == PageKind::Resolve {
        body["action"] = "close".into();
    }
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::payload::Payload;
    use crate::pager::samples;
    use serde_json::Value;

    fn alert(payload: Payload) -> Value {
        serde_json::from_slice(&samples::rendered(payload, None, |page| body(&page))).unwrap()
    }

    #[test]
    fn a_ring_and_its_close_carry_the_same_dedup() {
        let ring = alert(samples::payload(1));
        assert_eq!(ring["summary"], "P0 minor safety overdue: C-00000-00000, first_response 4m late");
        assert!(ring["details"].as_str().unwrap().contains("\nC-00000-00000: P0 grooming, "));
        assert_eq!((&ring["dedup"], ring.get("action")), (&json!("aaaa"), None));
        let close = alert(Payload { kind: PageKind::Resolve, ..samples::payload(0) });
        assert_eq!((&close["dedup"], &close["action"]), (&json!("aaaa"), &json!("close")));
    }

    #[test]
    fn details_stay_within_what_goalert_keeps() {
        let mut payload = samples::payload(50);
        payload.cases.iter_mut().for_each(|case| case.category = "x".repeat(500));
        assert!(alert(payload)["details"].as_str().unwrap().chars().count() <= 6_144);
    }

    #[test]
    fn the_token_goes_into_the_query_and_into_nothing_that_is_shown() {
        let client = Client::new().unwrap();
        let goalert = GoAlert::new(client, &Secret::new("https://g.example.org/x/"), &Secret::new("a&b c")).unwrap();
        assert_eq!(goalert.url.as_str(), "https://g.example.org/x/api/v2/generic/incoming?token=a%26b+c");
        assert_eq!(format!("{goalert:?}"), "GoAlert(..)");
    }
}
