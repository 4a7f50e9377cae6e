//! Whether a source can be seen and trusted: each way to be blind is an incident of the operators, with a
//! name of its own, several at once, and over by itself.

use crate::kit::*;
use std::sync::Arc;
use tocsin::core::arrivals::{Arrived, Watched, hour_of};
use tocsin::core::engine::Core;
use tocsin::core::id::{Name, ReportId};
use tocsin::core::observation::{Flaw, Observation, Reject};
use tocsin::core::plan::{About, Input, Page, Plan, Rows};
use tocsin::core::policy::{Expect, Policy};
use tocsin::core::sight::{BlindKind, Fault, Lag, Measured};
use tocsin::core::time::{Span, Timestamp};

fn source() -> Name {
    "reports".into()
}

/// The operators are told, a source is stale after a minute, and "csam" and "spam" must speak every hour.
fn watched() -> Policy {
    let mut policy = policy();
    policy.operators = Some("on-call".into());
    let of_source = policy.sources.get_mut("reports").unwrap();
    of_source.blind_after = Some(Span::from_mins(1));
    policy
}

fn expecting() -> Policy {
    let mut policy = watched();
    let expect = Expect { categories: vec!["csam".into(), "spam".into()], every: Span::from_mins(60) };
    policy.sources.get_mut("reports").unwrap().expect = vec![expect];
    policy
}

fn look(bench: &mut Bench, measured: Measured) -> Plan {
    bench.feed(Input::Sight { source: source(), measured })
}

/// A look at a source that was read to its end just now.
fn look_clear(bench: &mut Bench) -> Plan {
    let now = bench.now;
    look(bench, measured(now))
}

fn kinds(core: &Core) -> Vec<BlindKind> {
    core.blindness(&source()).iter().map(|blindness| blindness.kind).collect()
}

fn blindness(page: &Page) -> Option<BlindKind> {
    match &page.about {
        About::Blind(blind) => Some(blind.what),
        _ => None,
    }
}

fn rung(bench: &Bench) -> Vec<BlindKind> {
    bench.rings().iter().filter_map(|page| blindness(page)).collect()
}

#[test]
fn f12_each_way_to_be_blind_is_an_incident_of_its_own_and_over_by_itself() {
    let mut bench = Bench::with(watched());
    bench.until(minute(3));
    look_clear(&mut bench);
    bench.until(minute(10));
    let why: Name = "connection refused".into();
    let fault = Fault { kind: BlindKind::Refused, since: minute(4), why };
    let lag = Lag { behind: Span::from_mins(5), cut_off: true };
    let blind = Measured {
        fault: Some(fault),
        clock: Some((minute(4), Span::from_secs(3_600))),
        lag: Some((minute(4), lag)),
        ..measured(minute(3))
    };
    look(&mut bench, blind.clone());
    look(&mut bench, blind);
    let all = [BlindKind::Refused, BlindKind::ReplicaLag, BlindKind::ClocksApart];
    assert_eq!((kinds(&bench.core), rung(&bench)), (all.to_vec(), all.to_vec()));
    let said: Vec<String> = bench.core.blindness(&source()).iter().map(|found| found.why.to_string()).collect();
    assert_eq!(said[0], "connection refused");
    assert_eq!(said[1], "the replica is 5m behind its primary; nothing comes from the primary");
    assert_eq!(said[2], "the database's clock is 1h ahead of the monitor's");

    bench.until(minute(12));
    look(&mut bench, Measured { clock: Some((minute(12), Span::from_secs(3_600))), ..measured(minute(12)) });
    assert_eq!(kinds(&bench.core), [BlindKind::ClocksApart]);
    assert_eq!(bench.resolves().len(), 2);
    look(&mut bench, Measured { clock: Some((minute(12), Span::ZERO)), ..measured(minute(12)) });
    assert_eq!((kinds(&bench.core), bench.resolves().len(), bench.rings().len()), (vec![], 3, 3));
}

#[test]
fn f12_a_restart_neither_ends_a_blindness_nor_rings_it_again_nor_forgets_since_when() {
    let mut bench = Bench::with(watched());
    bench.until(minute(10));
    look(&mut bench, measured(minute(3)));
    assert_eq!(rung(&bench), [BlindKind::Stale]);
    let incidents = bench.plans.iter().flat_map(|plan| plan.incidents.values().cloned()).collect();
    bench.core = Core::restore(Arc::new(watched()), Vec::new(), incidents, 9);
    bench.until(minute(11));
    let starting = Measured { watched_since: minute(11), last_ok: None, ..measured(minute(11)) };
    look(&mut bench, starting);
    assert_eq!((rung(&bench).len(), bench.resolves().len()), (1, 0));
    assert_eq!(bench.core.blindness(&source())[0].since, minute(3));
    look_clear(&mut bench);
    assert_eq!((kinds(&bench.core), bench.resolves().len()), (vec![], 1));
}

#[test]
fn f12_a_category_that_must_speak_and_is_silent_rings_and_a_second_one_rings_anew() {
    let mut bench = Bench::with(expecting());
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(30));
    bench.put(2, row("spam", minute(30)));
    bench.until(minute(60));
    look_clear(&mut bench);
    assert_eq!(kinds(&bench.core), [], "an hour is not over an hour");
    bench.until(minute(61));
    look_clear(&mut bench);
    assert_eq!(rung(&bench), [BlindKind::Silent]);
    let silent = &bench.core.blindness(&source())[0];
    assert_eq!((silent.since, &*silent.why), (minute(0), "no report of csam for 1h 1m (every 1h)"));
    assert_eq!(silent.categories, ["csam".into()]);

    bench.until(minute(91));
    look_clear(&mut bench);
    assert_eq!(rung(&bench), [BlindKind::Silent, BlindKind::Silent], "spam fell silent too");
    let incidents: Vec<_> = bench.rings().iter().filter(|page| blindness(page).is_some()).map(|p| p.incident).collect();
    assert_eq!(incidents[0], incidents[1]);
    bench.put(3, row("csam", minute(91)));
    bench.put(4, row("spam", minute(91)));
    let resolved = bench.resolves().len();
    look_clear(&mut bench);
    assert_eq!((kinds(&bench.core), bench.resolves().len() - resolved), (vec![], 2));
}

#[test]
fn f12_silence_is_not_judged_while_the_source_is_not_seen() {
    let mut bench = Bench::with(expecting());
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("spam", minute(0)));
    bench.until(minute(70));
    look(&mut bench, measured(minute(3)));
    assert_eq!(kinds(&bench.core), [BlindKind::Stale]);
}

const WEEK: Span = Span::from_hours(168);

/// A monitor that has watched for five weeks: 30 reports of each category an hour.
fn seasoned(bench: &mut Bench) {
    let now = hour_of(bench.now);
    let hours = now - 5 * 168..now;
    let of = |category: &str, hour| Arrived { source: source(), category: category.into(), hour, count: 30 };
    let arrived = hours.clone().flat_map(|hour| [of("csam", hour), of("spam", hour)]).collect();
    let watched = hours.map(|hour| Watched { source: source(), hour, secs: 3_600 }).collect();
    bench.core.remember(arrived, watched);
}

/// Each minute a look, and a report of each of these categories every other minute.
fn hours_pass(bench: &mut Bench, hours: i64, categories: &[&str], next_id: &mut i64) {
    for _ in 0..hours * 60 {
        let now = bench.now;
        for category in categories.iter().filter(|_| now.micros() / 60_000_000 % 2 == 0) {
            *next_id += 1;
            bench.rows(vec![Observation { id: ReportId::Int(*next_id), row: Some(row(category, now)) }]);
        }
        look_clear(bench);
        bench.now = bench.now.plus(Span::from_mins(1));
    }
}

#[test]
fn f19_rows_of_one_category_that_stay_away_while_the_volume_looks_normal_are_noticed_by_the_weeks_before() {
    let mut policy = watched();
    policy.minor_safety.targets.clear();
    let mut bench = Bench::with(policy);
    bench.now = minute(0).plus(WEEK);
    seasoned(&mut bench);
    let mut next_id = 0;
    hours_pass(&mut bench, 3, &["csam", "spam"], &mut next_id);
    assert_eq!(kinds(&bench.core), []);
    hours_pass(&mut bench, 3, &["spam", "ncii"], &mut next_id);
    let few = bench.core.blindness(&source()).to_vec();
    assert_eq!(kinds(&bench.core), [BlindKind::TooFew]);
    assert_eq!(few[0].categories, ["csam".into()]);
    assert!(few[0].why.contains("csam: 0 in 1 h, at least 30 in each week before"), "{}", few[0].why);
    assert_eq!(rung(&bench), [BlindKind::TooFew]);
    hours_pass(&mut bench, 1, &["csam", "spam"], &mut next_id);
    assert_eq!(kinds(&bench.core), [], "it speaks again");
    assert_eq!(bench.resolves().len(), 1);
}

#[test]
fn f19_what_was_not_watched_is_not_compared() {
    let mut bench = Bench::with(watched());
    bench.now = minute(0).plus(WEEK);
    seasoned(&mut bench);
    // The monitor was down for six hours, and what came meanwhile is closed already.
    bench.now = bench.now.plus(Span::from_hours(6));
    let mut next_id = 0;
    hours_pass(&mut bench, 1, &["csam", "spam"], &mut next_id);
    assert_eq!(kinds(&bench.core), []);
}

#[test]
fn counts_go_to_the_store_every_few_minutes_and_where_nothing_comes_nothing_is_written() {
    let mut bench = Bench::with(watched());
    bench.put(1, row("spam", minute(0)));
    bench.put(2, row("spam", minute(0)));
    let plan = look_clear(&mut bench);
    let told: Vec<(Name, u32)> = plan.arrived.iter().map(|a| (a.category.clone(), a.count)).collect();
    assert_eq!(told, [("spam".into(), 2)]);
    bench.until(minute(2));
    bench.put(3, row("spam", minute(1)));
    assert!(!look_clear(&mut bench).is_durable(), "not so soon again");
    bench.until(minute(6));
    assert_eq!(look_clear(&mut bench).arrived[0].count, 3);
    let mut durable = 0;
    for n in 7..600 {
        bench.until(minute(n));
        durable += usize::from(look_clear(&mut bench).is_durable());
    }
    assert!((9..=10).contains(&durable), "one write an hour, that the hour was watched: {durable}");
}

fn rejected(bench: &mut Bench, ids: std::ops::Range<i64>) -> Plan {
    let reject = |id| Reject { id: Some(ReportId::Int(id)), column: "created_at".into(), flaw: Flaw::NotATime };
    let rows = ids.clone().map(|id| Observation { id: ReportId::Int(id), row: Some(row("spam", minute(0))) });
    let rows = Rows {
        source: source(),
        read_began: bench.now,
        rows: rows.collect(),
        rejects: ids.map(reject).collect(),
        recalled: Vec::new(),
    };
    bench.feed(Input::Rows(rows))
}

#[test]
fn f12_a_flaw_is_counted_once_while_it_lasts_and_too_large_a_share_of_them_is_a_blindness() {
    let mut bench = Bench::with(watched());
    let whole = |id| Observation { id: ReportId::Int(id), row: Some(row("spam", minute(0))) };
    bench.rows((0..100).map(whole).collect());
    assert_eq!(rejected(&mut bench, 0..5).rejects.len(), 5);
    let again = rejected(&mut bench, 0..5);
    assert!(again.rejects.is_empty() && !again.is_durable(), "a row that stays broken writes nothing");
    look_clear(&mut bench);
    assert_eq!(kinds(&bench.core), [], "5 of 100");
    rejected(&mut bench, 0..6);
    look_clear(&mut bench);
    let why = bench.core.blindness(&source())[0].why.clone();
    assert_eq!(kinds(&bench.core), [BlindKind::Rejects]);
    assert!(why.starts_with("6 of about 100 open reports can't be read whole"), "{why}");
    bench.rows((0..100).map(whole).collect());
    look_clear(&mut bench);
    assert_eq!((kinds(&bench.core), bench.resolves().len()), (vec![], 1));
    assert_eq!(rejected(&mut bench, 0..1).rejects.len(), 1, "broken once more is news");
}

#[test]
fn rows_without_an_id_are_told_as_often_as_there_are_more_of_them() {
    let mut bench = Bench::with(watched());
    let mut poll = |count: usize, at: Timestamp| {
        bench.now = at;
        let reject = Reject { id: None, column: "id".into(), flaw: Flaw::NoId };
        let rejects = vec![reject; count];
        let rows = Rows { source: source(), read_began: at, rows: Vec::new(), rejects, recalled: Vec::new() };
        let told = bench.feed(Input::Rows(rows)).rejects.len();
        bench.feed(Input::ScanEnded { source: source(), began: at });
        told
    };
    assert_eq!([poll(3, minute(1)), poll(3, minute(2)), poll(4, minute(3))], [3, 0, 1]);
    assert_eq!([poll(0, minute(4)), poll(2, minute(5))], [0, 2], "gone, and back");
}
