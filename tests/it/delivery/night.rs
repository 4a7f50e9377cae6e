//! F18, a whole night: the core decides, the outbox sends, and a pager product with its de-duplication and its
//! acknowledged state counts how often a phone rings: breach, step, repeat, acknowledgement, no action, news,
//! resolve, breach again. In virtual time.

use super::service::{Alert, Fault, Product, Service};
use super::shelf::{Shelf, State};
use super::silent_stats;
use crate::kit::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tocsin::core::act::{Act, Deed};
use tocsin::core::observation::{EventName, Row, Verdict};
use tocsin::core::plan::Input;
use tocsin::core::policy::{Escalation, Policy, Step, Warn};
use tocsin::core::time::Span;
use tocsin::keys::Keys;
use tocsin::pager::payload::Payload;
use tocsin::pager::{ChannelKind, Channels};
use tocsin::run::clock::VirtualClock;
use tocsin::run::outbox::Outbox;
use tocsin::secret::Secret;
use tocsin::store::{Lane, NewPage};

struct Night {
    bench: Bench,
    keys: Keys,
    shelf: Arc<Shelf>,
    clock: VirtualClock,
    service: Service,
    outbox: Outbox<Shelf, Channels, VirtualClock>,
    /// Pages of the bench that are on the shelf.
    shelved: usize,
    acts: i64,
}

/// Minor safety warns 5 minutes before, steps after 5 minutes, repeats every 10, and is to be acted on within 15.
fn policy_of_the_night() -> Policy {
    let mut policy = policy();
    let step = |at: i64| Step { at: Span::from_mins(at), notify: vec!["pager".into()] };
    let escalation = Escalation {
        steps: vec![step(0), step(5)],
        repeat: Some(Span::from_mins(10)),
        act_within: Some(Span::from_mins(15)),
        warn: Some(Warn { before: Some(Span::from_mins(5)), notify: Vec::new() }),
    };
    policy.escalations.insert("minor-safety".into(), escalation);
    policy.minor_safety.targets = vec![target(EventName::FirstResponse, 15), target(EventName::Closed, 120)];
    policy
}

impl Night {
    async fn at(product: Product, script: impl IntoIterator<Item = Fault>) -> Night {
        let service = Service::start(product, script).await;
        let base = Secret::new(service.base.clone());
        let kind = match product {
            Product::PagerDuty => ChannelKind::PagerDuty {
                base: Some(base),
                routing_key: Secret::new("0123456789abcdef0123456789abcdef"),
            },
            _ => ChannelKind::GoAlert { base, token: Secret::new("token") },
        };
        let channels = Channels::new(BTreeMap::from([("pager".into(), kind.into())]), None).unwrap();
        let (shelf, clock) = (Arc::new(Shelf::default()), VirtualClock::new(minute(0)));
        let outbox = Outbox::new(Arc::clone(&shelf), channels, clock.clone(), super::keys(), silent_stats());
        let bench = Bench::with(policy_of_the_night());
        Night { bench, keys: Keys::new(b"the secret of the night"), shelf, clock, service, outbox, shelved: 0, acts: 0 }
    }

    /// Time passes minute by minute: what the core decides is sent.
    async fn until(&mut self, at: i64) {
        let mut now = self.bench.now;
        while now < minute(at) {
            now = now.plus(Span::from_mins(1)).min(minute(at));
            self.bench.until(now);
            self.send().await;
        }
    }

    async fn put(&mut self, row: Row) {
        self.bench.put(1, row);
        self.send().await;
    }

    async fn send(&mut self) {
        for page in &self.bench.pages[self.shelved..] {
            let payload = Payload::freeze(page, &self.keys);
            self.shelf.put(NewPage {
                incident: page.incident,
                round: page.round,
                step: page.step,
                channel: page.channel.clone(),
                kind: page.kind,
                priority: page.priority,
                created_at: page.created_at,
                alert_key: self.keys.alert(page.incident, page.round),
                delivery_key: self.keys.delivery(
                    &self.keys.alert(page.incident, page.round),
                    page.step,
                    &page.channel,
                    page.kind,
                ),
                payload: serde_json::to_string(&payload).unwrap(),
                fallbacks: page.fallbacks.clone(),
                in_place_of: None,
                is_test: page.is_test(),
            });
        }
        self.shelved = self.bench.pages.len();
        self.clock.set(self.bench.now);
        while self.outbox.pump(Lane::P0).await.unwrap() + self.outbox.pump(Lane::Lesser).await.unwrap() > 0 {}
    }

    /// Somebody presses "acknowledge" on the last page, in the product and so, by its webhook, here.
    async fn acknowledge_the_last(&mut self) {
        let last = self.bench.rings().last().map(|page| (page.incident, page.round)).unwrap();
        self.service.acknowledge(&self.keys.alert(last.0, last.1));
        self.acts += 1;
        let deed = Deed::AcknowledgePage { incident: last.0, round: last.1 };
        let act = Act { inbox: self.acts, by: "ada (PagerDuty)".into(), at: self.bench.now, integration: false, deed };
        assert_eq!(self.bench.feed(Input::Act(act)).refused, None);
        self.send().await;
    }

    fn rings(&self) -> u32 {
        self.service.inside().rings
    }
}

#[tokio::test]
async fn f18_a_whole_night_at_pagerduty_rings_as_often_as_it_must_and_no_more() {
    a_whole_night(Product::PagerDuty).await;
}

#[tokio::test]
async fn f18_a_whole_night_at_goalert_rings_as_often_as_it_must_and_no_more() {
    a_whole_night(Product::GoAlert).await;
}

async fn a_whole_night(product: Product) {
    let mut night = Night::at(product, [Fault::Refuses(503, None), Fault::LosesItsAnswer]).await;
    let report = || row("csam", minute(0));
    night.put(report()).await;
    night.until(9).await;
    assert_eq!(night.rings(), 0);
    night.until(14).await;
    assert_eq!(night.rings(), 1, "the warning, five minutes before, once, though its first answers were lost");
    night.until(16).await;
    assert_eq!(night.rings(), 2, "the breach");
    night.until(21).await;
    assert_eq!(night.rings(), 3, "the step");
    night.until(31).await;
    assert_eq!(night.rings(), 4, "the repeat");
    night.acknowledge_the_last().await;
    night.until(45).await;
    assert_eq!(night.rings(), 4, "an acknowledgement stops the escalation");
    night.until(47).await;
    assert_eq!(night.rings(), 5, "nobody acted on it within fifteen minutes");
    night.acknowledge_the_last().await;
    let acted = report().with(EventName::FirstResponse, minute(48), person("ada"));
    night.until(48).await;
    night.put(acted.clone()).await;
    assert!(night.service.inside().open.is_empty(), "met: every alert of the night is closed");
    night.until(114).await;
    assert_eq!(night.rings(), 5, "quiet while nothing is wrong");
    night.until(119).await;
    assert_eq!(night.rings(), 6, "the warning of the next target");
    night.until(121).await;
    assert_eq!(night.rings(), 7, "the next breach of the same episode rings again");
    assert_eq!(night.service.inside().open.values().filter(|alert| **alert == Alert::Triggered).count(), 1);
    let closed = acted.clone().closed(minute(122), person("ada"), Verdict::Violation);
    night.until(122).await;
    night.put(closed).await;
    assert!(night.service.inside().open.is_empty(), "a resolve closes every round");
    night.until(130).await;
    assert_eq!(night.rings(), 7);
    night.put(acted).await;
    night.until(131).await;
    assert_eq!(night.rings(), 8, "reopened: overdue once more on its original clock");
    let sent = 0..night.shelved;
    assert!(sent.into_iter().all(|id| night.shelf.row(id).state == State::Accepted), "nothing was lost");
}
