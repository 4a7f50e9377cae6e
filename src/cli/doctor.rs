//! `tocsin doctor`: connects to everything that the monitor will need, over bare connections so that the
//! true cause shows, and says what would hurt at night: a missing index, a wrong zone, an unsorted category,
//! a behaviour without its column. It changes nothing and pages nobody. Exit 0, or 1 when something is
//! broken, or 78 when the configuration is refused.

use crate::cli::out::say;
use crate::cli::{CliError, EXIT_FAILED, deployment, load_config};
use crate::config::{Config, Need};
use crate::core::sight::CLOCKS_APART_MAX;
use crate::core::time::{Span, Timestamp};
use crate::pager::reach;
use crate::run::clock::{Clock, SystemClock};
use crate::source::gaps::gaps;
use crate::source::settings::Settings;
use crate::source::{AnySource, SourceError};
use crate::store::probe;
use crate::zone::rfc3339;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Broken,
    /// It works, and will hurt.
    Warning,
    /// It works, and something can't be done with it.
    Note,
    Fine,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub verdict: Verdict,
    /// "source reports", "store" or "channel pager".
    pub about: String,
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Looks at everything and prints what it found.
///
/// # Errors
/// When the configuration doesn't load.
pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let config = load_config(&args.config, Need::All)?;
    let findings = examine(&config, SystemClock).await;
    if args.json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "findings": findings }));
        say!("{}", text.map_err(|error| CliError::Failed { operation: "write JSON", cause: error.to_string() })?);
    } else {
        say!("{}", render(&findings).trim_end());
    }
    let broken = findings.iter().any(|finding| finding.verdict == Verdict::Broken);
    Ok(if broken { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

fn render(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Broken => "BROKEN ",
            Verdict::Warning => "warning",
            Verdict::Note => "note   ",
            Verdict::Fine => "fine   ",
        };
        lines.push(format!("{mark} {}: {}", finding.about, finding.what));
        lines.extend(finding.advice.as_ref().map(|advice| format!("        {advice}")));
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    lines.push(format!("\n{} broken, {} warnings", count(Verdict::Broken), count(Verdict::Warning)));
    lines.join("\n")
}

/// What there is to say of a configuration's databases, store and channels.
pub async fn examine(config: &Config, clock: impl Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    for settings in &config.sources {
        let mut about = About { of: format!("source {}", settings.name), findings: &mut findings };
        source(config, settings, &clock, &mut about).await;
    }
    let mut about = About { of: "store".to_owned(), findings: &mut findings };
    store(config, &clock, &mut about).await;
    for (name, channel) in &config.channels {
        let mut about = About { of: format!("channel {name}"), findings: &mut findings };
        match reach(channel).await {
            Ok(how) => about.fine(how),
            Err(cause) => about.broken(cause, "pages to it wait until it answers"),
        }
    }
    findings
}

struct About<'f> {
    of: String,
    findings: &'f mut Vec<Finding>,
}

impl About<'_> {
    fn add(&mut self, verdict: Verdict, what: String, advice: Option<String>) {
        self.findings.push(Finding { verdict, about: self.of.clone(), what, advice });
    }

    fn fine(&mut self, what: impl Into<String>) {
        self.add(Verdict::Fine, what.into(), None);
    }

    fn broken(&mut self, what: impl Into<String>, advice: &str) {
        self.add(Verdict::Broken, what.into(), Some(advice.to_owned()));
    }

    fn warn(&mut self, what: impl Into<String>, advice: impl Into<String>) {
        self.add(Verdict::Warning, what.into(), Some(advice.into()));
    }
}

async fn source(config: &Config, settings: &Settings, clock: &impl Clock, about: &mut About<'_>) {
    if let Err(error) = look(config, settings, clock, about).await {
        let advice = match &error {
            SourceError::Unreachable { .. } => "is its url right, does the server run, and may this machine reach it?",
            SourceError::Failed { .. } => "the role needs SELECT on the mapped columns and nothing else",
            SourceError::Mapping { .. } => "fit [[sources]] to the table",
        };
        about.broken(error.complaint(), advice);
    }
    for gap in gaps(settings) {
        let what = format!("can't be enforced: {}", gap.behaviour);
        about.add(Verdict::Note, what, Some(format!("map {}, if a column says it", gap.lacks)));
    }
}

async fn look(
    config: &Config,
    settings: &Settings,
    clock: &impl Clock,
    about: &mut About<'_>,
) -> Result<(), SourceError> {
    let source = AnySource::open(settings.clone(), deployment::throwaway_keys())?;
    let checked = source.check().await?;
    about.fine(format!("{}; all {} mapped columns are there", checked.server, checked.columns.len()));
    if checked.sample.rejects.is_empty() {
        about.fine(format!("{} of the first open rows can be read whole", checked.sample.rows.len()));
    } else {
        let (flaws, rows) = (checked.sample.rejects.len(), checked.sample.rows.len());
        let first = &checked.sample.rejects[0];
        let what = format!("{flaws} cells of the first {rows} open rows can't be read, as {}", first.column);
        about
            .warn(what, format!("{} is {}; see `tocsin rejects`", first.column, first.flaw.as_str().replace('_', " ")));
    }
    let asked = clock.now();
    let vitals = source.vitals().await?;
    let now = vitals.clock.unwrap_or(asked);
    clocks(about, vitals.clock, asked, clock.now());
    if let Some(lag) = vitals.lag {
        let cut_off = if lag.cut_off { ", and nothing comes from the primary" } else { "" };
        let what = format!("a replica, {} behind{cut_off}", lag.behind);
        if lag.cut_off { about.warn(what, "name the primary, or mend the replication") } else { about.fine(what) }
    }
    if let Some(unchecked) = vitals.unchecked {
        about.add(Verdict::Note, unchecked.to_owned(), None);
    }
    received(about, &source.newest().await?, now, settings);
    for plan in source.plans().await? {
        match plan.lacks {
            None => about.fine(format!("{}: {}", plan.purpose, plan.plan)),
            Some((what, create)) => about.warn(format!("{}: {}; {what}", plan.purpose, plan.plan), create),
        }
    }
    categories(config, &source, about).await
}

fn clocks(about: &mut About<'_>, theirs: Option<Timestamp>, asked: Timestamp, answered: Timestamp) {
    let Some(theirs) = theirs else { return };
    let took = answered.since(asked);
    let ahead = theirs.since(asked.plus(Span::from_micros(took.micros() / 2)));
    let apart = ahead.max(Span::ZERO.minus(ahead));
    if apart > CLOCKS_APART_MAX.plus(took) {
        let direction = if ahead > Span::ZERO { "ahead of" } else { "behind" };
        let what = format!("its clock is {apart} {direction} this machine's");
        about.warn(what, "deadlines are judged by this machine's clock: run NTP on both");
    }
}

/// The newest reports beside the database's clock: from the future, or whole half hours away while others
/// came within minutes, is a wrong zone.
fn received(about: &mut About<'_>, newest: &[Timestamp], now: Timestamp, settings: &Settings) {
    let (Some(first), Some(last)) = (newest.first(), newest.last()) else {
        about.add(Verdict::Note, "no report to look at: its times can't be judged".to_owned(), None);
        return;
    };
    let (half_hour, near) = (Span::from_mins(30).micros(), Span::from_mins(2).micros());
    let away = now.since(*first).micros();
    let off = (away + half_hour / 2).rem_euclid(half_hour) - half_hour / 2;
    let advice = format!("[[sources]] timezone is \"{}\": is it the zone of columns without one?", settings.timezone);
    if *first > now.plus(Span::from_micros(near)) {
        let what = format!("the newest report was received in the future, at {}", rfc3339(*first));
        about.warn(what, advice);
    } else if away >= half_hour - near && off.abs() <= near && first.since(*last) <= Span::from_mins(10) {
        let what = format!("the newest reports lie whole half hours back, at {}", rfc3339(*first));
        about.warn(what, advice);
    } else {
        about.fine(format!("the newest report was received {} ago", now.since(*first).max(Span::ZERO)));
    }
}

async fn categories(config: &Config, source: &AnySource, about: &mut About<'_>) -> Result<(), SourceError> {
    let found = source.categories().await?;
    let sorted = |name: &str| config.policy.categories.contains_key(name);
    let unsorted: Vec<String> = found
        .iter()
        .filter(|(name, _)| !sorted(name))
        .map(|(name, count)| format!("{} ({count})", if name.is_empty() { "(none)" } else { name }))
        .collect();
    if unsorted.is_empty() {
        about.fine(format!("all {} categories are sorted", found.len()));
    } else {
        let what = format!("presumed minor safety, because no list names them: {}", unsorted.join(", "));
        about.warn(what, "add each to minor_safety or other of [categories]");
    }
    Ok(())
}

async fn store(config: &Config, clock: &impl Clock, about: &mut About<'_>) {
    let asked = clock.now();
    match probe(&config.store.url).await {
        Ok(found) => {
            let schema = found.schema.map_or("not used yet".to_owned(), |version| format!("schema {version}"));
            about.fine(format!("{}, {schema}", found.server));
            clocks(about, found.clock, asked, clock.now());
        }
        Err(cause) => about.broken(cause, "without a store nothing is recorded and nobody is paged"),
    }
}
