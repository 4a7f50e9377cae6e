//! What could not be read in the reports' rows, for the people who can mend it.

use super::Result;
use super::db::{Answer, Row, args};
use super::sql::{SqlStore, failed};
use crate::core::time::Timestamp;

/// One flaw of one report, by place and kind, never by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectRow {
    pub source: String,
    /// As the source writes it; `None` for rows without an id, which are counted together.
    pub report: Option<String>,
    pub column: String,
    pub flaw: String,
    pub first_seen: Timestamp,
    /// When it was last found anew: after a start, or once more after it had been mended.
    pub last_seen: Timestamp,
    pub count: u64,
}

/// How often a flaw was found in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectTotal {
    pub source: String,
    pub column: String,
    pub flaw: String,
    pub reports: u64,
}

impl SqlStore {
    /// The rejects last found, newest first.
    pub async fn rejects(&self, limit: u32) -> Result<Vec<RejectRow>> {
        const LIST: &str = "SELECT source, report, column_name, flaw, first_seen, last_seen, count FROM rejects \
             ORDER BY last_seen DESC, source, column_name, flaw, report LIMIT $1";
        let read = |row: &Row| {
            Ok(RejectRow {
                source: row.text(0)?.to_owned(),
                report: Some(row.text(1)?.to_owned()).filter(|report| !report.is_empty()),
                column: row.text(2)?.to_owned(),
                flaw: row.text(3)?.to_owned(),
                first_seen: row.at(4)?,
                last_seen: row.at(5)?,
                count: row.count(6)?,
            })
        };
        let rows = self.db().fetch(LIST, args![limit]).await.map_err(failed("list rejects"))?;
        rows.iter().map(read).collect::<Answer<_>>().map_err(failed("list rejects"))
    }

    /// How many reports have each flaw in each column, the most frequent first.
    pub async fn reject_totals(&self) -> Result<Vec<RejectTotal>> {
        const COUNT: &str = "SELECT source, column_name, flaw, \
             CAST(SUM(CASE report WHEN '' THEN count ELSE 1 END) AS BIGINT) AS reports FROM rejects \
             GROUP BY source, column_name, flaw ORDER BY reports DESC, source, column_name, flaw";
        let read = |row: &Row| {
            Ok(RejectTotal {
                source: row.text(0)?.to_owned(),
                column: row.text(1)?.to_owned(),
                flaw: row.text(2)?.to_owned(),
                reports: row.count(3)?,
            })
        };
        let rows = self.db().fetch(COUNT, args![]).await.map_err(failed("count rejects"))?;
        rows.iter().map(read).collect::<Answer<_>>().map_err(failed("count rejects"))
    }
}
