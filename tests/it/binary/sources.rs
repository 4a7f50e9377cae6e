//! Several report databases in one configuration: each read as it is written, none taken for another.

use super::platform::Base;
use super::rig::{Rig, cases};
use super::{eventually, hold, now, secs};
use crate::support::open_sqlite;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tocsin::core::id::{CaseKey, ReportId, ReportKey};

const TICKETS: &str = r#"
[[sources]]
name = "tickets"
url = "URL"
table = "tickets"
[sources.columns]
id = "id"
category = "kind"
updated = { column = "changed_ms", unit = "ms" }
[sources.events]
received = { column = "filed_ms", unit = "ms" }
closed = { column = "done_ms", unit = "ms" }
[sources.history]
table = "actions"
id = "id"
report = "ticket"
at = { column = "at_ms", unit = "ms" }
by = "actor"
name = "what"
events = { first_response = ["reply"] }
[sources.actors]
people = ["agent-*"]
"#;

#[tokio::test]
async fn two_databases_of_two_kinds_are_watched_side_by_side() {
    let mut rig = Rig::new("two_sources", Base::Postgres, Base::Sqlite).await;
    let url = rig.scratch.sqlite_url("tickets.db");
    let mut desk = open_sqlite(&url).await;
    let millis = || now().micros() / 1_000;
    for sql in [
        "CREATE TABLE tickets (id INTEGER PRIMARY KEY, kind TEXT, filed_ms INTEGER, done_ms INTEGER, changed_ms INTEGER)",
        "CREATE TABLE actions (id INTEGER PRIMARY KEY, ticket INTEGER, at_ms INTEGER, actor TEXT, what TEXT)",
        &format!("INSERT INTO tickets SELECT 7, 'spam', {0}, 0, {0}", millis() - 60_000),
    ] {
        desk.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }
    rig.settings.more = TICKETS.replace("URL", &url);
    let _monitor = rig.start();
    rig.is_ready().await;

    // The same id in both; the second ticket is answered in time, by an action in the log.
    rig.platform.file("1", "csam", now()).await;
    for id in [1, 2] {
        let file = format!("INSERT INTO tickets VALUES ({id}, 'csam', {0}, 0, {0})", millis());
        desk.execute(AssertSqlSafe(file)).await.unwrap();
    }
    let reply = format!("INSERT INTO actions VALUES (1, 2, {}, 'agent-1', 'reply')", millis());
    desk.execute(AssertSqlSafe(reply)).await.unwrap();
    let ticket = |id| {
        let report = ReportKey { source: "tickets".into(), id: ReportId::Int(id), incarnation: 0 };
        rig.keys.reference(&CaseKey::Report(report))
    };
    let of_report = rig.rang(20, &rig.p0_reference("1")).await;
    let of_ticket = rig.rang(20, &ticket(1)).await;
    assert_eq!((&of_report["unverified"], &of_ticket["unverified"]), (&false.into(), &false.into()));

    // Answered late, by the log too: that ends it, and the change of the row ends the other.
    let reply = format!("INSERT INTO actions VALUES (2, 1, {}, 'agent-1', 'reply')", millis());
    desk.execute(AssertSqlSafe(reply)).await.unwrap();
    rig.platform.respond("1", now()).await;
    eventually("nothing fires any more", secs(20), async || {
        let requests = rig.receiver.requests();
        let keys = requests.iter().map(|request| request.body["data"]["alert_key"].as_str().unwrap());
        let firing = keys.filter(|key| rig.receiver.is_firing(key)).count();
        hold(firing == 0, || format!("{firing} firing"))
    })
    .await;
    let requests = rig.receiver.requests();
    let told = requests.iter().flat_map(cases).filter(|case| case["case"] == ticket(2)).count();
    assert_eq!(told, 0, "the ticket that was answered in time rings nobody");
    let metrics = rig.get("/metrics").await.1;
    for source in ["reports", "tickets"] {
        assert!(metrics.contains(&format!("tocsin_poll_database_seconds_count{{source=\"{source}\"}}")), "{metrics}");
        let staleness = format!("tocsin_source_staleness_seconds{{source=\"{source}\",priority=\"P0\"}}");
        assert!(metrics.contains(&staleness), "{metrics}");
    }
    desk.close().await.unwrap();
}
