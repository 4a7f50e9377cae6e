//! Cells of one row into an observation. Whatever can't be read becomes a reject and its row the
//! strictest that it could be: no closing, no answer, no pause, a category in no list. Nothing here
//! panics on any cell, and no cell but an id is ever named.

use super::actors::Classifier;
use super::selection::{CategoryAt, EventAt, FactAt, Selection};
use super::settings::{Settings, Unit};
use crate::core::facts::{Fact, FactType, Facts, Real};
use crate::core::id::{Name, ReportId, Subject};
use crate::core::observation::{Actor, Event, EventName, Flaw, Observation, Received, Reject, Row, Verdict};
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::zone::{Zone, parse_local_or_rfc3339};
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that an id, a category, a state or an actor has at most.
pub const TEXT_MAX_BYTES: usize = 256;

/// Categories remembered at most; the next ones are allocated anew each time.
const CATEGORIES_REMEMBERED_MAX: usize = 4_096;

/// The first microsecond of the year 10000.
const TIME_END_MICROS: i64 = 253_402_300_800_000_000;

/// A value as a database gave it, before anyone knows what it is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    Null,
    Int(i64),
    /// A whole number beyond the range of `Int`.
    Large(u64),
    Float(f64),
    Bool(bool),
    Text(&'r str),
    /// Text in which the bytes are not UTF-8.
    BadText,
    Uuid([u8; 16]),
    /// An instant, in microseconds since 1970 UTC; it may lie far outside of what can be used.
    Time(i64),
    /// A wall clock's reading in the source's zone, in microseconds as if it were UTC.
    LocalTime(i64),
    /// A value that no mapped column can have, such as bytes.
    Other,
}

/// Turns rows of one source into observations. Holds the caches that make it fast; one a connection.
#[derive(Clone, Debug)]
pub struct Decoder {
    source: Name,
    selection: Selection,
    zone: Zone,
    paused: BTreeSet<String>,
    violation: Option<BTreeSet<String>>,
    actors: Classifier,
    keys: Keys,
    categories: BTreeMap<String, Name>,
    empty: Name,
    lacks_stamps: bool,
}

/// What a cell says as a time.
enum Moment {
    /// NULL, an empty text, or 0 in a column of numbers: how tables write "not yet".
    Absent,
    At(Timestamp),
    Flawed(Flaw),
}

impl Decoder {
    pub fn new(settings: &Settings, selection: Selection, keys: Keys) -> Decoder {
        Decoder {
            source: settings.name.clone(),
            selection,
            zone: settings.timezone,
            paused: settings.states.paused.iter().cloned().collect(),
            violation: settings.states.outcome.as_ref().map(|outcome| outcome.violation.iter().cloned().collect()),
            actors: Classifier::new(settings.actors.clone()),
            keys,
            categories: BTreeMap::new(),
            empty: "".into(),
            lacks_stamps: false,
        }
    }

    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// One row, its cells in the order of the selection's columns. `None` when it has no id that can be
    /// read: the reject says so and no case can be made of it.
    pub fn row(&mut self, cells: &[Cell<'_>], rejects: &mut Vec<Reject>) -> Option<Observation> {
        let cell = |at: usize| cells.get(at).copied().unwrap_or(Cell::Null);
        let id = match report_id(cell(self.selection.id)) {
            Ok(id) => id,
            Err(flaw) => {
                rejects.push(Reject { id: None, column: self.selection.name(self.selection.id).clone(), flaw });
                return None;
            }
        };
        let stamp = self.selection.updated.map(|(at, unit)| self.instant(cell(at), unit));
        self.lacks_stamps |= stamp == Some(None);
        let mut flaws: Vec<(usize, Flaw)> = Vec::new();
        let row = Row {
            received: self.received(cells, &mut flaws),
            category: self.category(cells, &mut flaws),
            subject: self.subject(cells, &mut flaws),
            events: self.events(cells, &mut flaws),
            dues: self.dues(cells, &mut flaws),
            paused: self.paused(cells, &mut flaws),
            verdict: self.verdict(cells, &mut flaws),
            facts: self.facts(cells, &mut flaws),
        };
        // A column that is bad for two purposes is one flaw of the row.
        flaws.sort_unstable();
        flaws.dedup();
        rejects.extend(flaws.into_iter().map(|(at, flaw)| Reject {
            id: Some(id.clone()),
            column: self.selection.name(at).clone(),
            flaw,
        }));
        Some(Observation { id, row: Some(row) })
    }

    /// What a cell of a time column says; `None` where it is no time.
    pub fn instant(&self, cell: Cell<'_>, unit: Option<Unit>) -> Option<Timestamp> {
        match moment(cell, unit, self.zone) {
            Moment::At(at) => Some(at),
            Moment::Absent | Moment::Flawed(_) => None,
        }
    }

    /// Whether a row was read whose stamp of its last change is missing.
    pub fn lacks_stamps(&self) -> bool {
        self.lacks_stamps
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// An action as a log tells of it.
    pub fn action(
        &mut self,
        name: EventName,
        (at, unit): (Cell<'_>, Option<Unit>),
        by: Option<Cell<'_>>,
    ) -> Result<Event, Flaw> {
        let at = match moment(at, unit, self.zone) {
            Moment::At(at) => at,
            Moment::Absent => return Err(Flaw::Missing),
            Moment::Flawed(flaw) => return Err(flaw),
        };
        // An actor that can't be read is one that nobody knows.
        let by = by.map_or(Actor::Unmapped, |cell| actor(&mut self.actors, 0, cell, &mut Vec::new()));
        Ok(Event { at, name, by })
    }

    fn received(&self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Received {
        let Some(EventAt { at, unit, .. }) = &self.selection.received else { return Received::Unreadable };
        match moment(cells[*at], *unit, self.zone) {
            Moment::At(time) => return Received::At(time),
            Moment::Absent => flaws.push((*at, Flaw::Missing)),
            Moment::Flawed(flaw) => flaws.push((*at, flaw)),
        }
        Received::Unreadable
    }

    fn category(&mut self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Name {
        let at = match &self.selection.category {
            CategoryAt::Value(value) => return value.clone(),
            CategoryAt::Column(at) => *at,
        };
        let mut buffer = String::new();
        match short_text(cells[at], &mut buffer) {
            Ok(Some(text)) if !text.is_empty() => match self.categories.get(text) {
                Some(known) => known.clone(),
                None => {
                    let name: Name = text.into();
                    if self.categories.len() < CATEGORIES_REMEMBERED_MAX {
                        self.categories.insert(text.to_owned(), name.clone());
                    }
                    name
                }
            },
            Ok(_) => {
                flaws.push((at, Flaw::Missing));
                self.empty.clone()
            }
            Err(flaw) => {
                flaws.push((at, flaw));
                self.empty.clone()
            }
        }
    }

    /// The reported item; a row that doesn't name it whole is its own case.
    fn subject(&self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Option<Subject> {
        if self.selection.case.is_empty() {
            return None;
        }
        let mut values = Vec::with_capacity(self.selection.case.len());
        for at in &self.selection.case {
            let mut buffer = String::new();
            match text(cells[*at], &mut buffer) {
                Ok(Some(value)) if !value.is_empty() => values.push(value.to_owned()),
                Ok(_) => {}
                Err(flaw) => flaws.push((*at, flaw)),
            }
        }
        (values.len() == self.selection.case.len()).then(|| self.keys.subject(&self.source, &values))
    }

    fn events(&mut self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Vec<Event> {
        let mut events = Vec::new();
        for EventAt { name, at, by, unit } in &self.selection.events {
            match moment(cells[*at], *unit, self.zone) {
                Moment::Absent => {}
                Moment::Flawed(flaw) => flaws.push((*at, flaw)),
                Moment::At(time) => {
                    let by = match by {
                        None => Actor::Unmapped,
                        Some(by) => actor(&mut self.actors, *by, cells[*by], flaws),
                    };
                    // Most reports have one or none, and what is read of a report stays.
                    events.reserve_exact(1);
                    events.push(Event { at: time, name: *name, by });
                }
            }
        }
        events.sort_by_key(|event: &Event| (event.at, event.name));
        events
    }

    fn dues(&self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Vec<(Name, Timestamp)> {
        let mut dues = Vec::new();
        for due in &self.selection.dues {
            match moment(cells[due.at], due.unit, self.zone) {
                Moment::Absent => {}
                Moment::At(time) => dues.push((due.name.clone(), time)),
                Moment::Flawed(flaw) => flaws.push((due.at, flaw)),
            }
        }
        dues
    }

    /// NULL is the type's zero and takes no entry's place; what can't be read is told apart from it.
    fn facts(&self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Facts {
        let mut facts = Vec::with_capacity(self.selection.facts.len());
        for FactAt { name, at, kind } in &self.selection.facts {
            let fact = fact(cells[*at], *kind).unwrap_or_else(|flaw| {
                flaws.push((*at, flaw));
                Fact::Unreadable
            });
            facts.push((name.clone(), fact));
        }
        facts
    }

    fn paused(&self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> bool {
        let Some(at) = self.selection.state else { return false };
        let mut buffer = String::new();
        match short_text(cells[at], &mut buffer) {
            Ok(state) => state.is_some_and(|state| self.paused.contains(state)),
            Err(flaw) => {
                flaws.push((at, flaw));
                false
            }
        }
    }

    fn verdict(&self, cells: &[Cell<'_>], flaws: &mut Vec<(usize, Flaw)>) -> Verdict {
        let (Some(at), Some(violation)) = (self.selection.outcome, &self.violation) else { return Verdict::Unmapped };
        let mut buffer = String::new();
        match text(cells[at], &mut buffer) {
            Ok(Some(outcome)) if violation.contains(outcome) => Verdict::Violation,
            Ok(_) => Verdict::NoViolation,
            Err(flaw) => {
                flaws.push((at, flaw));
                Verdict::NoViolation
            }
        }
    }
}

fn actor(actors: &mut Classifier, at: usize, cell: Cell<'_>, flaws: &mut Vec<(usize, Flaw)>) -> Actor {
    let mut buffer = String::new();
    match short_text(cell, &mut buffer) {
        Ok(actor) => actors.classify(actor.unwrap_or("")),
        Err(flaw) => {
            flaws.push((at, flaw));
            Actor::Unknown
        }
    }
}

/// Databases without a type for it write true and false as 1 and 0, SQLite as text too.
fn fact(cell: Cell<'_>, kind: FactType) -> Result<Fact, Flaw> {
    let wrong = Err(Flaw::WrongType);
    match (kind, cell) {
        (_, Cell::Null) => Ok(kind.zero()),
        (_, Cell::BadText) => Err(Flaw::BadText),
        (FactType::Int, Cell::Int(value)) => Ok(Fact::Int(value)),
        (FactType::Int, Cell::Bool(value)) => Ok(Fact::Int(value.into())),
        // Whole numbers up to 2^53 are exact in a column of floats.
        (FactType::Int, Cell::Float(value)) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
            Ok(Fact::Int(value as i64))
        }
        (FactType::Float, Cell::Int(value)) => Real::new(value as f64).map(Fact::Float).ok_or(Flaw::WrongType),
        (FactType::Float, Cell::Float(value)) => Real::new(value).map(Fact::Float).ok_or(Flaw::WrongType),
        (FactType::Bool, Cell::Bool(value)) => Ok(Fact::Bool(value)),
        (FactType::Bool, Cell::Int(value @ (0 | 1))) => Ok(Fact::Bool(value == 1)),
        (FactType::Bool, Cell::Text(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "" => Ok(kind.zero()),
            "true" | "t" | "1" | "yes" | "y" => Ok(Fact::Bool(true)),
            "false" | "f" | "0" | "no" | "n" => Ok(Fact::Bool(false)),
            _ => wrong,
        },
        (FactType::Int | FactType::Float, Cell::Text(text)) if text.trim().is_empty() => Ok(kind.zero()),
        (FactType::Int | FactType::Float, Cell::Text(text)) => kind.read(text).ok_or(Flaw::WrongType),
        (FactType::String, cell) => {
            let mut buffer = String::new();
            short_text(cell, &mut buffer).map(|text| Fact::String(text.unwrap_or_default().into()))
        }
        _ => wrong,
    }
}

/// A report's id. An empty text is how tables without NULL write that there is none.
pub fn report_id(cell: Cell<'_>) -> Result<ReportId, Flaw> {
    match cell {
        Cell::Int(id) => Ok(ReportId::Int(id)),
        Cell::Large(id) => Ok(ReportId::Text(id.to_string().into())),
        Cell::Uuid(id) => Ok(ReportId::Uuid(id)),
        Cell::Null | Cell::Text("") => Err(Flaw::NoId),
        Cell::Text(id) if is_short(id) => Ok(ReportId::Text(id.into())),
        Cell::Text(_) | Cell::BadText => Err(Flaw::BadText),
        Cell::Float(_) | Cell::Bool(_) | Cell::Time(_) | Cell::LocalTime(_) | Cell::Other => Err(Flaw::WrongType),
    }
}

fn is_short(text: &str) -> bool {
    text.len() <= TEXT_MAX_BYTES && !text.contains('\0')
}

/// The cell's text, `None` for NULL. Codes are often numbers, so those have a text too.
fn text<'a>(cell: Cell<'a>, buffer: &'a mut String) -> Result<Option<&'a str>, Flaw> {
    *buffer = match cell {
        Cell::Null => return Ok(None),
        Cell::Text(text) => return Ok(Some(text)),
        Cell::Int(value) => value.to_string(),
        Cell::Large(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Uuid(id) => ReportId::Uuid(id).to_string(),
        Cell::Time(micros) | Cell::LocalTime(micros) => micros.to_string(),
        Cell::BadText => return Err(Flaw::BadText),
        Cell::Other => return Err(Flaw::WrongType),
    };
    Ok(Some(buffer))
}

pub fn short_text<'a>(cell: Cell<'a>, buffer: &'a mut String) -> Result<Option<&'a str>, Flaw> {
    if matches!(cell, Cell::Time(_) | Cell::LocalTime(_)) {
        return Err(Flaw::WrongType);
    }
    match text(cell, buffer)? {
        Some(text) if !is_short(text) => Err(Flaw::BadText),
        text => Ok(text),
    }
}

fn moment(cell: Cell<'_>, unit: Option<Unit>, zone: Zone) -> Moment {
    match (cell, unit) {
        (Cell::Null, _) => Moment::Absent,
        (Cell::Time(micros), _) => ranged(micros),
        (Cell::LocalTime(micros), _) => local(micros, zone),
        (Cell::Int(0), Some(_)) => Moment::Absent,
        (Cell::Large(_), Some(_)) => OUT_OF_RANGE,
        (Cell::Int(number), Some(unit)) => number.checked_mul(micros_per(unit)).map_or(OUT_OF_RANGE, ranged),
        (Cell::Float(number), Some(unit)) => float(number, unit),
        (Cell::Int(_) | Cell::Large(_) | Cell::Float(_), None) | (Cell::BadText, _) => Moment::Flawed(Flaw::NotATime),
        (Cell::Text(text), unit) => written(text.trim(), unit, zone),
        (Cell::Bool(_) | Cell::Uuid(_) | Cell::Other, _) => Moment::Flawed(Flaw::WrongType),
    }
}

const OUT_OF_RANGE: Moment = Moment::Flawed(Flaw::TimeOutOfRange);

const fn micros_per(unit: Unit) -> i64 {
    match unit {
        Unit::Seconds => 1_000_000,
        Unit::Milliseconds => 1_000,
    }
}

fn ranged(micros: i64) -> Moment {
    if (0..TIME_END_MICROS).contains(&micros) { Moment::At(Timestamp::from_micros(micros)) } else { OUT_OF_RANGE }
}

fn local(micros: i64, zone: Zone) -> Moment {
    // A day of margin on both sides leaves the verdict on the edges to the resolved instant.
    const DAY_MICROS: i64 = 86_400_000_000;
    if !(-DAY_MICROS..TIME_END_MICROS + DAY_MICROS).contains(&micros) {
        return OUT_OF_RANGE;
    }
    match DateTime::from_timestamp_micros(micros) {
        Some(reading) => ranged(zone.resolve(reading.naive_utc()).micros()),
        None => OUT_OF_RANGE,
    }
}

fn float(number: f64, unit: Unit) -> Moment {
    let micros = (number * micros_per(unit) as f64).round();
    if number == 0.0 {
        Moment::Absent
    } else if number.is_nan() {
        Moment::Flawed(Flaw::NotATime)
    } else if (0.0..TIME_END_MICROS as f64).contains(&micros) {
        ranged(micros as i64)
    } else {
        OUT_OF_RANGE
    }
}

/// A time as text: a number where the column has a unit, else ISO 8601.
fn written(text: &str, unit: Option<Unit>, zone: Zone) -> Moment {
    if text.is_empty() {
        return Moment::Absent;
    }
    if let Some(unit) = unit {
        if let Ok(number) = text.parse::<i64>() {
            return moment(Cell::Int(number), Some(unit), zone);
        }
        if let Ok(number) = text.parse::<f64>() {
            return float(number, unit);
        }
    }
    parse_local_or_rfc3339(text, zone).map_or(Moment::Flawed(Flaw::NotATime), |at| ranged(at.micros()))
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
