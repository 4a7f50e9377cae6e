//! The store over a database: `SqlStore` keeps the contract of `Store` by one SQL text for SQLite and
//! PostgreSQL. What each operation does is in `commit`, `load` and `outbox`.

use super::db::{Answer, CommitError, Db, Tx, args};
use super::{
    Attempt, Commit, InboxEntry, Lane, Lead, LeasedPage, NewPage, PageCount, PageRow, Result, Store, StoreError,
    Stored, commit, fallback, lease, load, outbox, segments,
};
use crate::core::case::Case;
use crate::core::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportKey};
use crate::core::plan::{BreachRecord, Outcome};
use crate::core::segments::Segment;
use crate::core::time::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};

/// An open store. Cloning is not needed: every operation takes `&self`.
#[derive(Debug)]
pub struct SqlStore {
    pub(super) db: Db,
    /// Under which it led last; 0 where it never has.
    token: AtomicU64,
}

impl SqlStore {
    pub(super) fn of(db: Db) -> SqlStore {
        SqlStore { db, token: AtomicU64::new(0) }
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// Closes every connection; SQLite folds its log into the file.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// The breaches last detected, newest first.
    pub async fn breaches(&self, limit: u32) -> Result<Vec<BreachRecord>> {
        load::breaches(&self.db, limit).await
    }

    /// The breaches of a report's case, the first detected first; `subject` is the case of its item.
    pub async fn breaches_of(&self, report: &ReportKey, subject: Option<&CaseKey>) -> Result<Vec<BreachRecord>> {
        load::breaches_of(&self.db, report, subject).await
    }

    /// What remains of an ended episode.
    pub async fn outcome(&self, episode: &EpisodeKey) -> Result<Option<Outcome>> {
        load::outcome(&self.db, episode).await
    }

    /// Puts what a person did into the inbox and gives its number. `body` is JSON.
    pub async fn put_inbox(&self, kind: &str, body: &str, by_whom: &str, at: Timestamp) -> Result<i64> {
        const OPERATION: &str = "put into the inbox";
        const INSERT: &str = "INSERT INTO inbox (kind, body, by_whom, at) VALUES ($1, $2, $3, $4) RETURNING id";
        let insert = async {
            let mut tx = self.db.begin().await?;
            let id = tx.fetch_one(INSERT, args![kind, body, by_whom, at]).await?.int(0)?;
            Ok((tx, id))
        };
        let (tx, id) = insert.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(id)
    }

    /// Whether this incident is there and open.
    pub async fn is_incident_open(&self, no: IncidentNo) -> Result<bool> {
        let sql = "SELECT no FROM incidents WHERE no = $1 AND open = 1";
        let rows = self.db.fetch(sql, args![no.0]).await.map_err(failed("look for an incident"))?;
        Ok(!rows.is_empty())
    }

    /// Queues every parked page again, as after a reload, but for rings that were resolved meanwhile. Gives
    /// their number.
    pub async fn release_parked(&self, now: Timestamp) -> Result<u64> {
        const OPERATION: &str = "release parked pages";
        let release = async {
            let mut tx = self.db.begin().await?;
            let released = outbox::release_parked(&mut tx, now).await?;
            Ok((tx, released))
        };
        let (tx, released) = release.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(released)
    }
}

impl Store for SqlStore {
    async fn inbox(&self) -> Result<Vec<InboxEntry>> {
        load::inbox(&self.db).await
    }

    async fn lead(&self, holder: &str, now: Timestamp, gone: Option<u64>) -> Result<Lead> {
        let lead = lease::lead(&self.db, holder, now, gone).await?;
        if let Lead::Taken { token, .. } = lead {
            self.token.store(token, Ordering::Release);
            // Reports that a permanent error parked, like pages: they may pass under a new configuration.
            self.release_deliveries(now).await?;
        }
        Ok(lead)
    }

    async fn renew(&self, token: u64) -> Result<()> {
        lease::renew(&self.db, token).await
    }

    async fn hand_over(&self, token: u64) -> Result<()> {
        lease::hand_over(&self.db, token).await
    }

    async fn load_in_parts(&self, take: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        load::load(&self.db, take).await
    }

    async fn settle(&self, token: u64) -> Result<u64> {
        commit::settle(&self.db, token).await
    }

    async fn commit(&self, commit: &Commit<'_>) -> Result<()> {
        commit::commit(&self.db, commit).await
    }

    async fn recall(&self, keys: &[CaseKey]) -> Result<Vec<Case>> {
        load::recall(&self.db, keys).await
    }

    async fn segment(&self, source: &Name, after: u64, until: u64) -> Result<Option<(u64, Segment)>> {
        segments::next(&self.db, source, after, until).await
    }

    async fn lease_pages(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        let token = self.token.load(Ordering::Acquire);
        outbox::lease_pages(&self.db, token, lane, now, until, limit, full).await
    }

    async fn next_page_at(&self, lane: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
        outbox::next_page_at(&self.db, lane, full).await
    }

    async fn record(&self, attempt: &Attempt) -> Result<()> {
        outbox::record(&self.db, attempt).await
    }

    async fn unanswered(&self, lane: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
        outbox::unanswered(&self.db, lane, limit).await
    }

    async fn fall_back(&self, page: i64, fallbacks: &[NewPage], now: Timestamp) -> Result<()> {
        fallback::fall_back(&self.db, page, fallbacks, now).await
    }

    async fn pages(&self, limit: u32) -> Result<Vec<PageRow>> {
        outbox::pages(&self.db, limit).await
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        outbox::page_counts(&self.db).await
    }
}

/// For everything before a COMMIT: it didn't happen.
pub(super) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Failed { operation, source }
}

/// Commits, and tells apart what surely didn't happen from what may have.
pub(super) async fn committed(tx: Tx, operation: &'static str) -> Result<()> {
    tx.commit().await.map_err(|error| match error {
        CommitError::Refused(source) => StoreError::Failed { operation, source },
        CommitError::Unknown(source) => StoreError::Ambiguous { operation, source },
    })
}

/// JSON for a column. Only a defect in a type makes this fail.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Answer<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
