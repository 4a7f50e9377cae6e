//! The canary sings when it is due, whichever process sang last.

use super::well;
use crate::kit::minute;
use crate::store_contract::home::Home;
use std::sync::Arc;
use tocsin::core::act::Deed;
use tocsin::core::time::Span;
use tocsin::run::canary::Canary;
use tocsin::run::clock::VirtualClock;
use tocsin::run::inbox;
use tocsin::store::Store;

#[tokio::test]
async fn the_canary_sings_at_once_and_then_at_its_interval_across_restarts() {
    let home = Home::sqlite("canary");
    let led = home.lead().await;
    for (at, sings) in [(0, true), (1, false), (59, false), (60, true), (61, false), (500, true)] {
        let canary = Canary {
            escalation: "on-call".into(),
            every: Span::from_hours(1),
            store: Arc::new(home.open().await),
            clock: VirtualClock::new(minute(at)),
            status: well(minute(at)),
        };
        assert_eq!(canary.pass(minute(at)).await.unwrap(), sings, "minute {at}");
        for entry in led.store.inbox().await.unwrap() {
            assert_eq!(inbox::act(&entry).deed, Deed::TestPage { escalation: "on-call".into() });
            home.run("UPDATE inbox SET applied_sequence = 1").await;
        }
        canary.store.close().await;
    }
}
