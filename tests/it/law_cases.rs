//! The law where a case's reports come late, move, reopen or hide: no clock is reset, no breach is lost
//! and no page goes without its case, each told as a history.

use crate::kit::*;
use tocsin::core::clock::{ClockState, Ending};
use tocsin::core::engine::Core;
use tocsin::core::id::{CaseKey, ReportId, Subject};
use tocsin::core::incident::ROUNDS_OPEN_MAX;
use tocsin::core::observation::{Actor, EventName, Observation, Received, Row, Verdict};
use tocsin::core::plan::{Alarm, BreachStatus, Input, Plan, Rows};
use tocsin::core::policy::{Policy, Priority};
use tocsin::core::time::{Span, Timestamp};

/// The workbench's policy with `filed` and `reporter_notified` beside the rest of P0.
fn full_p0() -> Policy {
    let mut policy = policy();
    policy.minor_safety.targets.push(target(EventName::Filed, 120));
    policy.minor_safety.targets.push(target(EventName::ReporterNotified, 10_000));
    policy
}

fn breach(target: &str, at: i64) -> (String, Timestamp) {
    (target.to_owned(), minute(at))
}

fn unreadable(category: &str) -> Row {
    Row { received: Received::Unreadable, ..row(category, minute(0)) }
}

fn alarms_of_presumption(plan: &Plan) -> usize {
    plan.alarms.iter().filter(|alarm| matches!(alarm, Alarm::PresumedCategory { .. })).count()
}

#[test]
fn an_earlier_report_that_is_seen_late_moves_the_deadline_in_past_an_answer_that_had_met_it() {
    let mut bench = Bench::new();
    bench.until(minute(10));
    bench.put(2, row("csam", minute(10)).about(7));
    bench.until(minute(20));
    bench.put(2, row("csam", minute(10)).about(7).with(EventName::FirstResponse, minute(20), person("ada")));
    bench.until(minute(24));
    assert_eq!(bench.breaches(), []);
    bench.put(1, row("csam", minute(0)).about(7));
    assert_eq!(bench.breaches(), [breach("first_response", 15)]);
    assert_eq!(bench.rings().len(), 1);
}

#[test]
fn a_report_that_came_and_was_closed_between_two_looks_had_reopened_the_case_past_its_deadline() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(10), person("ada"), Verdict::NoViolation));
    bench.until(minute(106));
    bench.put(2, row("csam", minute(100)).about(7).closed(minute(105), person("ada"), Verdict::NoViolation));
    assert_eq!(bench.breaches(), [breach("closed", 60)]);
    assert_eq!(bench.rings().len(), 1);
}

#[test]
fn a_closure_that_is_written_anew_later_is_no_reopening() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).closed(minute(10), person("ada"), Verdict::NoViolation));
    bench.until(minute(100));
    bench.put(1, row("csam", minute(0)).closed(minute(100), person("grace"), Verdict::Violation));
    assert_eq!(bench.breaches(), []);
}

#[test]
fn what_an_ended_episode_left_moot_is_owed_again_when_it_is_reopened() {
    let mut bench = Bench::with(full_p0());
    let open = row("csam", minute(0));
    let confirmed_clean = open.clone().closed(minute(10), person("ada"), Verdict::NoViolation);
    bench.put(1, confirmed_clean.with(EventName::SecondReview, minute(20), person("grace")));
    bench.until(minute(50));
    bench.put(1, open.clone());
    bench.until(minute(55));
    bench.put(1, open.closed(minute(55), person("ada"), Verdict::Violation));
    bench.until(minute(300));
    assert_eq!(bench.breaches(), [breach("filed", 175)]);
}

#[test]
fn nothing_is_left_to_remove_after_a_decision_of_no_violation() {
    let mut policy = policy();
    policy.minor_safety.targets.push(target(EventName::Removed, 300));
    let mut bench = Bench::with(policy);
    let clean = row("csam", minute(0)).closed(minute(10), person("ada"), Verdict::NoViolation);
    bench.put(1, clean.with(EventName::SecondReview, minute(20), person("grace")));
    bench.until(minute(400));
    assert_eq!((bench.core.cases().count(), bench.breaches()), (0, vec![]));
}

#[test]
fn a_second_review_does_not_cover_a_later_no_violation() {
    let mut bench = Bench::with(full_p0());
    let open = row("csam", minute(0));
    let clean = open.clone().closed(minute(10), person("ada"), Verdict::NoViolation);
    bench.put(1, clean.with(EventName::SecondReview, minute(20), person("grace")));
    bench.until(minute(50));
    bench.put(1, open.clone());
    bench.until(minute(55));
    let again = open.closed(minute(55), person("ada"), Verdict::NoViolation);
    bench.put(1, again.with(EventName::SecondReview, minute(20), person("grace")));
    bench.until(minute(296));
    assert_eq!(bench.breaches(), [breach("second_review", 295)]);
}

#[test]
fn a_lesser_breach_does_not_stand_in_for_the_p0_breach_of_the_same_report() {
    let mut bench = Bench::new();
    let answered = |category: &str| row(category, minute(0)).with(EventName::FirstResponse, minute(5), person("ada"));
    bench.put(1, answered("spam"));
    bench.until(minute(700));
    bench.put(1, answered("csam"));
    assert_eq!(bench.breaches(), [breach("closed", 60), breach("closed", 600)]);
    let last = bench.rings().last().map(|page| (page.priority, page.cases[0].deadline));
    assert_eq!(last, Some((Priority::P0, minute(60))));
}

#[test]
fn an_answer_in_time_for_spam_was_none_for_a_child() {
    let mut policy = policy();
    policy.rules[2].targets.push(target(EventName::FirstResponse, 300));
    let mut bench = Bench::with(policy);
    let answered = |category: &str| row(category, minute(0)).with(EventName::FirstResponse, minute(50), person("ada"));
    bench.put(1, answered("spam"));
    bench.until(minute(55));
    bench.put(1, answered("csam"));
    assert_eq!(bench.breaches(), [breach("first_response", 15)]);
    assert_eq!(bench.rings().len(), 1);
}

#[test]
fn presumption_ends_for_a_report_without_a_subject_too_and_its_page_is_resolved() {
    let mut bench = Bench::new();
    bench.put(1, row("brand_new", minute(0)));
    bench.until(minute(61));
    assert_eq!(bench.rings().len(), 2);
    bench.put(1, row("spam", minute(0)));
    assert_eq!(bench.resolves().len(), 2);
    let case = bench.core.cases().next().expect("a case");
    assert_eq!((case.priority, case.is_overdue(), case.next_deadline()), (Priority::P4, false, Some(minute(600))));
}

#[test]
fn a_contradicted_breach_that_relapsed_is_over_when_the_contradiction_returns() {
    let mut bench = Bench::new();
    let (open, closed) = (row("threat", minute(0)), row("threat", minute(0)));
    let closed = closed.closed(minute(29), person("ada"), Verdict::Unmapped);
    bench.put(1, open.clone());
    bench.until(minute(31));
    for row in [&closed, &open, &closed] {
        bench.put(1, row.clone());
        bench.until(bench.now.plus(Span::from_mins(6)));
    }
    assert_eq!(bench.core.cases().count(), 0);
    assert_eq!(bench.rings().len(), bench.resolves().len());
}

#[test]
fn a_p0_whose_id_was_given_away_is_a_verified_breach_at_its_deadline() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(10));
    bench.poll();
    bench.until(minute(13));
    bench.put(1, row("csam", minute(12)));
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].created_at, minute(15).plus(Span::from_micros(1)));
    assert!(!bench.rings()[0].cases[0].unverified);
    let plan = bench.feed(Input::ScanEnded { source: "reports".into(), began: minute(16) });
    assert_eq!(plan.asks.iter().map(|key| key.incarnation).collect::<Vec<_>>(), [1], "the other can't be read");
}

#[test]
fn after_a_restart_a_row_belongs_to_the_latest_report_of_its_id() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(9));
    bench.until(minute(10));
    bench.poll();
    bench.until(minute(13));
    bench.put(1, row("csam", minute(12)).about(8));
    let mut cases: Vec<_> = bench.core.cases().collect();
    for _ in 0..2 {
        cases.reverse();
        bench.core = Core::restore(std::sync::Arc::new(policy()), cases.clone(), Vec::new(), 1);
        bench.put(1, row("csam", minute(12)).about(8).with(EventName::FirstResponse, minute(13), person("ada")));
        let answered = bench.core.cases().filter(|case| case.first_response().is_some());
        assert_eq!(answered.map(|case| case.received()).collect::<Vec<_>>(), [minute(12)]);
    }
}

#[test]
fn an_id_of_a_settled_report_given_to_another_does_not_inherit_its_clock() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(40));
    bench.put(1, row("threat", minute(0)).closed(minute(40), person("ada"), Verdict::Unmapped));
    bench.until(minute(100));
    bench.put(1, row("threat", minute(99)));
    assert_eq!(bench.breaches(), [breach("closed", 30)]);
    let case = bench.core.cases().next().expect("a case");
    assert_eq!((case.received(), case.next_deadline()), (minute(99), Some(minute(129))));
}

#[test]
fn a_received_that_is_corrected_to_an_earlier_time_moves_the_deadline_in_and_never_out() {
    let mut bench = Bench::new();
    bench.put(1, unreadable("csam"));
    bench.until(minute(3));
    bench.put(1, row("csam", minute(-5)));
    assert_eq!(bench.core.cases().next().and_then(|case| case.next_deadline()), Some(minute(10)));
    bench.put(1, row("csam", minute(-1)));
    assert_eq!(bench.core.cases().next().and_then(|case| case.next_deadline()), Some(minute(10)));
}

#[test]
fn an_event_stated_for_the_future_has_happened_by_the_read_that_saw_it() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(5));
    bench.put(1, row("csam", minute(0)).closed(minute(305), person("ada"), Verdict::NoViolation));
    bench.put(2, row("threat", minute(0)).with(EventName::Closed, minute(305), person("ada")));
    bench.until(minute(70));
    assert_eq!(bench.breaches(), []);
}

#[test]
fn a_report_keeps_its_first_sight_when_it_moves_to_another_case() {
    let mut bench = Bench::new();
    bench.put(1, unreadable("spam").about(7));
    bench.until(minute(10));
    bench.put(1, unreadable("csam").about(7));
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(15));
}

#[test]
fn reports_that_left_a_case_with_their_presumption_never_come_back_through_the_store() {
    let mut bench = Bench::new();
    bench.put(1, row("brand_new", minute(0)).about(7));
    bench.until(minute(5));
    bench.put(1, row("spam", minute(0)).about(7));
    bench.put(2, row("csam", minute(5)).about(7));
    let subject = CaseKey::Subject { source: "reports".into(), subject: Subject([7; 16]) };
    let p0 = bench.core.cases().find(|case| case.key.case == subject).expect("the P0 case");
    assert_eq!((p0.reports.len(), p0.received()), (1, minute(5)));
    bench.put(1, row("spam", minute(0)).about(7).closed(minute(5), person("ada"), Verdict::Unmapped));
    assert_eq!(bench.core.cases().count(), 1, "the other is still followed, and settled");
}

#[test]
fn polls_that_see_a_vanished_or_paused_p0_again_write_nothing() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("csam", minute(0)).paused());
    bench.delete(1);
    bench.until(minute(1));
    let again = [1, 2].map(|id| Observation { id: ReportId::Int(id), row: bench.table.get(&id).cloned() });
    let plan = bench.rows(again.to_vec());
    assert!(!plan.is_durable());
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 2, "and both are still owed an answer");
}

#[test]
fn what_the_store_holds_of_a_lesser_case_is_closed_there_with_it() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)).paused());
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(2));
    let plan = bench.put(1, row("threat", minute(0)).closed(minute(2), person("ada"), Verdict::Unmapped));
    assert_eq!(plan.kept.iter().map(|kept| kept.settled).collect::<Vec<_>>(), [true]);
}

#[test]
fn two_bundles_of_the_same_cases_both_close_when_all_are_over() {
    let mut policy = policy();
    if let Some(escalation) = policy.escalations.get_mut("minor-safety") {
        escalation.repeat = Some(Span::from_mins(10));
    }
    let mut bench = Bench::with(policy);
    let rows = |closed: bool| {
        let row = |id: i64| {
            let row = row("csam", minute(0));
            let by = person(&format!("mod-{}", id % 2));
            let row = if closed { row.closed(minute(90), by, Verdict::Violation) } else { row };
            Observation { id: ReportId::Int(id), row: Some(row) }
        };
        (0..12).map(row).collect::<Vec<_>>()
    };
    for seen in rows(false) {
        bench.put(if let ReportId::Int(id) = seen.id { id } else { 0 }, seen.row.expect("a row"));
    }
    bench.until(minute(90));
    let told: std::collections::BTreeSet<_> = bench.rings().iter().map(|page| page.incident).collect();
    assert_eq!(told.len(), 2, "one bundle at each deadline, and no incident beside them");
    bench.rows(rows(true));
    assert_eq!(bench.rings().len(), bench.resolves().len(), "every round of both is closed");
    bench.until(minute(92));
    assert_eq!((bench.core.cases().count(), bench.core.next_wake()), (0, None));
    assert_eq!(bench.core.view(bench.now).incidents.len(), 0);
}

#[test]
fn an_incident_that_rings_for_weeks_leaves_a_bounded_number_of_rounds_open() {
    let mut policy = policy();
    if let Some(escalation) = policy.escalations.get_mut("minor-safety") {
        escalation.repeat = Some(Span::from_mins(10));
    }
    let mut bench = Bench::with(policy);
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(14 * 24 * 60));
    let open = bench.rings().len() - bench.resolves().len();
    assert_eq!((bench.rings().len() > 2_000, open), (true, ROUNDS_OPEN_MAX));
    bench.put(1, row("csam", minute(0)).closed(bench.now, person("ada"), Verdict::Violation));
    assert_eq!(bench.rings().len(), bench.resolves().len());
}

#[test]
fn a_paused_lesser_case_does_not_wake_at_a_deadline_that_its_pause_moves() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(29));
    bench.put(1, row("threat", minute(0)).paused());
    assert_eq!(bench.core.next_wake(), None);
    for m in 30..90 {
        bench.until(minute(m));
        bench.poll();
    }
    assert_eq!(bench.breaches(), []);
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(91));
    assert_eq!(bench.breaches(), [breach("closed", 90)], "one minute was left when the pause was first seen");
}

#[test]
fn no_pause_is_credited_across_blindness() {
    let mut policy = policy();
    if let Some(source) = policy.sources.get_mut("reports") {
        source.blind_after = Some(Span::from_mins(2));
    }
    let mut bench = Bench::with(policy);
    bench.put(1, row("threat", minute(0)).paused());
    bench.until(minute(2));
    bench.poll();
    bench.until(minute(20));
    bench.poll();
    assert_eq!(bench.core.cases().next().and_then(|case| case.next_deadline()), Some(minute(32)));
}

#[test]
fn a_page_of_a_p0_that_was_closed_late_and_settled_at_once_still_tells_of_it() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).with(EventName::FirstResponse, minute(0), person("ada")));
    bench.until(minute(59));
    let closed = row("csam", minute(0)).with(EventName::FirstResponse, minute(0), person("ada"));
    bench.now = minute(70);
    bench.put(1, closed.closed(minute(65), person("ada"), Verdict::Violation));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].cases.iter().map(|case| case.deadline).collect::<Vec<_>>(), [minute(60)]);
    assert_eq!(bench.resolves().len(), 1);
    bench.until(minute(72));
    assert_eq!(bench.core.cases().count(), 0);
}

#[test]
fn a_row_that_turns_to_an_unknown_category_alarms_the_operators_too() {
    let mut bench = Bench::new();
    assert_eq!(alarms_of_presumption(&bench.put(1, row("spam", minute(0)))), 0);
    assert_eq!(alarms_of_presumption(&bench.put(1, row("brand_new", minute(0)))), 1);
}

#[test]
fn an_older_read_that_arrives_late_changes_nothing() {
    let mut bench = Bench::new();
    bench.until(minute(5));
    bench.put(1, row("brand_new", minute(0)).about(7).with(EventName::FirstResponse, minute(5), person("ada")));
    let rows = vec![Observation { id: ReportId::Int(1), row: Some(row("spam", minute(0)).about(7)) }];
    let (source, rejects, recalled) = ("reports".into(), Vec::new(), Vec::new());
    bench.feed(Input::Rows(Rows { source, read_began: minute(4), rows, rejects, recalled }));
    let case = bench.core.cases().next().expect("a case");
    assert_eq!((case.priority, case.first_response()), (Priority::P0, Some(minute(5))));
}

#[test]
fn a_lesser_row_that_was_hidden_for_a_while_goes_on_where_it_was() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(31));
    bench.delete(1);
    assert_eq!(bench.resolves().len(), 1);
    bench.put(1, row("threat", minute(0)));
    assert_eq!(bench.rings().len(), 2, "it was overdue and is so again");
    let case = bench.core.cases().next().expect("a case");
    assert!(matches!(&case.clocks[0].state, ClockState::Breached { ended: None, .. }));
    let statuses: Vec<_> = bench.plans.iter().flat_map(|plan| &plan.breaches).map(|breach| breach.status).collect();
    assert!(statuses.iter().all(|status| *status == BreachStatus::Verified));
}

#[test]
fn a_machine_closes_nothing_for_a_child_even_where_nobody_knows_who_it_was() {
    let mut bench = Bench::new();
    for (id, by) in [(1, Actor::Automated), (2, Actor::Unknown)] {
        bench.put(id, row("csam", minute(0)).closed(minute(1), by, Verdict::Violation));
    }
    bench.until(minute(61));
    assert_eq!(bench.breaches(), [breach("closed", 60), breach("first_response", 15)]);
    assert_eq!(bench.rings().len(), 4);
}

#[test]
fn a_review_stands_when_its_reviewer_closes_another_report_of_the_item_later() {
    let mut bench = Bench::new();
    let first = row("csam", minute(0)).about(7).closed(minute(10), person("ada"), Verdict::NoViolation);
    bench.put(1, first.clone());
    bench.until(minute(15));
    bench.put(2, row("csam", minute(15)).about(7));
    bench.until(minute(20));
    bench.put(1, first.with(EventName::SecondReview, minute(20), person("grace")));
    bench.until(minute(30));
    bench.put(2, row("csam", minute(15)).about(7).closed(minute(30), person("grace"), Verdict::NoViolation));
    bench.until(minute(600));
    assert_eq!(bench.core.cases().count(), 0, "the episode has ended");
    assert_eq!(bench.breaches(), []);
}

#[test]
fn a_breach_withdrawn_by_an_earlier_reports_answer_is_judged_anew_by_that_reports_deadline() {
    let mut bench = Bench::new();
    bench.put(1, row("spam", minute(0)).about(7));
    bench.until(minute(30));
    bench.put(2, row("csam", minute(30)).about(7));
    bench.until(minute(40));
    bench.blind = true;
    bench.until(minute(50));
    assert_eq!(bench.rings().len(), 1, "unverified");
    bench.blind = false;
    let answered = row("csam", minute(0)).about(7).with(EventName::FirstResponse, minute(41), person("ada"));
    bench.table.insert(1, answered);
    bench.poll();
    let last = bench.plans.iter().flat_map(|plan| &plan.breaches).next_back().expect("a breach");
    assert_eq!((last.deadline, last.status), (minute(15), BreachStatus::Verified));
}

#[test]
fn an_answer_that_an_earlier_report_makes_late_contradicts_no_breach() {
    let mut bench = Bench::new();
    bench.until(minute(300));
    bench.put(1, row("csam", minute(1)).about(7));
    let answered = row("csam", minute(0)).about(7).with(EventName::FirstResponse, minute(16), person("ada"));
    bench.put(2, answered);
    let mut breaches = bench.plans.iter().flat_map(|plan| &plan.breaches);
    let last = breaches.rfind(|breach| &*breach.target == "first_response").expect("a breach");
    assert_eq!((last.deadline, last.contradicted_at), (minute(16), None), "in time for 16, late for 15");
    assert_eq!(last.ended, Some(Ending::Met { at: minute(16) }));
}
