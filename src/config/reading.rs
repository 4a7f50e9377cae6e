//! How a source is read: what tells of changes, how much of the database's time may be spent, where
//! deadlines are verified, and the log of actions.

use super::read::{Empty, Entry, Reader, Table, Text, within_bounds};
use super::secrets::{Purpose, secret};
use super::sources::{event_name, query_text, source_url, table_name, time_column};
use crate::core::observation::EventName;
use crate::core::time::Span;
use crate::source::settings::{History, Reading, TimeColumn};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub const KEYS: &[&str] = &["overlap", "budget", "sweep", "verify_url", "verify_url_env", "verify_url_file", "history"];

/// What a source maps beside its own columns, each event with its key.
#[derive(Default)]
pub struct ReadingRead<'t> {
    pub reading: Reading,
    pub events: Vec<(EventName, Text<'t>)>,
}

/// `None` when a problem was noted. `overridden`: the url comes from the environment, not from the file.
pub fn read<'t>(r: &Reader, table: &Table<'t>, overridden: bool) -> Option<ReadingRead<'t>> {
    let hour = Span::from_hours(1);
    let overlap = span(r, table, "overlap", ("1s", "1h"), (Span::from_secs(1), hour))?;
    let budget = span(r, table, "budget", ("1s", "1h"), (Span::from_secs(1), hour))?;
    let sweep = span(r, table, "sweep", ("1m", "1d"), (Span::from_mins(1), Span::from_hours(24)))?;
    let given = ["verify_url", "verify_url_env", "verify_url_file"].iter().any(|key| table.get(key).is_some());
    let verify_url = match secret(r, table, "verify_url", Purpose::Source, None) {
        Some(found) => Some(source_url(r, found, "verify_url")?),
        None if given => return None,
        None => None,
    };
    let (history, events) = match table.get("history") {
        None => (None, Vec::new()),
        Some(entry) => {
            let (history, events) = history(r, &entry)?;
            (Some(history), events)
        }
    };
    let updated = match table.get("columns").and_then(|entry| updated_of(r, &entry)) {
        None => None,
        Some(updated) => Some(updated?),
    };
    let file = |key: &str| file(r, table, key);
    let reading = Reading {
        updated,
        overlap,
        budget,
        sweep,
        verify_url,
        url_file: file("url_file").filter(|_| !overridden),
        verify_url_file: file("verify_url_file"),
        history,
        first: Vec::new(),
    };
    Some(ReadingRead { reading, events })
}

fn span(
    r: &Reader,
    table: &Table,
    key: &str,
    (least, most): (&str, &str),
    bounds: (Span, Span),
) -> Option<Option<Span>> {
    let Some(entry) = table.get(key) else { return Some(None) };
    let span = entry.duration(r, &format!("{key} = \"{most}\""))?.span;
    within_bounds(r, &entry, span, least, most, bounds).then_some(Some(span))
}

fn file(r: &Reader, table: &Table, key: &str) -> Option<PathBuf> {
    let text = table.get(key)?.text(r, &format!("{key} = \"url.txt\""))?;
    Some(r.surroundings.directory.join(text.value))
}

/// `updated` of [sources.columns]: `None` where there is none, `Some(None)` where it was refused.
fn updated_of(r: &Reader, columns: &Entry) -> Option<Option<TimeColumn>> {
    let toml::de::DeValue::Table(_) = columns.value else { return None };
    let columns = columns.free_table(r, "[sources.columns]", "[sources.columns] with id and category")?;
    let updated = columns.get("updated")?;
    Some(
        time_column(r, &updated, "`updated`", &["column", "unit"]).map(|(column, _, unit)| TimeColumn { column, unit }),
    )
}

fn history<'t>(r: &Reader, entry: &Entry<'t>) -> Option<(History, Vec<(EventName, Text<'t>)>)> {
    const EXAMPLE: &str = "[sources.history] with table, id, report, at, name and events";
    let known = ["table", "query", "id", "report", "at", "by", "name", "events"];
    let table = entry.table(r, "[sources.history]", &known, EXAMPLE)?;
    let rows = match (table.get("table"), table.get("query")) {
        (Some(name), None) => table_name(r, &name),
        (None, Some(query)) => query_text(r, &query),
        (Some(_), Some(query)) => {
            let what = "`table` and `query` both say where the actions come from";
            r.refuse(&query.key.place, what, "keep one of the two");
            None
        }
        (None, None) => {
            let advice = "add: table = \"report_actions\", or: query = \"select ... from ...\"";
            r.refuse(&table.place, "[sources.history] lacks `table` or `query`", advice);
            None
        }
    };
    let column = |key: &str, example: &str| {
        let entry = table.require(r, key, &format!("{key} = \"{example}\""))?;
        entry.text(r, &format!("{key} = \"{example}\"")).map(|text| text.value.to_owned())
    };
    let (id, report, name) = (column("id", "id"), column("report", "report_id"), column("name", "kind"));
    let at = table.require(r, "at", "at = \"created_at\"");
    let at = at.and_then(|entry| time_column(r, &entry, "`at`", &["column", "unit"]));
    let by = table.get("by").and_then(|entry| entry.text(r, "by = \"actor_id\""));
    let (events, keys) = actions(r, &table)?;
    let (at, _, unit) = at?;
    let history = History {
        rows: rows?,
        id: id?,
        report: report?,
        at: TimeColumn { column: at, unit },
        by: by.map(|by| by.value.to_owned()),
        name: name?,
        events,
    };
    Some((history, keys))
}

type Actions<'t> = (BTreeMap<String, EventName>, Vec<(EventName, Text<'t>)>);

/// What the log's words mean, by the word.
fn actions<'t>(r: &Reader, table: &Table<'t>) -> Option<Actions<'t>> {
    const EXAMPLE: &str = "events = { first_response = [\"reply\"], second_review = [\"review2\"] }";
    let entry = table.require(r, "events", EXAMPLE)?;
    let events = entry.free_table(r, "`events` of [sources.history]", EXAMPLE)?;
    let (mut words, mut keys, mut whole) = (BTreeMap::new(), Vec::new(), true);
    for entry in events.entries() {
        let Some(event) = event_name(r, &entry.key) else {
            whole = false;
            continue;
        };
        if matches!(event, EventName::Received | EventName::Closed) {
            let what = format!("`{event}` can't come from a history");
            let advice = format!("map a column of the report table: [sources.events] {event} = \"column\"");
            r.refuse(&entry.key.place, what, advice);
            whole = false;
            continue;
        }
        for word in entry.texts(r, Empty::Refused, EXAMPLE) {
            if words.insert(word.value.to_owned(), event).is_some_and(|held| held != event) {
                let what = format!("\"{}\" means two events", word.value);
                r.refuse(&word.place, what, "leave it under the one that it is");
                whole = false;
            }
        }
        keys.push((event, entry.key.clone()));
    }
    if words.is_empty() && whole {
        r.refuse(&entry.place, "`events` names no action", format!("write: {EXAMPLE}"));
        whole = false;
    }
    whole.then_some((words, keys))
}
