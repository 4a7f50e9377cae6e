//! Snoozes and maintenance windows in the store: those in force or to come, and those over that nobody has
//! forgotten yet.

use super::Result;
use super::db::{Answer, Row, Tx, args};
use super::load::state;
use super::sql::{SqlStore, failed, json};
use crate::core::plan::Plan;
use crate::core::quiet::Quiet;

const READ: &str = "SELECT no, state FROM quiets ORDER BY no";
const WRITE: &str = "INSERT INTO quiets (no, until, state)";
const OVER: &str = "ON CONFLICT (no) DO UPDATE SET until = excluded.until, state = excluded.state";

pub(super) async fn write(tx: &mut Tx, plan: &Plan) -> Answer<()> {
    for (no, quiet) in &plan.quiets {
        match quiet {
            Some(quiet) => tx.insert(WRITE, OVER, vec![args![*no, quiet.until, json(quiet)?]]).await?,
            None => tx.execute("DELETE FROM quiets WHERE no = $1", args![*no]).await?,
        };
    }
    Ok(())
}

pub(super) async fn read(tx: &mut Tx) -> Result<Vec<Quiet>> {
    const OPERATION: &str = "read snoozes and windows";
    let rows = tx.fetch(READ, args![]).await.map_err(failed(OPERATION))?;
    let read = |row: &Row| {
        let no = row.int(0).map_err(failed(OPERATION))?;
        state(row, 1, OPERATION, "quiets", &no.to_string())
    };
    rows.iter().map(read).collect()
}

impl SqlStore {
    /// Snoozes and windows in the order in which they were asked for.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn quiets(&self) -> Result<Vec<Quiet>> {
        let mut tx = self.db().begin_reading().await.map_err(failed("read snoozes and windows"))?;
        let found = read(&mut tx).await;
        // Nothing was written: how a reading transaction ends is no matter.
        let _ = tx.commit().await;
        found
    }
}
