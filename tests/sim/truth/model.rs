//! What should have happened, by brute force: the law for first_response, closed and second_review of P0
//! and for `closed` below it, worked out anew at every look from the rows as they were seen. It shares no
//! code with the core but the rows themselves.

use super::history::{Promises, Rows, Told};
use super::office;
use std::collections::{BTreeMap, BTreeSet};
use tocsin::core::id::Name;
use tocsin::core::observation::{Actor, Event, EventName, Received, Row, Verdict};
use tocsin::core::time::{Span, Timestamp};

/// A case as breaches name it: an item by its number, or a report by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    Item(u8),
    Report(i64),
}

/// A breach: whether it is one of P0, of which case and target, and the deadline.
pub type Breach = (bool, Case, &'static str, Timestamp);

pub const BLIND_AFTER: Span = Span::from_mins(2);
/// One person closes at most so many P0 cases within so long before a second person must look at them.
pub const BULK_CASES: usize = 3;
pub const BULK_WITHIN: Span = Span::from_mins(1);

/// Longer than any promise of office hours takes, with what pauses it.
const OFFICE_DAYS: i64 = 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Known,
    Presumed,
    Lesser,
}

fn class(row: &Row) -> Class {
    match &*row.category {
        "csam" | "grooming" => Class::Known,
        "threat" | "ncii" | "spam" => Class::Lesser,
        _ => Class::Presumed,
    }
}

#[derive(Clone)]
struct Report {
    row: Row,
    gone: bool,
    first_seen: Timestamp,
    last_read: Timestamp,
    episode: Option<(Case, u32)>,
    lesser: Lesser,
}

/// What a report carries from its time below P0.
#[derive(Clone, Default)]
struct Lesser {
    credited: Vec<(Timestamp, Timestamp)>,
    /// It was closed in time.
    met: bool,
    breached: bool,
    stored: bool,
    /// As it was last judged.
    deadline: Option<Timestamp>,
}

impl Lesser {
    /// Whether its deadline has passed and nothing is proved yet.
    fn is_due(&self, now: Timestamp) -> bool {
        !self.met && !self.breached && self.deadline.is_some_and(|deadline| now > deadline)
    }
}

/// What a P0 row is that was closed before the latest episode of its case began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    Settled,
    OfItsOwn,
}

/// From where a judgement takes its evidence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The reads of a look, as far as it has come.
    Look,
    /// Reads by key at every deadline.
    Clear,
    Blind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Unproved(Timestamp),
    Proved,
}

/// What one person closed in an episode, last.
#[derive(Clone, Debug)]
struct Closer {
    at: Timestamp,
    seen: Timestamp,
    in_bulk: bool,
}

#[derive(Default)]
struct Episode {
    reports: BTreeSet<i64>,
    closers: BTreeMap<Name, Closer>,
    /// Ended, with nothing owed any more.
    rests: bool,
    /// What it was when it was forgotten: a closed row of it that is seen again continues it.
    rested: BTreeMap<i64, Report>,
    rested_closers: BTreeMap<Name, Closer>,
    /// The number of reports whose ring is due or was.
    repeats: usize,
    known: bool,
    ended: bool,
    met: [Option<Timestamp>; 3],
    /// Of each target, when it began and was due, as it was last judged.
    held: [Option<(Timestamp, Timestamp)>; 3],
    broken: [Option<Broken>; 3],
    reviewed_late: bool,
}

impl Episode {
    /// Whether a deadline has passed of which nothing is proved yet.
    fn is_due(&self, now: Timestamp) -> bool {
        let is_proved = |target: usize| matches!(self.broken[target], Some(Broken::Proved));
        let undecided = |target: &usize| !is_proved(*target) && self.met[*target].is_none();
        let targets = (0..TARGETS.len()).filter(undecided);
        targets.filter_map(|target| self.held[target]).any(|(_, deadline)| now > deadline)
    }
}

pub struct Model {
    promises: Promises,
    reports: BTreeMap<i64, Report>,
    episodes: BTreeMap<(Case, u32), Episode>,
    /// What the store remembers of settled reports below P0.
    remembered: BTreeMap<i64, Report>,
    pub breaches: BTreeSet<Breach>,
    /// Repeats that must ring, since they were last taken: the episode and the number of reports.
    pub repeats: Vec<(Case, u32, usize)>,
}

const TARGETS: [&str; 3] = ["first_response", "closed", "second_review"];

fn received(row: &Row) -> Timestamp {
    match row.received {
        Received::At(at) => at,
        Received::Unreadable => unreachable!("this platform's times can be read"),
    }
}

fn by_person(event: &&Event) -> bool {
    matches!(event.by, Actor::Person(_))
}

fn closing_of_p0(row: &Row) -> Option<(Name, Timestamp)> {
    let closing = row.events.iter().filter(by_person).find(|event| event.name == EventName::Closed)?;
    match &closing.by {
        Actor::Person(name) => Some((name.clone(), closing.at)),
        _ => None,
    }
}

fn closure_of_p0(row: &Row) -> Option<Timestamp> {
    closing_of_p0(row).map(|(_, at)| at)
}

fn response_to_p0(row: &Row) -> Option<Timestamp> {
    let answer = row.events.iter().filter(by_person).find(|event| event.name == EventName::FirstResponse);
    answer.map(|event| event.at).into_iter().chain(closure_of_p0(row)).min()
}

fn case_of(id: i64, row: &Row) -> Case {
    row.subject.map_or(Case::Report(id), |subject| Case::Item(subject.0[0]))
}

impl Model {
    pub fn new() -> Self {
        Model {
            promises: Promises::FIRST,
            reports: BTreeMap::new(),
            episodes: BTreeMap::new(),
            remembered: BTreeMap::new(),
            breaches: BTreeSet::new(),
            repeats: Vec::new(),
        }
    }

    /// Other promises hold: whatever is open is judged by them, as it was last read.
    pub fn reload(&mut self, promises: Promises, now: Timestamp) {
        self.promises = promises;
        self.judge(now, Sight::Look);
    }

    /// The process is lost and started: of what is below P0 only what the store keeps is known still.
    pub fn restart(&mut self) {
        self.reports.retain(|_, report| report.episode.is_some() || report.lesser.stored);
    }

    /// A look: what is due by now is read by its key before anything else, then what feeds tell of and what pauses, then,
    /// of a whole one, the open rows, and by key whatever is known and not among them.
    pub fn look(&mut self, rows: &Rows, told: &Told, now: Timestamp) {
        self.settle(now);
        let due = self.episodes.values().filter(|episode| episode.is_due(now));
        let due = due.flat_map(|episode| &episode.reports).copied().collect();
        // What passed while nobody could see waits for its proof.
        let unproved = |report: &&Report| report.episode.is_none() && report.lesser.is_due(now);
        let lesser = self.reports.iter().filter(|(_, report)| unproved(report)).map(|(id, _)| *id).collect();
        for ids in [due, lesser].into_iter().filter(|ids: &Vec<i64>| !ids.is_empty()) {
            self.see_by_key(ids, rows, now);
        }
        let pauses = |report: &Report| told.pausing && report.episode.is_none() && report.row.paused;
        let pausing = self.reports.iter().filter(|(_, report)| pauses(report)).map(|(id, _)| *id).collect();
        for ids in told.feeds.iter().chain([&pausing]) {
            self.see_by_key(ids.iter().copied(), rows, now);
        }
        if told.whole {
            self.look_whole(rows, now);
        }
    }

    fn look_whole(&mut self, rows: &Rows, now: Timestamp) {
        let open: BTreeSet<i64> =
            rows.iter().filter(|(_, row)| row.event(EventName::Closed).is_none()).map(|(id, _)| *id).collect();
        for id in &open {
            self.see(*id, rows.get(id), now);
        }
        self.judge_closures();
        self.judge(now, Sight::Look);
        let others = self.reports.iter().filter(|(id, _)| !open.contains(id));
        let (p0, lesser): (Vec<_>, Vec<_>) = others.partition(|(_, report)| report.episode.is_some());
        let ids = |of: Vec<(&i64, &Report)>| of.into_iter().map(|(id, _)| *id).collect::<Vec<i64>>();
        // P0 shares its reads with nothing else, and comes first: it may end before another report joins it.
        for ids in [ids(p0), ids(lesser)] {
            self.see_by_key(ids, rows, now);
        }
    }

    fn see_by_key(&mut self, ids: impl IntoIterator<Item = i64>, rows: &Rows, now: Timestamp) {
        for id in ids {
            self.see(id, rows.get(&id), now);
        }
        self.judge_closures();
        self.judge(now, Sight::Look);
    }

    /// What has ended is forgotten once no closure of it can be part of a bulk any more.
    fn settle(&mut self, now: Timestamp) {
        for episode in self.episodes.values_mut().filter(|episode| episode.rests) {
            if episode.closers.values().all(|closer| closer.seen.plus(BULK_WITHIN) <= now) {
                for id in std::mem::take(&mut episode.reports) {
                    episode.rested.extend(self.reports.remove(&id).map(|report| (id, report)));
                }
                episode.rested_closers.append(&mut episode.closers);
            }
        }
    }

    /// Whoever closed more cases within a minute than anybody can look at has closed them in bulk.
    fn judge_closures(&mut self) {
        type Closures = Vec<(Timestamp, (Case, u32))>;
        let mut closures: BTreeMap<Name, Closures> = BTreeMap::new();
        for (key, episode) in &self.episodes {
            for (name, closer) in &episode.closers {
                closures.entry(name.clone()).or_default().push((closer.at, *key));
            }
        }
        for (name, closures) in closures {
            for (from, _) in &closures {
                let window = closures.iter().filter(|(at, _)| at >= from && at.since(*from) <= BULK_WITHIN);
                let cases: BTreeSet<(Case, u32)> = window.map(|(_, key)| *key).collect();
                for key in cases.iter().filter(|_| cases.len() > BULK_CASES) {
                    let closer = self.episodes.get_mut(key).and_then(|episode| episode.closers.get_mut(&name));
                    closer.unwrap().in_bulk = true;
                }
            }
        }
    }

    pub fn trace(&self) {
        for (key, episode) in self.episodes.iter().filter(|(_, episode)| !episode.reports.is_empty()) {
            let Episode { reports, closers, ended, .. } = episode;
            println!("truth: {key:?} reports {reports:?} ended {ended} closed by {closers:?}");
        }
    }

    /// People whose bulk has a closure that still waits for its review.
    pub fn bulk_closers(&self) -> BTreeSet<Name> {
        let open = self.episodes.values().filter(|episode| !episode.ended);
        let closers = open.flat_map(|episode| {
            let names = episode.reports.iter().filter_map(|id| closing_of_p0(&self.reports[id].row));
            names.map(|(name, _)| name).filter(|name| episode.closers.get(name).is_some_and(|closer| closer.in_bulk))
        });
        closers.collect()
    }

    fn note_closure(&mut self, id: i64, before: Option<&Row>, last_read: Timestamp, now: Timestamp) {
        let Some(report) = self.reports.get(&id) else { return };
        let (Some(key), Some((name, stated))) = (report.episode, closing_of_p0(&report.row)) else { return };
        let closed_before = before.and_then(closing_of_p0);
        let changed = closed_before != Some((name.clone(), stated));
        let saw_it_open = before.is_some() && closed_before.is_none();
        let at = stated.max(received(&report.row));
        let at = if saw_it_open { at.max(last_read) } else { at };
        let episode = self.episodes.get_mut(&key).unwrap();
        match episode.closers.get_mut(&name) {
            Some(closer) if changed => (closer.at, closer.seen) = (closer.at.max(at), now),
            Some(_) => {}
            None => drop(episode.closers.insert(name, Closer { at, seen: now, in_bulk: false })),
        }
    }

    fn see(&mut self, id: i64, row: Option<&Row>, now: Timestamp) {
        let Some(known) = self.reports.get_mut(&id) else {
            if let Some(row) = row {
                self.first_sight(id, row, now);
            }
            return;
        };
        let Some(row) = row else {
            (known.gone, known.last_read) = (true, now);
            return;
        };
        let p0_before = known.episode.is_some();
        let latched = known.episode.is_some_and(|episode| self.episodes[&episode].known);
        if !p0_before && known.row.paused && row.paused && !known.gone && now.since(known.last_read) <= BLIND_AFTER {
            known.lesser.credited.push((known.last_read, now));
        }
        let (before, last_read) = (known.row.clone(), known.last_read);
        (known.row, known.gone, known.last_read) = (row.clone(), false, now);
        let p0_now = class(row) != Class::Lesser;
        if latched || p0_before == p0_now {
            self.note_closure(id, Some(&before), last_read, now);
            return;
        }
        let moves = row.subject.is_some();
        // A case that changes its nature starts its clocks anew; what it was credited stays with the case.
        let credited = if moves { Vec::new() } else { std::mem::take(&mut known.lesser.credited) };
        known.lesser = Lesser { credited, stored: !moves, ..Lesser::default() };
        match known.episode.take() {
            Some(episode) => self.leave(id, episode),
            None => {
                self.join(id);
                // The row is not news to its new case, so its closure counts as stated.
                let row = row.clone();
                self.note_closure(id, Some(&row), last_read, now);
            }
        }
    }

    fn first_sight(&mut self, id: i64, row: &Row, now: Timestamp) {
        let fresh = Report {
            row: row.clone(),
            gone: false,
            first_seen: now,
            last_read: now,
            episode: None,
            lesser: Lesser::default(),
        };
        let is_lesser = class(row) == Class::Lesser;
        // Below P0 a case is the report's own, whatever it is about.
        if (!is_lesser || row.subject.is_none()) && self.continues(id, row) {
            self.see(id, Some(row), now);
            return;
        }
        let past = if is_lesser { None } else { self.past(id, row) };
        if past == Some(Past::Settled) {
            return;
        }
        if !is_lesser {
            if row.subject.is_none() {
                // Its case is the one that it was below P0, in an episode of its own: what comes after that, whatever
                // it is, continues nothing from before.
                self.remembered.remove(&id);
            }
            self.reports.insert(id, fresh);
            match past {
                Some(_) => self.begin_episode(id, true),
                None => self.join(id),
            }
            self.note_closure(id, None, now, now);
            return;
        }
        let was = self.remembered.remove(&id);
        self.reports.insert(id, was.unwrap_or(fresh));
        self.see(id, Some(row), now);
    }

    /// A closed row of an episode that has ended and was forgotten brings it back.
    fn continues(&mut self, id: i64, row: &Row) -> bool {
        let latest = self.latest(case_of(id, row)).and_then(|latest| self.episodes.get_mut(&latest));
        let Some(episode) = latest else { return false };
        let known = episode.reports.is_empty() && episode.rested.contains_key(&id);
        if !known || row.event(EventName::Closed).is_none() {
            return false;
        }
        episode.reports.extend(episode.rested.keys());
        episode.closers.append(&mut episode.rested_closers);
        self.reports.append(&mut episode.rested);
        true
    }

    /// Closed before the latest episode of its case began: seen in another that has ended, or never, and by itself an
    /// episode that had ended by then.
    fn past(&self, id: i64, row: &Row) -> Option<Past> {
        let latest = self.latest(case_of(id, row))?;
        let episode = &self.episodes[&latest];
        let running = episode.reports.iter().map(|id| received(&self.reports[id].row));
        let began = running.chain(episode.rested.values().map(|report| received(&report.row))).min()?;
        if closure_of_p0(row)? > began || episode.rested.contains_key(&id) {
            return None;
        }
        let mut others = self.episodes.iter().filter(|((case, _), _)| *case == latest.0);
        if others.any(|(key, episode)| *key != latest && episode.rested.contains_key(&id)) {
            return Some(Past::Settled);
        }
        let closed = closure_of_p0(row)?.max(received(row));
        let ended = match row.verdict {
            Verdict::NoViolation => review(|| std::iter::once(row), closed)?,
            _ => closed,
        };
        (ended <= began).then_some(Past::OfItsOwn)
    }

    /// The latest episode of a case; one that still runs before others, though a later one may have come and gone.
    fn latest(&self, case: Case) -> Option<(Case, u32)> {
        let episodes = self.episodes.range((case, 0)..=(case, u32::MAX));
        let place = |(key, episode): (&(Case, u32), &Episode)| {
            let is_held = !episode.reports.is_empty();
            (is_held && !episode.ended, is_held, *key)
        };
        episodes.map(place).max().map(|(_, _, key)| key)
    }

    fn join(&mut self, id: i64) {
        let case = case_of(id, &self.reports[&id].row);
        match self.latest(case).filter(|latest| !self.episodes[latest].ended) {
            Some(latest) => self.put(id, latest),
            None => self.begin_episode(id, false),
        }
    }

    /// What comes in the same look as one that has ended is none of it.
    fn begin_episode(&mut self, id: i64, ended: bool) {
        let case = case_of(id, &self.reports[&id].row);
        let last = self.episodes.range((case, 0)..=(case, u32::MAX)).next_back();
        let next = last.map_or(0, |((_, no), _)| no + 1);
        self.episodes.insert((case, next), Episode { ended, ..Episode::default() });
        self.put(id, (case, next));
    }

    fn put(&mut self, id: i64, key: (Case, u32)) {
        self.episodes.entry(key).or_default().reports.insert(id);
        if let Some(report) = self.reports.get_mut(&id) {
            report.episode = Some(key);
        }
    }

    fn leave(&mut self, id: i64, key: (Case, u32)) {
        let Some(episode) = self.episodes.get_mut(&key) else { return };
        episode.reports.remove(&id);
        if episode.reports.is_empty() {
            *episode = Episode::default();
        }
    }

    /// What is broken at `now`.
    pub fn judge(&mut self, now: Timestamp, sight: Sight) {
        let keys: Vec<(Case, u32)> = self.episodes.keys().copied().collect();
        for key in keys {
            self.judge_episode(key, now, sight);
        }
        self.settle(now);
        let lesser: Vec<i64> =
            self.reports.iter().filter(|(_, report)| report.episode.is_none()).map(|(id, _)| *id).collect();
        for id in lesser.into_iter().filter(|_| sight != Sight::Blind) {
            self.judge_lesser(id, now, sight);
        }
    }

    fn judge_episode(&mut self, key: (Case, u32), now: Timestamp, sight: Sight) {
        let Some(episode) = self.episodes.get_mut(&key) else { return };
        let reports: Vec<&Report> = episode.reports.iter().map(|id| &self.reports[id]).collect();
        if reports.is_empty() {
            return;
        }
        let rows = || reports.iter().map(|report| &report.row);
        episode.known |= rows().any(|row| class(row) == Class::Known);
        let anchor = rows().map(received).min().unwrap();
        let response = rows().filter_map(|row| response_to_p0(row).map(|at| at.max(received(row)))).min();
        let closures: Option<Vec<Timestamp>> = rows().map(closure_of_p0).collect();
        let closed = closures.and_then(|all| all.into_iter().max());
        let in_bulk = |row: &&Row| {
            let name = closing_of_p0(row).map(|(name, _)| name);
            name.is_some_and(|name| episode.closers.get(&name).is_some_and(|closer| closer.in_bulk))
        };
        let waits = |row: &&Row| row.verdict == Verdict::NoViolation || in_bulk(row);
        let clean = rows().filter(waits).filter_map(closure_of_p0).min();
        let any_in_bulk = rows().any(|row| in_bulk(&row));
        let review = clean.and_then(|clean| review(rows, clean));
        let last_read = reports.iter().map(|report| report.last_read).min().unwrap();
        let is_proof = |deadline: Timestamp| match sight {
            Sight::Look => last_read > deadline,
            Sight::Clear => true,
            Sight::Blind => false,
        };
        let joined = reports.iter().map(|report| report.first_seen).max().unwrap();
        let begun = [Some(anchor), Some(anchor), clean];
        let Promises { first_response, closed: closing, second_review, .. } = self.promises;
        let within = [first_response, closing, second_review].map(Span::from_mins);
        let done = [response, closed, review];
        for target in 0..3 {
            if let Some(Broken::Unproved(deadline)) = episode.broken[target] {
                // It keeps its beginning and its deadline until it is proved or refuted. What refutes it may
                // still be late by an earlier report that joined meanwhile: its deadline is looked at anew.
                if !is_proof(deadline) {
                    continue;
                }
                let in_time = done[target].filter(|at| *at <= deadline);
                episode.broken[target] = if in_time.is_some() { None } else { Some(Broken::Proved) };
                episode.met[target] = in_time;
                if in_time.is_some() {
                    self.breaches.remove(&(true, key.0, TARGETS[target], deadline));
                }
            }
            let Some(started) = begun[target] else { continue };
            let due = started.plus(within[target]);
            // What was met is not judged by a shorter promise that came after it.
            let as_met = episode.met[target].is_some() && episode.met[target] == done[target];
            let held = episode.held[target].filter(|(begun, at)| as_met && *begun == started && due < *at);
            let deadline = held.map_or(due, |(_, at)| at);
            episode.held[target] = Some((started, deadline));
            let undone = |met: &Timestamp| match target {
                0 => *met > deadline,
                1 => closed.is_none_or(|at| at > deadline && (joined > *met || *met > deadline)),
                _ => (review.is_none() && clean > Some(*met)) || *met > deadline,
            };
            episode.met[target] = episode.met[target].filter(|met| !undone(met));
            episode.met[target] = episode.met[target].or(done[target].filter(|at| *at <= deadline));
            let decided = is_proof(deadline) || sight == Sight::Blind;
            if episode.broken[target].is_none() && episode.met[target].is_none() && now > deadline && decided {
                self.breaches.insert((true, key.0, TARGETS[target], deadline));
                let proved = is_proof(deadline);
                episode.broken[target] = Some(if proved { Broken::Proved } else { Broken::Unproved(deadline) });
            }
        }
        episode.reviewed_late |= episode.broken[2].is_some() && review.is_some();
        let violation = rows().any(|row| row.verdict == Verdict::Violation);
        episode.ended = closed.is_some() && ((violation && !any_in_bulk) || review.is_some());
        let review_owed = match episode.broken[2] {
            Some(_) => !episode.reviewed_late,
            None => clean.is_some() && episode.met[2].is_none(),
        };
        let unproved = episode.broken.iter().any(|broken| matches!(broken, Some(Broken::Unproved(_))));
        episode.rests = episode.ended && !review_owed && !unproved;
        let doubled = 1 << episode.reports.len().ilog2();
        if !episode.ended && doubled > episode.repeats.max(1) {
            episode.repeats = doubled;
            self.repeats.push((key.0, key.1, doubled));
        }
    }

    fn judge_lesser(&mut self, id: i64, now: Timestamp, sight: Sight) {
        let Some(report) = self.reports.get_mut(&id) else { return };
        if class(&report.row) != Class::Lesser {
            return;
        }
        let closed = report.row.event(EventName::Closed).map(|event| event.at.max(received(&report.row)));
        let mut still = report.lesser.credited.clone();
        let within = match &*report.row.category {
            "threat" => self.promises.threat,
            "ncii" => self.promises.ncii,
            _ => {
                still.extend(office::closed(received(&report.row), OFFICE_DAYS));
                self.promises.spam
            }
        };
        let deadline = due(received(&report.row), Span::from_mins(within), &still);
        report.lesser.deadline = Some(deadline);
        // What was closed in time stays so until it is open again: by a shorter promise, or closed once more.
        let met = |at: Timestamp| report.lesser.met || at <= deadline;
        report.lesser.met = closed.is_some_and(met);
        // Time alone does nothing to a paused row: it is judged by reads, and each has credited what it may.
        let standing_still = report.row.paused && !report.gone && sight == Sight::Clear && report.last_read < now;
        let unmet = !report.lesser.met && (sight == Sight::Clear || report.last_read > deadline);
        if !report.lesser.breached && unmet && now > deadline && !standing_still {
            report.lesser.breached = true;
            self.breaches.insert((false, Case::Report(id), "closed", deadline));
        }
        let paused = report.row.paused && !report.gone;
        report.lesser.stored |= report.lesser.breached || paused || !report.lesser.credited.is_empty();
        if closed.is_some() || report.gone {
            let settled = self.reports.remove(&id);
            self.remembered.extend(settled.filter(|report| report.lesser.stored).map(|report| (id, report)));
        }
    }
}

/// The earliest review, at or after the first "no violation", by a person who had closed none of the
/// reports by then.
fn review<'r, I: Iterator<Item = &'r Row>>(rows: impl Fn() -> I, clean: Timestamp) -> Option<Timestamp> {
    let events = || rows().flat_map(|row| &row.events);
    let had_closed = |review: &Event| {
        let mut closures = events().filter(|event| event.name == EventName::Closed);
        closures.any(|closure| closure.by == review.by && closure.at <= review.at)
    };
    let reviews = events().filter(|event| event.name == EventName::SecondReview && event.at >= clean);
    reviews.filter(by_person).filter(|event| !had_closed(event)).map(|event| event.at).min()
}

/// Counts minute by minute, and within the last one by what is left, the time that no pause covers.
fn due(from: Timestamp, within: Span, paused: &[(Timestamp, Timestamp)]) -> Timestamp {
    let (mut at, mut left) = (from, within);
    loop {
        if let Some((_, until)) = paused.iter().find(|(from, until)| *from <= at && at < *until) {
            at = *until;
            continue;
        }
        let next = paused.iter().map(|(from, _)| *from).filter(|from| *from > at).min();
        let free = next.map_or(left, |next| next.since(at));
        if free >= left {
            return at.plus(left);
        }
        (at, left) = (at.plus(free), left.minus(free));
    }
}
