//! Pages on their way out: the closed payload, and one file a channel that renders and sends it. A channel
//! sends once and says what the answer means; keeping, trying again and recording are the outbox's.

mod about;
pub mod alertmanager;
pub mod codenames;
mod details;
pub mod directory;
pub mod email;
pub mod goalert;
pub mod heartbeat;
pub mod http;
pub mod letter;
pub mod log;
mod notice;
pub mod pagerduty;
pub mod payload;
mod reach;
#[cfg(test)]
mod samples;
pub mod slack;
pub mod title;
pub mod webhook;

use crate::core::id::{IncidentNo, Name};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::secret::Secret;
use alertmanager::Alertmanager;
use arc_swap::ArcSwap;
use codenames::Codenames;
use directory::Directory;
use email::Email;
use goalert::GoAlert;
use pagerduty::PagerDuty;
use payload::{Payload, PayloadAbout};
pub use reach::reach;
use slack::Slack;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use webhook::Webhook;

/// How long a receiver may take to answer. A page is leased for longer.
pub const REQUEST_TIMEOUT: Span = Span::from_secs(15);

/// A channel as configured.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    pub kind: ChannelKind,
    pub codenames: Codenames,
}

impl From<ChannelKind> for ChannelSettings {
    /// Without codenames.
    fn from(kind: ChannelKind) -> Self {
        ChannelSettings { kind, codenames: Codenames::default() }
    }
}

/// Where pages go.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// The process's own log.
    Log,
    /// Standard Webhooks 1.0; several secrets while one rotates, the newest first.
    Webhook { url: Secret, secrets: Vec<Secret> },
    /// PagerDuty Events v2, at `base` or else at PagerDuty's own address.
    PagerDuty { base: Option<Secret>, routing_key: Secret },
    /// A Slack incoming webhook, whose whole url is the secret.
    Slack { url: Secret },
    /// GoAlert's generic API; `base` is where GoAlert itself is served.
    GoAlert { base: Secret, token: Secret },
    /// Every peer of a cluster of Alertmanagers, with labels of the user's own for its routes.
    Alertmanager { peers: Vec<Secret>, labels: BTreeMap<String, String> },
    /// Mail to each of `to`; see [`email::server_url`] for the url.
    Email { smtp_url: Secret, from: Option<String>, to: Vec<String> },
    /// Files in a directory: for letters, never for pages.
    Directory { path: PathBuf },
}

impl ChannelKind {
    /// Whether pages may go there: a file rings nobody.
    pub const fn takes_pages(&self) -> bool {
        !matches!(self, ChannelKind::Directory { .. })
    }

    /// Whether letters may go there: what rings people takes none.
    pub const fn takes_letters(&self) -> bool {
        matches!(
            self,
            ChannelKind::Log
                | ChannelKind::Webhook { .. }
                | ChannelKind::Slack { .. }
                | ChannelKind::Email { .. }
                | ChannelKind::Directory { .. }
        )
    }
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

/// A page as a channel says it: the payload with the channel's codenames in place, and its title.
#[derive(Debug)]
pub struct Rendering<'a> {
    pub page: &'a Outgoing<'a>,
    pub payload: Payload,
    pub title: String,
    /// The board, where the complete list is.
    pub public_url: Option<&'a str>,
}

impl<'a> Rendering<'a> {
    pub fn new(
        page: &'a Outgoing<'a>,
        mut payload: Payload,
        codenames: &Codenames,
        public_url: Option<&'a str>,
    ) -> Rendering<'a> {
        codenames.apply(&mut payload);
        let reached = public_url.zip(payload.acknowledge.take());
        payload.acknowledge = reached.map(|(board, path)| format!("{board}{path}"));
        let title = title::title(&payload, codenames.minor_safety());
        Rendering { page, payload, title, public_url }
    }

    /// Whether all it says is that a warning is over.
    fn ends_a_warning(&self) -> bool {
        self.page.kind == PageKind::Resolve && self.payload.about == PayloadAbout::Warning
    }
}

/// The port through which pages leave. Tests decorate it; [`Channels`] is the one implementation.
pub trait Sender: Send + Sync + 'static {
    /// One attempt, begun at `now`. It never fails: what went wrong is an answer too. Dropping the
    /// future gives the attempt up.
    fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> impl Future<Output = Answer> + Send;
}

/// The sender of the moment: what is on its way stays with the one that it was given to.
impl<P: Sender> Sender for ArcSwap<P> {
    async fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> Answer {
        let sender = self.load_full();
        sender.send(page, now).await
    }
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
struct Channel {
    codenames: Codenames,
    receiver: Receiver,
}

#[derive(Debug)]
enum Receiver {
    Log,
    Webhook(Webhook),
    PagerDuty(PagerDuty),
    Slack(Slack),
    GoAlert(GoAlert),
    Email(Email),
    Alertmanager(Alertmanager),
    Directory(Directory),
}

impl Receiver {
    /// Whether it closes an alert by its key. To one that only shows messages, the end of a warning is noise:
    /// what passed unmet rings by itself.
    const fn knows_keys(&self) -> bool {
        match self {
            Receiver::Log
            | Receiver::Webhook(_)
            | Receiver::PagerDuty(_)
            | Receiver::GoAlert(_)
            | Receiver::Alertmanager(_) => true,
            Receiver::Slack(_) | Receiver::Email(_) | Receiver::Directory(_) => false,
        }
    }

    /// # Errors
    /// What is wrong with the settings, without showing a url or a secret.
    fn new(kind: &ChannelKind, client: &mut Option<http::Client>) -> Result<Receiver, String> {
        let mut client = || match client {
            Some(client) => Ok(client.clone()),
            None => Ok::<_, String>(client.insert(http::Client::new()?).clone()),
        };
        match kind {
            ChannelKind::Log => Ok(Receiver::Log),
            ChannelKind::Webhook { url, secrets } => Webhook::new(client()?, url, secrets).map(Receiver::Webhook),
            ChannelKind::PagerDuty { base, routing_key } => {
                PagerDuty::new(client()?, base.as_ref(), routing_key).map(Receiver::PagerDuty)
            }
            ChannelKind::Slack { url } => Slack::new(client()?, url).map(Receiver::Slack),
            ChannelKind::GoAlert { base, token } => GoAlert::new(client()?, base, token).map(Receiver::GoAlert),
            ChannelKind::Alertmanager { peers, labels } => {
                Alertmanager::new(client()?, peers, labels).map(Receiver::Alertmanager)
            }
            ChannelKind::Email { smtp_url, from, to } => Email::new(smtp_url, from.as_deref(), to).map(Receiver::Email),
            ChannelKind::Directory { path } => Ok(Receiver::Directory(Directory::new(path))),
        }
    }
}

impl Channels {
    /// `public_url` is where people reach the board, put into pages as a link; without one they carry none.
    ///
    /// # Errors
    /// Where a channel's url or a secret of it can't be used; the error names the channel.
    pub fn new(
        settings: BTreeMap<Name, ChannelSettings>,
        public_url: Option<String>,
    ) -> Result<Channels, ChannelError> {
        let mut client = None;
        let build = |(name, settings): (Name, ChannelSettings)| match Receiver::new(&settings.kind, &mut client) {
            Ok(receiver) => Ok((name, Channel { codenames: settings.codenames, receiver })),
            Err(what) => Err(ChannelError { channel: name, what }),
        };
        let channels = settings.into_iter().map(build).collect::<Result<_, _>>()?;
        Ok(Channels { channels, public_url })
    }

    /// The configured channels' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.channels.keys()
    }

    /// The channels whose receivers forget, and must be told again for as long as an alert lasts.
    pub fn forgetful(&self) -> impl Iterator<Item = &Name> {
        let forgets = |(_, channel): &(&Name, &Channel)| matches!(channel.receiver, Receiver::Alertmanager(_));
        self.channels.iter().filter(forgets).map(|(name, _)| name)
    }

    /// Tells a forgetful channel again of pages that it has accepted. Gives what each of its receivers answered.
    pub async fn repeat(&self, channel: &Name, pages: &[Outgoing<'_>], now: Timestamp) -> Vec<Answer> {
        let Some(Channel { codenames, receiver: Receiver::Alertmanager(alertmanager) }) = self.channels.get(channel)
        else {
            return Vec::new();
        };
        let rendered = pages.iter().filter_map(|page| {
            let payload = serde_json::from_str(page.payload).ok()?;
            Some(Rendering::new(page, payload, codenames, self.public_url.as_deref()))
        });
        let renderings: Vec<Rendering<'_>> = rendered.collect();
        alertmanager.repeat(&renderings, now).await
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
        let rendering = Rendering::new(page, payload, &channel.codenames, self.public_url.as_deref());
        if rendering.ends_a_warning() && !channel.receiver.knows_keys() {
            return Answer::accepted("not sent: a warning ends by itself");
        }
        match &channel.receiver {
            Receiver::Log => log::write(&rendering),
            Receiver::Webhook(webhook) => webhook.send(rendering, now).await,
            Receiver::PagerDuty(pagerduty) => pagerduty.send(rendering, now).await,
            Receiver::Slack(slack) => slack.send(rendering, now).await,
            Receiver::GoAlert(goalert) => goalert.send(rendering, now).await,
            Receiver::Email(email) => email.send(rendering).await,
            Receiver::Alertmanager(alertmanager) => alertmanager.send(rendering, now).await,
            Receiver::Directory(_) => Answer::permanent("a directory rings nobody"),
        }
    }
}
