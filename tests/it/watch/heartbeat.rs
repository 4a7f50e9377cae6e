//! The outbound heartbeat: sent while everything is well, and for nothing else in the world.

use super::well;
use crate::kit::minute;
use crate::store_contract::home::{Home, Led, ring};
use axum::extract::State as Shared;
use axum::http::{Method, StatusCode, Uri};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tocsin::core::act::Deed;
use tocsin::core::policy::Priority;
use tocsin::core::selfcheck::Findings;
use tocsin::core::time::Span;
use tocsin::pager::heartbeat::{HeartbeatMethod, HeartbeatSender, HeartbeatSettings};
use tocsin::run::auditor::{Audit, LastAudit};
use tocsin::run::canary::CANARY;
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::heartbeat::Heartbeat;
use tocsin::secret::Secret;
use tocsin::status::{Failure, Status};
use tocsin::store::NewPage;
use tokio::sync::watch;

/// A receiver of heartbeats that answers by a script, and then 200.
#[derive(Clone, Default)]
struct Switch {
    script: Arc<Mutex<VecDeque<u16>>>,
    beats: watch::Sender<Vec<String>>,
}

impl Switch {
    async fn start(script: &[u16]) -> (Switch, String) {
        let switch = Switch { script: Arc::new(Mutex::new(script.iter().copied().collect())), ..Switch::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(beat).with_state(switch.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (switch, base)
    }

    fn beats(&self) -> Vec<String> {
        self.beats.borrow().clone()
    }
}

async fn beat(Shared(switch): Shared<Switch>, method: Method, uri: Uri) -> StatusCode {
    switch.beats.send_modify(|beats| beats.push(format!("{method} {uri}")));
    let status = switch.script.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}

/// A monitor that is well at minute 10, and what hears it.
struct Night {
    home: Home,
    led: Led,
    switch: Switch,
    clock: VirtualClock,
    heartbeat: Heartbeat<VirtualClock>,
}

impl Night {
    async fn with(name: &str, script: &[u16], method: HeartbeatMethod, path: &str) -> Night {
        let home = Home::sqlite(name);
        let led = home.lead().await;
        let (switch, base) = Switch::start(script).await;
        let clock = VirtualClock::new(minute(10));
        let every = Span::from_mins(1);
        let settings = HeartbeatSettings { url: Secret::new(format!("{base}{path}")), method, every };
        let audit = LastAudit::default();
        audit.set(Audit { at: minute(10), found: Findings::default() });
        let heartbeat = Heartbeat {
            sender: HeartbeatSender::new(&settings).unwrap(),
            every,
            store: Arc::new(home.open().await),
            clock: clock.clone(),
            status: well(minute(10)),
            audit,
            has_canary: false,
        };
        Night { home, led, switch, clock, heartbeat }
    }

    async fn new(name: &str) -> Night {
        Night::with(name, &[], HeartbeatMethod::Post, "/ping/4711").await
    }

    /// Time has passed, and all else is well.
    fn at(&self, minutes: i64) {
        let now = minute(minutes);
        self.clock.set(now);
        let status = &self.heartbeat.status;
        status.update(|status| (status.sources[0].last_ok, status.engine_alive_at) = (Some(now), Some(now)));
    }

    /// Why it stays silent, which it must.
    async fn silence(&self) -> String {
        let heard = self.switch.beats().len();
        let cause = self.heartbeat.beat(self.clock.now()).await.expect_err("it must be silent");
        assert_eq!(self.switch.beats().len(), heard, "{cause}");
        cause
    }

    async fn beats(&self) {
        let heard = self.switch.beats().len();
        self.heartbeat.beat(self.clock.now()).await.unwrap();
        assert_eq!(self.switch.beats().len(), heard + 1);
    }
}

#[tokio::test]
async fn a_monitor_that_is_well_beats_as_its_receiver_wants_it() {
    for (method, path) in [
        (HeartbeatMethod::Post, "/ping/4711"),
        (HeartbeatMethod::Get, "/ping/4711"),
        (HeartbeatMethod::Post, "/api/v2/heartbeat/4711"),
    ] {
        let night = Night::with("beats", &[], method, path).await;
        night.beats().await;
        let verb = if method == HeartbeatMethod::Get { "GET" } else { "POST" };
        assert_eq!(night.switch.beats(), [format!("{verb} {path}")]);
    }
}

#[tokio::test]
async fn no_beat_while_the_process_does_not_do_its_whole_work() {
    let night = Night::new("unready").await;
    let failure = || Failure { at: minute(10), cause: "disk full".to_owned() };
    type Change = fn(&mut Status, Failure);
    let changes: [(&str, Change); 4] = [
        ("another process leads", |status, _| status.leader = false),
        ("the engine has been silent for 300 s", |status, _| status.engine_alive_at = Some(minute(5))),
        ("the store does not write: disk full", |status, failure| status.store.last_error = Some(failure)),
        ("blind to reports: ", |status, _| status.sources[0].last_ok = Some(minute(8))),
    ];
    for (cause, change) in changes {
        let before = night.heartbeat.status.load();
        night.heartbeat.status.update(|status| change(status, failure()));
        let said = night.silence().await;
        assert!(said.starts_with(cause), "{said}");
        night.heartbeat.status.update(|status| *status = Status::clone(&before));
        night.beats().await;
    }
}

#[tokio::test]
async fn no_beat_while_the_auditor_finds_something_or_says_nothing() {
    let night = Night::new("audited").await;
    let found = Findings { incidents_unheard: 2, ..Findings::default() };
    night.heartbeat.audit.set(Audit { at: minute(10), found });
    assert_eq!(night.silence().await, "the auditor found: 2 incidents that nobody heard");
    night.heartbeat.audit.set(Audit { at: minute(6), found: Findings::default() });
    assert_eq!(night.silence().await, "the auditor is silent");
    night.heartbeat.audit.set(Audit { at: minute(7), found: Findings::default() });
    night.beats().await;
}

#[tokio::test]
async fn no_beat_while_a_page_is_accepted_by_none_of_its_channels() {
    let mut night = Night::new("unheard").await;
    night.led.queue(vec![ring(1, "pager", Priority::P0, 10), ring(1, "mail", Priority::P0, 10)]).await;
    night.beats().await;
    night.clock.advance(Span::from_secs(15));
    assert_eq!(night.silence().await, "no channel has accepted 1 rounds of pages");
    night.home.run("UPDATE pages SET state = 'accepted' WHERE channel = 'mail'").await;
    night.beats().await;

    night.led.queue(vec![ring(2, "pager", Priority::P2, 10)]).await;
    night.at(11);
    night.beats().await;
    night.at(12);
    assert_eq!(night.silence().await, "no channel has accepted 1 rounds of pages");
    night.home.run("UPDATE pages SET state = 'superseded' WHERE incident = 2").await;
    night.beats().await;
}

#[tokio::test]
async fn no_beat_when_the_store_takes_no_write() {
    let night = Night::new("unwritable").await;
    night.beats().await;
    night.heartbeat.store.close().await;
    assert!(night.silence().await.contains("prove that the store writes"));
}

#[tokio::test]
async fn with_a_canary_no_beat_after_one_that_nobody_accepted() {
    let mut night = Night::new("with_canary").await;
    night.heartbeat.has_canary = true;
    night.beats().await;
    let deed = Deed::TestPage { escalation: "on-call".into() };
    night.heartbeat.store.put_deed_once(&deed, CANARY, minute(5)).await.unwrap();
    assert_eq!(night.silence().await, "the last canary was not accepted");
    night.led.queue(vec![NewPage { is_test: true, ..ring(1, "pager", Priority::P1, 5) }]).await;
    assert_eq!(night.silence().await, "the last canary was not accepted", "queued is not accepted");
    night.home.run("UPDATE pages SET state = 'accepted'").await;
    night.beats().await;
}

#[tokio::test]
async fn a_beat_that_is_not_accepted_is_tried_again_at_the_next() {
    let night = Night::with("refused", &[500, 404, 301], HeartbeatMethod::Post, "/").await;
    for answer in ["500", "404", "301: a redirect, not followed"] {
        let cause = night.heartbeat.beat(night.clock.now()).await.unwrap_err();
        assert_eq!(cause, format!("the receiver of the heartbeat did not accept it: {answer}"));
    }
    night.beats().await;
}

#[tokio::test]
async fn the_loop_beats_once_an_interval_and_ends_when_it_is_told() {
    let Night { home, led, switch, clock, heartbeat } = Night::new("loop").await;
    let (stop, stopping) = watch::channel(false);
    let (status, audit) = (heartbeat.status.clone(), heartbeat.audit.clone());
    let running = tokio::spawn(heartbeat.run(stopping));
    let mut heard = switch.beats.subscribe();
    for n in 1..=5 {
        heard.wait_for(|beats| beats.len() == n).await.unwrap();
        assert_eq!(clock.somebody_sleeps().await, minute(10 + n as i64));
        let next = minute(10 + n as i64);
        status.update(|status| (status.sources[0].last_ok, status.engine_alive_at) = (Some(next), Some(next)));
        audit.set(Audit { at: next, found: Findings::default() });
        clock.set(next);
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    drop((home, led));
}
