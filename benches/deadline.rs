//! From a deadline to the receiver's socket, for reports already polled: the real monitor with its timer,
//! the read for proof, the commit and the signed webhook, while it polls and its metrics are scraped. Its floors, from the same run: a bare timer and
//! a POST on a kept-alive socket; and between the two a bare read by key and a durable insert.

#![expect(clippy::unwrap_used, reason = "a bench breaks where it must")]

mod support;

use arc_swap::ArcSwap;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, mpsc};
use support::platform::{Platform, PlatformRow};
use support::{LESSER, MINOR_SAFETY, SEED, alone, heading, line, not_measured, quantile};
use tocsin::core::case::Case;
use tocsin::core::id::{CaseKey, Name, ReportId};
use tocsin::core::time::{Span, Timestamp};
use tocsin::core::view::View;
use tocsin::metrics::pace::Promise;
use tocsin::metrics::{KnownLabels, Metrics};
use tocsin::pager::{Answer, ChannelKind, Channels, Outgoing, Sender};
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::run::lists::Lists;
use tocsin::run::monitor::{self, Parts, WatchedSource};
use tocsin::run::outbox::OutboxStats;
use tocsin::secret::Secret;
use tocsin::source::{AnySource, Batch, ScanPosition, Source};
use tocsin::status::{Mode, SourceStatus, Status, StatusHandle, StoreStatus};
use tocsin::store::{
    Attempt, Commit, InboxEntry, Lane, LeasedPage, NewPage, PageCount, PageRow, SqlStore, Store, Stored,
};
use tocsin::zone::{parse_rfc3339, rfc3339};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const DEADLINES: i64 = 200;
const APART: Span = Span::from_micros(50_000);
/// From the start of a phase to its first deadline: connecting and the first poll take less.
const AHEAD: Span = Span::from_secs(3);
const P0_MINS: i64 = 15;
const POLL: Span = Span::from_secs(2);
/// How far the p99 may lie above the bare timer's; and how far while 100,000 rows are read.
const BAR_MS: f64 = 20.0;
const BAR_BUSY_MS: f64 = 100.0;

#[tokio::main]
async fn main() {
    let background = if support::is_full() { 100_000 } else { 2_000 };
    heading(&format!("deadline to the receiver's socket, {background} other open reports, polled every 2 s"));
    let receiver = Receiver::start();
    let mut timer = bare_timer(&receiver).await;
    let (p50, p99, max) = summary(&mut timer);
    alone("bare timer and POST, p50", "ms", p50);
    alone("bare timer and POST, p99", "ms", p99);
    alone("bare timer and POST, max", "ms", max);
    for postgres in [false, true] {
        let scratch = support::Scratch::new("deadline");
        let first = first_deadline().plus(Span::from_secs(2));
        let rows = rows(first, background);
        let platform = if postgres {
            Platform::postgres("deadline", &rows).await
        } else {
            Some(Platform::sqlite(&scratch.sqlite_url("reports.db"), &rows).await)
        };
        let Some(platform) = platform else {
            not_measured("PostgreSQL", support::NO_POSTGRES);
            continue;
        };
        let trace = Trace::default();
        let mut ours = monitored(&receiver, &platform, &scratch, first, &trace).await;
        let mut bare = bare_work(&receiver, &platform, &scratch).await;
        print(platform.name(), (p50, p99, max), &mut bare, &mut ours);
        trace.print();
    }
}

fn print(name: &str, (p50, p99, max): (f64, f64, f64), bare: &mut [f64], ours: &mut [f64]) {
    let bare = summary(bare);
    line(&format!("{name}: bare timer, read, commit, POST; floor: bare timer, p50"), "ms", bare.0, p50);
    line(&format!("{name}: bare timer, read, commit, POST; floor: bare timer, p99"), "ms", bare.1, p99);
    let ours = summary(ours);
    line(&format!("{name}: the monitor; floor: bare timer, p50"), "ms", ours.0, p50);
    line(&format!("{name}: the monitor; floor: bare timer, p99"), "ms", ours.1, p99);
    line(&format!("{name}: the monitor; floor: bare timer, max"), "ms", ours.2, max);
    let bar = if support::is_full() { BAR_BUSY_MS } else { BAR_MS };
    line(&format!("{name}: p99 above the bare timer's; the bar as floor"), "ms", ours.1 - p99, bar);
}

fn summary(lateness: &mut [f64]) -> (f64, f64, f64) {
    (quantile(lateness, 50), quantile(lateness, 99), quantile(lateness, 100))
}

/// On a whole millisecond, because that is how the SQLite platform keeps its times.
fn first_deadline() -> Timestamp {
    let at = SystemClock.now().plus(AHEAD).micros();
    Timestamp::from_micros(at - at % 1_000)
}

fn deadline(first: Timestamp, n: i64) -> Timestamp {
    first.plus(Span::from_micros(n * APART.micros()))
}

/// The reports whose deadlines are measured, and others that are due tomorrow.
fn rows(first: Timestamp, background: i64) -> Vec<PlatformRow> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let measured = (0..DEADLINES).map(|n| PlatformRow {
        id: n,
        category: MINOR_SAFETY,
        received: deadline(first, n).minus(Span::from_mins(P0_MINS)),
    });
    let others = (0..background).map(|n| PlatformRow {
        id: DEADLINES + n,
        category: LESSER[random.usize(..LESSER.len())],
        received: first.minus(Span::from_secs(random.i64(60..3_600))),
    });
    measured.chain(others).collect()
}

async fn bare_timer(receiver: &Receiver) -> Vec<f64> {
    let mut stream = TcpStream::connect(receiver.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let first = first_deadline();
    for n in 0..DEADLINES {
        let at = deadline(first, n);
        SystemClock.sleep_until(at).await;
        post(&mut stream, at).await;
    }
    receiver.lateness()
}

/// What cannot be spared: the read for proof, one durable insert, and the POST.
async fn bare_work(receiver: &Receiver, platform: &Platform, scratch: &support::Scratch) -> Vec<f64> {
    let mut stream = TcpStream::connect(receiver.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let table = "CREATE TABLE bare (id BIGINT PRIMARY KEY, page TEXT NOT NULL)";
    let (read_sqlite, read_postgres) = (
        "SELECT category, received_ms, closed_ms FROM reports WHERE id = $1",
        "SELECT category, received_at::text, closed_at::text FROM reports WHERE id = $1",
    );
    let insert = "INSERT INTO bare VALUES ($1, $2)";
    let page = "x".repeat(500);
    if platform.is_postgres {
        let mut reads = PgConnection::connect(&platform.url).await.unwrap();
        let mut writes = PgConnection::connect(&platform.url).await.unwrap();
        writes.execute(table).await.unwrap();
        let first = first_deadline();
        for n in 0..DEADLINES {
            let at = deadline(first, n);
            SystemClock.sleep_until(at).await;
            sqlx::query(read_postgres).bind(n).fetch_one(&mut reads).await.unwrap();
            sqlx::query(insert).bind(n).bind(&page).execute(&mut writes).await.unwrap();
            post(&mut stream, at).await;
        }
    } else {
        let options = SqliteConnectOptions::from_str(&platform.url).unwrap();
        let mut reads: SqliteConnection = options.read_only(true).connect().await.unwrap();
        let options = SqliteConnectOptions::from_str(&scratch.sqlite_url("bare.db")).unwrap().create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let mut writes: SqliteConnection = options.connect().await.unwrap();
        writes.execute(table).await.unwrap();
        let first = first_deadline();
        for n in 0..DEADLINES {
            let at = deadline(first, n);
            SystemClock.sleep_until(at).await;
            sqlx::query(read_sqlite).bind(n).fetch_one(&mut reads).await.unwrap();
            sqlx::query(insert).bind(n).bind(&page).execute(&mut writes).await.unwrap();
            post(&mut stream, at).await;
        }
    }
    receiver.lateness()
}

/// As long as a real page's request, and with its deadline in the same words.
async fn post(stream: &mut TcpStream, deadline: Timestamp) {
    let body = format!("{}\"deadline\":\"{}\"", "x".repeat(600), rfc3339(deadline));
    let head = format!("POST /hook HTTP/1.1\r\nx: {}\r\ncontent-length: {}\r\n\r\n", "x".repeat(330), body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = [0; 256];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
}

async fn monitored(
    receiver: &Receiver,
    platform: &Platform,
    scratch: &support::Scratch,
    first: Timestamp,
    trace: &Trace,
) -> Vec<f64> {
    let (keys, clock, policy) = (support::keys(), SystemClock, support::shared_policy(P0_MINS));
    let settings = platform.settings(POLL);
    let store_url = if platform.is_postgres {
        support::postgres_url("deadline_store").await.unwrap()
    } else {
        scratch.sqlite_url("store.db")
    };
    let store = SqlStore::open(&Secret::new(store_url), &keys.fingerprint()).await.unwrap();
    let source = AnySource::open(settings.clone(), keys.clone()).unwrap();
    let hook = ChannelKind::Webhook {
        url: Secret::new(format!("http://{}/hook", receiver.address)),
        secrets: vec![Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")],
    };
    let channels = Channels::new(BTreeMap::from([("hook".into(), hook.into())]), None).unwrap();
    let known = KnownLabels {
        sources: vec![settings.name.clone()],
        channels: vec!["hook".into()],
        categories: policy.categories.keys().cloned().collect(),
        promises: Promise::all(&policy),
    };
    let status = Status {
        version: "bench",
        mode: Mode::Live,
        deployment: "bench".to_owned(),
        leader: false,
        started_at: clock.now(),
        engine_alive_at: None,
        sources: vec![SourceStatus::new(settings.name.clone(), POLL, Span::from_mins(1))],
        store: StoreStatus::default(),
        reload: tocsin::status::Reload::default(),
    };
    let parts = Parts {
        policy,
        sources: vec![WatchedSource {
            name: settings.name.clone(),
            every: settings.poll,
            source: Arc::new(Traced { inner: source, trace: trace.clone() }),
        }],
        store: Arc::new(Traced { inner: store, trace: trace.clone() }),
        sender: Traced { inner: channels, trace: trace.clone() },
        clock,
        keys,
        holder: "bench".to_owned(),
        status: StatusHandle::new(status),
        view: Arc::new(ArcSwap::from_pointee(View::default())),
        outbox_stats: OutboxStats::new(&["hook".into()]).unwrap(),
        spool: None,
        lists: Lists::new(),
        metrics: Arc::new(Metrics::new(known).unwrap()),
    };
    let scraping = tokio::spawn(scrape(parts.metrics.clone(), parts.view.clone(), parts.status.clone()));
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(monitor::run(parts, stopping));
    clock.sleep_until(first).await;
    trace.forget();
    clock.sleep_until(deadline(first, DEADLINES).plus(Span::from_secs(1))).await;
    scraping.abort();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
    receiver.lateness()
}

/// What a scrape of the metrics costs, each second.
async fn scrape(metrics: Arc<Metrics>, view: Arc<ArcSwap<View>>, status: StatusHandle) {
    loop {
        metrics.render(&view.load_full(), &status.load(), None, SystemClock.now()).unwrap();
        SystemClock.sleep_until(SystemClock.now().plus(Span::from_secs(1))).await;
    }
}

/// A receiver on a thread and runtime of its own, so that what it measures isn't what delays it.
struct Receiver {
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<(Timestamp, Timestamp)>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let (tell, told) = mpsc::channel();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let noted = arrivals.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    tokio::spawn(serve(stream, noted.clone()));
                }
            });
        });
        Receiver { address: told.recv().unwrap(), arrivals }
    }

    /// How late each page of a phase came, in milliseconds; every deadline exactly once.
    fn lateness(&self) -> Vec<f64> {
        let mut arrivals = std::mem::take(&mut *self.arrivals.lock().unwrap());
        arrivals.sort();
        arrivals.dedup_by_key(|(deadline, _)| *deadline);
        assert_eq!(arrivals.len(), DEADLINES as usize, "one page a deadline");
        arrivals.iter().map(|(deadline, at)| at.since(*deadline).micros() as f64 / 1e3).collect()
    }
}

async fn serve(mut stream: TcpStream, arrivals: Arc<Mutex<Vec<(Timestamp, Timestamp)>>>) {
    let mut buffer = Vec::with_capacity(4_096);
    loop {
        let mut arrived = None;
        let len = loop {
            if let Some(len) = request_len(&buffer) {
                break len;
            }
            if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                return;
            }
            arrived.get_or_insert(SystemClock.now());
        };
        let request = String::from_utf8(buffer.drain(..len).collect()).unwrap();
        let (_, rest) = request.split_once("\"deadline\":\"").unwrap();
        let deadline = parse_rfc3339(rest.split('"').next().unwrap()).unwrap();
        arrivals.lock().unwrap().push((deadline, arrived.unwrap_or_else(|| SystemClock.now())));
        if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
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

/// How long each step on the way took.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<BTreeMap<&'static str, Vec<f64>>>>);

impl Trace {
    async fn of<T>(&self, step: &'static str, work: impl Future<Output = T>) -> T {
        let began = SystemClock.now();
        let done = work.await;
        let took = SystemClock.now().since(began).micros() as f64 / 1e3;
        self.0.lock().unwrap().entry(step).or_default().push(took);
        done
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    fn print(&self) {
        for (step, took) in self.0.lock().unwrap().iter_mut() {
            let count = took.len();
            alone(&format!("  {step}, {count} of them, p50"), "ms", quantile(took, 50));
            alone(&format!("  {step}, p99"), "ms", quantile(took, 99));
        }
    }
}

/// A port whose steps are timed.
struct Traced<T> {
    inner: T,
    trace: Trace,
}

impl<T: Source> Source for Traced<T> {
    async fn scan_open(
        &self,
        after: Option<&ScanPosition>,
        limit: u32,
    ) -> tocsin::source::Result<(Batch, Option<ScanPosition>)> {
        self.trace.of("a page of a scan", self.inner.scan_open(after, limit)).await
    }

    async fn read(&self, ids: &[ReportId]) -> tocsin::source::Result<Batch> {
        self.trace.of("read for proof", self.inner.read(ids)).await
    }
}

impl<T: Sender> Sender for Traced<T> {
    async fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> Answer {
        self.trace.of("send", self.inner.send(page, now)).await
    }
}

type Result<T> = tocsin::store::Result<T>;

impl<T: Store> Store for Traced<T> {
    async fn lead(&self, holder: &str, now: Timestamp, gone: Option<u64>) -> Result<tocsin::store::Lead> {
        self.inner.lead(holder, now, gone).await
    }

    async fn renew(&self, token: u64) -> Result<()> {
        self.inner.renew(token).await
    }

    async fn hand_over(&self, token: u64) -> Result<()> {
        self.inner.hand_over(token).await
    }

    async fn load_in_parts(&self, take: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        self.inner.load_in_parts(take).await
    }

    async fn settle(&self, token: u64) -> Result<u64> {
        self.inner.settle(token).await
    }

    async fn commit(&self, commit: &Commit<'_>) -> Result<()> {
        let step = if commit.pages.is_empty() { "commit without a page" } else { "commit with a page" };
        self.trace.of(step, self.inner.commit(commit)).await
    }

    async fn recall(&self, keys: &[CaseKey]) -> Result<Vec<Case>> {
        self.inner.recall(keys).await
    }

    async fn inbox(&self) -> Result<Vec<InboxEntry>> {
        self.inner.inbox().await
    }

    async fn lease_pages(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        self.trace.of("lease", self.inner.lease_pages(lane, now, until, limit, full)).await
    }

    async fn next_page_at(&self, lane: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
        self.trace.of("next page at", self.inner.next_page_at(lane, full)).await
    }

    async fn record(&self, attempt: &Attempt) -> Result<()> {
        self.trace.of("record", self.inner.record(attempt)).await
    }

    async fn unanswered(&self, lane: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
        self.inner.unanswered(lane, limit).await
    }

    async fn fall_back(&self, page: i64, fallbacks: &[NewPage], now: Timestamp) -> Result<()> {
        self.inner.fall_back(page, fallbacks, now).await
    }

    async fn pages(&self, limit: u32) -> Result<Vec<PageRow>> {
        self.inner.pages(limit).await
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        self.inner.page_counts().await
    }
}
