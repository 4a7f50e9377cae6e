//! Everything that one report counts: ended episodes and breaches from the store, open cases as the store
//! remembers them and, for the rest, as their rows are now. It reads only, beside the engine and never
//! through it; a source is read in batches, so memory doesn't grow with what is open.

use crate::core::act::Deed;
use crate::core::case::{Case, Read};
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey};
use crate::core::outcome::{Basis, Life};
use crate::core::plan::BATCH;
use crate::core::policy::Policy;
use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::run::weekly::limits::limits;
use crate::run::{PolicyInForce, inbox};
use crate::source::settings::Settings;
use crate::source::{Source, SourceError};
use crate::store::told::Stretch;
use crate::store::{SqlStore, Store, StoreError};
use crate::weekly::count::{Bounds, Counting, WEEKS};
use crate::weekly::figures::{Figures, SCHEMA_NAME};
use crate::weekly::paging::{self, Facts};
use crate::weekly::sight;
use crate::weekly::week::Week;
use crate::zone::{Zone, rfc3339};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How far behind a stretch of time its pages and acknowledgements are looked for.
const AFTERWARDS: Span = Span::from_hours(24);

/// Makes reports.
pub struct Reporter<So, C> {
    pub store: Arc<SqlStore>,
    pub policy: PolicyInForce,
    pub sources: Vec<(Name, Arc<So>)>,
    pub clock: C,
    pub zone: Zone,
    /// The first characters of the deployment's fingerprint.
    pub deployment: String,
    /// "live" or "shadow"
    pub mode: &'static str,
    /// What the sources map, and so what can't be enforced for want of a column.
    pub mapped: Vec<Settings>,
}

/// Why a report can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the week {week} begins at {from}, which is not yet")]
    NotYet { week: String, from: String },
    #[error("the kept report of {week} can't be read by this version; start the version that wrote it")]
    Unreadable { week: String },
}

impl<So: Source, C: Clock> Reporter<So, C> {
    /// The report of a week: as it was first told, or made now. A week that is over is kept, once every source
    /// could be read; or at any rate where `insist` says that nobody waits any longer.
    ///
    /// # Errors
    /// When the store can't be read or written, and for a week that hasn't begun.
    pub async fn report(&self, week: Week, insist: bool) -> Result<Figures, ReportError> {
        if let Some(kept) = self.store.kept_report(&week.to_string()).await? {
            return read(&kept, week);
        }
        let figures = self.make(week).await?;
        if !figures.complete || !(insist || figures.sight.unread.is_empty()) {
            return Ok(figures);
        }
        let kept = self.store.keep_report(&figures.week, self.clock.now(), &crate::weekly::json(&figures)).await?;
        // Another process may have been first: then its figures are the week's.
        read(&kept, week)
    }

    /// Makes the figures of a week as of its end, or of now.
    ///
    /// # Errors
    /// As `report`.
    pub async fn make(&self, week: Week) -> Result<Figures, ReportError> {
        let (first_day, last_day) = week.days();
        let bounds = Bounds::of(week, self.zone);
        let mut figures = self.count(bounds.edges, &week.to_string()).await?;
        (figures.first_day, figures.last_day) = (first_day, last_day);
        Ok(figures)
    }

    /// The same figures of any stretch of time, as a hand-over asks for; the stretches before it are as long.
    ///
    /// # Errors
    /// As `report`.
    pub async fn since(&self, from: Timestamp) -> Result<Figures, ReportError> {
        let now = self.clock.now();
        let length = now.since(from);
        // One microsecond later, so that what happens now is in it.
        let mut edges = [now.plus(Span::from_micros(1)); WEEKS + 1];
        let mut begin = from;
        for edge in &mut edges[1..] {
            *edge = begin;
            begin = begin.minus(length);
        }
        self.count(edges, &format!("since {}", rfc3339(from))).await
    }

    async fn count(&self, edges: [Timestamp; WEEKS + 1], named: &str) -> Result<Figures, ReportError> {
        let made_at = self.clock.now();
        let bounds = Bounds { edges, as_of: edges[0].min(made_at) };
        let (from, until) = (bounds.from(), bounds.until());
        if made_at < from {
            return Err(ReportError::NotYet { week: named.to_owned(), from: rfc3339(from) });
        }
        let policy = self.policy.load_full();
        let mut counting = Counting::new(bounds);
        self.count_ended(&mut counting, &bounds).await?;
        let unread = self.count_open(&mut counting, &policy, made_at).await?;
        let facts = Facts {
            pages: self.store.pages_between(from, until.plus(AFTERWARDS)).await?,
            incidents: self.store.incidents_between(from, until).await?,
            acknowledged: self.acknowledged(from, until.plus(AFTERWARDS)).await?,
        };
        let mut paging = paging::Count::new(&facts, bounds);
        self.count_breaches(&mut counting, &mut paging, &bounds).await?;
        Ok(Figures {
            schema: SCHEMA_NAME.to_owned(),
            week: named.to_owned(),
            first_day: rfc3339(from),
            last_day: rfc3339(bounds.as_of),
            timezone: self.zone.to_string(),
            from: rfc3339(from),
            until: rfc3339(until),
            as_of: rfc3339(bounds.as_of),
            made_at: rfc3339(made_at),
            complete: made_at >= until,
            deployment: self.deployment.clone(),
            mode: self.mode.to_owned(),
            policy: policy.hash.to_string(),
            limits: limits(&self.mapped, &policy),
            sight: crate::weekly::figures::Sight { unread, ..self.sight(&bounds).await? },
            priorities: counting.priorities(),
            categories: counting.categories(),
            targets: counting.targets(),
            paging: paging.paging(),
            unknown_categories: counting.unknown_categories(),
        })
    }

    /// Adds what has not settled. Gives the sources that couldn't be read.
    async fn count_open(
        &self,
        counting: &mut Counting,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<String>, ReportError> {
        let mut known: BTreeSet<(Name, ReportId)> = BTreeSet::new();
        let count = |cases: Vec<Case>| {
            for case in &cases {
                known.extend(case.reports.keys().map(|key| (key.source.clone(), key.id.clone())));
                counting.add(&Life::of(case, Basis::Observed));
            }
        };
        self.store.load_in_parts(count).await?;
        let mut unread = Vec::new();
        for (name, source) in &self.sources {
            if let Err(error) = self.scan((name, &**source), policy, &known, now, counting).await {
                tracing::warn!(%error, "the report is made without the open rows of a source");
                unread.push(name.to_string());
            }
        }
        Ok(unread)
    }

    async fn scan(
        &self,
        (name, source): (&Name, &So),
        policy: &Policy,
        known: &BTreeSet<(Name, ReportId)>,
        now: Timestamp,
        counting: &mut Counting,
    ) -> Result<(), SourceError> {
        let (mut after, mut lives) = (None, Vec::new());
        loop {
            let (batch, next) = source.scan_open(after.as_ref(), BATCH as u32).await?;
            for seen in batch.rows {
                let Some(row) = seen.row else { continue };
                let place = (name.clone(), seen.id);
                if !known.contains(&place) {
                    let case = alone(policy, place, row, now);
                    lives.push(Life::of(&case, Basis::Observed));
                }
            }
            // Counted batch by batch; a scan that breaks off leaves what it has seen, and says so.
            lives.drain(..).for_each(|life| counting.add(&life));
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn acknowledged(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(crate::core::id::IncidentNo, Timestamp)>, StoreError> {
        const ACKNOWLEDGE: &str = "acknowledge";
        let entries = self.store.acts_between(ACKNOWLEDGE, from, until).await?;
        let taken = entries.iter().filter_map(|entry| match inbox::act(entry).deed {
            Deed::Acknowledge { incident, .. } => Some((incident, entry.at)),
            _ => None,
        });
        Ok(taken.collect())
    }

    async fn sight(&self, bounds: &Bounds) -> Result<crate::weekly::figures::Sight, StoreError> {
        let (from, until) = (bounds.from(), bounds.as_of);
        let mut watched: BTreeMap<String, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
        for Stretch { source, began, ended } in self.store.watched(from.minus(sight::TOLERATED), until).await? {
            watched.entry(source.to_string()).or_default().push((began, ended));
        }
        let sources: Vec<String> = self.sources.iter().map(|(name, _)| name.to_string()).collect();
        // A monitor that never ran begins to watch now.
        let first_run = self.store.first_watched().await?.unwrap_or_else(|| self.clock.now());
        Ok(sight::sight(&watched, &sources, Some(first_run), (from, until)))
    }
}

/// A row that the store knows nothing of, as a case of its own.
pub fn alone(
    policy: &Policy,
    (source, id): (Name, ReportId),
    row: crate::core::observation::Row,
    now: Timestamp,
) -> Case {
    let key = ReportKey { source, id, incarnation: 0 };
    let episode = EpisodeKey { case: CaseKey::Report(key.clone()), episode: 0 };
    let mut case = Case::new(episode, &policy.assess(&row), row.category.clone());
    case.see(&key, Some(row), Read::at(now), None);
    case.refresh(policy, now);
    case
}

fn read(kept: &str, week: Week) -> Result<Figures, ReportError> {
    serde_json::from_str(kept).map_err(|_| ReportError::Unreadable { week: week.to_string() })
}
