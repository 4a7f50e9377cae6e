//! `tocsin explain`: why a report's deadlines are what they are. With a report it reads the row and what
//! the store keeps of it; with `--category` it needs no database and answers "what if".

mod known;

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::{Config, Need};
use crate::core::calendar::{Interval, Stretch};
use crate::core::case::{Case, Read};
use crate::core::explain::{Explanation, TargetExplained, explain};
use crate::core::facts::Fact;
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey, Subject};
use crate::core::observation::{Actor, Event, EventName, Received, Row};
use crate::core::plan::BreachRecord;
use crate::core::policy::{Due, Priority};
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::run::clock::{Clock, SystemClock};
use crate::run::replay::as_of;
use crate::source::{AnySource, Source};
use crate::store::{SqlStore, Store};
use crate::zone::{Zone, parse_local_or_rfc3339, rfc3339};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The report's id, as its table has it.
    #[arg(required_unless_present = "category", conflicts_with = "category")]
    report: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    /// The source of the report, where several are configured.
    #[arg(long)]
    source: Option<String>,
    /// As the row stood at this instant, from the times in it; pauses and reopenings are not known then.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// What if: a report of this category.
    #[arg(long, requires = "received")]
    category: Option<String>,
    /// What if: received at this instant.
    #[arg(long, value_name = "TIME")]
    received: Option<String>,
    /// What if: an event, such as first_response=2026-11-23T08:00:00Z.
    #[arg(long = "event", value_name = "NAME=TIME")]
    events: Vec<String>,
    /// What if: a due date that the source states.
    #[arg(long = "due", value_name = "NAME=TIME")]
    dues: Vec<String>,
    /// What if: a fact, such as views=1200, of the type that its declaration names.
    #[arg(long = "fact", value_name = "NAME=VALUE")]
    facts: Vec<String>,
    /// What if: a credited pause.
    #[arg(long = "pause", value_name = "FROM/TO")]
    pauses: Vec<String>,
    /// What if: looked at at this instant; by default now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let need = if args.report.is_some() { Need::Sources } else { Need::Nothing };
    let config = load_config(&args.config, need)?;
    let zone = config.sources.first().map_or(Zone::UTC, |source| source.timezone);
    let found = match &args.report {
        Some(report) => find(&config, &args, report, zone).await?,
        None => {
            let (case, now) = what_if(&config, &args, zone)?;
            Found { case: Some(case), now, breaches: Vec::new() }
        }
    };
    let then: Vec<known::Then> = found.breaches.iter().map(known::then).collect();
    let explanation = found.case.as_ref().map(|case| explain(case, &config.policy, found.now));
    if args.json {
        print_json(explanation.as_ref(), then);
        return Ok(());
    }
    print_now(&found, explanation.as_ref(), !then.is_empty());
    if !then.is_empty() {
        known::print(&then);
    }
    Ok(())
}

/// A report's case as it is now, unless neither its source nor the store has one, and the breaches that were
/// found of it.
struct Found {
    case: Option<Case>,
    now: Timestamp,
    breaches: Vec<BreachRecord>,
}

fn print_now(found: &Found, explanation: Option<&Explanation>, has_breaches: bool) {
    if has_breaches {
        say!("KNOWN NOW");
    }
    match (&found.case, explanation) {
        (Some(case), Some(explanation)) => print_text(case, explanation, found.now),
        _ => say!("the report is gone from its source, and nothing of it is open"),
    }
    if has_breaches {
        say!();
    }
}

/// A case that is nowhere but on the command line.
fn what_if(config: &Config, args: &Args, zone: Zone) -> Result<(Case, Timestamp), CliError> {
    let received = time("--received", args.received.as_deref().unwrap_or_default(), zone)?;
    let mut row = Row::bare(Received::At(received), args.category.as_deref().unwrap_or_default().into());
    for event in &args.events {
        let (name, at) = pair("--event", event, '=')?;
        let name = EventName::parse(name).ok_or_else(|| unknown_event(name))?;
        row.events.push(Event { at: time("--event", at, zone)?, name, by: Actor::Unmapped });
    }
    row.events.sort();
    for due in &args.dues {
        let (name, at) = pair("--due", due, '=')?;
        row.dues.push((name.into(), time("--due", at, zone)?));
    }
    for fact in &args.facts {
        row.facts.push(read_fact(config, fact)?);
    }
    let mut pauses = Vec::new();
    for pause in &args.pauses {
        let (from, until) = pair("--pause", pause, '/')?;
        let pause = Interval { from: time("--pause", from, zone)?, until: time("--pause", until, zone)? };
        if pause.until < pause.from {
            return Err(CliError::Failed { operation: "read --pause", cause: "it ends before it begins".to_owned() });
        }
        pauses.push(pause);
    }
    pauses.sort_by_key(|pause| pause.from);
    let latest = row.events.iter().map(|event| event.at).chain([received]).max().unwrap_or(received);
    let now = match &args.until {
        Some(text) => time("--until", text, zone)?,
        None => SystemClock.now().max(latest),
    };
    if now < received {
        return Err(CliError::Failed { operation: "read --until", cause: "it lies before --received".to_owned() });
    }
    row.events.retain(|event| event.at <= now);
    let source = config.sources.first().map_or_else(|| Name::from("what-if"), |source| source.name.clone());
    let key = ReportKey { source, id: ReportId::Text("what-if".into()), incarnation: 0 };
    let mut case = from_row(config, key, row, now);
    case.pauses = pauses;
    case.refresh_fully(&config.policy, now);
    Ok((case, now))
}

fn read_fact(config: &Config, written: &str) -> Result<(Name, Fact), CliError> {
    let (name, value) = pair("--fact", written, '=')?;
    let refused = |cause: String| CliError::Failed { operation: "read --fact", cause };
    let Some((name, kind)) = config.policy.facts.get_key_value(name) else {
        let known: Vec<&str> = config.policy.facts.keys().map(|name| &**name).collect();
        return Err(refused(format!("no fact is named {name}; [sources.facts] declares: {}", known.join(", "))));
    };
    let fact = kind.read(value).ok_or_else(|| refused(format!("the fact {name} is declared as {kind}")))?;
    Ok((name.clone(), fact))
}

fn from_row(config: &Config, key: ReportKey, row: Row, now: Timestamp) -> Case {
    let assessment = config.policy.assess(&row);
    let episode = EpisodeKey { case: CaseKey::Report(key.clone()), episode: 0 };
    let mut case = Case::new(episode, &assessment, row.category.clone());
    case.see(&key, Some(row), Read::at(now), None);
    case
}

/// The report in its database, with what the store keeps of its case.
async fn find(config: &Config, args: &Args, report: &str, zone: Zone) -> Result<Found, CliError> {
    let keys = deployment::keys(config)?;
    let now = SystemClock.now();
    let wanted = |name: &str| args.source.as_deref().is_none_or(|only| only == name);
    for settings in config.sources.iter().filter(|settings| wanted(&settings.name)) {
        let source = AnySource::open(settings.clone(), keys.clone())?;
        let Some((id, row)) = read(&source, report).await? else { continue };
        let key = ReportKey { source: settings.name.clone(), id, incarnation: 0 };
        if let Some(text) = &args.as_of {
            let at = time("--as-of", text, zone)?;
            let mut case = from_row(config, key, as_of(&row, at), at);
            case.refresh_fully(&config.policy, at);
            return Ok(Found { case: Some(case), now: at, breaches: Vec::new() });
        }
        let blind_after = config.policy.sources.get(&settings.name).and_then(|source| source.blind_after);
        let (kept, breaches) = kept(config, &keys, &key, row.subject).await?;
        let mut case = kept.unwrap_or_else(|| from_row(config, key.clone(), row.clone(), now));
        case.see(&key, Some(row), Read::at(now), blind_after);
        case.refresh_fully(&config.policy, now);
        return Ok(Found { case: Some(case), now, breaches });
    }
    // A year later the row may be gone, but what was kept of it is not.
    for settings in config.sources.iter().filter(|settings| wanted(&settings.name)) {
        for id in ReportId::readings(report) {
            let key = ReportKey { source: settings.name.clone(), id, incarnation: 0 };
            let (case, breaches) = kept(config, &keys, &key, None).await?;
            if case.is_some() || !breaches.is_empty() {
                return Ok(Found { case, now, breaches });
            }
        }
    }
    Err(CliError::Failed {
        operation: "find the report",
        cause: format!("no source has a report with the id {report}; --source names one of several"),
    })
}

/// An id is typed as its column is: each reading of the text is tried.
async fn read(source: &AnySource, report: &str) -> Result<Option<(ReportId, Row)>, CliError> {
    let mut last = None;
    for id in ReportId::readings(report) {
        match source.read(std::slice::from_ref(&id)).await {
            Ok(batch) => {
                if let Some(row) = batch.rows.into_iter().find_map(|seen| seen.row) {
                    return Ok(Some((id, row)));
                }
                last = None;
            }
            Err(error) => last = last.or(Some(error)),
        }
    }
    last.map_or(Ok(None), |error| Err(error.into()))
}

/// What the store keeps of a report: its case, and the breaches that were found of it.
async fn kept(
    config: &Config,
    keys: &Keys,
    key: &ReportKey,
    subject: Option<Subject>,
) -> Result<(Option<Case>, Vec<BreachRecord>), CliError> {
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    let subject = subject.map(|subject| CaseKey::Subject { source: key.source.clone(), subject });
    let asked: Vec<CaseKey> = subject.iter().cloned().chain([CaseKey::Report(key.clone())]).collect();
    let cases = store.recall(&asked).await?;
    let breaches = store.breaches_of(key, subject.as_ref()).await?;
    Ok((cases.into_iter().find(|case| case.reports.contains_key(key)), breaches))
}

fn pair<'t>(flag: &'static str, text: &'t str, between: char) -> Result<(&'t str, &'t str), CliError> {
    text.split_once(between).ok_or_else(|| CliError::Failed {
        operation: "read the arguments",
        cause: format!("{flag} \"{text}\" has no '{between}' in it"),
    })
}

fn time(flag: &'static str, text: &str, zone: Zone) -> Result<Timestamp, CliError> {
    parse_local_or_rfc3339(text, zone).ok_or_else(|| CliError::Time { flag, text: text.to_owned() })
}

fn unknown_event(name: &str) -> CliError {
    let known: Vec<&str> = EventName::ALL.iter().map(|name| name.as_str()).collect();
    CliError::Failed {
        operation: "read --event",
        cause: format!("no event is called {name}; there are {}", known.join(", ")),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    now: Option<Now<'a>>,
    /// Each breach with what was known when it was found; what stands above is what is known now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known_then: Vec<known::Then>,
}

#[derive(Serialize)]
struct Now<'a> {
    priority: Priority,
    rule: &'a str,
    targets: Vec<TargetBody<'a>>,
}

#[derive(Serialize)]
struct TargetBody<'a> {
    name: &'a str,
    obligation: bool,
    from: &'static str,
    until: &'static str,
    started: Option<String>,
    met: Option<String>,
    deadline: Option<String>,
    elapsed_secs: i64,
    state: &'static str,
    walk: Vec<StretchBody>,
}

#[derive(Serialize)]
struct StretchBody {
    from: String,
    until: String,
    counted: bool,
    why: &'static str,
}

fn why(target: &TargetExplained, stretch: Stretch) -> &'static str {
    let on_calendar = matches!(&target.due, Due::Within { calendar: Some(_), .. });
    match stretch {
        Stretch::Counted if on_calendar => "open",
        Stretch::Counted => "wall time",
        Stretch::Closed => "closed",
        Stretch::Paused => "paused",
    }
}

fn print_json(explanation: Option<&Explanation>, known_then: Vec<known::Then>) {
    let now = explanation.map(|explanation| Now {
        priority: explanation.priority,
        rule: &explanation.rule,
        targets: explanation.targets.iter().map(target_body).collect(),
    });
    match serde_json::to_string_pretty(&Body { now, known_then }) {
        Ok(text) => say!("{text}"),
        Err(error) => tracing::error!(%error, "the explanation can't be written as JSON"),
    }
}

fn target_body(target: &TargetExplained) -> TargetBody<'_> {
    let stretch = |(interval, stretch): &(Interval, Stretch)| StretchBody {
        from: rfc3339(interval.from),
        until: rfc3339(interval.until),
        counted: *stretch == Stretch::Counted,
        why: why(target, *stretch),
    };
    TargetBody {
        name: &target.name,
        obligation: target.obligation,
        from: target.from.as_str(),
        until: target.until.as_str(),
        started: target.started.map(rfc3339),
        met: target.met.map(rfc3339),
        deadline: target.deadline.map(rfc3339),
        elapsed_secs: target.elapsed.secs(),
        state: target.state.as_str(),
        walk: target.walk.iter().map(stretch).collect(),
    }
}

fn print_text(case: &Case, explanation: &Explanation, now: Timestamp) {
    say!("{} by the rule \"{}\", as of {}", explanation.priority, explanation.rule, rfc3339(now));
    say!("category {}, {} report(s), received {}", case.category, case.reports.len(), rfc3339(case.received()));
    for target in &explanation.targets {
        let due = match &target.due {
            Due::Within { span, calendar: None } => format!("within {span}"),
            Due::Within { span, calendar: Some(name) } => format!("within {span} of calendar \"{name}\""),
            Due::Stated { column } => format!("at the time that {column} states"),
        };
        say!();
        let imposed = if target.obligation { ", an obligation" } else { "" };
        say!("{}: from {} until {}, {due}{imposed}", target.name, target.from, target.until);
        let deadline = target.deadline.map_or_else(|| "none yet".to_owned(), rfc3339);
        say!("  {}, elapsed {}, deadline {deadline}", target.state.as_str().replace('_', " "), target.elapsed);
        for (interval, stretch) in &target.walk {
            let mark = if *stretch == Stretch::Counted { "+" } else { " " };
            let length = interval.until.since(interval.from);
            say!(
                "  {mark} {} to {}  {length}, {}",
                rfc3339(interval.from),
                rfc3339(interval.until),
                why(target, *stretch)
            );
        }
    }
}
