//! Pages on their way to a receiver: what is sent, what each answer does to a page, and that nothing is
//! lost or rings twice. Time is virtual; the receiver is a real socket on loopback.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails like the test itself")]

mod alertmanager;
mod fallbacks;
mod letters;
mod mail;
mod night;
mod products;
pub mod receiver;
mod service;
mod shelf;
mod tls;

use receiver::{Receiver, Reply};
use shelf::{Shelf, State};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use tocsin::core::id::{IncidentNo, Name};
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::pager::payload::{Payload, PayloadAbout, PayloadCase};
use tocsin::pager::{Answer, ChannelKind, Channels, Outgoing, REQUEST_TIMEOUT, Sender};
use tocsin::run::clock::{Clock, SystemClock, VirtualClock};
use tocsin::run::outbox::{LEASE, Outbox, OutboxStats, channel_sending_max, sending_max};
use tocsin::secret::Secret;
use tocsin::store::{Lane, NewPage, Store};
use tocsin::zone::rfc3339;
use tokio::sync::{Notify, watch};

/// "whsec_" and the base64 of 32 bytes.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD_SECRET: &str = "whsec_//////////////////////////////////////////8=";

/// 2026-11-23T08:00:00Z, a Monday.
const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);

fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

fn keys() -> Keys {
    Keys::new(b"the secret of a test deployment")
}

fn page(incident: u64, kind: PageKind, priority: Priority, created_at: Timestamp) -> NewPage {
    let keys = keys();
    let (incident, channel): (_, Name) = (IncidentNo(incident), "hook".into());
    let case = PayloadCase {
        case: "C-7F3KQ-9QXMA".into(),
        source: "reports".into(),
        category: "grooming".into(),
        priority: priority.to_string(),
        presumed: false,
        reports: 1,
        target: "first_response".into(),
        deadline: rfc3339(created_at.minus(secs(240))),
        unverified: false,
        inherited: false,
    };
    let payload = Payload {
        kind,
        incident: incident.to_string(),
        round: 0,
        step: 0,
        priority: priority.to_string(),
        created_at: rfc3339(created_at),
        part: None,
        about: PayloadAbout::Overdue,
        acknowledge: None,
        in_place_of: None,
        without_store: false,
        count: 1,
        cases: vec![case],
    };
    NewPage {
        incident,
        round: 0,
        step: 0,
        kind,
        priority,
        created_at,
        alert_key: keys.alert(incident, 0),
        delivery_key: keys.delivery(&keys.alert(incident, 0), 0, &channel, kind),
        payload: serde_json::to_string(&payload).unwrap(),
        fallbacks: Vec::new(),
        in_place_of: None,
        is_test: false,
        channel,
    }
}

fn hook(url: &str, secrets: &[&str]) -> Channels {
    let secrets = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let settings = ChannelKind::Webhook { url: Secret::new(url), secrets };
    Channels::new(BTreeMap::from([("hook".into(), settings.into())]), Some("https://tocsin.example.org".into()))
        .unwrap()
}

/// A store, a clock, a receiver and an outbox between them.
struct Night {
    store: Arc<Shelf>,
    clock: VirtualClock,
    receiver: Receiver,
    stats: OutboxStats,
    outbox: Outbox<Shelf, Channels, VirtualClock>,
}

impl Night {
    async fn with(script: impl IntoIterator<Item = Reply>) -> Night {
        let receiver = Receiver::start(SECRET, script).await;
        let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
        let channels = hook(&receiver.url, &[SECRET]);
        let stats = OutboxStats::new(channels.names()).unwrap();
        let outbox = Outbox::new(Arc::clone(&store), channels, clock.clone(), keys(), stats.clone());
        Night { store, clock, receiver, stats, outbox }
    }

    /// With one P0 ring on the shelf, sent once.
    async fn after_one_attempt(reply: Reply) -> Night {
        let night = Night::with([reply]).await;
        night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
        assert_eq!(night.pump().await, 1);
        night
    }

    async fn pump(&self) -> usize {
        self.outbox.pump(Lane::P0).await.unwrap()
    }

    /// The process that sends is killed and another takes its place, on the same store.
    fn restarted(&self) -> Outbox<Shelf, Channels, VirtualClock> {
        let channels = hook(&self.receiver.url, &[SECRET]);
        Outbox::new(Arc::clone(&self.store), channels, self.clock.clone(), keys(), self.stats.clone())
    }
}

#[tokio::test]
async fn a_page_arrives_signed_as_the_standard_has_it_and_rings_once() {
    let night = Night::after_one_attempt(Reply::Status(204, "")).await;
    assert_eq!(night.store.row(0).state, State::Accepted);
    assert_eq!(night.store.answers(0), ["204"]);
    assert_eq!((night.receiver.rings(), night.receiver.bad_signatures()), (1, 0));
    let request = &night.receiver.requests()[0];
    assert_eq!(request.id, night.store.row(0).page.delivery_key);
    assert_eq!(request.at_secs, NOW.micros() / 1_000_000);
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(request.bytes.len() < 20_000);
    assert_eq!(request.kind(), "incident.ring");
    assert_eq!(request.body["data"]["url"], "https://tocsin.example.org");
    let title = request.body["data"]["title"].as_str().unwrap();
    assert_eq!(title, "P0 minor safety overdue: C-7F3KQ-9QXMA, first_response 4m late");
    assert_eq!(night.stats.attempts("hook", "accepted"), 1);
    assert_eq!(night.pump().await, 0);
}

#[tokio::test]
async fn the_standards_own_verifier_takes_a_page_while_a_secret_rotates() {
    let receiver = Receiver::start(OLD_SECRET, []).await;
    let now = SystemClock.now();
    let new_page = page(1, PageKind::Ring, Priority::P0, now);
    let answer = hook(&receiver.url, &[SECRET, OLD_SECRET]).send(&outgoing(&new_page), now).await;
    assert_eq!(answer, Answer::accepted("200"));
    assert_eq!(receiver.bad_signatures(), 0);
    let request = &receiver.requests()[0];
    for secret in [SECRET, OLD_SECRET] {
        let theirs = standardwebhooks::Webhook::new(secret).unwrap();
        theirs.verify(&request.bytes, &request.headers).unwrap();
        let mut forged = request.bytes.clone();
        forged[20] ^= 1;
        theirs.verify(&forged, &request.headers).unwrap_err();
    }
}

fn outgoing(page: &NewPage) -> Outgoing<'_> {
    Outgoing {
        channel: &page.channel,
        incident: page.incident,
        round: page.round,
        kind: page.kind,
        priority: page.priority,
        created_at: page.created_at,
        alert_key: &page.alert_key,
        delivery_key: &page.delivery_key,
        payload: &page.payload,
    }
}

#[tokio::test]
async fn permanent_answers_park_the_page_and_a_redirect_is_not_followed() {
    for (status, headers, answer) in [
        (301, "Location: /elsewhere\r\n", "301: a redirect, not followed"),
        (400, "", "400"),
        (404, "", "404"),
        (410, "", "410: the receiver is gone for good"),
    ] {
        let night = Night::after_one_attempt(Reply::Status(status, headers)).await;
        assert_eq!(night.store.row(0).state, State::Parked, "{status}");
        assert_eq!(night.store.answers(0), [answer]);
        night.clock.advance(Span::from_hours(24));
        assert_eq!(night.pump().await, 0);
        assert_eq!(night.receiver.requests().len(), 1, "{status}");
        assert_eq!(night.stats.attempts("hook", "parked"), 1);
    }
}

#[tokio::test]
async fn a_channel_gone_from_the_configuration_parks_its_page() {
    let night = Night::with([]).await;
    night.store.put(NewPage { channel: "gone".into(), ..page(1, PageKind::Ring, Priority::P0, NOW) });
    night.pump().await;
    assert_eq!(night.store.row(0).state, State::Parked);
    assert_eq!(night.store.answers(0), ["channel not configured"]);
}

#[tokio::test]
async fn a_500_is_tried_again_after_a_second_or_two_under_the_same_key_and_body() {
    let night = Night::after_one_attempt(Reply::Status(500, "")).await;
    let retry_at = night.store.retry_at(0);
    assert!((NOW.plus(secs(1))..=NOW.plus(secs(2))).contains(&retry_at), "{}", rfc3339(retry_at));
    night.clock.set(retry_at.minus(Span::from_micros(1)));
    assert_eq!(night.pump().await, 0);
    night.clock.set(retry_at);
    assert_eq!(night.pump().await, 1);
    assert_eq!(night.store.answers(0), ["500", "200"]);
    let requests = night.receiver.requests();
    assert_eq!((requests.len(), night.receiver.rings(), night.receiver.bad_signatures()), (2, 1, 0));
    assert_eq!(requests[0].id, requests[1].id);
    assert_eq!(requests[0].bytes, requests[1].bytes);
    assert_eq!(requests[1].at_secs, retry_at.micros() / 1_000_000);
}

#[tokio::test]
async fn l10_a_429_waits_as_long_as_it_says_and_without_saying_as_long_as_we_choose() {
    let silent = Night::after_one_attempt(Reply::Status(429, "")).await;
    let retry_at = silent.store.retry_at(0);
    assert!((NOW.plus(secs(1))..=NOW.plus(secs(2))).contains(&retry_at), "{}", rfc3339(retry_at));

    for (header, wait_secs) in [
        ("Retry-After: 37\r\n", 37),
        ("Retry-After: Mon, 23 Nov 2026 08:00:42 GMT\r\n", 42),
        // No receiver may silence a P0 for longer than a minute.
        ("Retry-After: 86400\r\n", 60),
    ] {
        let night = Night::after_one_attempt(Reply::Status(429, header)).await;
        assert_eq!(night.store.retry_at(0), NOW.plus(secs(wait_secs)), "{header}");
        assert_eq!(night.receiver.rings(), 0);
        night.clock.advance(secs(wait_secs));
        assert_eq!(night.pump().await, 1);
        assert_eq!((night.store.row(0).state, night.receiver.rings()), (State::Accepted, 1));
    }

    let lesser = Night::with([Reply::Status(429, "Retry-After: 86400\r\n")]).await;
    lesser.store.put(page(1, PageKind::Ring, Priority::P2, NOW));
    lesser.outbox.pump(Lane::Lesser).await.unwrap();
    assert_eq!(lesser.store.retry_at(0), NOW.plus(secs(300)));
}

#[tokio::test]
async fn l13_a_ring_that_is_retried_across_the_resolve_still_says_that_it_rings() {
    let night = Night::after_one_attempt(Reply::Status(503, "")).await;
    let ring = night.store.row(0).page;
    night.clock.advance(Span::from_micros(500_000));
    night.store.put(page(1, PageKind::Resolve, Priority::P0, night.clock.now()));
    assert_eq!(night.pump().await, 0, "the resolve waits for its ring");
    night.clock.set(night.store.retry_at(0));
    assert_eq!(night.pump().await, 1);
    assert!(night.receiver.is_firing(&ring.alert_key));
    assert_eq!(night.pump().await, 1);
    let requests = night.receiver.requests();
    let kinds: Vec<&str> = requests.iter().map(|request| request.kind()).collect();
    assert_eq!(kinds, ["incident.ring", "incident.ring", "incident.resolved"]);
    assert_eq!(requests[0].bytes, requests[1].bytes);
    assert_ne!(requests[1].id, requests[2].id);
    assert!(requests[2].body["data"]["title"].as_str().unwrap().starts_with("RESOLVED, I-1 P0"));
    assert_eq!((night.receiver.rings(), night.receiver.is_firing(&ring.alert_key)), (1, false));
}

#[tokio::test]
async fn l18_the_lease_outlasts_the_request_so_a_slow_receiver_gets_the_page_once() {
    let night = Night::with([Reply::Silence]).await;
    night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    let outbox = night.outbox.clone();
    let sending = tokio::spawn(async move { outbox.pump(Lane::P0).await });
    night.receiver.has_seen(1).await;
    let timeout = NOW.plus(REQUEST_TIMEOUT);
    assert_eq!(night.clock.somebody_sleeps().await, timeout);
    // Another process on the same store finds nothing to send while the first waits for its answer.
    for at in [NOW, timeout.minus(Span::from_micros(1))] {
        night.clock.set(at);
        assert_eq!(night.restarted().pump(Lane::P0).await.unwrap(), 0);
    }
    assert!(!sending.is_finished());
    night.clock.set(timeout);
    assert_eq!(sending.await.unwrap().unwrap(), 1);
    assert_eq!(night.store.answers(0), ["timed out after 15 s"]);
    assert_eq!(night.receiver.requests().len(), 1);
    assert!(night.store.retry_at(0) > timeout);
}

#[tokio::test]
async fn a_crash_between_send_and_record_repeats_the_page_under_the_same_key() {
    let night = Night::with([]).await;
    night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    night.store.record_hangs.store(true, SeqCst);
    let outbox = night.outbox.clone();
    let sending = tokio::spawn(async move { outbox.pump(Lane::P0).await });
    night.receiver.has_seen(1).await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    night.store.record_hangs.store(false, SeqCst);

    let successor = night.restarted();
    assert_eq!(successor.pump(Lane::P0).await.unwrap(), 0, "the lease still runs");
    night.clock.advance(LEASE);
    assert_eq!(successor.pump(Lane::P0).await.unwrap(), 1);
    let requests = night.receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!((&requests[0].id, &requests[0].bytes), (&requests[1].id, &requests[1].bytes));
    assert_eq!((night.receiver.rings(), night.store.row(0).state), (1, State::Accepted));
}

#[tokio::test]
async fn an_answer_lost_after_the_receiver_took_the_page_rings_nobody_twice() {
    let night = Night::after_one_attempt(Reply::ProcessedThenReset).await;
    assert_eq!(night.store.answers(0), ["connection reset"]);
    night.clock.set(night.store.retry_at(0));
    night.pump().await;
    assert_eq!((night.receiver.requests().len(), night.receiver.rings()), (2, 1));
    assert_eq!(night.store.row(0).state, State::Accepted);
}

#[tokio::test]
async fn each_network_failure_is_named_and_tried_again() {
    let reset = Night::after_one_attempt(Reply::Reset).await;
    assert_eq!(reset.store.answers(0), ["connection reset"]);
    assert!(matches!(reset.store.row(0).state, State::Queued(_)));

    let half = Night::after_one_attempt(Reply::HalfABody).await;
    assert_eq!((half.store.row(0).state, half.receiver.rings()), (State::Accepted, 1), "the head says it all");

    let closed_port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, answer) in [
        (format!("http://{closed_port}/hook"), "connection refused"),
        ("http://nobody.invalid/hook".to_owned(), "dns failure"),
        (tls::self_signed(), "tls: certificate unknown issuer"),
        (tls::not_tls(), "tls: the receiver doesn't speak tls"),
    ] {
        let new_page = page(1, PageKind::Ring, Priority::P0, NOW);
        assert_eq!(hook(&url, &[SECRET]).send(&outgoing(&new_page), NOW).await, Answer::retry(answer), "{url}");
    }
}

#[tokio::test]
async fn an_answer_that_the_store_would_not_take_is_recorded_when_it_does_without_sending_again() {
    let night = Night::with([]).await;
    night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    night.store.record_fails.store(true, SeqCst);
    let outbox = night.outbox.clone();
    let sending = tokio::spawn(async move { outbox.pump(Lane::P0).await });
    night.receiver.has_seen(1).await;
    // Asleep for the next try at recording, no longer for the timeout of the request.
    while night.clock.somebody_sleeps().await > NOW.plus(secs(1)) {
        tokio::task::yield_now().await;
    }
    night.store.record_fails.store(false, SeqCst);
    night.clock.advance(secs(1));
    sending.await.unwrap().unwrap();
    assert_eq!((night.store.row(0).state, night.receiver.requests().len()), (State::Accepted, 1));
}

/// A sender that notes when it was asked and never answers.
#[derive(Default)]
struct Hanging {
    asked: watch::Sender<usize>,
}

impl Sender for Hanging {
    async fn send(&self, _: &Outgoing<'_>, _: Timestamp) -> Answer {
        self.asked.send_modify(|asked| *asked += 1);
        pending().await
    }
}

fn silent_stats() -> OutboxStats {
    OutboxStats::new([]).unwrap()
}

#[tokio::test]
async fn a_stuck_lesser_lane_leases_no_more_than_it_sends_and_delays_no_p0() {
    let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
    let hanging = Arc::new(Hanging::default());
    let outbox = Outbox::new(Arc::clone(&store), Arc::clone(&hanging), clock.clone(), keys(), silent_stats());
    for incident in 0..100 {
        store.put(page(incident, PageKind::Ring, Priority::P1, NOW));
    }
    let mut asked = hanging.asked.subscribe();
    let lesser = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.pump(Lane::Lesser).await }
    });
    let most = channel_sending_max(Lane::Lesser);
    asked.wait_for(|asked| *asked == most).await.unwrap();
    let leased = (0..100).filter(|id| matches!(store.row(*id).state, State::Leased(_))).count();
    assert_eq!(leased, most);

    store.put(page(100, PageKind::Ring, Priority::P0, NOW));
    let p0 = tokio::spawn(async move { outbox.pump(Lane::P0).await });
    asked.wait_for(|asked| *asked == most + 1).await.unwrap();
    clock.advance(REQUEST_TIMEOUT);
    assert_eq!((lesser.await.unwrap().unwrap(), p0.await.unwrap().unwrap()), (most, 1));
}

/// A sender whose channel "hook" never answers; the others accept at once.
#[derive(Default)]
struct OneHangs {
    asked: watch::Sender<Vec<String>>,
}

impl Sender for OneHangs {
    async fn send(&self, page: &Outgoing<'_>, _: Timestamp) -> Answer {
        self.asked.send_modify(|asked| asked.push(page.channel.to_string()));
        if &**page.channel == "hook" {
            pending::<()>().await;
        }
        Answer::accepted("202")
    }
}

#[tokio::test]
async fn a_channel_that_hangs_holds_its_own_places_and_delays_no_p0_of_another() {
    let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
    let sender = Arc::new(OneHangs::default());
    let outbox = Outbox::new(Arc::clone(&store), Arc::clone(&sender), clock.clone(), keys(), silent_stats());
    // All of the silent channel's pages are older than any of the other's.
    for incident in 0..100 {
        store.put(page(incident, PageKind::Ring, Priority::P0, NOW.minus(secs(1))));
    }
    for incident in 0..40 {
        store.put(NewPage { channel: "mail".into(), ..page(incident, PageKind::Ring, Priority::P0, NOW) });
    }
    let (wake, (_stop, stopped)) = (Arc::new(Notify::new()), watch::channel(false));
    let lane = tokio::spawn({
        let wake = Arc::clone(&wake);
        async move { outbox.run(Lane::P0, wake, stopped).await }
    });
    let mut asked = sender.asked.subscribe();
    let count = |asked: &[String], channel: &str| asked.iter().filter(|asked| *asked == channel).count();
    asked.wait_for(|asked| count(asked, "mail") == 40).await.unwrap();

    // One that comes later is not held either, though the silent channel's pages stay due all the time.
    store.put(NewPage { channel: "mail".into(), ..page(40, PageKind::Ring, Priority::P0, NOW) });
    wake.notify_one();
    asked.wait_for(|asked| count(asked, "mail") == 41).await.unwrap();
    assert_eq!(clock.now(), NOW, "no time has passed");
    assert_eq!(count(&asked.borrow(), "hook"), channel_sending_max(Lane::P0));
    let leases = store.leases.load(SeqCst);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(store.leases.load(SeqCst) <= leases + 3, "the loop is busy while it can send nothing");

    clock.advance(REQUEST_TIMEOUT);
    asked.wait_for(|asked| count(asked, "hook") == 2 * channel_sending_max(Lane::P0)).await.unwrap();
    lane.abort();
}

/// The loop of a lane as the program runs it, with what stops and wakes it.
struct Running {
    night: Night,
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(night: Night) -> Running {
        let (wake, (stop, stopped)) = (Arc::new(Notify::new()), watch::channel(false));
        let (outbox, woken) = (night.outbox.clone(), Arc::clone(&wake));
        let task = tokio::spawn(async move { outbox.run(Lane::P0, woken, stopped).await });
        Running { night, wake, stop, task }
    }

    async fn stop(self) -> Night {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
        self.night
    }
}

#[tokio::test]
async fn the_loop_sends_when_woken_and_retries_when_the_store_says() {
    let running = Running::start(Night::with([Reply::Status(500, "")]).await);
    running.night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    running.wake.notify_one();
    running.night.receiver.has_seen(1).await;
    let night = &running.night;
    while !matches!(night.store.row(0).state, State::Queued(_))
        || night.clock.next_wake() != Some(night.store.retry_at(0))
    {
        tokio::task::yield_now().await;
    }
    night.clock.set(night.store.retry_at(0));
    night.receiver.has_seen(2).await;
    let night = running.stop().await;
    assert_eq!((night.store.row(0).state, night.receiver.rings()), (State::Accepted, 1));
}

#[tokio::test]
async fn a_storm_of_p0_pages_all_ring_over_a_few_connections() {
    let night = Night::with([]).await;
    for incident in 0..500 {
        night.store.put(page(incident, PageKind::Ring, Priority::P0, NOW));
    }
    let running = Running::start(night);
    running.night.receiver.has_seen(500).await;
    let night = running.stop().await;
    assert_eq!((night.receiver.rings(), night.receiver.requests().len()), (500, 500));
    assert!((0..500).all(|id| night.store.row(id).state == State::Accepted));
    let connections = night.receiver.connections();
    assert!(connections as usize <= 2 * sending_max(Lane::P0), "{connections} connections");
}

#[tokio::test]
async fn a_store_that_fails_is_asked_once_a_second_and_the_page_goes_when_it_returns() {
    let night = Night::with([]).await;
    night.store.lease_fails.store(true, SeqCst);
    night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    let running = Running::start(night);
    let night = &running.night;
    for tries in 1..=3 {
        assert_eq!(night.clock.somebody_sleeps().await, NOW.plus(secs(i64::from(tries))));
        running.wake.notify_one();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(night.store.leases.load(SeqCst), tries);
        if tries == 3 {
            night.store.lease_fails.store(false, SeqCst);
        }
        night.clock.advance(secs(1));
    }
    night.receiver.has_seen(1).await;
    assert_eq!(running.stop().await.receiver.rings(), 1);
}

#[tokio::test]
async fn a_resolve_that_waits_for_its_ring_does_not_keep_the_loop_busy() {
    let night = Night::after_one_attempt(Reply::Status(429, "Retry-After: 50\r\n")).await;
    night.store.put(page(1, PageKind::Resolve, Priority::P0, NOW));
    let running = Running::start(night);
    let night = &running.night;
    assert_eq!(night.clock.somebody_sleeps().await, NOW.plus(secs(1)));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let leases = night.store.leases.load(SeqCst);
    assert!(leases <= 3, "{leases} leases while nothing could be sent");
    night.clock.set(NOW.plus(secs(50)));
    night.receiver.has_seen(3).await;
    let night = running.stop().await;
    assert_eq!(night.receiver.requests()[2].kind(), "incident.resolved");
}

#[tokio::test]
async fn stopping_waits_for_the_answer_on_its_way_and_records_it() {
    let running = Running::start(Night::with([]).await);
    running.night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    running.wake.notify_one();
    running.night.receiver.has_seen(1).await;
    let night = running.stop().await;
    assert_eq!(night.store.row(0).state, State::Accepted);
}

#[tokio::test]
async fn stopping_gives_up_on_a_silent_receiver_after_ten_seconds_and_keeps_the_page() {
    let running = Running::start(Night::with([Reply::Silence]).await);
    running.night.store.put(page(1, PageKind::Ring, Priority::P0, NOW));
    running.wake.notify_one();
    running.night.receiver.has_seen(1).await;
    running.stop.send(true).unwrap();
    while running.night.clock.next_wake() != Some(NOW.plus(secs(10))) {
        tokio::task::yield_now().await;
    }
    assert!(!running.task.is_finished());
    running.night.clock.advance(secs(10));
    running.task.await.unwrap();
    assert_eq!(running.night.store.row(0).state, State::Leased(NOW.plus(LEASE)));
    assert_eq!(running.night.store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(NOW.plus(LEASE)));
}
