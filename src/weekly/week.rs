//! ISO weeks in a zone: Monday 00:00 local time to the next.

use crate::core::time::Timestamp;
use crate::zone::Zone;
use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta, Weekday};
use std::fmt;
use std::str::FromStr;

/// A week of ISO 8601, such as 2026-W46.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week {
    monday: NaiveDate,
}

/// Not a week.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no week; write 2026-W46, as ISO 8601 numbers them")]
pub struct WeekError(String);

impl Week {
    /// The week in which an instant lies.
    pub fn of(at: Timestamp, zone: Zone) -> Week {
        let date = zone.local(at).date();
        let back = TimeDelta::days(i64::from(date.weekday().num_days_from_monday()));
        Week { monday: date.checked_sub_signed(back).unwrap_or(date) }
    }

    /// The last week that was over at an instant.
    pub fn over_at(at: Timestamp, zone: Zone) -> Week {
        Week::of(at, zone).back(1)
    }

    /// So many weeks earlier.
    pub fn back(self, weeks: u32) -> Week {
        let monday = self.monday.checked_sub_signed(TimeDelta::weeks(i64::from(weeks)));
        Week { monday: monday.unwrap_or(self.monday) }
    }

    pub fn next(self) -> Week {
        Week { monday: self.monday.checked_add_signed(TimeDelta::weeks(1)).unwrap_or(self.monday) }
    }

    /// Its first instant.
    pub fn from(self, zone: Zone) -> Timestamp {
        zone.resolve(self.monday.and_time(NaiveTime::MIN))
    }

    /// The first instant after it.
    pub fn until(self, zone: Zone) -> Timestamp {
        self.next().from(zone)
    }

    /// Monday and Sunday, such as "2026-11-09" and "2026-11-15".
    pub fn days(self) -> (String, String) {
        let sunday = self.monday.checked_add_signed(TimeDelta::days(6)).unwrap_or(self.monday);
        (self.monday.to_string(), sunday.to_string())
    }
}

impl fmt::Display for Week {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let week = self.monday.iso_week();
        write!(f, "{:04}-W{:02}", week.year(), week.week())
    }
}

impl FromStr for Week {
    type Err = WeekError;

    fn from_str(text: &str) -> Result<Week, WeekError> {
        let parse = || {
            let (year, week) = text.split_once("-W")?;
            let digits = |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(year, 4) || !digits(week, 2) {
                return None;
            }
            NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, Weekday::Mon)
        };
        parse().map(|monday| Week { monday }).ok_or_else(|| WeekError(text.to_owned()))
    }
}
