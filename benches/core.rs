//! What the core costs: matching and ranking a backlog, a poll that finds nothing changed, moving cases in
//! a large index, and the memory of an open report, of which some are overdue. The floor is the ordered index
//! alone: the same keys, packed, in and out of one `BTreeSet`. `-- memory` measures the memory alone.

#![expect(clippy::unwrap_used, reason = "a bench breaks where it must")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::{LESSER, MINOR_SAFETY, SEED, SOURCE, alone, heading, line, millis, timed};
use tocsin::core::engine::Core;
use tocsin::core::id::{Name, ReportId, Subject};
use tocsin::core::observation::{Actor, Event, EventName, Observation, Received, Row, Verdict};
use tocsin::core::plan::{BATCH, Input, Rows};
use tocsin::core::time::{Span, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const RUNS: usize = 3;
const MOVES: usize = 10;
/// So many of a hundred reports are four days old, past every deadline.
const OVERDUE_PERCENT: i64 = 13;
/// Every hundredth report is minor safety.
const P0_EVERY: usize = 100;
/// Tells a run of this program to measure memory only: a process of its own has a heap of its own.
const MEMORY_OF: &str = "--memory-of";

#[derive(Clone, Copy, PartialEq)]
enum Ids {
    Integer,
    /// Ids like "rpt_0000000000000042", and the reported item as a subject.
    TextWithSubject,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == MEMORY_OF) {
        let ids = if arguments[at + 1] == "text" { Ids::TextWithSubject } else { Ids::Integer };
        return print_memory(ids, arguments[at + 2].parse().unwrap(), arguments[at + 3].parse().unwrap());
    }
    let mut sizes = vec![10_000, 100_000];
    if support::is_full() {
        sizes.push(1_000_000);
    }
    if !arguments.iter().any(|argument| argument == "memory") {
        heading("core, three targets a report; floor: the packed keys in one BTreeSet");
        for ids in [Ids::Integer, Ids::TextWithSubject] {
            for size in &sizes {
                times(ids, *size);
            }
        }
    }
    heading("memory of an open report, three targets; floor: the bar, of a peak what stays");
    for size in &sizes {
        memory(*size);
    }
}

/// Each step at its best of some runs: the machine has other things to do.
#[derive(Default)]
struct Best(BTreeMap<&'static str, f64>);

impl Best {
    fn time<T>(&mut self, step: &'static str, work: impl FnOnce() -> T) -> T {
        let (made, took) = timed(work);
        self.note(step, millis(took));
        made
    }

    fn note(&mut self, step: &'static str, took: f64) {
        let best = self.0.entry(step).or_insert(f64::MAX);
        *best = best.min(took);
    }
}

fn times(ids: Ids, size: usize) {
    let mut best = Best::default();
    for _ in 0..RUNS {
        run(ids, size, &mut best);
    }
    let per_thousand = 1_000.0 / size as f64;
    let (name, took) = (name(ids), |step| best.0[step]);
    line(&format!("matching and ranking {size} reports, {name}"), "ms", took("rank"), took("insert"));
    let (idle, found) = (took("idle") * per_thousand, took("find") * per_thousand);
    line(&format!("an idle poll of {size}, per 1000 rows, {name}"), "ms", idle, found);
    line(&format!("moving 1000 cases in an index of {size}, {name}"), "ms", took("move"), took("reinsert"));
    alone(&format!("the end of a scan of {size}, {name}"), "ms", took("end"));
    alone(&format!("the view of the first 1000 of {size}, {name}"), "ms", took("view"));
}

fn run(ids: Ids, size: usize, best: &mut Best) {
    let platform = Platform::new(size, 0);
    let mut core = Core::new(support::shared_policy(6 * 60));
    feed(&mut core, &Input::ScanEnded { source: SOURCE.into(), began: NOW });
    let mut took = Duration::ZERO;
    for batch in platform.batches(ids, NOW, 0) {
        took += timed(|| feed(&mut core, &batch)).1;
    }
    best.note("rank", millis(took));
    let keys: Vec<Packed> = platform.keys().collect();
    let mut index = BTreeSet::new();
    // Not `collect`, which would sort first and build the tree in bulk.
    best.time("insert", || keys.iter().for_each(|key| _ = index.insert(*key)));

    let later = NOW.plus(Span::from_secs(5));
    let mut took = Duration::ZERO;
    for batch in platform.batches(ids, later, 0) {
        took += timed(|| feed(&mut core, &batch)).1;
    }
    best.note("idle", millis(took));
    let found = best.time("find", || keys.iter().filter(|key| index.contains(key)).count());
    assert_eq!(black_box(found), size);
    best.time("end", || feed(&mut core, &Input::ScanEnded { source: SOURCE.into(), began: later }));
    best.time("view", || black_box(core.view(NOW)));

    let later = later.plus(Span::from_secs(5));
    for batch in platform.batches(ids, later, 1).take(MOVES) {
        best.time("move", || feed(&mut core, &batch));
    }
    for chunk in keys.chunks(BATCH).take(MOVES) {
        best.time("reinsert", || {
            for key in chunk {
                index.remove(key);
                index.insert((key.0, key.1 + 86_400_000_000, key.2, key.3));
            }
        });
    }
}

fn feed(core: &mut Core, input: &Input) {
    if let Input::Rows(rows) = input {
        black_box(core.strangers(rows));
    }
    let now = match input {
        Input::Rows(rows) => rows.read_began,
        Input::ScanEnded { .. }
        | Input::Sight { .. }
        | Input::Recalled(_)
        | Input::Trouble { .. }
        | Input::Act(_)
        | Input::Reassess { .. }
        | Input::Tick => NOW,
    };
    let decision = core.decide(input, now);
    core.apply(decision);
}

/// (priority, deadline, received, id): what a rank consists of where every id is a number.
type Packed = (u8, i64, i64, i64);

/// Open reports of the last three hours, none of which is overdue, and of four days ago.
struct Platform {
    received: Vec<Timestamp>,
    source: Name,
    lesser: [Name; 10],
    minor_safety: Name,
}

impl Platform {
    fn new(size: usize, overdue_percent: i64) -> Platform {
        let mut random = fastrand::Rng::with_seed(SEED);
        let received = (0..size).map(|_| {
            let days = if random.i64(0..100) < overdue_percent { 4 } else { 0 };
            NOW.minus(Span::from_hours(24 * days)).minus(Span::from_micros(random.i64(1..3 * 3_600_000_000)))
        });
        let received = received.collect();
        Platform { received, source: SOURCE.into(), lesser: LESSER.map(Name::from), minor_safety: MINOR_SAFETY.into() }
    }

    fn batches(&self, ids: Ids, read_began: Timestamp, responses: usize) -> impl Iterator<Item = Input> {
        (0..self.received.len()).step_by(BATCH).map(move |first| {
            let rows = (first..(first + BATCH).min(self.received.len())).map(|n| self.row(ids, n, responses)).collect();
            let source = self.source.clone();
            Input::Rows(Rows { source, read_began, rows, rejects: Vec::new(), recalled: Vec::new() })
        })
    }

    fn row(&self, ids: Ids, n: usize, responses: usize) -> Observation {
        let category = if n.is_multiple_of(P0_EVERY) { &self.minor_safety } else { &self.lesser[n % LESSER.len()] };
        let respond = |_| Event { at: NOW, name: EventName::FirstResponse, by: Actor::Unmapped };
        let id = match ids {
            Ids::Integer => ReportId::Int(n as i64),
            Ids::TextWithSubject => ReportId::Text(format!("rpt_{n:016}").into()),
        };
        let subject = (ids == Ids::TextWithSubject).then(|| {
            let mut bytes = [0x5a; 16];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            Subject(bytes)
        });
        let row = Row {
            received: Received::At(self.received[n]),
            category: category.clone(),
            subject,
            events: (0..responses).map(respond).collect(),
            dues: Vec::new(),
            paused: false,
            verdict: Verdict::Unmapped,
            facts: Vec::new(),
        };
        Observation { id, row: Some(row) }
    }

    fn keys(&self) -> impl Iterator<Item = Packed> {
        self.received.iter().enumerate().map(|(n, received)| {
            let (priority, hours) = if n.is_multiple_of(P0_EVERY) { (0, 6) } else { (2, 24) };
            (priority, received.plus(Span::from_hours(hours)).micros(), received.micros(), n as i64)
        })
    }
}

fn memory(size: usize) {
    for (name, ids, bar) in [("integer", Ids::Integer, 120.0), ("text", Ids::TextWithSubject, 240.0)] {
        for overdue_percent in [0, OVERDUE_PERCENT] {
            let mut child = Command::new(std::env::current_exe().unwrap());
            let arguments = [MEMORY_OF, name, &size.to_string(), &overdue_percent.to_string()];
            let output = child.args(arguments).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let mut figures = text.split_whitespace().map(|figure| figure.parse::<f64>().unwrap());
            let (resident, peak) = (figures.next().unwrap(), figures.next().unwrap());
            let name = self::name(ids);
            line(&format!("a report of {size}, {name}, {overdue_percent} % overdue"), "B", resident, bar);
            line("  its peak", "B", peak, resident);
        }
    }
}

/// What this process needs for a core with so many reports, by the pages that the kernel gave it.
#[expect(clippy::print_stdout, reason = "the answer to the process that asked")]
fn print_memory(ids: Ids, size: usize, overdue_percent: i64) {
    let platform = Platform::new(size, overdue_percent);
    let mut core = Core::new(Arc::new(support::policy(6 * 60)));
    feed(&mut core, &Input::ScanEnded { source: SOURCE.into(), began: NOW });
    let before = kernel_says("VmRSS:");
    for batch in platform.batches(ids, NOW, 0) {
        feed(&mut core, &batch);
    }
    let (after, peak) = (kernel_says("VmRSS:"), kernel_says("VmHWM:"));
    let overdue: u64 = core.view(NOW).open.values().map(|counts| counts.overdue).sum();
    let expected = platform.received.iter().filter(|at| NOW.since(**at) > Span::from_hours(72)).count();
    assert_eq!((core.cases().count(), overdue), (size, expected as u64));
    let each = |bytes: f64| (bytes - before) / size as f64;
    println!("{} {}", each(after), each(peak));
}

fn kernel_says(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1_024.0
}

fn name(ids: Ids) -> &'static str {
    match ids {
        Ids::Integer => "integer ids",
        Ids::TextWithSubject => "text ids with subjects",
    }
}
