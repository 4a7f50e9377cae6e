//! Ages, deadlines and answers as Prometheus sees them, of a core that lived through them.

use super::exposition::Exposition;
use super::sample::calm_status;
use crate::kit::{Bench, RowExt, by_ada, minute, person, policy, row};
use tocsin::core::act::Deed;
use tocsin::core::id::IncidentNo;
use tocsin::core::observation::{EventName, Verdict};
use tocsin::core::time::{Span, Timestamp};
use tocsin::metrics::pace::Promise;
use tocsin::metrics::{KnownLabels, Metrics};
use tocsin::status::Status;

fn seen_at(now: Timestamp) -> Status {
    let mut status = calm_status();
    status.started_at = minute(-100);
    status.sources[0].last_ok = Some(now);
    status
}

fn scraped(bench: &Bench, status: &Status) -> Exposition {
    let known = KnownLabels {
        sources: vec!["reports".into()],
        categories: policy().categories.keys().cloned().collect(),
        promises: Promise::all(&policy()),
        ..KnownLabels::default()
    };
    let metrics = Metrics::new(known).unwrap();
    Exposition::parse(&metrics.render(&bench.core.view(bench.now), status, None, bench.now).unwrap())
}

fn series(name: &str, category: &str, priority: &str, more: &str) -> String {
    format!("{name}{{source=\"reports\",category=\"{category}\",priority=\"{priority}\"{more}}}")
}

#[test]
fn every_promise_has_its_series_before_anything_has_happened() {
    let exposition = scraped(&Bench::new(), &seen_at(minute(0)));
    for name in ["tocsin_breaches_total", "tocsin_deadlines_met_total"] {
        for (category, priority, target) in
            [("csam", "P0", "first_response"), ("grooming", "P0", "closed"), ("threat", "P1", "closed")]
        {
            let wanted = series(name, category, priority, &format!(",target=\"{target}\""));
            assert_eq!(exposition.value(&wanted), Some(0.0), "{wanted}");
        }
    }
    for name in ["tocsin_first_response_seconds", "tocsin_closing_seconds"] {
        assert_eq!(exposition.kinds[name], "histogram");
        assert_eq!(exposition.value(&series(&format!("{name}_count"), "csam", "P0", "")), Some(0.0));
    }
    for priority in ["P0", "P4"] {
        let wanted = format!("tocsin_deadline_to_acknowledgement_seconds_count{{priority=\"{priority}\"}}");
        assert_eq!(exposition.value(&wanted), Some(0.0));
    }
}

#[test]
fn what_is_open_has_its_age_and_its_nearest_deadline_and_a_blind_source_has_neither() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(4));
    bench.put(2, row("csam", minute(4)));
    bench.until(minute(10));
    let status = seen_at(bench.now);
    let exposition = scraped(&bench, &status);
    let value = |name: &str, more: &str| exposition.value(&series(name, "csam", "P0", more));
    let age = value("tocsin_oldest_open_age_seconds", "").unwrap();
    assert!((600.0..660.0).contains(&age), "{age}");
    assert_eq!(value("tocsin_nearest_deadline_seconds", ""), Some(300.0));
    let within = |le: &str| value("tocsin_open_cases_by_age", &format!(",le=\"{le}\""));
    assert_eq!((within("60"), within("900"), within("+Inf")), (Some(0.0), Some(2.0), Some(2.0)));
    bench.until(minute(16));
    let late = scraped(&bench, &seen_at(bench.now));
    assert_eq!(late.value(&series("tocsin_nearest_deadline_seconds", "csam", "P0", "")), Some(-60.0));
    let blind = scraped(&bench, &seen_at(bench.now.minus(Span::from_mins(10))));
    for name in ["tocsin_oldest_open_age_seconds", "tocsin_nearest_deadline_seconds", "tocsin_open_cases_by_age"] {
        assert!(!blind.has(name, "source"), "{name} of a blind source");
    }
}

#[test]
fn answers_are_counted_once_when_they_are_seen_and_not_those_of_a_first_look() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.now = minute(3);
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(3), person("ada"));
    bench.put(1, answered.clone());
    bench.poll();
    bench.now = minute(40);
    bench.put(1, answered.closed(minute(40), person("ada"), Verdict::Violation));
    bench.poll();
    let exposition = scraped(&bench, &seen_at(bench.now));
    let value = |name: &str, more: &str| exposition.value(&series(name, "csam", "P0", more));
    assert_eq!(value("tocsin_first_response_seconds_count", ""), Some(1.0));
    assert_eq!(value("tocsin_first_response_seconds_sum", ""), Some(180.0));
    assert_eq!(value("tocsin_first_response_seconds_bucket", ",le=\"60\""), Some(0.0));
    assert_eq!(value("tocsin_first_response_seconds_bucket", ",le=\"300\""), Some(1.0));
    assert_eq!(
        (value("tocsin_closing_seconds_count", ""), value("tocsin_closing_seconds_sum", "")),
        (Some(1.0), Some(2_400.0))
    );
    assert_eq!(value("tocsin_deadlines_met_total", ",target=\"first_response\""), Some(1.0));
    assert_eq!(value("tocsin_deadlines_met_total", ",target=\"closed\""), Some(1.0));
}

#[test]
fn the_time_from_a_missed_deadline_to_whoever_took_it_and_to_what_was_done_is_counted() {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(16));
    assert_eq!(bench.rings().len(), 1);
    bench.now = minute(20);
    let act = match by_ada(1, Deed::Acknowledge { incident: IncidentNo(1) }) {
        tocsin::core::plan::Input::Act(act) => tocsin::core::act::Act { at: minute(20), ..act },
        other => panic!("{other:?}"),
    };
    bench.feed(tocsin::core::plan::Input::Act(act));
    bench.now = minute(25);
    bench.put(1, row("csam", minute(0)).with(EventName::FirstResponse, minute(25), person("ada")));
    bench.poll();
    let exposition = scraped(&bench, &seen_at(bench.now));
    let sum = |name: &str| exposition.value(&format!("tocsin_deadline_to_{name}_seconds_sum{{priority=\"P0\"}}"));
    assert_eq!((sum("acknowledgement"), sum("action")), (Some(300.0), Some(600.0)));
    let breaches = series("tocsin_breaches_total", "csam", "P0", ",target=\"first_response\"");
    assert_eq!(exposition.value(&breaches), Some(1.0));
}
