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
    let urls = match &settings.kind {
        ChannelKind::Log => return Ok("the process's own log".to_owned()),
        ChannelKind::Email { smtp_url, from, to } => {
            return Email::new(smtp_url, from.as_deref(), to)?.greet().await;
        }
        ChannelKind::Directory { path } if path.is_dir() => return Ok(format!("the directory {}", path.display())),
        ChannelKind::Directory { path } => return Err(format!("{} is not a directory; create it", path.display())),
        ChannelKind::Webhook { url, .. } | ChannelKind::Slack { url } => vec![parse_url(url)?],
        ChannelKind::PagerDuty { base: Some(base), .. } | ChannelKind::GoAlert { base, .. } => {
            vec![endpoint(base, "")?]
        }
        ChannelKind::PagerDuty { base: None, .. } => vec![endpoint(&Secret::new(pagerduty::BASE), "")?],
        ChannelKind::Alertmanager { peers, .. } => {
            peers.iter().map(|peer| endpoint(peer, "")).collect::<Result<_, _>>()?
        }
    };
    let client = Client::new()?;
    let mut answers = Vec::new();
    for (at, url) in urls.iter().enumerate() {
        match client.reach(url).await {
            Answer { verdict: AnswerVerdict::Accepted, text } => answers.push(text),
            Answer { text, .. } if urls.len() == 1 => return Err(text),
            Answer { text, .. } => return Err(format!("peer {} of {}: {text}", at + 1, urls.len())),
        }
    }
    Ok(answers.join(", "))
}
