//! A network that swallows the answer to COMMIT: what happened is settled by the sequence, both ways.

use super::home::{Home, case, commit, episode, keeping, ring};
use crate::kit::minute;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tocsin::core::policy::Priority;
use tocsin::secret::Secret;
use tocsin::store::{SqlStore, Store, StoreError};

/// Whether the server still gets the COMMIT whose answer is lost.
#[derive(Clone, Copy, PartialEq)]
enum Lost {
    Before,
    After,
}

/// A wire to the server that tears at the first COMMIT once it is armed.
struct Wire {
    url: String,
    armed: Arc<AtomicBool>,
}

impl Wire {
    fn to(url: &str, lost: Lost) -> Wire {
        let (_, rest) = url.split_once('@').unwrap();
        let server = rest.split_once('/').unwrap().0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let armed = Arc::new(AtomicBool::new(false));
        let wire = Wire { url: url.replace(&server, &address), armed: armed.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, armed) = (TcpStream::connect(&server).unwrap(), armed.clone());
                let (from_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || answers(from_server, to_client));
                thread::spawn(move || questions(client, server, lost, &armed));
            }
        });
        wire
    }
}

fn answers(mut server: TcpStream, mut client: TcpStream) {
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

fn questions(mut client: TcpStream, mut server: TcpStream, lost: Lost, armed: &AtomicBool) {
    let mut bytes = [0; 65_536];
    while let Ok(n @ 1..) = client.read(&mut bytes) {
        let tears = bytes[..n].windows(7).any(|word| word == b"COMMIT\0") && armed.swap(false, Ordering::SeqCst);
        if tears {
            let _ = client.shutdown(Shutdown::Both);
            if lost == Lost::Before {
                break;
            }
        }
        if server.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

async fn ambiguous(name: &str, lost: Lost) -> (SqlStore, u64) {
    let home = Home::postgres(name).await;
    let wire = Wire::to(&home.url, lost);
    let store = SqlStore::open(&Secret::new(wire.url), super::home::FINGERPRINT).await.unwrap();
    let token = store.lead("test", minute(0)).await.unwrap();
    wire.armed.store(true, Ordering::SeqCst);
    let plan = keeping([case(episode(1), Priority::P0)]);
    let answer = store.commit(&commit(1, token, &plan, vec![ring(1, "pager", Priority::P0, 1)])).await;
    assert!(matches!(answer, Err(StoreError::Ambiguous { .. })), "{answer:?}");
    (store, token)
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_happened_when_the_sequence_says_so() {
    let (store, _) = ambiguous("answer_lost", Lost::After).await;
    // The server may still be at it when the wire is down.
    let mut sequence = 0;
    for _ in 0..1_000 {
        sequence = store.sequence().await.unwrap();
        if sequence == 1 {
            break;
        }
    }
    assert_eq!(sequence, 1);
    assert_eq!(store.pages(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_that_never_arrived_did_not_happen_and_is_done_again() {
    let (store, token) = ambiguous("commit_lost", Lost::Before).await;
    assert_eq!(store.sequence().await.unwrap(), 0);
    let plan = keeping([case(episode(1), Priority::P0)]);
    store.commit(&commit(1, token, &plan, vec![ring(1, "pager", Priority::P0, 1)])).await.unwrap();
    assert_eq!(store.load().await.unwrap().cases.len(), 1);
}
