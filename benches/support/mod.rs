//! What benches share: one format for a figure beside its floor, the seeded platform that they measure
//! with, and places for its databases.

#![allow(dead_code, reason = "each bench uses a part of it")]
#![allow(clippy::print_stdout, reason = "a bench reports on its standard output")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock: that is its job")]
#![allow(clippy::unwrap_used, reason = "a bench breaks where it must")]

pub mod backlog;
pub mod outcomes;
pub mod platform;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tocsin::core::id::Name;
use tocsin::core::observation::EventName;
use tocsin::core::policy::{
    Categories, CategoryClass, Due, Escalation, Index, MinorSafety, Policy, Priority, Rule, SourcePolicy, Step, Target,
};
use tocsin::core::time::Span;
use tocsin::keys::Keys;

/// Every bench draws from this seed, so that two runs measure the same.
pub const SEED: u64 = 0x7063_7369_6e00_0001;
pub const SOURCE: &str = "reports";
/// The one category of minor safety.
pub const MINOR_SAFETY: &str = "grooming";
/// Ten categories of everything else.
pub const LESSER: [&str; 10] =
    ["threat", "ncii", "doxxing", "hate", "harassment", "fraud", "counterfeit", "copyright", "nudity", "spam"];
/// Why a line has no figure.
pub const NO_POSTGRES: &str = "TOCSIN_TEST_POSTGRES is not set";

/// Whether the sizes that take minutes are wanted: `cargo bench -- --full` or TOCSIN_BENCH_FULL=1.
pub fn is_full() -> bool {
    std::env::args().any(|argument| argument == "--full") || std::env::var_os("TOCSIN_BENCH_FULL").is_some()
}

/// The measured monitor is one of several things that this machine does: said above the figures.
pub fn heading(what: &str) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("\n{what} ({cores} cores, load {load})");
    println!("{:<64} {:>12} {:>12} {:>7}", "", "figure", "floor", "ratio");
}

/// One figure beside its floor from the same run.
pub fn line(what: &str, unit: &str, figure: f64, floor: f64) {
    println!("{what:<64} {:>12} {:>12} {:>7.2}", with_unit(figure, unit), with_unit(floor, unit), figure / floor);
}

/// A figure for which there is no bare operation.
pub fn alone(what: &str, unit: &str, figure: f64) {
    println!("{what:<64} {:>12} {:>12} {:>7}", with_unit(figure, unit), "-", "-");
}

pub fn not_measured(what: &str, why: &str) {
    println!("{what:<64} not measured: {why}");
}

fn with_unit(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}")
}

pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let made = work();
    (made, began.elapsed())
}

pub fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// The middle of some measurements, and the value that `percent` of them don't exceed.
pub fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}

/// Minor safety with the first response due after `p0_mins` minutes, ten lesser categories under one rule,
/// three targets each.
pub fn policy(p0_mins: i64) -> Policy {
    let target = |until: EventName, mins| Target {
        name: until.as_str().into(),
        from: EventName::Received,
        until,
        due: Due::Within { span: Span::from_mins(mins), calendar: None },
        warn: None,
        repeat: None,
    };
    let escalation = || Escalation {
        steps: vec![Step { at: Span::ZERO, notify: vec!["hook".into()] }],
        repeat: None,
        act_within: None,
        warn: None,
    };
    let mut categories = BTreeMap::from([(Name::from(MINOR_SAFETY), CategoryClass::MinorSafety)]);
    categories.extend(LESSER.map(|name| (name.into(), CategoryClass::Other)));
    let hours = |n: i64| n * 60;
    Policy {
        hash: "bench".into(),
        categories,
        minor_safety: MinorSafety {
            targets: vec![
                target(EventName::FirstResponse, p0_mins),
                target(EventName::ReviewerAction, hours(12)),
                target(EventName::Closed, hours(24)),
            ],
            escalation: "minor-safety".into(),
            spread: None,
            bulk: Default::default(),
        },
        rules: vec![Rule {
            name: "everything else".into(),
            categories: Categories::AllNamed,
            when: None,
            priority: Priority::P2,
            targets: vec![
                target(EventName::FirstResponse, hours(24)),
                target(EventName::ReviewerAction, hours(48)),
                target(EventName::Closed, hours(72)),
            ],
            escalation: Some("on-call".into()),
            raised_when: None,
            spread: None,
        }],
        obligations: Vec::new(),
        escalations: BTreeMap::from([("minor-safety".into(), escalation()), ("on-call".into(), escalation())]),
        operators: None,
        sources: BTreeMap::from([(SOURCE.into(), SourcePolicy::default())]),
        calendars: BTreeMap::new(),
        facts: BTreeMap::new(),
        minor_when: None,
        raised_when: None,
        index: Index::default(),
    }
}

pub fn keys() -> Keys {
    Keys::new(b"a bench's deployment")
}

pub fn shared_policy(p0_mins: i64) -> Arc<Policy> {
    Arc::new(policy(p0_mins))
}

/// A directory of a bench's own, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub fn sqlite_url(&self, file: &str) -> String {
        format!("sqlite:{}", self.path(file).display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory that can't be removed costs space only.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty database on the server of TOCSIN_TEST_POSTGRES, or `None` where there is no server.
pub async fn postgres_url(name: &str) -> Option<String> {
    let admin = std::env::var("TOCSIN_TEST_POSTGRES").ok()?;
    let (server, _) = admin.rsplit_once('/').expect("TOCSIN_TEST_POSTGRES ends in /database");
    let name = format!("bench_{name}_{}", std::process::id());
    let mut conn = PgConnection::connect(&admin).await.expect("connect to the server of TOCSIN_TEST_POSTGRES");
    conn.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await.unwrap();
    conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    conn.close().await.unwrap();
    Some(format!("{server}/{name}"))
}

/// An empty database on the server of TOCSIN_TEST_MYSQL, or `None` where there is no server.
pub async fn mysql_url(name: &str) -> Option<String> {
    let admin = std::env::var("TOCSIN_TEST_MYSQL").ok()?;
    let (server, _) = admin.rsplit_once('/').expect("TOCSIN_TEST_MYSQL ends in /database");
    let name = format!("bench_{name}_{}", std::process::id());
    let mut conn = MySqlConnection::connect(&admin).await.expect("connect to the server of TOCSIN_TEST_MYSQL");
    conn.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await.unwrap();
    conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"))).await.unwrap();
    conn.close().await.unwrap();
    Some(format!("{server}/{name}"))
}
