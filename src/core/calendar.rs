//! A calendar compiled to a table of open intervals in UTC, with prefix sums of open time, so that a
//! deadline is two lookups. It knows nothing of zones, holidays or opening-hours syntax: an
//! adapter resolves those once and this table is the result.

mod lookup;

use super::time::{Span, Timestamp};
use lookup::Lookup;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One stretch of time, `from` included and `until` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Interval {
    /// The part that lies in [from, until), if there is any.
    fn clipped(self, from: Timestamp, until: Timestamp) -> Option<Interval> {
        let clipped = Interval { from: self.from.max(from), until: self.until.min(until) };
        (clipped.from < clipped.until).then_some(clipped)
    }
}

/// Open time, known within a horizon and unknown outside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Calendar {
    horizon: Interval,
    /// Sorted, not empty, with a gap between each and the next.
    intervals: Vec<Interval>,
    /// Open microseconds before each interval, and behind the last the sum of all.
    #[serde(skip_serializing)]
    open_before: Vec<i64>,
    /// Among the instants at which intervals begin.
    #[serde(skip_serializing)]
    by_begin: Lookup,
    /// Among the open microseconds that have passed as intervals end.
    #[serde(skip_serializing)]
    by_elapsed: Lookup,
}

/// Why a table is no calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarError {
    /// The interval at this index is empty, or begins before the one before it ends. A bug in whoever
    /// made the table, never a fault of the configuration.
    Malformed { index: usize },
    /// Nothing is open within the horizon.
    NeverOpens,
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CalendarError::Malformed { index } => {
                write!(
                    f,
                    "interval {index} of the compiled calendar is empty or out of order: this is a bug, report it"
                )
            }
            CalendarError::NeverOpens => {
                f.write_str("the calendar never opens, so nothing on it would ever be due; give it open hours")
            }
        }
    }
}

impl std::error::Error for CalendarError {}

impl Calendar {
    /// Takes sorted, disjoint intervals; merges those that touch and clips all to the horizon.
    pub fn new(intervals: Vec<Interval>, horizon: Interval) -> Result<Calendar, CalendarError> {
        let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
        let mut last_until = None;
        for (index, interval) in intervals.into_iter().enumerate() {
            if interval.until <= interval.from || last_until.is_some_and(|until| interval.from < until) {
                return Err(CalendarError::Malformed { index });
            }
            last_until = Some(interval.until);
            let Some(open) = interval.clipped(horizon.from, horizon.until) else { continue };
            match merged.last_mut() {
                Some(last) if last.until == open.from => last.until = open.until,
                _ => merged.push(open),
            }
        }
        if merged.is_empty() {
            return Err(CalendarError::NeverOpens);
        }
        let mut open_before = Vec::with_capacity(merged.len() + 1);
        let mut sum = 0i64;
        open_before.push(sum);
        for open in &merged {
            sum = sum.saturating_add(open.until.since(open.from).micros());
            open_before.push(sum);
        }
        let begins: Vec<i64> = merged.iter().map(|open| open.from.micros()).collect();
        let (by_begin, by_elapsed) = (Lookup::new(&begins), Lookup::new(&open_before[1..]));
        Ok(Calendar { horizon, intervals: merged, open_before, by_begin, by_elapsed })
    }

    /// Where this calendar is known. Recompile before `until` comes near.
    pub fn horizon(&self) -> Interval {
        self.horizon
    }

    /// Open time in [from, until), as far as it lies within the horizon.
    pub fn open_between(&self, from: Timestamp, until: Timestamp) -> Span {
        if until <= from {
            return Span::ZERO;
        }
        Span::from_micros(self.open_until(until) - self.open_until(from))
    }

    /// The earliest instant at which `within` of open time has elapsed since `from`: time used up
    /// exactly at closing is due at closing, and no time at all is due at once, open or closed.
    /// `None` where the horizon doesn't hold the answer.
    pub fn due(&self, from: Timestamp, within: Span) -> Option<Timestamp> {
        if within <= Span::ZERO {
            return Some(from);
        }
        if from < self.horizon.from {
            return None;
        }
        let target = self.open_until(from).checked_add(within.micros())?;
        let elapsed_by_end = &self.open_before[1..];
        let range = self.by_elapsed.around(target);
        let index = range.start + elapsed_by_end[range].partition_point(|elapsed| *elapsed < target);
        let reaches = self.intervals.get(index)?;
        Some(reaches.from.plus(Span::from_micros(target - self.open_before[index])))
    }

    /// The open intervals, clipped to [from, until).
    pub fn walk(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Interval> + '_ {
        let first = self.intervals.partition_point(|open| open.until <= from);
        self.intervals[first..].iter().map_while(move |open| open.clipped(from, until))
    }

    /// Open microseconds before `at`.
    fn open_until(&self, at: Timestamp) -> i64 {
        let range = self.by_begin.around(at.micros());
        let begun = range.start + self.intervals[range].partition_point(|open| open.from <= at);
        let Some(last) = begun.checked_sub(1) else { return 0 };
        let open = self.intervals[last];
        self.open_before[last] + at.min(open.until).since(open.from).micros()
    }
}

/// The earliest instant at which `within` has elapsed since `from`, on the calendar or, without one, on
/// wall time, pauses not counted. `pauses` are sorted by `from`; they may touch or overlap. What is used
/// up at the instant a pause begins is due at that instant. `None` past the calendar's horizon.
pub fn due_with_pauses(
    calendar: Option<&Calendar>,
    from: Timestamp,
    within: Span,
    pauses: &[Interval],
) -> Option<Timestamp> {
    let due = |from: Timestamp, within| match calendar {
        Some(calendar) => calendar.due(from, within),
        None => Some(from.plus(within)),
    };
    if within <= Span::ZERO {
        return Some(from);
    }
    if calendar.is_some_and(|calendar| from < calendar.horizon.from) {
        return None;
    }
    let (mut cursor, mut left) = (from, within);
    for pause in pauses.iter().filter(|pause| pause.from < pause.until) {
        if pause.until <= cursor {
            continue;
        }
        let counted = counted_between(calendar, cursor, pause.from);
        if counted >= left {
            break;
        }
        left = left.minus(counted);
        cursor = pause.until;
    }
    due(cursor, left)
}

/// The time that counted in [from, until): open, or on wall time any, and not paused. `pauses` as in
/// [`due_with_pauses`], whose inverse this is.
pub fn elapsed_with_pauses(
    calendar: Option<&Calendar>,
    from: Timestamp,
    until: Timestamp,
    pauses: &[Interval],
) -> Span {
    let (mut cursor, mut sum) = (from, Span::ZERO);
    for pause in pauses.iter().filter(|pause| pause.from < pause.until) {
        if pause.until <= cursor {
            continue;
        }
        if pause.from >= until {
            break;
        }
        sum = sum.plus(counted_between(calendar, cursor, pause.from));
        cursor = pause.until;
    }
    sum.plus(counted_between(calendar, cursor, until))
}

fn counted_between(calendar: Option<&Calendar>, from: Timestamp, until: Timestamp) -> Span {
    match calendar {
        Some(calendar) => calendar.open_between(from, until),
        None => until.since(from).max(Span::ZERO),
    }
}

/// Whether a stretch of a target's time counted, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stretch {
    Counted,
    Closed,
    Paused,
}

/// [from, until) cut into stretches without gap or overlap, neighbours differing. A pause hides what the
/// calendar says. The counted ones sum to [`elapsed_with_pauses`].
pub fn stretches(
    calendar: Option<&Calendar>,
    from: Timestamp,
    until: Timestamp,
    pauses: &[Interval],
) -> Vec<(Interval, Stretch)> {
    let mut found: Vec<(Interval, Stretch)> = Vec::new();
    let mut push = |from: Timestamp, until: Timestamp, stretch| {
        if from >= until {
            return;
        }
        match found.last_mut() {
            Some((last, kind)) if *kind == stretch => last.until = until,
            _ => found.push((Interval { from, until }, stretch)),
        }
    };
    let mut cursor = from;
    let end = Interval { from: until, until };
    for pause in pauses.iter().filter(|pause| pause.from < pause.until).chain([&end]) {
        let next = pause.from.min(until);
        match calendar {
            Some(calendar) => {
                for open in calendar.walk(cursor, next) {
                    push(cursor, open.from, Stretch::Closed);
                    push(open.from, open.until, Stretch::Counted);
                    cursor = open.until;
                }
                push(cursor, next, Stretch::Closed);
            }
            None => push(cursor, next, Stretch::Counted),
        }
        cursor = cursor.max(next);
        push(cursor, pause.until.min(until), Stretch::Paused);
        cursor = cursor.max(pause.until);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn secs(secs: i64) -> Span {
        Span::from_secs(secs)
    }

    fn between(from: i64, until: i64) -> Interval {
        Interval { from: at(from), until: at(until) }
    }

    /// Open 100-200 and 300-400, known from 0 to 1000.
    fn two_shifts() -> Calendar {
        Calendar::new(vec![between(100, 200), between(300, 400)], between(0, 1000)).expect("well formed")
    }

    #[test]
    fn time_used_up_exactly_at_closing_is_due_at_closing() {
        assert_eq!(two_shifts().due(at(100), secs(100)), Some(at(200)));
        assert_eq!(two_shifts().due(at(0), secs(100)), Some(at(200)));
        assert_eq!(two_shifts().due(at(150), secs(51)), Some(at(301)));
        assert_eq!(two_shifts().due(at(100), secs(200)), Some(at(400)));
    }

    #[test]
    fn a_report_that_comes_at_closing_waits_for_the_next_opening() {
        assert_eq!(two_shifts().due(at(200), secs(1)), Some(at(301)));
        assert_eq!(two_shifts().due(at(250), secs(1)), Some(at(301)));
    }

    #[test]
    fn no_time_at_all_is_due_at_once_even_when_closed_or_paused() {
        assert_eq!(two_shifts().due(at(250), Span::ZERO), Some(at(250)));
        assert_eq!(due_with_pauses(None, at(250), Span::ZERO, &[between(0, 900)]), Some(at(250)));
        assert_eq!(two_shifts().due(at(5000), Span::ZERO), Some(at(5000)));
    }

    #[test]
    fn what_lies_outside_the_horizon_is_unknown_and_not_guessed() {
        assert_eq!(two_shifts().due(at(100), secs(201)), None);
        assert_eq!(two_shifts().due(at(-1), secs(1)), None);
        assert_eq!(due_with_pauses(Some(&two_shifts()), at(-1), secs(1), &[between(150, 160)]), None);
        assert_eq!(two_shifts().due(at(2000), secs(1)), None);
        assert_eq!(two_shifts().due(at(100), Span::from_micros(i64::MAX)), None);
    }

    #[test]
    fn open_time_is_clipped_at_both_ends() {
        let open = |from, until| two_shifts().open_between(at(from), at(until)).secs();
        assert_eq!(open(0, 1000), 200);
        assert_eq!(open(150, 350), 100);
        assert_eq!(open(200, 300), 0);
        assert_eq!(open(110, 120), 10);
        assert_eq!(open(350, 150), 0);
    }

    #[test]
    fn the_walk_shows_each_open_interval_clipped() {
        let walk = |from, until| two_shifts().walk(at(from), at(until)).collect::<Vec<_>>();
        assert_eq!(walk(150, 350), [between(150, 200), between(300, 350)]);
        assert_eq!(walk(200, 300), []);
        assert_eq!(walk(350, 350), []);
        assert_eq!(walk(900, 2000), []);
    }

    #[test]
    fn a_table_that_is_out_of_order_overlapping_or_never_open_is_refused() {
        let new = |intervals: &[Interval]| Calendar::new(intervals.to_vec(), between(0, 1000)).map(|_| ());
        assert_eq!(new(&[]), Err(CalendarError::NeverOpens));
        assert_eq!(new(&[between(2000, 3000)]), Err(CalendarError::NeverOpens));
        assert_eq!(new(&[between(10, 20), between(15, 30)]), Err(CalendarError::Malformed { index: 1 }));
        assert_eq!(new(&[between(10, 20), between(0, 5)]), Err(CalendarError::Malformed { index: 1 }));
        assert_eq!(new(&[between(10, 10)]), Err(CalendarError::Malformed { index: 0 }));
    }

    #[test]
    fn intervals_that_touch_become_one_and_all_are_clipped_to_the_horizon() {
        let calendar = Calendar::new(vec![between(-50, 10), between(10, 20), between(900, 1100)], between(0, 1000));
        let calendar = calendar.expect("well formed");
        assert_eq!(calendar.walk(at(-100), at(2000)).collect::<Vec<_>>(), [between(0, 20), between(900, 1000)]);
        assert_eq!(calendar.due(at(0), secs(120)), Some(at(1000)));
    }

    #[test]
    fn a_pause_adds_only_the_open_time_it_covers() {
        let (calendar, pauses) = (two_shifts(), [between(150, 310), between(305, 320), between(330, 330)]);
        assert_eq!(due_with_pauses(Some(&calendar), at(100), secs(50), &pauses), Some(at(150)));
        assert_eq!(due_with_pauses(Some(&calendar), at(100), secs(51), &pauses), Some(at(321)));
        assert_eq!(due_with_pauses(None, at(100), secs(51), &pauses), Some(at(321)));
        assert_eq!(elapsed_with_pauses(Some(&calendar), at(100), at(321), &pauses), secs(51));
        assert_eq!(elapsed_with_pauses(Some(&calendar), at(100), at(160), &pauses), secs(50));
        assert_eq!(elapsed_with_pauses(None, at(100), at(160), &pauses), secs(50));
        assert_eq!(elapsed_with_pauses(None, at(160), at(100), &[]), Span::ZERO);
    }

    #[test]
    fn every_stretch_says_whether_it_counted_and_why_not() {
        let shown = stretches(Some(&two_shifts()), at(50), at(350), &[between(150, 310), between(305, 320)]);
        assert_eq!(
            shown,
            [
                (between(50, 100), Stretch::Closed),
                (between(100, 150), Stretch::Counted),
                (between(150, 320), Stretch::Paused),
                (between(320, 350), Stretch::Counted),
            ]
        );
        assert_eq!(stretches(None, at(5), at(9), &[]), [(between(5, 9), Stretch::Counted)]);
        assert_eq!(stretches(None, at(9), at(5), &[between(0, 99)]), []);
    }
}
