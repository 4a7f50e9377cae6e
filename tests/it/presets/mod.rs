//! Presets over the real tables of each platform, with their indexes: what `init --preset` writes is judged by check
//! and doctor, and then reads a report's whole life as the platform writes it.

mod discourse;
mod lemmy;
mod mastodon;
mod ozone;
mod pixelfed;
mod synapse;

use crate::binary::process::{NO_VARIABLES, run};
use crate::kit::minute;
use crate::source_reading::postgres::Database;
use crate::support::ScratchDir;
use crate::watching::Desk;
use serde_json::Value;
use tocsin::config::{Config, Mode};
use tocsin::core::case::Case;
use tocsin::core::observation::{Actor, Received, Verdict};
use tocsin::core::policy::Standing;
use tocsin::core::time::{Span, Timestamp};

const SECOND: Span = Span::from_secs(1);

/// What `init --preset` writes for a database, after check and doctor have judged it.
async fn written(preset: &str, url: &str) -> Config {
    let scratch = ScratchDir::new(&format!("preset_{preset}"));
    let at = scratch.path();
    let (code, _, told) = run(at, &["init", "--preset", preset, "--url", url, "--output", "tocsin.toml"], NO_VARIABLES);
    assert_eq!(code, 0, "{told}");
    assert!(told.lines().filter(|line| line.starts_with("* ")).count() >= 3, "what it could not know is told: {told}");
    let (code, summary, told) = run(at, &["check"], NO_VARIABLES);
    assert_eq!(code, 0, "{summary}{told}");
    let (code, json, told) = run(at, &["doctor", "--json"], NO_VARIABLES);
    let body: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}{told}"));
    let findings = body["findings"].as_array().unwrap();
    assert_eq!(code, 0, "nothing is broken: {findings:#?}");
    for finding in findings.iter().filter(|finding| finding["verdict"] == "warning") {
        let advice = finding["advice"].as_str().unwrap_or_default();
        assert!(!advice.is_empty(), "each warning has an advice: {finding:#?}");
        assert!(!advice.contains("(SELECT"), "an advice of an index is of a table: {finding:#?}");
    }
    let config = Config::load(&at.join("tocsin.toml"), &|_| None, minute(0)).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(config.mode, Mode::Shadow));
    config
}

/// A monitor of one of the sources that a preset wrote.
fn watch(config: &Config, source: &str) -> Desk {
    let settings = config.sources.iter().find(|settings| &*settings.name == source);
    Desk::with(settings.expect("a source of this name").clone(), config.policy.clone())
}

/// The next poll, and the events of a report as it saw them: "closed by 5".
async fn told(desk: &mut Desk, id: &str) -> Vec<String> {
    desk.poll_after(SECOND).await;
    let row = desk.seen[id].as_ref().unwrap_or_else(|| panic!("{id} is gone"));
    let by = |actor: &Actor| match actor {
        Actor::Unmapped => "nobody named".to_owned(),
        Actor::Person(name) => name.to_string(),
        Actor::Automated => "a script".to_owned(),
        Actor::Unknown => "nobody known".to_owned(),
    };
    row.events.iter().map(|event| format!("{} by {}", event.name.as_str(), by(&event.by))).collect()
}

fn received(desk: &Desk, id: &str) -> Timestamp {
    match desk.seen[id].as_ref().unwrap().received {
        Received::At(at) => at,
        Received::Unreadable => panic!("{id} was received at no time"),
    }
}

fn verdict(desk: &Desk, id: &str) -> Verdict {
    desk.seen[id].as_ref().unwrap().verdict
}

/// The case that holds a report.
fn case_of(desk: &Desk, id: &str) -> Case {
    let found = desk.core.cases().find(|case| case.reports.keys().any(|key| key.id.to_string() == id));
    found.unwrap_or_else(|| panic!("no case holds {id}"))
}

fn holds(desk: &Desk, id: &str) -> bool {
    desk.held().contains(id)
}

fn is_presumed(case: &Case) -> bool {
    case.is_p0() && case.standing == Standing::Presumed
}

#[tokio::test]
async fn a_database_of_another_version_is_told_which_column_it_lacks_and_what_to_do() {
    let database = Database::with(
        "CREATE TABLE reports (id bigserial PRIMARY KEY, created_at timestamp, target_account_id bigint, action_taken boolean);
         CREATE TABLE report_notes (id bigserial PRIMARY KEY, content text, report_id bigint, account_id bigint, created_at timestamp);
         CREATE TABLE admin_action_logs (id bigserial PRIMARY KEY, account_id bigint, action varchar, target_type varchar,
           target_id bigint, created_at timestamp);",
    )
    .await;
    let scratch = ScratchDir::new("preset_misfit");
    let url = database.url();
    let init = ["init", "--preset", "mastodon", "--url", &url, "--output", "tocsin.toml"];
    let (code, _, told) = run(scratch.path(), &init, NO_VARIABLES);
    assert_eq!(code, 1, "{told}");
    for words in [
        "table reports lacks category, rule_ids, action_taken_at, action_taken_by_account_id; it has id, created_at",
        "there is no table account_warnings",
        "tocsin init --preset mastodon --output tocsin.toml",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!scratch.path().join("tocsin.toml").exists());
    let (code, _, told) = run(scratch.path(), &["init", "--preset", "myspace"], NO_VARIABLES);
    assert!(code == 1 && told.contains("there are discourse, lemmy, mastodon, ozone, pixelfed, synapse"), "{told}");
    database.end().await;
}
