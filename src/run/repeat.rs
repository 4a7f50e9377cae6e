//! Tells receivers that forget, such as Alertmanagers, again and again of what fires, and of what ended for a
//! while after: what one lost when it was killed is back within a minute. The outbox has delivered each of these
//! pages before; nothing here is recorded, and nothing rings that did not.

use crate::core::id::Name;
use crate::core::time::{Span, Timestamp};
use crate::pager::{AnswerVerdict, Channels};
use crate::run::clock::Clock;
use crate::run::outbox::outgoing;
use crate::status::StatusHandle;
use crate::store::{Result, SqlStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// How often: well within the five minutes after which an Alertmanager takes silence for an end.
pub const REPEAT_EVERY: Span = Span::from_secs(60);

/// How long an end is told again.
pub const CLOSED_FOR: Span = Span::from_mins(5);

pub struct Repeater<C> {
    pub store: Arc<SqlStore>,
    pub channels: Arc<Channels>,
    pub clock: C,
    pub status: StatusHandle,
}

impl<C: Clock> Repeater<C> {
    /// Repeats until `shutdown` turns true, while this process leads. Ends at once where no channel forgets.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        if self.channels.forgetful().next().is_none() {
            return;
        }
        let mut failing = BTreeMap::new();
        loop {
            let began = self.clock.now();
            if self.status.load().leader {
                self.pass(began, &mut failing).await;
            }
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.clock.sleep_until(began.plus(REPEAT_EVERY)) => {}
            }
        }
    }

    /// One round over all channels. `failing` remembers which are known to fail, so that each is told once.
    pub async fn pass(&self, now: Timestamp, failing: &mut BTreeMap<Name, String>) {
        for channel in self.channels.forgetful() {
            let flaw = match self.repeat(channel, now).await {
                Ok(flaw) => flaw,
                Err(error) => Some(error.to_string()),
            };
            match flaw {
                None => {
                    if failing.remove(channel).is_some() {
                        tracing::info!(%channel, "every receiver of the channel is told again of what fires");
                    }
                }
                Some(flaw) => {
                    if failing.insert(channel.clone(), flaw.clone()).is_none() {
                        tracing::warn!(%channel, flaw, "not every receiver of the channel can be told again of what fires");
                    }
                }
            }
        }
    }

    /// What went wrong at a receiver.
    async fn repeat(&self, channel: &Name, now: Timestamp) -> Result<Option<String>> {
        let pages = self.store.firing(channel, now.minus(CLOSED_FOR)).await?;
        if pages.is_empty() {
            return Ok(None);
        }
        let pages: Vec<_> = pages.iter().map(outgoing).collect();
        let answers = self.channels.repeat(channel, &pages, now).await;
        let failed = answers.into_iter().find(|answer| answer.verdict != AnswerVerdict::Accepted);
        Ok(failed.map(|answer| answer.text))
    }
}
