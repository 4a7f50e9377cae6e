//! One connection to a report database, made when it is first needed and again after every failure.
//! There is no pool: a pool would hide why a connection was refused, and two connections are all that
//! the monitor may take.

use super::decode::{Cell, Decoder};
use super::fault::Fault;
use super::feed::{Begin, Change, Changes, FeedKind, Moment, Place, fingerprint};
use super::history::HistoryMapping;
use super::selection::Selection;
use super::settings::{Settings, Unit};
use super::sql::Which;
use super::{Batch, PlanFound, Result, ScanPosition, SourceError, Vitals};
use crate::core::id::ReportId;
use crate::core::observation::{Flaw, Observation, Reject};
use crate::core::plan::BATCH;
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::secret::Secret;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// What a database may take for one statement, in PostgreSQL's own notation and as a length. Longer
/// than any page by id needs; short enough that a missing index hurts the monitor, not the platform.
pub const STATEMENT_TIMEOUT_MS: u64 = 10_000;
/// How long a read waits for somebody else's lock.
pub const LOCK_TIMEOUT_MS: u64 = 2_000;
/// How long the making of a connection may take, the reading of the column types included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one call may take before its connection counts as dead. Above the statement timeout, so
/// that the database gives its own reason first.
const CALL_TIMEOUT: Duration = Duration::from_millis(2 * STATEMENT_TIMEOUT_MS);

/// Everything that a connection is made from.
#[derive(Debug)]
pub struct Mapping {
    pub settings: Settings,
    pub selection: Selection,
    pub keys: Keys,
    pub history: Option<Arc<HistoryMapping>>,
}

impl Mapping {
    pub fn decoder(&self) -> Decoder {
        Decoder::new(&self.settings, self.selection.clone(), self.keys.clone())
    }

    /// Read anew where it stands in a file, so that a password that was rotated there is found.
    pub fn url(&self) -> Secret {
        let file = self.settings.reading.url_file.as_ref();
        let read = file.and_then(|file| std::fs::read_to_string(file).ok()).map(|text| text.trim().to_owned());
        // A scheme that changes would be another kind of database, which only a start can take up.
        let scheme = |url: &str| url.split(':').next().map(str::to_owned);
        let same = |url: &String| scheme(url) == scheme(self.settings.url.expose());
        read.filter(same).map_or_else(|| self.settings.url.clone(), Secret::new)
    }

    pub fn wrong(&self, what: String) -> Fault {
        Fault::Final(SourceError::Mapping { source_name: self.settings.name.to_string(), what })
    }

    pub fn unreachable(&self, cause: String) -> Fault {
        Fault::Final(SourceError::Unreachable { source_name: self.settings.name.to_string(), cause })
    }

    /// What messages call the relation.
    pub fn relation_name(&self) -> String {
        match &self.settings.rows {
            super::settings::RowsFrom::Table(name) => format!("table {name}"),
            super::settings::RowsFrom::Query(_) => "the query".to_owned(),
        }
    }
}

/// What can be asked of a connection.
#[derive(Debug)]
pub enum Request<'a> {
    Page {
        which: Which,
        after: Option<&'a ScanPosition>,
        limit: u32,
    },
    Rows(&'a [ReportId]),
    /// Of a feed, what lies from a place on.
    Changes {
        feed: FeedKind,
        begin: &'a Begin,
        clock: Timestamp,
        limit: u32,
    },
    Moment,
    /// Whether this is a replica, and what it has replayed; nothing is asked of a primary.
    Currency,
    Categories,
    Describe,
    /// The database's clock and a replica's distance.
    Vitals,
    /// How the polling statements would run.
    Plans,
    /// The rows received last.
    Newest,
}

/// The answer; the fields that the request didn't ask for stay empty.
#[derive(Debug, Default)]
pub struct Answer {
    pub batch: Batch,
    pub next: Option<ScanPosition>,
    pub categories: Vec<(String, u64)>,
    pub server: String,
    pub column_types: Vec<(String, String)>,
    pub changes: Changes,
    pub moment: Moment,
    pub vitals: Vitals,
    pub plans: Vec<PlanFound>,
}

/// A live connection that knows the types of the mapped columns.
pub trait Session: Send + Sized + 'static {
    fn connect(mapping: &Mapping) -> impl Future<Output = std::result::Result<Self, Fault>> + Send;
    fn answer(&mut self, request: &Request<'_>) -> impl Future<Output = std::result::Result<Answer, Fault>> + Send;
}

/// A connection that may be there or not. Calls on one line run one after the other.
#[derive(Debug)]
pub struct Line<S> {
    mapping: Arc<Mapping>,
    /// Boxed, because a session is large and mostly looked at from afar.
    session: Mutex<Option<Box<S>>>,
}

impl<S: Session> Line<S> {
    pub fn new(mapping: Arc<Mapping>) -> Self {
        Line { mapping, session: Mutex::new(None) }
    }

    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Asks over the connection that is there, or over a new one. A connection that was lost while it
    /// lay idle is replaced within the call. The session is out of its place while it works: a call that
    /// fails or is abandoned drops it, so that no later call waits for an earlier one's answer.
    pub async fn ask(&self, request: &Request<'_>) -> Result<Answer> {
        let mut place = self.session.lock().await;
        if let Some(session) = place.take() {
            match self.answer(session, request).await {
                Ok((session, answer)) => {
                    *place = Some(session);
                    return Ok(answer);
                }
                Err(fault) if fault.is_cured_by_reconnecting() => {}
                Err(fault) => return Err(fault.into_error(&self.mapping.settings.name)),
            }
        }
        let fresh = async {
            let connecting = tokio::time::timeout(CONNECT_TIMEOUT, S::connect(&self.mapping)).await;
            let session = connecting.unwrap_or_else(|_| Err(self.mapping.unreachable(late())))?;
            self.answer(Box::new(session), request).await
        };
        let (session, answer) = fresh.await.map_err(|fault| fault.into_error(&self.mapping.settings.name))?;
        *place = Some(session);
        Ok(answer)
    }

    async fn answer(&self, mut session: Box<S>, request: &Request<'_>) -> std::result::Result<(Box<S>, Answer), Fault> {
        let answer = tokio::time::timeout(CALL_TIMEOUT, session.answer(request)).await;
        let silent = || format!("no answer within {} s", CALL_TIMEOUT.as_secs());
        let answer = answer.unwrap_or_else(|_| Err(self.mapping.unreachable(silent())))?;
        Ok((session, answer))
    }
}

fn late() -> String {
    format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())
}

/// A bare connection, or why there is none, before anyone loses patience.
pub async fn in_time<C>(
    connecting: impl Future<Output = std::result::Result<C, String>>,
) -> std::result::Result<C, String> {
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(late()))
}

/// Reads of at most `BATCH` ids each, every id once.
pub fn chunks(ids: &[ReportId]) -> Vec<Vec<ReportId>> {
    let once: BTreeSet<&ReportId> = ids.iter().collect();
    let once: Vec<ReportId> = once.into_iter().cloned().collect();
    once.chunks(BATCH).map(<[ReportId]>::to_vec).collect()
}

/// Decodes rows of one page or read into its batch.
pub fn decode_rows<'r, R: 'r>(
    decoder: &mut Decoder,
    rows: &'r [R],
    mut cells_of: impl FnMut(&'r R, &mut Vec<Cell<'r>>),
    batch: &mut Batch,
) {
    batch.rows.reserve(rows.len());
    let mut cells = Vec::with_capacity(decoder.selection().columns.len());
    for row in rows {
        cells.clear();
        cells_of(row, &mut cells);
        batch.rows.extend(decoder.row(&cells, &mut batch.rejects));
    }
}

/// Decodes one page of a feed whose stamps stand at this index of the cells.
pub fn decode_changes<'r, R: 'r>(
    decoder: &mut Decoder,
    rows: impl IntoIterator<Item = &'r R>,
    mut cells_of: impl FnMut(&'r R, &mut Vec<Cell<'r>>),
    mut change_of: impl FnMut(&mut Decoder, &[Cell<'r>]) -> Change,
    place_of: impl Fn(&'r R, &[Cell<'r>]) -> Option<Place>,
    ((stamp_at, unit), clock): ((usize, Option<Unit>), Timestamp),
) -> Changes {
    let mut changes = Changes::default();
    let mut cells = Vec::new();
    for row in rows {
        cells.clear();
        cells_of(row, &mut cells);
        changes.rows.push(change_of(decoder, &cells));
        changes.next = place_of(row, &cells);
        if decoder.instant(cells[stamp_at], unit).is_some_and(|at| at <= clock) {
            changes.settled.clone_from(&changes.next);
        }
    }
    changes
}

/// A row of the report table that a feed yields.
pub fn change_of_row(decoder: &mut Decoder, cells: &[Cell<'_>]) -> Change {
    let mut rejects = Vec::new();
    let seen = decoder.row(cells, &mut rejects);
    let id = seen.as_ref().map(|seen| seen.id.clone());
    Change { entry: id.clone(), report: id, fingerprint: fingerprint(cells), seen, rejects }
}

/// Leaves what was asked for: a database's idea of equality can be wider than ours (letters' case), and
/// an id without a row is told as such.
pub fn settle_read(batch: &mut Batch, ids: &[ReportId]) {
    batch.rows.retain(|row| ids.binary_search(&row.id).is_ok());
    batch.rejects.retain(|reject| reject.id.as_ref().is_none_or(|id| ids.binary_search(id).is_ok()));
    let seen: BTreeSet<&ReportId> = batch.rows.iter().map(|row| &row.id).collect();
    let absent: Vec<ReportId> = ids.iter().filter(|id| !seen.contains(id)).cloned().collect();
    batch.rows.extend(absent.into_iter().map(|id| Observation { id, row: None }));
    batch.rows.sort_by(|a, b| a.id.cmp(&b.id));
}

/// The rejects of rows without an id: (NULL, or of a kind that no id has).
pub fn reject_without_id(batch: &mut Batch, selection: &Selection, counts: &[(bool, i64)]) {
    for (is_null, count) in counts {
        let flaw = if *is_null { Flaw::NoId } else { Flaw::WrongType };
        let reject = Reject { id: None, column: selection.name(selection.id).clone(), flaw };
        batch.rejects.extend((0..*count).map(|_| reject.clone()));
    }
}
