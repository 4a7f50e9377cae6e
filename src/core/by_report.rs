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

    /// For many of one source, one after the other.
    pub fn finder(&self, source: &Name) -> Finder<'_, '_, T> {
        Finder { of: self.0.get(source), sought: None, next: None }
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

/// Finds things of one source by their reports. Where these come in the order of their ids, as a read mostly gives them,
/// those that lie before the next thing that is there are told without a search.
pub struct Finder<'t, 'i, T> {
    of: Option<&'t BTreeMap<ReportId, T>>,
    /// For what was searched last, and the first that doesn't lie before it.
    sought: Option<&'i ReportId>,
    next: Option<(&'t ReportId, &'t T)>,
}

impl<'t, 'i, T> Finder<'t, 'i, T> {
    pub fn get(&mut self, id: &'i ReportId) -> Option<&'t T> {
        let is_between = |sought: &ReportId| sought <= id && self.next.is_none_or(|(next, _)| id <= next);
        if !self.sought.is_some_and(is_between) {
            (self.sought, self.next) = (Some(id), self.of?.range(id..).next());
        }
        self.next.filter(|(next, _)| *next == id).map(|(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finder_finds_what_is_there_in_whatever_order_it_is_asked() {
        let mut things = ByReport::default();
        let there = [1, 4, 5, 9].map(ReportId::Int).into_iter().chain([ReportId::Text("a".into())]);
        there.for_each(|id| _ = things.insert(("s".into(), id.clone()), id));
        let ids: Vec<ReportId> =
            (0..11).map(ReportId::Int).chain(["", "a", "b"].map(|id| ReportId::Text(id.into()))).collect();
        for step in [1, 3, 5, 9, 11, 13] {
            let mut finder = things.finder(&"s".into());
            for id in (0..ids.len()).map(|at| &ids[at * step % ids.len()]) {
                assert_eq!(finder.get(id), things.get(&"s".into(), id), "{id} in steps of {step}");
            }
        }
        assert_eq!(things.finder(&"another".into()).get(&ids[1]), None);
    }
}
