//! The board, the API and the probes, served by the monitor's own process. Everything is read from the published view,
//! the status, the store and short looks at the core; what people do here is put into the store's inbox, and the
//! engine takes it from there like everything else.

pub mod access;
mod acknowledge;
pub mod api;
pub mod archive;
mod assets;
mod board;
mod case;
pub mod cursor;
pub mod desk;
pub mod engine;
mod found;
mod guard;
mod incident;
mod kept;
mod limits;
mod live;
mod login;
pub mod pagerduty;
mod probes;
pub mod quiets;
mod server;
mod v1;
mod when;
pub mod words;

pub use guard::Buckets;
pub use live::{CLIENTS_MAX, Live};
pub use server::{CONNECTIONS_MAX, serve};

use crate::core::id::Name;
use crate::core::time::Timestamp;
use crate::core::view::View;
use crate::keys::Keys;
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::status::StatusHandle;
use crate::store::{PageCount, PageRow, Store, StoreError};
use crate::weekly::figures::Figures;
use crate::weekly::html;
use crate::zone::Zone;
use access::{Access, Via, Who, forms};
use api::Moment;
use arc_swap::ArcSwap;
use archive::Archive;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use board::Reader;
use desk::Desk;
use engine::{Ask, Look, Seen};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A store that takes longer is left out of the answer.
const STORE_WITHIN: Duration = Duration::from_secs(2);
/// The board itself waits less: it is whole without the store.
const PAGES_WITHIN: Duration = Duration::from_secs(1);
/// An engine that takes longer is said not to answer.
const ENGINE_WITHIN: Duration = Duration::from_secs(2);

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

/// The source that is meant and the name as it writes its people, or why it is none.
pub type People = Arc<dyn Fn(Option<&str>, &str) -> Result<(Name, String), String> + Send + Sync>;

/// Asks the process to read its configuration again.
pub type Reload = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// All that the routes need.
#[derive(Clone)]
pub struct WebState {
    /// The engine's latest view; a fresh one is stored after each applied plan.
    pub view: Arc<ArcSwap<View>>,
    pub status: StatusHandle,
    pub keys: Keys,
    pub pages: Arc<dyn PagesReader>,
    pub archive: Arc<dyn Archive>,
    /// Where the core is looked at.
    pub engine: Arc<dyn Ask>,
    /// Where what people do is put down.
    pub desk: Arc<dyn Desk>,
    /// Of PagerDuty's webhooks, several while one rotates; none: they are not taken.
    pub pagerduty_secrets: Arc<Vec<Secret>>,
    pub metrics: Arc<Metrics>,
    /// By source: where a report is reviewed, with `{id}` for its id.
    pub links: Arc<BTreeMap<Name, String>>,
    /// The clock port's `now`.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// The zone in which weeks lie.
    pub zone: Zone,
    pub access: Arc<Access>,
    pub limits: Arc<Buckets>,
    pub live: Arc<Live>,
    /// Whether a name is a person of a source, and of which.
    pub people: People,
    /// `None` where nothing can be read again, as in the demo.
    pub reload: Option<Reload>,
    /// The reports are synthetic, and the page says so and has buttons.
    pub demo: Option<Arc<dyn Demo>>,
}

/// The demo's buttons.
pub trait Demo: Send + Sync + 'static {
    /// Many reports at once.
    fn storm(&self);
    /// The database is away for a minute.
    fn blind(&self);
    /// The weekly report of a synthetic quarter, as HTML.
    fn week(&self) -> String;
}

/// Every route, behind the guard.
pub fn router(state: WebState) -> Router {
    let demo = if state.demo.is_some() {
        Router::new()
            .route("/demo/storm", post(probes::demo_storm))
            .route("/demo/blind", post(probes::demo_blind))
            .route("/demo/week", get(probes::demo_week))
    } else {
        Router::new()
    };
    Router::new()
        .route("/", get(the_board))
        .route("/queue", get(more))
        .route("/live", get(live::get))
        .route("/cases", get(case::find))
        .route("/cases/{reference}", get(case::page))
        .route("/incidents/{no}", get(incident::page))
        .route("/incidents/{no}/acknowledge", post(incident::acknowledge))
        .route("/incidents/{no}/snooze", post(incident::snooze))
        .route("/ack/{link}", get(acknowledge::ask).post(acknowledge::take))
        .route("/login", get(login::get).post(login::post))
        .route("/logout", post(login::out))
        .route("/assets/{name}", get(assets::get))
        .route(
            pagerduty::PATH,
            post(pagerduty::receive).layer(DefaultBodyLimit::max(pagerduty::BODY_BYTES_MAX as usize)),
        )
        .route("/metrics", get(probes::scrape))
        .route("/weekly/{week}", get(weekly_report))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .merge(v1::router())
        .merge(demo)
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "no such page\n") })
        .with_state(state.clone())
        .layer(axum::middleware::from_fn_with_state(state, guard::guard))
}

#[derive(Debug, Deserialize)]
struct BoardQuery {
    /// "off" stops the page, without a script, from loading itself anew.
    refresh: Option<String>,
}

async fn the_board(
    State(state): State<WebState>,
    Extension(who): Extension<Who>,
    query: Result<Query<BoardQuery>, QueryRejection>,
) -> Response {
    let refresh = query.ok().and_then(|query| query.0.refresh).as_deref() != Some("off");
    let kept = kept::ask(&state, PAGES_WITHIN).await;
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let proof = || forms::proof(&who, &state.keys, now);
    let session = match &who.via {
        Via::Session { name, .. } => Some((name.clone(), proof())),
        _ => None,
    };
    let reader = Reader { refresh, session, demo: state.demo.is_some(), proof: state.demo.as_ref().map(|_| proof()) };
    page(StatusCode::OK, board::render(state.moment(&view, &status, now), kept.as_kept(), reader))
}

#[derive(Debug, Deserialize)]
struct MoreQuery {
    after: String,
}

/// The queue from a cursor on.
async fn more(State(state): State<WebState>, query: Result<Query<MoreQuery>, QueryRejection>) -> Response {
    let Some(after) = query.ok().and_then(|query| cursor::read(&query.0.after, &state.keys)) else {
        return plain(StatusCode::BAD_REQUEST, "this is no place in the queue; begin again at /\n");
    };
    // One more than is shown tells whether there is a next page.
    let Some(Seen::Rows(rows)) = state.look(Look::Rows { after: Some(after), limit: board::QUEUE_ROWS + 1 }).await
    else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer; try again\n");
    };
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    page(StatusCode::OK, board::more(state.moment(&view, &status, now), &rows))
}

/// A week's report as it was first told.
async fn weekly_report(State(state): State<WebState>, Path(week): Path<String>) -> Response {
    let Ok(week) = week.parse::<crate::weekly::week::Week>() else {
        return plain(StatusCode::NOT_FOUND, "no such week; write /weekly/2026-W46\n");
    };
    let week = week.to_string();
    let Some(kept) = state.within(state.archive.report(&week)).await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "the store doesn't answer\n");
    };
    match kept.as_deref().map(serde_json::from_str::<Figures>) {
        Some(Ok(figures)) => Html(html::page(&figures)).into_response(),
        Some(Err(_)) => plain(StatusCode::INTERNAL_SERVER_ERROR, "this version can't read the report\n"),
        None => {
            let said = format!("the report of {week} has not been made; `tocsin weekly --week {week}` makes it\n");
            plain(StatusCode::NOT_FOUND, said)
        }
    }
}

impl WebState {
    /// What the store answered in time; `None`, and a line in the log, when it didn't.
    async fn within<T>(&self, answer: PagesFuture<'_, T>) -> Option<T> {
        in_time("answer the web", STORE_WITHIN, answer).await
    }

    /// What the engine answered in time.
    async fn look(&self, look: Look) -> Option<Seen> {
        tokio::time::timeout(ENGINE_WITHIN, self.engine.look(look)).await.ok().flatten()
    }

    fn moment<'a>(&'a self, view: &'a View, status: &'a crate::status::Status, now: Timestamp) -> Moment<'a> {
        Moment { view, status, keys: &self.keys, links: &self.links, now }
    }
}

/// What the store answered; `None`, and a line in the log, when it failed or was late.
async fn in_time<T>(operation: &'static str, within: Duration, answer: PagesFuture<'_, T>) -> Option<T> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(operation, %error, "the store didn't answer the web");
            None
        }
        Err(_) => {
            tracing::warn!(operation, ?within, "the store was too late for the web");
            None
        }
    }
}

/// A page, or that it can't be made.
fn page(code: StatusCode, rendered: Result<String, askama::Error>) -> Response {
    match rendered {
        Ok(html) => (code, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page can't be rendered");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the page can't be rendered; the log says why\n")
        }
    }
}

/// A line of text.
fn plain(code: StatusCode, text: impl Into<String>) -> Response {
    (code, text.into()).into_response()
}

/// An error of the API as RFC 9457 has it.
fn problem(code: StatusCode, detail: &str) -> Response {
    let title = code.canonical_reason().unwrap_or("error");
    let body = serde_json::json!({ "type": "about:blank", "title": title, "status": code.as_u16(), "detail": detail });
    (code, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
