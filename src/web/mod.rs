//! The page, the API and the probes, served by the monitor's own process. Everything is read from the
//! published view, the status and the store; nothing here can change or delay what the engine does.

pub mod api;
mod guard;
mod page;
pub mod words;

use crate::core::id::Name;
use crate::core::time::Timestamp;
use crate::core::view::{VIEW_ROWS, View};
use crate::keys::Keys;
use crate::metrics::{self, Metrics, PageTotal};
use crate::status::StatusHandle;
use crate::store::{PageCount, PageRow, SqlStore, Store, StoreError};
use crate::weekly::figures::Figures;
use crate::weekly::html;
use crate::weekly::week::Week;
use api::{Moment, QueueBody, ReadyBody, StatusBody};
use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Entries of /api/v1/queue when the request doesn't say.
pub const QUEUE_LIMIT_DEFAULT: usize = 100;
/// Rows of the queue on the page when the request doesn't say; more is slow to load on a phone.
const PAGE_QUEUE_ROWS: usize = 50;
/// Pages on the page.
const PAGE_PAGES: u32 = 50;
/// A store that takes longer is left out of the answer.
const STORE_WITHIN: Duration = Duration::from_secs(2);

pub type PagesFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What the web asks of the store. Every `Store` can answer it.
pub trait PagesReader: Send + Sync + 'static {
    /// The newest pages, newest first.
    fn pages(&self, limit: u32) -> PagesFuture<'_, Vec<PageRow>>;
    fn page_counts(&self) -> PagesFuture<'_, Vec<PageCount>>;
}

impl<S: Store> PagesReader for S {
    fn pages(&self, limit: u32) -> PagesFuture<'_, Vec<PageRow>> {
        Box::pin(Store::pages(self, limit))
    }

    fn page_counts(&self) -> PagesFuture<'_, Vec<PageCount>> {
        Box::pin(Store::page_counts(self))
    }
}

/// Where the kept weekly reports are.
pub trait ReportsReader: Send + Sync + 'static {
    /// A week's figures as they were first told, as JSON.
    fn kept<'a>(&'a self, week: &'a str) -> PagesFuture<'a, Option<String>>;
}

impl ReportsReader for SqlStore {
    fn kept<'a>(&'a self, week: &'a str) -> PagesFuture<'a, Option<String>> {
        Box::pin(self.kept_report(week))
    }
}

/// All that the routes need.
#[derive(Clone)]
pub struct WebState {
    /// The engine's latest view; a fresh one is stored after each applied plan.
    pub view: Arc<ArcSwap<View>>,
    pub status: StatusHandle,
    pub keys: Keys,
    pub pages: Arc<dyn PagesReader>,
    pub metrics: Arc<Metrics>,
    /// By source: where a report is reviewed, with `{id}` for its id.
    pub links: Arc<BTreeMap<Name, String>>,
    /// The clock port's `now`.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The reports are synthetic, and the page says so.
    pub demo: bool,
    /// The weekly reports that are kept.
    pub reports: Arc<dyn ReportsReader>,
}

/// Every route, behind the guard.
pub fn router(state: WebState) -> Router {
    Router::new()
        .route("/", get(plain_page))
        .route("/api/v1/queue", get(queue))
        .route("/api/v1/status", get(status))
        .route("/metrics", get(scrape))
        .route("/weekly/{week}", get(weekly_report))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such page\n") })
        .with_state(state)
        .layer(axum::middleware::from_fn(guard::guard))
}

/// Serves until `stop` completes, then finishes what it is answering.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: tokio::net::TcpListener,
    state: WebState,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(state)).with_graceful_shutdown(stop).await
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    /// Rows of the queue to show.
    rows: Option<usize>,
    /// "off" stops the page from loading itself anew.
    refresh: Option<String>,
}

async fn plain_page(State(state): State<WebState>, query: Result<Query<PageQuery>, QueryRejection>) -> Response {
    let rows = query.as_ref().ok().and_then(|query| query.rows).unwrap_or(PAGE_QUEUE_ROWS).clamp(1, VIEW_ROWS);
    let refresh = query.ok().and_then(|query| query.0.refresh).as_deref() != Some("off");
    let pages = in_time("list the pages", state.pages.pages(PAGE_PAGES)).await;
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    match page::render(moment, pages.as_deref(), page::Options { rows, refresh, demo: state.demo }) {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page can't be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page can't be rendered; the log says why\n").into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
struct QueueQuery {
    limit: Option<usize>,
}

async fn queue(State(state): State<WebState>, query: Result<Query<QueueQuery>, QueryRejection>) -> Response {
    let limit = query.ok().map(|query| query.limit.unwrap_or(QUEUE_LIMIT_DEFAULT));
    let Some(limit) = limit.filter(|limit| (1..=VIEW_ROWS).contains(limit)) else {
        return problem(StatusCode::BAD_REQUEST, &format!("limit must be a whole number from 1 to {VIEW_ROWS}"));
    };
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    Json(QueueBody::of(state.moment(&view, &status, now), limit)).into_response()
}

async fn status(State(state): State<WebState>) -> Response {
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    Json(StatusBody::of(state.moment(&view, &status, now))).into_response()
}

/// A week's report as it was first told.
async fn weekly_report(State(state): State<WebState>, Path(week): Path<String>) -> Response {
    let Ok(week) = week.parse::<Week>() else {
        return (StatusCode::NOT_FOUND, "no such week; write /weekly/2026-W46\n").into_response();
    };
    let week = week.to_string();
    let Some(kept) = in_time("read a weekly report", state.reports.kept(&week)).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store doesn't answer\n").into_response();
    };
    match kept.as_deref().map(serde_json::from_str::<Figures>) {
        Some(Ok(figures)) => Html(html::page(&figures)).into_response(),
        Some(Err(_)) => (StatusCode::INTERNAL_SERVER_ERROR, "this version can't read the report\n").into_response(),
        None => {
            let said = format!("the report of {week} has not been made; `tocsin weekly --week {week}` makes it\n");
            (StatusCode::NOT_FOUND, said).into_response()
        }
    }
}

async fn scrape(State(state): State<WebState>) -> Response {
    let counts = in_time("count the pages", state.pages.page_counts()).await;
    let totals: Option<Vec<PageTotal>> = counts.map(|counts| counts.into_iter().map(total).collect());
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    match state.metrics.render(&view, &status, totals.as_deref(), now) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics can't be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written; the log says why\n").into_response()
        }
    }
}

fn total(count: PageCount) -> PageTotal {
    PageTotal { channel: count.channel, state: count.state, count: count.count }
}

/// Alive: the process answers and the engine thread has been heard of. A database that is away is no
/// reason to restart, so it isn't asked.
async fn healthz(State(state): State<WebState>) -> Response {
    match state.status.load().engine_silent((state.now)()) {
        None => "alive\n".into_response(),
        Some(silent) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the engine has taken up nothing for {silent}\n")).into_response()
        }
    }
}

async fn readyz(State(state): State<WebState>) -> Response {
    let body = ReadyBody::of(&state.status.load(), (state.now)());
    let code = if body.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}

impl WebState {
    fn moment<'a>(&'a self, view: &'a View, status: &'a crate::status::Status, now: Timestamp) -> Moment<'a> {
        Moment { view, status, keys: &self.keys, links: &self.links, now }
    }
}

/// What the store answered; `None`, and a line in the log, when it failed or was late.
async fn in_time<T>(operation: &'static str, answer: PagesFuture<'_, T>) -> Option<T> {
    match tokio::time::timeout(STORE_WITHIN, answer).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(operation, %error, "the store didn't answer the web");
            None
        }
        Err(_) => {
            tracing::warn!(operation, within = ?STORE_WITHIN, "the store was too late for the web");
            None
        }
    }
}

/// An error of the API as RFC 9457 has it.
fn problem(code: StatusCode, detail: &str) -> Response {
    let title = code.canonical_reason().unwrap_or("error");
    let body = serde_json::json!({ "title": title, "status": code.as_u16(), "detail": detail });
    (code, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
