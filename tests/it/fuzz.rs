//! Whatever comes in from outside is read or refused, and never ends the process: configurations, durations,
//! calendars, expressions, rows of a database, and what the store holds. Bounded here; the ignored test runs
//! the same for as many cases as `TOCSIN_FUZZ_CASES` says.

use crate::kit::{minute, row};
use crate::support::{ScratchDir, open_sqlite};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::path::Path;
use tocsin::compile::calendar::CalendarSpec;
use tocsin::compile::when::compile;
use tocsin::config::{Config, Drawing, Need, TEMPLATE};
use tocsin::core::act::Deed;
use tocsin::core::case::Case;
use tocsin::core::facts::{FactType, FactTypes};
use tocsin::core::time::{Span, WrittenSpan};
use tocsin::keys::Keys;
use tocsin::source::{AnySource, Source};

const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC1hbmQtbG9uZw==";

/// Cases of each property in an ordinary run, and seeds: the same every time.
const CASES: u32 = 200;

fn runner(cases: u32) -> TestRunner {
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::default() };
    match std::env::var("TOCSIN_FUZZ_SEED").ok().and_then(|seed| seed.parse::<u8>().ok()) {
        Some(seed) => TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

fn run<S: Strategy>(cases: u32, of: S, hold: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    if let Err(error) = runner(cases).run(&of, hold) {
        panic!("{error}");
    }
}

/// Pieces that a configuration is made of, and some that it isn't.
const PIECES: &[&str] = &[
    "\n",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    "#",
    "[[rules]]\n",
    "[minor_safety]\n",
    "packs = [\"eu-tco\"]\n",
    "[[obligations]]\nname = \"x\"\ntarget = { from = \"received\", until = \"closed\", within = \"1h\" }\n",
    "when = \"views > 1\"\n",
    "\"*\"",
    "\"P0\"",
    "\"csam\"",
    "\"vocabulary:dsa-other\"",
    "1",
    "-1",
    "1e999",
    "true",
    "2026-01-01",
    "\"1h\"",
    "\"99999999999d\"",
    "\u{0}",
    "\u{202e}",
    "\u{1F514}",
    "é",
    "\r",
    "\t",
    "inf",
    "nan",
    "\\u0000",
];

/// A configuration with pieces put in, cut out and doubled.
fn scrambled(text: &'static str) -> impl Strategy<Value = String> {
    let edit = (0usize..text.len(), 0usize..40, 0u8..3, prop::sample::select(PIECES));
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, kind, piece) in edits {
            let at = at.min(bytes.len());
            let until = (at + length).min(bytes.len());
            match kind {
                0 => drop(bytes.splice(at..at, piece.bytes())),
                1 => drop(bytes.splice(at..until, piece.bytes())),
                _ => {
                    let doubled = bytes[at..until].to_vec();
                    drop(bytes.splice(at..at, doubled));
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn configurations(cases: u32) {
    let scratch = ScratchDir::new("fuzz-config");
    let file = scratch.path().join("tocsin.toml");
    let sketch = include_str!("../data/config/sketch.toml");
    let texts = prop_oneof![scrambled(TEMPLATE), scrambled(sketch), "\\PC{0,200}"];
    run(cases, texts, |text| {
        std::fs::write(&file, &text).expect("a temporary file can be written");
        holds_of_configuration(&file)
    });
}

fn holds_of_configuration(file: &Path) -> Result<(), TestCaseError> {
    let env = |name: &str| match name {
        "TOCSIN_SOURCE_URL" => None,
        name if name.contains("URL") => Some(format!("postgres://u:{SECRET}@h/db")),
        _ => Some(SECRET.to_owned()),
    };
    match Config::load_for(file, &env, Need::All, minute(0)) {
        Ok(config) => {
            prop_assert_eq!(config.policy.hash.len(), 64);
            prop_assert!(!tocsin::cli::check::summary(&config).contains(SECRET));
            let minors = config.policy.rules.iter().filter(|rule| rule.priority.as_str() == "P0").count();
            prop_assert_eq!(minors, 0, "no text makes a rule of P0");
        }
        Err(errors) => {
            prop_assert!(!errors.0.problems().is_empty(), "refused without a reason");
            let shown = errors.0.render(Drawing::Terminal) + &errors.0.render(Drawing::Plain);
            prop_assert!(!shown.contains(SECRET));
            prop_assert!(!shown.contains("this is a bug"), "{}", shown);
        }
    }
    Ok(())
}

fn durations(cases: u32) {
    run(cases, prop_oneof!["[0-9smhd]{0,24}", "\\PC{0,16}"], |text| {
        let Ok(written) = text.parse::<WrittenSpan>() else { return Ok(()) };
        prop_assert!(written.span >= Span::ZERO);
        let again = format!("{}s", written.span.secs()).parse::<WrittenSpan>().map(|again| again.span);
        prop_assert_eq!(again, Ok(written.span));
        Ok(())
    });
}

fn calendars(cases: u32) {
    let date = || prop_oneof!["[0-9]{4}-[0-9]{2}-[0-9]{2}", "\\PC{0,12}"];
    let hours = || prop_oneof!["(Mo|Tu|PH|Jan|week|easter|[0-9:, ;+-]){0,12}", "\\PC{0,20}"];
    let zone = prop_oneof![Just("Europe/Berlin".to_owned()), "\\PC{0,16}"];
    run(cases, (zone, hours(), date(), date(), hours()), |(zone, hours, closed, open, open_hours)| {
        let closed = [closed.as_str()];
        let open = [(open.as_str(), open_hours.as_str())];
        // Read or refused; the message is written either way.
        if let Err(error) = CalendarSpec::read(&zone, &hours, None, closed, open) {
            prop_assert!(!error.to_string().is_empty());
        }
        Ok(())
    });
}

fn expressions(cases: u32) {
    let types: FactTypes =
        [("views", FactType::Int), ("score", FactType::Float), ("minor", FactType::Bool), ("who", FactType::String)]
            .map(|(name, kind)| (name.into(), kind))
            .into();
    let words = [
        "views",
        "score",
        "minor",
        "who",
        "category",
        "nobody",
        "1",
        "0",
        "1.5",
        "'a'",
        "true",
        "&&",
        "||",
        "!",
        "==",
        "<",
        "+",
        "-",
        "*",
        "/",
        "%",
        "(",
        ")",
        "[",
        "]",
        "in",
        "?",
        ":",
        ",",
        ".size()",
        ".matches('((((a+)+)+)+)')",
        "map",
        "9223372036854775807",
        "\"",
        "has(",
        "x.y",
    ];
    let text = prop::collection::vec(prop::sample::select(words.to_vec()), 1..14).prop_map(|words| words.join(" "));
    run(cases, prop_oneof![text, "\\PC{0,40}".prop_map(String::from)], |text| {
        if let Ok(predicate) = compile(&text, &types) {
            // Decided or not, never a panic.
            let _decided = predicate.evaluate(&row("spam", minute(0)));
        }
        Ok(())
    });
}

/// What the store gives back, changed by a hand or a disk.
fn stored(cases: u32) {
    let case = {
        let mut bench = crate::kit::Bench::new();
        bench.put(1, row("csam", minute(0)));
        bench.until(minute(20));
        serde_json::to_string(&bench.core.cases().next().expect("one case")).expect("a case is JSON")
    };
    let text: &'static str = Box::leak(case.into_boxed_str());
    run(cases, prop_oneof![scrambled(text), "\\PC{0,80}"], |text| {
        let _read_or_not = (serde_json::from_str::<Case>(&text).is_ok(), serde_json::from_str::<Deed>(&text).is_ok());
        Ok(())
    });
}

/// Values of every type in every column of a table that has no types.
async fn rows(rounds: u32) {
    const VALUES: &[&str] = &[
        "NULL",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "9e999",
        "''",
        "' '",
        "'spam'",
        "'csam'",
        "x'00ff'",
        "x''",
        "'2026-11-23T08:00:00Z'",
        "'2026-11-23 08:00:00'",
        "'9999-12-31T23:59:59Z'",
        "'10000-01-01'",
        "1750000000",
        "1750000000.5",
        "'a' || char(0) || 'b'",
        "char(0x1F514)",
        "'mod-1'",
        "zeroblob(300)",
        "'removed'",
        "replace(hex(zeroblob(200)), '0', 'x')",
    ];
    let scratch = ScratchDir::new("fuzz-rows");
    let url = scratch.sqlite_url("reports.db");
    let file = scratch.path().join("tocsin.toml");
    std::fs::write(&file, tocsin::cli::init::template(Some(&url))).expect("a temporary file can be written");
    let config = Config::load_for(&file, &|_| None, Need::Sources, minute(0)).expect("the template loads");
    let settings = config.sources[0].clone();
    let columns =
        ["id", "reason", "created_at", "responded_at", "responded_by", "resolved_at", "resolved_by", "resolution"];
    let mut database = open_sqlite(&url).await;
    let mut random = fastrand::Rng::with_seed(7);
    let table = format!("CREATE TABLE reports ({})", columns.join(", "));
    database.execute(AssertSqlSafe(table)).await.expect("a table");
    for _ in 0..rounds {
        let mut value = || VALUES[random.usize(..VALUES.len())];
        let lines: Vec<String> = (0..40).map(|_| format!("({})", columns.map(|_| value()).join(", "))).collect();
        database.execute("DELETE FROM reports").await.expect("an empty table");
        let insert = format!("INSERT INTO reports VALUES {}", lines.join(", "));
        database.execute(AssertSqlSafe(insert)).await.expect("rows of any kind");
        let source = AnySource::open(settings.clone(), Keys::new(b"fuzz")).expect("it opens");
        let (mut after, mut steps) = (None, 0);
        loop {
            let (batch, next) = source.scan_open(after.as_ref(), 7).await.expect("a row is read or rejected");
            assert!(batch.rows.iter().all(|seen| seen.row.is_some()));
            steps += 1;
            assert!(steps < 100, "a scan comes to its end");
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    database.close().await.expect("it closes");
}

#[test]
fn no_configuration_ends_the_process_and_each_is_taken_or_refused_with_a_reason() {
    configurations(CASES);
}

#[test]
fn no_duration_expression_calendar_or_stored_text_ends_the_process() {
    durations(CASES * 4);
    calendars(CASES);
    expressions(CASES);
    stored(CASES);
}

#[tokio::test]
async fn no_row_ends_the_process_or_the_scan() {
    rows(12).await;
}

#[test]
#[ignore = "as long as TOCSIN_FUZZ_CASES says, with TOCSIN_FUZZ_SEED: run it by hand"]
fn for_as_many_cases_as_the_environment_says() {
    let cases = std::env::var("TOCSIN_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100_000);
    configurations(cases);
    durations(cases);
    calendars(cases);
    expressions(cases);
    stored(cases);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(rows(cases / 100));
}
