//! Snoozes, maintenance windows, and what rings in spite of them; and what rings anew when it must. Counted in
//! rings.

use crate::kit::*;
use std::sync::Arc;
use tocsin::core::act::{Act, Deed};
use tocsin::core::case::Case;
use tocsin::core::engine::Core;
use tocsin::core::id::{CaseKey, IncidentNo, Name, ReportId, ReportKey};
use tocsin::core::incident::{Incident, LOG_CHANNEL};
use tocsin::core::observation::{Observation, Verdict};
use tocsin::core::plan::{Input, PageKind};
use tocsin::core::policy::{Escalation, Policy, Priority, Step};
use tocsin::core::quiet::{REFUSED_P0, Scope};
use tocsin::core::time::{Span, Timestamp};

/// "ncii" rings after 60 minutes under "on-call", which repeats every 10.
fn repeating() -> Policy {
    let mut policy = policy();
    let steps = vec![Step { at: Span::ZERO, notify: vec!["pager".into()] }];
    let escalation = Escalation { steps, repeat: Some(Span::from_mins(10)), act_within: None, warn: None };
    policy.escalations.insert("on-call".into(), escalation);
    policy
}

fn ask(bench: &mut Bench, inbox: i64, deed: Deed) -> Option<&'static str> {
    let at = bench.now;
    bench.feed(Input::Act(Act { inbox, by: "ada".into(), at, integration: false, deed })).refused
}

fn snooze(scope: Scope, until: i64) -> Deed {
    Deed::Snooze { scope, reason: "waiting for counsel".into(), until: minute(until) }
}

fn window(scope: Scope, from: i64, until: i64) -> Deed {
    Deed::Window { scope, reason: "the queue is being moved".into(), from: minute(from), until: minute(until) }
}

/// The minutes at which something rang.
fn rang(bench: &Bench) -> Vec<i64> {
    bench.rings().iter().map(|page| page.created_at.since(minute(0)).secs() / 60).collect()
}

fn case_of(id: i64) -> Scope {
    Scope::Case(CaseKey::Report(ReportKey { source: "reports".into(), id: ReportId::Int(id), incarnation: 0 }))
}

#[test]
fn a_snoozed_incident_is_silent_until_its_end_and_rings_then_if_it_is_not_over() {
    let mut bench = Bench::with(repeating());
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(65));
    let incident = bench.rings()[0].incident;
    assert_eq!(ask(&mut bench, 1, snooze(Scope::Incident(incident), 200)), None);
    bench.until(minute(199));
    assert_eq!(rang(&bench), [60]);
    let quiet = &bench.core.view(bench.now).quiets[0];
    assert_eq!((&*quiet.by, &*quiet.reason, quiet.until), ("ada", "waiting for counsel", minute(200)));
    bench.until(minute(205));
    assert_eq!(rang(&bench), [60, 200]);
    assert!(bench.core.view(bench.now).quiets.is_empty(), "over by itself");
    bench.until(minute(211));
    assert_eq!(rang(&bench), [60, 200, 210], "the escalation goes on");
}

#[test]
fn a_snoozed_incident_that_is_over_before_its_end_rings_no_more() {
    let mut bench = Bench::with(repeating());
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(65));
    let incident = bench.rings()[0].incident;
    ask(&mut bench, 1, snooze(Scope::Incident(incident), 200));
    bench.until(minute(100));
    bench.put(1, row("ncii", minute(0)).closed(minute(100), person("ada"), Verdict::Unmapped));
    bench.until(minute(300));
    assert_eq!((rang(&bench), bench.resolves().len()), (vec![60], 1));
}

#[test]
fn l15_what_came_due_in_a_window_rings_at_once_when_it_ends_and_nothing_is_lost() {
    let mut bench = Bench::with(repeating());
    assert_eq!(ask(&mut bench, 1, window(Scope::Category("ncii".into()), 30, 180)), None);
    for id in 1..=7 {
        bench.put(id, row("ncii", minute(0)));
    }
    bench.put(9, row("threat", minute(0)));
    bench.until(minute(179));
    assert_eq!(bench.rings().len(), rang(&bench).iter().filter(|at| **at < 180).count());
    assert!(bench.rings().iter().all(|page| &*page.cases[0].category == "threat"), "the other category rings");
    bench.until(minute(181));
    let ended: Vec<_> = bench.rings().into_iter().filter(|page| &*page.cases[0].category == "ncii").collect();
    assert_eq!(ended.iter().map(|page| (page.created_at, page.count)).collect::<Vec<_>>(), [(minute(180), 7)]);
}

#[test]
fn an_escalation_under_maintenance_holds_its_steps_and_an_end_before_time_lets_them_ring() {
    let mut bench = Bench::with(repeating());
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(61));
    assert_eq!(ask(&mut bench, 4, window(Scope::Escalation("on-call".into()), 61, 600)), None);
    bench.until(minute(300));
    assert_eq!(rang(&bench), [60]);
    assert_eq!(ask(&mut bench, 5, Deed::EndQuiet { no: 4 }), None);
    assert_eq!(rang(&bench), [60, 300]);
    assert!(ask(&mut bench, 6, Deed::EndQuiet { no: 4 }).is_some(), "it has ended");
}

#[test]
fn a_window_that_lies_ahead_holds_nothing_before_it_begins() {
    let mut bench = Bench::with(repeating());
    ask(&mut bench, 1, window(Scope::Category("ncii".into()), 90, 120));
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(125));
    assert_eq!(rang(&bench), [60, 70, 80, 120]);
}

#[test]
fn minor_safety_is_refused_every_kind_of_quiet_and_rings() {
    let mut policy = repeating();
    policy.minor_safety.escalation = "minor-safety".into();
    let mut bench = Bench::with(policy);
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    let incident = bench.rings()[0].incident;
    for scope in [Scope::Incident(incident), case_of(1)] {
        assert_eq!(ask(&mut bench, 1, snooze(scope, 100)), Some(REFUSED_P0));
    }
    assert_eq!(ask(&mut bench, 2, window(Scope::Category("csam".into()), 16, 100)), Some(REFUSED_P0));
    for scope in [Scope::Category("never_seen".into()), Scope::Escalation("minor-safety".into())] {
        assert!(ask(&mut bench, 3, window(scope, 16, 100)).is_some());
    }
    bench.until(minute(61));
    assert_eq!(rang(&bench), [15, 60]);
}

#[test]
fn a_report_in_a_category_under_maintenance_that_turns_out_to_concern_a_minor_rings() {
    let mut bench = Bench::with(repeating());
    ask(&mut bench, 1, window(Scope::Category("spam".into()), 0, 600));
    ask(&mut bench, 2, window(Scope::Escalation("on-call".into()), 0, 600));
    bench.put(1, row("spam", minute(0)));
    bench.until(minute(5));
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    assert_eq!(rang(&bench), [15]);
}

#[test]
fn a_case_that_was_snoozed_and_turns_out_to_concern_a_minor_rings_at_every_deadline() {
    let mut bench = Bench::with(repeating());
    bench.put(1, row("spam", minute(0)));
    assert_eq!(ask(&mut bench, 1, snooze(case_of(1), 600)), None);
    bench.until(minute(5));
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(61));
    assert_eq!(rang(&bench), [15, 60]);
}

#[test]
fn a_breach_of_higher_priority_rings_at_once_in_a_snoozed_incident() {
    let mut policy = repeating();
    policy.rules[0].categories = policy.rules[1].categories.clone();
    policy.rules[0].when = None;
    policy.rules[0].targets = vec![target(tocsin::core::observation::EventName::Closed, 60)];
    // The stricter rule holds for what comes later; the group is of the category.
    let mut lax = policy.clone();
    lax.rules.remove(0);
    let mut bench = Bench::with(lax);
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(61));
    let incident = bench.rings()[0].incident;
    ask(&mut bench, 1, snooze(Scope::Incident(incident), 600));
    let mut bench = reloaded(bench, policy);
    bench.put(2, row("ncii", minute(61)));
    bench.until(minute(125));
    assert_eq!(rang(&bench), [121], "P1 in a group that was snoozed at P2");
    assert_eq!(bench.rings()[0].priority, Priority::P1);
}

/// The same store under another policy, as after a restart.
fn reloaded(mut bench: Bench, policy: Policy) -> Bench {
    let cases: Vec<Case> = bench.core.cases().collect();
    let incidents: Vec<Incident> =
        bench.core.view(bench.now).incidents.iter().map(|row| row.incident.clone()).collect();
    let quiets = bench.core.view(bench.now).quiets;
    bench.core = Core::restore(Arc::new(policy), cases, incidents, 100);
    bench.core.remember_quiets(quiets);
    bench.pages.clear();
    let (now, source) = (bench.now, Name::from("reports"));
    bench.feed(Input::ScanEnded { source, began: now });
    bench
}

#[test]
fn a_snoozed_case_waits_and_the_others_of_its_category_ring() {
    let mut bench = Bench::with(repeating());
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(1));
    assert_eq!(ask(&mut bench, 1, snooze(case_of(1), 300)), None);
    bench.until(minute(90));
    assert_eq!(rang(&bench), Vec::<i64>::new());
    bench.put(2, row("ncii", minute(80)));
    bench.until(minute(141));
    assert_eq!(rang(&bench), [140]);
    bench.put(2, row("ncii", minute(80)).closed(minute(141), person("ada"), Verdict::Unmapped));
    bench.until(minute(299));
    assert_eq!(rang(&bench), [140]);
    bench.until(minute(301));
    assert_eq!(rang(&bench), [140, 300]);
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let mut bench = Bench::with(repeating());
    bench.until(minute(10));
    let spam = || Scope::Category("spam".into());
    for deed in [
        window(spam(), 5, 9),
        window(spam(), 20, 20),
        window(spam(), 10, 10 + 32 * 24 * 60),
        Deed::Window { scope: spam(), reason: "  ".into(), from: minute(10), until: minute(20) },
        Deed::Window { scope: spam(), reason: "x".repeat(201).into(), from: minute(10), until: minute(20) },
        Deed::Window { scope: spam(), reason: "two\nlines".into(), from: minute(10), until: minute(20) },
        window(Scope::Escalation("nobody".into()), 10, 20),
        snooze(Scope::Incident(IncidentNo(9)), 20),
        snooze(case_of(9), 20),
    ] {
        assert!(ask(&mut bench, 1, deed.clone()).is_some(), "{deed:?}");
    }
    assert!(bench.core.view(bench.now).quiets.is_empty());
}

#[test]
fn an_acknowledged_group_rings_for_equal_breaches_every_five_minutes_at_most_and_at_once_for_a_higher_one() {
    let mut policy = policy();
    let ncii = policy.rules[1].categories.clone();
    let strict = tocsin::core::policy::Rule {
        name: "ncii, urgent".into(),
        categories: ncii,
        priority: Priority::P1,
        when: None,
        ..policy.rules[1].clone()
    };
    let mut bench = Bench::with(policy.clone());
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(61));
    let incident = bench.rings()[0].incident;
    let by_ada = |bench: &mut Bench, inbox| ask(bench, inbox, Deed::Acknowledge { incident });
    by_ada(&mut bench, 1);
    for (id, at) in [(2, 1), (3, 2), (4, 3), (5, 4)] {
        bench.put(id, row("ncii", minute(at)));
    }
    bench.until(minute(70));
    assert_eq!(rang(&bench), [60, 65], "l09: equal ones ring together, five minutes after the last ring");
    assert_eq!(bench.rings()[1].count, 5, "l16: a throttle counts, it drops nothing");
    by_ada(&mut bench, 2);
    policy.rules.insert(0, strict);
    let mut bench = reloaded(bench, policy);
    bench.put(6, row("ncii", minute(10)));
    bench.put(7, row("ncii", minute(11)));
    bench.until(minute(72));
    assert_eq!(rang(&bench), [70], "one of higher priority than was acknowledged rings at once, its equals wait");
    bench.until(minute(76));
    assert_eq!(rang(&bench), [70, 75]);
}

#[test]
fn an_acknowledgement_by_a_page_that_did_not_tell_of_the_last_breach_has_no_effect() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    let incident = bench.rings()[0].incident;
    let taken = |bench: &Bench| bench.core.view(bench.now).incidents[0].incident.acknowledged.is_some();
    assert_eq!(ask(&mut bench, 1, Deed::AcknowledgePage { incident, round: 0 }), None);
    assert!(taken(&bench));
    bench.until(minute(61));
    assert!(!taken(&bench), "a new breach un-acknowledges");
    assert!(ask(&mut bench, 2, Deed::AcknowledgePage { incident, round: 0 }).is_some());
    assert!(!taken(&bench));
    assert_eq!(ask(&mut bench, 3, Deed::AcknowledgePage { incident, round: 1 }), None);
    assert!(taken(&bench));
}

fn shadow(mut policy: Policy) -> Policy {
    for step in policy.escalations.values_mut().flat_map(|escalation| &mut escalation.steps) {
        step.notify = vec![LOG_CHANNEL.into()];
    }
    policy
}

#[test]
fn from_shadow_to_live_every_open_incident_rings_anew_once_even_one_that_was_acknowledged() {
    let mut bench = Bench::with(shadow(repeating()));
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("ncii", minute(0)));
    bench.put(3, row("threat", minute(0)).closed(minute(20), person("ada"), Verdict::Unmapped));
    bench.until(minute(100));
    let incident = bench.rings()[0].incident;
    ask(&mut bench, 1, Deed::Acknowledge { incident });
    let mut bench = reloaded(bench, shadow(repeating()));
    bench.until(minute(101));
    assert_eq!(rang(&bench).iter().filter(|at| **at == 100).count(), 1, "shadow again: only what repeats");
    let mut bench = reloaded(bench, repeating());
    bench.until(minute(102));
    let mut channels: Vec<_> = bench.rings().iter().map(|page| page.channel.to_string()).collect();
    channels.sort();
    assert_eq!(channels, ["p0-pager", "pager"]);
    assert!(bench.rings().iter().all(|page| page.step == 0));
    let mut bench = reloaded(bench, repeating());
    bench.until(minute(103));
    assert_eq!(rang(&bench), Vec::<i64>::new(), "a restart is no news");
}

#[test]
fn from_shadow_to_live_a_bundle_rings_as_one() {
    let mut bench = Bench::with(shadow(policy()));
    let rows = (0..30).map(|id| Observation { id: ReportId::Int(id), row: Some(row("csam", minute(-30))) }).collect();
    bench.rows(rows);
    let mut bench = reloaded(bench, policy());
    bench.until(minute(1));
    assert_eq!(
        bench.rings().iter().map(|page| (page.count, page.channel.to_string())).collect::<Vec<_>>(),
        [(30, "p0-pager".into())]
    );
    assert!(bench.pages.iter().all(|page| page.kind == PageKind::Ring));
    let _: Timestamp = bench.now;
}
