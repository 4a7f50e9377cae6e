//! Snoozes and maintenance windows: what is not P0 may be kept from ringing, by a named person, for a reason,
//! until an instant. What came due meanwhile rings at once when it ends. Nothing here can hold minor safety,
//! nor that the monitor is blind, which may hide it.

use super::act::Act;
use super::case::Case;
use super::draft::{Draft, MemberKey, members_of};
use super::engine::Core;
use super::id::{CaseKey, IncidentNo, Name};
use super::incident::{Incident, IncidentKind};
use super::policy::{CategoryClass, Priority};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// No quiet ends later than this after it was asked for: what nobody remembers must ring.
pub const QUIET_MAX: Span = Span::from_hours(31 * 24);
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 200;
/// As many may be in force or to come.
pub const QUIETS_MAX: usize = 500;

/// What is kept quiet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A snooze: an incident, but for breaches of higher priority than it has.
    Incident(IncidentNo),
    /// A snooze: one case below P0.
    Case(CaseKey),
    /// A window: every breach of a category below P0.
    Category(Name),
    /// A window: everything below P0 under an escalation.
    Escalation(Name),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Incident(no) => write!(f, "{no}"),
            Scope::Case(case) => write!(f, "case {case}"),
            Scope::Category(category) => write!(f, "category {category}"),
            Scope::Escalation(escalation) => write!(f, "escalation {escalation}"),
        }
    }
}

/// A snooze or a maintenance window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// The number of the inbox entry that asked for it.
    pub no: i64,
    pub scope: Scope,
    /// The highest priority that it holds.
    pub highest: Priority,
    pub by: Name,
    pub reason: Name,
    pub at: Timestamp,
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Quiet {
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

/// Why something can't be kept quiet.
pub type Refusal = &'static str;

/// P0 is not in anybody's gift.
pub const REFUSED_P0: Refusal = "it is minor safety (P0), which nothing keeps from ringing; acknowledge it instead";

impl Core {
    /// Takes up a snooze or a window.
    pub(super) fn keep_quiet(
        &self,
        draft: &mut Draft<'_>,
        act: &Act,
        (scope, reason): (&Scope, &Name),
        (from, until): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.forget_what_is_over(draft, now);
        if until <= now || until <= from {
            return Err("it would be over before it begins");
        }
        if until > now.plus(QUIET_MAX) {
            return Err("it would last longer than 31 days");
        }
        if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
            return Err("it needs a reason: one line of at most 200 bytes");
        }
        if self.quiets.len() >= QUIETS_MAX {
            return Err("500 snoozes and windows are in force already; end some first");
        }
        let highest = self.may_be_quiet(draft, scope)?;
        let (by, reason, scope) = (act.by.clone(), reason.clone(), scope.clone());
        // A later snooze of the same takes the place of the earlier one.
        for quiet in self.quiets.values().filter(|quiet| quiet.scope == scope && is_snooze(&scope)) {
            draft.plan.quiets.insert(quiet.no, None);
        }
        self.snooze(draft, &scope, until);
        let quiet = Quiet { no: act.inbox, scope, highest, by, reason, at: now, from, until };
        draft.plan.quiets.insert(act.inbox, Some(quiet));
        Ok(())
    }

    /// Ends one before its time: what it held rings.
    pub(super) fn end_quiet(&self, draft: &mut Draft<'_>, no: i64, now: Timestamp) -> Result<(), Refusal> {
        self.forget_what_is_over(draft, now);
        let ended =
            self.quiets.get(&no).filter(|quiet| !quiet.is_over(now)).ok_or("there is no such snooze or window")?;
        draft.plan.quiets.insert(no, None);
        let waits = |incident: &&Incident| incident.is_open() && incident.ring_at.is_some() && !incident.is_p0();
        let held: Vec<IncidentNo> = self.incidents().filter(waits).map(|incident| incident.no).collect();
        for no in held {
            let concerned =
                match (&ended.scope, draft.incident(no).map(|incident| (&incident.kind, &incident.escalation))) {
                    (Scope::Incident(of), _) => *of == no,
                    (Scope::Category(of), Some((IncidentKind::Group { category }, _))) => of == category,
                    (Scope::Escalation(of), Some((_, escalation))) => of == escalation,
                    // Which group a case stands in matters little: to ring early beats never.
                    (Scope::Case(_), Some((IncidentKind::Group { .. }, _))) => true,
                    _ => false,
                };
            if concerned && let Some(incident) = draft.incident_mut(no) {
                incident.ring_at = Some(now);
            }
        }
        Ok(())
    }

    /// Whether this may be kept quiet at all, as of now.
    ///
    /// # Errors
    /// Why it can't be.
    pub fn judge_quiet(&self, scope: &Scope, now: Timestamp) -> Result<(), Refusal> {
        self.may_be_quiet(&Draft::new(self, now), scope).map(drop)
    }

    fn forget_what_is_over(&self, draft: &mut Draft<'_>, now: Timestamp) {
        let over = self.quiets.values().filter(|quiet| quiet.is_over(now));
        draft.plan.quiets.extend(over.map(|quiet| (quiet.no, None)));
    }

    /// The highest priority that would be held.
    fn may_be_quiet(&self, draft: &Draft<'_>, scope: &Scope) -> Result<Priority, Refusal> {
        match scope {
            Scope::Incident(no) => {
                let incident = draft.incident(*no).filter(|incident| incident.is_open());
                let incident = incident.ok_or("it is not an open incident")?;
                match &incident.kind {
                    IncidentKind::Group { .. } | IncidentKind::Trouble(_) => {
                        Ok(incident.rung_priority.unwrap_or(Priority::P1))
                    }
                    IncidentKind::Episode(_) | IncidentKind::Bundle { .. } | IncidentKind::Bulk { .. } => {
                        Err(REFUSED_P0)
                    }
                    IncidentKind::Blind { .. } => {
                        Err("the monitor is blind: what it can't see may be minor safety; acknowledge it instead")
                    }
                    IncidentKind::Audit { .. } => {
                        Err("it tells of pages that did not ring, which may be of minor safety; acknowledge it instead")
                    }
                    IncidentKind::Warning(_) | IncidentKind::Test { .. } => Err("it rings once and is over by itself"),
                }
            }
            Scope::Case(key) => {
                let case = self.held(key).filter(|case| case.ended.is_none() || case.is_overdue());
                let case = case.ok_or("it is not an open case")?;
                if case.is_p0() { Err(REFUSED_P0) } else { Ok(case.priority) }
            }
            Scope::Category(name) => match self.policy.categories.get(name) {
                Some(CategoryClass::Other) => Ok(Priority::P1),
                Some(CategoryClass::MinorSafety) => Err(REFUSED_P0),
                None => Err("no list names the category, so it is presumed to be minor safety"),
            },
            Scope::Escalation(name) if *name == self.policy.minor_safety.escalation => {
                Err("minor safety (P0) rings by this escalation, and nothing keeps that from ringing")
            }
            Scope::Escalation(name) if self.policy.escalations.contains_key(name) => Ok(Priority::P1),
            Scope::Escalation(_) => Err("there is no such escalation"),
        }
    }

    /// What is snoozed rings again when the snooze ends, if it isn't over by then.
    fn snooze(&self, draft: &mut Draft<'_>, scope: &Scope, until: Timestamp) {
        let no = match scope {
            Scope::Incident(no) => Some(*no),
            Scope::Case(key) => {
                let of_case = self.held(key).into_iter().flat_map(|case| members_of(&case));
                let alone = of_case.map(|(no, _)| no).find(|no| draft.count_members(*no) == 1);
                alone.filter(|no| draft.incident(*no).is_some_and(|incident| !incident.is_p0()))
            }
            Scope::Category(_) | Scope::Escalation(_) => None,
        };
        if let Some(incident) = no.and_then(|no| draft.incident_mut(no)) {
            (incident.ring_at, incident.next_step, incident.act_by) = (Some(until), None, None);
        }
    }

    /// Puts a ring off to the end of the snooze or window that it falls into; whether there is one.
    pub(super) fn hold(
        &self,
        draft: &mut Draft<'_>,
        no: IncidentNo,
        members: (u64, &[MemberKey]),
        now: Timestamp,
    ) -> bool {
        let over = |incident: &Incident| matches!(incident.kind, IncidentKind::Group { .. }) && members.0 == 0;
        let ringing = draft.incident(no).filter(|incident| !over(incident));
        let Some(until) = ringing.and_then(|incident| self.held_until(draft, incident, members, now)) else {
            return false;
        };
        if let Some(incident) = draft.incident_mut(no) {
            incident.ring_at = Some(until);
        }
        true
    }

    /// Until when an incident that would ring now is kept from it. Its overdue cases are `count`, the most
    /// urgent of them `first`.
    fn held_until(
        &self,
        draft: &Draft<'_>,
        incident: &Incident,
        (count, first): (u64, &[MemberKey]),
        now: Timestamp,
    ) -> Option<Timestamp> {
        let category = match &incident.kind {
            IncidentKind::Group { category } => Some(category),
            IncidentKind::Trouble(_) => None,
            _ => return None,
        };
        let priority = first.first().map_or(Priority::P4, |(priority, _, _)| *priority);
        let covers = |quiet: &&Quiet| match &quiet.scope {
            Scope::Incident(no) => *no == incident.no && priority >= quiet.highest,
            Scope::Category(name) => category == Some(name),
            Scope::Escalation(name) => *name == incident.escalation,
            Scope::Case(_) => false,
        };
        let whole = self.in_force(draft, now).filter(covers).map(|quiet| quiet.until).max();
        if whole.is_some() || category.is_none() || count > first.len() as u64 {
            return whole;
        }
        // Where each of its cases is snoozed, the first to end wakes it.
        let snoozed = first.iter().map(|(_, _, key)| self.snoozed_until(draft, &key.case, now));
        snoozed.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Until when a warning of this case is kept back.
    pub(super) fn hushed_until(&self, draft: &Draft<'_>, case: &Case, now: Timestamp) -> Option<Timestamp> {
        let covers = |quiet: &&Quiet| match &quiet.scope {
            Scope::Case(key) => *key == case.key.case,
            Scope::Category(name) => *name == case.category,
            Scope::Escalation(name) => case.escalation.as_ref() == Some(name),
            Scope::Incident(_) => false,
        };
        let lesser = self.in_force(draft, now).filter(|_| !case.is_p0());
        lesser.filter(covers).map(|quiet| quiet.until).max()
    }

    pub(super) fn snoozed_until(&self, draft: &Draft<'_>, case: &CaseKey, now: Timestamp) -> Option<Timestamp> {
        let of_case = |quiet: &&Quiet| matches!(&quiet.scope, Scope::Case(key) if key == case);
        self.in_force(draft, now).filter(of_case).map(|quiet| quiet.until).max()
    }

    fn in_force<'a>(&'a self, draft: &'a Draft<'_>, now: Timestamp) -> impl Iterator<Item = &'a Quiet> {
        let drafted = draft.plan.quiets.values().flatten();
        let held = self.quiets.values().filter(|quiet| !draft.plan.quiets.contains_key(&quiet.no));
        held.chain(drafted).filter(move |quiet| quiet.is_in_force(now))
    }

    /// Starts from what the store remembers.
    pub fn remember_quiets(&mut self, quiets: Vec<Quiet>) {
        self.quiets = quiets.into_iter().map(|quiet| (quiet.no, quiet)).collect();
    }
}

fn is_snooze(scope: &Scope) -> bool {
    matches!(scope, Scope::Incident(_) | Scope::Case(_))
}
