//! What the board reads of the store beside the engine's view: the pages of an incident, a case by its key, the record
//! of its breaches, and how many there were each day. Every look is bounded and uses an index.

use super::db::{Answer, Row, args};
use super::load::{self, priority, state};
use super::outbox::{columns, listed_page};
use super::sql::failed;
use super::{PageRow, Result, SqlStore};
use crate::core::case::Case;
use crate::core::id::{EpisodeKey, IncidentNo};
use crate::core::incident::Incident;
use crate::core::plan::BreachRecord;
use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};

const DAY: Span = Span::from_hours(24);
/// Keys looked at in one read.
const KEYS_PER_READ: usize = 1_000;

const PAGES: &str = concat!("SELECT ", columns!(), ", state, last_answer, accepted_at FROM pages WHERE ");
const KEYS: &str = "SELECT case_key FROM cases WHERE case_key > $1 ORDER BY case_key, episode_no LIMIT $2";
const LATEST: &str = "SELECT episode, state FROM cases WHERE case_key = $1 ORDER BY episode_no DESC LIMIT 1";
const INCIDENT: &str = "SELECT state FROM incidents WHERE no = $1";
/// Inherited breaches happened before; withdrawn ones didn't.
const BREACHES_BY_DAY: &str = "SELECT priority, (detected_at - $1) / $2, COUNT(*) FROM breaches \
     WHERE detected_at >= $1 AND inherited = 0 AND status <> 'withdrawn' GROUP BY 1, 2";
const ENDED_BY_DAY: &str = "SELECT priority, (ended_at - $1) / $2, COUNT(*) FROM outcomes \
     WHERE ended_at >= $1 GROUP BY 1, 2";

/// A count of one priority on one day, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfDay {
    pub priority: Priority,
    pub day: usize,
    pub count: u64,
}

/// What happened each day from an instant on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    pub breaches: Vec<OfDay>,
    /// Cases that ended.
    pub ended: Vec<OfDay>,
}

impl SqlStore {
    /// The pages of an incident, newest first.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn pages_of(&self, no: IncidentNo, limit: u32) -> Result<Vec<PageRow>> {
        const OPERATION: &str = "list an incident's pages";
        let sql = format!("{PAGES}incident = $1 ORDER BY id DESC LIMIT $2");
        let rows = self.db().fetch(sql, args![no.0, limit]).await.map_err(failed(OPERATION))?;
        rows.iter().map(|row| listed_page(row, OPERATION)).collect()
    }

    /// The pages in a state before a page, newest first; in any where none is given.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn pages_before(&self, state: Option<&str>, before: i64, limit: u32) -> Result<Vec<PageRow>> {
        const OPERATION: &str = "list pages";
        let rows = match state {
            Some(state) => {
                let sql = format!("{PAGES}state = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
                self.db().fetch(sql, args![state, before, limit]).await
            }
            None => self.db().fetch(format!("{PAGES}id < $1 ORDER BY id DESC LIMIT $2"), args![before, limit]).await,
        };
        rows.map_err(failed(OPERATION))?.iter().map(|row| listed_page(row, OPERATION)).collect()
    }

    /// The latest episode of the first case of which `is_it` says so by its key, as keys are printed.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn case_by(&self, is_it: impl Fn(&str) -> bool + Send) -> Result<Option<Case>> {
        const OPERATION: &str = "look for a case";
        let mut after = String::new();
        loop {
            let keys = args![after.as_str(), KEYS_PER_READ as u64];
            let rows = self.db().fetch(KEYS, keys).await.map_err(failed(OPERATION))?;
            for row in &rows {
                let key = row.text(0).map_err(failed(OPERATION))?;
                if is_it(key) {
                    return self.latest(key).await;
                }
                after = key.to_owned();
            }
            if rows.len() < KEYS_PER_READ {
                return Ok(None);
            }
        }
    }

    async fn latest(&self, key: &str) -> Result<Option<Case>> {
        const OPERATION: &str = "read a case";
        let rows = self.db().fetch(LATEST, args![key]).await.map_err(failed(OPERATION))?;
        let Some(row) = rows.first() else { return Ok(None) };
        state(row, 1, OPERATION, "cases", key).map(Some)
    }

    /// An incident, open or over.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn incident(&self, no: IncidentNo) -> Result<Option<Incident>> {
        const OPERATION: &str = "read an incident";
        let rows = self.db().fetch(INCIDENT, args![no.0]).await.map_err(failed(OPERATION))?;
        let Some(row) = rows.first() else { return Ok(None) };
        state(row, 0, OPERATION, "incidents", &no.to_string()).map(Some)
    }

    /// Every promise of an episode that was broken, by its deadline.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn breaches_of_episode(&self, episode: &EpisodeKey) -> Result<Vec<BreachRecord>> {
        load::breaches_of_episode(self.db(), episode).await
    }

    /// What happened on each day since an instant.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn days(&self, since: Timestamp) -> Result<Days> {
        Ok(Days {
            breaches: self.by_day(BREACHES_BY_DAY, since).await?,
            ended: self.by_day(ENDED_BY_DAY, since).await?,
        })
    }

    async fn by_day(&self, sql: &'static str, since: Timestamp) -> Result<Vec<OfDay>> {
        const OPERATION: &str = "count what happened each day";
        let rows = self.db().fetch(sql, args![since, DAY.micros()]).await.map_err(failed(OPERATION))?;
        let read = |row: &Row| -> Answer<Option<OfDay>> {
            let Some(priority) = priority(row.text(0)?) else { return Ok(None) };
            let day = usize::try_from(row.count(1)?).unwrap_or(usize::MAX);
            Ok(Some(OfDay { priority, day, count: row.count(2)? }))
        };
        let read = rows.iter().filter_map(|row| read(row).transpose());
        read.collect::<Answer<_>>().map_err(failed(OPERATION))
    }
}
