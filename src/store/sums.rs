//! Sums of outcomes by slices of a week. They are a cache that can't be stale: the database takes a slice away with
//! every write to an outcome in it, and sums are only written where the slice was marked before its outcomes were
//! read and is marked still.

use super::Result;
use super::db::args;
use super::sql::{SqlStore, committed, failed};
use crate::core::time::Timestamp;

/// A slice of time whose sums are kept, or about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summed {
    pub began: Timestamp,
    pub ended: Timestamp,
    pub marked_at: Timestamp,
    pub is_made: bool,
}

/// Rows of one read: each may hold a megabyte.
const BATCH: u32 = 32;

const MARK: &str = "INSERT INTO sums (began, zone, ended, marked_at)";
const SLICES: &str = "SELECT began, ended, marked_at, CAST(CASE WHEN sums IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM sums \
     WHERE zone = $1 AND began >= $2 AND began < $3 ORDER BY began";
const SUMS: &str = "SELECT began, ended, sums FROM sums \
     WHERE zone = $1 AND began >= $2 AND began < $3 AND sums IS NOT NULL ORDER BY began LIMIT $4";

impl SqlStore {
    /// The slices between two instants that are marked or made, the earliest first.
    pub async fn summed(&self, zone: &str, from: Timestamp, until: Timestamp) -> Result<Vec<Summed>> {
        const OPERATION: &str = "read which sums are kept";
        let rows = self.db.fetch(SLICES, args![zone, from, until]).await.map_err(failed(OPERATION))?;
        let read = |row: &super::db::Row| {
            Ok(Summed { began: row.at(0)?, ended: row.at(1)?, marked_at: row.at(2)?, is_made: row.int(3)? != 0 })
        };
        rows.iter().map(read).collect::<super::db::Answer<_>>().map_err(failed(OPERATION))
    }

    /// Marks slices whose sums are about to be made; those that are marked or made stay as they are.
    pub async fn mark_sums(&self, zone: &str, slices: &[(Timestamp, Timestamp)], now: Timestamp) -> Result<()> {
        const OPERATION: &str = "mark sums to be made";
        let rows = slices.iter().map(|(began, ended)| args![*began, zone, *ended, now]).collect();
        let write = async {
            let mut tx = self.db.begin().await?;
            tx.insert(MARK, "ON CONFLICT (began, zone) DO NOTHING", rows).await?;
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// Keeps the sums of a slice. `false` where an outcome in it was written since it was marked: then nothing is kept.
    pub async fn keep_sums(&self, zone: &str, slice: Summed, sums: &str) -> Result<bool> {
        const OPERATION: &str = "keep sums";
        const KEEP: &str =
            "UPDATE sums SET sums = $1 WHERE began = $2 AND zone = $3 AND marked_at = $4 AND sums IS NULL";
        let write = async {
            let mut tx = self.db.begin().await?;
            let kept = tx.execute(KEEP, args![sums, slice.began, zone, slice.marked_at]).await?;
            Ok((tx, kept))
        };
        let (tx, kept) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(kept > 0)
    }

    /// Hands over the sums that are made, the earliest first, each with its slice's begin and end.
    pub async fn each_sums(
        &self,
        zone: &str,
        from: Timestamp,
        until: Timestamp,
        mut each: impl FnMut(Timestamp, Timestamp, &str) + Send,
    ) -> Result<()> {
        const OPERATION: &str = "read sums";
        let mut after = from;
        loop {
            let rows = self.db.fetch(SUMS, args![zone, after, until, BATCH]).await.map_err(failed(OPERATION))?;
            for row in &rows {
                let read = || Ok((row.at(0)?, row.at(1)?, row.text(2)?));
                let (began, ended, sums) = read().map_err(failed(OPERATION))?;
                each(began, ended, sums);
                after = ended;
            }
            if rows.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Takes away the sums of weeks that no report needs any more. Gives how many.
    pub async fn forget_sums(&self, before: Timestamp) -> Result<u64> {
        const OPERATION: &str = "forget old sums";
        let write = async {
            let mut tx = self.db.begin().await?;
            let gone = tx.execute("DELETE FROM sums WHERE began < $1", args![before]).await?;
            Ok((tx, gone))
        };
        let (tx, gone) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(gone)
    }
}
