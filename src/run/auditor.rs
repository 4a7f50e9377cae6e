//! The auditor: slow, and independent of the engine's memory and index. It looks in the store for what should
//! have rung and did not, and lets that ring the operators through the same outbox. It finds nothing while
//! everything works, so that whatever it finds is a defect, or a pager that nobody can reach.

use crate::core::act::Deed;
use crate::core::case::Case;
use crate::core::clock::ClockState;
use crate::core::id::IncidentNo;
use crate::core::incident::{Incident, IncidentKind};
use crate::core::policy::{Policy, Priority};
use crate::core::selfcheck::Findings;
use crate::core::time::{Span, Timestamp};
use crate::run::PolicyInForce;
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use crate::store::{Result, SqlStore, UnrungBreach};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How often it looks.
pub const AUDIT_EVERY: Span = Span::from_secs(30);

/// How late something may be before it counts. A P0 pages without proof after two seconds, and lesser rings are
/// held for a minute at a start.
const GRACE: Span = Span::from_mins(2);
const GRACE_P0_PAGES: Span = Span::from_mins(1);
const GRACE_LESSER_PAGES: Span = Span::from_mins(10);

/// By whom the inbox is told.
const AUDITOR: &str = "the auditor";

/// The last whole look, and what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    pub at: Timestamp,
    pub found: Findings,
}

/// The last audit, for whoever asks. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct LastAudit(Arc<Mutex<Option<Audit>>>);

impl LastAudit {
    pub fn get(&self) -> Option<Audit> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, audit: Audit) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(audit);
    }
}

pub struct Auditor<C> {
    pub store: Arc<SqlStore>,
    pub policy: PolicyInForce,
    pub clock: C,
    pub status: StatusHandle,
    pub last: LastAudit,
}

impl<C: Clock> Auditor<C> {
    /// Looks until `shutdown` turns true, while this process leads; first when a start has had its time.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let (mut failing, mut next) = (false, self.clock.now().plus(GRACE));
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.clock.sleep_until(next) => {}
            }
            let now = self.clock.now();
            next = now.plus(AUDIT_EVERY);
            let status = self.status.load();
            // A standby that has just taken over has what was due meanwhile still before it.
            if !status.leader || now < status.started_at.plus(GRACE) {
                continue;
            }
            match self.pass(now).await {
                Ok(_) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "the auditor can't look; the heartbeat waits for it");
                    }
                    failing = true;
                }
            }
        }
    }

    /// One look, and a word to the operators where it changes what they know.
    ///
    /// # Errors
    /// Of the store; then nothing is known.
    pub async fn pass(&self, now: Timestamp) -> Result<Findings> {
        let (open, heard) = self.store.open_incidents().await?;
        let found = self.look(now, &open, &heard).await?;
        let told = open.iter().find_map(Incident::found).unwrap_or_default();
        if found.is_worse_than(&told) {
            tracing::error!(%found, "the auditor found what should have rung and did not");
        }
        // Less of it is no news until nothing is left.
        if found.is_worse_than(&told) || (found.is_empty() && !told.is_empty()) {
            let deed = Deed::Audit { found };
            self.store.put_deed_once(&deed, AUDITOR, now).await?;
        }
        self.last.set(Audit { at: now, found });
        Ok(found)
    }

    async fn look(&self, now: Timestamp, open: &[Incident], heard: &BTreeSet<IncidentNo>) -> Result<Findings> {
        let late = now.minus(GRACE);
        let mut deadlines_unseen = 0;
        self.store.each_p0_case(|case| deadlines_unseen += unseen(case, late)).await?;
        let breaches = self.store.unrung_breaches(late).await?;
        let rounds = self.store.unheard_rounds(now.minus(GRACE_P0_PAGES)).await?;
        let is_unsent = |priority, created_at: Timestamp| match priority {
            Priority::P0 => true,
            _ => created_at <= now.minus(GRACE_LESSER_PAGES),
        };
        let about = |incident: &&Incident| incident.found().is_none() && !incident.is_test();
        let watched = || open.iter().filter(about);
        let policy = self.policy.load();
        Ok(Findings {
            deadlines_unseen,
            breaches_unrung: count(breaches.iter().filter(|breach| should_ring(&policy, breach))),
            incidents_unheard: count(watched().filter(|incident| is_unheard(incident, heard, now))),
            escalations_stuck: count(watched().filter(|incident| incident.wakes_at().is_some_and(|at| at <= late))),
            pages_unsent: count(rounds.iter().filter(|round| is_unsent(round.priority, round.created_at))),
        })
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.count() as u64
}

/// Deadlines of a P0 that passed before `late`, and that nobody has met, breached or made void.
fn unseen(case: &Case, late: Timestamp) -> u64 {
    let waits = |state: &ClockState| matches!(state, ClockState::Running | ClockState::Asked { .. });
    count(case.clocks.iter().filter(|clock| waits(&clock.state) && clock.deadline.is_some_and(|at| at <= late)))
}

/// Without an escalation, a lesser breach is recorded and rings nobody.
fn should_ring(policy: &Policy, breach: &UnrungBreach) -> bool {
    let has_escalation = || policy.rules.iter().any(|rule| rule.name == breach.rule && rule.escalation.is_some());
    breach.priority == Priority::P0 || has_escalation()
}

/// An incident that has rung, by itself or through a bundle, and of which no channel has accepted anything. A
/// lesser one that has not rung yet may be held or snoozed; a P0 never is.
fn is_unheard(incident: &Incident, heard: &BTreeSet<IncidentNo>, now: Timestamp) -> bool {
    let is_p0 = matches!(incident.kind, IncidentKind::Episode(_) | IncidentKind::Bundle { .. });
    let grace = if is_p0 { GRACE } else { GRACE_LESSER_PAGES };
    let since = match incident.rung_at {
        Some(_) => incident.opened_at,
        None if is_p0 => incident.opened_at,
        None => return false,
    };
    let told_by = incident.told_by.iter().chain(&incident.bundle).chain([&incident.no]);
    let is_heard = told_by.into_iter().any(|no| heard.contains(no));
    // A named person has it, whoever told them.
    incident.acknowledged.is_none() && !is_heard && since.plus(grace) <= now
}
