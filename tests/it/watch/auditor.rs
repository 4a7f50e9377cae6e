//! What the auditor finds in a store, by itself, and whom it tells.

use super::well;
use crate::kit::{minute, policy};
use crate::store_contract::home::{Home, Led, breach, case, clocks, episode, incident, keeping, resolve, ring};
use crate::store_contract::on_both;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tocsin::core::act::Deed;
use tocsin::core::clock::{Clock as CaseClock, ClockState};
use tocsin::core::id::IncidentNo;
use tocsin::core::incident::{Incident, IncidentKind, NextStep};
use tocsin::core::plan::{BreachRecord, BreachStatus, Input, PageKind, Plan};
use tocsin::core::policy::{Policy, Priority};
use tocsin::core::selfcheck::Findings;
use tocsin::keys::Keys;
use tocsin::run::auditor::{Auditor, LastAudit};
use tocsin::run::clock::VirtualClock;
use tocsin::run::engine::Engine;
use tocsin::run::inbox;
use tocsin::store::{Attempt, Delivery, Lane, SqlStore, Store};

on_both! {
    a_store_in_which_everything_rang_holds_nothing_to_find,
    a_deadline_that_passed_unseen_is_found_in_the_case_itself,
    a_breach_in_no_incident_is_found_unless_its_rule_pages_nobody,
    l03_the_auditor_judges_by_the_policy_that_a_reload_has_brought,
    an_open_incident_that_nobody_heard_is_found_unless_somebody_took_it,
    l17_an_escalation_that_never_resumed_is_found_and_rings_the_operators,
    a_page_that_is_due_for_long_is_found_unless_another_channel_has_the_round,
    what_is_found_is_told_once_told_again_when_there_is_more_and_taken_back_when_nothing_is_left,
}

async fn auditor(home: &Home) -> Auditor<VirtualClock> {
    Auditor {
        store: Arc::new(home.open().await),
        policy: Arc::new(ArcSwap::from_pointee(with_operators())),
        clock: VirtualClock::new(minute(0)),
        status: well(minute(0)),
        last: LastAudit::default(),
    }
}

fn with_operators() -> Policy {
    let mut policy = policy();
    policy.operators = Some("on-call".into());
    policy
}

fn group(no: u64, change: impl FnOnce(&mut Incident)) -> Plan {
    let kind = IncidentKind::Group { category: "threat".into() };
    of_kind(no, kind, change)
}

fn of_kind(no: u64, kind: IncidentKind, change: impl FnOnce(&mut Incident)) -> Plan {
    let mut incident = Incident::open(IncidentNo(no), kind, "on-call".into(), minute(1));
    change(&mut incident);
    Plan { incidents: [(incident.no, incident)].into(), ..Plan::default() }
}

fn rung(incident: &mut Incident) {
    incident.ring(Priority::P1, None, minute(1));
}

async fn accept(store: &SqlStore) {
    for lane in [Lane::P0, Lane::Lesser] {
        for leased in store.lease_pages(lane, minute(2), minute(3), 100, &[]).await.unwrap() {
            let (began, ended) = (minute(2), minute(2));
            let (delivery, answer) = (Delivery::Accepted, "202".to_owned());
            let attempt = Attempt { page: leased.id, began, ended, delivery, answer, fallbacks: Vec::new() };
            store.record(&attempt).await.unwrap();
        }
    }
}

/// What waits in the inbox.
async fn told(store: &SqlStore) -> Vec<Deed> {
    store.inbox().await.unwrap().iter().map(|entry| inbox::act(entry).deed).collect()
}

async fn a_store_in_which_everything_rang_holds_nothing_to_find(home: Home) {
    let mut led = home.lead().await;
    let p0 = incident(1, IncidentKind::Episode(episode(1)));
    let mut p0 = Incident { rounds: 1, rung_at: Some(minute(2)), ring_at: None, ..p0 };
    p0.next_step = Some(NextStep { at: minute(99_000), step: 1 });
    let recorded = BreachRecord { incident: Some(p0.no), ..breach(1, BreachStatus::Verified) };
    let mut rang = case(episode(1), Priority::P0);
    rang.clocks = clocks().into_iter().filter(|clock| is_settled(&clock.state)).collect();
    let mut plan = Plan { incidents: [(p0.no, p0)].into(), breaches: vec![recorded], ..keeping([rang]) };
    led.commit_with(&plan, vec![ring(1, "pager", Priority::P0, 2)]).await.unwrap();
    plan = group(2, rung);
    led.commit_with(&plan, vec![ring(2, "pager", Priority::P1, 2)]).await.unwrap();
    accept(&led.store).await;
    let auditor = auditor(&home).await;
    assert_eq!(auditor.pass(minute(10_000)).await.unwrap(), Findings::default());
    assert!(told(&led.store).await.is_empty());
    assert_eq!(auditor.last.get().unwrap().at, minute(10_000));
}

fn is_settled(state: &ClockState) -> bool {
    !matches!(state, ClockState::Running | ClockState::Asked { .. })
}

async fn a_deadline_that_passed_unseen_is_found_in_the_case_itself(home: Home) {
    let mut led = home.lead().await;
    let running = |state| CaseClock { state, ..clocks().remove(0) };
    let mut unseen = case(episode(1), Priority::P0);
    unseen.clocks = vec![running(ClockState::Running), running(ClockState::Asked { at: minute(15) })];
    let mut lesser = case(episode(2), Priority::P2);
    lesser.clocks = vec![running(ClockState::Running)];
    led.commit(&keeping([unseen, lesser])).await.unwrap();
    let auditor = auditor(&home).await;
    let found = async |at| auditor.pass(at).await.unwrap().deadlines_unseen;
    assert_eq!(found(minute(16)).await, 0, "the engine may still be at it");
    assert_eq!(found(minute(17)).await, 2, "a lesser one may wait inside the blind incident");
}

async fn a_breach_in_no_incident_is_found_unless_its_rule_pages_nobody(home: Home) {
    let mut led = home.lead().await;
    let lesser = |id, rule: &str| {
        let (rule, priority) = (rule.into(), Priority::P2);
        BreachRecord { rule, priority, ..breach(id, BreachStatus::Verified) }
    };
    let withdrawn = breach(4, BreachStatus::Withdrawn);
    let breaches = vec![breach(1, BreachStatus::Unverified), lesser(2, "ncii"), lesser(3, "silent"), withdrawn];
    led.commit(&Plan { breaches, ..Plan::default() }).await.unwrap();
    let auditor = auditor(&home).await;
    assert_eq!(auditor.pass(minute(62)).await.unwrap().breaches_unrung, 0);
    assert_eq!(auditor.pass(minute(63)).await.unwrap().breaches_unrung, 2);
}

async fn l03_the_auditor_judges_by_the_policy_that_a_reload_has_brought(home: Home) {
    let mut led = home.lead().await;
    let (rule, priority) = ("quiet".into(), Priority::P2);
    let breaches = vec![BreachRecord { rule, priority, ..breach(1, BreachStatus::Verified) }];
    led.commit(&Plan { breaches, ..Plan::default() }).await.unwrap();
    let auditor = auditor(&home).await;
    assert_eq!(auditor.pass(minute(63)).await.unwrap().breaches_unrung, 0, "no rule of that name rings anybody");
    let mut policy = with_operators();
    policy.rules[1].name = "quiet".into();
    auditor.policy.store(Arc::new(policy));
    assert_eq!(auditor.pass(minute(64)).await.unwrap().breaches_unrung, 1);
}

async fn an_open_incident_that_nobody_heard_is_found_unless_somebody_took_it(home: Home) {
    let mut led = home.lead().await;
    let unheard = |no| of_kind(no, IncidentKind::Episode(episode(no as i64)), rung);
    led.commit(&unheard(1)).await.unwrap();
    led.commit(&group(2, rung)).await.unwrap();
    led.commit(&group(3, |_| {})).await.unwrap();
    led.commit(&of_kind(4, IncidentKind::Episode(episode(4)), |i| i.bundle = Some(IncidentNo(5)))).await.unwrap();
    led.commit_with(
        &of_kind(5, IncidentKind::Bundle { members: vec![IncidentNo(4)] }, rung),
        vec![ring(5, "pager", Priority::P0, 1)],
    )
    .await
    .unwrap();
    accept(&led.store).await;
    let auditor = auditor(&home).await;
    let found = async |at| auditor.pass(at).await.unwrap().incidents_unheard;
    assert_eq!(found(minute(2)).await, 0);
    assert_eq!(found(minute(4)).await, 1, "the P0 that rang nowhere, not the one that its bundle told of");
    assert_eq!(found(minute(12)).await, 2, "and the group, ten minutes later; one that is held has not rung");
    led.commit(&of_kind(1, IncidentKind::Episode(episode(1)), |i| i.acknowledge("ada".into(), false, None, minute(3))))
        .await
        .unwrap();
    assert_eq!(found(minute(12)).await, 1);
}

async fn l17_an_escalation_that_never_resumed_is_found_and_rings_the_operators(home: Home) {
    let mut led = home.lead().await;
    let stuck = |incident: &mut Incident| {
        rung(incident);
        incident.next_step = Some(NextStep { at: minute(6), step: 1 });
    };
    led.commit_with(&group(1, stuck), vec![ring(1, "pager", Priority::P1, 1)]).await.unwrap();
    accept(&led.store).await;
    let auditor = auditor(&home).await;
    let at = minute(20);
    let found = Findings { escalations_stuck: 1, ..Findings::default() };
    assert_eq!(auditor.pass(at).await.unwrap(), found);
    assert_eq!(told(&led.store).await, [Deed::Audit { found }]);

    // The engine that has it in its memory: what is in the store is told through the same outbox.
    let (store, clock) = (auditor.store.clone(), VirtualClock::new(at));
    let keys = Keys::new(b"a deployment's secret");
    let policy = Arc::new(with_operators());
    let mut engine = Engine::start(policy, store, clock, keys, well(at), led.token).await.unwrap();
    let entry = led.store.inbox().await.unwrap().remove(0);
    let fed = engine.feed(Input::Act(inbox::act(&entry))).await.unwrap();
    assert!(fed.pages_lesser, "it rings");
    let pages = led.store.pages(9).await.unwrap();
    let page = pages.iter().find(|row| row.page.payload.contains("1 escalation stuck")).expect("a page tells of it");
    assert_eq!((page.page.kind, &*page.page.channel, page.page.priority), (PageKind::Ring, "pager", Priority::P1));
    assert!(told(&led.store).await.is_empty());
}

async fn a_page_that_is_due_for_long_is_found_unless_another_channel_has_the_round(home: Home) {
    let mut led = home.lead().await;
    let pages = vec![
        ring(1, "pager", Priority::P0, 1),
        ring(2, "pager", Priority::P2, 1),
        ring(3, "pager", Priority::P0, 1),
        resolve(&ring(4, "pager", Priority::P0, 1)),
        tocsin::store::NewPage { is_test: true, ..ring(5, "pager", Priority::P0, 1) },
    ];
    led.queue(pages).await;
    led.queue(vec![ring(3, "mail", Priority::P0, 1)]).await;
    home.run("UPDATE pages SET state = 'accepted' WHERE channel = 'mail'").await;
    home.run("UPDATE pages SET state = 'parked' WHERE incident = 1").await;
    let auditor = auditor(&home).await;
    let found = async |at| auditor.pass(at).await.unwrap().pages_unsent;
    assert_eq!(found(minute(1)).await, 0);
    assert_eq!(found(minute(2)).await, 1, "P0 within a minute, parked or not");
    assert_eq!(found(minute(11)).await, 2);
}

async fn what_is_found_is_told_once_told_again_when_there_is_more_and_taken_back_when_nothing_is_left(home: Home) {
    let mut led = home.lead().await;
    led.queue(vec![ring(1, "pager", Priority::P0, 1)]).await;
    let auditor = auditor(&home).await;
    let found = Findings { pages_unsent: 1, ..Findings::default() };
    for at in [minute(5), minute(6)] {
        assert_eq!(auditor.pass(at).await.unwrap(), found);
        assert_eq!(told(&led.store).await, [Deed::Audit { found }], "nobody has taken it up yet");
    }
    take_up(&mut led, found).await;
    auditor.pass(minute(7)).await.unwrap();
    assert!(told(&led.store).await.is_empty(), "the operators know");
    led.queue(vec![ring(3, "pager", Priority::P0, 1)]).await;
    let more = Findings { pages_unsent: 2, ..Findings::default() };
    assert_eq!(auditor.pass(minute(8)).await.unwrap(), more);
    assert_eq!(told(&led.store).await, [Deed::Audit { found: more }]);
    take_up(&mut led, more).await;
    accept(&led.store).await;
    auditor.pass(minute(9)).await.unwrap();
    assert_eq!(told(&led.store).await, [Deed::Audit { found: Findings::default() }]);
}

/// As the engine does: the incident of the operators, and the entry gone from the inbox.
async fn take_up(led: &mut Led, found: Findings) {
    let entry = led.store.inbox().await.unwrap()[0].id;
    let plan = of_kind(2, IncidentKind::Audit { found }, rung);
    led.commit(&Plan { taken_up: Some(entry), ..plan }).await.unwrap();
}
