//! Texts that people, browsers and the store give: each is taken or refused, with a reason where one is owed.

use crate::bytes::{Bytes, scrambled, text};
use crate::kit::{Bench, minute, row};
use crate::support::ScratchDir;
use crate::{BYTES_MAX, INPUTS};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bolero::check;
use std::path::Path;
use std::sync::LazyLock;
use tocsin::compile::calendar::{CalendarSpec, compile as compile_calendar};
use tocsin::compile::when::compile as compile_when;
use tocsin::config::{Config, Drawing, Need, TEMPLATE};
use tocsin::core::act::Deed;
use tocsin::core::case::Case;
use tocsin::core::facts::{FactType, FactTypes};
use tocsin::core::rank::Rank;
use tocsin::core::time::{Span, WrittenSpan};
use tocsin::core::told::Word;
use tocsin::keys::{AckLink, Keys};
use tocsin::web::cursor;
use tocsin::zone::{parse_local_or_rfc3339, parse_rfc3339, rfc3339};

const SECRET: &str = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC1hbmQtbG9uZw==";

/// Pieces that a configuration is made of, and some that it isn't.
const PIECES: &[&str] = &[
    "[[rules]]\n",
    "[minor_safety]\n",
    "[categories]\n",
    "[[rule_tests]]\n",
    "[escalations.on-call]\n",
    "[calendars.office]\n",
    "packs = [\"eu-tco\"]\n",
    "[[obligations]]\nname = \"x\"\ntarget = { from = \"received\", until = \"closed\", within = \"1h\" }\n",
    "when = \"views > 1\"\n",
    "name = \"x\"\n",
    "priority = \"P1\"\n",
    "categories = [\"*\"]\n",
    "\"*\"",
    "\"P0\"",
    "\"csam\"",
    "\"vocabulary:dsa-other\"",
    "-1",
    "1e999",
    "true",
    "2026-01-01",
    "\"1h\"",
    "\"99999999999d\"",
    "received",
    "closed",
    "within",
    "\u{0}",
    "\u{202e}",
    "\u{1F514}",
    "é",
    "inf",
    "nan",
    "\\u0000",
];

/// A base by the first byte and what the others make of it.
fn made_of(bases: &[&str], bytes: &[u8]) -> String {
    let mut bytes = Bytes::new(bytes);
    let base = bytes.one_of(bases).unwrap_or_default();
    if base.is_empty() { text(bytes.rest(), PIECES) } else { scrambled(base, &mut bytes, PIECES) }
}

#[test]
fn a_configuration_is_taken_or_refused_with_a_reason() {
    let scratch = ScratchDir::new("fuzz-config");
    let file = scratch.path().join("tocsin.toml");
    let sketch = include_str!("../data/config/sketch.toml");
    // A calendar costs more than all the rest of it.
    let (before, calendar) = sketch.split_once("[calendars.office]").expect("the sketch has a calendar");
    let (_, after) = calendar.split_once("\n\n").expect("and something after it");
    let lean = format!("{before}{after}").replace(", calendar = \"office\"", "");
    let bases = [TEMPLATE, &lean, "", sketch];
    check!(name = "configuration").with_iterations(INPUTS).with_max_len(BYTES_MAX).for_each(|bytes| {
        std::fs::write(&file, made_of(&bases, bytes)).expect("a temporary file can be written");
        holds_of_configuration(&file);
    });
}

fn holds_of_configuration(file: &Path) {
    let env = |name: &str| match name {
        "TOCSIN_SOURCE_URL" => None,
        name if name.contains("URL") => Some(format!("postgres://u:{SECRET}@h/db")),
        _ => Some(SECRET.to_owned()),
    };
    match Config::load_for(file, &env, Need::All, minute(0)) {
        Ok(config) => {
            assert_eq!(config.policy.hash.len(), 64);
            assert!(!tocsin::cli::check::summary(&config).contains(SECRET));
            let mut priorities = config.policy.rules.iter().map(|rule| rule.priority.as_str());
            assert!(priorities.all(|priority| priority != "P0"), "no text makes a rule of P0");
        }
        Err(errors) => {
            assert!(!errors.0.problems().is_empty(), "refused without a reason");
            let shown = errors.0.render(Drawing::Terminal) + &errors.0.render(Drawing::Plain);
            assert!(!shown.contains(SECRET));
            assert!(!shown.contains("this is a bug"), "{shown}");
        }
    }
}

#[test]
fn a_duration_or_a_time_is_read_as_it_is_written_or_refused() {
    let pieces = ["9223372036854775807", "00", "1h30m", "2026-03-29T02:30:00", "+05:45", "Z", ".999999", "é", "\u{0}"];
    let zone = "Europe/Berlin".parse().expect("a zone");
    check!(name = "duration").with_iterations(INPUTS * 4).with_max_len(24).for_each(|bytes| {
        let text = text(bytes, &pieces);
        if let Ok(written) = text.parse::<WrittenSpan>() {
            assert!(written.span >= Span::ZERO);
            let again = format!("{}s", written.span.secs()).parse::<WrittenSpan>().map(|again| again.span);
            assert_eq!(again, Ok(written.span), "{text:?}");
        }
        if let Some(at) = parse_rfc3339(&text) {
            assert_eq!(parse_rfc3339(&rfc3339(at)), Some(at), "{text:?}");
        }
        let _read_or_not = parse_local_or_rfc3339(&text, zone);
    });
}

/// A line each: the zone, the hours, whose holidays, a closed date, an open date and its hours.
#[test]
fn a_calendar_is_compiled_or_refused_with_a_reason() {
    let pieces = [
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Mo-Fr",
        "PH",
        "SH",
        "Jan",
        "week 53",
        "easter",
        "easter +1 day",
        "09:00-17:00",
        "26:00",
        "24/7",
        "off",
        "sunrise",
        "2026-02-29",
        "2026-12-31",
        "2024 Feb 29",
        "1900-9999/2",
        "DE",
        "\n",
        "[-1]",
        "\"note\"",
        "||",
    ];
    check!(name = "calendar").with_iterations(INPUTS).with_max_len(BYTES_MAX).for_each(|bytes| {
        let text = text(bytes, &pieces);
        let mut lines = text.split('\n').map(Some).chain(std::iter::repeat(None));
        let mut line = || lines.next().flatten();
        let (zone, hours) = (line().unwrap_or("UTC"), line().unwrap_or_default());
        let (holidays, closed) = (line().filter(|line| !line.is_empty()), line().filter(|line| !line.is_empty()));
        let open = line().map(|date| (date, line().unwrap_or_default()));
        let read = CalendarSpec::read(zone, hours, holidays, closed, open);
        let compiled = read.and_then(|spec| compile_calendar(&spec, minute(0), minute(60 * 24 * 60)));
        match compiled {
            Ok(calendar) => {
                let hour = Span::from_hours(1);
                if let Some(due) = calendar.due(minute(0), hour) {
                    assert_eq!(calendar.open_between(minute(0), due), hour, "{text:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

#[test]
fn an_expression_decides_or_does_not_and_is_refused_with_a_reason() {
    let types: FactTypes =
        [("views", FactType::Int), ("score", FactType::Float), ("minor", FactType::Bool), ("who", FactType::String)]
            .map(|(name, kind)| (name.into(), kind))
            .into();
    let pieces = [
        "views",
        "score",
        "minor",
        "who",
        "category",
        "nobody",
        " && ",
        " || ",
        " == ",
        " < ",
        " in ",
        "[1, 2]",
        "'a'",
        "true",
        ".size()",
        ".matches('((((a+)+)+)+)')",
        ".startsWith(",
        ".map(x, x)",
        "9223372036854775807",
        "has(",
        "x.y",
        "duration('1h')",
        "é",
        "1.5e308",
    ];
    check!(name = "expression").with_iterations(INPUTS).with_max_len(48).for_each(|bytes| {
        match compile_when(&text(bytes, &pieces), &types) {
            // Decided or not, never a panic.
            Ok(predicate) => drop(predicate.evaluate(&row("spam", minute(0)))),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

/// A case with a breach, as the store holds it.
static STORED: LazyLock<(String, Rank)> = LazyLock::new(|| {
    let mut bench = Bench::new();
    bench.put(1, row("csam", minute(0)));
    bench.until(minute(20));
    let case = bench.core.cases().next().expect("one case");
    (serde_json::to_string(&case).expect("a case is JSON"), case.rank())
});

/// The first byte says how: as it is, or sealed by this deployment.
#[test]
fn a_token_in_an_address_is_what_this_deployment_wrote_or_nothing() {
    let keys = Keys::new(b"fuzz");
    let rank = serde_json::to_string(&STORED.1).expect("a rank is JSON");
    assert_eq!(cursor::write(&STORED.1, &keys).and_then(|text| cursor::read(&text, &keys)), Some(STORED.1.clone()));
    check!(name = "token").with_iterations(INPUTS).with_max_len(BYTES_MAX).for_each(|bytes| {
        let mut bytes = Bytes::new(bytes);
        let is_sealed = bytes.one().unwrap_or(0) % 2 == 1;
        let text = if is_sealed {
            URL_SAFE_NO_PAD.encode(keys.seal(cursor::PURPOSE, made_of(&[&rank, ""], bytes.rest()).as_bytes()))
        } else {
            text(bytes.rest(), PIECES)
        };
        if let Some(rank) = cursor::read(&text, &keys) {
            assert!(is_sealed, "{text:?} was made by nobody");
            assert!(cursor::write(&rank, &keys).is_none_or(|again| cursor::read(&again, &keys) == Some(rank)));
        }
        assert_eq!(AckLink::parse(&text, &keys), None);
        assert_eq!(keys.unsigned("fuzz", &text), None);
    });
}

/// What the store gives back, changed by a hand or a disk.
#[test]
fn what_the_store_gives_back_is_read_or_not() {
    let said = Deed::Tell {
        source: "reports".into(),
        report: "1".into(),
        word: Word::parse("second_review").expect("a word"),
        at: minute(0),
    };
    let deed = serde_json::to_string(&said).expect("a deed is JSON");
    check!(name = "stored").with_iterations(INPUTS).with_max_len(BYTES_MAX).for_each(|bytes| {
        let text = made_of(&[&STORED.0, &deed, ""], bytes);
        if let Ok(case) = serde_json::from_str::<Case>(&text) {
            let again = serde_json::to_string(&case).expect("a case is JSON");
            assert_eq!(serde_json::from_str::<Case>(&again).expect("its own words"), case);
        }
        let _read_or_not = serde_json::from_str::<Deed>(&text);
    });
}
