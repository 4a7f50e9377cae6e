//! What the web asks of the running core, as one closed list: each look is bounded, changes nothing, and is answered
//! between two inputs. Without an engine that answers, pages say so.

use crate::core::case::Case;
use crate::core::engine::Core;
use crate::core::explain::Explanation;
use crate::core::id::{CaseKey, IncidentNo};
use crate::core::quiet::{Refusal, Scope};
use crate::core::rank::Rank;
use crate::core::time::Timestamp;
use crate::core::view::{IncidentRow, QueueRow};
use std::future::Future;
use std::pin::Pin;

/// Rows that one look may give.
pub const ROWS_MAX: usize = 1_000;

/// A look at the core.
#[derive(Debug)]
pub enum Look {
    /// The rows of the queue after a place, at most `limit`.
    Rows { after: Option<Rank>, limit: usize },
    /// The keys of the cases after a place.
    Keys { after: Option<Rank> },
    /// An open case and why its deadlines are what they are.
    Case { key: CaseKey, now: Timestamp },
    /// The same of a case that the store remembers.
    Explain { case: Box<Case>, now: Timestamp },
    /// Whether something may be kept quiet.
    Quiet { scope: Scope, now: Timestamp },
    /// An open incident and the first of its overdue cases.
    Incident { no: IncidentNo, limit: usize },
}

/// What was seen.
#[derive(Debug)]
pub enum Seen {
    Rows(Vec<QueueRow>),
    /// With the place of the last, where there may be more.
    Keys(Vec<CaseKey>, Option<Rank>),
    Case(Option<Box<(Case, Explanation)>>),
    Explained(Explanation),
    Quiet(Result<(), Refusal>),
    Incident(Option<Box<(IncidentRow, Vec<QueueRow>)>>),
}

impl Look {
    pub fn at(self, core: &Core) -> Seen {
        match self {
            Look::Rows { after, limit } => Seen::Rows(core.rows_after(after.as_ref(), limit.min(ROWS_MAX))),
            Look::Keys { after } => {
                let (keys, last) = core.keys_after(after.as_ref(), ROWS_MAX);
                Seen::Keys(keys, last)
            }
            Look::Case { key, now } => Seen::Case(core.open_case(&key, now).map(Box::new)),
            Look::Explain { case, now } => Seen::Explained(core.explain(&case, now)),
            Look::Quiet { scope, now } => Seen::Quiet(core.judge_quiet(&scope, now)),
            Look::Incident { no, limit } => Seen::Incident(core.open_incident(no, limit.min(ROWS_MAX)).map(Box::new)),
        }
    }
}

/// `None` when the engine has stopped.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Option<Seen>> + Send + 'a>>;

/// Where looks are answered.
pub trait Ask: Send + Sync + 'static {
    fn look(&self, look: Look) -> Asked<'_>;
}
