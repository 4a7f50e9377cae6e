//! What the outbox costs: the latency of one signed page and pages per second through a lane, to a receiver
//! on loopback, with a store that does nothing and with one on disk. Beside each figure stands its floor from the
//! same run: the same bytes over bare sockets, and the store's bare commits.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and breaks where it must")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tocsin::core::case::Case;
use tocsin::core::id::{CaseKey, IncidentNo, Name};
use tocsin::core::plan::{PageKind, Plan};
use tocsin::core::policy::Priority;
use tocsin::core::time::Timestamp;
use tocsin::keys::Keys;
use tocsin::pager::payload::{Payload, PayloadAbout, PayloadCase};
use tocsin::pager::{AnswerVerdict, ChannelKind, Channels, Outgoing, Sender};
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::run::outbox::{Outbox, OutboxStats, sending_max};
use tocsin::secret::Secret;
use tocsin::store::{
    Attempt, Commit, Lane, Lead, LeasedPage, NewPage, PageCount, PageRow, Result, SqlStore, Store, Stored,
};
use tocsin::zone::rfc3339;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

const SINGLE: usize = 3_000;
const MANY: usize = 20_000;
const ON_DISK: usize = 5_000;

#[tokio::main]
async fn main() {
    let address = receiver().await;
    let (channels, pages) = (Arc::new(channels(address)), pages(many()));
    let bytes = request_bytes(&pages[0]);

    let floor = bare_latencies(address, &bytes).await;
    let ours = send_latencies(&channels, &pages[..SINGLE.min(many())]).await;
    println!("one page on loopback, micros       p50      p99");
    println!("  floor: the bytes, bare       {:>7}  {:>7}", quantile(&floor, 50), quantile(&floor, 99));
    println!("  signed and sent              {:>7}  {:>7}", quantile(&ours, 50), quantile(&ours, 99));
    let ratio = |q| quantile(&ours, q) as f64 / quantile(&floor, q) as f64;
    println!("  ratio                        {:>7.2}  {:>7.2}", ratio(50), ratio(99));

    println!("\npages per second                 floor   outbox   ratio");
    for lane in [Lane::P0, Lane::Lesser] {
        let floor = bare_rate(address, &bytes, sending_max(lane)).await;
        let ours = outbox_rate(&channels, &pages, lane).await;
        println!("  {lane:<8?} {:>2} at once      {floor:>10.0} {ours:>8.0}   {:.2}", sending_max(lane), ours / floor);
    }
    on_disk(&channels, &pages[..many().min(ON_DISK)]).await;
}

/// Through a store in SQLite, beside the commits of one record each that its disk allows.
async fn on_disk(channels: &Arc<Channels>, pages: &[NewPage]) {
    let directory = std::env::temp_dir().join(format!("tocsin-bench-outbox-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let url = Secret::new(format!("sqlite:{}", directory.join("tocsin.db").display()));
    let store = Arc::new(SqlStore::open(&url, "a bench's deployment").await.unwrap());
    let lead = store.lead("bench", SystemClock.now(), None).await.unwrap();
    let Lead::Taken { token, .. } = lead else { panic!("it is led") };
    let plan = Plan::default();
    let commit = Commit {
        sequence: 1,
        token,
        at: SystemClock.now(),
        plan: &plan,
        pages: pages.to_vec(),
        next_incident: 1,
        sent: Vec::new(),
    };
    store.commit(&commit).await.unwrap();

    let commits = pages.len().min(2_000);
    let began = SystemClock.now();
    for n in 0..commits {
        let at = SystemClock.now();
        store.put_inbox("nothing", "{}", &n.to_string(), at).await.unwrap();
    }
    let bare = commits as f64 / secs_since(began);
    let stats = OutboxStats::new(channels.names()).unwrap();
    let outbox = Outbox::new(store.clone(), Arc::clone(channels), SystemClock, keys(), stats);
    let began = SystemClock.now();
    let mut sent = 0;
    while sent < pages.len() {
        sent += outbox.pump(Lane::P0).await.unwrap();
    }
    let ours = pages.len() as f64 / secs_since(began);
    println!("\nper second, on disk         {bare:>10.0} commits {ours:>8.0} pages   {:.2}", ours / bare);
    store.close().await;
    std::fs::remove_dir_all(&directory).unwrap();
}

fn secs_since(began: Timestamp) -> f64 {
    SystemClock.now().since(began).micros() as f64 / 1e6
}

fn keys() -> Keys {
    Keys::new(b"a bench's deployment")
}

/// How many pages, or as few as a first look needs: TOCSIN_BENCH_PAGES.
fn many() -> usize {
    std::env::var("TOCSIN_BENCH_PAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(MANY)
}

fn quantile(sorted: &[i64], percent: usize) -> i64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Answers every request with 204; several on one connection.
async fn receiver() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        while let Some(len) = request_len(&buffer) {
            buffer.drain(..len);
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// The length of the first request in the buffer, once it is all there.
fn request_len(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).unwrap();
    let (_, rest) = text.split_once("content-length: ").unwrap();
    let body: usize = rest.split("\r\n").next().unwrap().parse().unwrap();
    (buffer.len() >= head + body).then_some(head + body)
}

/// A request as long as a real one.
fn request_bytes(page: &NewPage) -> Vec<u8> {
    let body_bytes = page.payload.len() + 300;
    let head = format!("POST /hook HTTP/1.1\r\nx: {}\r\ncontent-length: {body_bytes}\r\n\r\n", "x".repeat(330));
    [head.into_bytes(), vec![b'x'; body_bytes]].concat()
}

async fn exchange(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut answer = [0; 256];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
}

async fn bare_latencies(address: SocketAddr, bytes: &[u8]) -> Vec<i64> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut micros = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        let began = SystemClock.now();
        exchange(&mut stream, bytes).await;
        micros.push(SystemClock.now().since(began).micros());
    }
    micros.sort_unstable();
    micros
}

async fn send_latencies(channels: &Channels, pages: &[NewPage]) -> Vec<i64> {
    let mut micros = Vec::with_capacity(pages.len());
    for page in pages {
        let began = SystemClock.now();
        let outgoing = Outgoing {
            channel: &page.channel,
            incident: page.incident,
            round: page.round,
            kind: page.kind,
            priority: page.priority,
            created_at: page.created_at,
            alert_key: &page.alert_key,
            delivery_key: &page.delivery_key,
            payload: &page.payload,
        };
        let answer = channels.send(&outgoing, began).await;
        assert_eq!(answer.verdict, AnswerVerdict::Accepted, "{}", answer.text);
        micros.push(SystemClock.now().since(began).micros());
    }
    micros.sort_unstable();
    micros
}

async fn bare_rate(address: SocketAddr, bytes: &[u8], at_once: usize) -> f64 {
    let began = SystemClock.now();
    let mut senders = JoinSet::new();
    for _ in 0..at_once {
        let bytes = bytes.to_vec();
        senders.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for _ in 0..many() / at_once {
                exchange(&mut stream, &bytes).await;
            }
        });
    }
    senders.join_all().await;
    many() as f64 / (SystemClock.now().since(began).micros() as f64 / 1e6)
}

async fn outbox_rate(channels: &Arc<Channels>, pages: &[NewPage], lane: Lane) -> f64 {
    let store = Arc::new(Queue::default());
    let stats = OutboxStats::new(channels.names()).unwrap();
    let outbox = Outbox::new(Arc::clone(&store), Arc::clone(channels), SystemClock, keys(), stats);
    let (stop, stopped) = watch::channel(false);
    let wake = Arc::new(Notify::new());
    let serving = tokio::spawn({
        let wake = Arc::clone(&wake);
        async move { outbox.run(lane, wake, stopped).await }
    });
    store.waiting.lock().unwrap().extend(pages.iter().cloned());
    let began = SystemClock.now();
    wake.notify_one();
    store.recorded.subscribe().wait_for(|count| *count == pages.len()).await.unwrap();
    let secs = SystemClock.now().since(began).micros() as f64 / 1e6;
    stop.send(true).unwrap();
    serving.await.unwrap();
    pages.len() as f64 / secs
}

fn channels(address: SocketAddr) -> Channels {
    let settings = ChannelKind::Webhook {
        url: Secret::new(format!("http://{address}/hook")),
        secrets: vec![Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")],
    };
    Channels::new(BTreeMap::from([("hook".into(), settings.into())]), None).unwrap()
}

fn pages(count: usize) -> Vec<NewPage> {
    let (keys, channel, now): (_, Name, _) = (keys(), "hook".into(), SystemClock.now());
    let case = PayloadCase {
        case: "C-7F3KQ-9QXMA".into(),
        source: "reports".into(),
        category: "grooming".into(),
        priority: "P0".into(),
        presumed: false,
        reports: 1,
        target: "first_response".into(),
        deadline: rfc3339(now),
        unverified: false,
        inherited: false,
    };
    let page = |n: u64| {
        let incident = IncidentNo(n);
        let payload = Payload {
            kind: PageKind::Ring,
            incident: incident.to_string(),
            round: 0,
            step: 0,
            priority: "P0".into(),
            created_at: rfc3339(now),
            part: None,
            about: PayloadAbout::Overdue,
            in_place_of: None,
            without_store: false,
            acknowledge: None,
            count: 1,
            cases: vec![case.clone()],
        };
        NewPage {
            incident,
            round: 0,
            step: 0,
            channel: channel.clone(),
            kind: PageKind::Ring,
            priority: Priority::P0,
            created_at: now,
            alert_key: keys.alert(incident, 0),
            delivery_key: keys.delivery(&keys.alert(incident, 0), 0, &channel, PageKind::Ring),
            payload: serde_json::to_string(&payload).unwrap(),
            fallbacks: Vec::new(),
            in_place_of: None,
            is_test: false,
        }
    };
    (0..count as u64).map(page).collect()
}

/// A store without a disk: pages are taken from the front, and records only counted.
#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<NewPage>>,
    recorded: watch::Sender<usize>,
}

impl Store for Queue {
    async fn inbox(&self) -> Result<Vec<tocsin::store::InboxEntry>> {
        Ok(Vec::new())
    }

    async fn lease_pages(
        &self,
        _: Lane,
        _: Timestamp,
        _: Timestamp,
        limit: u32,
        _: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        let mut waiting = self.waiting.lock().unwrap();
        let count = waiting.len().min(limit as usize);
        Ok(waiting.drain(..count).map(|page| LeasedPage { id: 0, page, attempts: 0 }).collect())
    }

    async fn next_page_at(&self, _: Lane, _: &[Name]) -> Result<Option<Timestamp>> {
        Ok(self.waiting.lock().unwrap().front().map(|page| page.created_at))
    }

    async fn record(&self, _: &Attempt) -> Result<()> {
        self.recorded.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn lead(&self, _: &str, _: Timestamp, _: Option<u64>) -> Result<Lead> {
        unreachable!()
    }

    async fn renew(&self, _: u64) -> Result<()> {
        unreachable!()
    }

    async fn hand_over(&self, _: u64) -> Result<()> {
        unreachable!()
    }

    async fn load_in_parts(&self, _: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        unreachable!()
    }

    async fn settle(&self, _: u64) -> Result<u64> {
        unreachable!()
    }

    async fn commit(&self, _: &Commit<'_>) -> Result<()> {
        unreachable!()
    }

    async fn recall(&self, _: &[CaseKey]) -> Result<Vec<Case>> {
        unreachable!()
    }

    async fn unanswered(&self, _: Lane, _: u32) -> Result<Vec<LeasedPage>> {
        Ok(Vec::new())
    }

    async fn fall_back(&self, _: i64, _: &[NewPage], _: Timestamp) -> Result<()> {
        unreachable!("nothing fails")
    }

    async fn pages(&self, _: u32) -> Result<Vec<PageRow>> {
        unreachable!()
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        unreachable!()
    }
}
