//! `tocsin rejects`: what could not be read in the reports' rows, and why; never what stood there. Each such
//! row counts as the strictest that it could be until it is mended.

use crate::cli::out::say;
use crate::cli::queue::visible;
use crate::cli::{CliError, deployment, load_config};
use crate::config::Need;
use crate::store::{RejectRow, RejectTotal, SqlStore};
use crate::web::words::counted;
use crate::zone::rfc3339;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    /// Reports to list, from the one found last.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Body {
    totals: Vec<Total>,
    rejects: Vec<Entry>,
}

#[derive(Serialize)]
struct Total {
    source: String,
    column: String,
    flaw: String,
    reports: u64,
}

#[derive(Serialize)]
struct Entry {
    source: String,
    /// Null for rows without an id.
    report: Option<String>,
    column: String,
    flaw: String,
    first_seen: String,
    last_seen: String,
    count: u64,
}

/// Prints the rejects that the store holds.
///
/// # Errors
/// When the configuration or the store can't be read.
pub async fn run(args: Args) -> Result<(), CliError> {
    let config = load_config(&args.config, Need::Sources)?;
    let keys = deployment::keys(&config)?;
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    let (totals, rows) = (store.reject_totals().await?, store.rejects(args.limit).await?);
    store.close().await;
    let body = Body {
        totals: totals
            .into_iter()
            .map(|RejectTotal { source, column, flaw, reports }| Total { source, column, flaw, reports })
            .collect(),
        rejects: rows.into_iter().map(entry).collect(),
    };
    if args.json {
        let text = serde_json::to_string_pretty(&body);
        say!("{}", text.map_err(|error| CliError::Failed { operation: "write JSON", cause: error.to_string() })?);
    } else {
        say!("{}", render(&body).trim_end());
    }
    Ok(())
}

fn entry(row: RejectRow) -> Entry {
    Entry {
        source: row.source,
        report: row.report,
        column: row.column,
        flaw: row.flaw,
        first_seen: rfc3339(row.first_seen),
        last_seen: rfc3339(row.last_seen),
        count: row.count,
    }
}

fn render(body: &Body) -> String {
    if body.totals.is_empty() {
        return "everything could be read".to_owned();
    }
    let mut lines = Vec::new();
    for total in &body.totals {
        let (source, column) = (visible(&total.source), visible(&total.column));
        let reports = if total.reports == 1 { "1 row".to_owned() } else { format!("{} rows", counted(total.reports)) };
        lines.push(format!("{source}: {reports} with {column} {}", words(&total.flaw)));
    }
    lines.push(String::new());
    for entry in &body.rejects {
        let report = entry.report.as_deref().map_or_else(|| "(no id)".to_owned(), visible);
        let (source, column) = (visible(&entry.source), visible(&entry.column));
        let times = if entry.count == 1 { String::new() } else { format!(", {} times", counted(entry.count)) };
        lines.push(format!("{source} {report}: {column} {}, since {}{times}", words(&entry.flaw), entry.first_seen));
    }
    lines.join("\n")
}

/// A flaw as people read it.
fn words(flaw: &str) -> &str {
    match flaw {
        "no_id" => "NULL, where every report needs an id",
        "missing" => "NULL, where a value is needed",
        "not_a_time" => "no time in the mapped encoding",
        "time_out_of_range" => "a time outside the years 1970 to 9999",
        "wrong_type" => "of a type that the column can't have",
        "bad_text" => "text with a NUL byte or longer than 256 bytes",
        other => other,
    }
}
