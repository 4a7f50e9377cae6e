//! A store moves from one kind of database to the other and back, whole.

use super::home::{FINGERPRINT, Home, breach, case, episode, incident, keeping, ring, take_the_lead};
use crate::kit::minute;
use tocsin::core::incident::IncidentKind;
use tocsin::core::plan::{BreachStatus, Plan};
use tocsin::core::policy::Priority;
use tocsin::store::{Attempt, Claim, Delivery, Lane, MoveError, SqlStore, Store, move_store};

async fn filled(home: &Home) -> SqlStore {
    let mut led = home.lead().await;
    let kind = IncidentKind::Episode(episode(1));
    let plan = Plan {
        breaches: (0..5).map(|id| breach(id, BreachStatus::Verified)).collect(),
        incidents: [(tocsin::core::id::IncidentNo(3), incident(3, kind))].into(),
        ..keeping((0..2_500).map(|id| case(episode(id), Priority::P1)))
    };
    let pages = (0..3).map(|no| ring(no, "pager", Priority::P0, 1)).collect();
    led.commit_with(&plan, pages).await.unwrap();
    let page = led.store.lease_pages(Lane::P0, minute(2), minute(3), 1, &[]).await.unwrap().remove(0);
    let (began, ended) = (minute(2), minute(2));
    let answer = "202\0".to_owned();
    let attempt = Attempt { page: page.id, began, ended, delivery: Delivery::Accepted, answer, fallbacks: Vec::new() };
    led.store.record(&attempt).await.unwrap();
    led.store.put_inbox("acknowledge", "{}", "ada", minute(3)).await.unwrap();
    led.store.hand_over(led.token).await.unwrap();
    led.store
}

async fn told(store: &SqlStore) -> String {
    let stored = store.load().await.unwrap();
    let pages = store.pages(9).await.unwrap();
    let (inbox, breaches) = (store.inbox().await.unwrap(), store.breaches(9).await.unwrap());
    format!("{stored:?} {pages:?} {inbox:?} {breaches:?}")
}

#[tokio::test]
async fn a_store_moves_to_postgres_and_back_and_nothing_is_left_behind() {
    let (lite, postgres, back) = (Home::sqlite("move_from"), Home::postgres("move").await, Home::sqlite("move_back"));
    let first = filled(&lite).await;
    let before = told(&first).await;
    let second = postgres.open().await;
    let rows = move_store(&first, &second, "postgres://there/tocsin", minute(9)).await.unwrap();
    assert!(rows > 2_500 + 5 + 1 + 3 + 1 + 1, "{rows}");
    assert_eq!(told(&second).await, before);

    let claim = Claim { fingerprint: FINGERPRINT.to_owned(), ..Claim::default() };
    let refused = first.claim(&claim, minute(9)).await.unwrap_err().to_string();
    assert!(refused.contains("moved to postgres://there/tocsin"), "{refused}");
    second.claim(&claim, minute(9)).await.unwrap();
    // The numbers that the database gives go on.
    assert_eq!(second.put_inbox("acknowledge", "{}", "ada", minute(9)).await.unwrap(), 2);

    let before = told(&second).await;
    let third = back.open().await;
    move_store(&second, &third, "sqlite:there", minute(9)).await.unwrap();
    assert_eq!(told(&third).await, before);
    assert_eq!(third.put_inbox("acknowledge", "{}", "ada", minute(9)).await.unwrap(), 3);
    take_the_lead(&third, "next").await;
}

#[tokio::test]
async fn a_store_that_is_led_stays_and_one_in_use_is_not_written_over() {
    let (from, to) = (Home::sqlite("led"), Home::sqlite("in_use"));
    let led = from.lead().await;
    let target = to.open().await;
    let refused = move_store(&led.store, &target, "there", minute(9)).await;
    assert!(matches!(refused, Err(MoveError::Led(_))), "{refused:?}");
    led.store.hand_over(led.token).await.unwrap();
    filled(&to).await;
    let refused = move_store(&led.store, &target, "there", minute(9)).await;
    assert!(matches!(refused, Err(MoveError::NotEmpty(1))), "{refused:?}");
    assert_eq!(target.load().await.unwrap().cases.len(), 2_500);
}
