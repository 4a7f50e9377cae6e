//! What stays for years: breaches, outcomes, rejects, and what people put into the inbox.

use super::home::{Home, Led, breach, episode, report_key};
use crate::kit::{minute, row};
use tocsin::core::act::{Audited, Effect};
use tocsin::core::arrivals::{Arrived, Watched};
use tocsin::core::calendar::{Interval, Stretch};
use tocsin::core::case::Conclusion;
use tocsin::core::clock::Ending;
use tocsin::core::id::{IncidentNo, Name, ReportId, ReportKey};
use tocsin::core::known::{Known, KnownReport};
use tocsin::core::observation::{Actor, Event, EventName, Flaw, Reject};
use tocsin::core::observed::Observed;
use tocsin::core::plan::{BreachRecord, BreachStatus, Outcome, Plan, TargetOutcome};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::segments::{Remembered, Segment};
use tocsin::store::Store;

super::on_both! {
    a_breach_comes_back_as_it_was,
    a_deed_and_its_line_in_the_audit_log_are_one_commit_and_the_log_is_only_added_to,
    what_was_known_when_a_breach_was_proved_stays_whatever_is_learnt_later,
    a_verified_breach_is_immutable_and_what_is_learnt_later_is_added,
    an_unverified_breach_is_verified_or_withdrawn,
    a_withdrawn_breach_that_is_incurred_after_all_is_a_new_finding,
    a_breach_of_another_deadline_is_another_breach,
    an_outcome_is_kept_and_a_second_end_replaces_it,
    rejects_are_counted_by_place_and_kind,
    rejects_are_listed_and_summed_for_people,
    observations_come_back_by_report_and_time,
    segments_come_back_in_their_order_and_a_whole_generation_replaces_the_ones_before,
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

async fn observations_come_back_by_report_and_time(home: Home) {
    let mut led = home.lead().await;
    let seen = |id: ReportId, at, row| Observed {
        report: ReportKey { id, ..report_key(0) },
        seen_at: minute(at),
        seen_before: (at > 1).then(|| minute(at - 1)),
        row,
    };
    let of = |observed| Plan { observed, ..Plan::default() };
    let (one, two) = (seen(ReportId::Int(1), 1, Some(row("csam", minute(0)))), seen(ReportId::Int(1), 2, None));
    let text = seen(ReportId::Text("a".into()), 1, Some(row("csam", minute(0))));
    led.commit(&of(vec![two.clone(), text.clone()])).await.unwrap();
    led.commit(&of(vec![one.clone(), two.clone()])).await.unwrap();
    assert_eq!(led.store.observations().await.unwrap(), [one, two, text]);
    let many = (0..1_500).map(|n| seen(ReportId::Int(n), 3, None)).collect::<Vec<_>>();
    for batch in many.chunks(500) {
        led.commit(&of(batch.to_vec())).await.unwrap();
    }
    assert_eq!(led.store.observations().await.unwrap().len(), 1_503, "read in several pages");
}

async fn segments_come_back_in_their_order_and_a_whole_generation_replaces_the_ones_before(home: Home) {
    let mut led = home.lead().await;
    let known = |id, category: &str| Remembered { id, category: category.into(), received: minute(3) };
    let segment = |at, reports| Segment { source: "reports".into(), taken_at: minute(at), reports };
    let uuid = ReportId::Uuid([7; 16]);
    let first = segment(1, vec![known(ReportId::Int(1), "spam"), known(ReportId::Text("1".into()), "csam")]);
    let second = segment(2, vec![known(uuid, "spam")]);
    for of in [&first, &second] {
        led.commit(&Plan { segment: Some(of.clone()), ..Plan::default() }).await.unwrap();
    }
    let name: Name = "reports".into();
    let next = async |led: &Led, after, until| led.store.segment(&name, after, until).await.unwrap();
    assert_eq!(next(&led, 0, 9).await, Some((1, first)));
    assert_eq!(next(&led, 1, 9).await, Some((2, second)));
    assert_eq!((next(&led, 2, 9).await, next(&led, 0, 0).await), (None, None));
    let third = segment(5, vec![known(ReportId::Int(9), "spam")]);
    let plan =
        Plan { segment: Some(third.clone()), segments_before: Some((name.clone(), minute(5))), ..Plan::default() };
    led.commit(&plan).await.unwrap();
    assert_eq!(next(&led, 0, 9).await, Some((3, third)));
}

async fn what_people_do_waits_in_the_inbox(home: Home) {
    let led = home.lead().await;
    let first = led.store.put_inbox("acknowledge", "{\"incident\":1}", "ada", minute(1)).await.unwrap();
    let second = led.store.put_inbox("event", "{}", "ada", minute(2)).await.unwrap();
    assert!(second > first);
    assert_eq!(home.number("SELECT COUNT(*) FROM inbox WHERE applied_sequence IS NULL AND by_whom = 'ada'").await, 2);
}

fn line(by: &str, effect: Effect, said: bool) -> Audited {
    Audited {
        taken_at: minute(5),
        done_at: minute(4),
        by: by.into(),
        integration: !said,
        kind: "event".into(),
        subject: "reports:4711".into(),
        said: said.then(|| ("filed".into(), minute(3))),
        effect,
    }
}

async fn a_deed_and_its_line_in_the_audit_log_are_one_commit_and_the_log_is_only_added_to(home: Home) {
    let mut led = home.lead().await;
    let entry = led.store.put_inbox("event", "{}", "ada", minute(4)).await.unwrap();
    let plan = |inbox, line| Plan { taken_up: Some(inbox), audited: Some(line), ..Plan::default() };
    led.commit(&plan(entry, line("ada", Effect::Done, true))).await.unwrap();
    led.commit(&plan(entry + 1, line("pager", Effect::NotHeld, false))).await.unwrap();
    let expected = [line("pager", Effect::NotHeld, false), line("ada", Effect::Done, true)];
    assert_eq!(led.store.audit(9).await.unwrap(), expected);
    assert_eq!(led.store.audit(1).await.unwrap().len(), 1);
    for refused in ["UPDATE audit SET by_whom = 'eve'", "DELETE FROM audit"] {
        let error = home.try_run(refused).await.unwrap_err();
        assert!(error.to_string().contains("only added to"), "{error}");
    }
    assert_eq!(led.store.audit(9).await.unwrap().len(), 2);
}

async fn what_was_known_when_a_breach_was_proved_stays_whatever_is_learnt_later(home: Home) {
    let mut led = home.lead().await;
    let known = |until: i64| Known {
        walk: vec![(Interval { from: minute(0), until: minute(until) }, Stretch::Counted)],
        reports: [KnownReport {
            report: report_key(1),
            received: minute(0),
            read_began: minute(61),
            gone: None,
            events: vec![Event { at: minute(5), name: EventName::FirstResponse, by: Actor::Person("ada".into()) }],
        }]
        .into(),
    };
    let found = |status, until| BreachRecord { known: known(until), ..breach(1, status) };
    let stored = async |led: &Led| led.store.breaches_of(&report_key(1), None).await.unwrap()[0].known.clone();
    led.commit(&of(found(BreachStatus::Unverified, 50))).await.unwrap();
    led.commit(&of(found(BreachStatus::Verified, 60))).await.unwrap();
    assert_eq!(stored(&led).await, known(60), "the proof is what it was found by");
    led.commit(&of(found(BreachStatus::Verified, 99))).await.unwrap();
    assert_eq!(stored(&led).await, known(60));
    assert_eq!(led.store.breaches_of(&report_key(2), None).await.unwrap(), []);
}
