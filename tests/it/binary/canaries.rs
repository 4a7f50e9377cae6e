//! F17: a value of its own in every column of the report table, the program itself over it, every kind of channel
//! at the other end. None is found anywhere but where the configuration says what it is: the id and the actor in
//! the store, the id and the category where they are shown.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use sqlx::{AssertSqlSafe, Connection};
use std::sync::{Arc, Mutex};
use tocsin::zone::rfc3339;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What no request, log line, metric, page or row may hold.
const NOWHERE: [&str; 8] = [
    "canary-item",
    "canary-state",
    "canary-resolution",
    "canary-body",
    "canary-mail",
    "canary-url",
    "canary-received",
    "canary-robot",
];
/// Names of people: in the store alone, where a second review is told from a first by them.
const ACTORS: [&str; 2] = ["mod-canary-answers", "mod-canary-closes"];
const ID: &str = "canary-id";
const CATEGORY: &str = "canary-category";

/// Whatever came in, as bytes.
type Wire = Arc<Mutex<Vec<String>>>;

/// A receiver of anything over HTTP. It answers as each product does.
async fn http_sink() -> (String, Wire) {
    let (listener, wire) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Wire::default());
    let url = format!("http://{}", listener.local_addr().unwrap());
    let kept = wire.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take_request(stream, kept.clone()));
        }
    });
    (url, wire)
}

async fn take_request(mut stream: TcpStream, wire: Wire) -> Option<()> {
    loop {
        let (mut bytes, mut head_ends) = (Vec::new(), None);
        while head_ends.is_none() {
            let mut chunk = [0; 4_096];
            let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
            bytes.extend_from_slice(&chunk[..read]);
            head_ends = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        }
        let head = String::from_utf8_lossy(&bytes[..head_ends?]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        while bytes.len() < head_ends? + length.unwrap_or(0) {
            let mut chunk = [0; 4_096];
            let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
            bytes.extend_from_slice(&chunk[..read]);
        }
        let status = match head.split(' ').nth(1)? {
            "/v2/enqueue" => "202 Accepted",
            path if path.starts_with("/api/v2/generic") => "204 No Content",
            _ => "200 OK",
        };
        wire.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.ok()?;
    }
}

/// A mail server that takes everything.
async fn mail_sink() -> (String, Wire) {
    let (listener, wire) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Wire::default());
    let url = format!("smtp://{}?tls=none", listener.local_addr().unwrap());
    let kept = wire.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take_mail(stream, kept.clone()));
        }
    });
    (url, wire)
}

async fn take_mail(stream: TcpStream, wire: Wire) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await.ok()?;
    let (mut text, mut in_data) = (String::new(), false);
    while let Ok(Some(line)) = lines.next_line().await {
        text += &line;
        text.push('\n');
        let answer = match (in_data, line.as_str()) {
            (true, ".") => {
                wire.lock().unwrap().push(std::mem::take(&mut text));
                in_data = false;
                "250 kept"
            }
            (true, _) => continue,
            (false, "DATA") => {
                in_data = true;
                "354 go on"
            }
            (false, "QUIT") => "221 bye",
            (false, _) => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}

const CHANNELS: &str = r#"
pager = { kind = "pagerduty", routing_key = "0123456789abcdef0123456789abcdef", url = "SINK" }
chat  = { kind = "slack", url = "SINK/services/T/B/X" }
goal  = { kind = "goalert", url = "SINK", token = "token" }
mail  = { kind = "email", to = ["leads@example.org"], smtp_url = "SMTP" }
"#;

#[tokio::test]
async fn f17_no_value_of_a_report_in_sqlite_is_told_by_any_channel_log_metric_page_or_row() {
    nothing_is_told("canary_lite", Base::Sqlite, Base::Sqlite).await;
}

#[tokio::test]
async fn f17_no_value_of_a_report_in_postgres_is_told_by_any_channel_log_metric_page_or_row() {
    nothing_is_told("canary_pg", Base::Postgres, Base::Postgres).await;
}

#[tokio::test]
async fn f17_no_value_of_a_report_in_mysql_is_told_by_any_channel_log_metric_page_or_row() {
    nothing_is_told("canary_my", Base::Mysql, Base::Sqlite).await;
}

async fn nothing_is_told(hint: &str, source: Base, store: Base) {
    let ((http_url, http), (smtp_url, mails)) = (http_sink().await, mail_sink().await);
    let mut rig = Rig::new(hint, source, store).await;
    rig.settings.channels = CHANNELS.replace("SINK", &http_url).replace("SMTP", &smtp_url);
    rig.settings.notify = "\"hook\", \"log\", \"pager\", \"chat\", \"goal\", \"mail\"";
    let mut monitor = rig.start();
    rig.is_ready().await;
    file(&rig, source).await;
    let told = || [http.lock().unwrap().clone(), mails.lock().unwrap().clone()].concat();
    let hooked = || rig.receiver.requests().len();
    // Three P0 (one presumed, one by a robot) and one lesser: each rings on every channel.
    eventually("every channel has every ring", secs(40), async || {
        let (http, mails) = (http.lock().unwrap().len(), mails.lock().unwrap().len());
        hold(http >= 12 && mails >= 4 && hooked() >= 4, || format!("{http} over HTTP, {mails} mails, {}", hooked()))
    })
    .await;
    resolve(&rig).await;
    eventually("every page is accepted, the resolves too", secs(30), async || {
        let pages = rig.pages().await;
        let resolves = pages.iter().filter(|row| row.page.kind == tocsin::core::plan::PageKind::Resolve).count();
        let open = pages.iter().filter(|row| row.state != "accepted").count();
        hold(resolves >= 12 && open == 0, || format!("{resolves} resolves, {open} open"))
    })
    .await;
    let mut requests = told();
    let hook = rig.receiver.requests();
    requests.extend(hook.iter().map(|r| format!("{:?}{}", r.headers, String::from_utf8_lossy(&r.bytes))));
    assert!(requests.iter().any(|text| text.contains(CATEGORY)), "a category is told as the configuration says");
    for text in &requests {
        free_of(text, &[&NOWHERE[..], &ACTORS[..], &[ID]].concat(), "a request");
    }
    let metrics = rig.get("/metrics").await.1;
    free_of(&metrics, &[&NOWHERE[..], &ACTORS[..], &[ID]].concat(), "/metrics");
    for path in ["/?refresh=off", "/api/v1/queue", "/api/v1/status", "/api/v1/quiets", "/readyz"] {
        free_of(&rig.get(path).await.1, &[&NOWHERE[..], &ACTORS[..]].concat(), path);
    }
    monitor.kill();
    free_of(&monitor.log(), &[&NOWHERE[..], &ACTORS[..]].concat(), "the log");
    let stored = match store {
        Base::Postgres => every_row(&rig.settings.store_url).await,
        _ => every_byte(&rig),
    };
    assert!(stored.contains(ID), "the store is another");
    free_of(&stored, &NOWHERE, "the store");
}

/// What a store's files hold.
fn every_byte(rig: &Rig) -> String {
    let bytes = |file| std::fs::read(rig.scratch.path().join(file)).unwrap_or_default();
    ["tocsin.db", "tocsin.db-wal"].map(|file| String::from_utf8_lossy(&bytes(file)).into_owned()).concat()
}

/// Every row of every table of a database, and what its columns of bytes hold.
async fn every_row(url: &str) -> String {
    let mut database = sqlx::PgConnection::connect(url).await.unwrap();
    let tables = "SELECT quote_ident(table_name)::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut database).await.unwrap();
    assert!(tables.len() > 10, "only these tables are seen: {tables:?}");
    // Bytes are written as the characters that they would be, so that a text in them is found.
    sqlx::query("SET bytea_output = 'escape'").execute(&mut database).await.unwrap();
    let mut stored = String::new();
    for table in &tables {
        let rows = format!("SELECT row_of::text FROM {table} row_of");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut database).await.unwrap();
        stored.extend(rows.iter().flat_map(|row| [row, "\n"]));
    }
    database.close().await.unwrap();
    stored
}

fn free_of(text: &str, canaries: &[&str], place: &str) {
    for canary in canaries {
        if let Some(at) = text.find(canary) {
            let from = text[..at].char_indices().rev().nth(200).map_or(0, |(at, _)| at);
            panic!("{place} holds {canary}: {}", &text[from..at + canary.len()]);
        }
    }
}

async fn file(rig: &Rig, source: Base) {
    let at = rfc3339(now());
    let row = |n: u32, reason: &str, received: &str| {
        format!(
            "insert into reports (id, item, reason, created_at, state, body, reporter_mail, item_url) values \
             ('{ID}-{n}', 'canary-item-{n}', '{reason}', '{received}', 'canary-state', 'canary-body', 'canary-mail', \
             'canary-url')"
        )
    };
    for (n, reason) in [(1, "csam"), (2, CATEGORY), (3, "csam"), (4, "threat")] {
        rig.platform.sql(&row(n, reason, &at)).await;
    }
    rig.platform
        .sql("update reports set responded_at = created_at, responded_by = 'canary-robot' where id like '%-3'")
        .await;
    if source == Base::Sqlite {
        rig.platform.sql(&row(5, "spam", "canary-received")).await;
    }
}

async fn resolve(rig: &Rig) {
    let at = rfc3339(now());
    rig.platform
        .sql(&format!(
            "update reports set responded_at = '{at}', responded_by = 'mod-canary-answers', resolved_at = '{at}', \
             resolved_by = 'mod-canary-closes', resolution = 'canary-resolution' where id like '%-4'"
        ))
        .await;
    rig.platform
        .sql(&format!(
            "update reports set responded_at = '{at}', responded_by = 'mod-canary-answers', resolved_at = '{at}', \
             resolved_by = 'mod-canary-closes', resolution = 'removed' where id not like '%-4'"
        ))
        .await;
}
