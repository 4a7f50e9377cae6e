//! The audit log: who did what, and what became of it. The commit that takes a deed up writes its line, and
//! the database refuses to change or delete one.

use super::db::{Answer, Arg, Row, args};
use super::sql::failed;
use super::{Commit, Result, SqlStore, StoreError};
use crate::core::act::{Audited, Effect};

pub(super) const INTO_AUDIT: &str = "INSERT INTO audit (sequence, taken_at, done_at, by_whom, integration, kind, \
     subject, said, said_at, effect)";

const NEWEST: &str = "SELECT taken_at, done_at, by_whom, integration, kind, subject, said, said_at, effect \
     FROM audit ORDER BY id DESC LIMIT $1";

impl SqlStore {
    /// The newest lines of the audit log, newest first.
    pub async fn audit(&self, limit: u32) -> Result<Vec<Audited>> {
        const OPERATION: &str = "read the audit log";
        let rows = self.db.fetch(NEWEST, args![limit]).await.map_err(failed(OPERATION))?;
        let read = |row: &Row| {
            let line = line(row).map_err(failed(OPERATION))?;
            let what = "a line can't be read by this version; start the version that wrote it".to_owned();
            line.ok_or(StoreError::Unreadable { operation: OPERATION, what })
        };
        rows.iter().map(read).collect()
    }
}

fn line(row: &Row) -> Answer<Option<Audited>> {
    let Some(effect) = Effect::parse(row.text(8)?) else { return Ok(None) };
    Ok(Some(Audited {
        taken_at: row.at(0)?,
        done_at: row.at(1)?,
        by: row.text(2)?.into(),
        integration: row.int(3)? != 0,
        kind: row.text(4)?.into(),
        subject: row.text(5)?.into(),
        said: row.opt_text(6)?.map(Into::into).zip(row.opt_at(7)?),
        effect,
    }))
}

/// The line of the deed that a plan takes up.
pub(super) fn rows(commit: &Commit<'_>) -> Vec<Vec<Arg>> {
    let row = |line: &Audited| {
        let said = line.said.as_ref();
        let mut row = args![
            commit.sequence,
            line.taken_at,
            line.done_at,
            &*line.by,
            line.integration,
            &*line.kind,
            &*line.subject,
        ];
        row.push(Arg::Text(said.map(|(name, _)| name.to_string())));
        row.extend(args![said.map(|(_, at)| *at), line.effect.as_str()]);
        row
    };
    commit.plan.audited.iter().map(row).collect()
}
