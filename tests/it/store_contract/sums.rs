//! The sums of outcomes: a report that is made of them is the one that counting each outcome makes, and no write
//! leaves a sum behind that isn't true any more.

use super::home::{Home, breach, episode};
use super::on_both;
use crate::kit::policy;
use arc_swap::ArcSwap;
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use tocsin::core::case::Conclusion;
use tocsin::core::clock::Ending;
use tocsin::core::id::IncidentNo;
use tocsin::core::plan::{BreachRecord, BreachStatus, Outcome, Plan, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::weekly::gather::Reporter;
use tocsin::run::weekly::sums::{MARKED_FOR, Summing};
use tocsin::source::AnySource;
use tocsin::status::{Mode, Reload, Status, StatusHandle, StoreStatus};
use tocsin::store::SqlStore;
use tocsin::store::sums::{Kind, Summed};
use tocsin::weekly::figures::{Figures, Sight};
use tocsin::weekly::week::Week;
use tocsin::zone::{Zone, parse_rfc3339};

on_both![
    a_report_of_sums_is_the_report_of_every_outcome_and_breach,
    a_write_to_an_outcome_takes_the_sums_of_its_hour_away_and_they_are_made_anew,
    a_write_to_a_breach_takes_the_sums_of_its_hours_away_and_they_are_made_anew,
    sums_that_a_write_overtook_are_not_kept,
    sums_of_another_version_are_left_aside,
];

const WEEK: &str = "2026-W44";

fn week_began(zone: Zone) -> Timestamp {
    WEEK.parse::<Week>().unwrap().from(zone)
}

/// Ended so many minutes after the beginning of the week.
fn outcome(id: i64, ended_mins: i64, zone: Zone) -> Outcome {
    let ended_at = week_began(zone).plus(Span::from_mins(ended_mins));
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

    async fn summed(&self, kind: Kind) -> Vec<Summed> {
        self.store.summed(kind, &self.zone.to_string(), Timestamp::MIN, Timestamp::MAX).await.unwrap()
    }

    /// How many slices of outcomes and of breaches have sums.
    async fn kept(&self) -> [usize; 2] {
        let of = async |kind| self.summed(kind).await.iter().filter(|slice| slice.is_made).count();
        [of(Kind::Outcomes).await, of(Kind::Breaches).await]
    }

    /// The slices, as minutes after the beginning of the week, that are taken away while `write` runs; they are made
    /// anew afterwards.
    async fn taken_away(&self, kind: Kind, write: impl Future<Output = ()>) -> Vec<i64> {
        let before = self.summed(kind).await;
        assert!(before.iter().all(|slice| slice.is_made));
        write.await;
        let left = self.summed(kind).await;
        let gone: Vec<Summed> = before.into_iter().filter(|slice| !left.contains(slice)).collect();
        assert_eq!(self.sum_up().await, gone.len());
        gone.iter().map(|slice| slice.began.since(week_began(self.zone)).secs() / 60).collect()
    }
}

/// Outcomes from before the earliest week that counts until after the week itself, at whose end the last were open.
fn eight_weeks() -> impl Iterator<Item = (i64, i64)> {
    let since = (2_001..2_010).map(|id| (id, 10_080 + (id - 2_001) * 20));
    (0..2_000).map(|id| (id, id * 997 % (7 * 10_080) - 6 * 10_080)).chain(since)
}

/// One whose deadline, finding and contradiction lie so many minutes after the beginning of the week.
fn late(id: i64, zone: Zone, deadline: i64, detected: i64, contradicted: Option<i64>) -> BreachRecord {
    let at = |mins| week_began(zone).plus(Span::from_mins(mins));
    BreachRecord {
        deadline: at(deadline),
        detected_at: at(detected),
        contradicted_at: contradicted.map(at),
        incident: (id % 3 == 0).then_some(IncidentNo(1)),
        inherited: id % 7 == 0,
        ended: (id % 2 == 0).then_some(Ending::Met { at: at(detected + id) }),
        priority: [Priority::P0, Priority::P4][id as usize % 2],
        ..breach(id, [BreachStatus::Verified, BreachStatus::Withdrawn][id as usize % 5 / 4])
    }
}

async fn a_report_of_sums_is_the_report_of_every_outcome_and_breach(home: Home) {
    let mut led = home.lead().await;
    let desk = Desk::new(home.open().await);
    desk.holds(eight_weeks()).await;
    let breaches = eight_weeks().step_by(3).map(|(id, mins)| {
        late(id, desk.zone, mins, mins + id % 30 * 400, (id % 4 == 0).then_some(mins + id % 9 * 3_000))
    });
    led.commit(&Plan { breaches: breaches.collect(), ..Plan::default() }).await.unwrap();
    let each = desk.report().await;
    // Six weeks of hours, one of which came twice, and what is over of the next.
    assert_eq!(desk.sum_up().await, 2 * (6 * 168 + 1 + 5));
    assert_eq!(desk.report().await, each);
    assert!(each.priorities.iter().all(|group| group.received > 0 && group.before.weeks == 4), "{:?}", each.priorities);
    assert!(each.priorities.iter().all(|group| group.open == 3), "{:?}", each.priorities);
    assert!(each.priorities.iter().any(|group| group.breaches.contradicted > 0 && group.breaches.inherited > 0));
    assert!(each.paging.to_act[0].ended > 0 && each.paging.to_act[1].count > 0);

    // Of some hours there are none, as while they are made anew.
    home.run("DELETE FROM sums WHERE began / 3600000000 % 7 = 3").await;
    home.run("DELETE FROM breach_sums WHERE began / 3600000000 % 5 = 2").await;
    assert_ne!(desk.kept().await, [6 * 168 + 1 + 5; 2]);
    assert_eq!(desk.report().await, each);
}

async fn a_write_to_an_outcome_takes_the_sums_of_its_hour_away_and_they_are_made_anew(home: Home) {
    let desk = Desk::new(home.open().await);
    desk.holds((0..100).map(|id| (id, id * 100))).await;
    desk.sum_up().await;
    let before = desk.report().await.priorities[0].closed;
    let late = desk.holds([(102, 59), (105, 60)].into_iter());
    assert_eq!(desk.taken_away(Kind::Outcomes, late).await, [0, 60], "the hours of two outcomes");
    assert_eq!(desk.report().await.priorities[0].closed, before + 2);
    let moved =
        home.run("UPDATE outcomes SET ended_at = ended_at + 36000000000 WHERE ended_at % 3600000000 = 3540000000");
    assert_eq!(desk.taken_away(Kind::Outcomes, moved).await, [0, 600], "where it was, and where it is");
    let deleted = home.run("DELETE FROM outcomes WHERE ended_at % 3600000000 = 3540000000");
    assert_eq!(desk.taken_away(Kind::Outcomes, deleted).await, [600]);
    assert_eq!(desk.report().await.priorities[0].closed, before + 1);
}

async fn a_write_to_a_breach_takes_the_sums_of_its_hours_away_and_they_are_made_anew(home: Home) {
    let mut led = home.lead().await;
    let desk = Desk::new(home.open().await);
    desk.sum_up().await;
    let found = late(1, desk.zone, 59, 60, None);
    let contradicted =
        BreachRecord { contradicted_at: Some(found.detected_at.plus(Span::from_hours(2))), ..found.clone() };
    let written = [(found, vec![0, 60]), (contradicted, vec![0, 60, 180])];
    for (breach, hours) in written {
        let plan = Plan { breaches: vec![breach], ..Plan::default() };
        let write = async { led.commit(&plan).await.unwrap() };
        assert_eq!(desk.taken_away(Kind::Breaches, write).await, hours);
    }
    assert_eq!(desk.report().await.priorities[0].breaches.contradicted, 1);
    let deleted = home.run("DELETE FROM breaches");
    assert_eq!(desk.taken_away(Kind::Breaches, deleted).await, [0, 60, 180]);
    assert_eq!(desk.report().await.priorities, []);
}

async fn sums_that_a_write_overtook_are_not_kept(home: Home) {
    let desk = Desk::new(home.open().await);
    desk.summing().round().await.unwrap();
    let zone = desk.zone.to_string();
    let within = week_began(desk.zone);
    let slice = *desk.summed(Kind::Outcomes).await.iter().find(|slice| slice.began == within).unwrap();
    desk.holds([(1, 5)].into_iter()).await;
    assert!(!desk.store.keep_sums(&zone, slice, [""; 3]).await.unwrap());
    desk.clock.advance(MARKED_FOR);
    let hour = [(slice.began, slice.ended)];
    desk.store.mark_sums(Kind::Outcomes, &zone, &hour, desk.clock.now()).await.unwrap();
    assert!(!desk.store.keep_sums(&zone, slice, [""; 3]).await.unwrap(), "it is another's mark");
}

async fn sums_of_another_version_are_left_aside(home: Home) {
    let desk = Desk::new(home.open().await);
    desk.holds((0..100).map(|id| (id, id * 100))).await;
    let each = desk.report().await;
    desk.sum_up().await;
    home.run("UPDATE sums SET counts = '1:' || counts, behind = '1:' || behind WHERE began / 3600000000 % 2 = 0").await;
    assert_eq!(desk.report().await, each);
}

/// SQLite has one writer, so that there all wait for each other anyway.
#[tokio::test]
async fn a_mark_waits_for_the_commit_that_does_not_see_it() {
    let home = Home::postgres("a_mark_waits_for_the_commit_that_does_not_see_it").await;
    let desk = Desk::new(home.open().await);
    let mut commit = PgConnection::connect(&home.url).await.unwrap();
    let begun = "BEGIN; UPDATE deployment SET sequence = sequence WHERE id = 1";
    sqlx::raw_sql(begun).execute(&mut commit).await.unwrap();
    let (store, zone, began) = (desk.store.clone(), desk.zone.to_string(), week_began(desk.zone));
    let hour = [(began, began.plus(Span::from_hours(1)))];
    let mark = tokio::spawn(async move { store.mark_sums(Kind::Outcomes, &zone, &hour, began).await });
    const WAITING: &str = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted \
         AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
    while home.number(WAITING).await == 0 {
        assert!(!mark.is_finished());
    }
    sqlx::raw_sql("COMMIT").execute(&mut commit).await.unwrap();
    mark.await.unwrap().unwrap();
    assert_eq!(desk.summed(Kind::Outcomes).await.len(), 1);
}
