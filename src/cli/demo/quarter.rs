//! A quarter that never was: thirteen weeks of synthetic cases, counted as the real ones are, for the demo's weekly
//! report. The same seed makes the same report.

use crate::core::case::Conclusion;
use crate::core::outcome::{Basis, BreachFact, Life};
use crate::core::plan::{BreachStatus, TargetOutcome};
use crate::core::policy::{Priority, Standing};
use crate::core::time::{Span, Timestamp};
use crate::weekly::count::{Bounds, Counting, WEEKS};
use crate::weekly::figures::{Figures, SCHEMA_NAME, Sight, SourceSight};
use crate::weekly::html;
use crate::weekly::week::Week;
use crate::zone::{Zone, rfc3339};
use fastrand::Rng;

const QUARTER_WEEKS: i64 = 13;
const WEEK_SECS: i64 = 7 * 86_400;

/// Category, priority, how many a week, how long it may take, how long it usually takes, and how often it is late.
const KINDS: [(&str, Priority, u32, i64, i64, u32); 6] = [
    ("csam", Priority::P0, 46, 3_600, 1_400, 3),
    ("grooming", Priority::P0, 31, 3_600, 1_700, 6),
    ("self_harm", Priority::P1, 120, 4 * 3_600, 5_000, 4),
    ("ncii", Priority::P2, 85, 8 * 3_600, 9_000, 7),
    ("harassment", Priority::P3, 410, 24 * 3_600, 30_000, 9),
    ("spam", Priority::P4, 1_900, 40 * 3_600, 60_000, 12),
];

/// The report of the last week that was over, out of the quarter before it, as one page.
pub fn report(seed: u64, now: Timestamp) -> String {
    let week = Week::over_at(now, Zone::UTC);
    let mut edges = [week.until(Zone::UTC); WEEKS + 1];
    for (edge, back) in edges[1..].iter_mut().zip(0..) {
        *edge = week.back(back).from(Zone::UTC);
    }
    let bounds = Bounds { edges, as_of: edges[0] };
    let mut counting = Counting::new(bounds);
    let mut rng = Rng::with_seed(seed);
    let begin = bounds.until().minus(Span::from_secs(QUARTER_WEEKS * WEEK_SECS));
    for (category, priority, weekly, within, usual, late_percent) in KINDS {
        for _ in 0..i64::from(weekly) * QUARTER_WEEKS {
            let received = begin.plus(Span::from_secs(rng.i64(0..QUARTER_WEEKS * WEEK_SECS)));
            let is_late = rng.u32(0..100) < late_percent;
            let took = if is_late { rng.i64(within..within * 3) } else { rng.i64(usual / 4..usual.min(within)) };
            let closed = received.plus(Span::from_secs(took));
            let kind = Kind { category, priority, deadline: received.plus(Span::from_secs(within)) };
            let (life, breach) = kind.case(received, closed, bounds.as_of, &mut rng);
            counting.add(&life);
            breach.iter().for_each(|breach| counting.add_breach(breach));
        }
    }
    html::page(&figures(&counting, &bounds, week))
}

struct Kind {
    category: &'static str,
    priority: Priority,
    deadline: Timestamp,
}

impl Kind {
    fn case(
        &self,
        received: Timestamp,
        closed: Timestamp,
        as_of: Timestamp,
        rng: &mut Rng,
    ) -> (Life, Option<BreachFact>) {
        let ended = (closed < as_of).then(|| {
            let violation = rng.u32(0..10) < 7;
            (closed, if violation { Conclusion::Violation } else { Conclusion::NoViolation })
        });
        let breached = closed > self.deadline && self.deadline < as_of;
        let met_at = ended.map(|(at, _)| at);
        let life = Life {
            source: "reports".into(),
            category: self.category.into(),
            priority: self.priority,
            standing: Standing::Known,
            received,
            first_response: Some(received.plus(Span::from_secs(closed.since(received).secs() / 2)))
                .filter(|at| *at < as_of),
            ended,
            reports: 1 + u32::from(rng.u32(0..6) == 0),
            reopenings: 0,
            unreviewed: None,
            second_review: true,
            overturned: rng.u32(0..200) == 0,
            targets: vec![TargetOutcome { target: "closed".into(), deadline: Some(self.deadline), met_at, breached }],
            basis: Basis::Observed,
        };
        let breach = breached.then(|| BreachFact {
            source: "reports".into(),
            category: self.category.into(),
            priority: self.priority,
            target: "closed".into(),
            deadline: self.deadline,
            detected_at: self.deadline,
            inherited: false,
            status: BreachStatus::Verified,
            met_at,
            moot_at: None,
            contradicted_at: None,
            incident: None,
        });
        (life, breach)
    }
}

fn figures(counting: &Counting, bounds: &Bounds, week: Week) -> Figures {
    let (first_day, last_day) = week.days();
    Figures {
        schema: SCHEMA_NAME.to_owned(),
        week: week.to_string(),
        first_day,
        last_day,
        timezone: "UTC".to_owned(),
        from: rfc3339(bounds.from()),
        until: rfc3339(bounds.until()),
        as_of: rfc3339(bounds.as_of),
        made_at: rfc3339(bounds.as_of),
        complete: true,
        deployment: "demo".to_owned(),
        mode: "live".to_owned(),
        policy: String::new(),
        limits: vec!["Every figure here is synthetic, made up by the demo.".to_owned()],
        sight: Sight {
            week_secs: WEEK_SECS,
            sources: vec![SourceSight { source: "reports".to_owned(), blind_secs: 0 }],
            ..Sight::default()
        },
        priorities: counting.priorities(),
        categories: counting.categories(),
        targets: counting.targets(),
        paging: Default::default(),
        unknown_categories: counting.unknown_categories(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_report_and_it_says_that_it_is_synthetic() {
        let now = Timestamp::from_secs(1_795_600_000);
        let page = report(2020, now);
        assert_eq!(page, report(2020, now));
        for said in ["SLA report 2026-W47", "Every figure here is synthetic", "P0"] {
            assert!(page.contains(said), "{said}");
        }
    }
}
