//! The API under /api/v1: the routes, their description as OpenAPI, and what all answers have in common. A body has the
//! same shape for as long as this version lasts; fields may be added.

mod act;
mod bodies;
mod look;

use super::{WebState, problem};
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// What changes with every second and says nothing new: it doesn't count for an entity tag.
const OF_THE_MOMENT: [&str; 4] = ["now", "as_of", "due_in_secs", "received_age_secs"];

#[derive(OpenApi)]
#[openapi(
    info(title = "tocsin", description = "The queue, incidents and quiets of a report-queue SLA monitor. Times are \
        RFC 3339 in UTC; errors are application/problem+json; lists are read on by their cursor `next`."),
    paths(
        look::queue, look::cases, look::case, look::incidents, look::incident, look::pages, look::quiets,
        look::status, look::weekly, look::audit, act::acknowledge, act::snooze, act::window, act::end_quiet, act::event, act::reload
    ),
    modifiers(&Bearer)
)]
struct Description;

/// Tokens come in the header; browsers have their session.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_with(Default::default);
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let none = utoipa::openapi::security::SecurityRequirement::default();
        let token = utoipa::openapi::security::SecurityRequirement::new("token", Vec::<String>::new());
        // On loopback nobody is asked.
        openapi.security = Some(vec![none, token]);
    }
}

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(Description::openapi()).unwrap_or(Value::Null));

/// The document, for whoever writes a client.
pub fn description() -> &'static Value {
    &DESCRIPTION
}

pub fn router() -> Router<WebState> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/queue", get(look::queue))
        .route("/api/v1/cases", get(look::cases))
        .route("/api/v1/cases/{reference}", get(look::case))
        .route("/api/v1/incidents", get(look::incidents))
        .route("/api/v1/incidents/{no}", get(look::incident))
        .route("/api/v1/incidents/{no}/acknowledge", post(act::acknowledge))
        .route("/api/v1/pages", get(look::pages))
        .route("/api/v1/quiets", get(look::quiets))
        .route("/api/v1/quiets/{no}/end", post(act::end_quiet))
        .route("/api/v1/snoozes", post(act::snooze))
        .route("/api/v1/windows", post(act::window))
        .route("/api/v1/status", get(look::status))
        .route("/api/v1/weekly/{week}", get(look::weekly))
        .route("/api/v1/events", post(act::event))
        .route("/api/v1/reload", post(act::reload))
        .route("/api/v1/audit", get(look::audit))
        .route("/api/{*rest}", get(no_such).post(no_such))
}

async fn openapi(headers: HeaderMap) -> Response {
    tagged(&headers, description())
}

async fn no_such() -> Response {
    problem(StatusCode::NOT_FOUND, "no such resource; /api/v1/openapi.json lists them")
}

/// A body with its entity tag, or that it is still the same.
fn tagged<T: Serialize>(headers: &HeaderMap, body: &T) -> Response {
    let Ok(value) = serde_json::to_value(body) else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer can't be written");
    };
    let mut lasting = value.clone();
    forget_the_moment(&mut lasting);
    let hash = crate::keys::hex(&Sha256::digest(lasting.to_string().as_bytes())[..12]);
    // Weak: the same but for what follows from the time alone.
    let tag = format!("W/\"{hash}\"");
    let asked = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = asked.flat_map(|list| list.split(',')).any(|one| one.trim() == tag || one.trim() == "*");
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { Json(value).into_response() };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    // Kept by the client and asked for each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn forget_the_moment(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            OF_THE_MOMENT.iter().for_each(|name| drop(fields.remove(*name)));
            fields.values_mut().for_each(forget_the_moment);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_the_moment),
        _ => {}
    }
}

/// An error, for the document.
#[derive(Serialize, utoipa::ToSchema)]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_alone_changes_no_entity_tag() {
        let tag = |json: &str| {
            let body: Value = serde_json::from_str(json).unwrap();
            tagged(&HeaderMap::new(), &body).headers()[header::ETAG].clone()
        };
        let before = tag(r#"{"now":"1","queue":[{"rank":1,"next":{"due_in_secs":4}}]}"#);
        assert_eq!(before, tag(r#"{"now":"2","queue":[{"rank":1,"next":{"due_in_secs":3}}]}"#));
        assert_ne!(before, tag(r#"{"now":"2","queue":[{"rank":2,"next":{"due_in_secs":3}}]}"#));
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, before);
        let body: Value = serde_json::from_str(r#"{"now":"3","queue":[{"rank":1,"next":{}}]}"#).unwrap();
        assert_eq!(tagged(&headers, &body).status(), StatusCode::NOT_MODIFIED);
    }
}
