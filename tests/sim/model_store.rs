//! The store's contract in its plainest form: maps behind a lock. What the SQL stores must do is what
//! this does, without a file, a network or a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use tocsin::core::act::Deed;
use tocsin::core::case::Case;
use tocsin::core::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportKey};
use tocsin::core::incident::Incident;
use tocsin::core::plan::{BreachRecord, BreachStatus, Outcome, PageKind};
use tocsin::core::policy::Priority;
use tocsin::core::time::Timestamp;
use tocsin::run::heartbeat::Evidence;
use tocsin::run::inbox;
use tocsin::store::{
    Attempt, Commit, Delivery, InboxEntry, Lane, Lead, LeasedPage, NewPage, PageCount, PageRow, Result, Store,
    StoreError, Stored, UnheardRound,
};

type BreachKey = (EpisodeKey, Name, Option<ReportKey>, Timestamp);

#[derive(Default)]
pub struct Tables {
    pub sequence: u64,
    pub token: u64,
    pub next_incident: u64,
    pub cases: BTreeMap<EpisodeKey, (Case, bool)>,
    pub incidents: BTreeMap<IncidentNo, Incident>,
    pub breaches: BTreeMap<BreachKey, BreachRecord>,
    pub outcomes: BTreeMap<EpisodeKey, Outcome>,
    pub pages: Vec<PageState>,
    /// What no commit has taken up yet.
    pub inbox: BTreeMap<i64, InboxEntry>,
    last_inbox: i64,
    /// Incidents that a test has taken, once.
    pub acknowledged: BTreeSet<IncidentNo>,
}

pub struct PageState {
    pub page: NewPage,
    pub state: &'static str,
    pub due_at: Timestamp,
    pub leased_until: Timestamp,
    pub attempts: u32,
    pub failing: bool,
}

#[derive(Default)]
pub struct ModelStore {
    tables: Mutex<Tables>,
}

impl ModelStore {
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }
}

impl Tables {
    /// Rings that nobody needs any more, by the port's contract.
    fn supersede(&mut self, no: IncidentNo) {
        let Some(incident) = self.incidents.get(&no) else { return };
        let (is_open, acknowledged) = (incident.is_open(), incident.acknowledged.is_some());
        if is_open && !acknowledged {
            return;
        }
        let heard = |state: &&PageState| {
            state.page.incident == no && state.page.kind == PageKind::Ring && state.state == "accepted"
        };
        let any_heard = self.pages.iter().any(|state| heard(&state));
        let heard_of = self.pages.iter().filter(heard).filter(|state| &*state.page.channel != "log");
        let heard_up_to = heard_of.map(|state| state.page.round).max();
        for state in self.pages.iter_mut().filter(|state| state.page.incident == no) {
            let page = &state.page;
            let waits = page.kind == PageKind::Ring && matches!(state.state, "queued" | "parked");
            let lesser = page.priority != Priority::P0 && (!is_open || !any_heard);
            if waits && (lesser || heard_up_to.is_some_and(|round| round >= page.round)) {
                state.state = "superseded";
            }
        }
    }

    fn fall_back(&mut self, page: i64, fallbacks: &[NewPage], now: Timestamp) {
        let state = &mut self.pages[page as usize];
        if state.page.kind == PageKind::Resolve || matches!(state.state, "accepted" | "superseded") {
            return;
        }
        state.failing = true;
        for next in fallbacks {
            let of_round = |state: &&PageState| {
                let page = &state.page;
                let place = (page.incident, page.round, &page.channel, page.kind);
                place == (next.incident, next.round, &next.channel, PageKind::Ring)
            };
            let rung = self.pages.iter().rfind(of_round);
            match rung.map(|state| (state.state, state.failing)) {
                Some(("parked" | "superseded", _) | ("queued" | "leased", true)) => {}
                Some(_) => return,
                None => {
                    let NewPage { incident, round, priority, .. } = *next;
                    let deed = Deed::FellBack { incident, round, channel: next.channel.clone(), priority };
                    let (page, due_at) = (next.clone(), next.created_at);
                    let (state, leased_until) = ("queued", Timestamp::MIN);
                    self.pages.push(PageState { page, state, due_at, leased_until, attempts: 0, failing: false });
                    self.put_inbox(&deed, now);
                    return;
                }
            }
        }
    }

    pub fn put_inbox(&mut self, deed: &Deed, at: Timestamp) {
        self.last_inbox += 1;
        let (id, kind, body) = (self.last_inbox, deed.kind().to_owned(), inbox::body(deed).unwrap());
        self.inbox.insert(id, InboxEntry { id, kind, body, by_whom: "test".to_owned(), at });
    }
}

fn lane(page: &NewPage) -> Lane {
    if page.priority == Priority::P0 { Lane::P0 } else { Lane::Lesser }
}

impl Store for ModelStore {
    /// Nobody else is alive to have it, and whoever held a lease on a page is gone.
    async fn lead(&self, _holder: &str, now: Timestamp, _gone: Option<u64>) -> Result<Lead> {
        let mut tables = self.tables();
        tables.token += 1;
        let mut released = 0;
        for state in tables.pages.iter_mut().filter(|state| state.state == "leased") {
            (state.state, state.due_at) = ("queued", now);
            released += 1;
        }
        Ok(Lead::Taken { token: tables.token, released })
    }

    async fn renew(&self, token: u64) -> Result<()> {
        self.settle(token).await.map(drop)
    }

    async fn hand_over(&self, _token: u64) -> Result<()> {
        Ok(())
    }

    async fn load_in_parts(&self, mut take: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        let tables = self.tables();
        let mut cases: Vec<Case> =
            tables.cases.values().filter(|(_, settled)| !settled).map(|(c, _)| c.clone()).collect();
        cases.sort_by_key(|case| case.priority);
        let needed: BTreeSet<IncidentNo> = cases.iter().filter_map(|case| case.incident).collect();
        let wanted = |incident: &&Incident| incident.is_open() || needed.contains(&incident.no);
        let incidents = tables.incidents.values().filter(wanted).cloned().collect();
        let next_incident = tables.next_incident;
        take(cases);
        Ok(Stored { sequence: tables.sequence, incidents, next_incident, ..Stored::default() })
    }

    async fn settle(&self, token: u64) -> Result<u64> {
        let tables = self.tables();
        if token != tables.token {
            return Err(StoreError::Fenced { operation: "settle", ours: token, theirs: tables.token });
        }
        Ok(tables.sequence)
    }

    async fn commit(&self, commit: &Commit<'_>) -> Result<()> {
        let mut tables = self.tables();
        if commit.token != tables.token || commit.sequence != tables.sequence + 1 {
            return Err(StoreError::Fenced { operation: "commit", ours: commit.token, theirs: tables.token });
        }
        tables.sequence = commit.sequence;
        tables.next_incident = commit.next_incident;
        for kept in &commit.plan.kept {
            tables.cases.insert(kept.case.key.clone(), (Case::clone(&kept.case), kept.settled));
        }
        for incident in commit.plan.incidents.values() {
            tables.incidents.insert(incident.no, incident.clone());
        }
        for breach in &commit.plan.breaches {
            let key = (breach.episode.clone(), breach.target.clone(), breach.report.clone(), breach.deadline);
            let held = tables.breaches.entry(key).or_insert_with(|| breach.clone());
            assert!(held.status != BreachStatus::Verified || breach.status == BreachStatus::Verified);
            let incident = breach.incident.or(held.incident);
            // Verified is final; a withdrawn one that is incurred after all is a new finding.
            let verified = held.status == BreachStatus::Verified;
            let found_anew = held.status == BreachStatus::Withdrawn;
            let detected_at = if found_anew { breach.detected_at } else { held.detected_at };
            let known = if verified { held.known.clone() } else { breach.known.clone() };
            let (ended, contradicted_at) = (breach.ended, held.contradicted_at.or(breach.contradicted_at));
            let status = breach.status;
            *held = BreachRecord { detected_at, known, ended, contradicted_at, status, incident, ..held.clone() };
        }
        if let Some(id) = commit.plan.taken_up {
            tables.inbox.remove(&id);
        }
        for outcome in &commit.plan.outcomes {
            tables.outcomes.insert(outcome.episode.clone(), outcome.clone());
        }
        for page in &commit.pages {
            let place = |page: &NewPage| (page.incident, page.round, page.step, page.channel.clone(), page.kind);
            if tables.pages.iter().any(|state| place(&state.page) == place(page)) {
                continue;
            }
            let (due_at, leased_until) = (page.created_at, Timestamp::MIN);
            let (mut page, failing) = (page.clone(), false);
            if page.alert_key.is_empty() {
                let of_round = |held: &&PageState| {
                    let held = &held.page;
                    (held.incident, held.round, held.kind) == (page.incident, page.round, PageKind::Ring)
                };
                page.alert_key =
                    tables.pages.iter().find(of_round).map(|held| held.page.alert_key.clone()).unwrap_or_default();
            }
            tables.pages.push(PageState { page, state: "queued", due_at, leased_until, attempts: 0, failing });
        }
        for no in commit.plan.incidents.keys() {
            tables.supersede(*no);
        }
        Ok(())
    }

    async fn recall(&self, keys: &[CaseKey]) -> Result<Vec<Case>> {
        let tables = self.tables();
        let kept = |key: &CaseKey| {
            let from = EpisodeKey { case: key.clone(), episode: 0 };
            let until = EpisodeKey { case: key.clone(), episode: u32::MAX };
            tables.cases.range(from..=until).map(|(_, (case, _))| case.clone()).collect::<Vec<_>>()
        };
        Ok(keys.iter().flat_map(kept).collect())
    }

    async fn inbox(&self) -> Result<Vec<InboxEntry>> {
        Ok(self.tables().inbox.values().cloned().collect())
    }

    async fn lease_pages(
        &self,
        of: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        let mut tables = self.tables();
        let open_rings: BTreeSet<(IncidentNo, u32, Name)> = tables
            .pages
            .iter()
            .filter(|p| p.page.kind == PageKind::Ring && matches!(p.state, "queued" | "leased"))
            .map(|p| (p.page.incident, p.page.round, p.page.channel.clone()))
            .collect();
        let mut order: Vec<usize> = (0..tables.pages.len()).collect();
        order.sort_by_key(|i| (tables.pages[*i].page.priority, tables.pages[*i].page.created_at, *i));
        let mut leased = Vec::new();
        for index in order {
            let state = &mut tables.pages[index];
            let page = &state.page;
            let due = match state.state {
                "queued" => state.due_at <= now,
                "leased" => state.leased_until <= now,
                _ => false,
            };
            let waits = page.kind == PageKind::Resolve
                && open_rings.contains(&(page.incident, page.round, page.channel.clone()));
            if lane(page) != of || !due || waits || full.contains(&page.channel) || leased.len() >= limit as usize {
                continue;
            }
            (state.state, state.leased_until) = ("leased", until);
            leased.push(LeasedPage { id: index as i64, page: page.clone(), attempts: state.attempts });
        }
        Ok(leased)
    }

    async fn next_page_at(&self, of: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
        let tables = self.tables();
        let at = |state: &PageState| match state.state {
            "queued" => Some(state.due_at),
            "leased" => Some(state.leased_until),
            _ => None,
        };
        let counts = |state: &&PageState| lane(&state.page) == of && !full.contains(&state.page.channel);
        Ok(tables.pages.iter().filter(counts).filter_map(at).min())
    }

    async fn record(&self, attempt: &Attempt) -> Result<()> {
        let mut tables = self.tables();
        let state = &mut tables.pages[attempt.page as usize];
        state.attempts += 1;
        let is_final = state.state == "accepted" || (state.state == "superseded");
        match attempt.delivery {
            Delivery::Accepted => state.state = "accepted",
            _ if is_final => {}
            Delivery::Retry { at } => (state.state, state.due_at) = ("queued", at),
            Delivery::Parked => state.state = "parked",
        }
        let incident = state.page.incident;
        tables.supersede(incident);
        if !attempt.fallbacks.is_empty() {
            tables.fall_back(attempt.page, &attempt.fallbacks, attempt.ended);
        }
        Ok(())
    }

    async fn unanswered(&self, of: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
        let tables = self.tables();
        let pages = tables.pages.iter().enumerate();
        let waits = |(_, state): &(usize, &PageState)| {
            let page = &state.page;
            let can = page.kind == PageKind::Ring && !state.failing && !page.fallbacks.is_empty();
            lane(page) == of && can && matches!(state.state, "queued" | "leased")
        };
        let leased = |(id, state): (usize, &PageState)| LeasedPage {
            id: id as i64,
            page: state.page.clone(),
            attempts: state.attempts,
        };
        let mut found: Vec<LeasedPage> = pages.filter(waits).map(leased).collect();
        found.sort_by_key(|leased| (leased.page.created_at, leased.id));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn fall_back(&self, page: i64, fallbacks: &[NewPage], now: Timestamp) -> Result<()> {
        self.tables().fall_back(page, fallbacks, now);
        Ok(())
    }

    async fn pages(&self, limit: u32) -> Result<Vec<PageRow>> {
        let tables = self.tables();
        let row = |(id, state): (usize, &PageState)| PageRow {
            id: id as i64,
            page: state.page.clone(),
            state: state.state.to_owned(),
            attempts: state.attempts,
            last_answer: None,
            accepted_at: None,
        };
        Ok(tables.pages.iter().enumerate().rev().take(limit as usize).map(row).collect())
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        Ok(Vec::new())
    }
}

/// What a heartbeat asks. Of canaries the model knows one, which was heard.
impl Evidence for ModelStore {
    async fn prove_writable(&self) -> Result<()> {
        Ok(())
    }

    async fn unheard_rounds(&self, created_by: Timestamp) -> Result<Vec<UnheardRound>> {
        let tables = self.tables();
        let rings = || tables.pages.iter().filter(|state| state.page.kind == PageKind::Ring);
        let round_of = |state: &PageState| (state.page.incident, state.page.round);
        let heard: BTreeSet<_> = rings().filter(|state| state.state == "accepted").map(round_of).collect();
        let waits = |state: &&PageState| matches!(state.state, "queued" | "leased" | "parked");
        let unheard = rings().filter(waits).filter(|state| !heard.contains(&round_of(state)));
        let mut rounds: BTreeMap<(IncidentNo, u32), UnheardRound> = BTreeMap::new();
        for page in unheard.map(|state| &state.page).filter(|page| page.created_at <= created_by) {
            let NewPage { incident, round, priority, created_at, .. } = *page;
            let round = UnheardRound { incident, round, priority, created_at };
            let held = rounds.entry((incident, round.round)).or_insert_with(|| round.clone());
            held.created_at = held.created_at.min(created_at);
        }
        Ok(rounds.into_values().collect())
    }

    async fn last_deed(&self, _kind: &str, _by: &str) -> Result<Option<Timestamp>> {
        Ok(Some(Timestamp::from_secs(0)))
    }

    async fn is_test_heard(&self, _since: Timestamp) -> Result<bool> {
        Ok(true)
    }
}
