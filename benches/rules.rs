//! What an expression costs on one report, and what 50 rules by category cost. Fails where a limit is passed.

#![allow(clippy::disallowed_methods, reason = "a bench reads the clock: that is its job")]
#![allow(clippy::print_stdout, reason = "a bench reports on its standard output")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;
use tocsin::compile::when::compile;
use tocsin::core::facts::{Fact, FactType, FactTypes};
use tocsin::core::id::Name;
use tocsin::core::observation::{Received, Row, Verdict};
use tocsin::core::policy::{Categories, CategoryClass, Index, MinorSafety, Policy, Priority, Rule};

const ROUNDS: usize = 101;
const QUERIES: usize = 2_048;
const WHEN_LIMIT_NS: f64 = 500.0;
const RULES_LIMIT_NS: f64 = 50.0;

const EXPRESSIONS: [&str; 4] = [
    "minor",
    "views > 1000",
    "police_ref || reporter == 'law_enforcement' || reporter == 'trusted_flagger'",
    "category in ['ncii', 'threat', 'self_harm'] && views > 1000 && !minor",
];

fn main() -> ExitCode {
    let mut kept = true;
    let row = row("category-31");
    for text in EXPRESSIONS {
        let Ok(predicate) = compile(text, &types()) else { return ExitCode::FAILURE };
        let took = median_ns(|_| {
            black_box(predicate.evaluate(black_box(&row)));
        });
        println!("{text}: {took:.0} ns (limit {WHEN_LIMIT_NS} ns)");
        kept &= took <= WHEN_LIMIT_NS;
    }
    let policy = policy();
    let rows: Vec<Row> = (0..50).map(|no| self::row(&format!("category-{no}"))).collect();
    let took = median_ns(|no| {
        black_box(policy.assess(black_box(&rows[no % 50])).rule);
    });
    println!("50 rules by category: {took:.0} ns a report (limit {RULES_LIMIT_NS} ns)");
    kept &= took <= RULES_LIMIT_NS;
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Of rounds of many, so that neither the clock's grain nor a stolen slice of time shows.
fn median_ns(mut work: impl FnMut(usize)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            (0..QUERIES).for_each(&mut work);
            began.elapsed().as_nanos() as f64 / QUERIES as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn types() -> FactTypes {
    let all = [
        ("views", FactType::Int),
        ("minor", FactType::Bool),
        ("police_ref", FactType::Bool),
        ("reporter", FactType::String),
    ];
    all.into_iter().map(|(name, kind)| (name.into(), kind)).collect()
}

fn row(category: &str) -> Row {
    Row {
        received: Received::Unreadable,
        category: category.into(),
        subject: None,
        events: Vec::new(),
        dues: Vec::new(),
        paused: false,
        verdict: Verdict::Unmapped,
        facts: vec![
            ("views".into(), Fact::Int(1_200)),
            ("minor".into(), Fact::Bool(false)),
            ("police_ref".into(), Fact::Bool(false)),
            ("reporter".into(), Fact::String("user".into())),
        ],
    }
}

fn policy() -> Policy {
    let name = |no: usize| Name::from(format!("category-{no}"));
    let rule = |no: usize| Rule {
        name: format!("rule {no}").into(),
        categories: Categories::Listed([name(no)].into()),
        when: None,
        priority: Priority::P2,
        targets: Vec::new(),
        escalation: None,
    };
    Policy {
        hash: "bench".into(),
        categories: (0..50).map(|no| (name(no), CategoryClass::Other)).collect(),
        facts: types(),
        minor_when: None,
        raised_when: None,
        minor_safety: MinorSafety {
            targets: Vec::new(),
            escalation: "minor-safety".into(),
            spread: None,
            bulk: Default::default(),
        },
        rules: (0..50).map(rule).collect(),
        obligations: Vec::new(),
        escalations: BTreeMap::new(),
        operators: None,
        sources: BTreeMap::new(),
        calendars: BTreeMap::new(),
        index: Index::default(),
    }
}
