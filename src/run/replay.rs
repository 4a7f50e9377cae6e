//! History through the same core under a virtual clock. What final rows can't tell, such as pauses,
//! reopenings and erased answers, a replay of rows doesn't know: its figures say `row` as their basis.

use crate::core::case::Case;
use crate::core::engine::Core;
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey};
use crate::core::observation::{Event, EventName, Observation, Received, Row, Verdict};
use crate::core::plan::{BATCH, BreachRecord, BreachStatus, Input, Page, Plan, Rows};
use crate::core::policy::Policy;
use crate::core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A history: rows as they ended up, and what the core made of them instant by instant.
pub struct Replay {
    core: Core,
    now: Timestamp,
    rows: BTreeMap<(Name, ReportId), Row>,
    /// Rows that have been seen before.
    seen: BTreeSet<(Name, ReportId)>,
    /// What changes when.
    timeline: BTreeMap<Timestamp, BTreeSet<(Name, ReportId)>>,
    /// The store's part: what was kept of cases whose memory was freed.
    kept: BTreeMap<CaseKey, Case>,
    breaches: BTreeMap<BreachKey, BreachRecord>,
    pages: Vec<Page>,
}

type BreachKey = (EpisodeKey, Name, Option<ReportKey>, Timestamp);

/// What a replay found.
#[derive(Debug)]
pub struct Replayed {
    /// In order of detection, then deadline.
    pub breaches: Vec<BreachRecord>,
    /// In order of creation.
    pub pages: Vec<Page>,
    pub reports: u64,
}

impl Replay {
    /// A replay that begins at `from`: earlier history is seen at once then, as at a first start.
    pub fn new(policy: Arc<Policy>, rows: BTreeMap<(Name, ReportId), Row>, from: Option<Timestamp>) -> Self {
        let mut timeline: BTreeMap<Timestamp, BTreeSet<(Name, ReportId)>> = BTreeMap::new();
        for (place, row) in &rows {
            for at in instants(row) {
                let at = from.map_or(at, |from| at.max(from));
                timeline.entry(at).or_default().insert(place.clone());
            }
        }
        let now = timeline.keys().next().copied().or(from).unwrap_or(Timestamp::from_micros(0));
        Replay {
            core: Core::new(policy),
            now,
            rows,
            seen: BTreeSet::new(),
            timeline,
            kept: BTreeMap::new(),
            breaches: BTreeMap::new(),
            pages: Vec::new(),
        }
    }

    /// The last instant at which anything in the rows happens.
    pub fn last_instant(&self) -> Option<Timestamp> {
        self.timeline.keys().next_back().copied()
    }

    /// Lets time pass until `until`, that instant included.
    pub fn run(mut self, until: Timestamp) -> Replayed {
        let sources: BTreeSet<Name> = self.rows.keys().map(|(source, _)| source.clone()).collect();
        let first = self.timeline.first_key_value().map(|(at, _)| *at);
        if let Some(at) = first.filter(|at| *at <= until) {
            self.look(at);
        }
        for source in sources {
            self.feed(Input::ScanEnded { source, began: self.now });
        }
        loop {
            let next = self.timeline.first_key_value().map(|(at, _)| *at);
            let wake = self.core.next_wake().map(|at| at.max(self.now));
            match (next, wake) {
                (Some(at), wake) if at <= until && wake.is_none_or(|wake| at <= wake) => self.look(at),
                (_, Some(at)) if at <= until => {
                    self.now = at;
                    self.feed(Input::Tick);
                }
                _ => break,
            }
        }
        let mut breaches: Vec<BreachRecord> = self.breaches.into_values().collect();
        breaches.retain(|breach| breach.status != BreachStatus::Withdrawn);
        breaches.sort_by(|a, b| (a.detected_at, a.deadline, &a.episode).cmp(&(b.detected_at, b.deadline, &b.episode)));
        Replayed { breaches, pages: self.pages, reports: self.rows.len() as u64 }
    }

    /// Sees every row that changes at this instant, but, as a poll of the open rows, none that has been
    /// closed since it was last under watch.
    fn look(&mut self, at: Timestamp) {
        self.now = at;
        let changed = self.timeline.remove(&at).unwrap_or_default();
        let mut visible = Vec::new();
        for place in changed {
            let is_new = self.seen.insert(place.clone());
            if is_new || self.core.holds(&place.0, &place.1) {
                visible.push(place);
            }
        }
        self.read(visible);
    }

    fn read(&mut self, places: Vec<(Name, ReportId)>) {
        let mut by_source: BTreeMap<Name, Vec<ReportId>> = BTreeMap::new();
        for (source, id) in places {
            by_source.entry(source).or_default().push(id);
        }
        for (source, ids) in by_source {
            for ids in ids.chunks(BATCH) {
                let rows = ids.iter().map(|id| self.observe(&source, id)).collect();
                let (source, read_began) = (source.clone(), self.now);
                self.feed_rows(Rows { source, read_began, rows, rejects: Vec::new(), recalled: Vec::new() });
            }
        }
    }

    fn observe(&self, source: &Name, id: &ReportId) -> Observation {
        let row = self.rows.get(&(source.clone(), id.clone())).map(|row| as_of(row, self.now));
        Observation { id: id.clone(), row }
    }

    fn feed_rows(&mut self, mut rows: Rows) {
        let strangers = self.core.strangers(&rows);
        rows.recalled = strangers.iter().filter_map(|key| self.kept.get(key).cloned()).collect();
        self.feed(Input::Rows(rows));
    }

    fn feed(&mut self, input: Input) {
        let decision = self.core.decide(&input, self.now);
        self.keep(&decision.plan);
        let asks: Vec<_> = decision.plan.asks.iter().map(|key| (key.source.clone(), key.id.clone())).collect();
        self.core.apply(decision);
        if !asks.is_empty() {
            self.read(asks);
        }
    }

    fn keep(&mut self, plan: &Plan) {
        for kept in &plan.kept {
            self.kept.insert(kept.case.key.case.clone(), kept.case.clone());
        }
        for breach in &plan.breaches {
            let key = (breach.episode.clone(), breach.target.clone(), breach.report.clone(), breach.deadline);
            self.breaches.insert(key, breach.clone());
        }
        self.pages.extend(plan.pages.iter().cloned());
    }
}

/// When a row's visible state changes: its arrival, and each event from then on.
fn instants(row: &Row) -> BTreeSet<Timestamp> {
    let events = || row.events.iter().map(|event| event.at);
    let arrival = match row.received {
        Received::At(at) => at,
        Received::Unreadable => events().min().unwrap_or(Timestamp::from_micros(0)),
    };
    let mut instants: BTreeSet<Timestamp> = events().map(|at| at.max(arrival)).collect();
    instants.insert(arrival);
    instants
}

/// The row as a poll at `now` would have seen it.
pub fn as_of(row: &Row, now: Timestamp) -> Row {
    let arrival = instants(row).first().copied().unwrap_or(now);
    let happened = |event: &&Event| event.at.max(arrival) <= now;
    let events: Vec<Event> = row.events.iter().filter(happened).cloned().collect();
    let closed = events.iter().any(|event| event.name == EventName::Closed);
    let verdict = if closed { row.verdict } else { Verdict::Unmapped };
    Row { events, verdict, paused: false, ..row.clone() }
}
