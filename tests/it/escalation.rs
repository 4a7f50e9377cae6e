//! Whom an incident rings, step by step, and what an acknowledgement stops. Counted in rings: each is a
//! round of its own, because a receiver that sees a key again stays silent.

use crate::kit::*;
use tocsin::core::act::Deed;
use tocsin::core::id::{IncidentNo, ReportId};
use tocsin::core::incident::Blind;
use tocsin::core::observation::{EventName, Observation, Verdict};
use tocsin::core::plan::{About, Input, PageKind};
use tocsin::core::policy::{Escalation, Policy, Priority, Step};
use tocsin::core::selfcheck::Findings;
use tocsin::core::sight::BlindKind;
use tocsin::core::time::Span;

/// Minor safety: at once, after 5 and after 15 minutes, then every 10; act within 15.
fn night() -> Policy {
    let step = |at: i64, channel: &str| Step { at: Span::from_mins(at), notify: vec![channel.into()] };
    let escalation = Escalation {
        steps: vec![step(0, "pager"), step(5, "leads"), step(15, "executive")],
        repeat: Some(Span::from_mins(10)),
        act_within: Some(Span::from_mins(15)),
        warn: None,
    };
    let mut policy = policy();
    policy.minor_safety.targets = vec![target(EventName::Closed, 10)];
    policy.escalations.insert("minor-safety".into(), escalation.clone());
    policy.escalations.insert("on-call".into(), escalation);
    policy
}

fn acknowledge(bench: &mut Bench, incident: IncidentNo) {
    bench.feed(by_ada(1, Deed::Acknowledge { incident }));
}

/// (minutes since the deadline at minute 10, channel) of every ring so far.
fn rung(bench: &Bench) -> Vec<(i64, String)> {
    bench.rings().iter().map(|page| (page.created_at.since(minute(10)).secs() / 60, page.channel.to_string())).collect()
}

fn expected(rings: &[(i64, &str)]) -> Vec<(i64, String)> {
    rings.iter().map(|(at, channel)| (*at, (*channel).to_owned())).collect()
}

#[test]
fn an_incident_climbs_its_steps_and_then_repeats_the_last_until_somebody_acknowledges() {
    let mut bench = Bench::with(night());
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(46));
    let all = [(0, "pager"), (5, "leads"), (15, "executive"), (25, "executive"), (35, "executive")];
    assert_eq!(rung(&bench), expected(&all));
    let rounds: Vec<u32> = bench.rings().iter().map(|page| page.round).collect();
    assert_eq!(rounds, [0, 1, 2, 3, 4]);
    let incident = bench.rings()[0].incident;
    acknowledge(&mut bench, incident);
    bench.put(1, row("csam", minute(0)).with(EventName::ReviewerAction, minute(47), person("ada")));
    bench.until(minute(200));
    assert_eq!(rung(&bench).len(), 5);
}

#[test]
fn f16_an_acknowledgement_that_nobody_acts_on_rings_anew_at_the_highest_step_reached() {
    let mut bench = Bench::with(night());
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    let incident = bench.rings()[0].incident;
    acknowledge(&mut bench, incident);
    bench.until(minute(30));
    assert_eq!(rung(&bench), expected(&[(0, "pager"), (5, "leads")]));
    bench.until(minute(42));
    let anew = [(0, "pager"), (5, "leads"), (21, "leads"), (31, "executive")];
    assert_eq!(
        rung(&bench),
        expected(&anew),
        "fifteen minutes after the acknowledgement, later steps count from there"
    );
}

#[test]
fn an_acknowledgement_stops_the_escalation_and_never_the_clock() {
    let mut policy = night();
    policy.minor_safety.targets.push(target(EventName::FirstResponse, 20));
    let mut bench = Bench::with(policy);
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(11));
    let incident = bench.rings()[0].incident;
    acknowledge(&mut bench, incident);
    bench.until(minute(21));
    assert_eq!(bench.rings().len(), 2, "a new breach un-acknowledges");
    assert_eq!(bench.breaches().len(), 2);
}

#[test]
fn an_acknowledged_incident_still_resolves_and_closes_every_round() {
    let mut bench = Bench::with(night());
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    let incident = bench.rings()[0].incident;
    acknowledge(&mut bench, incident);
    bench.put(1, row("csam", minute(0)).closed(minute(16), person("ada"), Verdict::Violation));
    assert_eq!(bench.resolves().len(), 2);
    bench.until(minute(300));
    assert_eq!(bench.rings().len(), 2);
}

#[test]
fn l09_a_new_minor_safety_breach_rings_while_a_lesser_incident_is_acknowledged() {
    let mut bench = Bench::with(night());
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(31));
    let incident = bench.rings()[0].incident;
    acknowledge(&mut bench, incident);
    bench.put(2, row("csam", minute(0)));
    assert_eq!(bench.rings().len(), 2);
}

#[test]
fn a_bundle_climbs_its_steps_as_one_and_its_acknowledgement_covers_every_case_it_listed() {
    let mut bench = Bench::with(night());
    let rows =
        || (0..30).map(|id| Observation { id: ReportId::Int(id), row: Some(row("csam", minute(-30))) }).collect();
    bench.rows(rows());
    assert_eq!(bench.rings().len(), 1);
    let bundle = bench.rings()[0].incident;
    bench.until(minute(6));
    let rings: Vec<_> = bench.rings().iter().map(|page| (page.incident, page.step, page.count)).collect();
    assert_eq!(rings, [(bundle, 0, 30), (bundle, 1, 30)]);
    acknowledge(&mut bench, bundle);
    bench.until(minute(20));
    assert_eq!(bench.rings().len(), 2);
    bench.until(minute(22));
    assert_eq!(bench.rings().len(), 3, "nobody acted within fifteen minutes");
    assert!(bench.pages.iter().all(|page| page.kind == PageKind::Ring && page.incident == bundle));
}

#[test]
fn an_acknowledgement_of_nothing_changes_nothing_but_is_taken_up() {
    let mut bench = Bench::with(night());
    let plan = bench.feed(by_ada(7, Deed::Acknowledge { incident: IncidentNo(99) }));
    assert_eq!(plan.taken_up, Some(7));
    assert!(plan.incidents.is_empty() && plan.pages.is_empty());
}

#[test]
fn f12_blindness_rings_the_operators_once_and_resolves_when_the_source_can_be_seen() {
    let mut policy = night();
    policy.operators = Some("on-call".into());
    let mut bench = Bench::with(policy);
    let sight = |last_ok| Input::Sight { source: "reports".into(), measured: measured(last_ok) };
    bench.until(minute(3));
    bench.feed(sight(minute(1)));
    bench.feed(sight(minute(1)));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(
        bench.rings()[0].about,
        About::Blind(Blind { source: "reports".into(), since: minute(1), what: BlindKind::Stale })
    );
    bench.until(minute(9));
    assert_eq!(bench.rings().len(), 2, "nobody took it: the next step rings");
    bench.feed(sight(minute(9)));
    assert_eq!(bench.resolves().len(), 2);
    bench.until(minute(100));
    assert_eq!(bench.rings().len(), 2);
    bench.feed(sight(minute(98)));
    assert_eq!(bench.rings().len(), 3);
    assert_ne!(bench.rings()[2].incident, bench.rings()[0].incident);
}

#[test]
fn a_round_that_fell_back_is_closed_on_the_channel_that_stood_in() {
    let mut bench = Bench::with(night());
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(11));
    let ring = bench.rings()[0].clone();
    let names: Vec<&str> = ring.fallbacks.iter().map(|name| &**name).collect();
    assert_eq!(names, ["leads", "executive"]);
    let fell_back = |channel: &str| Deed::FellBack {
        incident: ring.incident,
        round: ring.round,
        channel: channel.into(),
        priority: ring.priority,
    };
    bench.feed(by_ada(1, fell_back("leads")));
    bench.put(1, row("csam", minute(0)).closed(minute(11), person("ada"), Verdict::Violation));
    let closed = |bench: &Bench| {
        let resolves = bench.resolves();
        resolves.iter().map(|page| format!("{} {}", page.round, page.channel)).collect::<Vec<_>>()
    };
    assert_eq!(closed(&bench), ["0 pager", "0 leads"]);
    bench.feed(by_ada(2, fell_back("executive")));
    assert_eq!(closed(&bench), ["0 pager", "0 leads", "0 executive"], "told after it was over");
    assert!(bench.resolves().iter().all(|page| page.fallbacks.is_empty()));
}

#[test]
fn a_test_rings_the_first_step_once_tells_of_nothing_and_is_over_by_itself() {
    let mut bench = Bench::with(night());
    for (n, escalation) in [(1, "minor-safety"), (2, "on-call"), (3, "nobody")] {
        bench.feed(by_ada(n, Deed::TestPage { escalation: escalation.into() }));
    }
    let rung: Vec<_> = bench.rings().iter().map(|page| (page.priority, page.channel.to_string())).collect();
    let expected = [Priority::P0, Priority::P1].map(|priority| (priority, "pager".to_owned()));
    assert_eq!(rung, expected, "each in the lane of what its escalation is for");
    assert!(bench.rings().iter().all(|page| page.is_test() && page.count == 0 && page.cases.is_empty()));
    let view = bench.core.view(bench.now);
    assert!(view.incidents.iter().all(|row| row.incident.is_test() && row.count == 0));
    bench.until(minute(9));
    assert_eq!((bench.rings().len(), bench.resolves().len()), (2, 0));
    bench.until(minute(100));
    assert_eq!((bench.rings().len(), bench.resolves().len()), (2, 2), "no later step, no repeat");
    assert!(bench.resolves().iter().all(|page| page.is_test() && page.created_at <= minute(11)));
    assert!(bench.core.view(bench.now).incidents.is_empty() && bench.breaches().is_empty());
}

#[test]
fn what_the_auditor_finds_rings_the_operators_again_when_there_is_more_and_resolves_when_nothing_is_left() {
    let mut policy = night();
    policy.operators = Some("on-call".into());
    let mut bench = Bench::with(policy);
    let found = |pages_unsent, escalations_stuck| Findings { pages_unsent, escalations_stuck, ..Findings::default() };
    let mut inbox = 0;
    let mut tell = |bench: &mut Bench, found| {
        inbox += 1;
        bench.feed(by_ada(inbox, Deed::Audit { found }));
    };
    tell(&mut bench, Findings::default());
    assert!(bench.pages.is_empty());
    tell(&mut bench, found(1, 0));
    tell(&mut bench, found(1, 0));
    assert_eq!(bench.rings().len(), 1, "the same again is no news");
    tell(&mut bench, found(1, 1));
    assert_eq!(bench.rings().len(), 2);
    assert_eq!(bench.rings()[1].about, About::Audit(found(1, 1)));
    assert_eq!(bench.rings()[0].incident, bench.rings()[1].incident);
    tell(&mut bench, Findings::default());
    assert_eq!(bench.resolves().len(), 2);
    bench.until(minute(100));
    assert_eq!(bench.rings().len(), 2);
    tell(&mut bench, found(1, 0));
    assert_ne!(bench.rings()[2].incident, bench.rings()[0].incident);
}
