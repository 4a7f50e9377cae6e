//! A store behind PgBouncer in transaction mode: every transaction may run in another session, and two monitors share
//! the few that there are.

use super::platform::Base;
use super::rig::{Rig, free_port};
use super::{eventually, hold, now, secs};
use crate::support::{ScratchDir, is_root};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;

/// Fewer sessions than one monitor has connections.
const SESSIONS: u32 = 3;

#[tokio::test]
async fn a_store_behind_a_transaction_pooler_leads_hands_over_and_loses_no_page() {
    let mut rig = Rig::new("pooler", Base::Sqlite, Base::Postgres).await;
    let pooler = PgBouncer::before(&rig.settings.store_url).await;
    let direct = rig.settings.store_url.clone();
    rig.settings.store_url = pooler.url(&direct);
    let mut leader = rig.start();
    rig.is_ready().await;
    let standby = rig.start_another();
    rig.is_standby(1).await;
    for n in 0..5 {
        rig.platform.file(&format!("r{n}"), "csam", now()).await;
    }
    all_rang(&rig, 5).await;
    leader.signal("TERM");
    assert_eq!(leader.ends(10).await.code(), Some(0));
    standby.says(3, &["leading the store"]).await;
    for n in 5..9 {
        rig.platform.file(&format!("r{n}"), "csam", now()).await;
    }
    all_rang(&rig, 9).await;
    rig.settings.store_url = direct;
    eventually("every page is recorded", secs(20), async || {
        let pages = rig.pages().await;
        hold(pages.len() == 9 && pages.iter().all(|row| row.state == "accepted"), || format!("{pages:?}"))
    })
    .await;
    for log in [leader.log(), standby.log()] {
        assert!(!log.contains("prepared statement"), "{log}");
    }
}

async fn all_rang(rig: &Rig, count: usize) {
    for n in 0..count {
        rig.rang(30, &rig.p0_reference(&format!("r{n}"))).await;
    }
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
}

/// A pooler of one test's own; it ends with the test.
struct PgBouncer {
    port: u16,
    child: Child,
    scratch: ScratchDir,
}

impl PgBouncer {
    /// # Panics
    /// Where PgBouncer isn't installed: tests/run installs it.
    async fn before(url: &str) -> PgBouncer {
        let rest = url.split_once("://").unwrap().1;
        let (who, place) = rest.split_once('@').unwrap();
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let (host, server_port) = place.split_once('/').unwrap().0.split_once(':').unwrap();
        let scratch = ScratchDir::new("pgbouncer");
        let port = free_port();
        let ini = format!(
            "[databases]\n* = host={host} port={server_port} user={user} password={password}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {SESSIONS}\nmax_client_conn = 200\n"
        );
        let file = std::env::temp_dir().join(format!("tocsin-pgbouncer-{port}.ini"));
        std::fs::write(&file, ini).unwrap();
        // PgBouncer refuses to run as root.
        let mut command = if is_root() { Command::new("setpriv") } else { Command::new("pgbouncer") };
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "pgbouncer"]);
        }
        let log = std::fs::File::create(scratch.path().join("log")).unwrap();
        let started = command.arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = started.expect("this test needs pgbouncer: run tests/run, which installs it");
        let pooler = PgBouncer { port, child, scratch };
        eventually("the pooler listens", secs(20), async || {
            let connected = TcpStream::connect(("127.0.0.1", port)).await;
            hold(connected.is_ok(), || std::fs::read_to_string(pooler.scratch.path().join("log")).unwrap_or_default())
        })
        .await;
        std::fs::remove_file(&file).unwrap();
        pooler
    }

    /// The same database through the pooler.
    fn url(&self, direct: &str) -> String {
        let (who, place) = direct.rsplit_once('@').unwrap();
        let database = place.split_once('/').unwrap().1;
        format!("{who}@127.0.0.1:{}/{database}?statement-cache-capacity=0", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
