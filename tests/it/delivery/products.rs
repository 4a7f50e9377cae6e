//! Pages at pager products: what rings a phone and what doesn't, what each answer does to a page, and what
//! no product, log line or answer may hold.

use super::service::{Alert, Fault, Product, Service};
use super::shelf::{Shelf, State};
use super::{NOW, keys, page, secs, silent_stats};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tocsin::core::id::IncidentNo;
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::pager::codenames::Codenames;
use tocsin::pager::{ChannelKind, ChannelSettings, Channels};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::outbox::Outbox;
use tocsin::secret::Secret;
use tocsin::store::{Lane, NewPage};

const ROUTING_KEY: &str = "CANARYr0ut1ngkey0123456789abcdef";
const TOKEN: &str = "CANARYtoken";

/// One product, and an outbox that pages it over the channel "hook".
struct Night {
    store: Arc<Shelf>,
    clock: VirtualClock,
    service: Service,
    outbox: Outbox<Shelf, Channels, VirtualClock>,
}

fn kind(product: Product, base: &str) -> ChannelKind {
    match product {
        Product::PagerDuty => {
            ChannelKind::PagerDuty { base: Some(Secret::new(base)), routing_key: Secret::new(ROUTING_KEY) }
        }
        Product::GoAlert => ChannelKind::GoAlert { base: Secret::new(base), token: Secret::new(TOKEN) },
        Product::Slack => ChannelKind::Slack { url: Secret::new(format!("{base}/services/{TOKEN}")) },
    }
}

impl Night {
    async fn at(product: Product, script: impl IntoIterator<Item = Fault>) -> Night {
        Night::under(product, Codenames::default(), script).await
    }

    async fn under(product: Product, codenames: Codenames, script: impl IntoIterator<Item = Fault>) -> Night {
        let service = Service::start(product, script).await;
        let settings = ChannelSettings { kind: kind(product, &service.base), codenames };
        let channels = Channels::new(BTreeMap::from([("hook".into(), settings)]), None).unwrap();
        assert!(!format!("{channels:?}").contains("CANARY"));
        let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
        let outbox = Outbox::new(Arc::clone(&store), channels, clock.clone(), keys(), silent_stats());
        Night { store, clock, service, outbox }
    }

    /// Puts a page of incident 1 out and sends what is due.
    async fn send(&self, kind: PageKind, round: u32, step: u32) {
        self.store.put(in_round(page(1, kind, Priority::P0, self.clock.now()), round, step));
        self.pump().await;
    }

    async fn pump(&self) {
        self.outbox.pump(Lane::P0).await.unwrap();
    }

    fn rings(&self) -> u32 {
        self.service.inside().rings
    }
}

/// The page as the engine keys it in a later round or step.
fn in_round(page: NewPage, round: u32, step: u32) -> NewPage {
    let keys = keys();
    let alert_key = keys.alert(page.incident, round);
    let delivery_key = keys.delivery(&alert_key, step, &page.channel, page.kind);
    NewPage { round, step, alert_key, delivery_key, ..page }
}

fn alert_key(round: u32) -> String {
    keys().alert(IncidentNo(1), round)
}

#[tokio::test]
async fn f18_a_night_at_pagerduty_rings_once_for_each_round_and_never_again_under_a_key() {
    rings_once_for_each_round(Product::PagerDuty).await;
}

#[tokio::test]
async fn f18_a_night_at_goalert_rings_once_for_each_round_and_never_again_under_a_key() {
    rings_once_for_each_round(Product::GoAlert).await;
}

async fn rings_once_for_each_round(product: Product) {
    let night = Night::at(product, [Fault::LosesItsAnswer]).await;
    night.send(PageKind::Ring, 0, 0).await;
    assert_eq!((night.rings(), night.store.answers(0)), (1, vec!["502".to_owned()]));
    night.clock.set(night.store.retry_at(0));
    night.pump().await;
    assert_eq!((night.rings(), night.store.row(0).state), (1, State::Accepted), "the retry joins the alert");

    night.send(PageKind::Ring, 0, 1).await;
    assert_eq!(night.rings(), 1, "a second page under the same key is silent");
    night.service.acknowledge(&alert_key(0));
    night.send(PageKind::Ring, 0, 2).await;
    assert_eq!(night.rings(), 1, "and so is one after the acknowledgement");
    assert_eq!(night.service.inside().open[&alert_key(0)], Alert::Acknowledged);

    night.send(PageKind::Ring, 1, 2).await;
    assert_eq!(night.rings(), 2, "a new round rings, whatever was acknowledged");
    night.send(PageKind::Resolve, 0, 2).await;
    night.send(PageKind::Resolve, 1, 2).await;
    assert!(night.service.inside().open.is_empty(), "resolving closes every round");
    assert_eq!(night.rings(), 2);

    night.send(PageKind::Ring, 2, 0).await;
    assert_eq!((night.rings(), night.service.inside().open.len()), (3, 1), "the next breach rings again");
    let rows = 0..7;
    assert!(rows.into_iter().all(|id| night.store.row(id).state == State::Accepted));
}

#[tokio::test]
async fn slack_shows_a_resolve_as_a_message_of_its_own_and_a_lost_answer_twice() {
    let night = Night::at(Product::Slack, [Fault::LosesItsAnswer]).await;
    night.send(PageKind::Ring, 0, 0).await;
    night.clock.set(night.store.retry_at(0));
    night.pump().await;
    assert_eq!(night.rings(), 2, "there is no key by which Slack could know it again");
    night.send(PageKind::Resolve, 0, 0).await;
    let inside = night.service.inside();
    assert_eq!(inside.rings, 3);
    assert!(inside.bodies[2]["text"].as_str().unwrap().starts_with("RESOLVED, I-1 P0"));
}

#[tokio::test]
async fn each_product_parks_what_is_permanent_and_tries_again_what_passes() {
    let permanent: [(Product, &[u16]); 3] = [
        (Product::PagerDuty, &[400, 403, 404]),
        (Product::GoAlert, &[400, 401, 403, 404]),
        (Product::Slack, &[400, 403, 404, 410]),
    ];
    for (product, statuses) in permanent {
        for status in statuses {
            let night = Night::at(product, [Fault::Refuses(*status, None)]).await;
            night.send(PageKind::Ring, 0, 0).await;
            assert_eq!((night.store.row(0).state, night.rings()), (State::Parked, 0), "{product:?} {status}");
        }
        for (status, retry_after, wait_secs) in [(429, Some("37"), 37..=37), (429, None, 1..=2), (503, None, 1..=2)] {
            let night = Night::at(product, [Fault::Refuses(status, retry_after)]).await;
            night.send(PageKind::Ring, 0, 0).await;
            let retry_at = night.store.retry_at(0);
            let allowed = NOW.plus(secs(*wait_secs.start()))..=NOW.plus(secs(*wait_secs.end()));
            assert!(allowed.contains(&retry_at), "{product:?} {status}");
            night.clock.set(retry_at);
            night.pump().await;
            assert_eq!((night.store.row(0).state, night.rings()), (State::Accepted, 1), "{product:?} {status}");
        }
    }
}

#[tokio::test]
async fn a_page_for_browsers_at_the_products_address_accepts_nothing() {
    for (product, status, answer) in [
        (Product::PagerDuty, 200, "200 instead of 202: is it the product's own url?"),
        (Product::GoAlert, 200, "200 instead of 204: is it the product's own url?"),
    ] {
        let night = Night::at(product, [Fault::Refuses(status, None)]).await;
        night.send(PageKind::Ring, 0, 0).await;
        assert!(matches!(night.store.row(0).state, State::Queued(_)), "{product:?}");
        assert_eq!(night.store.answers(0), [answer]);
    }
}

#[tokio::test]
async fn with_codenames_no_product_reads_what_a_category_is() {
    for product in [Product::PagerDuty, Product::GoAlert, Product::Slack] {
        let codenames = Codenames { p0: Some("K".into()), categories: BTreeMap::new() };
        let night = Night::under(product, codenames, []).await;
        night.send(PageKind::Ring, 0, 0).await;
        night.send(PageKind::Resolve, 0, 0).await;
        for body in &night.service.inside().bodies {
            let body = body.to_string();
            assert!(!body.contains("minor safety") && !body.contains("grooming"), "{product:?}: {body}");
        }
        let first = night.service.inside().bodies[0].to_string();
        assert!(first.contains("P0 K overdue"), "{product:?}: {first}");
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn f17_no_key_token_or_url_is_in_an_answer_a_log_line_or_an_error() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // While there is only one, an event that another test's thread comes upon first is off for every thread.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    for product in [Product::PagerDuty, Product::GoAlert, Product::Slack] {
        for script in [vec![], vec![Fault::Refuses(400, None)], vec![Fault::Refuses(500, None)]] {
            let night = Night::at(product, script).await;
            night.send(PageKind::Ring, 0, 0).await;
            assert!(!night.store.answers(0).join(" ").contains("CANARY"));
            // The secret did go where it belongs, so that its absence elsewhere means something.
            let inside = night.service.inside();
            assert!(format!("{} {}", inside.uris[0], inside.bodies[0]).contains("CANARY"), "{product:?}");
        }
        let nobody = kind(product, "http://nobody.invalid");
        let channels = Channels::new(BTreeMap::from([("hook".into(), nobody.into())]), None).unwrap();
        let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
        store.put(page(1, PageKind::Ring, Priority::P0, NOW));
        Outbox::new(Arc::clone(&store), channels, clock, keys(), silent_stats()).pump(Lane::P0).await.unwrap();
        assert_eq!(store.answers(0), ["dns failure"]);
        let broken = kind(product, "ftp://CANARYhost");
        let error = Channels::new(BTreeMap::from([("hook".into(), broken.into())]), None).unwrap_err();
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("page parked"), "nothing was logged: {logged}");
    assert!(!logged.contains("CANARY"), "{}", logged.lines().find(|line| line.contains("CANARY")).unwrap_or_default());
}
