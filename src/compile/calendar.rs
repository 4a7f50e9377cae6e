//! A calendar as people write it, compiled to the core's table: opening hours in OpenStreetMap's syntax,
//! a country's holidays, own closed and own open dates, all in one zone's local time.
//!
//! Hours are evaluated in naive local time and only their boundaries become instants: a start the earliest
//! that it names, an end the latest, so the repeated hour of autumn counts twice where hours span it. A
//! boundary that the clock skips is later by the gap's length; a date that the zone skips has no hours.
//!
//! A closed date and a holiday close a date from midnight to midnight: of a night shift they cut what falls
//! into them, and no more, as `off` does in OpenStreetMap's syntax.

mod error;
mod hours;
mod spans;

pub use error::{CalendarSpecError, Field};

use crate::core::calendar::{Calendar, CalendarError, Interval};
use crate::core::time::{Span, Timestamp};
use crate::zone::{self, Zone};
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use hours::Hours;
use std::collections::{BTreeMap, BTreeSet};

/// A calendar of the configuration. Dates and hours are local to `timezone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarSpec {
    pub timezone: Zone,
    /// In OpenStreetMap's `opening_hours` syntax, as "Mo-Fr 09:00-17:00".
    pub hours: String,
    /// An ISO 3166 country. Its public holidays are closed, unless the hours speak of PH themselves.
    pub holidays: Option<String>,
    /// Closed whatever the hours and holidays say.
    pub closed: Vec<NaiveDate>,
    /// Hours such as "10:00-14:00" or "08:00-12:00, 22:00-02:00" in place of all that the date would
    /// have; what runs past midnight holds even where the next date is closed.
    pub open: BTreeMap<NaiveDate, String>,
}

/// The longest window that is compiled, about 50 years: past it holidays are guesswork.
pub const LONGEST_WINDOW: Span = Span::from_hours(50 * 366 * 24);

/// 1900-01-01 and 9900-01-01: the years that opening hours can be evaluated in, with room to spare.
const EARLIEST: Timestamp = Timestamp::from_secs(-2_208_988_800);
const LATEST: Timestamp = Timestamp::from_secs(250_246_886_400);

const MINUTES_PER_DAY: i64 = 24 * 60;
/// Minutes of local time, since 1970 or since a date's midnight.
type LocalMinute = i64;

impl CalendarSpec {
    /// Reads the parts as the configuration has them. The hours themselves are judged by [`compile`].
    pub fn read<'t>(
        timezone: &str,
        hours: &str,
        holidays: Option<&str>,
        closed: impl IntoIterator<Item = &'t str>,
        open: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<CalendarSpec, CalendarSpecError> {
        let date = |field, text: &str| {
            zone::parse_date(text).ok_or_else(|| CalendarSpecError::NoSuchDate { field, date: text.to_owned() })
        };
        Ok(CalendarSpec {
            timezone: timezone.parse()?,
            hours: hours.to_owned(),
            holidays: holidays.map(str::to_owned),
            closed: closed.into_iter().map(|text| date(Field::Closed, text)).collect::<Result<_, _>>()?,
            open: open
                .into_iter()
                .map(|(text, spans)| Ok((date(Field::Open, text)?, spans.to_owned())))
                .collect::<Result<_, CalendarSpecError>>()?,
        })
    }
}

/// Compiles the calendar for [from, until), of which at most [`LONGEST_WINDOW`] is kept: the calendar's
/// horizon says what it knows.
pub fn compile(spec: &CalendarSpec, from: Timestamp, until: Timestamp) -> Result<Calendar, CalendarSpecError> {
    let from = from.clamp(EARLIEST, LATEST);
    let horizon = Interval { from, until: until.min(LATEST).clamp(from, from.plus(LONGEST_WINDOW)) };
    let hours = Hours::read(&spec.hours, spec.holidays.as_deref())?;
    let closed: BTreeSet<NaiveDate> = spec.closed.iter().copied().collect();
    let mut open_dates = BTreeMap::new();
    for (date, text) in &spec.open {
        if closed.contains(date) {
            return Err(CalendarSpecError::ClosedAndOpen { date: *date });
        }
        open_dates.insert(*date, spans::read(*date, text)?);
    }

    let open = open_minutes(spec, &hours, &closed, &open_dates, horizon);
    let instants = union(open).into_iter().map(|(start, end)| {
        let (from, until) = (local(start), local(end));
        (spec.timezone.resolve(from), spec.timezone.resolve_latest(until))
    });
    // At the clock change, boundaries that lie in a gap or in the repeated hour may meet or cross.
    let intervals = union(instants).into_iter().map(|(from, until)| Interval { from, until }).collect();
    Calendar::new(intervals, horizon).map_err(|error| match error {
        CalendarError::NeverOpens => CalendarSpecError::NeverOpens {
            hours: spec.hours.clone(),
            from: spec.timezone.local(horizon.from).date(),
            until: spec.timezone.local(horizon.until).date(),
        },
        CalendarError::Malformed { .. } => CalendarSpecError::Table(error),
    })
}

/// The open stretches of local time, each within one date, of all dates that the horizon touches.
fn open_minutes(
    spec: &CalendarSpec,
    hours: &Hours,
    closed: &BTreeSet<NaiveDate>,
    open_dates: &BTreeMap<NaiveDate, Vec<(LocalMinute, LocalMinute)>>,
    horizon: Interval,
) -> Vec<(LocalMinute, LocalMinute)> {
    let mut open = Vec::new();
    let first = spec.timezone.local(horizon.from).date() - TimeDelta::days(1);
    let last = spec.timezone.local(horizon.until).date();
    for date in first.iter_days().take_while(|date| *date <= last) {
        if spec.timezone.skips(date) {
            continue;
        }
        let midnight = midnight(date);
        let mut push = |start: LocalMinute, end: LocalMinute| open.push((midnight + start, midnight + end));
        let own = |date| open_dates.get(&date).into_iter().flatten();
        for (_, end) in own(date - TimeDelta::days(1)).filter(|(_, end)| *end > MINUTES_PER_DAY) {
            push(0, end - MINUTES_PER_DAY);
        }
        if open_dates.contains_key(&date) {
            own(date).for_each(|(start, end)| push(*start, MINUTES_PER_DAY.min(*end)));
        } else if !closed.contains(&date) && !hours.is_closing_holiday(date) {
            hours.on(date, push);
        }
    }
    open
}

/// Sorted, with those that touch or overlap made one and the empty ones gone.
fn union<T: Ord + Copy>(stretches: impl IntoIterator<Item = (T, T)>) -> Vec<(T, T)> {
    let mut sorted: Vec<(T, T)> = stretches.into_iter().filter(|(start, end)| start < end).collect();
    sorted.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(sorted.len());
    for (start, end) in sorted {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

fn midnight(date: NaiveDate) -> LocalMinute {
    (date - NaiveDate::default()).num_days() * MINUTES_PER_DAY
}

fn local(minute: LocalMinute) -> NaiveDateTime {
    NaiveDateTime::default() + TimeDelta::minutes(minute)
}

#[cfg(test)]
mod tests;
