//! `tocsin status`: asks the running process how well it sees, writes and pages, and shows each way in which
//! it is blind with since when and why. Exit 0 when it does its whole work, else 1.

use crate::cli::out::say;
use crate::cli::queue::{self, QueueError, visible, wrapped};
use crate::cli::{CliError, EXIT_FAILED};
use crate::web::api::{BlindBody, SourceBody, StatusBody};
use crate::web::words::counted;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration of the running monitor, for its address.
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    /// The running monitor's page, such as http://127.0.0.1:8080; otherwise [web] listen says.
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    #[arg(long)]
    json: bool,
    /// Ask only whether the process is alive, as a container's probe does; no token is needed.
    #[arg(long, conflicts_with = "json")]
    alive: bool,
}

/// Prints how the running monitor is.
///
/// # Errors
/// When nothing answers, or not as a tocsin.
pub async fn run(args: Args) -> Result<ExitCode, CliError> {
    let base = queue::running(args.at, &args.config)?;
    if args.alive {
        let (_, said) = queue::ask(&base, "/healthz").await?;
        say!("{}", said.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let (url, json) = queue::ask(&base, "/api/v1/status").await?;
    let body: StatusBody = serde_json::from_str(&json).map_err(|cause| QueueError::Unreadable { url, cause })?;
    if args.json {
        say!("{}", json.trim_end());
    } else {
        say!("{}", render(&body).trim_end());
    }
    Ok(if body.ready { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// The status for a terminal.
pub fn render(body: &StatusBody) -> String {
    let mut lines = vec![visible(&body.summary.headline)];
    let ready = if body.ready { "ready" } else { "NOT READY" };
    let leads = if body.leader { "leads" } else { "does not lead" };
    lines.push(format!(
        "{ready}; {}, {leads} the store, deployment {}, since {}, version {}",
        body.mode, body.deployment, body.started_at, body.version
    ));
    let store = if body.store.writable { "takes writes" } else { "TAKES NO WRITES" };
    let last = body.store.last_commit.as_deref().unwrap_or("never");
    lines.push(format!("store      {store}; commit {}, last {last}", body.store.sequence));
    if let Some(error) = body.store.last_error.as_ref().filter(|_| !body.store.writable) {
        lines.push(format!("           since {}: {}", error.at, visible(&error.cause)));
    }
    lines.extend(body.store.blind.iter().map(blind));
    for source in &body.sources {
        lines.push(source_line(source));
        lines.extend(source.blind.iter().map(blind));
        if let Some(error) = source.last_error.as_ref().filter(|_| source.state == "failing") {
            lines.push(format!("           the last read failed at {}: {}", error.at, visible(&error.cause)));
        }
    }
    lines.iter().flat_map(|line| wrapped(line.trim_end())).map(|line| line + "\n").collect()
}

fn source_line(source: &SourceBody) -> String {
    let read = match (&source.last_ok, source.last_poll_took_ms) {
        (Some(at), Some(took)) => {
            format!("{} rows read at {at} in {took} ms", counted(source.rows_last_scan))
        }
        (Some(at), None) => format!("read at {at}"),
        (None, _) => "never read".to_owned(),
    };
    format!("source     {}: {}; {read}", visible(&source.name), source.state.replace('_', " "))
}

fn blind(body: &BlindBody) -> String {
    format!("  BLIND    {} since {}: {}", body.kind.replace('_', " "), body.since, visible(&body.why))
}
