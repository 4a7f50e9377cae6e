//! What loads, what it means, what is warned of, and that no secret shows.

use super::*;
use crate::core::observation::EventName;
use crate::core::policy::{Categories, Due, Standing};
use crate::core::time::Span;
use crate::pager::ChannelKind;
use crate::source::settings::RowsFrom;
use crate::zone::Zone;
use std::sync::atomic::{AtomicU32, Ordering};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A directory of this test's own, gone when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tocsin-config-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
        Directory(directory)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a temporary file can be written");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind in the temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 2026-11-18.
const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn env(name: &str) -> Option<String> {
    match name {
        "PAGE_URL" => Some("https://pages.example.org/".into()),
        "PAGE_SECRET" => Some(SECRET.into()),
        "PAGE_SECRET_OLD" => Some("whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk".into()),
        "TOCSIN_SECRET" => Some("0123456789abcdef".into()),
        _ => None,
    }
}

fn load_text(text: &str) -> Result<Config, ConfigErrors> {
    let directory = Directory::new();
    Config::load(&directory.write("tocsin.toml", text), &env, NOW)
}

fn loaded(text: &str) -> Config {
    load_text(text).unwrap_or_else(|errors| panic!("refused:\n{errors}"))
}

fn refusals(text: &str) -> Vec<String> {
    let errors = load_text(text).expect_err("it must be refused");
    errors.0.problems().iter().map(|problem| problem.what.clone()).collect()
}

fn warnings(config: &Config) -> Vec<&str> {
    config.warnings.problems().iter().map(|problem| problem.what.as_str()).collect()
}

/// The template with one piece of it replaced.
fn template_with(from: &str, to: &str) -> String {
    assert!(TEMPLATE.contains(from), "the template has no {from}");
    TEMPLATE.replacen(from, to, 1)
}

#[test]
fn the_template_loads_without_a_warning() {
    let config = loaded(TEMPLATE);
    assert_eq!(warnings(&config), Vec::<&str>::new());
    assert_eq!(config.mode, Mode::Shadow);
    assert_eq!(config.policy.hash.len(), 64);
    assert_eq!(config.policy.rules.len(), 2);
    assert_eq!(config.policy.rules[1].categories, Categories::AllNamed);
    assert_eq!(config.policy.operators.as_deref(), Some("operators"));
    assert_eq!(config.web.listen, "127.0.0.1:8080".parse().expect("an address"));
    assert!(config.policy.calendars.contains_key("office"));
    assert_eq!(config.policy.assess_p0(Standing::Known).targets.len(), 2);
}

#[test]
fn the_first_event_of_a_target_follows_from_its_last_unless_it_is_said() {
    let targets = "{ closed = \"1h\", second_review = \"4h\", filed = \"24h\", quick = { within = \"5m\", until = \"closed\", from = \"first_response\" } }";
    let text = template_with("{ first_response = \"15m\", closed = \"1h\" }", targets);
    let runs: Vec<_> =
        loaded(&text).policy.minor_safety.targets.iter().map(|t| (t.name.to_string(), t.from, t.until)).collect();
    use EventName::{Closed, Confirmed, Filed, FirstResponse, Received, SecondReview};
    let expected = [
        ("closed", Received, Closed),
        ("filed", Confirmed, Filed),
        ("quick", FirstResponse, Closed),
        ("second_review", Closed, SecondReview),
    ];
    assert_eq!(runs, expected.map(|(name, from, until)| (name.to_owned(), from, until)));
}

#[test]
fn a_target_is_due_within_a_span_on_a_calendar_or_when_the_source_says_so() {
    let text = template_with("{ first_response = \"1h\", closed = \"4h\" }", "{ closed = { due = \"due_at\" } }");
    let text = text.replacen("# [sources.dues]", "[sources.dues]", 1).replacen("# due_at =", "due_at =", 1);
    let policy = loaded(&text).policy;
    assert_eq!(policy.rules[0].targets[0].due, Due::Stated { column: "due_at".into() });
    let office = Due::Within { span: Span::from_hours(40), calendar: Some("office".into()) };
    assert_eq!(policy.rules[1].targets[0].due, office);
}

#[test]
fn the_hash_follows_the_policy_and_nothing_else() {
    let hash = |text: &str| loaded(text).policy.hash;
    let now = hash(TEMPLATE);
    assert_eq!(now, hash(&template_with("poll     = \"1s\"", "poll     = \"2s\"")));
    assert_ne!(now, hash(&template_with("closed = \"1h\"", "closed = \"2h\"")));
    assert_ne!(now, hash(&template_with("# closed = [", "closed = [")));
}

#[test]
fn calendars_know_a_decade_and_its_neighbours_and_roll_when_it_ends() {
    let mut config = loaded(TEMPLATE);
    let year = |at: Timestamp| Zone::UTC.local(at).format("%F %T").to_string();
    let known = |config: &Config| {
        let horizon = config.policy.calendars["office"].horizon();
        (year(horizon.from), year(horizon.until))
    };
    let years = |from: &str, until: &str| (format!("{from}-01-01 00:00:00"), format!("{until}-01-01 00:00:00"));
    let hash = config.policy.hash.clone();
    assert_eq!(known(&config), years("2010", "2040"));
    let rolls = rolls_at(NOW);
    assert_eq!(year(rolls), "2030-01-01 00:00:00");

    config.roll(rolls.minus(Span::from_secs(1))).expect("it compiles");
    assert_eq!((known(&config), &config.policy.hash), (years("2010", "2040"), &hash));
    config.roll(rolls).expect("it compiles");
    assert_eq!(known(&config), years("2020", "2050"));
    assert_ne!(config.policy.hash, hash);
    assert_eq!(config.effective_policy().hash, config.policy.hash);
}

#[test]
fn shadow_mode_notifies_the_log_alone_and_keeps_the_hash() {
    let webhook = "[channels]\nhook = { kind = \"webhook\", url_env = \"PAGE_URL\", secrets_env = [\"PAGE_SECRET\", \"PAGE_SECRET_OLD\"] }\n[store]";
    let text = template_with("[\"log\"]", "[\"hook\"]").replacen("[store]", webhook, 1);
    let config = loaded(&text);
    let notify = |policy: Policy| policy.escalations["minor-safety"].steps[0].notify.clone();
    assert_eq!(notify(config.policy.clone()), ["hook".into()]);
    assert_eq!(notify(config.effective_policy()), ["log".into()]);
    assert_eq!(config.effective_policy().hash, config.policy.hash);
    let ChannelKind::Webhook { secrets, .. } = &config.channels["hook"].kind else { panic!("a webhook") };
    assert_eq!(secrets.len(), 2);
    assert_eq!(secrets[0].expose(), SECRET);

    let live = loaded(&text.replacen("mode = \"shadow\"", "mode = \"live\"", 1));
    assert_eq!(notify(live.effective_policy()), ["hook".into()]);
}

#[test]
fn live_mode_warns_of_what_would_page_nobody() {
    let config = loaded(&template_with("mode = \"shadow\"", "mode = \"live\""));
    let warnings = warnings(&config);
    assert!(warnings[0].starts_with("live without a deployment secret"), "{warnings:?}");
    assert!(warnings.contains(&"the escalation \"minor-safety\" notifies only the log: nobody is paged"));
    let secret = "mode = \"live\"\ndeployment_secret_env = \"TOCSIN_SECRET\"";
    let config = loaded(&template_with("mode = \"shadow\"", secret));
    assert_eq!(config.deployment_secret.map(|secret| secret.expose().len()), Some(16));
}

#[test]
fn a_rule_that_comes_too_late_and_a_category_that_no_rule_matches_are_warned_of() {
    let config = loaded(&template_with("categories = [\"*\"]", "categories = [\"self_harm\"]"));
    let expected = [
        "no rule matches \"spam\": its reports rank as P4 and have no deadline",
        "the rule \"everything else\" can never match: \"threat to life\" already took its categories",
    ];
    assert_eq!(warnings(&config), expected);
}

#[test]
fn a_second_review_that_cannot_be_enforced_is_warned_of() {
    let text = template_with("{ first_response = \"15m\", closed = \"1h\" }", "{ second_review = \"4h\" }");
    let text = text.replacen(", by = \"resolved_by\"", "", 1).replacen(", by = \"responded_by\"", "", 1);
    let config = loaded(&text);
    let warnings = warnings(&config);
    assert!(warnings.iter().any(|what| what.contains("maps no actor")), "{warnings:?}");
    assert!(warnings.contains(&"the target `second_review` can't be enforced: no source maps an actor"));
    assert!(warnings.contains(&"every report will breach `second_review`: no source maps `second_review`"));
}

#[test]
fn a_path_in_the_file_starts_from_the_file_and_one_in_the_environment_does_not() {
    let directory = Directory::new();
    let path = directory.write("tocsin.toml", TEMPLATE);
    let config = Config::load(&path, &env, NOW).expect("it loads");
    assert_eq!(config.sources[0].url.expose(), format!("sqlite://{}/reports.db", directory.0.display()));
    assert_eq!(config.store.url.expose(), format!("sqlite://{}/tocsin.db", directory.0.display()));

    let overridden =
        |name: &str| if name == SOURCE_URL_VARIABLE { Some("sqlite:elsewhere.db".into()) } else { env(name) };
    let config = Config::load(&path, &overridden, NOW).expect("it loads");
    assert_eq!(config.sources[0].url.expose(), "sqlite:elsewhere.db");
}

#[test]
fn an_override_of_the_url_needs_no_other_url_and_exactly_one_source() {
    let overridden = |name: &str| (name == SOURCE_URL_VARIABLE).then(|| "postgres://h/db".to_owned());
    let directory = Directory::new();
    let from_env = template_with("url      = \"sqlite:reports.db\"", "url_env = \"NOT_SET\"");
    let config = Config::load(&directory.write("one.toml", &from_env), &overridden, NOW).expect("it loads");
    assert_eq!(config.sources[0].url.expose(), "postgres://h/db");

    let second = "[[sources]]\nname = \"more\"\nurl = \"sqlite:b.db\"\ntable = \"t\"\ncolumns = { id = \"a\", category = \"b\" }\nevents = { received = \"c\" }\n[categories]";
    let path = directory.write("two.toml", &template_with("[categories]", second));
    let errors = Config::load(&path, &overridden, NOW).expect_err("it must be refused");
    assert_eq!(errors.0.problems()[0].what, "TOCSIN_SOURCE_URL is set, but 2 sources are configured");
    assert!(Config::load(&path, &env, NOW).is_ok());
}

#[test]
fn what_is_not_needed_may_be_missing_with_a_warning() {
    let text = template_with("url      = \"sqlite:reports.db\"", "url_env = \"NOT_SET\"");
    let directory = Directory::new();
    let path = directory.write("tocsin.toml", &text);
    for need in [Need::All, Need::Sources] {
        assert!(Config::load_for(&path, &env, need, NOW).is_err());
    }
    let config = Config::load_for(&path, &env, Need::Nothing, NOW).expect("it loads");
    assert_eq!(warnings(&config), ["the environment variable NOT_SET is not set"]);
    assert_eq!(config.sources[0].url.expose(), "");
}

#[test]
fn a_secret_may_stand_in_a_file_beside_the_configuration() {
    let directory = Directory::new();
    directory.write("url", "postgres://h/db\n");
    let text = template_with("url      = \"sqlite:reports.db\"", "url_file = \"url\"");
    let config = Config::load(&directory.write("tocsin.toml", &text), &env, NOW).expect("it loads");
    assert_eq!(config.sources[0].url.expose(), "postgres://h/db");
}

#[test]
fn a_secret_is_in_no_message_and_in_no_debug_output() {
    let url = "url      = \"postgres://user:hidden@h/db\"\ncolour = 1";
    let errors = load_text(&template_with("url      = \"sqlite:reports.db\"", url)).expect_err("it must be refused");
    assert!(!errors.to_string().contains("hidden") && !format!("{errors:?}").contains("hidden"));
    let url = "url = \"postgres://user:hidden@h/db\" colour";
    let errors = load_text(&template_with("url      = \"sqlite:reports.db\"", url)).expect_err("it must be refused");
    assert!(!errors.to_string().contains("hidden") && errors.to_string().contains("not TOML"), "{errors}");
    for misplaced in
        ["url_env = \"postgres://hidden@h/db\"", "url_env = \"hidden-hidden\"", "url_file = \"whsec_hidden\""]
    {
        let errors = load_text(&template_with("url      = \"sqlite:reports.db\"", misplaced)).expect_err(misplaced);
        assert!(!errors.to_string().contains("hidden"), "{errors}");
    }
    let text = template_with("url      = \"sqlite:reports.db\"", "url = \"postgres://user:hidden@h/db\"");
    assert!(!format!("{:?}", loaded(&text)).contains("hidden"));
}

#[test]
fn every_problem_is_found_in_one_run() {
    let text = template_with("mode = \"shadow\"", "mode = \"quiet\"")
        .replacen("priority   = \"P4\"", "priority   = \"P0\"", 1)
        .replacen("[minor_safety] ", "[minor_saftey] ", 1)
        .replacen("name     = \"reports\"", "name     = \"Reports\"", 1);
    let expected = [
        "there is no mode \"quiet\"",
        "the source's name \"Reports\" can't stand in keys and metrics",
        "unknown key `minor_saftey` in the configuration",
        "no rule can have the priority P0: that is minor safety and nothing else",
    ];
    assert_eq!(refusals(&text), expected);
}

#[test]
fn bad_bytes_never_panic() {
    let mut text = TEMPLATE.to_owned();
    while !text.is_empty() {
        let cut = text.floor_char_boundary(text.len().saturating_sub(37));
        text.truncate(cut);
        // Loading may fail; it must not panic, and its message must be drawn.
        if let Err(errors) = load_text(&text) {
            assert!(!errors.to_string().is_empty());
        }
    }
    assert!(load_text("\u{feff}\0\u{1}").is_err());
}

#[test]
fn rows_may_come_from_a_statement() {
    let text = template_with(
        "table    = \"reports\"",
        "query = \"\"\"\n  with open as (select 1)\n  select * from open\n\"\"\"",
    );
    assert!(matches!(&loaded(&text).sources[0].rows, RowsFrom::Query(sql) if sql.starts_with("with open")));
}

/// The template with everything that it shows about facts.
fn template_with_facts() -> String {
    let shown = ["[sources.facts]", "views ", "minor ", "reporter ", "minor_when", "raised_when", "spread", "when "];
    let tests = ["[[tests]]", "given ", "expect "];
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        let bare = line.strip_prefix("# ").filter(|bare| shown.iter().chain(&tests).any(|key| bare.starts_with(key)));
        text.push_str(bare.unwrap_or(line));
        text.push('\n');
    }
    text
}

#[test]
fn what_the_template_shows_about_facts_loads_and_its_test_says_what_is_missing() {
    let config = loaded(&template_with_facts());
    let expected = [
        "where no `when` is true, \"self_harm\" ranks as P4 and has no deadline",
        "where no `when` is true, \"violent_threat\" ranks as P4 and has no deadline",
    ];
    assert!(warnings(&config).iter().all(|what| expected.contains(what)), "{:?}", warnings(&config));
    assert_eq!(config.policy.facts.len(), 3);
    assert_eq!(config.policy.rules[0].when.as_ref().map(|when| &**when.text()), Some("views > 1000"));
    let failure = config.tests[0].failure(&config.policy).expect("3 views are not over 1000");
    let expected = "given category = \"self_harm\", views = 3\n  \
                    expected the priority P1, got P4\n  \
                    expected the rule \"threat to life\", got \"everything else\"\n  \
                    expected the target first_response within 1h, got no such target\n  \
                    it matched \"everything else\"\n  \
                    not \"threat to life\": views > 1000 is false";
    assert_eq!(failure, expected);
    let viral = template_with_facts().replacen("views = 3", "views = 3_000", 1);
    let config = loaded(&viral);
    assert_eq!(config.tests[0].failure(&config.policy), None);
}

#[test]
fn the_hash_follows_every_expression_and_every_type() {
    let text = template_with_facts();
    let hash = |from: &str, to: &str| {
        assert!(text.contains(from), "the template has no {from}");
        loaded(&text.replacen(from, to, 1)).policy.hash
    };
    let now = hash("views > 1000", "views > 1000");
    for (from, to) in [
        ("views > 1000", "views > 1001"),
        ("minor_when = \"minor\"", "minor_when = \"!minor\""),
        ("type = \"int\"", "type = \"float\""),
        ("per_hour = 1000", "per_hour = 1001"),
    ] {
        assert_ne!(now, hash(from, to), "{from}");
    }
    assert_eq!(now, hash("views = 3", "views = 4"), "a test is no part of the policy");
}

#[test]
fn a_fact_that_nothing_reads_is_warned_of() {
    let text = template_with_facts().replacen("minor_when = \"minor\"", "", 1);
    assert!(warnings(&loaded(&text)).contains(&"nothing reads the fact `minor`"));
}
