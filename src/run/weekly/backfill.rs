//! The weeks before the first start: closed reports are read once, and what their final rows tell is written
//! as outcomes of the basis `row`. It runs beside the monitor, in small batches, and never twice for a source.

use crate::core::case::{Case, Read};
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey, Subject};
use crate::core::observation::Row;
use crate::core::plan::{BATCH, Outcome};
use crate::core::policy::{Policy, Priority};
use crate::core::time::{Span, Timestamp};
use crate::run::PolicyInForce;
use crate::run::clock::Clock;
use crate::run::weekly::gather::alone;
use crate::source::AnySource;
use crate::store::SqlStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Reports that ended longer ago are in no report that anybody will ask for.
const READ_BACK: Span = Span::from_hours(25 * 31 * 24);
/// Between two batches the database is left alone.
const PAUSE: Span = Span::from_micros(50_000);
/// After a failure it is tried again.
const AGAIN: Span = Span::from_mins(5);

pub struct Backfill<C> {
    pub store: Arc<SqlStore>,
    pub policy: PolicyInForce,
    pub sources: Vec<(Name, Arc<AnySource>)>,
    pub clock: C,
}

impl<C: Clock> Backfill<C> {
    /// Reads back every source that hasn't been yet; ends when all have, or at `shutdown`.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        for (name, source) in &self.sources {
            loop {
                let done = tokio::select! {
                    biased;
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    done = self.source(name, source) => done,
                };
                match done {
                    Ok(None) => break,
                    Ok(Some(outcomes)) => {
                        tracing::info!(source = %name, outcomes, "the reports that had been closed before are read");
                        break;
                    }
                    Err(error) => tracing::warn!(source = %name, error, "closed reports can't be read back yet"),
                }
                tokio::select! {
                    biased;
                    _ = shutdown.wait_for(|stop| *stop) => return,
                    () = self.clock.sleep_until(self.clock.now().plus(AGAIN)) => {}
                }
            }
        }
    }

    /// Reads one source back. `None` where that was done before.
    ///
    /// # Errors
    /// Of source or store, as a text; what was written stays, and is found again the next time.
    pub async fn source(&self, name: &Name, source: &AnySource) -> Result<Option<u64>, String> {
        let said = |error: crate::store::StoreError| error.to_string();
        if self.store.is_backfilled(name).await.map_err(said)? {
            return Ok(None);
        }
        let (began, policy) = (self.clock.now(), self.policy.load_full());
        let (mut after, mut written) = (None, 0);
        let mut shared: BTreeMap<Subject, Vec<(ReportId, Row)>> = BTreeMap::new();
        loop {
            let (batch, next) =
                source.all_rows(after.as_ref(), BATCH as u32).await.map_err(|error| error.to_string())?;
            let mut outcomes = Vec::new();
            for seen in batch.rows {
                let Some(row) = seen.row else { continue };
                let p0 = policy.assess(&row).priority == Priority::P0;
                match row.subject.filter(|_| p0) {
                    // Reports about one item are one case, whichever batch they come in.
                    Some(subject) => shared.entry(subject).or_default().push((seen.id, row)),
                    None => outcomes.extend(ended(&alone(&policy, (name.clone(), seen.id), row, began), began)),
                }
            }
            written += self.store.backfill(&outcomes).await.map_err(said)?;
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
            self.clock.sleep_until(self.clock.now().plus(PAUSE)).await;
        }
        let cases = shared.into_iter().map(|(subject, reports)| together(&policy, name, subject, reports, began));
        let outcomes: Vec<Outcome> = cases.filter_map(|case| ended(&case, began)).collect();
        for outcomes in outcomes.chunks(BATCH) {
            written += self.store.backfill(outcomes).await.map_err(said)?;
        }
        self.store.end_backfill(name, self.clock.now(), written).await.map_err(said)?;
        Ok(Some(written))
    }
}

/// All P0 reports about one item.
fn together(policy: &Policy, source: &Name, subject: Subject, reports: Vec<(ReportId, Row)>, now: Timestamp) -> Case {
    let case = CaseKey::Subject { source: source.clone(), subject };
    let episode = EpisodeKey { case, episode: 0 };
    let assessment = policy.assess(&reports[0].1);
    let mut case = Case::new(episode, &assessment, reports[0].1.category.clone());
    for (id, row) in reports {
        case.see(&ReportKey { source: source.clone(), id, incarnation: 0 }, Some(row), Read::at(now), None);
    }
    case.refresh(policy, now);
    case
}

/// The outcome of a case that is over, and not too long ago.
fn ended(case: &Case, now: Timestamp) -> Option<Outcome> {
    let outcome = Outcome::of(case).filter(|_| case.is_settled())?;
    (now.since(outcome.ended_at) <= READ_BACK).then_some(outcome)
}
