//! How much one asker may ask for: a bucket of requests each, and a smaller one of wrong proofs for each address. The
//! number of buckets is bounded; where it is full, the one that was used longest ago is forgotten.

use crate::core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How a bucket fills.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub burst: u32,
    pub per_sec: u32,
}

/// Of everything that one asker asks; whoever isn't named shares it with all of their address, who may all come back to
/// the board at once.
pub const REQUESTS: Rate = Rate { burst: 400, per_sec: 50 };
/// Of wrong tokens from one address. Guessing one of 2^256 is hopeless anyway; this keeps it from being noise.
pub const WRONG: Rate = Rate { burst: 20, per_sec: 1 };

const BUCKETS_MAX: usize = 4_096;

/// Millionths of a request, so that a bucket fills by the microsecond.
type Drops = i64;
const WHOLE: Drops = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    drops: Drops,
    at: Timestamp,
}

/// The buckets of one kind.
#[derive(Debug)]
pub struct Limits {
    rate: Rate,
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

impl Limits {
    pub fn new(rate: Rate) -> Limits {
        Limits { rate, buckets: Mutex::default() }
    }

    /// Takes one from this asker's bucket. Where it is empty, how long until there is one.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&self, key: &str, now: Timestamp) -> Result<(), Span> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(key) {
            let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| key.clone());
            oldest.map(|key| buckets.remove(&key));
        }
        let full = Drops::from(self.rate.burst) * WHOLE;
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { drops: full, at: now });
        let passed = now.since(bucket.at).max(Span::ZERO).micros();
        bucket.drops = bucket.drops.saturating_add(passed.saturating_mul(self.rate.per_sec.into())).min(full);
        bucket.at = bucket.at.max(now);
        if bucket.drops >= WHOLE {
            bucket.drops -= WHOLE;
            return Ok(());
        }
        Err(Span::from_micros((WHOLE - bucket.drops) / i64::from(self.rate.per_sec.max(1)) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000);

    #[test]
    fn a_burst_is_let_through_and_then_the_rate_holds() {
        let limits = Limits::new(Rate { burst: 3, per_sec: 2 });
        let taken = |at: Timestamp| limits.take("ada", at).is_ok();
        assert_eq!([0; 4].map(|_| taken(START)), [true, true, true, false]);
        assert_eq!(limits.take("ada", START), Err(Span::from_micros(500_001)));
        assert!(limits.take("bob", START).is_ok(), "another's bucket is another");
        let later = START.plus(Span::from_micros(500_000));
        assert_eq!([taken(later), taken(later)], [true, false]);
        assert!(!taken(START), "a clock that goes back fills nothing");
    }

    #[test]
    fn as_many_askers_as_there_are_take_no_more_memory() {
        let limits = Limits::new(REQUESTS);
        for i in 0..i64::try_from(BUCKETS_MAX).unwrap_or(0) + 50 {
            assert!(limits.take(&i.to_string(), START.plus(Span::from_micros(i))).is_ok());
        }
        assert_eq!(limits.buckets.lock().unwrap().len(), BUCKETS_MAX);
    }
}
