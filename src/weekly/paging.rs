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
use serde::{Deserialize, Serialize};
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

fn lane(priority: Priority) -> usize {
    usize::from(priority != Priority::P0)
}

/// What is to be known of breaches, whatever pages went out and will.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    to_act: Lanes,
    rung: Vec<Rung>,
}

/// A breach that belongs to an incident.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Rung {
    priority: Priority,
    incident: IncidentNo,
    deadline: Timestamp,
    detected_at: Timestamp,
}

impl Default for Told {
    fn default() -> Self {
        Told { to_act: lanes(), rung: Vec::new() }
    }
}

impl Told {
    /// Adds a breach that a person was to be told of, if its deadline fell into a stretch of time.
    pub(super) fn add(&mut self, breach: &BreachFact, within: (Timestamp, Timestamp), as_of: Timestamp) {
        let fell_due = breach.deadline >= within.0 && breach.deadline < within.1;
        if !fell_due || breach.inherited || breach.status == BreachStatus::Withdrawn {
            return;
        }
        let BreachFact { priority, deadline, detected_at, .. } = *breach;
        self.rung.extend(breach.incident.map(|incident| Rung { priority, incident, deadline, detected_at }));
        let (until, is_met) = match breach.met_at.filter(|at| *at <= as_of) {
            Some(at) => (at, true),
            None => (breach.moot_at.map_or(as_of, |at| at.min(as_of)), false),
        };
        self.to_act[lane(priority)].add(until.since(deadline), is_met);
    }

    /// Keeps no more different lengths than figures need.
    pub(super) fn condense(&mut self) {
        self.to_act.iter_mut().for_each(Survival::condense);
    }
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
        self.add_breach_within(breach, (Timestamp::MIN, Timestamp::MAX));
    }

    /// As `add_breach`, if its deadline fell into a stretch of time as well.
    pub fn add_breach_within(&mut self, breach: &BreachFact, within: (Timestamp, Timestamp)) {
        let within = (within.0.max(self.bounds.from()), within.1.min(self.bounds.until()));
        let mut told = Told::default();
        told.add(breach, within, self.bounds.as_of);
        self.add_told(&told);
    }

    pub(super) fn add_told(&mut self, told: &Told) {
        for (lane, other) in self.to_act.iter_mut().zip(&told.to_act) {
            lane.merge(other);
        }
        for rung in &told.rung {
            let (length, ended) = self.until_page(rung);
            self.to_page[lane(rung.priority)].add(length, ended);
        }
    }

    /// Until the first page that was accepted after the breach was found: of its incident, or of a bundle that told of it.
    fn until_page(&self, rung: &Rung) -> (Span, bool) {
        let bundles = self.bundles.get(&rung.incident).into_iter().flatten();
        let tellers = [rung.incident].into_iter().chain(bundles.copied());
        let pages = tellers.flat_map(|no| self.accepted.get(&no).into_iter().flatten());
        let first = pages.filter(|(created, _)| *created >= rung.detected_at).map(|(_, accepted)| *accepted).min();
        (first.unwrap_or(self.bounds.as_of).since(rung.deadline), first.is_some())
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
