//! What must hold of the core whatever comes in: random reports, in random order, in random batches.

use crate::kit::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tocsin::core::case::{Case, Read};
use tocsin::core::engine::Core;
use tocsin::core::explain::explain;
use tocsin::core::id::{EpisodeKey, Name, ReportId};
use tocsin::core::observation::{Actor, EventName, Observation, Row, Verdict};
use tocsin::core::plan::{BreachStatus, Input, Rows};
use tocsin::core::policy::{Policy, Priority};
use tocsin::core::time::{Span, Timestamp};

const CATEGORIES: [&str; 6] = ["csam", "grooming", "threat", "ncii", "spam", "never_seen"];

fn actor() -> impl Strategy<Value = Actor> {
    let people = prop_oneof![Just(person("ada")), Just(person("grace"))];
    prop_oneof![people, Just(Actor::Automated), Just(Actor::Unknown), Just(Actor::Unmapped)]
}

/// A row as of minute 300: received before it, with a few events since.
fn any_row() -> impl Strategy<Value = Row> {
    let event = prop_oneof![Just(EventName::FirstResponse), Just(EventName::SecondReview), Just(EventName::Removed)];
    let events = prop::collection::vec((event, 0i64..200, actor()), 0..3);
    let closure = prop::option::of((0i64..200, actor(), prop::bool::ANY));
    let subject = prop::option::of(1u8..4);
    let category = prop::sample::select(CATEGORIES.to_vec());
    (category, 0i64..300, events, closure, subject, prop::bool::ANY).prop_map(
        |(category, received, events, closure, subject, paused)| {
            let mut row = row(category, minute(received));
            row.paused = paused;
            for (name, after, by) in events {
                row = row.with(name, minute((received + after).min(300)), by);
            }
            if let Some((after, by, violation)) = closure {
                let verdict = if violation { Verdict::Violation } else { Verdict::NoViolation };
                row = row.closed(minute((received + after).min(300)), by, verdict);
            }
            match subject {
                Some(subject) => row.about(subject),
                None => row,
            }
        },
    )
}

fn table() -> impl Strategy<Value = Vec<(i64, Row)>> {
    prop::collection::vec(any_row(), 1..25).prop_map(|rows| (1..).zip(rows).collect())
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let priority = prop::sample::select(vec![Priority::P1, Priority::P2, Priority::P3, Priority::P4]);
    let rule = (priority, 1i64..500);
    (prop::array::uniform3(rule), 1i64..100, 1i64..400).prop_map(|(rules, response, closed)| {
        let mut policy = policy();
        for (rule, (priority, mins)) in policy.rules.iter_mut().zip(rules) {
            (rule.priority, rule.targets) = (priority, vec![target(EventName::Closed, mins)]);
        }
        let p0 = [target(EventName::FirstResponse, response), target(EventName::Closed, closed)];
        policy.minor_safety.targets = p0.into_iter().chain([target(EventName::SecondReview, 240)]).collect();
        policy
    })
}

fn bench_at(policy: Policy, now: i64) -> Bench {
    let mut bench = Bench::with(policy);
    bench.now = minute(now);
    bench
}

fn observations(table: &[(i64, Row)]) -> Vec<Observation> {
    table.iter().map(|(id, row)| Observation { id: ReportId::Int(*id), row: Some(row.clone()) }).collect()
}

fn see(bench: &mut Bench, table: &[(i64, Row)]) {
    bench.table.extend(table.iter().cloned());
    bench.rows(observations(table));
}

/// Breaches on all evidence: (priority is P0, the case, the target). What was seen first may have proved one that a
/// report seen later contradicts; both are on record, and only the uncontradicted count here.
fn broken(bench: &Bench) -> BTreeSet<(bool, String, Name)> {
    let records = bench.plans.iter().flat_map(|plan| &plan.breaches);
    let latest: BTreeMap<_, _> = records.map(|b| ((&b.episode, &b.target, &b.report, b.deadline), b)).collect();
    let standing = latest.into_values().filter(|b| b.contradicted_at.is_none() && b.status != BreachStatus::Withdrawn);
    standing.map(|b| (b.priority == Priority::P0, b.episode.case.to_string(), b.target.clone())).collect()
}

fn assert_total(core: &Core) {
    let queue: Vec<Case> = core.queue().collect();
    let ranks: Vec<_> = queue.iter().map(|case| case.rank()).collect();
    for (i, one) in ranks.iter().enumerate() {
        for (j, other) in ranks.iter().enumerate() {
            assert_eq!(one.cmp(other), i.cmp(&j), "sorted, antisymmetric, and no two alike");
        }
    }
    let first_lesser = queue.iter().position(|case| !case.is_p0()).unwrap_or(queue.len());
    assert!(queue[first_lesser..].iter().all(|case| !case.is_p0()), "P0 is first");
    let first_presumed = |case: &Case| case.standing == tocsin::core::policy::Standing::Presumed;
    let presumed = queue.iter().position(first_presumed).unwrap_or(first_lesser);
    assert!(queue[presumed..first_lesser].iter().all(|case| !case.is_latched()), "and known before presumed");
}

fn deadlines(core: &Core) -> Vec<(EpisodeKey, Name, Timestamp)> {
    let clocks = |case: Case| case.clocks.into_iter().map(move |clock| (case.key.clone(), clock));
    let clocks = core.cases().flat_map(clocks);
    clocks.filter_map(|(key, clock)| Some((key, clock.target.clone(), clock.unmet_deadline()?))).collect()
}

fn states(core: &Core) -> String {
    format!("{:?}", core.cases().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_total_and_p0_is_first(policy in any_policy(), table in table()) {
        let mut bench = bench_at(policy, 300);
        see(&mut bench, &table);
        assert_total(&bench.core);
        bench.until(minute(700));
        assert_total(&bench.core);
    }

    #[test]
    fn more_reports_never_move_a_deadline_out(table in table(), more in table()) {
        let open = |table: Vec<(i64, Row)>, from: i64| -> Vec<(i64, Row)> {
            let open = table.into_iter().filter(|(_, row)| row.event(EventName::Closed).is_none());
            open.map(|(id, row)| (id + from, row)).collect()
        };
        let mut bench = bench_at(policy(), 300);
        see(&mut bench, &open(table, 0));
        let before = deadlines(&bench.core);
        see(&mut bench, &open(more, 1_000));
        let after = deadlines(&bench.core);
        for (key, target, deadline) in before {
            let later = after.iter().find(|(k, t, _)| (k, t) == (&key, &target)).map(|(_, _, at)| *at);
            prop_assert!(later.is_none_or(|later| later <= deadline), "{} {target} moved out", key);
        }
    }

    /// `Bench::feed` decides every input twice and compares; here two cores live the same history.
    #[test]
    fn the_same_history_ends_in_the_same_state(table in table(), pages in 0i64..800) {
        let history = || {
            let mut bench = bench_at(policy(), 300);
            see(&mut bench, &table);
            bench.until(minute(300 + pages));
            bench.poll();
            (states(&bench.core), format!("{:?}", bench.plans))
        };
        prop_assert_eq!(history(), history());
    }

    #[test]
    fn nothing_that_happens_to_a_row_moves_the_clock_of_a_known_p0(
        changes in prop::collection::vec((1i64..12, prop::sample::select(CATEGORIES.to_vec()), 0u8..4), 0..12)
    ) {
        let mut bench = Bench::new();
        bench.put(1, row("csam", minute(0)));
        let mut changes = changes;
        changes.sort_by_key(|change| change.0);
        for (at, category, how) in changes {
            bench.until(minute(at));
            let row = row(category, minute(0));
            bench.put(1, match how {
                0 => row.paused(),
                1 => row.closed(minute(at), Actor::Automated, Verdict::Violation),
                2 => row.with(EventName::Reopened, minute(at), person("ada")),
                _ => row,
            });
        }
        bench.until(minute(61));
        let due = [("closed".to_owned(), minute(60)), ("first_response".to_owned(), minute(15))];
        prop_assert_eq!(bench.breaches(), due);
    }

    #[test]
    fn rows_give_the_same_breaches_in_whatever_order_and_batches_they_are_seen(
        table in table(), order in any::<prop::sample::Index>(), cuts in prop::collection::vec(1usize..8, 1..25)
    ) {
        let mut open = table.clone();
        open.retain(|(_, row)| row.event(EventName::Closed).is_none());
        // What answers one report of an item answers all: an item that is overdue when first seen is a breach, and
        // an answer in another report of it, seen later, contradicts that.
        for (_, row) in open.iter_mut().filter(|(_, row)| row.subject.is_some()) {
            row.events.clear();
        }
        prop_assume!(!open.is_empty());
        let mut at_once = bench_at(policy(), 300);
        see(&mut at_once, &open);
        let mut shuffled = open.clone();
        shuffled.rotate_left(order.index(open.len()));
        shuffled.reverse();
        let mut piecemeal = bench_at(policy(), 300);
        let (mut rest, mut cuts) = (&shuffled[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            see(&mut piecemeal, now);
            rest = later;
        }
        for bench in [&mut at_once, &mut piecemeal] {
            bench.until(minute(1_000));
        }
        prop_assert_eq!(broken(&at_once), broken(&piecemeal));
    }

    #[test]
    fn what_is_seen_a_second_time_changes_nothing_durable(table in table(), later in 0i64..3) {
        let mut table = table;
        for (_, row) in &mut table {
            // A pause below P0 is credited by each look that sees it: that is its purpose.
            row.paused = false;
        }
        table.retain(|(_, row)| row.event(EventName::Closed).is_none());
        let mut bench = bench_at(policy(), 300);
        see(&mut bench, &table);
        bench.now = minute(300).plus(Span::from_secs(later));
        let due = bench.core.next_wake().is_some_and(|wake| wake <= bench.now);
        prop_assume!(!due);
        let before = states_without_reads(&bench.core);
        let source: Name = "reports".into();
        let rows = Rows { source, read_began: bench.now, rows: observations(&table), rejects: Vec::new(), recalled: Vec::new() };
        let plan = bench.core.decide(&Input::Rows(rows), bench.now).plan;
        prop_assert!(!plan.is_durable(), "{plan:?}");
        prop_assert!(plan.cases.is_empty());
        prop_assert_eq!(before, states_without_reads(&bench.core));
    }

    #[test]
    fn an_explanation_has_no_gap_and_sums_to_what_has_elapsed(
        row in any_row(), until in 301i64..2_000, pauses in prop::collection::vec((0i64..600, 1i64..100), 0..5)
    ) {
        let (policy, now) = (policy(), minute(until));
        let assessment = policy.assess(&row);
        let key = tocsin::core::id::ReportKey { source: "reports".into(), id: ReportId::Int(1), incarnation: 0 };
        let episode = EpisodeKey { case: tocsin::core::id::CaseKey::Report(key.clone()), episode: 0 };
        let mut case = Case::new(episode, &assessment, row.category.clone());
        case.see(&key, Some(row), Read::at(now), None);
        let interval = |(from, length): (i64, i64)| tocsin::core::calendar::Interval {
            from: minute(from),
            until: minute(from + length),
        };
        case.pauses = pauses.into_iter().map(interval).collect();
        case.pauses.sort_by_key(|pause| pause.from);
        case.refresh(&policy, now);
        for explained in explain(&case, &policy, now).targets {
            let Some(started) = explained.started else { continue };
            let stop = explained.met.unwrap_or(now).max(started);
            let (mut at, mut counted) = (started, Span::ZERO);
            for (stretch, kind) in &explained.walk {
                prop_assert_eq!(stretch.from, at);
                prop_assert!(!case.is_p0() || *kind == tocsin::core::calendar::Stretch::Counted);
                if *kind == tocsin::core::calendar::Stretch::Counted {
                    counted = counted.plus(stretch.until.since(stretch.from));
                }
                at = stretch.until;
            }
            prop_assert_eq!((at, counted), (stop, explained.elapsed));
        }
    }
}

/// Cases as they are, but for when they were last read.
fn states_without_reads(core: &Core) -> String {
    let unread = |case: &Case| {
        let mut case = case.clone();
        case.reports.values_mut().for_each(|report| report.read_began = minute(0));
        case
    };
    format!("{:?}", core.cases().map(|case| unread(&case)).collect::<Vec<_>>())
}

#[test]
fn two_cores_of_one_policy_are_alike_before_anything_is_seen() {
    let core = || Core::new(Arc::new(policy()));
    assert_eq!(states(&core()), states(&core()));
    assert_eq!(core().next_wake(), None);
}
