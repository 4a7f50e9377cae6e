//! What the weekly report reads back, and that it is told once.

use super::home::{Home, breach, episode};
use super::on_both;
use crate::kit::minute;
use tocsin::core::case::Conclusion;
use tocsin::core::outcome::{Basis, BreachFact, Life};
use tocsin::core::plan::{BreachStatus, Outcome, Plan, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::{Span, Timestamp};
use tocsin::store::told::{Stretch, THE_MONITOR, Told};

on_both![
    a_week_holds_what_ended_in_it_or_later_and_what_fell_due_in_it,
    what_fell_due_much_later_is_found_among_the_few_of_which_that_is_so,
    what_was_observed_is_not_overwritten_by_what_a_row_tells,
    more_outcomes_than_one_read_takes_come_each_once,
    breaches_of_a_stretch_come_once_however_they_belong_to_it,
    more_breaches_than_one_read_takes_come_each_once,
    the_figures_of_a_week_are_those_that_were_kept_first,
    a_delivery_is_leased_by_one_and_goes_out_once,
    a_stretch_of_sight_grows_and_is_read_where_it_touches,
];

fn outcome(id: i64, received: i64, ended: i64, due: Option<i64>) -> Outcome {
    let target = TargetOutcome {
        target: "closed".into(),
        deadline: due.map(minute),
        met_at: Some(minute(ended)),
        breached: false,
    };
    Outcome {
        episode: episode(id),
        category: "spam".into(),
        rule: "spam".into(),
        priority: Priority::P4,
        standing: Standing::Known,
        received: minute(received),
        first_response: None,
        ended_at: minute(ended),
        conclusion: Conclusion::Closed,
        reports: 1,
        reopenings: 0,
        second_review: false,
        overturned: true,
        targets: vec![target],
    }
}

async fn received_between(store: &tocsin::store::SqlStore, from: i64, until: i64) -> Vec<i64> {
    let mut found = Vec::new();
    let mut each = |life: Life| found.push(life.received.since(minute(0)).secs() / 60);
    store.lives_ended(minute(from), Timestamp::MAX, minute(until), &mut each).await.unwrap();
    store.lives_due_later(minute(from), minute(from), each).await.unwrap();
    found.sort_unstable();
    found
}

async fn a_week_holds_what_ended_in_it_or_later_and_what_fell_due_in_it(home: Home) {
    let mut led = home.lead().await;
    let outcomes = vec![
        outcome(1, 1, 50, Some(60)),
        outcome(2, 2, 150, Some(160)),
        outcome(3, 3, 500, None),
        outcome(4, 4, 50, Some(150)),
        outcome(5, 5, 50, Some(900)),
        outcome(6, 200, 250, None),
    ];
    led.commit(&Plan { outcomes, ..Plan::default() }).await.unwrap();
    // The fifth fell due later still: reading it too costs little, and counting leaves it out.
    assert_eq!(received_between(&led.store, 100, 200).await, [2, 3, 4, 5]);
    let mut lives = Vec::new();
    led.store.lives_ended(minute(140), minute(200), minute(200), |life| lives.push(life)).await.unwrap();
    let life = lives.iter().find(|life| life.received == minute(2)).unwrap();
    assert_eq!(life.ended, Some((minute(150), Conclusion::Closed)));
    assert_eq!((life.basis, life.overturned, life.targets.len()), (Basis::Observed, true, 1));
}

async fn what_fell_due_much_later_is_found_among_the_few_of_which_that_is_so(home: Home) {
    const HOUR: i64 = 60;
    let store = home.open().await;
    let due = |id, ended, hours| outcome(id, 0, ended, Some(ended + hours * HOUR));
    store.backfill(&[due(1, 10, 167), due(2, 11, 168), due(3, 12, 400), due(4, 10_000, 400)]).await.unwrap();
    let found = async |due_from: i64, ended_before: i64| {
        let mut found = Vec::new();
        let (due_from, ended_before) = (minute(due_from), minute(ended_before));
        let each = |life: Life| found.push(life.ended.map(|(at, _)| at.since(minute(0)).secs() / 60));
        store.lives_due_later(due_from, ended_before, each).await.unwrap();
        found
    };
    assert_eq!(found(20 + 167 * HOUR, 20).await, [Some(11), Some(12)]);
    assert_eq!(found(10 + 167 * HOUR, 20).await, [Some(10), Some(11), Some(12)], "not so much later");
    assert_eq!(found(500 * HOUR, 9_000).await, []);
    assert_eq!(found(500 * HOUR, 10_001).await, [Some(10_000)]);
}

async fn what_was_observed_is_not_overwritten_by_what_a_row_tells(home: Home) {
    let mut led = home.lead().await;
    led.commit(&Plan { outcomes: vec![outcome(1, 1, 150, None)], ..Plan::default() }).await.unwrap();
    let rows = [outcome(1, 1, 120, None), outcome(2, 2, 130, None)];
    assert_eq!(led.store.backfill(&rows).await.unwrap(), 1);
    assert_eq!(led.store.backfill(&rows).await.unwrap(), 0);
    assert_eq!(home.number("SELECT COUNT(*) FROM outcomes WHERE basis = 'row'").await, 1);
    assert_eq!(led.store.outcome(&episode(1)).await.unwrap().unwrap().ended_at, minute(150));
    led.commit(&Plan { outcomes: vec![outcome(2, 2, 180, None)], ..Plan::default() }).await.unwrap();
    assert_eq!(home.number("SELECT COUNT(*) FROM outcomes WHERE basis = 'row'").await, 0, "now it was seen");
    assert!(!led.store.is_backfilled("reports").await.unwrap());
    led.store.end_backfill("reports", minute(9), 1).await.unwrap();
    assert!(led.store.is_backfilled("reports").await.unwrap());
}

async fn more_outcomes_than_one_read_takes_come_each_once(home: Home) {
    let led = home.lead().await;
    // Many end at one instant, so that a read ends among them.
    let outcomes: Vec<Outcome> = (0..5_600).map(|id| outcome(id, id % 40, 100 + id / 5_500, Some(120))).collect();
    led.store.backfill(&outcomes).await.unwrap();
    assert_eq!(received_between(&led.store, 90, 200).await.len(), 5_600);
    assert_eq!(received_between(&led.store, 110, 200).await.len(), 5_600, "all of them fell due then");
    assert_eq!(received_between(&led.store, 130, 200).await.len(), 0);
}

async fn breaches_of_a_stretch_come_once_however_they_belong_to_it(home: Home) {
    let mut led = home.lead().await;
    let with = |id, deadline, detected, contradicted: Option<i64>| {
        let mut breach = breach(id, BreachStatus::Verified);
        (breach.deadline, breach.detected_at) = (minute(deadline), minute(detected));
        breach.contradicted_at = contradicted.map(minute);
        breach
    };
    let breaches = vec![
        with(1, 110, 111, Some(120)),
        with(2, 10, 150, None),
        with(3, 10, 11, Some(199)),
        with(4, 10, 11, None),
        with(5, 200, 201, None),
        with(6, 10, 250, Some(150)),
    ];
    led.commit(&Plan { breaches, ..Plan::default() }).await.unwrap();
    let mut found = Vec::new();
    let add = |breach: BreachFact| found.push((breach.deadline, breach.detected_at));
    led.store.each_breach(minute(100), minute(200), add).await.unwrap();
    found.sort_unstable();
    let wanted =
        [(10, 11), (10, 150), (10, 250), (110, 111)].map(|(deadline, detected)| (minute(deadline), minute(detected)));
    assert_eq!(found, wanted);
}

async fn more_breaches_than_one_read_takes_come_each_once(home: Home) {
    let mut led = home.lead().await;
    // Many fall due at one instant, and one target has several deadlines that were detected at one.
    let breaches = (0..5_200).map(|id| {
        let mut breach = breach(id % 5_100, BreachStatus::Verified);
        (breach.deadline, breach.detected_at) = (minute(if id < 5_100 { 10 } else { 11 }), minute(150));
        breach
    });
    led.commit(&Plan { breaches: breaches.collect(), ..Plan::default() }).await.unwrap();
    for (from, until) in [(0, 100), (100, 200)] {
        let mut count = 0;
        led.store.each_breach(minute(from), minute(until), |_| count += 1).await.unwrap();
        assert_eq!(count, 5_200, "from {from}");
    }
}

async fn the_figures_of_a_week_are_those_that_were_kept_first(home: Home) {
    let store = home.open().await;
    assert_eq!(store.kept_report("2026-W46").await.unwrap(), None);
    assert_eq!(store.keep_report("2026-W46", minute(1), "first").await.unwrap(), "first");
    assert_eq!(store.keep_report("2026-W46", minute(2), "second").await.unwrap(), "first");
    assert_eq!(store.kept_report("2026-W46").await.unwrap().as_deref(), Some("first"));
}

async fn a_delivery_is_leased_by_one_and_goes_out_once(home: Home) {
    let (store, another) = (home.open().await, home.open().await);
    let channels = ["mail".into(), "files".into()];
    store.queue_deliveries("2026-W46", &channels, minute(0)).await.unwrap();
    another.queue_deliveries("2026-W46", &["late".into()], minute(0)).await.unwrap();
    let first = store.lease_delivery(minute(1), minute(9)).await.unwrap().unwrap();
    let second = another.lease_delivery(minute(1), minute(9)).await.unwrap().unwrap();
    assert_eq!((&*first.channel, &*second.channel), ("files", "mail"));
    assert_eq!(store.lease_delivery(minute(2), minute(9)).await.unwrap(), None, "\"late\" gets the weeks to come");
    store.record_delivery(&first, &Told::Delivered, minute(2), "written").await.unwrap();
    another.record_delivery(&second, &Told::Again { at: minute(5) }, minute(2), "refused").await.unwrap();
    assert_eq!(store.lease_delivery(minute(4), minute(9)).await.unwrap(), None);
    let again = store.lease_delivery(minute(5), minute(9)).await.unwrap().unwrap();
    assert_eq!((&*again.channel, again.attempts), ("mail", 1));
    // Its holder died: the lease runs out and somebody else sends it.
    assert_eq!(another.lease_delivery(minute(8), minute(20)).await.unwrap(), None);
    let taken = another.lease_delivery(minute(9), minute(20)).await.unwrap().unwrap();
    another.record_delivery(&taken, &Told::Delivered, minute(9), "250").await.unwrap();
    store.record_delivery(&again, &Told::Again { at: minute(10) }, minute(9), "late answer").await.unwrap();
    assert_eq!(store.lease_delivery(minute(60), minute(70)).await.unwrap(), None, "delivered is final");
    assert_eq!(store.told_weeks().await.unwrap(), ["2026-W46"]);
}

async fn a_stretch_of_sight_grows_and_is_read_where_it_touches(home: Home) {
    let store = home.open().await;
    let stretch =
        |source: &str, began, ended| Stretch { source: source.into(), began: minute(began), ended: minute(ended) };
    assert_eq!(store.first_watched().await.unwrap(), None);
    store.watch(&[stretch(THE_MONITOR, 0, 1), stretch("reports", 0, 1)]).await.unwrap();
    store.watch(&[stretch(THE_MONITOR, 0, 9), stretch("reports", 0, 5)]).await.unwrap();
    store.watch(&[stretch("reports", 8, 9)]).await.unwrap();
    let seen = store.watched(minute(5), minute(8)).await.unwrap();
    assert_eq!(seen, [stretch(THE_MONITOR, 0, 9), stretch("reports", 0, 5)]);
    assert_eq!(store.watched(minute(6), minute(8).plus(Span::from_secs(1))).await.unwrap().len(), 2);
    assert_eq!(store.first_watched().await.unwrap(), Some(minute(0)));
}
