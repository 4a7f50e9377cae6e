//! What is over and older than `keep_months` is forgotten, a bounded number of rows in a transaction, so that
//! no plan waits long for it. What is still open is never touched, however old. SQLite gives the room to new
//! rows and doesn't shrink its file; PostgreSQL vacuums by itself.

use super::db::args;
use super::sql::{committed, failed};
use super::{Result, SqlStore};
use crate::core::time::Timestamp;

/// Rows of one table in one transaction.
const ROWS_MAX: u32 = 500;

/// Each takes the instant before which things are forgotten, and how many rows at most. What refers to a row
/// goes before it. A page goes only once its incident is resolved, or its key could ring anew.
const FORGET: &[&str] = &[
    "DELETE FROM cases WHERE episode IN (SELECT cases.episode FROM cases JOIN outcomes \
     ON outcomes.episode = cases.episode WHERE cases.settled = 1 AND outcomes.ended_at < $1 \
     ORDER BY cases.episode LIMIT $2)",
    "DELETE FROM outcomes WHERE episode IN (SELECT episode FROM outcomes WHERE ended_at < $1 \
     AND NOT EXISTS (SELECT 1 FROM cases WHERE cases.episode = outcomes.episode) ORDER BY ended_at LIMIT $2)",
    "DELETE FROM breaches WHERE (episode, target, report, deadline) IN (SELECT episode, target, report, deadline \
     FROM breaches WHERE detected_at < $1 AND ended_at < $1 ORDER BY detected_at LIMIT $2)",
    "DELETE FROM attempts WHERE page IN (SELECT pages.id FROM pages JOIN incidents \
     ON incidents.no = pages.incident WHERE pages.state IN ('accepted', 'superseded') \
     AND incidents.resolved_at < $1 ORDER BY pages.id LIMIT $2)",
    "DELETE FROM pages WHERE id IN (SELECT pages.id FROM pages JOIN incidents \
     ON incidents.no = pages.incident WHERE pages.state IN ('accepted', 'superseded') \
     AND incidents.resolved_at < $1 AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.page = pages.id) \
     ORDER BY pages.id LIMIT $2)",
    "DELETE FROM incidents WHERE no IN (SELECT no FROM incidents WHERE open = 0 AND resolved_at < $1 \
     AND NOT EXISTS (SELECT 1 FROM pages WHERE pages.incident = incidents.no) ORDER BY no LIMIT $2)",
    // How a report looked is kept for as long after its last change.
    "DELETE FROM observations WHERE (source, report, incarnation, seen_at) IN (SELECT source, report, incarnation, \
     seen_at FROM observations WHERE seen_at < $1 AND NOT EXISTS (SELECT 1 FROM observations later \
     WHERE later.source = observations.source AND later.report = observations.report \
     AND later.incarnation = observations.incarnation AND later.seen_at >= $1) LIMIT $2)",
    "DELETE FROM stretches WHERE (source, began) IN (SELECT source, began FROM stretches WHERE ended < $1 LIMIT $2)",
    "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE applied_sequence IS NOT NULL AND at < $1 \
     ORDER BY id LIMIT $2)",
    "DELETE FROM rejects WHERE (source, report, column_name, flaw) IN (SELECT source, report, column_name, flaw \
     FROM rejects WHERE last_seen < $1 ORDER BY last_seen LIMIT $2)",
];

impl SqlStore {
    /// Forgets a little of what ended before an instant, and gives the number of rows: 0 when all is done.
    ///
    /// # Errors
    /// Where the store can't be written; what was forgotten before stays forgotten.
    pub async fn forget(&self, before: Timestamp) -> Result<u64> {
        const OPERATION: &str = "forget what is over";
        let mut forgotten = 0;
        for sql in FORGET {
            let forget = async {
                let mut tx = self.db.begin_forgettable().await?;
                let rows = tx.execute(*sql, args![before, ROWS_MAX]).await?;
                Ok((tx, rows))
            };
            let (tx, rows) = forget.await.map_err(failed(OPERATION))?;
            committed(tx, OPERATION).await?;
            forgotten += rows;
        }
        Ok(forgotten)
    }
}
