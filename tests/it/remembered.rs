//! What is remembered of reports beside their cases: which were open, so that one that vanished while the
//! monitor was down is noticed, and how they looked, so that a replay knows what final rows can't tell.

use crate::kit::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tocsin::core::case::Conclusion;
use tocsin::core::id::{Name, ReportId};
use tocsin::core::observation::{Actor, EventName, Verdict};
use tocsin::core::observed::Observed;
use tocsin::core::plan::{Input, Plan};
use tocsin::core::policy::Policy;
use tocsin::core::segments::{Recalled, Remembered, Segment};
use tocsin::core::time::Span;
use tocsin::run::replay::{Replay, Replayed};

fn source() -> Name {
    "reports".into()
}

fn look(bench: &mut Bench) -> Plan {
    let now = bench.now;
    bench.feed(Input::Sight { source: source(), measured: measured(now) })
}

/// The store's segments are taken up; there were these.
fn recall(bench: &mut Bench, reports: Vec<Remembered>) -> Plan {
    bench.feed(Input::Recalled(Recalled { source: source(), reports, last: true }))
}

fn ids(segment: &Segment) -> Vec<String> {
    segment.reports.iter().map(|report| report.id.to_string()).collect()
}

fn outcomes(bench: &Bench) -> BTreeMap<String, Conclusion> {
    let all = bench.plans.iter().flat_map(|plan| &plan.outcomes);
    all.map(|outcome| (outcome.episode.case.to_string(), outcome.conclusion)).collect()
}

#[test]
fn open_reports_are_written_once_then_what_is_added_and_nothing_where_nothing_comes() {
    let mut bench = Bench::new();
    bench.put(1, row("spam", minute(0)));
    bench.put(2, row("ncii", minute(0)));
    assert!(look(&mut bench).segment.is_none(), "before the old segments are taken up they are not replaced");
    recall(&mut bench, Vec::new());
    let first = look(&mut bench);
    assert_eq!(ids(first.segment.as_ref().unwrap()), ["1", "2"]);
    assert_eq!(first.segments_before, Some((source(), minute(0))), "a whole generation replaces the ones before");
    assert!(look(&mut bench).segment.is_none());
    bench.put(3, row("spam", minute(0)));
    bench.put(4, row("spam", minute(0)));
    bench.put(4, row("spam", minute(0)).closed(minute(0), person("ada"), Verdict::Unmapped));
    let added = look(&mut bench);
    assert_eq!(ids(added.segment.as_ref().unwrap()), ["3"], "what has ended since isn't open");
    bench.put(5, row("spam", minute(0)));
    assert!(look(&mut bench).segment.is_none(), "not so soon again");
    bench.now = minute(2);
    assert_eq!(ids(look(&mut bench).segment.as_ref().unwrap()), ["5"]);
    let kept = &first.segment.unwrap().reports[1];
    assert_eq!((&*kept.category, kept.received), ("ncii", minute(0)));
}

/// The old segments are taken up, and two of the three that the new generation takes are written.
fn with_two_of_three_segments() -> (Bench, Plan, Plan) {
    let mut bench = Bench::new();
    for id in 0..9_000 {
        bench.table.insert(id, row("spam", minute(0)));
    }
    for from in [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000] {
        let rows = (from..from + 1_000).map(|id| tocsin::core::observation::Observation {
            id: ReportId::Int(id),
            row: Some(row("spam", minute(0))),
        });
        bench.rows(rows.collect());
    }
    recall(&mut bench, Vec::new());
    let (one, two) = (look(&mut bench), look(&mut bench));
    assert!(one.segments_before.is_none() && two.segments_before.is_none(), "the old ones stay until it is whole");
    (bench, one, two)
}

#[test]
fn more_open_reports_than_one_segment_holds_are_written_in_steps() {
    let (mut bench, one, two) = with_two_of_three_segments();
    bench.put(1, row("spam", minute(0)));
    let three = look(&mut bench);
    let sizes: Vec<usize> =
        [&one, &two, &three].iter().map(|plan| plan.segment.as_ref().unwrap().reports.len()).collect();
    assert_eq!(sizes, [4_000, 4_000, 1_000]);
    assert!(three.segments_before.is_some() && look(&mut bench).segment.is_none());
}

/// The generation has passed the cases that are whole, and not yet come to where this one was a line.
#[test]
fn a_line_that_is_made_whole_while_a_generation_is_written_is_not_forgotten() {
    let (mut bench, ..) = with_two_of_three_segments();
    bench.put(8_500, row("spam", minute(0)).paused());
    assert_eq!(look(&mut bench).segment.unwrap().reports.len(), 999);
    assert_eq!(ids(look(&mut bench).segment.as_ref().unwrap()), ["8500"]);
}

#[test]
fn a_line_that_is_answered_while_a_generation_is_written_stays_in_its_place() {
    let (mut bench, ..) = with_two_of_three_segments();
    bench.put(8_500, row("spam", minute(0)).with(EventName::FirstResponse, minute(0), person("ada")));
    let last = look(&mut bench).segment.unwrap();
    assert_eq!((last.reports.len(), ids(&last).iter().filter(|id| *id == "8500").count()), (1_000, 1));
}

#[test]
fn f13_what_vanished_or_was_closed_while_the_monitor_was_down_is_noticed_at_the_next_start() {
    let known = |id: i64, category: &str| Remembered {
        id: ReportId::Int(id),
        category: category.into(),
        received: minute(-30),
    };
    let mut bench = Bench::new();
    bench.put(1, row("spam", minute(-30)));
    // Closed meanwhile: no scan of open rows will ever show it.
    let closed = row("spam", minute(-30)).closed(minute(-5), person("ada"), Verdict::Violation);
    bench.table.insert(2, closed);
    recall(&mut bench, vec![known(1, "spam"), known(2, "spam"), known(3, "spam"), known(4, "csam")]);
    let outcomes = outcomes(&bench);
    assert_eq!(outcomes.get("reports#0:2"), Some(&Conclusion::Violation));
    assert_eq!(outcomes.get("reports#0:3"), Some(&Conclusion::Vanished));
    assert_eq!(outcomes.len(), 2, "what is open goes on: {outcomes:?}");
    let vanished = bench.core.cases().find(|case| case.key.case.to_string() == "reports#0:4").unwrap();
    assert!(vanished.is_p0() && vanished.ended.is_none(), "a P0 that vanished is still owed an answer");
    bench.until(minute(1));
    let asked: usize = bench.plans.iter().map(|plan| plan.asks.len()).sum();
    recall(&mut bench, Vec::new());
    assert_eq!(bench.plans.iter().map(|plan| plan.asks.len()).sum::<usize>(), asked, "asked for once");
}

/// Everything observed, as the store would hold it.
fn observed(bench: &Bench) -> Vec<Observed> {
    bench.plans.iter().flat_map(|plan| plan.observed.clone()).collect()
}

#[test]
fn each_change_of_a_p0_is_observed_once_and_of_a_lesser_report_once_it_is_breached() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("threat", minute(0)));
    assert_eq!(observed(&bench).len(), 1);
    for n in 1..20 {
        bench.until(minute(n));
        bench.poll();
    }
    let seen = observed(&bench);
    assert_eq!(seen.len(), 1, "a poll that shows nothing new writes nothing: {seen:?}");
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(19), person("ada"));
    bench.put(1, answered.clone());
    bench.until(minute(29));
    bench.poll();
    bench.until(minute(40));
    bench.delete(1);
    let seen = observed(&bench);
    let of = |id: i64| seen.iter().filter(|seen| seen.report.id == ReportId::Int(id)).collect::<Vec<_>>();
    let p0 = of(1);
    assert_eq!(p0.len(), 3, "{p0:?}");
    assert_eq!((p0[1].row.as_ref(), p0[1].seen_at), (Some(&answered), minute(19)));
    assert_eq!((p0[2].row.as_ref(), p0[2].seen_at, p0[2].seen_before), (None, minute(40), Some(minute(29))));
    let breached = of(2);
    assert_eq!((breached.len(), breached[0].seen_at), (1, minute(0)), "it is breached: since when it looks so");
}

fn paused_policy() -> Policy {
    let mut policy = policy();
    policy.sources.get_mut("reports").unwrap().blind_after = Some(Span::from_mins(1));
    policy
}

/// A lesser report of 30 minutes, paused from minute 10 to 50 and lost from sight between 20 and 35.
fn a_night(bench: &mut Bench) {
    let open = row("threat", minute(0));
    for n in 0..100 {
        bench.until(minute(n));
        if (20..35).contains(&n) {
            continue;
        }
        let paused = (10..50).contains(&n);
        bench.put(1, if paused { open.clone().paused() } else { open.clone() });
    }
}

fn replayed(bench: &Bench) -> Replayed {
    let rows = bench.table.iter().map(|(id, row)| ((source(), ReportId::Int(*id)), row.clone())).collect();
    let replay = Replay::new(Arc::new(paused_policy()), rows, None);
    replay.with_observations(observed(bench)).run(minute(99))
}

#[test]
fn a_replay_of_observations_knows_pauses_that_final_rows_do_not_and_says_its_basis() {
    let mut bench = Bench::with(paused_policy());
    a_night(&mut bench);
    let lived: Vec<_> = bench.breaches();
    // Credited from 10 to 19 and from 35 to 49.
    assert_eq!(lived, [("closed".to_owned(), minute(53))]);
    let found = replayed(&bench);
    let breaches: Vec<_> = found.breaches.iter().map(|b| (b.target.to_string(), b.deadline)).collect();
    assert_eq!(breaches, lived);
    assert_eq!(found.basis(&found.breaches[0]), "observed");

    let rows = BTreeMap::from([((source(), ReportId::Int(1)), bench.table[&1].clone())]);
    let of_rows = Replay::new(Arc::new(paused_policy()), rows, None).run(minute(99));
    assert_eq!(of_rows.breaches[0].deadline, minute(30), "final rows know of no pause");
    assert_eq!(of_rows.basis(&of_rows.breaches[0]), "row");
}

#[test]
fn a_replay_of_observations_knows_an_answer_that_was_erased_and_a_row_that_is_gone() {
    let mut bench = Bench::with(paused_policy());
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(5), Actor::Person("ada".into()));
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(5));
    bench.put(1, answered);
    bench.until(minute(20));
    bench.delete(1);
    bench.until(minute(99));
    let found = replayed(&bench);
    let targets: Vec<_> = found.breaches.iter().map(|breach| breach.target.to_string()).collect();
    assert_eq!(targets, ["closed"], "it was answered in time, and is gone from the table");
    assert_eq!(found.reports, 1);
}
