//! F20 and F4 as the engine tells of them: closures in bulk, and what a page is about.

use super::{Core, Draft};
use crate::core::case::Case;
use crate::core::id::IncidentNo;
use crate::core::incident::{CASES_PER_PAGE, Incident, IncidentKind};
use crate::core::plan::{About, PageCase};
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl Core {
    /// F20: rings for closures in bulk, and is over when none of them waits for its review.
    pub(in crate::core) fn ring_bulk(&self, draft: &mut Draft<'_>, no: IncidentNo, now: Timestamp) {
        let waiting = draft.waiting(no);
        let rings = draft.incident(no).and_then(|incident| incident.ring_at).is_some_and(|at| at <= now);
        if waiting.is_empty() {
            self.resolve(draft, no, now);
        } else if rings {
            let cases = waiting.iter().take(CASES_PER_PAGE).filter_map(|key| draft.page_case(no, key)).collect();
            self.page(draft, no, Priority::P0, (waiting.len() as u64, cases), None, now);
        }
    }

    /// F20: who closed it, and in which bulks it waits for a review.
    pub(super) fn index_closures(&mut self, case: &Case, present: bool) {
        for closed in &case.closed_by {
            let closer = (case.key.case.source().clone(), closed.by.clone());
            place(&mut self.closers, closer, (closed.at, case.key.clone()), present);
        }
        for no in case.waits_in_bulk() {
            place(&mut self.waiting, no, case.key.clone(), present);
        }
    }
}

/// What an incident that rings or ends tells of. A bundle of P0 of which nothing is overdue tells of repeats.
pub fn about(incident: &Incident, cases: &[PageCase], now: Timestamp) -> About {
    let due_later = |case: &PageCase| case.priority == Priority::P0 && case.deadline >= now;
    match &incident.kind {
        IncidentKind::Episode(_) | IncidentKind::Group { .. } | IncidentKind::Bundle { .. } => {
            let again = incident.repeats.due || (!cases.is_empty() && cases.iter().all(due_later));
            if again { About::Repeat } else { About::Overdue }
        }
        IncidentKind::Bulk { .. } => About::BulkClosures,
        IncidentKind::Blind(blind) => About::Blind(blind.clone()),
        IncidentKind::Warning(_) => About::Warning,
        IncidentKind::Trouble(trouble) => About::Trouble(trouble.clone()),
        IncidentKind::Audit { found } => About::Audit(*found),
        IncidentKind::Test { .. } => About::Test,
    }
}

/// Puts an entry under a key of an index, or takes it out; a key without entries goes.
fn place<K: Ord + Clone, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: K, entry: V, present: bool) {
    let entries = index.entry(key.clone()).or_default();
    if present {
        entries.insert(entry);
    } else {
        entries.remove(&entry);
    }
    if entries.is_empty() {
        index.remove(&key);
    }
}
