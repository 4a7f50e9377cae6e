//! What the web reads of the store beside the list of pages: one trait, so that the routes need no database to be
//! tested.

use super::PagesFuture;
use crate::core::case::Case;
use crate::core::id::{EpisodeKey, IncidentNo};
use crate::core::incident::Incident;
use crate::core::plan::BreachRecord;
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::store::{Days, PageRow, SqlStore};

/// What is kept.
pub trait Archive: Send + Sync + 'static {
    /// A week's figures as they were first told, as JSON.
    fn report<'a>(&'a self, week: &'a str) -> PagesFuture<'a, Option<String>>;
    /// The latest episode of the case that this deployment calls so.
    fn case<'a>(&'a self, reference: &'a str, keys: &'a Keys) -> PagesFuture<'a, Option<Case>>;
    fn breaches<'a>(&'a self, episode: &'a EpisodeKey) -> PagesFuture<'a, Vec<BreachRecord>>;
    fn incident(&self, no: IncidentNo) -> PagesFuture<'_, Option<Incident>>;
    /// The pages of an incident, newest first.
    fn pages_of(&self, no: IncidentNo, limit: u32) -> PagesFuture<'_, Vec<PageRow>>;
    /// The pages in a state before a page, newest first.
    fn pages_before<'a>(&'a self, state: Option<&'a str>, before: i64, limit: u32) -> PagesFuture<'a, Vec<PageRow>>;
    /// What happened on each day since then.
    fn days(&self, since: Timestamp) -> PagesFuture<'_, Days>;
}

impl Archive for SqlStore {
    fn report<'a>(&'a self, week: &'a str) -> PagesFuture<'a, Option<String>> {
        Box::pin(self.kept_report(week))
    }

    fn case<'a>(&'a self, reference: &'a str, keys: &'a Keys) -> PagesFuture<'a, Option<Case>> {
        Box::pin(self.case_by(move |key| keys.reference_of(key) == reference))
    }

    fn breaches<'a>(&'a self, episode: &'a EpisodeKey) -> PagesFuture<'a, Vec<BreachRecord>> {
        Box::pin(self.breaches_of_episode(episode))
    }

    fn incident(&self, no: IncidentNo) -> PagesFuture<'_, Option<Incident>> {
        Box::pin(SqlStore::incident(self, no))
    }

    fn pages_of(&self, no: IncidentNo, limit: u32) -> PagesFuture<'_, Vec<PageRow>> {
        Box::pin(SqlStore::pages_of(self, no, limit))
    }

    fn pages_before<'a>(&'a self, state: Option<&'a str>, before: i64, limit: u32) -> PagesFuture<'a, Vec<PageRow>> {
        Box::pin(SqlStore::pages_before(self, state, before, limit))
    }

    fn days(&self, since: Timestamp) -> PagesFuture<'_, Days> {
        Box::pin(SqlStore::days(self, since))
    }
}
