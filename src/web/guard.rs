//! What stands before every route: who asks and whether they may, how often, no body that isn't wanted, an answer within
//! `ANSWER_WITHIN`, and headers under which a browser runs nothing but the board's own script, frames nothing and
//! tells nobody.

use super::access::{Need, Refused, Who};
use super::server::Peer;
use super::{WebState, pagerduty, plain, problem};
use crate::core::time::{Span, Timestamp};
use crate::keys::ACK_PATH;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

/// But for webhooks, a form or a few fields are all there is to post; a larger body is refused unread.
pub const BODY_BYTES_MAX: u64 = 8 * 1024;
/// What a request that changes nothing may carry along, unread.
const BODY_OF_A_GET_BYTES_MAX: u64 = 1024;
/// Every answer comes out of memory, but for what the store is asked.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest address of a request.
const URI_BYTES_MAX: usize = 2_048;

const BOARD_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The weekly report is one file that is mailed as well: its style sheet is inside it and allowed by its hash.
static REPORT_POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(crate::weekly::html::STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

const FIXED_HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What may be posted to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Posts {
    Nothing,
    /// A form of the board, or of a signed link: proved by what is in it.
    Form,
    /// What a pager product signs.
    Webhooks,
    /// JSON by programs, never by a page of another site in somebody's browser.
    Api,
}

impl Posts {
    fn at(path: &str) -> Posts {
        match path {
            pagerduty::PATH => Posts::Webhooks,
            "/login" | "/logout" => Posts::Form,
            "/api/v1/snoozes" | "/api/v1/windows" | "/api/v1/events" | "/api/v1/reload" => Posts::Api,
            path if path.starts_with(ACK_PATH) || path.starts_with("/demo/") => Posts::Form,
            path if path.starts_with("/incidents/") && path.matches('/').count() == 3 => Posts::Form,
            path if path.starts_with("/api/v1/incidents/") && path.ends_with("/acknowledge") => Posts::Api,
            path if path.starts_with("/api/v1/quiets/") && path.ends_with("/end") => Posts::Api,
            _ => Posts::Nothing,
        }
    }

    const fn body_bytes_max(self) -> u64 {
        match self {
            Posts::Nothing => BODY_OF_A_GET_BYTES_MAX,
            Posts::Form | Posts::Api => BODY_BYTES_MAX,
            Posts::Webhooks => pagerduty::BODY_BYTES_MAX,
        }
    }
}

/// Where a request comes from, as far as it can be believed.
#[derive(Clone, Copy, Debug)]
pub struct From(pub Option<IpAddr>);

impl From {
    /// "board 10.0.0.7", for the audit log.
    pub fn words(&self, door: &str) -> String {
        match self.0 {
            Some(address) => format!("{door} {address}"),
            None => door.to_owned(),
        }
    }
}

/// The outermost layer: whatever answers, refusals included, carries the headers.
pub async fn guard(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let is_report = request.uri().path().starts_with("/weekly/") || request.uri().path() == "/demo/week";
    let judged = match refusal(&request) {
        Some(refusal) => Err(refusal),
        None => admitted(&state, &mut request).await,
    };
    let mut response = match judged {
        Err(refusal) => refusal,
        Ok(()) => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => response,
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "no answer within 5 s; try again\n"),
        },
    };
    harden(response.headers_mut(), is_report);
    response
}

/// Lets a request in with who asks it, or says why not.
async fn admitted(state: &WebState, request: &mut Request) -> Result<(), Response> {
    let now = (state.now)();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let address = state.access.address(peer, request.headers());
    let place = address.map_or_else(|| "nowhere".to_owned(), |address| address.to_string());
    let need = Need::of(&method, &path);
    let limits = &state.limits;
    let found = state.access.who(peer, request.headers(), &state.keys, now).await;
    if found.is_err() && need != Need::Nothing {
        // An address that guesses is slowed down. Whoever is known comes in from there all the same: somebody who is
        // woken must not be locked out by who shares their address.
        limits.wrong.take(&place, now).map_err(|wait| too_many(&path, wait))?;
    }
    // Whoever is named has a bucket of their own; behind one proxy or address all the others share theirs.
    let named = found.as_ref().ok().filter(|who| who.name().is_some()).map(Who::key);
    if let Err(wait) = limits.requests.take(&named.unwrap_or_else(|| format!("at {place}")), now) {
        return Err(too_many(&path, wait));
    }
    match (need, &found) {
        (Need::Nothing, _) => {}
        (Need::Role(_), Err(refused)) => return Err(not_let_in(*refused, &method, &path, request.headers())),
        (Need::Role(role), Ok(who)) if who.role < role => {
            let detail = format!("this takes the role {}, and yours is {}", role.as_str(), who.role.as_str());
            return Err(refuse(&path, StatusCode::FORBIDDEN, &detail));
        }
        (Need::Role(_), Ok(who)) => {
            let by_a_page = Posts::at(&path) == Posts::Api && method == Method::POST;
            if by_a_page && who.is_of_a_browser() && is_of_another_site(request.headers()) {
                return Err(refuse(&path, StatusCode::FORBIDDEN, "asked for by a page in a browser"));
            }
        }
    }
    if let Ok(who) = found {
        request.extensions_mut().insert(who);
    }
    request.extensions_mut().insert(From(address));
    Ok(())
}

/// A browser says where a request comes from; programs say nothing.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    site || headers.contains_key(header::ORIGIN)
}

/// As the asker can use it: JSON for programs, a line for people.
fn refuse(path: &str, code: StatusCode, detail: &str) -> Response {
    if path.starts_with("/api/") { problem(code, detail) } else { plain(code, format!("{detail}\n")) }
}

fn too_many(path: &str, wait: Span) -> Response {
    let mut response = refuse(path, StatusCode::TOO_MANY_REQUESTS, "too many requests; wait and try again");
    let secs = ((wait.micros() + 999_999) / 1_000_000).max(1);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    response
}

fn not_let_in(refused: Refused, method: &Method, path: &str, headers: &HeaderMap) -> Response {
    let wants_a_page = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_a_person = method == Method::GET && wants_a_page.is_some_and(|accept| accept.contains("text/html"));
    match refused {
        Refused::Unknown if is_a_person && !path.starts_with("/api/") => Redirect::to("/login").into_response(),
        Refused::Unknown => {
            let detail = "say who you are: Authorization: Bearer TOKEN; `tocsin token create` makes one";
            let mut response = refuse(path, StatusCode::UNAUTHORIZED, detail);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
        Refused::NoRole => refuse(path, StatusCode::FORBIDDEN, "[web] roles gives you no role"),
        Refused::WrongHost => {
            let detail = "asked for under another name than localhost or [web] public_url's";
            refuse(path, StatusCode::MISDIRECTED_REQUEST, detail)
        }
    }
}

fn refusal(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    if request.uri().to_string().len() > URI_BYTES_MAX {
        return Some(refuse("", StatusCode::URI_TOO_LONG, "no address here is that long"));
    }
    let posts = Posts::at(path);
    let allowed = match *request.method() {
        Method::GET | Method::HEAD => true,
        Method::POST => posts != Posts::Nothing,
        _ => false,
    };
    if !allowed {
        let allow = if posts == Posts::Nothing { "GET, HEAD" } else { "GET, HEAD, POST" };
        let mut response = refuse(path, StatusCode::METHOD_NOT_ALLOWED, "no such method here");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        return Some(response);
    }
    let reads = request.method() != Method::POST;
    let bytes_max = if reads { BODY_OF_A_GET_BYTES_MAX } else { posts.body_bytes_max() };
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_long = length.is_some_and(|length| length > bytes_max);
    // A webhook may come through a proxy that doesn't say how long it is; its route counts.
    let unsaid = headers.contains_key(header::TRANSFER_ENCODING) && posts != Posts::Webhooks;
    if too_long || unsaid {
        let mut response = refuse(path, StatusCode::PAYLOAD_TOO_LARGE, "send a small body, of a stated length");
        // The body stays unread, so the connection can't serve another request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Some(response);
    }
    None
}

fn harden(headers: &mut HeaderMap, is_report: bool) {
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let report = if is_report { REPORT_POLICY.clone() } else { None };
    headers.insert(header::CONTENT_SECURITY_POLICY, report.unwrap_or(HeaderValue::from_static(BOARD_POLICY)));
}

/// What an asker may do to the limits in one process.
#[derive(Debug)]
pub struct Buckets {
    pub requests: super::limits::Limits,
    pub wrong: super::limits::Limits,
}

impl Default for Buckets {
    fn default() -> Self {
        use super::limits::{Limits, REQUESTS, WRONG};
        Buckets { requests: Limits::new(REQUESTS), wrong: Limits::new(WRONG) }
    }
}

impl Buckets {
    /// Notes a wrong proof from an address.
    pub fn note_wrong(&self, from: &From, now: Timestamp) {
        let place = from.0.map_or_else(|| "nowhere".to_owned(), |address| address.to_string());
        let _ = self.wrong.take(&place, now);
    }
}
