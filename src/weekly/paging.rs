//! How long it took until somebody's phone rang, until a person took the incident, and until the overdue
//! target was met. What hasn't happened yet is censored, so that a page that never went out shows.

use super::count::Bounds;
use super::figures::{ChannelFigures, Paging, Times};
use super::survival::Survival;
use crate::core::id::{IncidentNo, Name};
use crate::core::incident::{Incident, IncidentKind};
use crate::core::outcome::{BreachFact, PageFact};
use crate::core::plan::BreachStatus;
use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// What the store tells of a week's paging, but for the breaches, of which there may be many.
#[derive(Debug, Default)]
pub struct Facts {
    pub pages: Vec<PageFact>,
    pub incidents: Vec<Incident>,
    /// Each incident that a person took, and when.
    pub acknowledged: Vec<(IncidentNo, Timestamp)>,
}

/// Counts a week's paging: breaches are added one by one, and none of them is kept.
pub struct Count<'f> {
    facts: &'f Facts,
    bounds: Bounds,
    /// Of each incident's accepted rings, when it was made and when it was accepted.
    accepted: BTreeMap<IncidentNo, Vec<(Timestamp, Timestamp)>>,
    /// The bundles that told of an incident.
    bundles: BTreeMap<IncidentNo, Vec<IncidentNo>>,
    to_page: Lanes,
    to_act: Lanes,
}

/// P0, and the rest.
type Lanes = [Survival; 2];

fn lanes() -> Lanes {
    [Survival::exact(), Survival::default()]
}

impl<'f> Count<'f> {
    pub fn new(facts: &'f Facts, bounds: Bounds) -> Self {
        let mut accepted: BTreeMap<IncidentNo, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
        for page in facts.pages.iter().filter(|page| page.is_ring) {
            if let Some(at) = page.accepted_at {
                accepted.entry(page.incident).or_default().push((page.created_at, at));
            }
        }
        let mut bundles: BTreeMap<IncidentNo, Vec<IncidentNo>> = BTreeMap::new();
        for bundle in &facts.incidents {
            if let IncidentKind::Bundle { members } = &bundle.kind {
                members.iter().for_each(|member| bundles.entry(*member).or_default().push(bundle.no));
            }
        }
        Count { facts, bounds, accepted, bundles, to_page: lanes(), to_act: lanes() }
    }

    /// Counts a breach of the week that a person was to be told of.
    pub fn add_breach(&mut self, breach: &BreachFact) {
        let in_week = breach.deadline >= self.bounds.from() && breach.deadline < self.bounds.until();
        if !in_week || breach.inherited || breach.status == BreachStatus::Withdrawn {
            return;
        }
        let lane = usize::from(breach.priority != Priority::P0);
        if let Some(incident) = breach.incident {
            let (length, ended) = self.until_page(incident, breach);
            self.to_page[lane].add(length, ended);
        }
        let as_of = self.bounds.as_of;
        match breach.met_at.filter(|at| *at <= as_of) {
            Some(at) => self.to_act[lane].add(at.since(breach.deadline), true),
            None => {
                let until = breach.moot_at.map_or(as_of, |at| at.min(as_of));
                self.to_act[lane].add(until.since(breach.deadline), false);
            }
        }
    }

    /// Until the first page that was accepted after the breach was found: of its incident, or of a bundle that told of it.
    fn until_page(&self, incident: IncidentNo, breach: &BreachFact) -> (Span, bool) {
        let tellers = [incident].into_iter().chain(self.bundles.get(&incident).into_iter().flatten().copied());
        let pages = tellers.flat_map(|no| self.accepted.get(&no).into_iter().flatten());
        let first = pages.filter(|(created, _)| *created >= breach.detected_at).map(|(_, accepted)| *accepted).min();
        (first.unwrap_or(self.bounds.as_of).since(breach.deadline), first.is_some())
    }

    pub fn paging(&self) -> Paging {
        let in_week = |at: Timestamp| at >= self.bounds.from() && at < self.bounds.until();
        let opened = self.facts.incidents.iter().filter(|incident| in_week(incident.opened_at));
        Paging {
            incidents_opened: opened.count() as u64,
            channels: channels(self.facts, &self.bounds),
            to_page: self.to_page.each_ref().map(Times::of),
            to_acknowledge: to_acknowledge(self.facts, &self.bounds),
            to_act: self.to_act.each_ref().map(Times::of),
        }
    }
}

fn channels(facts: &Facts, bounds: &Bounds) -> Vec<ChannelFigures> {
    let mut channels: BTreeMap<&Name, ChannelFigures> = BTreeMap::new();
    let of_week =
        facts.pages.iter().filter(|page| page.created_at >= bounds.from() && page.created_at < bounds.until());
    for page in of_week {
        let fresh = || ChannelFigures { channel: page.channel.to_string(), ..ChannelFigures::default() };
        let channel = channels.entry(&page.channel).or_insert_with(fresh);
        *(if page.is_ring { &mut channel.rings } else { &mut channel.resolves }) += 1;
        match page.state.as_str() {
            "accepted" => channel.accepted += 1,
            "parked" => channel.parked += 1,
            "queued" | "leased" => channel.waiting += 1,
            _ => {}
        }
    }
    channels.into_values().collect()
}

fn to_acknowledge(facts: &Facts, bounds: &Bounds) -> [Times; 2] {
    let mut first: BTreeMap<IncidentNo, Timestamp> = BTreeMap::new();
    for (no, at) in &facts.acknowledged {
        let held = first.entry(*no).or_insert(*at);
        *held = (*held).min(*at);
    }
    let mut lanes = lanes();
    for incident in &facts.incidents {
        // Whoever takes a bundle takes what it told of.
        let counted = incident.opened_at >= bounds.from()
            && incident.opened_at < bounds.until()
            && incident.rung_at.is_some()
            && incident.bundle.is_none();
        if !counted {
            continue;
        }
        let p0 = matches!(incident.kind, IncidentKind::Episode(_) | IncidentKind::Bundle { .. });
        let lane = &mut lanes[usize::from(!p0)];
        let over = incident.resolved_at.map_or(bounds.as_of, |at| at.min(bounds.as_of));
        match first.get(&incident.no) {
            Some(at) => lane.add(at.since(incident.opened_at), true),
            None => lane.add(over.since(incident.opened_at), false),
        }
    }
    lanes.each_ref().map(Times::of)
}
