//! `tocsin event`: a person says what the report database can't: a filing, a second review, a vanished P0
//! looked into, a P0 that is none. The running monitor takes it up within a second or two, as evidence beside
//! the report's own, and the audit log keeps who said it.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::{Config, Need};
use crate::core::act::Deed;
use crate::core::observation::Actor;
use crate::core::told::Word;
use crate::run::clock::{Clock, SystemClock};
use crate::run::inbox;
use crate::source::settings::Settings;
use crate::store::SqlStore;
use crate::web::People;
use crate::zone::parse_local_or_rfc3339;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The report's id, as its table has it.
    report: String,
    /// What happened: an event such as filed or second_review; looked_into, of a P0 that vanished; released, of
    /// a P0 that is none, once two different people say so.
    name: String,
    /// Who did it, as the source writes its people; the name goes into the record.
    #[arg(long)]
    by: String,
    /// When it happened: RFC 3339, or a local time of the source's zone.
    #[arg(long, value_name = "TIME")]
    at: String,
    /// The source of the report, where several are configured.
    #[arg(long)]
    source: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

fn refused(cause: String) -> CliError {
    CliError::Failed { operation: "say what happened", cause }
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let word = Word::parse(&args.name).ok_or_else(|| unknown(&args.name))?;
    let config = load_config(&args.config, Need::Sources)?;
    let source = source(&config, args.source.as_deref())?;
    let by = person(source, &args.by)?;
    let (now, time) = (SystemClock.now(), parse_local_or_rfc3339(&args.at, source.timezone));
    let at = time.ok_or_else(|| CliError::Time { flag: "--at", text: args.at.clone() })?;
    if at > now {
        return Err(refused("--at lies in the future; say it once it has happened".to_owned()));
    }
    if args.report.is_empty() || args.report.len() > 256 {
        return Err(refused("the report's id must have 1 to 256 bytes".to_owned()));
    }
    let keys = deployment::keys(&config)?;
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    let deed = Deed::Tell { source: source.name.clone(), report: args.report.as_str().into(), word, at };
    let body = inbox::body(&deed).map_err(|error| refused(error.to_string()))?;
    store.put_inbox(deed.kind(), &body, &by, now).await?;
    say!("{} of report {} is handed in, by {by}; `tocsin audit` shows what became of it", word.as_str(), args.report);
    Ok(())
}

fn unknown(name: &str) -> CliError {
    let words: Vec<&str> = Word::all().map(Word::as_str).collect();
    let why = match name {
        "received" | "closed" | "reopened" => "of that the report's own row tells".to_owned(),
        _ => format!("nothing of the name \"{name}\" can be said of a report"),
    };
    refused(format!("{why}; there are {}", words.join(", ")))
}

/// The same judgement for the web.
pub fn people(config: &Config) -> People {
    let config = config.clone();
    Arc::new(move |named, by| {
        let why = |error: CliError| match error {
            CliError::Failed { cause, .. } => cause,
            other => other.to_string(),
        };
        let source = source(&config, named).map_err(why)?;
        Ok((source.name.clone(), person(source, by).map_err(why)?))
    })
}

fn source<'c>(config: &'c Config, named: Option<&str>) -> Result<&'c Settings, CliError> {
    let names = || config.sources.iter().map(|source| &*source.name).collect::<Vec<_>>().join(", ");
    let found = match (named, config.sources.as_slice()) {
        (Some(name), sources) => sources.iter().find(|source| &*source.name == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.ok_or_else(|| refused(format!("name the report's source with --source: {}", names())))
}

/// A name as the source writes it, so that "a different person" means the same here and there. Where the
/// source says who its people are, nobody else is one.
fn person(source: &Settings, by: &str) -> Result<String, CliError> {
    let by = by.trim();
    if by.is_empty() || by.len() > 256 {
        return Err(refused("--by must name a person, in at most 256 bytes".to_owned()));
    }
    match source.classify(by) {
        Actor::Person(_) => Ok(by.to_owned()),
        Actor::Automated => Err(refused(format!("{by} matches [sources.actors] automated, and a program is nobody"))),
        _ if source.actors.people.is_empty() => Ok(by.to_owned()),
        _ => {
            let people = source.actors.people.join(", ");
            Err(refused(format!("{by} matches none of the people of the source {}: {people}", source.name)))
        }
    }
}
