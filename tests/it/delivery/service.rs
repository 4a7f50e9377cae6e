//! Pager products on loopback. Each checks what its API demands, models what the product does with a key, and
//! counts how often a phone rings: an acceptance alone wakes nobody.

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Product {
    PagerDuty,
    GoAlert,
    Slack,
}

/// What the product does with one request before it answers by itself.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing is processed; with a Retry-After where one is given.
    Refuses(u16, Option<&'static str>),
    /// Processed, and yet the answer says otherwise.
    LosesItsAnswer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alert {
    Triggered,
    Acknowledged,
}

#[derive(Default)]
pub struct Inside {
    pub script: VecDeque<Fault>,
    pub bodies: Vec<Value>,
    pub uris: Vec<String>,
    pub open: BTreeMap<String, Alert>,
    /// How often a phone rang; for Slack, messages that were shown.
    pub rings: u32,
}

pub struct Service {
    /// Where it is served, without the path of its endpoint.
    pub base: String,
    inside: Arc<Mutex<Inside>>,
}

impl Service {
    pub async fn start(product: Product, script: impl IntoIterator<Item = Fault>) -> Service {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let inside = Arc::new(Mutex::new(Inside { script: script.into_iter().collect(), ..Inside::default() }));
        let state = (product, Arc::clone(&inside));
        let app = axum::Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Service { base, inside }
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Somebody presses "acknowledge" in the product.
    pub fn acknowledge(&self, key: &str) {
        *self.inside().open.get_mut(key).expect("only an open alert can be acknowledged") = Alert::Acknowledged;
    }
}

async fn answer(
    Shared((product, inside)): Shared<(Product, Arc<Mutex<Inside>>)>,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let mut inside = inside.lock().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    inside.uris.push(uri.to_string());
    inside.bodies.push(body.clone());
    let fault = inside.script.pop_front();
    let mut headers = HeaderMap::new();
    let status = match fault {
        Some(Fault::Refuses(status, retry_after)) => {
            headers.extend(retry_after.map(|value| (axum::http::header::RETRY_AFTER, value.parse().unwrap())));
            status
        }
        fault => {
            let status = match product {
                Product::PagerDuty => pagerduty(&mut inside, &uri, &body),
                Product::GoAlert => goalert(&mut inside, &uri, &body),
                Product::Slack => slack(&mut inside, &body),
            };
            if fault.is_some() { 502 } else { status }
        }
    };
    (StatusCode::from_u16(status).unwrap(), headers)
}

fn text(value: &Value, chars_max: usize) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty() && text.chars().count() <= chars_max)
}

fn pagerduty(inside: &mut Inside, uri: &Uri, body: &Value) -> u16 {
    let Some(key) = text(&body["dedup_key"], 255) else { return 400 };
    let known = body["routing_key"].as_str().is_some_and(|key| key.len() == 32) && uri.path() == "/v2/enqueue";
    let alert = &body["payload"];
    let severities = ["critical", "error", "warning", "info"].map(Value::from);
    let complete = text(&alert["summary"], 1_024).is_some()
        && alert["source"].is_string()
        && severities.contains(&alert["severity"]);
    match body["event_action"].as_str() {
        Some("trigger") if known && complete => ring(inside, key),
        Some("resolve") if known => {
            inside.open.remove(key);
        }
        _ => return 400,
    }
    202
}

fn goalert(inside: &mut Inside, uri: &Uri, body: &Value) -> u16 {
    if uri.path() != "/api/v2/generic/incoming" || !uri.query().is_some_and(|query| query.starts_with("token=")) {
        return 401;
    }
    let (Some(key), Some(_)) = (text(&body["dedup"], 512), text(&body["summary"], 1_024)) else { return 400 };
    match body.get("action").and_then(Value::as_str) {
        None => ring(inside, key),
        Some("close") => {
            inside.open.remove(key);
        }
        Some(_) => return 400,
    }
    204
}

/// A trigger joins the alert that is open under its key, and nobody is told again.
fn ring(inside: &mut Inside, key: &str) {
    if !inside.open.contains_key(key) {
        inside.open.insert(key.to_owned(), Alert::Triggered);
        inside.rings += 1;
    }
}

/// Slack knows no keys: what it accepts, it shows.
fn slack(inside: &mut Inside, body: &Value) -> u16 {
    let blocks = body["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |block: &Value| match block["type"].as_str() {
        Some("header") => text(&block["text"]["text"], 150).is_some(),
        Some("section") => text(&block["text"]["text"], 3_000).is_some(),
        _ => false,
    };
    if text(&body["text"], 40_000).is_none() || blocks.len() > 50 || !blocks.iter().all(fits) {
        return 400;
    }
    inside.rings += 1;
    200
}
