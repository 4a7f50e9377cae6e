//! The listener: how many may be connected, how long a request may take to come in and an answer to be taken, and how
//! it all ends. Whoever holds a connection for nothing loses it; nothing here can hold up a page, which shares no
//! lock, no pool and no thread with it.

use super::{WebState, router};
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

/// Connections at one time. A process may hold 1,024 files by default: as many are left for databases and pagers.
pub const CONNECTIONS_MAX: usize = 512;
/// How long a request's head may take, and a connection may idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Heads are small: a cookie, a token, what a proxy adds.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// How often a connection is looked at; one whose client takes nothing at two looks in a row is closed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long answers under way may take once the process is told to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop` completes, then finishes what it is answering.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    state: WebState,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let live = tokio::spawn(super::live::publish(state.clone(), stopped.clone()));
    let router = router(state);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, most likely: what is connected now will end.
                tracing::warn!(%error, "a connection can't be accepted");
                let _ = tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
                continue;
            }
        };
        // Beyond the limit it is closed unread, so that a crowd waits for nothing.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let (router, stopped) = (router.clone(), stopped.clone());
        connections.spawn(async move {
            connection(stream, peer, router, stopped).await;
            drop(place);
        });
    }
    stopping.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_WITHIN, drained).await;
    connections.shutdown().await;
    live.abort();
    Ok(())
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    // A page is a few packets that nobody should wait for.
    let _ = stream.set_nodelay(true);
    let waits = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Watched { stream, waits: waits.clone() });
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    builder.max_headers(HEADERS_MAX).half_close(false);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut draining = false;
    let mut waited = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.wait_for(|stop| *stop), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick() => {
                let waits = waits.load(Ordering::Relaxed);
                if waits && waited {
                    return;
                }
                waited = waits;
            }
        }
    }
}

/// A stream that says whether its client takes what it is sent.
struct Watched {
    stream: TcpStream,
    waits: Arc<AtomicBool>,
}

impl Watched {
    fn noted<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.waits.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noted(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
