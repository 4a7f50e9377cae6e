//! Why a calendar was refused. Each says the field, what stood there and what would be right, for a reader
//! who is writing a promise.

use crate::core::calendar::CalendarError;
use crate::zone::ZoneError;
use chrono::NaiveDate;

/// The field of a calendar in the configuration, by which a caller finds the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Timezone,
    Hours,
    Holidays,
    Closed,
    Open,
}

impl Field {
    /// The key in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Field::Timezone => "timezone",
            Field::Hours => "hours",
            Field::Holidays => "holidays",
            Field::Closed => "closed",
            Field::Open => "open",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarSpecError {
    #[error("timezone: {0}")]
    Timezone(#[from] ZoneError),
    #[error(
        "hours: \"{hours}\" can't be read{}; {reason}; write OpenStreetMap opening hours such as \"Mo-Fr 09:00-17:00\"",
        from_where(rest)
    )]
    HoursUnreadable { hours: String, rest: String, reason: String },
    #[error("hours: {what} leaves open when a promise is due; write fixed times such as \"Mo-Fr 09:00-17:00\"")]
    HoursUncertain { what: String },
    #[error("{field}: \"{span}\" begins and ends at the same time; write \"00:00-24:00\" for a whole day")]
    SpanEmpty { field: Field, date: Option<NaiveDate>, span: String },
    #[error(
        "{field}: \"{span}\" is longer than a day; write \"22:00-06:00\" for a night, \"00:00-24:00\" for a whole day"
    )]
    SpanTooLong { field: Field, date: Option<NaiveDate>, span: String },
    #[error("{field}: \"{first}\" and \"{second}\" overlap; join them, or end the first before the second begins")]
    SpansOverlap { field: Field, date: Option<NaiveDate>, first: String, second: String },
    #[error("holidays: unknown country \"{country}\"; {}", meant(near))]
    UnknownCountry { country: String, near: Option<&'static str> },
    #[error("holidays: the hours speak of {selector}, but no country is named; add holidays = \"DE\", say")]
    CountryNeeded { selector: &'static str },
    #[error("holidays: none of the {kind} holidays of {country} are known; list the dates under closed instead")]
    NoHolidays { country: String, kind: &'static str },
    #[error("{field}: there is no date \"{date}\"; write one that exists as year-month-day, such as \"2026-12-24\"")]
    NoSuchDate { field: Field, date: String },
    #[error("open: {date} is listed under closed too; remove one of the two")]
    ClosedAndOpen { date: NaiveDate },
    #[error(
        "open: \"{text}\" on {date} isn't a list of times; write \"10:00-14:00\" or \"08:00-12:00, 22:00-02:00\", \
         and list a date without hours under closed"
    )]
    OpenUnreadable { date: NaiveDate, text: String },
    #[error(
        "hours: the calendar \"{hours}\" never opens between {from} and {until}, so nothing on it would ever be due; \
         write hours that recur, such as \"Mo-Fr 09:00-17:00\""
    )]
    NeverOpens { hours: String, from: NaiveDate, until: NaiveDate },
    #[error(transparent)]
    Table(CalendarError),
}

impl CalendarSpecError {
    /// The field at fault.
    pub fn field(&self) -> Field {
        use CalendarSpecError as E;
        match self {
            E::Timezone(_) => Field::Timezone,
            E::HoursUnreadable { .. } | E::HoursUncertain { .. } | E::NeverOpens { .. } | E::Table(_) => Field::Hours,
            E::UnknownCountry { .. } | E::CountryNeeded { .. } | E::NoHolidays { .. } => Field::Holidays,
            E::ClosedAndOpen { .. } | E::OpenUnreadable { .. } => Field::Open,
            E::SpanEmpty { field, .. }
            | E::SpanTooLong { field, .. }
            | E::SpansOverlap { field, .. }
            | E::NoSuchDate { field, .. } => *field,
        }
    }

    /// Under `closed` and `open`, the date at fault as it was written there.
    pub fn date(&self) -> Option<String> {
        use CalendarSpecError as E;
        match self {
            E::NoSuchDate { date, .. } => Some(date.clone()),
            E::ClosedAndOpen { date } | E::OpenUnreadable { date, .. } => Some(date.to_string()),
            E::SpanEmpty { date, .. } | E::SpanTooLong { date, .. } | E::SpansOverlap { date, .. } => {
                date.map(|date| date.to_string())
            }
            _ => None,
        }
    }
}

fn from_where(rest: &str) -> String {
    if rest.is_empty() { String::new() } else { format!(" from \"{rest}\" on") }
}

fn meant(near: &Option<&'static str>) -> String {
    match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "write an ISO 3166 code of two letters, such as \"DE\" or \"US\"".to_owned(),
    }
}
