//! The outbox: leases due pages from the store, sends them and records the answers. At least once, always
//! under the page's own keys: a crash between sending and recording lets the lease run out, and the page
//! goes again under the same delivery key. What a channel refuses, or leaves unanswered, rings the next one as
//! well. The lanes share nothing that one could take from the other.

mod fallback;
mod retry;
mod sending;
mod stats;

use crate::core::plan::PageKind;
use crate::core::time::{Span, Timestamp};
use crate::keys::Keys;
use crate::pager::{Answer, Outgoing, REQUEST_TIMEOUT, Sender, http};
use crate::run::clock::Clock;
use crate::store::{Attempt, Delivery, Lane, LeasedPage, NewPage, Result, Store, StoreError};
use sending::{Sending, note};
pub use sending::{channel_sending_max, sending_max};
pub use stats::OutboxStats;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, watch};

/// How long this process has a page for itself.
pub const LEASE: Span = Span::from_secs(30);

// A lease shorter than a request would let the page be sent a second time while the first is on its way.
const _: () = assert!(LEASE.micros() >= 2 * REQUEST_TIMEOUT.micros());

/// How long to leave the store alone after an error, or when what it calls due can't be leased.
const STORE_PAUSE: Span = Span::from_secs(1);

/// How many unanswered pages one look at them takes up.
const UNANSWERED_MAX: u32 = 64;

/// How long attempts on their way may take to end once the process is asked to stop.
const DRAIN_MAX: Span = Span::from_secs(10);

/// Sends what the store holds. A clone is the same outbox.
pub struct Outbox<S, P, C> {
    shared: Arc<Shared<S, P, C>>,
}

struct Shared<S, P, C> {
    store: Arc<S>,
    sender: P,
    clock: C,
    keys: Keys,
    stats: OutboxStats,
    record_fails: AtomicBool,
}

impl<S, P, C> Clone for Outbox<S, P, C> {
    fn clone(&self) -> Self {
        Outbox { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Store, P: Sender, C: Clock> Outbox<S, P, C> {
    pub fn new(store: Arc<S>, sender: P, clock: C, keys: Keys, stats: OutboxStats) -> Self {
        let shared = Shared { store, sender, clock, keys, stats, record_fails: AtomicBool::new(false) };
        Outbox { shared: Arc::new(shared) }
    }

    /// Sends the pages of a lane that are due, at most [`sending_max`] of them and [`channel_sending_max`]
    /// of a channel, and returns how many when all have been answered and recorded.
    ///
    /// # Errors
    /// Where the store can't lease.
    pub async fn pump(&self, lane: Lane) -> Result<usize> {
        let mut sending = Sending::new(lane);
        let leased = self.fill(lane, &mut sending).await;
        sending.all_ended().await;
        leased
    }

    /// Serves a lane until `shutdown` turns true or its sender is gone: whenever `wake` is notified (one
    /// for each lane: a commit holds pages), when the store's next page is due, and when an attempt ends.
    pub async fn run(&self, lane: Lane, wake: Arc<Notify>, mut shutdown: watch::Receiver<bool>) {
        let mut sending = Sending::new(lane);
        let mut looked = Looked { store_fails: false, fruitless: false, answers_at: Timestamp::MIN };
        loop {
            sending.reap();
            let look_at = self.look(lane, &mut sending, &mut looked).await;
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(ended) = sending.attempts.join_next() => note(ended),
                () = wake.notified(), if !looked.store_fails => {}
                () = self.sleep(look_at) => {}
            }
        }
        self.drain(lane, sending).await;
    }

    /// Leases and starts what is due, and returns when to look again; `None` when only an attempt's end
    /// or a new page can bring something to do.
    async fn look(&self, lane: Lane, sending: &mut Sending, looked: &mut Looked) -> Option<Timestamp> {
        let found = async {
            self.let_fall_back(lane, looked).await?;
            let leased = self.fill(lane, sending).await?;
            let is_full = sending.room() == 0;
            let next = if is_full { None } else { self.shared.store.next_page_at(lane, &sending.full()).await? };
            Ok::<_, StoreError>((leased, next))
        };
        let found = found.await;
        let now = self.shared.clock.now();
        let (leased, next) = match found {
            Ok(found) => found,
            Err(error) => {
                if !looked.store_fails {
                    tracing::error!(?lane, %error, "the outbox can't lease pages; trying every second");
                }
                looked.store_fails = true;
                return Some(now.plus(STORE_PAUSE));
            }
        };
        if looked.store_fails {
            tracing::info!(?lane, "the outbox leases pages again");
            looked.store_fails = false;
        }
        // What is due and yet not leased twice in a row waits for another page, such as a resolve for
        // its ring.
        let is_due = next.is_some_and(|at| at <= now);
        let is_fruitless = leased == 0 && is_due;
        let pause = is_fruitless && looked.fruitless;
        looked.fruitless = is_fruitless;
        let next = if pause { Some(now.plus(STORE_PAUSE)) } else { next };
        Some(next.map_or(looked.answers_at, |next| next.min(looked.answers_at)))
    }

    /// Lets pages that nothing has settled in time ring on their next channel as well, whether they are on their
    /// way or wait for a place; notes when to look again.
    async fn let_fall_back(&self, lane: Lane, looked: &mut Looked) -> Result<()> {
        let now = self.shared.clock.now();
        if now < looked.answers_at {
            return Ok(());
        }
        let most = fallback::unanswered_max(lane);
        loop {
            let unanswered = self.shared.store.unanswered(lane, UNANSWERED_MAX).await?;
            let due: Vec<_> = unanswered.iter().take_while(|leased| leased.page.created_at.plus(most) <= now).collect();
            for leased in &due {
                let pages = fallback::pages(&leased.page, &self.shared.keys, now);
                self.shared.store.fall_back(leased.id, &pages, now).await?;
                log_silence(leased);
            }
            if due.len() < UNANSWERED_MAX as usize {
                // Whatever is created from now on is due later than that.
                let next = unanswered.get(due.len()).map_or(now, |leased| leased.page.created_at);
                looked.answers_at = next.plus(most);
                return Ok(());
            }
        }
    }

    /// Leases no more than can be sent at once, so that no lease runs while its page waits in line. Few at
    /// a time, so that no channel gets more than its places.
    async fn fill(&self, lane: Lane, sending: &mut Sending) -> Result<usize> {
        let mut leased = 0;
        loop {
            let limit = sending.room();
            if limit == 0 {
                return Ok(leased);
            }
            let now = self.shared.clock.now();
            let until = now.plus(LEASE);
            let at_most = u32::try_from(limit).unwrap_or(u32::MAX);
            let pages = self.shared.store.lease_pages(lane, now, until, at_most, &sending.full()).await?;
            let count = pages.len();
            leased += count;
            for page in pages {
                let shared = Arc::clone(&self.shared);
                let channel = page.page.channel.clone();
                sending.start(&channel, async move { shared.deliver(lane, page, until).await });
            }
            if count < limit {
                return Ok(leased);
            }
        }
    }

    async fn sleep(&self, until: Option<Timestamp>) {
        match until {
            Some(at) => self.shared.clock.sleep_until(at).await,
            None => pending().await,
        }
    }

    async fn drain(&self, lane: Lane, mut sending: Sending) {
        let give_up = self.shared.clock.sleep_until(self.shared.clock.now().plus(DRAIN_MAX));
        tokio::select! {
            biased;
            () = sending.all_ended() => return,
            () = give_up => {}
        }
        let left = sending.attempts.len();
        tracing::warn!(?lane, left, "stopping without an answer to these pages; they go again under the same keys");
        sending.attempts.shutdown().await;
    }
}

struct Looked {
    store_fails: bool,
    fruitless: bool,
    /// When the next page may have been unanswered for too long.
    answers_at: Timestamp,
}

impl<S: Store, P: Sender, C: Clock> Shared<S, P, C> {
    /// One attempt: send, decide, record.
    async fn deliver(&self, lane: Lane, leased: LeasedPage, leased_until: Timestamp) {
        let began = self.clock.now();
        let outlasts_lease = began.plus(REQUEST_TIMEOUT) >= leased_until;
        // The store took too long to answer. For P0 a page doubled under one key beats a late one.
        if outlasts_lease && lane != Lane::P0 {
            return;
        }
        let page = outgoing(&leased.page);
        let answer = tokio::select! {
            biased;
            answer = self.sender.send(&page, began) => answer,
            () = self.clock.sleep_until(began.plus(REQUEST_TIMEOUT)) => Answer::retry(http::timed_out()),
        };
        let ended = self.clock.now();
        let delivery = retry::decide(lane, &leased, &answer, ended);
        self.stats.count(lane, &leased.page.channel, &delivery, ended.since(leased.page.created_at));
        log_failure(&leased, &delivery, &answer);
        let falls_back = fallback::is_due(lane, &leased, &delivery, ended);
        let fallbacks = if falls_back { fallback::pages(&leased.page, &self.keys, ended) } else { Vec::new() };
        let attempt = Attempt { page: leased.id, began, ended, delivery, answer: answer.text, fallbacks };
        self.record(&attempt, leased_until).await;
    }

    /// Records until it succeeds or the lease is over; then the page may go again under the same key.
    async fn record(&self, attempt: &Attempt, leased_until: Timestamp) {
        loop {
            let error = match self.store.record(attempt).await {
                Ok(()) => {
                    if self.record_fails.swap(false, Ordering::Relaxed) {
                        tracing::info!("the outbox records answers again");
                    }
                    return;
                }
                Err(error) => error,
            };
            if !self.record_fails.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the outbox can't record an answer; trying every second while the lease lasts");
            }
            let next = self.clock.now().plus(STORE_PAUSE);
            if matches!(error, StoreError::Fenced { .. }) || next >= leased_until {
                return;
            }
            self.clock.sleep_until(next).await;
        }
    }
}

pub(super) fn outgoing(page: &NewPage) -> Outgoing<'_> {
    Outgoing {
        channel: &page.channel,
        incident: page.incident,
        round: page.round,
        kind: page.kind,
        priority: page.priority,
        created_at: page.created_at,
        alert_key: &page.alert_key,
        delivery_key: &page.delivery_key,
        payload: &page.payload,
    }
}

fn log_silence(leased: &LeasedPage) {
    let page = &leased.page;
    tracing::warn!(incident = %page.incident, round = page.round, channel = %page.channel, "page unanswered: the next channel rings as well");
}

/// The first failure of a page and its parking; the attempts in between are in the store.
fn log_failure(leased: &LeasedPage, delivery: &Delivery, answer: &Answer) {
    let (page, attempt) = (&leased.page, leased.attempts.saturating_add(1));
    let (incident, channel, answer) = (page.incident, &*page.channel, answer.text.as_str());
    let is_ring = page.kind == PageKind::Ring;
    match delivery {
        Delivery::Parked => {
            tracing::error!(%incident, round = page.round, channel, is_ring, attempt, answer, "page parked: nothing more is sent until the channel's configuration changes");
        }
        Delivery::Retry { .. } if leased.attempts == 0 => {
            tracing::warn!(%incident, round = page.round, channel, is_ring, answer, "page not accepted; trying again");
        }
        Delivery::Retry { .. } | Delivery::Accepted => {}
    }
}
