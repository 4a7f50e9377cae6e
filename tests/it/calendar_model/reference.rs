//! The reference clock. It answers by walking: minutes of UTC for local time and open hours, seconds only
//! where a pause or a start lies within a minute.

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use std::collections::BTreeMap;

pub const MINUTES_PER_DAY: i64 = 1_440;
/// Days of local time that the clock knows on either side of its window.
const MARGIN_DAYS: i64 = 4;
const WEEKDAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Germany's public holidays in all its states, as its laws have them.
const HOLIDAYS: [(i32, [(u32, u32); 9]); 4] = [
    (2011, [(1, 1), (4, 22), (4, 25), (5, 1), (6, 2), (6, 13), (10, 3), (12, 25), (12, 26)]),
    (2012, [(1, 1), (4, 6), (4, 9), (5, 1), (5, 17), (5, 28), (10, 3), (12, 25), (12, 26)]),
    (2026, [(1, 1), (4, 3), (4, 6), (5, 1), (5, 14), (5, 25), (10, 3), (12, 25), (12, 26)]),
    (2027, [(1, 1), (3, 26), (3, 29), (5, 1), (5, 6), (5, 17), (10, 3), (12, 25), (12, 26)]),
];

fn is_holiday(date: NaiveDate) -> bool {
    HOLIDAYS.iter().any(|(year, days)| *year == date.year() && days.contains(&(date.month(), date.day())))
}

/// Minutes since midnight; an end past 24:00 is on the next day.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start: i64,
    pub end: i64,
}

pub fn written(hours: &[Span]) -> String {
    let written = |span: &Span| {
        let end = if span.end > MINUTES_PER_DAY && span.end - MINUTES_PER_DAY != span.start && span.end % 2 == 0 {
            span.end - MINUTES_PER_DAY
        } else {
            span.end
        };
        format!("{:02}:{:02}-{:02}:{:02}", span.start / 60, span.start % 60, end / 60, end % 60)
    };
    hours.iter().map(written).collect::<Vec<_>>().join(",")
}

/// A calendar as the generator made it.
#[derive(Debug)]
pub struct Plan {
    pub week: [Vec<Span>; 7],
    /// The months, from and to, in which the week holds; outside them nothing does.
    pub months: Option<(u32, u32)>,
    /// Joined by ";", so that a day's own hours replace what the night before left; else by ",".
    pub days_replace: bool,
    pub holidays: bool,
    /// In place of all else on a holiday; `None` closes it.
    pub on_holidays: Option<Vec<Span>>,
    pub closed: Vec<NaiveDate>,
    pub open: BTreeMap<NaiveDate, Vec<Span>>,
}

impl Plan {
    pub fn opening_hours(&self) -> String {
        let months = self
            .months
            .map_or(String::new(), |(from, to)| format!("{}-{} ", MONTHS[from as usize - 1], MONTHS[to as usize - 1]));
        let days = WEEKDAYS.iter().zip(&self.week).filter(|(_, hours)| !hours.is_empty());
        let rules: Vec<String> = days.map(|(day, hours)| format!("{months}{day} {}", written(hours))).collect();
        let mut text = rules.join(if self.days_replace { "; " } else { ", " });
        if text.is_empty() {
            text.push_str("off");
        }
        if let Some(hours) = &self.on_holidays {
            text.push_str(&format!("; PH {}", written(hours)));
        }
        text
    }

    fn week_of(&self, date: NaiveDate) -> &[Span] {
        match self.months {
            Some((from, to)) if !(from..=to).contains(&date.month()) => &[],
            _ => &self.week[date.weekday().num_days_from_monday() as usize],
        }
    }

    /// Whether this minute of this date is open.
    fn is_open(&self, date: NaiveDate, minute: i64) -> bool {
        let today = |hours: &[Span]| hours.iter().any(|span| (span.start..span.end).contains(&minute));
        let tonight = |hours: &[Span]| hours.iter().any(|span| minute + MINUTES_PER_DAY < span.end);
        let yesterday = date.pred_opt().expect("a day before");
        if self.open.get(&yesterday).is_some_and(|own| tonight(own)) {
            return true;
        }
        if let Some(own) = self.open.get(&date) {
            return today(own);
        }
        if self.closed.contains(&date) {
            return false;
        }
        let (own, before) = (self.week_of(date), self.week_of(yesterday));
        let leaves_a_night = before.iter().any(|span| span.end > MINUTES_PER_DAY);
        let by_week = today(own) || (tonight(before) && (own.is_empty() || !self.days_replace));
        let holiday = |date| self.holidays && is_holiday(date);
        match &self.on_holidays {
            None => by_week && !holiday(date),
            Some(hours) if holiday(date) => today(hours) || (holiday(yesterday) && tonight(hours)),
            // A rule that doesn't match the date itself gives its night only to a date with nothing else.
            Some(hours) if holiday(yesterday) && own.is_empty() && !leaves_a_night => tonight(hours),
            Some(_) => by_week,
        }
    }
}

/// Local time of every minute of UTC around a window.
pub struct Clock {
    start: NaiveDateTime,
    /// Minutes since `start`'s midnight, local, of each UTC minute from `start` on.
    local: Vec<i64>,
    window: std::ops::Range<i64>,
}

fn local_time(zone: &str, utc: NaiveDateTime) -> NaiveDateTime {
    zone.parse::<Tz>().expect("a zone").from_utc_datetime(&utc).naive_local()
}

/// The days on which the zone's clocks change.
pub fn change_days(zone: &str, from: NaiveDateTime, until: NaiveDateTime) -> Vec<NaiveDateTime> {
    let days = (0..(until - from).num_days()).map(|day| from + TimeDelta::days(day));
    let offset = |utc: NaiveDateTime| local_time(zone, utc) - utc;
    days.filter(|day| offset(*day) != offset(*day + TimeDelta::days(1))).collect()
}

impl Clock {
    pub fn new(zone: &str, window_start: NaiveDateTime, days: i64) -> Clock {
        let start = (window_start - TimeDelta::days(MARGIN_DAYS)).date().and_time(Default::default());
        let minutes = (days + 2 * MARGIN_DAYS) * MINUTES_PER_DAY;
        let local = (0..minutes).map(|m| (local_time(zone, start + TimeDelta::minutes(m)) - start).num_minutes());
        let first = (window_start - start).num_minutes();
        Clock { start, local: local.collect(), window: first..first + days * MINUTES_PER_DAY }
    }

    pub fn horizon_secs(&self) -> (i64, i64) {
        (self.secs(self.window.start), self.secs(self.window.end))
    }

    fn secs(&self, minute: i64) -> i64 {
        self.start.and_utc().timestamp() + minute * 60
    }

    /// The local dates that the clock knows whole, a lost one among them.
    pub fn dates(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        let days = self.local.first().expect("minutes") / MINUTES_PER_DAY + 2
            ..self.local.last().expect("minutes") / MINUTES_PER_DAY;
        days.map(|day| self.start.date() + TimeDelta::days(day))
    }

    pub fn changes(&self) -> bool {
        self.local.windows(2).any(|pair| pair[1] != pair[0] + 1)
    }

    pub fn loses_a_date(&self) -> bool {
        self.dates().any(|date| !self.has(date))
    }

    fn day_of(&self, date: NaiveDate) -> i64 {
        (date - self.start.date()).num_days()
    }

    fn has(&self, date: NaiveDate) -> bool {
        self.local.contains(&(self.day_of(date) * MINUTES_PER_DAY))
            || self.local.contains(&(self.day_of(date) * MINUTES_PER_DAY + MINUTES_PER_DAY - 1))
    }

    /// The first minute of UTC at which the clock reads this; later by the gap where it never does.
    fn first(&self, local: i64) -> i64 {
        if let Some(minute) = self.local.iter().position(|reading| *reading == local) {
            return minute as i64;
        }
        let jump = self.local.windows(2).find(|pair| pair[0] < local && local < pair[1]).expect("a gap");
        self.first(local + (jump[1] - jump[0] - 1))
    }

    /// The minute of UTC after the last one at which hours that end at this reading are open.
    fn end(&self, local: i64) -> i64 {
        match self.local.iter().rposition(|reading| *reading == local - 1) {
            Some(minute) => minute as i64 + 1,
            None => self.first(local),
        }
    }
}

/// A plan on a clock: for each minute of the window, open or not.
pub struct Reference<'c> {
    clock: &'c Clock,
    open: Vec<bool>,
}

impl Reference<'_> {
    pub fn always(clock: &Clock) -> Reference<'_> {
        Reference { clock, open: vec![true; clock.local.len()] }
    }

    pub fn new<'c>(clock: &'c Clock, plan: &Plan) -> Reference<'c> {
        let mut open = vec![false; clock.local.len()];
        let mut began = None;
        for date in clock.dates() {
            let exists = clock.has(date);
            for minute in 0..MINUTES_PER_DAY {
                let local = clock.day_of(date) * MINUTES_PER_DAY + minute;
                match (began, exists && plan.is_open(date, minute)) {
                    (None, true) => began = Some(local),
                    (Some(start), false) => {
                        let (from, until) = (clock.first(start), clock.end(local));
                        (from..until).for_each(|minute| open[minute as usize] = true);
                        began = None;
                    }
                    _ => {}
                }
            }
        }
        if let Some(start) = began {
            open[clock.first(start) as usize..].fill(true);
        }
        Reference { clock, open }
    }

    pub fn open_minutes(&self) -> i64 {
        self.clock.window.clone().filter(|minute| self.open[*minute as usize]).count() as i64
    }

    fn is_open(&self, secs: i64) -> bool {
        let minute = (secs - self.clock.secs(0)).div_euclid(60);
        self.clock.window.contains(&minute) && self.open[minute as usize]
    }

    pub fn closes_at(&self, secs: i64) -> bool {
        self.is_open(secs - 1) && !self.is_open(secs)
    }

    /// A minute, or a second where a pause begins or ends within the minute.
    fn step(secs: i64, pauses: &[(i64, i64)]) -> i64 {
        let within = |edge: i64| secs < edge && edge < secs + 60;
        let split = secs % 60 != 0 || pauses.iter().any(|(from, until)| within(*from) || within(*until));
        if split { 1 } else { 60 }
    }

    fn counts(&self, secs: i64, pauses: &[(i64, i64)]) -> bool {
        self.is_open(secs) && !pauses.iter().any(|(from, until)| (*from..*until).contains(&secs))
    }

    pub fn due(&self, from: i64, within: i64, pauses: &[(i64, i64)]) -> Option<i64> {
        if within == 0 {
            return Some(from);
        }
        let (mut now, mut used) = (from, 0);
        while now < self.clock.horizon_secs().1 {
            let step = Self::step(now, pauses);
            if self.counts(now, pauses) {
                if used + step >= within {
                    return Some(now + within - used);
                }
                used += step;
            }
            now += step;
        }
        None
    }

    pub fn elapsed(&self, from: i64, until: i64, pauses: &[(i64, i64)]) -> i64 {
        let (mut now, mut used) = (from, 0);
        while now < until {
            let step = Self::step(now, pauses).min(until - now);
            if self.counts(now, pauses) {
                used += step;
            }
            now += step;
        }
        used
    }
}
