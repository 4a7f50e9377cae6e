//! What stands before every route: only GET and HEAD, but where people act, no body worth the name, an answer within
//! `ANSWER_WITHIN`, and headers under which a browser runs nothing, frames nothing and tells nobody.

use super::{page, pagerduty};
use crate::keys::ACK_PATH;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use std::time::Duration;

/// But for webhooks, a name is all there is to post; a body larger than this is refused unread.
pub const BODY_BYTES_MAX: u64 = 1024;
/// Every answer comes out of memory, but for the store's pages.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The style sheets, of the page and of the weekly report, are inside them and allowed by their hashes. Images
/// are only the page's own icon. The second is of the page that asks for a name, whose form goes back to where
/// it came from.
static CONTENT_SECURITY_POLICIES: LazyLock<[Option<HeaderValue>; 2]> = LazyLock::new(|| {
    let hash = |style: &str| STANDARD.encode(Sha256::digest(style.as_bytes()));
    let (page, report) = (hash(page::STYLE), hash(crate::weekly::html::STYLE));
    ["'none'", "'self'"].map(|form_action| {
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{page}' 'sha256-{report}'; img-src data:; base-uri 'none'; \
             form-action {form_action}; frame-ancestors 'none'"
        );
        HeaderValue::from_str(&policy).ok()
    })
});

/// What may be posted to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Posts {
    Nothing,
    /// A name, proved by the signed link in its path.
    Name,
    /// What a pager product signs.
    Webhooks,
    /// By programs of this machine, never by a page of another site in a browser on it.
    FromHere,
}

impl Posts {
    fn at(path: &str) -> Posts {
        match path {
            pagerduty::PATH => Posts::Webhooks,
            path if path.starts_with(ACK_PATH) => Posts::Name,
            path if path.starts_with("/api/v1/incidents/") => Posts::FromHere,
            _ => Posts::Nothing,
        }
    }
}

/// A browser says where a request comes from; programs say nothing.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    site || headers.contains_key(header::ORIGIN)
}

const FIXED_HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The outermost layer: whatever answers, refusals included, carries the headers.
pub async fn guard(request: Request, next: Next) -> Response {
    let asks_for_a_name = request.uri().path().starts_with(ACK_PATH);
    let mut response = match refusal(&request) {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => response,
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer within 5 s; try again\n").into_response(),
        },
    };
    harden(response.headers_mut(), asks_for_a_name);
    response
}

fn refusal(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    let posts = Posts::at(path);
    let allowed = match *request.method() {
        Method::GET | Method::HEAD => true,
        Method::POST => posts != Posts::Nothing,
        _ => false,
    };
    if !allowed {
        let allow = [(header::ALLOW, if posts == Posts::Nothing { "GET, HEAD" } else { "GET, HEAD, POST" })];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, "no such method here\n").into_response());
    }
    if posts == Posts::FromHere && is_of_another_site(request.headers()) {
        return Some((StatusCode::FORBIDDEN, "asked for by another site\n").into_response());
    }
    let bytes_max = if posts == Posts::Webhooks { pagerduty::BODY_BYTES_MAX } else { BODY_BYTES_MAX };
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_long = length.is_some_and(|length| length > bytes_max);
    // A webhook may come through a proxy that doesn't say how long it is; its route counts.
    let unsaid = headers.contains_key(header::TRANSFER_ENCODING) && posts != Posts::Webhooks;
    if too_long || unsaid {
        // The body stays unread, so the connection can't serve another request.
        let close = [(header::CONNECTION, "close")];
        return Some((StatusCode::PAYLOAD_TOO_LARGE, close, "send no body\n").into_response());
    }
    None
}

fn harden(headers: &mut HeaderMap, asks_for_a_name: bool) {
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policies = &*CONTENT_SECURITY_POLICIES;
    if let Some(policy) = if asks_for_a_name { &policies[1] } else { &policies[0] } {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
}
