//! An incident's page, and what people do there: take it, or snooze what is not P0. A press acts only on what the page
//! told: where something new has rung since, it says so instead.

use super::access::{Role, Who, forms};
use super::board::lines::{IncidentLine, PageLine};
use super::desk::{NAME_BYTES_MAX, Signed, person};
use super::engine::{Look, Seen};
use super::guard::From;
use super::words::utc_words;
use super::{WebState, assets, plain};
use crate::core::act::Deed;
use crate::core::id::IncidentNo;
use crate::core::incident::IncidentKind;
use crate::core::policy::Priority;
use crate::core::quiet::{REASON_BYTES_MAX, Scope};
use crate::core::time::Span;
use crate::core::view::{IncidentRow, QueueRow};
use askama::Template;
use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

/// Cases and pages that are listed.
const CASES_SHOWN: usize = 100;
const PAGES_SHOWN: u32 = 50;
/// The longest snooze that the page offers.
const HOURS_MAX: i64 = 24;

#[derive(Template)]
#[template(path = "incident.html", config = "src/web/askama.toml")]
struct IncidentPage {
    style: String,
    line: IncidentLine,
    is_open: bool,
    opened_words: String,
    now_words: String,
    may_act: bool,
    may_snooze: bool,
    proof: String,
    /// The last round that the page tells of.
    round: u32,
    /// Who asks, where that is known.
    name: Option<String>,
    said: Option<String>,
    complaint: Option<String>,
    queue: String,
    pages: Vec<PageLine>,
}

/// What became of a form.
#[derive(Default)]
struct Word {
    said: Option<String>,
    complaint: Option<String>,
}

impl Word {
    fn said(text: String) -> Word {
        Word { said: Some(text), complaint: None }
    }

    fn complaint(text: impl Into<String>) -> Word {
        Word { said: None, complaint: Some(text.into()) }
    }
}

/// An incident's number as a path has it.
pub fn number(text: &str) -> Option<IncidentNo> {
    let digits = text.strip_prefix("I-").unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(IncidentNo))?
}

/// GET /incidents/{no}
pub async fn page(State(state): State<WebState>, Extension(who): Extension<Who>, Path(no): Path<String>) -> Response {
    match number(&no) {
        Some(no) => show(&state, &who, no, StatusCode::OK, Word::default()).await,
        None => plain(StatusCode::NOT_FOUND, "write the incident as I-42\n"),
    }
}

/// The incident with its first cases, whether it is open; `Err` where nobody answers.
pub async fn found(state: &WebState, no: IncidentNo) -> Result<Option<(IncidentRow, Vec<QueueRow>)>, ()> {
    match state.look(Look::Incident { no, limit: CASES_SHOWN }).await {
        Some(Seen::Incident(Some(found))) => return Ok(Some(*found)),
        Some(_) => {}
        None => return Err(()),
    }
    let kept = state.within(state.archive.incident(no)).await.ok_or(())?;
    Ok(kept.map(|incident| {
        let priority = incident.rung_priority.unwrap_or(Priority::P4);
        (IncidentRow { incident, priority, category: "".into(), count: 0 }, Vec::new())
    }))
}

async fn show(state: &WebState, who: &Who, no: IncidentNo, code: StatusCode, word: Word) -> Response {
    let (row, cases) = match found(state, no).await {
        Ok(Some(found)) => found,
        Ok(None) => return plain(StatusCode::NOT_FOUND, "no such incident\n"),
        Err(()) => {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the engine or the store does not answer; try again\n");
        }
    };
    let pages = state.within(state.archive.pages_of(no, PAGES_SHOWN)).await.unwrap_or_default();
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    let queue = if cases.is_empty() { Ok(String::new()) } else { super::board::members(moment, &cases) };
    let queue = match queue {
        Ok(queue) => queue,
        Err(error) => return super::page(code, Err(error)),
    };
    let is_open = row.incident.is_open();
    let page = IncidentPage {
        style: assets::style(),
        opened_words: utc_words(row.incident.opened_at, now),
        now_words: utc_words(now, now),
        may_act: who.role >= Role::Responder,
        may_snooze: may_be_snoozed(&row.incident.kind),
        proof: forms::proof(who, &state.keys, now),
        round: row.incident.rounds.saturating_sub(1),
        name: who.name().map(str::to_owned),
        said: word.said,
        complaint: word.complaint,
        line: IncidentLine::of(moment, &row, Some(now)),
        is_open,
        queue,
        pages: pages.iter().map(|page| PageLine::of(moment, page, Some(now))).collect(),
    };
    super::page(code, page.render())
}

/// Whether an incident of this kind can be snoozed; the core has the last word.
pub fn may_be_snoozed(kind: &IncidentKind) -> bool {
    matches!(kind, IncidentKind::Group { .. } | IncidentKind::Trouble(_))
}

#[derive(Deserialize)]
pub struct Taking {
    proof: String,
    round: u32,
    #[serde(default)]
    name: String,
}

/// Who acts: the name that is known, else the one that the form gives.
fn acting(who: &Who, given: &str) -> Option<String> {
    who.name().or_else(|| person(given)).map(str::to_owned)
}

/// POST /incidents/{no}/acknowledge
pub async fn acknowledge(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    Path(no): Path<String>,
    form: Result<Form<Taking>, FormRejection>,
) -> Response {
    let Some(no) = number(&no) else { return plain(StatusCode::NOT_FOUND, "write the incident as I-42\n") };
    let now = (state.now)();
    let Some(form) = form.ok().filter(|form| forms::holds(&form.0.proof, &who, &state.keys, now)) else {
        return show(&state, &who, no, StatusCode::FORBIDDEN, stale()).await;
    };
    let Some(by) = acting(&who, &form.0.name) else {
        let word = Word::complaint(format!("Write your name, in at most {NAME_BYTES_MAX} characters."));
        return show(&state, &who, no, StatusCode::BAD_REQUEST, word).await;
    };
    let row = match found(&state, no).await {
        Ok(Some((row, _))) if row.incident.is_open() => row,
        Ok(_) => {
            return show(&state, &who, no, StatusCode::GONE, Word::complaint("It is over: nothing is left to take."))
                .await;
        }
        Err(()) => return plain(StatusCode::SERVICE_UNAVAILABLE, "nobody has taken it: the engine does not answer\n"),
    };
    if row.incident.has_news_since(form.0.round) {
        let word = Word::complaint("Something new has rung since you opened this page. Look at it, then take it.");
        return show(&state, &who, no, StatusCode::CONFLICT, word).await;
    }
    let deed = Deed::AcknowledgePage { incident: no, round: form.0.round };
    match state.within(state.desk.put(&deed, Signed { by: &by, from: &from.words("board"), at: now })).await {
        Some(()) => {
            let said = format!("{no} is taken by {by}. The board shows it within a second or two.");
            show(&state, &who, no, StatusCode::OK, Word::said(said)).await
        }
        None => {
            let word =
                Word::complaint("The store did not answer, so nobody has taken it: it goes on ringing. Try again.");
            show(&state, &who, no, StatusCode::SERVICE_UNAVAILABLE, word).await
        }
    }
}

fn stale() -> Word {
    Word::complaint("This form is too old, or not of this board, so nothing was done. Here it is anew.")
}

#[derive(Deserialize)]
pub struct Snoozing {
    proof: String,
    reason: String,
    hours: i64,
    #[serde(default)]
    name: String,
}

/// POST /incidents/{no}/snooze
pub async fn snooze(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    Extension(from): Extension<From>,
    Path(no): Path<String>,
    form: Result<Form<Snoozing>, FormRejection>,
) -> Response {
    let Some(no) = number(&no) else { return plain(StatusCode::NOT_FOUND, "write the incident as I-42\n") };
    let now = (state.now)();
    let Some(Form(form)) = form.ok().filter(|form| forms::holds(&form.0.proof, &who, &state.keys, now)) else {
        return show(&state, &who, no, StatusCode::FORBIDDEN, stale()).await;
    };
    let reason = form.reason.trim();
    let plain_reason = !reason.is_empty() && reason.len() <= REASON_BYTES_MAX && !reason.contains(char::is_control);
    let by = acting(&who, &form.name);
    let (Some(by), true, 1..=HOURS_MAX) = (by, plain_reason, form.hours) else {
        let word = Word::complaint("Write your name and why, each on one line; for at most a day.");
        return show(&state, &who, no, StatusCode::BAD_REQUEST, word).await;
    };
    match found(&state, no).await {
        Ok(Some((row, _))) if row.incident.is_open() && may_be_snoozed(&row.incident.kind) => {}
        Ok(_) => {
            let word = Word::complaint("It can't be snoozed: it is over, or nothing may keep it from ringing.");
            return show(&state, &who, no, StatusCode::CONFLICT, word).await;
        }
        Err(()) => return plain(StatusCode::SERVICE_UNAVAILABLE, "nothing was snoozed: the engine does not answer\n"),
    }
    let until = now.plus(Span::from_hours(form.hours));
    let deed = Deed::Snooze { scope: Scope::Incident(no), reason: reason.into(), until };
    match state.within(state.desk.put(&deed, Signed { by: &by, from: &from.words("board"), at: now })).await {
        Some(()) => {
            let said = format!("{no} is snoozed by {by} until {}.", utc_words(until, now));
            show(&state, &who, no, StatusCode::OK, Word::said(said)).await
        }
        None => {
            let word = Word::complaint("The store did not answer, so nothing is snoozed. Try again.");
            show(&state, &who, no, StatusCode::SERVICE_UNAVAILABLE, word).await
        }
    }
}
