//! `[[sources]]`: how each report table is read, in the source's own settings.

use super::facts;
use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, Text, nearest, within_bounds};
use super::reading;
use super::secrets::{Found, Purpose, from_env, resolve_sqlite, secret};
use crate::core::id::Name;
use crate::core::observation::EventName;
use crate::core::policy::DeletedMeans;
use crate::core::time::Span;
use crate::secret::Secret;
use crate::source::settings::{
    Actors, CategoryFrom, Columns, DueColumn, EventColumn, FactColumn, OutcomeFrom, RowsFrom, Settings, States, Unit,
};
use crate::zone::Zone;
use std::path::Path;

/// Overrides the url of the one configured source, so that one configuration serves several databases.
pub const SOURCE_URL_VARIABLE: &str = "TOCSIN_SOURCE_URL";

const EXAMPLE: &str = "[[sources]] with name, url, table, columns and events";
const POLL_DEFAULT: Span = Span::from_secs(1);

const KEYS: &[&str] = &[
    "name", "url", "url_env", "url_file", "poll", "timezone", "table", "query", "link", "columns", "events", "dues",
    "facts", "actors", "states",
];

/// One `[[sources]]` as far as it could be read.
pub struct SourceRead<'t> {
    /// `None` when a problem was noted.
    pub settings: Option<Settings>,
    pub name: Option<Text<'t>>,
    pub link: Option<String>,
    pub place: Place,
    /// What targets may refer to, whatever is wrong with the rest.
    pub events: Vec<(EventName, Text<'t>)>,
    pub dues: Vec<Name>,
    pub facts: Vec<(FactColumn, Text<'t>)>,
}

pub fn read<'t>(r: &Reader, root: &Table<'t>) -> Vec<SourceRead<'t>> {
    let Some(entry) = root.get("sources") else {
        r.refuse(&(0..0), "no source is configured, so there is nothing to watch", format!("add: {EXAMPLE}"));
        return Vec::new();
    };
    let keys: Vec<&str> = KEYS.iter().chain(reading::KEYS).copied().collect();
    let tables = entry.tables(r, "[[sources]]", &keys, EXAMPLE);
    if tables.is_empty() {
        r.refuse(&entry.place, "no source is configured, so there is nothing to watch", format!("add: {EXAMPLE}"));
    }
    let instead = url_override(r, &tables);
    let mut read: Vec<SourceRead> = Vec::new();
    for table in &tables {
        let source = read_one(r, table, instead.as_ref());
        if let Some(name) = &source.name
            && read.iter().any(|known| known.name.as_ref().is_some_and(|known| known.value == name.value))
        {
            let advice = "give each source a name of its own: keys and metrics carry it";
            r.refuse(&name.place, format!("two sources are named \"{}\"", name.value), advice);
        }
        read.push(source);
    }
    read
}

fn url_override(r: &Reader, tables: &[Table]) -> Option<Secret> {
    let url = (r.surroundings.env)(SOURCE_URL_VARIABLE).filter(|url| !url.trim().is_empty())?;
    if let [_, second, ..] = tables {
        let what = format!("{SOURCE_URL_VARIABLE} is set, but {} sources are configured", tables.len());
        let advice = "unset it and give each source its own `url_env`, or keep one source";
        r.refuse(&second.place, what, advice);
        return None;
    }
    Some(Secret::new(url.trim()))
}

fn read_one<'t>(r: &Reader, table: &Table<'t>, instead: Option<&Secret>) -> SourceRead<'t> {
    let name = table.require(r, "name", "name = \"reports\"").and_then(|entry| source_name(r, &entry));
    let events = read_events(r, table);
    let dues = read_dues(r, table);
    let facts = facts::read(r, table);
    let rows = rows_from(r, table);
    let columns = columns(r, table);
    let poll = poll(r, table);
    let timezone = timezone(r, table);
    let (actors, states) = (actors(r, table), states(r, table));
    let url = url(r, table, instead);
    let reading = reading::read(r, table, instead.is_some());
    let of_history = reading.iter().flat_map(|reading| &reading.events).cloned();
    let mapped = events.iter().map(|(column, key)| (column.name, key.clone())).chain(of_history).collect();
    let due_names = dues.iter().map(|due| due.name.clone()).collect();
    let link = table.get("link").and_then(|entry| link(r, &entry));
    let states = states.zip(reading);
    let settings = match (&name, url, rows, columns, poll, timezone, states) {
        (Some(name), Some(url), Some(rows), Some(columns), Some(poll), Some(timezone), Some((states, read))) => {
            Some(Settings {
                reading: read.reading,
                name: name.name(),
                url,
                poll,
                timezone,
                rows,
                columns,
                events: events.into_iter().map(|(column, _)| column).collect(),
                dues,
                facts: facts.iter().map(|(fact, _)| fact.clone()).collect(),
                actors,
                states,
            })
        }
        _ => None,
    };
    SourceRead { settings, name, link, place: table.place.clone(), events: mapped, dues: due_names, facts }
}

fn source_name<'t>(r: &Reader, entry: &Entry<'t>) -> Option<Text<'t>> {
    let text = entry.text(r, "name = \"reports\"")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if text.value.chars().all(plain) && text.value.len() <= 64 {
        return Some(text);
    }
    let what = format!("the source's name \"{}\" can't stand in keys and metrics", text.value);
    r.refuse(&text.place, what, "use at most 64 lower-case letters, digits, '-' and '_', as in \"reports-eu\"");
    None
}

fn link(r: &Reader, entry: &Entry) -> Option<String> {
    let example = "link = \"https://mod.example.org/reports/{id}\"";
    let text = entry.text(r, example)?;
    if (text.value.starts_with("https://") || text.value.starts_with("http://")) && text.value.contains("{id}") {
        return Some(text.value.to_owned());
    }
    r.refuse(
        &text.place,
        "`link` must be an http url with {id} where the report's id goes",
        format!("write: {example}"),
    );
    None
}

fn url(r: &Reader, table: &Table, instead: Option<&Secret>) -> Option<Secret> {
    const URL_EXAMPLE: &str = "url_env = \"REPORTS_DATABASE_URL\"";
    if let Some(url) = instead {
        let found = Found { secret: url.clone(), place: table.place.clone(), written_here: false };
        return source_url(r, found, SOURCE_URL_VARIABLE);
    }
    source_url(r, secret(r, table, "url", Purpose::Source, Some(URL_EXAMPLE))?, "the url")
}

/// Judges a database's url by its scheme. A path that stands in the file starts from the file's directory,
/// one from the environment from the directory that tocsin was started in.
pub fn source_url(r: &Reader, found: Found, called: &str) -> Option<Secret> {
    database_url(r, &found, called, Role::Source)?;
    let from = if found.written_here { r.surroundings.directory } else { Path::new("") };
    Some(Secret::new(resolve_sqlite(found.secret.expose(), from)))
}

/// What a database is for; not every kind can serve as a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Source,
    Store,
}

/// Refuses what isn't a url of a database for this role; never shows more of it than its scheme.
pub fn database_url(r: &Reader, found: &Found, called: &str, role: Role) -> Option<()> {
    let advice = match role {
        Role::Source => "write postgres://user@host/database, mysql://user@host/database or sqlite:path/to/file.db",
        Role::Store => "write postgres://user@host/database or sqlite:path/to/file.db",
    };
    let url = found.secret.expose();
    let scheme = url.split(':').next().unwrap_or_default();
    let is_server =
        matches!(scheme, "postgres" | "postgresql") || matches!(scheme, "mysql" | "mariadb") && role == Role::Source;
    let what = match scheme {
        _ if url.is_empty() || is_server && url[scheme.len()..].starts_with("://") => return Some(()),
        "sqlite" if url.len() > "sqlite:".len() => return Some(()),
        "mysql" | "mariadb" if role == Role::Store => {
            format!("{called} names MySQL, which can be read and holds no store")
        }
        _ if is_server || scheme == "sqlite" => {
            format!("{called} has nothing behind \"{scheme}:\" that names a database")
        }
        _ => format!("{called} begins with no known scheme"),
    };
    r.refuse(&found.place, what, advice);
    None
}

fn poll(r: &Reader, table: &Table) -> Option<Span> {
    let Some(entry) = table.get("poll") else { return Some(POLL_DEFAULT) };
    let span = entry.duration(r, "poll = \"1s\"")?.span;
    within_bounds(r, &entry, span, "1s", "1h", (Span::from_secs(1), Span::from_hours(1))).then_some(span)
}

fn timezone(r: &Reader, table: &Table) -> Option<Zone> {
    let Some(entry) = table.get("timezone") else { return Some(Zone::UTC) };
    let text = entry.text(r, "timezone = \"UTC\"")?;
    match text.value.parse() {
        Ok(zone) => Some(zone),
        Err(error) => {
            let error: crate::zone::ZoneError = error;
            let error = error.to_string();
            let (what, advice) = error.split_once("; ").unwrap_or((&error, "write: timezone = \"UTC\""));
            r.refuse(&text.place, what, advice);
            None
        }
    }
}

fn rows_from(r: &Reader, table: &Table) -> Option<RowsFrom> {
    match (table.get("table"), table.get("query")) {
        (Some(name), None) => table_name(r, &name),
        (None, Some(query)) => query_text(r, &query),
        (Some(_), Some(query)) => {
            let what = "`table` and `query` both say where the rows come from";
            r.refuse(&query.key.place, what, "keep one of the two");
            None
        }
        (None, None) if ["table", "query"].iter().any(|key| table.has_misspelt(key)) => None,
        (None, None) => {
            let what = "[[sources]] lacks `table` or `query`";
            r.refuse(&table.place, what, "add: table = \"reports\", or: query = \"select ... from ...\"");
            None
        }
    }
}

/// A name, or schema.name.
pub fn table_name(r: &Reader, entry: &Entry) -> Option<RowsFrom> {
    let text = entry.text(r, "table = \"reports\"")?;
    if text.value.split('.').count() <= 2 && text.value.split('.').all(|part| !part.trim().is_empty()) {
        return Some(RowsFrom::Table(text.value.to_owned()));
    }
    r.refuse(&text.place, "`table` is a name or schema.name", "write: table = \"moderation.reports\"");
    None
}

pub fn query_text(r: &Reader, entry: &Entry) -> Option<RowsFrom> {
    const EXAMPLE: &str = "query = \"select id, reason, created_at from reports\"";
    let text = entry.text(r, EXAMPLE)?;
    let first_word = text.value.trim_start().split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    if !["select", "with"].contains(&first_word.to_lowercase().as_str()) {
        r.refuse(&text.place, "`query` must be one select statement", format!("write: {EXAMPLE}"));
        return None;
    }
    if text.value.trim_end().ends_with(';') {
        r.refuse(
            &text.place,
            "`query` ends with a semicolon, but stands inside a larger statement",
            "remove the semicolon",
        );
        return None;
    }
    Some(RowsFrom::Query(text.value.trim().to_owned()))
}

fn columns(r: &Reader, table: &Table) -> Option<Columns> {
    const EXAMPLE: &str = "[sources.columns] with id = \"id\" and category = \"reason\"";
    const CATEGORY: &str = "category = \"reason\", or: category = { value = \"event_report\" }";
    let known = ["id", "case", "category", "updated"];
    let columns =
        table.require(r, "columns", EXAMPLE).and_then(|entry| entry.table(r, "[sources.columns]", &known, EXAMPLE))?;
    let id = columns.require(r, "id", "id = \"id\"").and_then(|entry| entry.text(r, "id = \"id\""));
    let case = columns.get("case").map(|entry| match entry.value {
        toml::de::DeValue::String(_) => entry.text(r, "case = \"item_id\"").into_iter().collect(),
        _ => entry.texts(r, Empty::Refused, "case = [\"subject_type\", \"subject_id\"]"),
    });
    let category = columns.require(r, "category", CATEGORY).and_then(|entry| match entry.value {
        toml::de::DeValue::Table(_) => {
            let fixed = entry.table(r, "`category`", &["value"], CATEGORY)?;
            let value = fixed.require(r, "value", "value = \"event_report\"")?.text(r, "value = \"event_report\"")?;
            Some(CategoryFrom::Value(value.name()))
        }
        _ => entry.text(r, CATEGORY).map(|text| CategoryFrom::Column(text.value.to_owned())),
    });
    let case = case.unwrap_or_default().into_iter().map(|text| text.value.to_owned()).collect();
    Some(Columns { id: id?.value.to_owned(), case, category: category? })
}

/// The mapped events, each with its key, for the warnings.
fn read_events<'t>(r: &Reader, table: &Table<'t>) -> Vec<(EventColumn, Text<'t>)> {
    const EXAMPLE: &str = "[sources.events] with received = \"created_at\"";
    let events = table.require(r, "events", EXAMPLE).and_then(|entry| entry.free_table(r, "[sources.events]", EXAMPLE));
    let Some(events) = events else { return Vec::new() };
    events.require(r, "received", "received = \"created_at\"");
    let mut read = Vec::new();
    for entry in events.entries() {
        let Some(name) = event_name(r, &entry.key) else { continue };
        let Some((column, by, unit)) = time_column(r, &entry, "an event", &["column", "by", "unit"]) else { continue };
        read.push((EventColumn { name, column, by, unit }, entry.key.clone()));
    }
    read
}

/// What people call an event elsewhere; the nearest spelling would lead them astray.
const SYNONYMS: &[(&str, EventName)] = &[
    ("created", EventName::Received),
    ("reported", EventName::Received),
    ("opened", EventName::Received),
    ("resolved", EventName::Closed),
    ("decided", EventName::Closed),
    ("actioned", EventName::Closed),
    ("answered", EventName::FirstResponse),
    ("responded", EventName::FirstResponse),
    ("response", EventName::FirstResponse),
    ("assigned", EventName::ReviewerAction),
    ("reviewed", EventName::ReviewerAction),
    ("deleted", EventName::Removed),
    ("taken_down", EventName::Removed),
    ("appealed", EventName::Reopened),
    ("notified", EventName::ReporterNotified),
];

/// The event that a word was probably meant to be.
pub fn nearest_event(word: &str) -> Option<&'static str> {
    let stem = word.strip_suffix("_at").unwrap_or(word).to_lowercase();
    match SYNONYMS.iter().find(|(synonym, _)| *synonym == stem) {
        Some((_, event)) => Some(event.as_str()),
        None => nearest(&stem, EventName::ALL.map(EventName::as_str)),
    }
}

/// One of the events that there are; anything else is refused with all their names.
pub fn event_name(r: &Reader, text: &Text) -> Option<EventName> {
    let found = EventName::parse(text.value);
    if found.is_none() {
        let names = EventName::ALL.map(EventName::as_str);
        let meant = nearest_event(text.value).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let advice = format!("{meant}the events are {}", names.join(", "));
        r.refuse(&text.place, format!("there is no event named \"{}\"", text.value), advice);
    }
    found
}

fn read_dues(r: &Reader, table: &Table) -> Vec<DueColumn> {
    const EXAMPLE: &str = "[sources.dues] with due_at = \"due_at\"";
    let dues = table.get("dues").and_then(|entry| entry.free_table(r, "[sources.dues]", EXAMPLE));
    let Some(dues) = dues else { return Vec::new() };
    let entries = dues.entries().filter_map(|entry| {
        let (column, _, unit) = time_column(r, &entry, "a due date", &["column", "unit"])?;
        Some(DueColumn { name: entry.key.name(), column, unit })
    });
    entries.collect()
}

/// "created_at", or { column = "received_ts", unit = "ms" }.
pub fn time_column(
    r: &Reader,
    entry: &Entry,
    title: &'static str,
    known: &[&str],
) -> Option<(String, Option<String>, Option<Unit>)> {
    let example = format!("{} = \"column\", or with {{ column = \"column\", unit = \"ms\" }}", entry.key.value);
    if !matches!(entry.value, toml::de::DeValue::Table(_)) {
        return Some((entry.text(r, &example)?.value.to_owned(), None, None));
    }
    let table = entry.table(r, title, known, &example)?;
    let column = table
        .require(r, "column", "column = \"created_at\"")
        .and_then(|entry| entry.text(r, "column = \"created_at\""));
    let by = table.get("by").and_then(|entry| entry.text(r, "by = \"resolved_by\""));
    let unit = match table.get("unit") {
        Some(entry) => Some(unit(r, &entry)?),
        None => None,
    };
    Some((column?.value.to_owned(), by.map(|text| text.value.to_owned()), unit))
}

fn unit(r: &Reader, entry: &Entry) -> Option<Unit> {
    let text = entry.text(r, "unit = \"ms\"")?;
    match text.value {
        "s" => Some(Unit::Seconds),
        "ms" => Some(Unit::Milliseconds),
        other => {
            let advice = "write \"s\" for seconds or \"ms\" for milliseconds since 1970";
            r.refuse(&text.place, format!("there is no unit \"{other}\""), advice);
            None
        }
    }
}

fn actors(r: &Reader, table: &Table) -> Actors {
    const EXAMPLE: &str = "[sources.actors] with automated = [\"bot-*\"] and people = [\"mod-*\"]";
    let known = ["automated", "people"];
    let Some(actors) = table.get("actors").and_then(|entry| entry.table(r, "[sources.actors]", &known, EXAMPLE)) else {
        return Actors::default();
    };
    let patterns = |key: &str| {
        let texts = actors.get(key).map(|entry| entry.texts(r, Empty::Allowed, &format!("{key} = [\"name-*\"]")));
        texts.unwrap_or_default().into_iter().map(|text| text.value.to_owned()).collect()
    };
    Actors { automated: patterns("automated"), people: patterns("people") }
}

fn states(r: &Reader, table: &Table) -> Option<States> {
    const EXAMPLE: &str = "[sources.states] with column = \"status\"";
    let known = ["column", "paused", "outcome", "deleted_means"];
    let Some(entry) = table.get("states") else { return Some(States::default()) };
    let states = entry.table(r, "[sources.states]", &known, EXAMPLE)?;
    let column = states.get("column").and_then(|entry| entry.text(r, "column = \"status\""));
    let paused_at = states.get("paused");
    let paused = paused_at.as_ref().map(|entry| entry.texts(r, Empty::Allowed, "paused = [\"waiting_on_reporter\"]"));
    if let Some(entry) = paused_at.filter(|_| states.get("column").is_none()) {
        r.refuse(&entry.key.place, "`paused` needs the column that holds these states", "add: column = \"status\"");
    }
    let outcome = match states.get("outcome") {
        Some(entry) => Some(outcome(r, &entry)?),
        None => None,
    };
    Some(States {
        column: column.map(|text| text.value.to_owned()),
        paused: paused.unwrap_or_default().into_iter().map(|text| text.value.to_owned()).collect(),
        outcome,
        deleted_means: states.get("deleted_means").map_or(Some(DeletedMeans::Vanished), |entry| deleted(r, &entry))?,
    })
}

fn outcome(r: &Reader, entry: &Entry) -> Option<OutcomeFrom> {
    const EXAMPLE: &str = "outcome = { column = \"resolution\", violation = [\"removed\"] }";
    let table = entry.table(r, "`outcome`", &["column", "violation"], EXAMPLE)?;
    let column = table.require(r, "column", EXAMPLE).and_then(|entry| entry.text(r, EXAMPLE));
    let violation = table.require(r, "violation", EXAMPLE)?.texts(r, Empty::Refused, EXAMPLE);
    let violation = violation.into_iter().map(|text| text.value.to_owned()).collect();
    Some(OutcomeFrom { column: column?.value.to_owned(), violation })
}

fn deleted(r: &Reader, entry: &Entry) -> Option<DeletedMeans> {
    let text = entry.text(r, "deleted_means = \"vanished\"")?;
    match text.value {
        "vanished" => Some(DeletedMeans::Vanished),
        "closed" => Some(DeletedMeans::Closed),
        other => {
            let advice = "write \"vanished\", or \"closed\" where deletion is how the platform resolves";
            r.refuse(&text.place, format!("`deleted_means` can't be \"{other}\""), advice);
            None
        }
    }
}

/// The variables that a list names, the newest first; for secrets that rotate.
pub fn secrets_of(r: &Reader, names: &[Text], purpose: Purpose) -> Vec<Found> {
    let found = names.iter().filter_map(|name| {
        Some(Found { secret: from_env(r, name, purpose)?, place: name.place.clone(), written_here: false })
    });
    found.collect()
}
