//! A case's page over a running core: why each deadline is what it is, what happened in order, and never what was
//! reported.

use super::sample::{Served, bad_night_status, state};
use super::stands_in::Held;
use super::{get, json};
use crate::kit::{Bench, RowExt, minute, person, row};
use std::sync::Arc;
use tocsin::core::observation::EventName;
use tocsin::core::view::View;
use tocsin::web::WebState;

async fn served(bench: Bench, view: View) -> Served {
    let base = state(view, bad_night_status(), Vec::new());
    let now = bench.now;
    let engine = Arc::new(Held(bench.core));
    Served::of(WebState { engine, now: Arc::new(move || now), ..base }).await
}

#[tokio::test]
async fn a_cases_page_gives_the_reason_of_every_deadline_and_what_happened() {
    let mut bench = Bench::new();
    bench.put(4_711, row("csam", minute(0)).about(1).with(EventName::FirstResponse, minute(4), person("mod-1")));
    bench.until(minute(70));
    let view = bench.core.view(bench.now);
    let served = served(bench, view).await;
    let queue = json(&served, "/api/v1/queue").await;
    let reference = queue["queue"][0]["reference"].as_str().unwrap().to_owned();
    let html = get(&served, &format!("/cases/{reference}")).await;
    for said in [
        "P0 minor safety, csam",
        "first_response</bdi>: met",
        "closed</bdi>: ",
        "From received until closed, within 1h",
        "yes: wall time",
        "first response, by a person",
        "https://mod.example.org/reports/4711",
    ] {
        assert!(html.contains(said), "the page doesn't say: {said}\n{html}");
    }
    assert!(!html.contains("mod-1"), "who works there is nobody's business on this page");
    let body = json(&served, &format!("/api/v1/cases/{reference}")).await;
    assert_eq!(body["targets"][1]["walk"][0]["counted"], true, "{body}");
    assert_eq!(body["reports"][0], "4711");
}

#[tokio::test]
async fn a_case_far_down_the_queue_is_found_by_its_reference_and_the_queue_can_be_read_to_it() {
    let mut bench = Bench::new();
    for id in 0..1_300 {
        bench.put(id, row("spam", minute(0)));
    }
    let view = bench.core.view(bench.now);
    assert_eq!(view.queue.len(), 1_000);
    let whole: Vec<_> = bench.core.queue().map(|case| case.key.case.clone()).collect();
    let last = tocsin::keys::Keys::new(b"a secret of the test's own").reference(whole.last().unwrap());
    let served = served(bench, view).await;
    assert_eq!(json(&served, &format!("/api/v1/cases/{last}")).await["category"], "spam");
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let body = json(&served, &format!("/api/v1/cases?limit=400{next}")).await;
        seen.extend(body["cases"].as_array().unwrap().iter().map(|case| case["reference"].clone()));
        let Some(cursor) = body["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!((seen.len(), seen.last().unwrap().as_str()), (1_300, Some(last.as_str())));
}
