//! How many reports came in each hour, and which hours were watched: compact, for five weeks. And the store's
//! own clock, to be compared with the monitor's.

use super::Result;
use super::db::{Answer, Arg, Db, Tx, args};
use super::sql::{SqlStore, failed};
use crate::core::arrivals::{Arrived, KEPT_HOURS, Watched};
use crate::core::plan::Plan;
use crate::core::time::Timestamp;

pub(super) const INTO_ARRIVALS: &str = "INSERT INTO arrivals (source, category, hour, count)";
pub(super) const OVER_ARRIVALS: &str = "ON CONFLICT (source, category, hour) DO UPDATE SET \
     count = CASE WHEN arrivals.count > excluded.count THEN arrivals.count ELSE excluded.count END";
pub(super) const INTO_WATCHED: &str = "INSERT INTO watched (source, hour, secs)";
pub(super) const OVER_WATCHED: &str = "ON CONFLICT (source, hour) DO UPDATE SET \
     secs = CASE WHEN watched.secs > excluded.secs THEN watched.secs ELSE excluded.secs END";

pub(super) fn arrival_rows(plan: &Plan) -> Vec<Vec<Arg>> {
    let row = |arrived: &Arrived| args![&*arrived.source, &*arrived.category, arrived.hour, arrived.count];
    plan.arrived.iter().map(row).collect()
}

pub(super) fn watched_rows(plan: &Plan) -> Vec<Vec<Arg>> {
    plan.watched.iter().map(|watched| args![&*watched.source, watched.hour, watched.secs]).collect()
}

/// Once an hour, when an hour was watched to its end, what is too old to be compared with goes.
pub(super) async fn forget(tx: &mut Tx, plan: &Plan) -> Answer<()> {
    let Some(newest) = plan.watched.iter().map(|watched| watched.hour).max() else { return Ok(()) };
    tx.execute("DELETE FROM arrivals WHERE hour < $1", args![newest - KEPT_HOURS]).await?;
    tx.execute("DELETE FROM watched WHERE hour < $1", args![newest - KEPT_HOURS]).await?;
    Ok(())
}

pub(super) async fn load(tx: &mut Tx) -> Answer<(Vec<Arrived>, Vec<Watched>)> {
    let mut arrived = Vec::new();
    for row in tx.fetch("SELECT source, category, hour, count FROM arrivals", args![]).await? {
        let (source, category) = (row.text(0)?.into(), row.text(1)?.into());
        arrived.push(Arrived { source, category, hour: row.int(2)?, count: row.small(3)? });
    }
    let mut watched = Vec::new();
    for row in tx.fetch("SELECT source, hour, secs FROM watched", args![]).await? {
        watched.push(Watched { source: row.text(0)?.into(), hour: row.int(1)?, secs: row.small(2)? });
    }
    Ok((arrived, watched))
}

impl SqlStore {
    /// What the store's clock shows; `None` for a file, which has none of its own.
    pub async fn clock(&self) -> Result<Option<Timestamp>> {
        const ASK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)";
        let Db::Postgres { .. } = self.db() else { return Ok(None) };
        let rows = self.db().fetch(ASK, args![]).await.map_err(failed("read the store's clock"))?;
        rows.first().map(|row| row.at(0)).transpose().map_err(failed("read the store's clock"))
    }
}
