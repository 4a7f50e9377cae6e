//! What other systems' trackers taught and the core decides, each under its number in the list of lessons.

use crate::kit::*;
use std::sync::Arc;
use tocsin::compile::calendar::{CalendarSpec, compile};
use tocsin::core::engine::Core;
use tocsin::core::id::ReportId;
use tocsin::core::observation::{EventName, Observation, Received, Row, Verdict};
use tocsin::core::plan::{BATCH, BreachRecord, Input};
use tocsin::core::policy::{Due, Escalation, Policy, Priority, Step, Target};
use tocsin::core::time::Span;
use tocsin::run::weekly::gather::alone;
use tocsin::zone::{parse_rfc3339, rfc3339};

fn restarted(bench: &mut Bench, policy: Policy) {
    let cases: Vec<_> = bench.core.cases().collect();
    let incidents: Vec<_> = bench.core.view(bench.now).incidents.into_iter().map(|row| row.incident).collect();
    bench.core = Core::restore(Arc::new(policy), cases, incidents, 99);
    bench.poll();
    bench.feed(Input::ScanEnded { source: "reports".into(), began: bench.now });
}

fn breaches(bench: &Bench) -> Vec<&BreachRecord> {
    bench.plans.iter().flat_map(|plan| &plan.breaches).collect()
}

#[test]
fn l04_a_change_of_category_keeps_the_pause_that_had_accumulated() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)).paused());
    bench.until(minute(10));
    bench.poll();
    bench.put(1, row("ncii", minute(0)));
    let case = bench.core.cases().next().expect("a case");
    assert_eq!((case.priority, case.next_deadline()), (Priority::P2, Some(minute(70))));
}

#[test]
fn l05_no_breach_is_recorded_while_the_clock_stands_still() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(29));
    bench.put(1, row("threat", minute(0)).paused());
    for m in 30..100 {
        bench.until(minute(m));
        bench.poll();
    }
    assert_eq!(bench.breaches(), []);
}

#[test]
fn l05_a_miss_stops_growing_when_its_report_is_closed() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.until(minute(40));
    bench.put(1, row("threat", minute(0)).closed(minute(40), person("ada"), Verdict::Unmapped));
    let ended = breaches(&bench).last().and_then(|breach| breach.ended);
    bench.until(minute(500));
    assert_eq!(breaches(&bench).last().and_then(|breach| breach.ended), ended);
    assert_eq!(ended, Some(tocsin::core::clock::Ending::Met { at: minute(40) }));
}

#[test]
fn l14_reordered_rules_ring_nobody_again() {
    let mut bench = Bench::new();
    bench.put(1, row("threat", minute(0)));
    bench.put(2, row("csam", minute(0)));
    bench.until(minute(31));
    let rings = bench.rings().len();
    let mut reordered = policy();
    reordered.rules.reverse();
    restarted(&mut bench, reordered);
    bench.until(minute(50));
    assert_eq!(bench.rings().len(), rings);
    bench.put(1, row("threat", minute(0)).closed(minute(50), person("ada"), Verdict::Unmapped));
    assert_eq!(bench.resolves().len(), 1, "under the key that it rang with");
}

#[test]
fn l15_a_ring_that_is_held_for_the_first_look_comes_when_it_ends_or_after_a_minute_and_never_later() {
    for look_ends in [true, false] {
        let mut bench = Bench::new();
        bench.core = Core::new(Arc::new(policy()));
        bench.put(1, row("threat", minute(-100)));
        assert_eq!(bench.rings().len(), 0);
        if look_ends {
            bench.feed(Input::ScanEnded { source: "reports".into(), began: minute(0) });
        } else {
            bench.until(minute(1));
        }
        assert_eq!(bench.rings().len(), 1, "the first look ended: {look_ends}");
    }
}

#[test]
fn l16_a_minor_safety_page_waits_for_no_throttle() {
    let mut bench = Bench::new();
    for m in 0..9 {
        bench.until(minute(m));
        bench.put(m, row("csam", minute(m - 16)));
        assert_eq!(bench.rings().last().map(|page| page.created_at), Some(minute(m)));
    }
    assert_eq!(bench.rings().len(), 9);
}

#[test]
fn l17_an_escalation_goes_on_after_a_restart_where_it_stood() {
    let step = |at: i64, channel: &str| Step { at: Span::from_mins(at), notify: vec![channel.into()] };
    let steps = vec![step(0, "pager"), step(5, "leads"), step(15, "executive")];
    let mut policy = policy();
    policy.minor_safety.targets = vec![target(EventName::Closed, 10)];
    policy.escalations.insert("minor-safety".into(), Escalation { steps, repeat: None, act_within: None, warn: None });
    let mut bench = Bench::with(policy.clone());
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    restarted(&mut bench, policy);
    bench.until(minute(60));
    let channels: Vec<&str> = bench.rings().iter().map(|page| &*page.channel).collect();
    assert_eq!(channels, ["pager", "leads", "executive"]);
    assert_eq!(bench.rings()[2].created_at.since(minute(25)).secs(), 0);
}

#[test]
fn l20_a_pass_takes_all_of_p0_first_and_the_passes_finish() {
    let mut bench = Bench::new();
    let rows = |category: &str, ids: std::ops::Range<i64>| -> Vec<Observation> {
        ids.map(|id| Observation { id: ReportId::Int(id), row: Some(row(category, minute(0))) }).collect()
    };
    for from in [0, 1_000, 2_000] {
        bench.rows(rows("threat", from..from + 1_000));
    }
    bench.rows(rows("csam", 5_000..5_003));
    bench.blind = true;
    bench.now = minute(31);
    let first = bench.feed(Input::Tick);
    let asked: Vec<i64> =
        first.asks.iter().filter_map(|key| if let ReportId::Int(id) = key.id { Some(id) } else { None }).collect();
    assert_eq!((asked.len(), &asked[..3]), (BATCH, &[5_000, 5_001, 5_002][..]));
    let mut passes = 1;
    while bench.core.next_wake().is_some_and(|wake| wake <= minute(31)) {
        bench.feed(Input::Tick);
        passes += 1;
        assert!(passes < 10, "the passes don't finish");
    }
    let asked: usize = bench.plans.iter().map(|plan| plan.asks.len()).sum();
    assert_eq!(asked, 3_003);
}

#[test]
fn l21_a_time_that_cannot_be_read_is_not_zero() {
    let mut bench = Bench::new();
    bench.until(minute(3));
    bench.put(1, Row { received: Received::Unreadable, ..row("threat", minute(0)) });
    let case = bench.core.cases().next().expect("a case");
    assert_eq!((case.received(), case.next_deadline()), (minute(3), Some(minute(33))));
    bench.put(2, row("threat", minute(-5)));
    assert_eq!(bench.core.view(bench.now).queue[0].received, minute(-5), "the oldest is first, and is not the newest");
}

#[test]
fn l23_a_breach_its_incident_and_its_page_are_one_plan() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.put(2, row("threat", minute(0)));
    bench.until(minute(61));
    for plan in bench.plans.iter().filter(|plan| plan.breaches.iter().any(|breach| breach.incident.is_some())) {
        for breach in &plan.breaches {
            let no = breach.incident.expect("an incident");
            assert!(plan.incidents.contains_key(&no));
            assert!(plan.pages.iter().any(|page| page.incident == no), "{breach:?}");
            assert!(plan.kept.iter().any(|kept| kept.case.key == breach.episode));
        }
    }
    assert_eq!(breaches(&bench).len(), 3);
}

/// "spam" is due within five hours of Mondays, nine to twelve, in Berlin.
fn mondays() -> Policy {
    let spec = CalendarSpec::read("Europe/Berlin", "Mo 09:00-12:00", None, [], []).unwrap();
    let at = |text: &str| parse_rfc3339(text).unwrap();
    let calendar = compile(&spec, at("2025-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).unwrap();
    let mut policy = policy();
    policy.calendars.insert("mondays".into(), Arc::new(calendar));
    let due = Due::Within { span: Span::from_hours(5), calendar: Some("mondays".into()) };
    policy.rules[2].targets = vec![Target { due, ..target(EventName::Closed, 300) }];
    policy
}

fn due_of_spam(policy: &Policy, received: &str, now: &str) -> Option<String> {
    let (received, now) = (parse_rfc3339(received).unwrap(), parse_rfc3339(now).unwrap());
    let case = alone(policy, ("reports".into(), ReportId::Int(1)), row("spam", received), now);
    case.clocks[0].breach().map(|breach| breach.deadline).or(case.clocks[0].deadline).map(rfc3339)
}

#[test]
fn l06_a_calendar_that_is_closed_for_days_is_open_again_when_it_says() {
    let policy = mondays();
    // Three hours of Monday the 4th, and two of the 11th: a week of closed hours lies between.
    let due = due_of_spam(&policy, "2026-05-04T06:30:00Z", "2026-05-05T00:00:00Z");
    assert_eq!(due.as_deref(), Some("2026-05-11T09:00:00Z"));
    let closed_at_first = due_of_spam(&policy, "2026-05-04T10:00:01Z", "2026-05-05T00:00:00Z");
    assert_eq!(closed_at_first.as_deref(), Some("2026-05-18T09:00:00Z"));
}

#[test]
fn l07_what_was_due_before_a_clock_change_is_due_at_the_same_instant_whenever_it_is_asked() {
    let policy = mondays();
    // Berlin is one hour ahead of UTC until the 29th of March, and two from then on.
    for now in ["2026-03-25T12:00:00Z", "2026-04-20T12:00:00Z", "2026-12-01T00:00:00Z"] {
        let winter = due_of_spam(&policy, "2026-03-09T07:00:00Z", now);
        assert_eq!(winter.as_deref(), Some("2026-03-16T10:00:00Z"), "asked at {now}");
        let across = due_of_spam(&policy, "2026-03-23T07:00:00Z", now);
        assert_eq!(across.as_deref(), Some("2026-03-30T09:00:00Z"), "asked at {now}");
    }
    // The weekly report judges an open row by `alone`; the engine says the same of it.
    let mut bench = Bench::with(policy);
    bench.now = parse_rfc3339("2026-03-23T08:00:00Z").unwrap();
    bench.put(1, row("spam", parse_rfc3339("2026-03-23T07:00:00Z").unwrap()));
    let deadline = bench.core.cases().next().unwrap().clocks[0].deadline.map(rfc3339);
    assert_eq!(deadline.as_deref(), Some("2026-03-30T09:00:00Z"));
}
