//! Pages on their way out: the closed payload, and one file a channel that renders and sends it.

pub mod payload;

use crate::core::time::Span;
use crate::secret::Secret;

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
