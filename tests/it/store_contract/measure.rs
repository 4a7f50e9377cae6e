//! How long the store takes, printed; run with `--ignored --nocapture`. The limits are loose: they catch a
//! plan that is written row by row, not a slow disk.

use super::home::{Home, breach, case, clocks, commit, episode, keeping, ring};
use crate::kit::minute;
use tocsin::core::plan::{BreachStatus, Plan};
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::store::{Attempt, Delivery, Lane, Store};

const ROUNDS: u64 = 40;

#[tokio::test]
#[ignore = "a measurement"]
async fn sqlite_keeps_up() {
    keeps_up("sqlite", Home::sqlite("measure")).await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn postgres_keeps_up() {
    keeps_up("postgres", Home::postgres("measure").await).await;
}

async fn keeps_up(name: &str, home: Home) {
    let mut led = home.lead().await;
    let mut full = keeping((0..1_000).map(|id| {
        let mut case = case(episode(id), Priority::P0);
        case.clocks = clocks();
        case
    }));
    full.breaches = (0..1_000).map(|id| breach(id, BreachStatus::Verified)).collect();
    let full_commits = timed(&mut led, &full).await;
    let mut one = keeping([(*full.kept[0].case).clone()]);
    one.breaches.push(breach(5_000, BreachStatus::Verified));
    let small_commits = timed(&mut led, &one).await;

    let mut pages = Vec::new();
    let began = SystemClock.now();
    for no in 0..ROUNDS {
        led.queue(vec![ring(100_000 + no, "other", Priority::P0, 1)]).await;
        let leased = led.store.lease_pages(Lane::P0, minute(9), minute(10), 100, &[]).await.unwrap();
        let (page, delivery) = (leased.last().unwrap().id, Delivery::Accepted);
        let before = SystemClock.now();
        let attempt = Attempt {
            page,
            began: minute(9),
            ended: minute(9),
            delivery,
            answer: "202".to_owned(),
            fallbacks: Vec::new(),
        };
        led.store.record(&attempt).await.unwrap();
        pages.push(SystemClock.now().since(before));
    }
    let whole = SystemClock.now().since(began).micros() / ROUNDS as i64;
    let began = SystemClock.now();
    assert_eq!(led.store.load().await.unwrap().cases.len(), 1_000);
    let load = SystemClock.now().since(began);
    println!("{name}: 1,000 cases + 1,000 breaches + page: {}", spread(full_commits.clone()));
    println!("{name}: 1 case + 1 breach + page:            {}", spread(small_commits));
    println!("{name}: record an attempt:                   {}", spread(pages));
    println!("{name}: commit + lease + record of one page: mean {whole} us; load 1,000 cases {} us", load.micros());
    let mut sorted = full_commits;
    sorted.sort_unstable();
    assert!(sorted[sorted.len() / 2] < Span::from_micros(250_000), "{:?}", sorted);
}

async fn timed(led: &mut super::home::Led, plan: &Plan) -> Vec<Span> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let page = ring(led.sequence, "pager", Priority::P0, 1);
        let commit = commit(led.sequence + 1, led.token, plan, vec![page]);
        let began: Timestamp = SystemClock.now();
        led.store.commit(&commit).await.unwrap();
        times.push(SystemClock.now().since(began));
        led.sequence += 1;
    }
    times
}

fn spread(mut times: Vec<Span>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].micros();
    format!("p50 {} us, p90 {} us, p99 {} us", at(50), at(90), at(99))
}
