use super::*;

fn zone(name: &str) -> Zone {
    name.parse().expect("a known zone")
}

fn local(text: &str) -> NaiveDateTime {
    text.parse().expect("a local time")
}

/// The instant that a local time names, in UTC, and its second occurrence.
fn resolved(name: &str, text: &str) -> (String, String) {
    let zone = zone(name);
    (rfc3339(zone.resolve(local(text))), rfc3339(zone.resolve_latest(local(text))))
}

fn once(name: &str, text: &str) -> String {
    let (first, latest) = resolved(name, text);
    assert_eq!(first, latest, "{text} in {name} names one instant");
    first
}

#[test]
fn a_local_time_that_does_not_exist_is_later_by_the_gap() {
    // One hour: 02:30 becomes 03:30 CEST.
    assert_eq!(once("Europe/Berlin", "2026-03-29T02:30:00"), "2026-03-29T01:30:00Z");
    // Half an hour: 02:10 becomes 02:40 at +11:00.
    assert_eq!(once("Australia/Lord_Howe", "2026-10-04T02:10:00"), "2026-10-03T15:40:00Z");
    // A whole day: 2011-12-30 09:00 becomes the 31st 09:00 at +14:00.
    assert_eq!(once("Pacific/Apia", "2011-12-30T09:00:00"), "2011-12-30T19:00:00Z");
    assert_eq!(once("Pacific/Apia", "2011-12-31T09:00:00"), "2011-12-30T19:00:00Z");
    assert_eq!(once("Pacific/Apia", "2011-12-29T23:59:59"), "2011-12-30T09:59:59Z");
    // Chatham: 02:45 becomes 03:45 at +13:45.
    assert_eq!(once("Pacific/Chatham", "2026-09-27T02:45:00"), "2026-09-26T14:00:00Z");
    assert_eq!(once("Pacific/Chatham", "2026-09-27T03:15:00"), "2026-09-26T14:30:00Z");
}

#[test]
fn an_ambiguous_local_time_is_its_first_occurrence_and_as_an_end_its_second() {
    let pair = |first: &str, latest: &str| (first.to_owned(), latest.to_owned());
    assert_eq!(
        resolved("America/New_York", "2015-11-01T01:30:00"),
        pair("2015-11-01T05:30:00Z", "2015-11-01T06:30:00Z")
    );
    // Dublin's winter is the one with the negative saving; the wall clock turns all the same.
    assert_eq!(resolved("Europe/Dublin", "2026-10-25T01:30:00"), pair("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"));
    assert_eq!(
        resolved("Australia/Lord_Howe", "2026-04-05T01:45:00"),
        pair("2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z")
    );
}

#[test]
fn an_end_at_the_first_moment_of_the_repeated_hour_does_not_enter_it() {
    assert_eq!(once("America/New_York", "2015-11-01T01:00:00"), "2015-11-01T05:00:00Z");
    assert_eq!(once("America/New_York", "2015-11-01T02:00:00"), "2015-11-01T07:00:00Z");
}

#[test]
fn the_wall_clock_reads_back_every_instant() {
    let read = |name: &str, text: &str| zone(name).local(parse_rfc3339(text).expect("RFC 3339")).to_string();
    assert_eq!(read("Asia/Kathmandu", "2026-01-01T00:00:00Z"), "2026-01-01 05:45:00");
    assert_eq!(read("America/New_York", "2015-11-01T05:30:00Z"), "2015-11-01 01:30:00");
    assert_eq!(read("America/New_York", "2015-11-01T06:30:00.5Z"), "2015-11-01 01:30:00.500");
}

/// Every clock change of every zone since 1970: an instant's own local time must lead back to it, or to
/// the other occurrence of the same reading; a reading that no instant has must be later by the gap.
#[test]
fn every_clock_change_of_every_zone_since_1970_resolves_by_the_rules() {
    const STEP_SECS: i64 = 12 * 3_600;
    let mut changes = 0;
    for tz in TZ_VARIANTS {
        let zone = Zone(tz);
        let offset =
            |secs: i64| (as_if_utc(zone.local(Timestamp::from_secs(secs)))).since(Timestamp::from_secs(secs)).secs();
        let mut before = offset(0);
        for half_day in 1..(68 * 731) {
            let secs = half_day * STEP_SECS;
            let after = offset(secs);
            if before == after {
                continue;
            }
            let (mut low, mut high) = (secs - STEP_SECS, secs);
            while high - low > 1 {
                let middle = (low + high) / 2;
                if offset(middle) == before { low = middle } else { high = middle }
            }
            // The change is at `high`: a second before it the clock still read by the old offset.
            let reading = |secs: i64, offset: i64| utc(Timestamp::from_secs(secs + offset));
            let name = tz.name();
            if after > before {
                let gap = after - before;
                for into in [0, 1, gap / 2, gap - 1] {
                    let missing = reading(high + into, before);
                    assert_eq!(zone.resolve(missing), Timestamp::from_secs(high + into), "{name} {missing}");
                    assert_eq!(zone.resolve_latest(missing), Timestamp::from_secs(high + into), "{name} {missing}");
                }
            } else {
                let fold = before - after;
                for into in [0, 1, fold / 2, fold - 1] {
                    let twice = reading(high + into, after);
                    assert_eq!(zone.resolve(twice), Timestamp::from_secs(high + into - fold), "{name} {twice}");
                    let latest = if into == 0 { high - fold } else { high + into };
                    assert_eq!(zone.resolve_latest(twice), Timestamp::from_secs(latest), "{name} {twice}");
                }
            }
            for single in [low - before.abs().max(after.abs()), high + (before - after).abs()] {
                assert_eq!(
                    zone.resolve(zone.local(Timestamp::from_secs(single))),
                    Timestamp::from_secs(single),
                    "{name}"
                );
            }
            before = after;
            changes += 1;
        }
    }
    assert!(changes > 30_000, "only {changes} clock changes were looked at");
}

#[test]
fn only_samoa_and_its_kind_skip_a_date() {
    let date = |text: &str| parse_date(text).expect("a date");
    assert!(zone("Pacific/Apia").skips(date("2011-12-30")));
    assert!(!zone("Pacific/Apia").skips(date("2011-12-29")));
    assert!(!zone("Pacific/Apia").skips(date("2011-12-31")));
    assert!(!zone("Africa/Cairo").skips(date("2026-04-24")), "Cairo's midnight is in a gap, the date is not");
}

#[test]
fn an_unknown_zone_is_refused_with_the_name_that_was_probably_meant() {
    let refused = |name: &str| name.parse::<Zone>().map(|_| ()).expect_err("unknown").to_string();
    assert_eq!(refused("Europe/Berln"), "unknown time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?");
    assert_eq!(refused("europe/berlin"), "unknown time zone \"europe/berlin\"; did you mean \"Europe/Berlin\"?");
    assert_eq!(refused("new york"), "unknown time zone \"new york\"; did you mean \"America/New_York\"?");
    assert_eq!(refused("utc"), "unknown time zone \"utc\"; did you mean \"UTC\"?");
    let nothing_near = "unknown time zone \"Mars\"; write an IANA name such as \"Europe/Berlin\" or \"UTC\"";
    assert_eq!(refused("Mars"), nothing_near);
    assert_eq!(zone("Pacific/Chatham").to_string(), "Pacific/Chatham");
}

#[test]
fn an_instant_prints_in_utc_with_a_fraction_only_where_there_is_one() {
    let shown = |micros| rfc3339(Timestamp::from_micros(micros));
    assert_eq!(shown(1_795_420_800_000_000), "2026-11-23T08:00:00Z");
    assert_eq!(shown(1_795_420_800_500_000), "2026-11-23T08:00:00.5Z");
    assert_eq!(shown(1_795_420_800_000_001), "2026-11-23T08:00:00.000001Z");
    assert_eq!(shown(-1), "1969-12-31T23:59:59.999999Z");
    assert!(shown(i64::MAX).starts_with("262142-") && shown(i64::MIN).starts_with("-262143-"));
}

#[test]
fn what_was_printed_reads_back() {
    for micros in [0, -1, 1, 1_795_420_800_123_450, 253_402_300_799_999_999] {
        let at = Timestamp::from_micros(micros);
        assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at));
        assert_eq!(parse_local_or_rfc3339(&rfc3339(at), zone("Asia/Kathmandu")), Some(at));
    }
    assert_eq!(parse_rfc3339("2026-11-23"), None);
    assert_eq!(parse_rfc3339("2026-11-23T08:00:00"), None);
    assert_eq!(parse_rfc3339("2026-11-23T08:00:00+01:00"), parse_rfc3339("2026-11-23T07:00:00Z"));
}

#[test]
fn a_time_with_an_offset_is_absolute_and_one_without_is_local() {
    let read = |text: &str| parse_local_or_rfc3339(text, zone("Europe/Berlin")).map(rfc3339);
    let eight = Some("2026-11-23T08:00:00Z".to_owned());
    for text in [
        "2026-11-23T08:00:00Z",
        "2026-11-23 08:00:00Z",
        "2026-11-23t08:00z",
        "2026-11-23T09:00:00",
        "2026-11-23 09:00",
        " 2026-11-23 09:00:00.000 ",
        "2026-11-23 10:30:00+02:30",
        "2026-11-23 10:00:00+02",
        "2026-11-23 10:00:00 +0200",
        "2026-11-23 00:00:00.0000000-08",
    ] {
        assert_eq!(read(text), eight, "{text}");
    }
    assert_eq!(read("2026-11-23 09:00:00.1234567"), Some("2026-11-23T08:00:00.123456Z".to_owned()));
    assert_eq!(read("2026-03-29 02:30"), Some("2026-03-29T01:30:00Z".to_owned()));
}

#[test]
fn what_is_not_a_time_is_refused_and_never_guessed() {
    for text in [
        "",
        "2026-11-23",
        "2026-11-23T",
        "2026-11-23T09",
        "2026-11-23T9:00",
        "2026-11-23T25:00:00",
        "2026-11-23T24:00:00",
        "2026-11-23T09:60",
        "2026-02-30T09:00",
        "2026-1-2 09:00:00",
        "2026-11-23T09:00:00.",
        "2026-11-23T09:00.5",
        "2026-11-23T09:00:00+1",
        "2026-11-23T09:00:00+24:00",
        "2026-11-23T09:00:00+01:60",
        "2026-11-23T09:00:00 CET",
        "2026-11-23T09:00:00  Z",
        "+026-11-23T09:00:00Z",
        "2026-11-23x09:00:00",
        "1795420800",
        "２０２６-11-23T09:00",
        "2026-11-2\u{660}T09:00",
    ] {
        assert_eq!(parse_local_or_rfc3339(text, Zone::UTC), None, "{text}");
    }
}
