//! F13: which reports are known to be open, kept in segments of some thousands so that a report whose row
//! vanished while the monitor was down is noticed at the next start. First the old segments are taken up, then
//! all open reports are written anew, then only what is added; bounded, and nothing where nothing comes.

use super::case::{Case, Conclusion};
use super::draft::Draft;
use super::engine::Core;
use super::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey};
use super::lines::{Lines, Slot};
use super::observation::{Observation, Received, Row};
use super::plan::{Outcome, Plan};
use super::policy::{DeletedMeans, Priority};
use super::time::{Span, Timestamp};
use std::borrow::Cow;
use std::ops::Bound;

/// Reports of one segment.
pub const SEGMENT_REPORTS_MAX: usize = 4_000;
/// How often additions are written, at most.
const ADDED_EVERY: Span = Span::from_mins(1);
/// All segments are written anew when they hold twice the open reports and this many.
const SURPLUS: u64 = 10_000;

/// A report that was known to be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub id: ReportId,
    pub category: Name,
    pub received: Timestamp,
}

/// Some reports of one source that were known to be open at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub source: Name,
    pub taken_at: Timestamp,
    pub reports: Vec<Remembered>,
}

/// What the store remembered, on its way in.
#[derive(Clone, Debug)]
pub struct Recalled {
    pub source: Name,
    pub reports: Vec<Remembered>,
    /// There is no more: from now on segments are written.
    pub last: bool,
}

/// How far the segments of one source are, once the old ones have been taken up.
#[derive(Clone, Debug, Default)]
pub struct Segmenting {
    /// When the present generation was begun; older segments go when it is whole.
    began: Option<Timestamp>,
    /// While it is being written: how far.
    cursor: Option<Cursor>,
    /// Reports that were added since.
    added: Vec<ReportId>,
    added_at: Option<Timestamp>,
    /// Reports in the segments of this generation.
    kept: u64,
}

/// Cases that are whole are walked in the order of their ids, then those that are lines by their slots.
#[derive(Clone, Debug)]
enum Cursor {
    Whole(Option<ReportId>),
    Line(Slot),
}

/// One step of it, to be taken in with the plan.
#[derive(Clone, Debug)]
pub struct Segmented {
    source: Name,
    next: Segmenting,
    taken: usize,
}

impl Core {
    /// The old segments of a source: what is in them and not under watch must be read by key.
    pub(super) fn recall(&self, draft: &mut Draft<'_>, recalled: &Recalled) {
        let source = &recalled.source;
        for report in recalled.reports.iter().filter(|report| !self.holds(source, &report.id)) {
            let key = ReportKey { source: source.clone(), id: report.id.clone(), incarnation: 0 };
            draft.plan.expected.push((source.clone(), report.clone()));
            draft.plan.asks.push(key);
        }
        if recalled.last {
            let next = Segmenting::default();
            draft.plan.segmented = Some(Segmented { source: source.clone(), next, taken: 0 });
        }
    }

    /// Writes the next segment of a source, if one is due.
    pub(super) fn keep_segment(&self, source: &Name, now: Timestamp, plan: &mut Plan) {
        let Some(held) = self.segments.get(source) else { return };
        let mut next = Segmenting { added: Vec::new(), ..held.clone() };
        let surplus = held.kept > 2 * self.open_cases(source) + SURPLUS;
        if held.cursor.is_none() && (held.began.is_none() || surplus) {
            next = Segmenting { began: Some(now), cursor: Some(Cursor::Whole(None)), ..Segmenting::default() };
        }
        let mut taken = 0;
        let reports = match next.cursor.take() {
            Some(cursor) => {
                let (reports, further) = self.some_open(source, cursor);
                if further.is_none() {
                    plan.segments_before = next.began.map(|began| (source.clone(), began));
                }
                next.cursor = further;
                reports
            }
            None => {
                let is_time = held.added_at.is_none_or(|at| now.since(at) >= ADDED_EVERY || now < at);
                taken = held.added.len().min(SEGMENT_REPORTS_MAX);
                if taken == 0 || !is_time {
                    return;
                }
                next.added_at = Some(now);
                held.added[..taken].iter().filter_map(|id| self.remembered(source, id)).collect()
            }
        };
        next.kept += reports.len() as u64;
        if !reports.is_empty() {
            plan.segment = Some(Segment { source: source.clone(), taken_at: now, reports });
        }
        plan.segmented = Some(Segmented { source: source.clone(), next, taken });
    }

    /// The open reports from a cursor on, as many as one segment holds, and where it goes on.
    fn some_open(&self, source: &Name, cursor: Cursor) -> (Vec<Remembered>, Option<Cursor>) {
        let (mut reports, from) = match cursor {
            Cursor::Line(from) => (Vec::new(), from),
            Cursor::Whole(after) => {
                let beyond = after.map_or(Bound::Unbounded, Bound::Excluded);
                let beyond = self.homes.of(source, (beyond, Bound::Unbounded)).map(|(id, _)| id);
                let ids: Vec<&ReportId> = beyond.take(SEGMENT_REPORTS_MAX).collect();
                let reports: Vec<Remembered> = ids.iter().filter_map(|id| self.remembered(source, id)).collect();
                if let Some(last) = ids.last().filter(|_| ids.len() == SEGMENT_REPORTS_MAX) {
                    return (reports, Some(Cursor::Whole(Some(ReportId::clone(last)))));
                }
                (reports, 0)
            }
        };
        let room = SEGMENT_REPORTS_MAX - reports.len();
        let slots: Vec<Slot> = self.lines.slots_of(source, from).take(room).collect();
        let last = slots.last().filter(|_| slots.len() == room);
        let further = last.map(|last| Cursor::Line(last + 1));
        reports.extend(slots.into_iter().filter_map(|slot| self.lines.remembered(slot)));
        (reports, further)
    }

    /// A case as it was before an input, one that is a line included: where that isn't overdue, without clocks.
    pub(super) fn as_held(&self, key: &EpisodeKey) -> Option<Cow<'_, Case>> {
        match self.cases.get(key) {
            Some(case) => Some(Cow::Borrowed(&**case)),
            None => self.line_as_held(key),
        }
    }

    /// The same where no more than a line is held.
    pub(super) fn line_as_held(&self, key: &EpisodeKey) -> Option<Cow<'_, Case>> {
        self.lines.to_derive(self.lines.slot_of(key)?).map(Cow::Owned)
    }

    /// A case as the store remembers it.
    pub(super) fn as_stored(&self, key: &EpisodeKey) -> Option<Cow<'_, Case>> {
        self.as_held(key).filter(|case| case.stored)
    }

    fn remembered(&self, source: &Name, id: &ReportId) -> Option<Remembered> {
        if let Some(slot) = self.lines.slot(source, id) {
            return self.lines.remembered(slot);
        }
        let home = self.homes.get(source, id)?;
        let key = ReportKey { source: source.clone(), id: id.clone(), incarnation: home.incarnation };
        let report = self.cases.get(&home.episode)?.reports.get(&key)?;
        Some(Remembered { id: id.clone(), category: report.row.category.clone(), received: report.received })
    }

    pub(super) fn put_segmented(&mut self, done: Segmented) {
        let Segmented { source, mut next, taken } = done;
        let held = self.segments.entry(source).or_default();
        // What was added before a new generation began is in it.
        let began_anew = next.began != held.began;
        next.added = std::mem::take(&mut held.added);
        next.added.drain(..if began_anew { next.added.len() } else { taken });
        *held = next;
    }

    pub(super) fn put_expected(&mut self, expected: Vec<(Name, Remembered)>, found: &[(Name, ReportId)]) {
        for (source, known) in expected {
            self.expected.insert((source, known.id.clone()), known);
        }
        for (source, id) in found {
            self.expected.remove(source, id);
        }
    }

    /// A report came under watch, or a line became whole: one that was there already is added only while a
    /// generation is being written, because that may have passed its new place and not reached its old one.
    pub(super) fn note_added(&mut self, source: &Name, id: &ReportId, is_new: impl FnOnce(&Lines) -> bool) {
        let Some(held) = self.segments.get_mut(source).filter(|held| held.began.is_some()) else { return };
        if held.cursor.is_some() || is_new(&self.lines) {
            held.added.push(id.clone());
        }
    }

    /// The same of one that begins as a line.
    pub(super) fn note_added_line(&mut self, slot: Slot) {
        let slab = self.lines.slab();
        let held = slab.kind(slot).and_then(|kind| self.segments.get_mut(&kind.source));
        if let Some(held) = held.filter(|held| held.began.is_some()) {
            held.added.extend(slab.id(slot));
        }
    }
}

impl Draft<'_> {
    /// F13: a report that was open before the start is read again: one whose row is gone has vanished. A P0 is
    /// still owed an answer, so it comes back under watch as what is remembered of it.
    pub(super) fn find_expected(&mut self, source: &Name, observation: &Observation, read_began: Timestamp) {
        let Some(known) = self.core.expected.get(source, &observation.id) else { return };
        self.plan.found.push((source.clone(), observation.id.clone()));
        if observation.row.is_some() {
            return;
        }
        match vanished(self.core, source, known, read_began) {
            Some(outcome) => self.plan.outcomes.push(outcome),
            None => {
                let report = ReportKey { source: source.clone(), id: known.id.clone(), incarnation: 0 };
                self.place(report.clone(), &row_of(known), None, read_began);
                let read = self.read(read_began);
                let home = self.home(source, &known.id).map(|home| home.episode.clone());
                if let Some(case) = home.and_then(|episode| self.case_mut(&episode)) {
                    case.see(&report, None, read, None);
                }
            }
        }
    }
}

/// What is left of a report below P0 that was open when it was last seen, and whose row is gone: an outcome
/// without targets, because nothing says what had been met.
fn vanished(core: &Core, source: &Name, known: &Remembered, at: Timestamp) -> Option<Outcome> {
    let row = row_of(known);
    let assessment = core.policy.assess(&row);
    if assessment.priority == Priority::P0 {
        return None;
    }
    let deleted_means = core.policy.sources.get(source).map(|of| of.deleted_means).unwrap_or_default();
    let report = ReportKey { source: source.clone(), id: known.id.clone(), incarnation: 0 };
    Some(Outcome {
        episode: EpisodeKey { case: CaseKey::Report(report), episode: 0 },
        category: known.category.clone(),
        rule: assessment.rule.clone(),
        priority: assessment.priority,
        standing: assessment.standing,
        received: known.received,
        first_response: None,
        ended_at: at,
        conclusion: match deleted_means {
            DeletedMeans::Vanished => Conclusion::Vanished,
            DeletedMeans::Closed => Conclusion::Closed,
        },
        reports: 1,
        reopenings: 0,
        second_review: false,
        overturned: false,
        targets: Vec::new(),
    })
}

/// All that is known of its row.
fn row_of(known: &Remembered) -> Row {
    Row::bare(Received::At(known.received), known.category.clone())
}
