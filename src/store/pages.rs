//! Pages for whoever asks after one: by state, by number, of a test, and every attempt at one.

use super::db::{Answer, Row, args};
use super::outbox::{columns, listed_page};
use super::sql::failed;
use super::{PageRow, PageState, Result, SqlStore};
use crate::core::time::Timestamp;

const LIST: &str = "list pages";

const SELECT: &str = concat!("SELECT ", columns!(), ", state, last_answer, accepted_at FROM pages WHERE ");

/// One attempt at a page, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    pub number: u32,
    pub began: Timestamp,
    pub ended: Timestamp,
    /// accepted, retry or parked
    pub result: String,
    pub answer: String,
}

impl SqlStore {
    /// The newest pages that stand here, newest first; of all states where none is given.
    pub async fn pages_in(&self, state: Option<PageState>, limit: u32) -> Result<Vec<PageRow>> {
        let stands = match state {
            None => "1 = 1",
            Some(PageState::Queued) => "state = 'queued' AND attempts = 0",
            Some(PageState::Sending) => "state = 'leased'",
            Some(PageState::Retrying) => "state = 'queued' AND attempts > 0",
            Some(PageState::Accepted) => "state = 'accepted'",
            Some(PageState::Parked) => "state = 'parked'",
            Some(PageState::Superseded) => "state = 'superseded'",
        };
        let sql = format!("{SELECT}{stands} ORDER BY id DESC LIMIT $1");
        let rows = self.db.fetch(sql, args![limit]).await.map_err(failed(LIST))?;
        rows.iter().map(|row| listed_page(row, LIST)).collect()
    }

    /// The page of this number and every attempt at it, oldest first.
    pub async fn page(&self, id: i64) -> Result<Option<(PageRow, Vec<PastAttempt>)>> {
        let rows = self.db.fetch(format!("{SELECT}id = $1"), args![id]).await.map_err(failed(LIST))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let sql = "SELECT number, began, ended, result, answer FROM attempts WHERE page = $1 ORDER BY number";
        let rows = self.db.fetch(sql, args![id]).await.map_err(failed(LIST))?;
        let attempt = |row: &Row| {
            Ok(PastAttempt {
                number: row.small(0)?,
                began: row.at(1)?,
                ended: row.at(2)?,
                result: row.text(3)?.to_owned(),
                answer: row.text(4)?.to_owned(),
            })
        };
        let attempts = rows.iter().map(attempt).collect::<Answer<_>>().map_err(failed(LIST))?;
        Ok(Some((listed_page(row, LIST)?, attempts)))
    }

    /// The rings of tests that were created at or after `since`, oldest first.
    pub async fn test_pages(&self, since: Timestamp) -> Result<Vec<PageRow>> {
        let sql = format!("{SELECT}is_test = 1 AND kind = 'ring' AND created_at >= $1 ORDER BY id LIMIT 1000");
        let rows = self.db.fetch(sql, args![since]).await.map_err(failed(LIST))?;
        rows.iter().map(|row| listed_page(row, LIST)).collect()
    }
}
