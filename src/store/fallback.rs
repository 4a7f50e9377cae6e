//! What a failing page leads to: the next channel of its escalation, in the transaction that records the
//! failure, and an end of trying once its incident needs nobody any more.

use super::commit::{INTO_PAGES, OVER_PAGES, page_row};
use super::db::{Answer, Arg, Db, Row, Tx, args};
use super::sql::{committed, failed, json};
use super::{NewPage, Result};
use crate::core::act::Deed;
use crate::core::id::IncidentNo;
use crate::core::incident::Incident;
use crate::core::time::Timestamp;

/// Who tells the core in the inbox.
const OUTBOX: &str = "the outbox";

/// Incidents that one statement looks at.
const INCIDENTS_PER_STATEMENT: usize = 256;

/// Rings of these incidents that nobody needs any more. A round counts as heard where it, or a later one, was
/// accepted on a channel that wakes somebody; a round of P0 is never given up unheard. A lesser one may be when
/// the incident is over, or when whoever acknowledged it can't have heard of it by any page.
const SUPERSEDE: [&str; 2] = [
    "UPDATE pages SET state = 'superseded', leased_until = NULL WHERE incident IN ",
    " AND kind = 'ring' AND state IN ('queued', 'parked') AND EXISTS (SELECT 1 FROM incidents of \
     WHERE of.no = pages.incident AND (of.open = 0 OR of.acknowledged = 1) \
     AND (EXISTS (SELECT 1 FROM pages heard WHERE heard.incident = pages.incident AND heard.round >= pages.round \
     AND heard.kind = 'ring' AND heard.state = 'accepted' AND (heard.channel <> 'log' OR pages.channel = 'log')) \
     OR (pages.priority <> 'P0' AND (of.open = 0 OR NOT EXISTS (SELECT 1 FROM pages heard \
     WHERE heard.incident = pages.incident AND heard.kind = 'ring' AND heard.state = 'accepted')))))",
];

/// Two pages of one incident that fail at once must see each other's end: the incident's row is held first, as
/// a commit of the engine does.
const HOLD: &str = "UPDATE incidents SET open = open WHERE no = (SELECT incident FROM pages WHERE id = $1)";

const FAILING: &str = "UPDATE pages SET failing = 1 WHERE id = $1 AND kind = 'ring' \
     AND state IN ('queued', 'leased', 'parked') RETURNING id";

const RUNG_BY: &str = "SELECT state, failing FROM pages WHERE incident = $1 AND round = $2 AND channel = $3 \
     AND kind = 'ring' ORDER BY id DESC LIMIT 1";

const TELL: &str = "INSERT INTO inbox (kind, body, by_whom, at) VALUES ($1, $2, $3, $4)";

/// The incidents of a plan whose rings may be given up.
pub(super) fn settled<'a>(incidents: impl Iterator<Item = &'a Incident>) -> Vec<IncidentNo> {
    incidents.filter(|of| !of.is_open() || of.acknowledged.is_some()).map(|of| of.no).collect()
}

/// Gives up what nobody needs any more of these incidents, as they stand in the transaction.
pub(super) async fn supersede(db: &Db, tx: &mut Tx, incidents: &[IncidentNo]) -> Answer<()> {
    for some in incidents.chunks(INCIDENTS_PER_STATEMENT) {
        let mut numbers: Vec<Arg> = some.iter().flat_map(|no| args![no.0]).collect();
        // Filled up to a power of two, so that the few statements there are stay prepared.
        if let Some(last) = numbers.last().cloned() {
            numbers.resize(some.len().next_power_of_two(), last);
        }
        let [head, tail] = SUPERSEDE;
        tx.execute(format!("{head}{}{tail}", db.list(numbers.len())), numbers).await?;
    }
    Ok(())
}

/// Holds the incident of a page until the transaction ends.
pub(super) async fn hold_incident(tx: &mut Tx, page: i64) -> Answer<()> {
    tx.execute(HOLD, args![page]).await.map(drop)
}

pub(super) async fn fall_back(db: &Db, page: i64, fallbacks: &[NewPage], now: Timestamp) -> Result<()> {
    const OPERATION: &str = "let a page fall back";
    let run = async {
        let mut tx = db.begin().await?;
        hold_incident(&mut tx, page).await?;
        queue_next(&mut tx, page, fallbacks, now).await?;
        Ok(tx)
    };
    committed(run.await.map_err(failed(OPERATION))?, OPERATION).await
}

/// The incident must be held. A page that was accepted or superseded meanwhile needs no fallback.
pub(super) async fn queue_next(tx: &mut Tx, page: i64, fallbacks: &[NewPage], now: Timestamp) -> Answer<()> {
    if tx.fetch(FAILING, args![page]).await?.is_empty() {
        return Ok(());
    }
    for next in fallbacks {
        let rung = tx.fetch(RUNG_BY, args![next.incident.0, next.round, &*next.channel]).await?;
        match rung.first() {
            Some(row) if is_failing(row)? => {}
            Some(_) => return Ok(()),
            None => {
                tx.insert(INTO_PAGES, OVER_PAGES, vec![page_row(next)]).await?;
                return tell(tx, next, now).await;
            }
        }
    }
    Ok(())
}

fn is_failing(rung: &Row) -> Answer<bool> {
    Ok(match rung.text(0)? {
        "accepted" => false,
        "queued" | "leased" => rung.int(1)? != 0,
        _ => true,
    })
}

async fn tell(tx: &mut Tx, page: &NewPage, now: Timestamp) -> Answer<()> {
    let NewPage { incident, round, priority, .. } = *page;
    let deed = Deed::FellBack { incident, round, channel: page.channel.clone(), priority };
    tx.execute(TELL, args![deed.kind(), json(&deed)?, OUTBOX, now]).await.map(drop)
}
