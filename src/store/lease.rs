//! The lead of a store: one row that names its leader, a fencing token that only grows, and a lease that
//! runs out by the store's own clock. The token goes with every commit; the lease only says when somebody
//! else may take the lead without being asked. It is the one place where the store's clock is asked for:
//! two processes need not agree on the time for exactly one of them to lead.

use super::db::{Answer, Db, Row, Tx, args};
use super::sql::{committed, failed};
use super::{Lead, Result, StoreError, outbox};
use crate::core::time::{Span, Timestamp};

/// How long a leader that isn't heard of keeps the lead.
pub const LEASE: Span = Span::from_secs(6);

/// Of a lease that lasts longer than this, the store's clock was set back since it was written.
const LEASE_MAX: Span = Span::from_micros(2 * LEASE.micros());

/// Microseconds since 1970-01-01 by the store's own clock.
pub(super) const fn clock(db: &Db) -> &'static str {
    match db {
        Db::Sqlite { .. } => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        Db::Postgres { .. } => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    }
}

/// Who leads, as the store has it.
struct Leader {
    token: u64,
    /// `None` before the first, and after one that handed over.
    holder: Option<String>,
    /// `None` where nobody has a lease.
    left: Option<Span>,
}

/// Takes the lead where nobody has it, its lease has run out, or its token is `gone`: that of a process
/// known to be dead.
pub(super) async fn lead(db: &Db, holder: &str, now: Timestamp, gone: Option<u64>) -> Result<Lead> {
    const OPERATION: &str = "take the lead";
    let leader = leader(db).await.map_err(failed(OPERATION))?;
    let over = leader.left.is_none_or(|left| left.micros() <= 0 || left > LEASE_MAX) || gone == Some(leader.token);
    let held = |leader: Leader| Lead::Held {
        token: leader.token,
        holder: leader.holder.unwrap_or_default(),
        left: leader.left.unwrap_or(Span::ZERO),
    };
    if !over {
        return Ok(held(leader));
    }
    let taken = take(db, holder, now, &leader, gone == Some(leader.token)).await;
    let Some((tx, token, released)) = taken.map_err(failed(OPERATION))? else {
        return Ok(held(leader));
    };
    committed(tx, OPERATION).await?;
    Ok(Lead::Taken { token, released })
}

async fn leader(db: &Db) -> Answer<Leader> {
    let sql =
        format!("SELECT leader_token, leader_holder, leader_lease_until - {} FROM deployment WHERE id = 1", clock(db));
    let rows = db.fetch(sql, args![]).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let holder = row.opt_text(1)?.map(str::to_owned);
    Ok(Leader { token: row.count(0)?, holder, left: row.opt_int(2)?.map(Span::from_micros) })
}

/// The next token, and how many parked pages go again. `None` where somebody was quicker.
async fn take(db: &Db, holder: &str, now: Timestamp, after: &Leader, is_gone: bool) -> Answer<Option<(Tx, u64, u64)>> {
    let (clock, lease, lease_max) = (clock(db), LEASE.micros(), LEASE_MAX.micros());
    let sql = format!(
        "UPDATE deployment SET leader_token = leader_token + 1, leader_holder = $1, leader_since = $2, \
         leader_lease_until = {clock} + {lease} WHERE id = 1 AND leader_token = $3 AND ($4 = 1 \
         OR leader_lease_until IS NULL OR leader_lease_until - {clock} NOT BETWEEN 1 AND {lease_max}) \
         RETURNING leader_token"
    );
    let mut tx = db.begin().await?;
    let Some(row) = tx.fetch(sql, args![holder, now, after.token, is_gone]).await?.pop() else { return Ok(None) };
    let token = row.count(0)?;
    // Whoever didn't hand over is dead or fenced, and a page that waited for its lease to run out would be
    // late. Whoever did hand over is still sending what it has.
    if after.holder.is_some() {
        tx.execute(outbox::END_LEASES, args![now]).await?;
    }
    let released = outbox::release_parked(&mut tx, now).await?;
    Ok(Some((tx, token, released)))
}

/// Keeps the lead for another lease. A machine that fails may forget it: then the lease is over a little
/// earlier.
pub(super) async fn renew(db: &Db, token: u64) -> Result<()> {
    const OPERATION: &str = "renew the lease";
    let until = format!("{} + {}", clock(db), LEASE.micros());
    let change = format!("UPDATE deployment SET leader_lease_until = {until} WHERE id = 1 AND leader_token = $1");
    let renewed = async {
        let mut tx = db.begin_forgettable().await?;
        if tx.execute(change, args![token]).await? == 1 {
            return Ok((tx, None));
        }
        let row = tx.fetch_one(TOKEN, args![]).await?;
        Ok((tx, Some(row)))
    };
    let (tx, fenced) = renewed.await.map_err(failed(OPERATION))?;
    match fenced {
        None => committed(tx, OPERATION).await,
        Some(row) => fence(&row, token, OPERATION),
    }
}

/// Gives the lead up, so that whoever waits takes it at once.
pub(super) async fn hand_over(db: &Db, token: u64) -> Result<()> {
    const OPERATION: &str = "hand over the lead";
    const HAND_OVER: &str = "UPDATE deployment SET leader_lease_until = NULL, leader_holder = NULL \
         WHERE id = 1 AND leader_token = $1";
    let handed = async {
        let mut tx = db.begin().await?;
        tx.execute(HAND_OVER, args![token]).await?;
        Ok(tx)
    };
    committed(handed.await.map_err(failed(OPERATION))?, OPERATION).await
}

const TOKEN: &str = "SELECT leader_token FROM deployment WHERE id = 1";

/// Refuses a transaction of a process that led under `token` and doesn't any more.
pub(super) async fn still_leads(tx: &mut Tx, token: u64, operation: &'static str) -> Result<()> {
    let row = tx.fetch_one(TOKEN, args![]).await.map_err(failed(operation))?;
    fence(&row, token, operation)
}

fn fence(row: &Row, ours: u64, operation: &'static str) -> Result<()> {
    let theirs = row.count(0).map_err(failed(operation))?;
    if theirs == ours { Ok(()) } else { Err(StoreError::Fenced { operation, ours, theirs }) }
}
