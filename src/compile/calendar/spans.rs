//! The hours of a single date, "08:00-12:00, 22:00-02:00", and the checks that all spans of hours pass.

use super::error::{CalendarSpecError, Field};
use super::{LocalMinute, MINUTES_PER_DAY};
use chrono::NaiveDate;

/// Where spans stand, for the errors about them.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub field: Field,
    pub date: Option<NaiveDate>,
}

/// Reads the hours of one open date: minutes since its midnight, sorted.
pub(super) fn read(date: NaiveDate, text: &str) -> Result<Vec<(LocalMinute, LocalMinute)>, CalendarSpecError> {
    let unreadable = || CalendarSpecError::OpenUnreadable { date, text: text.to_owned() };
    let place = Place { field: Field::Open, date: Some(date) };
    let spans = text.split(',').map(|span| {
        let (start, end) = span.trim().split_once('-').ok_or_else(unreadable)?;
        let start = minute_of_day(start.trim(), 23).ok_or_else(unreadable)?;
        let end = minute_of_day(end.trim(), 47).ok_or_else(unreadable)?;
        Ok((start, end))
    });
    checked(place, spans.collect::<Result<Vec<_>, CalendarSpecError>>()?)
}

/// Makes ends before starts those of the next day, sorts, and refuses what can't be meant.
pub(super) fn checked(
    place: Place,
    spans: Vec<(LocalMinute, LocalMinute)>,
) -> Result<Vec<(LocalMinute, LocalMinute)>, CalendarSpecError> {
    let Place { field, date } = place;
    let mut wrapped = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        let span = || written((start, end));
        if start == end {
            return Err(CalendarSpecError::SpanEmpty { field, date, span: span() });
        }
        if end - start > MINUTES_PER_DAY {
            return Err(CalendarSpecError::SpanTooLong { field, date, span: span() });
        }
        wrapped.push((start, if end < start { end + MINUTES_PER_DAY } else { end }));
    }
    wrapped.sort_unstable();
    for pair in wrapped.windows(2) {
        if pair[1].0 < pair[0].1 {
            let (first, second) = (written(pair[0]), written(pair[1]));
            return Err(CalendarSpecError::SpansOverlap { field, date, first, second });
        }
    }
    Ok(wrapped)
}

/// "9:30" or "09:30", the hour at most `last_hour`; 24:00 and 48:00 as ends.
fn minute_of_day(text: &str, last_hour: LocalMinute) -> Option<LocalMinute> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !(1..=2).contains(&hour.len()) || minute.len() != 2 || !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (LocalMinute, LocalMinute) = (hour.parse().ok()?, minute.parse().ok()?);
    let whole = last_hour > 24 && hour == last_hour + 1 && minute == 0;
    ((hour <= last_hour && minute < 60) || whole).then_some(hour * 60 + minute)
}

/// A span as it would be written, an end on the next day by its own hour.
fn written((start, end): (LocalMinute, LocalMinute)) -> String {
    let end = if end > MINUTES_PER_DAY && end - start <= MINUTES_PER_DAY { end - MINUTES_PER_DAY } else { end };
    format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
}
