//! Pages on their way out: the closed payload, and one file a channel that renders and sends it. A channel
//! sends once and says what the answer means; keeping, trying again and recording are the outbox's.

pub mod http;
pub mod log;
pub mod payload;
pub mod title;
pub mod webhook;

use crate::core::id::{IncidentNo, Name};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::secret::Secret;
use payload::Payload;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use webhook::Webhook;

/// How long a receiver may take to answer. A page is leased for longer.
pub const REQUEST_TIMEOUT: Span = Span::from_secs(15);

/// Where pages go.
#[derive(Clone, Debug)]
pub enum ChannelSettings {
    /// The process's own log.
    Log,
    /// Standard Webhooks 1.0; several secrets while one rotates, the newest first.
    Webhook { url: Secret, secrets: Vec<Secret> },
}

/// What a receiver's answer means for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub verdict: AnswerVerdict,
    /// For people, such as "202", "429" or "connection refused"; never a body.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerVerdict {
    Accepted,
    /// Try again, not before `after` where the receiver says so.
    Retry {
        after: Option<Span>,
    },
    /// A permanent error: trying again changes nothing until somebody changes the configuration.
    Permanent,
}

impl Answer {
    pub fn accepted(text: impl Into<String>) -> Self {
        Answer { verdict: AnswerVerdict::Accepted, text: text.into() }
    }

    pub fn retry(text: impl Into<String>) -> Self {
        Answer { verdict: AnswerVerdict::Retry { after: None }, text: text.into() }
    }

    pub fn permanent(text: impl Into<String>) -> Self {
        Answer { verdict: AnswerVerdict::Permanent, text: text.into() }
    }
}

/// A page as a channel gets it: its keys and its frozen payload, the same in every attempt.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub channel: &'a Name,
    pub incident: IncidentNo,
    pub round: u32,
    pub kind: PageKind,
    pub priority: Priority,
    pub created_at: Timestamp,
    pub alert_key: &'a str,
    pub delivery_key: &'a str,
    /// [`Payload`] as JSON, as it was when the page was created.
    pub payload: &'a str,
}

/// The port through which pages leave. Tests decorate it; [`Channels`] is the one implementation.
pub trait Sender: Send + Sync + 'static {
    /// One attempt, begun at `now`. It never fails: what went wrong is an answer too. Dropping the
    /// future gives the attempt up.
    fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> impl Future<Output = Answer> + Send;
}

impl<P: Sender> Sender for Arc<P> {
    fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> impl Future<Output = Answer> + Send {
        P::send(self, page, now)
    }
}

/// A channel that can't be built from its settings. It never shows a url or a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("channel \"{channel}\": {what}")]
pub struct ChannelError {
    pub channel: Name,
    pub what: String,
}

/// Every configured channel, ready to send.
#[derive(Debug)]
pub struct Channels {
    channels: BTreeMap<Name, Channel>,
    public_url: Option<String>,
}

#[derive(Debug)]
enum Channel {
    Log,
    Webhook(Webhook),
}

impl Channels {
    /// `public_url` is where people reach the board, put into pages as a link; without one they carry none.
    ///
    /// # Errors
    /// Where a channel's url or a signing secret can't be used; the error names the channel.
    pub fn new(
        settings: BTreeMap<Name, ChannelSettings>,
        public_url: Option<String>,
    ) -> Result<Channels, ChannelError> {
        let uses_http = settings.values().any(|settings| matches!(settings, ChannelSettings::Webhook { .. }));
        let client = if uses_http { Some(http::Client::new()) } else { None };
        let build = |(name, settings): (Name, ChannelSettings)| {
            let built = match (&settings, &client) {
                (ChannelSettings::Log, _) => Ok(Channel::Log),
                (ChannelSettings::Webhook { url, secrets }, Some(Ok(client))) => {
                    Webhook::new(client.clone(), url, secrets).map(Channel::Webhook)
                }
                (ChannelSettings::Webhook { .. }, Some(Err(what))) => Err(what.clone()),
                (ChannelSettings::Webhook { .. }, None) => Err("there is no http client for it".to_owned()),
            };
            match built {
                Ok(channel) => Ok((name, channel)),
                Err(what) => Err(ChannelError { channel: name, what }),
            }
        };
        let channels = settings.into_iter().map(build).collect::<Result<_, _>>()?;
        Ok(Channels { channels, public_url })
    }

    /// The configured channels' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.channels.keys()
    }
}

impl Sender for Channels {
    async fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> Answer {
        let Some(channel) = self.channels.get(page.channel) else {
            return Answer::permanent("channel not configured");
        };
        let payload: Payload = match serde_json::from_str(page.payload) {
            Ok(payload) => payload,
            Err(_) => return Answer::permanent("the stored payload can't be read by this version"),
        };
        match channel {
            Channel::Log => log::write(page, &payload),
            Channel::Webhook(webhook) => webhook.send(page, payload, self.public_url.as_deref(), now).await,
        }
    }
}
