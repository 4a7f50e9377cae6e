//! Acknowledging from where people are: the link of a page, the API and PagerDuty's webhooks, over real
//! connections, with what reaches the inbox.

use super::sample::{NOW, Served, Tray, ago, bad_night_pages, bad_night_status, bad_night_view, state};
use super::{client, get};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Response, StatusCode};
use sha2::Sha256;
use std::sync::Arc;
use tocsin::core::act::Deed;
use tocsin::core::id::IncidentNo;
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::{AckLink, Keys, hex};
use tocsin::secret::Secret;
use tocsin::web::WebState;
use tocsin::zone::rfc3339;

const SECRET: &str = "a webhook secret of PagerDuty's";
const OLD_SECRET: &str = "the one before";

fn keys() -> Keys {
    Keys::new(b"a secret of the test's own")
}

fn tray() -> Tray {
    Tray { alerts: vec![("our-key".into(), IncidentNo(12), 1)], open: vec![IncidentNo(99)], ..Tray::default() }
}

async fn served(tray: Tray) -> (Served, Arc<Tray>) {
    let tray = Arc::new(tray);
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let secrets = Arc::new(vec![Secret::new(SECRET), Secret::new(OLD_SECRET)]);
    let state = WebState { desk: tray.clone(), pagerduty_secrets: secrets, ..base };
    (Served::of(state).await, tray)
}

fn deeds(tray: &Tray) -> Vec<(Deed, String)> {
    tray.deeds.lock().unwrap().clone()
}

fn link(no: u64, round: u32, expires: Timestamp) -> String {
    AckLink { incident: IncidentNo(no), round, expires }.path(&keys())
}

fn tomorrow() -> Timestamp {
    NOW.plus(Span::from_hours(24))
}

async fn post_form(served: &Served, path: &str, body: &'static str) -> Response {
    let request = client().post(format!("{}{path}", served.url)).body(body);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.send().await.expect("the server answers")
}

#[tokio::test]
async fn a_link_asks_for_a_name_and_only_its_button_acknowledges() {
    let (served, tray) = served(tray()).await;
    let path = link(12, 1, tomorrow());
    for _ in 0..3 {
        let html = get(&served, &path).await;
        assert!(html.contains("<h1>Acknowledge I-12?</h1>") && html.contains("Your name"), "{html}");
        assert!(html.contains("its escalation stops. Its deadlines still run."), "{html}");
    }
    assert!(deeds(&tray).is_empty(), "a GET, as a scanner of mail makes it, takes nothing");
    let answer = post_form(&served, &path, "name=Ada+Lovelace").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("form-action 'self'") && policy.contains("default-src 'none'"), "{policy}");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert!(answer.text().await.unwrap().contains("I-12 is taken by Ada Lovelace."));
    let deed = Deed::AcknowledgePage { incident: IncidentNo(12), round: 1 };
    assert_eq!(deeds(&tray), [(deed, "Ada Lovelace".to_owned())]);
}

#[tokio::test]
async fn a_link_that_is_forged_expired_stale_or_over_takes_nothing() {
    let (served, tray) = served(tray()).await;
    let forged =
        AckLink { incident: IncidentNo(12), round: 1, expires: tomorrow() }.path(&Keys::new(b"another secret"));
    for (path, code) in [
        (forged, StatusCode::NOT_FOUND),
        ("/ack/12-1-9999999999-00".to_owned(), StatusCode::NOT_FOUND),
        (link(12, 1, ago(1)), StatusCode::GONE),
        (link(98, 0, tomorrow()), StatusCode::GONE),
    ] {
        let get = client().get(format!("{}{path}", served.url)).send().await.unwrap().status();
        assert_eq!((get, post_form(&served, &path, "name=ada").await.status()), (code, code), "{path}");
    }
    let beyond_the_view = post_form(&served, &link(99, 0, tomorrow()), "name=ada").await;
    assert_eq!(beyond_the_view.status(), StatusCode::OK, "the store knows what the board doesn't list");
    assert_eq!(deeds(&tray).len(), 1);
}

#[tokio::test]
async fn a_name_that_is_none_is_asked_for_again() {
    let (served, tray) = served(tray()).await;
    let path = link(12, 1, tomorrow());
    for body in ["", "name=", "name=++", "name=a%0Ab", "other=ada"] {
        let answer = post_form(&served, &path, body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        assert!(answer.text().await.unwrap().contains("Write your name"), "{body}");
    }
    let html = post_form(&served, &path, "name=%3Cscript%3Ealert(1)%3C/script%3E").await.text().await.unwrap();
    assert!(!html.contains("<script>"), "{html}");
    assert_eq!(deeds(&tray).len(), 1);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_never_taken_for_an_acknowledgement() {
    let (served, _) = served(Tray { broken: true, ..tray() }).await;
    let answer = post_form(&served, &link(12, 1, tomorrow()), "name=ada").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().await.unwrap().contains("nobody has taken it"));
    assert_eq!(webhook(&served, &event("e1", "incident.acknowledged", NOW), &[SECRET]).await, 503);
}

#[tokio::test]
async fn the_api_takes_a_name_as_json_and_refuses_another_sites_page() {
    let (served, tray) = served(tray()).await;
    let url = format!("{}/api/v1/incidents/I-99/acknowledge", served.url);
    let post = |body: &'static str, kind: &'static str| client().post(&url).body(body).header("content-type", kind);
    let answer = post(r#"{"by":"ada"}"#, "application/json").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert!(answer.text().await.unwrap().contains("\"I-99\""));
    assert_eq!(deeds(&tray), [(Deed::Acknowledge { incident: IncidentNo(99) }, "ada".to_owned())]);
    for (body, kind) in
        [(r#"{"by":""}"#, "application/json"), ("{}", "application/json"), (r#"{"by":"a"}"#, "text/plain")]
    {
        assert_eq!(post(body, kind).send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{body} {kind}");
    }
    for (name, value) in [("origin", "https://evil.example.org"), ("sec-fetch-site", "cross-site")] {
        let answer = post(r#"{"by":"ada"}"#, "application/json").header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
    let closed = format!("{}/api/v1/incidents/I-98/acknowledge", served.url);
    let closed = client().post(closed).header("content-type", "application/json").body(r#"{"by":"ada"}"#);
    assert_eq!(closed.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(deeds(&tray).len(), 1);
}

fn event(id: &str, kind: &str, at: Timestamp) -> String {
    by_agent(id, kind, at, &serde_json::json!({ "id": "PXPGF42", "summary": "Ada Lovelace", "type": "user_reference" }))
}

/// As PagerDuty's documentation shows it.
fn by_agent(id: &str, kind: &str, at: Timestamp, agent: &serde_json::Value) -> String {
    let data = serde_json::json!({
        "id": "PGR0VU2", "type": "incident", "number": 2, "status": "acknowledged", "incident_key": "our-key",
        "title": "P0 minor safety overdue",
    });
    serde_json::json!({ "event": {
        "id": id, "event_type": kind, "resource_type": "incident", "occurred_at": rfc3339(at), "agent": agent,
        "client": { "name": "PagerDuty" }, "data": data,
    } })
    .to_string()
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

async fn webhook(served: &Served, body: &str, secrets: &[&str]) -> u16 {
    let signatures: Vec<String> = secrets.iter().map(|secret| signature(secret, body)).collect();
    let request = client().post(format!("{}/webhooks/pagerduty", served.url)).body(body.to_owned());
    let request = request.header("X-PagerDuty-Signature", signatures.join(",")).header("X-Webhook-Id", "not signed");
    request.send().await.expect("the server answers").status().as_u16()
}

fn taken() -> (Deed, String) {
    (Deed::AcknowledgePage { incident: IncidentNo(12), round: 1 }, "Ada Lovelace (PagerDuty)".to_owned())
}

#[tokio::test]
async fn what_a_person_presses_in_pagerduty_acknowledges_once_however_often_it_is_delivered() {
    let (served, tray) = served(tray()).await;
    let pressed = event("e1", "incident.acknowledged", ago(2));
    assert_eq!(webhook(&served, &pressed, &[SECRET]).await, 202);
    for _ in 0..3 {
        assert_eq!(webhook(&served, &pressed, &[SECRET]).await, 200);
    }
    assert_eq!(deeds(&tray), [taken()]);
    let resolved = event("e2", "incident.resolved", ago(1));
    assert_eq!(webhook(&served, &resolved, &[SECRET]).await, 202);
    assert_eq!(deeds(&tray), [taken(), taken()], "a resolve pressed there is an acknowledgement");
}

#[tokio::test]
async fn either_secret_signs_while_one_rotates_and_nothing_else_does() {
    let (served, tray) = served(tray()).await;
    let pressed = |id: &str| event(id, "incident.acknowledged", ago(2));
    assert_eq!(webhook(&served, &pressed("a"), &["of somebody else", OLD_SECRET]).await, 202);
    assert_eq!(webhook(&served, &pressed("b"), &[SECRET]).await, 202);
    assert_eq!(webhook(&served, &pressed("c"), &["of somebody else"]).await, 401);
    assert_eq!(webhook(&served, &pressed("d"), &[]).await, 401);
    let genuine = signature(SECRET, &pressed("e"));
    let request = client().post(format!("{}/webhooks/pagerduty", served.url)).body(pressed("f"));
    assert_eq!(request.header("X-PagerDuty-Signature", genuine).send().await.unwrap().status(), 401);
    assert_eq!(deeds(&tray).len(), 2);
}

#[tokio::test]
async fn an_integration_an_automation_and_an_alert_of_others_take_nothing() {
    let (served, tray) = served(tray()).await;
    let agents = [
        serde_json::json!({ "id": "P1", "summary": "tocsin", "type": "inbound_integration_reference" }),
        serde_json::json!({ "id": "P2", "summary": "a service", "type": "service_reference" }),
        serde_json::Value::Null,
    ];
    for (n, agent) in agents.iter().enumerate() {
        let body = by_agent(&format!("i{n}"), "incident.acknowledged", ago(1), agent);
        assert_eq!(webhook(&served, &body, &[SECRET]).await, 200, "{agent}");
    }
    let of_others = event("o", "incident.acknowledged", ago(1)).replace("our-key", "their-key");
    assert_eq!(webhook(&served, &of_others, &[SECRET]).await, 200);
    for kind in ["pagey.ping", "incident.annotated", "incident.triggered"] {
        assert_eq!(webhook(&served, &event(kind, kind, ago(1)), &[SECRET]).await, 200);
    }
    assert!(deeds(&tray).is_empty());
}

#[tokio::test]
async fn a_webhook_that_is_replayed_after_a_week_or_comes_from_the_future_is_refused() {
    let (served, tray) = served(tray()).await;
    for (at, code) in [
        (NOW.minus(Span::from_hours(6 * 24)), 202),
        (NOW.minus(Span::from_hours(8 * 24)), 400),
        (NOW.plus(Span::from_mins(5)), 202),
        (NOW.plus(Span::from_mins(11)), 400),
    ] {
        let body = event(&format!("{at:?}"), "incident.acknowledged", at);
        assert_eq!(webhook(&served, &body, &[SECRET]).await, code, "{at:?}");
    }
    assert_eq!(webhook(&served, "{\"event\":7}", &[SECRET]).await, 400);
    assert_eq!(webhook(&served, &"x".repeat(300_000), &[SECRET]).await, 413);
    assert_eq!(deeds(&tray).len(), 2);
}

#[tokio::test]
async fn without_a_secret_no_webhook_is_taken() {
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let served = Served::of(base).await;
    assert_eq!(webhook(&served, &event("e", "incident.acknowledged", NOW), &[""]).await, 404);
}

#[tokio::test]
async fn the_board_says_who_has_taken_what_and_what_is_kept_quiet_by_whom_and_why() {
    let mut view = bad_night_view();
    view.incidents[0].incident.acknowledge("Ada Lovelace (PagerDuty)".into(), false, None, ago(30));
    let served = Served::of(state(view, bad_night_status(), bad_night_pages())).await;
    let html = get(&served, "/").await;
    for said in [
        "Taken by",
        "<bdi>Ada Lovelace (PagerDuty)</bdi>, <time",
        ">30s ago<",
        "<bdi>nobody</bdi>",
        "Q-17",
        "the spam filter is being moved",
    ] {
        assert!(html.contains(said), "the page doesn't say: {said}");
    }
    let quiets: serde_json::Value = serde_json::from_str(&get(&served, "/api/v1/quiets").await).unwrap();
    let first = &quiets[0];
    assert_eq!((&first["no"], &first["what"], &first["by"]), (&"Q-17".into(), &"category spam".into(), &"ada".into()));
    assert_eq!(first["in_force"], true);
}

#[tokio::test]
async fn the_list_of_pages_calls_a_warning_a_warning_and_no_incident() {
    let mut pages = bad_night_pages();
    pages[1].page.payload = r#"{"incident":"W-12","notice":{"about":"warning"},"cases":[]}"#.into();
    let html = get(&Served::of(state(bad_night_view(), bad_night_status(), pages)).await, "/").await;
    for said in ["data-label=\"Incident\">W-12<", "data-label=\"Kind\">warning<", "data-label=\"Incident\">I-13<"] {
        assert!(html.contains(said), "the page doesn't say: {said}");
    }
}
