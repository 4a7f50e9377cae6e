//! History through the same core under a virtual clock. What final rows can't tell, such as pauses,
//! reopenings and erased answers, a replay of rows doesn't know; of reports that were observed it takes
//! what was seen. Every figure says its basis, `row` or `observed`.

use crate::core::case::Case;
use crate::core::engine::Core;
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey};
use crate::core::observation::{Event, EventName, Observation, Received, Row, Verdict};
use crate::core::observed::Observed;
use crate::core::plan::{BATCH, BreachRecord, BreachStatus, Input, Page, Plan, Rows};
use crate::core::policy::Policy;
use crate::core::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A history: rows as they ended up, and what the core made of them instant by instant.
pub struct Replay {
    core: Core,
    now: Timestamp,
    rows: BTreeMap<Place, Row>,
    /// What was seen of reports that were observed, by time; it is preferred.
    observed: BTreeMap<Place, Vec<Observed>>,
    /// After how long a gap between two reads no pause was credited, by source.
    blind_after: BTreeMap<Name, Span>,
    from: Option<Timestamp>,
    /// Rows that have been seen before.
    seen: BTreeSet<Place>,
    /// What changes when.
    timeline: BTreeMap<Timestamp, BTreeSet<Place>>,
    /// The store's part: what was kept of cases whose memory was freed.
    kept: BTreeMap<CaseKey, Case>,
    breaches: BTreeMap<BreachKey, BreachRecord>,
    pages: Vec<Page>,
}

/// A report of a source.
type Place = (Name, ReportId);
type BreachKey = (EpisodeKey, Name, Option<ReportKey>, Timestamp);

/// What a replay found.
#[derive(Debug)]
pub struct Replayed {
    /// In order of detection, then deadline.
    pub breaches: Vec<BreachRecord>,
    /// In order of creation.
    pub pages: Vec<Page>,
    pub reports: u64,
    /// Reports of which observations were played instead of their final rows.
    pub observed: BTreeSet<(Name, ReportId)>,
}

impl Replayed {
    /// What a breach was found by: observations, or final rows.
    pub fn basis(&self, breach: &BreachRecord) -> &'static str {
        let report = &breach.first_report;
        if self.observed.contains(&(report.source.clone(), report.id.clone())) { "observed" } else { "row" }
    }
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
        let blind_after = policy.sources.iter().map(|(name, of)| (name.clone(), of.stale_after())).collect();
        Replay {
            core: Core::new(Arc::new(without_rhythm(&policy))),
            now,
            rows,
            observed: BTreeMap::new(),
            blind_after,
            from,
            seen: BTreeSet::new(),
            timeline,
            kept: BTreeMap::new(),
            breaches: BTreeMap::new(),
            pages: Vec::new(),
        }
    }

    /// Prefers what was seen of reports over their final rows.
    pub fn with_observations(mut self, observations: Vec<Observed>) -> Self {
        for seen in observations {
            let place = (seen.report.source.clone(), seen.report.id.clone());
            self.observed.entry(place).or_default().push(seen);
        }
        for seen in self.observed.values_mut() {
            seen.sort_by_key(|seen| (seen.report.incarnation, seen.seen_at));
        }
        for places in self.timeline.values_mut() {
            places.retain(|place| !self.observed.contains_key(place));
        }
        self.timeline.retain(|_, places| !places.is_empty());
        for (place, seen) in &self.observed {
            let Some(first) = seen.first() else { continue };
            let before = first.row.iter().flat_map(instants).filter(|at| *at < first.seen_at);
            let gaps = seen.iter().filter_map(|seen| self.lost_at(seen));
            let looks = seen.iter().flat_map(|seen| seen.seen_before.into_iter().chain([seen.seen_at]));
            let instants: BTreeSet<Timestamp> = before.chain(looks).chain(gaps).collect();
            for at in instants {
                let at = self.from.map_or(at, |from| at.max(from));
                self.timeline.entry(at).or_default().insert(place.clone());
            }
        }
        if let Some(first) = self.timeline.keys().next() {
            self.now = *first;
        }
        self
    }

    /// Where the report was lost from sight before this observation: the instant after the last read.
    fn lost_at(&self, seen: &Observed) -> Option<Timestamp> {
        let before = seen.seen_before?;
        let longest = self.blind_after.get(&seen.report.source).copied()?;
        (seen.seen_at.since(before) > longest).then(|| before.plus(Span::from_micros(1)))
    }

    /// Lets time pass until `until`, that instant included.
    pub fn run(mut self, until: Timestamp) -> Replayed {
        let places = self.rows.keys().chain(self.observed.keys());
        let sources: BTreeSet<Name> = places.map(|(source, _)| source.clone()).collect();
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
        let gone = self.observed.keys().filter(|place| !self.rows.contains_key(place)).count();
        let reports = (self.rows.len() + gone) as u64;
        Replayed { breaches, pages: self.pages, reports, observed: self.observed.into_keys().collect() }
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
        let place = (source.clone(), id.clone());
        let row = match self.observed.get(&place) {
            Some(seen) => self.as_seen(seen),
            None => self.rows.get(&place).map(|row| as_of(row, self.now)),
        };
        Observation { id: id.clone(), row }
    }

    /// What a read at this instant would have seen. Lost from sight it counts as not paused, because nothing
    /// is credited then.
    fn as_seen(&self, seen: &[Observed]) -> Option<Row> {
        let next = seen.partition_point(|seen| seen.seen_at <= self.now);
        let Some(last) = next.checked_sub(1).and_then(|at| seen.get(at)) else {
            return seen.first()?.row.as_ref().map(|row| as_of(row, self.now));
        };
        let lost = seen.get(next).and_then(|next| self.lost_at(next)).is_some_and(|at| at <= self.now);
        last.row.clone().map(|row| Row { paused: row.paused && !lost, ..row })
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
            self.kept.insert(kept.case.key.case.clone(), Case::clone(&kept.case));
        }
        for breach in &plan.breaches {
            let key = (breach.episode.clone(), breach.target.clone(), breach.report.clone(), breach.deadline);
            self.breaches.insert(key, breach.clone());
        }
        self.pages.extend(plan.pages.iter().cloned());
    }
}

/// The same policy where reads follow no rhythm: here a report is read when something about it changes.
fn without_rhythm(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    for source in policy.sources.values_mut() {
        source.blind_after = None;
    }
    policy
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
