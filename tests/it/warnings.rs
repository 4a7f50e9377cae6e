//! Warnings that ring: whom, when and how often, counted in pages.

use crate::kit::*;
use tocsin::core::id::ReportId;
use tocsin::core::observation::{EventName, Observation, Verdict};
use tocsin::core::plan::{About, Page, PageKind};
use tocsin::core::policy::{Escalation, Policy, Priority, Warn};
use tocsin::core::time::Span;

fn policy_that_warns(before_mins: i64, notify: &[&str]) -> Policy {
    let mut policy = policy();
    policy.minor_safety.targets = vec![target(EventName::Closed, 60)];
    let warn =
        Warn { before: Some(Span::from_mins(before_mins)), notify: notify.iter().map(|name| (*name).into()).collect() };
    for escalation in policy.escalations.values_mut() {
        *escalation = Escalation { warn: Some(warn.clone()), ..escalation.clone() };
    }
    policy
}

fn warnings(bench: &Bench) -> Vec<&Page> {
    let warns = |page: &&Page| page.kind == PageKind::Ring && page.about == About::Warning;
    bench.pages.iter().filter(warns).collect()
}

/// (minute, channel, priority, count) of each.
fn told(pages: &[&Page]) -> Vec<(i64, String, Priority, u64)> {
    let minute_of = |page: &Page| page.created_at.since(minute(0)).secs() / 60;
    pages.iter().map(|page| (minute_of(page), page.channel.to_string(), page.priority, page.count)).collect()
}

#[test]
fn l01_a_warning_rings_once_before_the_deadline_and_opens_no_incident() {
    let mut bench = Bench::with(policy_that_warns(5, &["early"]));
    bench.put(1, row("csam", minute(0)));
    for at in [20, 54, 56, 57, 59] {
        bench.until(minute(at));
        bench.poll();
    }
    assert_eq!(told(&warnings(&bench)), [(55, "early".into(), Priority::P0, 1)]);
    assert_eq!(warnings(&bench)[0].cases[0].deadline, minute(60));
    let view = bench.core.view(bench.now);
    assert!(view.incidents.is_empty() && view.queue[0].incident.is_none());
    assert!(bench.rings().is_empty() && bench.breaches().is_empty());
    bench.until(minute(70));
    assert_eq!(told(&bench.rings()), [(60, "p0-pager".into(), Priority::P0, 1)]);
    assert_eq!(warnings(&bench).len(), 1);
}

#[test]
fn l02_a_new_deadline_of_the_same_target_warns_anew_and_the_old_one_never_again() {
    let mut policy = policy_that_warns(5, &[]);
    policy.rules[0].targets[0].due = tocsin::core::policy::Due::Stated { column: "due_at".into() };
    let mut bench = Bench::with(policy);
    let due = |at| {
        let mut row = row("threat", minute(0));
        row.dues.push(("due_at".into(), minute(at)));
        row
    };
    bench.put(1, due(20));
    bench.until(minute(16));
    bench.put(1, due(60));
    bench.until(minute(30));
    bench.put(1, due(60));
    bench.until(minute(58));
    assert_eq!(
        warnings(&bench).iter().map(|page| page.cases[0].deadline).collect::<Vec<_>>(),
        [minute(20), minute(60)]
    );
    assert!(warnings(&bench).iter().all(|page| &*page.channel == "pager"), "without its own, the first step's channel");
}

#[test]
fn a_target_says_for_itself_how_long_before_and_one_that_is_shorter_does_not_warn() {
    let mut policy = policy_that_warns(20, &[]);
    policy.minor_safety.targets = vec![target(EventName::FirstResponse, 15), target(EventName::Closed, 60)];
    policy.minor_safety.targets[1].warn = Some(Span::from_mins(30));
    let mut bench = Bench::with(policy);
    bench.put(1, row("csam", minute(0)).with(EventName::FirstResponse, minute(0), person("ada")));
    bench.until(minute(59));
    assert_eq!(told(&warnings(&bench)), [(30, "p0-pager".into(), Priority::P0, 1)]);
}

#[test]
fn five_thousand_warnings_at_one_instant_are_one_page_for_each_escalation_and_p0_apart() {
    let mut bench = Bench::with(policy_that_warns(5, &[]));
    let rows = |ids: std::ops::Range<i64>, category: &str, at| -> Vec<Observation> {
        ids.map(|id| Observation { id: ReportId::Int(id), row: Some(row(category, minute(at))) }).collect()
    };
    for first in (0..5_000).step_by(1_000) {
        bench.rows(rows(first..first + 1_000, "threat", 30));
    }
    bench.rows(rows(9_000..9_070, "csam", 0));
    bench.until(minute(59));
    let mut pages = told(&warnings(&bench));
    pages.sort();
    let lesser: u64 = pages.iter().filter(|page| page.2 == Priority::P1).map(|page| page.3).sum();
    let p0: Vec<_> = pages.iter().filter(|page| page.2 == Priority::P0).collect();
    assert_eq!((lesser, p0.len(), p0[0].3), (5_000, 1, 70));
    assert!(pages.len() <= 3, "one instant that takes several ticks may ring a second time, a minute later: {pages:?}");
    assert!(warnings(&bench).iter().all(|page| page.cases.len() <= 50));
}

#[test]
fn lesser_warnings_that_come_one_after_the_other_ring_together_and_leave_out_what_was_met_meanwhile() {
    let mut bench = Bench::with(policy_that_warns(5, &[]));
    let at = |secs: i64| minute(0).plus(Span::from_secs(secs));
    for (id, secs) in [(1, 0), (2, 10), (3, 20), (4, 30)] {
        bench.until(at(secs));
        bench.put(id, row("threat", at(secs)));
    }
    bench.until(at(25 * 60 + 40));
    bench.put(3, row("threat", at(20)).closed(at(25 * 60 + 39), person("ada"), Verdict::Unmapped));
    bench.until(minute(28));
    let told: Vec<_> =
        warnings(&bench).iter().map(|page| (page.created_at.since(at(1_500)).secs(), page.count)).collect();
    assert_eq!(told, [(0, 1), (60, 2)]);
}

#[test]
fn a_warning_is_over_at_its_receiver_when_what_it_told_of_is_met() {
    let mut bench = Bench::with(policy_that_warns(5, &["early"]));
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(56));
    bench.put(1, row("csam", minute(0)).closed(minute(56), person("ada"), Verdict::Violation));
    let over = bench.resolves();
    assert_eq!(over.len(), 1);
    assert_eq!((&over[0].about, over[0].kind), (&About::Warning, PageKind::Resolve));
    assert_eq!((over[0].incident, over[0].round), (warnings(&bench)[0].incident, warnings(&bench)[0].round));
    bench.until(minute(90));
    assert_eq!(bench.pages.len(), 2);
}

#[test]
fn a_warning_of_a_source_that_nobody_can_see_any_more_is_over_once_its_deadline_has_passed() {
    let mut bench = Bench::with(policy_that_warns(5, &["early"]));
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(26));
    bench.blind = true;
    bench.until(minute(40));
    assert_eq!(bench.resolves().len(), 1);
    assert!(bench.core.view(bench.now).incidents.is_empty());
}

#[test]
fn a_warning_without_an_escalation_is_told_to_the_log_alone() {
    let mut policy = policy_that_warns(5, &[]);
    policy.rules[0].escalation = None;
    policy.rules[0].targets[0].warn = Some(Span::from_mins(5));
    let mut bench = Bench::with(policy);
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(29));
    assert!(bench.pages.is_empty());
    assert_eq!(bench.plans.iter().map(|plan| plan.warnings.len()).sum::<usize>(), 1);
}
