//! `tocsin weekly`: the SLA report of any week, and `tocsin handover`: what the next shift must know. Both
//! read the store and the sources, and run beside the monitor or without it.

use crate::cli::{CliError, deployment, load_config};
use crate::config::{Config, Mode, Need};
use crate::core::incident::{Incident, IncidentKind};
use crate::core::outcome::BreachFact;
use crate::core::time::{Timestamp, WrittenSpan};
use crate::keys::Keys;
use crate::run::clock::{Clock, SystemClock};
use crate::run::weekly::gather::{ReportError, Reporter};
use crate::source::AnySource;
use crate::store::{SqlStore, Store};
use crate::web::words;
use crate::weekly::week::Week;
use crate::weekly::{Document, Format, SCHEMA, documents, summary};
use crate::zone::{Zone, rfc3339};
use arc_swap::ArcSwap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Breaches that a hand-over lists.
const LISTED_MAX: usize = 50;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The week, as ISO 8601 numbers it: 2026-W46. By default the last that is over.
    #[arg(long)]
    week: Option<String>,
    /// Any of html, csv, json and md, separated by commas; by default md, and all of them with --out.
    #[arg(long, value_delimiter = ',')]
    format: Vec<String>,
    /// Write the files into this directory instead of to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the JSON Schema of the format json, and nothing else.
    #[arg(long)]
    schema: bool,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct HandoverArgs {
    /// How far back the shift began: 8h, 90m, 1d.
    #[arg(long, default_value = "8h")]
    since: String,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    if args.schema {
        return print(SCHEMA);
    }
    let formats = formats(&args)?;
    let config = load_config(&args.config, Need::Sources)?;
    let reporter = reporter(&config).await?;
    let week = match &args.week {
        Some(text) => text.parse::<Week>().map_err(|error| refused(error.to_string()))?,
        None => Week::over_at(SystemClock.now(), reporter.zone),
    };
    let figures = reporter.report(week, false).await.map_err(report_failed)?;
    if !figures.sight.unread.is_empty() && figures.complete {
        tracing::warn!("not kept as the week's report: made once every source can be read, it will be");
    }
    let documents = documents(&figures, &formats);
    match &args.out {
        None => documents.iter().try_for_each(|document| print(&document.text)),
        Some(directory) => write_all(directory, &documents),
    }
}

pub async fn handover(args: HandoverArgs) -> Result<(), CliError> {
    let since = args.since.parse::<WrittenSpan>().map_err(|error| refused(error.to_string()))?;
    let config = load_config(&args.config, Need::Sources)?;
    let reporter = reporter(&config).await?;
    let now = reporter.clock.now();
    let from = now.minus(since.span);
    let figures = reporter.since(from).await.map_err(report_failed)?;
    let mut out = format!("Shift of {} until {}\n\n", since.span, rfc3339(now));
    let told = summary(&figures);
    // The first line names a week, which this is not.
    out.extend(told.lines().skip(1).map(|line| format!("{line}\n")));
    out += &incidents(&reporter.store.load().await?.incidents, now);
    let mut breaches = Vec::new();
    reporter.store.each_breach(from, now, |breach| breaches.push(breach)).await?;
    out += &listed(&breaches, now);
    print(&out)
}

fn incidents(all: &[Incident], now: Timestamp) -> String {
    let open: Vec<&Incident> = all.iter().filter(|incident| incident.is_open()).collect();
    if open.is_empty() {
        return "\nNo incident is open.\n".to_owned();
    }
    let mut out = format!("\n{} open:\n", if open.len() == 1 { "1 incident is" } else { "Incidents" });
    for incident in open {
        let about = match &incident.kind {
            IncidentKind::Episode(_) => "minor safety".to_owned(),
            IncidentKind::Bundle { members } => format!("minor safety, {} cases", members.len()),
            IncidentKind::Group { category } => category.to_string(),
            other => words::about_no_case(other),
        };
        let taken = match &incident.acknowledged {
            Some(taken) => format!("taken by {} {} ago", taken.by, now.since(taken.at)),
            None => "nobody has taken it".to_owned(),
        };
        let age = now.since(incident.opened_at);
        let rung = match incident.rounds {
            1 => "rung once".to_owned(),
            rounds => format!("rung {rounds} times"),
        };
        out += &format!("  {}  {about}, open for {age}, {rung}; {taken}\n", incident.no);
    }
    out
}

fn listed(breaches: &[BreachFact], now: Timestamp) -> String {
    let mut sorted: Vec<&BreachFact> = breaches.iter().collect();
    sorted.sort_by_key(|breach| (breach.met_at.is_some(), breach.priority, breach.deadline));
    if sorted.is_empty() {
        return "\nNo breach was recorded in the shift; `tocsin queue` shows what is overdue now.\n".to_owned();
    }
    let mut out = format!("\nDeadlines missed in the shift, {}:\n", sorted.len());
    for breach in sorted.iter().take(LISTED_MAX) {
        let what = match (breach.met_at, breach.moot_at) {
            (Some(at), _) => format!("met {} late", at.since(breach.deadline)),
            (None, Some(_)) => "nothing left to wait for".to_owned(),
            (None, None) => format!("still unmet, {} late", now.since(breach.deadline)),
        };
        let status = if breach.inherited { "inherited" } else { breach.status.as_str() };
        out += &format!("  {} {} {}: {what} ({status})\n", breach.priority, breach.category, breach.target);
    }
    if sorted.len() > LISTED_MAX {
        out += &format!("  and {} more; the board lists every case\n", sorted.len() - LISTED_MAX);
    }
    out
}

fn formats(args: &Args) -> Result<Vec<Format>, CliError> {
    if args.format.is_empty() {
        return Ok(if args.out.is_some() { Format::ALL.to_vec() } else { vec![Format::Md] });
    }
    let parse = |text: &String| {
        Format::parse(text.trim())
            .ok_or_else(|| refused(format!("there is no format \"{text}\"; the formats are html, csv, json and md")))
    };
    args.format.iter().map(parse).collect()
}

async fn reporter(config: &Config) -> Result<Reporter<AnySource, SystemClock>, CliError> {
    let keys = deployment::keys(config)?;
    let store = Arc::new(SqlStore::open(&config.store.url, &keys.fingerprint()).await?);
    reporter_of(config, &keys, store, SystemClock)
}

/// What makes the reports of a configuration, over a store that is open. Its sources are connections of their
/// own, so that a report never delays a poll.
///
/// # Errors
/// When a source's url can't be used.
pub fn reporter_of<C: Clock>(
    config: &Config,
    keys: &Keys,
    store: Arc<SqlStore>,
    clock: C,
) -> Result<Reporter<AnySource, C>, CliError> {
    let open = |settings: &crate::source::settings::Settings| {
        Ok((settings.name.clone(), Arc::new(AnySource::open(settings.clone(), keys.clone())?)))
    };
    Ok(Reporter {
        store,
        policy: Arc::new(ArcSwap::from_pointee(config.effective_policy())),
        sources: config.sources.iter().map(open).collect::<Result<_, CliError>>()?,
        clock,
        zone: config.weekly.as_ref().map_or(Zone::UTC, |weekly| weekly.timezone),
        deployment: keys.fingerprint().chars().take(8).collect(),
        mode: if config.mode == Mode::Live { "live" } else { "shadow" },
        mapped: config.sources.clone(),
    })
}

fn write_all(directory: &Path, documents: &[Document]) -> Result<(), CliError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| CliError::Write { path, cause }
    };
    std::fs::create_dir_all(directory).map_err(failed(directory))?;
    for document in documents {
        let path = directory.join(&document.name);
        std::fs::write(&path, &document.text).map_err(failed(&path))?;
        print(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

fn print(text: &str) -> Result<(), CliError> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    // Whoever closed the pipe has read enough.
    match written {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Write { path: "standard output".into(), cause })
        }
        _ => Ok(()),
    }
}

fn refused(cause: String) -> CliError {
    CliError::Failed { operation: "make the report", cause }
}

fn report_failed(error: ReportError) -> CliError {
    refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::IncidentNo;
    use crate::core::policy::Priority;

    #[test]
    fn a_handover_names_who_has_taken_what_and_lists_the_unmet_first() {
        let at = Timestamp::from_secs;
        let mut taken =
            Incident::open(IncidentNo(7), IncidentKind::Group { category: "ncii".into() }, "x".into(), at(0));
        taken.acknowledge("ada".into(), false, None, at(600));
        let fresh = Incident::open(IncidentNo(8), IncidentKind::Group { category: "spam".into() }, "x".into(), at(0));
        let said = incidents(&[taken, fresh], at(3_600));
        assert!(said.contains("I-7  ncii, open for 1h") && said.contains("taken by ada 50m ago"), "{said}");
        assert!(said.contains("I-8  spam") && said.contains("nobody has taken it"), "{said}");
        let breach = |priority, met_at| BreachFact {
            source: "reports".into(),
            category: "csam".into(),
            priority,
            target: "closed".into(),
            deadline: at(0),
            detected_at: at(0),
            inherited: false,
            status: crate::core::plan::BreachStatus::Verified,
            met_at,
            moot_at: None,
            contradicted_at: None,
            incident: None,
        };
        let said = listed(&[breach(Priority::P0, Some(at(60))), breach(Priority::P2, None)], at(120));
        let (unmet, met) =
            (said.find("P2 csam closed: still unmet, 2m late"), said.find("P0 csam closed: met 1m late"));
        assert!(unmet.is_some() && unmet < met, "{said}");
    }
}
