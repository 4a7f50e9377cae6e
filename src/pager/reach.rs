//! Whether a channel's receiver can be reached, without sending it a page: a connection, over TLS one
//! HEAD of the root, which has no token in it, or a mail server's greeting. Name, address, TLS and trust are
//! those of a real page.

use super::email::Email;
use super::http::{Client, endpoint, parse_url};
use super::{Answer, AnswerVerdict, ChannelKind, ChannelSettings, pagerduty};
use crate::secret::Secret;

/// What answered, for people.
///
/// # Errors
/// Why nothing did, without the url.
pub async fn reach(settings: &ChannelSettings) -> Result<String, String> {
    let url = match &settings.kind {
        ChannelKind::Log => return Ok("the process's own log".to_owned()),
        ChannelKind::Email { smtp_url, from, to } => {
            return Email::new(smtp_url, from.as_deref(), to)?.greet().await;
        }
        ChannelKind::Webhook { url, .. } | ChannelKind::Slack { url } => parse_url(url)?,
        ChannelKind::PagerDuty { base: Some(base), .. } | ChannelKind::GoAlert { base, .. } => endpoint(base, "")?,
        ChannelKind::PagerDuty { base: None, .. } => endpoint(&Secret::new(pagerduty::BASE), "")?,
    };
    match Client::new()?.reach(&url).await {
        Answer { verdict: AnswerVerdict::Accepted, text } => Ok(text),
        Answer { text, .. } => Err(text),
    }
}
