//! The store: what tocsin itself must remember. One transaction a plan, under a sequence number and
//! the leader's token; what is committed happened, nothing else did. One SQL text serves SQLite and
//! PostgreSQL.

mod adoption;
mod audit;
mod auditor;
pub mod backup;
mod board;
mod commit;
mod db;
mod fallback;
mod firing;
mod lease;
mod load;
mod migrate;
mod observations;
mod open;
mod outbox;
mod pages;
mod people;
mod probe;
mod quiets;
mod record;
mod rejects;
mod retention;
mod segments;
mod sight;
mod spool;
mod sql;
pub mod sums;
mod tokens;
pub mod told;
pub mod weekly;

pub use adoption::{Claim, ClaimError};
pub use auditor::{UnheardRound, UnrungBreach};
pub use backup::BackupError;
pub use board::{Days, OfDay};
pub use lease::LEASE;
pub use migrate::{MoveError, move_store};
pub use open::{OpenError, file, place};
pub use pages::PastAttempt;
pub use people::WEBHOOKS_KEPT;
pub use probe::{Probe, probe};
pub use record::{AuditLine, Noted};
pub use rejects::{RejectRow, RejectTotal};
pub use spool::Spool;
pub use sql::SqlStore;
pub use tokens::{NewToken, TokenRow};

use crate::core::arrivals::{Arrived, Watched};
use crate::core::case::Case;
use crate::core::id::{CaseKey, IncidentNo, Name};
use crate::core::incident::Incident;
use crate::core::plan::{PageKind, Plan};
use crate::core::policy::Priority;
use crate::core::quiet::Quiet;
use crate::core::segments::Segment;
use crate::core::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;

/// Everything the engine starts from.
#[derive(Debug, Default)]
pub struct Stored {
    /// The sequence number of the last commit; 0 in a new store.
    pub sequence: u64,
    /// Every case that has not settled, P0 first; none where they came in parts.
    pub cases: Vec<Case>,
    /// Incidents that are open.
    pub incidents: Vec<Incident>,
    /// The number that the next incident gets.
    pub next_incident: u64,
    /// Snoozes and maintenance windows, those that are over included until they are forgotten.
    pub quiets: Vec<Quiet>,
    /// How many reports came in each hour of the weeks before, and which hours were watched.
    pub arrived: Vec<Arrived>,
    pub watched: Vec<Watched>,
    /// Until when each source was in sight.
    pub seen_until: BTreeMap<Name, Timestamp>,
}

/// What became of a try to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// This process leads, under a token higher than any before.
    Taken {
        token: u64,
        /// Parked pages that are sent again: a new leader may have a new configuration.
        released: u64,
    },
    /// Another process leads.
    Held {
        token: u64,
        /// As it named itself.
        holder: String,
        /// Of its lease.
        left: Span,
    },
}

/// One plan on its way into the store.
#[derive(Debug)]
pub struct Commit<'a> {
    /// One more than the last committed sequence number.
    pub sequence: u64,
    /// The leader's fencing token; a commit under an older one is refused.
    pub token: u64,
    pub at: Timestamp,
    pub plan: &'a Plan,
    /// One for each page of the plan, in its order.
    pub pages: Vec<NewPage>,
    /// The number that the next incident gets once this is committed.
    pub next_incident: u64,
    /// Of these pages, the ones that rang in an emergency: they are recorded and not sent again.
    pub sent: Vec<Sent>,
}

/// A page that was accepted before the store had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub delivery_key: String,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub answer: String,
}

/// A page with its keys, its payload frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPage {
    pub incident: IncidentNo,
    pub round: u32,
    pub step: u32,
    pub channel: Name,
    pub kind: PageKind,
    pub priority: Priority,
    pub created_at: Timestamp,
    /// Empty in a resolve whose incident is out of memory: it is that of its round's ring.
    pub alert_key: String,
    pub delivery_key: String,
    /// The pager's payload as JSON; every attempt sends this.
    pub payload: String,
    /// The channels that ring in this one's place when it fails, the next first.
    pub fallbacks: Vec<Name>,
    /// The channel in whose place this page rings.
    pub in_place_of: Option<Name>,
    /// Of a test, and out of every figure.
    pub is_test: bool,
}

/// The two lanes of the outbox: nothing lesser can delay a P0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    P0,
    Lesser,
}

/// A page that this process may send until `leased_until`.
#[derive(Clone, Debug)]
pub struct LeasedPage {
    pub id: i64,
    pub page: NewPage,
    /// Attempts recorded before this one.
    pub attempts: u32,
}

/// Something a person did, waiting for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    pub id: i64,
    pub kind: String,
    /// JSON, by the kind.
    pub body: String,
    pub by_whom: String,
    pub at: Timestamp,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Accepted,
    /// Tried again at this instant.
    Retry {
        at: Timestamp,
    },
    /// A permanent error: parked until a reload.
    Parked,
}

#[derive(Clone, Debug)]
pub struct Attempt {
    pub page: i64,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub delivery: Delivery,
    /// What the receiver answered, such as "202" or "connection refused"; never a body.
    pub answer: String,
    /// Where the page has failed for so long that another channel rings as well: its fallbacks, the next
    /// first, ready to be queued. See [`Store::fall_back`].
    pub fallbacks: Vec<NewPage>,
}

/// Where a page stands, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageState {
    /// Waits for its first attempt.
    Queued,
    /// An attempt is on its way.
    Sending,
    /// Not accepted so far, and tried again.
    Retrying,
    Accepted,
    /// A permanent error: nothing is sent until a reload or a restart.
    Parked,
    /// Not sent any more: its incident was acknowledged or resolved after it had rung elsewhere.
    Superseded,
}

impl PageState {
    pub const ALL: [PageState; 6] = [
        PageState::Queued,
        PageState::Sending,
        PageState::Retrying,
        PageState::Accepted,
        PageState::Parked,
        PageState::Superseded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            PageState::Queued => "queued",
            PageState::Sending => "sending",
            PageState::Retrying => "retrying",
            PageState::Accepted => "accepted",
            PageState::Parked => "parked",
            PageState::Superseded => "superseded",
        }
    }
}

/// A page as the board lists it.
#[derive(Clone, Debug)]
pub struct PageRow {
    pub id: i64,
    pub page: NewPage,
    /// queued, leased, accepted, parked or superseded
    pub state: String,
    pub attempts: u32,
    pub last_answer: Option<String>,
    pub accepted_at: Option<Timestamp>,
}

impl PageRow {
    /// Where it stands, by name.
    pub fn standing(&self) -> PageState {
        match (self.state.as_str(), self.attempts) {
            ("leased", _) => PageState::Sending,
            ("accepted", _) => PageState::Accepted,
            ("parked", _) => PageState::Parked,
            ("superseded", _) => PageState::Superseded,
            (_, 0) => PageState::Queued,
            _ => PageState::Retrying,
        }
    }
}

/// Pages by state and channel, for the metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageCount {
    pub channel: Name,
    pub state: String,
    pub count: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else leads, or this plan's sequence number is taken: this process must stop writing.
    #[error("{operation}: another process leads this store (token {ours}, the store has {theirs})")]
    Fenced { operation: &'static str, ours: u64, theirs: u64 },
    /// The transaction didn't happen; the same may be tried again.
    #[error("{operation}: {source}")]
    Failed { operation: &'static str, source: sqlx::Error },
    /// The answer to COMMIT was lost: `Store::settle` tells whether it happened.
    #[error("{operation}: the answer to COMMIT was lost: {source}")]
    Ambiguous { operation: &'static str, source: sqlx::Error },
    /// What the store holds can't be read by this version.
    #[error("{operation}: {what}")]
    Unreadable { operation: &'static str, what: String },
}

impl StoreError {
    /// The database rolled it back for another transaction's sake: trying the same again may do.
    pub fn is_contention(&self) -> bool {
        let StoreError::Failed { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().is_some_and(|code| code == "40001" || code == "40P01")
    }

    /// The store is there and refuses a value in the plan: trying the same again changes nothing.
    pub fn is_refused_value(&self) -> bool {
        let StoreError::Failed { source: sqlx::Error::Database(error), .. } = self else { return false };
        let Some(code) = error.code() else { return false };
        if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
            // Too big, a constraint, a type: the low byte is the kind, the rest its detail.
            return code.parse::<i64>().is_ok_and(|code| matches!(code & 0xff, 18..=20));
        }
        // PostgreSQL's data exceptions, constraints and limits, such as that of an index's row.
        ["22", "23", "54"].iter().any(|class| code.starts_with(class))
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// The port. Tests decorate it; `SqlStore` is the one implementation.
pub trait Store: Send + Sync + 'static {
    /// Takes the lead where nobody has it, the lease of who has it is over, or its token is `gone`: that of
    /// a process known to be dead.
    fn lead(&self, holder: &str, now: Timestamp, gone: Option<u64>) -> impl Future<Output = Result<Lead>> + Send;
    /// Keeps the lead for another [`LEASE`]; `Fenced` once somebody else has it.
    fn renew(&self, token: u64) -> impl Future<Output = Result<()>> + Send;
    /// Gives the lead up, so that a standby takes it at once. Pages already leased stay this process's own.
    fn hand_over(&self, token: u64) -> impl Future<Output = Result<()>> + Send;
    /// What it remembers; its cases go to `take` in parts before, P0 first, because all of them at once need several times
    /// the memory that the core holds them in.
    fn load_in_parts(&self, take: impl FnMut(Vec<Case>) + Send) -> impl Future<Output = Result<Stored>> + Send;
    /// What it remembers, with its cases.
    fn load(&self) -> impl Future<Output = Result<Stored>> + Send {
        async {
            let mut cases = Vec::new();
            let stored = self.load_in_parts(|part| cases.extend(part)).await?;
            Ok(Stored { cases, ..stored })
        }
    }
    /// The sequence number of the last commit, once every commit of this leader has ended one way or the
    /// other: what is still under way is waited for.
    fn settle(&self, token: u64) -> impl Future<Output = Result<u64>> + Send;
    fn commit(&self, commit: &Commit<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Every kept episode of these cases, settled ones included, those of a case in their order.
    fn recall(&self, keys: &[CaseKey]) -> impl Future<Output = Result<Vec<Case>>> + Send;
    /// What people did that no commit has taken up yet, oldest first.
    fn inbox(&self) -> impl Future<Output = Result<Vec<InboxEntry>>> + Send;
    /// The next segment of open reports that was written after commit `after` and not after `until`, and the
    /// commit that wrote it. A store that keeps none has none.
    fn segment(
        &self,
        _source: &Name,
        _after: u64,
        _until: u64,
    ) -> impl Future<Output = Result<Option<(u64, Segment)>>> + Send {
        std::future::ready(Ok(None))
    }
    /// Leases due pages in rank order: P0 first, then oldest; a resolve only once no ring of the same
    /// incident, round and channel is still to be sent; none of the channels that are `full`.
    fn lease_pages(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> impl Future<Output = Result<Vec<LeasedPage>>> + Send;
    /// When the lane's next page is due: the earliest of its queued pages and expiring leases, but for the
    /// channels that are `full`.
    fn next_page_at(&self, lane: Lane, full: &[Name]) -> impl Future<Output = Result<Option<Timestamp>>> + Send;
    /// Writes an attempt, what it makes of its page and, in the same transaction, its fallback as
    /// [`Store::fall_back`] has it. A ring whose incident is acknowledged or over is superseded: below P0 once
    /// the incident is over or was acknowledged unheard; else only where its round, or a later one, has been
    /// accepted on some channel other than the log.
    fn record(&self, attempt: &Attempt) -> impl Future<Output = Result<()>> + Send;
    /// Rings of a lane that no answer has settled and that have not fallen back though they could, oldest
    /// first.
    fn unanswered(&self, lane: Lane, limit: u32) -> impl Future<Output = Result<Vec<LeasedPage>>> + Send;
    /// Marks a ring as failing, and queues the first of `fallbacks` whose channel this round has not rung yet;
    /// none, where one before it rings there without failing. An entry of the inbox tells the core, so that
    /// the round is closed there too.
    fn fall_back(&self, page: i64, fallbacks: &[NewPage], now: Timestamp) -> impl Future<Output = Result<()>> + Send;
    /// The newest pages, newest first.
    fn pages(&self, limit: u32) -> impl Future<Output = Result<Vec<PageRow>>> + Send;
    fn page_counts(&self) -> impl Future<Output = Result<Vec<PageCount>>> + Send;
}
