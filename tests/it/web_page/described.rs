//! The API as its own document describes it: every route is in it, and every answer is one that it names.

use super::sample::{NOW, Served, Tray, bad_night_pages, bad_night_status, bad_night_view, page, state};
use super::stands_in::{Shelves, Shown};
use super::{client, get, json};
use reqwest::StatusCode;
use serde_json::Value;
use std::sync::Arc;
use tocsin::core::act::Deed;
use tocsin::core::id::IncidentNo;
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::core::time::Span;
use tocsin::core::view::View;
use tocsin::store::AuditLine;
use tocsin::web::WebState;
use tocsin::zone::rfc3339;

async fn served() -> (Served, Arc<Tray>) {
    let line = |id: i64| AuditLine {
        id,
        taken_at: NOW,
        done_at: NOW,
        by: "ada".into(),
        integration: false,
        kind: "acknowledge".into(),
        subject: "I-12".into(),
        said: None,
        effect: "done".into(),
        origin: Some("board 10.0.0.7".into()),
    };
    let tray = Tray { open: vec![IncidentNo(12)], audit: vec![line(2), line(1)], ..Tray::default() };
    let tray = Arc::new(tray);
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let pages = bad_night_pages();
    let archive = Arc::new(Shelves { pages, ..Shelves::default() });
    let engine = Arc::new(Shown(base.view.clone()));
    (Served::of(WebState { desk: tray.clone(), archive, engine, ..base }).await, tray)
}

async fn post(served: &Served, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = client().post(format!("{}{path}", served.url)).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.expect("the server answers");
    let code = answer.status();
    (code, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn every_route_of_the_api_is_in_its_document_and_each_error_is_a_problem() {
    let (served, _) = served().await;
    let document = json(&served, "/api/v1/openapi.json").await;
    let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in [
        "/api/v1/audit",
        "/api/v1/cases",
        "/api/v1/cases/{reference}",
        "/api/v1/events",
        "/api/v1/incidents",
        "/api/v1/incidents/{no}",
        "/api/v1/incidents/{no}/acknowledge",
        "/api/v1/pages",
        "/api/v1/queue",
        "/api/v1/quiets",
        "/api/v1/quiets/{no}/end",
        "/api/v1/reload",
        "/api/v1/snoozes",
        "/api/v1/status",
        "/api/v1/weekly/{week}",
        "/api/v1/windows",
    ] {
        assert!(paths.contains(&path), "{path} is not described: {paths:?}");
    }
    for (path, operation) in document["paths"].as_object().unwrap() {
        for (method, described) in operation.as_object().unwrap() {
            for code in ["401", "403", "429", "503"] {
                let problem = &described["responses"][code]["content"]["application/problem+json"];
                assert!(problem.is_object(), "{method} {path} doesn't describe its {code}");
            }
        }
    }
    assert!(document["components"]["securitySchemes"]["token"].is_object());
}

#[tokio::test]
async fn lists_are_read_on_by_their_cursor_to_the_end() {
    let (served, _) = served().await;
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let body = json(&served, &format!("/api/v1/cases?limit=10{next}")).await;
        seen.extend(
            body["cases"].as_array().unwrap().iter().map(|case| case["reference"].as_str().unwrap().to_owned()),
        );
        match body["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
        assert!(seen.len() <= 100, "it never ends");
    }
    let whole = json(&served, "/api/v1/cases?limit=1000").await;
    let all: Vec<String> =
        whole["cases"].as_array().unwrap().iter().map(|case| case["reference"].as_str().unwrap().to_owned()).collect();
    assert_eq!((seen.len(), seen), (34, all));
    let refused = client().get(format!("{}/api/v1/cases?cursor=AAAA", served.url)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let first = json(&served, "/api/v1/incidents?limit=2").await;
    let rest = json(&served, &format!("/api/v1/incidents?limit=2&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(
        (first["incidents"][0]["no"].as_str(), rest["incidents"][0]["no"].as_str()),
        (Some("I-13"), Some("I-11"))
    );
    assert!(rest["next"].is_null());
    let parked = json(&served, "/api/v1/pages?state=parked").await;
    assert_eq!((parked["pages"][0]["id"].as_i64(), parked["pages"].as_array().unwrap().len()), (Some(6), 1));
    let audit = json(&served, "/api/v1/audit?limit=1").await;
    assert_eq!((audit["audit"][0]["origin"].as_str(), audit["next"].as_str()), (Some("board 10.0.0.7"), Some("2")));
}

#[tokio::test]
async fn a_cursor_tells_nothing_of_the_report_that_it_stands_at() {
    let (served, _) = served().await;
    let body = json(&served, "/api/v1/queue?limit=1").await;
    let cursor = body["next"].as_str().unwrap();
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("4711") && !String::from_utf8_lossy(&bytes).contains("reports"));
    assert!(get(&served, &format!("/queue?after={cursor}")).await.contains("88102"), "the second row");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let (served, _) = served().await;
    for path in ["/api/v1/queue", "/api/v1/incidents", "/api/v1/quiets", "/api/v1/openapi.json"] {
        let url = format!("{}{path}", served.url);
        let first = client().get(&url).send().await.unwrap();
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        let again = client().get(&url).header("if-none-match", &tag).send().await.unwrap();
        assert_eq!((again.status(), again.bytes().await.unwrap().len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        let other = client().get(&url).header("if-none-match", "W/\"other\"").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn snoozes_windows_and_events_reach_the_inbox_and_what_is_wrong_does_not() {
    let (served, tray) = served().await;
    let until = rfc3339(NOW.plus(Span::from_hours(2)));
    let snooze = serde_json::json!({ "what": "I-11", "reason": "spam wave", "until": until, "by": "ada" });
    let (code, taken) = post(&served, "/api/v1/snoozes", &snooze).await;
    assert_eq!((code, taken["what"].as_str()), (StatusCode::ACCEPTED, Some("incident I-11")));
    let window = serde_json::json!({ "category": "spam", "reason": "moving", "until": until, "by": "ada" });
    assert_eq!(post(&served, "/api/v1/windows", &window).await.0, StatusCode::ACCEPTED);
    assert_eq!(
        post(&served, "/api/v1/quiets/Q-17/end", &serde_json::json!({ "by": "ada" })).await.0,
        StatusCode::ACCEPTED
    );
    let event = serde_json::json!({ "report": "4711", "event": "filed", "at": rfc3339(NOW), "by": "mod-1" });
    assert_eq!(post(&served, "/api/v1/events", &event).await.0, StatusCode::ACCEPTED);
    let kinds: Vec<&str> = tray.deeds.lock().unwrap().iter().map(|(deed, _)| Deed::kind(deed)).collect();
    assert_eq!(kinds, ["snooze", "window", "end_quiet", "event"]);
    let passed = rfc3339(NOW.minus(Span::from_secs(1)));
    let far = rfc3339(NOW.plus(Span::from_hours(24 * 40)));
    for (path, field, value) in [
        ("/api/v1/snoozes", "until", passed.as_str()),
        ("/api/v1/snoozes", "until", far.as_str()),
        ("/api/v1/snoozes", "until", "tomorrow"),
        ("/api/v1/snoozes", "reason", ""),
        ("/api/v1/snoozes", "reason", "two\nlines"),
        ("/api/v1/snoozes", "what", "everything"),
        ("/api/v1/snoozes", "by", ""),
        ("/api/v1/windows", "from", far.as_str()),
        ("/api/v1/events", "event", "closed"),
        ("/api/v1/events", "at", far.as_str()),
        ("/api/v1/events", "report", ""),
    ] {
        let mut body = match path {
            "/api/v1/snoozes" => snooze.clone(),
            "/api/v1/windows" => window.clone(),
            _ => event.clone(),
        };
        body[field] = value.into();
        assert_eq!(post(&served, path, &body).await.0, StatusCode::BAD_REQUEST, "{path} {field} = {value}");
    }
    let both = serde_json::json!({ "category": "spam", "escalation": "x", "reason": "r", "until": until, "by": "a" });
    assert_eq!(post(&served, "/api/v1/windows", &both).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(tray.deeds.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn without_an_engine_nothing_is_said_to_have_been_done() {
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let served = Served::of(base).await;
    let until = rfc3339(NOW.plus(Span::from_hours(2)));
    let snooze = serde_json::json!({ "what": "I-11", "reason": "spam wave", "until": until, "by": "ada" });
    let (code, said) = post(&served, "/api/v1/snoozes", &snooze).await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said["detail"].as_str().unwrap().contains("engine"), "{said}");
}

#[tokio::test]
async fn a_case_that_nobody_knows_and_one_that_cannot_be_asked_for_are_told_apart() {
    let mut view = View { queue: bad_night_view().queue, ..View::default() };
    for row in &view.queue {
        let group = super::sample::group(&row.first_report.source, &row.category, Priority::P0);
        view.open.entry(group).or_default().open += 1;
    }
    let base = state(view, bad_night_status(), vec![page(1, 12, PageKind::Ring, "log", "accepted", None)]);
    let engine = Arc::new(Shown(base.view.clone()));
    let served = Served::of(WebState { engine, ..base.clone() }).await;
    let status = async |served: &Served, path: &str| {
        client().get(format!("{}{path}", served.url)).send().await.unwrap().status()
    };
    assert_eq!(status(&served, "/api/v1/cases/C-00000-00000").await, StatusCode::NOT_FOUND);
    assert_eq!(status(&served, "/api/v1/cases/x").await, StatusCode::NOT_FOUND);
    assert_eq!(status(&served, "/cases?reference=x").await, StatusCode::BAD_REQUEST);
    let broken = Arc::new(Shelves { broken: true, ..Shelves::default() });
    let away = Served::of(WebState { archive: broken, ..base }).await;
    assert_eq!(status(&away, "/api/v1/cases/C-00000-00000").await, StatusCode::SERVICE_UNAVAILABLE);
}

/// Property-based requests made of the document itself, by schemathesis: no answer that it doesn't name, none of 5xx.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: tests/run --full installs schemathesis and runs it"]
async fn schemathesis_finds_no_answer_that_the_document_does_not_name() {
    let program = std::env::var("TOCSIN_TEST_SCHEMATHESIS").expect("TOCSIN_TEST_SCHEMATHESIS names the program");
    let (served, _) = served().await;
    let url = format!("{}/api/v1/openapi.json", served.url);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let arguments = ["run", &url, "--checks", checks, "--max-examples", "30", "--rate-limit", "40/s", "--seed", "2020"];
    let mut command = std::process::Command::new(program);
    // It leaves notes where it is run.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).args(["--no-color", "--request-timeout", "5"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("start schemathesis");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
