//! Opening hours in OpenStreetMap's syntax, with a country's holidays: read, refused where they would make
//! a promise uncertain, and asked one date at a time.

use super::LocalMinute;
use super::error::{CalendarSpecError, Field};
use super::spans::{self, Place};
use chrono::NaiveDate;
use opening_hours::localization::Country;
use opening_hours::{Context, ContextHolidays, OpeningHours, RuleKind};
use opening_hours_syntax::rules::RuleSequence;
use opening_hours_syntax::rules::day::{HolidayKind, WeekDayRange};
use opening_hours_syntax::rules::time::{Time, TimeSpan};

pub(super) struct Hours {
    osm: OpeningHours,
    holidays: ContextHolidays,
    /// Public holidays are closed as such: the hours don't speak of them.
    holidays_close: bool,
}

impl Hours {
    pub(super) fn read(text: &str, country: Option<&str>) -> Result<Hours, CalendarSpecError> {
        let osm: OpeningHours = text.parse().map_err(|error| unreadable(text, &error))?;
        let expression = osm.get_expression();
        for rule in &expression.rules {
            check(rule)?;
        }
        let speaks_of = |kind| expression.rules.iter().any(|rule| speaks_of(rule, kind));
        let (public, school) = (speaks_of(HolidayKind::Public), speaks_of(HolidayKind::School));
        let holidays = match country {
            Some(country) => holidays_of(country, school)?,
            None if public => return Err(CalendarSpecError::CountryNeeded { selector: "public holidays (PH)" }),
            None if school => return Err(CalendarSpecError::CountryNeeded { selector: "school holidays (SH)" }),
            None => ContextHolidays::default(),
        };
        let osm = osm.with_context(Context::default().with_holidays(holidays.clone()));
        Ok(Hours { osm, holidays, holidays_close: !public })
    }

    pub(super) fn is_closing_holiday(&self, date: NaiveDate) -> bool {
        self.holidays_close && self.holidays.get_public().contains(date)
    }

    /// Each open stretch of one date, in minutes since its midnight, what remains of the night before
    /// included. The library's own iterator over ranges isn't used: it searches for the next change as
    /// far as the year 9999.
    pub(super) fn on(&self, date: NaiveDate, mut open: impl FnMut(LocalMinute, LocalMinute)) {
        for stretch in self.osm.schedule_at(date) {
            if stretch.kind == RuleKind::Open {
                open(stretch.range.start.mins_from_midnight().into(), stretch.range.end.mins_from_midnight().into());
            }
        }
    }
}

fn holidays_of(country: &str, school: bool) -> Result<ContextHolidays, CalendarSpecError> {
    let Ok(known) = country.parse::<Country>() else {
        let wanted = country.trim();
        let near = Country::ALL
            .iter()
            .find(|known| known.iso_code().eq_ignore_ascii_case(wanted) || known.name().eq_ignore_ascii_case(wanted));
        let near = near.map(|near| near.iso_code());
        return Err(CalendarSpecError::UnknownCountry { country: country.to_owned(), near });
    };
    let holidays = known.holidays();
    let missing = |kind| Err(CalendarSpecError::NoHolidays { country: country.to_owned(), kind });
    if holidays.get_public().count() == 0 {
        return missing("public");
    }
    if school && holidays.get_school().count() == 0 {
        return missing("school");
    }
    Ok(holidays)
}

fn speaks_of(rule: &RuleSequence, wanted: HolidayKind) -> bool {
    let mut days = rule.day_selector.weekday.iter();
    days.any(|day| matches!(day, WeekDayRange::Holiday { kind, .. } if *kind == wanted))
}

/// Refuses what reads well on a shop's door but can't date a promise.
fn check(rule: &RuleSequence) -> Result<(), CalendarSpecError> {
    let uncertain = |what: String| Err(CalendarSpecError::HoursUncertain { what });
    if rule.kind == RuleKind::Unknown {
        return uncertain("\"unknown\"".to_owned());
    }
    if rule.kind == RuleKind::Open && !rule.comment.is_empty() {
        return uncertain(format!("the comment \"{}\"", rule.comment));
    }
    let mut fixed = Vec::with_capacity(rule.time_selector.spans.len());
    for span in &rule.time_selector.spans {
        match span {
            TimeSpan { open_end: true, .. } => return uncertain(format!("\"{span}\" with its open end")),
            TimeSpan { repeats: Some(_), .. } => return uncertain(format!("\"{span}\" with its repetition")),
            TimeSpan { range, .. } => match (range.start, range.end) {
                (Time::Fixed(start), Time::Fixed(end)) => {
                    fixed.push((start.mins_from_midnight().into(), end.mins_from_midnight().into()));
                }
                _ => return uncertain(format!("\"{span}\" by the sun")),
            },
        }
    }
    spans::checked(Place { field: Field::Hours, date: None }, fixed).map(|_| ())
}

/// The parser's reason in words, and the text from where it gave up.
fn unreadable(text: &str, error: &opening_hours_syntax::Error) -> CalendarSpecError {
    let (rest, reason) = match error {
        opening_hours_syntax::Error::Syntax(error) => {
            // Its first line ends in ":<column>", counted in characters from 1.
            let shown = error.to_string();
            let first_line = shown.lines().next().unwrap_or_default();
            let column = first_line.rsplit(':').next().and_then(|column| column.parse::<usize>().ok());
            let rest = text.chars().skip(column.unwrap_or(1).saturating_sub(1)).collect();
            (rest, error.variant.message().replace('_', " "))
        }
        error => (String::new(), error.to_string()),
    };
    CalendarSpecError::HoursUnreadable { hours: text.to_owned(), rest, reason }
}
