//! Ports that count every effect and can lose the process before or after any one of them. A lost
//! process is a future that never goes on: whoever drives it drops it, memory and all.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tocsin::core::case::Case;
use tocsin::core::id::{CaseKey, Name, ReportId};
use tocsin::core::time::Timestamp;
use tocsin::pager::{Answer, Outgoing, Sender};
use tocsin::run::heartbeat::{Beats, Evidence};
use tocsin::source::{Batch, ScanPosition, Source};
use tocsin::store::*;
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// The effects of one history, and where it crashes.
#[derive(Default)]
pub struct Faults {
    count: AtomicU64,
    crash_at: Option<(u64, Side)>,
    crashed: Notify,
}

impl Faults {
    pub fn crashing(at: Option<(u64, Side)>) -> Arc<Faults> {
        Arc::new(Faults { crash_at: at, ..Faults::default() })
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    async fn effect<T>(&self, effect: impl Future<Output = T>) -> T {
        let n = self.count.fetch_add(1, Ordering::SeqCst);
        self.lose_at(n, Side::Before).await;
        let done = effect.await;
        self.lose_at(n, Side::After).await;
        done
    }

    async fn lose_at(&self, n: u64, side: Side) {
        if self.crash_at == Some((n, side)) {
            self.crashed.notify_one();
            pending::<()>().await;
        }
    }
}

pub struct Faulty<T> {
    pub inner: Arc<T>,
    pub faults: Arc<Faults>,
}

impl<S: Store> Store for Faulty<S> {
    async fn lead(&self, holder: &str, now: Timestamp, gone: Option<u64>) -> Result<Lead> {
        self.faults.effect(self.inner.lead(holder, now, gone)).await
    }

    async fn renew(&self, token: u64) -> Result<()> {
        self.faults.effect(self.inner.renew(token)).await
    }

    async fn hand_over(&self, token: u64) -> Result<()> {
        self.faults.effect(self.inner.hand_over(token)).await
    }

    async fn load_in_parts(&self, take: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        self.faults.effect(self.inner.load_in_parts(take)).await
    }

    async fn settle(&self, token: u64) -> Result<u64> {
        self.faults.effect(self.inner.settle(token)).await
    }

    async fn commit(&self, commit: &Commit<'_>) -> Result<()> {
        self.faults.effect(self.inner.commit(commit)).await
    }

    async fn recall(&self, keys: &[CaseKey]) -> Result<Vec<Case>> {
        self.faults.effect(self.inner.recall(keys)).await
    }

    async fn inbox(&self) -> Result<Vec<InboxEntry>> {
        self.faults.effect(self.inner.inbox()).await
    }

    async fn lease_pages(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        self.faults.effect(self.inner.lease_pages(lane, now, until, limit, full)).await
    }

    async fn next_page_at(&self, lane: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
        self.faults.effect(self.inner.next_page_at(lane, full)).await
    }

    async fn record(&self, attempt: &Attempt) -> Result<()> {
        self.faults.effect(self.inner.record(attempt)).await
    }

    async fn unanswered(&self, lane: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
        self.faults.effect(self.inner.unanswered(lane, limit)).await
    }

    async fn fall_back(&self, page: i64, fallbacks: &[NewPage], now: Timestamp) -> Result<()> {
        self.faults.effect(self.inner.fall_back(page, fallbacks, now)).await
    }

    async fn pages(&self, limit: u32) -> Result<Vec<PageRow>> {
        self.inner.pages(limit).await
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        self.inner.page_counts().await
    }
}

impl<S: Source> Source for Faulty<S> {
    async fn scan_open(
        &self,
        after: Option<&ScanPosition>,
        limit: u32,
    ) -> tocsin::source::Result<(Batch, Option<ScanPosition>)> {
        self.faults.effect(self.inner.scan_open(after, limit)).await
    }

    async fn read(&self, ids: &[ReportId]) -> tocsin::source::Result<Batch> {
        self.faults.effect(self.inner.read(ids)).await
    }
}

impl<P: Sender> Sender for Faulty<P> {
    async fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> Answer {
        self.faults.effect(self.inner.send(page, now)).await
    }
}

impl<B: Beats> Beats for Faulty<B> {
    async fn beat(&self, now: Timestamp) -> Answer {
        self.faults.effect(self.inner.beat(now)).await
    }
}

impl<E: Evidence> Evidence for Faulty<E> {
    async fn prove_writable(&self) -> Result<()> {
        self.faults.effect(self.inner.prove_writable()).await
    }

    async fn unheard_rounds(&self, created_by: Timestamp) -> Result<Vec<UnheardRound>> {
        self.faults.effect(self.inner.unheard_rounds(created_by)).await
    }

    async fn last_deed(&self, kind: &str, by: &str) -> Result<Option<Timestamp>> {
        self.faults.effect(self.inner.last_deed(kind, by)).await
    }

    async fn is_test_heard(&self, since: Timestamp) -> Result<bool> {
        self.faults.effect(self.inner.is_test_heard(since)).await
    }
}
