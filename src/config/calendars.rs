//! `[calendars.NAME]`: opening hours, read into a calendar's parts and compiled to the core's table.

use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, Text};
use crate::compile::calendar::{CalendarSpec, CalendarSpecError, Field, compile};
use crate::core::calendar::{Calendar, Interval};
use crate::core::id::Name;
use crate::core::time::Timestamp;
use crate::zone::Zone;
use chrono::{Datelike, NaiveDate, NaiveTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use toml::de::DeValue;

/// What is compiled: the decade of `now`, the one before it and the one after it, in UTC: in 2026 from 2010-01-01 to
/// 2040-01-01. It rolls once in ten years, so the policy's hash is the same after every restart until then, and no
/// deadline comes within ten years of its end.
pub fn horizon(now: Timestamp) -> Interval {
    Interval { from: decade(now, -1), until: decade(now, 2) }
}

/// When the horizon of `now` has rolled.
pub fn rolls_at(now: Timestamp) -> Timestamp {
    decade(now, 1)
}

/// The first instant of the decade of `now`, or of one so many decades later.
fn decade(now: Timestamp, later: i32) -> Timestamp {
    let year = (Zone::UTC.local(now).year().div_euclid(10) + later) * 10;
    let day = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(NaiveDate::MAX);
    Zone::UTC.resolve(day.and_time(NaiveTime::MIN))
}

/// All calendars for the horizon of `now`.
///
/// # Errors
/// The calendar that is never open within it.
pub fn compile_all(
    specs: &BTreeMap<Name, CalendarSpec>,
    now: Timestamp,
) -> Result<BTreeMap<Name, Arc<Calendar>>, CalendarSpecError> {
    let compiled = |(name, spec): (&Name, &CalendarSpec)| Ok((name.clone(), Arc::new(compile_for(spec, now)?)));
    specs.iter().map(compiled).collect()
}

fn compile_for(spec: &CalendarSpec, now: Timestamp) -> Result<Calendar, CalendarSpecError> {
    let horizon = horizon(now);
    compile(spec, horizon.from, horizon.until)
}

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
    let compiled = spec.and_then(|spec| Ok((compile_for(&spec, r.surroundings.now)?, spec)));
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
