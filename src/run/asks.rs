//! Reports that wait to be read by key: each at most once, P0 first, and until a read has answered for them.
//! Bounded by the number of reports that are known.

use crate::core::id::{ReportId, ReportKey};
use crate::core::plan::BATCH;
use crate::core::policy::Priority;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Asks {
    waiting: Mutex<BTreeSet<(Priority, ReportId)>>,
    added: Notify,
}

impl Asks {
    pub fn add(&self, asks: impl IntoIterator<Item = (Priority, ReportKey)>) {
        let mut asks = asks.into_iter().map(|(priority, report)| (priority, report.id)).peekable();
        if asks.peek().is_some() {
            self.waiting().extend(asks);
            self.added.notify_one();
        }
    }

    /// These were not answered for: they wait for the next `again`.
    pub fn put_back(&self, unanswered: impl IntoIterator<Item = (Priority, ReportId)>) {
        self.waiting().extend(unanswered);
    }

    /// The database can be read: what is still waiting is worth another try.
    pub fn again(&self) {
        if !self.waiting().is_empty() {
            self.added.notify_one();
        }
    }

    /// The next reports to read, at most `BATCH`; P0 never shares a read with anything else.
    pub fn take(&self) -> Vec<(Priority, ReportId)> {
        let mut waiting = self.waiting();
        let Some((first, _)) = waiting.first() else { return Vec::new() };
        let p0 = *first == Priority::P0;
        let same_lane = |(priority, _): &&(Priority, ReportId)| (*priority == Priority::P0) == p0;
        let batch: Vec<_> = waiting.iter().take_while(same_lane).take(BATCH).cloned().collect();
        for ask in &batch {
            waiting.remove(ask);
        }
        batch
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<(Priority, ReportId)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once something may be waiting.
    pub async fn added(&self) {
        self.added.notified().await;
    }
}
