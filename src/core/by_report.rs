//! Things by the reports that they are of: by source, and within it by id.

use super::id::{Name, ReportId};
use std::collections::BTreeMap;
use std::ops::RangeBounds;

#[derive(Clone, Debug)]
pub struct ByReport<T>(BTreeMap<Name, BTreeMap<ReportId, T>>);

impl<T> Default for ByReport<T> {
    fn default() -> Self {
        ByReport(BTreeMap::new())
    }
}

impl<T> ByReport<T> {
    pub fn get(&self, source: &Name, id: &ReportId) -> Option<&T> {
        self.0.get(source)?.get(id)
    }

    /// Gives what was there.
    pub fn insert(&mut self, (source, id): (Name, ReportId), thing: T) -> Option<T> {
        self.0.entry(source).or_default().insert(id, thing)
    }

    pub fn remove(&mut self, source: &Name, id: &ReportId) -> Option<T> {
        self.0.get_mut(source)?.remove(id)
    }

    /// Those of a source whose ids lie in a range, in the order of their ids.
    pub fn of(&self, source: &Name, ids: impl RangeBounds<ReportId>) -> impl Iterator<Item = (&ReportId, &T)> {
        self.0.get(source).into_iter().flat_map(move |of| of.range((ids.start_bound(), ids.end_bound())))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &ReportId, &T)> {
        self.0.iter().flat_map(|(source, of)| of.iter().map(move |(id, thing)| (source, id, thing)))
    }

    pub fn into_each(self) -> impl Iterator<Item = ((Name, ReportId), T)> {
        self.0.into_iter().flat_map(|(source, of)| of.into_iter().map(move |(id, thing)| ((source.clone(), id), thing)))
    }
}
