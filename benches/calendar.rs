//! What a deadline on a compiled calendar costs beside its floor, one binary search of the same table in
//! the same run, and what compiling three years costs. Fails where a limit is passed.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock: that is its job")]
#![allow(clippy::print_stdout, reason = "a bench reports on its standard output")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tocsin::compile::calendar::{CalendarSpec, compile};
use tocsin::core::calendar::{Calendar, Interval, due_with_pauses};
use tocsin::core::time::{Span, Timestamp};

const ROUNDS: usize = 201;
const QUERIES: usize = 4_096;
const LONGEST_PROMISE_SECS: u64 = 80 * 3_600;
const RATIO_LIMIT: f64 = 2.0;
const COMPILE_LIMIT: Duration = Duration::from_millis(5);

const FROM: Timestamp = Timestamp::from_secs(1_767_225_600);
const UNTIL: Timestamp = FROM.plus(Span::from_hours(3 * 365 * 24));

/// The hours that are compiled, from the common to the laborious.
const CALENDARS: [(&str, &str); 4] = [
    ("office", "Mo-Fr 09:00-17:00"),
    ("nights", "Mo-Su 22:00-06:00"),
    ("spans", "Mo-Fr 08:00-10:00,10:30-12:00,13:00-15:00,15:30-18:00; PH 10:00-12:00"),
    ("seasons", "Apr-Sep Mo-Fr 08:00-16:00; Oct-Mar Mo-Fr 09:00-17:00; Sa[1] 10:00-12:00; week 53 off; Dec 24-31 off"),
];

fn main() -> ExitCode {
    let mut kept = true;
    let began = Instant::now();
    let calendar = black_box(compiled(CALENDARS[0].1));
    println!("compile, the first in a process (decodes the holidays): {:.2?}", began.elapsed());
    for (name, hours) in CALENDARS {
        let times = (0..ROUNDS).map(|_| timed(|| drop(black_box(compiled(black_box(hours))))));
        let took = median(times.collect());
        println!("compile 3 years, {name}: {took:.2?} (limit {COMPILE_LIMIT:?})");
        kept &= took <= COMPILE_LIMIT;
    }
    for (name, hours) in CALENDARS {
        kept &= deadline(name, &compiled(hours));
    }
    black_box(calendar);
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn deadline(name: &str, calendar: &Calendar) -> bool {
    let table: Vec<Interval> = calendar.walk(FROM, UNTIL).collect();
    let queries = queries();
    let (mut floors, mut plain, mut general) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floors.push(timed(|| {
            for (from, _) in &queries {
                let from = black_box(*from);
                black_box(table.partition_point(|open| open.from <= from));
            }
        }));
        plain.push(timed(|| {
            for (from, within) in &queries {
                black_box(calendar.due(black_box(*from), black_box(*within)));
            }
        }));
        general.push(timed(|| {
            for (from, within) in &queries {
                black_box(due_with_pauses(Some(calendar), black_box(*from), black_box(*within), &[]));
            }
        }));
    }
    let per_query = |times| median(times).as_secs_f64() * 1e9 / QUERIES as f64;
    let (floor, plain, general) = (per_query(floors), per_query(plain), per_query(general));
    for (what, figure) in [("due", plain), ("due_with_pauses", general)] {
        let (ratio, intervals) = (figure / floor, table.len());
        println!(
            "{what}, {name}, {intervals} intervals: {figure:.1} ns, floor (one binary search) {floor:.1} ns, \
             ratio {ratio:.2} (limit {RATIO_LIMIT})"
        );
    }
    plain / floor <= RATIO_LIMIT
}

fn compiled(hours: &str) -> Calendar {
    let spec = CalendarSpec::read("Europe/Berlin", hours, Some("DE"), ["2026-12-24"], [("2026-12-27", "10:00-14:00")]);
    compile(&spec.expect("a calendar"), FROM, UNTIL).expect("compiles")
}

/// Reports from anywhere in the first two years and promises of up to 80 open hours, by xorshift.
fn queries() -> Vec<(Timestamp, Span)> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut roll = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit) as i64
    };
    let mut query =
        || (FROM.plus(Span::from_secs(roll(2 * 365 * 86_400))), Span::from_secs(roll(LONGEST_PROMISE_SECS)));
    (0..QUERIES).map(|_| query()).collect()
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
