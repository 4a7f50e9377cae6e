//! The only place that knows local time: zones, and times as people and databases write them. Everything
//! inside is a `Timestamp`; what isn't UTC becomes so here, by the rules of [`Zone::resolve`].

pub mod cron;

use crate::core::time::{Span, Timestamp};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::fmt::{self, Write};
use std::str::FromStr;

/// RFC 3339 in UTC, "2026-11-23T08:00:00Z"; a fraction only where there is one, of up to 6 digits. An
/// instant that the calendar of years can't hold prints as the nearest that it can.
pub fn rfc3339(at: Timestamp) -> String {
    let at = utc(at);
    let mut text = String::with_capacity(27);
    let written = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    debug_assert!(written.is_ok(), "writing to a String can't fail");
    let micros = at.and_utc().timestamp_subsec_micros();
    if micros > 0 {
        text.push('.');
        text.push_str(format!("{micros:06}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// An instant as RFC 3339 has it: date, time and offset, seconds not left out.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| Timestamp::from_micros(at.timestamp_micros()))
}

/// ISO 8601 as databases write it: 'T' or a space between, seconds and their fraction optional, behind
/// them "Z", "+01", "+0100" or "+01:00". Without an offset the time is local in `zone`. A date alone is
/// refused, since the hour would be a guess.
pub fn parse_local_or_rfc3339(text: &str, zone: Zone) -> Option<Timestamp> {
    let text = text.trim();
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let time_len = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(rest.len());
    let (time, offset) = rest.split_at(time_len);
    let local = parse_date(date)?.and_time(parse_time(time)?);
    match offset.strip_prefix(' ').unwrap_or(offset) {
        "" => Some(zone.resolve(local)),
        offset => Some(as_if_utc(local).minus(Span::from_secs(parse_offset_secs(offset)?))),
    }
}

/// A date as "2026-12-24", digits and dashes only; `None` too for one that doesn't exist.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    if !shaped {
        return None;
    }
    let (year, month, day) = (text.get(..4)?, text.get(5..7)?, text.get(8..)?);
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// "HH:MM" or "HH:MM:SS", the latter with any fraction; digits beyond the microsecond are cut off.
fn parse_time(text: &str) -> Option<NaiveTime> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let parts = whole.split(':').map(two_digits).collect::<Option<Vec<u32>>>()?;
    let (hour, minute, second) = match (parts.as_slice(), fraction) {
        ([hour, minute], None) => (*hour, *minute, 0),
        ([hour, minute, second], _) => (*hour, *minute, *second),
        _ => return None,
    };
    let mut micros = 0;
    if let Some(fraction) = fraction {
        if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        micros =
            fraction.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |sum, b| sum * 10 + u32::from(b - b'0'));
    }
    NaiveTime::from_hms_micro_opt(hour, minute, second, micros)
}

fn parse_offset_secs(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (two_digits(digits)?, 0),
        4 => (two_digits(digits.get(..2)?)?, two_digits(digits.get(2..)?)?),
        5 => digits.split_once(':').and_then(|(h, m)| Some((two_digits(h)?, two_digits(m)?)))?,
        _ => return None,
    };
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3_600 + minutes * 60))
}

fn two_digits(text: &str) -> Option<u32> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// A zone name that the IANA database doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    name: String,
    near: Option<&'static str>,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown time zone \"{}\"; ", self.name)?;
        match self.near {
            Some(near) => write!(f, "did you mean \"{near}\"?"),
            None => write!(f, "write an IANA name such as \"Europe/Berlin\" or \"UTC\""),
        }
    }
}

impl std::error::Error for ZoneError {}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(name: &str) -> Result<Zone, ZoneError> {
        name.parse().map(Zone).map_err(|_| ZoneError { name: name.to_owned(), near: near_name(name) })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// The zone that was probably meant: the same name in another case, a city without its continent, or
/// one within two slips of the hand.
fn near_name(name: &str) -> Option<&'static str> {
    let wanted = name.trim().to_lowercase().replace(' ', "_");
    let names = || TZ_VARIANTS.iter().map(|tz| tz.name());
    let city = |known: &&str| known.to_lowercase().rsplit('/').next() == Some(wanted.as_str());
    let same = names().find(|known| known.to_lowercase() == wanted).or_else(|| names().find(city));
    same.or_else(|| {
        let slips = names().map(|known| (edits(&known.to_lowercase(), &wanted), known));
        slips.min().filter(|(edits, _)| *edits <= 2 && wanted.len() > 4).map(|(_, known)| known)
    })
}

/// How many letters must be added, dropped or changed to make one text of the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// What a local time names: one instant, two, or none.
enum Meaning {
    Once(Timestamp),
    Twice { first: Timestamp, second: Timestamp },
    Never { later_by_gap: Timestamp },
}

impl Zone {
    pub const UTC: Zone = Zone(Tz::UTC);

    /// The instant that a local time names. One that doesn't exist, because the clock went forward over
    /// it, is later by the length of that gap; one that comes twice is its first occurrence.
    pub fn resolve(self, local: NaiveDateTime) -> Timestamp {
        match self.meaning(local) {
            Meaning::Once(at) | Meaning::Twice { first: at, .. } | Meaning::Never { later_by_gap: at } => at,
        }
    }

    /// As [`Zone::resolve`], but for the end of an interval: one that comes twice is its second
    /// occurrence, so that an interval over the repeated hour counts both passes. The first moment of
    /// the repeated hour ends an interval before that hour, at its first occurrence.
    pub fn resolve_latest(self, local: NaiveDateTime) -> Timestamp {
        match self.meaning(local) {
            Meaning::Twice { first, second } => {
                let enters_the_hour = self.local(second.minus(Span::from_micros(1))) < local;
                if enters_the_hour { second } else { first }
            }
            Meaning::Once(at) | Meaning::Never { later_by_gap: at } => at,
        }
    }

    /// The wall clock's reading in this zone.
    pub fn local(self, at: Timestamp) -> NaiveDateTime {
        let utc = utc(at);
        let offset = self.0.offset_from_utc_datetime(&utc).fix().local_minus_utc();
        utc.checked_add_signed(TimeDelta::seconds(offset.into())).unwrap_or(utc)
    }

    /// Whether this zone went over the whole of a date, as Samoa over 2011-12-30.
    pub fn skips(self, date: NaiveDate) -> bool {
        self.local(self.resolve(date.and_time(NaiveTime::MIN))).date() != date
    }

    /// Offsets are looked up by instant and tried out, rather than by local time: an offset is right
    /// when the instant it makes of the local time has that very offset.
    fn meaning(self, local: NaiveDateTime) -> Meaning {
        let offset_secs = |at: Timestamp| {
            let offset = self.0.offset_from_utc_datetime(&utc(at)).fix();
            i64::from(offset.local_minus_utc())
        };
        // No offset is as large as 16 hours, and no zone changed twice within 32.
        const MARGIN: Span = Span::from_hours(16);
        let as_utc = as_if_utc(local);
        let before = offset_secs(as_utc.minus(MARGIN));
        let after = offset_secs(as_utc.plus(MARGIN));
        let by = |offset| as_utc.minus(Span::from_secs(offset));
        let holds = |offset| offset_secs(by(offset)) == offset;
        match (holds(before), holds(after)) {
            (true, true) if before != after => {
                let (first, second) = (by(before).min(by(after)), by(before).max(by(after)));
                Meaning::Twice { first, second }
            }
            (true, _) => Meaning::Once(by(before)),
            (false, true) => Meaning::Once(by(after)),
            (false, false) => Meaning::Never { later_by_gap: by(before) },
        }
    }
}

fn as_if_utc(local: NaiveDateTime) -> Timestamp {
    Timestamp::from_micros(local.and_utc().timestamp_micros())
}

fn utc(at: Timestamp) -> NaiveDateTime {
    let nearest = if at < Timestamp::from_secs(0) { NaiveDateTime::MIN } else { NaiveDateTime::MAX };
    DateTime::from_timestamp_micros(at.micros()).map_or(nearest, |at| at.naive_utc())
}

#[cfg(test)]
mod tests;
