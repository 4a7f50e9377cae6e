//! The board at scale: its first page, a page in the middle of the queue and a case at its end with many open cases,
//! a scrape of the metrics, and what two hundred live clients cost the process. Promised with 1,000,000 open cases: the
//! first page within 50 ms, the metrics within 20 ms, 200 clients within 5 % of a core.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench breaks where it must, and reads the clock"
)]

mod support;

use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{LESSER, MINOR_SAFETY, SOURCE, Scratch, alone, heading, millis, quantile};
use tocsin::core::engine::Core;
use tocsin::core::id::ReportId;
use tocsin::core::observation::{Observation, Received, Row};
use tocsin::core::plan::{BATCH, Input, Rows};
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::metrics::pace::Promise;
use tocsin::metrics::{KnownLabels, Metrics};
use tocsin::secret::Secret;
use tocsin::status::{Mode, Reload, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::SqlStore;
use tocsin::web::WebState;
use tocsin::web::access::Access;
use tocsin::web::access::tokens::HeldTokens;
use tocsin::web::engine::{Ask, Asked, Look};
use tocsin::zone::Zone;
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const REQUESTS: usize = 40;
const CLIENTS: usize = 200;
const LIVE_FOR: Duration = Duration::from_secs(20);
/// Tells a run of this program to be the clients: their own work must not be counted.
const CLIENTS_OF: &str = "--clients-of";

/// The core itself, without a thread of its own.
struct Held(Arc<Core>);

impl Ask for Held {
    fn look(&self, look: Look) -> Asked<'_> {
        Box::pin(std::future::ready(Some(look.at(&self.0))))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CLIENTS_OF) {
        return listen(&arguments[at + 1]);
    }
    let size = if support::is_full() { 1_000_000 } else { 100_000 };
    heading(&format!("the board with {size} open cases"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(size));
}

async fn measure(size: usize) {
    let core = Arc::new(filled(size));
    let began = Instant::now();
    let view = core.view(NOW);
    alone("the view that the engine publishes", "ms", millis(began.elapsed()));
    let last = core.queue().last().unwrap();
    let keys = Keys::new(b"a secret of the bench's own");
    let reference = keys.reference(&last.key.case);
    let scratch = Scratch::new("web");
    let store = SqlStore::open(&Secret::new(scratch.sqlite_url("store.db")), "bench").await.unwrap();
    let state = state(view, core, keys, Arc::new(store));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(tocsin::web::serve(listener, state.clone(), std::future::pending()));
    let next = pages(&address, "the first page of the board", "/").await;
    let next = next.split("href=\"/queue?after=").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    pages(&address, "the next page of the queue", &format!("/queue?after={next}")).await;
    let scraped = pages(&address, "a scrape of the metrics", "/metrics").await;
    assert!(scraped.contains("tocsin_open_cases_by_age"));
    let (address_of, path) = (address.clone(), format!("/cases/{reference}"));
    let (took, _) = tokio::task::spawn_blocking(move || get(&address_of, &path)).await.unwrap();
    alone("the page of the last case in the queue", "ms", millis(took));
    clients(&address, &state).await;
}

async fn pages(address: &str, what: &str, path: &str) -> String {
    let (address, path) = (address.to_owned(), path.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let mut took = Vec::new();
        let mut page = String::new();
        for _ in 0..REQUESTS {
            let (one, text) = get(&address, &path);
            took.push(millis(one));
            page = text;
            // Within what one asker may ask.
            std::thread::sleep(Duration::from_millis(20));
        }
        (took, page)
    });
    let (mut took, page) = asked.await.unwrap();
    alone(&format!("{what}, half within"), "ms", quantile(&mut took, 50));
    alone(&format!("{what}, 95 % within"), "ms", quantile(&mut took, 95));
    page
}

fn get(address: &str, path: &str) -> (Duration, String) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{path}: {}", page.lines().next().unwrap_or_default());
    (began.elapsed(), page)
}

/// What the process spends while 200 clients look and something changes every second.
async fn clients(address: &str, state: &WebState) {
    let program = std::env::current_exe().unwrap();
    let mut listeners = Command::new(program).args([CLIENTS_OF, address]).stdout(Stdio::null()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(3), std::future::pending::<()>()).await.unwrap_err();
    let (began, before) = (Instant::now(), processor_secs());
    while began.elapsed() < LIVE_FOR {
        let mut view = tocsin::core::view::View::clone(&state.view.load());
        view.queue.rotate_left(1);
        state.view.store(Arc::new(view));
        tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await.unwrap_err();
    }
    let share = (processor_secs() - before) / began.elapsed().as_secs_f64();
    alone(&format!("{CLIENTS} live clients, the queue changing each second, of a core"), "%", share * 100.0);
    listeners.kill().unwrap();
    listeners.wait().unwrap();
}

/// User and system time of this process.
fn processor_secs() -> f64 {
    const TICKS_PER_SEC: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / TICKS_PER_SEC
}

/// Reads the live board over many connections until it is killed.
fn listen(address: &str) {
    let mut readers = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /live HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
        readers.push(std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        }));
    }
    for reader in readers {
        reader.join().unwrap();
    }
}

/// Open reports of the last three hours; every hundredth is of minor safety.
fn filled(size: usize) -> Core {
    let mut core = Core::new(support::shared_policy(6 * 60));
    let mut apply = |input: Input| {
        let decision = core.decide(&input, NOW);
        core.apply(decision);
    };
    apply(Input::ScanEnded { source: SOURCE.into(), began: NOW });
    let ids: Vec<usize> = (0..size).collect();
    for ids in ids.chunks(BATCH) {
        let rows = ids.iter().map(|id| {
            let category = if id % 100 == 0 { MINOR_SAFETY } else { LESSER[id % LESSER.len()] };
            let received = NOW.minus(Span::from_micros(i64::try_from(*id).unwrap() * 10_000 % 10_800_000_000));
            let row = Row::bare(Received::At(received), category.into());
            Observation { id: ReportId::Int(i64::try_from(*id).unwrap()), row: Some(row) }
        });
        let rows = Rows {
            source: SOURCE.into(),
            read_began: NOW,
            rows: rows.collect(),
            rejects: Vec::new(),
            recalled: Vec::new(),
        };
        apply(Input::Rows(rows));
    }
    core
}

fn state(view: tocsin::core::view::View, core: Arc<Core>, keys: Keys, store: Arc<SqlStore>) -> WebState {
    let mut source = SourceStatus::new(SOURCE.into(), Span::from_secs(1), Span::from_secs(60));
    source.last_ok = Some(NOW);
    let status = Status {
        version: "bench",
        mode: Mode::Live,
        deployment: String::new(),
        leader: true,
        started_at: NOW,
        engine_alive_at: Some(NOW),
        sources: vec![source],
        store: StoreStatus::default(),
        reload: Reload::default(),
    };
    let policy = support::shared_policy(6 * 60);
    let known = KnownLabels {
        sources: vec![SOURCE.into()],
        channels: Vec::new(),
        categories: policy.categories.keys().cloned().collect(),
        promises: Promise::all(&policy),
    };
    WebState {
        view: Arc::new(ArcSwap::from_pointee(view)),
        status: StatusHandle::new(status),
        keys,
        pages: store.clone(),
        archive: store.clone(),
        engine: Arc::new(Held(core)),
        desk: store.clone(),
        pagerduty_secrets: Arc::default(),
        metrics: Arc::new(Metrics::new(known).unwrap()),
        links: Arc::new(BTreeMap::new()),
        now: Arc::new(|| NOW),
        zone: Zone::UTC,
        access: Arc::new(Access::open(Arc::new(HeldTokens::new(store)))),
        limits: Arc::default(),
        live: Arc::default(),
        people: Arc::new(|_, by| Ok((SOURCE.into(), by.to_owned()))),
        reload: None,
        demo: None,
    }
}
