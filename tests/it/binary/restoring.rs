//! A restore from an older state: nothing is paged from it before a person says so, and nothing is lost afterwards.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use crate::support::{fresh_postgres_database, postgres_bin};

#[tokio::test]
async fn f21_a_store_of_yesterday_pages_nothing_until_it_is_adopted_and_loses_nothing_then() {
    let rig = Rig::new("yesterday", Base::Sqlite, Base::Sqlite).await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    rings(&rig, "yesterday").await;
    let (code, output, told) = rig.command(&["store", "backup", "--to", "old.backup"]);
    assert_eq!(code, 0, "{output}{told}");
    rings(&rig, "today").await;
    all_accepted(&rig).await;
    monitor.signal("TERM");
    assert_eq!(monitor.ends(5).await.code(), Some(0));

    for file in ["tocsin.db", "tocsin.db-wal", "tocsin.db-shm"] {
        let _ = std::fs::remove_file(rig.scratch.path().join(file));
    }
    let (code, output, told) = rig.command(&["store", "restore", "--from", "old.backup"]);
    assert_eq!(code, 0, "{output}{told}");
    let sent = rig.receiver.requests().len();
    let mut refused = rig.start();
    assert_eq!(refused.ends(20).await.code(), Some(1));
    refused.says(1, &["tocsin store adopt --by"]).await;
    assert_eq!(rig.receiver.requests().len(), sent, "nothing is paged before");

    let (code, output, told) = rig.command(&["store", "adopt", "--by", "ada"]);
    assert!(code == 0 && output.contains("adopted by ada, although it is a backup of"), "{output}{told}");
    let _monitor = rig.start();
    rig.is_ready().await;
    rings(&rig, "tomorrow").await;
    let rings = rig.rings();
    for id in ["yesterday", "today", "tomorrow"] {
        assert!(rings.contains_key(&rig.p0_reference(id)), "{id} of {rings:?}");
    }
    // What was paged before the backup stays as it was paged; what is newer than it is new.
    assert_eq!(rings[&rig.p0_reference("yesterday")].len(), 1);
    let incidents = rig.pages().await.into_iter().map(|row| row.page.incident.0);
    assert!(incidents.filter(|no| *no > 1_000_000).count() >= 2, "numbers are never given twice");
}

/// As the README has it: pg_dump, and pg_restore into a new database.
#[tokio::test]
async fn f21_a_dump_of_postgres_pages_nothing_until_it_is_adopted_and_has_everything_then() {
    let mut rig = Rig::new("dumped", Base::Sqlite, Base::Postgres).await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    rings(&rig, "dumped").await;
    all_accepted(&rig).await;
    let dump = rig.scratch.path().join("tocsin.dump").display().to_string();
    postgres("pg_dump", &["-Fc", "-f", &dump, &rig.settings.store_url]);
    rings(&rig, "later").await;
    all_accepted(&rig).await;
    monitor.signal("TERM");
    assert_eq!(monitor.ends(5).await.code(), Some(0));

    rig.settings.store_url = fresh_postgres_database("restored").await;
    postgres("pg_restore", &["--no-owner", "-d", &rig.settings.store_url, &dump]);
    let sent = rig.receiver.requests().len();
    let mut refused = rig.start();
    assert_eq!(refused.ends(20).await.code(), Some(1));
    refused.says(1, &["tocsin store adopt --by"]).await;
    assert_eq!(rig.receiver.requests().len(), sent, "nothing is paged before");

    let (code, output, told) = rig.command(&["store", "adopt", "--by", "ada"]);
    assert!(code == 0 && output.contains("adopted by ada, although it is a copy"), "{output}{told}");
    let _monitor = rig.start();
    rig.is_ready().await;
    rings(&rig, "tomorrow").await;
    let rings = rig.rings();
    assert_eq!(rings[&rig.p0_reference("dumped")].len(), 1, "what was paged before stays as it was paged");
    assert_eq!(rings[&rig.p0_reference("later")].len(), 2, "what the dump doesn't know rings anew");
}

fn postgres(program: &str, arguments: &[&str]) {
    let done = std::process::Command::new(postgres_bin().join(program)).args(arguments).status();
    assert!(done.expect("run a program of PostgreSQL").success(), "{program}");
}

/// Put back without our own tool, it is noticed by the mark beside it.
#[tokio::test]
async fn f21_a_file_put_back_behind_our_back_is_noticed_by_how_far_it_had_come() {
    let rig = Rig::new("put_back", Base::Sqlite, Base::Sqlite).await;
    let file = rig.scratch.path().join("tocsin.db");
    let mut monitor = rig.start();
    rig.is_ready().await;
    monitor.signal("TERM");
    assert_eq!(monitor.ends(5).await.code(), Some(0));
    let old = std::fs::read(&file).unwrap();

    let mut monitor = rig.start();
    rig.is_ready().await;
    rings(&rig, "meanwhile").await;
    monitor.signal("TERM");
    assert_eq!(monitor.ends(5).await.code(), Some(0));
    // Into the same file, so that only its content is another; what its log still holds is newer.
    for beside in ["tocsin.db-wal", "tocsin.db-shm"] {
        let _ = std::fs::remove_file(rig.scratch.path().join(beside));
    }
    std::fs::write(&file, old).unwrap();
    let mut refused = rig.start();
    assert_eq!(refused.ends(20).await.code(), Some(1));
    refused.says(1, &["this store may not page", "gone back by"]).await;
}

async fn rings(rig: &Rig, id: &str) {
    rig.platform.file(id, "csam", now()).await;
    rig.rang(20, &rig.p0_reference(id)).await;
}

async fn all_accepted(rig: &Rig) {
    eventually("every page is recorded", secs(10), async || {
        let pages = rig.pages().await;
        hold(pages.iter().all(|row| row.state == "accepted"), || format!("{pages:?}"))
    })
    .await;
}
