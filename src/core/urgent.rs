//! What must ring even while nothing can be committed: P0, and the word to the operators that the store is away.
//! A core of P0 alone stands in for the whole one meanwhile. What it decides is decided again by the whole one, of
//! the same inputs at the same instants, so that both ring the same rounds under the same names.

use super::draft::Draft;
use super::engine::{Core, Decision};
use super::id::{EpisodeKey, IncidentNo, Name};
use super::incident::Incident;
use super::plan::{BATCH, Input};
use super::time::Timestamp;
use std::collections::BTreeMap;

/// Numbers of one stretch belong to one state of the store: a person's adoption begins another, and names must
/// not come again with it.
const NUMBERS_PER_STATE: u64 = 1_000_000;

/// The name of a P0 episode's incident. An episode has one for as long as it is in memory; one that it had before
/// is part of the name.
pub(super) fn name_of_episode(no: IncidentNo, key: &EpisodeKey, before: Option<IncidentNo>) -> String {
    format!("{}/{}/{key}", no.0 / NUMBERS_PER_STATE, before.map_or(0, |no| no.0))
}

/// The name of the incident about the store's absence since an instant.
pub(super) fn name_of_absence(since: Timestamp) -> String {
    format!("store/{}", since.micros())
}

impl Draft<'_> {
    /// Names an incident that is being opened. Rounds that have rung under that name in an emergency of which the
    /// store was never told are not rung again: whatever rings next is new to its receivers.
    pub(super) fn name_incident(&mut self, no: IncidentNo, name: &str) {
        let rounds = self.core.rang.get(name).map_or(0, |round| round + 1);
        if let Some(incident) = self.incident_mut(no) {
            (incident.named, incident.rounds) = (Some(name.into()), rounds);
        }
    }

    /// A bundle is named after the first of its members by name, and the round that told of it.
    pub(super) fn name_bundle(&mut self, bundle: IncidentNo, members: &[IncidentNo]) {
        let named = members.iter().filter_map(|no| self.incident(*no));
        let named = named.filter_map(|of| Some((of.named.clone()?, of.rounds)));
        if let Some((first, rounds)) = named.min() {
            self.name_incident(bundle, &format!("{rounds}*{first}"));
        }
    }
}

impl Core {
    /// The part of it that must go on ringing. What was decided by it is thrown away in the end.
    pub fn urgent_part(&self) -> Core {
        let mut part = Core::new(self.policy.clone());
        part.next_incident = self.next_incident;
        part.rang.clone_from(&self.rang);
        part.caught_up.clone_from(&self.caught_up);
        for incident in self.incidents().filter(|incident| incident.named.is_some()) {
            part.put_incident(incident.clone());
        }
        for (key, case) in self.cases.iter().filter(|(_, case)| case.is_p0()) {
            part.put_case(key.clone(), Some(case.clone()));
        }
        for (source, id, home) in self.homes.iter().filter(|(_, _, home)| part.cases.contains_key(&home.episode)) {
            part.homes.insert((source.clone(), id.clone()), home.clone());
        }
        part
    }

    /// As `decide`, but time moves P0 alone: whatever else is due stays due.
    pub fn decide_urgent(&self, input: &Input, now: Timestamp) -> Decision {
        self.decide_of(input, now, true)
    }

    /// When time alone changes something of P0.
    pub fn next_urgent_wake(&self) -> Option<Timestamp> {
        let rings = self.rings.iter().find(|(_, no)| self.is_urgent(*no)).map(|(at, _)| *at);
        self.due[0].first().map(|(at, _)| *at).into_iter().chain(rings).min()
    }

    /// At most `BATCH` P0 cases that are due.
    pub(super) fn urgent_cases(&self, now: Timestamp) -> Vec<EpisodeKey> {
        self.due[0].iter().take_while(|(at, _)| *at <= now).take(BATCH).map(|(_, key)| key.clone()).collect()
    }

    pub(super) fn is_urgent(&self, no: IncidentNo) -> bool {
        self.incident(no).is_some_and(|incident| incident.named.is_some())
    }

    /// An incident that is in memory: open, or of a case that is.
    pub fn incident(&self, no: IncidentNo) -> Option<&Incident> {
        self.incidents.get(&no).map(AsRef::as_ref)
    }

    /// All of them, in the order of their numbers.
    pub(super) fn incidents(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.incidents.values().map(AsRef::as_ref)
    }

    /// The highest rounds, by the names of their incidents, that have rung in an emergency of which the store was
    /// never told.
    pub fn remember_rings(&mut self, rang: BTreeMap<Name, u32>) {
        for incident in self.incidents.values_mut() {
            let round = incident.named.as_ref().and_then(|name| rang.get(name));
            incident.rounds = incident.rounds.max(round.map_or(0, |round| round + 1));
        }
        self.rang = rang;
    }
}
