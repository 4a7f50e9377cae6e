//! Who is let in: every route without a proof, with each role, with a forged, an ended and a taken token, by a session,
//! by a proxy that is believed and by one that isn't; and what another site's page can make a browser do.

use super::client;
use super::sample::{NOW, Served, Tray, bad_night_pages, bad_night_status, bad_night_view, state};
use super::stands_in::Purse;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use std::sync::Arc;
use tocsin::core::id::IncidentNo;
use tocsin::core::time::Span;
use tocsin::keys::Keys;
use tocsin::web::WebState;
use tocsin::web::access::{Access, Role};

/// Every route that tells or changes something, with what it takes.
const ROUTES: [(&str, &str, Role); 25] = [
    ("GET", "/", Role::Viewer),
    ("GET", "/queue?after=x", Role::Viewer),
    ("GET", "/live", Role::Viewer),
    ("GET", "/cases?reference=C-7F3KQ-9QXMA", Role::Viewer),
    ("GET", "/cases/C-7F3KQ-9QXMA", Role::Viewer),
    ("GET", "/incidents/I-12", Role::Viewer),
    ("POST", "/incidents/I-12/acknowledge", Role::Responder),
    ("POST", "/incidents/I-11/snooze", Role::Responder),
    ("GET", "/weekly/2026-W46", Role::Viewer),
    ("GET", "/metrics", Role::Viewer),
    ("GET", "/api/v1/openapi.json", Role::Viewer),
    ("GET", "/api/v1/queue", Role::Viewer),
    ("GET", "/api/v1/cases", Role::Viewer),
    ("GET", "/api/v1/incidents", Role::Viewer),
    ("GET", "/api/v1/incidents/I-12", Role::Viewer),
    ("POST", "/api/v1/incidents/I-12/acknowledge", Role::Responder),
    ("GET", "/api/v1/pages", Role::Viewer),
    ("GET", "/api/v1/quiets", Role::Viewer),
    ("POST", "/api/v1/quiets/Q-17/end", Role::Responder),
    ("POST", "/api/v1/snoozes", Role::Responder),
    ("POST", "/api/v1/windows", Role::Responder),
    ("POST", "/api/v1/events", Role::Responder),
    ("GET", "/api/v1/status", Role::Viewer),
    ("POST", "/api/v1/reload", Role::Admin),
    ("GET", "/api/v1/audit", Role::Admin),
];

fn asked() -> (WebState, Arc<Purse>, Arc<Tray>) {
    let purse = Arc::new(Purse::of_each_role());
    let tray = Arc::new(Tray { open: vec![IncidentNo(12)], ..Tray::default() });
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let access = Access {
        required: true,
        proxies: vec!["127.0.0.9".parse().unwrap()],
        user_header: Some("x-forwarded-user".parse().unwrap()),
        roles: vec![("*@example.org".into(), Role::Viewer), ("ada@example.org".into(), Role::Admin)],
        public_host: Some("tocsin.example.org".into()),
        ..Access::open(purse.clone())
    };
    (WebState { access: Arc::new(access), desk: tray.clone(), ..base }, purse, tray)
}

fn request(served: &Served, method: &str, path: &str) -> RequestBuilder {
    let method: Method = method.parse().unwrap();
    let builder = client().request(method.clone(), format!("{}{path}", served.url));
    if method == Method::POST { builder.header("content-type", "application/json").body("{}") } else { builder }
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.expect("the server answers").status()
}

fn is_let_in(code: StatusCode) -> bool {
    code != StatusCode::UNAUTHORIZED && code != StatusCode::FORBIDDEN
}

#[tokio::test]
async fn every_route_takes_its_role_and_nothing_less() {
    let mut names = Vec::new();
    // A few at a time: an address that is wrong too often is slowed down.
    for routes in ROUTES.chunks(15) {
        let (state, _, tray) = asked();
        let served = Served::of(state).await;
        for (method, path, needed) in routes {
            takes_its_role(&served, method, path, *needed).await;
        }
        names.extend(tray.deeds.lock().unwrap().iter().map(|(deed, by)| (deed.kind(), by.clone())));
    }
    let by = |kind, role: &str| (kind, format!("a {role}"));
    let expected = ["acknowledge", "end_quiet"].map(|kind| [by(kind, "responder"), by(kind, "admin")]);
    names.sort();
    let mut expected = expected.concat();
    expected.sort();
    assert_eq!(names, expected, "the token's name goes into the record");
}

async fn takes_its_role(served: &Served, method: &str, path: &str, needed: Role) {
    let without = request(served, method, path).send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
    assert_eq!(without.headers()["www-authenticate"], "Bearer");
    for role in Role::ALL {
        let answer = status(request(served, method, path).bearer_auth(format!("tocsin_{}", role.as_str()))).await;
        // The forms of the board refuse a request without their proof, whoever sends it.
        let is_form = method == "POST" && !path.starts_with("/api/");
        if role < needed {
            assert_eq!(answer, StatusCode::FORBIDDEN, "{method} {path} as {role:?}");
        } else if !is_form {
            assert!(is_let_in(answer), "{method} {path} as {role:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_forged_taken_away_or_sent_otherwise_opens_nothing() {
    let (state, purse, _) = asked();
    let served = Served::of(state).await;
    let ask = || request(&served, "GET", "/api/v1/queue");
    assert_eq!(status(ask().bearer_auth("tocsin_viewer")).await, StatusCode::OK);
    for wrong in ["tocsin_viewer2", "tocsin_viewe", "viewer", "", "tocsin_", "tocsin_viewer\u{e4}"] {
        assert_eq!(status(ask().bearer_auth(wrong)).await, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    for (name, value) in [
        ("authorization", "Basic dG9jc2luX3ZpZXdlcjo="),
        ("authorization", "tocsin_viewer"),
        ("cookie", "tocsin_session=tocsin_viewer"),
        ("cookie", "tocsin_session=1.9999999999.00"),
    ] {
        assert_eq!(status(ask().header(name, value)).await, StatusCode::UNAUTHORIZED, "{name}: {value}");
    }
    let in_the_address = request(&served, "GET", "/api/v1/queue?token=tocsin_viewer&access_token=tocsin_viewer");
    assert_eq!(status(in_the_address).await, StatusCode::UNAUTHORIZED);
    purse.take_away("tocsin_viewer");
    assert_eq!(status(ask().bearer_auth("tocsin_viewer")).await, StatusCode::UNAUTHORIZED, "revoked");
}

#[tokio::test]
async fn what_proves_itself_or_tells_nothing_needs_no_proof() {
    let (state, ..) = asked();
    let served = Served::of(state).await;
    assert_eq!(status(request(&served, "GET", "/healthz")).await, StatusCode::OK);
    assert_eq!(status(request(&served, "GET", "/login")).await, StatusCode::OK);
    let ready = request(&served, "GET", "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.text().await.unwrap(), r#"{"ready":false,"reasons":[]}"#, "why is for those who may look");
    let told = request(&served, "GET", "/readyz").bearer_auth("tocsin_viewer").send().await.unwrap();
    assert!(told.text().await.unwrap().contains("appeals"));
    assert_eq!(status(request(&served, "GET", "/ack/forged")).await, StatusCode::NOT_FOUND);
    assert_eq!(status(request(&served, "POST", "/webhooks/pagerduty")).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_person_without_a_session_is_led_to_sign_in() {
    let (state, ..) = asked();
    let served = Served::of(state).await;
    let stays = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = stays.get(format!("{}/", served.url)).header("accept", "text/html,*/*").send().await.unwrap();
    assert_eq!((answer.status(), answer.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/login"));
}

/// Signs in and gives the cookie.
async fn session(served: &Served, token: &str) -> (StatusCode, Option<String>) {
    let stays = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = stays.post(format!("{}/login", served.url));
    let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!("token={token}"));
    let answer = form.send().await.unwrap();
    let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
    (answer.status(), cookie)
}

fn field(html: &str, name: &str) -> String {
    let begin = html.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the form has the field");
    begin.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_opened_by_a_token_holds_no_token_and_ends_with_it() {
    let (state, purse, tray) = asked();
    let keys = state.keys.clone();
    let served = Served::of(state).await;
    let (code, cookie) = session(&served, "tocsin_responder").await;
    let cookie = cookie.expect("a cookie");
    assert_eq!(code, StatusCode::SEE_OTHER);
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("tocsin_responder"), "{cookie}");
    assert_eq!(
        tray.noted.lock().unwrap().as_slice(),
        [("sign_in".into(), "a responder".into(), "board 127.0.0.1".into())]
    );
    let pair = cookie.split(';').next().unwrap().to_owned();
    let page = request(&served, "GET", "/").header("cookie", &pair).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Signed in as <bdi>a responder</bdi>"));

    let expired = keys.signed("session", &format!("2.{}", NOW.minus(Span::from_secs(1)).secs()));
    let of_others = Keys::new(b"another secret").signed("session", "2.9999999999");
    for forged in [expired, of_others] {
        let ask = request(&served, "GET", "/").header("cookie", format!("tocsin_session={forged}"));
        assert_eq!(status(ask).await, StatusCode::UNAUTHORIZED, "{forged}");
    }
    purse.take_away("tocsin_responder");
    let ask = request(&served, "GET", "/").header("cookie", &pair);
    assert_eq!(status(ask).await, StatusCode::UNAUTHORIZED, "a session ends with its token");
    assert_eq!(session(&served, "tocsin_nobody").await, (StatusCode::FORBIDDEN, None));
}

#[tokio::test]
async fn a_form_without_the_boards_own_proof_does_nothing() {
    let (state, _, tray) = asked();
    let served = Served::of(state).await;
    let (_, cookie) = session(&served, "tocsin_responder").await;
    let pair = cookie.unwrap().split(';').next().unwrap().to_owned();
    let page = request(&served, "GET", "/incidents/I-12").header("cookie", &pair).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE, "this test has no engine");
    let board = request(&served, "GET", "/").header("cookie", &pair).send().await.unwrap().text().await.unwrap();
    let mine = field(&board, "proof");
    let (_, other) = session(&served, "tocsin_admin").await;
    let other = other.unwrap().split(';').next().unwrap().to_owned();
    let theirs = request(&served, "GET", "/").header("cookie", &other).send().await.unwrap().text().await.unwrap();
    for proof in ["", "x", &field(&theirs, "proof"), &format!("{mine}0")] {
        let form = client().post(format!("{}/incidents/I-12/acknowledge", served.url)).header("cookie", &pair);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let answer = form.body(format!("proof={proof}&round=0")).send().await.unwrap();
        assert!(!answer.status().is_success(), "{proof}");
    }
    assert!(tray.deeds.lock().unwrap().is_empty());
    let logout = client().post(format!("{}/logout", served.url)).header("cookie", &pair);
    let logout = logout.header("content-type", "application/x-www-form-urlencoded").body(format!("proof={mine}"));
    let answer: Response = logout.send().await.unwrap();
    assert!(answer.url().path() == "/login", "{}", answer.url());
}

#[tokio::test]
async fn a_pages_script_cannot_use_a_session_for_the_api() {
    let (state, _, tray) = asked();
    let served = Served::of(state).await;
    let (_, cookie) = session(&served, "tocsin_responder").await;
    let pair = cookie.unwrap().split(';').next().unwrap().to_owned();
    let take = || request(&served, "POST", "/api/v1/incidents/I-12/acknowledge").header("cookie", &pair);
    for (name, value) in [("origin", "https://evil.example.org"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(status(take().header(name, value)).await, StatusCode::FORBIDDEN);
    }
    assert!(tray.deeds.lock().unwrap().is_empty());
    assert_eq!(status(take()).await, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_user_header_is_believed_of_the_named_proxy_alone() {
    let (state, ..) = asked();
    let own = Served::of(WebState {
        access: Arc::new(Access { proxies: vec!["127.0.0.1".parse().unwrap()], ..Access::clone(&state.access) }),
        ..state.clone()
    })
    .await;
    let as_user =
        |served: &Served, path: &str, user: &str| request(served, "GET", path).header("X-Forwarded-User", user);
    assert_eq!(status(as_user(&own, "/", "bob@example.org")).await, StatusCode::OK);
    assert_eq!(status(as_user(&own, "/api/v1/audit", "bob@example.org")).await, StatusCode::FORBIDDEN);
    assert_eq!(status(as_user(&own, "/api/v1/audit", "ada@example.org")).await, StatusCode::OK);
    assert_eq!(status(as_user(&own, "/", "eve@example.net")).await, StatusCode::FORBIDDEN, "no pattern names her");
    assert_eq!(status(as_user(&own, "/", "")).await, StatusCode::UNAUTHORIZED);
    let twice = as_user(&own, "/", "bob@example.org").header("X-Forwarded-User", "ada@example.org");
    assert_eq!(status(twice).await, StatusCode::UNAUTHORIZED, "the one that the client sent stands beside the proxy's");
    let elsewhere = Served::of(state).await;
    assert_eq!(status(as_user(&elsewhere, "/", "ada@example.org")).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn where_nobody_is_asked_a_name_that_is_not_this_machines_opens_nothing() {
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let access = Access { public_host: Some("tocsin.example.org".into()), ..Access::clone(&base.access) };
    let served = Served::of(WebState { access: Arc::new(access), ..base }).await;
    for (host, code) in [
        ("rebound.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("127.0.0.1.evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("localhost:8080", StatusCode::OK),
        ("[::1]:8080", StatusCode::OK),
        ("tocsin.example.org", StatusCode::OK),
    ] {
        assert_eq!(status(request(&served, "GET", "/").header("host", host)).await, code, "{host}");
    }
}

#[tokio::test]
async fn whoever_guesses_is_slowed_down_and_nobody_else() {
    let (state, ..) = asked();
    let served = Served::of(state).await;
    let mut codes = Vec::new();
    for guess in 0..25 {
        codes.push(status(request(&served, "GET", "/api/v1/queue").bearer_auth(format!("tocsin_{guess}"))).await);
    }
    assert_eq!(codes[0], StatusCode::UNAUTHORIZED);
    assert_eq!(codes[24], StatusCode::TOO_MANY_REQUESTS);
    let known = request(&served, "GET", "/api/v1/queue").bearer_auth("tocsin_viewer");
    assert_eq!(status(known).await, StatusCode::OK, "from the same address");
    assert_eq!(status(request(&served, "GET", "/healthz")).await, StatusCode::OK);
}
