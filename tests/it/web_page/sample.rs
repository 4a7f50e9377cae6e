//! A monitor in the middle of a bad night, made up, and a server that shows it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};

use super::stands_in::{Purse, Shelves, Silent};
use arc_swap::ArcSwap;
use tocsin::core::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey};
use tocsin::core::incident::{Incident, IncidentKind};
use tocsin::core::observation::EventName;
use tocsin::core::plan::PageKind;
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::rank::Rank;
use tocsin::core::time::{Span, Timestamp};
use tocsin::core::view::{Counts, Group, IncidentRow, NextDeadline, QueueRow, View};
use tocsin::keys::Keys;
use tocsin::metrics::{KnownLabels, Metrics};
use tocsin::status::{Failure, Mode, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::{AuditLine, NewPage, Noted, PageCount, PageRow, StoreError};
use tocsin::web::access::Access;
use tocsin::web::desk::Signed;
use tocsin::web::{PagesFuture, PagesReader, WebState, serve};

/// 2026-11-23T03:12:05Z, a Monday at night.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_403_525);

pub fn ago(secs: i64) -> Timestamp {
    NOW.minus(Span::from_secs(secs))
}

pub fn group(source: &str, category: &str, priority: Priority) -> Group {
    Group { source: source.into(), category: category.into(), priority }
}

/// A row of the queue that is due `due_in_secs` from now, overdue when that is negative.
pub fn row(source: &str, id: i64, category: &str, priority: Priority, due_in_secs: Option<i64>) -> QueueRow {
    let key = ReportKey { source: source.into(), id: ReportId::Int(id), incarnation: 0 };
    let due = due_in_secs.unwrap_or(0);
    let episode = EpisodeKey { case: CaseKey::Report(key.clone()), episode: 0 };
    QueueRow {
        rank: Rank {
            priority,
            standing: Standing::Known,
            raised: Reverse(false),
            deadline: due_in_secs.map_or(Timestamp::MAX, |due| NOW.plus(Span::from_secs(due))),
            spread: Reverse(0),
            received: ago(900 - due.min(0)),
            key: episode,
        },
        episode: EpisodeKey { case: CaseKey::Report(key.clone()), episode: 0 },
        first_report: key,
        reports: 1,
        category: category.into(),
        priority,
        standing: Standing::Known,
        rule: "a rule".into(),
        received: ago(900 - due.min(0)),
        next: due_in_secs.map(|due| NextDeadline {
            target: "first_response".into(),
            until: EventName::FirstResponse,
            deadline: NOW.plus(Span::from_secs(due)),
        }),
        overdue: due_in_secs.is_some_and(|due| due < 0),
        unverified: false,
        incident: due_in_secs.filter(|due| *due < 0).map(|_| IncidentNo(12)),
    }
}

pub fn source(name: &str, read_secs_ago: i64) -> SourceStatus {
    let mut source = SourceStatus::new(name.into(), Span::from_secs(1), Span::from_secs(60));
    source.last_ok = Some(ago(read_secs_ago));
    source.last_poll_took = Some(Span::from_micros(4_200));
    source.rows_last_scan = 412;
    source.caught_up = true;
    source
}

pub fn calm_status() -> Status {
    Status {
        version: "0.1.0",
        mode: Mode::Live,
        deployment: "5f1c09ab".into(),
        leader: true,
        started_at: ago(50_000),
        engine_alive_at: Some(ago(1)),
        sources: vec![source("reports", 1)],
        store: StoreStatus { last_commit: Some(ago(2)), sequence: 90_412, ..StoreStatus::default() },
        reload: tocsin::status::Reload::default(),
    }
}

/// Two sources, one of them blind; a category that nobody has named.
pub fn bad_night_status() -> Status {
    let mut status = calm_status();
    let mut appeals = source("appeals", 372);
    appeals.last_error =
        Some(Failure { at: ago(1), cause: "cannot connect: connection refused (os error 111)".into() });
    status.sources.push(appeals);
    status
}

pub fn bad_night_view() -> View {
    let mut queue = vec![
        row("reports", 4_711, "csam", Priority::P0, Some(-250)),
        row("appeals", 88_102, "minor_sextortion", Priority::P0, Some(-41)),
        row("reports", 4_733, "grooming", Priority::P0, Some(192)),
        row("reports", 4_740, "teen_challenge_x", Priority::P0, Some(540)),
        row("reports", 4_702, "self_harm", Priority::P1, Some(-3_925)),
        row("reports", 4_690, "violent_threat", Priority::P1, Some(-12)),
        row("appeals", 88_090, "ncii", Priority::P2, Some(-86_400 * 3)),
        row("reports", 4_655, "ncii", Priority::P2, Some(1_260)),
        row("reports", 4_512, "harassment_including_a_long_code_of_the_platform", Priority::P3, Some(7_500)),
    ];
    queue[0].reports = 7;
    queue[1].unverified = true;
    queue[1].incident = Some(IncidentNo(13));
    for lesser in &mut queue[4..7] {
        lesser.incident = Some(IncidentNo(11));
    }
    queue[3].standing = Standing::Presumed;
    queue.extend((0..24).map(|i| row("reports", 4_000 + i, "spam", Priority::P4, Some(20_000 + 977 * i))));
    queue.push(row("reports", 4_100, "other_unclear", Priority::P4, None));
    let mut open: BTreeMap<Group, Counts> = BTreeMap::new();
    for row in &queue {
        let counts = open.entry(group(&row.first_report.source, &row.category, row.priority)).or_default();
        counts.open += 1;
        counts.overdue += u64::from(row.overdue);
    }
    open.entry(group("reports", "spam", Priority::P4)).or_default().open += 11_000;
    let breaches = [(group("reports", "csam", Priority::P0), "first_response".into())];
    View {
        as_of: Some(ago(1)),
        incidents: incidents(&queue),
        queue,
        open,
        breaches_total: breaches.into_iter().map(|key| (key, 3)).collect(),
        rejects_total: BTreeMap::from([(("reports".into(), "not_a_time"), 21)]),
        quiets: quiets(),
        presumed_categories: vec![
            ("reports".into(), "teen_challenge_x".into()),
            ("reports".into(), "unmapped_17".into()),
        ],
        pace: Default::default(),
    }
}

fn incidents(queue: &[QueueRow]) -> Vec<IncidentRow> {
    let opened = |no: u64, kind: IncidentKind, secs: i64, rounds: u32, escalation: &str| {
        let mut incident = Incident::open(IncidentNo(no), kind, escalation.into(), ago(secs));
        incident.rounds = rounds;
        incident.rung_at = Some(ago(secs.min(41)));
        incident
    };
    let episode = |at: usize| IncidentKind::Episode(queue[at].episode.clone());
    let mut lesser = opened(11, IncidentKind::Group { category: "self_harm".into() }, 3_925, 4, "on-call");
    lesser.ring_at = Some(NOW.plus(Span::from_secs(130)));
    [
        (opened(13, episode(1), 41, 1, "minor-safety"), Priority::P0, "minor_sextortion", 1),
        (opened(12, episode(0), 250, 2, "minor-safety"), Priority::P0, "csam", 1),
        (lesser, Priority::P1, "self_harm", 2),
    ]
    .into_iter()
    .map(|(incident, priority, category, count)| IncidentRow { incident, priority, category: category.into(), count })
    .collect()
}

pub fn page(id: i64, incident: u64, kind: PageKind, channel: &str, state: &str, answer: Option<&str>) -> PageRow {
    PageRow {
        id,
        page: NewPage {
            incident: IncidentNo(incident),
            round: 0,
            step: 0,
            channel: channel.into(),
            kind,
            priority: if incident > 11 { Priority::P0 } else { Priority::P1 },
            created_at: ago(41 * (10 - id)),
            alert_key: "alert".into(),
            delivery_key: "delivery".into(),
            payload: "{}".into(),
            fallbacks: Vec::new(),
            in_place_of: None,
            is_test: false,
        },
        state: state.into(),
        attempts: u32::from(answer.is_some()) + u32::from(state == "queued") * 2,
        last_answer: answer.map(str::to_owned),
        accepted_at: None,
    }
}

pub fn bad_night_pages() -> Vec<PageRow> {
    vec![
        page(9, 13, PageKind::Ring, "webhook-minor", "queued", Some("503")),
        page(8, 12, PageKind::Ring, "webhook-minor", "accepted", Some("202")),
        page(7, 12, PageKind::Ring, "log", "accepted", Some("written")),
        page(6, 11, PageKind::Ring, "webhook-tns", "parked", Some("401")),
        page(5, 10, PageKind::Resolve, "webhook-tns", "accepted", Some("202")),
    ]
}

/// A store of which only the pages are asked.
pub struct Pages {
    pub rows: Vec<PageRow>,
    /// Answers nothing but errors.
    pub broken: bool,
}

impl Pages {
    fn answer<T: Send + 'static>(&self, found: T) -> PagesFuture<'_, T> {
        let failed = StoreError::Unreadable { operation: "list pages", what: "broken by the test".into() };
        Box::pin(ready(if self.broken { Err(failed) } else { Ok(found) }))
    }
}

impl PagesReader for Pages {
    fn pages(&self, limit: u32) -> PagesFuture<'_, Vec<PageRow>> {
        self.answer(self.rows.iter().take(limit as usize).cloned().collect())
    }

    fn page_counts(&self) -> PagesFuture<'_, Vec<PageCount>> {
        let mut counts: BTreeMap<(Name, String), u64> = BTreeMap::new();
        for row in &self.rows {
            *counts.entry((row.page.channel.clone(), row.state.clone())).or_default() += 1;
        }
        let counts = counts.into_iter().map(|((channel, state), count)| PageCount { channel, state, count });
        self.answer(counts.collect())
    }
}

pub fn state(view: View, status: Status, rows: Vec<PageRow>) -> WebState {
    let sources = status.sources.iter().map(|source| source.name.clone()).collect();
    let channels = ["log", "webhook-minor", "webhook-tns"].map(Name::from).to_vec();
    let known = KnownLabels { sources, channels, categories: vec!["csam".into()], promises: Vec::new() };
    WebState {
        view: Arc::new(ArcSwap::from_pointee(view)),
        status: StatusHandle::new(status),
        keys: Keys::new(b"a secret of the test's own"),
        pages: Arc::new(Pages { rows, broken: false }),
        desk: Arc::new(Tray::default()),
        pagerduty_secrets: Arc::new(Vec::new()),
        metrics: Arc::new(Metrics::new(known).expect("the instruments have different names")),
        links: Arc::new(BTreeMap::from([("reports".into(), "https://mod.example.org/reports/{id}".into())])),
        now: Arc::new(|| NOW),
        archive: Arc::new(Shelves::default()),
        engine: Arc::new(Silent),
        zone: tocsin::zone::Zone::UTC,
        access: Arc::new(Access::open(Arc::new(Purse::default()))),
        limits: Arc::default(),
        live: Arc::default(),
        people: Arc::new(|_, by| Ok(("reports".into(), by.to_owned()))),
        reload: None,
        demo: None,
    }
}

/// A monitor's web on a free port of its own; it stops with the value.
pub struct Served {
    pub url: String,
    stop: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
}

impl Served {
    pub async fn at(address: &str, state: WebState) -> Served {
        let listener = tokio::net::TcpListener::bind(address).await.expect("listen");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        tokio::spawn(serve(listener, state, async {
            stopped.await.unwrap_or(());
        }));
        Served { url, stop: Mutex::new(Some(stop)) }
    }

    pub async fn of(state: WebState) -> Served {
        Served::at("127.0.0.1:0", state).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.lock().expect("no test panics under it").take() {
            stop.send(()).unwrap_or(());
        }
    }
}

/// What the desk was given: (deed, by).
#[derive(Default)]
pub struct Tray {
    pub deeds: Mutex<Vec<(tocsin::core::act::Deed, String)>>,
    pub once: Mutex<std::collections::BTreeSet<String>>,
    /// Alerts of ours: key, incident, round.
    pub alerts: Vec<(String, IncidentNo, u32)>,
    /// Incidents that are open beside those that the view shows.
    pub open: Vec<IncidentNo>,
    /// Lines of the audit log, newest first.
    pub audit: Vec<AuditLine>,
    /// What was noted: (kind, by, origin).
    pub noted: Mutex<Vec<(String, String, String)>>,
    pub broken: bool,
}

impl Tray {
    fn answer<T: Send + 'static>(&self, found: T) -> PagesFuture<'_, T> {
        let failed = StoreError::Unreadable { operation: "put", what: "broken by the test".into() };
        Box::pin(ready(if self.broken { Err(failed) } else { Ok(found) }))
    }

    fn keep(&self, deed: &tocsin::core::act::Deed, by: &str) {
        if !self.broken {
            self.deeds.lock().expect("no test panics under it").push((deed.clone(), by.to_owned()));
        }
    }
}

impl tocsin::web::desk::Desk for Tray {
    fn put(&self, deed: &tocsin::core::act::Deed, signed: Signed<'_>) -> PagesFuture<'_, ()> {
        self.keep(deed, signed.by);
        self.answer(())
    }

    fn put_once(&self, id: &str, deed: &tocsin::core::act::Deed, signed: Signed<'_>) -> PagesFuture<'_, bool> {
        let is_new = !self.broken && self.once.lock().expect("no test panics under it").insert(id.to_owned());
        if is_new {
            self.keep(deed, signed.by);
        }
        self.answer(is_new)
    }

    fn incident_of_alert(&self, alert_key: &str) -> PagesFuture<'_, Option<(IncidentNo, u32)>> {
        self.answer(self.alerts.iter().find(|(key, _, _)| key == alert_key).map(|(_, no, round)| (*no, *round)))
    }

    fn is_incident_open(&self, no: IncidentNo) -> PagesFuture<'_, bool> {
        self.answer(self.open.contains(&no))
    }

    fn note<'a>(&'a self, noted: Noted<'a>) -> PagesFuture<'a, ()> {
        let line = (noted.kind.to_owned(), noted.by.to_owned(), noted.origin.to_owned());
        self.noted.lock().expect("no test panics under it").push(line);
        self.answer(())
    }

    fn audit(&self, before: i64, limit: u32) -> PagesFuture<'_, Vec<AuditLine>> {
        let lines = self.audit.iter().filter(|line| line.id < before).take(limit as usize);
        self.answer(lines.cloned().collect())
    }
}

fn quiets() -> Vec<tocsin::core::quiet::Quiet> {
    vec![tocsin::core::quiet::Quiet {
        no: 17,
        scope: tocsin::core::quiet::Scope::Category("spam".into()),
        highest: Priority::P1,
        by: "ada".into(),
        reason: "the spam filter is being moved".into(),
        at: ago(60),
        from: ago(60),
        until: NOW.plus(Span::from_secs(3_600)),
    }]
}
