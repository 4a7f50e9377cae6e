//! The minor-safety law and the life of episodes, clocks and incidents, each told as a history.

use crate::kit::*;
use tocsin::core::clock::ClockState;
use tocsin::core::id::ReportId;
use tocsin::core::observation::{Actor, EventName, Observation, Received, Row, Verdict};
use tocsin::core::plan::{Alarm, BreachStatus, Input, PageKind, Plan, Rows};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::Span;

#[test]
fn a_p0_that_nobody_answers_rings_at_its_first_deadline_and_anew_at_its_second() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(15));
    assert_eq!(bench.rings().len(), 0, "at the very instant of its deadline a target can still be met");
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].created_at, minute(15).plus(Span::from_micros(1)));
    bench.until(minute(61));
    let rounds: Vec<u32> = bench.rings().iter().map(|page| page.round).collect();
    assert_eq!(rounds, [0, 1], "a new breach opens a new round of the same incident");
    assert!(bench.rings().iter().all(|page| page.incident == bench.rings()[0].incident));
}

#[test]
fn a_target_met_at_the_very_instant_of_its_deadline_is_met() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(29));
    bench.table.insert(1, row("threat", minute(0)).closed(minute(30), person("ada"), Verdict::Unmapped));
    bench.until(minute(120));
    assert_eq!(bench.breaches(), []);
    assert_eq!(bench.rings().len(), 0);
}

#[test]
fn a_deadline_is_verified_by_reading_the_row_before_anybody_is_paged() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(14), person("ada"));
    bench.table.insert(1, answered);
    bench.until(minute(20));
    assert_eq!(bench.rings().len(), 0, "the answer was there when the deadline was verified");
}

#[test]
fn without_an_answer_within_two_seconds_a_p0_pages_unverified_and_the_first_answer_settles_it() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("threat", minute(0)));
    bench.blind = true;
    bench.until(minute(40));
    let rings = bench.rings();
    assert_eq!(rings.len(), 1, "a lesser one waits for sight");
    assert!(rings[0].cases[0].unverified);
    assert_eq!(rings[0].created_at.since(minute(15)).secs(), 2);
    bench.blind = false;
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(14), person("ada"));
    bench.table.insert(1, answered);
    bench.poll();
    assert_eq!(bench.resolves().len(), 1, "the page is taken back");
    let withdrawn = bench.plans.iter().flat_map(|p| &p.breaches).any(|b| b.status == BreachStatus::Withdrawn);
    assert!(withdrawn);
    assert_eq!(bench.rings().len(), 2, "and the lesser breach rings now that it is proved");
}

#[test]
fn f02_an_automatic_reply_is_no_response_to_a_child() {
    let mut bench = Bench::new();
    for (id, by) in [(1, Actor::Automated), (2, Actor::Unknown)] {
        bench.put(id, row("csam", minute(0)).with(EventName::FirstResponse, minute(1), by));
    }
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 2);
}

#[test]
fn f01_reports_about_one_item_are_one_case_with_one_clock() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7));
    bench.until(minute(5));
    bench.put(2, row("grooming", minute(5)).about(7));
    assert_eq!(bench.core.cases().count(), 1);
    bench.until(minute(30));
    assert_eq!(bench.rings().len(), 2, "the repeat, and the deadline of the earliest");
    assert_eq!(bench.rings()[1].cases[0].deadline, minute(15));
    assert_eq!(bench.rings()[1].cases[0].reports, 2);
}

#[test]
fn a_case_is_closed_only_when_all_its_p0_reports_are() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7));
    bench.put(2, row("csam", minute(0)).about(7));
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(1), person("ada"), Verdict::Violation));
    bench.until(minute(61));
    assert_eq!(bench.breaches(), [("closed".to_owned(), minute(60))]);
}

#[test]
fn f03_a_no_violation_closure_of_a_p0_waits_for_a_second_known_human() {
    let mut bench = Bench::new();
    let closed = row("csam", minute(0)).closed(minute(10), person("ada"), Verdict::NoViolation);
    bench.put(1, closed.clone());
    let by_herself = closed.clone().with(EventName::SecondReview, minute(20), person("ada"));
    bench.put(1, by_herself.clone());
    bench.put(1, by_herself.with(EventName::SecondReview, minute(21), Actor::Automated));
    bench.until(minute(251));
    assert_eq!(bench.breaches(), [("second_review".to_owned(), minute(250))]);
    assert_eq!(bench.rings().len(), 1);
    bench.put(1, closed.with(EventName::SecondReview, minute(251), person("grace")));
    assert_eq!(bench.resolves().len(), 1);
    assert_eq!(bench.core.cases().count(), 0, "confirmed, the episode has ended and settled");
}

#[test]
fn f05_a_report_after_a_no_violation_closure_reopens_the_episode_on_its_original_clock() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(10), person("ada"), Verdict::NoViolation));
    bench.until(minute(100));
    bench.put(2, row("csam", minute(100)).about(7));
    assert_eq!(bench.rings().len(), 1, "overdue since its original deadline, it rings at once");
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(60));
}

#[test]
fn f05_after_a_violation_closure_a_new_report_begins_a_new_episode() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(10), person("ada"), Verdict::Violation));
    bench.until(minute(100));
    assert_eq!(bench.core.cases().count(), 0);
    bench.put(2, row("csam", minute(100)).about(7));
    assert_eq!(bench.rings().len(), 0);
    let case = bench.core.cases().next().expect("a case");
    assert_eq!((case.key.episode, case.received()), (1, minute(100)));
}

#[test]
fn f11_a_category_in_no_list_is_presumed_p0_behind_known_p0_and_alarms_the_operators() {
    let mut bench = Bench::new();
    let plan = bench.put(1, row("brand_new", minute(0)));
    assert!(plan.alarms.iter().any(|alarm| matches!(alarm, Alarm::PresumedCategory { .. })));
    bench.put(2, row("csam", minute(0)));
    bench.put(3, row("threat", minute(-10)));
    let order: Vec<_> = bench.core.queue().map(|case| (case.priority, case.standing)).collect();
    let expected =
        [(Priority::P0, Standing::Known), (Priority::P0, Standing::Presumed), (Priority::P1, Standing::Known)];
    assert_eq!(order, expected);
}

#[test]
fn presumption_ends_when_the_row_gives_a_named_category_and_its_page_is_resolved() {
    let mut bench = Bench::new();
    bench.put(1, row("brand_new", minute(0)).about(7));
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
    bench.put(1, row("spam", minute(0)).about(7));
    assert_eq!(bench.resolves().len(), 1);
    let case = bench.core.cases().next().expect("a case");
    assert_eq!(case.priority, Priority::P4);
}

#[test]
fn a_known_p0_is_latched_whatever_its_row_says_later() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(1, row("spam", minute(0)));
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].priority, Priority::P0);
}

#[test]
fn a_lesser_report_that_turns_out_to_be_minor_safety_gets_p0_clocks_from_its_own_arrival() {
    let mut bench = Bench::new();
    bench.put(1, row("spam", minute(0)).about(7));
    bench.until(minute(30));
    bench.put(1, row("csam", minute(0)).about(7));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(15));
    assert_eq!(bench.core.cases().count(), 1);
}

#[test]
fn f08_waiting_for_the_reporter_does_not_pause_a_p0() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).paused());
    for m in 1..20 {
        bench.until(minute(m));
        bench.poll();
    }
    assert_eq!(bench.rings().len(), 1);
}

#[test]
fn a_pause_is_credited_only_between_two_polls_that_both_saw_it() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(10));
    bench.put(1, row("threat", minute(0)).paused());
    bench.until(minute(20));
    bench.poll();
    bench.until(minute(25));
    bench.put(1, row("threat", minute(0)));
    let case = bench.core.cases().next().expect("a case");
    assert_eq!(case.next_deadline(), Some(minute(40)), "ten minutes were seen paused at both ends");
}

#[test]
fn f13_a_p0_that_vanishes_is_still_owed_an_answer_and_a_lesser_one_is_an_outcome_of_its_own() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("threat", minute(0)));
    bench.until(minute(5));
    bench.delete(1);
    let plan = bench.delete(2);
    assert_eq!(plan.outcomes.len(), 1);
    assert_eq!(plan.outcomes[0].conclusion.as_str(), "vanished");
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
}

#[test]
fn f14_later_reports_never_move_a_deadline_out() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7));
    for m in 1..15 {
        bench.until(minute(m));
        bench.put(m + 1, row("csam", minute(m)).about(7));
    }
    bench.until(minute(16));
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(15));
}

#[test]
fn a_received_in_the_future_is_anchored_at_first_sight_with_an_alarm() {
    let mut bench = Bench::new();
    let plan = bench.put(1, row("csam", minute(600)));
    assert!(plan.alarms.iter().any(|alarm| matches!(alarm, Alarm::AnchoredAtFirstSight { .. })));
    let unreadable = Row { received: Received::Unreadable, ..row("csam", minute(0)) };
    bench.put(2, unreadable);
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 2);
}

/// A read that began at `minute(1)` and took 3 s.
fn slow_read(bench: &mut Bench, id: i64, row: Row) -> Plan {
    bench.now = minute(1).plus(Span::from_secs(3));
    let rows = vec![Observation { id: ReportId::Int(id), row: Some(row) }];
    let (source, read_began) = ("reports".into(), minute(1));
    bench.feed(Input::Rows(Rows { source, read_began, rows, rejects: Vec::new(), recalled: Vec::new() }))
}

#[test]
fn a_report_that_came_in_while_it_was_read_counts_from_its_own_time_and_alarms_nobody() {
    for category in ["csam", "threat", "spam"] {
        for (ahead, is_of_the_future) in [(2, false), (3, false), (8, false), (9, true)] {
            let mut bench = Bench::new();
            let received = minute(1).plus(Span::from_secs(ahead));
            let plan = slow_read(&mut bench, 1, row(category, received));
            let is_alarmed = plan.alarms.iter().any(|alarm| matches!(alarm, Alarm::AnchoredAtFirstSight { .. }));
            let case = bench.core.cases().next().expect("its case");
            let counts_from = if is_of_the_future { minute(1) } else { received };
            assert_eq!((is_alarmed, case.received()), (is_of_the_future, counts_from), "{category}, {ahead} s");
        }
    }
}

#[test]
fn an_event_that_happened_while_it_was_read_counts_from_its_own_time() {
    for category in ["csam", "threat", "spam"] {
        for (ahead, is_of_the_future) in [(2, false), (5, false), (6, true), (3_600, true)] {
            let mut bench = Bench::new();
            let at = minute(1).plus(Span::from_secs(ahead));
            slow_read(&mut bench, 1, row(category, minute(0)).with(EventName::FirstResponse, at, person("ada")));
            let response = bench.core.cases().find_map(|case| case.first_response());
            assert_eq!(response, Some(if is_of_the_future { minute(1) } else { at }), "{category}, {ahead} s");
        }
    }
}

#[test]
fn an_id_given_a_second_time_while_it_is_read_is_another_report() {
    for category in ["csam", "spam"] {
        let mut bench = Bench::new();
        bench.put(1, row(category, minute(0)));
        slow_read(&mut bench, 1, row(category, minute(1).plus(Span::from_secs(2))));
        let received: Vec<_> = bench.core.cases().map(|case| case.received()).collect();
        assert!(received.contains(&minute(1).plus(Span::from_secs(2))), "{category}: {received:?}");
    }
}

#[test]
fn a_close_before_its_opening_is_clamped_and_counted_as_skew() {
    let mut bench = Bench::new();
    let plan = bench.put(1, row("spam", minute(0)).closed(minute(-1), person("ada"), Verdict::Unmapped));
    assert!(plan.alarms.iter().any(|alarm| matches!(alarm, Alarm::Skew { .. })));
    assert_eq!(plan.outcomes[0].ended_at, minute(0));
}

#[test]
fn lesser_breaches_of_one_category_ring_together_and_again_after_five_minutes() {
    let mut bench = Bench::new();
    for id in 0..20 {
        bench.put(id, row("threat", minute(-1).plus(Span::from_secs(id))));
    }
    bench.until(minute(60));
    let counts: Vec<u64> = bench.rings().iter().map(|page| page.count).collect();
    assert_eq!(counts, [1, 20]);
}

#[test]
fn a_breach_of_higher_priority_rings_beside_a_firing_group_at_once() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(31));
    bench.put(2, row("csam", minute(0)));
    assert_eq!(bench.rings().len(), 2);
    assert_eq!(bench.rings()[1].priority, Priority::P0);
}

#[test]
fn an_incident_resolves_when_its_overdue_targets_are_met_and_closes_every_round() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(61));
    bench.put(1, row("csam", minute(0)).closed(minute(61), person("ada"), Verdict::Violation));
    let closed: Vec<u32> = bench.resolves().iter().map(|page| page.round).collect();
    assert_eq!(closed, [0, 1]);
    bench.until(minute(62));
    assert_eq!(bench.core.cases().count(), 0);
}

#[test]
fn l16_many_p0_that_ring_at_once_ring_as_one_bundle_that_lists_all_and_closes_when_all_have() {
    let mut bench = Bench::new();
    let rows = |closed: bool| {
        let row = |id: i64| {
            let row = row("csam", minute(-100));
            let by = person(&format!("mod-{}", id % 20));
            if closed { row.closed(minute(id), by, Verdict::Violation) } else { row }
        };
        (0..120).map(|id| Observation { id: ReportId::Int(id), row: Some(row(id)) }).collect::<Vec<_>>()
    };
    bench.rows(rows(false));
    let rings = bench.rings();
    assert_eq!(rings.len(), 3, "in three numbered parts");
    assert_eq!(rings[1].part, Some((2, 3)));
    assert!(rings.iter().all(|page| page.count == 120));
    let listed: usize = rings.iter().map(|page| page.cases.len()).sum();
    assert_eq!(listed, 120);
    bench.until(minute(121));
    bench.rows(rows(true).into_iter().take(119).collect());
    assert_eq!(bench.resolves().len(), 0);
    bench.rows(rows(true));
    assert_eq!(bench.resolves().len(), 3);
    bench.until(minute(122));
    assert_eq!(bench.core.cases().count(), 0);
}

#[test]
fn a_first_start_on_a_backlog_rings_once_with_the_whole_count() {
    let mut bench = Bench::new();
    bench.core = tocsin::core::engine::Core::new(std::sync::Arc::new(policy()));
    let batch = |from: i64| {
        let row = |id| Observation { id: ReportId::Int(id), row: Some(row("threat", minute(-100))) };
        (from..from + 1_000).map(row).collect::<Vec<_>>()
    };
    for from in [0, 1_000, 2_000] {
        bench.rows(batch(from));
    }
    assert_eq!(bench.rings().len(), 0);
    bench.blind = true;
    bench.feed(Input::ScanEnded { source: "reports".into(), began: minute(0) });
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].count, 3_000);
    assert!(bench.rings()[0].cases.iter().all(|case| case.inherited));
}

#[test]
fn the_same_row_reopened_below_p0_continues_its_original_clock() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.put(1, row("threat", minute(0)).closed(minute(0), person("ada"), Verdict::Unmapped));
    bench.until(minute(45));
    bench.put(1, row("threat", minute(0)));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(30));
}

#[test]
fn an_id_given_a_second_time_is_another_report() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(10));
    bench.poll();
    bench.until(minute(13));
    bench.put(1, row("csam", minute(12)));
    let received = |bench: &Bench| bench.core.cases().map(|case| case.received()).collect::<Vec<_>>();
    assert_eq!(received(&bench), [minute(0), minute(12)]);
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1, "the vanished one is still owed an answer");
}

#[test]
fn evidence_that_contradicts_a_verified_breach_is_appended_and_erases_nothing() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(31));
    assert_eq!(bench.breaches().len(), 1);
    bench.put(1, row("threat", minute(0)).closed(minute(29), person("ada"), Verdict::Unmapped));
    let last = bench.plans.iter().flat_map(|plan| &plan.breaches).next_back().expect("a breach");
    assert_eq!(last.status, BreachStatus::Verified);
    assert_eq!(last.contradicted_at, Some(minute(31)));
    assert_eq!(bench.pages.iter().filter(|page| page.kind == PageKind::Resolve).count(), 1);
}

#[test]
fn a_due_date_that_the_source_moves_out_is_ignored_on_p0() {
    let mut policy = policy();
    let due = tocsin::core::policy::Due::Stated { column: "due_at".into() };
    let target = tocsin::core::policy::Target {
        name: "closed".into(),
        from: EventName::Received,
        until: EventName::Closed,
        due,
        warn: None,
        repeat: None,
    };
    policy.minor_safety.targets = vec![target.clone()];
    policy.rules[0].targets = vec![target];
    let mut bench = Bench::with(policy);
    let due = |category: &str, at| {
        let mut row = row(category, minute(0));
        row.dues.push(("due_at".into(), minute(at)));
        row
    };
    bench.put(1, due("csam", 20));
    bench.put(2, due("threat", 20));
    bench.put(1, due("csam", 90));
    bench.put(2, due("threat", 90));
    bench.until(minute(30));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].priority, Priority::P0);
}

#[test]
fn an_idle_poll_changes_nothing_that_would_be_written() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("spam", minute(0)));
    bench.until(minute(1));
    let plan = bench.poll();
    assert!(!plan.is_durable());
    assert!(plan.cases.is_empty());
}

#[test]
fn a_restart_goes_on_where_the_store_left_off_without_ringing_twice() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    let cases: Vec<_> = bench.core.cases().collect();
    let incidents: Vec<_> = bench.core.view(bench.now).incidents.into_iter().map(|row| row.incident).collect();
    let next = bench.plans.iter().filter_map(|p| p.incidents.keys().max()).max().map_or(1, |no| no.0 + 1);
    bench.core = tocsin::core::engine::Core::restore(std::sync::Arc::new(policy()), cases, incidents, next);
    bench.poll();
    bench.until(minute(30));
    assert_eq!(bench.rings().len(), 1);
    bench.until(minute(61));
    assert_eq!(bench.rings().len(), 2, "the second deadline rings as round 1 of the same incident");
    assert_eq!(bench.rings()[1].round, 1);
    assert_eq!(bench.rings()[1].incident, bench.rings()[0].incident);
    let case = bench.core.cases().next().expect("a case");
    assert!(case.clocks.iter().all(|clock| !matches!(clock.state, ClockState::Asked { .. })));
}

#[test]
fn l01_a_warning_comes_once_before_each_deadline_and_is_no_breach() {
    let mut policy = policy();
    policy.rules[0].targets[0].warn = Some(Span::from_mins(10));
    policy.minor_safety.targets[1].warn = Some(Span::from_mins(10));
    let mut bench = Bench::with(policy);
    bench.put(1, row("threat", minute(0)));
    bench.put(2, row("csam", minute(0)).with(EventName::FirstResponse, minute(0), person("ada")));
    bench.put(3, row("threat", minute(0)));
    bench.until(minute(19));
    let warned = |bench: &Bench| bench.plans.iter().flat_map(|plan| plan.warnings.clone()).collect::<Vec<_>>();
    assert_eq!(warned(&bench).len(), 0);
    bench.put(3, row("threat", minute(0)).closed(minute(19), person("ada"), Verdict::Unmapped));
    for m in 20..30 {
        bench.until(minute(m));
        bench.poll();
    }
    assert_eq!(warned(&bench).iter().map(|warning| warning.deadline).collect::<Vec<_>>(), [minute(30)]);
    assert_eq!(bench.rings().len(), 0);
    bench.until(minute(59));
    assert_eq!(warned(&bench).len(), 2);
    assert_eq!(bench.breaches(), [("closed".to_owned(), minute(30))]);
}

#[test]
fn l02_a_new_deadline_warns_anew() {
    let mut policy = policy();
    let due = tocsin::core::policy::Due::Stated { column: "due_at".into() };
    policy.rules[0].targets[0].due = due;
    policy.rules[0].targets[0].warn = Some(Span::from_mins(5));
    let mut bench = Bench::with(policy);
    let due = |at| {
        let mut row = row("threat", minute(0));
        row.dues.push(("due_at".into(), minute(at)));
        row
    };
    bench.put(1, due(20));
    bench.until(minute(16));
    bench.put(1, due(60));
    bench.until(minute(59));
    let warned: Vec<_> = bench.plans.iter().flat_map(|plan| &plan.warnings).map(|warning| warning.deadline).collect();
    assert_eq!(warned, [minute(20), minute(60)]);
}

#[test]
fn json_of_reports_reads_back_and_unsorted_json_is_put_in_order() {
    use tocsin::core::case::{Read, Report};
    use tocsin::core::id::ReportKey;
    use tocsin::core::reports::Reports;
    let pair = |id: i64| {
        let key = ReportKey { source: "reports".into(), id: ReportId::Int(id), incarnation: 0 };
        (key, Report::first_sight(row("spam", minute(id)), Read::at(minute(100))))
    };
    let unsorted = serde_json::to_string(&vec![pair(2), pair(1)]).unwrap();
    let reports: Reports = serde_json::from_str(&unsorted).unwrap();
    assert_eq!(reports, Reports::from([pair(1), pair(2)]));
    let again: Reports = serde_json::from_str(&serde_json::to_string(&reports).unwrap()).unwrap();
    assert_eq!(again, reports);
}
