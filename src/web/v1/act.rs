//! What can be done by the API: take an incident, snooze, open and end windows, read the configuration again. Each is
//! put into the store's inbox and taken up by the engine within a second or two.

use super::Problem;
use crate::core::act::Deed;
use crate::core::quiet::{QUIET_MAX, REASON_BYTES_MAX, Scope};
use crate::core::time::Timestamp;
use crate::core::told::Word;
use crate::store::Noted;
use crate::web::access::Who;
use crate::web::desk::{NAME_BYTES_MAX, Signed, person};
use crate::web::engine::{Look, Seen};
use crate::web::found::{self, NotFound};
use crate::web::guard::From;
use crate::web::{WebState, incident, problem, quiets};
use crate::zone::{parse_rfc3339, rfc3339};
use axum::Extension;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who does it: needed where the request itself doesn't say who sends it.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct By {
    #[serde(default)]
    by: Option<String>,
}

/// What was asked for; the board shows it within a second or two.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    /// What it is about: "I-42", "case C-7F3KQ-9QXMA", "category spam".
    what: String,
    by: String,
    /// RFC 3339, UTC; of a snooze or a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// The name for the record.
fn name(who: &Who, given: Option<&str>) -> Result<String, Box<Response>> {
    let given = given.map(|name| person(name).ok_or(())).transpose();
    match (who.name(), given) {
        (Some(known), Ok(None)) => Ok(known.to_owned()),
        (Some(known), Ok(Some(said))) => Ok(format!("{said} (by way of {known})")),
        (None, Ok(Some(said))) => Ok(said.to_owned()),
        _ => {
            let detail = format!("send {{\"by\": \"a name\"}}, on one line of at most {NAME_BYTES_MAX} bytes");
            Err(Box::new(problem(StatusCode::BAD_REQUEST, &detail)))
        }
    }
}

fn not_json(example: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, &format!("send {example} as application/json"))
}

/// Puts a deed down.
async fn put(state: &WebState, from: &From, deed: &Deed, taken: Taken) -> Response {
    match state
        .within(state.desk.put(deed, Signed { by: &taken.by, from: &from.words("API"), at: (state.now)() }))
        .await
    {
        Some(()) => (StatusCode::ACCEPTED, Json(taken)).into_response(),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer; nothing was done, try again"),
    }
}

/// Takes an incident: its escalation stops, its deadlines run on.
#[utoipa::path(post, path = "/api/v1/incidents/{no}/acknowledge", request_body = By,
    params(("no" = String, Path, description = "I-42")), responses(
    (status = 202, body = Taken),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn acknowledge(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    Path(no): Path<String>,
    body: Result<Json<By>, JsonRejection>,
) -> Response {
    let Some(no) = incident::number(&no) else {
        return problem(StatusCode::NOT_FOUND, "write the incident as I-42");
    };
    let Ok(Json(body)) = body else { return not_json("{\"by\": \"a name\"}") };
    let by = match name(&who, body.by.as_deref()) {
        Ok(by) => by,
        Err(refused) => return *refused,
    };
    match state.within(state.desk.is_incident_open(no)).await {
        Some(true) => {}
        Some(false) => return problem(StatusCode::NOT_FOUND, &format!("{no} is not open")),
        None => return problem(StatusCode::SERVICE_UNAVAILABLE, "the store did not answer; try again"),
    }
    put(&state, &from, &Deed::Acknowledge { incident: no }, Taken { what: no.to_string(), by, until: None }).await
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct Snooze {
    /// An incident or a case below P0: "I-42", "C-7F3KQ-9QXMA".
    what: String,
    /// Why, on one line.
    reason: String,
    /// RFC 3339; at most 31 days away.
    until: String,
    #[serde(default)]
    by: Option<String>,
}

/// Keeps an incident or a case below P0 from ringing until an instant.
#[utoipa::path(post, path = "/api/v1/snoozes", request_body = Snooze, responses(
    (status = 202, body = Taken),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn snooze(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    body: Result<Json<Snooze>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return not_json("{\"what\": \"I-42\", \"reason\": \"why\", \"until\": \"2026-11-23T08:00:00Z\"}");
    };
    let scope = if body.what.starts_with(['C', 'c']) {
        match found::case(&state, &body.what).await {
            Ok(found) => Scope::Case(found.case.key.case),
            Err(NotFound::Unknown) => return problem(StatusCode::NOT_FOUND, "no case of this reference is open"),
            Err(NotFound::NoAnswer) => {
                return problem(StatusCode::SERVICE_UNAVAILABLE, "the engine or the store does not answer; try again");
            }
        }
    } else {
        match incident::number(&body.what) {
            Some(no) => Scope::Incident(no),
            None => return problem(StatusCode::BAD_REQUEST, "what must be I-42 or C-7F3KQ-9QXMA"),
        }
    };
    let asked = Asked { scope, reason: body.reason, begins: None, until: body.until, by: body.by };
    keep_quiet(&state, &who, from, asked).await
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct Window {
    /// Every breach of this category below P0; or `escalation`.
    #[serde(default)]
    category: Option<String>,
    /// Everything below P0 under this escalation.
    #[serde(default)]
    escalation: Option<String>,
    /// Why, on one line.
    reason: String,
    /// RFC 3339; from now on, without it.
    #[serde(default)]
    from: Option<String>,
    /// RFC 3339; at most 31 days away.
    until: String,
    #[serde(default)]
    by: Option<String>,
}

/// A maintenance window: what comes due meanwhile rings when it ends.
#[utoipa::path(post, path = "/api/v1/windows", request_body = Window, responses(
    (status = 202, body = Taken),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn window(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    body: Result<Json<Window>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return not_json("{\"category\": \"spam\", \"reason\": \"why\", \"until\": \"2026-11-23T08:00:00Z\"}");
    };
    let scope = match (body.category, body.escalation) {
        (Some(category), None) => Scope::Category(category.into()),
        (None, Some(escalation)) => Scope::Escalation(escalation.into()),
        _ => return problem(StatusCode::BAD_REQUEST, "say category or escalation, one of the two"),
    };
    let begins = body.from.unwrap_or_default();
    let asked = Asked { scope, reason: body.reason, begins: Some(begins), until: body.until, by: body.by };
    keep_quiet(&state, &who, from, asked).await
}

struct Asked {
    scope: Scope,
    reason: String,
    /// `None` of a snooze; empty where a window begins now.
    begins: Option<String>,
    until: String,
    by: Option<String>,
}

async fn keep_quiet(state: &WebState, who: &Who, from: From, asked: Asked) -> Response {
    let now = (state.now)();
    let by = match name(who, asked.by.as_deref()) {
        Ok(by) => by,
        Err(refused) => return *refused,
    };
    let reason = asked.reason.trim();
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX || reason.contains(char::is_control) {
        let detail = format!("reason must say why, on one line of at most {REASON_BYTES_MAX} bytes");
        return problem(StatusCode::BAD_REQUEST, &detail);
    }
    let begins = match asked.begins.as_deref() {
        None | Some("") => Some(now),
        Some(text) => parse_rfc3339(text),
    };
    let (Some(begins), Some(until)) = (begins, parse_rfc3339(&asked.until)) else {
        return problem(StatusCode::BAD_REQUEST, "times are RFC 3339: 2026-11-23T08:00:00Z");
    };
    if let Some(detail) = judge_times(begins, until, now) {
        return problem(StatusCode::BAD_REQUEST, detail);
    }
    match state.look(Look::Quiet { scope: asked.scope.clone(), now }).await {
        Some(Seen::Quiet(Ok(()))) => {}
        Some(Seen::Quiet(Err(refusal))) => return problem(StatusCode::CONFLICT, refusal),
        _ => return problem(StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer; try again"),
    }
    let taken = Taken { what: quiets::what(&asked.scope, &state.keys), by, until: Some(rfc3339(until)) };
    let (scope, reason) = (asked.scope, reason.into());
    let deed = match asked.begins {
        None => Deed::Snooze { scope, reason, until },
        Some(_) => Deed::Window { scope, reason, from: begins, until },
    };
    put(state, &from, &deed, taken).await
}

fn judge_times(from: Timestamp, until: Timestamp, now: Timestamp) -> Option<&'static str> {
    match () {
        () if until <= now => Some("until has passed already"),
        () if until <= from => Some("it would be over before it begins"),
        () if until > now.plus(QUIET_MAX) => Some("until is more than 31 days away; what nobody remembers must ring"),
        () => None,
    }
}

/// Ends a snooze or a window before its time: what it held rings.
#[utoipa::path(post, path = "/api/v1/quiets/{no}/end", request_body = By,
    params(("no" = String, Path, description = "Q-17")), responses(
    (status = 202, body = Taken),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn end_quiet(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    Path(no): Path<String>,
    body: Result<Json<By>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else { return not_json("{\"by\": \"a name\"}") };
    let by = match name(&who, body.by.as_deref()) {
        Ok(by) => by,
        Err(refused) => return *refused,
    };
    let view = state.view.load_full();
    let number = no.strip_prefix("Q-").unwrap_or(&no).parse::<i64>().ok();
    let quiet = view.quiets.iter().find(|quiet| Some(quiet.no) == number && !quiet.is_over((state.now)()));
    let Some(quiet) = quiet else {
        return problem(StatusCode::NOT_FOUND, "no snooze or window of this number is in force or to come");
    };
    let what = quiets::what(&quiet.scope, &state.keys);
    put(&state, &from, &Deed::EndQuiet { no: quiet.no }, Taken { what, by, until: None }).await
}

/// Reads the configuration again: it is taken as a whole or refused as a whole.
#[utoipa::path(post, path = "/api/v1/reload", responses(
    (status = 204, description = "taken"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn reload(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
) -> Response {
    let Some(reload) = &state.reload else {
        return problem(StatusCode::NOT_FOUND, "this process has no configuration to read again");
    };
    let by = who.name().unwrap_or("somebody on this machine");
    tracing::info!(by, "asked to read the configuration again");
    let taken = reload().await;
    let (effect, origin) = (if taken.is_ok() { "done" } else { "refused" }, from.words("API"));
    let noted = Noted { at: (state.now)(), by, kind: "reload", subject: "", effect, origin: &origin };
    // The reload has happened, whether or not the store takes the line; the log says when it doesn't.
    let _ = state.within(state.desk.note(noted)).await;
    match taken {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(cause) => problem(StatusCode::CONFLICT, &format!("refused, and the one before it holds: {cause}")),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct Event {
    /// The report's id, as its table has it.
    report: String,
    /// Where several sources are configured.
    #[serde(default)]
    source: Option<String>,
    /// "filed", "second_review" and so on; "looked_into" of a P0 that vanished; "released" of a P0 that is none.
    event: String,
    /// RFC 3339; never ahead.
    at: String,
    /// As the source writes its people.
    #[serde(default)]
    by: Option<String>,
}

/// Says of a report what its table can't.
#[utoipa::path(post, path = "/api/v1/events", request_body = Event, responses(
    (status = 202, body = Taken),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn event(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    body: Result<Json<Event>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return not_json("{\"report\": \"4711\", \"event\": \"filed\", \"at\": \"2026-11-23T08:00:00Z\"}");
    };
    let Some(word) = Word::parse(&body.event) else {
        let words: Vec<&str> = Word::all().map(Word::as_str).collect();
        return problem(StatusCode::BAD_REQUEST, &format!("event must be one of: {}", words.join(", ")));
    };
    let at = parse_rfc3339(&body.at).filter(|at| *at <= (state.now)());
    let Some(at) = at else {
        return problem(StatusCode::BAD_REQUEST, "at must be RFC 3339 and not ahead: 2026-11-23T08:00:00Z");
    };
    if person(&body.report).is_none() {
        return problem(StatusCode::BAD_REQUEST, "report must be an id of at most 256 bytes");
    }
    // A person as the source knows its people, so that "a different person" means the same here and there.
    let Some(by) = body.by.as_deref().or(who.name()) else {
        return problem(StatusCode::BAD_REQUEST, "send {\"by\": \"a name\"} as the source writes its people");
    };
    let (source, by) = match (state.people)(body.source.as_deref(), by) {
        Ok(judged) => judged,
        Err(refusal) => return problem(StatusCode::BAD_REQUEST, &refusal),
    };
    let what = format!("{} of report {}", word.as_str(), body.report);
    let deed = Deed::Tell { source, report: body.report.as_str().into(), word, at };
    put(&state, &from, &deed, Taken { what, by, until: None }).await
}
