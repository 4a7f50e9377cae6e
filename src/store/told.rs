//! What was watched and what was told: stretches of sight, each week's figures as first told, who was sent
//! them, and which sources were read back to before the first start.

use super::Result;
use super::commit::{INTO_OUTCOMES, outcome_row};
use super::db::{Answer, Row, Tx, args};
use super::sql::{SqlStore, committed, failed};
use crate::core::id::Name;
use crate::core::outcome::Basis;
use crate::core::plan::Outcome;
use crate::core::time::Timestamp;
use std::collections::BTreeMap;

/// Under this name the monitor watches itself.
pub const THE_MONITOR: &str = "";

/// The channel of the week from which telling began.
const NOBODY: &str = "";

/// A stretch of time in which a source was in sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub source: Name,
    pub began: Timestamp,
    pub ended: Timestamp,
}

/// A delivery that this process may make until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedDelivery {
    pub week: String,
    pub channel: Name,
    /// Attempts recorded before this one.
    pub attempts: u32,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Delivered,
    /// Tried again at this instant.
    Again {
        at: Timestamp,
    },
    /// A permanent error: parked, and visible.
    Parked,
}

fn delivery(row: &Row) -> Answer<LeasedDelivery> {
    Ok(LeasedDelivery { week: row.text(0)?.to_owned(), channel: row.text(1)?.into(), attempts: row.small(2)? })
}

const WATCH: &str = "INSERT INTO stretches (source, began, ended) VALUES ($1, $2, $3) \
     ON CONFLICT (source, began) DO UPDATE SET ended = excluded.ended";
const WATCHED: &str =
    "SELECT source, began, ended FROM stretches WHERE ended >= $1 AND began < $2 ORDER BY source, began";
const KEEP: &str =
    "INSERT INTO weekly_reports (week, made_at, figures) VALUES ($1, $2, $3) ON CONFLICT (week) DO NOTHING";
const QUEUE: &str = "INSERT INTO weekly_deliveries (week, channel, state, attempts, due_at) \
     VALUES ($1, $2, $3, 0, $4) ON CONFLICT (week, channel) DO NOTHING";
/// The condition stands twice: PostgreSQL looks at a row anew after waiting for another's lock on it.
const LEASE: &str = "UPDATE weekly_deliveries SET state = 'leased', leased_until = $2 \
     WHERE (week, channel) IN (SELECT week, channel FROM weekly_deliveries \
     WHERE (state = 'queued' AND due_at <= $1) OR (state = 'leased' AND leased_until <= $1) \
     ORDER BY week, channel LIMIT 1) \
     AND ((state = 'queued' AND due_at <= $1) OR (state = 'leased' AND leased_until <= $1)) \
     RETURNING week, channel, attempts";
const RECORD: &str = "UPDATE weekly_deliveries SET attempts = attempts + 1, state = $3, due_at = COALESCE($4, due_at), \
     delivered_at = COALESCE(delivered_at, $5), last_answer = $6, leased_until = NULL \
     WHERE week = $1 AND channel = $2 AND state <> 'delivered'";

/// Until when each source was in sight last.
pub(super) async fn seen_until(tx: &mut Tx) -> Answer<BTreeMap<Name, Timestamp>> {
    let sql = "SELECT source, MAX(ended) FROM stretches WHERE source <> $1 GROUP BY source";
    let rows = tx.fetch(sql, args![THE_MONITOR]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.into(), row.at(1)?))).collect()
}

impl SqlStore {
    /// Notes that a source was in sight from `began` until `ended`; called again, the stretch grows.
    pub async fn watch(&self, stretches: &[Stretch]) -> Result<()> {
        const OPERATION: &str = "note what is in sight";
        let write = async {
            // A machine that fails forgets a minute of sight, which then counts as blind.
            let mut tx = self.db.begin_forgettable().await?;
            for stretch in stretches {
                tx.execute(WATCH, args![&*stretch.source, stretch.began, stretch.ended]).await?;
            }
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// The stretches that touch `from..until`, by source, in their order.
    pub async fn watched(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Stretch>> {
        const OPERATION: &str = "read what was in sight";
        let rows = self.db.fetch(WATCHED, args![from, until]).await.map_err(failed(OPERATION))?;
        let read = |row: &Row| Ok(Stretch { source: row.text(0)?.into(), began: row.at(1)?, ended: row.at(2)? });
        rows.iter().map(read).collect::<Answer<_>>().map_err(failed(OPERATION))
    }

    /// When the monitor first ran with this store.
    pub async fn first_watched(&self) -> Result<Option<Timestamp>> {
        const OPERATION: &str = "read when watching began";
        let sql = "SELECT MIN(began) FROM stretches WHERE source = $1";
        let rows = self.db.fetch(sql, args![THE_MONITOR]).await.map_err(failed(OPERATION))?;
        rows.first().map_or(Ok(None), |row| row.opt_at(0)).map_err(failed(OPERATION))
    }

    /// A week's figures as they were first told, as JSON.
    pub async fn kept_report(&self, week: &str) -> Result<Option<String>> {
        const OPERATION: &str = "read a week's report";
        let sql = "SELECT figures FROM weekly_reports WHERE week = $1";
        let rows = self.db.fetch(sql, args![week]).await.map_err(failed(OPERATION))?;
        rows.first().map(|row| row.text(0).map(str::to_owned)).transpose().map_err(failed(OPERATION))
    }

    /// Keeps a week's figures, and gives those that were kept first.
    pub async fn keep_report(&self, week: &str, made_at: Timestamp, figures: &str) -> Result<String> {
        const OPERATION: &str = "keep a week's report";
        let write = async {
            let mut tx = self.db.begin().await?;
            tx.execute(KEEP, args![week, made_at, figures]).await?;
            let row = tx.fetch_one("SELECT figures FROM weekly_reports WHERE week = $1", args![week]).await?;
            Ok((tx, row.text(0)?.to_owned()))
        };
        let (tx, kept) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(kept)
    }

    /// The weeks that were told or are being told, and the one from which telling began.
    pub async fn told_weeks(&self) -> Result<Vec<String>> {
        const OPERATION: &str = "read which weeks were told";
        let sql = "SELECT DISTINCT week FROM weekly_deliveries ORDER BY week";
        let rows = self.db.fetch(sql, args![]).await.map_err(failed(OPERATION))?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Answer<_>>().map_err(failed(OPERATION))
    }

    /// Telling begins after this week: nobody is sent what was before.
    pub async fn begin_telling(&self, week: &str, at: Timestamp) -> Result<()> {
        self.queue(week, &[(NOBODY, "delivered")], at).await
    }

    /// Asks for a week's report to go to these channels. A week that was asked for before stays as it is, so that
    /// a channel which is added later gets the weeks to come.
    pub async fn queue_deliveries(&self, week: &str, channels: &[Name], at: Timestamp) -> Result<()> {
        let channels: Vec<(&str, &str)> = channels.iter().map(|channel| (&**channel, "queued")).collect();
        self.queue(week, &channels, at).await
    }

    async fn queue(&self, week: &str, channels: &[(&str, &str)], at: Timestamp) -> Result<()> {
        const OPERATION: &str = "queue a week's report";
        let write = async {
            let mut tx = self.db.begin().await?;
            let known = tx.fetch("SELECT week FROM weekly_deliveries WHERE week = $1 LIMIT 1", args![week]).await?;
            if known.is_empty() {
                for (channel, state) in channels {
                    tx.execute(QUEUE, args![week, *channel, *state, at]).await?;
                }
            }
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// Takes the next delivery that is due for this process alone, until `until`.
    pub async fn lease_delivery(&self, now: Timestamp, until: Timestamp) -> Result<Option<LeasedDelivery>> {
        const OPERATION: &str = "lease a week's report";
        let take = async {
            let mut tx = self.db.begin().await?;
            let leased = tx.fetch(LEASE, args![now, until]).await?;
            let leased = leased.first().map(delivery).transpose()?;
            Ok((tx, leased))
        };
        let (tx, leased) = take.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(leased)
    }

    /// Records what became of a delivery. Delivered is final.
    pub async fn record_delivery(
        &self,
        delivery: &LeasedDelivery,
        told: &Told,
        at: Timestamp,
        answer: &str,
    ) -> Result<()> {
        const OPERATION: &str = "record the delivery of a week's report";
        let (state, due_at, delivered_at) = match told {
            Told::Delivered => ("delivered", None, Some(at)),
            Told::Again { at } => ("queued", Some(*at), None),
            Told::Parked => ("parked", None, None),
        };
        let write = async {
            let mut tx = self.db.begin().await?;
            tx.execute(RECORD, args![delivery.week.as_str(), &*delivery.channel, state, due_at, delivered_at, answer])
                .await?;
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// Queues what a permanent error parked, as after a change of the configuration.
    pub async fn release_deliveries(&self, now: Timestamp) -> Result<u64> {
        const OPERATION: &str = "release parked weekly reports";
        let write = async {
            let mut tx = self.db.begin().await?;
            let sql = "UPDATE weekly_deliveries SET state = 'queued', due_at = $1 WHERE state = 'parked'";
            let released = tx.execute(sql, args![now]).await?;
            Ok((tx, released))
        };
        let (tx, released) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(released)
    }

    /// Whether the closed reports of a source have been read back once.
    pub async fn is_backfilled(&self, source: &str) -> Result<bool> {
        let sql = "SELECT source FROM backfills WHERE source = $1";
        let rows = self.db.fetch(sql, args![source]).await.map_err(failed("look for a backfill"))?;
        Ok(!rows.is_empty())
    }

    /// Writes outcomes that final rows tell of; what was observed stays.
    pub async fn backfill(&self, outcomes: &[Outcome]) -> Result<u64> {
        const OPERATION: &str = "write outcomes of rows";
        let rows = outcomes.iter().map(|outcome| outcome_row(outcome, Basis::Row)).collect::<Answer<Vec<_>>>();
        let rows = rows.map_err(failed(OPERATION))?;
        let write = async {
            let mut tx = self.db.begin().await?;
            let written = tx.insert(INTO_OUTCOMES, "ON CONFLICT (episode) DO NOTHING", rows).await?;
            Ok((tx, written))
        };
        let (tx, written) = write.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(written)
    }

    /// Notes that a source's closed reports have been read back.
    pub async fn end_backfill(&self, source: &str, at: Timestamp, outcomes: u64) -> Result<()> {
        const OPERATION: &str = "end a backfill";
        const END: &str = "INSERT INTO backfills (source, done_at, outcomes) VALUES ($1, $2, $3) \
             ON CONFLICT (source) DO NOTHING";
        let write = async {
            let mut tx = self.db.begin().await?;
            tx.execute(END, args![source, at, outcomes]).await?;
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }
}
