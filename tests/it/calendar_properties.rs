//! Laws that every calendar keeps, and that no text breaks.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tocsin::compile::calendar::{CalendarSpec, compile};
use tocsin::core::calendar::{Calendar, Interval, Stretch, due_with_pauses, elapsed_with_pauses, stretches};
use tocsin::core::time::{Span, SpanError, Timestamp, WrittenSpan};
use tocsin::zone::{Zone, parse_local_or_rfc3339, parse_rfc3339, rfc3339};

const DAY_SECS: i64 = 86_400;
const WEEK: Span = Span::from_hours(7 * 24);

fn at(text: &str) -> Timestamp {
    parse_rfc3339(text).expect("RFC 3339")
}

fn compiled(zone: &str, hours: &str, from: &str, until: &str) -> Calendar {
    let spec = CalendarSpec::read(zone, hours, None, [], []).expect("reads");
    compile(&spec, at(from), at(until)).expect("compiles")
}

/// A calendar of a zone whose clock changes within its horizon of a year.
fn a_year() -> impl Strategy<Value = Calendar> {
    let hours = ["Mo-Fr 09:00-17:00", "22:00-06:00", "Mo,We 08:00-12:00,13:00-26:30", "Sa 00:00-24:00", "24/7"];
    let zones = ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Chatham", "America/New_York", "Asia/Kathmandu"];
    (prop::sample::select(zones.to_vec()), prop::sample::select(hours.to_vec()))
        .prop_map(|(zone, hours)| compiled(zone, hours, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"))
}

fn in_2026() -> impl Strategy<Value = Timestamp> {
    (0..200 * DAY_SECS * 1_000_000).prop_map(|micros| at("2026-01-01T00:00:00Z").plus(Span::from_micros(micros)))
}

fn a_promise() -> impl Strategy<Value = Span> {
    prop_oneof![
        (0..200_000_000_000i64).prop_map(Span::from_micros),
        (0..200_000i64).prop_map(Span::from_secs),
        (0..96i64).prop_map(Span::from_hours),
    ]
}

/// Sorted, as the core takes them; some touch, some overlap, some are empty.
fn some_pauses() -> impl Strategy<Value = Vec<Interval>> {
    let pause = (in_2026(), prop_oneof![0..3_600i64, 0..5 * DAY_SECS])
        .prop_map(|(from, secs)| Interval { from, until: from.plus(Span::from_secs(secs)) });
    prop::collection::vec(pause, 0..6).prop_map(|mut pauses| {
        pauses.sort_by_key(|pause| (pause.from, pause.until));
        pauses
    })
}

fn moved(pauses: &[Interval], by: Span) -> Vec<Interval> {
    pauses.iter().map(|p| Interval { from: p.from.plus(by), until: p.until.plus(by) }).collect()
}

/// The same cases on every machine, and no files left behind.
fn repeatable(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_123),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(repeatable(512))]

    #[test]
    fn elapsed_and_deadline_are_inverse(
        calendar in prop::option::of(a_year()), from in in_2026(), within in a_promise(), pauses in some_pauses(),
    ) {
        let calendar = calendar.as_ref();
        if let Some(due) = due_with_pauses(calendar, from, within, &pauses) {
            prop_assert!(due >= from);
            prop_assert_eq!(elapsed_with_pauses(calendar, from, due, &pauses), within);
            if within > Span::ZERO {
                let just_before = due.minus(Span::from_micros(1));
                prop_assert_eq!(
                    elapsed_with_pauses(calendar, from, just_before, &pauses),
                    within.minus(Span::from_micros(1)),
                    "the deadline is the earliest instant"
                );
            }
        } else {
            let calendar = calendar.expect("wall time always has an answer");
            let known = elapsed_with_pauses(Some(calendar), from, calendar.horizon().until, &pauses);
            prop_assert!(known < within, "only what the horizon doesn't hold is unknown");
        }
    }

    #[test]
    fn a_pause_never_brings_a_deadline_nearer(
        calendar in prop::option::of(a_year()), from in in_2026(), within in a_promise(), pauses in some_pauses(),
    ) {
        let calendar = calendar.as_ref();
        for known in 0..pauses.len() {
            let fewer = due_with_pauses(calendar, from, within, &pauses[..known]);
            let more = due_with_pauses(calendar, from, within, &pauses[..known + 1]);
            // Past the horizon is later than all.
            prop_assert!(more.unwrap_or(Timestamp::MAX) >= fewer.unwrap_or(Timestamp::MAX));
        }
    }

    #[test]
    fn a_whole_week_without_a_clock_change_shifts_the_answer_by_a_week(
        hours in prop::sample::select(vec!["Mo-Fr 09:00-17:00", "22:00-06:00", "We 10:00-34:00, Sa 08:00-12:00"]),
        from_secs in 0..40 * DAY_SECS, within in (0..60 * 3_600i64).prop_map(Span::from_secs),
        pause_secs in (0..40 * DAY_SECS, 0..2 * DAY_SECS),
    ) {
        let summer = compiled("Europe/Berlin", hours, "2026-04-01T00:00:00Z", "2026-10-20T00:00:00Z");
        let start = at("2026-04-01T00:00:00Z");
        let from = start.plus(Span::from_secs(from_secs));
        let paused_from = start.plus(Span::from_secs(pause_secs.0));
        let pauses = [Interval { from: paused_from, until: paused_from.plus(Span::from_secs(pause_secs.1)) }];
        let due = due_with_pauses(Some(&summer), from, within, &pauses).expect("within the horizon");
        let later = due_with_pauses(Some(&summer), from.plus(WEEK), within, &moved(&pauses, WEEK));
        prop_assert_eq!(later, Some(due.plus(WEEK)));
    }

    #[test]
    fn a_calendar_that_is_always_open_equals_wall_time(
        zone in prop::sample::select(vec!["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Africa/Cairo"]),
        hours in prop::sample::select(vec!["24/7", "00:00-24:00", "Mo-Su 12:00-36:00", "00:00-12:00,12:00-24:00"]),
        from in in_2026(), within in a_promise(), pauses in some_pauses(),
    ) {
        let always = compiled(zone, hours, "2025-12-31T00:00:00Z", "2027-01-01T00:00:00Z");
        let due = |calendar| due_with_pauses(calendar, from, within, &pauses);
        prop_assert_eq!(due(Some(&always)), due(None));
        let until = from.plus(within);
        let elapsed = |calendar| elapsed_with_pauses(calendar, from, until, &pauses);
        prop_assert_eq!(elapsed(Some(&always)), elapsed(None));
    }

    #[test]
    fn the_stretches_shown_have_no_gap_and_their_counted_time_is_the_elapsed(
        calendar in prop::option::of(a_year()), from in in_2026(), length in a_promise(), pauses in some_pauses(),
    ) {
        let (calendar, until) = (calendar.as_ref(), from.plus(length));
        let shown = stretches(calendar, from, until, &pauses);
        let mut cursor = from;
        let mut counted = Span::ZERO;
        for (interval, stretch) in &shown {
            prop_assert_eq!(interval.from, cursor);
            prop_assert!(interval.from < interval.until);
            cursor = interval.until;
            if *stretch == Stretch::Counted {
                counted = counted.plus(interval.until.since(interval.from));
            }
        }
        prop_assert_eq!(cursor, until);
        prop_assert_eq!(counted, elapsed_with_pauses(calendar, from, until, &pauses));
        prop_assert!(shown.windows(2).all(|pair| pair[0].1 != pair[1].1), "neighbours differ");
    }

    #[test]
    fn a_duration_is_the_sum_of_its_parts(parts in prop::collection::vec((0..500i64, 0..4usize), 1..6)) {
        let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
        let text: String = parts.iter().map(|(n, unit)| format!("{n}{}", units[*unit].0)).collect();
        let secs: i64 = parts.iter().map(|(n, unit)| n * units[*unit].1).sum();
        let uses_days = parts.iter().any(|(_, unit)| *unit == 3);
        prop_assert_eq!(text.parse(), Ok(WrittenSpan { span: Span::from_secs(secs), uses_days }));
        let unfinished = format!("{text}7");
        prop_assert_eq!(unfinished.parse::<WrittenSpan>(), Err(SpanError::NoUnit(unfinished)));
    }

    #[test]
    fn no_text_at_all_makes_a_duration_panic(text in "\\PC{0,24}|[0-9smhd]{0,24}") {
        if let Ok(written) = text.parse::<WrittenSpan>() {
            prop_assert!(written.span >= Span::ZERO && written.span <= Span::from_hours(100 * 366 * 24));
        }
    }

    #[test]
    fn no_text_at_all_makes_a_time_panic(text in "\\PC{0,32}|[0-9T:.Z+ -]{0,32}") {
        if let Some(read) = parse_local_or_rfc3339(&text, Zone::UTC) {
            prop_assert_eq!(parse_rfc3339(&rfc3339(read)), Some(read));
        }
    }
}

/// Pieces of opening hours in an order that nobody would write.
fn scrambled_hours() -> impl Strategy<Value = String> {
    let pieces = [
        "Mo",
        "Tu-Fr",
        "Fr-Tu",
        "Su[1]",
        "Sa[-1]",
        "Mo[1-5]",
        "We[2] +3 days",
        "PH",
        "PH -1 day",
        "PH +9999 days",
        "SH",
        "Jan",
        "Oct-Mar",
        "Feb 29",
        "Feb 30-Mar 01",
        "Dec 24-26",
        "easter",
        "easter -2 days",
        "easter +9999 days",
        "Jan 01-Dec 31",
        "2026",
        "2026-2030/2",
        "1900+",
        "9999",
        "2030-2026",
        "week 1",
        "week 2-53/2",
        "week 53-01",
        "2026 week 10",
        "Mar Su[-1]-Oct Su[-1]",
        "Dec 25 +Mo",
        "09:00-17:00",
        "22:00-06:00",
        "00:00-48:00",
        "23:59-00:01",
        "24:00-25:00",
        "9:00-5:00",
        "08:00-12:00,11:00-13:00",
        "10:00+",
        "10:00-12:00/30",
        "sunrise-sunset",
        "(sunset-23:59)-(dusk+23:59)",
        "24/7",
        "off",
        "closed",
        "open",
        "unknown",
        "\"note\"",
        "; ",
        ", ",
        " || ",
        " ",
        ",",
        ":",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    let word = prop_oneof![9 => piece.prop_map(str::to_owned), 1 => "\\PC{0,6}"];
    let joiner = prop::sample::select(vec![" ", "", "; ", ", "]);
    prop::collection::vec((word, joiner), 1..8)
        .prop_map(|words| words.iter().map(|(word, joiner)| format!("{word}{joiner}")).collect())
}

proptest! {
    #![proptest_config(repeatable(20_000))]

    #[test]
    fn hours_are_compiled_or_refused_and_never_panic(
        hours in scrambled_hours(), country in prop::option::of(prop::sample::select(vec!["DE", "US", "FR", "XX"])),
        own in prop_oneof![scrambled_hours(), "[0-9:, -]{0,24}"],
    ) {
        let spec = CalendarSpec::read("Europe/Berlin", &hours, country, ["2026-01-03"], []).expect("reads");
        if let Ok(calendar) = compile(&spec, at("2026-01-01T00:00:00Z"), at("2026-03-01T00:00:00Z")) {
            let horizon = calendar.horizon();
            prop_assert!(calendar.open_between(horizon.from, horizon.until) > Span::ZERO);
        }
        let open = [("2026-01-03", own.as_str())];
        let spec = CalendarSpec::read("Europe/Berlin", "24/7", None, [], open).expect("reads");
        if let Err(error) = compile(&spec, at("2026-01-01T00:00:00Z"), at("2026-01-06T00:00:00Z")) {
            prop_assert_eq!(error.date(), Some("2026-01-03".to_owned()));
        }
    }
}
