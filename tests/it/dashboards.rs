//! The dashboards and rules that ship with tocsin keep Grafana's conventions, and name no metric that tocsin
//! doesn't have. That every expression returns data on a real Prometheus is held by `binary::observed`.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const DASHBOARDS: [&str; 3] = ["paging-and-health", "queue-now", "sla-compliance"];

pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

fn dashboard(name: &str) -> Value {
    let path = directory().join(format!("grafana/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every panel but rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|panel| panel["type"] != "row").collect()
}

/// Every expression with the title of its panel.
pub fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in DASHBOARDS {
        for panel in panels(&dashboard(name)) {
            let title = panel["title"].as_str().unwrap();
            let targets = panel["targets"].as_array().unwrap().iter();
            found.extend(
                targets.map(|target| (format!("{name}: {title}"), target["expr"].as_str().unwrap().to_owned())),
            );
        }
    }
    found
}

/// Every rule's name with its expression; alerts begin with a capital letter.
pub fn rules() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(directory().join("prometheus/tocsin.rules.yml")).unwrap();
    let mut found = Vec::new();
    for rule in text.split("\n      - ").skip(1) {
        let (head, rest) = rule.split_once('\n').unwrap();
        let name = head.trim_start_matches("record: ").trim_start_matches("alert: ").to_owned();
        let lines = rest.lines().skip(1).take_while(|line| line.starts_with("          "));
        found.push((name, lines.map(str::trim).collect::<Vec<_>>().join(" ")));
    }
    found
}

/// The names of metrics in an expression: words that begin as ours do.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.starts_with("tocsin_")).map(str::to_owned).collect()
}

#[test]
fn every_dashboard_is_classic_json_with_datasource_job_and_instance_to_choose() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        assert_eq!((&dashboard["schemaVersion"], &dashboard["editable"]), (&42.into(), &false.into()), "{name}");
        assert!(dashboard.get("__inputs").is_none() && dashboard.get("__requires").is_none(), "{name}");
        assert_eq!(dashboard["uid"].as_str().unwrap(), format!("tocsin-{name}"));
        assert!(dashboard["title"].as_str().unwrap().starts_with("tocsin / ") && !dashboard["description"].is_null());
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let named = |wanted: &str| variables.iter().find(|variable| variable["name"] == wanted).unwrap();
        let datasource = named("datasource");
        assert_eq!((&datasource["type"], &datasource["query"]), (&"datasource".into(), &"prometheus".into()));
        for variable in [named("job"), named("instance")] {
            let place = format!("{name}: {}", variable["name"]);
            assert_eq!((&variable["type"], &variable["label"]), (&"query".into(), &variable["name"]), "{place}");
            assert_eq!((&variable["multi"], &variable["allValue"]), (&true.into(), &".+".into()), "{place}");
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{place}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_where_it_comes_from() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let (mut ids, mut titles, mut places) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            let place = format!("{name}: {title}");
            assert!(ids.insert(panel["id"].as_i64().unwrap()) && titles.insert(title), "{place}: twice");
            let grid = &panel["gridPos"];
            let (x, y, w) = (grid["x"].as_i64().unwrap(), grid["y"].as_i64().unwrap(), grid["w"].as_i64().unwrap());
            assert!(places.insert((x, y)) && x + w <= 24, "{place}: {grid}");
            let description = panel["description"].as_str().unwrap_or_default();
            assert!(description.len() > 30 && description.ends_with('.'), "{place}: {description}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(defaults["unit"].as_str().is_some_and(|unit| !unit.is_empty()), "{place}: no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{place}");
            }
            if panel["type"] == "stat" {
                let steps = defaults["thresholds"]["steps"].as_array().unwrap();
                assert!(!steps.is_empty() && steps[0]["value"].is_null(), "{place}");
                assert!(title == "Running since" || defaults["noValue"].is_string(), "{place}: absent reads as nothing");
            }
        }
        assert!(titles.len() >= 9, "{name}: {} panels", titles.len());
    }
}

#[test]
fn colours_are_those_that_colour_blind_readers_tell_apart() {
    const OKABE_ITO: [&str; 9] =
        ["#0072B2", "#E69F00", "#D55E00", "#56B4E9", "#CC79A7", "#8C8C8C", "#009E73", "#F0E442", "#000000"];
    for name in DASHBOARDS {
        let text = dashboard(name).to_string();
        for (at, _) in text.match_indices("\"#") {
            let colour = &text[at + 1..at + 8];
            assert!(OKABE_ITO.contains(&colour), "{name}: {colour}");
        }
        for word in ["\"red\"", "\"green\"", "semi-dark", "dark-red"] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn every_selector_follows_job_and_instance_and_counters_stand_only_inside_a_rate() {
    let functions = ["rate(", "increase(", "irate("];
    for (place, expression) in expressions() {
        let mut rest = expression.as_str();
        while let Some(at) = rest.find("tocsin_") {
            let before = &rest[..at];
            let recorded = before.ends_with(':');
            let name: String = rest[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c)).collect();
            let after = &rest[at + name.len()..];
            let wanted = if recorded || name.contains(':') { "{job=~\"$job\"" } else { "{job=~\"$job\",instance=~\"$instance\"" };
            assert!(after.starts_with(wanted), "{place}: {name} without {wanted}");
            let counts = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
            if counts {
                assert!(functions.iter().any(|function| before.ends_with(function)), "{place}: {name} outside a rate");
                let window = after[after.find('}').unwrap() + 1..].split(']').next().unwrap();
                assert!(["[$__rate_interval", "[$__range"].contains(&window), "{place}: {name}{window}]");
            }
            rest = after;
        }
    }
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    for arguments in [
        ["check", "rules", "--lint=all", "--lint-fatal", "tocsin.rules.yml"].as_slice(),
        &["test", "rules", "tocsin.rules.test.yml"],
        &["check", "config", "prometheus.yml"],
    ] {
        let command = Command::new("promtool").args(arguments).current_dir(directory().join("prometheus")).output();
        let output = command.expect("start promtool; tests/run installs it with Debian's prometheus");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    }
}

#[test]
fn every_rule_is_read_and_every_alert_has_a_severity_and_says_what_to_do() {
    let (rules, text) = (rules(), std::fs::read_to_string(directory().join("prometheus/tocsin.rules.yml")).unwrap());
    let alerts = rules.iter().filter(|(name, _)| name.starts_with("Tocsin")).count();
    assert_eq!((rules.len(), alerts), (22, 15));
    for needed in ["severity: ", "summary: ", "description: "] {
        assert_eq!(text.matches(&format!(" {needed}")).count(), alerts, "{needed}");
    }
    assert!(rules.iter().all(|(_, expression)| expression.contains("tocsin_")), "{rules:?}");
}
