//! The commands that end by themselves: init, check, queue and replay, on real records where there are any.

use super::platform::Base;
use super::process::{NO_VARIABLES, Process, run};
use super::rig::{HOOK_SECRET, Rig, free_port};
use super::{eventually, hold, now, secs, throughout};
use crate::delivery::receiver::Receiver;
use crate::support::{ScratchDir, data_file, load_csv_into_sqlite};
use flate2::read::GzDecoder;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use tocsin::core::time::Span;
use tocsin::weekly::week::Week;
use tocsin::zone::Zone;

#[tokio::test]
async fn what_init_writes_is_accepted_by_check_and_never_overwrites() {
    let scratch = ScratchDir::new("init");
    let at = scratch.path();
    let (code, _, told) = run(at, &["init", "--output", "tocsin.toml"], NO_VARIABLES);
    assert_eq!(code, 0, "{told}");
    let (code, summary, told) = run(at, &["check", "--offline"], NO_VARIABLES);
    assert_eq!(code, 0, "{told}");
    assert!(summary.contains("P0  minor safety"), "{summary}");
    assert_ne!(run(at, &["init", "--output", "tocsin.toml"], NO_VARIABLES).0, 0);
}

#[tokio::test]
async fn check_is_0_for_what_fits_and_78_with_the_place_for_what_does_not() {
    let rig = Rig::new("check", Base::Postgres, Base::Sqlite).await;
    rig.platform.file("one", "brand_new_code", now()).await;
    let template = tocsin_config(&rig.settings.source_url);
    let at = rig.scratch.path();
    std::fs::write(at.join("fits.toml"), &template).unwrap();
    let (code, summary, told) = run(at, &["check", "--config", "fits.toml"], NO_VARIABLES);
    assert_eq!(code, 0, "{told}");
    assert!(summary.contains("PostgreSQL") && summary.contains("brand_new_code (1)"), "{summary}");

    std::fs::write(at.join("column.toml"), template.replace("\"created_at\"", "\"filed_at\"")).unwrap();
    let (code, _, told) = run(at, &["check", "--config", "column.toml"], NO_VARIABLES);
    assert_eq!(code, 78, "{told}");
    assert!(told.contains("has no column filed_at") && told.contains("created_at"), "{told}");

    std::fs::write(at.join("key.toml"), template.replace("poll ", "pole ")).unwrap();
    for command in ["check", "run"] {
        let (code, _, told) = run(at, &[command, "--config", "key.toml"], NO_VARIABLES);
        assert_eq!(code, 78, "{told}");
        assert!(told.contains("key.toml:") && told.contains("pole") && told.contains('^'), "{told}");
    }
}

fn tocsin_config(source_url: &str) -> String {
    format!(
        "mode = \"shadow\"\n[[sources]]\nname = \"reports\"\nurl = \"{source_url}\"\npoll = \"1s\"\ntable = \"reports\"\n\
         [sources.columns]\nid = \"id\"\ncategory = \"reason\"\n[sources.events]\nreceived = \"created_at\"\n\
         first_response = \"responded_at\"\nclosed = \"resolved_at\"\n[categories]\nminor_safety = [\"csam\"]\n\
         other = [\"spam\"]\n[minor_safety]\ntargets = {{ first_response = \"15m\" }}\nescalation = \"all\"\n\
         [[escalations]]\nname = \"all\"\nsteps = [{{ at = \"0m\", notify = [\"log\"] }}]\n"
    )
}

#[tokio::test]
async fn queue_prints_the_ranked_queue_of_the_running_monitor() {
    let rig = Rig::new("queue", Base::Sqlite, Base::Sqlite).await;
    rig.platform.file("lesser", "spam", now().minus(secs(60))).await;
    rig.platform.file("worse", "csam", now()).await;
    let _monitor = rig.start();
    rig.is_ready().await;
    let variables = [("TEST_HOOK_SECRET", HOOK_SECRET)];
    eventually("both are listed, the worse first", secs(10), async || {
        let (code, table, told) = run(rig.scratch.path(), &["queue", "--config", "tocsin.toml"], &variables);
        let places = (table.find("worse"), table.find("lesser"));
        hold(code == 0 && matches!(places, (Some(worse), Some(lesser)) if worse < lesser), || format!("{table}{told}"))
    })
    .await;
    let (code, json, told) = run(rig.scratch.path(), &["queue", "--config", "tocsin.toml", "--json"], &variables);
    assert_eq!(code, 0, "{told}");
    let body: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(body["queue"][0]["report_id"], "worse");
    let (code, _, told) =
        run(rig.scratch.path(), &["queue", "--at", &format!("http://127.0.0.1:{}", free_port())], NO_VARIABLES);
    assert!(code == 1 && told.contains("is `tocsin run`"), "{code} {told}");
}

#[tokio::test]
async fn weekly_and_handover_tell_what_was_missed_beside_the_running_monitor() {
    let rig = Rig::new("weekly_commands", Base::Sqlite, Base::Sqlite).await;
    let _monitor = rig.start();
    rig.is_ready().await;
    rig.platform.file("one", "csam", now()).await;
    rig.rang(20, &rig.p0_reference("one")).await;

    let (code, shift, told) = rig.command(&["handover", "--since", "1h"]);
    assert_eq!(code, 0, "{told}");
    let said = ["Shift of 1h until", "minor safety, open for", "rung once; nobody has taken it", "still unmet"];
    assert!(said.iter().all(|said| shift.contains(said)) && shift.contains("P0 csam first_response"), "{shift}");
    let (code, _, told) = rig.command(&["handover", "--since", "yesterday"]);
    assert!(code != 0 && told.contains("yesterday"), "{code} {told}");

    let week = Week::over_at(now().plus(Span::from_hours(7 * 24)), Zone::UTC).to_string();
    let (code, json, told) = rig.command(&["weekly", "--week", &week, "--format", "json"]);
    assert_eq!(code, 0, "{told}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&report["week"], &report["complete"]), (&week.into(), &false.into()));
    let p0 = &report["priorities"][0];
    assert_eq!(
        (&p0["priority"], &p0["open"], &report["paging"]["incidents_opened"]),
        (&"P0".into(), &1.into(), &1.into())
    );
    let (code, paths, told) = rig.command(&["weekly", "--out", "reports"]);
    assert_eq!(code, 0, "{told}");
    assert!(paths.lines().count() >= 4 && paths.lines().all(|path| rig.scratch.path().join(path).is_file()), "{paths}");
    let (code, _, told) = rig.command(&["weekly", "--week", "2026-W99"]);
    assert!(code != 0 && told.contains("2026-W99"), "{code} {told}");
}

#[tokio::test]
async fn the_replay_of_boston_agrees_with_the_city_in_34292_of_34292_verdicts() {
    let scratch = ScratchDir::new("boston-binary");
    let url = scratch.sqlite_url("boston.db");
    load_csv_into_sqlite(&data_file("boston311/reports.csv.gz"), &url, "reports").await;
    let config = data_file("boston311/tocsin.toml");
    let arguments = [
        "replay",
        "--config",
        config.to_str().unwrap(),
        "--until",
        "2016-01-13T00:00:00 America/New_York",
        "--breaches",
        "breaches.csv",
    ];
    let (code, _, told) = run(scratch.path(), &arguments, &[("TOCSIN_SOURCE_URL", &url)]);
    assert_eq!(code, 0, "{told}");
    let mut breaches = csv::Reader::from_path(scratch.path().join("breaches.csv")).unwrap();
    let columns = "report_id,case,rule,priority,target,deadline,detected_at,basis";
    assert_eq!(breaches.headers().unwrap().iter().collect::<Vec<_>>().join(","), columns);
    let breached: BTreeSet<String> = breaches.records().map(|record| record.unwrap()[0].to_owned()).collect();

    let (mut judged, mut agreed) = (0, 0);
    for (id, verdict) in verdicts(&data_file("boston311/reports.csv.gz")) {
        judged += 1;
        agreed += u32::from(breached.contains(&id) == (verdict == "OVERDUE"));
    }
    assert_eq!((judged, agreed), (34_292, 34_292));
}

/// Reports with the verdict of their owner; nine have none.
fn verdicts(csv_gz: &Path) -> Vec<(String, String)> {
    let mut csv = csv::Reader::from_reader(GzDecoder::new(File::open(csv_gz).unwrap()));
    let at = |name: &str, headers: &csv::StringRecord| headers.iter().position(|header| header == name).unwrap();
    let headers = csv.headers().unwrap().clone();
    let (id, verdict) = (at("report_id", &headers), at("sla_verdict", &headers));
    let rows = csv.records().map(|row| row.unwrap());
    rows.map(|row| (row[id].to_owned(), row[verdict].to_owned())).filter(|(_, verdict)| !verdict.is_empty()).collect()
}

#[tokio::test]
async fn a_first_start_on_11125_open_reports_is_a_handful_of_pages_in_a_replay() {
    let scratch = ScratchDir::new("urlhaus-replay");
    let url = scratch.sqlite_url("urlhaus.db");
    load_csv_into_sqlite(&data_file("urlhaus/reports.csv.gz"), &url, "reports").await;
    let config = data_file("urlhaus/tocsin.toml");
    let arguments = [
        "replay",
        "--config",
        config.to_str().unwrap(),
        "--from",
        "2025-04-21T12:36:00Z",
        "--until",
        "2025-04-21T13:36:00Z",
        "--breaches",
        "breaches.csv",
        "--pages",
        "pages.ndjson",
    ];
    let (code, summary, told) = run(scratch.path(), &arguments, &[("TOCSIN_SOURCE_URL", &url)]);
    assert_eq!(code, 0, "{told}");
    assert!(summary.contains("11125 reports"), "{summary}");
    let pages = std::fs::read_to_string(scratch.path().join("pages.ndjson")).unwrap();
    let pages: Vec<serde_json::Value> = pages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let breaches = csv::Reader::from_path(scratch.path().join("breaches.csv")).unwrap().into_records().count();
    assert!(breaches > 10_000, "{summary}");
    assert!((1..=15).contains(&pages.len()), "{summary}");
    let counted = pages.iter().map(|page| page["count"].as_u64().unwrap()).max();
    assert!(counted >= Some(10_000), "{counted:?}");
}

#[tokio::test]
async fn a_first_start_on_11125_open_reports_rings_at_most_3_times_in_30_seconds() {
    let scratch = ScratchDir::new("urlhaus-run");
    let url = scratch.sqlite_url("urlhaus.db");
    load_csv_into_sqlite(&data_file("urlhaus/reports.csv.gz"), &url, "reports").await;
    let receiver = Receiver::start(HOOK_SECRET, []).await;
    let text = std::fs::read_to_string(data_file("urlhaus/tocsin.toml")).unwrap();
    let text = text
        .replace("mode = \"shadow\"", "mode = \"live\"")
        .replace("notify = [\"log\"]", "notify = [\"hook\"]")
        .replace(
            "[channels]",
            "[channels]\nhook = { kind = \"webhook\", url_env = \"HOOK\", secret_env = \"SECRET\" }",
        );
    let text = format!("{text}\n[web]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    std::fs::write(scratch.path().join("tocsin.toml"), text).unwrap();
    let variables = [("TOCSIN_SOURCE_URL", url.as_str()), ("HOOK", &receiver.url), ("SECRET", HOOK_SECRET)];
    let mut monitor = Process::start(scratch.path(), "tocsin", &["run"], &variables);
    throughout("few phones ring", secs(30), async || {
        hold(monitor.is_running() && receiver.rings() <= 3, || format!("{} rings", receiver.rings()))
    })
    .await;
    let first = receiver.requests().into_iter().next().expect("a backlog rings");
    assert!(first.body["data"]["count"].as_u64().unwrap() > 10_000, "{}", first.body);
    assert_eq!(receiver.bad_signatures(), 0);
    monitor.signal("TERM");
    assert_eq!(monitor.ends(10).await.code(), Some(0));
}
