//! `[calendars.NAME]`: opening hours, read into a calendar's parts and compiled to the core's table.

use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, Text};
use crate::compile::calendar::{CalendarSpec, CalendarSpecError, Field, compile};
use crate::core::calendar::Calendar;
use crate::core::id::Name;
use crate::core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toml::de::DeValue;

/// What is compiled when a configuration loads: 2010-01-01 to 2040-01-01. It doesn't depend on today, so
/// the policy's hash is the same after every restart, and history can be replayed.
pub const WINDOW: (Timestamp, Timestamp) = (Timestamp::from_secs(1_262_304_000), Timestamp::from_secs(2_208_988_800));

const EXAMPLE: &str = "[calendars.office] with timezone = \"Europe/Berlin\" and hours = \"Mo-Fr 09:00-17:00\"";
const KEYS: &[&str] = &["timezone", "hours", "holidays", "closed", "open"];

#[derive(Default)]
pub struct CalendarsRead<'t> {
    pub specs: BTreeMap<Name, CalendarSpec>,
    pub compiled: BTreeMap<Name, Arc<Calendar>>,
    /// The faulty ones too.
    pub names: BTreeSet<&'t str>,
    pub places: BTreeMap<Name, Place>,
}

pub fn read<'t>(r: &Reader, root: &Table<'t>) -> CalendarsRead<'t> {
    let mut read = CalendarsRead::default();
    let Some(table) = root.get("calendars").and_then(|entry| entry.free_table(r, "[calendars]", EXAMPLE)) else {
        return read;
    };
    for entry in table.entries() {
        read.names.insert(entry.key.value);
        read.places.insert(entry.key.name(), entry.key.place.clone());
        let Some((spec, calendar)) = read_one(r, &entry) else { continue };
        read.specs.insert(entry.key.name(), spec);
        read.compiled.insert(entry.key.name(), Arc::new(calendar));
    }
    read
}

fn read_one(r: &Reader, entry: &Entry) -> Option<(CalendarSpec, Calendar)> {
    let table = entry.table(r, "a calendar", KEYS, EXAMPLE)?;
    let timezone = table
        .require(r, "timezone", "timezone = \"Europe/Berlin\"")
        .and_then(|entry| entry.text(r, "timezone = \"Europe/Berlin\""));
    let hours = table
        .require(r, "hours", "hours = \"Mo-Fr 09:00-17:00\"")
        .and_then(|entry| entry.text(r, "hours = \"Mo-Fr 09:00-17:00\""));
    let holidays = table.get("holidays").map(|entry| entry.text(r, "holidays = \"DE\""));
    let closed = table.get("closed").map(|entry| entry.texts(r, Empty::Allowed, "closed = [\"2026-12-24\"]"));
    let closed = closed.unwrap_or_default();
    let open = open_dates(r, &table);
    let (timezone, hours) = (timezone?, hours?);
    let holidays = holidays.map_or(Some(None), |text| text.map(Some))?;
    let spec = CalendarSpec::read(
        timezone.value,
        hours.value,
        holidays.as_ref().map(|text| text.value),
        closed.iter().map(|text| text.value),
        open.iter().map(|(date, hours)| (date.value, hours.value)),
    );
    let compiled = spec.and_then(|spec| Ok((compile(&spec, WINDOW.0, WINDOW.1)?, spec)));
    match compiled {
        Ok((calendar, spec)) => Some((spec, calendar)),
        Err(error) => {
            let place = match error.field() {
                Field::Timezone => Some(timezone.place),
                Field::Hours => Some(hours.place),
                Field::Holidays => holidays.map(|text| text.place).or(Some(hours.place)),
                Field::Closed => dated(&error, closed.iter().map(|text| (text, text))),
                Field::Open => dated(&error, open.iter().map(|(date, hours)| (date, hours))),
            };
            let said = error.to_string();
            let said = said.strip_prefix(&format!("{}: ", error.field())).unwrap_or(&said);
            // The error's last part is what would be right.
            let (what, advice) = said.rsplit_once("; ").unwrap_or((said, "see the example in the README"));
            r.refuse(&place.unwrap_or(table.place), what, advice);
            None
        }
    }
}

fn open_dates<'t>(r: &Reader, table: &Table<'t>) -> Vec<(Text<'t>, Text<'t>)> {
    const OPEN: &str = "open = { \"2026-12-27\" = \"10:00-14:00\" }";
    let Some(entry) = table.get("open") else { return Vec::new() };
    if let DeValue::Array(_) = entry.value {
        entry.refuse_type(r, "a table of dates with their hours", OPEN);
        return Vec::new();
    }
    let Some(open) = entry.free_table(r, "`open`", OPEN) else { return Vec::new() };
    open.entries().filter_map(|entry| Some((entry.key.clone(), entry.text(r, OPEN)?))).collect()
}

/// Where the date that the error names stands: the date itself where it is at fault, else its hours.
fn dated<'t>(
    error: &CalendarSpecError,
    mut dates: impl Iterator<Item = (&'t Text<'t>, &'t Text<'t>)>,
) -> Option<Place> {
    let date = error.date()?;
    let (key, hours) = dates.find(|(key, _)| key.value == date)?;
    let date_at_fault = matches!(error, CalendarSpecError::NoSuchDate { .. } | CalendarSpecError::ClosedAndOpen { .. });
    Some(if date_at_fault { key.place.clone() } else { hours.place.clone() })
}
