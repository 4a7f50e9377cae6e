//! How long the weekly report takes over many outcomes and their breaches, and how much memory it needs: over ten
//! million with `--full`, and over fewer without. `TOCSIN_BENCH_OUTCOMES` sets another number. They lie in the five weeks
//! that the report counts; a fifth as many lie in the week before, as they do where a monitor runs for longer.

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
use support::outcomes::{Drawn, Expected};
use tocsin::core::time::Span;
use tocsin::run::clock::VirtualClock;
use tocsin::run::weekly::gather::Reporter;
use tocsin::run::weekly::sums::{MARKED_FOR, Summing};
use tocsin::secret::Secret;
use tocsin::source::AnySource;
use tocsin::status::{Mode, Reload, Status, StatusHandle, StoreStatus};
use tocsin::store::SqlStore;
use tocsin::store::sums::{Kind, Part};
use tocsin::weekly::count::{Bounds, WEEKS};
use tocsin::weekly::figures::{Figures, GroupFigures};
use tocsin::weekly::week::Week;
use tocsin::zone::Zone;

const OUTCOMES: usize = 200_000;
const OUTCOMES_FULL: usize = 10_000_000;
/// As many are also read one by one, and both reports compared.
const ONE_BY_ONE_MAX: usize = 1_000_000;
const REPORTS: usize = 5;

fn week() -> Week {
    "2025-W46".parse().unwrap()
}

/// A number of this process from /proc/self/status, in MB.
fn memory_mb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

/// What this process has computed, in seconds; the kernel counts in hundredths.
fn processor_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Runs `work` and tells how long it took, what it computed, and by how much memory grew at its peak.
async fn measured<T>(what: &str, work: impl Future<Output = T>) -> (T, f64) {
    // From here on the peak is this work's own.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (memory, processor, began) = (memory_mb("VmRSS:"), processor_secs(), Instant::now());
    let made = work.await;
    let (took, processor) = (began.elapsed().as_secs_f64(), processor_secs() - processor);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let added = memory_mb("VmHWM:").saturating_sub(memory);
    println!("{what:<62} {took:>8.2} s, {processor:>7.2} s of processor, {added:>4} MB more at its peak (load {load})");
    (made, took)
}

/// The floor: those parts of the sums that the report needs, as the database holds them.
async fn read_sums(store: &SqlStore) -> usize {
    let (mut bytes, week) = (0, week());
    let stretch = |from: Week, last: Week| (from.from(Zone::UTC), last.until(Zone::UTC));
    let (earlier, own) = (stretch(week.back(WEEKS as u32), week.back(1)), stretch(week, week));
    let reads = [
        (Kind::Outcomes, Part::Counts, earlier),
        (Kind::Outcomes, Part::CountsAndLengths, own),
        (Kind::Outcomes, Part::Behind, stretch(week.next(), week.next())),
        (Kind::Breaches, Part::Counts, earlier),
        (Kind::Breaches, Part::CountsAndLengths, own),
    ];
    for (kind, part, stretch) in reads {
        let add = |_, _, first: &str, second: &str| bytes += first.len() + second.len();
        store.each_sums(kind, part, "UTC", stretch, add).await.unwrap();
    }
    bytes
}

async fn report(outcomes: usize) {
    let directory = std::env::temp_dir().join(format!("tocsin-bench-weekly-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("store.db");
    let url = Secret::new(format!("sqlite:{}", file.display()));
    SqlStore::open(&url, "bench").await.unwrap().close().await;
    let bounds = Bounds::of(week(), Zone::UTC);
    // The report goes out on Monday at 8.
    let drawn = Drawn { cases: outcomes, bounds, now: bounds.until().plus(Span::from_hours(8)) };
    let (expected, _) = measured("what is to be told, counted without a store", drawn.expected()).await;
    measured("drawing it into SQLite", drawn.fill(&file)).await;
    let size = std::fs::metadata(&file).unwrap().len();
    println!("{} outcomes, {} breaches, {} MB", expected.outcomes, expected.breaches, size / 1_000_000);

    let store = Arc::new(SqlStore::open(&url, "bench").await.unwrap());
    let clock = VirtualClock::new(drawn.now);
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
    let mut one_by_one = None;
    if outcomes <= ONE_BY_ONE_MAX {
        one_by_one = Some(measured("a report without sums, one by one", reporter.make(week())).await.0.unwrap());
    }
    let summing = Summing { store: store.clone(), clock: clock.clone(), zone: Zone::UTC, status: status(&bounds) };
    summing.round().await.unwrap();
    clock.advance(MARKED_FOR);
    let (slices, _) = measured("summing up all hours, once and in the background", summing.round()).await;
    println!("{} slices", slices.unwrap());

    read_sums(&store).await;
    let (bytes, floor) = measured("floor: the sums that a report needs, read from SQLite", read_sums(&store)).await;
    let mut tooks = Vec::new();
    for _ in 0..REPORTS {
        let what = "a report from the sums (bar at 10,000,000: 2 s, 300 MB)";
        let (figures, took) = measured(what, reporter.make(week())).await;
        tooks.push(took);
        holds(&figures.unwrap(), &expected, one_by_one.as_ref());
    }
    let median = support::quantile(&mut tooks, 50);
    println!("median {median:.2} s, {:.1} times its floor of {} kB", median / floor, bytes / 1_000);
    store.close().await;
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Fails where the report says anything but what was drawn, or but what one says that reads each outcome: of P0 the
/// same in every figure, below it in all but the rounding of lengths.
fn holds(figures: &Figures, expected: &Expected, one_by_one: Option<&Figures>) {
    expected.holds(&figures.priorities);
    let Some(other) = one_by_one else { return };
    assert_eq!(figures.priorities[0], other.priorities[0]);
    assert_eq!(figures.targets, other.targets);
    assert_eq!(figures.paging.to_page[0], other.paging.to_page[0]);
    assert_eq!(figures.paging.to_act[0], other.paging.to_act[0]);
    let without_lengths = |group: &GroupFigures| GroupFigures {
        first_response: Default::default(),
        closing: Default::default(),
        ..group.clone()
    };
    for (group, other) in figures.categories.iter().zip(&other.categories) {
        assert_eq!(without_lengths(group), without_lengths(other));
        for (times, other) in [(&group.closing, &other.closing), (&group.first_response, &other.first_response)] {
            assert_eq!((times.count, times.ended), (other.count, other.ended));
            let (Some(length), Some(other)) = (times.p50, other.p50) else { continue };
            assert!(length.secs.abs_diff(other.secs) <= other.secs.unsigned_abs() / 64 + 1, "{length:?} {other:?}");
        }
    }
}

fn status(bounds: &Bounds) -> StatusHandle {
    StatusHandle::new(Status {
        version: "0",
        mode: Mode::Live,
        deployment: "bench".into(),
        leader: true,
        started_at: bounds.until(),
        engine_alive_at: None,
        sources: Vec::new(),
        store: StoreStatus::default(),
        reload: Reload::default(),
    })
}

fn main() {
    let wanted = std::env::var("TOCSIN_BENCH_OUTCOMES").ok().and_then(|text| text.parse().ok());
    let outcomes = wanted.unwrap_or(if support::is_full() { OUTCOMES_FULL } else { OUTCOMES });
    tokio::runtime::Runtime::new().unwrap().block_on(report(outcomes));
}
