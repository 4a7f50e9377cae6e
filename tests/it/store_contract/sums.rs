//! The sums of outcomes: a report that is made of them is the one that counting each outcome makes, and no write
//! leaves a sum behind that isn't true any more.

use super::home::{Home, episode};
use super::on_both;
use crate::kit::policy;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tocsin::core::case::Conclusion;
use tocsin::core::plan::{Outcome, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::weekly::gather::Reporter;
use tocsin::run::weekly::sums::{MARKED_FOR, Summing};
use tocsin::source::AnySource;
use tocsin::status::{Mode, Reload, Status, StatusHandle, StoreStatus};
use tocsin::store::SqlStore;
use tocsin::weekly::figures::{Figures, Sight};
use tocsin::weekly::week::Week;
use tocsin::zone::{Zone, parse_rfc3339};

on_both![
    a_report_of_sums_is_the_report_of_every_outcome,
    a_write_takes_the_sums_of_its_hour_away_and_they_are_made_anew,
    sums_that_a_write_overtook_are_not_kept,
];

const WEEK: &str = "2026-W44";

/// Ended so many minutes after the beginning of the week.
fn outcome(id: i64, ended_mins: i64, zone: Zone) -> Outcome {
    let ended_at = WEEK.parse::<Week>().unwrap().from(zone).plus(Span::from_mins(ended_mins));
    let received = ended_at.minus(Span::from_mins(id % 4_000));
    let deadline = received.plus(Span::from_mins(id * 7 % 50_000));
    Outcome {
        episode: episode(id),
        category: ["csam", "spam", "threat"][id as usize % 3].into(),
        rule: "a rule".into(),
        priority: [Priority::P0, Priority::P4, Priority::P1][id as usize % 3],
        standing: Standing::Known,
        received,
        first_response: (id % 5 > 0).then_some(ended_at),
        ended_at,
        conclusion: [Conclusion::Closed, Conclusion::Vanished][id as usize % 7 / 6],
        reports: 1 + (id % 2) as u32,
        reopenings: (id % 3) as u32,
        second_review: id % 2 == 0,
        overturned: id % 11 == 0,
        targets: vec![TargetOutcome {
            target: "closed".into(),
            deadline: Some(deadline),
            met_at: Some(ended_at),
            breached: ended_at > deadline,
        }],
    }
}

struct Desk {
    store: Arc<SqlStore>,
    clock: VirtualClock,
    zone: Zone,
}

impl Desk {
    /// Some hours after the week, whose zone changes its clocks the day before it.
    fn new(store: SqlStore) -> Desk {
        let clock = VirtualClock::new(parse_rfc3339("2026-11-02T05:00:00Z").unwrap());
        Desk { store: Arc::new(store), clock, zone: "Europe/Berlin".parse().unwrap() }
    }

    async fn holds(&self, outcomes: impl Iterator<Item = (i64, i64)>) {
        let outcomes: Vec<Outcome> = outcomes.map(|(id, mins)| outcome(id, mins, self.zone)).collect();
        assert_eq!(self.store.backfill(&outcomes).await.unwrap(), outcomes.len() as u64);
    }

    fn summing(&self) -> Summing<VirtualClock> {
        let status = StatusHandle::new(Status {
            version: "0",
            mode: Mode::Live,
            deployment: "d".into(),
            leader: true,
            started_at: self.clock.now(),
            engine_alive_at: None,
            sources: Vec::new(),
            store: StoreStatus::default(),
            reload: Reload::default(),
        });
        Summing { store: self.store.clone(), clock: self.clock.clone(), zone: self.zone, status }
    }

    async fn sum_up(&self) -> usize {
        let summing = self.summing();
        assert_eq!(summing.round().await.unwrap(), 0, "what was only now marked waits");
        self.clock.advance(MARKED_FOR);
        summing.round().await.unwrap()
    }

    /// The report as of one instant, whenever it is made.
    async fn report(&self) -> Figures {
        let reporter = Reporter::<AnySource, _> {
            store: self.store.clone(),
            policy: Arc::new(ArcSwap::from_pointee(policy())),
            sources: Vec::new(),
            clock: self.clock.clone(),
            zone: self.zone,
            deployment: "d".to_owned(),
            mode: "live",
            mapped: Vec::new(),
        };
        let figures = reporter.make(WEEK.parse().unwrap()).await.unwrap();
        Figures { made_at: String::new(), sight: Sight::default(), ..figures }
    }

    async fn kept(&self) -> usize {
        let slices = self.store.summed(&self.zone.to_string(), Timestamp::MIN, Timestamp::MAX).await.unwrap();
        slices.iter().filter(|slice| slice.is_made).count()
    }
}

/// Outcomes from before the earliest week that counts until after the week itself.
fn seven_weeks() -> impl Iterator<Item = (i64, i64)> {
    (0..2_000).map(|id| (id, id * 997 % (7 * 10_080) - 6 * 10_080))
}

async fn a_report_of_sums_is_the_report_of_every_outcome(home: Home) {
    let desk = Desk::new(home.open().await);
    desk.holds(seven_weeks().filter(|(_, mins)| *mins < 10_080 + 200)).await;
    let each = desk.report().await;
    // Five weeks of hours, one of which came twice, and what is over of the next.
    assert_eq!(desk.sum_up().await, 5 * 168 + 1 + 5);
    assert_eq!(desk.report().await, each);
    assert!(each.categories.iter().all(|group| group.received > 0 && group.before.weeks == 4), "{:?}", each.categories);
}

async fn a_write_takes_the_sums_of_its_hour_away_and_they_are_made_anew(home: Home) {
    let desk = Desk::new(home.open().await);
    desk.holds((0..100).map(|id| (id, id * 100))).await;
    let made = desk.sum_up().await;
    let before = desk.report().await.priorities[0].closed;
    desk.holds([(102, 59), (105, 60)].into_iter()).await;
    assert_eq!(desk.kept().await, made - 2, "the hours of two outcomes");
    assert_eq!(desk.report().await.priorities[0].closed, before + 2);
    assert_eq!(desk.sum_up().await, 2);
    assert_eq!(desk.report().await.priorities[0].closed, before + 2);
}

async fn sums_that_a_write_overtook_are_not_kept(home: Home) {
    let desk = Desk::new(home.open().await);
    desk.summing().round().await.unwrap();
    let zone = desk.zone.to_string();
    let marked = desk.store.summed(&zone, Timestamp::MIN, Timestamp::MAX).await.unwrap();
    let within = WEEK.parse::<Week>().unwrap().from(desk.zone);
    let slice = *marked.iter().find(|slice| slice.began == within).unwrap();
    desk.holds([(1, 5)].into_iter()).await;
    assert!(!desk.store.keep_sums(&zone, slice, "{}").await.unwrap());
    desk.clock.advance(MARKED_FOR);
    desk.store.mark_sums(&zone, &[(slice.began, slice.ended)], desk.clock.now()).await.unwrap();
    assert!(!desk.store.keep_sums(&zone, slice, "{}").await.unwrap(), "it is another's mark");
}
