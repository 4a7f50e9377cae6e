//! Against real Alertmanagers, each with a webhook behind it that counts how often a phone would ring.

use super::{keys, page, secs, silent_stats};
use crate::store_contract::home::{Home, Led};
use crate::support::ScratchDir;
use arc_swap::ArcSwap;
use axum::extract::State as Shared;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tocsin::core::id::IncidentNo;
use tocsin::core::incident::{Incident, IncidentKind};
use tocsin::core::plan::{PageKind, Plan};
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::pager::{ChannelKind, Channels};
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::run::outbox::Outbox;
use tocsin::run::repeat::{CLOSED_FOR, REPEAT_EVERY, Repeater};
use tocsin::secret::Secret;
use tocsin::status::{Mode, Status, StatusHandle, StoreStatus};
use tocsin::store::{Lane, NewPage, SqlStore, Store};

/// Long enough for a notification on a busy machine.
const SOON_SECS: i64 = 20;

/// Phones behind one Alertmanager: each alert rings when it begins to fire.
#[derive(Clone, Default)]
struct Phones(Arc<Mutex<(u32, BTreeSet<String>)>>);

impl Phones {
    async fn start() -> (Phones, String) {
        let phones = Phones::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(notified).with_state(phones.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (phones, url)
    }

    fn rings(&self) -> u32 {
        self.0.lock().unwrap().0
    }

    fn firing(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

async fn notified(Shared(phones): Shared<Phones>, body: axum::body::Bytes) {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut inside = phones.0.lock().unwrap();
    for alert in body["alerts"].as_array().unwrap() {
        let key = alert["labels"]["alert_key"].as_str().unwrap().to_owned();
        match alert["status"].as_str().unwrap() {
            "firing" if inside.1.insert(key.clone()) => inside.0 += 1,
            "resolved" => {
                inside.1.remove(&key);
            }
            _ => {}
        }
    }
}

/// A real Alertmanager that takes a second of silence for an end.
struct Alertmanager {
    scratch: ScratchDir,
    port: u16,
    child: Child,
}

impl Alertmanager {
    async fn start(webhook: &str) -> Alertmanager {
        let scratch = ScratchDir::new("alertmanager");
        let config = format!(
            "global: {{resolve_timeout: 1s}}\n\
             route: {{receiver: phones, group_by: [alert_key], group_wait: 0s, group_interval: 1s}}\n\
             receivers: [{{name: phones, webhook_configs: [{{url: '{webhook}', send_resolved: true}}]}}]\n"
        );
        std::fs::write(scratch.path().join("config.yml"), config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Alertmanager::spawn(&scratch, port);
        let alertmanager = Alertmanager { scratch, port, child };
        alertmanager.is_ready().await;
        alertmanager
    }

    fn spawn(scratch: &ScratchDir, port: u16) -> Child {
        let log = std::fs::File::create(scratch.path().join("log")).unwrap();
        let data = scratch.path().join("data");
        let started = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", scratch.path().join("config.yml").display()))
            .arg(format!("--storage.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        started.unwrap_or_else(|e| panic!("start prometheus-alertmanager, which tests/run installs: {e}"))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn is_ready(&self) {
        let url = format!("{}/-/ready", self.url());
        until("the alertmanager is ready", async || http().get(&url).send().await.is_ok_and(|a| a.status() == 200))
            .await;
    }

    /// Alerts that it holds as active.
    async fn active(&self) -> Vec<Value> {
        let answer = http().get(format!("{}/api/v2/alerts", self.url())).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Killed, and started without what it had kept.
    async fn lose_everything(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_dir_all(self.scratch.path().join("data"));
        self.child = Alertmanager::spawn(&self.scratch, self.port);
        self.is_ready().await;
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn http() -> reqwest::Client {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = SystemClock.now().plus(secs(SOON_SECS));
    while !holds().await {
        assert!(SystemClock.now() < give_up, "not within {SOON_SECS} s: {what}");
        SystemClock.sleep_until(SystemClock.now().plus(Span::from_micros(50_000))).await;
    }
}

fn channels(peers: &[String]) -> Arc<Channels> {
    let peers = peers.iter().map(Secret::new).collect();
    let labels = BTreeMap::from([("severity".to_owned(), "critical".to_owned())]);
    let settings = ChannelKind::Alertmanager { peers, labels };
    Arc::new(Channels::new(BTreeMap::from([("am".into(), settings.into())]), None).unwrap())
}

fn paged(kind: PageKind, at: Timestamp) -> NewPage {
    let page = page(1, kind, Priority::P0, at);
    let delivery_key = keys().delivery(&keys().alert(page.incident, 0), 0, &"am".into(), kind);
    NewPage { channel: "am".into(), delivery_key, ..page }
}

fn incident(resolved: bool) -> Plan {
    let kind = IncidentKind::Group { category: "threat".into() };
    let mut incident = Incident::open(IncidentNo(1), kind, "on-call".into(), SystemClock.now());
    if resolved {
        incident.resolve(SystemClock.now());
    }
    Plan { incidents: [(incident.no, incident)].into(), ..Plan::default() }
}

/// The store, and the two loops that send from it.
struct Night {
    led: Led,
    store: Arc<SqlStore>,
    channels: Arc<Channels>,
    outbox: Outbox<SqlStore, Arc<Channels>, SystemClock>,
    repeater: Repeater<SystemClock>,
    home: Home,
}

impl Night {
    async fn with(name: &str, peers: &[String]) -> Night {
        let home = Home::sqlite(name);
        let led = home.lead().await;
        let (store, channels) = (Arc::new(home.open().await), channels(peers));
        let outbox = Outbox::new(store.clone(), channels.clone(), SystemClock, keys(), silent_stats());
        let swapped = Arc::new(ArcSwap::new(channels.clone()));
        let repeater = Repeater { store: store.clone(), channels: swapped, clock: SystemClock, status: leading() };
        Night { led, store, channels, outbox, repeater, home }
    }

    async fn page(&mut self, kind: PageKind) {
        let resolved = kind == PageKind::Resolve;
        self.led.commit_with(&incident(resolved), vec![paged(kind, SystemClock.now())]).await.unwrap();
        self.outbox.pump(Lane::P0).await.unwrap();
        assert_eq!(self.store.pages(1).await.unwrap()[0].state, "accepted");
    }

    async fn repeat(&self) {
        let mut failing = BTreeMap::new();
        self.repeater.pass(SystemClock.now(), &mut failing).await;
        assert!(failing.is_empty(), "{failing:?}");
    }
}

fn leading() -> StatusHandle {
    StatusHandle::new(Status {
        version: "test",
        mode: Mode::Live,
        deployment: "test".into(),
        leader: true,
        started_at: SystemClock.now(),
        engine_alive_at: None,
        sources: Vec::new(),
        store: StoreStatus::default(),
        reload: tocsin::status::Reload::default(),
    })
}

#[tokio::test]
async fn every_alertmanager_rings_once_forgets_nothing_for_long_and_ends_with_the_incident() {
    let ((phones_one, one), (phones_two, two)) = (Phones::start().await, Phones::start().await);
    let (mut one, two) = (Alertmanager::start(&one).await, Alertmanager::start(&two).await);
    let mut night = Night::with("alertmanagers", &[one.url(), two.url()]).await;
    night.page(PageKind::Ring).await;
    let rung = async || (phones_one.rings(), phones_two.rings());
    until("both ring", async || rung().await == (1, 1)).await;
    let labels = one.active().await[0]["labels"].clone();
    assert_eq!(
        (&labels["severity"], &labels["lane"], &labels["incident"]),
        (&"critical".into(), &"p0".into(), &"I-1".into())
    );

    // Well past the second after which silence would be an end, told again or not.
    let quiet = SystemClock.now().plus(secs(3));
    until("three seconds pass", async || SystemClock.now() >= quiet).await;
    night.repeat().await;
    assert_eq!((one.active().await.len(), two.active().await.len()), (1, 1));
    assert_eq!((rung().await, phones_one.firing()), ((1, 1), 1), "a repetition rings nobody");

    one.lose_everything().await;
    assert!(one.active().await.is_empty());
    night.repeat().await;
    until("it has the alert again", async || one.active().await.len() == 1).await;
    assert_eq!(one.active().await[0]["labels"], labels);

    night.page(PageKind::Resolve).await;
    until("both fall silent", async || phones_one.firing() + phones_two.firing() == 0).await;
    let rings = rung().await;
    night.repeat().await;
    assert!(one.active().await.is_empty() && two.active().await.is_empty());
    assert_eq!(rung().await, rings);
}

#[tokio::test]
async fn a_peer_that_is_down_keeps_no_page_from_the_others_and_hears_of_it_later() {
    let ((phones, hook), (later_phones, later_hook)) = (Phones::start().await, Phones::start().await);
    let mut later = Alertmanager::start(&later_hook).await;
    let up = Alertmanager::start(&hook).await;
    let mut night = Night::with("peer_down", &[later.url(), up.url()]).await;
    later.child.kill().unwrap();
    later.child.wait().unwrap();
    night.page(PageKind::Ring).await;
    let answer = night.store.pages(1).await.unwrap()[0].last_answer.clone();
    assert_eq!(answer.as_deref(), Some("200 from 1 of 2 peers, another: connection refused"));
    until("the one that is up rings", async || phones.rings() == 1).await;
    later.lose_everything().await;
    night.repeat().await;
    until("the other rings once it is back", async || later_phones.rings() == 1).await;
    assert_eq!(night.channels.forgetful().count(), 1);
}

#[tokio::test]
async fn a_batch_that_an_alertmanager_answers_with_400_is_kept_but_for_what_it_cannot_read() {
    let (phones, hook) = Phones::start().await;
    let alertmanager = Alertmanager::start(&hook).await;
    let body = r#"[{"labels": {"alertname": "a", "alert_key": "good"}}, {"labels": {"a-b": "no label"}}]"#;
    let request = http().post(format!("{}/api/v2/alerts", alertmanager.url()));
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    until("the other one rings all the same", async || phones.rings() == 1).await;
}

#[tokio::test]
async fn what_ended_long_ago_is_repeated_no_more_and_what_nobody_accepted_never_was() {
    let mut night = Night::with("firing", &["http://127.0.0.1:1".to_owned()]).await;
    let at = SystemClock.now();
    night.led.commit_with(&incident(false), vec![paged(PageKind::Ring, at)]).await.unwrap();
    let firing = async |night: &Night, now: Timestamp| {
        let pages = night.store.firing(&"am".into(), now.minus(CLOSED_FOR)).await.unwrap();
        pages.iter().map(|page| page.kind).collect::<Vec<_>>()
    };
    assert!(firing(&night, at).await.is_empty(), "still to be sent");
    night.home.run("UPDATE pages SET state = 'accepted'").await;
    assert_eq!(firing(&night, at.plus(Span::from_hours(99))).await, [PageKind::Ring]);
    night.led.commit_with(&incident(true), vec![paged(PageKind::Resolve, at)]).await.unwrap();
    night.home.run("UPDATE pages SET state = 'accepted'").await;
    assert_eq!(firing(&night, at.plus(Span::from_mins(4))).await, [PageKind::Resolve]);
    assert!(firing(&night, at.plus(CLOSED_FOR)).await.is_empty());
    assert!(REPEAT_EVERY.plus(REPEAT_EVERY) < CLOSED_FOR);
}
