//! The store is away, and a child's report passes its deadline all the same: the real program over a real PostgreSQL
//! that is stopped and started, and a receiver that knows every key.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs, throughout};
use crate::support::PrivatePostgres;
use tocsin::core::time::Timestamp;

/// How late a P0 may ring while the store is away: a poll, the wait before the emergency, and the way.
const RINGS_WITHIN_SECS: i64 = 10;
/// As the rig has it.
const WITHIN_SECS: i64 = 3;

async fn rig_over(server: &PrivatePostgres, hint: &str) -> Rig {
    let mut rig = Rig::new(hint, Base::Sqlite, Base::Sqlite).await;
    rig.settings.store_url = server.database("tocsin").await;
    rig
}

async fn file(rig: &Rig, id: &str, reason: &str) -> Timestamp {
    let filed = now();
    rig.platform.file(id, reason, filed).await;
    filed
}

async fn rings_in_time(rig: &Rig, id: &str, filed: Timestamp) {
    let left = WITHIN_SECS + RINGS_WITHIN_SECS - now().since(filed).secs();
    rig.rang(left, &rig.p0_reference(id)).await;
}

#[tokio::test]
async fn while_the_store_is_away_p0_rings_in_time_and_all_of_it_is_recorded_once_the_store_is_back() {
    let server = PrivatePostgres::start().await;
    let rig = rig_over(&server, "emergency").await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    let before = file(&rig, "before", "csam").await;
    rings_in_time(&rig, "before", before).await;
    let open = file(&rig, "open", "csam").await;
    sees(&rig, "open").await;

    server.stop("immediate");
    let new = file(&rig, "new", "csam").await;
    file(&rig, "lesser", "threat").await;
    rings_in_time(&rig, "open", open).await;
    rings_in_time(&rig, "new", new).await;
    let told = rig.rang_with(10, "store_away").await;
    assert_eq!(told.body["data"]["without_store"], true);
    rig.is_unready(10, &["emergency", "minor safety"]).await;
    throughout("nothing lesser rings", secs(4), async || {
        hold(!rig.rings().contains_key(&rig.reference("lesser")), || "it rang".to_owned())
    })
    .await;

    server.start_again();
    rig.is_ready().await;
    rig.rang(20, &rig.reference("lesser")).await;
    everything_is_recorded(&rig).await;
    assert!(monitor.is_running());
    let requests = rig.receiver.requests();
    let sent = requests.iter().filter(|request| request.body["data"]["without_store"] == true).count();
    assert_eq!(sent, 3, "two cases, and the word to the operators");
    for id in ["before", "open", "new"] {
        assert_eq!(requests_of(&rig, &rig.p0_reference(id)), 1, "{id} was sent once, and is not sent again");
    }
    monitor.says(5, &["the emergency is over", "rang=3", "accepted=3"]).await;
    monitor.signal("TERM");
    assert_eq!(monitor.ends(10).await.code(), Some(0));
}

#[tokio::test]
async fn what_was_answered_while_the_store_was_away_does_not_ring_and_what_rang_is_closed_under_its_key() {
    let server = PrivatePostgres::start().await;
    let mut rig = rig_over(&server, "emergency_answers").await;
    rig.settings.within = "9s";
    let _monitor = rig.start();
    rig.is_ready().await;
    file(&rig, "answered", "csam").await;
    file(&rig, "late", "csam").await;
    sees(&rig, "late").await;
    server.stop("immediate");
    rig.platform.respond("answered", now()).await;
    rig.rang(9 + RINGS_WITHIN_SECS, &rig.p0_reference("late")).await;
    assert!(!rig.rings().contains_key(&rig.p0_reference("answered")));

    server.start_again();
    rig.is_ready().await;
    rig.platform.respond("late", now()).await;
    eventually("what rang is closed", secs(20), async || {
        let of = |kind: &str| {
            let requests = rig.receiver.requests();
            let of_kind = requests.iter().filter(|request| request.kind() == kind && !is_about_the_store(request));
            of_kind.map(|request| request.body["data"]["alert_key"].to_string()).collect::<Vec<_>>()
        };
        let (rang, closed) = (of("incident.ring"), of("incident.resolved"));
        hold(rang.len() == 1 && rang == closed, || format!("{rang:?} {closed:?}"))
    })
    .await;
    everything_is_recorded(&rig).await;
}

/// The memory of the emergency dies with the process. What rang in it rings once more, under a key that is new to
/// the receiver: silence would be worse.
#[tokio::test]
async fn a_process_that_dies_in_the_emergency_loses_no_page() {
    let server = PrivatePostgres::start().await;
    let rig = rig_over(&server, "emergency_dies").await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    server.stop("immediate");
    let filed = file(&rig, "new", "csam").await;
    rings_in_time(&rig, "new", filed).await;
    let spool = rig.scratch.path().join("tocsin.toml.spool");
    assert!(std::fs::read_to_string(&spool).unwrap().contains("\"page\""), "it is on the disk");
    monitor.kill();

    server.start_again();
    let _again = rig.start();
    rig.is_ready().await;
    eventually("it rings anew", secs(20), async || {
        let keys = rig.rings().get(&rig.p0_reference("new")).map_or(0, std::collections::BTreeSet::len);
        hold(keys == 2, || format!("{keys} keys"))
    })
    .await;
    everything_is_recorded(&rig).await;
    assert_eq!(
        rig.pages().await.iter().filter(|row| row.page.round == 1).count(),
        1,
        "the round after the one that rang"
    );
}

/// After half a minute, in which most databases are back; then the operators know, and once the store is there the
/// process does its whole work.
#[tokio::test]
async fn a_start_that_finds_its_store_away_rings_the_operators_and_goes_on_once_it_is_there() {
    let server = PrivatePostgres::start().await;
    let rig = rig_over(&server, "start_without_store").await;
    let mut first = rig.start();
    rig.is_ready().await;
    let before = file(&rig, "before", "csam").await;
    rings_in_time(&rig, "before", before).await;
    first.signal("TERM");
    assert_eq!(first.ends(10).await.code(), Some(0));
    server.stop("immediate");
    let filed = file(&rig, "waits", "csam").await;
    let mut again = rig.start();
    let told = rig.rang_with(30 + RINGS_WITHIN_SECS, "no_store_at_start").await;
    assert_eq!((told.kind(), &told.body["data"]["without_store"]), ("incident.ring", &true.into()));
    assert!(again.is_running());
    assert!(!rig.rings().contains_key(&rig.p0_reference("waits")), "nothing of a report rings");

    server.start_again();
    rig.is_ready().await;
    rig.rang(20, &rig.p0_reference("waits")).await;
    assert!(now().since(filed).secs() > 30);
    let key = told.body["data"]["alert_key"].clone();
    let requests = rig.receiver.requests();
    let of_key = requests.iter().filter(|request| request.body["data"]["alert_key"] == key);
    assert_eq!(of_key.map(|request| request.kind()).collect::<Vec<_>>(), ["incident.ring", "incident.resolved"]);
}

#[tokio::test]
async fn a_first_start_without_a_store_says_so_and_ends() {
    let server = PrivatePostgres::start().await;
    let rig = rig_over(&server, "first_start_without_store").await;
    server.stop("immediate");
    let mut monitor = rig.start();
    assert_eq!(monitor.ends(20).await.code(), Some(1));
    assert!(monitor.log().contains("open the store postgres://"), "{}", monitor.log());
    assert!(rig.receiver.requests().is_empty());
}

async fn sees(rig: &Rig, id: &str) {
    eventually("the monitor has it in its store", secs(10), async || {
        let (_, queue) = rig.get("/api/v1/queue").await;
        hold(queue.contains(id), || queue)
    })
    .await;
}

fn is_about_the_store(request: &crate::delivery::receiver::Request) -> bool {
    request.body["data"].to_string().contains("store_away")
}

fn requests_of(rig: &Rig, reference: &str) -> usize {
    let rings = rig.receiver.requests();
    rings
        .iter()
        .filter(|request| request.kind() == "incident.ring")
        .flat_map(super::rig::cases)
        .filter(|case| case["case"] == reference)
        .count()
}

async fn everything_is_recorded(rig: &Rig) {
    eventually("every page is accepted, with its attempt", secs(30), async || {
        let pages = rig.pages().await;
        let open: Vec<_> = pages.iter().filter(|row| row.state != "accepted" || row.attempts == 0).collect();
        hold(open.is_empty() && !pages.is_empty(), || format!("{open:?}"))
    })
    .await;
    let known: Vec<String> = rig.pages().await.into_iter().map(|row| row.page.delivery_key).collect();
    for request in rig.receiver.requests().iter().filter(|request| request.kind() == "incident.ring") {
        let about = format!("{} of {known:?}", request.id);
        assert!(known.contains(&request.id) || request.body["data"]["without_store"] == true, "{about}");
    }
}
