//! How long the weekly report takes over many outcomes, and how much memory its counting needs: written for a
//! smaller number than the ten million that it is designed for, and says so. `TOCSIN_BENCH_OUTCOMES` sets it.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench fails loudly, measures real time and prints what it measured"
)]

use std::sync::Arc;
use std::time::Instant;
use tocsin::core::case::Conclusion;
use tocsin::core::id::{CaseKey, EpisodeKey, ReportId, ReportKey};
use tocsin::core::outcome::{Basis, Life};
use tocsin::core::plan::{Outcome, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::{Span, Timestamp};
use tocsin::secret::Secret;
use tocsin::store::SqlStore;
use tocsin::weekly::count::{Bounds, Counting, WEEKS};

const OUTCOMES: usize = 200_000;
const IN_MEMORY: usize = 10_000_000;

/// The end of a week, and weeks of 168 hours before it.
fn bounds() -> Bounds {
    let until = Timestamp::from_secs(1_763_337_600);
    let mut edges = [until; WEEKS + 1];
    for (edge, weeks) in edges.iter_mut().zip(0..) {
        *edge = until.minus(Span::from_hours(168 * weeks));
    }
    Bounds { edges, as_of: until }
}

fn outcome(rng: &mut fastrand::Rng, id: usize, bounds: &Bounds) -> Outcome {
    let span = bounds.until().since(bounds.earliest()).micros();
    let received = bounds.earliest().plus(Span::from_micros(rng.i64(0..span)));
    let took = Span::from_micros((rng.f64().powi(4) * 6e11) as i64 + 1);
    let categories = ["spam", "harassment", "violent_threat", "self_harm", "ncii"];
    let deadline = received.plus(Span::from_hours(24));
    let ended_at = received.plus(took);
    let key = ReportKey { source: "reports".into(), id: ReportId::Int(id as i64), incarnation: 0 };
    Outcome {
        episode: EpisodeKey { case: CaseKey::Report(key), episode: 0 },
        category: categories[id % categories.len()].into(),
        rule: "a rule".into(),
        priority: Priority::ALL[1 + id % 4],
        standing: Standing::Known,
        received,
        first_response: Some(ended_at),
        ended_at,
        conclusion: Conclusion::Closed,
        reports: 1,
        reopenings: 0,
        second_review: false,
        overturned: false,
        targets: vec![TargetOutcome {
            target: "closed".into(),
            deadline: Some(deadline),
            met_at: Some(ended_at),
            breached: ended_at > deadline,
        }],
    }
}

fn life(outcome: &Outcome) -> Life {
    Life {
        source: "reports".into(),
        category: outcome.category.clone(),
        priority: outcome.priority,
        standing: outcome.standing,
        received: outcome.received,
        first_response: outcome.first_response,
        ended: Some((outcome.ended_at, outcome.conclusion)),
        reports: 1,
        reopenings: 0,
        unreviewed: None,
        second_review: false,
        overturned: false,
        targets: outcome.targets.clone(),
        basis: Basis::Observed,
    }
}

/// Resident memory of this process, in MB.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

fn count_in_memory(outcomes: usize) {
    let (bounds, mut rng) = (bounds(), fastrand::Rng::with_seed(7));
    let lives: Vec<Life> = (0..10_000).map(|id| life(&outcome(&mut rng, id, &bounds))).collect();
    let (before, began) = (resident_mb(), Instant::now());
    let mut counting = Counting::new(bounds);
    for place in 0..outcomes {
        counting.add(&lives[place % lives.len()]);
    }
    let groups = counting.categories().len();
    let took = began.elapsed();
    println!("counting {outcomes} episodes into {groups} groups: {took:?}, {} MB more", resident_mb() - before);
}

async fn read_from_the_store(outcomes: usize) {
    let directory = std::env::temp_dir().join(format!("tocsin-bench-weekly-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let url = Secret::new(format!("sqlite:{}", directory.join("store.db").display()));
    let store = Arc::new(SqlStore::open(&url, "bench").await.unwrap());
    let (bounds, mut rng) = (bounds(), fastrand::Rng::with_seed(7));
    let mut batch = Vec::with_capacity(5_000);
    for id in 0..outcomes {
        batch.push(outcome(&mut rng, id, &bounds));
        if batch.len() == 5_000 || id + 1 == outcomes {
            store.backfill(&batch).await.unwrap();
            batch.clear();
        }
    }
    let (before, began) = (resident_mb(), Instant::now());
    let mut counting = Counting::new(bounds);
    store.lives(bounds.earliest(), bounds.until(), |life| counting.add(&life)).await.unwrap();
    let took = began.elapsed();
    let per_second = outcomes as f64 / took.as_secs_f64();
    println!(
        "reading and counting {outcomes} outcomes from SQLite: {took:?} ({per_second:.0} a second), {} MB more; the goal \
         of ten million within 2 s needs sums by hour, which are not built",
        resident_mb().saturating_sub(before)
    );
    store.close().await;
    std::fs::remove_dir_all(&directory).unwrap();
}

fn main() {
    let outcomes = std::env::var("TOCSIN_BENCH_OUTCOMES").ok().and_then(|text| text.parse().ok()).unwrap_or(OUTCOMES);
    count_in_memory(IN_MEMORY);
    tokio::runtime::Runtime::new().unwrap().block_on(read_from_the_store(outcomes));
}
