//! A real streaming replica as the report database: what it shows is told apart from what has happened, its lag is a
//! blindness, and when its primary is lost it is read on.

use super::platform::{Base, Platform};
use super::rig::Rig;
use super::{now, secs, throughout};
use crate::support::PrivatePostgres;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};

#[tokio::test]
async fn f12_a_replica_that_lags_is_blind_until_it_has_caught_up_and_one_that_takes_over_is_read_on() {
    let primary = PrivatePostgres::start().await;
    let mut rig = Rig::new("replica", Base::Sqlite, Base::Sqlite).await;
    rig.platform = Platform::in_postgres(primary.database("platform").await).await;
    let replica = primary.replica();
    let of_replica = replica.url("platform");
    let (_, place) = of_replica.rsplit_once('@').unwrap();
    rig.settings.source_url = format!("postgres://platform_reader@{place}");
    rig.settings.blind = "stale_after = \"4s\"";
    rig.platform.file("first", "spam", now()).await;
    rig.write_config();
    doctor_says(&rig, "fine", "a replica, 0s behind");

    let mut monitor = rig.start();
    rig.is_ready().await;
    // Nothing else is committed: what the replica doesn't show may have happened.
    rig.platform.file("quiet", "csam", now()).await;
    assert_eq!(rig.rang(20, &rig.p0_reference("quiet")).await["unverified"], true);
    throughout("a primary on which nothing happens isn't lag", secs(6), async || {
        let (status, body) = rig.get("/readyz").await;
        super::hold(status == 200, || body)
    })
    .await;

    let mut admin = PgConnection::connect(&of_replica).await.unwrap();
    admin.execute("SELECT pg_wal_replay_pause()").await.unwrap();
    rig.platform.file("hidden", "csam", now()).await;
    rig.is_unready(30, &["\"kind\":\"replica_lag\"", "behind its primary"]).await;
    assert!(!rig.get("/metrics").await.1.contains("tocsin_open_cases{"), "what isn't the present has no figures");
    assert!(!rig.rings().contains_key(&rig.p0_reference("hidden")));
    admin.execute("SELECT pg_wal_replay_resume()").await.unwrap();
    rig.is_ready().await;
    rig.rang(20, &rig.p0_reference("hidden")).await;

    primary.stop("immediate");
    rig.is_unready(30, &["\"kind\":\"replica_lag\"", "nothing comes from the primary"]).await;
    doctor_says(&rig, "warning", "and nothing comes from the primary");
    replica.promote();
    rig.is_ready().await;
    rig.platform.moves_to(of_replica);
    rig.platform.file("after", "csam", now()).await;
    assert_eq!(rig.rang(20, &rig.p0_reference("after")).await["unverified"], false);
    assert_eq!(rig.rings().len(), 3);
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
    assert!(monitor.is_running());
    admin.close().await.unwrap();
}

fn doctor_says(rig: &Rig, verdict: &str, words: &str) {
    let (_, json, told) = rig.command(&["doctor", "--json"]);
    let body: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}{told}"));
    let found = body["findings"].as_array().unwrap();
    let says = |f: &&Value| f["verdict"] == verdict && f["what"].as_str().unwrap_or_default().contains(words);
    assert!(found.iter().any(|finding| says(&finding)), "{verdict} {words}: {found:#?}");
}
