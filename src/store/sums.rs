//! Sums of outcomes and breaches by slices of a week. They are a cache that can't be stale: the database takes a slice
//! away with every write to a row in it, and sums are only written where the slice was marked before its rows were read
//! and is marked still.
//!
//! A writer who sees the mark takes it away, and then nothing is kept. One who doesn't see it wrote before it: a mark waits
//! for the commit that is under way, so that all that the monitor has committed without seeing it is there to be read.
//! Who writes beside the commits, in small transactions, is given time by whoever marks.

use super::Result;
use super::commit::SETTLE;
use super::db::{Answer, Row, args};
use super::sql::{SqlStore, committed, failed};
use crate::core::time::Timestamp;

/// What is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Outcomes,
    Breaches,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Outcomes, Kind::Breaches];

    const fn table(self) -> &'static str {
        match self {
            Kind::Outcomes => "sums",
            Kind::Breaches => "breach_sums",
        }
    }
}

/// A slice of time whose sums are kept, or about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summed {
    pub kind: Kind,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub marked_at: Timestamp,
    pub is_made: bool,
}

/// Which parts of a slice's sums are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Counts,
    CountsAndLengths,
    Behind,
}

impl Part {
    const fn columns(self) -> &'static str {
        match self {
            Part::Counts => "counts, ''",
            Part::CountsAndLengths => "counts, lengths",
            Part::Behind => "behind, ''",
        }
    }
}

/// Rows of one read: each may hold a few hundred kilobytes.
const BATCH: u32 = 32;

impl SqlStore {
    /// The slices between two instants that are marked or made, the earliest first.
    pub async fn summed(&self, kind: Kind, zone: &str, from: Timestamp, until: Timestamp) -> Result<Vec<Summed>> {
        const OPERATION: &str = "read which sums are kept";
        let sql = format!(
            "SELECT began, ended, marked_at, CAST(CASE WHEN counts IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM {} \
             WHERE zone = $1 AND began >= $2 AND began < $3 ORDER BY began",
            kind.table()
        );
        let rows = self.db.fetch(sql, args![zone, from, until]).await.map_err(failed(OPERATION))?;
        let read = |row: &Row| {
            let (began, ended, marked_at) = (row.at(0)?, row.at(1)?, row.at(2)?);
            Ok(Summed { kind, began, ended, marked_at, is_made: row.int(3)? != 0 })
        };
        rows.iter().map(read).collect::<Answer<_>>().map_err(failed(OPERATION))
    }

    /// Marks slices whose sums are about to be made; those that are marked or made stay as they are.
    pub async fn mark_sums(
        &self,
        kind: Kind,
        zone: &str,
        slices: &[(Timestamp, Timestamp)],
        now: Timestamp,
    ) -> Result<()> {
        const OPERATION: &str = "mark sums to be made";
        let rows = slices.iter().map(|(began, ended)| args![*began, zone, *ended, now]).collect();
        let write = async {
            let mut tx = self.db.begin().await?;
            tx.fetch_one(SETTLE, args![]).await?;
            let head = format!("INSERT INTO {} (began, zone, ended, marked_at)", kind.table());
            tx.insert(&head, "ON CONFLICT (began, zone) DO NOTHING", rows).await?;
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// Keeps the sums of a slice: counts, lengths, and what was behind. `false` where a row in it was written since it
    /// was marked: then nothing is kept.
    pub async fn keep_sums(&self, zone: &str, slice: Summed, parts: [&str; 3]) -> Result<bool> {
        const OPERATION: &str = "keep sums";
        let sql = format!(
            "UPDATE {} SET counts = $1, lengths = $2, behind = $3 \
             WHERE began = $4 AND zone = $5 AND marked_at = $6 AND counts IS NULL",
            slice.kind.table()
        );
        let [counts, lengths, behind] = parts;
        let args = args![counts, lengths, behind, slice.began, zone, slice.marked_at];
        let write = async {
            let mut tx = self.db.begin_forgettable().await?;
            let kept = tx.execute(sql, args).await?;
            Ok((tx, kept))
        };
        let (tx, kept) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(kept > 0)
    }

    /// Hands over some parts of the sums that are made, the earliest first, each with its slice's begin and end.
    pub async fn each_sums(
        &self,
        kind: Kind,
        part: Part,
        zone: &str,
        (from, until): (Timestamp, Timestamp),
        mut each: impl FnMut(Timestamp, Timestamp, &str, &str) + Send,
    ) -> Result<()> {
        const OPERATION: &str = "read sums";
        let sql = format!(
            "SELECT began, ended, {} FROM {} WHERE zone = $1 AND began >= $2 AND began < $3 AND counts IS NOT NULL \
             ORDER BY began LIMIT $4",
            part.columns(),
            kind.table()
        );
        let mut after = from;
        loop {
            let args = args![zone, after, until, BATCH];
            let rows = self.db.fetch(sql.clone(), args).await.map_err(failed(OPERATION))?;
            for row in &rows {
                let read = || Ok((row.at(0)?, row.at(1)?, row.text(2)?, row.text(3)?));
                let (began, ended, first, second) = read().map_err(failed(OPERATION))?;
                each(began, ended, first, second);
                after = ended;
            }
            if rows.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Takes away the sums of weeks that no report needs any more. Gives how many.
    pub async fn forget_sums(&self, kind: Kind, before: Timestamp) -> Result<u64> {
        const OPERATION: &str = "forget old sums";
        let write = async {
            let mut tx = self.db.begin().await?;
            let gone = tx.execute(format!("DELETE FROM {} WHERE began < $1", kind.table()), args![before]).await?;
            Ok((tx, gone))
        };
        let (tx, gone) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(gone)
    }
}
