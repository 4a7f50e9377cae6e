//! What stands before every route: only GET and HEAD, no body worth the name, an answer within
//! `ANSWER_WITHIN`, and headers under which a browser runs nothing, frames nothing and tells nobody.

use super::page;
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

/// There is nothing to post; a body larger than this is refused unread.
pub const BODY_BYTES_MAX: u64 = 1024;
/// Every answer comes out of memory, but for the store's pages.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The style sheets, of the page and of the weekly report, are inside them and allowed by their hashes. Images are only the page's own icon.
static CONTENT_SECURITY_POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = |style: &str| STANDARD.encode(Sha256::digest(style.as_bytes()));
    let (page, report) = (hash(page::STYLE), hash(crate::weekly::html::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{page}' 'sha256-{report}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

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
    let mut response = match refusal(&request) {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => response,
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no answer within 5 s; try again\n").into_response(),
        },
    };
    harden(response.headers_mut());
    response
}

fn refusal(request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, "only GET and HEAD\n").into_response());
    }
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_long = length.is_some_and(|length| length > BODY_BYTES_MAX);
    if too_long || headers.contains_key(header::TRANSFER_ENCODING) {
        // The body stays unread, so the connection can't serve another request.
        let close = [(header::CONNECTION, "close")];
        return Some((StatusCode::PAYLOAD_TOO_LARGE, close, "send no body\n").into_response());
    }
    None
}

fn harden(headers: &mut HeaderMap) {
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = &*CONTENT_SECURITY_POLICY {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
}
