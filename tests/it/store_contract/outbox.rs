//! The outbox: one holder at a time, the same keys every time, P0 in a lane of its own, and nothing
//! leaves it without an answer.

use super::home::{Home, resolve, ring};
use crate::kit::minute;
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::core::time::Timestamp;
use tocsin::store::{Attempt, Delivery, Lane, Lead, LeasedPage, NewPage, SqlStore, Store};

super::on_both! {
    a_page_queued_twice_is_one_page_and_the_first_stands,
    a_leased_page_is_nobody_elses_until_its_lease_ends_and_keeps_its_keys,
    two_senders_never_lease_the_same_page,
    pages_are_leased_by_priority_and_then_by_age,
    the_lanes_do_not_touch_each_other,
    a_full_channel_is_passed_over_and_no_other,
    a_resolve_waits_for_its_rings,
    a_page_is_tried_again_when_its_retry_is_due,
    a_parked_page_stays_parked_until_it_is_released,
    a_start_sends_what_is_parked_again_but_no_ring_that_is_over,
    a_late_answer_does_not_take_back_an_acceptance,
    leases_of_the_dead_end_at_a_start,
    pages_are_counted_by_channel_and_state,
    an_attempt_at_an_unknown_page_is_an_error,
}

async fn lease(store: &SqlStore, lane: Lane, now: Timestamp) -> Vec<LeasedPage> {
    store.lease_pages(lane, now, now.plus(tocsin::core::time::Span::from_mins(1)), 100, &[]).await.unwrap()
}

async fn answer(store: &SqlStore, page: i64, delivery: Delivery, answer: &str) {
    let attempt = Attempt {
        page,
        began: minute(6),
        ended: minute(7),
        delivery,
        answer: answer.to_owned(),
        fallbacks: Vec::new(),
    };
    store.record(&attempt).await.unwrap();
}

fn keys(leased: &[LeasedPage]) -> Vec<&str> {
    leased.iter().map(|leased| leased.page.delivery_key.as_str()).collect()
}

async fn a_page_queued_twice_is_one_page_and_the_first_stands(home: Home) {
    let mut led = home.lead().await;
    let first = ring(1, "pager", Priority::P0, 1);
    led.queue(vec![first.clone()]).await;
    led.queue(vec![NewPage { payload: "another".to_owned(), ..first.clone() }, ring(2, "pager", Priority::P0, 1)])
        .await;
    let pages = led.store.pages(9).await.unwrap();
    assert_eq!(pages.len(), 2);
    assert_eq!((&pages[1].page, pages[1].state.as_str(), pages[1].attempts), (&first, "queued", 0));
}

async fn a_leased_page_is_nobody_elses_until_its_lease_ends_and_keeps_its_keys(home: Home) {
    let mut led = home.lead().await;
    let page = ring(1, "pager", Priority::P0, 1);
    led.queue(vec![page.clone()]).await;
    assert_eq!(led.store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(minute(1)));
    assert!(lease(&led.store, Lane::P0, minute(0)).await.is_empty(), "not yet due");
    let first = lease(&led.store, Lane::P0, minute(2)).await;
    assert_eq!(first[0].page, page);
    assert!(lease(&led.store, Lane::P0, minute(2)).await.is_empty());
    assert_eq!(led.store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(minute(3)));

    let other = home.open().await;
    let second = lease(&other, Lane::P0, minute(3)).await;
    assert_eq!((second[0].id, &second[0].page), (first[0].id, &page));
}

async fn two_senders_never_lease_the_same_page(home: Home) {
    let mut led = home.lead().await;
    led.queue((0..60).map(|no| ring(no, "pager", Priority::P0, 1)).collect()).await;
    let other = home.open().await;
    let mut leased = Vec::new();
    for _ in 0..15 {
        let one = led.store.lease_pages(Lane::P0, minute(2), minute(9), 3, &[]);
        let two = other.lease_pages(Lane::P0, minute(2), minute(9), 3, &[]);
        let (one, two) = tokio::join!(one, two);
        let (one, two) = (one.unwrap(), two.unwrap());
        leased.extend(one.into_iter().chain(two).map(|leased| leased.id));
    }
    leased.extend(lease(&other, Lane::P0, minute(2)).await.iter().map(|leased| leased.id));
    assert_eq!(leased.len(), 60);
    leased.sort_unstable();
    leased.dedup();
    assert_eq!(leased.len(), 60);
}

async fn pages_are_leased_by_priority_and_then_by_age(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![
        ring(1, "a", Priority::P4, 1),
        ring(2, "b", Priority::P1, 3),
        ring(3, "c", Priority::P1, 2),
        ring(4, "d", Priority::P2, 1),
    ])
    .await;
    let first = led.store.lease_pages(Lane::Lesser, minute(5), minute(6), 3, &[]).await.unwrap();
    assert_eq!(keys(&first), ["delivery 3 c ring", "delivery 2 b ring", "delivery 4 d ring"]);
    assert_eq!(keys(&lease(&led.store, Lane::Lesser, minute(5)).await), ["delivery 1 a ring"]);
}

async fn the_lanes_do_not_touch_each_other(home: Home) {
    let mut led = home.lead().await;
    let mut pages: Vec<_> = (10..400).map(|no| ring(no, "pager", Priority::P1, 1)).collect();
    pages.push(ring(1, "pager", Priority::P0, 3));
    led.queue(pages).await;
    assert_eq!(keys(&lease(&led.store, Lane::P0, minute(4)).await), ["delivery 1 pager ring"]);
    assert_eq!(led.store.next_page_at(Lane::Lesser, &[]).await.unwrap(), Some(minute(1)));
    let lesser = lease(&led.store, Lane::Lesser, minute(4)).await;
    assert!(lesser.iter().all(|leased| leased.page.priority == Priority::P1) && lesser.len() == 100);
}

async fn a_full_channel_is_passed_over_and_no_other(home: Home) {
    let mut led = home.lead().await;
    // `_` and the case of letters are no wildcards, and a part of a name is another name.
    led.queue(vec![
        ring(1, "a_b", Priority::P0, 1),
        ring(2, "a-b", Priority::P0, 2),
        ring(3, "A_B", Priority::P0, 3),
        ring(4, "a", Priority::P0, 4),
        ring(5, "mail", Priority::P0, 5),
    ])
    .await;
    let full = ["a_b".into(), "mail".into()];
    assert_eq!(led.store.next_page_at(Lane::P0, &full).await.unwrap(), Some(minute(2)));
    let leased = led.store.lease_pages(Lane::P0, minute(9), minute(10), 100, &full).await.unwrap();
    assert_eq!(keys(&leased), ["delivery 2 a-b ring", "delivery 3 A_B ring", "delivery 4 a ring"]);
    assert_eq!(led.store.next_page_at(Lane::P0, &full).await.unwrap(), Some(minute(10)));
    assert_eq!(keys(&lease(&led.store, Lane::P0, minute(9)).await), ["delivery 1 a_b ring", "delivery 5 mail ring"]);
}

async fn a_resolve_waits_for_its_rings(home: Home) {
    let mut led = home.lead().await;
    let (first, second) = (ring(1, "pager", Priority::P0, 1), ring(1, "mail", Priority::P0, 1));
    led.queue(vec![first.clone(), second.clone()]).await;
    led.queue(vec![resolve(&first), resolve(&second)]).await;
    let rings = lease(&led.store, Lane::P0, minute(2)).await;
    assert!(rings.iter().all(|leased| leased.page.kind == PageKind::Ring) && rings.len() == 2);
    assert!(lease(&led.store, Lane::P0, minute(2)).await.is_empty());
    assert_eq!(led.store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(minute(3)), "a waiting resolve isn't due");

    answer(&led.store, rings[0].id, Delivery::Accepted, "202").await;
    assert_eq!(keys(&lease(&led.store, Lane::P0, minute(2)).await), ["delivery 1 pager resolve"]);
    answer(&led.store, rings[1].id, Delivery::Parked, "410").await;
    assert_eq!(keys(&lease(&led.store, Lane::P0, minute(2)).await), ["delivery 1 mail resolve"]);
}

async fn a_page_is_tried_again_when_its_retry_is_due(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![ring(1, "pager", Priority::P0, 1)]).await;
    let id = lease(&led.store, Lane::P0, minute(2)).await[0].id;
    answer(&led.store, id, Delivery::Retry { at: minute(8) }, "503").await;
    assert!(lease(&led.store, Lane::P0, minute(7)).await.is_empty());
    assert_eq!(led.store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(minute(8)));
    let again = lease(&led.store, Lane::P0, minute(8)).await;
    assert_eq!((again[0].attempts, keys(&again)), (1, vec!["delivery 1 pager ring"]));

    answer(&led.store, id, Delivery::Accepted, "202").await;
    let page = led.store.pages(1).await.unwrap().remove(0);
    assert_eq!((page.state.as_str(), page.attempts, page.accepted_at), ("accepted", 2, Some(minute(7))));
    assert_eq!(page.last_answer.as_deref(), Some("202"));
    assert_eq!(led.store.next_page_at(Lane::P0, &[]).await.unwrap(), None);
    assert_eq!(home.number("SELECT COUNT(*) FROM attempts WHERE number = 1 AND answer = '503'").await, 1);
    assert_eq!(home.number("SELECT COUNT(*) FROM attempts WHERE number = 2 AND result = 'accepted'").await, 1);
}

async fn a_parked_page_stays_parked_until_it_is_released(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![ring(1, "pager", Priority::P0, 1)]).await;
    let id = lease(&led.store, Lane::P0, minute(2)).await[0].id;
    answer(&led.store, id, Delivery::Parked, "400").await;
    assert!(lease(&led.store, Lane::P0, minute(9_000)).await.is_empty());
    assert_eq!(led.store.next_page_at(Lane::P0, &[]).await.unwrap(), None);
    assert_eq!(led.store.release_parked(minute(9_000)).await.unwrap(), 1);
    assert_eq!(keys(&lease(&led.store, Lane::P0, minute(9_000)).await), ["delivery 1 pager ring"]);
}

async fn a_start_sends_what_is_parked_again_but_no_ring_that_is_over(home: Home) {
    let mut led = home.lead().await;
    let over = ring(1, "pager", Priority::P0, 1);
    led.queue(vec![over.clone(), ring(1, "mail", Priority::P0, 1), ring(2, "pager", Priority::P0, 1)]).await;
    for leased in lease(&led.store, Lane::P0, minute(2)).await {
        answer(&led.store, leased.id, Delivery::Parked, "400").await;
    }
    led.queue(vec![resolve(&over)]).await;
    let parked = lease(&led.store, Lane::P0, minute(2)).await;
    answer(&led.store, parked[0].id, Delivery::Parked, "400").await;

    let start = led.store.lead("a start", minute(9), Some(led.token)).await.unwrap();
    assert_eq!(start, Lead::Taken { token: led.token + 1, released: 3 });
    let again = lease(&led.store, Lane::P0, minute(9)).await;
    assert_eq!(keys(&again), ["delivery 1 mail ring", "delivery 2 pager ring", "delivery 1 pager resolve"]);
    assert_eq!(home.number("SELECT COUNT(*) FROM pages WHERE state = 'superseded'").await, 1);
    assert_eq!(led.store.release_parked(minute(9)).await.unwrap(), 0);
}

async fn a_late_answer_does_not_take_back_an_acceptance(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![ring(1, "pager", Priority::P0, 1)]).await;
    let id = lease(&led.store, Lane::P0, minute(2)).await[0].id;
    assert_eq!(lease(&led.store, Lane::P0, minute(4)).await[0].id, id, "somebody else took it over");
    answer(&led.store, id, Delivery::Accepted, "202").await;
    for late in [Delivery::Retry { at: minute(9) }, Delivery::Parked] {
        answer(&led.store, id, late, "timed out").await;
        let page = led.store.pages(1).await.unwrap().remove(0);
        assert_eq!((page.state.as_str(), page.accepted_at), ("accepted", Some(minute(7))));
    }
    assert!(lease(&led.store, Lane::P0, minute(10)).await.is_empty());
}

async fn leases_of_the_dead_end_at_a_start(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![ring(1, "pager", Priority::P0, 1)]).await;
    let leased = lease(&led.store, Lane::P0, minute(2)).await;
    drop(led);
    let next = home.lead().await;
    let again = lease(&next.store, Lane::P0, minute(2)).await;
    assert_eq!((again[0].id, &again[0].page), (leased[0].id, &leased[0].page));
}

async fn pages_are_counted_by_channel_and_state(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![ring(1, "a", Priority::P0, 1), ring(2, "a", Priority::P1, 1), ring(3, "b", Priority::P0, 9)]).await;
    lease(&led.store, Lane::P0, minute(2)).await;
    let counts = led.store.page_counts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (&*count.channel, count.state.as_str(), count.count)).collect();
    assert_eq!(counts, [("a", "leased", 1), ("a", "queued", 1), ("b", "queued", 1)]);
}

async fn an_attempt_at_an_unknown_page_is_an_error(home: Home) {
    let led = home.lead().await;
    let attempt = Attempt {
        page: 77,
        began: minute(1),
        ended: minute(1),
        delivery: Delivery::Accepted,
        answer: "202".to_owned(),
        fallbacks: Vec::new(),
    };
    assert!(led.store.record(&attempt).await.unwrap_err().to_string().contains("77"));
}
