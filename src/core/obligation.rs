//! What a law or an authority asks, beside whatever a rule promises: a target on wall time that nothing
//! pauses, with a clock and a breach of its own. Every one that matches applies, to P0 as to the rest.

use super::facts::Predicate;
use super::id::Name;
use super::observation::Row;
use super::policy::Target;
use super::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// The most obligations that a policy can have: as many as a [`Matched`] has room for.
pub const OBLIGATIONS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obligation {
    /// Its clock goes by this name, and no target of the policy has the same.
    pub target: Target,
    /// What must be true of a report; undecided counts as true.
    pub when: Option<Predicate>,
    /// The sources whose reports it is about; `None` is all of them.
    pub sources: Option<BTreeSet<Name>>,
    /// Where the clock starts at `received`, because the source doesn't map the event that starts it.
    pub assumed: BTreeSet<Name>,
    /// Who hears of a breach below P0; without one, whom the case's rule names. A P0 episode has one incident.
    pub escalation: Option<Name>,
    pub in_force: InForce,
}

/// When a law holds. It is about what begins its clock within that time, whenever that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InForce {
    pub from: Option<Timestamp>,
    /// The first instant at which it no longer holds.
    pub until: Option<Timestamp>,
}

impl InForce {
    pub fn holds_at(self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

impl Obligation {
    pub fn name(&self) -> &Name {
        &self.target.name
    }

    pub fn is_about(&self, source: &Name) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.contains(source))
    }

    /// `None` when it can't be decided.
    pub fn matches(&self, row: &Row) -> Option<bool> {
        self.when.as_ref().map_or(Some(true), |when| when.evaluate(row))
    }
}

/// Which of a policy's obligations a report falls under, by their places in the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched(u64);

impl Matched {
    /// All that may match a row, and the first predicate that couldn't be decided: it counts as true.
    pub fn of<'p>(obligations: &'p [Obligation], row: &Row) -> (Matched, Option<&'p Predicate>) {
        let (mut matched, mut undecided) = (Matched::default(), None);
        for (place, obligation) in obligations.iter().enumerate().take(OBLIGATIONS_MAX) {
            let holds = obligation.matches(row);
            if holds != Some(false) {
                matched.0 |= 1 << place;
            }
            undecided = undecided.or(obligation.when.as_ref().filter(|_| holds.is_none()));
        }
        (matched, undecided)
    }

    pub fn with(self, other: Matched) -> Matched {
        Matched(self.0 | other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn contains(self, place: usize) -> bool {
        place < OBLIGATIONS_MAX && self.0 & (1 << place) != 0
    }
}
