//! Clients that mean harm or mean nothing: bodies that are too large or never come, headers without end, a crowd that
//! connects and says nothing, readers of the live board that never read. Each is bounded, and the next one is served.

use super::sample::{Served, bad_night_pages, bad_night_status, bad_night_view, state};
use super::{ask, bad_night, client, get};
use reqwest::{Method, StatusCode};
use std::time::Duration;
use tocsin::web::{CLIENTS_MAX, CONNECTIONS_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn address(served: &Served) -> String {
    served.url.trim_start_matches("http://").to_owned()
}

/// What a request of these bytes is answered, as far as it comes within 20 seconds.
async fn raw(served: &Served, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(served)).await.expect("it is accepted");
    // The server may have answered and closed before all of it was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_or_a_body_that_is_too_large_is_refused_and_the_next_is_served() {
    let served = Served::of(bad_night()).await;
    let host = "host: localhost\r\nconnection: close\r\n";
    let long = "x".repeat(100_000);
    let many: String = (0..200).map(|i| format!("x-{i}: y\r\n")).collect();
    for (what, request, code) in [
        ("a long address", format!("GET /?{} HTTP/1.1\r\n{host}\r\n", "x".repeat(4_000)), "414"),
        ("an endless address", format!("GET /?{long} HTTP/1.1\r\n{host}\r\n"), "4"),
        ("a long header", format!("GET / HTTP/1.1\r\n{host}x: {long}\r\n\r\n"), "431"),
        ("many headers", format!("GET / HTTP/1.1\r\n{host}{many}\r\n"), "431"),
        ("a long body", format!("POST /api/v1/snoozes HTTP/1.1\r\n{host}content-length: 9000\r\n\r\n"), "413"),
        ("a body of unsaid length", format!("POST /login HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\n"), "413"),
        ("no request", "\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
        ("a header in a header", format!("GET / HTTP/1.1\r\n{host}x: a\nset-cookie: b\r\n\r\n"), ""),
    ] {
        let answer = raw(&served, request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with(code), "{what}: {}", answer.lines().next().unwrap_or_default());
        assert!(!answer.contains("set-cookie: b"), "{what}");
        assert_eq!(ask(&served, Method::GET, "/healthz").await.status(), StatusCode::OK, "after {what}");
    }
}

#[tokio::test]
async fn what_is_written_into_an_address_never_becomes_a_header() {
    let served = Served::of(bad_night()).await;
    for path in
        ["/cases?reference=C-7F3KQ-9QXM%0D%0Aset-cookie:a=b", "/incidents/I-1%0d%0aset-cookie:a=b", "/ack/%0d%0ax:y"]
    {
        let answer = ask(&served, Method::GET, path).await;
        assert!(!answer.headers().contains_key("set-cookie") && !answer.headers().contains_key("x"), "{path}");
        assert!(answer.status().is_client_error() || answer.status().is_server_error(), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let served = Served::of(bad_night()).await;
    let head = "POST /api/v1/snoozes HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let answer = raw(&served, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn a_head_that_never_ends_and_a_connection_that_says_nothing_are_closed() {
    let served = Served::of(bad_night()).await;
    for begun in ["", "GET / HTTP/1.1\r\nhost: local"] {
        let answer = raw(&served, begun.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[tokio::test]
async fn a_crowd_that_connects_and_says_nothing_is_bounded_and_goes() {
    let served = Served::of(bad_night()).await;
    // From a process of its own, which may hold as many files as it likes.
    let crowd = include_str!("crowd.py");
    let port = address(&served).rsplit(':').next().unwrap().to_owned();
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", crowd, &port, "1000"]).stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("start python3");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let closed: usize =
        said.trim().parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(closed, 1_000 - CONNECTIONS_MAX, "whoever is beyond the limit is closed at once");
    // Those within it are closed once they have idled, and then others are served again.
    let mut served_again = false;
    for _ in 0..40 {
        let answer = timeout(Duration::from_secs(2), client().get(format!("{}/healthz", served.url)).send()).await;
        served_again = answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == StatusCode::OK));
        if served_again {
            break;
        }
        let _ = timeout(Duration::from_millis(500), std::future::pending::<()>()).await;
    }
    assert!(served_again, "idle connections hold the board for ever");
}

#[tokio::test]
async fn readers_of_the_live_board_that_never_read_hold_up_nobody_and_are_bounded() {
    let served = Served::of(state(bad_night_view(), bad_night_status(), bad_night_pages())).await;
    let mut deaf = Vec::new();
    for _ in 0..CLIENTS_MAX {
        let mut stream = TcpStream::connect(address(&served)).await.expect("it is accepted");
        stream.write_all(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it is sent");
        deaf.push(stream);
    }
    // Each has its place once it hears the first bytes; it reads no more than those.
    for stream in &mut deaf {
        let mut heard = [0; 15];
        stream.read_exact(&mut heard).await.expect("it is answered");
        assert_eq!(&heard, b"HTTP/1.1 200 OK");
    }
    let more = ask(&served, Method::GET, "/live").await;
    assert_eq!(
        (more.status(), more.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::SERVICE_UNAVAILABLE, "30")
    );
    assert!(get(&served, "/").await.contains("P0 minor safety"), "the board itself is served");
}
