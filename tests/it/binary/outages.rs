//! The report database or the store goes away for a while: the monitor lives, says so, pages what it must, and finds
//! everything afterwards.

use super::platform::Base;
use super::process::Process;
use super::proxy::Wire;
use super::rig::{Rig, cases};
use super::{eventually, hold, now, secs, throughout};

/// Side by side, because a source counts as blind only after a minute.
#[tokio::test]
async fn a_report_database_that_goes_away_and_comes_back_costs_no_page() {
    let (lite, pg) = (source_goes_away("away_lite", Base::Sqlite), source_goes_away("away_pg", Base::Postgres));
    tokio::join!(lite, pg, source_goes_away("away_my", Base::Mysql));
}

async fn source_goes_away(hint: &str, source: Base) {
    let mut rig = Rig::new(hint, source, Base::Sqlite).await;
    rig.settings.within = "12s";
    let mut monitor = rig.start();
    rig.is_ready().await;
    rig.platform.file("due", "csam", now()).await;
    rig.platform.file("lesser", "threat", now()).await;
    is_queued(&rig, &["due", "lesser"]).await;
    assert!(rig.get("/metrics").await.1.contains("tocsin_open_cases{"));
    rig.platform.goes_away().await;

    let page = rig.rang(30, &rig.p0_reference("due")).await;
    assert_eq!((&page["unverified"], &page["target"]), (&true.into(), &"first_response".into()));
    monitor.says(5, &["the source cannot be read", "reports"]).await;
    assert_eq!(rig.get("/healthz").await.0, 200);
    rig.is_unready(90, &["source_not_seen", "reports", "not seen since"]).await;
    assert!(monitor.is_running());
    the_operators_are_told(&rig).await;
    let metrics = rig.get("/metrics").await.1;
    assert!(!metrics.contains("tocsin_open_cases{"), "an unseen source has no figures: {metrics}");
    assert!(!rig.rings().contains_key(&rig.reference("lesser")), "a lesser breach waits for proof");

    rig.platform.comes_back().await;
    rig.platform.file("meanwhile", "csam", now().minus(secs(30))).await;
    let found = rig.rang(20, &rig.p0_reference("meanwhile")).await;
    assert_eq!(found["unverified"], false);
    rig.rang(20, &rig.reference("lesser")).await;
    rig.is_ready().await;
    monitor.says(5, &["the source can be read again"]).await;
    everything_resolves(&rig, &["due", "lesser", "meanwhile"]).await;
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
}

async fn the_operators_are_told(rig: &Rig) {
    eventually("a page about no case", secs(10), async || {
        let requests = rig.receiver.requests();
        let blind = requests.iter().filter(|request| request.kind() == "incident.ring" && cases(request).is_empty());
        hold(blind.count() == 1, || format!("{} requests about cases", requests.len()))
    })
    .await;
}

async fn is_queued(rig: &Rig, ids: &[&str]) {
    eventually("the queue lists the reports", secs(10), async || {
        let (_, queue) = rig.get("/api/v1/queue").await;
        hold(ids.iter().all(|id| queue.contains(&format!("\"{id}\""))), || queue)
    })
    .await;
}

async fn everything_resolves(rig: &Rig, ids: &[&str]) {
    for id in ids {
        rig.platform.respond(id, now()).await;
        rig.platform.close(id).await;
    }
    eventually("nothing fires any more", secs(20), async || {
        let requests = rig.receiver.requests();
        let keys = requests.iter().map(|request| request.body["data"]["alert_key"].as_str().unwrap());
        let firing = keys.filter(|key| rig.receiver.is_firing(key)).count();
        hold(firing == 0, || format!("{firing} firing"))
    })
    .await;
}

#[tokio::test]
async fn a_store_that_refuses_connections_or_falls_silent_for_a_while_costs_no_page() {
    tokio::join!(store_goes_away("store_cut", Wire::Cut), store_goes_away("store_held", Wire::Held));
}

/// For longer than a statement may take, so that answers to COMMIT are lost.
const AWAY_SECS: i64 = 14;
/// Fewer than one bundle lists by name: a larger one tells their number and the most urgent.
const FILED_AT_MOST: u32 = 150;

async fn store_goes_away(hint: &str, how: Wire) {
    let mut rig = Rig::new(hint, Base::Sqlite, Base::Postgres).await;
    let wire = rig.put_a_wire_before_the_store().await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    let mut filed = 0;
    file_more(&rig, &mut filed, 10).await;
    rig.rang(20, &rig.p0_reference("r0")).await;

    wire.set(how);
    throughout("the monitor lives", secs(AWAY_SECS), async || {
        if filed < FILED_AT_MOST {
            file_more(&rig, &mut filed, 1).await;
        }
        hold(monitor.is_running(), || "it ended".to_owned())
    })
    .await;
    rig.is_unready(40, &["store"]).await;
    assert_eq!(rig.get("/healthz").await.0, 200);
    wire.set(Wire::Open);
    nothing_is_lost_or_doubled(&rig, &monitor, filed).await;
}

async fn file_more(rig: &Rig, filed: &mut u32, count: u32) {
    for _ in 0..count {
        rig.platform.file(&format!("r{filed}"), "csam", now()).await;
        *filed += 1;
    }
}

async fn nothing_is_lost_or_doubled(rig: &Rig, monitor: &Process, filed: u32) {
    eventually("every report has rung and every page is recorded", secs(90), async || {
        let rings = rig.rings();
        let lost = (0..filed).find(|n| !rings.contains_key(&rig.p0_reference(&format!("r{n}"))));
        if let Some(lost) = lost {
            return Err(format!("r{lost} of {filed} has not rung"));
        }
        let pages = rig.pages().await;
        let open = pages.iter().filter(|row| row.state != "accepted").count();
        hold(open == 0, || format!("{open} of {} pages are not accepted", pages.len()))
    })
    .await;
    let rings = rig.rings();
    assert!(rings.values().all(|keys| keys.len() == 1), "a page came under two keys: {rings:?}");
    assert_eq!(rings.len(), filed as usize);
    rig.is_ready().await;
    assert!(!monitor.log().contains("panicked"));
}
