//! Three seeds on the real stores: the same history leaves the same breaches and the same pages as on the
//! model, restarts included.

use super::platform::Platform;
use super::{INPUTS_PER_MINUTE, MINUTES, play, truth_policy};
use crate::driver::{Life, World};
use crate::kit::minute;
use crate::support::{ScratchDir, fresh_postgres_database};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tocsin::secret::Secret;
use tocsin::store::{SqlStore, Store};

const SEEDS: [u64; 3] = [3, 19, 58];

/// A seed's history over a store, as `Night::live` plays it.
async fn live<St: Store>(seed: u64, store: Arc<St>) {
    let (world, mut platform, policy) = (World::new(), Platform::new(seed), Arc::new(truth_policy()));
    let start = || Life::start(policy.clone(), store.clone(), world.table.clone(), world.clock.clone());
    let mut life = start().await;
    for minute_no in 0..MINUTES {
        let (now, end) = (minute(minute_no), minute(minute_no + 1));
        world.clock.set(now);
        world.table.away.store(platform.is_blind(minute_no), Ordering::SeqCst);
        platform.live(&mut world.table.rows.lock().unwrap(), minute_no);
        let _ = life.scan().await;
        let mut inputs = 0;
        loop {
            if life.step().await {
                inputs += 1;
                assert!(inputs < INPUTS_PER_MINUTE, "busy with nothing at minute {minute_no}");
                if platform.loses_the_process() {
                    life = start().await;
                    let _ = life.scan().await;
                }
                continue;
            }
            match life.next_wake_before(end) {
                Some(wake) => world.clock.set(wake),
                None => break,
            }
        }
    }
}

async fn told(store: &SqlStore) -> Vec<String> {
    let mut breaches = store.breaches(u32::MAX >> 1).await.unwrap();
    breaches.sort_by_key(|b| (b.episode.clone(), b.target.clone(), b.report.clone(), b.deadline));
    let mut pages = store.pages(u32::MAX >> 1).await.unwrap();
    pages.sort_by_key(|row| row.id);
    let breaches = breaches.into_iter().map(|breach| format!("{breach:?}"));
    breaches.chain(pages.into_iter().map(|row| format!("{:?}", row.page.delivery_key))).collect()
}

async fn tells_what_the_model_tells(seed: u64, url: String) {
    let golden = tokio::task::spawn_blocking(move || play(seed, false).told()).await.unwrap();
    let store = Arc::new(SqlStore::open(&Secret::new(url), "this deployment").await.unwrap());
    live(seed, store.clone()).await;
    assert_eq!(told(&store).await, golden, "seed {seed}");
}

#[tokio::test]
async fn three_seeds_on_sqlite_end_as_on_the_model() {
    for seed in SEEDS {
        let home = ScratchDir::new("seeds");
        tells_what_the_model_tells(seed, home.sqlite_url("tocsin.db")).await;
    }
}

#[tokio::test]
async fn three_seeds_on_postgres_end_as_on_the_model() {
    for seed in SEEDS {
        tells_what_the_model_tells(seed, fresh_postgres_database("seeds").await).await;
    }
}
