//! A whole installation: a platform, a configuration, a store, a receiver of pages, and the program between them.

use super::platform::{Base, Platform};
use super::process::Process;
use super::proxy::Proxy;
use super::{eventually, hold, secs};
use crate::delivery::receiver::{Receiver, Reply, Request};
use crate::support::{ScratchDir, fresh_postgres_database};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use tocsin::core::id::{CaseKey, ReportId, ReportKey};
use tocsin::keys::Keys;
use tocsin::secret::Secret;
use tocsin::store::{PageRow, SqlStore, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const HOOK_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const DEPLOYMENT_SECRET: &str = "the secret of a deployment under test";

const CONFIG: &str = r#"
mode = "MODE"
deployment_secret_env = "TEST_SECRET"

[[sources]]
name    = "reports"
url_env = "TEST_SOURCE"
poll    = "1s"
table   = "reports"
[sources.columns]
id       = "id"
case     = ["item"]
category = "reason"
[sources.events]
received       = RECEIVED
first_response = { column = "responded_at", by = "responded_by" }
closed         = { column = "resolved_at", by = "resolved_by" }
[sources.actors]
automated = ["automod"]
people    = ["mod-*"]
[sources.states]
column  = "state"
paused  = ["waiting"]
outcome = { column = "resolution", violation = ["removed"] }

[categories]
minor_safety = ["csam"]
other        = ["threat", "spam"]

[minor_safety]
targets    = { first_response = "WITHIN" }
escalation = "minor-safety"

[[rules]]
name       = "threat to life"
categories = ["threat"]
priority   = "P1"
targets    = { closed = "WITHIN" }
escalation = "on-call"

[[rules]]
name       = "the rest"
categories = ["*"]
priority   = "P4"
targets    = { closed = "40h" }

[[escalations]]
name  = "minor-safety"
steps = [{ at = "0m", notify = [NOTIFY] }]

[[escalations]]
name  = "on-call"
steps = [{ at = "0m", notify = [NOTIFY] }]

[[escalations]]
name  = "operators"
steps = [{ at = "0m", notify = ["hook"] }]

[blind]
escalation = "operators"
BLIND

[channels]
hook = { kind = "webhook", url_env = "TEST_HOOK", secret_env = "TEST_HOOK_SECRET" }
CHANNELS
[store]
url_env = "TEST_STORE"

[web]
listen = "127.0.0.1:PORT"
WEB
"#;

/// What a test may change before it starts the program.
pub struct Settings {
    pub mode: &'static str,
    /// What `received` is mapped to, as TOML.
    pub received: &'static str,
    /// How long P0 and P1 may take.
    pub within: &'static str,
    pub source_url: String,
    pub store_url: String,
    pub hook_url: String,
    /// Further lines of [blind].
    pub blind: &'static str,
    /// More lines of [web].
    pub web: &'static str,
    /// Whom minor safety and the lesser escalation notify, as TOML.
    pub notify: &'static str,
    /// More lines of [channels].
    pub channels: String,
    /// More environment.
    pub variables: Vec<(&'static str, String)>,
    /// More of the configuration.
    pub more: String,
}

pub struct Rig {
    pub scratch: ScratchDir,
    pub platform: Platform,
    pub receiver: Receiver,
    pub settings: Settings,
    /// Of the monitor and of another one beside it.
    ports: [u16; 2],
    pub keys: Keys,
}

impl Rig {
    pub async fn new(hint: &str, source: Base, store: Base) -> Rig {
        Rig::scripted(hint, source, store, []).await
    }

    /// With a receiver that answers by a script at first.
    pub async fn scripted(hint: &str, source: Base, store: Base, script: impl IntoIterator<Item = Reply>) -> Rig {
        let scratch = ScratchDir::new(hint);
        let platform = Platform::new(source, &scratch, &format!("{hint}_src")).await;
        let receiver = Receiver::start(HOOK_SECRET, script).await;
        let store_url = match store {
            Base::Sqlite => scratch.sqlite_url("tocsin.db"),
            Base::Postgres => fresh_postgres_database(&format!("{hint}_store")).await,
            Base::Mysql => panic!("MySQL holds no store"),
        };
        let settings = Settings {
            mode: "live",
            received: "\"created_at\"",
            within: "3s",
            source_url: platform.reader_url.clone(),
            store_url,
            hook_url: receiver.url.clone(),
            blind: "",
            web: "",
            notify: "\"hook\"",
            channels: String::new(),
            variables: Vec::new(),
            more: String::new(),
        };
        Rig {
            scratch,
            platform,
            receiver,
            settings,
            ports: [free_port(), free_port()],
            keys: Keys::new(DEPLOYMENT_SECRET.as_bytes()),
        }
    }

    /// Pages pass a wire from the next start on.
    pub async fn put_a_wire_before_the_receiver(&mut self) -> Proxy {
        let address = self.receiver.url.strip_prefix("http://").unwrap().strip_suffix("/hook").unwrap().to_owned();
        let wire = Proxy::to(&address).await;
        self.settings.hook_url = format!("http://{}/hook", wire.address);
        wire
    }

    /// The store, in PostgreSQL, is reached through a wire from the next start on.
    pub async fn put_a_wire_before_the_store(&mut self) -> Proxy {
        let url = self.settings.store_url.clone();
        let (who, rest) = url.rsplit_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let wire = Proxy::to(server).await;
        self.settings.store_url = format!("{who}@{}/{database}", wire.address);
        wire
    }

    /// Writes the configuration and starts the monitor.
    pub fn start(&self) -> Process {
        self.start_either(0)
    }

    /// A second installation over the same databases, on a port of its own.
    pub fn start_another(&self) -> Process {
        self.start_either(1)
    }

    /// The monitor (0) or the one beside it (1).
    pub fn start_either(&self, which: usize) -> Process {
        self.start_as(["tocsin", "another"][which], self.ports[which])
    }

    /// Writes the configuration of now over the one that the monitor was started with.
    pub fn rewrite(&self) {
        self.write("tocsin", self.ports[0]);
    }

    /// Writes the configuration alone, for a command that ends by itself.
    pub fn write_config(&self) {
        self.write("tocsin", self.ports[0]);
    }

    /// The sequence number of the store's last commit, as the monitor tells it.
    pub async fn sequence(&self) -> u64 {
        let (_, status) = self.get("/api/v1/status").await;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["store"]["sequence"].as_u64().unwrap()
    }

    fn write(&self, name: &str, port: u16) -> String {
        let Settings { mode, received, within, blind, web, notify, ref channels, .. } = self.settings;
        let port = port.to_string();
        let words = [
            ("MODE", mode),
            ("RECEIVED", received),
            ("WITHIN", within),
            ("BLIND", blind),
            ("PORT", &port),
            ("WEB", web),
            ("NOTIFY", notify),
            ("CHANNELS", channels),
        ];
        let config = format!("{CONFIG}{}", self.settings.more);
        let text = words.iter().fold(config, |text, (word, value)| text.replace(word, value));
        let file = format!("{name}.toml");
        std::fs::write(self.scratch.path().join(&file), text).unwrap();
        file
    }

    fn start_as(&self, name: &str, port: u16) -> Process {
        let file = self.write(name, port);
        Process::start(self.scratch.path(), name, &["run", "--config", &file], &self.variables())
    }

    /// The environment of the program.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.settings.variables.clone();
        variables.extend([
            ("TEST_SECRET", DEPLOYMENT_SECRET.to_owned()),
            ("TEST_SOURCE", self.settings.source_url.clone()),
            ("TEST_STORE", self.settings.store_url.clone()),
            ("TEST_HOOK", self.settings.hook_url.clone()),
            ("TEST_HOOK_SECRET", HOOK_SECRET.to_owned()),
        ]);
        variables
    }

    /// Runs a command over the configuration of the last start: exit code, output and what it told the person.
    pub fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--config", "tocsin.toml"]).collect();
        super::process::run(self.scratch.path(), &arguments, &self.variables())
    }

    /// Where the board is served.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Runs a command under the configuration of the started monitor: exit code, output, what it told the person.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let arguments = [arguments, &["--config", "tocsin.toml"]].concat();
        super::process::run(self.scratch.path(), &arguments, &self.variables())
    }

    /// The status and body of one GET; 0 where nothing answers.
    pub async fn get(&self, path: &str) -> (u16, String) {
        get(&self.address(), path).await
    }

    pub async fn get_of(&self, which: usize, path: &str) -> (u16, String) {
        get(&format!("127.0.0.1:{}", self.ports[which]), path).await
    }

    /// Waits until the monitor says that it does its whole work.
    pub async fn is_ready(&self) {
        self.either_is_ready(0, 30).await;
    }

    pub async fn either_is_ready(&self, which: usize, within_secs: i64) {
        eventually("the monitor is ready", secs(within_secs), async || {
            let (status, body) = self.get_of(which, "/readyz").await;
            hold(status == 200, || format!("{status} {body}"))
        })
        .await;
    }

    /// Waits until it says that it waits for the lead.
    pub async fn is_standby(&self, which: usize) {
        eventually("the monitor stands by", secs(30), async || {
            let (status, body) = self.get_of(which, "/readyz").await;
            hold(status == 503 && body.contains("standby"), || format!("{status} {body}"))
        })
        .await;
    }

    /// Waits until /readyz says 503 for a reason that holds all of these words.
    pub async fn is_unready(&self, within_secs: i64, words: &[&str]) {
        eventually(&format!("/readyz is 503 and says {words:?}"), secs(within_secs), async || {
            let (status, body) = self.get("/readyz").await;
            hold(status == 503 && words.iter().all(|word| body.contains(word)), || format!("{status} {body}"))
        })
        .await;
    }

    /// What pages call the P0 case of the report that was filed under this id.
    pub fn p0_reference(&self, id: &str) -> String {
        let subject = self.keys.subject("reports", &[format!("item-{id}")]);
        self.keys.reference(&CaseKey::Subject { source: "reports".into(), subject })
    }

    /// What pages call the case of a report below P0.
    pub fn reference(&self, id: &str) -> String {
        let report = ReportKey { source: "reports".into(), id: ReportId::Text(id.into()), incarnation: 0 };
        self.keys.reference(&CaseKey::Report(report))
    }

    /// The rings that have told of each case, by the webhook-id under which they came.
    pub fn rings(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut rings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in self.receiver.requests().iter().filter(|request| request.kind() == "incident.ring") {
            for case in cases(request) {
                rings.entry(case["case"].as_str().unwrap().to_owned()).or_default().insert(request.id.clone());
            }
        }
        rings
    }

    /// Waits until a page has told of this case, and gives what it said of it.
    pub async fn rang(&self, within_secs: i64, reference: &str) -> serde_json::Value {
        eventually(&format!("{reference} rings"), secs(within_secs), async || {
            let requests = self.receiver.requests();
            let told = requests.iter().filter(|request| request.kind() == "incident.ring").flat_map(cases);
            let found = told.into_iter().find(|case| case["case"] == reference);
            found.ok_or_else(|| format!("{} requests about others", requests.len()))
        })
        .await
    }

    /// Waits until a page has rung whose body holds this word.
    pub async fn rang_with(&self, within_secs: i64, word: &str) -> Request {
        eventually(&format!("something rings about {word}"), secs(within_secs), async || {
            let mut requests = self.receiver.requests();
            let found = requests.iter().position(|request| request.body.to_string().contains(word));
            found.map(|at| requests.swap_remove(at)).ok_or_else(|| format!("{} other requests", requests.len()))
        })
        .await
    }

    pub async fn store(&self) -> SqlStore {
        SqlStore::open(&Secret::new(self.settings.store_url.clone()), &self.keys.fingerprint()).await.unwrap()
    }

    /// Every page that the store holds, oldest first.
    pub async fn pages(&self) -> Vec<PageRow> {
        let store = self.store().await;
        let mut pages = store.pages(10_000).await.unwrap();
        store.close().await;
        pages.reverse();
        pages
    }
}

pub fn cases(request: &Request) -> Vec<serde_json::Value> {
    request.body["data"]["cases"].as_array().unwrap().clone()
}

/// A loopback port that nothing listens on, below the range from which clients get theirs.
pub fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::try_from(getrandom::u64().unwrap() % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// One GET over a connection of its own; status 0 where nothing answers.
pub async fn get(address: &str, path: &str) -> (u16, String) {
    exchange(address, format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")).await
}

/// One POST of a body of this kind.
pub async fn post(address: &str, path: &str, kind: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    exchange(
        address,
        format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        ),
    )
    .await
}

async fn exchange(address: &str, request: String) -> (u16, String) {
    let answer = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    };
    answer.await.unwrap_or_default()
}
