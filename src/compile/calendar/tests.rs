use super::*;
use crate::zone::{parse_rfc3339, rfc3339};

fn at(text: &str) -> Timestamp {
    parse_rfc3339(text).expect("RFC 3339")
}

fn spec(timezone: &str, hours: &str) -> CalendarSpec {
    CalendarSpec::read(timezone, hours, None, [], []).expect("a calendar")
}

fn dated(hours: &str, holidays: Option<&str>, closed: &[&str], open: &[(&str, &str)]) -> CalendarSpec {
    let (closed, open) = (closed.iter().copied(), open.iter().copied());
    CalendarSpec::read("Europe/Berlin", hours, holidays, closed, open).expect("a calendar")
}

/// The open intervals of a calendar in local time, as "date hour:minute-hour:minute".
fn shown(spec: &CalendarSpec, from: &str, until: &str) -> Vec<String> {
    let (from, until) = (at(from), at(until));
    let calendar = compile(spec, from, until).expect("compiles");
    let local = |at| spec.timezone.local(at);
    let line =
        |open: Interval| format!("{}-{}", local(open.from).format("%m-%d %H:%M"), local(open.until).format("%H:%M"));
    calendar.walk(from, until).map(line).collect()
}

/// As `shown`, for the last week of 2026 in Berlin; its Friday is Christmas Day.
fn christmas(spec: &CalendarSpec) -> Vec<String> {
    shown(spec, "2026-12-22T23:00:00Z", "2026-12-28T23:00:00Z")
}

fn refused(hours: &str) -> String {
    let error = compile(&spec("UTC", hours), at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let error = error.expect_err("refused");
    assert_eq!(error.field(), Field::Hours);
    error.to_string()
}

#[test]
fn office_hours_follow_the_wall_clock_through_the_year() {
    let berlin = spec("Europe/Berlin", "Mo-Fr 09:00-17:00");
    let calendar = compile(&berlin, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).expect("compiles");
    let due = |from: &str, hours| calendar.due(at(from), Span::from_hours(hours)).map(rfc3339);
    assert_eq!(due("2026-01-16T15:00:00Z", 2).as_deref(), Some("2026-01-19T09:00:00Z"));
    assert_eq!(due("2026-07-17T14:00:00Z", 2).as_deref(), Some("2026-07-20T08:00:00Z"));
    assert_eq!(due("2026-03-27T08:00:00Z", 40).as_deref(), Some("2026-04-02T15:00:00Z"));
}

#[test]
fn an_hour_that_comes_twice_counts_twice_and_one_that_is_skipped_not_at_all() {
    let night = spec("America/New_York", "Sa 22:00-06:00");
    let open = |from: &str, until: &str| {
        let calendar = compile(&night, at(from), at(until)).expect("compiles");
        calendar.open_between(at(from), at(until)).to_string()
    };
    assert_eq!(open("2015-10-31T12:00:00Z", "2015-11-02T12:00:00Z"), "9h");
    assert_eq!(open("2016-03-12T12:00:00Z", "2016-03-14T12:00:00Z"), "7h");
    assert_eq!(open("2016-05-07T12:00:00Z", "2016-05-09T12:00:00Z"), "8h");
}

#[test]
fn hours_that_close_as_the_repeated_hour_begins_do_not_enter_it() {
    let bar = spec("America/New_York", "Sa 22:00-01:00");
    assert_eq!(shown(&bar, "2015-10-31T12:00:00Z", "2015-11-02T12:00:00Z"), ["10-31 22:00-01:00"]);
    let calendar = compile(&bar, at("2015-10-31T12:00:00Z"), at("2015-11-02T12:00:00Z")).expect("compiles");
    assert_eq!(calendar.open_between(at("2015-10-31T12:00:00Z"), at("2015-11-02T12:00:00Z")), Span::from_hours(3));
}

#[test]
fn hours_that_close_within_the_repeated_hour_close_at_its_second_pass() {
    let bar = spec("America/New_York", "Sa 22:00-01:30");
    let calendar = compile(&bar, at("2015-10-31T12:00:00Z"), at("2015-11-02T12:00:00Z")).expect("compiles");
    assert_eq!(
        calendar.due(at("2015-11-01T02:00:00Z"), Span::from_mins(270)).map(rfc3339).as_deref(),
        Some("2015-11-01T06:30:00Z")
    );
    assert_eq!(calendar.due(at("2015-11-01T02:00:00Z"), Span::from_mins(271)), None);
}

#[test]
fn opening_times_that_the_clock_skips_are_later_by_the_gap() {
    let early = spec("Australia/Lord_Howe", "02:10-05:00");
    assert_eq!(shown(&early, "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z"), ["10-04 02:40-05:00"]);
}

#[test]
fn samoas_lost_friday_is_not_worked_on_saturday() {
    let office = spec("Pacific/Apia", "Mo-Fr 09:00-17:00");
    let shown = shown(&office, "2011-12-29T10:00:00Z", "2012-01-03T10:00:00Z");
    assert_eq!(shown, ["12-29 09:00-17:00", "01-02 09:00-17:00", "01-03 09:00-17:00"]);
}

#[test]
fn holidays_and_closed_dates_close_and_open_dates_replace_the_hours() {
    let hours = "Mo-Fr 09:00-12:00,13:00-17:00";
    let wednesday = ["12-23 09:00-12:00", "12-23 13:00-17:00"];
    let monday = ["12-28 09:00-12:00", "12-28 13:00-17:00"];
    let both = |between: &[&'static str]| [&wednesday[..], between, &monday[..]].concat();
    let thursday = ["12-24 09:00-12:00", "12-24 13:00-17:00"];
    assert_eq!(christmas(&dated(hours, Some("DE"), &[], &[])), both(&thursday));
    assert_eq!(christmas(&dated(hours, Some("DE"), &["2026-12-24"], &[])), both(&[]));
    let own = [("2026-12-25", "22:00-02:00"), ("2026-12-27", "14:00-15:00, 10:00-12:00")];
    assert_eq!(
        christmas(&dated(hours, Some("DE"), &["2026-12-24", "2026-12-26"], &own)),
        both(&["12-25 22:00-02:00", "12-27 10:00-12:00", "12-27 14:00-15:00"])
    );
}

#[test]
fn hours_that_speak_of_public_holidays_decide_about_them() {
    let ph = "Mo-Fr 09:00-17:00; PH 10:00-11:00";
    let days =
        ["12-23 09:00-17:00", "12-24 09:00-17:00", "12-25 10:00-11:00", "12-26 10:00-11:00", "12-28 09:00-17:00"];
    assert_eq!(christmas(&dated(ph, Some("DE"), &[], &[])), days);
    let closed = dated(ph, Some("DE"), &["2026-12-25"], &[]);
    assert_eq!(christmas(&closed).len(), 4, "a closed date beats the hours' own word on holidays");
}

#[test]
fn of_a_night_shift_a_closed_date_cuts_what_falls_into_it() {
    let nights = christmas(&dated("22:00-06:00", None, &["2026-12-25"], &[]));
    assert_eq!(nights[1..4], ["12-23 22:00-06:00", "12-24 22:00-00:00", "12-26 00:00-06:00"]);
}

#[test]
fn months_weeks_and_numbered_weekdays_are_read_as_openstreetmap_has_them() {
    let summer = spec("UTC", "Apr-Sep Mo[1] 08:00-09:00; Oct-Mar week 50-52 We 10:00-11:00");
    let year = shown(&summer, "2026-04-01T00:00:00Z", "2027-01-01T00:00:00Z");
    let months = ["04-06", "05-04", "06-01", "07-06", "08-03", "09-07"].map(|day| format!("{day} 08:00-09:00"));
    let weeks = ["12-09", "12-16", "12-23"].map(|day| format!("{day} 10:00-11:00"));
    assert_eq!(year, [months.as_slice(), weeks.as_slice()].concat());
}

#[test]
fn hours_that_cannot_be_meant_are_refused_with_an_example_of_what_is_right() {
    let bad = refused("Mo-Fr 25:00-26:00");
    assert!(bad.starts_with("hours: \"Mo-Fr 25:00-26:00\" can't be read from \"25:00-26:00\" on"), "{bad}");
    assert!(bad.ends_with("such as \"Mo-Fr 09:00-17:00\""), "{bad}");
    assert!(refused("").contains("can't be read"));
    assert!(refused("week 60").contains("can't be read from"));
    assert!(refused("Mo 17:00-17:00").contains("\"17:00-17:00\" begins and ends at the same time"));
    assert!(refused("08:00-33:00").contains("\"08:00-33:00\" is longer than a day"));
    assert!(refused("Mo 09:00-12:00,11:00-13:00").contains("\"09:00-12:00\" and \"11:00-13:00\" overlap"));
    assert!(refused("Mo 22:00-06:00,23:00-23:30").contains("\"22:00-06:00\" and \"23:00-23:30\" overlap"));
    assert!(refused("sunrise-sunset").contains("\"sunrise-sunset\" by the sun leaves open"));
    assert!(refused("Mo 09:00+").contains("open end"));
    assert!(refused("Mo 09:00-17:00/30").contains("repetition"));
    assert!(refused("Mo 09:00-17:00 unknown").contains("unknown"));
    assert!(refused("Mo 09:00-17:00 \"ring the bell\"").contains("the comment \"ring the bell\""));
    for never in ["closed", "2020 Mo-Fr 09:00-17:00", "24/7; Mo-Su off"] {
        assert!(refused(never).contains("never opens between 2026-01-01 and 2027-01-01"), "{never}");
    }
}

#[test]
fn an_unknown_country_is_refused_and_so_are_holidays_without_one() {
    let refused = |hours: &str, holidays| {
        let spec = dated(hours, holidays, &[], &[]);
        let error = compile(&spec, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).expect_err("refused");
        assert_eq!(error.field(), Field::Holidays);
        error.to_string()
    };
    assert_eq!(refused("24/7", Some("de")), "holidays: unknown country \"de\"; did you mean \"DE\"?");
    assert_eq!(refused("24/7", Some("Germany")), "holidays: unknown country \"Germany\"; did you mean \"DE\"?");
    assert!(refused("24/7", Some("XX")).contains("such as \"DE\" or \"US\""));
    assert!(refused("24/7; PH off", None).contains("public holidays (PH), but no country is named"));
    assert!(refused("24/7; SH off", None).contains("school holidays (SH), but no country is named"));
}

#[test]
fn own_dates_that_cannot_be_meant_are_refused_with_the_date() {
    let refused = |closed: &[&str], open: &[(&str, &str)]| {
        let (closed, open) = (closed.iter().copied(), open.iter().copied());
        let error = CalendarSpec::read("Europe/Berlin", "24/7", None, closed, open)
            .and_then(|spec| compile(&spec, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")))
            .expect_err("refused");
        (error.field(), error.date().expect("a date"), error.to_string())
    };
    let (field, date, text) = refused(&["2026-12-24", "2026-02-29"], &[]);
    assert_eq!((field, date.as_str()), (Field::Closed, "2026-02-29"));
    assert!(text.starts_with("closed: there is no date \"2026-02-29\""), "{text}");
    assert_eq!(refused(&[], &[("2026-13-01", "10:00-14:00")]).0, Field::Open);
    let (field, _, text) = refused(&["2026-12-24"], &[("2026-12-24", "10:00-14:00")]);
    assert_eq!(
        (field, text.as_str()),
        (Field::Open, "open: 2026-12-24 is listed under closed too; remove one of the two")
    );
    let open = |spans: &str| {
        let (field, date, text) = refused(&[], &[("2026-12-27", spans)]);
        assert_eq!((field, date.as_str()), (Field::Open, "2026-12-27"));
        text
    };
    assert!(open("10:00-14:00,13:00-15:00").contains("\"10:00-14:00\" and \"13:00-15:00\" overlap"));
    assert!(open("10:00-10:00").contains("begins and ends at the same time"));
    for spans in ["", "closed", "10-14", "25:00-26:00", "24:00-25:00", "10:00-49:00", "10:60-11:00", "10:00-48:01"] {
        assert!(open(spans).contains("isn't a list of times"), "{spans}");
    }
    assert!(open("10:00-48:00").contains("longer than a day"));
}

#[test]
fn an_unknown_zone_is_refused_under_its_field() {
    let error = CalendarSpec::read("Europe/Berln", "24/7", None, [], []).expect_err("refused");
    assert_eq!(error.field(), Field::Timezone);
    assert_eq!(error.to_string(), "timezone: unknown time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?");
}

#[test]
fn a_window_beyond_all_reason_is_cut_and_the_horizon_says_so() {
    let always = spec("UTC", "24/7");
    let calendar = compile(&always, at("2026-01-01T00:00:00Z"), Timestamp::MAX).expect("compiles");
    assert_eq!(calendar.horizon().until.since(calendar.horizon().from), LONGEST_WINDOW);
    assert!(compile(&always, Timestamp::MIN, Timestamp::MAX).is_ok());
    assert!(compile(&always, at("2026-01-01T00:00:00Z"), Timestamp::MIN).is_err());
    assert!(compile(&always, Timestamp::MAX, Timestamp::MAX).is_err());
}
