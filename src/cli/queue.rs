//! `tocsin queue`: asks the running process for the head of the queue and writes it as a table of at
//! most `COLUMNS` columns. Names out of a database can't move the cursor or turn the text round.

use crate::cli::out::say;
use crate::cli::{CliError, load_config};
use crate::config::Need;
use crate::web::api::{QueueBody, QueueEntry};
use crate::web::words::{category_words, counted};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unicode_width::UnicodeWidthChar;

/// The width of the table.
pub const COLUMNS: usize = 100;
/// Where the commands find a token for a monitor that asks who they are.
const TOKEN_ENV: &str = "TOCSIN_TOKEN";
/// The running process answers out of memory; longer means that it doesn't.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration of the running monitor, for its address.
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
    /// The running monitor's page, such as http://127.0.0.1:8080; otherwise [web] listen says.
    #[arg(long, value_name = "URL")]
    at: Option<String>,
    /// Cases to show, from the most urgent.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[arg(long)]
    json: bool,
}

/// Prints the head of the running monitor's queue.
pub async fn run(args: Args) -> Result<(), CliError> {
    let url = running(args.at, &args.config)?;
    let json = fetch(&url, args.limit).await?;
    let table = if args.json { Ok(json) } else { render_table(&json) };
    let text = table.map_err(|cause| QueueError::Unreadable { url, cause })?;
    say!("{}", text.trim_end());
    Ok(())
}

/// Where the running monitor's page is: as given, or as the configuration says.
///
/// # Errors
/// Where the configuration doesn't load.
pub fn running(at: Option<String>, config: &Path) -> Result<String, CliError> {
    match at {
        Some(url) => Ok(url),
        None => Ok(format!("http://{}", load_config(config, Need::Nothing)?.web.listen)),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("ask {url}: {cause}; is `tocsin run` or `tocsin demo` running, and is [web] listen its address?")]
    Unreachable { url: String, cause: String },
    #[error("ask {url}: it answered {status}; is it a tocsin of this version, and TOCSIN_TOKEN a token of it?")]
    Refused { url: String, status: u16 },
    #[error("ask {url}: the answer can't be read ({cause}); is it a tocsin of this version?")]
    Unreadable { url: String, cause: serde_json::Error },
}

/// The body of /api/v1/queue as the process at `base_url`, such as "http://127.0.0.1:8080", gave it.
///
/// # Errors
/// When nothing answers there, or something that isn't a tocsin.
pub async fn fetch(base_url: &str, limit: usize) -> Result<String, QueueError> {
    let (url, text) = ask(base_url, &format!("/api/v1/queue?limit={limit}")).await?;
    match serde_json::from_str::<QueueBody>(&text) {
        Ok(_) => Ok(text),
        Err(cause) => Err(QueueError::Unreadable { url, cause }),
    }
}

/// The url of a path of the running process, and what it answered.
///
/// # Errors
/// When nothing answers there, or not with success.
pub async fn ask(base_url: &str, path: &str) -> Result<(String, String), QueueError> {
    let url = format!("{}{path}", base_url.trim_end_matches('/'));
    let unreachable = |error: reqwest::Error| QueueError::Unreachable { url: url.clone(), cause: deepest(&error) };
    // Whoever is first in the process installs it; a second time changes nothing.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build().map_err(unreachable)?;
    let request = client.get(&url);
    let request = match std::env::var(TOKEN_ENV) {
        Ok(token) if !token.is_empty() => request.bearer_auth(token),
        _ => request,
    };
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(QueueError::Refused { url: url.clone(), status: status.as_u16() });
    }
    let text = answer.text().await.map_err(unreachable)?;
    Ok((url, text))
}

/// reqwest's own words end before the cause.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The table for a terminal, headline and notices first.
///
/// # Errors
/// When `json` isn't the body of /api/v1/queue.
pub fn render_table(json: &str) -> serde_json::Result<String> {
    let body: QueueBody = serde_json::from_str(json)?;
    let mut lines = vec![visible(&body.summary.headline)];
    for unseen in &body.unseen {
        let (state, since) = (unseen.state.replace('_', " "), visible(&unseen.since));
        lines.push(format!("{state}: {} since {since}: {}", visible(&unseen.source), visible(&unseen.cause)));
    }
    if !body.presumed_categories.is_empty() {
        let mut names: Vec<String> =
            body.presumed_categories.iter().map(|presumed| visible(category_words(&presumed.category))).collect();
        names.sort();
        names.dedup();
        lines.push(format!("presumed minor safety, because nobody has named them: {}", names.join(", ")));
    }
    if body.mode == "shadow" {
        lines.push("shadow mode: nobody is paged".to_owned());
    }
    lines.push(String::new());
    if body.queue.is_empty() {
        lines.push("no open case is known".to_owned());
    } else {
        lines.push(row(["RANK", "PRIORITY", "DUE", "CATEGORY", "REFERENCE", "REPORT", "AGE"]));
        lines.extend(body.queue.iter().map(entry_row));
        let (shown, open) = (counted(body.queue.len() as u64), counted(body.summary.open));
        lines.push(format!("{shown} of {open} open cases"));
    }
    let mut text = String::new();
    for line in &lines {
        for part in wrapped(line.trim_end()) {
            writeln!(text, "{part}").unwrap_or_else(|_| unreachable!("writing to a String can't fail"));
        }
    }
    Ok(text)
}

fn entry_row(entry: &QueueEntry) -> String {
    let target = match &entry.next {
        // The target's name comes last, so that a cell too narrow never cuts the countdown.
        Some(next) => format!("{} · {}", entry.due_words(), visible(&next.target)),
        None => entry.due_words(),
    };
    let more = if entry.reports > 1 { format!(" +{}", entry.reports - 1) } else { String::new() };
    row([
        &entry.rank.to_string(),
        entry.priority_words(),
        &target,
        &visible(entry.category_words()),
        &visible(&entry.reference),
        &format!("{}{more}", visible(&entry.report_id)),
        &entry.age().to_string(),
    ])
}

/// Cells of fixed widths, a space between: 4 + 15 + 32 + 12 + 13 + 11 + 7 and six spaces are `COLUMNS`.
fn row(cells: [&str; 7]) -> String {
    const WIDTHS: [usize; 7] = [4, 15, 32, 12, 13, 11, 7];
    cells.iter().zip(WIDTHS).map(|(cell, width)| fitted(cell, width)).collect::<Vec<_>>().join(" ")
}

/// Exactly `width` columns: padded, or cut with a mark.
fn fitted(cell: &str, width: usize) -> String {
    let whole: usize = cell.chars().map(columns).sum();
    if whole <= width {
        return format!("{cell}{}", " ".repeat(width - whole));
    }
    let (mut cut, mut used) = (String::new(), 0);
    for c in cell.chars() {
        if used + columns(c) > width - 1 {
            break;
        }
        used += columns(c);
        cut.push(c);
    }
    format!("{cut}…{}", " ".repeat(width - 1 - used))
}

/// Pieces of at most `COLUMNS` columns.
pub fn wrapped(line: &str) -> Vec<String> {
    let (mut parts, mut part, mut used) = (Vec::new(), String::new(), 0);
    for c in line.chars() {
        if used + columns(c) > COLUMNS {
            parts.push(std::mem::take(&mut part));
            used = 0;
        }
        used += columns(c);
        part.push(c);
    }
    parts.push(part);
    parts
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text with what a terminal would obey, or would show in another order, made visible as "�".
pub fn visible(text: &str) -> String {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
    };
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}
