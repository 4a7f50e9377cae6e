//! How long the weekly report takes over many outcomes, and how much memory it needs: of ten million with `--full`, and
//! of fewer without. `TOCSIN_BENCH_OUTCOMES` sets another number.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench fails loudly, measures real time and prints what it measured"
)]

mod support;

use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Instant;
use tocsin::core::case::Conclusion;
use tocsin::core::id::{CaseKey, EpisodeKey, ReportId, ReportKey};
use tocsin::core::outcome::{Basis, Life};
use tocsin::core::plan::{Outcome, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::VirtualClock;
use tocsin::run::weekly::gather::Reporter;
use tocsin::run::weekly::sums::{MARKED_FOR, Summing};
use tocsin::secret::Secret;
use tocsin::source::AnySource;
use tocsin::status::{Mode, Reload, Status, StatusHandle, StoreStatus};
use tocsin::store::SqlStore;
use tocsin::weekly::count::{Bounds, Counting};
use tocsin::weekly::figures::Figures;
use tocsin::weekly::week::Week;
use tocsin::zone::Zone;

const OUTCOMES: usize = 200_000;
const OUTCOMES_FULL: usize = 10_000_000;
const IN_MEMORY: usize = 10_000_000;

fn bounds() -> Bounds {
    Bounds::of("2025-W46".parse().unwrap(), Zone::UTC)
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

/// The floor: one pass over the sums as the database holds them.
async fn read_sums(store: &SqlStore, zone: &str) -> (usize, std::time::Duration) {
    let (mut bytes, began) = (0, Instant::now());
    store.each_sums(zone, Timestamp::MIN, Timestamp::MAX, |_, _, sums| bytes += sums.len()).await.unwrap();
    (bytes, began.elapsed())
}

async fn report_from_the_store(outcomes: usize) {
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
    let clock = VirtualClock::new(bounds.until().plus(Span::from_hours(8)));
    let reporter = Reporter::<AnySource, _> {
        store: store.clone(),
        policy: Arc::new(ArcSwap::from_pointee(support::policy(15))),
        sources: Vec::new(),
        clock: clock.clone(),
        zone: Zone::UTC,
        deployment: "bench".to_owned(),
        mode: "live",
        mapped: Vec::new(),
    };
    let week = Week::of(bounds.from(), Zone::UTC);
    let began = Instant::now();
    let each = reporter.make(week).await.unwrap();
    println!("report over {outcomes} outcomes, reading each of them: {:?}", began.elapsed());

    let summing = Summing { store: store.clone(), clock: clock.clone(), zone: Zone::UTC, status: status() };
    summing.round().await.unwrap();
    clock.advance(MARKED_FOR);
    let began = Instant::now();
    let slices = summing.round().await.unwrap();
    println!("summing up its {slices} hours, once and in the background: {:?}", began.elapsed());

    let (bytes, floor) = read_sums(&store, "UTC").await;
    let (before, began) = (resident_mb(), Instant::now());
    let summed = reporter.make(week).await.unwrap();
    let took = began.elapsed();
    println!(
        "report over {outcomes} outcomes from their sums: {took:?} (bar at 10,000,000: 2 s), {} MB more; floor, the sums \
         read from SQLite ({} kB): {floor:?}, ratio {:.1}",
        resident_mb().saturating_sub(before),
        bytes / 1_000,
        took.as_secs_f64() / floor.as_secs_f64()
    );
    let count = |figures: &Figures| figures.priorities.iter().map(|group| group.received).sum::<u64>();
    assert_eq!(count(&each), count(&summed), "both count the same");
    store.close().await;
    std::fs::remove_dir_all(&directory).unwrap();
}

fn status() -> StatusHandle {
    StatusHandle::new(Status {
        version: "0",
        mode: Mode::Live,
        deployment: "bench".into(),
        leader: true,
        started_at: bounds().until(),
        engine_alive_at: None,
        sources: Vec::new(),
        store: StoreStatus::default(),
        reload: Reload::default(),
    })
}

fn main() {
    let wanted = std::env::var("TOCSIN_BENCH_OUTCOMES").ok().and_then(|text| text.parse().ok());
    let outcomes = wanted.unwrap_or(if support::is_full() { OUTCOMES_FULL } else { OUTCOMES });
    count_in_memory(IN_MEMORY);
    tokio::runtime::Runtime::new().unwrap().block_on(report_from_the_store(outcomes));
}
