//! The emergency: the store takes nothing, and P0 goes on ringing. A part of the core, P0 alone, is fed with what
//! the sources show; its pages go out through an outbox of their own over a spool on this machine's disk, under keys
//! that need no store. Every input is kept with the instant at which it was taken up. Once the store is back they
//! are decided again, by the whole core and for the same instants: what rang is recorded as it rang and isn't sent
//! again. What the part decided is thrown away: only what is committed happened.
//!
//! It can't tell a store that is away from one that this process is cut off from: then whoever leads meanwhile
//! pages the same under the same keys. Nobody can acknowledge here before the store is back.

use crate::core::engine::Core;
use crate::core::id::Name;
use crate::core::plan::Input;
use crate::core::time::{Span, Timestamp};
use crate::core::trouble::TroubleKind;
use crate::keys::Keys;
use crate::pager::Sender;
use crate::run::asks::Asks;
use crate::run::beside::Beside;
use crate::run::clock::Clock;
use crate::run::engine::{Engine, Fed};
use crate::run::lists::Question;
use crate::run::outbox::{Outbox, OutboxStats};
use crate::status::StatusHandle;
use crate::store::{Lane, Spool};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

/// How long an input waits for the store before the emergency begins: a restart or a takeover of the database is
/// shorter.
pub const BEGINS_AFTER: Span = Span::from_secs(5);
/// Rows that wait for the store; beyond them no scan is taken up any more, proof and deadlines still are.
const ROWS_MAX: usize = 100_000;
/// The engine shows that it is alive at least this often.
const ALIVE_EVERY: Span = Span::from_secs(1);
/// How soon to look again for what is due and can't be moved.
const FRUITLESS_PAUSE: Span = Span::from_micros(100_000);
/// How long pages on their way may take to be answered once the store is back.
const DRAIN_MAX: Span = Span::from_secs(2);

/// What the operators' incident is about.
pub const SUBJECT: &str = "store";

/// Where inputs come from that don't wait for the store.
pub struct Inlets {
    pub proof: mpsc::Receiver<Input>,
    pub scan: mpsc::Receiver<Input>,
    pub questions: mpsc::Receiver<Question>,
}

/// Stands by for the emergency; and what it needs then.
pub struct StandIn<P: Sender, C: Clock> {
    pub inlets: Inlets,
    pub asks: BTreeMap<Name, Arc<Asks>>,
    pub sender: Arc<P>,
    pub clock: C,
    pub keys: Keys,
    pub status: StatusHandle,
    pub stats: OutboxStats,
    /// Without one there is no emergency: the engine waits.
    pub spool: Option<Arc<Spool>>,
    /// Since when the store is asked for what it hasn't answered.
    pub asked_at: Timestamp,
    pub emergency: Option<Emergency<C>>,
    /// For which instant the input that waits is decided.
    pub taken_up_at: Option<Timestamp>,
}

pub struct Emergency<C: Clock> {
    engine: Engine<Spool, C>,
    began: Timestamp,
    journal: VecDeque<(Input, Timestamp)>,
    rows: usize,
    fruitless: bool,
    sending: Sending,
}

/// Sends what a spool holds, until it is told to stop.
pub struct Sending {
    lanes: [Arc<Notify>; 2],
    stop: watch::Sender<bool>,
    outbox: JoinSet<()>,
}

impl Sending {
    pub fn of<P: Sender, C: Clock>(outbox: &Outbox<Spool, P, C>) -> Sending {
        let (stop, stopping) = watch::channel(false);
        let lanes = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let mut running = JoinSet::new();
        for (lane, wake) in [Lane::P0, Lane::Lesser].into_iter().zip(&lanes) {
            let (outbox, wake, stopping) = (outbox.clone(), wake.clone(), stopping.clone());
            running.spawn(async move { outbox.run(lane, wake, stopping).await });
        }
        Sending { lanes, stop, outbox: running }
    }

    /// Pages were put into the spool.
    pub fn wake(&self, fed: &Fed) {
        for (lane, pages) in self.lanes.iter().zip([fed.pages_p0, fed.pages_lesser]) {
            if pages {
                lane.notify_one();
            }
        }
    }

    /// Waits a little for what is on its way to be answered.
    pub async fn end<C: Clock>(mut self, clock: &C) {
        self.stop.send_replace(true);
        let drained = async { while self.outbox.join_next().await.is_some() {} };
        tokio::select! {
            biased;
            () = drained => {}
            () = clock.sleep_until(clock.now().plus(DRAIN_MAX)) => {}
        }
    }
}

/// One input is decided for the instant at which it was taken up.
struct For(Timestamp);

impl Beside for For {
    fn asks(&mut self) {}

    async fn during<T: Send>(&mut self, _: &Core, _: Option<&Input>, answer: impl Future<Output = T> + Send) -> T {
        answer.await
    }

    fn taken_up_at(&self) -> Option<Timestamp> {
        Some(self.0)
    }
}

impl<P: Sender, C: Clock> Beside for StandIn<P, C> {
    fn asks(&mut self) {
        self.asked_at = self.clock.now();
    }

    async fn during<T: Send>(
        &mut self,
        core: &Core,
        input: Option<&Input>,
        answer: impl Future<Output = T> + Send,
    ) -> T {
        let Some(spool) = self.spool.clone() else { return answer.await };
        let mut answer = pin!(answer);
        loop {
            if self.emergency.is_some() {
                tokio::select! {
                    biased;
                    answer = &mut answer => return answer,
                    () = self.step() => {}
                }
            } else {
                tokio::select! {
                    biased;
                    answer = &mut answer => return answer,
                    () = self.clock.sleep_until(self.asked_at.plus(BEGINS_AFTER)) => {}
                }
                self.begin(core, input, &spool).await;
            }
        }
    }

    fn taken_up_at(&self) -> Option<Timestamp> {
        self.taken_up_at
    }
}

impl<P: Sender, C: Clock> StandIn<P, C> {
    async fn begin(&mut self, core: &Core, input: Option<&Input>, spool: &Arc<Spool>) {
        let now = self.clock.now();
        tracing::error!(
            "the store has taken nothing for {BEGINS_AFTER}: an emergency, in which only minor safety rings, by itself"
        );
        // What the part does isn't what the process has done.
        let apart = StatusHandle::new((*self.status.load()).clone());
        let engine = Engine::stand_in(core.urgent_part(), spool.clone(), self.clock.clone(), self.keys.clone(), apart);
        let outbox =
            Outbox::new(spool.clone(), self.sender.clone(), self.clock.clone(), self.keys.clone(), self.stats.clone());
        let (journal, rows, fruitless, sending) = (VecDeque::new(), 0, false, Sending::of(&outbox));
        self.emergency = Some(Emergency { engine, began: now, journal, rows, fruitless, sending });
        self.status.update(|status| status.store.emergency_since = Some(now));
        if let Some(input) = input {
            // The whole core takes it up for this instant, once the store has it.
            self.taken_up_at = Some(now);
            self.take_up(input.clone(), now).await;
        }
        self.keep(Input::Trouble { kind: TroubleKind::StoreAway, subject: SUBJECT.into(), holds: true }, now).await;
    }

    /// Takes up one input, or what is due.
    async fn step(&mut self) {
        let now = self.clock.now();
        self.status.update(|status| status.engine_alive_at = Some(now));
        let Some(emergency) = &mut self.emergency else { return };
        let wake = emergency.engine.core().next_urgent_wake().unwrap_or(Timestamp::MAX);
        if wake <= now && !emergency.fruitless {
            self.keep(Input::Tick, now).await;
            return;
        }
        let until = if wake <= now { now.plus(FRUITLESS_PAUSE) } else { wake.min(now.plus(ALIVE_EVERY)) };
        let input = tokio::select! {
            biased;
            Some(input) = self.inlets.proof.recv() => Some(input),
            Some(question) = self.inlets.questions.recv() => {
                question.answer(emergency.engine.core());
                None
            }
            Some(input) = self.inlets.scan.recv(), if emergency.rows < ROWS_MAX => Some(input),
            () = self.clock.sleep_until(until) => {
                emergency.fruitless = false;
                None
            }
        };
        if let Some(input) = input {
            self.keep(input, self.clock.now()).await;
        }
    }

    /// Takes up an input and keeps it for the whole core.
    async fn keep(&mut self, input: Input, now: Timestamp) {
        let moved = self.take_up(input.clone(), now).await;
        let Some(emergency) = &mut self.emergency else { return };
        let is_tick = matches!(input, Input::Tick);
        emergency.fruitless = is_tick && !moved;
        if moved || !is_tick {
            emergency.rows += if let Input::Rows(rows) = &input { rows.rows.len() } else { 0 };
            emergency.journal.push_back((input, now));
        }
    }

    /// Whether it led to anything that the store would be told.
    async fn take_up(&mut self, input: Input, now: Timestamp) -> bool {
        let Some(emergency) = &mut self.emergency else { return false };
        let fed = match emergency.engine.feed_beside(input, &mut For(now)).await {
            Ok(fed) => fed,
            Err(error) => {
                tracing::error!(%error, "an input can't be taken up without the store; it waits");
                return false;
            }
        };
        emergency.sending.wake(&fed);
        for (priority, report) in fed.asks {
            if let Some(waiting) = self.asks.get(&report.source) {
                waiting.add([(priority, report)]);
            }
        }
        fed.commit_took.is_some()
    }

    /// The next input that was taken up without the store, for the whole core; `None` where there is none left.
    pub fn next_kept(&mut self) -> Option<Input> {
        self.taken_up_at = None;
        let emergency = self.emergency.as_mut()?;
        let (input, at) = emergency.journal.pop_front()?;
        self.taken_up_at = Some(at);
        Some(input)
    }

    /// Ends an emergency of which the store now knows everything; gives what the core must be told then.
    pub async fn end(&mut self) -> Option<Input> {
        let Emergency { began, sending, .. } = self.emergency.take()?;
        self.status.update(|status| status.store.emergency_since = None);
        sending.end(&self.clock).await;
        let lasted = self.clock.now().since(began);
        if let Some(spool) = &self.spool {
            let counts = spool.counts();
            tracing::warn!(%lasted, rang = counts.pages, accepted = counts.accepted, "the emergency is over: the store has taken up what happened");
            if counts.untold > 0 {
                tracing::error!(
                    pages = counts.untold,
                    "pages rang in the emergency that the store, by what it remembered, had no ring for; they may ring once more under another key"
                );
            }
            if let Err(error) = spool.clear() {
                tracing::warn!(%error, "the spool can't be emptied");
            }
        }
        Some(Input::Trouble { kind: TroubleKind::StoreAway, subject: SUBJECT.into(), holds: false })
    }
}
