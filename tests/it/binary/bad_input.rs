//! Nonsense in the report database: nothing is dropped in silence, everything counts as the strictest it could be, and
//! a mapping that doesn't fit is a clear error from which the monitor recovers by itself.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs, throughout};
use tocsin::core::time::Timestamp;
use tocsin::zone::rfc3339;

#[tokio::test]
async fn rows_of_nonsense_are_taken_for_the_strictest_they_could_be() {
    let lite = nonsense("nonsense_lite", Base::Sqlite, "'the day before yesterday'");
    let pg = nonsense("nonsense_pg", Base::Postgres, "'infinity'");
    tokio::join!(lite, pg, nonsense("nonsense_my", Base::Mysql, "'0000-00-00 00:00:00'"));
}

async fn nonsense(hint: &str, source: Base, unreadable: &str) {
    let mut rig = Rig::new(hint, source, Base::Sqlite).await;
    rig.settings.within = "8s";
    let long_ago = rfc3339(now().minus(secs(3_600)));
    let insert = |id: &str, reason: &str, received: &str| {
        format!(
            "insert into reports (id, item, reason, created_at) values ({id}, 'item-' || {id}, {reason}, {received});"
        )
    };
    let text = [
        format!("insert into reports (item, reason, created_at) values ('lost', 'csam', '{long_ago}');"),
        insert("'unreadable'", "'csam'", unreadable),
        insert("'unset'", "'csam'", "null"),
        insert("'future'", "'csam'", &format!("'{}'", rfc3339(now().plus(secs(3_600))))),
        insert("'unknown'", "'brand_new_code'", &format!("'{long_ago}'")),
        insert("'nameless'", "null", &format!("'{long_ago}'")),
        insert("'early'", "'csam'", &format!("'{}'", rfc3339(now()))),
    ];
    rig.platform.sql(&text.concat()).await;
    rig.platform.respond("early", now().minus(secs(600))).await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    let opened = now();
    rig.platform.file("earlier", "threat", opened).await;
    closes_before_its_opening(&rig, "earlier", opened.minus(secs(600))).await;

    for (id, presumed) in
        [("unreadable", false), ("unset", false), ("future", false), ("unknown", true), ("nameless", true)]
    {
        let case = rig.rang(20, &rig.p0_reference(id)).await;
        assert_eq!((&case["priority"], &case["presumed"]), (&"P0".into(), &presumed.into()), "{id}: {case}");
    }
    let past_its_deadline = opened.plus(secs(10)).since(now()).max(secs(2));
    throughout("a closing before the opening is one", past_its_deadline, async || {
        hold(rig.rings().len() == 5, || format!("{:?}", rig.rings()))
    })
    .await;
    monitor.says(1, &["ERROR", "rows without an id"]).await;
    monitor.says(1, &["WARN", "received is unreadable or in the future", "unreadable"]).await;
    monitor.says(1, &["presumed minor safety", "brand_new_code"]).await;
    let (_, metrics) = rig.get("/metrics").await;
    for flaw in ["no_id", "missing"] {
        let count = format!("flaw=\"{flaw}\"");
        let told =
            metrics.lines().any(|line| line.contains("reject") && line.contains(&count) && !line.ends_with(" 0"));
        assert!(told, "{flaw} is not counted: {metrics}");
    }
    assert!(monitor.is_running() && rig.get("/readyz").await.0 == 200);
}

async fn closes_before_its_opening(rig: &Rig, id: &str, at: Timestamp) {
    let at = rfc3339(at);
    rig.platform
        .sql(&format!("update reports set resolved_at = '{at}', resolved_by = 'mod-1' where id = '{id}'"))
        .await;
}

#[tokio::test]
async fn text_in_a_column_of_numbers_is_an_unreadable_time_and_rings_all_the_same() {
    let mut rig = Rig::new("text_number", Base::Sqlite, Base::Sqlite).await;
    rig.settings.received = "{ column = \"created_ms\", unit = \"ms\" }";
    let overdue = now().minus(secs(60)).micros() / 1_000;
    let insert = "insert into reports (id, item, reason, created_ms) values";
    rig.platform
        .sql(&format!(
            "alter table reports add created_ms integer; {insert} ('number', 'item-number', 'csam', {overdue}); \
             {insert} ('text', 'item-text', 'csam', 'soon'); {insert} ('blob', 'item-blob', 'csam', x'00ff');"
        ))
        .await;
    let monitor = rig.start();
    for (id, inherited) in [("number", true), ("text", false), ("blob", false)] {
        let case = rig.rang(20, &rig.p0_reference(id)).await;
        assert_eq!(case["inherited"], inherited, "{id}");
    }
    assert!(!monitor.log().contains("soon"));
}

#[tokio::test]
async fn a_missing_table_or_column_is_named_and_found_when_it_appears() {
    tokio::join!(missing("missing_lite", Base::Sqlite), missing("missing_pg", Base::Postgres));
}

async fn missing(hint: &str, source: Base) {
    let rig = Rig::new(hint, source, Base::Sqlite).await;
    rig.platform.file("waiting", "csam", now().minus(secs(60))).await;
    rig.platform.sql("alter table reports rename to complaints").await;
    let mut monitor = rig.start();
    rig.is_unready(20, &["there is no table reports", "complaints"]).await;
    monitor.says(5, &["ERROR", "there is no table reports; the tables are: complaints"]).await;
    assert_eq!(rig.get("/healthz").await.0, 200);

    rig.platform.sql("alter table complaints rename column created_at to filed_at").await;
    rig.platform.sql("alter table complaints rename to reports").await;
    rig.is_unready(20, &["has no column created_at", "filed_at"]).await;
    assert!(monitor.is_running() && rig.rings().is_empty());

    rig.platform.sql("alter table reports rename column filed_at to created_at").await;
    rig.rang(20, &rig.p0_reference("waiting")).await;
    rig.is_ready().await;
    is_seen_again_after_a_change_while_it_runs(&rig).await;
}

async fn is_seen_again_after_a_change_while_it_runs(rig: &Rig) {
    rig.platform.sql("alter table reports rename column reason to why").await;
    eventually("the missing column is named", secs(20), async || {
        let (_, status) = rig.get("/api/v1/status").await;
        hold(status.contains("has no column reason"), || status)
    })
    .await;
    rig.platform.sql("alter table reports rename column why to reason").await;
    rig.platform.file("afterwards", "csam", now().minus(secs(60))).await;
    rig.rang(20, &rig.p0_reference("afterwards")).await;
}
