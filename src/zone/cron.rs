//! When something happens again and again: the five fields that people write, in a named zone. A time that
//! the clock skips comes later by the gap, one that it repeats comes once, at its first occurrence.
//!
//! The crate `cron` reads the dialect of Quartz, where seconds come first and 1 is Sunday, and loses times at
//! clock changes. So the fields are read here and handed to it as numbers, and it walks local time alone.

use super::Zone;
use crate::core::time::{Span, Timestamp};
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use cron::Schedule;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Days that are looked at for the next time; the rarest date, 29 February on a weekday, comes within it.
const DAYS_MAX: i64 = 366 * 9;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Minute, hour, day of month, month, day of week; 0 and 7 are Sunday.
#[derive(Clone, Debug)]
pub struct Cron {
    /// Every field as a list of numbers, in Quartz's order: the same for all ways to write one schedule.
    fields: String,
    schedule: Schedule,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Cron {}

/// Why it was refused, and what is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError(String);

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CronError {}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Cron, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            let what =
                format!("a schedule has five fields, minute hour day month weekday, and this has {}", fields.len());
            return Err(CronError(what));
        };
        if *days != "*" && *weekdays != "*" {
            let what =
                "a day of the month together with a weekday means two things to two programs: leave one of them \"*\"";
            return Err(CronError(what.to_owned()));
        }
        let minutes = field("minute", minutes, 0..=59, &[])?;
        let hours = field("hour", hours, 0..=23, &[])?;
        let days = field("day", days, 1..=31, &[])?;
        let months = field("month", months, 1..=12, &MONTHS)?;
        let weekdays = field("weekday", weekdays, 0..=7, &WEEKDAYS)?;
        let from_one = weekdays.into_iter().map(|day| day % 7 + 1).collect();
        let fields = [minutes, hours, days, months, from_one].map(list).join(" ");
        let fields = format!("0 {fields}");
        let schedule = Schedule::from_str(&fields).map_err(|error| CronError(error.to_string()))?;
        let cron = Cron { fields, schedule };
        if cron.next(Timestamp::from_secs(0), Zone::UTC).is_none() {
            return Err(CronError("no date fits it: no month of these has such a day".to_owned()));
        }
        Ok(cron)
    }
}

fn list(numbers: BTreeSet<u32>) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// A list of numbers, names, ranges and steps.
fn field(
    what: &str,
    text: &str,
    range: std::ops::RangeInclusive<u32>,
    names: &[&str],
) -> Result<BTreeSet<u32>, CronError> {
    let refused = || {
        CronError(format!(
            "the {what} \"{text}\" is none of \"*\", {} to {}, a list, a range or a step",
            range.start(),
            range.end()
        ))
    };
    let number = |part: &str| {
        let named = names.iter().position(|name| part.eq_ignore_ascii_case(name));
        let named = named.and_then(|place| u32::try_from(place).ok()).map(|place| place + range.start().min(&1));
        let digits = part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
        named.or_else(|| part.parse().ok().filter(|_| digits)).filter(|number| range.contains(number))
    };
    let mut found = BTreeSet::new();
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => {
                (span, step.parse::<u32>().ok().filter(|step| (1..=59).contains(step)).ok_or_else(refused)?)
            }
            None => (part, 1),
        };
        let (first, last) = match span.split_once('-') {
            _ if span == "*" => (*range.start(), *range.end()),
            Some((first, last)) => (number(first).ok_or_else(refused)?, number(last).ok_or_else(refused)?),
            None => {
                let only = number(span).ok_or_else(refused)?;
                (only, if part.contains('/') { *range.end() } else { only })
            }
        };
        if first > last {
            return Err(refused());
        }
        found.extend((first..=last).step_by(step as usize));
    }
    Ok(found)
}

impl Cron {
    /// The first time after an instant.
    pub fn next(&self, after: Timestamp, zone: Zone) -> Option<Timestamp> {
        // A day earlier, because a time that the clock skipped may fall behind midnight.
        let first = zone.local(after).date().pred_opt()?;
        self.days_from(first, 1).find_map(|date| self.times_of(date, zone).into_iter().find(|at| *at > after))
    }

    /// The last time at or before an instant.
    pub fn last(&self, at: Timestamp, zone: Zone) -> Option<Timestamp> {
        let first = zone.local(at.plus(Span::from_hours(24))).date();
        self.days_from(first, -1).find_map(|date| self.times_of(date, zone).into_iter().rfind(|time| *time <= at))
    }

    fn days_from(&self, first: NaiveDate, step: i64) -> impl Iterator<Item = NaiveDate> {
        (0..DAYS_MAX).map_while(move |days| first.checked_add_signed(TimeDelta::days(days * step)))
    }

    /// The instants of one local date, in their order, each once.
    fn times_of(&self, date: NaiveDate, zone: Zone) -> BTreeSet<Timestamp> {
        // Local time is walked as if it were UTC, which has no clock changes.
        let before = date.and_time(NaiveTime::MIN).and_utc() - TimeDelta::seconds(1);
        let times = self.schedule.after(&before).map(|time| time.naive_utc());
        times.take_while(|time| time.date() == date).map(|time| zone.resolve(time)).collect()
    }
}

/// When something is done again and again.
#[derive(Clone, Debug, PartialEq)]
pub enum Rhythm {
    /// At once, and then so long after each time.
    Every(Span),
    At(Box<Cron>, Zone),
}

impl Rhythm {
    /// Whether it is due at `now`: it was last done at `last`, and is watched over since `since`.
    pub fn is_due(&self, last: Option<Timestamp>, since: Timestamp, now: Timestamp) -> bool {
        match self {
            Rhythm::Every(span) => last.is_none_or(|last| now >= last.plus(*span)),
            Rhythm::At(cron, zone) => cron.last(now, *zone).is_some_and(|at| at > last.unwrap_or(since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{parse_rfc3339, rfc3339};

    fn next(cron: &str, after: &str, zone: &str) -> String {
        let cron: Cron = cron.parse().expect("a schedule");
        let next = cron.next(parse_rfc3339(after).expect("an instant"), zone.parse().expect("a zone"));
        rfc3339(next.expect("it comes again"))
    }

    #[test]
    fn monday_at_eight_is_local_time_on_both_sides_of_a_clock_change() {
        let monday = "0 8 * * 1";
        assert_eq!(next(monday, "2026-10-20T00:00:00Z", "Europe/Berlin"), "2026-10-26T07:00:00Z", "winter");
        assert_eq!(next(monday, "2026-03-23T08:00:00Z", "Europe/Berlin"), "2026-03-30T06:00:00Z", "summer");
        assert_eq!(next(monday, "2026-10-26T06:59:59Z", "Europe/Berlin"), "2026-10-26T07:00:00Z");
        assert_eq!(next(monday, "2026-10-26T07:00:00Z", "Europe/Berlin"), "2026-11-02T07:00:00Z");
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_later_and_one_that_it_repeats_comes_once() {
        assert_eq!(next("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-29T01:30:00Z", "03:30 local");
        assert_eq!(next("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin"), "2026-10-25T00:30:00Z");
        assert_eq!(
            next("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"),
            "2026-10-26T01:30:00Z",
            "no second time"
        );
        assert_eq!(next("15 2 * * *", "2026-10-03T00:00:00Z", "Australia/Lord_Howe"), "2026-10-03T15:45:00Z");
    }

    #[test]
    fn the_last_time_is_what_a_monitor_that_was_down_has_missed() {
        let cron: Cron = "0 8 * * mon".parse().expect("a schedule");
        let at = |text| parse_rfc3339(text).expect("an instant");
        let last = |text| cron.last(at(text), Zone::UTC).map(rfc3339);
        assert_eq!(last("2026-11-23T08:00:00Z").as_deref(), Some("2026-11-23T08:00:00Z"));
        assert_eq!(last("2026-11-23T07:59:59Z").as_deref(), Some("2026-11-16T08:00:00Z"));
    }

    #[test]
    fn people_write_names_lists_ranges_and_steps() {
        let cron = |text: &str| text.parse::<Cron>().expect(text);
        assert_eq!(cron("0 8 * * 0"), cron("0 8 * * 7"));
        assert_eq!(cron("0 8 * * SUN"), cron("0 8 * * 0"));
        assert_eq!(cron("0 8 * jan-mar *"), cron("0 8 * 1,2,3 *"));
        assert_eq!(cron("*/15 8-10 * * *"), cron("0,15,30,45 8,9,10 * * *"));
        assert_eq!(cron("0 8 * * mon-fri"), cron("0 8 * * 1,2,3,4,5"));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for text in ["", "0 8 * *", "0 0 8 * * 1", "60 8 * * *", "0 24 * * *", "0 8 0 * *", "0 8 1 * 1", "0 8 * * 8"] {
            assert!(text.parse::<Cron>().is_err(), "{text}");
        }
        for text in ["0 8 31 2 *", "a 8 * * *", "5-1 8 * * *", "*/0 8 * * *", "1,,2 8 * * *", "@weekly"] {
            assert!(text.parse::<Cron>().is_err(), "{text}");
        }
    }
}
