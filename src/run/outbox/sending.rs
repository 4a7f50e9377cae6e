//! The attempts of one lane that are on their way, and how many more may join them. Each channel has only
//! so many places, so that a receiver that never answers holds its own pages and nobody else's.

use crate::core::id::Name;
use crate::store::Lane;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::{JoinError, JoinSet};

/// How many pages of a lane are on their way at once, at most.
pub const fn sending_max(lane: Lane) -> usize {
    match lane {
        Lane::P0 => 64,
        Lane::Lesser => 16,
    }
}

/// How many of them go to one channel, at most: it takes eight silent channels to fill the lane of P0.
pub const fn channel_sending_max(lane: Lane) -> usize {
    match lane {
        Lane::P0 => 8,
        Lane::Lesser => 4,
    }
}

/// The attempts; dropping them gives all of them up.
pub struct Sending {
    lane: Lane,
    pub attempts: JoinSet<()>,
    by_channel: Arc<Mutex<BTreeMap<Name, usize>>>,
}

impl Sending {
    pub fn new(lane: Lane) -> Self {
        Sending { lane, attempts: JoinSet::new(), by_channel: Arc::default() }
    }

    pub fn start(&mut self, channel: &Name, attempt: impl Future<Output = ()> + Send + 'static) {
        *lock(&self.by_channel).entry(channel.clone()).or_default() += 1;
        let place = Place { channel: channel.clone(), by_channel: Arc::clone(&self.by_channel) };
        self.attempts.spawn(async move {
            // Given back however the attempt ends: a panic and an abort drop it too.
            let _place = place;
            attempt.await;
        });
    }

    /// The channels whose places are all taken.
    pub fn full(&self) -> Vec<Name> {
        let most = channel_sending_max(self.lane);
        lock(&self.by_channel).iter().filter(|(_, count)| **count >= most).map(|(name, _)| name.clone()).collect()
    }

    /// How many pages may be leased at once, whichever channels that aren't full they are of.
    pub fn room(&self) -> usize {
        let most = channel_sending_max(self.lane);
        let busiest = lock(&self.by_channel).values().copied().filter(|count| *count < most).max();
        let of_lane = sending_max(self.lane).saturating_sub(self.attempts.len());
        of_lane.min(most - busiest.unwrap_or(0))
    }

    /// Notes every attempt that has ended.
    pub fn reap(&mut self) {
        while let Some(ended) = self.attempts.try_join_next() {
            note(ended);
        }
    }

    /// Waits until every attempt has ended.
    pub async fn all_ended(&mut self) {
        while let Some(ended) = self.attempts.join_next().await {
            note(ended);
        }
    }
}

/// A panic of an attempt costs that attempt only: its lease runs out and the page goes again.
pub fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt to send a page broke off; it goes again when its lease ends");
    }
}

struct Place {
    channel: Name,
    by_channel: Arc<Mutex<BTreeMap<Name, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_channel = lock(&self.by_channel);
        let left = by_channel.get(&self.channel).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            by_channel.remove(&self.channel);
        } else {
            by_channel.insert(self.channel.clone(), left);
        }
    }
}

fn lock(by_channel: &Mutex<BTreeMap<Name, usize>>) -> std::sync::MutexGuard<'_, BTreeMap<Name, usize>> {
    // Counts are whole after every change, so a panic elsewhere spoils nothing.
    by_channel.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn a_place_is_given_back_after_an_end_a_panic_and_an_abort() {
        let (mut sending, a): (_, Name) = (Sending::new(Lane::P0), "a".into());
        for _ in 0..channel_sending_max(Lane::P0) - 2 {
            sending.start(&a, pending());
        }
        sending.start(&a, async {});
        sending.start(&a, async { panic!("as a defect would") });
        assert_eq!((sending.full(), sending.room()), (vec![a.clone()], 8));
        while sending.attempts.len() > 6 {
            note(sending.attempts.join_next().await.unwrap());
        }
        assert_eq!((sending.full(), sending.room()), (vec![], 2));
        sending.attempts.shutdown().await;
        assert_eq!((sending.full(), sending.room()), (vec![], 8));
    }

    #[tokio::test]
    async fn the_lane_is_full_when_so_many_channels_are() {
        let mut sending = Sending::new(Lane::Lesser);
        for n in 0..sending_max(Lane::Lesser) {
            sending.start(&format!("channel {}", n % 4).as_str().into(), pending());
        }
        assert_eq!((sending.full().len(), sending.room()), (4, 0));
    }
}
