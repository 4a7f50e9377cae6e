//! Obligations: what a law or an authority asks beside whatever a rule promises, each with a clock and a
//! breach of its own, each told as a history.

use crate::kit::*;
use std::collections::BTreeSet;
use tocsin::compile::when::compile;
use tocsin::core::explain::{ExplainedState, explain};
use tocsin::core::obligation::{InForce, Obligation};
use tocsin::core::observation::{Actor, EventName, Verdict};
use tocsin::core::policy::{Due, Policy, Priority, Target};
use tocsin::core::time::Span;

fn obligation(name: &str, when: &str, from: EventName, within_mins: i64) -> Obligation {
    let due = Due::Within { span: Span::from_mins(within_mins), calendar: None };
    Obligation {
        target: Target { name: name.into(), from, until: EventName::Removed, due, warn: None, repeat: None },
        when: Some(compile(when, &Default::default()).unwrap()),
        sources: None,
        assumed: BTreeSet::new(),
        escalation: None,
        in_force: InForce::default(),
    }
}

fn with(obligations: Vec<Obligation>) -> Policy {
    let mut policy = policy();
    let mut legal = policy.escalations["on-call"].clone();
    legal.steps[0].notify = vec!["lawyers".into()];
    policy.escalations.insert("legal".into(), legal);
    policy.obligations = obligations;
    policy
}

fn deadlines(bench: &Bench) -> Vec<(String, i64)> {
    let clocks = bench.core.cases().flat_map(|case| case.clocks);
    let mut found: Vec<_> = clocks
        .filter_map(|clock| Some((clock.target.to_string(), clock.deadline?.since(minute(0)).secs() / 60)))
        .collect();
    found.sort();
    found
}

fn breached(bench: &Bench) -> Vec<String> {
    bench.breaches().into_iter().map(|(target, _)| target).collect()
}

#[test]
fn every_obligation_that_matches_applies_beside_the_rule_each_with_its_own_clock_and_breach() {
    let two_days = obligation("two days", "category == 'ncii'", EventName::Received, 120);
    let one_day = obligation("one day", "true", EventName::Received, 90);
    let other = obligation("other", "category == 'spam'", EventName::Received, 1);
    let mut bench = Bench::with(with(vec![two_days, one_day, other]));
    bench.put(1, row("ncii", minute(0)));
    assert_eq!(deadlines(&bench), [("closed".into(), 60), ("one day".into(), 90), ("two days".into(), 120)]);
    bench.until(minute(100));
    assert_eq!(breached(&bench), ["closed", "one day"]);
    bench.put(1, row("ncii", minute(0)).with(EventName::Removed, minute(100), Actor::Automated));
    bench.until(minute(200));
    assert_eq!(breached(&bench), ["closed", "one day"], "what was removed in time met the longer one");
}

#[test]
fn an_obligation_runs_on_wall_time_while_the_rule_is_paused() {
    let mut bench = Bench::with(with(vec![obligation("law", "true", EventName::Received, 90)]));
    bench.put(1, row("ncii", minute(0)).paused());
    for at in 1..=89 {
        bench.until(minute(at));
        bench.poll();
    }
    assert_eq!(breached(&bench), Vec::<String>::new());
    bench.until(minute(91));
    assert_eq!(breached(&bench), ["law"], "the pause held the rule's clock and not the law's");
    let case = bench.core.cases().next().unwrap();
    let explained = explain(&case, &with(vec![obligation("law", "true", EventName::Received, 90)]), bench.now);
    let states: Vec<_> = explained.targets.iter().map(|target| (target.obligation, target.state)).collect();
    assert_eq!(states, [(false, ExplainedState::Paused), (true, ExplainedState::Breached)]);
    let law = &explained.targets[1];
    assert_eq!((law.elapsed, law.walk.len()), (Span::from_mins(91), 1));
}

#[test]
fn the_queue_ranks_by_the_earliest_unmet_deadline_of_all_obligations_included() {
    let law = obligation("law", "category == 'ncii'", EventName::ValidRequest, 10);
    let mut bench = Bench::with(with(vec![law]));
    bench.put(1, row("ncii", minute(0)));
    bench.put(2, row("ncii", minute(1)));
    let first = |bench: &Bench| bench.core.queue().next().unwrap().first_report().unwrap().0.id.to_string();
    assert_eq!(first(&bench), "1");
    bench.put(2, row("ncii", minute(1)).with(EventName::ValidRequest, minute(2), Actor::Unmapped));
    bench.until(minute(3));
    assert_eq!(first(&bench), "2");
}

#[test]
fn an_obligation_has_no_clock_before_its_beginning_and_explain_says_that_it_waits() {
    let policy = with(vec![obligation("law", "true", EventName::AuthorityOrder, 60)]);
    let mut bench = Bench::with(policy.clone());
    bench.put(1, row("spam", minute(0)));
    assert_eq!(deadlines(&bench), [("closed".into(), 600)]);
    let explained = explain(&bench.core.cases().next().unwrap(), &policy, bench.now);
    let waits = explained.targets.last().unwrap();
    assert_eq!((&*waits.name, waits.state, waits.deadline), ("law", ExplainedState::NotStarted, None));
    bench.now = minute(30);
    bench.put(1, row("spam", minute(0)).with(EventName::AuthorityOrder, minute(20), Actor::Unmapped));
    assert_eq!(deadlines(&bench), [("closed".into(), 600), ("law".into(), 80)]);
}

#[test]
fn an_obligation_holds_for_p0_too_and_pages_in_the_one_incident_of_the_episode() {
    let mut law = obligation("law", "category == 'csam'", EventName::ValidRequest, 10);
    law.escalation = Some("legal".into());
    let mut bench = Bench::with(with(vec![law]));
    let asked = row("csam", minute(0)).about(7).with(EventName::ValidRequest, minute(0), Actor::Unknown);
    bench.put(1, asked);
    bench.until(minute(16));
    assert_eq!(breached(&bench), ["first_response", "law"], "whoever took the request down, it has come");
    assert!(bench.rings().iter().all(|page| page.incident.0 == 1 && &*page.channel == "p0-pager"));
    assert_eq!(bench.rings().len(), 2);
}

#[test]
fn a_p0_that_is_recategorised_still_owes_what_it_owed() {
    let law = obligation("law", "category == 'csam'", EventName::Received, 30);
    let mut bench = Bench::with(with(vec![law]));
    bench.put(1, row("csam", minute(0)));
    bench.put(1, row("spam", minute(0)));
    bench.until(minute(31));
    assert!(breached(&bench).contains(&"law".to_owned()));
}

#[test]
fn below_p0_a_breached_obligation_is_over_only_when_it_is_met() {
    let law = obligation("law", "category == 'ncii'", EventName::Received, 30);
    let mut bench = Bench::with(with(vec![law]));
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(31));
    bench.put(1, row("spam", minute(0)));
    assert!(bench.core.cases().next().unwrap().is_overdue(), "another category is no evidence of a removal");
    assert_eq!(bench.resolves().len(), 0);
    bench.put(1, row("spam", minute(0)).with(EventName::Removed, minute(31), Actor::Automated));
    assert_eq!(bench.resolves().len(), 1);
}

#[test]
fn a_law_is_about_what_begins_while_it_is_in_force() {
    let mut law = obligation("law", "true", EventName::Received, 30);
    law.in_force = InForce { from: Some(minute(10)), until: Some(minute(20)) };
    let mut bench = Bench::with(with(vec![law]));
    bench.now = minute(25);
    for (id, received) in [(1, 9), (2, 10), (3, 19), (4, 20)] {
        bench.put(id, row("spam", minute(received)));
    }
    bench.until(minute(60));
    let law: Vec<_> = bench.breaches().into_iter().filter(|(target, _)| target == "law").collect();
    assert_eq!(law, [("law".to_owned(), minute(40)), ("law".to_owned(), minute(49))]);
}

#[test]
fn where_a_source_does_not_map_the_beginning_the_clock_is_assumed_to_start_at_received() {
    let mut law = obligation("law", "true", EventName::ValidRequest, 30);
    law.assumed = BTreeSet::from(["reports".into()]);
    let mut bench = Bench::with(with(vec![law.clone()]));
    bench.put(1, row("spam", minute(0)));
    assert_eq!(deadlines(&bench), [("closed".into(), 600), ("law".into(), 30)]);
    law.sources = Some(BTreeSet::from(["elsewhere".into()]));
    let mut bench = Bench::with(with(vec![law]));
    bench.put(1, row("spam", minute(0)));
    assert_eq!(deadlines(&bench), [("closed".into(), 600)], "it is about another source");
}

#[test]
fn an_obligation_that_cannot_be_decided_applies() {
    let mut policy = with(Vec::new());
    policy.facts.insert("intimate".into(), tocsin::core::facts::FactType::Bool);
    let when = compile("intimate", &policy.facts).unwrap();
    policy.obligations = vec![Obligation { when: Some(when), ..obligation("law", "true", EventName::Received, 30) }];
    let mut bench = Bench::with(policy);
    let mut unreadable = row("spam", minute(0));
    unreadable.facts.push(("intimate".into(), tocsin::core::facts::Fact::Unreadable));
    let plan = bench.put(1, unreadable);
    assert_eq!(deadlines(&bench), [("closed".into(), 600), ("law".into(), 30)]);
    assert_eq!(plan.alarms.len(), 1);
}

#[test]
fn a_breach_of_an_obligation_rings_its_own_escalation_although_the_rule_was_broken_before() {
    let mut law = obligation("law", "true", EventName::Received, 90);
    law.escalation = Some("legal".into());
    let mut bench = Bench::with(with(vec![law]));
    bench.put(1, row("ncii", minute(0)));
    bench.until(minute(100));
    let rung: Vec<_> =
        bench.rings().iter().map(|page| (page.channel.to_string(), page.cases[0].target.to_string())).collect();
    assert_eq!(rung, [("pager".into(), "closed".into()), ("lawyers".into(), "law".to_owned())]);
    assert_eq!(bench.core.cases().next().unwrap().priority, Priority::P2);
    bench.put(1, row("ncii", minute(0)).with(EventName::Removed, minute(100), Actor::Automated));
    assert_eq!(bench.resolves().iter().map(|page| &*page.channel).collect::<Vec<_>>(), ["lawyers"]);
    let done = row("ncii", minute(0)).with(EventName::Removed, minute(100), Actor::Automated);
    bench.put(1, done.closed(minute(100), Actor::Unmapped, Verdict::Violation));
    assert_eq!(bench.resolves().len(), 2);
}
