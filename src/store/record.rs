//! The audit log as it is exported, with where each deed came from, and the lines of what isn't a deed of the core:
//! signing in, tokens, reloads.

use super::Result;
use super::db::{Answer, Row, args};
use super::sql::{SqlStore, committed, failed};
use crate::core::time::Timestamp;
use serde::Deserialize;

/// Of a line that no commit of the engine wrote.
const NO_SEQUENCE: i64 = 0;

const INSERT: &str = "INSERT INTO audit (sequence, taken_at, done_at, by_whom, integration, kind, subject, effect, origin) \
     VALUES ($1, $2, $2, $3, 0, $4, $5, $6, $7)";
/// A deed says in the inbox from where it came. The same person can do the same twice in one commit: either entry is as
/// good.
const EXPORT: &str = "SELECT audit.id, audit.taken_at, audit.done_at, audit.by_whom, audit.integration, audit.kind, \
     audit.subject, audit.said, audit.said_at, audit.effect, audit.origin, \
     (SELECT MIN(inbox.body) FROM inbox WHERE inbox.applied_sequence = audit.sequence AND inbox.at = audit.done_at \
      AND inbox.by_whom = audit.by_whom AND inbox.kind = audit.kind) \
     FROM audit WHERE audit.id < $1 ORDER BY audit.id DESC LIMIT $2";

/// Something that was done beside the core.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    pub at: Timestamp,
    pub by: &'a str,
    /// "sign_in", "reload", "token_create", "token_revoke"
    pub kind: &'a str,
    pub subject: &'a str,
    /// "done" or "refused"
    pub effect: &'a str,
    /// From where: "board 10.0.0.7", "command line"
    pub origin: &'a str,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    pub id: i64,
    pub taken_at: Timestamp,
    /// By the clock of the process that they spoke to.
    pub done_at: Timestamp,
    pub by: String,
    /// A program did it in their name.
    pub integration: bool,
    pub kind: String,
    pub subject: String,
    /// What was said of a report, and when that happened.
    pub said: Option<(String, Timestamp)>,
    pub effect: String,
    /// From where, as far as it is known.
    pub origin: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    from: Option<String>,
}

impl SqlStore {
    /// Adds a line.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn note(&self, noted: &Noted<'_>) -> Result<()> {
        const OPERATION: &str = "write the audit log";
        let note = async {
            let mut tx = self.db().begin().await?;
            let Noted { at, by, kind, subject, effect, origin } = *noted;
            tx.execute(INSERT, args![NO_SEQUENCE, at, by, kind, subject, effect, origin]).await?;
            Ok(tx)
        };
        committed(note.await.map_err(failed(OPERATION))?, OPERATION).await
    }

    /// The lines before this one, newest first.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn audit_before(&self, before: i64, limit: u32) -> Result<Vec<AuditLine>> {
        const OPERATION: &str = "read the audit log";
        let rows = self.db().fetch(EXPORT, args![before, limit]).await.map_err(failed(OPERATION))?;
        rows.iter().map(line).collect::<Answer<_>>().map_err(failed(OPERATION))
    }
}

fn line(row: &Row) -> Answer<AuditLine> {
    let of_deed = row.opt_text(11)?.and_then(|body| serde_json::from_str::<Body>(body).ok()?.from);
    Ok(AuditLine {
        id: row.int(0)?,
        taken_at: row.at(1)?,
        done_at: row.at(2)?,
        by: row.text(3)?.to_owned(),
        integration: row.int(4)? != 0,
        kind: row.text(5)?.to_owned(),
        subject: row.text(6)?.to_owned(),
        said: row.opt_text(7)?.map(str::to_owned).zip(row.opt_at(8)?),
        effect: row.text(9)?.to_owned(),
        origin: row.opt_text(10)?.map(str::to_owned).or(of_deed),
    })
}
