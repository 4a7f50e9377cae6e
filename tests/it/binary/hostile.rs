//! Whoever sits on the board's port keeps nobody's pager from ringing: a crowd that connects and says nothing, live
//! readers that never read, heads and bodies that never end.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tocsin::core::time::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Live readers that never read, and as many that never end what they say.
const DEAF: usize = 60;
/// More than the board takes at once.
const CROWD: usize = 1_000;
const PAGES: usize = 8;
/// The rig's three seconds to answer, and a generous while to ring.
const WITHIN_SECS: i64 = 3 + 5;

/// A process that holds idle connections until it is dropped.
struct Crowd(Child);

impl Crowd {
    fn gathered(address: &str) -> Crowd {
        let port = address.rsplit(':').next().unwrap();
        let crowd = include_str!("../web_page/crowd.py");
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", crowd, port, &CROWD.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.trim().parse::<usize>().is_ok_and(|closed| closed > 0), "the crowd is beyond the limit: {line:?}");
        Crowd(child)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says the beginning of a request, and no more.
async fn sits(address: &str, begun: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it is accepted");
    stream.write_all(begun.as_bytes()).await.expect("it is sent");
    stream
}

/// How long after the report was filed each page came, in milliseconds.
async fn ring_times(rig: &Rig, from: usize) -> Vec<i64> {
    let mut took = Vec::with_capacity(PAGES);
    for n in from..from + PAGES {
        let (id, filed) = (n.to_string(), now());
        rig.platform.file(&id, "csam", filed).await;
        rig.rang(WITHIN_SECS, &rig.p0_reference(&id)).await;
        took.push(now().since(filed).micros() / 1_000);
    }
    took.sort_unstable();
    took
}

#[tokio::test]
async fn pages_ring_while_a_crowd_sits_on_the_boards_port_as_they_ring_without_it() {
    let mut rig = Rig::new("hostile", Base::Sqlite, Base::Sqlite).await;
    rig.settings.within = "1s";
    let _monitor = rig.start();
    rig.is_ready().await;
    let alone = ring_times(&rig, 0).await;

    let mut sitting = Vec::new();
    for _ in 0..DEAF {
        let mut live = sits(&rig.address(), "GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let mut heard = [0; 15];
        live.read_exact(&mut heard).await.expect("it is answered");
        assert_eq!(&heard, b"HTTP/1.1 200 OK");
        sitting.push(live);
        sitting.push(sits(&rig.address(), "GET / HTTP/1.1\r\nhost: local").await);
        let body = "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\na";
        sitting.push(sits(&rig.address(), body).await);
    }
    let address = rig.address();
    let crowd = tokio::task::spawn_blocking(move || Crowd::gathered(&address)).await.unwrap();
    let beside = ring_times(&rig, PAGES).await;
    println!("filed to rung, ms, the crowd away: {alone:?}; there: {beside:?}");

    drop((crowd, sitting));
    eventually("the board is served again", secs(40), async || {
        let (status, _) = rig.get("/healthz").await;
        hold(status == 200, || status.to_string())
    })
    .await;
    let slow = Span::from_secs(WITHIN_SECS).micros() / 1_000;
    assert!(beside.iter().all(|took| *took < slow), "{beside:?}");
}
