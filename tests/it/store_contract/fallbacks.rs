//! The fallback of a page and the end of trying, in the transaction that records the attempt.

use super::home::{Home, Led, resolve, ring};
use crate::kit::minute;
use tocsin::core::act::Deed;
use tocsin::core::id::{IncidentNo, Name};
use tocsin::core::incident::{Incident, IncidentKind};
use tocsin::core::plan::{PageKind, Plan};
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::inbox;
use tocsin::store::{Attempt, Delivery, Lane, LeasedPage, NewPage, Store};

super::on_both! {
    a_fallback_is_queued_with_the_record_of_the_failure_and_told_to_the_core,
    a_fallback_passes_over_channels_that_fail_and_stops_at_one_that_rings,
    two_channels_that_fail_at_once_still_reach_the_third,
    an_accepted_page_falls_back_no_more,
    only_rings_that_could_fall_back_and_have_not_are_unanswered,
    a_lesser_ring_is_given_up_once_its_incident_is_over,
    a_p0_is_given_up_only_once_its_round_was_heard,
    an_acknowledgement_gives_up_what_was_heard_and_not_a_later_round,
    what_is_on_its_way_at_the_acknowledgement_is_given_up_at_its_answer,
    the_log_is_nobody_who_heard,
}

fn falling(no: u64, channel: &str, priority: Priority, fallbacks: &[&str]) -> NewPage {
    let fallbacks: Vec<Name> = fallbacks.iter().map(|name| Name::from(*name)).collect();
    NewPage { fallbacks, ..ring(no, channel, priority, 1) }
}

/// The fallbacks of a page as the outbox hands them over.
fn next(page: &NewPage) -> Vec<NewPage> {
    let on = |channel: &Name| NewPage {
        channel: channel.clone(),
        created_at: minute(3),
        delivery_key: format!("delivery {} {channel} ring", page.incident.0),
        in_place_of: Some(page.channel.clone()),
        fallbacks: page.fallbacks.iter().filter(|other| *other != channel).cloned().collect(),
        ..page.clone()
    };
    page.fallbacks.iter().map(on).collect()
}

async fn lease(led: &Led, at: Timestamp) -> Vec<LeasedPage> {
    let mut leased = Vec::new();
    for lane in [Lane::P0, Lane::Lesser] {
        leased.extend(led.store.lease_pages(lane, at, at.plus(Span::from_mins(1)), 100, &[]).await.unwrap());
    }
    leased
}

async fn answer(led: &Led, leased: &LeasedPage, delivery: Delivery, fallbacks: Vec<NewPage>) {
    let (began, ended, answer) = (minute(2), minute(3), "an answer".to_owned());
    led.store.record(&Attempt { page: leased.id, began, ended, delivery, answer, fallbacks }).await.unwrap();
}

/// "channel state" of every page, oldest first.
async fn states(led: &Led) -> Vec<String> {
    let mut rows = led.store.pages(100).await.unwrap();
    rows.reverse();
    rows.iter().map(|row| format!("{} {}", row.page.channel, row.state)).collect()
}

fn incident(no: u64, change: impl FnOnce(&mut Incident)) -> Plan {
    let kind = IncidentKind::Group { category: "threat".into() };
    let mut incident = Incident::open(IncidentNo(no), kind, "on-call".into(), minute(0));
    change(&mut incident);
    Plan { incidents: [(incident.no, incident)].into(), ..Plan::default() }
}

fn acknowledged(incident: &mut Incident) {
    incident.acknowledge("ada".into(), false, None, minute(4));
}

fn over(incident: &mut Incident) {
    incident.resolve(minute(4));
}

const RETRY: Delivery = Delivery::Retry { at: minute_eight() };

const fn minute_eight() -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + 480)
}

async fn a_fallback_is_queued_with_the_record_of_the_failure_and_told_to_the_core(home: Home) {
    let mut led = home.lead().await;
    let page = falling(1, "pager", Priority::P0, &["mail", "executive"]);
    led.commit_with(&incident(1, |_| {}), vec![page.clone()]).await.unwrap();
    let leased = lease(&led, minute(2)).await;
    assert_eq!(leased[0].page, page);
    answer(&led, &leased[0], RETRY, next(&page)).await;

    assert_eq!(states(&led).await, ["pager queued", "mail queued"]);
    let again = lease(&led, minute(3)).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].page, next(&page)[0]);
    let told = led.store.inbox().await.unwrap();
    let expected = Deed::FellBack { incident: IncidentNo(1), round: 0, channel: "mail".into(), priority: Priority::P0 };
    assert_eq!((told.len(), inbox::act(&told[0]).deed), (1, expected));
    // The same failure told again changes nothing.
    led.store.fall_back(leased[0].id, &next(&page), minute(4)).await.unwrap();
    assert_eq!((led.store.inbox().await.unwrap().len(), states(&led).await.len()), (1, 2));
}

async fn a_fallback_passes_over_channels_that_fail_and_stops_at_one_that_rings(home: Home) {
    let mut led = home.lead().await;
    let page = falling(1, "pager", Priority::P0, &["mail", "executive"]);
    led.commit_with(&incident(1, |_| {}), vec![page.clone()]).await.unwrap();
    let first = lease(&led, minute(2)).await;
    answer(&led, &first[0], RETRY, next(&page)).await;
    let mail = lease(&led, minute(3)).await;
    answer(&led, &mail[0], Delivery::Parked, next(&mail[0].page)).await;
    assert_eq!(states(&led).await, ["pager queued", "mail parked", "executive queued"]);
    answer(&led, &first[0], RETRY, next(&page)).await;
    assert_eq!(states(&led).await.len(), 3, "the third rings");
}

async fn two_channels_that_fail_at_once_still_reach_the_third(home: Home) {
    let mut led = home.lead().await;
    for no in 1..=10 {
        let one = falling(no, "one", Priority::P0, &["two", "three"]);
        let two = falling(no, "two", Priority::P0, &["one", "three"]);
        led.commit_with(&incident(no, |_| {}), vec![one, two]).await.unwrap();
    }
    let leased = lease(&led, minute(2)).await;
    assert_eq!(leased.len(), 20);
    for pair in leased.chunks(2) {
        let [one, two] = pair else { panic!("two pages of each incident") };
        let one = answer(&led, one, Delivery::Parked, next(&one.page));
        let two = answer(&led, two, Delivery::Parked, next(&two.page));
        tokio::join!(one, two);
    }
    let third = lease(&led, minute(4)).await;
    assert_eq!(third.iter().filter(|leased| &*leased.page.channel == "three").count(), 10);
}

async fn an_accepted_page_falls_back_no_more(home: Home) {
    let mut led = home.lead().await;
    let page = falling(1, "pager", Priority::P0, &["mail"]);
    led.commit_with(&incident(1, |_| {}), vec![page.clone()]).await.unwrap();
    let leased = lease(&led, minute(2)).await;
    answer(&led, &leased[0], Delivery::Accepted, Vec::new()).await;
    led.store.fall_back(leased[0].id, &next(&page), minute(4)).await.unwrap();
    assert_eq!(states(&led).await, ["pager accepted"]);
}

async fn only_rings_that_could_fall_back_and_have_not_are_unanswered(home: Home) {
    let mut led = home.lead().await;
    let page = falling(1, "pager", Priority::P0, &["mail"]);
    let alone = ring(2, "pager", Priority::P0, 1);
    let lesser = falling(3, "pager", Priority::P2, &["mail"]);
    led.queue(vec![page.clone(), alone, lesser, NewPage { kind: PageKind::Resolve, ..page.clone() }]).await;
    let unanswered = led.store.unanswered(Lane::P0, 9).await.unwrap();
    assert_eq!((unanswered.len(), &unanswered[0].page), (1, &page));
    let leased = lease(&led, minute(2)).await;
    assert_eq!(led.store.unanswered(Lane::P0, 9).await.unwrap().len(), 1, "on its way, and unanswered");
    led.store.fall_back(leased[0].id, &next(&page), minute(4)).await.unwrap();
    let left = led.store.unanswered(Lane::P0, 9).await.unwrap();
    assert!(left.is_empty(), "the fallback has none itself: {left:?}");
    assert_eq!(led.store.unanswered(Lane::Lesser, 9).await.unwrap().len(), 1);
}

async fn a_lesser_ring_is_given_up_once_its_incident_is_over(home: Home) {
    let mut led = home.lead().await;
    let page = ring(1, "pager", Priority::P2, 1);
    led.commit_with(&incident(1, |_| {}), vec![page.clone(), ring(2, "pager", Priority::P2, 1)]).await.unwrap();
    for leased in lease(&led, minute(2)).await {
        answer(&led, &leased, RETRY, Vec::new()).await;
    }
    led.commit_with(&incident(1, over), vec![resolve(&page)]).await.unwrap();
    assert_eq!(states(&led).await, ["pager superseded", "pager queued", "pager queued"]);
    let due = lease(&led, minute(9)).await;
    let kinds: Vec<_> = due.iter().map(|leased| (leased.page.incident.0, leased.page.kind)).collect();
    assert_eq!(kinds, [(2, PageKind::Ring), (1, PageKind::Resolve)], "an attempt whose answer was lost is closed");
}

async fn a_p0_is_given_up_only_once_its_round_was_heard(home: Home) {
    let mut led = home.lead().await;
    let pages = vec![ring(1, "pager", Priority::P0, 1), ring(1, "mail", Priority::P0, 1)];
    led.commit_with(&incident(1, |_| {}), pages).await.unwrap();
    let leased = lease(&led, minute(2)).await;
    for one in &leased {
        answer(&led, one, RETRY, Vec::new()).await;
    }
    led.commit_with(&incident(1, over), Vec::new()).await.unwrap();
    assert_eq!(states(&led).await, ["pager queued", "mail queued"], "nobody has heard of it");
    let again = lease(&led, minute(9)).await;
    answer(&led, &again[0], RETRY, Vec::new()).await;
    answer(&led, &again[1], Delivery::Accepted, Vec::new()).await;
    assert_eq!(states(&led).await, ["pager superseded", "mail accepted"]);
}

async fn an_acknowledgement_gives_up_what_was_heard_and_not_a_later_round(home: Home) {
    for (no, priority) in [(1, Priority::P0), (2, Priority::P2)] {
        let mut led = home.lead().await;
        led.sequence = led.store.settle(led.token).await.unwrap();
        let first = vec![ring(no, "pager", priority, 1), ring(no, "mail", priority, 1)];
        let later: Vec<_> = first.iter().map(|page| NewPage { round: 1, ..page.clone() }).collect();
        led.commit_with(&incident(no, |_| {}), first).await.unwrap();
        let mut leased = lease(&led, minute(2)).await;
        leased.retain(|leased| leased.page.incident.0 == no);
        answer(&led, &leased[0], RETRY, Vec::new()).await;
        answer(&led, &leased[1], Delivery::Accepted, Vec::new()).await;
        led.queue(later).await;
        led.commit_with(&incident(no, acknowledged), Vec::new()).await.unwrap();
        let states = states(&led).await.split_off((no as usize - 1) * 4);
        assert_eq!(states, ["pager superseded", "mail accepted", "pager queued", "mail queued"], "{priority}");
    }
}

async fn what_is_on_its_way_at_the_acknowledgement_is_given_up_at_its_answer(home: Home) {
    let mut led = home.lead().await;
    led.commit_with(&incident(1, |_| {}), vec![falling(1, "pager", Priority::P2, &["mail"])]).await.unwrap();
    let leased = lease(&led, minute(2)).await;
    led.commit_with(&incident(1, acknowledged), Vec::new()).await.unwrap();
    assert_eq!(states(&led).await, ["pager leased"]);
    answer(&led, &leased[0], RETRY, next(&leased[0].page)).await;
    assert_eq!(states(&led).await, ["pager superseded"], "and needs no fallback");
    answer(&led, &leased[0], Delivery::Accepted, Vec::new()).await;
    assert_eq!(states(&led).await, ["pager accepted"], "an answer that comes late all the same is the truth");
}

async fn the_log_is_nobody_who_heard(home: Home) {
    let mut led = home.lead().await;
    let pages = vec![ring(1, "log", Priority::P0, 1), ring(1, "pager", Priority::P0, 1)];
    led.commit_with(&incident(1, |_| {}), pages).await.unwrap();
    let leased = lease(&led, minute(2)).await;
    answer(&led, &leased[0], Delivery::Accepted, Vec::new()).await;
    answer(&led, &leased[1], RETRY, Vec::new()).await;
    led.commit_with(&incident(1, over), Vec::new()).await.unwrap();
    assert_eq!(states(&led).await, ["log accepted", "pager queued"]);
}
