//! `tocsin init`: writes a commented configuration. With `--url` it connects, finds the table and its columns,
//! counts the categories, and leaves each of them for a person to sort: what it writes doesn't load before
//! that. It never overwrites a file, and it guesses of no category that it doesn't concern minors.

use super::{CliError, EXIT_FAILED, deployment, preset};
use crate::cli::out::{self, aside};
use crate::config::TEMPLATE;
use crate::core::observation::EventName;
use crate::core::time::Span;
use crate::secret::Secret;
use crate::source::settings::{Actors, CategoryFrom, Columns, EventColumn, RowsFrom, Settings, States};
use crate::source::{self, AnySource, ColumnFound};
use crate::web::words::counted;
use crate::zone::Zone;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Where to write it; standard output without.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The report database, as postgres://user@host/db, mysql://user@host/db or sqlite:file.db; a url with a
    /// password belongs into the environment, see `url_env` in what is written.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The table of reports, where there are several that could be it.
    #[arg(long, value_name = "NAME", requires = "url")]
    pub table: Option<String>,
    /// The column of the reason code, where its name doesn't say so.
    #[arg(long, value_name = "NAME", requires = "url")]
    pub category: Option<String>,
    /// A known platform, whose tables need no mapping by hand: discourse, lemmy, mastodon, ozone, pixelfed or synapse.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["table", "category"])]
    pub preset: Option<String>,
}

/// Writes a configuration.
///
/// # Errors
/// When the database can't be reached, or no table in it looks like one of reports, or the preset doesn't fit.
pub async fn init(args: &InitArgs) -> Result<ExitCode, CliError> {
    let (text, next, notes) = match (&args.preset, &args.url) {
        (Some(name), url) => {
            let (text, notes) = preset::fitted(name, url.as_deref()).await?;
            (text, "read what it could not know", notes)
        }
        (None, None) => (TEMPLATE.to_owned(), "fit it to your table", Vec::new()),
        (None, Some(url)) => (found(url, look(url, args).await?), "sort its categories", Vec::new()),
    };
    let Some(output) = &args.output else {
        out::answer(format_args!("{text}"));
        return Ok(ExitCode::SUCCESS);
    };
    Ok(match write_new(output, &text) {
        Ok(()) => {
            let file = output.display();
            aside!("wrote {file}; {next}, then: tocsin check --config {file}");
            for note in notes {
                aside!("* {note}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            aside!("cannot write {}: {error}; name a file that doesn't exist yet", output.display());
            ExitCode::from(EXIT_FAILED)
        }
    })
}

/// What a database holds, as far as names tell.
struct Found {
    table: String,
    id: String,
    category: String,
    received: String,
    /// The columns that name the reported item.
    case: Option<(String, String)>,
    first_response: Option<(String, Option<String>)>,
    closed: Option<(String, Option<String>)>,
    /// With their numbers of rows, the most frequent first.
    categories: Vec<(String, u64)>,
}

/// Names under which platforms keep the same thing, the likeliest first.
const IDS: &[&str] = &["id", "report_id", "uuid", "reference"];
const CATEGORIES: &[&str] = &[
    "reason",
    "category",
    "reason_code",
    "report_reason",
    "report_type",
    "violation_type",
    "reason_type",
    "type",
    "kind",
];
const RECEIVED: &[&str] =
    &["received_at", "reported_at", "created_at", "submitted_at", "inserted_at", "created", "opened_at"];
const RESPONDED: &[&str] = &["first_response_at", "responded_at", "first_reviewed_at", "reviewed_at", "answered_at"];
const RESPONDED_BY: &[&str] = &["first_response_by", "responded_by", "reviewed_by", "answered_by"];
const CLOSED: &[&str] = &["resolved_at", "closed_at", "action_taken_at", "actioned_at", "decided_at", "completed_at"];
const CLOSED_BY: &[&str] =
    &["resolved_by", "closed_by", "action_taken_by", "action_taken_by_account_id", "actioned_by", "decided_by"];

/// Pairs of columns in which platforms keep what was reported.
const CASES: &[(&str, &str)] = &[
    ("item_type", "item_id"),
    ("subject_type", "subject_id"),
    ("object_type", "object_id"),
    ("target_type", "target_id"),
    ("reportable_type", "reportable_id"),
];

async fn look(url: &str, args: &InitArgs) -> Result<Found, CliError> {
    let secret = Secret::new(url);
    let tables = source::tables(&secret).await?;
    let failed = |cause: String| CliError::Failed { operation: "find the reports", cause };
    let mut told = String::new();
    let mut fitting = Vec::new();
    for table in tables.iter().filter(|table| args.table.as_deref().is_none_or(|only| only == *table)) {
        let columns = source::columns_of(&secret, table).await?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let _ = writeln!(told, "  {table}: {}", names.join(", "));
        fitting.extend(map(table, &columns, args.category.as_deref()));
    }
    if told.is_empty() {
        let named = args.table.as_deref().map(|table| format!(" named {table}")).unwrap_or_default();
        return Err(failed(format!("there is no table{named}; the tables are: {}", tables.join(", "))));
    }
    // Tables of other databases or schemas are told with theirs; they count where the url's own has none.
    if fitting.iter().any(|found| !found.table.contains('.')) {
        fitting.retain(|found| !found.table.contains('.'));
    }
    let mut found = match fitting.len() {
        1 => fitting.remove(0),
        0 => {
            let what = "no table has columns that look like an id, a reason code and a time of receipt";
            let advice = "name them: --table NAME --category COLUMN";
            return Err(failed(format!("{what}; {advice}; what is there:\n{}", told.trim_end())));
        }
        _ => {
            let names: Vec<String> = fitting.iter().map(|found| found.table.clone()).collect();
            return Err(failed(format!(
                "several tables could hold reports: {}; choose: --table NAME",
                names.join(", ")
            )));
        }
    };
    let source = AnySource::open(settings(&secret, &found), deployment::throwaway_keys())?;
    found.categories = source.categories().await?;
    Ok(found)
}

fn map(table: &str, columns: &[ColumnFound], category: Option<&str>) -> Option<Found> {
    let of = |wanted: &[&str]| {
        let named = |wanted: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(wanted));
        wanted.iter().find_map(|wanted| named(wanted)).map(|column| column.name.clone())
    };
    let category = match category {
        Some(name) => columns.iter().find(|column| column.name == name)?.name.clone(),
        None => of(CATEGORIES)?,
    };
    Some(Found {
        table: table.to_owned(),
        id: of(IDS)?,
        category,
        received: of(RECEIVED)?,
        case: CASES.iter().find_map(|(kind, id)| Some((of(&[kind])?, of(&[id])?))),
        first_response: of(RESPONDED).map(|responded| (responded, of(RESPONDED_BY))),
        closed: of(CLOSED).map(|closed| (closed, of(CLOSED_BY))),
        categories: Vec::new(),
    })
}

/// Enough to count categories.
fn settings(url: &Secret, found: &Found) -> Settings {
    let received = EventColumn { name: EventName::Received, column: found.received.clone(), by: None, unit: None };
    Settings {
        name: "reports".into(),
        url: url.clone(),
        poll: Span::from_secs(1),
        timezone: Zone::UTC,
        rows: RowsFrom::Table(found.table.clone()),
        columns: Columns {
            id: found.id.clone(),
            case: Vec::new(),
            category: CategoryFrom::Column(found.category.clone()),
        },
        events: vec![received],
        dues: Vec::new(),
        facts: Vec::new(),
        actors: Actors::default(),
        states: States::default(),
        reading: crate::source::settings::Reading::default(),
    }
}

/// The template with what was found in place of its own.
fn found(url: &str, found: Found) -> String {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut events = format!("received       = {}\n", quote(&found.received));
    let column = |name: &str, column: &Option<(String, Option<String>)>, example: &str| match column {
        Some((at, Some(by))) => format!("{name:<14} = {{ column = {}, by = {} }}\n", quote(at), quote(by)),
        Some((at, None)) => format!("{name:<14} = {}\n", quote(at)),
        None => format!("# {name} = {example}\n"),
    };
    events += &column("first_response", &found.first_response, "{ column = \"responded_at\", by = \"responded_by\" }");
    events += &column("closed", &found.closed, "{ column = \"resolved_at\", by = \"resolved_by\" }");
    let (source, rest) = split(TEMPLATE, "[sources.events]");
    let (_, rest) = split(rest, "# a column of numbers");
    let (between, rest) = split(rest, "[categories]");
    let (_, rest) = split(rest, "# minor_when");
    let (minor, rest) = split(rest, "[[rules]]");
    let (_, rest) = split(rest, "[[rules]]\nname       = \"everything else\"");
    let source = source
        .replacen("\"sqlite:reports.db\"", &quote(url), 1)
        .replacen("table    = \"reports\"", &format!("table    = {}", quote(&found.table)), 1)
        .replacen("id       = \"id\"", &format!("id       = {}", quote(&found.id)), 1)
        .replacen("category = \"reason\"", &format!("category = {}", quote(&found.category)), 1);
    let source = match &found.case {
        Some((kind, id)) => {
            let case = format!("case     = [{}, {}]", quote(kind), quote(id));
            source.replacen("# case   = [\"item_type\", \"item_id\"]", &case, 1)
        }
        None => source,
    };
    let between = between.replacen("outcome  = {", "# outcome = {", 1);
    // The rule that named it is gone.
    let (rest, after) = split(rest, "[[escalations]]\nname  = \"on-call\"");
    let (_, after) = split(after, "[[escalations]]\nname  = \"operators\"");
    let rest = format!("{rest}{after}");
    let events_title =
        "[sources.events]                         # a time column for each; NULL while it hasn't happened\n";
    format!("{source}{events_title}{events}{between}{}{minor}{rest}", categories(&found))
}

/// The categories, each with its number of rows, for a person to sort.
fn categories(found: &Found) -> String {
    let mut text = format!(
        "[categories]                             # sort what was found in {}: what isn't named is presumed minor safety\n\
         minor_safety = []                        # whatever can concern a minor\n\
         other        = []                        # what surely doesn't\n",
        found.category
    );
    let named = || found.categories.iter().filter(|(name, _)| !name.is_empty());
    if named().next().is_some() {
        text += "unsorted = [                             # move each of these up; until then this file doesn't load\n";
        for (name, count) in named() {
            let quoted = toml::Value::String(name.clone()).to_string();
            let _ = writeln!(text, "  {:<38} # {} reports", format!("{quoted},"), counted(*count));
        }
        text += "]\n";
    }
    if let Some((_, count)) = found.categories.iter().find(|(name, _)| name.is_empty()) {
        let _ = writeln!(text, "# {} reports have none: they stay presumed minor safety", counted(*count));
    }
    text
}

/// The text before a mark, and from it on.
fn split<'t>(text: &'t str, mark: &str) -> (&'t str, &'t str) {
    text.split_at(text.find(mark).unwrap_or(text.len()))
}

/// The template, with this url in place of its own.
pub fn template(url: Option<&str>) -> String {
    let Some(url) = url else { return TEMPLATE.to_owned() };
    let quoted = toml::Value::String(url.to_owned()).to_string();
    TEMPLATE.replacen("\"sqlite:reports.db\"", &quoted, 1)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    // It may hold a url with a password.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_stands_in_place_of_the_template_and_every_category_waits_to_be_sorted() {
        let text = found(
            "postgres://tocsin@db/platform",
            Found {
                table: "moderation.flags".into(),
                id: "flag_id".into(),
                category: "kind".into(),
                received: "reported_at".into(),
                case: Some(("object_type".into(), "object_id".into())),
                first_response: None,
                closed: Some(("closed_at".into(), Some("closed_by".into()))),
                categories: vec![("spam".into(), 12_345), (String::new(), 2)],
            },
        );
        for line in [
            "table    = \"moderation.flags\"",
            "id       = \"flag_id\"",
            "category = \"kind\"",
            "received       = \"reported_at\"",
            "closed         = { column = \"closed_at\", by = \"closed_by\" }",
            "case     = [\"object_type\", \"object_id\"]",
            "minor_safety = []",
            "# 12,345 reports",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
        for gone in ["self_harm\", \"spam", "\"csam\"", "resolved_at\", by", "\"on-call\""] {
            assert!(!text.lines().any(|line| !line.starts_with('#') && line.contains(gone)), "{gone} stayed:\n{text}");
        }
        let sections =
            ["[sources.actors]", "[minor_safety]", "name       = \"everything else\"", "[calendars.office]", "[store]"];
        assert!(sections.iter().all(|section| text.contains(section)), "{text}");
    }
}
