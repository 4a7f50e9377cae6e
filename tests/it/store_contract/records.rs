//! What stays for years: breaches, outcomes, rejects, and what people put into the inbox.

use super::home::{Home, breach, episode, report_key};
use crate::kit::minute;
use tocsin::core::arrivals::{Arrived, Watched};
use tocsin::core::case::Conclusion;
use tocsin::core::clock::Ending;
use tocsin::core::id::{IncidentNo, ReportId};
use tocsin::core::observation::{Flaw, Reject};
use tocsin::core::plan::{BreachRecord, BreachStatus, Outcome, Plan, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::store::Store;

super::on_both! {
    a_breach_comes_back_as_it_was,
    a_verified_breach_is_immutable_and_what_is_learnt_later_is_added,
    an_unverified_breach_is_verified_or_withdrawn,
    a_withdrawn_breach_that_is_incurred_after_all_is_a_new_finding,
    a_breach_of_another_deadline_is_another_breach,
    an_outcome_is_kept_and_a_second_end_replaces_it,
    rejects_are_counted_by_place_and_kind,
    rejects_are_listed_and_summed_for_people,
    arrivals_and_watched_hours_come_back_and_what_is_too_old_goes,
    what_people_do_waits_in_the_inbox,
}

fn of(breach: BreachRecord) -> Plan {
    Plan { breaches: vec![breach], ..Plan::default() }
}

async fn a_breach_comes_back_as_it_was(home: Home) {
    let mut led = home.lead().await;
    let mut whole = breach(1, BreachStatus::Unverified);
    whole.report = Some(report_key(1));
    whole.first_report.id = ReportId::Text("17".into());
    whole.inherited = true;
    whole.ended = Some(Ending::Moot { at: minute(70) });
    whole.incident = Some(IncidentNo(5));
    led.commit(&of(whole.clone())).await.unwrap();
    assert_eq!(led.store.breaches(9).await.unwrap(), [whole]);
}

async fn a_verified_breach_is_immutable_and_what_is_learnt_later_is_added(home: Home) {
    let mut led = home.lead().await;
    let first = breach(1, BreachStatus::Verified);
    led.commit(&of(first.clone())).await.unwrap();

    let mut other = breach(1, BreachStatus::Withdrawn);
    other.category = "spam".into();
    other.priority = Priority::P4;
    other.detected_at = minute(99);
    other.inherited = true;
    other.policy_hash = "another".into();
    other.incident = Some(IncidentNo(5));
    other.ended = Some(Ending::Met { at: minute(70) });
    other.contradicted_at = Some(minute(80));
    led.commit(&of(other.clone())).await.unwrap();
    let added = BreachRecord {
        incident: other.incident,
        ended: other.ended,
        contradicted_at: other.contradicted_at,
        ..first.clone()
    };
    assert_eq!(led.store.breaches(9).await.unwrap(), std::slice::from_ref(&added));

    let mut relapsed = first;
    relapsed.contradicted_at = Some(minute(200));
    led.commit(&of(relapsed)).await.unwrap();
    assert_eq!(led.store.breaches(9).await.unwrap(), [BreachRecord { ended: None, ..added }]);
}

async fn an_unverified_breach_is_verified_or_withdrawn(home: Home) {
    for verdict in [BreachStatus::Verified, BreachStatus::Withdrawn] {
        let id = verdict as i64;
        let mut led = home.lead().await;
        led.sequence = tocsin::store::Store::settle(&led.store, led.token).await.unwrap();
        led.commit(&of(breach(id, BreachStatus::Unverified))).await.unwrap();
        led.commit(&of(breach(id, verdict))).await.unwrap();
        let breaches = led.store.breaches(9).await.unwrap();
        let settled = breaches.iter().find(|breach| breach.episode == episode(id)).unwrap();
        assert_eq!(settled.status, verdict);
    }
}

async fn a_withdrawn_breach_that_is_incurred_after_all_is_a_new_finding(home: Home) {
    let mut led = home.lead().await;
    led.commit(&of(breach(1, BreachStatus::Withdrawn))).await.unwrap();
    let mut found = breach(1, BreachStatus::Verified);
    found.detected_at = minute(90);
    led.commit(&of(found.clone())).await.unwrap();
    assert_eq!(led.store.breaches(9).await.unwrap(), [found]);
}

async fn a_breach_of_another_deadline_is_another_breach(home: Home) {
    let mut led = home.lead().await;
    let mut later = breach(1, BreachStatus::Verified);
    later.deadline = minute(120);
    let plan = Plan { breaches: vec![breach(1, BreachStatus::Verified), later], ..Plan::default() };
    led.commit(&plan).await.unwrap();
    assert_eq!(led.store.breaches(9).await.unwrap().len(), 2);
    assert_eq!(led.store.breaches(1).await.unwrap().len(), 1);
}

async fn an_outcome_is_kept_and_a_second_end_replaces_it(home: Home) {
    let mut led = home.lead().await;
    let target =
        TargetOutcome { target: "closed".into(), deadline: Some(minute(60)), met_at: Some(minute(70)), breached: true };
    let mut outcome = Outcome {
        episode: episode(1),
        category: "csam".into(),
        rule: "minor safety".into(),
        priority: Priority::P0,
        standing: Standing::Presumed,
        received: minute(0),
        first_response: None,
        ended_at: minute(70),
        conclusion: Conclusion::Closed,
        reports: 3,
        reopenings: 0,
        second_review: true,
        overturned: false,
        targets: vec![target],
    };
    led.commit(&Plan { outcomes: vec![outcome.clone()], ..Plan::default() }).await.unwrap();
    assert_eq!(led.store.outcome(&episode(1)).await.unwrap(), Some(outcome.clone()));

    (outcome.ended_at, outcome.reopenings, outcome.conclusion) = (minute(90), 1, Conclusion::Violation);
    outcome.first_response = Some(minute(3));
    led.commit(&Plan { outcomes: vec![outcome.clone()], ..Plan::default() }).await.unwrap();
    assert_eq!(led.store.outcome(&episode(1)).await.unwrap(), Some(outcome));
    assert_eq!(led.store.outcome(&episode(2)).await.unwrap(), None);
}

async fn rejects_are_counted_by_place_and_kind(home: Home) {
    let mut led = home.lead().await;
    let reject = |id: Option<i64>, flaw| {
        let reject = Reject { id: id.map(ReportId::Int), column: "created_at".into(), flaw };
        ("reports".into(), reject)
    };
    let rejects = vec![reject(None, Flaw::NoId), reject(None, Flaw::NoId), reject(Some(1), Flaw::NotATime)];
    let plan = Plan { rejects, ..Plan::default() };
    led.commit(&plan).await.unwrap();
    led.commit(&plan).await.unwrap();
    assert_eq!(home.number("SELECT COUNT(*) FROM rejects").await, 2);
    assert_eq!(home.number("SELECT count FROM rejects WHERE report = '' AND flaw = 'no_id'").await, 4);
    assert_eq!(home.number("SELECT count FROM rejects WHERE report = '1' AND flaw = 'not_a_time'").await, 2);
}

async fn rejects_are_listed_and_summed_for_people(home: Home) {
    let mut led = home.lead().await;
    let reject = |id: Option<i64>, flaw| {
        let reject = Reject { id: id.map(ReportId::Int), column: "created_at".into(), flaw };
        ("reports".into(), reject)
    };
    let (one, two) = (reject(Some(1), Flaw::NotATime), reject(Some(2), Flaw::NotATime));
    let none = || reject(None, Flaw::NoId);
    led.commit(&Plan { rejects: vec![one, two, none(), none(), none()], ..Plan::default() }).await.unwrap();
    let totals = led.store.reject_totals().await.unwrap();
    let totals: Vec<(&str, u64)> = totals.iter().map(|total| (total.flaw.as_str(), total.reports)).collect();
    assert_eq!(totals, [("no_id", 3), ("not_a_time", 2)]);
    let rows = led.store.rejects(9).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.report.as_deref(), row.flaw.as_str(), row.count)).collect();
    assert_eq!(rows, [(None, "no_id", 3), (Some("1"), "not_a_time", 1), (Some("2"), "not_a_time", 1)]);
    assert_eq!(led.store.rejects(1).await.unwrap().len(), 1);
}

async fn arrivals_and_watched_hours_come_back_and_what_is_too_old_goes(home: Home) {
    let mut led = home.lead().await;
    let arrived = |hour, count| Arrived { source: "reports".into(), category: "csam".into(), hour, count };
    let watched = |hour| Watched { source: "reports".into(), hour, secs: 3_600 };
    let plan = |arrived, watched| Plan { arrived, watched, ..Plan::default() };
    led.commit(&plan(vec![arrived(1, 7), arrived(900, 3)], vec![watched(1)])).await.unwrap();
    led.commit(&plan(vec![arrived(900, 2)], Vec::new())).await.unwrap();
    let stored = led.store.load().await.unwrap();
    assert_eq!((stored.arrived, stored.watched), (vec![arrived(1, 7), arrived(900, 3)], vec![watched(1)]));
    led.commit(&plan(Vec::new(), vec![watched(900)])).await.unwrap();
    let stored = led.store.load().await.unwrap();
    assert_eq!((stored.arrived, stored.watched), (vec![arrived(900, 3)], vec![watched(900)]));
}

async fn what_people_do_waits_in_the_inbox(home: Home) {
    let led = home.lead().await;
    let first = led.store.put_inbox("acknowledge", "{\"incident\":1}", "ada", minute(1)).await.unwrap();
    let second = led.store.put_inbox("event", "{}", "ada", minute(2)).await.unwrap();
    assert!(second > first);
    assert_eq!(home.number("SELECT COUNT(*) FROM inbox WHERE applied_sequence IS NULL AND by_whom = 'ada'").await, 2);
}
