//! The overdue cases of each open incident, the most urgent first: whole ones by their keys, lines by their slots.

use super::case::Case;
use super::draft::{MemberKey, members_of};
use super::id::IncidentNo;
use super::lines::{Lines, Ordered, Place, Slot, in_order, merge};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Members(BTreeMap<IncidentNo, Of>);

/// Of one incident.
#[derive(Debug, Default)]
struct Of {
    whole: BTreeSet<MemberKey>,
    lines: Ordered,
}

impl Members {
    pub fn add(&mut self, case: &Case) {
        for (no, member) in members_of(case) {
            self.0.entry(no).or_default().whole.insert(member);
        }
    }

    pub fn remove(&mut self, case: &Case) {
        for (no, member) in members_of(case) {
            if let Some(of) = self.0.get_mut(&no) {
                of.whole.remove(&member);
            }
            self.forget_if_empty(no);
        }
    }

    pub fn add_line(&mut self, slot: Slot, lines: &Lines) {
        if let Some(no) = lines.incident(slot) {
            self.0.entry(no).or_default().lines.insert(slot, lines.slab());
        }
    }

    /// Before the line goes.
    pub fn remove_line(&mut self, slot: Slot, lines: &Lines) {
        let Some(no) = lines.incident(slot) else { return };
        if let Some(of) = self.0.get_mut(&no) {
            of.lines.remove(slot, lines.slab());
        }
        self.forget_if_empty(no);
    }

    pub fn count(&self, no: IncidentNo) -> usize {
        self.0.get(&no).map_or(0, |of| of.whole.len() + of.lines.len())
    }

    /// Those of one incident, in their order.
    pub fn of<'m>(&'m self, no: IncidentNo, lines: &'m Lines) -> impl Iterator<Item = MemberKey> + 'm {
        self.0.get(&no).into_iter().flat_map(move |of| {
            let places = of.lines.from(None, lines.slab());
            let member = |place: Place| Some((place.0, place.1, lines.key(place.3)?));
            merge(of.whole.iter().cloned(), in_order(places, |place| (place.0, place.1), member))
        })
    }

    fn forget_if_empty(&mut self, no: IncidentNo) {
        if self.count(no) == 0 {
            self.0.remove(&no);
        }
    }
}
