//! `tocsin page`: what became of the pages, and a test of the way that they take. It asks the store, so that it
//! answers whether the monitor runs or not; only a test needs it to run.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::Need;
use crate::core::act::Deed;
use crate::core::time::{Span, Timestamp};
use crate::run::clock::{Clock, SystemClock};
use crate::run::inbox;
use crate::store::{PageRow, PageState, PastAttempt, SqlStore};
use crate::zone::rfc3339;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[arg(long, global = true, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ring the first step of an escalation, marked as a test, and wait for what its channels answer.
    Test(TestArgs),
    /// List the newest pages.
    List(ListArgs),
    /// Show a page with every attempt at it.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    #[arg(long, value_name = "NAME")]
    escalation: String,
    /// Who tests; the name goes into the record.
    #[arg(long, value_name = "NAME", default_value = "tocsin page test")]
    by: String,
    /// How long to wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    wait: u32,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// queued, sending, retrying, accepted, parked or superseded
    #[arg(long, value_parser = state)]
    state: Option<PageState>,
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The page's number, as `tocsin page list` prints it.
    id: i64,
    #[arg(long)]
    json: bool,
}

fn state(text: &str) -> Result<PageState, String> {
    let known = PageState::ALL.map(PageState::as_str).join(", ");
    PageState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(format!("the states are {known}"))
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let config = load_config(&args.config, Need::Sources)?;
    let keys = deployment::keys(&config)?;
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    match args.command {
        Command::Test(test_args) => {
            let known: Vec<&str> = config.policy.escalations.keys().map(|name| &**name).collect();
            if !known.contains(&test_args.escalation.as_str()) {
                let cause = format!("no escalation is named {}; there are: {}", test_args.escalation, known.join(", "));
                return Err(failed("test an escalation", cause));
            }
            test(&store, &test_args).await
        }
        Command::List(list_args) => list(&store, &list_args).await,
        Command::Show(show_args) => show(&store, &show_args).await,
    }
}

fn failed(operation: &'static str, cause: String) -> CliError {
    CliError::Failed { operation, cause }
}

/// How often the store is asked what became of a test.
const LOOK_EVERY: Span = Span::from_micros(250_000);

async fn test(store: &SqlStore, args: &TestArgs) -> Result<(), CliError> {
    const OPERATION: &str = "test an escalation";
    let (clock, deed) = (SystemClock, Deed::TestPage { escalation: args.escalation.as_str().into() });
    let began = clock.now();
    let body = inbox::body(&deed).map_err(|error| failed(OPERATION, error.to_string()))?;
    let entry = store.put_inbox(deed.kind(), &body, args.by.trim(), began).await?;
    let until = began.plus(Span::from_secs(args.wait.into()));
    let pages = loop {
        let pages = if store.is_taken_up(entry).await? { store.test_pages(began).await? } else { Vec::new() };
        let is_settled = |page: &PageRow| matches!(page.standing(), PageState::Accepted | PageState::Parked);
        let now = clock.now();
        if (!pages.is_empty() && pages.iter().all(is_settled)) || now >= until {
            break pages;
        }
        clock.sleep_until(now.plus(LOOK_EVERY).min(until)).await;
    };
    for page in &pages {
        say!("{}", line(page));
    }
    if pages.is_empty() {
        return Err(failed(OPERATION, format!("no monitor took it up within {} s; does one run?", args.wait)));
    }
    if !pages.iter().any(|page| page.standing() == PageState::Accepted) {
        let cause = format!("no channel accepted it within {} s; `tocsin page show` tells each attempt", args.wait);
        return Err(failed(OPERATION, cause));
    }
    Ok(())
}

async fn list(store: &SqlStore, args: &ListArgs) -> Result<(), CliError> {
    let pages = store.pages_in(args.state, args.limit).await?;
    if args.json {
        let pages: Vec<Value> = pages.iter().map(page_json).collect();
        say!("{}", json!({ "pages": pages }));
        return Ok(());
    }
    for page in &pages {
        say!("{}", line(page));
    }
    if pages.is_empty() {
        say!("no pages");
    }
    Ok(())
}

async fn show(store: &SqlStore, args: &ShowArgs) -> Result<(), CliError> {
    let found = store.page(args.id).await?;
    let (page, attempts) = found.ok_or_else(|| {
        failed("show a page", format!("there is no page {}; `tocsin page list` prints their numbers", args.id))
    })?;
    if args.json {
        let mut shown = page_json(&page);
        shown["attempts"] = attempts.iter().map(attempt_json).collect();
        say!("{shown}");
        return Ok(());
    }
    say!("{}", line(&page));
    for attempt in &attempts {
        say!("  {}", attempt_line(attempt));
    }
    if attempts.is_empty() {
        say!("  no attempt has ended yet");
    }
    Ok(())
}

/// "17  2026-11-23T08:00:00Z  P0  I-42 round 0 step 0  ring  pagerduty  accepted after 1 attempt: 202"
fn line(row: &PageRow) -> String {
    let page = &row.page;
    let attempts = match row.attempts {
        0 => String::new(),
        1 => " after 1 attempt".to_owned(),
        many => format!(" after {many} attempts"),
    };
    let answer = row.last_answer.as_ref().map(|answer| format!(": {answer}")).unwrap_or_default();
    let place = page.in_place_of.as_ref().map(|of| format!(" in place of {of}")).unwrap_or_default();
    let test = if page.is_test { "  TEST" } else { "" };
    format!(
        "{}  {}  {}  {} round {} step {}  {}  {}{place}  {}{attempts}{answer}{test}",
        row.id,
        rfc3339(page.created_at),
        page.priority,
        page.incident,
        page.round,
        page.step,
        page.kind.as_str(),
        page.channel,
        row.standing().as_str(),
    )
}

fn attempt_line(attempt: &PastAttempt) -> String {
    let took = attempt.ended.since(attempt.began);
    let millis = took.micros() / 1_000;
    format!("{}  {}  {}: {}, {millis} ms", attempt.number, rfc3339(attempt.began), attempt.result, attempt.answer)
}

fn page_json(row: &PageRow) -> Value {
    let page = &row.page;
    let at = |at: Option<Timestamp>| at.map(rfc3339);
    json!({
        "id": row.id,
        "incident": page.incident.to_string(),
        "round": page.round,
        "step": page.step,
        "channel": &*page.channel,
        "in_place_of": page.in_place_of.as_deref(),
        "kind": page.kind.as_str(),
        "priority": page.priority.as_str(),
        "created_at": rfc3339(page.created_at),
        "state": row.standing().as_str(),
        "attempts_count": row.attempts,
        "last_answer": row.last_answer,
        "accepted_at": at(row.accepted_at),
        "is_test": page.is_test,
        "alert_key": page.alert_key,
        "delivery_key": page.delivery_key,
    })
}

fn attempt_json(attempt: &PastAttempt) -> Value {
    json!({
        "number": attempt.number,
        "began": rfc3339(attempt.began),
        "ended": rfc3339(attempt.ended),
        "result": attempt.result,
        "answer": attempt.answer,
    })
}
