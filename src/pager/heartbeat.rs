//! One beat of a heartbeat: an empty request to a url that somebody else watches, such as that of a Healthchecks
//! check or of a GoAlert heartbeat monitor. The url is a secret as a whole.

use super::Answer;
use super::http::{Client, parse_url};
use crate::core::time::{Span, Timestamp};
use crate::secret::Secret;
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::fmt;

/// What a heartbeat is sent with.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    pub url: Secret,
    pub method: HeartbeatMethod,
    pub every: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatMethod {
    Get,
    Post,
}

pub struct HeartbeatSender {
    client: Client,
    url: Url,
    method: HeartbeatMethod,
}

impl fmt::Debug for HeartbeatSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeartbeatSender(..)")
    }
}

impl HeartbeatSender {
    /// # Errors
    /// Where the url can't be used, without showing it.
    pub fn new(settings: &HeartbeatSettings) -> Result<HeartbeatSender, String> {
        let url = parse_url(&settings.url)?;
        Ok(HeartbeatSender { client: Client::new()?, url, method: settings.method })
    }

    /// One beat, begun at `now`.
    pub async fn send(&self, now: Timestamp) -> Answer {
        match self.method {
            HeartbeatMethod::Get => self.client.get(&self.url, now).await,
            HeartbeatMethod::Post => self.client.post(&self.url, HeaderMap::new(), Vec::new(), now).await,
        }
    }
}
