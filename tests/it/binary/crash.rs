//! kill -9 at random instants under a stream of reports: whatever a look at the table says was missed has rung, nothing
//! else has, and no page came under two keys. The instants come out of a seed, which a failure tells.

use super::platform::Base;
use super::proxy::Wire;
use super::rig::{Rig, cases};
use super::{eventually, hold, now, secs};
use crate::delivery::receiver::Reply;
use std::collections::{BTreeMap, BTreeSet};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::{Clock, SystemClock};

#[tokio::test]
async fn killed_12_times_a_monitor_loses_no_page_and_doubles_none() {
    let lite = killed("kill_lite", Base::Sqlite, Base::Sqlite, 12, 2020);
    tokio::join!(lite, killed("kill_pg", Base::Postgres, Base::Postgres, 12, 2021));
}

#[tokio::test]
async fn a_page_that_was_on_its_way_when_the_process_was_killed_goes_again_at_once_under_its_key() {
    let mut rig = Rig::new("kill_sending", Base::Sqlite, Base::Sqlite).await;
    let wire = rig.put_a_wire_before_the_receiver().await;
    wire.set(Wire::Held);
    rig.platform.file("late", "csam", now().minus(secs(60))).await;
    let mut monitor = rig.start();
    eventually("the page is on its way", secs(20), async || {
        hold(wire.bytes_sent() > 0, || "nothing was sent".to_owned())
    })
    .await;
    monitor.kill();
    wire.set(Wire::Open);
    let _monitor = rig.start();
    eventually("the page goes again", secs(10), async || {
        let requests = rig.receiver.requests().len();
        hold(requests == 2, || format!("{requests} requests"))
    })
    .await;
    every_page_is_accepted(&rig).await;
    one_key_is_one_page(&rig);
    assert_eq!((rig.receiver.rings(), rig.rings().len()), (1, 1));
}

#[tokio::test]
#[ignore = "long: 100 kills take some three minutes"]
async fn killed_100_times_a_monitor_of_sqlite_loses_no_page_and_doubles_none() {
    killed("kill_lite_long", Base::Sqlite, Base::Sqlite, 100, getrandom::u64().unwrap()).await;
}

#[tokio::test]
#[ignore = "long: 100 kills take some three minutes"]
async fn killed_100_times_a_monitor_of_postgres_loses_no_page_and_doubles_none() {
    killed("kill_pg_long", Base::Postgres, Base::Postgres, 100, getrandom::u64().unwrap()).await;
}

/// What `Settings::within` says, for answers that must come in time.
const WITHIN: Span = Span::from_secs(2);

/// People who report P0 and answer some of it in time.
struct Stream {
    rng: fastrand::Rng,
    filed: u32,
    answers: BTreeMap<Timestamp, (String, Timestamp)>,
    /// Reports whose answer stood in the table before their deadline.
    in_time: BTreeSet<String>,
}

impl Stream {
    /// Lives until an instant.
    async fn live(&mut self, rig: &Rig, until: Timestamp) {
        while now() < until {
            let id = format!("r{}", self.filed);
            let received = now();
            rig.platform.file(&id, "csam", received).await;
            self.filed += 1;
            if self.rng.u32(0..100) < 40 {
                let answered = received.plus(Span::from_micros(self.rng.i64(100_000..1_500_000)));
                self.answers.insert(answered, (id, received.plus(WITHIN)));
            }
            self.answer(rig).await;
            SystemClock.sleep_until(now().plus(Span::from_micros(self.rng.i64(20_000..200_000)))).await;
        }
    }

    /// Gives the answers that are due, those apart for which it is too late.
    async fn answer(&mut self, rig: &Rig) {
        while let Some(entry) = self.answers.first_entry().filter(|entry| *entry.key() <= now()) {
            let (id, deadline) = entry.remove();
            let at = now();
            if at < deadline {
                rig.platform.respond(&id, at).await;
                if now() < deadline {
                    self.in_time.insert(id);
                }
            }
        }
    }
}

async fn killed(hint: &str, source: Base, store: Base, rounds: u32, seed: u64) {
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let replies = [Reply::Status(200, ""), Reply::ProcessedThenReset, Reply::Reset, Reply::Status(503, "")];
    let script: Vec<Reply> = (0..20).map(|_| replies[rng.usize(0..replies.len())].clone()).collect();
    let mut rig = Rig::scripted(hint, source, store, script).await;
    rig.settings.within = "2s";
    let mut stream = Stream { rng: rng.fork(), filed: 0, answers: BTreeMap::new(), in_time: BTreeSet::new() };
    let mut lives_micros = Vec::new();
    for _ in 0..rounds {
        let mut monitor = rig.start();
        let life = Span::from_micros(rng.i64(20_000..2_500_000));
        stream.live(&rig, now().plus(life)).await;
        monitor.kill();
        lives_micros.push(life.micros());
        if rng.u32(0..3) == 0 {
            let down = Span::from_micros(rng.i64(100_000..2_000_000));
            stream.live(&rig, now().plus(down)).await;
        }
    }
    println!("killed after, in microseconds: {lives_micros:?}");

    let monitor = rig.start();
    while !stream.answers.is_empty() {
        stream.answer(&rig).await;
        SystemClock.sleep_until(now().plus(Span::from_micros(10_000))).await;
    }
    let missed: BTreeSet<String> = rig.platform.ids("responded_at is null").await.into_iter().collect();
    println!("{} missed, {} answered in time", missed.len(), stream.in_time.len());
    assert!(missed.len() > rounds as usize && !stream.in_time.is_empty(), "the stream tests nothing");
    let missed: BTreeSet<String> = missed.iter().map(|id| rig.p0_reference(id)).collect();
    eventually("every missed report has rung", secs(20), async || {
        let rung: BTreeSet<String> = rig.rings().into_keys().collect();
        hold(rung.is_superset(&missed), || format!("{} of {} have rung", rung.len(), missed.len()))
    })
    .await;
    every_page_is_accepted(&rig).await;
    nobody_was_woken_for_nothing(&rig, &stream.in_time);
    let rings = rig.rings();
    let doubled: Vec<_> = rings.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(doubled.is_empty(), "a page came under two keys: {doubled:?}");
    one_key_is_one_page(&rig);
    assert!(!monitor.log().contains("panicked"));
}

/// What was answered in time rings only where the database could not be read at the deadline, and says so.
fn nobody_was_woken_for_nothing(rig: &Rig, in_time: &BTreeSet<String>) {
    let in_time: BTreeSet<String> = in_time.iter().map(|id| rig.p0_reference(id)).collect();
    let requests = rig.receiver.requests();
    let told = requests.iter().filter(|request| request.kind() == "incident.ring").flat_map(cases);
    let wrong: Vec<_> =
        told.filter(|case| in_time.contains(case["case"].as_str().unwrap()) && case["unverified"] == false).collect();
    assert!(wrong.is_empty(), "rang, but answered in time: {wrong:?}");
}

async fn every_page_is_accepted(rig: &Rig) {
    eventually("every page is accepted", secs(40), async || {
        let pages = rig.pages().await;
        let open: Vec<_> = pages.iter().filter(|row| row.state != "accepted").collect();
        hold(open.is_empty(), || format!("{} of {} are not, first {:?}", open.len(), pages.len(), open[0]))
    })
    .await;
}

/// All requests under one id are the same page, and all pages of one round and part have one id.
fn one_key_is_one_page(rig: &Rig) {
    let mut by_id = BTreeMap::new();
    let mut by_page = BTreeMap::new();
    for request in rig.receiver.requests() {
        let data = &request.body["data"];
        let page = format!("{} {} {} {}", data["incident"], data["round"], data["step"], request.kind());
        assert_eq!(*by_id.entry(request.id.clone()).or_insert(request.bytes.clone()), request.bytes, "{page}");
        assert_eq!(*by_page.entry(page.clone()).or_insert(request.id.clone()), request.id, "{page}");
    }
    assert_eq!(rig.receiver.bad_signatures(), 0);
}
