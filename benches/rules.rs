//! What an expression costs on one report, and what 50 rules by category cost, each beside its floor: the same
//! question written in Rust over the same row, and one look-up of a category. Fails where a limit is passed.

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

type Asked = fn(&Row) -> bool;

/// Expressions, and what each asks in Rust.
const EXPRESSIONS: [(&str, Asked); 4] = [
    ("minor", |row| is_set(row, "minor")),
    ("views > 1000", |row| is_viral(row)),
    ("police_ref || reporter == 'law_enforcement' || reporter == 'trusted_flagger'", |row| {
        is_set(row, "police_ref") || is_by(row, "law_enforcement") || is_by(row, "trusted_flagger")
    }),
    ("category in ['ncii', 'threat', 'self_harm'] && views > 1000 && !minor", |row| {
        ["ncii", "threat", "self_harm"].contains(&&*row.category) && is_viral(row) && !is_set(row, "minor")
    }),
];

fn is_set(row: &Row, fact: &str) -> bool {
    matches!(row.fact(fact), Some(Fact::Bool(true)))
}

fn is_viral(row: &Row) -> bool {
    matches!(row.fact("views"), Some(Fact::Int(views)) if *views > 1_000)
}

fn is_by(row: &Row, reporter: &str) -> bool {
    matches!(row.fact("reporter"), Some(Fact::String(by)) if **by == *reporter)
}

fn main() -> ExitCode {
    let mut kept = true;
    let mut tell = |what: &str, took: f64, floor: f64, limit: f64| {
        println!("{what}: {took:.0} ns (limit {limit} ns), floor {floor:.1} ns, ratio {:.1}", took / floor);
        kept &= took <= limit;
    };
    let row = row("category-31");
    for (text, asked) in EXPRESSIONS {
        let Ok(predicate) = compile(text, &types()) else { return ExitCode::FAILURE };
        let took = median_ns(|_| {
            black_box(predicate.evaluate(black_box(&row)));
        });
        let floor = median_ns(|_| {
            black_box(asked(black_box(&row)));
        });
        tell(text, took, floor, WHEN_LIMIT_NS);
    }
    let policy = policy();
    let rows: Vec<Row> = (0..50).map(|no| self::row(&format!("category-{no}"))).collect();
    let took = median_ns(|no| {
        black_box(policy.assess(black_box(&rows[no % 50])).rule);
    });
    let floor = median_ns(|no| {
        black_box(policy.categories.get(black_box(&rows[no % 50].category)));
    });
    tell("50 rules by category, a report", took, floor, RULES_LIMIT_NS);
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
        raised_when: None,
        spread: None,
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
