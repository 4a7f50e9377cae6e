//! What befalls a PostgreSQL report database while the program watches it: the operators hear of each by its true cause,
//! and once it is over nothing is lost and nothing has rung twice.

use super::platform::{Base, Platform, filing};
use super::rig::{Rig, cases};
use super::{eventually, hold, now, secs};
use crate::support::PrivatePostgres;
use sqlx::{AssertSqlSafe, Executor};
use tocsin::run::clock::{Clock, SystemClock};

/// Done by the platform's own people, as one session; READER is the monitor's role.
struct Fault {
    hint: &'static str,
    begins: &'static str,
    ends: &'static str,
    /// How long it lasts at least.
    for_secs: i64,
    /// The state in which the monitor is meanwhile, and what it says of the cause.
    kind: &'static str,
    cause: &'static str,
}

const FAULTS: [Fault; 5] = [
    Fault {
        hint: "fault_column",
        begins: "alter table reports drop column resolution",
        ends: "alter table reports add column resolution text; grant select (resolution) on reports to READER",
        for_secs: 0,
        kind: "failed",
        cause: "table reports has no column resolution; its columns are: id, item",
    },
    Fault {
        hint: "fault_password",
        begins: "alter role READER password 'rotated'; \
                 select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'READER'",
        ends: "alter role READER password 'READER'",
        for_secs: 0,
        kind: "refused",
        cause: "password authentication failed",
    },
    Fault {
        hint: "fault_rights",
        begins: "revoke select (reason) on reports from READER",
        ends: "grant select (reason) on reports to READER",
        for_secs: 0,
        kind: "failed",
        cause: "grant the monitor's role SELECT on the mapped columns",
    },
    Fault {
        hint: "fault_lock",
        begins: "begin; lock table reports",
        ends: "commit",
        for_secs: 60,
        kind: "timed_out",
        cause: "another session holds a lock on the table",
    },
    // Whoever reads as the monitor waits for half a minute, a statement for ten seconds at most.
    Fault {
        hint: "fault_slow",
        begins: "alter table reports enable row level security; \
                 create policy slow on reports to READER using ((select pg_sleep(30)) is not null)",
        ends: "alter table reports disable row level security; drop policy slow on reports",
        for_secs: 0,
        kind: "timed_out",
        cause: "the statement took longer than the monitor allows itself: look for a missing index",
    },
];

/// Side by side: most of it is waiting.
#[tokio::test]
async fn each_fault_of_a_report_database_is_named_and_over_by_itself_and_costs_and_doubles_no_page() {
    let [column, password, rights, lock, slow] = FAULTS.map(befalls);
    tokio::join!(column, password, rights, lock, slow);
}

async fn befalls(fault: Fault) {
    let mut rig = Rig::new(fault.hint, Base::Postgres, Base::Sqlite).await;
    // Longer than a statement may take, so that each has one name from the beginning.
    rig.settings.blind = "stale_after = \"12s\"";
    rig.settings.within = "8s";
    let reader = rig.settings.source_url.strip_prefix("postgres://").unwrap().split(':').next().unwrap().to_owned();
    let mut platform = rig.platform.session().await;
    let sql = |text: &str| AssertSqlSafe(text.replace("READER", &reader));
    let mut monitor = rig.start();
    rig.is_ready().await;
    rig.platform.file("known", "csam", now()).await;
    is_queued(&rig, "known").await;

    let began = now();
    platform.execute(sql(fault.begins)).await.unwrap();
    platform.execute(AssertSqlSafe(filing("meanwhile", "csam", now()))).await.unwrap();
    let known = rig.rang(20, &rig.p0_reference("known")).await;
    assert_eq!(known["unverified"], true, "{}", fault.hint);
    rig.is_unready(40, &[&format!("\"kind\":\"{}\"", fault.kind), fault.cause]).await;
    blindness_rings(&rig, true).await;
    SystemClock.sleep_until(began.plus(secs(fault.for_secs))).await;
    assert!(monitor.is_running() && !rig.rings().contains_key(&rig.p0_reference("meanwhile")), "{}", fault.hint);

    platform.execute(sql(fault.ends)).await.unwrap();
    rig.is_ready().await;
    let meanwhile = rig.rang(20, &rig.p0_reference("meanwhile")).await;
    assert_eq!(meanwhile["unverified"], false, "{}", fault.hint);
    blindness_rings(&rig, false).await;
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{}: {:?}", fault.hint, rig.rings());
    assert!(!monitor.log().contains("panicked"));
}

async fn is_queued(rig: &Rig, id: &str) {
    eventually("the queue lists it", secs(10), async || {
        let (_, queue) = rig.get("/api/v1/queue").await;
        hold(queue.contains(&format!("\"{id}\"")), || queue)
    })
    .await;
}

/// One incident of the operators, and nothing else about no case.
async fn blindness_rings(rig: &Rig, is_firing: bool) {
    eventually("the operators' incident", secs(20), async || {
        let requests = rig.receiver.requests();
        let about_none =
            requests.iter().filter(|request| request.kind() == "incident.ring" && cases(request).is_empty());
        let keys: Vec<&str> = about_none.map(|ring| ring.body["data"]["alert_key"].as_str().unwrap()).collect();
        let found = keys.len() == 1 && rig.receiver.is_firing(keys[0]) == is_firing;
        hold(found, || {
            format!("{} rings, firing: {:?}", keys.len(), keys.iter().map(|key| rig.receiver.is_firing(key)))
        })
    })
    .await;
}

#[tokio::test]
async fn a_report_database_whose_server_is_started_anew_costs_no_page() {
    let server = PrivatePostgres::start().await;
    let mut rig = Rig::new("source_restart", Base::Sqlite, Base::Sqlite).await;
    rig.platform = Platform::in_postgres(server.database("platform").await).await;
    rig.settings.source_url = rig.platform.reader_url.clone();
    rig.settings.blind = "stale_after = \"4s\"";
    let mut monitor = rig.start();
    rig.is_ready().await;
    for (n, how) in ["fast", "immediate", "fast"].into_iter().enumerate() {
        rig.platform.file(&format!("r{n}"), "csam", now()).await;
        server.restart(how);
        rig.rang(30, &rig.p0_reference(&format!("r{n}"))).await;
    }
    server.stop("immediate");
    rig.is_unready(30, &["\"kind\":\"refused\"", "cannot connect", "refused"]).await;
    server.start_again();
    rig.is_ready().await;
    rig.platform.file("after", "csam", now()).await;
    assert_eq!(rig.rang(20, &rig.p0_reference("after")).await["unverified"], false);
    blindness_rings(&rig, false).await;
    assert_eq!(rig.rings().len(), 4);
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
    assert!(monitor.is_running());
}
