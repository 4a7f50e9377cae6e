//! What people say and do beside the report database: evidence, a vanished child's case looked into, a P0 that
//! is none, and the line that each of it leaves in the audit log.

use crate::kit::*;
use tocsin::core::act::{Deed, Effect};
use tocsin::core::case::Conclusion;
use tocsin::core::id::IncidentNo;
use tocsin::core::observation::{EventName, Verdict};
use tocsin::core::plan::Plan;
use tocsin::core::policy::{Policy, Priority};

fn with_filing() -> Policy {
    let mut policy = policy();
    policy.minor_safety.targets.push(target(EventName::Filed, 120));
    policy
}

fn effect(plan: &Plan) -> Option<Effect> {
    plan.audited.as_ref().map(|line| line.effect)
}

#[test]
fn f09_a_filing_that_lives_elsewhere_is_said_by_a_person_and_meets_its_target() {
    let mut bench = Bench::with(with_filing());
    bench.put(1, row("csam", minute(0)).closed(minute(0), person("ada"), Verdict::Violation));
    bench.until(minute(100));
    let plan = bench.feed(said("ada", "filed", minute(90)));
    assert_eq!(effect(&plan), Some(Effect::Done));
    assert!(plan.kept.iter().any(|kept| kept.case.reports.values().any(|report| !report.told.is_empty())));
    bench.until(minute(400));
    assert_eq!(bench.breaches(), []);
    assert_eq!(bench.core.cases().count(), 0, "nothing is owed any more");
}

#[test]
fn f09_what_is_said_after_the_deadline_ends_the_breach_and_erases_nothing() {
    let mut bench = Bench::with(with_filing());
    bench.put(1, row("csam", minute(0)).closed(minute(0), person("ada"), Verdict::Violation));
    bench.until(minute(121));
    assert_eq!(bench.rings().len(), 1);
    bench.until(minute(130));
    bench.feed(said("ada", "filed", minute(129)));
    assert_eq!(bench.resolves().len(), 1);
    assert_eq!(bench.breaches(), [("filed".to_owned(), minute(120))]);
}

#[test]
fn f03_a_second_review_that_is_said_counts_only_by_somebody_who_had_not_closed() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).closed(minute(0), person("ada"), Verdict::NoViolation));
    bench.until(minute(10));
    bench.feed(said("ada", "second_review", minute(9)));
    assert!(bench.core.cases().all(|case| case.ended.is_none()), "she closed it herself");
    bench.feed(said("grace", "second_review", minute(9)));
    assert_eq!(bench.core.cases().count(), 0);
    bench.until(minute(300));
    assert_eq!(bench.breaches(), []);
}

#[test]
fn f13_a_vanished_p0_is_over_when_a_named_person_has_looked_into_it() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    let plan = bench.feed(said("ada", "looked_into", minute(0)));
    assert_eq!(effect(&plan), Some(Effect::NotVanished), "it is there");
    bench.until(minute(5));
    bench.delete(1);
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1, "until then its clocks run");
    let plan = bench.feed(said("ada", "looked_into", minute(16)));
    assert_eq!((effect(&plan), plan.outcomes[0].conclusion), (Some(Effect::Done), Conclusion::Vanished));
    assert_eq!((bench.resolves().len(), bench.core.cases().count()), (1, 0));
}

#[test]
fn f13_a_p0_that_comes_back_is_owed_what_it_was_owed() {
    let mut policy = policy();
    policy.minor_safety.targets = vec![target(EventName::Closed, 60)];
    let mut bench = Bench::with(policy);
    bench.put(1, row("csam", minute(0)).about(7));
    bench.put(2, row("csam", minute(0)).about(7));
    bench.delete(1);
    bench.feed(said("ada", "looked_into", minute(0)));
    bench.put(1, row("csam", minute(0)).about(7));
    bench.put(2, row("csam", minute(0)).about(7).closed(minute(0), person("ada"), Verdict::Violation));
    bench.until(minute(61));
    assert_eq!(bench.breaches(), [("closed".to_owned(), minute(60))]);
}

#[test]
fn a_known_p0_is_released_only_by_two_different_people_and_then_its_row_decides() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7));
    bench.put(1, row("spam", minute(0)).about(7));
    let priority = |bench: &Bench| bench.core.cases().next().map(|case| case.priority);
    assert_eq!(priority(&bench), Some(Priority::P0), "latched whatever its row says");
    bench.until(minute(16));
    bench.feed(said("ada", "released", minute(16)));
    let again = bench.feed(said("ada", "released", minute(16)));
    assert_eq!((effect(&again), priority(&bench)), (Some(Effect::SaidBefore), Some(Priority::P0)));
    bench.feed(said("grace", "released", minute(16)));
    assert_eq!(priority(&bench), Some(Priority::P4));
    assert_eq!(bench.resolves().len(), 1, "and nobody is asked for it any more");
}

#[test]
fn a_released_report_without_an_item_leaves_p0_too_and_one_whose_row_is_minor_safety_does_not() {
    for (category, priority) in [("spam", Priority::P4), ("grooming", Priority::P0)] {
        let mut bench = Bench::new();
        bench.put(1, row("csam", minute(0)));
        bench.put(1, row(category, minute(0)));
        bench.feed(said("ada", "released", minute(0)));
        bench.feed(said("grace", "released", minute(0)));
        assert_eq!(bench.core.cases().next().map(|case| case.priority), Some(priority), "{category}");
        bench.until(minute(1));
        bench.poll();
        assert_eq!(bench.core.cases().next().map(|case| case.priority), Some(priority), "{category}, read again");
    }
}

#[test]
fn each_deed_leaves_a_line_that_says_what_became_of_it() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    let incident = bench.rings()[0].incident;
    let done = bench.feed(by_ada(7, Deed::Acknowledge { incident }));
    let line = done.audited.expect("a line");
    assert_eq!((&*line.by, &*line.kind, line.effect), ("ada", "acknowledge", Effect::Done));
    assert_eq!((&*line.subject, line.integration), (incident.to_string().as_str(), false));
    let nothing = bench.feed(by_ada(8, Deed::Acknowledge { incident: IncidentNo(99) }));
    assert_eq!(effect(&nothing), Some(Effect::NotOpen));
    let other = Deed::Tell { source: "reports".into(), report: "999".into(), word: FILED, at: minute(1) };
    let nothing = bench.feed(by_ada(9, other));
    assert_eq!((effect(&nothing), nothing.taken_up), (Some(Effect::NotHeld), Some(9)));
    assert!(nothing.cases.is_empty());
    assert_eq!(effect(&bench.feed(by_ada(10, Deed::Unknown))), Some(Effect::NotUnderstood));
}

const FILED: tocsin::core::told::Word = tocsin::core::told::Word::Event(EventName::Filed);

#[test]
fn what_is_said_moves_with_its_report_and_lives_through_a_restart() {
    let mut bench = Bench::with(with_filing());
    bench.put(1, row("brand_new", minute(0)).about(7));
    bench.feed(said("ada", "filed", minute(0)));
    bench.put(1, row("csam", minute(0)).about(8));
    let cases: Vec<_> = bench.core.cases().collect();
    bench.core = tocsin::core::engine::Core::restore(std::sync::Arc::new(with_filing()), cases, Vec::new(), 1);
    let told =
        |bench: &Bench| bench.core.cases().map(|case| case.reports.values().map(|r| r.told.len()).sum::<usize>()).sum();
    let told: usize = told(&bench);
    assert_eq!(told, 1);
}

#[test]
fn a_breach_keeps_what_was_known_when_it_was_found() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).with(EventName::FirstResponse, minute(3), person("ada")));
    bench.until(minute(61));
    let breach = bench.plans.iter().flat_map(|plan| &plan.breaches).next_back().expect("a breach");
    let (walk, report) = (&breach.known.walk, &breach.known.reports[0]);
    assert_eq!(
        walk.iter().map(|(stretch, _)| (stretch.from, stretch.until)).collect::<Vec<_>>(),
        [(minute(0), minute(60))]
    );
    assert_eq!(report.events.iter().map(|event| event.at).collect::<Vec<_>>(), [minute(3)]);
    assert!(report.read_began > minute(60), "read after the deadline");
}
