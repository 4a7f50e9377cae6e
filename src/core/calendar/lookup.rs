//! Finds a place among sorted keys in about the time of one memory access: equal buckets over their range
//! say how many keys lie before each, and a binary search is left only within a bucket.

use std::ops::Range;

/// Several a key, so that most buckets hold none or one.
const BUCKETS_PER_KEY: u64 = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    first: i64,
    /// A bucket is 2^shift wide.
    shift: u32,
    /// How many keys lie before each bucket; one entry more than there are buckets.
    before: Vec<usize>,
}

impl Lookup {
    /// `keys` are sorted.
    pub(super) fn new(keys: &[i64]) -> Lookup {
        let (first, last) = (keys.first().copied().unwrap_or(0), keys.last().copied().unwrap_or(0));
        let width = last.wrapping_sub(first) as u64;
        let wanted = BUCKETS_PER_KEY * keys.len() as u64;
        let shift = (0..63).find(|shift| width >> shift < wanted.max(1)).unwrap_or(63);
        let buckets = (width >> shift) as usize + 1;
        let mut before = vec![0; buckets + 1];
        for key in keys {
            before[(key.wrapping_sub(first) as u64 >> shift) as usize + 1] += 1;
        }
        for bucket in 1..=buckets {
            before[bucket] += before[bucket - 1];
        }
        Lookup { first, shift, before }
    }

    /// The indices among which the keys that equal `key` would stand: those before the range are all
    /// smaller, those behind it all greater.
    pub(super) fn around(&self, key: i64) -> Range<usize> {
        if key < self.first {
            return 0..0;
        }
        let bucket = (key.wrapping_sub(self.first) as u64 >> self.shift) as usize;
        let last = self.before.len() - 1;
        self.before[bucket.min(last)]..self.before[bucket.saturating_add(1).min(last)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_the_range_is_smaller_before_it_and_greater_behind() {
        for keys in
            [vec![], vec![5], vec![i64::MIN, i64::MAX], vec![1, 2, 3, 1_000_000_000], vec![7, 7, 7], vec![-9, 0, 4]]
        {
            let lookup = Lookup::new(&keys);
            let near = |key: i64| [key.saturating_sub(1), key, key.saturating_add(1)];
            for key in keys.iter().copied().chain([i64::MIN, 0, i64::MAX]).flat_map(near) {
                let range = lookup.around(key);
                assert!(keys[..range.start].iter().all(|before| *before < key), "{keys:?} {key}");
                assert!(keys[range.end..].iter().all(|behind| *behind > key), "{keys:?} {key}");
            }
        }
    }

    #[test]
    fn keys_at_equal_distances_leave_at_most_one_to_look_at() {
        let keys: Vec<i64> = (0..1_000).map(|n| 1_700_000_000_000_000 + n * 86_400_000_000).collect();
        let lookup = Lookup::new(&keys);
        assert!(keys.iter().all(|key| lookup.around(*key).len() == 1));
        assert!(lookup.before.len() < 5_000);
    }
}
