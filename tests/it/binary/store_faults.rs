//! A store that answers and refuses: serialisation failures, a database that takes no writes, a row that it won't
//! have, a server that is started anew. The monitor tries again what can be tried again, and everything is paged.

use super::platform::Base;
use super::power::library;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use crate::support::PrivatePostgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::Path;

#[tokio::test]
async fn every_fifth_serialisation_failure_costs_time_and_no_page() {
    let rig = Rig::new("serial", Base::Sqlite, Base::Postgres).await;
    rig.store().await.close().await;
    run(
        &rig.settings.store_url,
        "CREATE FUNCTION fifth() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF random() < 0.2 THEN \
         RAISE SQLSTATE '40001' USING MESSAGE = 'restart transaction'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER fifth BEFORE UPDATE ON deployment FOR EACH ROW EXECUTE FUNCTION fifth(); \
         CREATE TRIGGER fifth BEFORE UPDATE ON pages FOR EACH ROW EXECUTE FUNCTION fifth()",
    )
    .await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    for n in 0..40 {
        rig.platform.file(&format!("r{n}"), "csam", now()).await;
    }
    everything_rings_once(&rig, 40).await;
    assert!(monitor.is_running());
    monitor.says(1, &["restart transaction"]).await;
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_named_and_nothing_is_lost() {
    let rig = Rig::new("read_only", Base::Sqlite, Base::Postgres).await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    set_read_only(&rig.settings.store_url, "on").await;
    rig.platform.file("r0", "csam", now()).await;
    rig.is_unready(30, &["store", "read-only"]).await;
    assert!(monitor.is_running());
    set_read_only(&rig.settings.store_url, "off").await;
    everything_rings_once(&rig, 1).await;
    rig.is_ready().await;
}

/// For every session, those of the monitor included: they are ended and come again.
async fn set_read_only(url: &str, state: &str) {
    let name = url.rsplit_once('/').unwrap().1;
    let admin = crate::support::postgres_admin_url();
    run(&admin, &format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {state}")).await;
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    run(&admin, &end).await;
}

#[tokio::test]
async fn a_row_that_the_store_refuses_holds_up_nobody() {
    let rig = Rig::new("poison", Base::Sqlite, Base::Postgres).await;
    rig.store().await.close().await;
    run(
        &rig.settings.store_url,
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.state LIKE '%poison%' THEN \
         RAISE SQLSTATE '54000' USING MESSAGE = 'index row size exceeds the maximum'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER poison BEFORE INSERT OR UPDATE ON cases FOR EACH ROW EXECUTE FUNCTION poison()",
    )
    .await;
    let monitor = rig.start();
    rig.is_ready().await;
    for id in ["r0", "r1", "poison", "r2", "r3"] {
        rig.platform.file(id, "csam", now()).await;
    }
    for id in ["r0", "r1", "r2", "r3"] {
        rig.rang(30, &rig.p0_reference(id)).await;
    }
    monitor.says(5, &["the store refuses what this row holds", "poison"]).await;
    rig.rang_with(10, "row_refused").await;
}

#[tokio::test]
async fn a_postgres_that_is_started_anew_under_a_leader_and_a_standby_costs_no_page() {
    let server = PrivatePostgres::start().await;
    let mut rig = Rig::new("restarted", Base::Sqlite, Base::Sqlite).await;
    rig.settings.store_url = server.database("tocsin").await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    let mut standby = rig.start_another();
    rig.is_standby(1).await;
    for (n, how) in ["fast", "immediate", "fast", "immediate", "fast"].into_iter().enumerate() {
        rig.platform.file(&format!("r{n}"), "csam", now()).await;
        server.restart(how);
        // Whichever leads afterwards: one of them does, and every page comes.
        rig.rang(60, &rig.p0_reference(&format!("r{n}"))).await;
    }
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
    assert!(monitor.is_running() || standby.is_running());
}

/// A library of our own, loaded into the monitor, lets no file grow while there is no room.
#[tokio::test]
async fn a_disk_without_room_costs_no_p0_page_and_what_rang_is_recorded_once_there_is_room() {
    let mut rig = Rig::new("full", Base::Sqlite, Base::Sqlite).await;
    let disk = rig.scratch.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    rig.settings.store_url = format!("sqlite:{}", disk.join("tocsin.db").display());
    let no_room = rig.scratch.path().join("no_room");
    let text = |path: &Path| path.display().to_string();
    rig.settings.variables.extend([
        ("LD_PRELOAD", library(&rig, "full")),
        ("FULL_OF", text(&disk)),
        ("FULL_WHILE", text(&no_room)),
    ]);
    let mut monitor = rig.start();
    rig.is_ready().await;
    std::fs::write(&no_room, "").unwrap();
    rig.platform.file("r0", "csam", now()).await;
    rig.rang(15, &rig.p0_reference("r0")).await;
    rig.is_unready(10, &["emergency", "full"]).await;
    assert!(monitor.is_running());

    std::fs::remove_file(&no_room).unwrap();
    rig.is_ready().await;
    monitor.says(10, &["the emergency is over", "rang=2", "accepted=2"]).await;
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
    let sent = rig.receiver.requests().iter().filter(|request| request.kind() == "incident.ring").count();
    assert_eq!(sent, 2, "the case, and the word to the operators");
}

async fn everything_rings_once(rig: &Rig, count: usize) {
    eventually("every report has rung and every page is recorded", secs(90), async || {
        let rings = rig.rings();
        hold(rings.len() == count, || format!("{} of {count}", rings.len()))?;
        let pages = rig.pages().await;
        let open = pages.iter().filter(|row| row.state != "accepted").count();
        hold(open == 0, || format!("{open} of {} pages are not accepted", pages.len()))
    })
    .await;
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
}

async fn run(url: &str, sql: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
}
