//! What people said of a report, beside what its row tells.

use super::Report;
use crate::core::observation::Event;
use crate::core::time::Timestamp;
use crate::core::told::{self, Told};

impl Report {
    /// Its row's events, and what people said beside them.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.row.events.iter().chain(self.told.iter().filter_map(Told::event))
    }

    /// Since when nothing more can be learnt of a vanished one: a named person looked into it.
    pub(super) fn looked_into(&self) -> Option<Timestamp> {
        self.gone.and_then(|gone| Some(told::looked_into(&self.told)?.max(gone)))
    }

    /// Two different people said that it is no P0.
    pub fn is_released(&self) -> bool {
        told::is_released(&self.told)
    }
}
