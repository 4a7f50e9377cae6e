//! What a draft touched takes effect: each case is derived anew, what its clocks did is told, what must be kept is kept, and
//! of one that has settled its outcome is left.

use super::turns::KnownReports;
use super::{Draft, MemberKey, Turns, members_of};
use crate::core::case::Case;
use crate::core::clock::Turn;
use crate::core::id::{EpisodeKey, IncidentNo};
use crate::core::lines::{Loose, Slot};
use crate::core::observed;
use crate::core::plan::{KeptCase, Outcome};
use crate::core::policy::Priority;
use crate::core::reports::Reports;
use std::borrow::Cow;

/// A case that is derived, and what its clocks did that has yet to take effect.
pub(super) struct Derived {
    pub case: Box<Case>,
    pub turns: Turns,
    /// As it was before; `None` where it begins.
    pub held: Option<Box<Case>>,
    /// Where it is a line and stays one.
    pub line: Option<(Slot, Loose)>,
}

impl Derived {
    /// Its place among all that takes effect, by the case as it was.
    fn place(&self) -> (Priority, &EpisodeKey) {
        let before = self.held.as_deref().unwrap_or(&self.case);
        (before.priority, &before.key)
    }
}

/// A case that goes on, its turns having taken effect.
pub(super) struct GoesOn {
    pub case: Box<Case>,
    /// The store must hold it as it is now.
    pub is_news: bool,
}

impl Draft<'_> {
    /// Takes up all that this draft touched: P0 first.
    pub fn refresh_touched(&mut self) {
        let mut derived = std::mem::take(&mut self.derived);
        // A backlog has nearly all of its breaches here: their room is made once, and of a size that serves the next draft.
        let turns: usize = derived.iter().map(|derived| derived.turns.len()).sum();
        if turns > 0 {
            self.plan.breaches.reserve_exact(turns.next_power_of_two());
        }
        derived.sort_by(|one, other| one.place().cmp(&other.place()));
        let touched = std::mem::take(&mut self.touched).into_iter();
        let touched = touched.map(|key| (self.case(&key).map_or(Priority::P0, |case| case.priority), key));
        let mut touched: Vec<_> = touched.collect();
        touched.sort_unstable();
        let mut derived = derived.into_iter().peekable();
        for (priority, key) in touched {
            while let Some(before) = derived.next_if(|derived| derived.place() < (priority, &key)) {
                self.take_derived(before);
            }
            self.refresh(&key);
        }
        derived.for_each(|derived| self.take_derived(derived));
    }

    fn take_derived(&mut self, derived: Derived) {
        let Derived { case, turns, held, line } = derived;
        let before = held.as_deref().map_or_else(Vec::new, members_of);
        let case = self.take_turns(case, held.as_deref(), before, turns);
        debug_assert!(line.is_none() || case.is_some(), "a line has settled");
        match (case, line) {
            (Some(case), None) => self.begin(case),
            (case, Some(line)) => {
                self.plan.lines.changed.push(line);
                case.into_iter().for_each(|case| self.keep(case));
            }
            (None, None) => {}
        }
    }

    /// Derives a case anew and lets every turn of its clocks take effect.
    pub fn refresh(&mut self, key: &EpisodeKey) {
        let (policy, now) = (self.core.policy.clone(), self.now);
        let held = self.core.cases.get(key).map(|case| &**case);
        let Some(mut case) = self.lift(key) else { return };
        if case.reports.is_empty() {
            return self.dissolve(key, held, members_of(&case));
        }
        let before = members_of(&case);
        let turns = case.refresh(&policy, now);
        let case = self.take_turns(case, held, before, turns);
        case.into_iter().for_each(|case| self.lay(case));
    }

    /// Puts a case that goes on where it stood in the draft.
    pub(super) fn lay(&mut self, GoesOn { case, is_news }: GoesOn) {
        if is_news {
            self.plan.kept.push(KeptCase { case: case.clone(), settled: false });
        }
        self.plan.cases.insert(case.key.clone(), Some(case));
    }

    /// Keeps of a case that goes on as a line what the store must hold.
    pub(super) fn keep(&mut self, GoesOn { case, is_news }: GoesOn) {
        if is_news {
            self.plan.kept.push(KeptCase { case, settled: false });
        }
    }

    /// Lets what the clocks of a case did take effect. `before` is where it stood. Gives it back where it goes on.
    fn take_turns(
        &mut self,
        mut case: Box<Case>,
        held: Option<&Case>,
        before: Vec<(IncidentNo, MemberKey)>,
        mut turns: Turns,
    ) -> Option<GoesOn> {
        let (policy, now) = (self.core.policy.clone(), self.now);
        let waited: Vec<IncidentNo> = held.into_iter().flat_map(Case::waits_in_bulk).collect();
        loop {
            // What is left of a withdrawn breach is a target that was met: by the evidence of now its deadline
            // may be another, and that is for a second look.
            let looks_twice = turns.iter().any(|(_, turn)| *turn == Turn::Withdraw);
            let known = KnownReports::new();
            for turn in turns {
                self.turn(&mut case, held, turn, &known);
            }
            if !case.begin_anew(&policy) && !looks_twice {
                break;
            }
            turns = case.refresh(&policy, now);
        }
        self.repeat(&mut case);
        self.move_members(before, members_of(&case));
        self.looked_at.extend(case.incident);
        self.look_at_bulk(Some(&case), &waited);
        self.settle(case, held)
    }

    /// Takes the case to change out of the draft, until it is settled. Meanwhile it stands there as freed.
    fn lift(&mut self, key: &EpisodeKey) -> Option<Box<Case>> {
        match self.plan.cases.get_mut(key) {
            Some(drafted) => drafted.take(),
            None => {
                let held = self.core.cases.get(key)?.clone();
                self.plan.cases.insert(key.clone(), None);
                Some(held)
            }
        }
    }

    /// A case whose last report belongs elsewhere now: presumption ended, or a lesser report became P0.
    fn dissolve(&mut self, key: &EpisodeKey, held: Option<&Case>, before: Vec<(IncidentNo, MemberKey)>) {
        let waited: Vec<IncidentNo> = held.into_iter().flat_map(Case::waits_in_bulk).collect();
        self.look_at_bulk(None, &waited);
        self.move_members(before, Vec::new());
        self.looked_at.extend(held.and_then(|case| case.incident));
        if let Some(case) = self.core.as_stored(key) {
            // Without its reports: they live on elsewhere, and no recall may bring them back here.
            let case = Box::new(Case { reports: Reports::new(), ..case.into_owned() });
            self.plan.kept.push(KeptCase { case, settled: true });
        }
    }

    /// Gives back a case that goes on. Of a settled one its outcome stays, and what may be recalled.
    fn settle(&mut self, mut case: Box<Case>, held: Option<&Case>) -> Option<GoesOn> {
        let settled = case.is_settled();
        let (keep, mut is_news) = (case.must_be_kept() || case.stored, false);
        if keep {
            let held = held.map(Cow::Borrowed).or_else(|| self.core.line_as_held(&case.key));
            let stored = held.as_deref().filter(|held| held.stored);
            is_news = settled || !stored.is_some_and(|stored| case.is_remembered_by(stored));
            if is_news {
                observed::news(&case, stored, held.as_deref(), &mut self.plan.observed);
            }
        }
        case.stored = keep;
        if !settled {
            return Some(GoesOn { case, is_news });
        }
        if is_news {
            self.plan.kept.push(KeptCase { case: case.clone(), settled });
        }
        self.plan.outcomes.extend(Outcome::of(&case));
        for report in case.reports.keys() {
            let lives_on = self.home(&report.source, &report.id).is_some_and(|home| home.episode != case.key);
            if !lives_on {
                self.plan.homes.insert((report.source.clone(), report.id.clone()), None);
            }
        }
        self.freed.insert(case.key.clone(), case);
        None
    }
}
