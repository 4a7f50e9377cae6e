//! The week so far as small plots: breaches and closed cases of each day, a row a priority, out of the store alone. The
//! report that is sent when the week is over counts more, and more exactly.

use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::store::{Days, OfDay};
use crate::weekly::svg;
use crate::weekly::week;
use crate::zone::Zone;

const DAYS: usize = 7;

/// The week that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Week {
    pub week: week::Week,
    pub from: Timestamp,
    /// The day that it is, from 0.
    pub today: usize,
}

/// The plots as SVG, and the words beside them.
pub struct Plots {
    pub week: String,
    pub last_week: String,
    pub breaches: String,
    pub ended: String,
    pub words: String,
}

impl Week {
    pub fn of(now: Timestamp, zone: Zone) -> Week {
        let week = week::Week::of(now, zone);
        let from = week.from(zone);
        let day = now.since(from).micros() / Span::from_hours(24).micros();
        Week { week, from, today: usize::try_from(day).unwrap_or(0).min(DAYS - 1) }
    }

    pub fn plots(&self, days: &Days) -> Plots {
        let (breaches, ended) = (by_priority(&days.breaches), by_priority(&days.ended));
        let p0: u64 = sum(&breaches, |priority| priority == Priority::P0);
        let others: u64 = sum(&breaches, |priority| priority != Priority::P0);
        let closed: u64 = sum(&ended, |_| true);
        let grouped = super::counted;
        Plots {
            week: self.week.to_string(),
            last_week: self.week.back(1).to_string(),
            words: format!(
                "Since Monday: {} of minor safety missed, {} of the rest, {} cases closed.",
                grouped(p0),
                grouped(others),
                grouped(closed)
            ),
            breaches: svg::days("week-breaches", "Deadlines missed, by day", &labelled(&breaches), self.today, true),
            ended: svg::days("week-ended", "Cases closed, by day", &labelled(&ended), self.today, false),
        }
    }
}

type ByPriority = Vec<(Priority, [u64; DAYS])>;

fn by_priority(counts: &[OfDay]) -> ByPriority {
    let of = |priority| {
        let mut days = [0; DAYS];
        for count in counts.iter().filter(|count| count.priority == priority) {
            if let Some(day) = days.get_mut(count.day) {
                *day += count.count;
            }
        }
        (priority, days)
    };
    Priority::ALL.into_iter().map(of).filter(|(_, days)| days.iter().any(|count| *count > 0)).collect()
}

fn labelled(rows: &ByPriority) -> Vec<(String, [u64; DAYS])> {
    rows.iter().map(|(priority, days)| (priority.to_string(), *days)).collect()
}

fn sum(rows: &ByPriority, of: impl Fn(Priority) -> bool) -> u64 {
    rows.iter().filter(|(priority, _)| of(*priority)).flat_map(|(_, days)| days).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_once_and_a_priority_without_any_has_no_row() {
        let count = |priority, day, count| OfDay { priority, day, count };
        let breaches = vec![count(Priority::P0, 1, 2), count(Priority::P1, 1, 1), count(Priority::P0, 99, 7)];
        let rows = by_priority(&breaches);
        assert_eq!(rows, [(Priority::P0, [0, 2, 0, 0, 0, 0, 0]), (Priority::P1, [0, 1, 0, 0, 0, 0, 0])]);
        // 2026-11-25 is a Wednesday.
        let week = Week::of(Timestamp::from_secs(1_795_600_000), Zone::UTC);
        assert_eq!((week.week.to_string().as_str(), week.today), ("2026-W48", 2));
        let plots = week.plots(&Days { breaches, ended: Vec::new() });
        assert_eq!(plots.words, "Since Monday: 2 of minor safety missed, 1 of the rest, 0 cases closed.");
        assert!(plots.breaches.contains("Tuesday 2") && plots.ended.is_empty());
    }
}
