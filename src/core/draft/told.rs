//! What people said of a report, as evidence beside its own events.

use super::{Draft, case_key};
use crate::core::act::Effect;
use crate::core::id::{EpisodeKey, Name, ReportId, ReportKey};
use crate::core::plan::Home;
use crate::core::time::Timestamp;
use crate::core::told::{Told, Word};

impl Draft<'_> {
    /// Keeps what a person said of a report with it, and lets it take effect. Nothing happened after this
    /// instant.
    pub fn tell(&mut self, source: &Name, id: &str, said: (Word, Timestamp), by: &Name) -> Effect {
        let effect = self.note(source, id, said, by);
        self.refresh_touched();
        effect
    }

    fn note(&mut self, source: &Name, id: &str, (word, at): (Word, Timestamp), by: &Name) -> Effect {
        let under_watch = |id: ReportId| {
            let (slot, home) = (self.line_of(source, &id), self.home(source, &id));
            (slot.is_some() || home.is_some()).then_some((id, slot, home))
        };
        let Some((id, slot, home)) = ReportId::readings(id).find_map(under_watch) else { return Effect::NotHeld };
        // What is held as a line is there; it stays one where nothing changes.
        if word == Word::LookedInto && slot.is_some() {
            return Effect::NotVanished;
        }
        let home = match slot {
            Some(slot) => self.make_whole(slot),
            None => home,
        };
        let Some(Home { incarnation, episode }) = home else { return Effect::NotHeld };
        let report = ReportKey { source: source.clone(), id, incarnation };
        let told = Told::new(word, at.min(self.now), by.clone());
        let Some(known) = self.case_mut(&episode).and_then(|case| case.reports.get_mut(&report)) else {
            return Effect::NotHeld;
        };
        if word == Word::LookedInto && known.gone.is_none() {
            return Effect::NotVanished;
        }
        if known.told.contains(&told) {
            return Effect::SaidBefore;
        }
        known.told.push(told);
        self.touched.insert(episode.clone());
        if word == Word::Released {
            self.release(&episode, &report);
        }
        Effect::Done
    }

    /// Two different people said that it is no P0: what its row says decides where it belongs.
    fn release(&mut self, episode: &EpisodeKey, report: &ReportKey) {
        let Some(known) = self.case(episode).and_then(|case| case.reports.get(report)).cloned() else { return };
        let belongs = case_key(report, &known.row, &self.core.policy.assess(&known.row)) == episode.case;
        if known.is_released() && !belongs {
            let (row, read_began) = (known.row.clone(), known.read_began);
            self.move_out(episode, report);
            self.place(report.clone(), &row, Some(known), read_began);
        }
    }
}
