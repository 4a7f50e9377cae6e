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
use crate::core::time::Timestamp;
use std::collections::BTreeMap;

/// What the store tells of a week's paging.
#[derive(Debug, Default)]
pub struct Facts {
    pub breaches: Vec<BreachFact>,
    pub pages: Vec<PageFact>,
    pub incidents: Vec<Incident>,
    /// Each incident that a person took, and when.
    pub acknowledged: Vec<(IncidentNo, Timestamp)>,
}

pub fn paging(facts: &Facts, bounds: &Bounds) -> Paging {
    let in_week = |at: Timestamp| at >= bounds.from() && at < bounds.until();
    let opened = facts.incidents.iter().filter(|incident| in_week(incident.opened_at));
    Paging {
        incidents_opened: opened.count() as u64,
        channels: channels(facts, bounds),
        to_page: to_page(facts, bounds),
        to_acknowledge: to_acknowledge(facts, bounds),
        to_act: to_act(facts, bounds),
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

/// Breaches of the week that a person was to be told of, P0 and the rest apart.
fn told_of<'f>(facts: &'f Facts, bounds: &'f Bounds) -> impl Iterator<Item = (usize, &'f BreachFact)> {
    let of_week = facts.breaches.iter().filter(|breach| {
        breach.deadline >= bounds.from()
            && breach.deadline < bounds.until()
            && !breach.inherited
            && breach.status != BreachStatus::Withdrawn
    });
    of_week.map(|breach| (usize::from(breach.priority != Priority::P0), breach))
}

fn lanes() -> [Survival; 2] {
    [Survival::exact(), Survival::default()]
}

/// The first page that was accepted after the breach was found: of its incident, or of a bundle that told of it.
fn to_page(facts: &Facts, bounds: &Bounds) -> [Times; 2] {
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
    let mut lanes = lanes();
    for (lane, breach) in told_of(facts, bounds) {
        let Some(incident) = breach.incident else { continue };
        let tellers = [incident].into_iter().chain(bundles.get(&incident).into_iter().flatten().copied());
        let pages = tellers.flat_map(|no| accepted.get(&no).into_iter().flatten());
        let first = pages.filter(|(created, _)| *created >= breach.detected_at).map(|(_, accepted)| *accepted).min();
        match first {
            Some(at) => lanes[lane].add(at.since(breach.deadline), true),
            None => lanes[lane].add(bounds.as_of.since(breach.deadline), false),
        }
    }
    lanes.each_ref().map(Times::of)
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

fn to_act(facts: &Facts, bounds: &Bounds) -> [Times; 2] {
    let mut lanes = lanes();
    for (lane, breach) in told_of(facts, bounds) {
        let until = breach.moot_at.map_or(bounds.as_of, |at| at.min(bounds.as_of));
        match breach.met_at.filter(|at| *at <= bounds.as_of) {
            Some(at) => lanes[lane].add(at.since(breach.deadline), true),
            None => lanes[lane].add(until.since(breach.deadline), false),
        }
    }
    lanes.each_ref().map(Times::of)
}
