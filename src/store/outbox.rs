//! The outbox's side of the store. At-least-once: a page leaves it only by an answer, and a lease that
//! its holder didn't survive ends by itself. Order is the lane's: priority, then age.

use super::db::{Answer, Db, Row, Tx, args};
use super::load::{priority, unreadable};
use super::sql::{committed, failed};
use super::{Attempt, Delivery, Lane, LeasedPage, NewPage, PageCount, PageRow, Result, fallback, lease};
use crate::core::id::{IncidentNo, Name};
use crate::core::plan::PageKind;
use crate::core::time::Timestamp;

/// What `page` reads, from the first column on.
macro_rules! columns {
    () => {
        "id, incident, round, step, channel, kind, priority, created_at, alert_key, delivery_key, payload, attempts, \
         fallbacks, in_place_of, is_test"
    };
}
pub(super) use columns;

/// The condition for a page of the lane ($1..$2) that nothing holds back but time and is of no channel in
/// the list $3. A resolve follows the rings that it closes; one that overtook them would leave them ringing.
macro_rules! sendable {
    () => {
        "pages.priority BETWEEN $1 AND $2 AND pages.state IN ('queued', 'leased') \
         AND REPLACE($3, ',' || pages.channel || ',', '') = $3 \
         AND (pages.kind = 'ring' OR NOT EXISTS (SELECT 1 FROM pages ring WHERE ring.incident = pages.incident \
         AND ring.round = pages.round AND ring.channel = pages.channel AND ring.kind = 'ring' \
         AND ring.state IN ('queued', 'leased')))"
    };
}

/// The instant at which a page is due: a queued one at its own, a leased one when its lease ends.
macro_rules! due {
    () => {
        "CASE pages.state WHEN 'queued' THEN pages.due_at ELSE pages.leased_until END"
    };
}

/// The condition stands twice: PostgreSQL looks at a row anew after waiting for another's lock on it,
/// but doesn't look for other rows.
const LEASE: &str = concat!(
    "UPDATE pages SET state = 'leased', leased_until = $4 WHERE id IN (SELECT id FROM pages WHERE ",
    sendable!(),
    " AND ",
    due!(),
    " <= $5 ORDER BY priority, created_at, id LIMIT $6) AND state IN ('queued', 'leased') AND ",
    due!(),
    " <= $5 RETURNING ",
    columns!()
);

const NEXT: &str = concat!("SELECT MIN(", due!(), ") FROM pages WHERE ", sendable!());

/// Accepted is final: an answer that comes in late, of an attempt whose lease had ended, changes nothing.
const ANSWERED: &str = "UPDATE pages SET attempts = attempts + 1, last_answer = $2, \
     state = CASE WHEN state = 'accepted' THEN state WHEN state = 'superseded' AND $3 <> 'accepted' THEN state \
     ELSE $3 END, \
     due_at = COALESCE($4, due_at), leased_until = NULL, accepted_at = COALESCE(accepted_at, $5) \
     WHERE id = $1 RETURNING attempts, incident";

const INTO_ATTEMPTS: &str = "INSERT INTO attempts (page, number, began, ended, result, answer) \
     VALUES ($1, $2, $3, $4, $5, $6)";

const NEWEST: &str =
    concat!("SELECT ", columns!(), ", state, last_answer, accepted_at FROM pages ORDER BY id DESC LIMIT $1");

const UNANSWERED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM pages WHERE priority BETWEEN $1 AND $2 AND state IN ('queued', 'leased') AND kind = 'ring' \
     AND failing = 0 AND fallbacks <> '' ORDER BY created_at, id LIMIT $3"
);

/// `token` is that of this process's lead, or 0 where it never led.
pub(super) async fn lease_pages(
    db: &Db,
    token: u64,
    lane: Lane,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
    full: &[Name],
) -> Result<Vec<LeasedPage>> {
    const OPERATION: &str = "lease pages";
    let (from, to) = priorities(lane);
    let lease = async {
        // A lease that a failing machine forgets lets the page go again under its key, as its end does.
        let mut tx = db.begin_forgettable().await.map_err(failed(OPERATION))?;
        if token != 0 {
            // What a process sends that was replaced, its successor sends as well.
            lease::still_leads(&mut tx, token, OPERATION).await?;
        }
        let rows =
            tx.fetch(LEASE, args![from, to, listed(full), until, now, limit]).await.map_err(failed(OPERATION))?;
        Ok((tx, rows))
    };
    let (tx, rows) = lease.await?;
    let mut pages = rows.iter().map(|row| leased(row, OPERATION)).collect::<Result<Vec<_>>>()?;
    if !pages.is_empty() {
        committed(tx, OPERATION).await?;
    } else {
        // Nothing was written: how the transaction ends is no matter.
        let _ = tx.commit().await;
    }
    pages.sort_by_key(|leased| (leased.page.priority, leased.page.created_at, leased.id));
    Ok(pages)
}

pub(super) async fn next_page_at(db: &Db, lane: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
    const OPERATION: &str = "find the next page";
    let (from, to) = priorities(lane);
    let rows = db.fetch(NEXT, args![from, to, listed(full)]).await.map_err(failed(OPERATION))?;
    rows.first().map_or(Ok(None), |row| row.opt_at(0)).map_err(failed(OPERATION))
}

pub(super) async fn unanswered(db: &Db, lane: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
    const OPERATION: &str = "look for unanswered pages";
    let (from, to) = priorities(lane);
    let rows = db.fetch(UNANSWERED, args![from, to, limit]).await.map_err(failed(OPERATION))?;
    rows.iter().map(|row| leased(row, OPERATION)).collect()
}

pub(super) async fn record(db: &Db, attempt: &Attempt) -> Result<()> {
    const OPERATION: &str = "record an attempt";
    let tx = write_attempt(db, attempt).await.map_err(failed(OPERATION))?;
    match tx {
        Some(tx) => committed(tx, OPERATION).await,
        None => Err(unreadable(OPERATION, "pages", &attempt.page.to_string())),
    }
}

async fn write_attempt(db: &Db, attempt: &Attempt) -> Answer<Option<Tx>> {
    let (state, due_at, accepted_at, result) = match attempt.delivery {
        Delivery::Accepted => ("accepted", None, Some(attempt.ended), "accepted"),
        Delivery::Retry { at } => ("queued", Some(at), None, "retry"),
        Delivery::Parked => ("parked", None, None, "parked"),
    };
    let answer = attempt.answer.as_str();
    let mut tx = db.begin().await?;
    fallback::hold_incident(&mut tx, attempt.page).await?;
    let rows = tx.fetch(ANSWERED, args![attempt.page, answer, state, due_at, accepted_at]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (number, incident) = (row.small(0)?, IncidentNo(row.count(1)?));
    tx.execute(INTO_ATTEMPTS, args![attempt.page, number, attempt.began, attempt.ended, result, answer]).await?;
    fallback::supersede(db, &mut tx, &[incident]).await?;
    if !attempt.fallbacks.is_empty() {
        fallback::queue_next(&mut tx, attempt.page, &attempt.fallbacks, attempt.ended).await?;
    }
    Ok(Some(tx))
}

/// A ring whose incident was resolved while it was parked is over: it would ring for nothing, and nothing
/// would silence it again.
const SUPERSEDE_PARKED: &str = "UPDATE pages SET state = 'superseded' WHERE state = 'parked' AND kind = 'ring' \
     AND EXISTS (SELECT 1 FROM pages resolve WHERE resolve.incident = pages.incident \
     AND resolve.round = pages.round AND resolve.channel = pages.channel AND resolve.kind = 'resolve')";

const RELEASE_PARKED: &str = "UPDATE pages SET state = 'queued', due_at = $1 WHERE state = 'parked'";

/// Gives the number of pages that go again.
pub(super) async fn release_parked(tx: &mut Tx, now: Timestamp) -> Answer<u64> {
    tx.execute(SUPERSEDE_PARKED, args![]).await?;
    tx.execute(RELEASE_PARKED, args![now]).await
}

/// Ends every lease: a page sent twice carries the same key.
pub(super) const END_LEASES: &str =
    "UPDATE pages SET state = 'queued', due_at = $1, leased_until = NULL WHERE state = 'leased'";

pub(super) async fn pages(db: &Db, limit: u32) -> Result<Vec<PageRow>> {
    const OPERATION: &str = "list pages";
    let rows = db.fetch(NEWEST, args![limit]).await.map_err(failed(OPERATION))?;
    rows.iter().map(|row| listed_page(row, OPERATION)).collect()
}

/// A row of `columns`, state, last answer and acceptance.
pub(super) fn listed_page(row: &Row, operation: &'static str) -> Result<PageRow> {
    let LeasedPage { id, page, attempts } = leased(row, operation)?;
    let (state, last_answer, accepted_at) = (row.text(15), row.opt_text(16), row.opt_at(17));
    Ok(PageRow {
        id,
        page,
        attempts,
        state: state.map_err(failed(operation))?.to_owned(),
        last_answer: last_answer.map_err(failed(operation))?.map(str::to_owned),
        accepted_at: accepted_at.map_err(failed(operation))?,
    })
}

pub(super) async fn page_counts(db: &Db) -> Result<Vec<PageCount>> {
    let sql =
        "SELECT channel, state, COUNT(*) FROM pages WHERE is_test = 0 GROUP BY channel, state ORDER BY channel, state";
    let count = async {
        let rows = db.fetch(sql, args![]).await?;
        let read = |row: &Row| {
            Ok(PageCount { channel: row.text(0)?.into(), state: row.text(1)?.to_owned(), count: row.count(2)? })
        };
        rows.iter().map(read).collect::<Answer<Vec<_>>>()
    };
    count.await.map_err(failed("count pages"))
}

/// The priorities of a lane, first and last.
fn priorities(lane: Lane) -> (&'static str, &'static str) {
    match lane {
        Lane::P0 => ("P0", "P0"),
        Lane::Lesser => ("P1", "P4"),
    }
}

/// ",one,two,": each name between two commas, which no name holds.
fn listed(channels: &[Name]) -> String {
    channels.iter().fold(",".to_owned(), |list, channel| list + channel + ",")
}

pub(super) fn leased(row: &Row, operation: &'static str) -> Result<LeasedPage> {
    let id = row.int(0).map_err(failed(operation))?;
    page(row, id).map_err(failed(operation))?.ok_or_else(|| unreadable(operation, "pages", &id.to_string()))
}

fn page(row: &Row, id: i64) -> Answer<Option<LeasedPage>> {
    let kind = match row.text(5)? {
        "ring" => PageKind::Ring,
        "resolve" => PageKind::Resolve,
        _ => return Ok(None),
    };
    let Some(priority) = priority(row.text(6)?) else { return Ok(None) };
    let page = NewPage {
        incident: IncidentNo(row.count(1)?),
        round: row.small(2)?,
        step: row.small(3)?,
        channel: row.text(4)?.into(),
        kind,
        priority,
        created_at: row.at(7)?,
        alert_key: row.text(8)?.to_owned(),
        delivery_key: row.text(9)?.to_owned(),
        payload: row.text(10)?.to_owned(),
        fallbacks: row.text(12)?.split(',').filter(|name| !name.is_empty()).map(Name::from).collect(),
        in_place_of: row.opt_text(13)?.map(Name::from),
        is_test: row.int(14)? != 0,
    };
    Ok(Some(LeasedPage { id, page, attempts: row.small(11)? }))
}
