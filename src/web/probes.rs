//! What machines ask that keep the process alive, send it traffic and scrape it; and the demo's buttons.

use super::access::{Who, forms};
use super::api::ReadyBody;
use super::login::Proved;
use super::{STORE_WITHIN, WebState, in_time, plain};
use crate::metrics::{self, PageTotal};
use crate::store::PageCount;
use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Redirect, Response};

/// GET /metrics
pub async fn scrape(State(state): State<WebState>) -> Response {
    let counts = in_time("count the pages", STORE_WITHIN, state.pages.page_counts()).await;
    let totals: Option<Vec<PageTotal>> = counts.map(|counts| counts.into_iter().map(total).collect());
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    match state.metrics.render(&view, &status, totals.as_deref(), now) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics can't be written");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written; the log says why\n")
        }
    }
}

fn total(count: PageCount) -> PageTotal {
    PageTotal { channel: count.channel, state: count.state, count: count.count }
}

/// GET /healthz. Alive: the process answers and the engine thread has been heard of. A database that is away is no
/// reason to restart, so it isn't asked.
pub async fn healthz(State(state): State<WebState>) -> Response {
    match state.status.load().engine_silent((state.now)()) {
        None => "alive\n".into_response(),
        Some(silent) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("the engine has taken up nothing for {silent}\n"))
        }
    }
}

/// GET /readyz. Why it isn't ready is told to whoever may look at the board.
pub async fn readyz(State(state): State<WebState>, who: Option<Extension<Who>>) -> Response {
    let mut body = ReadyBody::of(&state.status.load(), (state.now)());
    let code = if body.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if who.is_none() {
        body.reasons.clear();
    }
    (code, Json(body)).into_response()
}

/// POST /demo/storm
pub async fn demo_storm(
    state: State<WebState>,
    who: Extension<Who>,
    form: Result<Form<Proved>, FormRejection>,
) -> Response {
    pressed(&state, &who, form, |demo| demo.storm())
}

/// POST /demo/blind
pub async fn demo_blind(
    state: State<WebState>,
    who: Extension<Who>,
    form: Result<Form<Proved>, FormRejection>,
) -> Response {
    pressed(&state, &who, form, |demo| demo.blind())
}

fn pressed(
    state: &WebState,
    who: &Who,
    form: Result<Form<Proved>, FormRejection>,
    press: impl Fn(&dyn super::Demo),
) -> Response {
    let proved = form.is_ok_and(|form| forms::holds(&form.0.proof, who, &state.keys, (state.now)()));
    if !proved {
        return plain(StatusCode::FORBIDDEN, "this form is not of this board, or too old; load the board anew\n");
    }
    if let Some(demo) = &state.demo {
        press(&**demo);
    }
    Redirect::to("/").into_response()
}

/// GET /demo/week
pub async fn demo_week(State(state): State<WebState>) -> Response {
    match &state.demo {
        Some(demo) => Html(demo.week()).into_response(),
        None => plain(StatusCode::NOT_FOUND, "no such page\n"),
    }
}
