//! A store in memory with just what the outbox needs, by the contract of the port; it can be told to fail,
//! or to hang where a process would be killed.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use tocsin::core::case::Case;
use tocsin::core::id::{CaseKey, Name};
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::core::time::Timestamp;
use tocsin::store::{
    Attempt, Commit, Delivery, Lane, LeasedPage, NewPage, PageCount, PageRow, Result, Store, StoreError, Stored,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Queued(Timestamp),
    Leased(Timestamp),
    Accepted,
    Parked,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub page: NewPage,
    pub state: State,
    pub failing: bool,
    pub attempts: Vec<Attempt>,
}

#[derive(Debug, Default)]
pub struct Shelf {
    rows: Mutex<Vec<Row>>,
    pub lease_fails: AtomicBool,
    pub record_fails: AtomicBool,
    /// Records never return: whoever waits for one can only be killed.
    pub record_hangs: AtomicBool,
    pub leases: AtomicU32,
}

impl Shelf {
    pub fn put(&self, page: NewPage) {
        let state = State::Queued(page.created_at);
        self.rows.lock().unwrap().push(Row { page, state, failing: false, attempts: Vec::new() });
    }

    /// Pages of the first channel of `fallbacks` that none has rung yet, unless one before it rings unfailing.
    fn next_channel(&self, page: i64, fallbacks: &[NewPage]) {
        self.rows.lock().unwrap()[page as usize].failing = true;
        for next in fallbacks {
            let rows = self.rows();
            let same = |row: &&Row| (row.page.incident, &row.page.channel) == (next.incident, &next.channel);
            match rows.iter().find(same) {
                Some(row) if row.failing => {}
                Some(_) => return,
                None => return self.put(next.clone()),
            }
        }
    }

    pub fn rows(&self) -> Vec<Row> {
        self.rows.lock().unwrap().clone()
    }

    pub fn row(&self, id: usize) -> Row {
        self.rows.lock().unwrap()[id].clone()
    }

    pub fn retry_at(&self, id: usize) -> Timestamp {
        match self.row(id).state {
            State::Queued(at) => at,
            other => panic!("page {id} is {other:?}, not queued"),
        }
    }

    pub fn answers(&self, id: usize) -> Vec<String> {
        self.row(id).attempts.into_iter().map(|attempt| attempt.answer).collect()
    }
}

fn failed(operation: &'static str) -> StoreError {
    StoreError::Failed { operation, source: sqlx::Error::PoolClosed }
}

fn is_in(lane: Lane, row: &Row) -> bool {
    (row.page.priority == Priority::P0) == (lane == Lane::P0)
}

fn due_at(row: &Row) -> Option<Timestamp> {
    match row.state {
        State::Queued(at) | State::Leased(at) => Some(at),
        State::Accepted | State::Parked => None,
    }
}

/// A resolve whose ring is still to be sent.
fn waits(row: &Row, rows: &[Row]) -> bool {
    let key = |page: &NewPage| (page.incident, page.round, page.channel.clone());
    row.page.kind == PageKind::Resolve
        && rows.iter().any(|other| {
            other.page.kind == PageKind::Ring && key(&other.page) == key(&row.page) && due_at(other).is_some()
        })
}

impl Store for Shelf {
    async fn inbox(&self) -> Result<Vec<tocsin::store::InboxEntry>> {
        Ok(Vec::new())
    }

    async fn lease_pages(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        self.leases.fetch_add(1, SeqCst);
        if self.lease_fails.load(SeqCst) {
            return Err(failed("lease pages"));
        }
        let mut rows = self.rows.lock().unwrap();
        let serves = |row: &Row| is_in(lane, row) && !full.contains(&row.page.channel);
        let is_due = |row: &Row| serves(row) && due_at(row).is_some_and(|at| at <= now) && !waits(row, &rows);
        let mut due: Vec<usize> = (0..rows.len()).filter(|id| is_due(&rows[*id])).collect();
        due.sort_by_key(|id| (rows[*id].page.priority, rows[*id].page.created_at, *id));
        due.truncate(limit as usize);
        let lease = |id: usize| {
            rows[id].state = State::Leased(until);
            let attempts = rows[id].attempts.len() as u32;
            LeasedPage { id: id as i64, page: rows[id].page.clone(), attempts }
        };
        Ok(due.into_iter().map(lease).collect())
    }

    async fn next_page_at(&self, lane: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
        let serves = |row: &&Row| is_in(lane, row) && !full.contains(&row.page.channel);
        Ok(self.rows.lock().unwrap().iter().filter(serves).filter_map(due_at).min())
    }

    async fn record(&self, attempt: &Attempt) -> Result<()> {
        if self.record_hangs.load(SeqCst) {
            pending::<()>().await;
        }
        if self.record_fails.load(SeqCst) {
            return Err(failed("record an attempt"));
        }
        let mut rows = self.rows.lock().unwrap();
        let row = &mut rows[attempt.page as usize];
        row.attempts.push(attempt.clone());
        row.state = match attempt.delivery {
            Delivery::Accepted => State::Accepted,
            Delivery::Retry { at } => State::Queued(at),
            Delivery::Parked => State::Parked,
        };
        drop(rows);
        if !attempt.fallbacks.is_empty() {
            self.next_channel(attempt.page, &attempt.fallbacks);
        }
        Ok(())
    }

    async fn unanswered(&self, lane: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
        let rows = self.rows.lock().unwrap();
        let waits = |row: &Row| is_in(lane, row) && due_at(row).is_some() && !row.failing;
        let can = |row: &Row| row.page.kind == PageKind::Ring && !row.page.fallbacks.is_empty();
        let found = rows.iter().enumerate().filter(|(_, row)| waits(row) && can(row)).take(limit as usize);
        let leased = |(id, row): (usize, &Row)| LeasedPage {
            id: id as i64,
            page: row.page.clone(),
            attempts: row.attempts.len() as u32,
        };
        Ok(found.map(leased).collect())
    }

    async fn fall_back(&self, page: i64, fallbacks: &[NewPage], _: Timestamp) -> Result<()> {
        self.next_channel(page, fallbacks);
        Ok(())
    }

    async fn lead(&self, _: &str, _: Timestamp, _: Option<u64>) -> Result<tocsin::store::Lead> {
        unreachable!("the outbox doesn't lead")
    }

    async fn renew(&self, _: u64) -> Result<()> {
        unreachable!("the outbox doesn't lead")
    }

    async fn hand_over(&self, _: u64) -> Result<()> {
        unreachable!("the outbox doesn't lead")
    }

    async fn load_in_parts(&self, _: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        unreachable!("the outbox doesn't load")
    }

    async fn settle(&self, _token: u64) -> Result<u64> {
        unreachable!("the outbox doesn't commit")
    }

    async fn commit(&self, _: &Commit<'_>) -> Result<()> {
        unreachable!("the outbox doesn't commit")
    }

    async fn recall(&self, _: &[CaseKey]) -> Result<Vec<Case>> {
        unreachable!("the outbox knows no cases")
    }

    async fn pages(&self, _: u32) -> Result<Vec<PageRow>> {
        unreachable!("the outbox lists nothing")
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        unreachable!("the outbox lists nothing")
    }
}
