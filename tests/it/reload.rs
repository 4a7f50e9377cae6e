//! A policy that changes while the monitor runs: open cases are judged anew, what was broken stays broken.

use crate::kit::*;
use std::sync::Arc;
use tocsin::core::observation::{Actor, EventName, Verdict};
use tocsin::core::plan::{Input, Plan};
use tocsin::core::policy::{CategoryClass, Policy, Priority};
use tocsin::core::time::Span;

trait ReloadExt {
    fn reload(&mut self, policy: Policy) -> Vec<Plan>;
    fn judge(&mut self) -> Vec<Plan>;
}

impl ReloadExt for Bench {
    /// As the engine does it: every case is judged anew, in as many steps as it takes.
    fn reload(&mut self, policy: Policy) -> Vec<Plan> {
        self.core.adopt(Arc::new(policy));
        self.judge()
    }

    fn judge(&mut self) -> Vec<Plan> {
        let mut plans = Vec::new();
        while self.core.stale() != (0, 0) {
            let before = self.core.stale();
            let asked = self.core.strangers_of_reassess();
            let recalled = self.recall(&asked);
            plans.push(self.feed(Input::Reassess { recalled }));
            assert_ne!(self.core.stale(), before, "each step judges something");
        }
        plans
    }
}

fn deadline_of(bench: &Bench, target: &str) -> Option<i64> {
    let mut clocks = bench.core.cases().flat_map(|case| case.clocks);
    let clock = clocks.find(|clock| &*clock.target == target)?;
    Some(clock.deadline?.since(minute(0)).secs() / 60)
}

#[test]
fn l03_a_changed_policy_recomputes_open_cases_and_incurred_breaches_stay() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.put(2, row("spam", minute(0)));
    bench.until(minute(31));
    assert_eq!(bench.breaches(), [("closed".to_owned(), minute(30))]);
    let mut laxer = policy();
    laxer.rules[0].targets = vec![target(EventName::Closed, 500)];
    laxer.rules[2].targets = vec![target(EventName::Closed, 100)];
    bench.reload(laxer);
    bench.until(minute(99));
    let threat = bench.core.cases().find(|case| &*case.category == "threat").unwrap();
    assert!(threat.is_overdue(), "a longer promise doesn't make good what was broken");
    assert_eq!(bench.resolves().len(), 0);
    bench.until(minute(101));
    assert_eq!(bench.breaches(), [("closed".to_owned(), minute(30)), ("closed".to_owned(), minute(100))]);
}

#[test]
fn l03_a_target_that_is_taken_away_leaves_no_deadline_to_ring_but_its_breach_stays_until_it_is_met() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    bench.put(2, row("csam", minute(16)));
    let mut without = policy();
    without.minor_safety.targets.remove(0);
    bench.reload(without);
    assert_eq!(bench.resolves().len(), 0, "no evidence, no resolve");
    bench.until(minute(50));
    let first_responses = bench.breaches().into_iter().filter(|(target, _)| target == "first_response").count();
    assert_eq!(first_responses, 1, "the second report's old deadline rings nobody");
    bench.put(1, row("csam", minute(0)).with(EventName::FirstResponse, minute(51), person("mod-1")));
    assert_eq!(bench.resolves().len(), 1);
}

#[test]
fn l03_all_of_p0_is_judged_anew_before_anything_else_and_a_tighter_promise_rings_at_once() {
    let mut bench = Bench::new();
    for id in 1..=1_500 {
        bench.put(id, row("spam", minute(0)));
    }
    bench.put(2_000, row("csam", minute(0)));
    bench.until(minute(10));
    let mut tighter = policy();
    tighter.minor_safety.targets[0] = target(EventName::FirstResponse, 5);
    let plans = bench.reload(tighter);
    assert_eq!(plans.len(), 2, "in batches that leave room for what is due");
    assert!(plans[0].cases.keys().any(|key| key.case.to_string().ends_with(":2000")));
    bench.until(bench.now);
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(5));
}

#[test]
fn what_was_met_in_time_is_not_judged_by_a_promise_that_came_later() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(12));
    bench.put(1, row("csam", minute(0)).with(EventName::FirstResponse, minute(10), person("mod-1")));
    let mut tighter = policy();
    tighter.minor_safety.targets[0] = target(EventName::FirstResponse, 5);
    bench.reload(tighter);
    bench.poll();
    bench.until(minute(30));
    assert_eq!(bench.breaches(), Vec::new());
}

#[test]
fn a_category_that_becomes_minor_safety_joins_the_case_of_its_item_which_only_the_store_remembers() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).about(7).closed(minute(1), person("mod-1"), Verdict::Violation));
    bench.until(minute(3));
    bench.put(2, row("spam", minute(2)).about(7));
    assert_eq!(bench.core.cases().count(), 1, "the first has settled");
    let mut stricter = policy();
    stricter.categories.insert("spam".into(), CategoryClass::MinorSafety);
    bench.reload(stricter);
    let case = bench.core.cases().next().unwrap();
    assert_eq!((case.priority, case.key.episode), (Priority::P0, 1), "a second episode: the first one has ended");
    assert_eq!(deadline_of(&bench, "first_response"), Some(17));
}

#[test]
fn a_category_that_somebody_names_is_presumed_no_longer() {
    let mut bench = Bench::new();
    bench.put(1, row("never_seen", minute(0)));
    let mut named = policy();
    named.categories.insert("never_seen".into(), CategoryClass::Other);
    bench.reload(named);
    let case = bench.core.cases().next().unwrap();
    assert_eq!((case.priority, &*case.rule), (Priority::P4, "no rule"));
}

#[test]
fn an_incident_whose_escalation_is_gone_still_rings_somebody() {
    let mut repeating = policy();
    repeating.escalations.get_mut("on-call").unwrap().repeat = Some(Span::from_mins(10));
    let mut bench = Bench::with(repeating.clone());
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(31));
    let mut renamed = repeating;
    let on_call = renamed.escalations.remove("on-call").unwrap();
    renamed.escalations.insert("night-shift".into(), on_call);
    for rule in &mut renamed.rules {
        rule.escalation = Some("night-shift".into());
    }
    bench.reload(renamed);
    bench.until(minute(41));
    let channels: Vec<_> = bench.rings().iter().map(|page| page.channel.to_string()).collect();
    assert_eq!(channels, ["pager", "p0-pager"], "without operators, those who hear of P0");
}

#[test]
fn a_start_judges_what_the_store_remembers_by_the_policy_of_now() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    let cases: Vec<_> = bench.kept.values().cloned().collect();
    let mut tighter = policy();
    tighter.minor_safety.targets[0] = target(EventName::FirstResponse, 5);
    bench.core = tocsin::core::engine::Core::restore(Arc::new(tighter), cases, Vec::new(), 1);
    bench.judge();
    assert_eq!(deadline_of(&bench, "first_response"), Some(5), "although no read has seen anything new");
}

#[test]
fn a_reload_that_changes_nothing_commits_nothing() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)).with(EventName::Removed, minute(0), Actor::Automated));
    bench.put(2, row("spam", minute(0)));
    let plans = bench.reload(policy());
    assert!(plans.iter().all(|plan| !plan.is_durable()));
}
