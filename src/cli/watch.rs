//! What watches the monitor from beside it: the auditor, the heartbeat, the canary and the repetitions of what
//! receivers forget. Each is a loop over the store that the monitor doesn't wait for.

use crate::cli::CliError;
use crate::config::Config;
use crate::pager::Channels;
use crate::pager::heartbeat::HeartbeatSender;
use crate::run::PolicyInForce;
use crate::run::auditor::{Auditor, LastAudit};
use crate::run::canary::Canary;
use crate::run::clock::{Clock, SystemClock};
use crate::run::heartbeat::Heartbeat;
use crate::run::repeat::Repeater;
use crate::status::StatusHandle;
use crate::store::SqlStore;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The loops, ready to start.
pub struct Watch {
    repeater: Repeater<SystemClock>,
    auditor: Auditor<SystemClock>,
    heartbeat: Option<Heartbeat<SystemClock>>,
    canary: Option<Canary<SystemClock>>,
}

impl Watch {
    /// # Errors
    /// Where the heartbeat's url can't be used.
    pub fn new(
        config: &Config,
        policy: PolicyInForce,
        store: &Arc<SqlStore>,
        channels: &Arc<ArcSwap<Channels>>,
        status: &StatusHandle,
    ) -> Result<Watch, CliError> {
        let clock = SystemClock;
        let audit = LastAudit::default();
        let heartbeat = match &config.heartbeat {
            None => None,
            Some(settings) => Some(Heartbeat {
                sender: HeartbeatSender::new(settings)
                    .map_err(|cause| CliError::Failed { operation: "make the heartbeat", cause })?,
                every: settings.every,
                store: store.clone(),
                clock,
                status: status.clone(),
                audit: audit.clone(),
                has_canary: config.canary.is_some(),
            }),
        };
        let canary = config.canary.as_ref().map(|settings| Canary {
            escalation: settings.escalation.clone(),
            rhythm: settings.rhythm.clone(),
            since: clock.now(),
            store: store.clone(),
            clock,
            status: status.clone(),
        });
        let (auditing, repeating) = (store.clone(), store.clone());
        Ok(Watch {
            repeater: Repeater { store: repeating, channels: channels.clone(), clock, status: status.clone() },
            auditor: Auditor { store: auditing, policy, clock, status: status.clone(), last: audit },
            heartbeat,
            canary,
        })
    }

    /// Starts every loop; each ends by itself when the process is told to stop.
    pub fn start(self, stopping: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        loops.spawn(self.repeater.run(stopping.clone()));
        loops.spawn(self.auditor.run(stopping.clone()));
        if let Some(heartbeat) = self.heartbeat {
            loops.spawn(heartbeat.run(stopping.clone()));
        }
        if let Some(canary) = self.canary {
            loops.spawn(canary.run(stopping.clone()));
        }
        loops
    }
}
