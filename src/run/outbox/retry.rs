//! When a page that wasn't accepted is sent again: a pure function of the answer, the page and how often
//! it was tried. The jitter comes out of the delivery key, so that the same night always runs the same.

use crate::core::time::{Span, Timestamp};
use crate::pager::{Answer, AnswerVerdict};
use crate::store::{Delivery, Lane, LeasedPage};

/// The longest wait between two attempts that we choose ourselves.
const BACKOFF_MAX: Span = Span::from_secs(60);
const BACKOFF_MAX_P0: Span = Span::from_secs(15);

/// The longest wait that a receiver may choose for a P0: it may be slow with other people's pages, but a
/// child's must not go quiet for minutes because of one header.
const RETRY_AFTER_MAX_P0: Span = Span::from_secs(60);

/// What an answer that came at `at` makes of a page.
pub fn decide(lane: Lane, leased: &LeasedPage, answer: &Answer, at: Timestamp) -> Delivery {
    match answer.verdict {
        AnswerVerdict::Accepted => Delivery::Accepted,
        AnswerVerdict::Permanent => Delivery::Parked,
        AnswerVerdict::Retry { after } => {
            let ours = backoff(lane, &leased.page.delivery_key, leased.attempts);
            let theirs = match (after, lane) {
                (Some(after), Lane::P0) => after.min(RETRY_AFTER_MAX_P0),
                (Some(after), Lane::Lesser) => after,
                (None, _) => Span::ZERO,
            };
            Delivery::Retry { at: at.plus(ours.max(theirs)) }
        }
    }
}

/// The wait after the attempt before which `attempts` were made: between 1 and 2 s at first, doubling, at
/// last between half of the lane's longest wait and all of it.
fn backoff(lane: Lane, delivery_key: &str, attempts: u32) -> Span {
    let longest = match lane {
        Lane::P0 => BACKOFF_MAX_P0,
        Lane::Lesser => BACKOFF_MAX,
    };
    let full = Span::from_secs(2 << attempts.min(16)).min(longest).micros();
    let half = full / 2;
    Span::from_micros(half + (mix(delivery_key, attempts) % (half.unsigned_abs() + 1)).cast_signed())
}

/// FNV-1a over the key and the attempt, its bits stirred so that neighbours land far apart.
fn mix(delivery_key: &str, attempts: u32) -> u64 {
    let bytes = delivery_key.bytes().chain(attempts.to_be_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(lane: Lane, attempts: u32) -> f64 {
        backoff(lane, "5f2a", attempts).micros() as f64 / 1e6
    }

    #[test]
    fn waits_double_from_one_second_up_to_the_lanes_longest() {
        for (attempts, low, high) in [(0, 1.0, 2.0), (1, 2.0, 4.0), (2, 4.0, 8.0), (5, 30.0, 60.0)] {
            let wait = secs(Lane::Lesser, attempts);
            assert!((low..=high).contains(&wait), "attempt {attempts}: {wait} s");
        }
        for attempts in [6, 31, 1_000, u32::MAX] {
            assert!((30.0..=60.0).contains(&secs(Lane::Lesser, attempts)), "attempt {attempts}");
            assert!((7.5..=15.0).contains(&secs(Lane::P0, attempts)), "attempt {attempts}");
        }
    }

    #[test]
    fn pages_that_failed_together_come_back_apart_and_the_same_page_always_alike() {
        let waits: Vec<Span> = (0..1_000).map(|n| backoff(Lane::Lesser, &format!("{n:064x}"), 0)).collect();
        for tenth in 0..10 {
            let from = Span::from_micros(1_000_000 + tenth * 100_000);
            let to = from.plus(Span::from_micros(100_000));
            let inside = waits.iter().filter(|wait| (from..to).contains(wait)).count();
            assert!((60..=140).contains(&inside), "{inside} of 1000 waits lie in tenth {tenth}");
        }
        assert_eq!(backoff(Lane::P0, "5f2a", 3), backoff(Lane::P0, "5f2a", 3));
    }
}
