//! A network that swallows the answer to COMMIT: what happened is settled by the sequence, both ways, even
//! while the COMMIT is still on its way.

use super::home::{Home, case, commit, episode, keeping, ring, take_the_lead};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use tocsin::core::policy::Priority;
use tocsin::secret::Secret;
use tocsin::store::{SqlStore, Store, StoreError};

/// Whether the server still gets the COMMIT whose answer is lost.
#[derive(Clone, Copy, PartialEq)]
enum Lost {
    Before,
    After,
    /// The server gets it only when it has been asked what became of it.
    WhenAsked,
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
        let (armed, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Asked::default()));
        let wire = Wire { url: url.replace(&server, &address), armed: armed.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, armed, asked) = (TcpStream::connect(&server).unwrap(), armed.clone(), asked.clone());
                let (from_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || answers(from_server, to_client));
                thread::spawn(move || questions(client, server, lost, &armed, &asked));
            }
        });
        wire
    }
}

fn answers(mut server: TcpStream, mut client: TcpStream) {
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}

/// Whether a client has asked what became of a commit.
#[derive(Default)]
struct Asked(Mutex<bool>, Condvar);

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

fn questions(mut client: TcpStream, mut server: TcpStream, lost: Lost, armed: &AtomicBool, asked: &Asked) {
    let mut bytes = [0; 65_536];
    while let Ok(n @ 1..) = client.read(&mut bytes) {
        if holds(&bytes[..n], b"SET sequence = sequence") {
            *asked.0.lock().unwrap() = true;
            asked.1.notify_all();
        }
        let tears = holds(&bytes[..n], b"COMMIT\0") && armed.swap(false, Ordering::SeqCst);
        if tears {
            let _ = client.shutdown(Shutdown::Both);
            match lost {
                Lost::Before => break,
                Lost::After => {}
                Lost::WhenAsked => drop(asked.1.wait_while(asked.0.lock().unwrap(), |asked| !*asked).unwrap()),
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
    let token = take_the_lead(&store, "test").await;
    wire.armed.store(true, Ordering::SeqCst);
    let plan = keeping([case(episode(1), Priority::P0)]);
    let answer = store.commit(&commit(1, token, &plan, vec![ring(1, "pager", Priority::P0, 1)])).await;
    assert!(matches!(answer, Err(StoreError::Ambiguous { .. })), "{answer:?}");
    (store, token)
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_happened_when_the_sequence_says_so() {
    for (name, lost) in [("answer_lost", Lost::After), ("commit_late", Lost::WhenAsked)] {
        let (store, token) = ambiguous(name, lost).await;
        assert_eq!(store.settle(token).await.unwrap(), 1, "{name}");
        assert_eq!(store.pages(9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_commit_in_doubt_is_not_settled_for_a_leader_who_was_replaced() {
    let (store, token) = ambiguous("replaced", Lost::After).await;
    take_the_lead(&store, "another").await;
    let settled = store.settle(token).await;
    assert!(matches!(settled, Err(StoreError::Fenced { ours: 1, theirs: 2, .. })), "{settled:?}");
}

#[tokio::test]
async fn a_commit_that_never_arrived_did_not_happen_and_is_done_again() {
    let (store, token) = ambiguous("commit_lost", Lost::Before).await;
    assert_eq!(store.settle(token).await.unwrap(), 0);
    let plan = keeping([case(episode(1), Priority::P0)]);
    store.commit(&commit(1, token, &plan, vec![ring(1, "pager", Priority::P0, 1)])).await.unwrap();
    assert_eq!(store.load().await.unwrap().cases.len(), 1);
}
