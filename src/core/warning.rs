//! Warnings: deadlines that come near, told before they pass. Each (case, target, deadline) is told once; what
//! comes near at one instant is one page for each escalation, P0 apart. A warning opens no incident: it asks
//! nobody to acknowledge, climbs no step, and is over when what it told of was met or has passed.

use super::clock::{Clock, ClockState, PROOF_WITHIN};
use super::draft::Draft;
use super::engine::Core;
use super::id::{EpisodeKey, IncidentNo, Name};
use super::incident::{CASES_PER_PAGE, Incident, IncidentKind};
use super::plan::{PageCase, Warning};
use super::policy::Priority;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Below P0, warnings of one escalation ring together at most this often. It is short, because a warning that
/// waits until its deadline warns of nothing.
pub const WARN_AGAIN_AFTER: Span = Span::from_mins(1);

/// How long past its last deadline a warning stands at its receivers where nothing is known of its cases; by
/// then what passed unmet has rung by itself.
const STANDS_FOR: Span = PROOF_WITHIN.plus(Span::from_secs(10));

/// The deadlines that one escalation is being warned of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearing {
    /// Of P0, which shares a page with nothing else.
    pub p0: bool,
    /// The first `CASES_PER_PAGE` of them.
    pub listed: Vec<Near>,
    /// How many more there are.
    pub more: u64,
    /// How many of those that aren't listed no page has counted yet.
    pub more_untold: u64,
    /// The highest priority among them.
    pub highest: Option<Priority>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    pub deadline: Timestamp,
    pub priority: Priority,
    pub episode: EpisodeKey,
    pub target: Name,
    /// Whether a page has told of it.
    pub told: bool,
}

impl Nearing {
    fn add(&mut self, warning: &Warning) {
        let Warning { episode, priority, target, deadline, .. } = warning.clone();
        self.highest = self.highest.into_iter().chain([priority]).min();
        if self.listed.len() < CASES_PER_PAGE {
            self.listed.push(Near { deadline, priority, episode, target, told: false });
        } else {
            self.more += 1;
            self.more_untold += 1;
        }
    }
}

impl Core {
    /// Gives each warning of the plan its place in the notice of its escalation and lets that ring.
    pub(super) fn tell_warnings(&self, draft: &mut Draft<'_>, now: Timestamp) {
        let mut warnings = draft.plan.warnings.clone();
        // The most urgent are listed.
        warnings.sort_by(|a, b| (a.priority, a.deadline, &a.episode).cmp(&(b.priority, b.deadline, &b.episode)));
        for warning in &warnings {
            // Without an escalation nobody is told; the log has it.
            let Some(escalation) = warning.escalation.clone() else { continue };
            let no = self.warning_of(draft, escalation, warning.priority == Priority::P0);
            let Some(incident) = draft.incident_mut(no) else { continue };
            let at = match warning.priority {
                Priority::P0 => now,
                _ => incident.rung_at.map_or(now, |rung_at| now.max(rung_at.plus(WARN_AGAIN_AFTER))),
            };
            incident.ring_at = Some(incident.ring_at.map_or(at, |held| held.min(at)));
            let over = warning.deadline.plus(STANDS_FOR);
            incident.over_at = Some(incident.over_at.map_or(over, |held| held.max(over)));
            if let IncidentKind::Warning(nearing) = &mut incident.kind {
                nearing.add(warning);
            }
        }
    }

    /// The open warning of an escalation, or a new one.
    fn warning_of(&self, draft: &mut Draft<'_>, escalation: Name, p0: bool) -> IncidentNo {
        let about = |incident: &Incident| {
            let same = matches!(&incident.kind, IncidentKind::Warning(nearing) if nearing.p0 == p0);
            incident.is_open() && same && incident.escalation == escalation
        };
        let drafted = draft.plan.incidents.values().find(|incident| about(incident)).map(|incident| incident.no);
        let open = self.open_warnings.iter().rev().filter_map(|no| self.incident(*no));
        let held = || open.clone().find(|incident| about(incident)).map(|incident| incident.no);
        // One that this draft has closed is open in the core still.
        let held = drafted.or_else(|| held().filter(|no| draft.incident(*no).is_some_and(Incident::is_open)));
        held.unwrap_or_else(|| {
            draft.open_incident(IncidentKind::Warning(Nearing { p0, ..Nearing::default() }), escalation)
        })
    }

    /// Rings for what comes near and no page has told of. What was met or has passed meanwhile is left out.
    pub(super) fn ring_warning(&self, draft: &mut Draft<'_>, no: IncidentNo, now: Timestamp) {
        let Some(incident) = draft.incident(no) else { return };
        let IncidentKind::Warning(nearing) = &incident.kind else { return };
        let held = |near: &Near| draft.case(&near.episode).and_then(|case| self.hushed_until(draft, case, now));
        let untold = |near: &&Near| !near.told && near.deadline >= now && is_near(draft, near);
        let untold: Vec<(&Near, Option<Timestamp>)> =
            nearing.listed.iter().filter(untold).map(|near| (near, held(near))).collect();
        let due = untold.iter().filter(|(_, held)| held.is_none());
        let cases: Vec<PageCase> = due.filter_map(|(near, _)| near_case(draft, near)).collect();
        let waiting: Vec<Near> =
            untold.iter().filter(|(_, held)| held.is_some()).map(|(near, _)| (*near).clone()).collect();
        let next = untold.iter().filter_map(|(_, held)| *held).min();
        let count = cases.len() as u64 + nearing.more_untold;
        let priority = nearing.highest.unwrap_or(Priority::P4);
        if let Some(incident) = draft.incident_mut(no) {
            incident.ring_at = None;
            if let IncidentKind::Warning(nearing) = &mut incident.kind {
                nearing.more_untold = 0;
                nearing.listed.iter_mut().for_each(|near| near.told = !waiting.contains(near));
            }
        }
        if count > 0 {
            self.page(draft, no, priority, (count, cases), None, now);
        }
        if let Some(incident) = draft.incident_mut(no) {
            incident.ring_at = next;
        }
    }

    /// Closes the warnings whose every deadline was met or has passed, as far as this plan changes that.
    pub(super) fn settle_warnings(&self, draft: &mut Draft<'_>, now: Timestamp) {
        let mut over = Vec::new();
        for no in self.open_warnings.iter().copied() {
            let Some(incident) = draft.incident(no).filter(|incident| incident.is_open()) else { continue };
            let IncidentKind::Warning(nearing) = &incident.kind else { continue };
            let touched = nearing.listed.iter().any(|near| draft.plan.cases.contains_key(&near.episode));
            if touched && nearing.more == 0 && !nearing.listed.iter().any(|near| is_near(draft, near)) {
                over.push(no);
            }
        }
        for no in over {
            self.resolve(draft, no, now);
        }
    }
}

/// Whether its deadline still lies ahead of the case, or waits for proof.
fn is_near(draft: &Draft<'_>, near: &Near) -> bool {
    let runs = |clock: &Clock| {
        let waits = matches!(clock.state, ClockState::Running | ClockState::Asked { .. });
        waits && clock.target == near.target && clock.deadline == Some(near.deadline)
    };
    draft.case(&near.episode).is_some_and(|case| case.clocks.iter().any(runs))
}

/// A case as a warning may tell of it.
fn near_case(draft: &Draft<'_>, near: &Near) -> Option<PageCase> {
    let case = draft.case(&near.episode)?;
    Some(PageCase {
        episode: near.episode.clone(),
        category: case.category.clone(),
        priority: case.priority,
        standing: case.standing,
        reports: u32::try_from(case.reports.len()).unwrap_or(u32::MAX),
        target: near.target.clone(),
        deadline: near.deadline,
        unverified: false,
        inherited: false,
    })
}
