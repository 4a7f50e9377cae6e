//! Two monitors on one store: the later one leads, the earlier one stops before it writes.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};

#[tokio::test]
async fn a_second_process_on_the_same_store_fences_the_first_which_stops_and_says_why() {
    let rig = Rig::new("fence", Base::Postgres, Base::Postgres).await;
    let mut first = rig.start();
    rig.is_ready().await;
    let mut second = rig.start_another();
    second.says(20, &["leading the store"]).await;

    rig.platform.file("contested", "csam", now()).await;
    rig.rang(20, &rig.p0_reference("contested")).await;
    let status = first.ends(20).await;
    assert_eq!(status.code(), Some(1));
    first.says(1, &["another process leads this store"]).await;
    assert!(second.is_running());
    eventually("its page is recorded", secs(5), async || {
        let states: Vec<String> = rig.pages().await.into_iter().map(|row| row.state).collect();
        hold(states == ["accepted"], || format!("{states:?}"))
    })
    .await;
    assert_eq!((rig.receiver.rings(), rig.rings().len()), (1, 1));
}
