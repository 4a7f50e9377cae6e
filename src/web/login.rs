//! Signing in to the board: a token is exchanged for a session, so that the token itself stays in no browser.

use super::access::{Via, Who, forms, session};
use super::guard::From;
use super::{WebState, assets, page};
use crate::store::Noted;
use askama::Template;
use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "login.html", config = "src/web/askama.toml")]
struct Login {
    style: String,
    complaint: Option<&'static str>,
}

fn ask(code: StatusCode, complaint: Option<&'static str>) -> Response {
    page(code, Login { style: assets::style(), complaint }.render())
}

/// GET /login
pub async fn get() -> Response {
    ask(StatusCode::OK, None)
}

#[derive(Deserialize)]
pub struct Given {
    token: String,
}

/// POST /login: no cookie and no proof is needed, since the token is the proof.
pub async fn post(
    State(state): State<WebState>,
    Extension(from): Extension<From>,
    form: Result<Form<Given>, FormRejection>,
) -> Response {
    let now = (state.now)();
    let Ok(Form(given)) = form else { return ask(StatusCode::BAD_REQUEST, Some("Paste your token.")) };
    let Some(found) = state.access.tokens.by_token(given.token.trim(), now).await else {
        state.limits.note_wrong(&from, now);
        return ask(StatusCode::FORBIDDEN, Some("No such token is in force."));
    };
    tracing::info!(name = found.name, role = found.role.as_str(), "signed in to the board");
    let origin = from.words("board");
    let noted = Noted {
        at: now,
        by: &found.name,
        kind: "sign_in",
        subject: found.role.as_str(),
        effect: "done",
        origin: &origin,
    };
    // Whoever is woken must get in, whether or not the store takes the line.
    let _ = state.within(state.desk.note(noted)).await;
    let mut response = Redirect::to("/").into_response();
    if let Some(cookie) = session::cookie(found.id, &state.keys, now, state.access.secure_cookies) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A form that proves that it is of this board, and says nothing else.
#[derive(Deserialize)]
pub struct Proved {
    pub proof: String,
}

/// POST /logout
pub async fn out(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    form: Result<Form<Proved>, FormRejection>,
) -> Response {
    let proved = form.is_ok_and(|form| forms::holds(&form.0.proof, &who, &state.keys, (state.now)()));
    if !proved || !matches!(who.via, Via::Session { .. }) {
        return Redirect::to("/").into_response();
    }
    let mut response = Redirect::to("/login").into_response();
    if let Some(cookie) = session::end(state.access.secure_cookies) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
