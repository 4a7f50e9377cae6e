//! Open cases that can be told in a few dozen bytes: below P0, one report, every clock running, not started, met, or broken
//! with everything done about it. All of such a case follows from its line and the policy, so that a backlog of a million
//! fits in little memory. What happens to a case beyond that makes it whole again.

mod by_id;
mod chunks;
mod clocks;
mod fits;
mod merge;
mod ordered;
mod ranked;
mod shelves;
mod slab;
mod table;
#[cfg(test)]
mod tests;
mod walk;

pub use merge::merge;
pub use ordered::Ordered;
pub use shelves::Key;
pub use walk::{Said, in_order};

use super::case::Case;
use super::clock::{Clock, ClockState};
use super::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey, Subject};
use super::observation::{Received, Row};
use super::policy::{Policy, Priority, Standing};
use super::reports::Reports;
use super::time::{Span, Timestamp};
use super::waiting::Waiting;
use by_id::ById;
use clocks::{Clocks, Packed, Promise};
use fits::fitting;
use ranked::Ranked;
use slab::{Kind, KindRef, Line, More, Slab, says_more};
use std::collections::BTreeSet;
use table::{Number, Table};

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
    pub begun: Vec<(ReportId, Loose)>,
    /// Lines that say something else now.
    pub changed: Vec<(Slot, Loose)>,
}

/// What a line says, before it is laid down.
#[derive(Clone, Debug, PartialEq)]
pub struct Loose {
    subject: Option<Subject>,
    kind: AnyKind,
    received: Timestamp,
    read_began: Timestamp,
    due: Timestamp,
    more: Option<Box<More>>,
    first_seen_secs: u32,
}

/// A kind that lines have already, or a new one.
#[derive(Clone, Debug, PartialEq)]
enum AnyKind {
    Known(Number),
    New(Box<Kind>),
}

/// (priority, deadline, received, slot): with no more than this, lines stand in rank order but for ties.
pub type Place = (Priority, Timestamp, Timestamp, Slot);

/// Deadlines lie in the years 1970 to 9999, or nowhere: microseconds of them need 58 bits.
const DUE_BITS: u32 = 59;

impl Key for Place {
    #[inline]
    fn number(&self) -> i64 {
        ((self.0 as i64) << DUE_BITS) + self.1.micros().clamp(0, (1 << DUE_BITS) - 1)
    }
}

#[derive(Debug, Default)]
pub struct Lines {
    slab: Slab,
    by_id: ById,
    ranked: Ranked,
    promises: Table<Promise>,
    /// The next deadline of what is overdue.
    next: BTreeSet<(Priority, Timestamp, Slot)>,
}

impl Lines {
    /// Takes a case as a line; gives it back when it needs more than that.
    pub fn take(&mut self, case: Box<Case>) -> Result<Slot, Box<Case>> {
        let Some(id) = fitting(&case).map(|(key, _)| key.id.clone()) else { return Err(case) };
        if !all_run(&case.clocks) {
            clocks::learn(&case.clocks, &mut self.promises);
        }
        match self.loose(&case) {
            Some(loose) => Ok(self.put(id, loose)),
            None => Err(case),
        }
    }

    /// The line of a case; `None` where it couldn't be made whole again from that, or promises what no line has promised
    /// yet.
    pub fn loose(&self, case: &Case) -> Option<Loose> {
        let (key, report) = fitting(case)?;
        let clocks = self.pack(case)?;
        let kind = KindRef {
            source: &key.source,
            priority: case.priority,
            category: &case.category,
            rule: &case.rule,
            escalation: case.escalation.as_ref(),
            verdict: report.row.verdict,
            is_overdue: case.is_overdue(),
        };
        Some(Loose {
            subject: report.row.subject,
            kind: self.of_kind(kind),
            received: report.received,
            read_began: report.read_began,
            due: case.next_deadline().unwrap_or(Timestamp::MAX),
            more: More::of(&report.row, clocks),
            first_seen_secs: seconds(report.first_seen.since(report.received)),
        })
    }

    /// The line of a report that is seen for the first time and only waits: what [`Lines::loose`] would make of its case.
    pub fn begin(&self, source: &Name, waiting: &Waiting<'_>, read_began: Timestamp) -> Option<Loose> {
        self.of_waiting(source, waiting, (seconds(read_began.since(waiting.received)), read_began))
    }

    /// When the report of a line came in to which nothing has happened yet, and which has broken nothing.
    pub fn untouched(&self, slot: Slot) -> Option<Timestamp> {
        let line = self.slab.line(slot).filter(|line| line.clocks().is_empty() && !line.has_events())?;
        Some(line.received).filter(|_| !self.is_overdue(slot))
    }

    /// The same line where its report goes on waiting.
    pub fn go_on(&self, slot: Slot, waiting: &Waiting<'_>, read_began: Timestamp) -> Option<Loose> {
        let (line, kind) = (self.slab.line(slot)?, self.slab.kind(slot)?);
        self.of_waiting(&kind.source, waiting, (line.first_seen_secs, read_began))
    }

    fn of_waiting(
        &self,
        source: &Name,
        waiting: &Waiting<'_>,
        (first_seen_secs, read_began): (u32, Timestamp),
    ) -> Option<Loose> {
        #[cfg(test)]
        if tests::holds_all_whole() {
            return None;
        }
        let Waiting { row, assessment, received, due, .. } = *waiting;
        let kind = KindRef {
            source,
            priority: assessment.priority,
            category: &row.category,
            rule: assessment.rule,
            escalation: assessment.escalation,
            verdict: row.verdict,
            is_overdue: false,
        };
        Some(Loose {
            subject: row.subject,
            kind: self.of_kind(kind),
            received,
            read_began,
            due,
            more: More::of(row, clocks::pack_waiting(waiting, &self.promises)?),
            first_seen_secs,
        })
    }

    fn of_kind(&self, kind: KindRef<'_>) -> AnyKind {
        let known = self.slab.kinds.find(|held| held.by_ref().cmp(&kind));
        known.map_or_else(|| AnyKind::New(Box::new(kind.to_owned())), AnyKind::Known)
    }

    /// The clocks of a case that a line needs beside; `None` where they say more than can be packed.
    fn pack(&self, case: &Case) -> Option<Clocks> {
        if all_run(&case.clocks) {
            return Some(Clocks::default());
        }
        clocks::pack(&case.clocks, case.received(), &self.promises)
    }

    /// Lets a line say something else of the same report.
    pub fn change(&mut self, slot: Slot, loose: Loose) {
        let Some(place) = self.slab.line(slot).map(|line| (line.kind, line.due, line.received)) else { return };
        let (line, subject) = self.of_loose(loose);
        let moves = (line.kind, line.due, line.received) != place;
        self.wake(slot, false);
        if moves {
            self.ranked.remove(slot, &self.slab);
        }
        self.slab.change(slot, line, subject);
        if moves {
            self.ranked.add(slot, self.is_overdue(slot), &self.slab);
        }
        self.wake(slot, true);
    }

    fn of_loose(&mut self, loose: Loose) -> (Line, Option<Subject>) {
        let Loose { subject, kind, received, read_began, due, more, first_seen_secs } = loose;
        let kind = self.number_of(kind);
        (Line { id: 0, received, read_began, due, more, kind, first_seen_secs }, subject)
    }

    fn number_of(&mut self, kind: AnyKind) -> Number {
        match kind {
            AnyKind::Known(number) => number,
            AnyKind::New(kind) => self.slab.kinds.number_of(*kind),
        }
    }

    /// Lays down the line of a report of this id.
    pub fn put(&mut self, id: ReportId, loose: Loose) -> Slot {
        self.make_room(&loose, 1);
        let slot = self.lay(id, loose);
        self.by_id.insert(slot, &self.slab);
        self.rank(slot);
        slot
    }

    /// Lays down lines that begin together, nearly all of one source: each is put in its places beside the others, because a
    /// processor waits for several places at once where nothing comes between.
    pub fn put_all(&mut self, begun: Vec<(ReportId, Loose)>) -> Vec<Slot> {
        if let Some((_, first)) = begun.first() {
            self.make_room(first, begun.len());
        }
        let slots: Vec<Slot> = begun.into_iter().map(|(id, loose)| self.lay(id, loose)).collect();
        slots.iter().for_each(|slot| self.by_id.insert(*slot, &self.slab));
        slots.iter().for_each(|slot| self.rank(*slot));
        slots
    }

    fn make_room(&mut self, loose: &Loose, lines: usize) {
        let source = match &loose.kind {
            AnyKind::Known(number) => self.slab.kinds.get(*number).map(|kind| &kind.source),
            AnyKind::New(kind) => Some(&kind.source),
        };
        if let Some(source) = source {
            self.by_id.make_room(source, lines, &self.slab);
        }
    }

    fn lay(&mut self, id: ReportId, loose: Loose) -> Slot {
        let (line, subject) = self.of_loose(loose);
        self.slab.put(line, id, subject)
    }

    fn rank(&mut self, slot: Slot) {
        self.ranked.add(slot, self.is_overdue(slot), &self.slab);
        self.wake(slot, true);
    }

    /// Puts everything in its place that waits for more to come.
    pub fn settle(&mut self) {
        self.ranked.settle(&self.slab);
    }

    /// Lets an overdue line wake when its next deadline has passed, or not.
    fn wake(&mut self, slot: Slot, wakes: bool) {
        match self.next_of(slot) {
            Some(next) if wakes => self.next.insert(next),
            Some(next) => self.next.remove(&next),
            None => false,
        };
    }

    #[inline]
    pub fn slot(&self, source: &Name, id: &ReportId) -> Option<Slot> {
        self.by_id.slot(source, id, &self.slab)
    }

    pub fn remove(&mut self, slot: Slot) {
        self.wake(slot, false);
        let slab = &self.slab;
        self.ranked.remove(slot, slab);
        self.by_id.remove(slot, slab);
        self.slab.take(slot);
    }

    pub fn apply(&mut self, changes: LineChanges) {
        for (slot, read_began) in changes.seen {
            if let Some(line) = self.slab.line_mut(slot) {
                line.read_began = line.read_began.max(read_began);
            }
        }
        for slot in changes.asked {
            if !self.ranked.pass(slot, &self.slab) {
                self.wake(slot, false);
            }
        }
    }

    /// Whether a read begun at `read_began` says nothing that the line doesn't, and proves nothing.
    pub fn is_unchanged(&self, slot: Slot, row: Option<&Row>, read_began: Timestamp) -> bool {
        let (Some(line), Some(kind), Some(row)) = (self.slab.line(slot), self.slab.kind(slot), row) else {
            return false;
        };
        let same = match line.row() {
            Some(held) => *held == *row,
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

    /// The whole case as it was last read. Where all of its clocks run, they are those that the policy of now asks for.
    pub fn whole(&self, slot: Slot, policy: &Policy) -> Option<Case> {
        let mut case = self.to_derive(slot)?;
        if self.clocks(slot).is_empty() {
            // At the last read no deadline had passed, so that this gives every clock its deadline and no more.
            case.refresh(policy, self.read_began(slot)?);
        }
        Some(case)
    }

    /// Whether anything has happened to its report.
    pub fn has_events(&self, slot: Slot) -> bool {
        self.slab.line(slot).is_some_and(Line::has_events)
    }

    /// The case of a line to whose report something has happened.
    pub fn answered(&self, key: &EpisodeKey) -> Option<Case> {
        self.slot_of(key).filter(|slot| self.has_events(*slot)).and_then(|slot| self.to_derive(slot))
    }

    /// The case for somebody who is about to derive it anew: of its clocks it has those that can't be derived.
    pub fn to_derive(&self, slot: Slot) -> Option<Case> {
        let (line, kind) = (self.slab.line(slot)?, self.slab.kind(slot)?);
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
            clocks: clocks::unpack(line.clocks(), line.received, &self.promises),
            pauses: Vec::new(),
            incident: None,
            ended: None,
            reopenings: 0,
            closed_by: Vec::new(),
            held_until: None,
            repeats_told: 0,
            raise_seen: false,
            crossed: None,
            stored: clocks::is_stored(line.clocks()),
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
        clocks::incident(self.clocks(slot))
    }

    pub fn slab(&self) -> &Slab {
        &self.slab
    }

    /// Of an overdue line, the deadline that comes next.
    fn runs_to(&self, slot: Slot) -> Option<Timestamp> {
        self.clocks(slot).iter().filter_map(Packed::runs_to).min()
    }

    fn clocks(&self, slot: Slot) -> &[Packed] {
        self.slab.line(slot).map_or(&[], Line::clocks)
    }

    /// When it wakes next, where it is overdue.
    fn next_of(&self, slot: Slot) -> Option<(Priority, Timestamp, Slot)> {
        let kind = self.slab.kind(slot).filter(|kind| kind.is_overdue)?;
        Some((kind.priority, self.runs_to(slot)?, slot))
    }
}

fn all_run(clocks: &[Clock]) -> bool {
    clocks.iter().all(|clock| clock.state == ClockState::Running)
}

fn seconds(span: Span) -> u32 {
    u32::try_from(span.secs().max(0)).unwrap_or(u32::MAX)
}

/// When a deadline has passed, since a target met at the very instant is met.
fn past(deadline: Timestamp) -> Timestamp {
    deadline.plus(Span::from_micros(1))
}
