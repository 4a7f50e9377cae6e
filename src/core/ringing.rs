//! What makes incidents ring and what ends them: held rings, steps, bundles of P0, the pages of a round, and the
//! closing of every round that an incident opened.

use super::draft::{Draft, MemberKey};
use super::engine::Core;
use super::engine::closures::about;
use super::fallback::fallbacks;
use super::id::{IncidentNo, Name};
use super::incident::{BUNDLE_ABOVE, CASES_PER_PAGE, Incident, IncidentKind, PARTS_PER_BUNDLE};
use super::plan::{About, Page, PageCase, PageKind};
use super::policy::Priority;
use super::selfcheck;
use super::time::Timestamp;
use std::collections::BTreeSet;

/// A monitor that can't see may be missing a child's report.
const BLIND_PRIORITY: Priority = Priority::P1;

impl Core {
    /// What time alone does to incidents: held rings, steps, repeats, and acknowledgements that nobody
    /// acted on. Lesser rings are held until the first look at a source is complete. `is_urgent`: P0 alone.
    pub(super) fn wake_incidents(&self, draft: &mut Draft<'_>, now: Timestamp, is_urgent: bool) {
        if draft.plan.caught_up.is_some() {
            let held = |incident: &&Incident| incident.rung_at.is_none() && incident.ring_at.is_some();
            for incident in self.incidents().filter(held) {
                if let Some(incident) = draft.incident_mut(incident.no) {
                    incident.ring_at = Some(now);
                }
            }
        }
        let due = self.rings.iter().take_while(|(at, _)| *at <= now).map(|(_, no)| *no);
        let due: Vec<IncidentNo> = due.filter(|no| !is_urgent || self.is_urgent(*no)).collect();
        for no in due {
            let Some(incident) = draft.incident(no) else { continue };
            if incident.over_at.is_some_and(|at| at <= now) {
                self.resolve(draft, no, now);
                continue;
            }
            let forgotten = incident.act_by.is_some_and(|at| at <= now);
            let acted = forgotten && draft.was_acted_on(no);
            let Some(incident) = draft.incident_mut(no) else { continue };
            incident.take_step(now);
            let escalation = self.policy.escalations.get(&incident.escalation);
            incident.take_repeat(escalation.map_or(0, |escalation| escalation.steps.len()), now);
            match (forgotten, acted) {
                (true, true) => incident.act_by = None,
                (true, false) => incident.forgotten(now),
                (false, _) => {}
            }
        }
    }

    /// Resolves what is over, rings what is due, P0 in bundles where there are many.
    pub(super) fn ring_and_resolve(&self, draft: &mut Draft<'_>, now: Timestamp) {
        let mut p0 = Vec::new();
        for no in draft.incidents_to_settle() {
            let Some(incident) = draft.incident(no) else { continue };
            let rings = incident.ring_at.is_some_and(|at| at <= now);
            let count = draft.count_members(no);
            let first = if rings { draft.first_members(no, CASES_PER_PAGE) } else { Vec::new() };
            // Put off by a snooze or a window.
            if rings && self.hold(draft, no, (count, &first), now) {
                continue;
            }
            let Some(incident) = draft.incident(no) else { continue };
            match &incident.kind {
                IncidentKind::Bundle { .. } if rings => self.ring_bundle(draft, no, now),
                IncidentKind::Bulk { .. } => self.ring_bulk(draft, no, now),
                IncidentKind::Blind(_) if rings => self.page(draft, no, BLIND_PRIORITY, (0, Vec::new()), None, now),
                IncidentKind::Warning(_) if rings => self.ring_warning(draft, no, now),
                IncidentKind::Trouble(_) if rings => self.ring_trouble(draft, no, now),
                IncidentKind::Audit { .. } | IncidentKind::Test { .. } if rings => {
                    let priority = selfcheck::priority_of(&self.policy, incident);
                    self.page(draft, no, priority, (0, Vec::new()), None, now);
                }
                IncidentKind::Test { until } if *until <= now => self.resolve(draft, no, now),
                IncidentKind::Bundle { .. }
                | IncidentKind::Blind(_)
                | IncidentKind::Warning(_)
                | IncidentKind::Trouble(_)
                | IncidentKind::Audit { .. }
                | IncidentKind::Test { .. } => {}
                IncidentKind::Episode(_) if rings => p0.push(no),
                IncidentKind::Group { .. } if rings && count > 0 => self.ring_group(draft, no, count, &first, now),
                IncidentKind::Episode(_) | IncidentKind::Group { .. } if count == 0 && !draft.waits_for_action(no) => {
                    self.resolve(draft, no, now);
                }
                IncidentKind::Episode(_) | IncidentKind::Group { .. } => {}
            }
        }
        self.ring_p0(draft, &p0, now);
        for no in p0 {
            if draft.count_members(no) == 0 && !draft.waits_for_action(no) {
                self.resolve(draft, no, now);
            }
        }
    }

    fn ring_group(&self, draft: &mut Draft<'_>, no: IncidentNo, count: u64, first: &[MemberKey], now: Timestamp) {
        let priority = first.first().map_or(Priority::P4, |(priority, _, _)| *priority);
        let cases = first.iter().filter_map(|(_, _, key)| draft.page_case(no, key)).collect();
        self.page(draft, no, priority, (count, cases), None, now);
    }

    fn ring_p0(&self, draft: &mut Draft<'_>, ringing: &[IncidentNo], now: Timestamp) {
        if ringing.len() <= BUNDLE_ABOVE {
            for no in ringing {
                let cases = cases_of(draft, &[*no]);
                self.page(draft, *no, Priority::P0, (1, cases), None, now);
            }
            return;
        }
        let first = draft.incident(ringing[0]).map(|incident| incident.escalation.clone());
        let Some(escalation) = first else { return };
        let bundle = draft.open_incident(IncidentKind::Bundle { members: ringing.to_vec() }, escalation);
        let (mut step, mut earlier) = (0, BTreeSet::new());
        for no in ringing {
            if let Some(incident) = draft.incident_mut(*no) {
                step = step.max(incident.step);
                incident.ring(Priority::P0, None, now);
                earlier.extend(incident.bundle);
                incident.join_bundle(bundle);
            }
        }
        draft.name_bundle(bundle, ringing);
        for bundle in earlier {
            if !tells_of_any(draft, bundle, |incident| incident.bundle == Some(bundle))
                && let Some(incident) = draft.incident_mut(bundle)
            {
                incident.hush();
            }
        }
        if let Some(incident) = draft.incident_mut(bundle) {
            incident.step = step;
        }
        self.ring_bundle(draft, bundle, now);
    }

    /// Tells of a bundle's open incidents: in numbered parts, or with the count and the most urgent.
    fn ring_bundle(&self, draft: &mut Draft<'_>, bundle: IncidentNo, now: Timestamp) {
        let Some(IncidentKind::Bundle { members }) = draft.incident(bundle).map(|b| b.kind.clone()) else { return };
        let open = |no: &IncidentNo| draft.incident(*no).is_some_and(|i| i.is_open() && i.bundle == Some(bundle));
        let open: Vec<IncidentNo> = members.into_iter().filter(open).collect();
        let mut cases = cases_of(draft, &open);
        if cases.is_empty()
            && let Some(incident) = draft.incident_mut(bundle)
        {
            incident.hush();
        }
        let count = cases.len() as u64;
        let parts = cases.len().div_ceil(CASES_PER_PAGE);
        if parts > PARTS_PER_BUNDLE {
            cases.truncate(CASES_PER_PAGE);
            self.page(draft, bundle, Priority::P0, (count, cases), None, now);
            return;
        }
        let total = u32::try_from(parts).unwrap_or(u32::MAX);
        for (part, listed) in (1..).zip(cases.chunks(CASES_PER_PAGE)) {
            let part = (total > 1).then_some((part, total));
            self.page(draft, bundle, Priority::P0, (count, listed.to_vec()), part, now);
        }
    }

    /// Opens a round of an incident: one page a channel of the step that it has reached.
    pub(super) fn page(
        &self,
        draft: &mut Draft<'_>,
        no: IncidentNo,
        priority: Priority,
        (count, cases): (u64, Vec<PageCase>),
        part: Option<(u32, u32)>,
        now: Timestamp,
    ) {
        let Some(incident) = draft.incident_mut(no) else { return };
        let escalation = self.escalation_of(incident);
        let about = about(incident, &cases, now);
        let round = incident.ring(priority, escalation.filter(|_| incident.is_taken()), now);
        let step = incident.step;
        let channels = incident.notified(escalation);
        if incident.is_test() {
            // Its first step rings, once.
            incident.next_step = None;
        }
        incident.rung.extend(channels.iter().map(|channel| (round, channel.clone())));
        let page = |channel: Name| Page {
            incident: no,
            round,
            step,
            fallbacks: escalation.map(|of| fallbacks(of, step, &channel)).unwrap_or_default(),
            channel,
            kind: PageKind::Ring,
            priority,
            created_at: now,
            part,
            about: about.clone(),
            count,
            cases: cases.clone(),
        };
        let surplus = incident.surplus_rounds();
        draft.plan.pages.extend(channels.into_iter().map(page));
        close_rounds(draft, no, surplus, now);
    }

    /// Ends an incident on evidence and closes every round that it opened; a bundle ends with its last
    /// member.
    pub(super) fn resolve(&self, draft: &mut Draft<'_>, no: IncidentNo, now: Timestamp) {
        let Some(incident) = draft.incident_mut(no) else { return };
        if !incident.is_open() {
            return;
        }
        let bundles: Vec<IncidentNo> = incident.told_by.drain(..).chain(incident.bundle.take()).collect();
        let closing = incident.resolve(now);
        close_rounds(draft, no, closing, now);
        for bundle in bundles {
            if !tells_of_any(draft, bundle, |i| i.bundle == Some(bundle) || i.told_by.contains(&bundle)) {
                self.resolve(draft, bundle, now);
            }
        }
    }
}

/// Whether any open incident that a bundle lists still looks to it.
fn tells_of_any(draft: &Draft<'_>, bundle: IncidentNo, looks_to_it: impl Fn(&Incident) -> bool) -> bool {
    match draft.incident(bundle).map(|incident| &incident.kind) {
        Some(IncidentKind::Bundle { members }) => {
            let open = |no: &IncidentNo| draft.incident(*no).filter(|incident| incident.is_open());
            members.iter().filter_map(open).any(looks_to_it)
        }
        _ => false,
    }
}

/// Tells the receivers that these rounds of an incident are over.
fn close_rounds(draft: &mut Draft<'_>, no: IncidentNo, rounds: Vec<(u32, Name)>, now: Timestamp) {
    let Some(incident) = draft.incident(no) else { return };
    let (priority, about) = (incident.rung_priority.unwrap_or(Priority::P4), about(incident, &[], now));
    let page = |rung| Page { about: about.clone(), ..resolve_page(no, rung, priority, now) };
    draft.plan.pages.extend(rounds.into_iter().map(page));
}

fn resolve_page(no: IncidentNo, (round, channel): (u32, Name), priority: Priority, now: Timestamp) -> Page {
    Page {
        incident: no,
        round,
        step: 0,
        channel,
        kind: PageKind::Resolve,
        priority,
        created_at: now,
        fallbacks: Vec::new(),
        part: None,
        about: About::Overdue,
        count: 0,
        cases: Vec::new(),
    }
}

/// A round rang on one more channel. An incident that is over by now is closed there at once.
pub(super) fn fell_back(draft: &mut Draft<'_>, no: IncidentNo, rung: (u32, Name), priority: Priority, now: Timestamp) {
    match draft.incident(no) {
        Some(incident) if incident.is_open() => {
            if let Some(incident) = draft.incident_mut(no) {
                incident.rung.push(rung);
            }
        }
        _ => draft.plan.pages.push(resolve_page(no, rung, priority, now)),
    }
}

/// The cases of these P0 incidents, the most urgent first.
fn cases_of(draft: &Draft<'_>, incidents: &[IncidentNo]) -> Vec<PageCase> {
    let case = |no: &IncidentNo| match draft.incident(*no).map(|incident| &incident.kind) {
        Some(IncidentKind::Episode(key)) => draft.page_case(*no, key),
        _ => None,
    };
    let mut cases: Vec<PageCase> = incidents.iter().filter_map(case).collect();
    cases.sort_by(|a, b| (a.standing, a.deadline, &a.episode).cmp(&(b.standing, b.deadline, &b.episode)));
    cases
}
