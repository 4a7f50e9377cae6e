//! The whole monitor: the engine's thread, two loops a source, two lanes of the outbox. It ends when it
//! is told to, after what is under way has been recorded, or when the store belongs to somebody else.

use crate::core::id::Name;
use crate::core::plan::Input;
use crate::core::policy::Policy;
use crate::core::time::{Span, Timestamp};
use crate::core::view::View;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::pager::Sender;
use crate::run::asks::Asks;
use crate::run::clock::Clock;
use crate::run::emergency::{Inlets, StandIn};
use crate::run::engine::{Engine, Fed};
use crate::run::lists::{Lists, Question};
use crate::run::outbox::{Outbox, OutboxStats};
use crate::run::poller::{Inputs, PollError, Poller};
use crate::run::watcher::{Polled, Watcher};
use crate::run::{inbox, lease, troubles};
use crate::source::Source;
use crate::status::{Failure, STORE, SourceStatus, StatusHandle};
use crate::store::{Lane, Spool, Store, StoreError};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Inputs that may wait for the engine: a scan is held back by its source, proof is not.
const SCAN_INPUTS: usize = 2;
const PROOF_INPUTS: usize = 64;
const ACT_INPUTS: usize = 16;
/// How stale the published view may be while the engine is busy.
const VIEW_EVERY: Span = Span::from_micros(250_000);
/// How long a plan may take to reach the store once the process is told to stop.
const STOP_WITHIN: Span = Span::from_secs(5);
/// How long a store that is asked to be handed over may take.
const HAND_OVER_WITHIN: Span = Span::from_secs(2);
/// How often the core is told whether the sources can be seen.
const SIGHT_EVERY: Span = Span::from_secs(1);
/// The engine shows that it is alive at least this often.
const ALIVE_EVERY: Span = Span::from_secs(1);

/// Everything that a monitor is made of.
pub struct Parts<St, So, Se, C> {
    pub policy: Arc<Policy>,
    pub sources: Vec<WatchedSource<So>>,
    pub store: Arc<St>,
    pub sender: Se,
    pub clock: C,
    pub keys: Keys,
    /// This process, as the store's lease names it.
    pub holder: String,
    pub status: StatusHandle,
    pub view: Arc<ArcSwap<View>>,
    pub outbox_stats: OutboxStats,
    pub metrics: Arc<Metrics>,
    /// What P0 rings through while the store is away; without one nothing rings then.
    pub spool: Option<Arc<Spool>>,
    /// Where polls and the web ask the core.
    pub lists: (Lists, mpsc::Receiver<Question>),
}

pub struct WatchedSource<So> {
    pub name: Name,
    pub every: Span,
    pub source: Arc<So>,
}

#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the engine's thread ended without a word; this is a defect in tocsin")]
    EngineLost,
    #[error("cannot start the engine's thread: {0}")]
    Thread(std::io::Error),
}

/// Policies that may wait for the engine.
const RELOADS: usize = 1;

/// Where a running monitor takes another policy from.
pub struct Reloads(mpsc::Receiver<Arc<Policy>>);

impl Reloads {
    /// A way to hand over policies, each validated before.
    pub fn channel() -> (mpsc::Sender<Arc<Policy>>, Reloads) {
        let (sender, receiver) = mpsc::channel(RELOADS);
        (sender, Reloads(receiver))
    }
}

/// As [`run_with`], with one policy for as long as it runs.
///
/// # Errors
/// As [`run_with`].
pub async fn run<St, So, Se, C>(
    parts: Parts<St, So, Se, C>,
    shutdown: watch::Receiver<bool>,
) -> Result<(), MonitorError>
where
    St: Store,
    So: Source,
    Se: Sender,
    C: Clock,
{
    run_with(parts, Reloads::channel().1, shutdown).await
}

/// Waits for the lead, and runs until `shutdown` turns true.
///
/// # Errors
/// When the store can't be read at the start, or another process has taken the lead.
pub async fn run_with<St, So, Se, C>(
    parts: Parts<St, So, Se, C>,
    reloads: Reloads,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), MonitorError>
where
    St: Store,
    So: Source,
    Se: Sender,
    C: Clock,
{
    let Parts {
        policy,
        sources,
        store,
        sender,
        clock,
        keys,
        holder,
        status,
        view,
        outbox_stats,
        metrics,
        spool,
        lists,
    } = parts;
    let sender = Arc::new(sender);
    let Some(token) = lease::take(&*store, &holder, &clock, &status, &mut shutdown).await? else { return Ok(()) };
    let mut keeper = JoinSet::new();
    let lost = keep_the_lead(&mut keeper, store.clone(), token);
    let mut engine = Engine::start(policy, store.clone(), clock.clone(), keys.clone(), status.clone(), token).await?;
    if let Some(spool) = &spool {
        engine.remember_spool(spool.clone());
    }
    view.store(Arc::new(engine.core().view(clock.now())));
    let (proof, proof_inputs) = mpsc::channel(PROOF_INPUTS);
    let (scan, scan_inputs) = mpsc::channel(SCAN_INPUTS);
    let (acts, act_inputs) = mpsc::channel(ACT_INPUTS);
    let inputs = Inputs { proof, scan };
    let lanes = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let (lists, questions) = lists;
    let mut loops = JoinSet::new();
    let mut asks = BTreeMap::new();
    for WatchedSource { name, every, source } in sources {
        let waiting = Arc::new(Asks::default());
        asks.insert(name.clone(), waiting.clone());
        let (clock, inputs) = (clock.clone(), inputs.clone());
        let poller = Arc::new(Poller { name, every, source, clock, inputs, asks: waiting });
        let watcher = Watcher::new(poller.clone(), lists.clone()).since(engine.seen_until(&poller.name));
        loops.spawn(poll(watcher, poller.clone(), status.clone(), metrics.clone(), shutdown.clone()));
        loops.spawn(answer(poller, shutdown.clone()));
    }
    drop((inputs, lists));
    loops.spawn(troubles::watch(store.clone(), clock.clone(), status.clone(), acts.clone(), shutdown.clone()));
    loops.spawn(inbox::watch(store.clone(), clock.clone(), status.clone(), acts, shutdown.clone()));
    let outbox = Outbox::new(store.clone(), sender.clone(), clock.clone(), keys.clone(), outbox_stats.clone());
    for (lane, wake) in [Lane::P0, Lane::Lesser].into_iter().zip(&lanes) {
        let (outbox, wake, shutdown) = (outbox.clone(), wake.clone(), shutdown.clone());
        loops.spawn(async move { outbox.run(lane, wake, shutdown).await });
    }
    let stand_in = StandIn {
        inlets: Inlets { proof: proof_inputs, scan: scan_inputs, questions },
        asks,
        sender,
        clock: clock.clone(),
        keys,
        status: status.clone(),
        stats: outbox_stats,
        spool,
        asked_at: clock.now(),
        emergency: None,
        taken_up_at: None,
    };
    let seat = Seat {
        engine,
        stand_in,
        clock: clock.clone(),
        status,
        metrics,
        view,
        lanes,
        act_inputs,
        reloads: reloads.0,
        shutdown,
    };
    let ended = on_a_thread_of_its_own(seat, lost).await;
    keeper.shutdown().await;
    if ended.is_ok() {
        // What is on its way stays ours; everything else is the next leader's, from now on.
        hand_over(&*store, token, &clock).await;
    } else {
        // Without an engine nothing may be read or sent; what is on its way goes again under its key.
        loops.shutdown().await;
    }
    while loops.join_next().await.is_some() {}
    ended
}

/// Keeps the lead beside the engine; the receiver hears when it is lost.
fn keep_the_lead<St: Store>(keeper: &mut JoinSet<()>, store: Arc<St>, token: u64) -> oneshot::Receiver<StoreError> {
    let (tell_lost, lost) = oneshot::channel();
    keeper.spawn(async move {
        // The receiver is gone when the engine has ended.
        let _ = tell_lost.send(lease::keep(store, token).await);
    });
    lost
}

async fn hand_over<St: Store, C: Clock>(store: &St, token: u64, clock: &C) {
    let handed = tokio::select! {
        handed = store.hand_over(token) => handed.map_err(|error| error.to_string()),
        () = clock.sleep_until(clock.now().plus(HAND_OVER_WITHIN)) => Err("no answer".to_owned()),
    };
    if let Err(cause) = handed {
        tracing::warn!(cause, "the lead is not handed over; a standby takes it when the lease runs out");
    }
}

async fn on_a_thread_of_its_own<St: Store, Se: Sender, C: Clock>(
    seat: Seat<St, Se, C>,
    lost: oneshot::Receiver<StoreError>,
) -> Result<(), MonitorError> {
    let (tell, told) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("engine".to_owned());
    let spawned = thread.spawn(move || {
        // The receiver is gone only when the process is.
        let _ = tell.send(runtime.block_on(seat.sit(lost)));
    });
    spawned.map_err(MonitorError::Thread)?;
    told.await.map_err(|_| MonitorError::EngineLost)?.map_err(MonitorError::Store)
}

/// The engine with everything that it listens and speaks to.
struct Seat<St: Store, Se: Sender, C: Clock> {
    engine: Engine<St, C>,
    stand_in: StandIn<Se, C>,
    clock: C,
    status: StatusHandle,
    metrics: Arc<Metrics>,
    view: Arc<ArcSwap<View>>,
    lanes: [Arc<Notify>; 2],
    act_inputs: mpsc::Receiver<Input>,
    reloads: mpsc::Receiver<Arc<Policy>>,
    shutdown: watch::Receiver<bool>,
}

impl<St: Store, Se: Sender, C: Clock> Seat<St, Se, C> {
    /// Works until the lead is lost or the process is told to stop, and then at most until a store that is away has had its
    /// time: what it didn't take is seen again at the next start.
    async fn sit(self, lost: oneshot::Receiver<StoreError>) -> Result<(), StoreError> {
        let give_up = stopped_for(STOP_WITHIN, self.shutdown.clone(), self.clock.clone());
        tokio::select! {
            biased;
            ended = self.work() => ended,
            Ok(error) = lost => Err(error),
            () = give_up => {
                tracing::warn!("stopping while the store is away: what it did not take is seen again at the next start");
                Ok(())
            }
        }
    }

    /// Takes up inputs, what is due before all: a deadline, then what people did, proof, the rows of scans.
    async fn work(mut self) -> Result<(), StoreError> {
        let mut published = Timestamp::MIN;
        let mut looked = Timestamp::MIN;
        loop {
            let now = self.clock.now();
            if now >= looked.plus(SIGHT_EVERY) {
                looked = now;
                for input in self.measured(now) {
                    self.take(input).await?;
                }
                self.publish_sight();
                let segments = self.engine.next_segments(&mut self.stand_in).await;
                self.catch_up().await?;
                for input in segments {
                    self.take(input).await?;
                }
            }
            if let Ok(policy) = self.reloads.try_recv() {
                self.adopt(policy, now);
            }
            self.status.update(|status| status.engine_alive_at = Some(now));
            let wake = self.engine.core().next_wake().unwrap_or(Timestamp::MAX);
            let input = match self.pressing(wake <= now) {
                Some(input) => Some(input),
                None => self.next(wake.min(now.plus(ALIVE_EVERY))).await,
            };
            let mut awaits_proof = false;
            match input {
                Some(input) => {
                    let is_tick = matches!(input, Input::Tick);
                    let caught_up = scanned(&input);
                    // Proof comes within milliseconds: the view that it makes is the one to show.
                    awaits_proof = self.take(input).await? && is_tick;
                    self.has_caught_up(caught_up);
                }
                None if *self.shutdown.borrow() => return Ok(()),
                None => {}
            }
            let now = self.clock.now();
            let inlets = &self.stand_in.inlets;
            let idle = !awaits_proof && inlets.proof.is_empty() && inlets.scan.is_empty();
            if idle || now >= published.plus(VIEW_EVERY) {
                self.view.store(Arc::new(self.engine.core().view(now)));
                published = now;
            }
        }
    }

    /// Takes up one input, and what was taken up beside it while the store was away; whether proof was asked for.
    async fn take(&mut self, input: Input) -> Result<bool, StoreError> {
        let fed = self.engine.feed_beside(input, &mut self.stand_in).await?;
        let asked = !fed.asks.is_empty();
        self.pass_on(fed);
        self.catch_up().await?;
        Ok(asked)
    }

    /// After an emergency: everything that happened in it, in its order and for its instants.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        while let Some(input) = self.stand_in.next_kept() {
            let caught_up = scanned(&input);
            let fed = self.engine.feed_beside(input, &mut self.stand_in).await?;
            self.pass_on(fed);
            self.has_caught_up(caught_up);
        }
        if let Some(over) = self.stand_in.end().await {
            let fed = self.engine.feed_beside(over, &mut self.stand_in).await?;
            self.pass_on(fed);
        }
        Ok(())
    }

    fn has_caught_up(&mut self, source: Option<Name>) {
        if let Some(source) = source {
            self.engine.begin_recall(&source);
            self.status.update_source(&source, |source| source.caught_up = true);
        }
    }

    /// What is measured of each source, and of the store's clock, for the core to judge.
    fn measured(&self, now: Timestamp) -> Vec<Input> {
        let status = self.status.load();
        let of = |source: &SourceStatus| (source.name.clone(), source.measured(status.started_at));
        let store = status.store.measured(status.started_at, now).map(|measured| (STORE.into(), measured));
        let measured = status.sources.iter().map(of).chain(store);
        measured.map(|(source, measured)| Input::Sight { source, measured }).collect()
    }

    /// Shows what the core has judged.
    fn publish_sight(&self) {
        let core = self.engine.core();
        let status = self.status.load();
        for source in &status.sources {
            let blind = core.blindness(&source.name);
            if blind != source.blind {
                self.status.update_source(&source.name, |source| source.blind = blind.to_vec());
            }
        }
        let blind = core.blindness(&STORE.into());
        if blind != status.store.blind {
            self.status.update(|status| status.store.blind = blind.to_vec());
        }
    }

    /// What waits for nothing: after a change of policy all of P0 is judged anew, then what is due, proof that
    /// has come, and the rest of what is to be judged anew.
    fn pressing(&mut self, is_due: bool) -> Option<Input> {
        let reassess = Input::Reassess { recalled: Vec::new() };
        match self.engine.core().stale() {
            (1.., _) => Some(reassess),
            _ if is_due => Some(Input::Tick),
            (0, 0) => None,
            _ => self.stand_in.inlets.proof.try_recv().ok().or(Some(reassess)),
        }
    }

    fn adopt(&mut self, policy: Arc<Policy>, now: Timestamp) {
        tracing::info!(policy = %policy.hash, "another policy holds from now on");
        self.engine.adopt(policy);
        self.status.update(|status| (status.reload.taken_at, status.reload.refused) = (Some(now), None));
        // What was parked is due again.
        for lane in &self.lanes {
            lane.notify_one();
        }
    }

    /// The next input, or `None` at `until`, when the policy has changed, when the process is told to stop, and
    /// after a poll was answered what it reads again.
    async fn next(&mut self, until: Timestamp) -> Option<Input> {
        let (input, policy) = tokio::select! {
            biased;
            _ = self.shutdown.wait_for(|stop| *stop) => (None, None),
            () = self.clock.sleep_until(until) => (None, None),
            Some(policy) = self.reloads.recv() => (None, Some(policy)),
            Some(input) = self.act_inputs.recv() => (Some(input), None),
            Some(input) = self.stand_in.inlets.proof.recv() => (Some(input), None),
            Some(question) = self.stand_in.inlets.questions.recv() => {
                question.answer(self.engine.core());
                (None, None)
            }
            Some(input) = self.stand_in.inlets.scan.recv() => (Some(input), None),
        };
        if let Some(policy) = policy {
            let now = self.clock.now();
            self.adopt(policy, now);
        }
        input
    }

    fn pass_on(&self, fed: Fed) {
        if let Some(took) = fed.commit_took {
            self.metrics.observe_commit(took);
        }
        for (lane, pages) in self.lanes.iter().zip([fed.pages_p0, fed.pages_lesser]) {
            if pages {
                lane.notify_one();
            }
        }
        let mut by_source: BTreeMap<&Name, Vec<_>> = BTreeMap::new();
        for (priority, report) in &fed.asks {
            by_source.entry(&report.source).or_default().push((*priority, report.clone()));
        }
        for (source, asks) in by_source {
            if let Some(waiting) = self.stand_in.asks.get(source) {
                waiting.add(asks);
            }
        }
    }
}

/// The source of which an input ends a whole look.
fn scanned(input: &Input) -> Option<Name> {
    match input {
        Input::ScanEnded { source, .. } => Some(source.clone()),
        Input::Rows(_)
        | Input::Sight { .. }
        | Input::Recalled(_)
        | Input::Trouble { .. }
        | Input::Act(_)
        | Input::Reassess { .. }
        | Input::Tick => None,
    }
}

/// Returns once the process has been told to stop for this long.
async fn stopped_for<C: Clock>(span: Span, mut shutdown: watch::Receiver<bool>, clock: C) {
    if shutdown.wait_for(|stop| *stop).await.is_ok() {
        clock.sleep_until(clock.now().plus(span)).await;
    } else {
        // Nobody is left who could say so.
        std::future::pending::<()>().await;
    }
}

/// Polls a source every `every`, counted from the start of the last poll, and leaves its database at least
/// as long in peace as it has been busy with the poll.
async fn poll<So: Source, C: Clock>(
    mut watcher: Watcher<So, C>,
    poller: Arc<Poller<So, C>>,
    status: StatusHandle,
    metrics: Arc<Metrics>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut failing = false;
    loop {
        let began = poller.clock.now();
        let polled = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            polled = watcher.poll() => polled,
        };
        let mut next = began.plus(poller.every);
        match polled {
            Ok(polled) => {
                if failing {
                    tracing::info!(source = %poller.name, "the source can be read again");
                }
                failing = false;
                if polled.has_looked {
                    next = next.max(polled.ended.plus(polled.database));
                }
                metrics.observe_poll(&poller.name, polled.ended.since(polled.began), polled.database);
                status.update_source(&poller.name, |source| note(source, &polled));
            }
            Err(PollError::Stopped) => return,
            Err(PollError::Source(error)) => {
                if !failing {
                    tracing::error!(%error, "the source cannot be read; trying at every poll");
                }
                failing = true;
                let failure = Failure { at: poller.clock.now(), cause: error.to_string() };
                status.update_source(&poller.name, |source| source.fail(error.blind_kind(), failure.clone()));
            }
        }
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = poller.clock.sleep_until(next) => {}
        }
    }
}

fn note(source: &mut SourceStatus, polled: &Polled) {
    source.fault = None;
    source.last_poll_took = Some(polled.ended.since(polled.began));
    source.last_poll_database = Some(polled.database);
    source.looked_at.clone_from(&polled.looked_at);
    if polled.has_looked {
        source.last_ok = Some(polled.began);
    }
    if let Some(rows) = polled.rows {
        source.rows_last_scan = rows;
    }
}

/// Reads by key whatever the core asks for.
async fn answer<So: Source, C: Clock>(poller: Arc<Poller<So, C>>, mut shutdown: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = poller.asks.added() => {}
        }
        match poller.answer().await {
            Ok(()) => failing = false,
            Err(PollError::Stopped) => return,
            Err(PollError::Source(error)) => {
                if !failing {
                    tracing::error!(%error, "a read by key failed; a P0 pages without proof after two seconds");
                }
                failing = true;
            }
        }
    }
}
