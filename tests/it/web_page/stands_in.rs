//! What stands in for the engine, the store and the tokens where the web is tested without them.

use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tocsin::core::case::Case;
use tocsin::core::id::{EpisodeKey, IncidentNo};
use tocsin::core::incident::Incident;
use tocsin::core::plan::BreachRecord;
use tocsin::core::time::Timestamp;
use tocsin::core::view::{QueueRow, View};
use tocsin::keys::Keys;
use tocsin::store::{Days, PageRow, StoreError};
use tocsin::web::access::Role;
use tocsin::web::access::tokens::{Found, Known, Tokens};
use tocsin::web::archive::Archive;
use tocsin::web::engine::{Ask, Asked, Look, Seen};
use tocsin::web::{Demo, PagesFuture};

/// An engine that has stopped.
pub struct Silent;

impl Ask for Silent {
    fn look(&self, _look: Look) -> Asked<'_> {
        Box::pin(ready(None))
    }
}

/// A running core, looked at as it is.
pub struct Held(pub tocsin::core::engine::Core);

impl Ask for Held {
    fn look(&self, look: Look) -> Asked<'_> {
        Box::pin(ready(Some(look.at(&self.0))))
    }
}

/// A store of which only a few things are asked.
#[derive(Default)]
pub struct Shelves {
    pub reports: BTreeMap<String, String>,
    pub cases: Vec<Case>,
    pub breaches: Vec<BreachRecord>,
    pub incidents: Vec<Incident>,
    pub pages: Vec<PageRow>,
    pub days: Days,
    /// Answers nothing but errors.
    pub broken: bool,
}

impl Shelves {
    fn answer<T: Send + 'static>(&self, found: T) -> PagesFuture<'_, T> {
        let failed = StoreError::Unreadable { operation: "read", what: "broken by the test".into() };
        Box::pin(ready(if self.broken { Err(failed) } else { Ok(found) }))
    }
}

impl Archive for Shelves {
    fn report<'a>(&'a self, week: &'a str) -> PagesFuture<'a, Option<String>> {
        self.answer(self.reports.get(week).cloned())
    }

    fn case<'a>(&'a self, reference: &'a str, keys: &'a Keys) -> PagesFuture<'a, Option<Case>> {
        self.answer(self.cases.iter().find(|case| keys.reference(&case.key.case) == reference).cloned())
    }

    fn breaches<'a>(&'a self, episode: &'a EpisodeKey) -> PagesFuture<'a, Vec<BreachRecord>> {
        self.answer(self.breaches.iter().filter(|breach| breach.episode == *episode).cloned().collect())
    }

    fn incident(&self, no: IncidentNo) -> PagesFuture<'_, Option<Incident>> {
        self.answer(self.incidents.iter().find(|incident| incident.no == no).cloned())
    }

    fn pages_of(&self, no: IncidentNo, limit: u32) -> PagesFuture<'_, Vec<PageRow>> {
        let pages = self.pages.iter().filter(|row| row.page.incident == no).take(limit as usize);
        self.answer(pages.cloned().collect())
    }

    fn pages_before<'a>(&'a self, state: Option<&'a str>, before: i64, limit: u32) -> PagesFuture<'a, Vec<PageRow>> {
        let pages = self.pages.iter().filter(|row| row.id < before && state.is_none_or(|state| row.state == state));
        self.answer(pages.take(limit as usize).cloned().collect())
    }

    fn days(&self, _since: Timestamp) -> PagesFuture<'_, Days> {
        self.answer(self.days.clone())
    }
}

/// Tokens by their text.
#[derive(Default)]
pub struct Purse(pub Mutex<BTreeMap<String, Known>>);

impl Purse {
    /// One token of each role: "tocsin_viewer" and so on.
    pub fn of_each_role() -> Purse {
        let known = |(id, role): (i64, Role)| {
            (format!("tocsin_{}", role.as_str()), Known { id, name: format!("a {}", role.as_str()), role })
        };
        Purse(Mutex::new((1..).zip(Role::ALL).map(known).collect()))
    }

    pub fn take_away(&self, token: &str) {
        self.0.lock().expect("no test panics under it").remove(token);
    }
}

impl Tokens for Purse {
    fn by_token<'a>(&'a self, token: &'a str, _now: Timestamp) -> Found<'a> {
        Box::pin(ready(self.0.lock().expect("no test panics under it").get(token).cloned()))
    }

    fn by_id(&self, id: i64, _now: Timestamp) -> Found<'_> {
        let known = self.0.lock().expect("no test panics under it").values().find(|known| known.id == id).cloned();
        Box::pin(ready(known))
    }
}

/// Buttons that count how often they are pressed.
#[derive(Default)]
pub struct Buttons {
    pub storms: AtomicU32,
    pub blinds: AtomicU32,
}

impl Demo for Buttons {
    fn storm(&self) {
        self.storms.fetch_add(1, Ordering::Relaxed);
    }

    fn blind(&self) {
        self.blinds.fetch_add(1, Ordering::Relaxed);
    }

    fn week(&self) -> String {
        "<!DOCTYPE html><title>a week</title>".to_owned()
    }
}

/// An engine that knows what its view shows.
pub struct Shown(pub Arc<ArcSwap<View>>);

impl Ask for Shown {
    fn look(&self, look: Look) -> Asked<'_> {
        let view = self.0.load_full();
        let seen = match look {
            Look::Rows { after, limit } => {
                let later = |row: &&QueueRow| after.as_ref().is_none_or(|after| row.rank > *after);
                Seen::Rows(view.queue.iter().filter(later).take(limit).cloned().collect())
            }
            Look::Keys { .. } => Seen::Keys(Vec::new(), None),
            Look::Incident { no, limit } => {
                let row = view.incidents.iter().find(|row| row.incident.no == no);
                let cases = view.queue.iter().filter(|row| row.incident == Some(no)).take(limit).cloned();
                Seen::Incident(row.map(|row| Box::new((row.clone(), cases.collect()))))
            }
            Look::Case { .. } => Seen::Case(None),
            Look::Quiet { .. } => Seen::Quiet(Ok(())),
            Look::Explain { .. } => return Box::pin(ready(None)),
        };
        Box::pin(ready(Some(seen)))
    }
}
