//! How a draft meets cases of which the core holds no more than a line: it leaves them so, or makes them whole.

use super::Draft;
use crate::core::id::{Name, ReportId};
use crate::core::lines::Slot;
use crate::core::plan::Home;

impl Draft<'_> {
    /// The line of a report whose case this draft has not made whole.
    pub(super) fn line_of(&self, source: &Name, id: &ReportId) -> Option<Slot> {
        let slot = self.core.lines.slot(source, id)?;
        let key = self.core.lines.key(slot)?;
        (!self.plan.cases.contains_key(&key)).then_some(slot)
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
