//! The canary: a test page by itself, now and then, through the inbox, the engine, the outbox and a channel. Where
//! it is not accepted the heartbeat stops.

use crate::core::act::Deed;
use crate::core::id::Name;
use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use crate::store::{Result, SqlStore};
use crate::zone::cron::Rhythm;
use std::sync::Arc;
use tokio::sync::watch;

/// By whom the inbox is told.
pub const CANARY: &str = "the canary";

/// How soon to look again whether it is time, so that a store that was away is asked again.
const LOOK_EVERY: Span = Span::from_secs(30);

pub struct Canary<C> {
    pub escalation: Name,
    pub rhythm: Rhythm,
    /// Since when this process has looked whether it is due.
    pub since: Timestamp,
    pub store: Arc<SqlStore>,
    pub clock: C,
    pub status: StatusHandle,
}

impl<C: Clock> Canary<C> {
    /// Tests until `shutdown` turns true, while this process leads.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let now = self.clock.now();
            if self.status.load().leader
                && let Err(error) = self.pass(now).await
            {
                tracing::debug!(%error, "the canary waits for the store");
            }
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.clock.sleep_until(now.plus(LOOK_EVERY)) => {}
            }
        }
    }

    /// Puts a test page into the inbox if one is due, whichever process put the last.
    pub async fn pass(&self, now: Timestamp) -> Result<bool> {
        let deed = Deed::TestPage { escalation: self.escalation.clone() };
        let last = self.store.last_deed(deed.kind(), CANARY).await?;
        if !self.rhythm.is_due(last, self.since, now) {
            return Ok(false);
        }
        self.store.put_deed_once(&deed, CANARY, now).await
    }
}
