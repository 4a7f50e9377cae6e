//! How a draft meets cases of which the core holds no more than a line: it leaves them so, or makes them whole.

use super::effect::Derived;
use super::{Draft, Turns, is_another_report, undecided_alarm};
use crate::core::case::Case;
use crate::core::clock::Turn;
use crate::core::id::{EpisodeKey, Name, ReportId};
use crate::core::lines::{Loose, Slot};
use crate::core::observation::{Received, Row};
use crate::core::pace::Answers;
use crate::core::plan::Home;
use crate::core::policy::{Assessment, Priority};
use crate::core::time::Timestamp;
use crate::core::waiting::Waiting;

/// What a read makes of a line that stays one.
#[derive(Debug, PartialEq)]
struct Changed {
    line: Loose,
    answers: Option<Answers>,
    /// Where the store remembers its case: that, what its clocks did, and as it was before.
    kept: Option<(Box<Case>, Turns, Box<Case>)>,
}

impl Draft<'_> {
    /// The line of a report whose case this draft has not made whole.
    pub(super) fn line_of(&self, source: &Name, id: &ReportId) -> Option<Slot> {
        self.core.lines.slot(source, id).filter(|slot| self.is_line(*slot))
    }

    /// Whether this draft has not made it whole.
    pub(super) fn is_line(&self, slot: Slot) -> bool {
        let is_drafted = || self.core.lines.key(slot).is_some_and(|key| self.plan.cases.contains_key(&key));
        self.stand_alone || !is_drafted()
    }

    /// Takes in what a read says of a line that stays one: something has happened to its report, and nothing rings. Where
    /// it takes more nothing changes, and the case must be made whole.
    pub(super) fn change_line(&mut self, slot: Slot, row: Option<&Row>, read_began: Timestamp) -> bool {
        let Some(row) = row else { return false };
        let assessment = self.core.policy.assess(row);
        let changed = self.go_on_waiting(slot, row, &assessment, read_began);
        let of_case = || self.change_case(slot, row, &assessment, read_began);
        debug_assert!(changed.is_none() || changed == of_case(), "its case says something else than {changed:?}");
        let changed = changed.or_else(of_case);
        let Some(Changed { line, answers, kept }) = changed else { return false };
        if let (Some(when), Some(kind)) = (assessment.undecided, self.core.lines.slab().kind(slot)) {
            self.plan.alarms.insert(undecided_alarm(&kind.source, when));
        }
        self.plan.answers.extend(answers);
        match kept {
            Some((case, turns, held)) => {
                self.derived.push(Derived { case, turns, held: Some(held), line: Some((slot, line)) });
            }
            None => self.plan.lines.changed.push((slot, line)),
        }
        true
    }

    /// The change of a line to which something happens for the first time, and that only waits all the same.
    fn go_on_waiting(
        &self,
        slot: Slot,
        row: &Row,
        assessment: &Assessment<'_>,
        read_began: Timestamp,
    ) -> Option<Changed> {
        let (policy, lines) = (&self.core.policy, &self.core.lines);
        let received = lines.untouched(slot).filter(|received| row.received == Received::At(*received))?;
        let waiting = Waiting::of(policy, assessment, (row, received), self.read(read_began))?;
        let line = lines.go_on(slot, &waiting, read_began)?;
        let answers = Answers::of_waiting(&lines.slab().kind(slot)?.source, &waiting);
        Some(Changed { line, answers: Some(answers), kept: None })
    }

    /// The change of any line, by its case.
    fn change_case(
        &self,
        slot: Slot,
        row: &Row,
        assessment: &Assessment<'_>,
        read_began: Timestamp,
    ) -> Option<Changed> {
        let (policy, lines, now) = (&self.core.policy, &self.core.lines, self.now);
        let (held, report) = lines.to_derive(slot).zip(lines.report_key(slot))?;
        let is_another = held.reports.get(&report).is_none_or(|known| is_another_report(known, row, now));
        if assessment.priority == Priority::P0 || is_another {
            return None;
        }
        // Of a line to which nothing has happened nobody has heard an answer, and the store knows nothing.
        let is_answered = lines.has_events(slot);
        let before = (is_answered || held.stored).then(|| Box::new(held.clone()));
        let mut case = Box::new(held);
        case.see(&report, Some(row.clone()), self.read(read_began), self.blind_after(&report.source));
        let turns = case.refresh(policy, now);
        let rings = turns.iter().any(|(_, turn)| *turn != Turn::End);
        let line = (!rings && !case.begin_anew(policy)).then(|| lines.loose(&case)).flatten()?;
        let answers = Answers::between(before.as_deref().filter(|_| is_answered), Some(&case), None);
        let kept = before.filter(|held| held.stored).map(|held| (case, turns, held));
        Some(Changed { line, answers, kept })
    }

    /// A line's case that this draft has changed and keeps.
    pub(super) fn kept(&self, key: &EpisodeKey) -> Option<&Case> {
        self.plan.kept.iter().rfind(|kept| kept.case.key == *key).map(|kept| &*kept.case)
    }

    /// Makes a case whole of which the core holds a line, to be derived anew.
    pub(super) fn make_whole(&mut self, slot: Slot) -> Option<Home> {
        let case = self.core.lines.to_derive(slot)?;
        let report = self.core.lines.report_key(slot)?;
        let home = Home { incarnation: report.incarnation, episode: case.key.clone() };
        self.plan.homes.insert((report.source, report.id), Some(home.clone()));
        self.touched.insert(case.key.clone());
        self.plan.cases.insert(case.key.clone(), Some(Box::new(case)));
        Some(home)
    }

    /// Asks for proof of what is due of cases that are lines, and leaves them so until it comes.
    pub fn ask_lines(&mut self, slots: impl Iterator<Item = Slot>) {
        for slot in slots {
            self.plan.asks.extend(self.core.lines.report_key(slot));
            self.plan.lines.asked.push(slot);
        }
    }

    pub fn reassess_line(&mut self, slot: Slot) {
        if let Some(home) = self.make_whole(slot) {
            self.reassess(&home.episode);
        }
    }
}
