//! The lines themselves, by slot, and what they have in common.

use super::chunks::Chunks;
use super::clocks::{Clocks, Packed};
use super::table::{Number, Table};
use super::{Place, Slot};
use crate::core::case::Report;
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey, Subject};
use crate::core::observation::{Received, Row, Verdict};
use crate::core::policy::{Priority, Standing};
use crate::core::rank::Rank;
use crate::core::time::{Span, Timestamp};
use std::cmp::Reverse;

/// What lines have in common; each is kept once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind<N = Name> {
    pub source: N,
    pub priority: Priority,
    pub category: N,
    pub rule: N,
    pub escalation: Option<N>,
    pub verdict: Verdict,
    /// A deadline of it has passed, and everything of that is done.
    pub is_overdue: bool,
}

/// The same by names that somebody else holds.
pub type KindRef<'k> = Kind<&'k Name>;

impl<N> Kind<N> {
    /// The same with every name made another.
    fn map<'k, M>(&'k self, name: impl Fn(&'k N) -> M) -> Kind<M> {
        Kind {
            source: name(&self.source),
            priority: self.priority,
            category: name(&self.category),
            rule: name(&self.rule),
            escalation: self.escalation.as_ref().map(&name),
            verdict: self.verdict,
            is_overdue: self.is_overdue,
        }
    }
}

impl Kind {
    /// It orders as the kind does.
    pub fn by_ref(&self) -> KindRef<'_> {
        self.map(|name| name)
    }
}

impl KindRef<'_> {
    pub fn to_owned(self) -> Kind {
        self.map(|name| Name::clone(name))
    }
}

#[derive(Debug)]
pub struct Line {
    /// Where the id is a number: nearly all are.
    pub id: i64,
    pub received: Timestamp,
    pub read_began: Timestamp,
    /// The deadline that ranks it; `Timestamp::MAX` where none does.
    pub due: Timestamp,
    /// What few lines have beside.
    pub more: Option<Box<More>>,
    pub kind: Number,
    /// Counted from `received`, rounded down.
    pub first_seen_secs: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct More {
    /// The row, where it says more than its line.
    row: Option<Box<Row>>,
    /// All clocks, where one is overdue or was met.
    clocks: Clocks,
}

impl More {
    /// `None` where there is nothing.
    pub fn of(row: &Row, clocks: Clocks) -> Option<Box<More>> {
        let row = says_more(row).then(|| Box::new(row.clone()));
        (row.is_some() || !clocks.is_empty()).then(|| Box::new(More { row, clocks }))
    }
}

/// Whether a row says more than its line.
pub fn says_more(row: &Row) -> bool {
    !(row.events.is_empty() && row.dues.is_empty() && row.facts.is_empty() && !row.paused)
}

impl Line {
    /// The row, where it says more than the line.
    pub fn row(&self) -> Option<&Row> {
        self.more.as_ref()?.row.as_deref()
    }

    /// Whether anything has happened to its report.
    pub fn has_events(&self) -> bool {
        self.row().is_some_and(|row| !row.events.is_empty())
    }

    /// All clocks, where one is overdue or was met.
    pub fn clocks(&self) -> &[Packed] {
        self.more.as_ref().map_or(&[], |more| &more.clocks)
    }
}

#[derive(Debug, Default)]
pub struct Slab {
    lines: Chunks<Line>,
    /// Of the reported items, by slot; as long as the last line that has one.
    subjects: Chunks<Subject>,
    /// Ids that are no numbers, likewise.
    ids: Chunks<ReportId>,
    free: Vec<Slot>,
    pub kinds: Table<Kind>,
}

impl Slab {
    /// Puts a report's line where there is room.
    pub fn put(&mut self, mut line: Line, id: ReportId, subject: Option<Subject>) -> Slot {
        let slot = self.free.pop().unwrap_or(self.lines.end());
        let other = match id {
            ReportId::Int(id) => {
                line.id = id;
                None
            }
            other => Some(other),
        };
        self.ids.lay(slot, other);
        self.subjects.lay(slot, subject);
        self.lines.lay(slot, Some(line));
        slot
    }

    /// Lets a line that is there say something else of the same report.
    pub fn change(&mut self, slot: Slot, line: Line, subject: Option<Subject>) {
        if let Some(held) = self.line_mut(slot) {
            *held = Line { id: held.id, ..line };
            self.subjects.lay(slot, subject);
        }
    }

    pub fn take(&mut self, slot: Slot) -> Option<Line> {
        let line = self.lines.take(slot)?;
        self.ids.lay(slot, None);
        self.free.push(slot);
        Some(line)
    }

    #[inline]
    pub fn line(&self, slot: Slot) -> Option<&Line> {
        self.lines.get(slot)
    }

    pub fn line_mut(&mut self, slot: Slot) -> Option<&mut Line> {
        self.lines.get_mut(slot)
    }

    #[inline]
    pub fn kind(&self, slot: Slot) -> Option<&Kind> {
        self.kinds.get(self.line(slot)?.kind)
    }

    /// Every line from a slot on, in the order in which they lie.
    pub fn lines_from(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Line, &Kind)> {
        self.lines.from(slot).filter_map(|(slot, line)| Some((slot, line, self.kinds.get(line.kind)?)))
    }

    /// One more than the last slot.
    pub fn end(&self) -> Slot {
        self.lines.end()
    }

    pub fn id(&self, slot: Slot) -> Option<ReportId> {
        match self.other_id(slot) {
            Some(id) => Some(id.clone()),
            None => self.line(slot).map(|line| ReportId::Int(line.id)),
        }
    }

    pub fn subject(&self, slot: Slot) -> Option<Subject> {
        self.subjects.get(slot).copied()
    }

    pub fn report_key(&self, slot: Slot) -> Option<ReportKey> {
        Some(ReportKey { source: self.kind(slot)?.source.clone(), id: self.id(slot)?, incarnation: 0 })
    }

    pub fn key(&self, slot: Slot) -> Option<EpisodeKey> {
        Some(EpisodeKey { case: CaseKey::Report(self.report_key(slot)?), episode: 0 })
    }

    #[inline]
    pub fn place(&self, slot: Slot) -> Option<Place> {
        let line = self.line(slot)?;
        Some((self.kinds.get(line.kind)?.priority, line.due, line.received, slot))
    }

    pub fn rank(&self, slot: Slot) -> Option<Rank> {
        let line = self.line(slot)?;
        Some(Rank {
            priority: self.kinds.get(line.kind)?.priority,
            standing: Standing::Known,
            raised: Reverse(false),
            deadline: line.due,
            spread: Reverse(0),
            received: line.received,
            key: self.key(slot)?,
        })
    }

    /// The report as it was last read.
    pub fn report(&self, slot: Slot) -> Option<Report> {
        let line = self.line(slot)?;
        let kind = self.kinds.get(line.kind)?;
        let plain = || Row {
            subject: self.subject(slot),
            verdict: kind.verdict,
            ..Row::bare(Received::At(line.received), kind.category.clone())
        };
        Some(Report {
            row: line.row().map_or_else(plain, Row::clone),
            received: line.received,
            anchored_at_first_sight: false,
            first_seen: line.received.plus(Span::from_secs(i64::from(line.first_seen_secs))),
            read_began: line.read_began,
            gone: None,
            base: None,
            told: Vec::new(),
        })
    }

    /// Its id, where that is no number.
    #[inline]
    pub fn other_id(&self, slot: Slot) -> Option<&ReportId> {
        self.ids.get(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_small_as_it_was_made_for() {
        assert_eq!(size_of::<Option<Line>>(), 48);
    }
}
