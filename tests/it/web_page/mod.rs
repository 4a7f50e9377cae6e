//! What people and machines see of a monitor: the page, the API, the probes, the metrics and the
//! terminal's table, over real connections.

mod access;
mod cases;
mod described;
mod exposition;
mod hostile;
mod pace;
mod people;
pub mod sample;
pub mod stands_in;

use exposition::Exposition;
use reqwest::{Method, Response, StatusCode};
use sample::{
    NOW, Pages, Served, ago, bad_night_pages, bad_night_status, bad_night_view, calm_status, group, row, source, state,
};
use stands_in::Buttons;
use std::sync::Arc;
use tocsin::cli::queue::{COLUMNS, fetch, render_table};
use tocsin::core::policy::Priority;
use tocsin::core::sight::{BlindKind, Lag};
use tocsin::core::time::Span;
use tocsin::core::view::{Counts, View};
use tocsin::metrics::{CATEGORIES_MAX, OTHER};
use tocsin::status::{Failure, Mode, Status};
use tocsin::web::WebState;
use unicode_width::UnicodeWidthStr;

const ROUTES: [&str; 6] = ["/", "/api/v1/queue", "/api/v1/status", "/metrics", "/healthz", "/readyz"];

pub fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().unwrap_or(());
    reqwest::Client::builder().no_proxy().build().expect("build a client")
}

async fn ask(served: &Served, method: Method, path: &str) -> Response {
    client().request(method, format!("{}{path}", served.url)).send().await.expect("the server answers")
}

async fn get(served: &Served, path: &str) -> String {
    ask(served, Method::GET, path).await.text().await.expect("the answer has a body")
}

async fn json(served: &Served, path: &str) -> serde_json::Value {
    serde_json::from_str(&get(served, path).await).expect("the answer is JSON")
}

fn bad_night() -> WebState {
    state(bad_night_view(), bad_night_status(), bad_night_pages())
}

async fn metrics(view: View, status: Status) -> Exposition {
    Exposition::parse(&get(&Served::of(state(view, status, bad_night_pages())).await, "/metrics").await)
}

#[tokio::test]
async fn every_route_answers_get_and_head_and_refuses_the_rest() {
    let served = Served::of(state(bad_night_view(), calm_status(), Vec::new())).await;
    for path in ROUTES {
        assert_eq!(ask(&served, Method::GET, path).await.status(), StatusCode::OK, "{path}");
        let head = ask(&served, Method::HEAD, path).await;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(head.bytes().await.expect("an empty body").len(), 0, "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
            let refused = ask(&served, method.clone(), path).await;
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(refused.headers()["allow"], "GET, HEAD");
        }
    }
    let unknown = ask(&served, Method::GET, "/no/such").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers()["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_body_is_refused_unread() {
    let served = Served::of(bad_night()).await;
    let url = format!("{}/", served.url);
    let answer = client().get(url).body(vec![b'x'; 1_025]).send().await.expect("the server answers");
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_refusals_too() {
    let served = Served::of(bad_night()).await;
    for (method, path) in [(Method::GET, "/"), (Method::GET, "/metrics"), (Method::GET, "/x"), (Method::POST, "/")] {
        let answer = ask(&served, method, path).await;
        let header = |name: &str| answer.headers()[name].to_str().expect("a header is text").to_owned();
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "script-src 'self'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn the_page_says_in_words_what_is_overdue_and_what_cannot_be_seen() {
    let html = get(&Served::of(bad_night()).await, "/").await;
    for said in [
        "<h1 id=\"headline\">2 P0 overdue · 3 others overdue · 1 of 2 sources can&#39;t be seen</h1>",
        "appeals has not been seen for <time datetime=\"2026-11-23T03:05:53Z\" data-say=\"for\">6m 12s</time>, since 03:05:53 UTC",
        ": cannot connect: connection refused",
        "2 categories nobody has named: presumed minor safety: <bdi>teen_challenge_x</bdi>",
        "P0 minor safety",
        "P0 presumed",
        "4m 10s overdue",
        "41s overdue, unverified",
        "due in 3m 12s",
        "https://mod.example.org/reports/4711",
        "The first 34 of 11,034 open cases",
        "webhook-minor",
        "parked",
        "last known, not seen now",
    ] {
        assert!(html.contains(said), "the page doesn't say: {said}\n{html}");
    }
    assert_eq!(html.matches("<script").count(), 1, "the board's own");
    assert!(html.contains("<script src=\"/assets/board-") && !html.contains("style=\"") && !html.contains("<style"));
}

#[tokio::test]
async fn a_calm_page_says_that_nothing_is_overdue() {
    let served = Served::of(state(View::default(), calm_status(), Vec::new())).await;
    let html = get(&served, "/").await;
    assert!(html.contains("<h1 id=\"headline\">Nothing overdue</h1>"), "{html}");
    assert!(html.contains("No open cases.") && html.contains("No page has been sent yet."), "{html}");
    assert!(!html.contains("class=\"alarm\"") && !html.contains("<li class"), "a calm page has no notices: {html}");
}

#[tokio::test]
async fn shadow_mode_and_the_demo_are_named() {
    let mut shadow = state(View::default(), Status { mode: Mode::Shadow, ..calm_status() }, Vec::new());
    shadow.demo = Some(Arc::new(Buttons::default()));
    let html = get(&Served::of(shadow).await, "/").await;
    assert!(html.contains("Nobody is paged") && html.contains("Every report here is synthetic"), "{html}");
}

#[tokio::test]
async fn a_reader_can_stop_the_page_from_loading_itself_anew() {
    let served = Served::of(bad_night()).await;
    assert!(get(&served, "/").await.contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
    let still = get(&served, "/?refresh=off").await;
    assert!(!still.contains("http-equiv=\"refresh\"") && still.contains("The first 34 of 11,034 open cases"));
    assert!(get(&served, "/?refresh=<b>").await.contains("The first 34 of"), "a wrong query shows the whole page");
}

#[tokio::test]
async fn a_hostile_category_is_text_wherever_it_shows() {
    let hostile = "\"><script>alert(1)</script>\\\n\u{202e}\u{1b}[2J";
    let mut view = bad_night_view();
    view.queue.insert(0, row("reports", 1, hostile, Priority::P0, Some(-1)));
    view.open.insert(group("reports", hostile, Priority::P0), Counts { open: 1, overdue: 1 });
    view.presumed_categories.push(("reports".into(), hostile.into()));
    view.incidents[0].category = hostile.into();
    let served = Served::of(state(view, bad_night_status(), Vec::new())).await;

    let html = get(&served, "/").await;
    assert!(!html.contains("<script>") && html.contains("&#60;script&#62;"), "{html}");
    let exposition = Exposition::parse(&get(&served, "/metrics").await);
    let escaped = hostile.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    assert!(exposition.has("tocsin_open_cases", &format!("category=\"{escaped}\"")));
    assert_eq!(json(&served, "/api/v1/queue").await["queue"][0]["category"], hostile);
    let table = render_table(&get(&served, "/api/v1/queue").await).expect("the queue renders");
    assert!(!table.contains('\u{1b}') && !table.contains('\u{202e}'), "{table:?}");
}

#[tokio::test]
async fn a_page_list_that_the_store_does_not_give_is_said_to_be_missing() {
    let mut broken = bad_night();
    broken.pages = Arc::new(Pages { rows: bad_night_pages(), broken: true });
    let served = Served::of(broken).await;
    let html = get(&served, "/").await;
    assert!(html.contains("The pages can't be listed") && html.contains("P0 minor safety"), "{html}");
    let exposition = Exposition::parse(&get(&served, "/metrics").await);
    assert!(!exposition.has("tocsin_pages", "channel"), "no figure is better than a zero");
}

#[tokio::test]
async fn the_queue_as_json_has_a_stable_shape_and_a_limit() {
    let served = Served::of(bad_night()).await;
    let body = json(&served, "/api/v1/queue?limit=2").await;
    assert_eq!(body["queue"].as_array().map(Vec::len), Some(2));
    assert_eq!(body["summary"]["p0_overdue"], 2);
    assert_eq!(body["unseen"][0]["source"], "appeals");
    let first = &body["queue"][0];
    assert_eq!(first["rank"], 1);
    assert_eq!(first["report_id"], "4711");
    assert_eq!((&first["priority"], &first["standing"]), (&"P0".into(), &"known".into()));
    assert_eq!((&first["overdue"], &first["reports"]), (&true.into(), &7.into()));
    assert_eq!(first["next"]["due_in_secs"], -250);
    assert_eq!(first["next"]["deadline"], "2026-11-23T03:07:55Z");
    assert_eq!(first["link"], "https://mod.example.org/reports/4711");
    assert_eq!(body["queue"][1]["source_seen"], false);
    let reference = first["reference"].as_str().expect("a reference is text");
    assert!(reference.starts_with("C-") && reference.len() == 13, "{reference}");
    for wrong in ["0", "1001", "-1", "all", ""] {
        let refused = ask(&served, Method::GET, &format!("/api/v1/queue?limit={wrong}")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "limit={wrong}");
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn the_queue_command_fits_a_terminal_and_leads_with_the_worst() {
    let served = Served::of(bad_night()).await;
    let table = render_table(&fetch(&served.url, 40).await.expect("the process answers")).expect("the queue renders");
    assert!(table.starts_with("2 P0 overdue · 3 others overdue · 1 of 2 sources can't be seen\nblind: appeals since"));
    let first = table.lines().find(|line| line.starts_with("1 ")).expect("the first rank has a line");
    assert!(first.contains("P0 minor safety 4m 10s overdue · first_response"), "{first}");
    assert!(table.contains("4711 +6") && table.ends_with("34 of 11,034 open cases\n"), "{table}");
    for line in table.lines() {
        assert!(line.width() <= COLUMNS, "{} columns: {line}", line.width());
    }
}

#[tokio::test]
async fn the_queue_command_says_what_to_do_when_nothing_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    drop(listener);
    let error = fetch(&url, 1).await.expect_err("nothing listens").to_string();
    assert!(error.contains("refused") && error.contains("is `tocsin run`"), "{error}");
}

#[tokio::test]
async fn the_process_is_alive_while_its_engine_is() {
    let served_state = bad_night();
    let served = Served::of(served_state.clone()).await;
    assert_eq!(ask(&served, Method::GET, "/healthz").await.status(), StatusCode::OK, "a blind source is no reason");
    served_state.status.update(|status| status.engine_alive_at = Some(ago(31)));
    let answer = ask(&served, Method::GET, "/healthz").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.text().await.expect("a body"), "the engine has taken up nothing for 31s\n");
}

#[tokio::test]
async fn readiness_names_each_reason_against_it() {
    let served_state = state(View::default(), calm_status(), Vec::new());
    let served = Served::of(served_state.clone()).await;
    let ready = ask(&served, Method::GET, "/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(ready.text().await.expect("a body"), r#"{"ready":true,"reasons":[]}"#);

    served_state.status.update(|status| {
        status.store.last_error = Some(Failure { at: ago(1), cause: "disk full".into() });
    });
    served_state.status.update_source("reports", |source| source.last_ok = Some(ago(61)));
    let unready = ask(&served, Method::GET, "/readyz").await;
    assert_eq!(unready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: serde_json::Value = serde_json::from_str(&unready.text().await.expect("a body")).expect("JSON");
    let reasons: Vec<&str> =
        body["reasons"].as_array().expect("a list").iter().filter_map(|reason| reason["reason"].as_str()).collect();
    assert_eq!(reasons, ["store_not_writable", "source_not_seen"]);
    assert_eq!(body["reasons"][1]["source"], "reports");
    assert_eq!(json(&served, "/api/v1/status").await["ready"], false);

    served_state.status.update(|status| (status.leader, status.store.last_error) = (false, None));
    let standby = ask(&served, Method::GET, "/readyz").await.text().await.expect("a body");
    assert!(
        standby.contains("not_leading") && standby.contains("standby") && !standby.contains("reports"),
        "{standby}"
    );
}

#[tokio::test]
async fn a_source_that_cannot_be_seen_has_no_gauges_rather_than_zeros() {
    let seen = metrics(
        bad_night_view(),
        Status { sources: vec![source("reports", 1), source("appeals", 1)], ..calm_status() },
    )
    .await;
    assert!(seen.has("tocsin_open_cases", "source=\"appeals\""));
    let blind = metrics(bad_night_view(), bad_night_status()).await;
    for family in ["tocsin_open_cases", "tocsin_overdue_cases", "tocsin_source_rows", "tocsin_presumed_categories"] {
        assert!(!blind.has(family, "source=\"appeals\""), "{family}");
        assert!(blind.has(family, "source=\"reports\""), "{family}");
    }
    assert_eq!(blind.value("tocsin_source_seen{source=\"appeals\"}"), Some(0.0));
    assert_eq!(blind.value("tocsin_poll_age_seconds{source=\"appeals\"}"), Some(372.0));
    let overdue = "tocsin_overdue_cases{source=\"reports\",category=\"csam\",priority=\"P0\"}";
    assert_eq!(blind.value(overdue), Some(1.0));
}

#[tokio::test]
async fn clocks_apart_and_the_lag_of_a_replica_are_measured_while_the_source_answers() {
    let mut replica = source("reports", 1);
    replica.clock = Some((ago(1), Span::from_secs(-3)));
    replica.lag = Some((ago(1), Lag { behind: Span::from_secs(7), cut_off: false }));
    let mut status = Status { sources: vec![replica, source("appeals", 1)], ..calm_status() };
    status.store.clock = Some((ago(1), Span::from_secs(2)));
    let answering = metrics(View::default(), status.clone()).await;
    let offset = "tocsin_source_clock_offset_seconds{source=\"reports\"}";
    assert_eq!(answering.value(offset), Some(-3.0));
    assert_eq!(answering.value("tocsin_source_lag_seconds{source=\"reports\"}"), Some(7.0));
    assert_eq!(answering.value("tocsin_store_clock_offset_seconds"), Some(2.0));
    assert!(!answering.has("tocsin_source_lag_seconds", "source=\"appeals\""), "it is no replica");

    status.sources[0].fail(BlindKind::Refused, Failure { at: ago(1), cause: "connection refused".into() });
    assert_eq!(metrics(View::default(), status).await.value(offset), None, "what was measured before is old");
}

#[tokio::test]
async fn a_drained_label_reports_zero() {
    let mut view = View::default();
    view.open.insert(group("reports", "csam", Priority::P0), Counts::default());
    let drained = metrics(view, calm_status()).await;
    let series = "tocsin_open_cases{source=\"reports\",category=\"csam\",priority=\"P0\"}";
    assert_eq!(drained.value(series), Some(0.0));
}

#[tokio::test]
async fn what_the_configuration_names_reports_from_the_first_scrape() {
    let empty =
        Exposition::parse(&get(&Served::of(state(View::default(), calm_status(), Vec::new())).await, "/metrics").await);
    for series in [
        "tocsin_pages{channel=\"log\",state=\"parked\"}",
        "tocsin_rejects_total{source=\"reports\",flaw=\"not_a_time\"}",
        "tocsin_open_incidents{priority=\"P0\"}",
        "tocsin_poll_duration_seconds_count{source=\"reports\"}",
        "tocsin_commit_duration_seconds_count",
    ] {
        assert_eq!(empty.value(series), Some(0.0), "{series}");
    }
    assert_eq!(empty.value("tocsin_build_info{version=\"0.1.0\"}"), Some(1.0));
    assert_eq!(empty.value("tocsin_leader"), Some(1.0));
}

#[tokio::test]
async fn counters_and_durations_hold_what_was_counted() {
    let served_state = bad_night();
    served_state.metrics.observe_commit(Span::from_micros(700));
    served_state.metrics.observe_poll("reports", Span::from_micros(4_200), Span::from_micros(1_100));
    let found = Exposition::parse(&get(&Served::of(served_state).await, "/metrics").await);
    let breaches =
        "tocsin_breaches_total{source=\"reports\",category=\"csam\",priority=\"P0\",target=\"first_response\"}";
    assert_eq!(found.value(breaches), Some(3.0));
    assert_eq!(found.value("tocsin_rejects_total{source=\"reports\",flaw=\"not_a_time\"}"), Some(21.0));
    assert_eq!(found.value("tocsin_pages{channel=\"webhook-tns\",state=\"parked\"}"), Some(1.0));
    assert_eq!(found.value("tocsin_commit_duration_seconds_sum"), Some(0.0007));
}

#[tokio::test]
async fn a_database_of_endless_categories_does_not_make_endless_series() {
    let mut view = View::default();
    for i in 0..1_000 {
        view.open.insert(group("reports", &format!("c{i:04}"), Priority::P0), Counts { open: 1, overdue: 0 });
    }
    let served_state = state(view, calm_status(), Vec::new());
    let served = Served::of(served_state.clone()).await;
    let found = Exposition::parse(&get(&served, "/metrics").await);
    let series = found.samples.keys().filter(|series| series.starts_with("tocsin_open_cases{")).count();
    // csam is configured and has its place, though no case of it was ever open.
    assert_eq!(series, CATEGORIES_MAX - 1 + 1);
    let other = format!("tocsin_open_cases{{source=\"reports\",category=\"{OTHER}\",priority=\"P0\"}}");
    assert_eq!(found.value(&other), Some(1_000.0 - (CATEGORIES_MAX as f64 - 1.0)));

    let mut grown = View::clone(&served_state.view.load());
    grown.open.insert(group("reports", "a new one that sorts first", Priority::P0), Counts { open: 1, overdue: 0 });
    served_state.view.store(Arc::new(grown));
    let again = Exposition::parse(&get(&served, "/metrics").await);
    assert!(again.has("tocsin_open_cases", "category=\"c0000\""), "a series once given isn't taken away");
    assert!(!again.has("tocsin_open_cases", "category=\"a new one"));
}

#[tokio::test]
async fn no_page_of_a_thousand_rows_is_out_of_bounds() {
    let mut view = bad_night_view();
    view.queue = (0..1_000).map(|i| row("reports", i, "spam", Priority::P4, Some(i))).collect();
    let html = get(&Served::of(state(view, calm_status(), Vec::new())).await, "/").await;
    assert_eq!(html.matches("<td role=\"cell\" class=\"rank\">").count(), 100);
    assert!(html.contains("href=\"/queue?after="), "the rest is a link away");
}

/// Serves a bad night, and a calm one beside it, for a person to look at; Ctrl-C ends it.
#[tokio::test]
#[ignore = "for a person with a browser: it serves until Ctrl-C"]
async fn for_a_person_samples_are_served() {
    let mut demo = state(View::default(), Status { mode: Mode::Shadow, ..calm_status() }, Vec::new());
    demo.demo = Some(Arc::new(Buttons::default()));
    let _bad = Served::at("127.0.0.1:18201", bad_night()).await;
    let _calm = Served::at("127.0.0.1:18202", demo).await;
    assert!(NOW > ago(1));
    tokio::signal::ctrl_c().await.expect("listen for Ctrl-C");
}
