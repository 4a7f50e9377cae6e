//! The port of engine and outbox, sentence by sentence, for whatever is behind it: both SQL stores in the
//! integration tests, and in the simulations the model that stands for them.

use crate::kit::{minute, row};
use tocsin::core::case::{Case, Read, Report};
use tocsin::core::id::{CaseKey, EpisodeKey, IncidentNo, ReportId, ReportKey};
use tocsin::core::incident::{Incident, IncidentKind};
use tocsin::core::plan::{KeptCase, PageKind, Plan};
use tocsin::core::policy::{Priority, Standing};
use tocsin::core::time::Timestamp;
use tocsin::store::*;

/// The sentences, for a macro that makes each a test of the store that it opens.
macro_rules! each_sentence {
    ($tell:ident) => {
        $tell! {
            a_number_that_is_taken_or_leaves_a_gap_is_refused,
            an_older_leader_is_fenced,
            unsettled_cases_are_loaded_with_p0_first,
            every_episode_is_recalled_settled_or_not,
            open_incidents_and_those_of_open_cases_are_loaded,
            a_page_queued_twice_is_one_page,
            pages_are_leased_by_priority_and_age_in_their_lane_and_no_full_channel,
            a_lease_ends_by_itself_and_at_a_start,
            a_resolve_waits_for_its_rings,
            a_page_is_tried_again_when_it_is_due_and_accepted_is_final,
        }
    };
}
pub(crate) use each_sentence;

fn key(id: i64, episode: u32) -> EpisodeKey {
    let report = ReportKey { source: "reports".into(), id: ReportId::Int(id), incarnation: 0 };
    EpisodeKey { case: CaseKey::Report(report), episode }
}

fn case(key: EpisodeKey, priority: Priority) -> Case {
    let CaseKey::Report(report) = key.case.clone() else { panic!("a case of one report") };
    let policy = crate::kit::policy();
    let first = row("csam", minute(0));
    let mut case = Case::new(key, &policy.assess(&first), "csam".into());
    (case.priority, case.standing, case.stored) = (priority, Standing::Known, true);
    case.reports.insert(report, Report::first_sight(first, Read::at(minute(1))));
    case
}

fn keeping(cases: Vec<(Case, bool)>) -> Plan {
    Plan {
        kept: cases.into_iter().map(|(case, settled)| KeptCase { case: Box::new(case), settled }).collect(),
        ..Plan::default()
    }
}

fn page(incident: u64, kind: PageKind, channel: &str, priority: Priority, at: i64) -> NewPage {
    NewPage {
        incident: IncidentNo(incident),
        round: 0,
        step: 0,
        channel: channel.into(),
        kind,
        priority,
        created_at: minute(at),
        alert_key: format!("alert {incident}"),
        delivery_key: format!("{incident} {channel} {}", kind.as_str()),
        payload: "{}".to_owned(),
        fallbacks: Vec::new(),
        in_place_of: None,
        is_test: false,
    }
}

fn ring(incident: u64, priority: Priority, at: i64) -> NewPage {
    page(incident, PageKind::Ring, "pager", priority, at)
}

struct Led<'s, S> {
    store: &'s S,
    token: u64,
    sequence: u64,
}

/// Takes the lead, from whoever has it: that one is gone.
pub async fn lead<S: Store>(store: &S, holder: &str, now: Timestamp) -> u64 {
    let mut gone = None;
    loop {
        match store.lead(holder, now, gone).await.unwrap() {
            Lead::Taken { token, .. } => return token,
            Lead::Held { token, .. } => gone = Some(token),
        }
    }
}

impl<S: Store> Led<'_, S> {
    async fn lead(store: &S) -> Led<'_, S> {
        Led { store, token: lead(store, "test", minute(0)).await, sequence: store.load().await.unwrap().sequence }
    }

    async fn try_commit(&self, sequence: u64, plan: &Plan, pages: Vec<NewPage>) -> Result<()> {
        let (token, at, next_incident) = (self.token, minute(5), 9);
        self.store.commit(&Commit { sequence, token, at, plan, pages, next_incident, sent: Vec::new() }).await
    }

    async fn commit(&mut self, plan: &Plan, pages: Vec<NewPage>) {
        self.try_commit(self.sequence + 1, plan, pages).await.unwrap();
        self.sequence += 1;
    }

    async fn lease(&self, lane: Lane, now: Timestamp) -> Vec<(i64, String)> {
        let leased = self.store.lease_pages(lane, now, now.plus(MINUTE), 100, &[]).await.unwrap();
        leased.into_iter().map(|leased| (leased.id, leased.page.delivery_key)).collect()
    }

    async fn answer(&self, page: i64, delivery: Delivery) {
        let (began, ended, answer) = (minute(5), minute(5), "202".to_owned());
        self.store.record(&Attempt { page, began, ended, delivery, answer, fallbacks: Vec::new() }).await.unwrap();
    }
}

const MINUTE: tocsin::core::time::Span = tocsin::core::time::Span::from_mins(1);

fn keys(leased: &[(i64, String)]) -> Vec<&str> {
    leased.iter().map(|(_, key)| key.as_str()).collect()
}

pub async fn a_number_that_is_taken_or_leaves_a_gap_is_refused<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    led.commit(&keeping(vec![(case(key(1, 0), Priority::P0), false)]), vec![]).await;
    let plan = keeping(vec![(case(key(2, 0), Priority::P0), false)]);
    for taken_or_gap in [led.sequence, led.sequence + 2] {
        let refused = led.try_commit(taken_or_gap, &plan, vec![ring(1, Priority::P0, 1)]).await;
        assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    }
    assert_eq!(store.load().await.unwrap().cases.len(), 1);
    assert_eq!((store.load().await.unwrap().sequence, store.pages(9).await.unwrap().len()), (led.sequence, 0));
}

pub async fn an_older_leader_is_fenced<S: Store>(store: &S) {
    let older = Led::lead(store).await;
    let mut newer = Led::lead(store).await;
    assert!(newer.token > older.token);
    let refused = older.try_commit(older.sequence + 1, &Plan::default(), vec![]).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    newer.commit(&Plan::default(), vec![]).await;
}

pub async fn unsettled_cases_are_loaded_with_p0_first<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    let lesser = case(key(1, 0), Priority::P2);
    let (settled, p0) = (case(key(2, 0), Priority::P0), case(key(3, 0), Priority::P0));
    led.commit(&keeping(vec![(lesser.clone(), false), (settled, true), (p0.clone(), false)]), vec![]).await;
    assert_eq!(store.load().await.unwrap().cases, [p0, lesser]);
}

pub async fn every_episode_is_recalled_settled_or_not<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    let (first, second) = (case(key(1, 0), Priority::P0), case(key(1, 10), Priority::P0));
    let (last, other) = (case(key(1, 9), Priority::P0), case(key(3, 0), Priority::P0));
    let kept = [(&first, true), (&second, true), (&last, false), (&other, false)];
    led.commit(&keeping(kept.map(|(case, settled)| (case.clone(), settled)).to_vec()), vec![]).await;
    assert_eq!(store.recall(&[key(1, 0).case, key(2, 0).case]).await.unwrap(), [first, last, second]);
}

pub async fn open_incidents_and_those_of_open_cases_are_loaded<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    let kind = |id| IncidentKind::Episode(key(id, 0));
    let open = |no: u64| Incident::open(IncidentNo(no), kind(no as i64), "minor-safety".into(), minute(2));
    let mut resolved = [open(2), open(3)];
    resolved.iter_mut().for_each(|incident| drop(incident.resolve(minute(3))));
    let mut goes_on = case(key(2, 0), Priority::P0);
    goes_on.incident = Some(IncidentNo(2));
    let mut plan = keeping(vec![(goes_on, false)]);
    let [of_open_case, over] = resolved;
    plan.incidents = [open(1), of_open_case, over].into_iter().map(|incident| (incident.no, incident)).collect();
    led.commit(&plan, vec![]).await;
    let stored = store.load().await.unwrap();
    let mut loaded: Vec<u64> = stored.incidents.iter().map(|incident| incident.no.0).collect();
    loaded.sort_unstable();
    assert_eq!((loaded, stored.next_incident), (vec![1, 2], 9));
}

pub async fn a_page_queued_twice_is_one_page<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    let other = NewPage { delivery_key: "another".to_owned(), ..ring(1, Priority::P0, 1) };
    led.commit(&Plan::default(), vec![ring(1, Priority::P0, 1)]).await;
    led.commit(&Plan::default(), vec![other]).await;
    let pages = store.pages(9).await.unwrap();
    assert_eq!(pages.iter().map(|row| row.page.delivery_key.as_str()).collect::<Vec<_>>(), ["1 pager ring"]);
}

pub async fn pages_are_leased_by_priority_and_age_in_their_lane_and_no_full_channel<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    let full = page(4, PageKind::Ring, "full", Priority::P1, 0);
    let pages =
        vec![ring(1, Priority::P2, 1), ring(2, Priority::P1, 3), ring(3, Priority::P1, 2), ring(5, Priority::P0, 9)];
    led.commit(&Plan::default(), pages.into_iter().chain([full]).collect()).await;
    let next = store.next_page_at(Lane::Lesser, &["full".into()]).await.unwrap();
    assert_eq!(next, Some(minute(1)));
    let leased = store.lease_pages(Lane::Lesser, minute(9), minute(10), 100, &["full".into()]).await.unwrap();
    let incidents: Vec<u64> = leased.iter().map(|leased| leased.page.incident.0).collect();
    assert_eq!(incidents, [3, 2, 1]);
    assert_eq!(keys(&led.lease(Lane::P0, minute(9)).await), ["5 pager ring"]);
}

pub async fn a_lease_ends_by_itself_and_at_a_start<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    led.commit(&Plan::default(), vec![ring(1, Priority::P0, 1)]).await;
    assert_eq!(led.lease(Lane::P0, minute(2)).await.len(), 1);
    assert_eq!(led.lease(Lane::P0, minute(2)).await.len(), 0, "it is nobody else's");
    assert_eq!(store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(minute(3)));
    assert_eq!(led.lease(Lane::P0, minute(3)).await.len(), 1);
    lead(store, "another", minute(3)).await;
    assert_eq!(led.lease(Lane::P0, minute(3)).await.len(), 1, "whoever held it is gone");
}

pub async fn a_resolve_waits_for_its_rings<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    let resolve = page(1, PageKind::Resolve, "pager", Priority::P0, 1);
    led.commit(&Plan::default(), vec![resolve, ring(1, Priority::P0, 2)]).await;
    let leased = led.lease(Lane::P0, minute(9)).await;
    assert_eq!(keys(&leased), ["1 pager ring"]);
    led.answer(leased[0].0, Delivery::Accepted).await;
    assert_eq!(keys(&led.lease(Lane::P0, minute(9)).await), ["1 pager resolve"]);
}

pub async fn a_page_is_tried_again_when_it_is_due_and_accepted_is_final<S: Store>(store: &S) {
    let mut led = Led::lead(store).await;
    led.commit(&Plan::default(), vec![ring(1, Priority::P0, 1)]).await;
    let leased = led.lease(Lane::P0, minute(2)).await;
    led.answer(leased[0].0, Delivery::Retry { at: minute(8) }).await;
    assert_eq!(led.lease(Lane::P0, minute(7)).await.len(), 0);
    assert_eq!(store.next_page_at(Lane::P0, &[]).await.unwrap(), Some(minute(8)));
    let again = store.lease_pages(Lane::P0, minute(8), minute(9), 100, &[]).await.unwrap();
    assert_eq!(again.iter().map(|leased| leased.attempts).collect::<Vec<_>>(), [1]);
    led.answer(again[0].id, Delivery::Accepted).await;
    led.answer(again[0].id, Delivery::Retry { at: minute(9) }).await;
    assert_eq!(led.lease(Lane::P0, minute(20)).await.len(), 0);
    assert_eq!(store.next_page_at(Lane::P0, &[]).await.unwrap(), None);
}
