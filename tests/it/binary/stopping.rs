//! SIGTERM: what is under way comes to its end and is recorded, and the process is gone within seconds.

use super::platform::Base;
use super::proxy::Wire;
use super::rig::Rig;
use super::{eventually, hold, now, secs};

#[tokio::test]
async fn sigterm_waits_for_the_page_that_is_on_its_way_and_records_its_acceptance() {
    let mut rig = Rig::new("drain", Base::Sqlite, Base::Sqlite).await;
    let wire = rig.put_a_wire_before_the_receiver().await;
    wire.set(Wire::Held);
    rig.platform.file("late", "csam", now().minus(secs(60))).await;
    let mut monitor = rig.start();
    eventually("the page is on its way", secs(20), async || {
        hold(wire.bytes_sent() > 0, || "nothing was sent".to_owned())
    })
    .await;

    monitor.signal("TERM");
    monitor.says(5, &["stopping"]).await;
    assert!(monitor.is_running() && rig.receiver.rings() == 0);
    wire.set(Wire::Open);
    let status = monitor.ends(5).await;
    assert_eq!(status.code(), Some(0), "{status}");
    monitor.says(1, &["stopped; nothing was left half done"]).await;
    assert_eq!(rig.receiver.rings(), 1);
    let states: Vec<(String, u32)> = rig.pages().await.into_iter().map(|row| (row.state, row.attempts)).collect();
    assert_eq!(states, [("accepted".to_owned(), 1)]);
}

#[tokio::test]
async fn sigterm_ends_an_idle_monitor_at_once_and_a_restart_rings_nothing_anew() {
    let rig = Rig::new("restart", Base::Sqlite, Base::Postgres).await;
    rig.platform.file("late", "csam", now().minus(secs(60))).await;
    for start in 0..3 {
        let mut monitor = rig.start();
        rig.is_ready().await;
        rig.rang(20, &rig.p0_reference("late")).await;
        eventually("the page is recorded", secs(5), async || {
            let pages = rig.pages().await;
            hold(pages.iter().all(|row| row.state == "accepted"), || format!("{pages:?}"))
        })
        .await;
        monitor.signal("TERM");
        assert_eq!(monitor.ends(5).await.code(), Some(0), "start {start}");
    }
    assert_eq!(rig.receiver.requests().len(), 1);
}

#[tokio::test]
async fn sigterm_ends_a_monitor_whose_store_is_away() {
    let mut rig = Rig::new("stop_storeless", Base::Sqlite, Base::Postgres).await;
    let wire = rig.put_a_wire_before_the_store().await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    wire.set(Wire::Cut);
    rig.platform.file("unstored", "csam", now().minus(secs(60))).await;
    rig.is_unready(20, &["store"]).await;
    // The engine itself waits for the store, and not only whoever asks it beside.
    monitor.says(20, &["trying until it does"]).await;
    monitor.signal("TERM");
    assert_eq!(monitor.ends(20).await.code(), Some(0));
    monitor.says(1, &["stopping while the store is away"]).await;

    wire.set(Wire::Open);
    let _again = rig.start();
    rig.rang(20, &rig.p0_reference("unstored")).await;
}
