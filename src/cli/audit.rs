//! `tocsin audit`: who did what, and what became of it, newest first.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::Need;
use crate::core::act::{Audited, Effect};
use crate::store::SqlStore;
use crate::zone::rfc3339;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    /// How many lines, at most.
    #[arg(long, default_value = "100")]
    limit: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    taken_at: String,
    done_at: String,
    by: &'a str,
    integration: bool,
    kind: &'a str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said_at: Option<String>,
    effect: Effect,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let config = load_config(&args.config, Need::Sources)?;
    let keys = deployment::keys(&config)?;
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    let lines = store.audit(args.limit).await?;
    if args.json {
        let lines: Vec<Line<'_>> = lines.iter().map(line).collect();
        let text = serde_json::to_string_pretty(&lines);
        let failed = |error: serde_json::Error| CliError::Failed { operation: "write JSON", cause: error.to_string() };
        say!("{}", text.map_err(failed)?);
        return Ok(());
    }
    if lines.is_empty() {
        say!("nobody has done anything yet");
    }
    for line in &lines {
        say!("{}", words(line));
    }
    Ok(())
}

fn line(audited: &Audited) -> Line<'_> {
    Line {
        taken_at: rfc3339(audited.taken_at),
        done_at: rfc3339(audited.done_at),
        by: &audited.by,
        integration: audited.integration,
        kind: &audited.kind,
        subject: &audited.subject,
        said: audited.said.as_ref().map(|(name, _)| &**name),
        said_at: audited.said.as_ref().map(|(_, at)| rfc3339(*at)),
        effect: audited.effect,
    }
}

/// "2026-11-23T08:04:00Z ada, event filed at 2026-11-23T08:00:00Z of reports:4711: done"
fn words(line: &Audited) -> String {
    let by = if line.integration { format!("{} (by a program)", line.by) } else { line.by.to_string() };
    let said = line.said.as_ref().map(|(name, at)| format!(" {name} at {}", rfc3339(*at))).unwrap_or_default();
    let of = if line.subject.is_empty() { String::new() } else { format!(" of {}", line.subject) };
    let effect = match line.effect {
        Effect::Done => "done",
        Effect::NotOpen => "no effect: no such incident is open",
        Effect::NotHeld => "no effect: no open case holds this report",
        Effect::NotVanished => "no effect: the report is there, it has not vanished",
        Effect::SaidBefore => "no effect: the same was said before",
        Effect::Refused => "refused: it is minor safety, or something new had rung",
        Effect::NotUnderstood => "no effect: this version can't take it up",
    };
    format!("{} {by}, {}{said}{of}: {effect}", rfc3339(line.taken_at), line.kind)
}
