//! `tocsin check`: judges a configuration, alone or against its databases, and shows on one screen what it
//! promises. Exit 0, or 78 with everything that must change.

use super::{CliError, EXIT_CONFIG, drawing, load_config};
use crate::cli::out::{self, aside, say};
use crate::config::{Config, Mode, Need};
use crate::core::obligation::Obligation;
use crate::core::policy::{Categories, CategoryClass, Due, Spread, Target};
use crate::core::time::Span;
use crate::source::SourceError;
use crate::source::gaps::gaps;
use crate::source::settings::{RowsFrom, Settings};
use crate::zone::rfc3339;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The configuration to judge.
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    pub config: PathBuf,
    /// Judge the file alone: no database is opened, and secrets may be missing.
    #[arg(long)]
    pub offline: bool,
}

/// Loads, asks `inspect` of each source unless offline, and prints the summary. `inspect` opens a source's
/// database and returns a line on what it found, or what doesn't fit the mapping.
pub async fn check(
    args: &CheckArgs,
    inspect: impl AsyncFn(&Config, &Settings) -> Result<String, SourceError>,
) -> Result<ExitCode, CliError> {
    let need = if args.offline { Need::Nothing } else { Need::All };
    let config = load_config(&args.config, need)?;
    out::answer(format_args!("{}", summary(&config)));
    let mut fits = run_tests(&config);
    for source in &config.sources {
        for gap in gaps(source) {
            say!("source {} lacks {}: {}", source.name, gap.lacks, gap.behaviour);
        }
    }
    if !args.offline {
        for source in &config.sources {
            match inspect(&config, source).await {
                Ok(found) => say!("source {}: {found}", source.name),
                Err(error) => {
                    fits = false;
                    aside!("{error}");
                }
            }
        }
    }
    if !config.warnings.problems().is_empty() {
        say!("\n{}", config.warnings.render(drawing(&std::io::stdout())));
    }
    Ok(if fits { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONFIG) })
}

/// Runs the configuration's own tests and tells of each that fails. True when none did.
fn run_tests(config: &Config) -> bool {
    let failures: Vec<(usize, String)> =
        (1..).zip(&config.tests).filter_map(|(no, test)| Some((no, test.failure(&config.policy)?))).collect();
    for (no, failure) in &failures {
        aside!("test {no} of {} fails: {failure}", config.tests.len());
    }
    if !config.tests.is_empty() && failures.is_empty() {
        say!("tests: all {} pass", config.tests.len());
    }
    failures.is_empty()
}

/// One screen: mode, sources, what P0 promises, the rules in the order in which they are asked.
pub fn summary(config: &Config) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        let written = writeln!(out, "{text}");
        debug_assert!(written.is_ok(), "writing to a String can't fail");
    };
    let mode = match config.mode {
        Mode::Shadow => "shadow: decides and records, pages only the log",
        Mode::Live => "live: pages people",
    };
    line(format!("{} loads; policy {}", config.file.display(), &config.policy.hash[..12]));
    line(format!("mode      {mode}"));
    for source in &config.sources {
        let rows = match &source.rows {
            RowsFrom::Table(table) => format!("table {table}"),
            RowsFrom::Query(_) => "a query".to_owned(),
        };
        let events: Vec<&str> = source.events.iter().map(|event| event.name.as_str()).collect();
        let (name, poll) = (&source.name, source.poll);
        line(format!("source    {name}: {rows}, every {poll}, {}; events {}", source.timezone, events.join(", ")));
    }
    let policy = &config.policy;
    let listed = |class| policy.categories.iter().filter(|(_, known)| **known == class).count();
    line(format!(
        "categories {} of minor safety, {} other; a code in neither list is presumed P0",
        listed(CategoryClass::MinorSafety),
        listed(CategoryClass::Other)
    ));
    line("\nrules, the first that matches decides:".to_owned());
    line(format!("  P0  minor safety -> {}", policy.minor_safety.escalation));
    line(format!("      {}", targets(&policy.minor_safety.targets)));
    if let Some(when) = &policy.minor_when {
        line(format!("      also any category when {}", when.text()));
    }
    if let Some(spread) = &policy.minor_safety.spread {
        line(spread_line(spread));
    }
    if let Some(when) = &policy.raised_when {
        line(format!("  top of its priority when {}", when.text()));
    }
    for rule in &policy.rules {
        let escalation = rule.escalation.as_deref().unwrap_or("nobody");
        let categories = match &rule.categories {
            Categories::AllNamed => "every other category".to_owned(),
            Categories::Listed(listed) => listed.iter().map(|name| &**name).collect::<Vec<_>>().join(", "),
        };
        let when = rule.when.as_ref().map(|when| format!(" when {}", when.text())).unwrap_or_default();
        line(format!("  {}  {} [{categories}]{when} -> {escalation}", rule.priority, rule.name));
        line(format!("      {}", targets(&rule.targets)));
        if let Some(spread) = &rule.spread {
            line(spread_line(spread));
        }
        if let Some(when) = &rule.raised_when {
            line(format!("      top of {} when {}", rule.priority, when.text()));
        }
    }
    if !policy.obligations.is_empty() {
        line("\nobligations, each that matches, on wall time:".to_owned());
    }
    for obligation in &policy.obligations {
        let when = obligation.when.as_ref().map(|when| format!(" when {}", when.text())).unwrap_or_default();
        let told = obligation.escalation.as_deref().unwrap_or("whom the rule names");
        line(format!("  {}{when} -> {told}", obligation.name()));
        line(format!("      {}{}", promise(&obligation.target), dates(obligation)));
    }
    out
}

/// "removed within 48h of valid_request".
fn promise(target: &Target) -> String {
    match &target.due {
        Due::Within { span, .. } => format!("{} within {span} of {}", target.until, target.from),
        Due::Stated { column } => format!("{} by {column}", target.until),
    }
}

/// ", begun since 2026-05-19T04:00:00Z", where it wasn't always in force; ", assumed from received".
fn dates(obligation: &Obligation) -> String {
    let from = obligation.in_force.from.map(|at| format!(", begun since {}", rfc3339(at)));
    let until = obligation.in_force.until.map(|at| format!(", begun before {}", rfc3339(at)));
    let assumed = obligation.assumed.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    let assumed = (!assumed.is_empty()).then(|| format!("; counted from received in {assumed}"));
    from.into_iter().chain(until).chain(assumed).collect()
}

/// "closed within 4h, filed within 24h of confirmed".
fn spread_line(spread: &Spread) -> String {
    let (fact, per_hour, within) = (&spread.fact, spread.per_hour, spread.within);
    format!("      all of it within {within} once {fact} grows by {per_hour} an hour")
}

fn targets(targets: &[Target]) -> String {
    if targets.is_empty() {
        return "no target".to_owned();
    }
    let spoken = targets.iter().map(|target| {
        let name = if *target.name == *target.until.as_str() {
            target.name.to_string()
        } else {
            format!("{} ({})", target.name, target.until)
        };
        match &target.due {
            Due::Within { span, calendar: None } => format!("{name} within {span} of {}", target.from),
            Due::Within { span, calendar: Some(calendar) } => {
                format!("{name} within {} of {} on {calendar}", open_time(*span), target.from)
            }
            Due::Stated { column } => format!("{name} by {column}"),
        }
    });
    spoken.collect::<Vec<_>>().join("; ")
}

/// Without days: on a calendar a day could mean 24 hours or one working day.
fn open_time(span: Span) -> String {
    let (hours, rest) = (span.secs() / 3_600, Span::from_secs(span.secs() % 3_600));
    match (hours, rest) {
        (0, rest) => rest.to_string(),
        (hours, Span::ZERO) => format!("{hours}h"),
        (hours, rest) => format!("{hours}h {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Timestamp;

    fn args(name: &str, text: &str) -> CheckArgs {
        let config = std::env::temp_dir().join(format!("tocsin-check-{}-{name}.toml", std::process::id()));
        std::fs::write(&config, text).expect("a temporary file can be written");
        CheckArgs { config, offline: false }
    }

    #[tokio::test]
    async fn check_answers_78_for_a_bad_file_or_a_database_that_does_not_fit_and_else_0() {
        let good = args("good", crate::config::TEMPLATE);
        let code = |exit: ExitCode| format!("{exit:?}");
        let of = |done: Result<ExitCode, CliError>| match done {
            Ok(exit) => code(exit),
            Err(error) => code(error.exit_code()),
        };
        let fits = async |_: &Config, _: &Settings| Ok("3 rows".to_owned());
        let misfits = async |_: &Config, _: &Settings| {
            Err(SourceError::Mapping { source_name: "reports".to_owned(), what: "no table reports".to_owned() })
        };
        assert_eq!(of(check(&good, fits).await), code(ExitCode::SUCCESS));
        assert_eq!(of(check(&good, misfits).await), code(ExitCode::from(78)));
        let offline = CheckArgs { offline: true, config: good.config.clone() };
        assert_eq!(of(check(&offline, misfits).await), code(ExitCode::SUCCESS));
        let bad = args("bad", "mode = 1");
        assert_eq!(of(check(&bad, fits).await), code(ExitCode::from(78)));
        for args in [good, bad] {
            std::fs::remove_file(args.config).expect("the temporary file is still there");
        }
    }

    #[test]
    fn the_summary_says_what_is_promised_in_the_order_in_which_rules_are_asked() {
        let args = args("summary", crate::config::TEMPLATE);
        let config =
            Config::load(&args.config, &|_| None, Timestamp::from_secs(1_795_000_000)).expect("the template loads");
        std::fs::remove_file(&args.config).expect("the temporary file is still there");
        let summary = summary(&config);
        let (head, rules) = summary.split_once("\n\n").expect("a blank line before the rules");
        assert!(
            head.lines().count() == 4 && head.contains("source    reports: table reports, every 1s, UTC"),
            "{head}"
        );
        let expected = "rules, the first that matches decides:
  P0  minor safety -> minor-safety
      closed within 1h of received; first_response within 15m of received
  P1  threat to life [self_harm, violent_threat] -> on-call
      closed within 4h of received; first_response within 1h of received
  P4  everything else [every other category] -> nobody
      closed within 40h of received on office
";
        assert_eq!(rules, expected);
    }
}
