//! A start that finds its store away asks again until it answers, and lets the operators be rung meanwhile. Nothing else
//! rings: without the store a process can't know what has rung, what a person has taken, or what it may page at all.

use crate::core::engine::Core;
use crate::core::plan::Input;
use crate::core::policy::Policy;
use crate::core::time::{Span, Timestamp};
use crate::core::trouble::TroubleKind;
use crate::keys::Keys;
use crate::pager::Sender;
use crate::run::clock::Clock;
use crate::run::emergency::{SUBJECT, Sending};
use crate::run::engine::Engine;
use crate::run::outbox::{Outbox, OutboxStats};
use crate::status::StatusHandle;
use crate::store::{Lane, Spool};
use std::sync::Arc;

/// How long a start is patient in silence: a database that restarts or moves is back sooner.
pub const SILENT_FOR: Span = Span::from_secs(30);
/// How often the store is asked for.
const AGAIN_AFTER: Span = Span::from_secs(2);
/// How often the log says that it is waited for.
const TOLD_EVERY: Span = Span::from_mins(1);
/// How long a start that goes on may be held up by telling so.
const RESOLVED_WITHIN: Span = Span::from_secs(2);

/// What the operators are rung with.
pub struct Opening<P, C> {
    pub policy: Arc<Policy>,
    pub sender: P,
    pub clock: C,
    pub keys: Keys,
    pub status: StatusHandle,
    pub stats: OutboxStats,
}

/// The incident of the operators, in a core that knows nothing but it.
struct Ringing<P, C: Clock> {
    engine: Engine<Spool, C>,
    outbox: Outbox<Spool, P, C>,
    sending: Sending,
}

impl<P: Sender + Clone, C: Clock> Opening<P, C> {
    /// Opens what `open` opens, once it is no longer away.
    ///
    /// # Errors
    /// What `open` says that isn't about its being away.
    pub async fn wait_for<T, E: std::fmt::Display>(
        self,
        mut open: impl AsyncFnMut() -> Result<T, E>,
        is_away: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let began = self.clock.now();
        let (mut ringing, mut told_at) = (None, None);
        loop {
            let error = match open().await {
                Err(error) if is_away(&error) => error,
                opened => {
                    if let Some(ringing) = ringing {
                        self.resolve(ringing).await;
                    }
                    return opened;
                }
            };
            let now = self.clock.now();
            if told_at.is_none_or(|told: Timestamp| now >= told.plus(TOLD_EVERY)) {
                tracing::error!(%error, "no deadline is watched: the start waits for the store");
                told_at = Some(now);
            }
            match &mut ringing {
                None if now >= began.plus(SILENT_FOR) => ringing = Some(self.ring().await),
                None => {}
                Some(ringing) => tell(ringing, Input::Tick).await,
            }
            self.clock.sleep_until(now.plus(AGAIN_AFTER)).await;
        }
    }

    async fn ring(&self) -> Ringing<P, C> {
        let spool = Arc::new(Spool::of_a_start());
        // What it does isn't what the process has done.
        let apart = StatusHandle::new((*self.status.load()).clone());
        let core = Core::new(self.policy.clone());
        let engine = Engine::stand_in(core, spool.clone(), self.clock.clone(), self.keys.clone(), apart);
        let outbox = Outbox::new(spool, self.sender.clone(), self.clock.clone(), self.keys.clone(), self.stats.clone());
        let mut ringing = Ringing { engine, sending: Sending::of(&outbox), outbox };
        tell(&mut ringing, trouble(true)).await;
        ringing
    }

    /// What can't be sent in a moment isn't waited for: deadlines are.
    async fn resolve(&self, mut ringing: Ringing<P, C>) {
        tracing::warn!("the store is there: the start goes on");
        tell(&mut ringing, trouble(false)).await;
        ringing.sending.end(&self.clock).await;
        let sent = async {
            for lane in [Lane::P0, Lane::Lesser] {
                if let Err(error) = ringing.outbox.pump(lane).await {
                    tracing::warn!(%error, "that the store is back can't be sent");
                }
            }
        };
        tokio::select! {
            biased;
            () = sent => {}
            () = self.clock.sleep_until(self.clock.now().plus(RESOLVED_WITHIN)) => {}
        }
    }
}

fn trouble(holds: bool) -> Input {
    Input::Trouble { kind: TroubleKind::NoStoreAtStart, subject: SUBJECT.into(), holds }
}

async fn tell<P, C: Clock>(ringing: &mut Ringing<P, C>, input: Input) {
    match ringing.engine.feed(input).await {
        Ok(fed) => ringing.sending.wake(&fed),
        Err(error) => tracing::error!(%error, "the operators can't be rung of the store"),
    }
}
