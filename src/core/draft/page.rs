//! A case as a page may tell of it.

use super::Draft;
use crate::core::clock::{Clock, ClockState};
use crate::core::id::{EpisodeKey, IncidentNo};
use crate::core::plan::PageCase;
use std::borrow::Cow;

impl Draft<'_> {
    /// A case as a page of this incident may tell of it: by the overdue target, else by the breach that rings, else
    /// by the next deadline, else by its last breach.
    pub fn page_case(&self, no: IncidentNo, key: &EpisodeKey) -> Option<PageCase> {
        let drafted = self.case(key).or_else(|| self.freed.get(key).map(|case| &**case)).or_else(|| self.kept(key));
        let case = drafted.map(Cow::Borrowed).or_else(|| self.core.as_held(key))?;
        let overdue = case.clocks.iter().filter(|clock| clock.is_overdue());
        let of_another = |clock: &Clock| clock.breach().is_none_or(|breach| breach.incident != Some(no));
        let worst = overdue.min_by_key(|clock| (of_another(clock), clock.unmet_deadline()));
        let fresh = |clock: &&Clock| clock.breach().is_some_and(|breach| breach.detected_at == self.now);
        let unmet = || {
            let unmet = case.clocks.iter().filter(|clock| case.ended.is_none() && clock.unmet_deadline().is_some());
            unmet.min_by_key(|clock| clock.unmet_deadline())
        };
        let clock = worst.or_else(|| case.clocks.iter().rfind(fresh)).or_else(unmet);
        let clock = clock.or_else(|| case.clocks.iter().rfind(|clock| clock.breach().is_some()));
        let clock = clock.or(case.clocks.first())?;
        let breach = clock.breach();
        Some(PageCase {
            episode: key.clone(),
            category: case.category.clone(),
            priority: case.priority,
            standing: case.standing,
            reports: u32::try_from(case.reports.len()).unwrap_or(u32::MAX),
            target: clock.target.clone(),
            deadline: breach.map(|breach| breach.deadline).or(clock.deadline).unwrap_or(self.now),
            unverified: matches!(clock.state, ClockState::Unverified { .. }),
            inherited: breach.is_some_and(|breach| breach.inherited),
        })
    }
}
