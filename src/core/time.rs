//! Instants and lengths of time. Both are whole microseconds, so arithmetic is exact and ordering is
//! total. Nothing here reads a clock: `now` is always a value that somebody passed in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A length of real elapsed time in microseconds. Negative lengths occur only as differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Timestamp {
    /// The latest instant that can be named; no deadline lies beyond it.
    pub const MAX: Timestamp = Timestamp(i64::MAX);
    /// The earliest instant that can be named.
    pub const MIN: Timestamp = Timestamp(i64::MIN);

    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Timestamp(secs.saturating_mul(1_000_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant `span` later; saturates at the ends of time, so a huge promise never wraps round.
    pub const fn plus(self, span: Span) -> Self {
        Timestamp(self.0.saturating_add(span.0))
    }

    pub const fn minus(self, span: Span) -> Self {
        Timestamp(self.0.saturating_sub(span.0))
    }

    /// The length from `earlier` to `self`; negative when `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_micros(micros: i64) -> Self {
        Span(micros)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Span(secs.saturating_mul(1_000_000))
    }

    pub const fn from_mins(mins: i64) -> Self {
        Span::from_secs(mins.saturating_mul(60))
    }

    pub const fn from_hours(hours: i64) -> Self {
        Span::from_mins(hours.saturating_mul(60))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded towards the past.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    pub const fn plus(self, other: Span) -> Self {
        Span(self.0.saturating_add(other.0))
    }

    pub const fn minus(self, other: Span) -> Self {
        Span(self.0.saturating_sub(other.0))
    }

    /// For timers: a negative length waits not at all.
    pub const fn to_std(self) -> std::time::Duration {
        let micros = if self.0 < 0 { 0 } else { self.0 as u64 };
        std::time::Duration::from_micros(micros)
    }
}

/// Why a duration was refused. The message says what is right, since its reader is writing a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanError {
    Empty,
    NoUnit(String),
    UnknownUnit(String),
    NotANumber(String),
    TooLong(String),
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = "write whole numbers with s, m, h or d, as in \"90s\", \"15m\" or \"1h30m\"";
        match self {
            SpanError::Empty => write!(f, "the duration is empty; {right}"),
            SpanError::NoUnit(text) => write!(f, "the duration \"{text}\" ends without a unit; {right}"),
            SpanError::UnknownUnit(text) if text.contains(['.', ',']) => {
                write!(f, "the duration \"{text}\" is a fraction; {right}")
            }
            SpanError::UnknownUnit(text) => write!(f, "the duration \"{text}\" has an unknown unit; {right}"),
            SpanError::NotANumber(text) => write!(f, "the duration \"{text}\" has a unit without a number; {right}"),
            SpanError::TooLong(text) => write!(f, "the duration \"{text}\" is longer than 100 years; {right}"),
        }
    }
}

impl std::error::Error for SpanError {}

/// A duration as people write it, and whether it was said in days: a day on a calendar is ambiguous
/// ("5d" of an 8-hour day is 15 days), so the reader of a target must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenSpan {
    pub span: Span,
    pub uses_days: bool,
}

impl std::str::FromStr for WrittenSpan {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        const LONGEST_SECS: i64 = 100 * 366 * 86_400;
        if text.is_empty() {
            return Err(SpanError::Empty);
        }
        let (mut secs, mut number, mut uses_days) = (0i64, None::<i64>, false);
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let grown = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(i64::from(digit)));
                number = Some(grown.ok_or_else(|| SpanError::TooLong(text.to_owned()))?);
                continue;
            }
            let unit_secs = match c {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return Err(SpanError::UnknownUnit(text.to_owned())),
            };
            uses_days |= c == 'd';
            let count = number.take().ok_or_else(|| SpanError::NotANumber(text.to_owned()))?;
            secs = count
                .checked_mul(unit_secs)
                .and_then(|part| secs.checked_add(part))
                .filter(|sum| *sum <= LONGEST_SECS)
                .ok_or_else(|| SpanError::TooLong(text.to_owned()))?;
        }
        match number {
            Some(_) => Err(SpanError::NoUnit(text.to_owned())),
            None => Ok(WrittenSpan { span: Span::from_secs(secs), uses_days }),
        }
    }
}

/// The two largest units that say something, as a person would speak it: "2h 5m", "45s", "3d".
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            write!(f, "-")?;
        }
        let secs = self.0.unsigned_abs() / 1_000_000;
        let parts = [(secs / 86_400, "d"), (secs / 3_600 % 24, "h"), (secs / 60 % 60, "m"), (secs % 60, "s")];
        let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
        write!(f, "{}{}", parts[first].0, parts[first].1)?;
        match parts.get(first + 1) {
            Some((n, unit)) if *n > 0 => write!(f, " {n}{unit}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Result<i64, SpanError> {
        text.parse::<WrittenSpan>().map(|w| w.span.secs())
    }

    #[test]
    fn a_duration_is_a_sum_of_whole_numbers_with_units() {
        assert_eq!(span("1h30m"), Ok(5_400));
        assert_eq!(span("0s"), Ok(0));
        assert_eq!(span("2d"), Ok(172_800));
        assert_eq!(span(""), Err(SpanError::Empty));
        assert_eq!(span("15"), Err(SpanError::NoUnit("15".into())));
        assert_eq!(span("h"), Err(SpanError::NotANumber("h".into())));
        assert_eq!(span("1.5h"), Err(SpanError::UnknownUnit("1.5h".into())));
        assert_eq!(span("-1h"), Err(SpanError::UnknownUnit("-1h".into())));
        assert_eq!(span("99999999999999999999d"), Err(SpanError::TooLong("99999999999999999999d".into())));
        assert_eq!(span("40000d"), Err(SpanError::TooLong("40000d".into())));
    }

    #[test]
    fn a_span_is_spoken_in_its_two_largest_units() {
        let spoken = |secs| Span::from_secs(secs).to_string();
        assert_eq!(spoken(0), "0s");
        assert_eq!(spoken(45), "45s");
        assert_eq!(spoken(7_500), "2h 5m");
        assert_eq!(spoken(259_200), "3d");
        assert_eq!(spoken(-61), "-1m 1s");
    }
}
