//! Open cases to which nothing has happened yet: below P0, one report, every clock running or not started. All of
//! such a case follows from a line of a few dozen bytes and the policy, so that a backlog of a million fits in
//! little memory. The first thing that happens to a case makes it whole again.

use super::case::{Case, Report};
use super::clock::{Clock, ClockState};
use super::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey, Subject};
use super::observation::{Received, Row, Verdict};
use super::policy::{Policy, Priority, Standing};
use super::rank::Rank;
use super::reports::Reports;
use super::segments::Remembered;
use super::time::{Span, Timestamp};
use super::view::Group;
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

/// Where a line lies. It stays until its case is made whole or goes.
pub type Slot = u32;

/// What a plan changes of lines that stay lines: memory only.
#[derive(Clone, Debug, Default)]
pub struct LineChanges {
    /// Lines that a read found unchanged, and when it began.
    pub seen: Vec<(Slot, Timestamp)>,
    /// Lines whose deadline has passed and whose rows are being read for proof.
    pub asked: Vec<Slot>,
    /// After a change of policy: every line below this slot has been judged anew.
    pub judged_until: Option<Slot>,
}

/// What lines have in common; each is kept once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    source: Name,
    priority: Priority,
    category: Name,
    rule: Name,
    escalation: Option<Name>,
    verdict: Verdict,
}

/// A number where the id is one: nearly all are.
#[derive(Debug)]
enum Id {
    Int(i64),
    Other(Box<ReportId>),
}

#[derive(Debug)]
struct Line {
    id: Id,
    received: Timestamp,
    read_began: Timestamp,
    /// The deadline that it runs to; `Timestamp::MAX` where none does.
    due: Timestamp,
    /// The row, where it says more than its line.
    row: Option<Box<Row>>,
    kind: u32,
    /// Counted from `received`, rounded down.
    first_seen_secs: u32,
}

/// (priority, deadline, received, slot): with no more than this, lines stand in rank order but for ties.
type Place = (Priority, Timestamp, Timestamp, Slot);

#[derive(Debug, Default)]
pub struct Lines {
    slab: Vec<Option<Line>>,
    /// Of the reported items, by slot; as long as the last line that has one.
    subjects: Vec<Option<Subject>>,
    free: Vec<Slot>,
    kinds: Vec<Kind>,
    kind_numbers: BTreeMap<Kind, u32>,
    /// Slots by (source, id).
    slots: HashTable<Slot>,
    running: BTreeSet<Place>,
    asked: BTreeSet<Place>,
}

impl Lines {
    /// Takes a case as a line and gives the place of its report; gives it back when it needs more than that.
    pub fn take(&mut self, case: Case) -> Result<(Name, ReportId), Box<Case>> {
        let Some((key, report)) = only_report(&case) else { return Err(Box::new(case)) };
        let kind = Kind {
            source: key.source.clone(),
            priority: case.priority,
            category: case.category.clone(),
            rule: case.rule.clone(),
            escalation: case.escalation.clone(),
            verdict: report.row.verdict,
        };
        let (priority, due) = (kind.priority, case.next_deadline().unwrap_or(Timestamp::MAX));
        let first_seen_secs = report.first_seen.since(report.received).secs();
        let line = Line {
            id: Id::of(&key.id),
            received: report.received,
            read_began: report.read_began,
            due,
            row: says_more(&report.row).then(|| Box::new(report.row.clone())),
            kind: self.number_of(kind),
            first_seen_secs: u32::try_from(first_seen_secs.max(0)).unwrap_or(u32::MAX),
        };
        let received = line.received;
        let slot = self.put(line, report.row.subject);
        self.running.insert((priority, due, received, slot));
        Ok((key.source.clone(), key.id.clone()))
    }

    fn put(&mut self, line: Line, subject: Option<Subject>) -> Slot {
        let hash = line.hash(&self.kinds);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            Slot::try_from(self.slab.len() - 1).unwrap_or(Slot::MAX)
        });
        self.slab[slot as usize] = Some(line);
        if subject.is_some() && self.subjects.len() <= slot as usize {
            self.subjects.resize(slot as usize + 1, None);
        }
        if let Some(place) = self.subjects.get_mut(slot as usize) {
            *place = subject;
        }
        let (slab, kinds) = (&self.slab, &self.kinds);
        let rehash = |slot: &Slot| slab[*slot as usize].as_ref().map_or(0, |line| line.hash(kinds));
        self.slots.insert_unique(hash, slot, rehash);
        slot
    }

    pub fn slot(&self, source: &Name, id: &ReportId) -> Option<Slot> {
        let is_it = |slot: &Slot| {
            let line = self.line(*slot);
            line.is_some_and(|line| line.is(id) && self.kinds[line.kind as usize].source == *source)
        };
        self.slots.find(hash_of(source, id), is_it).copied()
    }

    pub fn remove(&mut self, slot: Slot) {
        let Some(line) = self.slab.get_mut(slot as usize).and_then(Option::take) else { return };
        let place = (self.kinds[line.kind as usize].priority, line.due, line.received, slot);
        if !self.running.remove(&place) {
            self.asked.remove(&place);
        }
        if let Ok(entry) = self.slots.find_entry(line.hash(&self.kinds), |held| *held == slot) {
            entry.remove();
        }
        self.free.push(slot);
    }

    pub fn apply(&mut self, changes: LineChanges) {
        for (slot, read_began) in changes.seen {
            if let Some(line) = self.slab.get_mut(slot as usize).and_then(Option::as_mut) {
                line.read_began = line.read_began.max(read_began);
            }
        }
        for slot in changes.asked {
            let Some(line) = self.line(slot) else { continue };
            let place = (self.kinds[line.kind as usize].priority, line.due, line.received, slot);
            if self.running.remove(&place) {
                self.asked.insert(place);
            }
        }
    }

    /// Whether a read begun at `read_began` says nothing that the line doesn't, and proves nothing.
    pub fn is_unchanged(&self, slot: Slot, row: Option<&Row>, read_began: Timestamp) -> bool {
        let (Some(line), Some(row)) = (self.line(slot), row) else { return false };
        let same = match &line.row {
            Some(held) => **held == *row,
            None => {
                let kind = &self.kinds[line.kind as usize];
                let stated = row.received == Received::At(line.received) && row.category == kind.category;
                stated && row.subject == self.subject(slot) && !says_more(row) && kind.verdict == row.verdict
            }
        };
        same && line.due >= read_began
    }

    pub fn read_began(&self, slot: Slot) -> Option<Timestamp> {
        self.line(slot).map(|line| line.read_began)
    }

    /// The whole case as it was last read, its clocks those that the policy of now asks for.
    pub fn whole(&self, slot: Slot, policy: &Policy) -> Option<Case> {
        let mut case = self.without_clocks(slot)?;
        // At the last read no deadline had passed, so that this gives every clock its deadline and no more.
        case.refresh(policy, self.line(slot)?.read_began);
        Some(case)
    }

    /// The case for somebody who is about to derive it anew.
    pub fn without_clocks(&self, slot: Slot) -> Option<Case> {
        let line = self.line(slot)?;
        let kind = &self.kinds[line.kind as usize];
        let plain = || Row {
            subject: self.subject(slot),
            verdict: kind.verdict,
            ..Row::bare(Received::At(line.received), kind.category.clone())
        };
        let report = Report {
            row: line.row.as_ref().map_or_else(plain, |row| Row::clone(row)),
            received: line.received,
            anchored_at_first_sight: false,
            first_seen: line.received.plus(Span::from_secs(i64::from(line.first_seen_secs))),
            read_began: line.read_began,
            gone: None,
            base: None,
            told: Vec::new(),
        };
        Some(Case {
            key: self.key(slot)?,
            priority: kind.priority,
            standing: Standing::Known,
            raised: false,
            spread: 0,
            category: kind.category.clone(),
            rule: kind.rule.clone(),
            escalation: kind.escalation.clone(),
            reports: Reports::from([(self.report_key(slot)?, report)]),
            clocks: Vec::new(),
            pauses: Vec::new(),
            incident: None,
            ended: None,
            reopenings: 0,
            closed_by: Vec::new(),
            held_until: None,
            repeats_told: 0,
            raise_seen: false,
            crossed: None,
            stored: false,
        })
    }

    pub fn report_key(&self, slot: Slot) -> Option<ReportKey> {
        let line = self.line(slot)?;
        Some(ReportKey { source: self.kinds[line.kind as usize].source.clone(), id: line.id(), incarnation: 0 })
    }

    pub fn key(&self, slot: Slot) -> Option<EpisodeKey> {
        Some(EpisodeKey { case: CaseKey::Report(self.report_key(slot)?), episode: 0 })
    }

    pub fn priority(&self, slot: Slot) -> Option<Priority> {
        self.line(slot).map(|line| self.kinds[line.kind as usize].priority)
    }

    pub fn group(&self, slot: Slot) -> Option<Group> {
        let kind = &self.kinds[self.line(slot)?.kind as usize];
        Some(Group { source: kind.source.clone(), category: kind.category.clone(), priority: kind.priority })
    }

    /// Since when it is open, and the deadline that it runs to.
    pub fn runs(&self, slot: Slot) -> Option<(Timestamp, Option<Timestamp>)> {
        self.line(slot).map(|line| (line.received, Some(line.due).filter(|due| *due < Timestamp::MAX)))
    }

    /// Whether a case is one of them.
    pub fn holds(&self, key: &EpisodeKey) -> bool {
        let CaseKey::Report(report) = &key.case else { return false };
        self.slot(&report.source, &report.id).is_some_and(|slot| self.key(slot).as_ref() == Some(key))
    }

    /// When the next deadline has passed, since a target met at the very instant is met.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let first = |priority| self.running.range((priority, Timestamp::MIN, Timestamp::MIN, 0)..).next();
        let of_priority = |priority| first(priority).filter(|place| place.0 == priority);
        let next = Priority::ALL.into_iter().filter_map(of_priority).map(|place| place.1).min();
        next.filter(|at| *at < Timestamp::MAX).map(past)
    }

    /// Lines whose deadline has passed, by priority.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = Slot> {
        let of_priority = move |priority| {
            let places = self.running.range((priority, Timestamp::MIN, Timestamp::MIN, 0)..);
            places.take_while(move |place| place.0 == priority && place.1 < Timestamp::MAX && past(place.1) <= now)
        };
        Priority::ALL.into_iter().flat_map(of_priority).map(|place| place.3)
    }

    /// Reports of a source that no read begun since `since` has answered for.
    pub fn unseen(&self, source: &Name, since: Timestamp) -> impl Iterator<Item = (Priority, ReportKey)> {
        let lines = self.slab.iter().enumerate().filter_map(|(at, line)| Some((at as Slot, line.as_ref()?)));
        let of_source =
            lines.filter(move |(_, line)| line.read_began < since && self.kinds[line.kind as usize].source == *source);
        of_source.filter_map(|(slot, line)| Some((self.kinds[line.kind as usize].priority, self.report_key(slot)?)))
    }

    /// The first lines in rank order after this place, at most `limit`; from the first where none is given.
    pub fn after(&self, after: Option<&Rank>, limit: usize) -> Vec<(Rank, Slot)> {
        let mut head = Vec::new();
        let first = (Priority::P0, Timestamp::MIN, Timestamp::MIN, 0);
        let from = after.map_or(first, |rank| (rank.priority, rank.deadline, rank.received, 0));
        let mut places = merge(self.asked.range(from..), self.running.range(from..)).peekable();
        while let Some(&(priority, due, received, slot)) = places.next().filter(|_| head.len() < limit) {
            let mut tied = vec![slot];
            while let Some(next) = places.next_if(|next| (next.0, next.1, next.2) == (priority, due, received)) {
                tied.push(next.3);
            }
            let mut tied: Vec<_> = tied.into_iter().filter_map(|slot| Some((self.rank(slot)?, slot))).collect();
            tied.retain(|(rank, _)| after.is_none_or(|after| rank > after));
            tied.sort_unstable();
            head.extend(tied);
        }
        head.truncate(limit);
        head
    }

    /// Lines of this priority.
    pub fn of_priority(&self, priority: Priority) -> impl Iterator<Item = Slot> {
        let from = (priority, Timestamp::MIN, Timestamp::MIN, 0);
        let places = self.running.range(from..).take_while(move |place| place.0 == priority);
        places.chain(self.asked.range(from..).take_while(move |place| place.0 == priority)).map(|place| place.3)
    }

    /// Lines in the order in which they lie, from this slot on.
    pub fn starting_at(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        let lines = self.slab.iter().enumerate().skip(slot as usize);
        lines.filter(|(_, line)| line.is_some()).map(|(at, _)| at as Slot)
    }

    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.within(0..self.end())
    }

    /// The lines of these slots.
    pub fn within(&self, slots: Range<Slot>) -> impl Iterator<Item = Slot> {
        slots.filter(|slot| self.line(*slot).is_some())
    }

    /// One more than the last slot.
    pub fn end(&self) -> Slot {
        Slot::try_from(self.slab.len()).unwrap_or(Slot::MAX)
    }

    /// The lines of a source from a slot on.
    pub fn slots_of(&self, source: &Name, from: Slot) -> impl Iterator<Item = Slot> {
        let lines = self.slab.iter().enumerate().skip(from as usize);
        let of_source = lines.filter(move |(_, line)| {
            line.as_ref().is_some_and(|line| self.kinds[line.kind as usize].source == *source)
        });
        of_source.map(|(at, _)| at as Slot)
    }

    /// What the next start must know of a line.
    pub fn remembered(&self, slot: Slot) -> Option<Remembered> {
        let line = self.line(slot)?;
        let category = self.kinds[line.kind as usize].category.clone();
        Some(Remembered { id: line.id(), category, received: line.received })
    }

    fn rank(&self, slot: Slot) -> Option<Rank> {
        let line = self.line(slot)?;
        Some(Rank {
            priority: self.kinds[line.kind as usize].priority,
            standing: Standing::Known,
            raised: Reverse(false),
            deadline: line.due,
            spread: Reverse(0),
            received: line.received,
            key: self.key(slot)?,
        })
    }

    fn subject(&self, slot: Slot) -> Option<Subject> {
        self.subjects.get(slot as usize).copied().flatten()
    }

    fn line(&self, slot: Slot) -> Option<&Line> {
        self.slab.get(slot as usize).and_then(Option::as_ref)
    }

    fn number_of(&mut self, kind: Kind) -> u32 {
        if let Some(number) = self.kind_numbers.get(&kind) {
            return *number;
        }
        let number = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        self.kinds.push(kind.clone());
        self.kind_numbers.insert(kind, number);
        number
    }
}

impl Id {
    fn of(id: &ReportId) -> Id {
        match id {
            ReportId::Int(id) => Id::Int(*id),
            other => Id::Other(Box::new(other.clone())),
        }
    }
}

impl Line {
    fn id(&self) -> ReportId {
        match &self.id {
            Id::Int(id) => ReportId::Int(*id),
            Id::Other(id) => ReportId::clone(id),
        }
    }

    fn is(&self, id: &ReportId) -> bool {
        match (&self.id, id) {
            (Id::Int(held), ReportId::Int(id)) => held == id,
            (Id::Other(held), id) => **held == *id,
            (Id::Int(_), _) => false,
        }
    }

    fn hash(&self, kinds: &[Kind]) -> u64 {
        hash_of(&kinds[self.kind as usize].source, &self.id())
    }
}

/// The one report of a case that a line can hold; `None` where it couldn't be made whole again from it.
fn only_report(case: &Case) -> Option<(&ReportKey, &Report)> {
    let Case {
        key,
        priority: _,
        standing,
        raised,
        spread,
        category,
        rule: _,
        escalation: _,
        reports,
        clocks,
        pauses,
        incident,
        ended,
        reopenings,
        closed_by,
        held_until,
        repeats_told,
        raise_seen,
        crossed,
        stored,
    } = case;
    let untouched = *standing == Standing::Known
        && !(*raised || *raise_seen || *stored)
        && (*spread, *reopenings, *repeats_told) == (0, 0, 0)
        && pauses.is_empty()
        && closed_by.is_empty()
        && held_until.is_none()
        && incident.is_none()
        && ended.is_none()
        && crossed.is_none();
    let mut reports = reports.iter();
    let (Some((report_key, report)), None) = (reports.next(), reports.next()) else { return None };
    let alone = key.case == CaseKey::Report(report_key.clone()) && (key.episode, report_key.incarnation) == (0, 0);
    let plain = !case.is_p0() && untouched && alone && is_plain(report, category) && clocks.iter().all(is_plain_clock);
    plain.then_some((report_key, report))
}

fn is_plain(report: &Report, category: &Name) -> bool {
    let row = &report.row;
    row.received == Received::At(report.received)
        && row.category == *category
        && row.events.is_empty()
        && !row.paused
        && report.gone.is_none()
        && report.base.is_none()
        && report.told.is_empty()
        && !report.anchored_at_first_sight
        && !report.is_superseded()
}

fn is_plain_clock(clock: &Clock) -> bool {
    clock.state == ClockState::Running && clock.warns_at.is_none() && clock.warned_of.is_none() && clock.since.is_none()
}

fn says_more(row: &Row) -> bool {
    !(row.events.is_empty() && row.dues.is_empty() && row.facts.is_empty() && !row.paused)
}

fn past(deadline: Timestamp) -> Timestamp {
    deadline.plus(Span::from_micros(1))
}

/// Two ordered walks as one.
fn merge<'a>(
    one: impl Iterator<Item = &'a Place>,
    other: impl Iterator<Item = &'a Place>,
) -> impl Iterator<Item = &'a Place> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if b < a => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

fn hash_of(source: &Name, id: &ReportId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (source, id).hash(&mut hasher);
    hasher.finish()
}
