//! How reports of kept cases looked, change by change: what a replay prefers over final rows.

use super::db::{Answer, Arg, args};
use super::load::unreadable;
use super::sql::{SqlStore, failed, json};
use super::{Result, StoreError};
use crate::core::observed::Observed;
use crate::core::plan::Plan;

pub(super) const INTO_OBSERVATIONS: &str = "INSERT INTO observations (source, report, incarnation, seen_at, observed)";
pub(super) const OVER_OBSERVATIONS: &str =
    "ON CONFLICT (source, report, incarnation, seen_at) DO UPDATE SET observed = excluded.observed";

const ROWS_PER_READ: u32 = 1_000;

pub(super) fn rows(plan: &Plan) -> Answer<Vec<Vec<Arg>>> {
    // Of two looks of one instant the later is the last of its key.
    let keyed = plan.observed.iter().map(|seen| Ok(((&seen.report, seen.seen_at), row(seen)?)));
    let keyed = keyed.collect::<Answer<std::collections::BTreeMap<_, _>>>()?;
    Ok(keyed.into_values().collect())
}

fn row(seen: &Observed) -> Answer<Vec<Arg>> {
    let report = &seen.report;
    Ok(args![&*report.source, report.id.to_string(), report.incarnation, seen.seen_at, json(seen)?])
}

impl SqlStore {
    /// Every observation, by report and time.
    pub async fn observations(&self) -> Result<Vec<Observed>> {
        const OPERATION: &str = "read the observations";
        const PAGE: &str = "SELECT source, report, incarnation, seen_at, observed FROM observations \
             WHERE (source, report, incarnation, seen_at) > ($1, $2, $3, $4) \
             ORDER BY source, report, incarnation, seen_at LIMIT $5";
        let mut found = Vec::new();
        let mut after = (String::new(), String::new(), -1_i64, i64::MIN);
        loop {
            let (source, report, incarnation, seen_at) = after.clone();
            let page = args![source, report, incarnation, seen_at, ROWS_PER_READ];
            let rows = self.db().fetch(PAGE, page).await.map_err(failed(OPERATION))?;
            for row in &rows {
                let key = || -> Answer<_> {
                    Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.int(2)?, row.int(3)?))
                };
                after = key().map_err(failed(OPERATION))?;
                let text = row.opt_text(4).map_err(failed(OPERATION))?.unwrap_or_default();
                let bad = |_| -> StoreError { unreadable(OPERATION, "observations", &after.1) };
                found.push(serde_json::from_str(text).map_err(bad)?);
            }
            if rows.len() < ROWS_PER_READ as usize {
                return Ok(found);
            }
        }
    }
}
