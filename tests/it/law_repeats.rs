//! What repeats and what comes in bulk: reports that come again, notices that are owed again, closures under
//! one account that nobody can have looked at.

use crate::kit::*;
use tocsin::core::act::Deed;
use tocsin::core::engine::Core;
use tocsin::core::id::{IncidentNo, ReportId};
use tocsin::core::incident::IncidentKind;
use tocsin::core::observation::{Actor, EventName, Observation, Row, Verdict};
use tocsin::core::plan::{About, BreachStatus};
use tocsin::core::policy::{Escalation, Policy, Priority, Step};
use tocsin::core::time::{Span, Timestamp};

/// Minor safety: first step at once, then after 60 and 120 minutes; act within 15. Nothing is due for a day.
fn patient() -> Policy {
    let step = |at: i64, channel: &str| Step { at: Span::from_mins(at), notify: vec![channel.into()] };
    let escalation = Escalation {
        steps: vec![step(0, "pager"), step(600, "leads"), step(1_200, "executive")],
        repeat: None,
        act_within: Some(Span::from_mins(15)),
        warn: None,
    };
    let mut policy = policy();
    policy.minor_safety.targets = vec![target(EventName::Closed, 24 * 60), target(EventName::SecondReview, 24 * 60)];
    policy.escalations.insert("minor-safety".into(), escalation);
    policy
}

fn again(bench: &mut Bench, id: i64) {
    let at = bench.now;
    bench.put(id, row("csam", at).about(7));
}

/// (minute, step, channel) of every ring.
fn rung(bench: &Bench) -> Vec<(i64, u32, String)> {
    let minutes = |at: Timestamp| at.since(minute(0)).secs() / 60;
    bench.rings().iter().map(|page| (minutes(page.created_at), page.step, page.channel.to_string())).collect()
}

#[test]
fn f04_the_second_fourth_and_eighth_report_ring_and_those_between_do_not() {
    let mut bench = Bench::with(patient());
    for id in 1..=9 {
        bench.until(minute(id * 20));
        again(&mut bench, id);
    }
    let expected = [(40, 0, "pager"), (80, 1, "leads"), (160, 2, "executive")];
    assert_eq!(rung(&bench), expected.map(|(at, step, channel)| (at, step, channel.to_owned())));
    assert!(bench.rings().iter().all(|page| page.about == About::Repeat && page.incident == bench.rings()[0].incident));
    assert_eq!(bench.rings()[2].cases[0].reports, 8);
    assert_eq!(bench.breaches(), []);
}

#[test]
fn f05_a_report_of_an_episode_that_has_ended_is_none_of_the_next_ones_when_it_is_read_again() {
    let mut bench = Bench::with(patient());
    again(&mut bench, 1);
    let closed = row("csam", minute(0)).about(7).closed(minute(10), person("ada"), Verdict::Violation);
    bench.until(minute(10));
    bench.put(1, closed.clone());
    bench.until(minute(3 * 24 * 60));
    again(&mut bench, 2);
    let before = bench.core.next_wake();
    // A note on the old row, or a start that follows what changed last.
    bench.put(1, closed.with(EventName::SecondReview, bench.now, person("grace")));
    let held: Vec<_> = bench.core.cases().collect();
    assert_eq!(held.iter().map(|case| (case.key.episode, case.reports.len())).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!((bench.core.next_wake(), bench.rings().len(), bench.breaches().len()), (before, 0, 0));
}

/// Received after the episode of report 1 had ended, and closed before that of report 2 began; read only now.
fn unseen_until_now(by: &str, verdict: Verdict) -> Row {
    row("csam", minute(100)).about(7).closed(minute(130), person(by), verdict)
}

/// Report 1 ended the first episode; report 2 has begun the second one, in three days' time.
fn in_a_second_episode(policy: Policy) -> Bench {
    let mut bench = Bench::with(policy);
    let closed = row("csam", minute(0)).about(7).closed(minute(10), person("ada"), Verdict::Violation);
    bench.put(1, closed.with(EventName::Filed, minute(20), Actor::Automated));
    bench.until(minute(3 * 24 * 60));
    again(&mut bench, 2);
    bench
}

/// No closure can be part of a bulk any more.
fn a_minute_later(bench: &mut Bench) {
    bench.until(bench.now.plus(Span::from_mins(1)));
}

#[test]
fn f09_a_violation_closure_that_nobody_saw_is_an_episode_of_its_own_and_its_filing_is_owed() {
    let mut policy = patient();
    policy.minor_safety.targets.push(target(EventName::Filed, 24 * 60));
    let mut bench = in_a_second_episode(policy);
    let before = bench.core.next_wake();
    let unseen = unseen_until_now("grace", Verdict::Violation);
    bench.put(3, unseen.clone());
    let held: Vec<_> = bench.core.cases().map(|case| (case.key.episode, case.received())).collect();
    assert_eq!(held, [(1, bench.now), (2, minute(100))], "the episode that runs keeps its clock");
    assert_eq!(bench.breaches(), [("filed".to_owned(), minute(130 + 24 * 60))]);
    assert_eq!(bench.rings().len(), 1, "overdue when it is first seen, it rings at once");
    bench.put(3, unseen.with(EventName::Filed, bench.now, Actor::Automated));
    a_minute_later(&mut bench);
    assert_eq!((bench.core.cases().count(), bench.core.next_wake()), (1, before), "filed, it has settled");
    again(&mut bench, 4);
    assert_eq!(bench.core.cases().map(|case| (case.key.episode, case.reports.len())).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn f05_a_no_violation_closure_that_nobody_saw_has_left_its_episode_open_and_what_runs_is_on_its_clock() {
    let mut bench = in_a_second_episode(patient());
    bench.put(3, unseen_until_now("grace", Verdict::NoViolation));
    let held: Vec<_> = bench.core.cases().map(|case| (case.reports.len(), case.received())).collect();
    assert_eq!(held, [(2, minute(100))]);
    let due = |at: i64| minute(at + 24 * 60);
    let overdue = [("closed".to_owned(), due(100)), ("second_review".to_owned(), due(130))];
    assert_eq!((bench.breaches(), bench.rings().len()), (overdue.to_vec(), 1));
}

#[test]
fn f05_what_comes_in_the_same_read_as_an_old_story_is_none_of_it() {
    let mut bench = Bench::with(patient());
    again(&mut bench, 1);
    bench.until(minute(200));
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(150), person("ada"), Verdict::Violation));
    bench.until(minute(300));
    again(&mut bench, 2);
    let seen = |id: i64, row: Row| Observation { id: ReportId::Int(id), row: Some(row) };
    let old = row("csam", minute(160)).about(7).closed(minute(170), person("joan"), Verdict::Violation);
    bench.rows(vec![seen(3, old), seen(4, row("csam", minute(299)).about(7))]);
    a_minute_later(&mut bench);
    let held: Vec<_> = bench.core.cases().map(|case| (case.key.episode, case.reports.len())).collect();
    assert_eq!((held, bench.breaches()), (vec![(1, 2)], vec![]));
}

#[test]
fn f04_repeats_ring_at_most_once_in_the_time_to_act_and_the_one_that_waits_is_not_lost() {
    let mut bench = Bench::with(patient());
    for id in 1..=8 {
        bench.until(minute(id));
        again(&mut bench, id);
    }
    assert_eq!(rung(&bench).len(), 1, "the fourth and the eighth wait");
    bench.until(minute(60));
    assert_eq!(rung(&bench), [(2, 0, "pager".to_owned()), (17, 1, "leads".to_owned())]);
}

#[test]
fn f04_an_incident_that_a_repeat_opened_is_over_when_a_person_acts_and_not_before() {
    let mut bench = Bench::with(patient());
    again(&mut bench, 1);
    bench.until(minute(5));
    again(&mut bench, 2);
    let answered = |by: Actor| row("csam", minute(5)).about(7).with(EventName::FirstResponse, minute(9), by);
    bench.until(minute(9));
    bench.put(2, answered(Actor::Automated));
    bench.poll();
    assert_eq!((bench.rings().len(), bench.resolves().len()), (1, 0), "a program has not acted");
    bench.put(2, answered(person("ada")));
    assert_eq!(bench.resolves().len(), 1);
    bench.until(minute(60));
    assert_eq!(bench.rings().len(), 1);
    again(&mut bench, 3);
    again(&mut bench, 4);
    assert_eq!(bench.rings().len(), 2, "the fourth opens it anew");
}

#[test]
fn f04_a_repeat_un_acknowledges_and_rings_one_step_up_beside_an_overdue_deadline() {
    let mut policy = patient();
    policy.minor_safety.targets = vec![target(EventName::Closed, 10)];
    let mut bench = Bench::with(policy);
    again(&mut bench, 1);
    bench.until(minute(11));
    let incident = bench.rings()[0].incident;
    bench.feed(by_ada(1, Deed::Acknowledge { incident }));
    bench.until(minute(12));
    again(&mut bench, 2);
    assert_eq!(rung(&bench), [(10, 0, "pager".to_owned()), (12, 1, "leads".to_owned())]);
    bench.put(2, row("csam", minute(12)).about(7).closed(minute(12), person("ada"), Verdict::Violation));
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(12), person("ada"), Verdict::Violation));
    assert_eq!(bench.resolves().len(), 2);
}

#[test]
fn f04_rings_once_for_each_number_whatever_leaves_and_comes_back_and_across_a_restart() {
    let mut bench = Bench::with(patient());
    again(&mut bench, 1);
    again(&mut bench, 2);
    let cases: Vec<_> = bench.core.cases().collect();
    let incidents: Vec<_> = bench.core.view(bench.now).incidents.into_iter().map(|row| row.incident).collect();
    bench.core = Core::restore(std::sync::Arc::new(patient()), cases, incidents, 9);
    bench.until(minute(30));
    bench.delete(2);
    bench.put(2, row("csam", minute(0)).about(7));
    assert_eq!(bench.rings().len(), 1);
    bench.until(minute(601));
    assert_eq!(bench.rings().len(), 2, "nobody took it: the next step");
}

#[test]
fn f04_a_report_below_p0_or_after_the_end_of_an_episode_is_no_repeat() {
    let mut bench = Bench::with(patient());
    for id in 1..=4 {
        bench.put(id, row("spam", minute(0)).about(7));
    }
    bench.put(9, row("csam", minute(0)).about(8).closed(minute(0), person("ada"), Verdict::Violation));
    bench.put(10, row("csam", minute(0)).about(8));
    assert_eq!(bench.rings().len(), 0);
}

fn notified(policy: &mut Policy, repeat: Option<i64>) {
    let mut target = target(EventName::ReporterNotified, 60);
    target.repeat = repeat.map(Span::from_mins);
    policy.minor_safety.targets = vec![target];
}

#[test]
fn f10_each_reporter_of_a_p0_is_owed_a_notice_from_their_own_report() {
    let mut policy = policy();
    notified(&mut policy, None);
    let mut bench = Bench::with(policy);
    bench.put(1, row("csam", minute(0)).about(7));
    bench.until(minute(30));
    bench.put(2, row("csam", minute(30)).about(7));
    bench.put(1, row("csam", minute(0)).about(7).with(EventName::ReporterNotified, minute(30), Actor::Automated));
    bench.until(minute(91));
    assert_eq!(bench.breaches(), [("reporter_notified".to_owned(), minute(90))]);
    bench.until(minute(500));
    assert_eq!(bench.breaches().len(), 1, "once is enough where nothing repeats");
}

#[test]
fn f10_a_notice_that_repeats_is_owed_again_after_each_until_the_report_is_closed() {
    let mut policy = policy();
    notified(&mut policy, Some(100));
    let mut bench = Bench::with(policy);
    let mut told = row("csam", minute(0));
    bench.put(1, told.clone());
    for at in [50, 140] {
        bench.until(minute(at));
        told = told.with(EventName::ReporterNotified, minute(at), Actor::Automated);
        bench.put(1, told.clone());
    }
    bench.until(minute(241));
    assert_eq!(bench.breaches(), [("reporter_notified".to_owned(), minute(240))]);
    bench.until(minute(250));
    told = told.with(EventName::ReporterNotified, minute(250), Actor::Automated);
    bench.put(1, told.clone());
    assert_eq!(bench.resolves().len(), bench.rings().len());
    bench.until(minute(300));
    bench.put(1, told.closed(minute(300), person("ada"), Verdict::Violation));
    bench.until(minute(2_000));
    assert_eq!(bench.breaches().len(), 1);
    assert_eq!(bench.core.cases().count(), 0, "closed, nothing is owed any more");
}

#[test]
fn f10_notices_that_were_missed_before_the_first_look_are_each_a_breach_of_their_own() {
    let mut policy = policy();
    notified(&mut policy, Some(100));
    let mut bench = Bench::with(policy);
    bench.until(minute(1_000));
    let told = row("csam", minute(0)).with(EventName::ReporterNotified, minute(90), Actor::Automated);
    bench.put(1, told.with(EventName::ReporterNotified, minute(300), Actor::Automated));
    let due: Vec<Timestamp> = bench.breaches().into_iter().map(|(_, deadline)| deadline).collect();
    assert_eq!(due, [minute(60), minute(190), minute(400)]);
}

fn close(bench: &mut Bench, ids: std::ops::Range<i64>, by: &str, stated: i64) {
    for id in ids {
        let closed = row("csam", minute(0)).closed(minute(stated), person(by), Verdict::Violation);
        bench.put(id, closed);
    }
}

fn open(bench: &mut Bench, ids: std::ops::Range<i64>) {
    for id in ids {
        bench.put(id, row("csam", minute(0)));
    }
}

fn bulk(bench: &Bench) -> usize {
    bench.rings().iter().filter(|page| page.about == About::BulkClosures).count()
}

#[test]
fn f20_closures_in_bulk_end_no_childs_episode_until_somebody_else_has_reviewed_them() {
    let mut policy = policy();
    policy.operators = Some("on-call".into());
    let mut bench = Bench::with(policy);
    open(&mut bench, 0..12);
    bench.until(minute(2));
    close(&mut bench, 0..12, "ada", 2);
    assert_eq!(bulk(&bench), 1);
    let page = bench.rings()[0];
    assert_eq!((page.priority, &*page.channel, page.count), (Priority::P0, "pager", 11));
    assert!(bench.core.cases().all(|case| case.ended.is_none()), "the first ones too");
    bench.until(minute(10));
    assert_eq!((bulk(&bench), bench.core.cases().count()), (2, 12), "the twelfth rings with what came later");
    for id in 0..12 {
        let closed = row("csam", minute(0)).closed(minute(2), person("ada"), Verdict::Violation);
        bench.put(id, closed.with(EventName::SecondReview, minute(10), person("grace")));
    }
    assert_eq!((bench.core.cases().count(), bench.resolves().len()), (0, 2));
    bench.until(minute(300));
    assert_eq!(bench.breaches(), []);
}

#[test]
fn f20_a_closure_in_bulk_that_nobody_reviews_is_a_breach_of_second_review() {
    let mut bench = Bench::new();
    open(&mut bench, 0..11);
    bench.until(minute(2));
    close(&mut bench, 0..11, "ada", 2);
    bench.until(minute(243));
    assert_eq!(bench.breaches(), [("second_review".to_owned(), minute(242))]);
    assert!(bench.rings().iter().all(|page| &*page.channel == "p0-pager"), "without operators, minor safety hears");
}

#[test]
fn f20_as_many_as_a_person_can_look_at_and_two_people_together_are_no_bulk() {
    let mut bench = Bench::new();
    open(&mut bench, 0..40);
    bench.until(minute(2));
    close(&mut bench, 0..10, "ada", 2);
    close(&mut bench, 10..20, "grace", 2);
    bench.until(minute(4));
    close(&mut bench, 20..30, "ada", 4);
    bench.until(minute(5));
    assert_eq!((bulk(&bench), bench.core.cases().count()), (0, 10), "the others have ended");
}

#[test]
fn f20_a_script_that_writes_old_times_is_found_by_when_its_closures_were_seen() {
    let mut bench = Bench::new();
    open(&mut bench, 0..20);
    bench.until(minute(30));
    bench.poll();
    for id in 0..20 {
        let closed = row("csam", minute(0)).closed(minute(id), person("ada"), Verdict::Violation);
        bench.put(id, closed);
    }
    assert_eq!(bulk(&bench), 1);
}

#[test]
fn f20_one_decision_about_an_item_closes_all_its_reports_and_is_no_bulk() {
    let mut bench = Bench::new();
    for id in 0..30 {
        bench.put(id, row("csam", minute(0)).about(7));
    }
    for id in 0..30 {
        bench.put(id, row("csam", minute(0)).about(7).closed(minute(0), person("ada"), Verdict::Violation));
    }
    assert_eq!(bulk(&bench), 0);
}

#[test]
fn f20_a_restart_in_the_middle_of_a_bulk_still_finds_it() {
    let mut bench = Bench::new();
    open(&mut bench, 0..14);
    bench.until(minute(2));
    close(&mut bench, 0..7, "ada", 2);
    let cases: Vec<_> = bench.core.cases().collect();
    assert_eq!(cases.len(), 14, "an ended episode is kept while its closure may be part of a bulk");
    bench.core = Core::restore(std::sync::Arc::new(policy()), cases, Vec::new(), 1);
    close(&mut bench, 7..14, "ada", 2);
    assert_eq!(bulk(&bench), 1);
    let is_bulk = |kind: &IncidentKind| matches!(kind, IncidentKind::Bulk { .. });
    let open: Vec<IncidentNo> = bench
        .core
        .view(bench.now)
        .incidents
        .iter()
        .filter(|i| is_bulk(&i.incident.kind))
        .map(|i| i.incident.no)
        .collect();
    assert_eq!(open.len(), 1);
    assert!(bench.plans.iter().flat_map(|plan| &plan.breaches).all(|b| b.status != BreachStatus::Withdrawn));
}

#[test]
fn f20_whoever_closed_in_bulk_and_closes_the_same_again_is_told_of_anew() {
    let mut bench = Bench::new();
    open(&mut bench, 0..11);
    bench.until(minute(2));
    close(&mut bench, 0..11, "ada", 2);
    assert_eq!(bulk(&bench), 1);
    open(&mut bench, 0..11);
    bench.until(minute(20));
    assert_eq!(bench.core.view(bench.now).incidents.iter().filter(|i| &*i.category == "bulk closures").count(), 0);
    close(&mut bench, 0..1, "ada", 20);
    assert_eq!(bulk(&bench), 2, "alone it would be no bulk");
}

#[test]
fn f20_a_bulk_is_over_when_the_last_of_its_cases_turns_out_to_be_none_of_p0() {
    let mut bench = Bench::new();
    let about = |category: &str, id: u8| row(category, minute(0)).about(id);
    let closed = |row: Row| row.closed(minute(2), person("ada"), Verdict::Violation);
    for id in 0..11 {
        bench.put(i64::from(id), about("never_seen", id));
    }
    bench.until(minute(2));
    for id in 0..11 {
        bench.put(i64::from(id), closed(about("never_seen", id)));
    }
    let open = |bench: &Bench| {
        let incidents = bench.core.view(bench.now).incidents;
        incidents.iter().filter(|row| matches!(row.incident.kind, IncidentKind::Bulk { .. })).count()
    };
    assert_eq!(open(&bench), 1);
    for id in 0..11 {
        assert_eq!(open(&bench), 1, "a case of it still waits for its review");
        bench.put(i64::from(id), closed(about("spam", id)));
    }
    assert_eq!(open(&bench), 0);
}

#[test]
fn f20_a_closure_of_what_the_same_read_names_as_none_of_p0_is_no_part_of_a_bulk() {
    let mut bench = Bench::new();
    open(&mut bench, 0..10);
    bench.put(10, row("never_seen", minute(0)));
    bench.until(minute(2));
    let closed = |category: &str| row(category, minute(0)).closed(minute(2), person("ada"), Verdict::Violation);
    let category = |id: i64| if id < 10 { "csam" } else { "spam" };
    let rows = (0..11).map(|id| Observation { id: ReportId::Int(id), row: Some(closed(category(id))) }).collect();
    bench.rows(rows);
    assert_eq!((bulk(&bench), bench.core.cases().filter(|case| case.ended.is_none()).count()), (0, 0));
}

#[test]
fn no_number_of_an_episode_is_given_twice_while_an_earlier_one_still_runs() {
    let mut policy = policy();
    policy.minor_safety.targets.push(target(EventName::Filed, 10_000));
    let mut bench = Bench::with(policy);
    let closed = |at: i64| row("csam", minute(at)).about(7).closed(minute(at), person("ada"), Verdict::Violation);
    bench.put(1, closed(0));
    bench.until(minute(10));
    bench.put(2, closed(10).with(EventName::Filed, minute(10), Actor::Automated));
    bench.until(minute(20));
    bench.put(3, row("csam", minute(20)).about(7));
    let mut numbers: Vec<u32> = bench.core.cases().map(|case| case.key.episode).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 2], "the first still waits for its filing, the second has settled");
}
