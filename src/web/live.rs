//! The board's liveness: one loop makes the sections when they have changed, at most once a second and only while
//! somebody looks, and every client is sent the same bytes by server-sent events. A client that doesn't read holds up
//! nobody: it is sent what is newest once it reads again, and in the end its connection is closed.

use super::board;
use super::kept::{self, Counted};
use super::words::Summary;
use super::{PAGES_WITHIN, WebState, plain};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Clients at one time; more are told to come back.
pub const CLIENTS_MAX: usize = 256;
/// How often the sections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Every client hears something at least this often, so that it knows that it still hears.
const TICKS: u64 = 5;
/// What only the time changes, or little else, is sent no more often than this many looks.
const SLOW: u64 = 5;
/// A client is let go after so many looks and comes back by itself: then it is asked anew who it is.
const LOOKS_PER_CLIENT: u64 = 900;

/// Of the frame after which none comes: every stream ends, so that the process can.
const LAST: u64 = u64::MAX;

/// One state of the board.
#[derive(Clone, Debug, Default)]
struct Frame {
    /// Counts looks.
    at: u64,
    /// The headline and the server's time, as an event.
    head: Bytes,
    /// Whether somebody must hear it now.
    head_changed: u64,
    /// By section: the look at which it changed, and its event.
    sections: BTreeMap<&'static str, (u64, Bytes)>,
}

/// Where frames are published.
#[derive(Debug)]
pub struct Live {
    frames: watch::Sender<Arc<Frame>>,
    places: Arc<Semaphore>,
    pub(super) counted: Counted,
}

impl Default for Live {
    fn default() -> Self {
        Live {
            frames: watch::Sender::new(Arc::default()),
            places: Arc::new(Semaphore::new(CLIENTS_MAX)),
            counted: Counted::default(),
        }
    }
}

/// Publishes until the process is told to stop.
pub async fn publish(state: WebState, mut stopped: watch::Receiver<bool>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last = String::new();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => {
                state.live.frames.send_replace(Arc::new(Frame { at: LAST, ..Frame::default() }));
                return;
            }
        }
        if state.live.frames.receiver_count() == 0 {
            continue;
        }
        let before = state.live.frames.borrow().clone();
        if let Some(frame) = frame(&state, &before, &mut last).await {
            state.live.frames.send_replace(Arc::new(frame));
        }
    }
}

async fn frame(state: &WebState, before: &Frame, last_head: &mut String) -> Option<Frame> {
    let at = before.at + 1;
    let kept = kept::ask(state, PAGES_WITHIN).await;
    let (view, status, now) = (state.view.load_full(), state.status.load(), (state.now)());
    let moment = state.moment(&view, &status, now);
    let sections = match board::sections(moment, kept.as_kept(), None, state.demo.is_some()) {
        Ok(sections) => sections,
        Err(error) => {
            tracing::error!(%error, "the board can't be rendered");
            return None;
        }
    };
    let mut frame = Frame { at, sections: BTreeMap::new(), ..before.clone() };
    for section in sections {
        let event = event("section", &serde_json::json!({ "id": section.id, "html": section.html }));
        let kept = before.sections.get(section.id);
        let is_slow = section.id == "sources";
        let changed = match kept {
            None => at,
            Some((changed, held)) if *held == event || (is_slow && at < changed + SLOW) => {
                frame.sections.insert(section.id, (*changed, held.clone()));
                continue;
            }
            Some(_) => at,
        };
        frame.sections.insert(section.id, (changed, event));
    }
    let summary = Summary::of(&view, &status, now);
    let said = format!("{}{:?}", summary.headline, summary.level);
    if said != *last_head {
        (*last_head, frame.head_changed) = (said, at);
    }
    frame.head = event(
        "tick",
        &serde_json::json!({
            "now": crate::zone::rfc3339(now), "headline": summary.headline, "level": summary.level,
            "icon": board::icon(summary.level), "p0_overdue": summary.p0_overdue, "unseen": summary.sources_unseen,
        }),
    );
    Some(frame)
}

/// JSON has no line feed in it, so it is one line.
fn event(name: &str, data: &serde_json::Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// What one client has been sent.
struct Client {
    frames: watch::Receiver<Arc<Frame>>,
    sent: u64,
    ticked: u64,
    looks: u64,
    /// Given back when the client goes.
    _place: OwnedSemaphorePermit,
}

/// GET /live
pub async fn get(State(state): State<WebState>) -> Response {
    let Ok(place) = state.live.places.clone().try_acquire_owned() else {
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "too many look at the board; it is not live here\n");
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(30));
        return response;
    };
    let mut frames = state.live.frames.subscribe();
    // The first frame that it is sent is one of now, not of when somebody last looked.
    frames.mark_unchanged();
    let client = Client { frames, sent: 0, ticked: 0, looks: 0, _place: place };
    let hello = stream::once(std::future::ready(Ok::<_, Infallible>(Bytes::from_static(b"retry: 3000\n\n"))));
    let events = stream::unfold(client, |client| async move { next(client).await });
    let body = Body::from_stream(futures_util::StreamExt::chain(hello, events));
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn next(mut client: Client) -> Option<(Result<Bytes, Infallible>, Client)> {
    loop {
        client.frames.changed().await.ok()?;
        client.looks += 1;
        if client.looks > LOOKS_PER_CLIENT {
            return None;
        }
        let frame = client.frames.borrow_and_update().clone();
        if frame.at == LAST {
            return None;
        }
        let news = frame.sections.values().filter(|(changed, _)| *changed > client.sent);
        let mut parts: Vec<&Bytes> = news.map(|(_, event)| event).collect();
        if frame.head_changed > client.sent || frame.at >= client.ticked + TICKS || !parts.is_empty() {
            parts.insert(0, &frame.head);
        }
        if parts.is_empty() {
            continue;
        }
        let bytes = match parts.as_slice() {
            [one] => Bytes::clone(one),
            parts => Bytes::from(parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<u8>>()),
        };
        (client.sent, client.ticked) = (frame.at, frame.at);
        return Some((Ok(bytes), client));
    }
}
