//! A slow, obvious clock beside the compiled one. The reference knows a calendar by the table it was
//! generated from, finds local time by asking the zone database about every minute of UTC, and finds a
//! deadline by counting; it shares no code with the compiled calendar, and none of 10,000 may be apart.

mod reference;

use chrono::{Datelike, NaiveDate, TimeDelta};
use reference::{Clock, MINUTES_PER_DAY, Plan, Reference, Span as Hours};
use std::collections::BTreeMap;
use tocsin::compile::calendar::{CalendarSpec, CalendarSpecError, compile};
use tocsin::core::calendar::{Interval, due_with_pauses, elapsed_with_pauses};
use tocsin::core::time::{Span, Timestamp};

const CASES: usize = 10_000;
const CASES_PER_WINDOW: usize = 50;
const WINDOW_DAYS: i64 = 14;
/// Years whose German holidays the reference knows.
const YEARS: [i32; 4] = [2011, 2012, 2026, 2027];

const ZONES: [&str; 18] = [
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Fakaofo",
    "Pacific/Chatham",
    "Europe/Dublin",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Asia/Tehran",
    "Asia/Gaza",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Antarctica/Troll",
    "UTC",
];

/// splitmix64: the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: i64) -> i64 {
        (self.roll() % limit as u64) as i64
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as i64) as usize]
    }
}

/// Boundaries crowd into the small hours, where the clocks change.
fn minute_of_day(dice: &mut Dice) -> i64 {
    match dice.below(4) {
        0 => dice.below(16) * 15,
        1 => dice.below(96) * 15,
        2 => dice.below(240),
        _ => dice.below(MINUTES_PER_DAY),
    }
}

/// Up to three spans that don't overlap, the last of which may run into the next day.
fn hours(dice: &mut Dice) -> Vec<Hours> {
    let spans = 1 + dice.below(3) as usize;
    let mut points: Vec<i64> = (0..spans * 2).map(|_| minute_of_day(dice)).collect();
    points.sort_unstable();
    points.dedup();
    points.truncate(points.len() / 2 * 2);
    let mut hours: Vec<Hours> = points.chunks(2).map(|pair| Hours { start: pair[0], end: pair[1] }).collect();
    if let Some(last) = hours.last_mut() {
        match dice.below(4) {
            0 => last.end = (MINUTES_PER_DAY + minute_of_day(dice)).min(last.start + MINUTES_PER_DAY),
            1 => last.end = MINUTES_PER_DAY,
            _ => {}
        }
    }
    hours
}

fn plan(dice: &mut Dice, dates: &[NaiveDate]) -> Plan {
    let mut week: [Vec<Hours>; 7] = Default::default();
    match dice.below(4) {
        0 => {
            let office = hours(dice);
            week[..5].fill(office);
        }
        1 => week.fill(vec![Hours { start: 0, end: MINUTES_PER_DAY }]),
        _ => {
            for day in &mut week {
                if !dice.one_in(4) {
                    *day = hours(dice);
                }
            }
        }
    }
    let months = dice.one_in(4).then(|| (1 + dice.below(6) as u32, 7 + dice.below(6) as u32));
    let has_holidays = dates.iter().all(|date| YEARS.contains(&date.year()));
    let holidays = has_holidays && dice.one_in(2);
    let on_holidays = (holidays && dice.one_in(3)).then(|| hours(dice)).filter(|hours| !hours.is_empty());
    let mut plan = Plan {
        week,
        months,
        days_replace: dice.one_in(2),
        holidays,
        on_holidays,
        closed: vec![],
        open: BTreeMap::new(),
    };
    for _ in 0..dice.below(4) {
        plan.closed.push(*dice.pick(dates));
    }
    for _ in 0..dice.below(4) {
        let (date, own) = (*dice.pick(dates), hours(dice));
        if !plan.closed.contains(&date) && !own.is_empty() {
            plan.open.insert(date, own);
        }
    }
    plan
}

fn pauses(dice: &mut Dice, from: i64, until: i64) -> Vec<(i64, i64)> {
    let mut pauses: Vec<(i64, i64)> = (0..dice.below(5))
        .map(|_| {
            let start = from - 86_400 + dice.below(until - from + 86_400);
            let length = if dice.one_in(2) { dice.below(4 * 86_400) } else { dice.below(7_200) };
            if dice.one_in(2) { (start, start + length) } else { (start / 60 * 60, (start + length) / 60 * 60) }
        })
        .collect();
    pauses.sort_unstable();
    pauses
}

/// What the cases together must have touched, or the test shows nothing.
#[derive(Default, Debug)]
struct Touched {
    clock_changes: usize,
    lost_dates: usize,
    never_open: usize,
    beyond_horizon: usize,
    at_closing: usize,
    paused: usize,
    wall_time: usize,
    due: usize,
}

#[test]
fn ten_thousand_random_calendars_agree_with_a_clock_that_counts_minutes() {
    let mut dice = Dice(20_261_123);
    let mut touched = Touched::default();
    for window in 0..CASES / CASES_PER_WINDOW {
        let zone = ZONES[window % ZONES.len()];
        let clock = window_clock(&mut dice, zone);
        touched.clock_changes += usize::from(clock.changes());
        touched.lost_dates += usize::from(clock.loses_a_date());
        for case in 0..CASES_PER_WINDOW {
            let dates: Vec<NaiveDate> = clock.dates().collect();
            let plan = plan(&mut dice, &dates);
            let label = format!("window {window} case {case}: {zone} {plan:?}");
            one_case(&mut dice, zone, &clock, &plan, &label, &mut touched);
        }
    }
    let shown = format!("{touched:?}");
    let Touched { clock_changes, lost_dates, never_open, beyond_horizon, at_closing, paused, wall_time, due } = touched;
    assert!(clock_changes > 60 && lost_dates > 3, "windows with a clock change and with a lost date: {shown}");
    assert!(never_open > 50 && beyond_horizon > 500 && at_closing > 500, "answers of each kind: {shown}");
    assert!(paused > 3_000 && wall_time > 500 && due > 5_000, "questions of each kind: {shown}");
}

/// Two weeks: mostly around a clock change of the zone, now and then any.
fn window_clock(dice: &mut Dice, zone: &str) -> Clock {
    let start_of = |year: i32| NaiveDate::from_ymd_opt(year, 1, 1).expect("a date").and_time(Default::default());
    let year = *dice.pick(&YEARS);
    let changes = reference::change_days(zone, start_of(year), start_of(year + 1));
    let lost_day = matches!(zone, "Pacific/Apia" | "Pacific/Fakaofo") && dice.one_in(2);
    let start = if lost_day {
        start_of(2012) - TimeDelta::days(1 + dice.below(WINDOW_DAYS - 4))
    } else if !changes.is_empty() && !dice.one_in(4) {
        *dice.pick(&changes) - TimeDelta::days(1 + dice.below(WINDOW_DAYS - 2))
    } else {
        start_of(year) + TimeDelta::days(dice.below(365))
    };
    Clock::new(zone, start + TimeDelta::minutes(dice.below(MINUTES_PER_DAY)), WINDOW_DAYS)
}

fn spec_of(zone: &str, plan: &Plan) -> CalendarSpec {
    let closed: Vec<String> = plan.closed.iter().map(NaiveDate::to_string).collect();
    let open: Vec<(String, String)> =
        plan.open.iter().map(|(date, hours)| (date.to_string(), reference::written(hours))).collect();
    let holidays = plan.holidays.then_some("DE");
    let open = open.iter().map(|(date, hours)| (date.as_str(), hours.as_str()));
    CalendarSpec::read(zone, &plan.opening_hours(), holidays, closed.iter().map(String::as_str), open).expect("reads")
}

fn one_case(dice: &mut Dice, zone: &str, clock: &Clock, plan: &Plan, label: &str, touched: &mut Touched) {
    let (from_secs, until_secs) = clock.horizon_secs();
    let secs = Timestamp::from_secs;
    let compiled = compile(&spec_of(zone, plan), secs(from_secs), secs(until_secs));
    let reference = Reference::new(clock, plan);
    let calendar = match compiled {
        Ok(calendar) => calendar,
        Err(CalendarSpecError::NeverOpens { .. }) => {
            assert_eq!(reference.open_minutes(), 0, "{label}");
            touched.never_open += 1;
            return;
        }
        Err(error) => panic!("{label}: {error}"),
    };
    let open_secs = calendar.open_between(secs(from_secs), secs(until_secs)).secs();
    assert_eq!(open_secs, reference.open_minutes() * 60, "{label}: open time in all");

    let start = match dice.below(3) {
        0 => from_secs + dice.below((until_secs - from_secs) / 60) * 60,
        _ => from_secs + dice.below(until_secs - from_secs),
    };
    let within = match dice.below(8) {
        0 => 0,
        1 | 2 => 60 * dice.below(24 * 60),
        3 | 4 => dice.below(86_400),
        5 => dice.below(14 * 86_400),
        // Used up to the second at some closing time.
        _ => reference.elapsed(start, start + dice.below(until_secs - start) / 3_600 * 3_600, &[]),
    };
    let pauses = if dice.one_in(3) { vec![] } else { pauses(dice, from_secs, until_secs) };
    let intervals: Vec<Interval> =
        pauses.iter().map(|(from, until)| Interval { from: secs(*from), until: secs(*until) }).collect();
    let wall = dice.one_in(10);
    let (calendar, reference) = if wall { (None, Reference::always(clock)) } else { (Some(&calendar), reference) };
    let label = format!("{label} from {start} within {within} pauses {pauses:?} wall {wall}");

    let due = due_with_pauses(calendar, secs(start), Span::from_secs(within), &intervals);
    let expected = reference.due(start, within, &pauses);
    // Wall time has no horizon; the reference's ends with its window.
    if !wall || expected.is_some() {
        assert_eq!(due.map(|at| at.micros()), expected.map(|at| at * 1_000_000), "{label}: due");
    }
    let end = start + dice.below(until_secs - start + 1);
    let elapsed = elapsed_with_pauses(calendar, secs(start), secs(end), &intervals);
    assert_eq!(elapsed.secs(), reference.elapsed(start, end, &pauses), "{label}: elapsed until {end}");

    touched.due += usize::from(expected.is_some());
    touched.beyond_horizon += usize::from(!wall && expected.is_none());
    touched.at_closing += usize::from(expected.is_some_and(|at| within > 0 && reference.closes_at(at)));
    touched.paused += usize::from(!pauses.is_empty());
    touched.wall_time += usize::from(wall);
}
