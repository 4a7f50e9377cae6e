//! Where a store under test lives, and the facts that are put into it.

use crate::kit::{minute, row};
use crate::support::{ScratchDir, fresh_postgres_database};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tocsin::core::case::{Case, Read, Report};
use tocsin::core::clock::{Breach, Clock, ClockState, Ending};
use tocsin::core::id::{CaseKey, EpisodeKey, IncidentNo, ReportId, ReportKey};
use tocsin::core::incident::{Incident, IncidentKind};
use tocsin::core::observation::EventName;
use tocsin::core::plan::{BreachRecord, BreachStatus, KeptCase, PageKind, Plan};
use tocsin::core::policy::{Priority, Standing};
use tocsin::secret::Secret;
use tocsin::store::{Commit, Lead, NewPage, Result, SqlStore, Store};

pub const FINGERPRINT: &str = "this deployment";

/// An empty database of one test's own.
pub struct Home {
    pub url: String,
    pub directory: Option<ScratchDir>,
}

impl Home {
    pub fn sqlite(name: &str) -> Home {
        let directory = ScratchDir::new(name);
        Home { url: directory.sqlite_url("tocsin.db"), directory: Some(directory) }
    }

    pub async fn postgres(name: &str) -> Home {
        Home { url: fresh_postgres_database(name).await, directory: None }
    }

    pub fn is_sqlite(&self) -> bool {
        self.directory.is_some()
    }

    pub fn url(&self) -> Secret {
        Secret::new(self.url.clone())
    }

    pub async fn open(&self) -> SqlStore {
        SqlStore::open(&self.url(), FINGERPRINT).await.unwrap()
    }

    /// An open store and the token of its leader.
    pub async fn lead(&self) -> Led {
        let store = self.open().await;
        let token = take_the_lead(&store, "test").await;
        Led { store, token, sequence: 0 }
    }

    /// Runs SQL behind the store's back.
    pub async fn run(&self, sql: &str) {
        self.try_run(sql).await.unwrap();
    }

    pub async fn try_run(&self, sql: &str) -> sqlx::Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut conn = SqliteConnection::connect(&self.url).await?;
            sqlx::raw_sql(sql).execute(&mut conn).await.map(drop)
        } else {
            let mut conn = PgConnection::connect(&self.url).await?;
            sqlx::raw_sql(sql).execute(&mut conn).await.map(drop)
        }
    }

    /// One number, read behind the store's back.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut conn = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
        } else {
            let mut conn = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap()
        }
    }
}

/// Leads as after the death of whoever led.
pub async fn take_the_lead(store: &SqlStore, holder: &str) -> u64 {
    let gone = match store.lead(holder, minute(0), None).await.unwrap() {
        Lead::Taken { token, .. } => return token,
        Lead::Held { token, .. } => token,
    };
    match store.lead(holder, minute(0), Some(gone)).await.unwrap() {
        Lead::Taken { token, .. } => token,
        held @ Lead::Held { .. } => panic!("{held:?}"),
    }
}

/// A store with its leader, who counts the sequence.
pub struct Led {
    pub store: SqlStore,
    pub token: u64,
    pub sequence: u64,
}

impl Led {
    pub async fn commit(&mut self, plan: &Plan) -> Result<()> {
        self.commit_with(plan, Vec::new()).await
    }

    pub async fn commit_with(&mut self, plan: &Plan, pages: Vec<NewPage>) -> Result<()> {
        let commit = commit(self.sequence + 1, self.token, plan, pages);
        self.store.commit(&commit).await?;
        self.sequence += 1;
        Ok(())
    }

    pub async fn queue(&mut self, pages: Vec<NewPage>) {
        self.commit_with(&Plan::default(), pages).await.unwrap();
    }
}

pub fn commit(sequence: u64, token: u64, plan: &Plan, pages: Vec<NewPage>) -> Commit<'_> {
    Commit { sequence, token, at: minute(5), plan, pages, next_incident: 9, sent: Vec::new() }
}

pub fn report_key(id: impl Into<i64>) -> ReportKey {
    ReportKey { source: "reports".into(), id: ReportId::Int(id.into()), incarnation: 0 }
}

pub fn episode(id: i64) -> EpisodeKey {
    EpisodeKey { case: CaseKey::Report(report_key(id)), episode: 0 }
}

pub fn case(key: EpisodeKey, priority: Priority) -> Case {
    let report = match &key.case {
        CaseKey::Report(report) => report.clone(),
        CaseKey::Subject { .. } => report_key(1),
    };
    Case {
        key,
        priority,
        standing: Standing::Known,
        raised: false,
        spread: 0,
        category: "csam".into(),
        rule: "minor safety".into(),
        escalation: Some("minor-safety".into()),
        reports: [(report, Report::first_sight(row("csam", minute(0)), Read::at(minute(1))))].into(),
        clocks: Vec::new(),
        pauses: Vec::new(),
        incident: None,
        ended: None,
        reopenings: 0,
        closed_by: Vec::new(),
        held_until: None,
        repeats_told: 0,
        raise_seen: false,
        crossed: None,
        stored: true,
    }
}

pub fn kept(case: Case) -> KeptCase {
    KeptCase { case: Box::new(case), settled: false }
}

pub fn keeping(cases: impl IntoIterator<Item = Case>) -> Plan {
    Plan { kept: cases.into_iter().map(kept).collect(), ..Plan::default() }
}

/// A clock in each of its states.
pub fn clocks() -> Vec<Clock> {
    let breach =
        Breach { deadline: minute(15), detected_at: minute(16), inherited: false, incident: Some(IncidentNo(3)) };
    let ended = Some(Ending::Met { at: minute(20) });
    let states = [
        ClockState::Running,
        ClockState::Asked { at: minute(15) },
        ClockState::Unverified { breach: breach.clone() },
        ClockState::Met { at: minute(4) },
        ClockState::Breached { breach: breach.clone(), ended: None, contradicted_at: None },
        ClockState::Breached { breach, ended, contradicted_at: Some(minute(30)) },
        ClockState::Moot,
    ];
    let clock = |(n, state)| Clock {
        target: format!("target {n}").into(),
        until: EventName::ALL[n],
        report: (n % 2 == 0).then(|| report_key(1)),
        obligation: n % 3 == 0,
        started: Some(minute(0)),
        deadline: Some(minute(15)),
        warns_at: None,
        warned_of: None,
        since: None,
        state,
    };
    states.into_iter().enumerate().map(clock).collect()
}

pub fn incident(no: u64, kind: IncidentKind) -> Incident {
    let mut incident = Incident::open(IncidentNo(no), kind, "minor-safety".into(), minute(2));
    incident.breach(Priority::P0, None, minute(2));
    incident
}

pub fn breach(id: i64, status: BreachStatus) -> BreachRecord {
    BreachRecord {
        episode: episode(id),
        target: "closed".into(),
        report: None,
        first_report: report_key(id),
        category: "csam".into(),
        rule: "minor safety".into(),
        priority: Priority::P0,
        started: Some(minute(0)),
        deadline: minute(60),
        detected_at: minute(61),
        inherited: false,
        status,
        ended: None,
        contradicted_at: None,
        incident: None,
        policy_hash: "policy".into(),
        known: Default::default(),
    }
}

pub fn ring(incident: u64, channel: &str, priority: Priority, created_min: i64) -> NewPage {
    NewPage {
        incident: IncidentNo(incident),
        round: 0,
        step: 0,
        channel: channel.into(),
        kind: PageKind::Ring,
        priority,
        created_at: minute(created_min),
        alert_key: format!("alert {incident}"),
        delivery_key: format!("delivery {incident} {channel} ring"),
        payload: format!("{{\"incident\":{incident},\"text\":\"back\\\\slash\"}}"),
        fallbacks: Vec::new(),
        in_place_of: None,
        is_test: false,
    }
}

pub fn resolve(ring: &NewPage) -> NewPage {
    let delivery_key = ring.delivery_key.replace("ring", "resolve");
    NewPage { kind: PageKind::Resolve, delivery_key, ..ring.clone() }
}
