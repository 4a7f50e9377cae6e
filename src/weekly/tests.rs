//! What a report says of a week, and what it must never say.

use super::count::{Bounds, Counting, WEEKS};
use super::figures::{Figures, GroupFigures, Kept, Length};
use super::paging::{Count, Facts};
use super::week::Week;
use super::{Format, documents, sight};
use crate::core::case::Conclusion;
use crate::core::id::{IncidentNo, Name};
use crate::core::outcome::{Basis, BreachFact, Life, PageFact};
use crate::core::plan::{BreachStatus, TargetOutcome};
use crate::core::policy::{Priority, Standing};
use crate::core::time::{Span, Timestamp};
use crate::zone::Zone;
use std::collections::BTreeMap;

/// Monday of 2026-W46, in UTC.
fn monday() -> Timestamp {
    "2026-W46".parse::<Week>().expect("a week").from(Zone::UTC)
}

fn hour(n: i64) -> Timestamp {
    monday().plus(Span::from_hours(n))
}

fn bounds() -> Bounds {
    let mut edges = [hour(168); WEEKS + 1];
    for (back, edge) in edges.iter_mut().enumerate() {
        *edge = hour(168 - 168 * i64::try_from(back).expect("few"));
    }
    Bounds { edges, as_of: hour(168) }
}

fn life(received: i64, ended: Option<i64>) -> Life {
    Life {
        source: "reports".into(),
        category: "spam".into(),
        priority: Priority::P2,
        standing: Standing::Known,
        received: hour(received),
        first_response: ended.map(hour),
        ended: ended.map(|at| (hour(at), Conclusion::Closed)),
        reports: 1,
        reopenings: 0,
        unreviewed: None,
        second_review: false,
        overturned: false,
        targets: Vec::new(),
        basis: Basis::Observed,
    }
}

fn due(deadline: i64, met_at: Option<i64>, breached: bool) -> Vec<TargetOutcome> {
    vec![TargetOutcome { target: "closed".into(), deadline: Some(hour(deadline)), met_at: met_at.map(hour), breached }]
}

fn counted(lives: &[Life]) -> GroupFigures {
    let mut counting = Counting::new(bounds());
    lives.iter().for_each(|life| counting.add(life));
    counting.categories().into_iter().next().expect("a group")
}

#[test]
fn a_week_begins_on_monday_and_is_named_as_iso_has_it() {
    for (text, first) in [("2026-W46", "2026-11-09"), ("2026-W01", "2025-12-29"), ("2020-W53", "2020-12-28")] {
        let week: Week = text.parse().expect("a week");
        assert_eq!((week.to_string().as_str(), week.days().0.as_str()), (text, first));
        assert_eq!(Week::of(week.from(Zone::UTC), Zone::UTC), week);
        assert_eq!(Week::over_at(week.until(Zone::UTC), Zone::UTC), week);
    }
    for text in ["2026-46", "2026-W54", "2025-W53", "2026-W1", "26-W46", "2026-W46x", ""] {
        assert!(text.parse::<Week>().is_err(), "{text}");
    }
    let zone: Zone = "Europe/Berlin".parse().expect("a zone");
    let week: Week = "2026-W43".parse().expect("a week");
    assert_eq!(week.until(zone).since(week.from(zone)), Span::from_hours(169), "the clock goes back in it");
}

#[test]
fn f15_what_is_never_decided_does_not_vanish_from_the_figures() {
    let closed_only: Vec<Life> = (0..30).map(|n| life(n, Some(n + 1))).collect();
    let quick = counted(&closed_only);
    assert_eq!(quick.closing.p50, Some(Length { secs: 3_600, beyond: false }));
    let mut with_open = closed_only;
    with_open.extend((0..40).map(|n| life(n, None)));
    let honest = counted(&with_open);
    assert_eq!((honest.closing.count, honest.closing.ended, honest.open), (70, 30, 40));
    assert_eq!(honest.closing.p50, Some(Length { secs: 168 * 3_600, beyond: true }), "longer than the oldest is open");
    assert_eq!(honest.oldest_secs, Some(168 * 3_600));
}

#[test]
fn attainment_is_of_the_deadlines_that_fell_in_the_week_whenever_they_were_met() {
    let lives = [
        Life { targets: due(10, Some(9), false), ..life(0, Some(9)) },
        Life { targets: due(20, Some(20), false), ..life(0, Some(20)) },
        Life { targets: due(30, Some(40), true), ..life(0, Some(40)) },
        Life { targets: due(50, None, true), ..life(0, None) },
        Life { targets: due(60, Some(-200), false), ..life(-300, Some(-200)) },
        Life { targets: due(-10, Some(5), true), ..life(-100, Some(5)) },
        Life { targets: due(200, None, false), ..life(0, None) },
        Life { targets: due(70, None, false), ..life(0, None) },
        Life { targets: due(80, None, false), ended: Some((hour(75), Conclusion::Vanished)), ..life(0, None) },
    ];
    let group = counted(&lives);
    assert_eq!(group.deadlines, Kept { met: 3, missed: 2, undecided: 1, moot: 1 });
    assert_eq!(group.before.deadlines, Kept { missed: 1, ..Kept::default() });
    assert_eq!((group.vanished, group.closed), (1, 4));
}

#[test]
fn a_verified_breach_stays_a_miss_when_the_database_says_otherwise_later() {
    let contradicted = Life { targets: due(10, Some(9), true), ..life(0, Some(9)) };
    assert_eq!(counted(&[contradicted]).deadlines, Kept { missed: 1, ..Kept::default() });
}

#[test]
fn what_happened_after_the_week_is_not_known_in_it() {
    let late = Life { first_response: Some(hour(170)), ..life(100, Some(171)) };
    let group = counted(&[late, life(169, None), Life { received: hour(168), ..life(168, None) }]);
    assert_eq!((group.received, group.open, group.closed), (1, 1, 0));
    assert_eq!(group.first_response.few, [Length { secs: 68 * 3_600, beyond: true }]);
}

#[test]
fn few_are_told_one_by_one_and_no_percentile_is_made_of_them() {
    let group = counted(&[life(0, Some(1)), life(0, Some(3)), life(160, None)]);
    let length = |hours: i64, beyond| Length { secs: hours * 3_600, beyond };
    assert_eq!(group.closing.few, [length(1, false), length(3, false), length(8, true)]);
    assert_eq!((group.closing.p50, group.closing.p99), (None, None));
    let many: Vec<Life> = (0..99).map(|n| life(n, Some(n + 1))).collect();
    assert_eq!(counted(&many).closing.p99, None, "of 99 it would be the longest");
}

#[test]
fn closures_without_review_and_in_bulk_are_counted() {
    let unreviewed = Life { ended: Some((hour(9), Conclusion::NoViolation)), ..life(0, Some(9)) };
    let reviewed = Life { second_review: true, ..unreviewed.clone() };
    let waiting = Life { unreviewed: Some(hour(20)), ..life(0, None) };
    let mut lives = vec![unreviewed, reviewed, waiting];
    lives.extend((0..10).map(|n| life(n, Some(100))));
    let group = counted(&lives);
    assert_eq!((group.unreviewed, group.bulk_closed), (2, 10));
}

fn breach(deadline: i64, detected: i64, status: BreachStatus, inherited: bool) -> BreachFact {
    BreachFact {
        source: "reports".into(),
        category: "spam".into(),
        priority: Priority::P0,
        target: "closed".into(),
        deadline: hour(deadline),
        detected_at: hour(detected),
        inherited,
        status,
        met_at: None,
        moot_at: None,
        contradicted_at: None,
        incident: Some(IncidentNo(1)),
    }
}

#[test]
fn breaches_count_when_they_happen_and_inherited_ones_when_they_are_found() {
    let mut counting = Counting::new(bounds());
    for breach in [
        breach(1, 1, BreachStatus::Verified, false),
        breach(-1, 1, BreachStatus::Verified, false),
        breach(-500, 1, BreachStatus::Verified, true),
        breach(2, 2, BreachStatus::Unverified, false),
        breach(3, 3, BreachStatus::Withdrawn, false),
        BreachFact { contradicted_at: Some(hour(4)), ..breach(-900, -900, BreachStatus::Verified, false) },
    ] {
        counting.add_breach(&breach);
    }
    let group = &counting.categories()[0];
    let counts = group.breaches;
    assert_eq!((counts.verified, counts.unverified, counts.withdrawn), (1, 1, 1));
    assert_eq!((counts.inherited, counts.contradicted), (1, 1));
    assert_eq!((group.before.breaches, group.before.weeks, group.before.breaches_mean), ([1, 0, 0, 0], 1, 1.0));
}

#[test]
fn a_breach_that_reached_nobody_shows_in_the_time_to_page() {
    let page = PageFact {
        incident: IncidentNo(1),
        step: 0,
        channel: "hook".into(),
        is_ring: true,
        priority: Priority::P0,
        state: "accepted".into(),
        created_at: hour(1),
        accepted_at: Some(hour(1).plus(Span::from_secs(2))),
    };
    let told = breach(1, 1, BreachStatus::Verified, false);
    let untold = BreachFact { incident: Some(IncidentNo(2)), ..told.clone() };
    let acted = BreachFact { met_at: Some(hour(3)), incident: None, ..told.clone() };
    let facts = Facts { pages: vec![page], ..Facts::default() };
    let mut count = Count::new(&facts, bounds());
    [told, untold, acted].iter().for_each(|breach| count.add_breach(breach));
    let figures = count.paging();
    let lengths: Vec<(i64, bool)> = figures.to_page[0].few.iter().map(|each| (each.secs, each.beyond)).collect();
    assert_eq!(lengths, [(2, false), (167 * 3_600, true)]);
    let acted: Vec<(i64, bool)> = figures.to_act[0].few.iter().map(|each| (each.secs, each.beyond)).collect();
    assert_eq!(acted, [(7_200, false), (167 * 3_600, true), (167 * 3_600, true)]);
}

#[test]
fn hours_without_sight_are_told_once_as_down_and_per_source_as_blind() {
    let run = vec![(hour(0), hour(10)), (hour(12), hour(168))];
    let seen = vec![(hour(0), hour(10)), (hour(12), hour(100)), (hour(101), hour(168))];
    let watched = BTreeMap::from([(String::new(), run), ("reports".to_owned(), seen)]);
    let sight = sight::sight(&watched, &["reports".into(), "appeals".into()], Some(hour(-1)), (hour(0), hour(168)));
    assert_eq!(sight.down_secs, 7_200);
    let blind: Vec<i64> = sight.sources.iter().map(|source| source.blind_secs).collect();
    assert_eq!(blind, [3_600, 166 * 3_600], "what was never seen was blind whenever the monitor ran");
    assert_eq!((sight.gaps.len(), sight.first_run), (4, None));
    let fresh = sight::sight(&BTreeMap::new(), &["reports".into()], None, (hour(0), hour(168)));
    assert_eq!((fresh.down_secs, fresh.gaps.len()), (0, 0), "nobody promised to watch before the first run");
}

/// Every kind of thing that a report tells of, under names that try to break out of their cells.
fn sample() -> Figures {
    let nasty: Name = "=cmd|\"<script>\", x\r\n".into();
    let mut counting = Counting::new(bounds());
    for n in 0..40 {
        counting.add(&Life { targets: due(n + 2, Some(n + 1), false), ..life(n, Some(n + 1)) });
        let p0 = Life { priority: Priority::P0, category: nasty.clone(), ..life(n, None) };
        counting.add(&Life { targets: due(n + 1, None, n % 2 == 0), ..p0 });
    }
    counting.add_breach(&breach(1, 1, BreachStatus::Verified, false));
    Figures {
        schema: super::figures::SCHEMA_NAME.to_owned(),
        week: "2026-W46".to_owned(),
        first_day: "2026-11-09".to_owned(),
        last_day: "2026-11-15".to_owned(),
        limits: vec!["source <reports> maps no actor".to_owned()],
        complete: true,
        mode: "live".to_owned(),
        priorities: counting.priorities(),
        categories: counting.categories(),
        targets: counting.targets(),
        ..Figures::default()
    }
}

#[test]
fn a_page_loads_nothing_runs_nothing_and_no_name_breaks_out_of_it() {
    let page = super::html::page(&sample());
    for forbidden in ["<script", "http://", "https://", "src=", "@import", "<link"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<svg class=\"chart\"").count(), page.matches("<desc id=").count());
    assert!(page.contains("scope=\"col\"") && page.contains("scope=\"row\"") && page.contains("prefers-color-scheme"));
    let (limits, deadlines) = (page.find("can't be enforced"), page.find("<h2>Deadlines"));
    assert!(limits.is_some() && limits < deadlines, "what can't be enforced stands first");
}

#[test]
fn csv_is_rfc_4180_and_no_cell_becomes_a_formula() {
    for document in documents(&sample(), &[Format::Csv]) {
        assert!(
            document.text.ends_with("\r\n") && !document.text.replace("\r\n", "").contains('\n')
                || document.text.contains("\"'=cmd")
        );
        let mut reader = csv::ReaderBuilder::new().from_reader(document.text.as_bytes());
        let columns = reader.headers().expect("a header").len();
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect(&document.name);
        assert!(rows.iter().all(|row| row.len() == columns) && rows.len() >= 2, "{}", document.name);
        assert!(rows.iter().flatten().all(|cell| !cell.starts_with('=')), "{}", document.name);
    }
}

#[test]
fn json_reads_back_as_the_same_figures_and_has_what_its_schema_names() {
    let figures = sample();
    let json = super::json(&figures);
    assert_eq!(serde_json::from_str::<Figures>(&json).expect("JSON"), figures);
    let (schema, value): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(super::SCHEMA).expect("a schema"), serde_json::from_str(&json).expect("JSON"));
    holds(&schema, &schema, &value, "figures");
}

/// The part of JSON Schema that the schema uses.
fn holds(root: &serde_json::Value, schema: &serde_json::Value, value: &serde_json::Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/$defs/");
        return holds(root, &root["$defs"][name], value, place);
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let option = options.iter().find(|option| (option["type"] == "null") == value.is_null());
        return holds(root, option.unwrap_or_else(|| panic!("{place}: none of the options")), value, place);
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().expect("properties");
            let members = value.as_object().unwrap_or_else(|| panic!("{place} is no object"));
            let (named, found): (Vec<_>, Vec<_>) = (properties.keys().collect(), members.keys().collect());
            let mut sorted = (named.clone(), found.clone());
            sorted.0.sort();
            sorted.1.sort();
            assert_eq!(sorted.0, sorted.1, "{place}");
            members.iter().for_each(|(name, value)| holds(root, &properties[name], value, &format!("{place}.{name}")));
        }
        Some("array") => value.as_array().unwrap_or_else(|| panic!("{place} is no array")).iter().for_each(|item| {
            holds(root, &schema["items"], item, &format!("{place}[]"));
        }),
        Some("string") => assert!(value.is_string(), "{place}"),
        Some("boolean") => assert!(value.is_boolean(), "{place}"),
        Some("integer") => assert!(value.as_u64().is_some(), "{place}: {value}"),
        Some("number") => assert!(value.is_number(), "{place}"),
        Some("null") => assert!(value.is_null(), "{place}"),
        _ => assert!(
            schema["const"] == *value || schema["enum"].as_array().is_some_and(|all| all.contains(value)),
            "{place}"
        ),
    }
}
