//! How the monitor speaks of its own sight: status, rejects, doctor and init, over real databases.

use super::platform::Base;
use super::process::{NO_VARIABLES, run};
use super::rig::{Rig, free_port};
use super::{eventually, hold, now, secs};
use serde_json::Value;
use tocsin::core::case::Conclusion;
use tocsin::core::id::{CaseKey, EpisodeKey, ReportId, ReportKey};
use tocsin::store::Store;

#[tokio::test]
async fn f12_a_database_that_refuses_is_named_since_when_and_why_wherever_one_looks() {
    let (lite, pg) = (refuses("refuses_lite", Base::Sqlite), refuses("refuses_pg", Base::Postgres));
    tokio::join!(lite, pg, refuses("refuses_my", Base::Mysql));
}

async fn refuses(hint: &str, source: Base) {
    let mut rig = Rig::new(hint, source, Base::Sqlite).await;
    rig.settings.blind = "stale_after = \"4s\"";
    rig.platform.file("seen", "spam", now()).await;
    let monitor = rig.start();
    rig.is_ready().await;
    let all = ["status", "--config", "tocsin.toml"];
    let (code, text, told) = run(rig.scratch.path(), &all, &rig.variables());
    assert!(code == 0 && text.contains("source     reports: seen"), "{code} {text} {told}");
    assert!(rig.get("/metrics").await.1.contains("tocsin_open_cases{"));

    rig.platform.goes_away().await;
    rig.is_unready(30, &["\"kind\":\"refused\"", "not seen since"]).await;
    let (code, text, _) = run(rig.scratch.path(), &all, &rig.variables());
    assert!(code == 1 && text.contains("BLIND    refused since 20") && text.contains("cannot connect"), "{text}");
    let (_, json, _) = run(rig.scratch.path(), &[&all[..], &["--json"]].concat(), &rig.variables());
    let body: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&body["ready"], &body["sources"][0]["blind"][0]["kind"]), (&false.into(), &"refused".into()));
    let metrics = rig.get("/metrics").await.1;
    assert!(!metrics.contains("tocsin_open_cases{"), "an unseen source has no figures: {metrics}");
    assert!(metrics.contains("tocsin_source_blind{source=\"reports\",kind=\"refused\"} 1"), "{metrics}");
    monitor.says(10, &["ERROR", "blind: the database can't be reached", "refused", "reports"]).await;

    rig.platform.comes_back().await;
    rig.is_ready().await;
    monitor.says(10, &["no longer blind", "refused"]).await;
    eventually("the page about it is taken back", secs(15), async || {
        let requests = rig.receiver.requests();
        let (rings, resolved): (Vec<_>, Vec<_>) =
            requests.iter().partition(|request| request.kind() == "incident.ring");
        hold((rings.len(), resolved.len()) == (1, 1), || format!("{} rings, {} resolved", rings.len(), resolved.len()))
    })
    .await;
}

#[tokio::test]
async fn f13_what_vanished_or_was_closed_while_the_monitor_was_down_has_an_outcome_after_the_next_start() {
    let lite = vanishes("vanish_lite", Base::Sqlite, Base::Postgres);
    let pg = vanishes("vanish_pg", Base::Postgres, Base::Sqlite);
    tokio::join!(lite, pg, vanishes("vanish_my", Base::Mysql, Base::Sqlite));
}

async fn vanishes(hint: &str, source: Base, store: Base) {
    let rig = Rig::new(hint, source, store).await;
    for id in ["stays", "gone", "closed"] {
        rig.platform.file(id, "spam", now()).await;
    }
    let mut monitor = rig.start();
    rig.is_ready().await;
    let name = "reports".into();
    eventually("the open reports are remembered", secs(20), async || {
        let store = rig.store().await;
        let segment = store.segment(&name, 0, 1_000_000).await.unwrap();
        store.close().await;
        let known = segment.map_or(0, |(_, segment)| segment.reports.len());
        hold(known == 3, || format!("{known} are"))
    })
    .await;
    monitor.signal("TERM");
    monitor.ends(20).await;
    rig.platform.sql("delete from reports where id = 'gone'").await;
    rig.platform.close("closed").await;

    let _monitor = rig.start();
    let episode = |id: &str| EpisodeKey {
        case: CaseKey::Report(ReportKey { source: "reports".into(), id: ReportId::Text(id.into()), incarnation: 0 }),
        episode: 0,
    };
    eventually("both have an outcome", secs(20), async || {
        let store = rig.store().await;
        let (gone, closed) = (store.outcome(&episode("gone")).await, store.outcome(&episode("closed")).await);
        let stays = store.outcome(&episode("stays")).await.unwrap();
        store.close().await;
        let found = [gone.unwrap(), closed.unwrap()].map(|outcome| outcome.map(|outcome| outcome.conclusion));
        let wanted = [Some(Conclusion::Vanished), Some(Conclusion::Violation)];
        hold(found == wanted && stays.is_none(), || format!("{found:?}"))
    })
    .await;
}

#[tokio::test]
async fn f03_a_minor_s_report_that_came_and_was_closed_while_nobody_watched_rings_all_the_same() {
    let lite = comes_and_goes("unseen_lite", Base::Sqlite, Base::Postgres);
    let pg = comes_and_goes("unseen_pg", Base::Postgres, Base::Sqlite);
    tokio::join!(lite, pg, comes_and_goes("unseen_my", Base::Mysql, Base::Sqlite));
}

async fn comes_and_goes(hint: &str, source: Base, store: Base) {
    let rig = Rig::new(hint, source, store).await;
    rig.platform.file("seen", "spam", now()).await;
    let mut monitor = rig.start();
    rig.is_ready().await;
    eventually("it is noted that the source was in sight", secs(60), async || {
        let store = rig.store().await;
        let stretches = store.watched(now().minus(secs(600)), now()).await.unwrap();
        store.close().await;
        hold(stretches.iter().any(|stretch| &*stretch.source == "reports"), || format!("{stretches:?}"))
    })
    .await;
    monitor.signal("TERM");
    monitor.ends(20).await;
    rig.platform.file("unseen", "csam", now()).await;
    rig.platform
        .sql("update reports set resolved_at = created_at, resolved_by = 'automod', resolution = 'none' where id = 'unseen'")
        .await;
    let _monitor = rig.start();
    rig.rang(30, &rig.p0_reference("unseen")).await;
    assert_eq!(rig.rings().len(), 1);
}

#[tokio::test]
async fn rejects_lists_what_cannot_be_read_and_why_and_never_what_stands_there() {
    let rig = Rig::new("rejects", Base::Sqlite, Base::Postgres).await;
    let insert = "insert into reports (id, item, reason, created_at) values";
    rig.platform
        .sql(&format!(
            "{insert} ('odd', 'item-odd', 'spam', 'canary-noon'); {insert} (null, 'x', 'spam', '2026-01-01T00:00:00Z');"
        ))
        .await;
    let _monitor = rig.start();
    rig.is_ready().await;
    let rejects = |json: bool| {
        let arguments: &[&str] = if json { &["rejects", "--json"] } else { &["rejects"] };
        run(rig.scratch.path(), arguments, &rig.variables())
    };
    eventually("both are listed", secs(15), async || {
        let (code, text, told) = rejects(false);
        let both = text.contains("reports odd: created_at no time in the mapped encoding")
            && text.contains("reports: 1 row with id NULL, where every report needs an id");
        hold(code == 0 && both && !text.contains("canary"), || format!("{text}{told}"))
    })
    .await;
    let (_, json, _) = rejects(true);
    let body: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(body["totals"].as_array().unwrap().len(), 2, "{json}");
    assert!(
        body["rejects"].as_array().unwrap().iter().any(|row| row["report"] == "odd" && row["count"] == 1),
        "{json}"
    );
    let sequence = rig.sequence().await;
    super::throughout("rows that stay broken write nothing", secs(4), async || {
        // One write an hour is allowed: that the hour was watched.
        let now = rig.sequence().await;
        hold(now <= sequence + 1, || format!("{sequence} became {now}"))
    })
    .await;
}

#[tokio::test]
async fn init_writes_what_it_found_and_does_not_load_before_a_person_has_sorted_the_categories() {
    let (lite, pg) = (sorts("init_lite", Base::Sqlite), sorts("init_pg", Base::Postgres));
    tokio::join!(lite, pg, sorts("init_my", Base::Mysql));
}

async fn sorts(hint: &str, source: Base) {
    let rig = Rig::new(hint, source, Base::Sqlite).await;
    for (id, reason) in [("1", "csam"), ("2", "spam"), ("3", "spam")] {
        rig.platform.file(id, reason, now()).await;
    }
    if source == Base::Postgres {
        let another = "CREATE SCHEMA archive; CREATE TABLE archive.reports (LIKE reports); GRANT USAGE ON SCHEMA archive TO PUBLIC; \
                       GRANT SELECT ON archive.reports TO PUBLIC";
        rig.platform.sql(another).await;
    }
    let at = rig.scratch.path();
    let arguments = ["init", "--url", &rig.settings.source_url, "--output", "new.toml"];
    let (code, _, told) = run(at, &arguments, NO_VARIABLES);
    assert_eq!(code, 0, "{told}");
    let (code, _, told) = run(at, &["check", "--config", "new.toml"], NO_VARIABLES);
    assert!(code == 78 && told.contains("2 categories are not sorted yet"), "{code} {told}");
    let text = std::fs::read_to_string(at.join("new.toml")).unwrap();
    assert!(text.contains("\"spam\",") && text.contains("# 2 reports") && text.contains("# 1 reports"), "{text}");
    let (head, rest) = text.split_once("minor_safety = []").unwrap();
    let (_, tail) = rest.split_once("]\n# minor_when").unwrap();
    let sorted = format!("{head}minor_safety = [\"csam\"]\nother = [\"spam\"]\n# minor_when{tail}");
    std::fs::write(at.join("sorted.toml"), sorted).unwrap();
    let (code, summary, told) = run(at, &["check", "--config", "sorted.toml"], NO_VARIABLES);
    assert_eq!(code, 0, "{summary}{told}");
    assert!(summary.contains("lacks columns.case: F1"), "what can't be enforced is said: {summary}");
    let refused = ["init", "--url", "postgres://nobody@127.0.0.1:9/x", "--output", "never.toml"];
    let (code, _, told) = run(at, &refused, NO_VARIABLES);
    assert!(code == 1 && told.contains("refused") && !at.join("never.toml").exists(), "{code} {told}");
}

#[tokio::test]
async fn doctor_names_the_true_cause_a_wrong_zone_an_unsorted_category_and_prints_the_missing_index() {
    let lite = doctor("doctor_lite", Base::Sqlite, Base::Sqlite);
    let pg = doctor("doctor_pg", Base::Postgres, Base::Postgres);
    tokio::join!(lite, pg, doctor("doctor_my", Base::Mysql, Base::Sqlite));
}

async fn doctor(hint: &str, source: Base, store: Base) {
    let mut rig = Rig::new(hint, source, store).await;
    rig.platform.file("early", "brand_new", now().plus(secs(7_200))).await;
    rig.write_config();
    let look = |rig: &Rig| -> (i32, Vec<(String, String)>, Vec<String>) {
        let (code, json, told) = run(rig.scratch.path(), &["doctor", "--json"], &rig.variables());
        let body: Value = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}: {json}{told}"));
        let found = body["findings"].as_array().unwrap().clone();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let said = found.iter().map(|f| (text(f, "verdict"), format!("{}: {}", text(f, "about"), text(f, "what"))));
        (code, said.collect(), found.iter().map(|f| text(f, "advice")).collect())
    };
    let said = |found: &[(String, String)], verdict: &str, words: &str| {
        assert!(found.iter().any(|(v, what)| v == verdict && what.contains(words)), "{verdict} {words}: {found:#?}");
    };
    let (code, found, advice) = look(&rig);
    assert_eq!(code, 0, "{found:#?}");
    said(&found, "warning", "source reports: the newest report was received in the future");
    said(&found, "warning", "no list names them: brand_new (1)");
    said(&found, "warning", "no index leads with the id");
    said(&found, "note", "F9: that what was confirmed is also filed can't be seen");
    said(&found, "fine", "channel hook: reached");
    said(&found, "fine", "store: ");
    let create = advice.iter().find(|advice| advice.starts_with("CREATE INDEX")).unwrap();
    rig.platform.sql(create).await;
    rig.platform.sql("update reports set reason = 'spam'").await;
    rig.platform.file("now", "spam", now()).await;
    rig.platform.sql("delete from reports where id = 'early'").await;
    let (_, found, _) = look(&rig);
    assert!(!found.iter().any(|(verdict, _)| verdict == "warning"), "what was advised helps: {found:#?}");
    said(&found, "fine", "all 1 categories are sorted");

    rig.platform.goes_away().await;
    rig.settings.hook_url = format!("http://127.0.0.1:{}/hook", free_port());
    let (code, found, _) = look(&rig);
    assert_eq!(code, 1, "{found:#?}");
    said(&found, "broken", "source reports: cannot connect");
    said(&found, "broken", "channel hook: ");
    assert!(!found.iter().any(|(_, what)| what.contains("pool timed out")), "{found:#?}");
}
