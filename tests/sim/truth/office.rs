//! Office hours in Berlin, twice: as the product compiles them, and worked out by hand from the two instants
//! of 2024 at which the clocks there were changed.

use std::sync::{Arc, LazyLock};
use tocsin::compile::calendar::{CalendarSpec, compile};
use tocsin::core::calendar::Calendar;
use tocsin::core::time::{Span, Timestamp};

/// 2024-03-31 01:00 and 2024-10-27 01:00 UTC: between them Berlin is two hours ahead of UTC, else one.
pub const CHANGES: [Timestamp; 2] = [Timestamp::from_secs(1_711_846_800), Timestamp::from_secs(1_729_990_800)];

const DAY: Span = Span::from_hours(24);

static COMPILED: LazyLock<Arc<Calendar>> = LazyLock::new(|| {
    let spec = CalendarSpec::read("Europe/Berlin", "Mo-Fr 09:00-17:00", None, [], []).unwrap();
    let (from, until) = (CHANGES[0].minus(Span::from_hours(24 * 60)), CHANGES[1].plus(Span::from_hours(24 * 200)));
    Arc::new(compile(&spec, from, until).unwrap())
});

pub fn compiled() -> Arc<Calendar> {
    COMPILED.clone()
}

/// The stretches from an instant on in which the office is closed, for so many days.
pub fn closed(from: Timestamp, days: i64) -> Vec<(Timestamp, Timestamp)> {
    let midnight = from.secs() - from.secs().rem_euclid(86_400);
    let mut closed_since = from.minus(DAY);
    let mut closed = Vec::new();
    for day in -1..days {
        let date = Timestamp::from_secs(midnight + day * 86_400);
        // 1970-01-01 was a Thursday: Monday is 0.
        let weekday = (date.secs() / 86_400 + 3).rem_euclid(7);
        if weekday < 5 {
            let ahead = if date >= CHANGES[0] && date < CHANGES[1] { 2 } else { 1 };
            closed.push((closed_since, date.plus(Span::from_hours(9 - ahead))));
            closed_since = date.plus(Span::from_hours(17 - ahead));
        }
    }
    closed.push((closed_since, closed_since.plus(DAY)));
    closed
}
