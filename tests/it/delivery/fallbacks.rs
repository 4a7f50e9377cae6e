//! A channel that fails: who rings in its place, how soon, and that it goes on trying.

use super::shelf::{Row, Shelf, State};
use super::{NOW, keys, page, secs, silent_stats};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use tocsin::core::id::Name;
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::pager::payload::Payload;
use tocsin::pager::{Answer, AnswerVerdict, Outgoing, Sender};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::outbox::Outbox;
use tocsin::store::{Lane, NewPage};
use tokio::sync::{Notify, watch};

/// Answers by channel; a channel without an answer hangs.
#[derive(Default)]
struct Switchboard {
    answers: Mutex<BTreeMap<&'static str, Answer>>,
    asked: watch::Sender<Vec<(String, String, String)>>,
}

impl Sender for Switchboard {
    async fn send(&self, page: &Outgoing<'_>, _: Timestamp) -> Answer {
        let told = (page.channel.to_string(), page.alert_key.to_owned(), page.payload.to_owned());
        self.asked.send_modify(|asked| asked.push(told));
        let answer = self.answers.lock().unwrap().get(&**page.channel).cloned();
        match answer {
            Some(answer) => answer,
            None => pending().await,
        }
    }
}

struct Night {
    store: Arc<Shelf>,
    board: Arc<Switchboard>,
    clock: VirtualClock,
    outbox: Outbox<Shelf, Arc<Switchboard>, VirtualClock>,
}

fn too_many() -> Answer {
    Answer { verdict: AnswerVerdict::Retry { after: Some(secs(300)) }, text: "429".to_owned() }
}

impl Night {
    fn with(answers: &[(&'static str, Answer)]) -> Night {
        let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
        let answers = Mutex::new(answers.iter().cloned().collect());
        let board = Arc::new(Switchboard { answers, ..Switchboard::default() });
        let outbox = Outbox::new(Arc::clone(&store), Arc::clone(&board), clock.clone(), keys(), silent_stats());
        Night { store, board, clock, outbox }
    }

    fn put(&self, incident: u64, priority: Priority, channel: &str, fallbacks: &[&str]) {
        let fallbacks = fallbacks.iter().map(|name| Name::from(*name)).collect();
        let page = page(incident, PageKind::Ring, priority, self.clock.now());
        let delivery_key = keys().delivery(&keys().alert(page.incident, 0), 0, &channel.into(), page.kind);
        self.store.put(NewPage { channel: channel.into(), delivery_key, fallbacks, ..page });
    }

    async fn pump(&self, lane: Lane) {
        while self.outbox.pump(lane).await.unwrap() > 0 {}
    }

    fn on(&self, channel: &str) -> Vec<Row> {
        self.store.rows().into_iter().filter(|row| &*row.page.channel == channel).collect()
    }
}

#[tokio::test]
async fn a_p0_that_a_channel_refuses_rings_the_next_at_once_whatever_retry_after_says() {
    let night = Night::with(&[("pager", too_many()), ("mail", Answer::accepted("202"))]);
    night.put(1, Priority::P0, "pager", &["mail", "executive"]);
    night.pump(Lane::P0).await;
    assert_eq!(night.clock.now(), NOW, "no time has passed");
    assert_eq!(night.on("mail")[0].state, State::Accepted);
    assert_eq!(night.on("pager")[0].state, State::Queued(NOW.plus(secs(60))), "the failing one keeps trying");
    assert!(night.on("executive").is_empty(), "one channel that rings is enough");

    night.board.answers.lock().unwrap().insert("pager", Answer::accepted("202"));
    night.clock.advance(secs(60));
    night.pump(Lane::P0).await;
    assert_eq!((night.on("pager")[0].state, night.store.rows().len()), (State::Accepted, 2));
}

#[tokio::test]
async fn a_fallback_rings_under_the_same_alert_and_says_in_whose_place() {
    let night = Night::with(&[("pager", Answer::permanent("400")), ("mail", Answer::accepted("202"))]);
    night.put(1, Priority::P2, "pager", &["mail"]);
    night.pump(Lane::Lesser).await;
    assert_eq!(night.on("pager")[0].state, State::Parked);
    let (first, second) = (&night.on("pager")[0].page, &night.on("mail")[0].page);
    assert_eq!((&first.alert_key, first.round, first.step), (&second.alert_key, second.round, second.step));
    assert_eq!(
        second.delivery_key,
        keys().delivery(&keys().alert(second.incident, 0), 0, &"mail".into(), PageKind::Ring)
    );
    let payload: Payload = serde_json::from_str(&second.payload).unwrap();
    assert_eq!(payload.in_place_of.as_deref(), Some("pager"));
    let asked: Vec<String> = night.board.asked.borrow().iter().map(|(channel, ..)| channel.clone()).collect();
    assert_eq!(asked, ["pager", "mail"]);
}

#[tokio::test]
async fn every_channel_of_an_escalation_is_tried_before_a_p0_waits() {
    let night = Night::with(&[("pager", too_many()), ("mail", Answer::permanent("550")), ("executive", too_many())]);
    night.put(1, Priority::P0, "pager", &["mail", "executive"]);
    night.pump(Lane::P0).await;
    let asked: Vec<String> = night.board.asked.borrow().iter().map(|(channel, ..)| channel.clone()).collect();
    assert_eq!(asked, ["pager", "mail", "executive"]);
    assert_eq!(night.clock.now(), NOW);
    for _ in 0..20 {
        night.clock.advance(secs(60));
        night.pump(Lane::P0).await;
    }
    assert_eq!(night.store.rows().len(), 3, "each channel once");
    assert!(night.on("executive")[0].attempts.len() > 10 && night.on("pager")[0].attempts.len() > 10);
}

#[tokio::test]
async fn a_step_of_two_channels_has_its_fallback_already() {
    let night = Night::with(&[("pager", too_many()), ("mail", Answer::accepted("202"))]);
    night.put(1, Priority::P0, "pager", &["mail", "executive"]);
    night.put(1, Priority::P0, "mail", &["pager", "executive"]);
    night.pump(Lane::P0).await;
    assert_eq!(night.store.rows().len(), 2);
    assert!(night.on("executive").is_empty());
}

#[tokio::test]
async fn a_lesser_page_falls_back_at_its_third_failure() {
    let night = Night::with(&[("pager", Answer::retry("503")), ("mail", Answer::accepted("202"))]);
    night.put(1, Priority::P2, "pager", &["mail"]);
    for tries in 1..=3 {
        night.pump(Lane::Lesser).await;
        assert_eq!(night.on("pager")[0].attempts.len(), tries);
        assert_eq!(night.on("mail").len(), usize::from(tries == 3));
        night.clock.advance(secs(5));
    }
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_passed_over_after_five_seconds_of_a_p0() {
    let night = Night::with(&[("mail", Answer::accepted("202"))]);
    // More than the silent channel has places for: those that wait for one ring elsewhere too.
    for incident in 1..=20 {
        night.put(incident, Priority::P0, "pager", &["mail"]);
    }
    let (wake, (_stop, stopped)) = (Arc::new(Notify::new()), watch::channel(false));
    let lane = tokio::spawn({
        let outbox = night.outbox.clone();
        async move { outbox.run(Lane::P0, wake, stopped).await }
    });
    let mut asked = night.board.asked.subscribe();
    asked.wait_for(|asked| asked.len() == 8).await.unwrap();
    assert!(night.on("mail").is_empty());
    while night.clock.next_wake() != Some(NOW.plus(secs(5))) {
        tokio::task::yield_now().await;
    }
    night.clock.advance(secs(5));
    let rung = |asked: &[(String, String, String)]| asked.iter().filter(|(channel, ..)| channel == "mail").count();
    asked.wait_for(|asked| rung(asked) == 20).await.unwrap();
    assert_eq!(night.clock.now(), NOW.plus(secs(5)));
    lane.abort();
}

#[tokio::test]
async fn a_lesser_page_that_is_never_answered_falls_back_after_two_minutes() {
    let night = Night::with(&[("pager", too_many()), ("mail", Answer::accepted("202"))]);
    night.put(1, Priority::P2, "pager", &["mail"]);
    night.pump(Lane::Lesser).await;
    assert!(night.on("mail").is_empty());
    let (wake, (_stop, stopped)) = (Arc::new(Notify::new()), watch::channel(false));
    let lane = tokio::spawn({
        let outbox = night.outbox.clone();
        async move { outbox.run(Lane::Lesser, wake, stopped).await }
    });
    assert_eq!(night.clock.somebody_sleeps().await, NOW.plus(secs(120)));
    night.clock.advance(Span::from_mins(2));
    let mut asked = night.board.asked.subscribe();
    asked.wait_for(|asked| asked.iter().any(|(channel, ..)| channel == "mail")).await.unwrap();
    lane.abort();
}
