//! What facts do to the law: `when`, `minor_when`, `raised_when` and `spread`, each told as a history with
//! expressions compiled as a configuration compiles them.

use crate::kit::*;
use tocsin::compile::when::compile;
use tocsin::core::facts::{Fact, FactType, Predicate, Real};
use tocsin::core::observation::{EventName, Row, Verdict};
use tocsin::core::plan::{Alarm, Input};
use tocsin::core::policy::{Categories, CategoryClass, Policy, Priority, Rule, Spread, Standing};
use tocsin::core::time::{Span, Timestamp};

fn facts_policy() -> Policy {
    let mut policy = policy();
    let types = [
        ("views", FactType::Int),
        ("score", FactType::Float),
        ("minor", FactType::Bool),
        ("reporter", FactType::String),
    ];
    policy.facts = types.into_iter().map(|(name, kind)| (name.into(), kind)).collect();
    policy.minor_when = Some(when(&policy, "minor"));
    policy.raised_when = Some(when(&policy, "reporter == 'police'"));
    policy.minor_safety.spread = Some(Spread { fact: "views".into(), per_hour: 1_000, within: Span::from_mins(15) });
    policy
}

fn when(policy: &Policy, text: &str) -> Predicate {
    compile(text, &policy.facts).unwrap()
}

trait FactsExt {
    fn fact(self, name: &str, fact: Fact) -> Row;
    fn views(self, views: i64) -> Row;
    fn minor(self, minor: bool) -> Row;
    fn from(self, reporter: &str) -> Row;
}

impl FactsExt for Row {
    fn fact(mut self, name: &str, fact: Fact) -> Row {
        self.facts.push((name.into(), fact));
        self
    }

    fn views(self, views: i64) -> Row {
        self.fact("views", Fact::Int(views))
    }

    fn minor(self, minor: bool) -> Row {
        self.fact("minor", Fact::Bool(minor))
    }

    fn from(self, reporter: &str) -> Row {
        self.fact("reporter", Fact::String(reporter.into()))
    }
}

#[test]
fn a_rule_matches_by_its_categories_and_its_when() {
    let mut policy = facts_policy();
    let mut viral = policy.rules[0].clone();
    viral.name = "viral".into();
    viral.categories = Categories::AllNamed;
    viral.priority = Priority::P1;
    viral.when = Some(when(&policy, "views > 1000 && category != 'threat'"));
    policy.rules.insert(0, viral);
    let rule = |row: Row| policy.assess(&row).rule.to_string();
    assert_eq!(rule(row("spam", minute(0)).views(1_001)), "viral");
    assert_eq!(rule(row("spam", minute(0)).views(1_000)), "spam");
    assert_eq!(rule(row("spam", minute(0))), "spam");
    assert_eq!(rule(row("threat", minute(0)).views(1_001)), "threat");
    assert_eq!(policy.assess(&row("csam", minute(0)).views(9_999)).priority, Priority::P0);
}

#[test]
fn minor_when_makes_any_category_known_p0_and_latches_for_the_episode() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("spam", minute(0)).minor(true));
    bench.put(2, row("never_seen", minute(0)).minor(true));
    for case in bench.core.cases() {
        assert_eq!((case.priority, case.standing), (Priority::P0, Standing::Known));
    }
    bench.put(1, row("spam", minute(0)).minor(false));
    bench.until(minute(16));
    assert_eq!(bench.core.cases().filter(|case| case.priority == Priority::P0).count(), 2);
    assert_eq!(bench.rings().len(), 2, "the clock of P0 runs on although the flag is gone");
}

#[test]
fn a_minor_found_out_late_moves_a_lesser_report_to_p0_on_the_clock_of_its_receipt() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("spam", minute(0)).about(7).minor(false));
    bench.until(minute(30));
    assert_eq!(bench.rings().len(), 0);
    bench.put(1, row("spam", minute(0)).about(7).minor(true));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].priority, Priority::P0);
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(15));
}

#[test]
fn whether_a_minor_is_concerned_cannot_be_read_so_it_is_presumed_with_an_alarm_until_it_can() {
    let mut bench = Bench::with(facts_policy());
    let plan = bench.put(1, row("spam", minute(0)).fact("minor", Fact::Unreadable));
    let undecided = Alarm::Undecided { source: "reports".into(), predicate: "minor".into() };
    assert!(plan.alarms.contains(&undecided));
    assert_eq!(plan.alarms.len(), 1, "its category is named, so nobody is told to name it");
    let case = bench.core.cases().next().unwrap();
    assert_eq!((case.priority, case.standing), (Priority::P0, Standing::Presumed));
    bench.put(1, row("spam", minute(0)).minor(false));
    assert_eq!(bench.core.cases().next().unwrap().priority, Priority::P4);
    let plan = bench.put(1, row("spam", minute(0)).fact("minor", Fact::Unreadable));
    assert!(plan.alarms.contains(&undecided), "a row that goes bad later is alarmed too");
}

#[test]
fn of_rules_that_cannot_be_decided_and_the_one_that_matches_the_strictest_holds() {
    let mut policy = facts_policy();
    let mut lax = policy.rules[2].clone();
    lax.name = "lax".into();
    lax.categories = Categories::AllNamed;
    lax.when = Some(when(&policy, "views < 10"));
    let mut strict = lax.clone();
    (strict.name, strict.priority) = ("strict".into(), Priority::P1);
    policy.rules.insert(0, lax);
    policy.rules.insert(2, strict);
    let unread = |category: &str| row(category, minute(0)).fact("views", Fact::Unreadable);
    assert_eq!(policy.assess(&unread("threat")).rule.as_ref(), "threat", "P1 before the lax P4");
    assert_eq!(policy.assess(&unread("spam")).rule.as_ref(), "strict", "P1 before the P4 that matches");
    assert!(policy.assess(&unread("spam")).undecided.is_some());
    let read = policy.assess(&row("spam", minute(0)).views(10)).rule.to_owned();
    assert_eq!(&*read, "spam");
}

#[test]
fn f07_a_raised_report_ranks_at_the_top_of_its_priority_and_never_above_it() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(-5)));
    bench.put(2, row("csam", minute(0)).from("police"));
    bench.put(3, row("threat", minute(-20)));
    bench.put(4, row("threat", minute(0)).from("police"));
    bench.put(5, row("spam", minute(0)).from("police"));
    bench.put(6, row("never_seen", minute(0)).from("police"));
    let order = bench.core.view(bench.now).queue.iter().map(|row| row.first_report.id.to_string()).collect::<Vec<_>>();
    assert_eq!(order, ["2", "1", "6", "4", "3", "5"]);
}

#[test]
fn f07_with_a_minor_concerned_a_police_reference_is_p0_and_first() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(-10)));
    bench.put(2, row("spam", minute(0)).from("police").minor(true));
    let first = bench.core.view(bench.now).queue[0].clone();
    assert_eq!((first.first_report.id.to_string().as_str(), first.priority), ("2", Priority::P0));
}

#[test]
fn f07_raised_stays_for_the_episode_and_across_a_restart() {
    let mut bench = Bench::with(facts_policy());
    let plan = bench.put(1, row("threat", minute(0)).from("police"));
    assert_eq!(plan.kept.len(), 1, "no database can repeat it once the reference is gone");
    bench.put(1, row("threat", minute(0)).from(""));
    assert!(bench.core.cases().next().unwrap().raised);
    let cases: Vec<_> = bench.core.cases().collect();
    let json = serde_json::to_string(&cases).unwrap();
    let cases: Vec<tocsin::core::case::Case> = serde_json::from_str(&json).unwrap();
    bench.core = tocsin::core::engine::Core::restore(std::sync::Arc::new(facts_policy()), cases, Vec::new(), 1);
    bench.until(minute(5));
    bench.put(1, row("threat", minute(0)).from("").views(3));
    assert!(bench.core.cases().next().unwrap().raised);
}

#[test]
fn f07_what_cannot_be_read_ranks_as_raised_while_it_cannot() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("threat", minute(0)).fact("reporter", Fact::Unreadable));
    assert!(bench.core.cases().next().unwrap().raised);
    bench.put(1, row("threat", minute(0)).from("anyone"));
    assert!(!bench.core.cases().next().unwrap().raised);
}

#[test]
fn f06_crossing_a_view_velocity_tightens_every_running_deadline_once() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(0)).about(7).views(10).with(EventName::FirstResponse, minute(0), person("ada")));
    let responded =
        |views| row("csam", minute(0)).about(7).views(views).with(EventName::FirstResponse, minute(0), person("ada"));
    bench.until(minute(10));
    bench.put(1, responded(100));
    assert_eq!(bench.core.cases().next().unwrap().crossed, None, "90 more in ten minutes is no spread");
    bench.until(minute(12));
    bench.put(1, responded(200));
    let case = bench.core.cases().next().unwrap();
    assert_eq!(case.crossed, Some(minute(12)));
    assert_eq!(case.next_deadline(), Some(minute(27)), "15 minutes from the crossing, in place of 60 from receipt");
    bench.until(minute(20));
    bench.put(1, responded(100_000));
    assert_eq!(bench.core.cases().next().unwrap().next_deadline(), Some(minute(27)), "it crosses once");
    bench.until(minute(28));
    assert_eq!(bench.rings().len(), 1);
    assert_eq!(bench.rings()[0].cases[0].deadline, minute(27));
}

#[test]
fn f06_nothing_that_comes_later_lengthens_what_a_crossing_shortened() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(-2)).about(7).views(200));
    let first = bench.core.cases().next().unwrap().clone();
    assert_eq!(first.crossed, Some(minute(0)), "200 within its first minutes");
    assert_eq!(first.next_deadline(), Some(minute(13)), "what is due before stays due before");
    bench.until(minute(5));
    bench.put(1, row("csam", minute(-2)).about(7).views(0));
    bench.put(2, row("spam", minute(5)).about(7).minor(true));
    bench.put(1, row("spam", minute(-2)).about(7).views(0));
    let case = bench.core.cases().next().unwrap();
    let due: Vec<_> = case.clocks.iter().filter_map(|clock| clock.deadline).collect();
    assert_eq!(due, [minute(13), minute(15)]);
}

#[test]
fn f06_a_burst_after_a_quiet_hour_is_measured_from_the_last_look_before_it() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(0)).views(0));
    for m in 1..50 {
        bench.until(minute(m));
        bench.poll();
    }
    bench.put(1, row("csam", minute(0)).views(120));
    assert_eq!(bench.core.cases().next().unwrap().crossed, Some(minute(49)));
}

#[test]
fn f06_one_view_between_two_polls_is_no_spread_and_a_steady_trickle_is_none_either() {
    let mut bench = Bench::with(facts_policy());
    for m in 0..60 {
        bench.until(minute(m));
        bench.put(1, row("csam", minute(0)).views(m * 16));
    }
    assert_eq!(bench.core.cases().next().unwrap().crossed, None, "960 an hour");
    let mut bench = Bench::with(facts_policy());
    for m in 0..60 {
        bench.until(minute(m));
        bench.put(1, row("csam", minute(0)).views(m * 17));
    }
    assert!(bench.core.cases().next().unwrap().crossed.is_some(), "1,020 an hour");
}

#[test]
fn f06_a_target_that_starts_after_the_crossing_keeps_its_own_time() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(0)).views(1_000));
    bench.until(minute(10));
    bench.put(1, row("csam", minute(0)).views(1_000).closed(minute(10), person("ada"), Verdict::NoViolation));
    let case = bench.core.cases().next().unwrap();
    assert_eq!(case.next_deadline(), Some(minute(250)), "a second review within four hours of the closure");
}

#[test]
fn f06_the_wider_spread_of_two_equals_ranks_first() {
    let mut bench = Bench::with(facts_policy());
    bench.put(1, row("csam", minute(0)).views(3));
    bench.put(2, row("csam", minute(0)).views(40));
    let first = bench.core.view(bench.now).queue[0].first_report.id.to_string();
    assert_eq!(first, "2");
}

/// "threat" is raised by a score, and is due 15 minutes after it spread too fast; no other rule asks for either.
fn modified_policy() -> Policy {
    let mut policy = facts_policy();
    policy.minor_safety.spread = None;
    policy.rules[0].raised_when = Some(when(&policy, "score > 0.9"));
    policy.rules[0].targets = vec![target(EventName::Closed, 120)];
    policy.rules[0].spread = Some(Spread { fact: "views".into(), per_hour: 1_000, within: Span::from_mins(15) });
    policy
}

fn score(row: Row, score: f64) -> Row {
    row.fact("score", Fact::Float(Real::new(score).unwrap()))
}

#[test]
fn f07_a_rule_raises_what_it_matches_and_nothing_else_to_the_top_of_its_priority() {
    let mut bench = Bench::with(modified_policy());
    bench.put(1, row("threat", minute(-30)));
    bench.put(2, score(row("threat", minute(0)), 0.95));
    bench.put(3, row("threat", minute(-1)).from("police"));
    bench.put(4, score(row("ncii", minute(0)), 0.95));
    bench.put(5, row("ncii", minute(-1)));
    bench.put(6, row("csam", minute(0)));
    let order = bench.core.view(bench.now).queue.iter().map(|row| row.first_report.id.to_string()).collect::<Vec<_>>();
    assert_eq!(order, ["6", "3", "2", "1", "5", "4"]);
}

#[test]
fn f06_a_rule_tightens_what_spreads_too_fast_once_and_no_other_rules_cases() {
    let mut bench = Bench::with(modified_policy());
    bench.put(1, row("threat", minute(0)).views(10));
    bench.put(2, row("ncii", minute(0)).views(10));
    let due = |bench: &Bench, id: i64| {
        let of_it = |case: &tocsin::core::case::Case| case.first_report().unwrap().0.id.to_string() == id.to_string();
        bench.core.cases().find(of_it).unwrap().next_deadline()
    };
    bench.until(minute(10));
    bench.put(1, row("threat", minute(0)).views(100));
    assert_eq!(due(&bench, 1), Some(minute(120)), "90 more in ten minutes is no spread");
    bench.until(minute(30));
    let plan = bench.put(1, row("threat", minute(0)).views(2_000));
    bench.put(2, row("ncii", minute(0)).views(100_000));
    assert_eq!((due(&bench, 1), due(&bench, 2)), (Some(minute(45)), Some(minute(60))));
    assert_eq!(plan.kept.len(), 1, "no database can repeat when it crossed");
    bench.until(minute(40));
    bench.put(1, row("threat", minute(0)).views(900_000));
    bench.put(1, row("threat", minute(0)).views(0));
    assert_eq!(due(&bench, 1), Some(minute(45)), "it crosses once, and nothing lengthens");
    bench.until(minute(46));
    assert_eq!(bench.breaches(), [("closed".to_owned(), minute(45))]);
}

#[test]
fn f06_below_p0_a_burst_after_quiet_hours_is_measured_from_the_last_look_and_a_pause_still_pauses() {
    let mut bench = Bench::with(modified_policy());
    for m in 0..50 {
        bench.until(minute(m));
        bench.put(1, row("threat", minute(0)).views(0));
    }
    bench.put(1, row("threat", minute(0)).views(120));
    assert_eq!(bench.core.cases().next().unwrap().crossed, Some(minute(49)), "120 in six minutes, not in 49");
    for m in 50..60 {
        bench.until(minute(m));
        bench.put(1, row("threat", minute(0)).views(120).paused());
    }
    let case = bench.core.cases().next().unwrap();
    assert_eq!(case.next_deadline(), Some(minute(49 + 15 + 9)), "nine minutes between two reads that saw it paused");
}

#[test]
fn f06_what_spread_too_fast_below_p0_is_asked_anew_of_the_p0_that_it_becomes_and_the_other_way_round() {
    let spread = |per_hour, within| Some(Spread { fact: "views".into(), per_hour, within: Span::from_mins(within) });
    let due = |lesser_per_hour, p0_per_hour, before: &str, after: &str| {
        let mut policy = modified_policy();
        policy.rules[0].spread = spread(lesser_per_hour, 10);
        policy.minor_safety.spread = spread(p0_per_hour, 5);
        let mut bench = Bench::with(policy);
        [before, after].map(|category| {
            bench.put(1, row(category, minute(0)).views(5_000));
            bench.core.cases().next().unwrap().next_deadline()
        })
    };
    assert_eq!(due(1_000, 1_000_000, "threat", "csam"), [Some(minute(10)), Some(minute(15))]);
    assert_eq!(due(1_000_000, 1_000, "never_seen", "threat"), [Some(minute(5)), Some(minute(120))]);
}

#[test]
fn in_a_group_that_has_rung_a_breach_of_higher_priority_rings_at_once_and_others_within_five_minutes_together() {
    let mut policy = facts_policy();
    let viral = Some(when(&policy, "views > 1000"));
    policy
        .rules
        .insert(1, Rule { name: "viral".into(), when: viral, priority: Priority::P1, ..policy.rules[1].clone() });
    let mut bench = Bench::with(policy);
    for (id, views) in [(0, 0), (1, 0), (2, 5_000), (3, 0), (4, 5_000)] {
        bench.until(minute(id));
        bench.put(id, row("ncii", minute(id)).views(views));
    }
    bench.until(minute(70));
    let rings = bench.rings();
    let incidents: Vec<_> = rings.iter().map(|page| page.incident).collect();
    assert!(incidents.windows(2).all(|pair| pair[0] == pair[1]), "{incidents:?}");
    let minute_of = |at: Timestamp| at.since(minute(0)).secs() / 60;
    let rung: Vec<_> = rings.iter().map(|page| (minute_of(page.created_at), page.priority, page.count)).collect();
    assert_eq!(rung, [(60, Priority::P2, 1), (62, Priority::P1, 3), (67, Priority::P1, 5)]);
}

#[test]
fn f06_what_crossed_stays_across_a_restart_and_a_rule_that_asks_no_more_tightens_no_more() {
    let mut bench = Bench::with(modified_policy());
    bench.put(1, row("threat", minute(0)).views(5_000));
    let cases: Vec<_> = bench.kept.values().cloned().collect();
    assert_eq!(cases.len(), 1);
    let restored = |policy: Policy| {
        let core = tocsin::core::engine::Core::restore(std::sync::Arc::new(policy), cases.clone(), Vec::new(), 1);
        let mut again = Bench { core, ..Bench::with(modified_policy()) };
        while again.core.stale() != (0, 0) {
            again.feed(Input::Reassess { recalled: Vec::new() });
        }
        again.put(1, row("threat", minute(0)).views(5_000));
        again.core.cases().next().unwrap().next_deadline()
    };
    assert_eq!(restored(modified_policy()), Some(minute(15)));
    let mut without = modified_policy();
    without.rules[0].spread = None;
    assert_eq!(restored(without), Some(minute(120)));
}

#[test]
fn with_a_change_column_what_a_rule_watches_for_spread_is_read_again_at_every_poll() {
    use tocsin::core::watch::Reread;
    let mut bench = Bench::with(modified_policy());
    bench.put(1, row("threat", minute(0)).views(0));
    bench.put(2, row("ncii", minute(0)).views(0));
    let ids = |bench: &Bench| bench.core.to_reread(&"reports".into(), &Reread::Untold).ids;
    assert_eq!(ids(&bench), [tocsin::core::id::ReportId::Int(1)]);
    bench.put(1, row("threat", minute(0)).views(0).closed(minute(1), person("ada"), Verdict::Violation));
    assert!(ids(&bench).is_empty());
}

#[test]
fn the_index_of_rules_says_what_asking_each_rule_says() {
    let mut policy = facts_policy();
    policy.categories.insert("unruled".into(), CategoryClass::Other);
    for category in ["csam", "threat", "ncii", "spam", "unruled", "never_seen", ""] {
        let row = row(category, minute(0)).fact("score", Fact::Float(Real::new(0.5).unwrap()));
        let brute = policy.rules.iter().find(|rule| match &rule.categories {
            Categories::AllNamed => policy.categories.get(category) == Some(&CategoryClass::Other),
            Categories::Listed(listed) => listed.contains(category),
        });
        let expected = match policy.categories.get(category) {
            Some(CategoryClass::Other) => brute.map_or("no rule", |rule| &*rule.name),
            _ => "minor safety",
        };
        assert_eq!(policy.assess(&row).rule.as_ref(), expected, "{category}");
    }
    let mut changed = policy.clone();
    changed.rules.clear();
    assert_eq!(
        changed.assess(&row("spam", minute(0))).rule.as_ref(),
        "no rule",
        "a changed clone has an index of its own"
    );
}
