//! The order of the queue. It is lexicographic, because under a weighted sum enough spam outranks a
//! child, and it ends in the key, so it is total.

use super::id::EpisodeKey;
use super::policy::{Priority, Standing};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// A case's place in the queue; the smallest comes first. The order is that of the fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// 1. P0 before everything.
    pub priority: Priority,
    /// 2. Known minor safety before presumed.
    pub standing: Standing,
    /// 3. Police reference, trusted flagger: top of its priority.
    pub raised: Reverse<bool>,
    /// 4. The earliest unmet deadline, so the longest overdue first; without one, last.
    pub deadline: Timestamp,
    /// 5. The wider it has spread, in powers of two.
    pub spread: Reverse<u8>,
    /// 6. The older report.
    pub received: Timestamp,
    /// 7. The key.
    pub key: EpisodeKey,
}
