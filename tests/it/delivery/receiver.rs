//! A webhook receiver on loopback that answers by a script and models what a pager product does with keys:
//! it drops a delivery that it has processed before, rings once while an alert fires, and falls silent
//! when it is resolved. Every signature is checked by an independent implementation.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the receiver does with one request. Without a script it says 200.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status with header lines, such as "Retry-After: 7\r\n". 2xx means that it was processed.
    Status(u16, &'static str),
    /// Processed, but the connection is reset instead of an answer.
    ProcessedThenReset,
    Reset,
    /// Nothing at all, for as long as the other side waits.
    Silence,
    /// The head of a 200 that promises more body than it sends.
    HalfABody,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub id: String,
    pub at_secs: i64,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub body: Value,
}

impl Request {
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().expect("a body has a type")
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    requests: Vec<Request>,
    processed: BTreeSet<String>,
    firing: BTreeSet<String>,
    rings: BTreeMap<String, u32>,
    bad_signatures: u32,
    connections: u32,
}

pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<State>>,
    seen: watch::Receiver<usize>,
}

impl Receiver {
    pub async fn start(secret: &str, script: impl IntoIterator<Item = Reply>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let (seen_sender, seen) = watch::channel(0);
        let (secret, shared) = (secret.to_owned(), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (secret, state, seen) = (secret.clone(), Arc::clone(&shared), seen_sender.clone());
                state.lock().unwrap().connections += 1;
                tokio::spawn(async move { serve(stream, &secret, &state, &seen).await });
            }
        });
        Receiver { url, state, seen }
    }

    /// Returns once `count` requests have come.
    pub async fn has_seen(&self, count: usize) {
        self.seen.clone().wait_for(|seen| *seen >= count).await.unwrap();
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How often a phone rang, over all alerts.
    pub fn rings(&self) -> u32 {
        self.state.lock().unwrap().rings.values().sum()
    }

    pub fn is_firing(&self, alert_key: &str) -> bool {
        self.state.lock().unwrap().firing.contains(alert_key)
    }

    pub fn bad_signatures(&self) -> u32 {
        self.state.lock().unwrap().bad_signatures
    }

    pub fn connections(&self) -> u32 {
        self.state.lock().unwrap().connections
    }
}

impl State {
    fn process(&mut self, request: &Request) {
        if !self.processed.insert(request.id.clone()) {
            return;
        }
        if request.kind() == "report.weekly" {
            return;
        }
        let alert = request.body["data"]["alert_key"].as_str().expect("a page has an alert key").to_owned();
        match request.kind() {
            "incident.ring" => {
                if self.firing.insert(alert.clone()) {
                    *self.rings.entry(alert).or_default() += 1;
                }
            }
            "incident.resolved" => {
                self.firing.remove(&alert);
            }
            other => panic!("unknown type {other}"),
        }
    }
}

async fn serve(mut stream: TcpStream, secret: &str, state: &Mutex<State>, seen: &watch::Sender<usize>) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer).await {
        let reply = {
            let mut state = state.lock().unwrap();
            let signed = standardwebhooks::Webhook::new(secret)
                .and_then(|theirs| theirs.sign(&request.id, request.at_secs, &request.bytes))
                .unwrap();
            let given = request.headers["webhook-signature"].to_str().unwrap();
            if !given.split(' ').any(|signature| signature == signed) {
                state.bad_signatures += 1;
            }
            let reply = state.script.pop_front().unwrap_or(Reply::Status(200, ""));
            if matches!(reply, Reply::Status(200..=299, _) | Reply::ProcessedThenReset | Reply::HalfABody) {
                state.process(&request);
            }
            state.requests.push(request);
            reply
        };
        seen.send_modify(|seen| *seen += 1);
        match reply {
            Reply::Status(status, headers) => {
                let body = if status == 204 { "" } else { "content-length: 0\r\n" };
                let head = format!("HTTP/1.1 {status} Scripted\r\n{headers}{body}\r\n");
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
            }
            Reply::ProcessedThenReset | Reply::Reset => {
                // Closing at once with a linger of zero sends a reset instead of an end.
                stream.set_zero_linger().unwrap();
                return;
            }
            Reply::Silence => {
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            Reply::HalfABody => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf of it").await;
                return;
            }
        }
    }
}

/// One request off the connection; `None` when the other side is done.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        read_more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap();
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
    }
    let number = |name: &str| headers[name].to_str().unwrap().parse::<i64>().unwrap();
    let (body_from, body_len) = (head_end + 4, usize::try_from(number("content-length")).unwrap());
    while buffer.len() < body_from + body_len {
        read_more(stream, buffer).await?;
    }
    let bytes = buffer[body_from..body_from + body_len].to_vec();
    buffer.drain(..body_from + body_len);
    let body = serde_json::from_slice(&bytes).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    Some(Request { id, at_secs: number("webhook-timestamp"), headers, bytes, body })
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
