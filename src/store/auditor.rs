//! What the auditor reads: the store as it is, without the engine's index. Every look is bounded, P0 first, and
//! changes nothing.

use super::db::{Answer, Row, args};
use super::load::{priority, state};
use super::sql::{committed, failed, json};
use super::{Result, SqlStore};
use crate::core::act::Deed;
use crate::core::case::Case;
use crate::core::id::{IncidentNo, Name};
use crate::core::incident::Incident;
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use std::collections::BTreeSet;

const LOOK: &str = "audit the store";

/// Cases of one read.
const CASES_PER_READ: u32 = 500;

/// A round of an incident that no channel has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnheardRound {
    pub incident: IncidentNo,
    pub round: u32,
    pub priority: Priority,
    /// Of its first page.
    pub created_at: Timestamp,
}

/// A breach without an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnrungBreach {
    pub priority: Priority,
    pub rule: Name,
}

const UNHEARD: &str = "SELECT incident, round, MIN(priority), MIN(created_at) FROM pages WHERE kind = 'ring' \
     AND state IN ('queued', 'leased', 'parked') AND created_at <= $1 AND is_test = 0 \
     AND NOT EXISTS (SELECT 1 FROM pages heard WHERE heard.incident = pages.incident AND heard.round = pages.round \
     AND heard.kind = 'ring' AND heard.state = 'accepted') \
     GROUP BY incident, round ORDER BY 3, 4 LIMIT 10000";

const UNRUNG: &str = "SELECT priority, rule FROM breaches WHERE incident IS NULL AND ended IS NULL \
     AND status <> 'withdrawn' AND detected_at <= $1 ORDER BY detected_at LIMIT 10000";

const CASES: &str = "SELECT priority, episode, state FROM cases WHERE settled = 0 AND priority = $1 \
     AND episode > $2 ORDER BY priority, episode LIMIT $3";

const OPEN: &str = "SELECT no, state FROM incidents WHERE open = 1 ORDER BY no";

const HEARD: &str = "SELECT DISTINCT incident FROM pages WHERE kind = 'ring' AND state = 'accepted' \
     AND incident IN (SELECT no FROM incidents WHERE open = 1)";

impl SqlStore {
    /// Rounds, created at or before `created_by`, that no channel has accepted and that are not given up.
    pub async fn unheard_rounds(&self, created_by: Timestamp) -> Result<Vec<UnheardRound>> {
        let rows = self.db.fetch(UNHEARD, args![created_by]).await.map_err(failed(LOOK))?;
        let round = |row: &Row| {
            Ok(UnheardRound {
                incident: IncidentNo(row.count(0)?),
                round: row.small(1)?,
                // What can't be read is taken for the strictest.
                priority: priority(row.text(2)?).unwrap_or(Priority::P0),
                created_at: row.at(3)?,
            })
        };
        rows.iter().map(round).collect::<Answer<_>>().map_err(failed(LOOK))
    }

    /// Breaches, detected at or before `detected_by` and not ended, that stand in no incident.
    pub async fn unrung_breaches(&self, detected_by: Timestamp) -> Result<Vec<UnrungBreach>> {
        let rows = self.db.fetch(UNRUNG, args![detected_by]).await.map_err(failed(LOOK))?;
        let breach = |row: &Row| {
            let priority = priority(row.text(0)?).unwrap_or(Priority::P0);
            Ok(UnrungBreach { priority, rule: row.text(1)?.into() })
        };
        rows.iter().map(breach).collect::<Answer<_>>().map_err(failed(LOOK))
    }

    /// Shows every unsettled P0 case to `look`, a few hundred at a time.
    pub async fn each_p0_case(&self, mut look: impl FnMut(&Case) + Send) -> Result<()> {
        let mut after = String::new();
        loop {
            let of = args![Priority::P0.as_str(), after.as_str(), CASES_PER_READ];
            let rows = self.db.fetch(CASES, of).await.map_err(failed(LOOK))?;
            for row in &rows {
                after = row.text(1).map_err(failed(LOOK))?.to_owned();
                look(&state(row, 2, LOOK, "cases", &after)?);
            }
            if rows.len() < CASES_PER_READ as usize {
                return Ok(());
            }
        }
    }

    /// The open incidents, and which of them have a ring that some channel accepted.
    pub async fn open_incidents(&self) -> Result<(Vec<Incident>, BTreeSet<IncidentNo>)> {
        let rows = self.db.fetch(OPEN, args![]).await.map_err(failed(LOOK))?;
        let incident = |row: &Row| {
            let no = row.int(0).map_err(failed(LOOK))?;
            state(row, 1, LOOK, "incidents", &no.to_string())
        };
        let open = rows.iter().map(incident).collect::<Result<_>>()?;
        let rows = self.db.fetch(HEARD, args![]).await.map_err(failed(LOOK))?;
        let heard = rows.iter().map(|row| Ok(IncidentNo(row.count(0)?))).collect::<Answer<_>>();
        Ok((open, heard.map_err(failed(LOOK))?))
    }

    /// Puts a deed into the inbox in the name of a part of the process; not, while an earlier one of its kind
    /// still waits there. Gives whether it did.
    pub async fn put_deed_once(&self, deed: &Deed, by: &str, at: Timestamp) -> Result<bool> {
        const OPERATION: &str = "put into the inbox";
        const PUT: &str = "INSERT INTO inbox (kind, body, by_whom, at) SELECT $1, $2, $3, $4 \
             WHERE NOT EXISTS (SELECT 1 FROM inbox WHERE kind = $1 AND applied_sequence IS NULL)";
        let put = async {
            let mut tx = self.db.begin().await?;
            let put = tx.execute(PUT, args![deed.kind(), json(deed)?, by, at]).await?;
            Ok((tx, put))
        };
        let (tx, put) = put.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(put > 0)
    }

    /// Writes for certain, and changes nothing.
    pub async fn prove_writable(&self) -> Result<()> {
        const OPERATION: &str = "prove that the store writes";
        let write = async {
            let mut tx = self.db.begin().await?;
            tx.execute("UPDATE deployment SET sequence = sequence WHERE id = 1", args![]).await?;
            Ok(tx)
        };
        committed(write.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// When somebody last put a deed of this kind into the inbox.
    pub async fn last_deed(&self, kind: &str, by: &str) -> Result<Option<Timestamp>> {
        let sql = "SELECT MAX(at) FROM inbox WHERE kind = $1 AND by_whom = $2";
        let rows = self.db.fetch(sql, args![kind, by]).await.map_err(failed(LOOK))?;
        rows.first().map_or(Ok(None), |row| row.opt_at(0)).map_err(failed(LOOK))
    }

    /// Whether a commit has taken up this entry of the inbox.
    pub async fn is_taken_up(&self, entry: i64) -> Result<bool> {
        let sql = "SELECT id FROM inbox WHERE id = $1 AND applied_sequence IS NULL";
        Ok(self.db.fetch(sql, args![entry]).await.map_err(failed(LOOK))?.is_empty())
    }

    /// Whether a channel has accepted the ring of a test that was created at or after `since`.
    pub async fn is_test_heard(&self, since: Timestamp) -> Result<bool> {
        let sql = "SELECT id FROM pages WHERE is_test = 1 AND kind = 'ring' AND state = 'accepted' \
             AND created_at >= $1 LIMIT 1";
        let rows = self.db.fetch(sql, args![since]).await.map_err(failed(LOOK))?;
        Ok(!rows.is_empty())
    }
}
