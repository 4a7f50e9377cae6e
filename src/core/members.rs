//! The overdue cases of each open incident, the most urgent first: whole ones by their keys, lines by their slots.

use super::case::Case;
use super::draft::{MemberKey, members_of};
use super::few::Few;
use super::id::IncidentNo;
use super::lines::{Lines, Ordered, Place, Slot, in_order, merge};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Members {
    /// Each P0 has an incident of its own, with itself in it.
    whole: BTreeMap<IncidentNo, Few<MemberKey>>,
    lines: BTreeMap<IncidentNo, Ordered>,
}

impl Members {
    pub fn add(&mut self, case: &Case) {
        for (no, member) in members_of(case) {
            self.whole.entry(no).or_default().insert(member);
        }
    }

    pub fn remove(&mut self, case: &Case) {
        for (no, member) in members_of(case) {
            let Some(whole) = self.whole.get_mut(&no) else { continue };
            whole.remove(&member);
            if whole.is_empty() {
                self.whole.remove(&no);
            }
        }
    }

    pub fn add_line(&mut self, slot: Slot, lines: &Lines) {
        if let Some(no) = lines.incident(slot) {
            self.lines.entry(no).or_default().insert(slot, lines.slab());
        }
    }

    /// Before the line goes.
    pub fn remove_line(&mut self, slot: Slot, lines: &Lines) {
        let Some(no) = lines.incident(slot) else { return };
        let Some(ordered) = self.lines.get_mut(&no) else { return };
        ordered.remove(slot, lines.slab());
        if ordered.len() == 0 {
            self.lines.remove(&no);
        }
    }

    pub fn count(&self, no: IncidentNo) -> usize {
        self.whole.get(&no).map_or(0, Few::len) + self.lines.get(&no).map_or(0, Ordered::len)
    }

    /// Those of one incident, in their order.
    pub fn of<'m>(&'m self, no: IncidentNo, lines: &'m Lines) -> impl Iterator<Item = MemberKey> + 'm {
        let whole = self.whole.get(&no).into_iter().flat_map(Few::iter).cloned();
        let places = self.lines.get(&no).into_iter().flat_map(|ordered| ordered.from(None, lines.slab()));
        let member = |place: Place| Some((place.0, place.1, lines.key(place.3)?));
        merge(whole, in_order(places, |place| (place.0, place.1), member))
    }
}
