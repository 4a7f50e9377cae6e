//! What follows from what the clocks of a case did: who is asked, who is warned, what rings, and what is written of a breach.

use super::Draft;
use crate::core::case::Case;
use crate::core::clock::{Clock, ClockState, Turn};
use crate::core::incident::HOLD_AT_START;
use crate::core::known::{Known, KnownReport};
use crate::core::plan::{BreachRecord, BreachStatus, Warning};
use std::cell::OnceCell;
use std::sync::Arc;

/// What is known of a case's reports, looked up once for all that its clocks did.
pub(super) type KnownReports = OnceCell<Arc<[KnownReport]>>;

impl Draft<'_> {
    pub(super) fn turn(
        &mut self,
        case: &mut Case,
        held: Option<&Case>,
        (index, turn): (usize, Turn),
        known: &KnownReports,
    ) {
        match turn {
            Turn::Nothing => {}
            Turn::Warn => self.warn(case, index),
            Turn::Ask => self.plan.asks.extend(case.reports.keys().cloned()),
            Turn::Breach | Turn::BreachUnverified => {
                self.ring(case, index);
                let place = self.record(case, held, index, known);
                self.plan.incurred.extend(place);
            }
            Turn::Relapse => {
                self.ring(case, index);
                self.record(case, held, index, known);
            }
            Turn::Verify | Turn::Withdraw | Turn::End | Turn::Contradict => {
                self.record(case, held, index, known);
            }
        }
    }

    /// Gives a breach its incident and lets that ring. What was over before it was first seen is
    /// history and rings nobody; a P0 that broke its promise while we watched rings even if it has
    /// been met since.
    fn ring(&mut self, case: &mut Case, index: usize) {
        let clock = &case.clocks[index];
        let Some(breach) = clock.breach() else { return };
        let watched_p0 = case.is_p0() && !breach.inherited;
        let Some(escalation) = case.told(clock, &self.core.policy) else { return };
        if !clock.is_overdue() && !watched_p0 {
            return;
        }
        let no = match case.is_p0() {
            true => self.episode_incident(case, escalation),
            false => self.group(escalation, &case.category),
        };
        let hold = (!self.core.is_caught_up(case.key.case.source())).then(|| self.now.plus(HOLD_AT_START));
        let now = self.now;
        let snoozed = self.core.snoozed_until(self, &case.key.case, now).filter(|_| !case.is_p0());
        if let Some(incident) = self.incident_mut(no) {
            match snoozed {
                Some(until) => incident.breach_while_snoozed(until),
                None => incident.breach(case.priority, hold, now),
            }
        }
        if case.is_p0() {
            case.incident = Some(no);
        }
        if let Some(breach) = case.clocks[index].breach_mut() {
            breach.incident = Some(no);
        }
    }

    fn warn(&mut self, case: &Case, index: usize) {
        let clock = &case.clocks[index];
        let Some(deadline) = clock.deadline else { return };
        let (category, target) = (case.category.clone(), clock.target.clone());
        let (episode, escalation) = (case.key.clone(), case.told(clock, &self.core.policy));
        let warning = Warning { episode, category, priority: case.priority, target, deadline, escalation };
        self.plan.warnings.push(warning);
    }

    /// Writes what a breach is now, and gives its place in the plan. A withdrawn one is told by the clock's being met.
    fn record(&mut self, case: &Case, held: Option<&Case>, index: usize, known: &KnownReports) -> Option<usize> {
        let clock = &case.clocks[index];
        let (first_report, _) = case.first_report()?;
        let held = || held?.clocks.iter().find(|held| same_clock(held, clock))?.breach();
        let (status, ended, contradicted_at) = match &clock.state {
            ClockState::Unverified { .. } => (BreachStatus::Unverified, None, None),
            ClockState::Breached { ended, contradicted_at, .. } => (BreachStatus::Verified, *ended, *contradicted_at),
            _ => (BreachStatus::Withdrawn, None, None),
        };
        let breach = clock.breach().or_else(held)?;
        let reports = known.get_or_init(|| KnownReport::all(case)).clone();
        let record = BreachRecord {
            episode: case.key.clone(),
            target: clock.target.clone(),
            report: clock.report.clone(),
            first_report: first_report.clone(),
            category: case.category.clone(),
            rule: case.rule.clone(),
            priority: case.priority,
            started: clock.started,
            deadline: breach.deadline,
            detected_at: breach.detected_at,
            inherited: breach.inherited,
            status,
            ended,
            contradicted_at,
            incident: breach.incident,
            policy_hash: self.core.policy.hash.clone(),
            known: Known::of(case, clock, reports, &self.core.policy),
        };
        self.plan.breaches.push(record);
        Some(self.plan.breaches.len() - 1)
    }
}

fn same_clock(a: &Clock, b: &Clock) -> bool {
    (&a.target, &a.report) == (&b.target, &b.report)
}
