//! What can be looked at. Every list is bounded and read on by its cursor.

use super::bodies::{
    AuditBody, AuditLineBody, BreachBody, CaseBody, CasesBody, IncidentBody, IncidentWithCases, IncidentsBody,
    PageBody, PagesBody, StretchBody, TargetBody,
};
use super::{Problem, tagged};
use crate::core::calendar::Stretch;
use crate::core::explain::TargetExplained;
use crate::core::id::IncidentNo;
use crate::core::incident::IncidentKind;
use crate::core::view::{IncidentRow, QueueRow, VIEW_ROWS, View};
use crate::store::{PageRow, PageState};
use crate::web::api::{Moment, QueueBody, QueueEntry, StatusBody};
use crate::web::engine::{Look, Seen};
use crate::web::found::{self, Found, NotFound};
use crate::web::quiets::{self, QuietEntry};
use crate::web::words::{about_no_case, category_words};
use crate::web::{WebState, case, cursor, incident, problem};
use crate::zone::rfc3339;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

/// Entries of a list when the request doesn't say.
const LIMIT_DEFAULT: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Entries to give, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the answer before.
    cursor: Option<String>,
}

/// How many, and after what; the refusal where the query is none.
fn asked(query: Result<Query<ListQuery>, QueryRejection>) -> Result<(usize, Option<String>), Box<Response>> {
    let refused =
        || Box::new(problem(StatusCode::BAD_REQUEST, &format!("limit must be a whole number from 1 to {VIEW_ROWS}")));
    let Ok(Query(query)) = query else { return Err(refused()) };
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if (1..=VIEW_ROWS).contains(&limit) { Ok((limit, query.cursor)) } else { Err(refused()) }
}

fn no_cursor() -> Response {
    problem(StatusCode::BAD_REQUEST, "this cursor was not given by this deployment; begin again without one")
}

fn no_engine() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer; try again")
}

/// Rows of the queue, and the cursor after them; the refusal where the query is none.
async fn rows(
    state: &WebState,
    view: &View,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<(Vec<QueueRow>, Option<String>), Box<Response>> {
    let (limit, after) = asked(query)?;
    let mut rows: Vec<QueueRow> = match after {
        None if view.queue.len() >= limit => view.queue.iter().take(limit + 1).cloned().collect(),
        None => view.queue.clone(),
        Some(text) => {
            let after = cursor::read(&text, &state.keys).ok_or_else(|| Box::new(no_cursor()))?;
            match state.look(Look::Rows { after: Some(after), limit: limit + 1 }).await {
                Some(Seen::Rows(rows)) => rows,
                _ => return Err(Box::new(no_engine())),
            }
        }
    };
    let open: u64 = view.open.values().map(|counts| counts.open).sum();
    // The view ends at its own limit, where more may be open.
    let more = rows.len() > limit || (rows.len() == VIEW_ROWS && open > VIEW_ROWS as u64);
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).and_then(|row| cursor::write(&row.rank, &state.keys));
    Ok((rows, next))
}

/// The ranked queue from its head, with what is overdue and unseen.
#[utoipa::path(get, path = "/api/v1/queue", params(ListQuery), responses(
    (status = 200, body = QueueBody), (status = 304, description = "as before"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn queue(
    State(state): State<WebState>,
    headers: HeaderMap,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let view = state.view.load_full();
    let (rows, next) = match rows(&state, &view, query).await {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    let (status, now) = (state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    tagged(&headers, &QueueBody { next, ..QueueBody::of(moment, &rows) })
}

/// The open cases in the order of the queue, a page at a time.
#[utoipa::path(get, path = "/api/v1/cases", params(ListQuery), responses(
    (status = 200, body = CasesBody), (status = 304, description = "as before"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn cases(
    State(state): State<WebState>,
    headers: HeaderMap,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let view = state.view.load_full();
    let (rows, next) = match rows(&state, &view, query).await {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    let (status, now) = (state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    let cases = rows.iter().enumerate().map(|(at, row)| QueueEntry::of(moment, at + 1, row)).collect();
    tagged(&headers, &CasesBody { now: rfc3339(now), cases, next })
}

/// A case by its reference, with the reason for each of its deadlines.
#[utoipa::path(get, path = "/api/v1/cases/{reference}", params(("reference" = String, Path, description = "C-7F3KQ-9QXMA")),
    responses(
    (status = 200, body = CaseBody), (status = 304, description = "as before"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn case(State(state): State<WebState>, headers: HeaderMap, Path(reference): Path<String>) -> Response {
    let found = match found::case(&state, &reference).await {
        Ok(found) => found,
        Err(NotFound::Unknown) => {
            return problem(StatusCode::NOT_FOUND, "no case of this reference is open, or was paged");
        }
        Err(NotFound::NoAnswer) => {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "the engine or the store does not answer; try again");
        }
    };
    let Some(breaches) = state.within(state.archive.breaches(&found.case.key)).await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again");
    };
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let mut body = case_body(state.moment(&view, &status, now), &found);
    body.breaches = breaches.iter().map(BreachBody::of).collect();
    tagged(&headers, &body)
}

fn case_body(moment: Moment<'_>, found: &Found) -> CaseBody {
    let case = &found.case;
    let source = case.key.case.source();
    let first = case.first_report().map(|(key, _)| key.id.clone());
    let link = moment.links.get(source).zip(first);
    CaseBody {
        now: rfc3339(moment.now),
        reference: moment.keys.reference(&case.key.case),
        source: source.to_string(),
        source_seen: moment.status.sees(source, moment.now),
        priority: case.priority,
        standing: case.standing,
        category: case.category.to_string(),
        rule: case.rule.to_string(),
        escalation: case.escalation.as_ref().map(ToString::to_string),
        episode: case.key.episode,
        received: rfc3339(case.received()),
        reports: case.reports.keys().take(VIEW_ROWS).map(|key| key.id.to_string()).collect(),
        reopenings: case.reopenings,
        overdue: case.is_overdue(),
        ended: case.ended.map(|(at, _)| rfc3339(at)),
        conclusion: case.ended.map(|(_, conclusion)| conclusion.as_str().to_owned()),
        incident: case.incident.map(|no| no.to_string()),
        link: link.and_then(|(template, id)| crate::web::api::link(template, &id)),
        targets: found.explanation.targets.iter().map(target).collect(),
        breaches: Vec::new(),
    }
}

fn target(target: &TargetExplained) -> TargetBody {
    TargetBody {
        name: target.name.to_string(),
        obligation: target.obligation,
        from: target.from.to_string(),
        until: target.until.to_string(),
        due: case::due_words(&target.due),
        started: target.started.map(rfc3339),
        met: target.met.map(rfc3339),
        deadline: target.deadline.map(rfc3339),
        state: target.state.as_str().to_owned(),
        walk: target
            .walk
            .iter()
            .map(|(interval, stretch)| StretchBody {
                from: rfc3339(interval.from),
                until: rfc3339(interval.until),
                counted: *stretch == Stretch::Counted,
                why: case::why(&target.due, *stretch).to_owned(),
            })
            .collect(),
    }
}

/// The open incidents, newest first.
#[utoipa::path(get, path = "/api/v1/incidents", params(ListQuery), responses(
    (status = 200, body = IncidentsBody), (status = 304, description = "as before"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn incidents(
    State(state): State<WebState>,
    headers: HeaderMap,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let (limit, after) = match asked(query) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    let before = match after.as_deref().map(incident::number) {
        None => IncidentNo(u64::MAX),
        Some(Some(no)) => no,
        Some(None) => return no_cursor(),
    };
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    let mut rows = view.incidents.iter().filter(|row| row.incident.no < before).peekable();
    let incidents: Vec<IncidentBody> = rows.by_ref().take(limit).map(|row| incident_body(moment, row)).collect();
    let next = rows.peek().and(incidents.last()).map(|last| last.no.clone());
    tagged(&headers, &IncidentsBody { now: rfc3339(now), incidents, next })
}

/// An incident, open or over, with the first of its overdue cases.
#[utoipa::path(get, path = "/api/v1/incidents/{no}", params(("no" = String, Path, description = "I-42")), responses(
    (status = 200, body = IncidentWithCases), (status = 304, description = "as before"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn incident(State(state): State<WebState>, headers: HeaderMap, Path(no): Path<String>) -> Response {
    let Some(no) = incident::number(&no) else {
        return problem(StatusCode::NOT_FOUND, "write the incident as I-42");
    };
    let (row, cases) = match incident::found(&state, no).await {
        Ok(Some(found)) => found,
        Ok(None) => return problem(StatusCode::NOT_FOUND, &format!("there is no incident {no}")),
        Err(()) => return problem(StatusCode::SERVICE_UNAVAILABLE, "the engine or the store does not answer"),
    };
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    let entry = |(at, row): (usize, &QueueRow)| QueueEntry::of(moment, at + 1, row);
    let body = IncidentWithCases {
        incident: incident_body(moment, &row),
        cases: cases.iter().enumerate().map(entry).collect(),
    };
    tagged(&headers, &body)
}

fn incident_body(moment: Moment<'_>, row: &IncidentRow) -> IncidentBody {
    let incident = &row.incident;
    let (case, about) = match &incident.kind {
        IncidentKind::Episode(episode) => {
            (Some(moment.keys.reference(&episode.case)), category_words(&row.category).to_owned())
        }
        IncidentKind::Group { category } => (None, category_words(category).to_owned()),
        other => (None, about_no_case(other)),
    };
    let next = incident.ring_at.or(incident.next_step.map(|step| step.at));
    IncidentBody {
        no: incident.no.to_string(),
        about,
        case,
        priority: row.priority,
        overdue_cases: row.count,
        opened_at: rfc3339(incident.opened_at),
        resolved_at: incident.resolved_at.map(rfc3339),
        rounds: incident.rounds,
        rung_at: incident.rung_at.map(rfc3339),
        next_ring_at: next.map(rfc3339),
        escalation: incident.escalation.to_string(),
        acknowledged_by: incident.acknowledged.as_ref().map(|taken| taken.by.to_string()),
        acknowledged_at: incident.acknowledged.as_ref().map(|taken| rfc3339(taken.at)),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PagesQuery {
    /// Pages to give, 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the answer before.
    cursor: Option<String>,
    /// queued, leased, accepted, parked or superseded
    state: Option<String>,
}

/// The pages and how far they got, newest first.
#[utoipa::path(get, path = "/api/v1/pages", params(PagesQuery), responses(
    (status = 200, body = PagesBody), (status = 304, description = "as before"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn pages(
    State(state): State<WebState>,
    headers: HeaderMap,
    query: Result<Query<PagesQuery>, QueryRejection>,
) -> Response {
    const STATES: [&str; 5] = ["queued", "leased", "accepted", "parked", "superseded"];
    let Ok(Query(PagesQuery { limit, cursor, state: stands })) = query else {
        return problem(StatusCode::BAD_REQUEST, &format!("limit must be a whole number from 1 to {VIEW_ROWS}"));
    };
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=VIEW_ROWS).contains(&limit) {
        return problem(StatusCode::BAD_REQUEST, &format!("limit must be a whole number from 1 to {VIEW_ROWS}"));
    }
    if stands.as_deref().is_some_and(|stands| !STATES.contains(&stands)) {
        return problem(StatusCode::BAD_REQUEST, "state must be queued, leased, accepted, parked or superseded");
    }
    let before = match cursor.as_deref().map(str::parse::<i64>) {
        None => i64::MAX,
        Some(Ok(id)) => id,
        Some(Err(_)) => return no_cursor(),
    };
    let asked = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let Some(mut rows) = state.within(state.archive.pages_before(stands.as_deref(), before, asked)).await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again");
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    tagged(&headers, &PagesBody { now: rfc3339((state.now)()), pages: rows.iter().map(page_body).collect(), next })
}

fn page_body(row: &PageRow) -> PageBody {
    let state: PageState = row.standing();
    PageBody {
        id: row.id,
        incident: row.page.incident.to_string(),
        kind: row.page.kind.as_str().to_owned(),
        priority: row.page.priority,
        channel: row.page.channel.to_string(),
        created_at: rfc3339(row.page.created_at),
        state: state.as_str().to_owned(),
        attempts: row.attempts,
        last_answer: row.last_answer.clone(),
        accepted_at: row.accepted_at.map(rfc3339),
        is_test: row.page.is_test,
    }
}

/// Snoozes and maintenance windows, in force or to come.
#[utoipa::path(get, path = "/api/v1/quiets", responses(
    (status = 200, body = Vec<QuietEntry>), (status = 304, description = "as before"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn quiets(State(state): State<WebState>, headers: HeaderMap) -> Response {
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    tagged(&headers, &quiets::entries(state.moment(&view, &status, now)))
}

/// How the monitor sees, writes and pages.
#[utoipa::path(get, path = "/api/v1/status", responses(
    (status = 200, body = StatusBody), (status = 304, description = "as before"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn status(State(state): State<WebState>, headers: HeaderMap) -> Response {
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    tagged(&headers, &StatusBody::of(state.moment(&view, &status, now)))
}

/// A week's report as it was first told; `tocsin weekly --schema` describes it.
#[utoipa::path(get, path = "/api/v1/weekly/{week}", params(("week" = String, Path, description = "2026-W46")), responses(
    (status = 200, body = Object),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn weekly(State(state): State<WebState>, Path(week): Path<String>) -> Response {
    let Ok(week) = week.parse::<crate::weekly::week::Week>() else {
        return problem(StatusCode::NOT_FOUND, "write a week as ISO 8601 numbers it: 2026-W46");
    };
    match state.within(state.archive.report(&week.to_string())).await {
        Some(Some(figures)) => ([(header::CONTENT_TYPE, "application/json")], figures).into_response(),
        Some(None) => problem(StatusCode::NOT_FOUND, &format!("the report of {week} has not been made")),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again"),
    }
}

/// Who did what, when and from where, newest first. It is only added to; read on by `next`, it is the whole of it.
#[utoipa::path(get, path = "/api/v1/audit", params(ListQuery), responses(
    (status = 200, body = AuditBody), (status = 304, description = "as before"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 429, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub async fn audit(
    State(state): State<WebState>,
    headers: HeaderMap,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Response {
    let (limit, after) = match asked(query) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    let before = match after.as_deref().map(str::parse::<i64>) {
        None => i64::MAX,
        Some(Ok(id)) => id,
        Some(Err(_)) => return no_cursor(),
    };
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let Some(mut lines) = state.within(state.desk.audit(before, wanted)).await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again");
    };
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = lines.last().filter(|_| more).map(|line| line.id.to_string());
    let audit = lines.iter().map(AuditLineBody::of).collect();
    tagged(&headers, &AuditBody { now: rfc3339((state.now)()), audit, next })
}
