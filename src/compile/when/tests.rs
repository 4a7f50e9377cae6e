//! Expressions as people write them: what they mean, and what is refused where.

use super::*;

fn types() -> FactTypes {
    let all = [
        ("views", FactType::Int),
        ("reports", FactType::Int),
        ("score", FactType::Float),
        ("minor", FactType::Bool),
        ("reporter", FactType::String),
    ];
    all.into_iter().map(|(name, kind)| (name.into(), kind)).collect()
}

fn evaluate(text: &str, facts: &[(&str, Fact)]) -> Option<bool> {
    let predicate = compile(text, &types()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let facts = facts.iter().map(|(name, fact)| ((*name).into(), fact.clone())).collect();
    predicate.evaluate(&row("spam", facts))
}

fn refused(text: &str) -> (String, String) {
    let error = compile(text, &types()).expect_err("it must be refused");
    (text[error.at].to_owned(), error.what)
}

#[test]
fn an_expression_reads_facts_and_the_category() {
    let police = ("reporter", Fact::String("police".into()));
    assert_eq!(
        evaluate("reporter in ['police', 'flagger'] && category == 'spam'", std::slice::from_ref(&police)),
        Some(true)
    );
    assert_eq!(evaluate("category != 'spam' || views >= 1000", &[("views", Fact::Int(999))]), Some(false));
    assert_eq!(
        evaluate("reporter.startsWith('pol') && size(reporter) == 6", std::slice::from_ref(&police)),
        Some(true)
    );
    assert_eq!(evaluate("reporter.endsWith('x') || reporter.contains('lic')", &[police]), Some(true));
    assert_eq!(evaluate("(minor ? views : reports) > 1 + 2 * 3", &[("reports", Fact::Int(8))]), Some(true));
    assert_eq!(
        evaluate(
            "score > 0 && -views < 1 && views % 2 == 0",
            &[("score", Fact::Float(Real::new(0.5).expect("finite")))]
        ),
        Some(true)
    );
}

#[test]
fn a_fact_that_a_row_does_not_have_is_its_zero() {
    assert_eq!(evaluate("!minor && views == 0 && reporter == '' && score == 0.0", &[]), Some(true));
}

#[test]
fn an_unreadable_fact_leaves_undecided_what_hangs_on_it_and_nothing_else() {
    let unread = [("minor", Fact::Unreadable)];
    assert_eq!(evaluate("minor", &unread), None);
    assert_eq!(evaluate("minor || views == 0", &unread), Some(true));
    assert_eq!(evaluate("minor && views > 0", &unread), Some(false));
    assert_eq!(evaluate("views == 0 && minor", &unread), None);
}

#[test]
fn a_number_that_runs_over_is_undecided() {
    assert_eq!(evaluate("views * 1000 > 5", &[("views", Fact::Int(i64::MAX))]), None);
}

#[test]
fn what_has_no_meaning_is_refused_at_its_place() {
    let place = |text: &str| refused(text).0;
    assert_eq!(place("veiws > 10"), "veiws");
    assert_eq!(place("minor && views > '10'"), "views > '10'");
    assert_eq!(place("minor || views"), "views");
    assert_eq!(place("views + 1"), "views + 1");
    assert_eq!(place("reporter in ['a', 1]"), "1");
    assert_eq!(place("true || views.size > 1"), "views.size");
    assert_eq!(place("minor > false"), "minor > false");
    assert_eq!(place("views * 0.5 > 1.0"), "views * 0.5");
    assert_eq!(place("reporter == null"), "null");
    assert_eq!(refused("veiws > 10").1, "no fact is named `veiws`");
    assert_eq!(refused("views / reports > 2").1, "the expression divides by what can be 0");
    assert!(compile("reports != 0 && views / reports > 2", &types()).is_ok());
}

#[test]
fn no_form_but_the_listed_ones_gets_through() {
    for text in [
        "has(views.x)",
        "[1].exists(x, x == 1)",
        "{'a': 1}['a'] == 1",
        "matches(reporter, 'a')",
        "int('1') == 1",
        "duration('1s') == duration('1s')",
        "dyn(views) == 'a'",
        "[true][0]",
        "b'a' == b'a'",
        "1u == 1u",
        "type(views) == int",
    ] {
        assert!(compile(text, &types()).is_err(), "{text} must be refused");
    }
}

#[test]
fn text_that_is_no_expression_is_refused_and_never_panics() {
    let deep = |open: &str, close: &str| format!("{}minor{}", open.repeat(1_000), close.repeat(1_000));
    let texts = [
        "",
        " ",
        "views >",
        "> 1",
        "a b",
        "views > 1 views",
        "'",
        "\"\u{1F600}\" = ",
        "é",
        "a.b.c(",
        "\0",
        "//",
        "@x",
        "?:",
        "views > 99999999999999999999",
        &deep("(", ")"),
        &deep("!", ""),
        &deep("-", ""),
        &deep("(", ""),
        &"x".repeat(TEXT_MAX_BYTES + 1),
        &"minor||".repeat(500),
        &format!("{}minor", "minor ? minor : ".repeat(200)),
    ];
    for text in texts {
        if let Err(error) = compile(text, &types()) {
            assert!(text.get(error.at.clone()).is_some(), "{text:?} {error:?}");
        }
    }
    assert_eq!(refused("views > 1 views").0, "v");
}

#[test]
fn a_predicate_is_its_text() {
    let compiled = |text: &str| compile(text, &types()).expect("it compiles");
    assert_eq!(compiled("minor"), compiled("minor"));
    assert_ne!(compiled("minor"), compiled("!minor"));
    assert_eq!(serde_json::to_string(&compiled("minor")).expect("it serializes"), "\"minor\"");
}

#[test]
fn a_fact_has_a_name_that_an_expression_can_say() {
    assert!(is_fact_name("view_count2") && is_fact_name("_x"));
    for name in ["", "2x", "a-b", "a.b", "category", "true", "in", "größe", "int"] {
        assert!(!is_fact_name(name), "{name}");
    }
}
