//! The Slack channel: an incoming webhook. Slack knows no keys, so a page whose answer is lost shows twice, and
//! a resolve is a message of its own.

use super::details::details;
use super::http::{Client, parse_url};
use super::letter::Letter;
use super::{Answer, Rendering};
use crate::core::time::Timestamp;
use crate::secret::Secret;
use reqwest::Url;
use serde_json::json;
use std::fmt;

/// Slack refuses sections with longer texts, in characters.
const SECTION_CHARS_MAX: usize = 3_000;

/// Slack refuses longer headers, in characters.
const HEADER_CHARS_MAX: usize = 150;

/// One incoming webhook.
pub struct Slack {
    client: Client,
    url: Url,
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slack(..)")
    }
}

impl Slack {
    /// # Errors
    /// What is wrong with the url, without showing it.
    pub fn new(client: Client, url: &Secret) -> Result<Slack, String> {
        Ok(Slack { client, url: parse_url(url)? })
    }

    /// One attempt, begun at `now`.
    pub async fn send(&self, rendering: Rendering<'_>, now: Timestamp) -> Answer {
        self.client.post_json(&self.url, body(&rendering), now).await
    }

    /// One attempt to send a letter: its summary and the link to it.
    pub async fn post(&self, letter: &Letter, now: Timestamp) -> Answer {
        self.client.post_json(&self.url, letter_body(letter), now).await
    }
}

fn letter_body(letter: &Letter) -> Vec<u8> {
    let link = letter.url.as_ref().map_or_else(String::new, |url| format!("\n<{}|Read the report>", escape(url)));
    let room = SECTION_CHARS_MAX.saturating_sub(link.chars().count());
    // Cut before it is escaped, so that no escape is cut in two.
    let mut summary: Vec<String> = letter.summary.lines().skip(1).map(escape).collect();
    while summary.iter().map(|line| line.chars().count() + 1).sum::<usize>() > room {
        summary.pop();
    }
    let section = format!("{}{link}", summary.join("\n"));
    let header: String = letter.title.chars().take(HEADER_CHARS_MAX).collect();
    let body = json!({
        "text": escape(&letter.title),
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": header, "emoji": false } },
            { "type": "section", "text": { "type": "mrkdwn", "text": section, "verbatim": true } },
        ],
    });
    body.to_string().into_bytes()
}

fn body(rendering: &Rendering<'_>) -> Vec<u8> {
    let title = &rendering.title;
    let header: String = title.chars().take(HEADER_CHARS_MAX).collect();
    let section = details(rendering, SECTION_CHARS_MAX, escape);
    let body = json!({
        // What a notification shows.
        "text": escape(title),
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": header, "emoji": false } },
            { "type": "section", "text": { "type": "mrkdwn", "text": section, "verbatim": true } },
        ],
    });
    body.to_string().into_bytes()
}

/// Slack reads these three as its own marks: links, mentions of people, mentions of everybody.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::PageKind;
    use crate::pager::payload::Payload;
    use crate::pager::samples;
    use serde_json::Value;

    fn message(payload: Payload) -> Value {
        let bytes = samples::rendered(payload, Some("https://tocsin.example.org"), |page| body(&page));
        serde_json::from_slice(&bytes).unwrap()
    }

    fn texts(message: &Value) -> [&str; 3] {
        let block = |n: usize| message["blocks"][n]["text"]["text"].as_str().unwrap();
        [message["text"].as_str().unwrap(), block(0), block(1)]
    }

    #[test]
    fn a_message_has_title_and_cases_and_unfurls_nothing() {
        let message = message(samples::payload(1));
        let title = "P0 minor safety overdue: C-00000-00000, first_response 4m late";
        let [text, header, section] = texts(&message);
        assert_eq!((text, header), (title, title));
        assert!(section.contains("\nC-00000-00000: P0 grooming, ") && section.contains("https://tocsin.example.org"));
        assert_eq!((&message["unfurl_links"], &message["unfurl_media"]), (&json!(false), &json!(false)));
    }

    #[test]
    fn a_resolve_says_so() {
        let message = message(Payload { kind: PageKind::Resolve, ..samples::payload(0) });
        assert!(texts(&message)[0].starts_with("RESOLVED, I-42 P0"));
        assert!(texts(&message)[2].starts_with("Incident I-42, resolved, "));
    }

    #[test]
    fn limits_hold_and_no_name_mentions_everybody() {
        let mut payload = samples::payload(50);
        payload.priority = "P2".into();
        payload.cases.iter_mut().for_each(|case| case.category = "<!channel> & <@U1>".repeat(9));
        let message = message(payload);
        let [text, header, section] = texts(&message);
        assert!(header.chars().count() <= 150 && section.chars().count() <= 3_000);
        assert!(!text.contains('<') && !section.contains('<'));
        assert!(section.contains("&lt;!channel&gt; &amp; "));
    }
}
