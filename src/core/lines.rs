//! Open cases that can be told in a few dozen bytes: below P0, one report to which nothing has happened, every clock
//! running, not started, or broken with everything done about it. All of such a case follows from its line and the
//! policy, so that a backlog of a million fits in little memory. The first thing that happens to a case makes it
//! whole again.

mod overdue;
mod shelves;
mod slab;
mod table;
#[cfg(test)]
mod tests;
mod walk;

pub use shelves::{Key, Shelves, merge};
pub use walk::in_order;

use super::case::{Case, Report};
use super::clock::{Clock, ClockState};
use super::draft::members_of;
use super::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey, Subject};
use super::observation::{Received, Row};
use super::policy::{Policy, Priority, Standing};
use super::reports::Reports;
use super::time::{Span, Timestamp};
use hashbrown::HashTable;
use overdue::{Packed, Promise};
use slab::{Kind, Line, Slab, hash_of};
use std::collections::{BTreeMap, BTreeSet};
use table::Table;

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
    /// Cases that begin as lines.
    pub begun: Vec<Loose>,
}

/// A line before it is laid down.
#[derive(Clone, Debug)]
pub struct Loose {
    id: ReportId,
    subject: Option<Subject>,
    kind: Kind,
    received: Timestamp,
    read_began: Timestamp,
    due: Timestamp,
    row: Option<Box<Row>>,
    first_seen_secs: u32,
}

impl Loose {
    /// The line of a case; `None` where it couldn't be made whole again from it. What is overdue needs its clocks beside.
    pub fn of(case: &Case) -> Option<Loose> {
        #[cfg(test)]
        if tests::holds_all_whole() {
            return None;
        }
        let (key, report) = only_report(case)?;
        let is_overdue = case.is_overdue();
        // What is overdue is in the store, what is not overdue has nothing that the store must keep.
        let held_as_it_is = case.stored == is_overdue && if is_overdue { stands_alone(case) } else { runs_only(case) };
        if !held_as_it_is {
            return None;
        }
        let kind = Kind {
            source: key.source.clone(),
            priority: case.priority,
            category: case.category.clone(),
            rule: case.rule.clone(),
            escalation: case.escalation.clone(),
            verdict: report.row.verdict,
            is_overdue,
        };
        let first_seen_secs = report.first_seen.since(report.received).secs();
        Some(Loose {
            id: key.id.clone(),
            subject: report.row.subject,
            kind,
            received: report.received,
            read_began: report.read_began,
            due: case.next_deadline().unwrap_or(Timestamp::MAX),
            row: says_more(&report.row).then(|| Box::new(report.row.clone())),
            first_seen_secs: u32::try_from(first_seen_secs.max(0)).unwrap_or(u32::MAX),
        })
    }

    /// Where it lies.
    pub fn place(&self) -> (Name, ReportId) {
        (self.kind.source.clone(), self.id.clone())
    }
}

/// The clocks of a line that is overdue.
type Clocks = Box<[Packed]>;

/// (priority, deadline, received, slot): with no more than this, lines stand in rank order but for ties.
pub type Place = (Priority, Timestamp, Timestamp, Slot);

impl Key for Place {
    fn number(&self) -> i64 {
        // Deadlines lie in the years 1970 to 9999, or nowhere: microseconds of them need 58 bits.
        const BITS: u32 = 59;
        ((self.0 as i64) << BITS) + self.1.micros().clamp(0, (1 << BITS) - 1)
    }
}

#[derive(Debug, Default)]
pub struct Lines {
    slab: Slab,
    /// Slots by (source, id).
    slots: HashTable<Slot>,
    /// Lines that wake when the deadline passes that ranks them ...
    running: Shelves<Place>,
    /// ... and those that don't: it has passed.
    passed: Shelves<Place>,
    /// The clocks of what is overdue.
    overdue: BTreeMap<Slot, Clocks>,
    promises: Table<Promise>,
    /// The next deadline of what is overdue.
    next: BTreeSet<(Priority, Timestamp, Slot)>,
}

impl Lines {
    /// Takes a case as a line; gives it back when it needs more than that.
    pub fn take(&mut self, case: Box<Case>) -> Result<Slot, Box<Case>> {
        let Some(loose) = Loose::of(&case) else { return Err(case) };
        if !loose.kind.is_overdue {
            return Ok(self.lay(loose, None));
        }
        match overdue::pack(&case.clocks, loose.received, &mut self.promises) {
            Some(clocks) => Ok(self.lay(loose, Some(clocks))),
            None => Err(case),
        }
    }

    /// Lays down a line that is not overdue.
    pub fn put(&mut self, loose: Loose) -> Slot {
        self.lay(loose, None)
    }

    fn lay(&mut self, loose: Loose, clocks: Option<Clocks>) -> Slot {
        let Loose { id, subject, kind, received, read_began, due, row, first_seen_secs } = loose;
        let kind = self.slab.kinds.number_of(kind);
        let line = Line { id: 0, received, read_began, due, row, kind, first_seen_secs };
        let slot = self.slab.put(line, id, subject);
        let slab = &self.slab;
        self.slots.insert_unique(slab.hash(slot), slot, |slot| slab.hash(*slot));
        match clocks {
            None => self.running.insert(slot, |slot| slab.place(slot)),
            Some(clocks) => {
                self.passed.insert(slot, |slot| slab.place(slot));
                self.overdue.insert(slot, clocks);
                self.next.extend(self.next_of(slot));
            }
        }
        slot
    }

    pub fn slot(&self, source: &Name, id: &ReportId) -> Option<Slot> {
        self.slots.find(hash_of(source, id), |slot| self.slab.is(*slot, source, id)).copied()
    }

    pub fn remove(&mut self, slot: Slot) {
        if let Some(next) = self.next_of(slot) {
            self.next.remove(&next);
        }
        let slab = &self.slab;
        if !self.running.remove(slot, |slot| slab.place(slot)) {
            self.passed.remove(slot, |slot| slab.place(slot));
        }
        if let Ok(entry) = self.slots.find_entry(slab.hash(slot), |held| *held == slot) {
            entry.remove();
        }
        self.overdue.remove(&slot);
        self.slab.take(slot);
    }

    pub fn apply(&mut self, changes: LineChanges) {
        for (slot, read_began) in changes.seen {
            if let Some(line) = self.slab.line_mut(slot) {
                line.read_began = line.read_began.max(read_began);
            }
        }
        for slot in changes.asked {
            let slab = &self.slab;
            if self.running.remove(slot, |slot| slab.place(slot)) {
                self.passed.insert(slot, |slot| slab.place(slot));
            } else if let Some(next) = self.next_of(slot) {
                self.next.remove(&next);
            }
        }
    }

    /// Whether a read begun at `read_began` says nothing that the line doesn't, and proves nothing.
    pub fn is_unchanged(&self, slot: Slot, row: Option<&Row>, read_began: Timestamp) -> bool {
        let (Some(line), Some(kind), Some(row)) = (self.slab.line(slot), self.slab.kind(slot), row) else {
            return false;
        };
        let same = match &line.row {
            Some(held) => **held == *row,
            None => {
                let stated = row.received == Received::At(line.received) && row.category == kind.category;
                stated && row.subject == self.slab.subject(slot) && !says_more(row) && kind.verdict == row.verdict
            }
        };
        let runs_to = if kind.is_overdue { self.runs_to(slot) } else { Some(line.due) };
        same && runs_to.is_none_or(|deadline| deadline >= read_began)
    }

    pub fn read_began(&self, slot: Slot) -> Option<Timestamp> {
        self.slab.line(slot).map(|line| line.read_began)
    }

    /// The whole case as it was last read. What is not overdue has the clocks that the policy of now asks for.
    pub fn whole(&self, slot: Slot, policy: &Policy) -> Option<Case> {
        let mut case = self.to_derive(slot)?;
        if !self.is_overdue(slot) {
            // At the last read no deadline had passed, so that this gives every clock its deadline and no more.
            case.refresh(policy, self.read_began(slot)?);
        }
        Some(case)
    }

    /// The case for somebody who is about to derive it anew: of its clocks it has those that can't be derived.
    pub fn to_derive(&self, slot: Slot) -> Option<Case> {
        let (line, kind) = (self.slab.line(slot)?, self.slab.kind(slot)?);
        let clocks = self.overdue.get(&slot);
        Some(Case {
            key: self.key(slot)?,
            priority: kind.priority,
            standing: Standing::Known,
            raised: false,
            spread: 0,
            category: kind.category.clone(),
            rule: kind.rule.clone(),
            escalation: kind.escalation.clone(),
            reports: Reports::from([(self.report_key(slot)?, self.slab.report(slot)?)]),
            clocks: clocks.map_or_else(Vec::new, |clocks| overdue::unpack(clocks, line.received, &self.promises)),
            pauses: Vec::new(),
            incident: None,
            ended: None,
            reopenings: 0,
            closed_by: Vec::new(),
            held_until: None,
            repeats_told: 0,
            raise_seen: false,
            crossed: None,
            stored: kind.is_overdue,
        })
    }

    pub fn report_key(&self, slot: Slot) -> Option<ReportKey> {
        self.slab.report_key(slot)
    }

    pub fn key(&self, slot: Slot) -> Option<EpisodeKey> {
        self.slab.key(slot)
    }

    /// The line of a case, if it is one.
    pub fn slot_of(&self, key: &EpisodeKey) -> Option<Slot> {
        let CaseKey::Report(report) = &key.case else { return None };
        let slot = self.slot(&report.source, &report.id)?;
        (report.incarnation == 0 && key.episode == 0).then_some(slot)
    }

    pub fn is_overdue(&self, slot: Slot) -> bool {
        self.slab.kind(slot).is_some_and(|kind| kind.is_overdue)
    }

    /// The incident that an overdue line stands in, by the deadline that ranks it.
    pub fn incident(&self, slot: Slot) -> Option<IncidentNo> {
        self.overdue.get(&slot)?.iter().find_map(Packed::incident)
    }

    pub fn place(&self, slot: Slot) -> Option<Place> {
        self.slab.place(slot)
    }

    /// Of an overdue line, the deadline that comes next.
    fn runs_to(&self, slot: Slot) -> Option<Timestamp> {
        self.overdue.get(&slot)?.iter().filter_map(Packed::runs_to).min()
    }

    fn next_of(&self, slot: Slot) -> Option<(Priority, Timestamp, Slot)> {
        Some((self.slab.kind(slot)?.priority, self.runs_to(slot)?, slot))
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
        clocks: _,
        pauses,
        incident,
        ended,
        reopenings,
        closed_by,
        held_until,
        repeats_told,
        raise_seen,
        crossed,
        stored: _,
    } = case;
    let untouched = *standing == Standing::Known
        && !(*raised || *raise_seen)
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
    let plain = !case.is_p0() && untouched && alone && is_plain(report, category);
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

fn runs_only(case: &Case) -> bool {
    let runs = |clock: &Clock| {
        let never_warns = clock.warns_at.is_none() && clock.warned_of.is_none();
        clock.state == ClockState::Running && never_warns && clock.since.is_none()
    };
    case.clocks.iter().all(runs)
}

/// Whether it stands in one incident at most, with the deadline that ranks it.
fn stands_alone(case: &Case) -> bool {
    let members = members_of(case);
    members.len() <= 1 && members.values().all(|(_, deadline, _)| Some(*deadline) == case.next_deadline())
}

fn says_more(row: &Row) -> bool {
    !(row.events.is_empty() && row.dues.is_empty() && row.facts.is_empty() && !row.paused)
}

/// When a deadline has passed, since a target met at the very instant is met.
fn past(deadline: Timestamp) -> Timestamp {
    deadline.plus(Span::from_micros(1))
}
