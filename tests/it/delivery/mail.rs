//! Pages as mail, at a real SMTP server (aiosmtpd): what arrives, what each code does to a page, and that a
//! message keeps its Message-ID however often it is sent.

use super::shelf::{Shelf, State};
use super::{NOW, keys, page, secs, silent_stats};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use tocsin::core::plan::PageKind;
use tocsin::core::policy::Priority;
use tocsin::pager::codenames::Codenames;
use tocsin::pager::{ChannelKind, ChannelSettings, Channels};
use tocsin::run::clock::VirtualClock;
use tocsin::run::outbox::Outbox;
use tocsin::secret::Secret;
use tocsin::store::Lane;

/// Debian's own Python, which has Debian's aiosmtpd; tests/run installs both.
const PYTHON: &str = "/usr/bin/python3";

struct Sink {
    process: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Sink {
    fn start(codes: &[&str]) -> Sink {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/delivery/smtp_sink.py");
        let mut process = Command::new(PYTHON).arg(script).args(codes).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the sink says its port; does python3-aiosmtpd lack? use tests/run");
        Sink { process, lines, port }
    }

    /// The next message that was offered; it must have come already.
    fn message(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

struct Night {
    store: Arc<Shelf>,
    clock: VirtualClock,
    outbox: Outbox<Shelf, Channels, VirtualClock>,
}

impl Night {
    fn mailing(url: String, to: &[&str], codenames: Codenames) -> Night {
        let to = to.iter().map(|name| format!("{name}@example.org")).collect();
        let kind = ChannelKind::Email { smtp_url: Secret::new(url), from: None, to };
        let settings = ChannelSettings { kind, codenames };
        let board = Some("https://tocsin.example.org".to_owned());
        let channels = Channels::new(BTreeMap::from([("hook".into(), settings)]), board).unwrap();
        let (store, clock) = (Arc::new(Shelf::default()), VirtualClock::new(NOW));
        store.put(page(1, PageKind::Ring, Priority::P0, NOW));
        let outbox = Outbox::new(Arc::clone(&store), channels, clock.clone(), keys(), silent_stats());
        Night { store, clock, outbox }
    }

    fn to(sink: &Sink, to: &[&str]) -> Night {
        Night::mailing(format!("smtp://127.0.0.1:{}?tls=none", sink.port), to, Codenames::default())
    }

    async fn pump(&self) {
        self.outbox.pump(Lane::P0).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_arrives_as_plain_text_and_after_a_451_again_under_its_message_id() {
    let mut sink = Sink::start(&["451"]);
    let night = Night::to(&sink, &["leads"]);
    night.pump().await;
    let retry_at = night.store.retry_at(0);
    assert!((NOW.plus(secs(1))..=NOW.plus(secs(2))).contains(&retry_at));
    night.clock.set(retry_at);
    night.pump().await;
    assert_eq!((night.store.row(0).state, night.store.answers(0)), (State::Accepted, vec!["451".into(), "250".into()]));
    let (first, second) = (sink.message(), sink.message());
    assert_eq!((&first["code"], &second["code"]), (&451.into(), &250.into()));
    assert_eq!((&first["headers"], &first["text"]), (&second["headers"], &second["text"]));

    let headers = &second["headers"];
    let key = night.store.row(0).page.delivery_key;
    assert_eq!(headers["message-id"], format!("<{key}@example.org>"));
    assert_eq!(headers["subject"], "P0 minor safety overdue: C-7F3KQ-9QXMA, first_response 4m late");
    assert_eq!((&second["from"], &headers["to"]), (&"tocsin@example.org".into(), &"leads@example.org".into()));
    assert!(headers["content-type"].as_str().unwrap().starts_with("text/plain"));
    assert_eq!(second["parts"], 1);
    let text = second["text"].as_str().unwrap();
    assert!(
        text.contains("C-7F3KQ-9QXMA: P0 grooming") && text.contains("Board: https://tocsin.example.org"),
        "{text}"
    );
}

#[tokio::test]
async fn a_550_parks_the_page_and_the_servers_words_are_not_kept() {
    let sink = Sink::start(&["550"]);
    let night = Night::to(&sink, &["leads"]);
    night.pump().await;
    assert_eq!((night.store.row(0).state, night.store.answers(0)), (State::Parked, vec!["550".to_owned()]));
}

#[tokio::test]
async fn one_refused_recipient_holds_back_nobody_and_one_who_has_it_gets_it_once() {
    let mut sink = Sink::start(&[]);
    let night = Night::to(&sink, &["refused", "leads", "busy"]);
    night.pump().await;
    assert_eq!(night.store.answers(0), ["450; 1 of 3 recipients have it"]);
    night.clock.set(night.store.retry_at(0));
    night.pump().await;
    assert_eq!(night.store.row(0).state, State::Accepted);
    assert_eq!(night.store.answers(0)[1], "550; 2 of 3 recipients have it");
    let (first, second) = (sink.message(), sink.message());
    assert_eq!(first["to"], serde_json::json!(["leads@example.org"]));
    assert_eq!(second["to"], serde_json::json!(["busy@example.org"]));
    assert_eq!(first["headers"]["message-id"], second["headers"]["message-id"]);
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_unless_the_url_allows_it() {
    let sink = Sink::start(&[]);
    let night = Night::mailing(format!("smtp://u:CANARY@127.0.0.1:{}", sink.port), &["leads"], Codenames::default());
    night.pump().await;
    let answer = night.store.answers(0).remove(0);
    assert_eq!(answer, "the server offers no STARTTLS, or no login that we know");
    assert!(matches!(night.store.row(0).state, State::Queued(_)));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_url() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("smtp://u:CANARY@{closed}?tls=none");
    let night = Night::mailing(url, &["leads"], Codenames::default());
    night.pump().await;
    assert_eq!(night.store.answers(0), ["connection refused"]);

    let kind = ChannelKind::Email { smtp_url: Secret::new("smtp://CANARY"), from: None, to: vec!["nobody".into()] };
    let error = Channels::new(BTreeMap::from([("hook".into(), kind.into())]), None).unwrap_err().to_string();
    assert_eq!(error, "channel \"hook\": \"nobody\" is no address");
}

#[tokio::test]
async fn with_a_codename_no_mail_says_what_a_category_is() {
    let mut sink = Sink::start(&[]);
    let codenames = Codenames { p0: Some("K".into()), categories: BTreeMap::new() };
    let night = Night::mailing(format!("smtp://127.0.0.1:{}?tls=none", sink.port), &["leads"], codenames);
    night.pump().await;
    let mail = sink.message().to_string();
    assert!(mail.contains("P0 K overdue") && !mail.contains("minor safety") && !mail.contains("grooming"), "{mail}");
}
