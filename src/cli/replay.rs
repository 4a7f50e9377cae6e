//! `tocsin replay`: what this configuration would have made of a source's history. It reads every row,
//! closed ones too, plays them through the core and writes breaches as CSV and pages as NDJSON.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::{Config, Need};
use crate::core::id::{Name, ReportId};
use crate::core::observation::Row;
use crate::core::observed::Observed;
use crate::core::plan::{BATCH, Page};
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::pager::payload::Payload;
use crate::run::clock::{Clock, SystemClock};
use crate::run::replay::{Replay, Replayed};
use crate::run::what_if::{Changed, Changes, changes};
use crate::source::AnySource;
use crate::store::{SqlStore, probe};
use crate::zone::{Zone, parse_local_or_rfc3339, rfc3339};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration whose rules and targets are applied.
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    /// Another configuration, such as the one that is live: print what `--config` changes against it.
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// Begin here; earlier history is seen at once then, as at a first start. RFC 3339, or a local time
    /// in the source's zone, or one followed by a zone ("2016-01-13T00:00:00 America/New_York").
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End here, this instant included; by default now.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Write the breaches to this file.
    #[arg(long, value_name = "OUT.csv")]
    breaches: Option<PathBuf>,
    /// Write the pages to this file, one JSON object a line.
    #[arg(long, value_name = "OUT.ndjson")]
    pages: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let config = load_config(&args.config, Need::Sources)?;
    let (keys, observations) = remembered(&config).await?;
    let zone = config.sources.first().map_or(Zone::UTC, |source| source.timezone);
    let from = args.from.as_deref().map(|text| instant("--from", text, zone)).transpose()?;
    let until = args.until.as_deref().map(|text| instant("--until", text, zone)).transpose()?;
    let until = until.unwrap_or_else(|| SystemClock.now());
    let rows = read_all(&config, &keys).await?;
    let before = match &args.against {
        Some(file) => {
            let against = load_config(file, Need::Sources)?;
            let rows = read_all(&against, &keys).await?;
            Some(Replay::new(Arc::new(against.policy), rows, from).run(until))
        }
        None => None,
    };
    let replay = Replay::new(Arc::new(config.policy), rows, from).with_observations(observations);
    let replayed = replay.run(until);
    if let Some(path) = &args.breaches {
        write_breaches(path, &replayed).map_err(|cause| CliError::Write { path: path.clone(), cause })?;
    }
    if let Some(path) = &args.pages {
        write_pages(path, &replayed.pages, &keys).map_err(|cause| CliError::Write { path: path.clone(), cause })?;
    }
    summarise(&replayed, until);
    if let Some(before) = before {
        print_changes(&changes(&before, &replayed));
    }
    Ok(())
}

fn summarise(replayed: &Replayed, until: Timestamp) {
    let inherited = replayed.breaches.iter().filter(|breach| breach.inherited).count();
    say!(
        "{} reports replayed to {}, {} of them as they were observed: \
         {} breaches ({inherited} of them already overdue when first seen), {} pages",
        replayed.reports,
        rfc3339(until),
        replayed.observed.len(),
        replayed.breaches.len(),
        replayed.pages.len(),
    );
}

/// What a change of configuration does, per rule and category, and the cases behind each line.
fn print_changes(changes: &Changes) {
    if changes.lines.is_empty() {
        say!("nothing changes: the same breaches and the same pages");
    }
    for ((rule, category, target), line) in &changes.lines {
        say!("\n{rule}, {category}, {target}: {line}");
        for (report, change) in &line.cases {
            let told = match change {
                Changed::Appears { deadline } => format!("appears, due {}", rfc3339(*deadline)),
                Changed::Disappears { deadline } => format!("disappears, was due {}", rfc3339(*deadline)),
                Changed::Moves { from, to } => format!("moves from {} to {}", rfc3339(*from), rfc3339(*to)),
            };
            say!("  {}#{}: {told}", report.source, report.id);
        }
    }
    for ((category, channel), (before, after)) in &changes.pages {
        say!("\npages about {category} to {channel}: {before} before, {after} now");
    }
}

/// What the store, where there is one, remembers of how reports looked, and the keys under which it does.
async fn remembered(config: &Config) -> Result<(Keys, Vec<Observed>), CliError> {
    let used = probe(&config.store.url).await.is_ok_and(|found| found.schema.is_some());
    let none = || (deployment::throwaway_keys(), Vec::new());
    let Some(keys) = deployment::existing_keys(config)?.filter(|_| used) else { return Ok(none()) };
    match SqlStore::open(&config.store.url, &keys.fingerprint()).await {
        Ok(store) => {
            let observations = store.observations().await?;
            store.close().await;
            Ok((keys, observations))
        }
        Err(error) => {
            tracing::warn!(%error, "the store can't be read: everything is replayed from final rows");
            Ok(none())
        }
    }
}

/// A time as a person types it.
fn instant(flag: &'static str, text: &str, zone: Zone) -> Result<Timestamp, CliError> {
    let named = text.rsplit_once(' ').and_then(|(time, zone)| Some((time, zone.parse::<Zone>().ok()?)));
    let (time, zone) = named.unwrap_or((text, zone));
    parse_local_or_rfc3339(time, zone).ok_or_else(|| CliError::Time { flag, text: text.to_owned() })
}

/// Every row of every source, as it is now.
async fn read_all(config: &Config, keys: &Keys) -> Result<BTreeMap<(Name, ReportId), Row>, CliError> {
    let mut rows = BTreeMap::new();
    for settings in &config.sources {
        let source = AnySource::open(settings.clone(), keys.clone())?;
        let (mut after, mut rejects) = (None, 0);
        loop {
            let (batch, next) = source.all_rows(after.as_ref(), BATCH as u32).await?;
            rejects += batch.rejects.len();
            let read = batch.rows.into_iter().filter_map(|seen| Some((seen.id, seen.row?)));
            rows.extend(read.map(|(id, row)| ((settings.name.clone(), id), row)));
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if rejects > 0 {
            tracing::warn!(source = %settings.name, rejects, "cells that could not be read; their rows count as the strictest they could be");
        }
    }
    Ok(rows)
}

fn write_breaches(path: &Path, replayed: &Replayed) -> std::io::Result<()> {
    let mut out = csv::Writer::from_path(path)?;
    out.write_record(["report_id", "case", "rule", "priority", "target", "deadline", "detected_at", "basis"])?;
    for breach in &replayed.breaches {
        out.write_record([
            &breach.first_report.id.to_string(),
            &breach.episode.case.to_string(),
            &*breach.rule,
            breach.priority.as_str(),
            &*breach.target,
            &rfc3339(breach.deadline),
            &rfc3339(breach.detected_at),
            replayed.basis(breach),
        ])?;
    }
    out.flush()
}

fn write_pages(path: &Path, pages: &[Page], keys: &Keys) -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        channel: &'a str,
        #[serde(flatten)]
        payload: Payload,
    }
    let mut out = BufWriter::new(File::create(path)?);
    for page in pages {
        let line = Line { channel: &page.channel, payload: Payload::freeze(page, keys) };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
