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
use tocsin::zone::Zone;
use tocsin::zone::cron::Rhythm;

/// Whether it sings at each of these minutes, in a process that has looked since the first of each pair.
async fn sings(name: &str, rhythm: Rhythm, expected: &[((i64, i64), bool)]) {
    let home = Home::sqlite(name);
    let led = home.lead().await;
    for ((since, at), sings) in expected {
        let canary = Canary {
            escalation: "on-call".into(),
            rhythm: rhythm.clone(),
            since: minute(*since),
            store: Arc::new(home.open().await),
            clock: VirtualClock::new(minute(*at)),
            status: well(minute(*at)),
        };
        assert_eq!(canary.pass(minute(*at)).await.unwrap(), *sings, "minute {at}");
        for entry in led.store.inbox().await.unwrap() {
            assert_eq!(inbox::act(&entry).deed, Deed::TestPage { escalation: "on-call".into() });
            home.run("UPDATE inbox SET applied_sequence = 1").await;
        }
        canary.store.close().await;
    }
}

#[tokio::test]
async fn the_canary_sings_at_once_and_then_at_its_interval_across_restarts() {
    let times = [(0, true), (1, false), (59, false), (60, true), (61, false), (500, true)];
    let times = times.map(|(at, sings)| ((at, at), sings));
    sings("canary", Rhythm::Every(Span::from_hours(1)), &times).await;
}

#[tokio::test]
async fn a_canary_by_the_clock_sings_once_for_each_time_of_its_schedule_across_restarts() {
    // Minute 0 of a test's time is 22:13:20, so that the times of the schedule lie before the minutes 7, 67 and so on.
    let rhythm = Rhythm::At(Box::new("20 * * * *".parse().unwrap()), Zone::UTC);
    let times =
        [((0, 6), false), ((0, 7), true), ((8, 66), false), ((8, 67), true), ((68, 300), true), ((301, 306), false)];
    sings("canary_cron", rhythm, &times).await;
}
