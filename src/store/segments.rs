//! Segments of the reports that were known to be open: some thousands in one row, compact. What a segment
//! holds too much costs one read by key at the next start.

use super::Result;
use super::db::{Answer, Arg, Db, Tx, args};
use super::load::unreadable;
use super::sql::{failed, json};
use crate::core::id::{Name, ReportId};
use crate::core::plan::Plan;
use crate::core::segments::{Remembered, Segment};
use crate::core::time::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub(super) const INTO_SEGMENTS: &str = "INSERT INTO segments (source, no, taken_at, reports)";
pub(super) const OVER_SEGMENTS: &str = "ON CONFLICT (source, no) DO UPDATE SET \
     taken_at = excluded.taken_at, reports = excluded.reports";

/// A segment as it stands in the store: categories once, and of each report its id, the category's place and
/// when it was received, in microseconds.
#[derive(Serialize, Deserialize)]
struct Body {
    categories: Vec<Name>,
    reports: Vec<(Id, usize, i64)>,
}

/// A number, a text, or a uuid in a list of its own.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Id {
    Int(i64),
    Text(SmolStr),
    Uuid([[u8; 16]; 1]),
}

pub(super) fn rows(plan: &Plan, sequence: u64) -> Answer<Vec<Vec<Arg>>> {
    let row = |segment: &Segment| Ok(args![&*segment.source, sequence, segment.taken_at, json(&body(segment))?]);
    plan.segment.iter().map(row).collect()
}

/// A generation that is whole replaces the ones before.
pub(super) async fn forget(tx: &mut Tx, plan: &Plan) -> Answer<()> {
    let Some((source, began)) = &plan.segments_before else { return Ok(()) };
    tx.execute("DELETE FROM segments WHERE source = $1 AND taken_at < $2", args![&**source, *began]).await?;
    Ok(())
}

/// The next segment of a source that was written after commit `after` and not after commit `until`, with
/// the commit that wrote it.
pub(super) async fn next(db: &Db, source: &Name, after: u64, until: u64) -> Result<Option<(u64, Segment)>> {
    const OPERATION: &str = "read a segment";
    const NEXT: &str = "SELECT no, taken_at, reports FROM segments \
         WHERE source = $1 AND no > $2 AND no <= $3 ORDER BY no LIMIT 1";
    let rows = db.fetch(NEXT, args![&**source, after, until]).await.map_err(failed(OPERATION))?;
    let Some(row) = rows.first() else { return Ok(None) };
    let no = row.count(0).map_err(failed(OPERATION))?;
    let taken_at = row.at(1).map_err(failed(OPERATION))?;
    let bad = |_| unreadable(OPERATION, "segments", &format!("{source}/{no}"));
    let body: Body = serde_json::from_str(row.text(2).map_err(failed(OPERATION))?).map_err(bad)?;
    let reports = reports(body);
    Ok(Some((no, Segment { source: source.clone(), taken_at, reports })))
}

fn body(segment: &Segment) -> Body {
    let mut categories: Vec<Name> = Vec::new();
    let mut reports = Vec::with_capacity(segment.reports.len());
    for Remembered { id, category, received } in &segment.reports {
        let place = categories.iter().position(|known| known == category).unwrap_or_else(|| {
            categories.push(category.clone());
            categories.len() - 1
        });
        let id = match id {
            ReportId::Int(id) => Id::Int(*id),
            ReportId::Text(id) => Id::Text(id.clone()),
            ReportId::Uuid(id) => Id::Uuid([*id]),
        };
        reports.push((id, place, received.micros()));
    }
    Body { categories, reports }
}

fn reports(body: Body) -> Vec<Remembered> {
    let Body { categories, reports } = body;
    let report = |(id, place, received): (Id, usize, i64)| {
        let id = match id {
            Id::Int(id) => ReportId::Int(id),
            Id::Text(id) => ReportId::Text(id),
            Id::Uuid([id]) => ReportId::Uuid(id),
        };
        let category = categories.get(place).cloned().unwrap_or_else(|| "".into());
        Remembered { id, category, received: Timestamp::from_micros(received) }
    };
    reports.into_iter().map(report).collect()
}
