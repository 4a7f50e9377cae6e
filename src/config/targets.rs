//! `targets`: the promises of a rule, or of minor safety, whose clocks know no calendar.

use super::problem::Place;
use super::read::{Entry, Reader, Text, nearest};
use super::sources::{event_name, nearest_event};
use crate::core::id::Name;
use crate::core::observation::EventName;
use crate::core::policy::{Due, Target};
use crate::core::time::Span;
use std::collections::BTreeSet;
use toml::de::DeValue;

/// Whose targets they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    MinorSafety,
    Rule,
}

/// A target and where it stands.
pub struct TargetRead {
    pub target: Target,
    pub key: Place,
}

/// What a target may refer to.
pub struct TargetTerms<'t> {
    pub calendars: BTreeSet<&'t str>,
    pub dues: BTreeSet<Name>,
}

const KEYS: &[&str] = &["within", "due", "calendar", "from", "until", "warn", "repeat"];

pub fn read(r: &Reader, entry: &Entry, whose: Whose, terms: &TargetTerms) -> Vec<TargetRead> {
    const EXAMPLE: &str = "targets = { first_response = \"1h\", closed = \"4h\" }";
    let title = if whose == Whose::Rule { "`targets`" } else { "`targets` of [minor_safety]" };
    let Some(table) = entry.free_table(r, title, EXAMPLE) else { return Vec::new() };
    if whose == Whose::MinorSafety && table.entries().next().is_none() {
        let what = "minor safety has no target, so no deadline of it could ever pass";
        r.refuse(&entry.place, what, "write: targets = { first_response = \"15m\", closed = \"1h\" }");
    }
    let targets = table.entries().filter_map(|entry| {
        let target = read_one(r, &entry, whose, terms)?;
        Some(TargetRead { target, key: entry.key.place })
    });
    targets.collect()
}

fn read_one(r: &Reader, entry: &Entry, whose: Whose, terms: &TargetTerms) -> Option<Target> {
    let key = entry.key.value;
    if let DeValue::Table(_) = entry.value {
        return read_table(r, entry, whose, terms);
    }
    let within = entry.duration(r, &format!("{key} = \"1h\""));
    let until = until_key(r, &entry.key);
    let (span, until) = (within?.span, until?);
    let due = Due::Within { span, calendar: None };
    Some(Target { name: key.into(), from: default_from(until), until, due, warn: None, repeat: None })
}

fn read_table(r: &Reader, entry: &Entry, whose: Whose, terms: &TargetTerms) -> Option<Target> {
    let key = entry.key.value;
    let example = format!("{key} = \"1h\", or: {key} = {{ within = \"8h\", calendar = \"office\" }}");
    let title = if whose == Whose::Rule { "a target" } else { "a target of [minor_safety]" };
    let table = entry.table(r, title, KEYS, &example)?;
    let until = match table.get("until") {
        Some(entry) => event_name(r, &entry.text(r, "until = \"closed\"")?),
        None => until_key(r, &entry.key),
    };
    let from = match table.get("from") {
        Some(entry) => Some(event_name(r, &entry.text(r, "from = \"received\"")?)?),
        None => None,
    };
    let calendar = table.get("calendar").map(|entry| calendar(r, &entry, whose, terms));
    let due = match (table.get("within"), table.get("due")) {
        (Some(within), None) => {
            let span = within.duration(r, "within = \"8h\"");
            if let (Some(span), Some(Some(calendar))) = (span, &calendar)
                && span.uses_days
            {
                refuse_days(r, &within, calendar);
                return None;
            }
            Due::Within { span: span?.span, calendar: calendar.map_or(Some(None), |name| name.map(Some))? }
        }
        (None, Some(due)) => {
            if let Some(calendar) = table.get("calendar") {
                let advice = "remove the calendar, or write `within` in place of `due`";
                r.refuse(&calendar.key.place, "a date that the source states needs no calendar", advice);
            }
            Due::Stated { column: stated(r, &due, terms)? }
        }
        (Some(_), Some(due)) => {
            let what = format!("the target `{key}` has both `within` and `due`");
            r.refuse(&due.key.place, what, "keep one of the two");
            return None;
        }
        (None, None) => {
            let what = format!("the target `{key}` doesn't say when it is due");
            r.refuse(&entry.key.place, what, "add: within = \"8h\", or: due = \"due_at\"");
            return None;
        }
    };
    let until = until?;
    let from = from.unwrap_or_else(|| default_from(until));
    if from == until {
        let what = format!("the target `{key}` runs from `{from}` until `{until}`, so it takes no time");
        r.refuse(&entry.key.place, what, "name two different events under `from` and `until`");
        return None;
    }
    let warn = match table.get("warn") {
        Some(entry) => Some(warning(r, &entry, key, &due)?),
        None => None,
    };
    let repeat = match table.get("repeat") {
        Some(entry) => Some(repeat(r, &entry, key, until, &due)?),
        None => None,
    };
    Some(Target { name: key.into(), from, until, due, warn, repeat })
}

/// How soon what has happened is owed again: only of events that happen more than once.
fn repeat(r: &Reader, entry: &Entry, key: &str, until: EventName, due: &Due) -> Option<Span> {
    const EXAMPLE: &str = "repeat = \"7d\"";
    let span = entry.duration(r, EXAMPLE)?;
    if !matches!(until, EventName::ReporterNotified | EventName::ReviewerAction) {
        let what = format!("`{key}` runs until `{until}`, which happens once, so it can't be owed again");
        r.refuse(
            &entry.key.place,
            what,
            "remove `repeat`, or let the target run until `reporter_notified` or `reviewer_action`",
        );
        return None;
    }
    match due {
        Due::Stated { .. } => {
            let what = format!("`{key}` is due when the source says, so it can't be owed again after a fixed time");
            r.refuse(&entry.key.place, what, "remove `repeat`, or write `within` in place of `due`");
            return None;
        }
        Due::Within { calendar: Some(calendar), .. } if span.uses_days => {
            refuse_days(r, entry, calendar);
            return None;
        }
        Due::Within { .. } if span.span == Span::ZERO => {
            r.refuse(&entry.place, "`repeat` is zero, so it would be owed without end", format!("write: {EXAMPLE}"));
            return None;
        }
        Due::Within { .. } => {}
    }
    Some(span.span)
}

/// How long before its deadline a target warns: less than it has on wall time.
fn warning(r: &Reader, entry: &Entry, key: &str, due: &Due) -> Option<Span> {
    let span = entry.duration(r, "warn = \"5m\"")?.span;
    let whole = match due {
        Due::Within { span, calendar: None } => Some(*span),
        Due::Within { calendar: Some(_), .. } | Due::Stated { .. } => None,
    };
    if whole.is_some_and(|whole| span >= whole) {
        let what =
            format!("`{key}` would warn {span} before its deadline, but has only {} in all", whole.unwrap_or(span));
        r.refuse(&entry.place, what, "write a shorter time under `warn`");
        return None;
    }
    Some(span)
}

/// The key is the target's name and, unless `until` is said, the event that meets it.
fn until_key(r: &Reader, key: &Text) -> Option<EventName> {
    let found = EventName::parse(key.value);
    if found.is_none() {
        let names = EventName::ALL.map(EventName::as_str);
        let what = format!("the target `{}` doesn't say which event meets it", key.value);
        let advice = match nearest_event(key.value) {
            Some(near) => format!("did you mean `{near}`? otherwise add until = \"closed\", or another event"),
            None => format!("add until = \"closed\", or another of {}", names.join(", ")),
        };
        r.refuse(&key.place, what, advice);
    } else if found == Some(EventName::Received) {
        r.refuse(&key.place, "no target can run until `received`: that is where it begins", "write: closed = \"4h\"");
        return None;
    }
    found
}

/// A second review answers a closure and a filing answers a confirmation; the rest answers the report.
fn default_from(until: EventName) -> EventName {
    match until {
        EventName::SecondReview => EventName::Closed,
        EventName::Filed => EventName::Confirmed,
        _ => EventName::Received,
    }
}

/// A calendar that is defined and allowed here.
fn calendar(r: &Reader, entry: &Entry, whose: Whose, terms: &TargetTerms) -> Option<Name> {
    if whose == Whose::MinorSafety {
        let what = "a minor-safety target can't have a calendar: its clock runs at night and on holidays";
        r.refuse(&entry.key.place, what, "remove `calendar`");
        return None;
    }
    let text = entry.text(r, "calendar = \"office\"")?;
    if terms.calendars.contains(text.value) {
        return Some(text.name());
    }
    undefined(r, &text, "calendar", terms.calendars.iter().copied(), "[calendars.office] with timezone and hours");
    None
}

fn stated(r: &Reader, entry: &Entry, terms: &TargetTerms) -> Option<Name> {
    let text = entry.text(r, "due = \"due_at\"")?;
    if let Some(name) = terms.dues.get(text.value) {
        return Some(name.clone());
    }
    let known = terms.dues.iter().map(|name| &**name);
    undefined(r, &text, "due date", known, &format!("[sources.dues] with {} = \"column\"", text.value));
    None
}

/// Refuses a name that nothing defines, with the nearest that is, or with what to add.
pub fn undefined<'k>(r: &Reader, text: &Text, kind: &str, known: impl Iterator<Item = &'k str> + Clone, add: &str) {
    let advice = match nearest(text.value, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"? otherwise add: {add}"),
        None if known.clone().next().is_some() => {
            format!("write one of {}, or add: {add}", known.collect::<Vec<_>>().join(", "))
        }
        None => format!("add: {add}"),
    };
    r.refuse(&text.place, format!("no {kind} is named \"{}\"", text.value), advice);
}

fn refuse_days(r: &Reader, within: &Entry, calendar: &str) {
    let DeValue::String(text) = within.value else { return };
    let what = format!("\"{text}\" is said in days, but the calendar \"{calendar}\" doesn't count whole days");
    r.refuse(&within.place, what, "say the open hours: 5d of an 8-hour day would be 15 days, while 40h is one week");
}
