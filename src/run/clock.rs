//! The clock port: the one place that reads the wall clock. Every loop takes its time from here, so
//! that a test can drive it.

use crate::core::time::{Span, Timestamp};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::watch;

pub trait Clock: Clone + Send + Sync + 'static {
    fn now(&self) -> Timestamp;
    /// Returns once `now` has reached `at`.
    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_micros(since_epoch.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    async fn sleep_until(&self, at: Timestamp) {
        // In stretches of at most a second, because the wall clock may be set while we sleep.
        loop {
            let left = at.since(self.now());
            if left.micros() <= 0 {
                return;
            }
            tokio::time::sleep(left.to_std().min(std::time::Duration::from_secs(1))).await;
        }
    }
}

/// A clock that stands until somebody moves it: for replay, simulation and tests. Clones are one clock,
/// and any thread may move it or sleep by it.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    now: watch::Sender<Timestamp>,
    sleepers: watch::Sender<Sleepers>,
}

/// Who sleeps until when; the number tells apart those who wait for the same instant.
#[derive(Debug, Default)]
struct Sleepers {
    waiting: BTreeSet<(Timestamp, u64)>,
    next: u64,
}

/// A sleeper is forgotten when it wakes, and when its future is dropped.
struct Sleep<'a> {
    inner: &'a Inner,
    entry: (Timestamp, u64),
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.inner.sleepers.send_modify(|sleepers| {
            sleepers.waiting.remove(&self.entry);
        });
    }
}

impl VirtualClock {
    pub fn new(now: Timestamp) -> Self {
        let inner = Inner { now: watch::Sender::new(now), sleepers: watch::Sender::new(Sleepers::default()) };
        VirtualClock { inner: Arc::new(inner) }
    }

    /// Moves the clock by `span` and wakes whoever is due.
    pub fn advance(&self, span: Span) {
        self.inner.now.send_modify(|now| *now = now.plus(span));
    }

    /// Puts the clock to an instant, which may lie in the past, as when a wall clock is set.
    pub fn set(&self, at: Timestamp) {
        self.inner.now.send_replace(at);
    }

    /// The earliest instant after now for which somebody sleeps.
    pub fn next_wake(&self) -> Option<Timestamp> {
        earliest_after(&self.inner.sleepers.borrow(), self.now())
    }

    /// As [`VirtualClock::next_wake`], but waits until there is one: then a loop under test has come to
    /// rest, and the clock may be moved to it.
    pub async fn somebody_sleeps(&self) -> Timestamp {
        let mut sleepers = self.inner.sleepers.subscribe();
        loop {
            if let Some(at) = earliest_after(&sleepers.borrow_and_update(), self.now()) {
                return at;
            }
            if sleepers.changed().await.is_err() {
                // The sender lives in `self`.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn earliest_after(sleepers: &Sleepers, now: Timestamp) -> Option<Timestamp> {
    sleepers.waiting.range((now, u64::MAX)..).map(|(at, _)| *at).find(|at| *at > now)
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        *self.inner.now.borrow()
    }

    async fn sleep_until(&self, at: Timestamp) {
        // Subscribed before the first look, so that a move in between isn't missed.
        let mut now = self.inner.now.subscribe();
        let mut entry = (at, 0);
        self.inner.sleepers.send_modify(|sleepers| {
            entry.1 = sleepers.next;
            sleepers.next += 1;
            sleepers.waiting.insert(entry);
        });
        let _sleep = Sleep { inner: &self.inner, entry };
        // An error would mean that the sender is gone, which lives in `self`.
        let _ = now.wait_for(|now| *now >= at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000);

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_reaches_its_instant_and_not_before() {
        let clock = VirtualClock::new(START);
        let sleeper = clock.clone();
        let task = tokio::spawn(async move {
            sleeper.sleep_until(START.plus(Span::from_secs(5))).await;
            sleeper.now()
        });
        assert_eq!(clock.somebody_sleeps().await, START.plus(Span::from_secs(5)));
        clock.advance(Span::from_secs(4));
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        assert_eq!(clock.next_wake(), Some(START.plus(Span::from_secs(5))));
        clock.advance(Span::from_secs(1));
        assert_eq!(task.await.unwrap(), START.plus(Span::from_secs(5)));
        assert_eq!(clock.next_wake(), None);
    }

    #[tokio::test]
    async fn an_instant_already_reached_waits_not_at_all_and_a_dropped_sleeper_is_forgotten() {
        let clock = VirtualClock::new(START);
        clock.sleep_until(START).await;
        let later = START.plus(Span::from_secs(9));
        tokio::select! {
            biased;
            () = clock.sleep_until(later) => panic!("the clock stands"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(clock.next_wake(), None);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_sleeper_misses_a_move_made_on_another_thread() {
        let clock = VirtualClock::new(START);
        let mut tasks = tokio::task::JoinSet::new();
        for n in 1..=2_000 {
            let clock = clock.clone();
            tasks.spawn(async move { clock.sleep_until(START.plus(Span::from_micros(n))).await });
        }
        let mover = clock.clone();
        let moving = tokio::task::spawn_blocking(move || {
            for _ in 0..2_000 {
                mover.advance(Span::from_micros(1));
            }
        });
        moving.await.unwrap();
        assert_eq!(tasks.join_all().await.len(), 2_000);
        assert_eq!(clock.next_wake(), None);
    }
}
