//! `tocsin explain` as people and scripts call it: the program itself, without a database, over a
//! configuration with calendars, due dates and pauses.

use crate::support::ScratchDir;
use serde_json::Value;
use std::process::{Command, Output};

const CONFIG: &str = r#"
mode = "shadow"

[[sources]]
name     = "reports"
url      = "sqlite:reports.db"
timezone = "UTC"
table    = "reports"
[sources.columns]
id       = "id"
category = "reason"
[sources.events]
received       = "created_at"
first_response = "answered_at"
closed         = "closed_at"
[sources.dues]
due_at = "due_at"

[categories]
minor_safety = ["csam"]
other        = ["threat", "court", "spam", "night", "urgent", "nothing"]

[minor_safety]
targets    = { first_response = "15m", closed = "1h" }
escalation = "on-call"

[[rules]]
name = "threat"
categories = ["threat"]
priority = "P1"
targets = { first_response = "24h", closed = "2h" }
escalation = "on-call"

[[rules]]
name = "court"
categories = ["court"]
priority = "P2"
targets = { closed = { due = "due_at" } }
escalation = "on-call"

[[rules]]
name = "spam"
categories = ["spam"]
priority = "P4"
targets = { closed = { within = "16h", calendar = "office" } }
escalation = "on-call"

[[rules]]
name = "night"
categories = ["night"]
priority = "P3"
targets = { closed = { within = "7h", calendar = "nights" } }
escalation = "on-call"

[[rules]]
name = "urgent"
categories = ["urgent"]
priority = "P1"
targets = { closed = "0s" }
escalation = "on-call"

[calendars.office]
timezone = "Europe/Berlin"
hours    = "Mo-Fr 09:00-17:00"
holidays = "DE"
closed   = ["2026-12-24"]
open     = { "2026-12-27" = "10:00-14:00" }

[calendars.nights]
timezone = "Europe/Berlin"
hours    = "Sa 22:00-06:00"

[[escalations]]
name  = "on-call"
steps = [{ at = "0m", notify = ["log"] }]

[store]
url = "sqlite:store.db"
"#;

fn explain(arguments: &[&str]) -> Output {
    let scratch = ScratchDir::new("explain");
    let file = scratch.path().join("tocsin.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    command.args(["explain", "--config"]).arg(&file).args(arguments);
    let output = command.env_remove("TOCSIN_SOURCE_URL").output().unwrap();
    assert!(!scratch.path().join("store.db").exists(), "a what-if needs no database");
    output
}

fn json(arguments: &str) -> Value {
    let output = explain(&arguments.split_whitespace().chain(["--json"]).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn target<'j>(explained: &'j Value, name: &str) -> &'j Value {
    let targets = explained["targets"].as_array().unwrap();
    targets.iter().find(|target| target["name"] == name).unwrap()
}

/// (from, until, counted, why) of each stretch; that the walk has no gap and its counted stretches sum to
/// what has elapsed holds of every target that any test here asks for.
fn walk(target: &Value) -> Vec<(&str, &str, bool, &str)> {
    let steps = target["walk"].as_array().unwrap();
    let walk: Vec<_> = steps
        .iter()
        .map(|step| {
            let counted = step["counted"].as_bool().unwrap();
            (step["from"].as_str().unwrap(), step["until"].as_str().unwrap(), counted, step["why"].as_str().unwrap())
        })
        .collect();
    assert!(walk.windows(2).all(|pair| pair[0].1 == pair[1].0), "the walk has a gap: {walk:?}");
    let secs = |text: &str| tocsin::zone::parse_local_or_rfc3339(text, tocsin::zone::Zone::UTC).unwrap().micros();
    let counted = walk.iter().filter(|step| step.2).map(|step| secs(step.1) - secs(step.0)).sum::<i64>();
    assert_eq!(Some(counted / 1_000_000), target["elapsed_secs"].as_i64());
    walk
}

fn facts(target: &Value) -> (Option<&str>, i64, &str) {
    walk(target);
    (target["deadline"].as_str(), target["elapsed_secs"].as_i64().unwrap(), target["state"].as_str().unwrap())
}

#[test]
fn the_json_names_priority_rule_and_for_each_target_its_events_deadline_elapsed_state_and_walk() {
    let explained = json(
        "--category threat --received 2026-06-01T10:00:00Z --event first_response=2026-06-01T10:30:00Z \
         --until 2026-06-01T11:00:00Z",
    );
    assert_eq!((&explained["priority"], &explained["rule"]), (&Value::from("P1"), &Value::from("threat")));
    let answered = target(&explained, "first_response");
    assert_eq!((&answered["from"], &answered["until"]), (&Value::from("received"), &Value::from("first_response")));
    assert_eq!(facts(answered), (Some("2026-06-02T10:00:00Z"), 1_800, "met"));
    let closed = target(&explained, "closed");
    assert_eq!(facts(closed), (Some("2026-06-01T12:00:00Z"), 3_600, "running"));
    assert_eq!(walk(closed), [("2026-06-01T10:00:00Z", "2026-06-01T11:00:00Z", true, "wall time")]);
    let keys: Vec<&String> = closed.as_object().unwrap().keys().collect();
    for key in ["name", "from", "until", "deadline", "elapsed_secs", "state", "walk"] {
        assert!(keys.iter().any(|known| *known == key), "{key} is missing of {keys:?}");
    }
}

#[test]
fn holidays_and_nights_do_not_count_and_the_walk_says_so() {
    let explained = json("--category spam --received 2026-04-30T14:00:00Z --until 2026-05-05T12:00:00Z");
    let closed = target(&explained, "closed");
    assert_eq!(facts(closed), (Some("2026-05-05T14:00:00Z"), 14 * 3_600, "running"));
    let expected = [
        ("2026-04-30T14:00:00Z", "2026-04-30T15:00:00Z", true, "open"),
        ("2026-04-30T15:00:00Z", "2026-05-04T07:00:00Z", false, "closed"),
        ("2026-05-04T07:00:00Z", "2026-05-04T15:00:00Z", true, "open"),
        ("2026-05-04T15:00:00Z", "2026-05-05T07:00:00Z", false, "closed"),
        ("2026-05-05T07:00:00Z", "2026-05-05T12:00:00Z", true, "open"),
    ];
    assert_eq!(walk(closed), expected, "the first of May is a holiday in Germany");
}

#[test]
fn own_dates_close_and_open_the_calendar() {
    let explained = json("--category spam --received 2026-12-23T08:00:00Z --until 2026-12-28T07:30:00Z");
    let closed = target(&explained, "closed");
    assert_eq!(closed["deadline"], "2026-12-28T12:00:00Z", "8 hours, none for four days, 4 on the Sunday, 4 more");
    let sunday = walk(closed).into_iter().filter(|step| step.2).nth(1);
    assert_eq!(sunday, Some(("2026-12-27T09:00:00Z", "2026-12-27T13:00:00Z", true, "open")));
}

#[test]
fn a_night_is_as_long_as_the_clock_change_makes_it_and_time_used_up_at_closing_is_due_at_closing() {
    let due = |received: &str| {
        let explained = json(&format!("--category night --received {received} --until 2026-12-01T00:00:00Z"));
        target(&explained, "closed")["deadline"].as_str().unwrap().to_owned()
    };
    assert_eq!(due("2026-03-28T20:00:00Z"), "2026-03-29T04:00:00Z", "the spring night has seven hours");
    assert_eq!(
        due("2026-10-24T19:00:00Z"),
        "2026-10-25T03:00:00Z",
        "the autumn night has nine, and seven are over at 04:00"
    );
    assert_eq!(due("2026-06-06T19:00:00Z"), "2026-06-07T03:00:00Z");
}

#[test]
fn l08_a_wall_clock_target_counts_real_hours_across_a_clock_change() {
    let explained = json("--category threat --received 2026-03-28T12:00:00+01:00 --until 2026-03-28T12:00:00Z");
    assert_eq!(target(&explained, "first_response")["deadline"], "2026-03-29T11:00:00Z");
}

#[test]
fn a_pause_moves_a_deadline_out_but_none_of_p0() {
    let asked = |category: &str| {
        json(&format!(
            "--category {category} --received 2026-06-01T10:00:00Z \
             --pause 2026-06-01T10:30:00Z/2026-06-01T11:30:00Z --until 2026-06-01T12:30:00Z"
        ))
    };
    let (threat, csam) = (asked("threat"), asked("csam"));
    let closed = target(&threat, "closed");
    assert_eq!(facts(closed), (Some("2026-06-01T13:00:00Z"), 5_400, "running"));
    assert_eq!(walk(closed)[1], ("2026-06-01T10:30:00Z", "2026-06-01T11:30:00Z", false, "paused"));
    assert_eq!(csam["priority"], "P0");
    let closed = target(&csam, "closed");
    assert_eq!(facts(closed), (Some("2026-06-01T11:00:00Z"), 9_000, "breached"));
    assert_eq!(walk(closed).len(), 1);
}

#[test]
fn a_due_date_that_the_source_states_is_the_deadline_and_without_one_there_is_no_clock() {
    let base = "--category court --received 2026-06-01T10:00:00Z --until 2026-06-02T00:00:00Z";
    let stated = json(&format!("{base} --due due_at=2026-06-05T12:00:00+02:00"));
    assert_eq!(facts(target(&stated, "closed")), (Some("2026-06-05T10:00:00Z"), 50_400, "running"));
    let silent = json(base);
    let closed = target(&silent, "closed");
    assert_eq!((closed["deadline"].as_str(), closed["state"].as_str()), (None, Some("not_started")));
}

#[test]
fn no_time_at_all_is_due_at_once_and_met_only_in_the_same_instant() {
    let base = "--category urgent --received 2026-06-01T10:00:00Z --until 2026-06-01T10:00:01Z";
    let (open, closed) = (json(base), json(&format!("{base} --event closed=2026-06-01T10:00:00Z")));
    assert_eq!(facts(target(&open, "closed")), (Some("2026-06-01T10:00:00Z"), 1, "breached"));
    assert_eq!(facts(target(&closed, "closed")), (Some("2026-06-01T10:00:00Z"), 0, "met"));
}

#[test]
fn a_target_met_at_its_deadline_is_met_and_a_microsecond_later_is_met_late() {
    let asked = |at: &str| {
        let base = "--category threat --received 2026-06-01T10:00:00Z --until 2026-06-01T13:00:00Z";
        let explained = json(&format!("{base} --event closed={at}"));
        facts(target(&explained, "closed")).2.to_owned()
    };
    assert_eq!(asked("2026-06-01T12:00:00Z"), "met");
    assert_eq!(asked("2026-06-01T12:00:00.000001Z"), "met_late");
}

#[test]
fn a_category_that_nobody_named_is_explained_as_p0() {
    let explained = json("--category never_seen --received 2026-06-01T10:00:00Z --until 2026-06-01T10:01:00Z");
    assert_eq!((&explained["priority"], &explained["rule"]), (&Value::from("P0"), &Value::from("minor safety")));
}

#[test]
fn what_cannot_be_read_is_refused_with_what_would_be_right() {
    let complaint = |arguments: &str| {
        let output = explain(&arguments.split_whitespace().collect::<Vec<_>>());
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let base = "--category spam --received 2026-06-01T10:00:00Z";
    assert!(complaint(&format!("{base} --event answered=2026-06-01T10:00:00Z")).contains("first_response"));
    assert!(complaint(&format!("{base} --event closed")).contains("'='"));
    assert!(complaint(&format!("{base} --pause 2026-06-02T00:00:00Z/2026-06-01T00:00:00Z")).contains("ends before"));
    assert!(complaint(&format!("{base} --until 2026-05-01T00:00:00Z")).contains("--received"));
    assert!(complaint("--category spam --received yesterday").contains("--received"));
}
