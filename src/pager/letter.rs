//! A letter: a document that goes to people by a channel, such as a week's report. It rings nobody. Each
//! channel sends once and says what the answer means; its key is the same in every attempt.

use super::{Answer, Channels, Receiver};
use crate::core::id::Name;
use crate::core::time::Timestamp;
use arc_swap::ArcSwap;
use std::future::Future;
use std::sync::Arc;

/// What is sent; it holds figures and names, never content.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What a receiver de-duplicates by; hex.
    pub key: String,
    /// What kind of letter it is, such as "report.weekly".
    pub kind: &'static str,
    /// "SLA report 2026-W46"
    pub title: String,
    /// Plain text, a few lines.
    pub summary: String,
    /// Where it can be read.
    pub url: Option<String>,
    pub written_at: Timestamp,
    /// As a page of a browser; what mail shows.
    pub html: String,
    pub files: Vec<Enclosure>,
}

#[derive(Clone, Debug)]
pub struct Enclosure {
    pub name: String,
    pub media_type: &'static str,
    pub text: String,
}

/// The port through which letters leave.
pub trait Post: Send + Sync + 'static {
    /// One attempt, begun at `now`; what went wrong is an answer too.
    fn post(&self, channel: &Name, letter: &Letter, now: Timestamp) -> impl Future<Output = Answer> + Send;
}

impl<P: Post> Post for ArcSwap<P> {
    async fn post(&self, channel: &Name, letter: &Letter, now: Timestamp) -> Answer {
        let post = self.load_full();
        post.post(channel, letter, now).await
    }
}

impl<P: Post> Post for Arc<P> {
    fn post(&self, channel: &Name, letter: &Letter, now: Timestamp) -> impl Future<Output = Answer> + Send {
        P::post(self, channel, letter, now)
    }
}

impl Post for Channels {
    async fn post(&self, channel: &Name, letter: &Letter, now: Timestamp) -> Answer {
        let Some(channel) = self.channels.get(channel) else {
            return Answer::permanent("channel not configured");
        };
        match &channel.receiver {
            Receiver::Directory(directory) => directory.write(letter).await,
            Receiver::Email(email) => email.post(letter).await,
            Receiver::Webhook(webhook) => webhook.post(letter, now).await,
            Receiver::Slack(slack) => slack.post(letter, now).await,
            Receiver::Log => {
                tracing::info!(target: "tocsin::letter", title = letter.title, "{}", letter.summary.trim_end());
                Answer::accepted("logged")
            }
            _ => Answer::permanent("this channel rings people, it takes no letters"),
        }
    }
}
