//! A wire between the program and somebody else, which a test can hold still or cut.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Open,
    /// Connections are taken and stay, and nothing passes.
    Held,
    /// Connections are closed, and new ones at once.
    Cut,
}

pub struct Proxy {
    pub address: String,
    wire: watch::Sender<Wire>,
    /// Bytes that have come from the program.
    sent: watch::Sender<u64>,
}

impl Proxy {
    /// Towards `target`, such as "127.0.0.1:5432".
    pub async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (wire, sent) = (watch::Sender::new(Wire::Open), watch::Sender::new(0));
        let (target, state, counter) = (target.to_owned(), wire.clone(), sent.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (target, wire, counter) = (target.clone(), state.subscribe(), counter.clone());
                tokio::spawn(async move {
                    if *wire.borrow() == Wire::Cut {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let (near, far) = (near.into_split(), far.into_split());
                    let cut = wire.clone();
                    // Whichever ends first takes both directions with it.
                    tokio::select! {
                        () = pass(near.0, far.1, wire.clone(), Some(counter)) => {}
                        () = pass(far.0, near.1, wire, None) => {}
                        () = until(cut, Wire::Cut) => {}
                    }
                });
            }
        });
        Proxy { address, wire, sent }
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// Returns once the program has sent so many bytes.
    pub async fn has_sent(&self, bytes: u64) {
        // An error would mean that the sender is gone, which lives in `self`.
        let _ = self.sent.subscribe().wait_for(|sent| *sent >= bytes).await;
    }

    pub fn bytes_sent(&self) -> u64 {
        *self.sent.borrow()
    }
}

async fn until(mut wire: watch::Receiver<Wire>, state: Wire) {
    // An error means that the test is over.
    let _ = wire.wait_for(|wire| *wire == state).await;
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    wire: watch::Receiver<Wire>,
    counter: Option<watch::Sender<u64>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if let Some(counter) = &counter {
            counter.send_modify(|sent| *sent += count as u64);
        }
        until(wire.clone(), Wire::Open).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
