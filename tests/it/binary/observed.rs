//! What Prometheus and Grafana see of a running monitor: a real Prometheus scrapes the demo, and every expression
//! of the dashboards and rules that ship with tocsin returns data.

use super::process::Process;
use super::rig::{free_port, get};
use super::{eventually, secs};
use crate::dashboards::{directory, expressions, metrics, rules};
use crate::support::ScratchDir;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Prometheus {
    process: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Prometheus {
    /// Scrapes the address every second, under the rules that ship with tocsin.
    fn start(scratch: &Path, scraped: &str) -> Prometheus {
        let shipped = std::fs::read_to_string(directory().join("prometheus/prometheus.yml")).unwrap();
        let words = [("127.0.0.1:8080", scraped), ("scrape_interval: 15s", "scrape_interval: 1s")];
        let words = [words[0], words[1], ("evaluation_interval: 30s", "evaluation_interval: 1s")];
        let text = words.iter().fold(shipped, |text, (word, value)| {
            assert!(text.contains(word), "prometheus.yml has no {word}");
            text.replace(word, value)
        });
        let rules = std::fs::read_to_string(directory().join("prometheus/tocsin.rules.yml")).unwrap();
        std::fs::write(scratch.join("tocsin.rules.yml"), rules.replace("interval: 30s", "interval: 1s")).unwrap();
        std::fs::write(scratch.join("prometheus.yml"), text).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let log = std::fs::File::create(scratch.join("prometheus.log")).unwrap();
        let process = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=tsdb")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("start prometheus; tests/run installs Debian's");
        Prometheus { process, address }
    }

    /// How many series an expression gives now.
    async fn series(&self, expression: &str) -> Result<usize, String> {
        let (status, body) = get(&self.address, &format!("/api/v1/query?query={}", encoded(expression))).await;
        // The answer may come in chunks; its JSON is what lies between the outer braces.
        let json = body.find('{').and_then(|from| Some(&body[from..=body.rfind('}')?])).unwrap_or_default();
        let json: String = unchunked(json);
        let answer: serde_json::Value = serde_json::from_str(&json).map_err(|e| format!("{status} {e}: {body}"))?;
        if answer["status"] != "success" {
            return Err(format!("{status} {}", answer["error"]));
        }
        Ok(answer["data"]["result"].as_array().map_or(1, Vec::len))
    }
}

/// Without the sizes of chunks, which stand on lines of their own.
fn unchunked(text: &str) -> String {
    let is_size = |line: &&str| !line.is_empty() && line.chars().all(|c| c.is_ascii_hexdigit());
    text.split("\r\n").filter(|line| !is_size(line)).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte))
        } else {
            out += &format!("%{byte:02X}")
        }
        out
    })
}

/// As Grafana fills it in, with everything chosen.
fn filled(expression: &str) -> String {
    let words = [("$__rate_interval", "15s"), ("$__range", "1m"), ("\"$job\"", "\".+\""), ("\"$instance\"", "\".+\"")];
    let filled = words.iter().fold(expression.to_owned(), |text, (word, value)| text.replace(word, value));
    assert!(!filled.contains('$'), "a variable that nobody fills in: {filled}");
    filled
}

/// An alert's expression with each comparison giving 0 or 1, so that it returns data though nothing is wrong.
fn compared(expression: &str) -> String {
    [" > ", " < ", " == "].iter().fold(expression.to_owned(), |text, sign| text.replace(sign, &format!("{sign}bool ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_expression_of_dashboards_and_rules_returns_data_on_a_real_prometheus_over_the_demo() {
    let scratch = ScratchDir::new("observed");
    let temporary = scratch.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let variables = [("TMPDIR", temporary.to_str().unwrap()), ("RUST_LOG", "info")];
    let demo = Process::start(scratch.path(), "demo", &["demo", "--port", "0"], &variables);
    let scraped = eventually("the address is told", secs(10), async || {
        let output = demo.output();
        let address = output.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.map(str::to_owned).ok_or(output)
    })
    .await;
    let prometheus = Prometheus::start(scratch.path(), &scraped);
    eventually("prometheus scrapes the demo", secs(30), async || match prometheus.series("up == 1").await {
        Ok(1) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let shown = expressions().into_iter().map(|(place, expression)| (place, filled(&expression)));
    let ruled = rules().into_iter().map(|(name, expression)| (name, compared(&expression)));
    let (absent, wanted): (Vec<_>, Vec<_>) = shown.chain(ruled).partition(|(name, _)| name == "TocsinAbsent");
    assert!(absent.len() == 1 && wanted.len() > 60, "{} expressions", wanted.len());
    let mut missing = wanted;
    eventually("every expression returns data", secs(90), async || {
        let mut still = Vec::new();
        for (place, expression) in &missing {
            match prometheus.series(expression).await {
                Ok(series) if series > 0 => {}
                Ok(_) => still.push((place.clone(), expression.clone())),
                Err(error) => panic!("{place}: {expression}: {error}"),
            }
        }
        missing = still;
        if missing.is_empty() { Ok(()) } else { Err(format!("no data for {missing:#?}")) }
    })
    .await;
    assert_eq!(prometheus.series("absent(tocsin_build_info)").await, Ok(0));
    let (_, exposed) = get(&scraped, "/metrics").await;
    let names: BTreeSet<String> = expressions().iter().chain(&rules()).flat_map(|(_, text)| metrics(text)).collect();
    for name in names.iter().filter(|name| !name.contains(':')) {
        let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(exposed.contains(&format!("# TYPE {family} ")), "{name} is no metric of tocsin");
    }
}
