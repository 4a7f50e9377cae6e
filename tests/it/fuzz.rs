//! Whatever comes in from outside is read or refused, and never ends the process: configurations, durations,
//! calendars, expressions, rows of a database, cursors over them, and what the store holds. Bounded here; the
//! ignored test goes on for the seconds that `TOCSIN_FUZZ_SECS` says, with other cases in each round.

mod cursors;

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
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::source::cursor::Cursor;
use tocsin::source::feed::{Begin, FeedKind, Moment};
use tocsin::source::settings::TimeColumn;
use tocsin::source::{AnySource, Source};

const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC1hbmQtbG9uZw==";

/// Cases of each property in an ordinary run, and seeds: the same every time.
const CASES: u32 = 200;

/// How many cases of a property, and which.
#[derive(Clone, Copy)]
struct Dice {
    cases: u32,
    seed: u64,
}

const ORDINARY: Dice = Dice { cases: CASES, seed: 0 };

fn run<S: Strategy>(dice: Dice, of: S, hold: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig {
        cases: dice.cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&dice.seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    if let Err(error) = runner.run(&of, hold) {
        panic!("{error}\nof seed {}", dice.seed);
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

fn configurations(dice: Dice) {
    let scratch = ScratchDir::new("fuzz-config");
    let file = scratch.path().join("tocsin.toml");
    let sketch = include_str!("../data/config/sketch.toml");
    let texts = prop_oneof![scrambled(TEMPLATE), scrambled(sketch), "\\PC{0,200}"];
    run(dice, texts, |text| {
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

fn durations(dice: Dice) {
    run(dice, prop_oneof!["[0-9smhd]{0,24}", "\\PC{0,16}"], |text| {
        let Ok(written) = text.parse::<WrittenSpan>() else { return Ok(()) };
        prop_assert!(written.span >= Span::ZERO);
        let again = format!("{}s", written.span.secs()).parse::<WrittenSpan>().map(|again| again.span);
        prop_assert_eq!(again, Ok(written.span));
        Ok(())
    });
}

fn calendars(dice: Dice) {
    let date = || prop_oneof!["[0-9]{4}-[0-9]{2}-[0-9]{2}", "\\PC{0,12}"];
    let hours = || prop_oneof!["(Mo|Tu|PH|Jan|week|easter|[0-9:, ;+-]){0,12}", "\\PC{0,20}"];
    let zone = prop_oneof![Just("Europe/Berlin".to_owned()), "\\PC{0,16}"];
    run(dice, (zone, hours(), date(), date(), hours()), |(zone, hours, closed, open, open_hours)| {
        let closed = [closed.as_str()];
        let open = [(open.as_str(), open_hours.as_str())];
        // Read or refused; the message is written either way.
        if let Err(error) = CalendarSpec::read(&zone, &hours, None, closed, open) {
            prop_assert!(!error.to_string().is_empty());
        }
        Ok(())
    });
}

fn expressions(dice: Dice) {
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
    run(dice, prop_oneof![text, "\\PC{0,40}".prop_map(String::from)], |text| {
        if let Ok(predicate) = compile(&text, &types) {
            // Decided or not, never a panic.
            let _decided = predicate.evaluate(&row("spam", minute(0)));
        }
        Ok(())
    });
}

/// What the store gives back, changed by a hand or a disk.
fn stored(dice: Dice) {
    let case = {
        let mut bench = crate::kit::Bench::new();
        bench.put(1, row("csam", minute(0)));
        bench.until(minute(20));
        serde_json::to_string(&bench.core.cases().next().expect("one case")).expect("a case is JSON")
    };
    let text: &'static str = Box::leak(case.into_boxed_str());
    run(dice, prop_oneof![scrambled(text), "\\PC{0,80}"], |text| {
        let _read_or_not = (serde_json::from_str::<Case>(&text).is_ok(), serde_json::from_str::<Deed>(&text).is_ok());
        Ok(())
    });
}

/// A cursor over a column of anything comes to its end, and a second poll goes on from there.
async fn follow(source: &AnySource, kind: FeedKind) {
    let (mut cursor, moment) = (Cursor::new(kind, Span::from_secs(30)), Moment::default());
    for clock in [minute(0), minute(1)] {
        let mut begin = cursor.begin(clock, minute(-60 * 24 * 365 * 40), &moment);
        for step in 0.. {
            assert!(step < 100, "a poll comes to its end");
            let mut page = source.changes(kind, &begin, clock, 7).await.expect("a row is read or rejected");
            let (is_full, next) = (page.rows.len() >= 7, page.next.take());
            cursor.take(&mut page, &moment);
            match next.filter(|_| is_full && !page.lost) {
                Some(next) => begin = Begin::Behind(next),
                None => break,
            }
        }
        cursor.end(clock, &moment);
    }
}

/// Values of every type in every column of a table that has no types.
async fn rows(dice: Dice) {
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
    let mut settings = config.sources[0].clone();
    settings.reading.updated = Some(TimeColumn { column: "responded_at".into(), unit: None });
    let columns =
        ["id", "reason", "created_at", "responded_at", "responded_by", "resolved_at", "resolved_by", "resolution"];
    let mut database = open_sqlite(&url).await;
    let mut random = fastrand::Rng::with_seed(dice.seed);
    let table = format!("CREATE TABLE reports ({})", columns.join(", "));
    database.execute(AssertSqlSafe(table)).await.expect("a table");
    for _ in 0..dice.cases.div_ceil(16) {
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
        for kind in [FeedKind::Changed, FeedKind::Received] {
            follow(&source, kind).await;
        }
    }
    database.close().await.expect("it closes");
}

#[test]
fn no_configuration_ends_the_process_and_each_is_taken_or_refused_with_a_reason() {
    configurations(ORDINARY);
}

#[test]
fn no_duration_expression_calendar_or_stored_text_ends_the_process() {
    durations(Dice { cases: CASES * 4, ..ORDINARY });
    calendars(ORDINARY);
    expressions(ORDINARY);
    stored(ORDINARY);
}

#[test]
fn no_transaction_leaves_anything_behind_a_cursor_and_no_text_ends_it() {
    cursors::nothing_that_is_committed_is_left_behind(Dice { cases: CASES * 4, ..ORDINARY });
    cursors::stamps_are_written_like_any_text(ORDINARY);
}

#[tokio::test]
async fn no_row_ends_the_process_or_the_scan() {
    rows(ORDINARY).await;
}

#[test]
#[ignore = "long: as many seconds as TOCSIN_FUZZ_SECS says, by default 60, from the round TOCSIN_FUZZ_SEED on"]
fn for_as_long_as_the_environment_says() {
    let said = |name: &str| std::env::var(name).ok().and_then(|said| said.parse::<u64>().ok());
    let secs = said("TOCSIN_FUZZ_SECS").unwrap_or(60);
    let until = SystemClock.now().plus(Span::from_secs(i64::try_from(secs).expect("seconds")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut seed = said("TOCSIN_FUZZ_SEED").unwrap_or(1);
    while SystemClock.now() < until {
        let dice = Dice { cases: CASES, seed };
        configurations(dice);
        durations(Dice { cases: CASES * 10, seed });
        calendars(dice);
        expressions(dice);
        stored(dice);
        cursors::nothing_that_is_committed_is_left_behind(Dice { cases: CASES * 4, seed });
        cursors::stamps_are_written_like_any_text(dice);
        runtime.block_on(rows(dice));
        seed += 1;
    }
    println!("the next round is {seed}");
}
