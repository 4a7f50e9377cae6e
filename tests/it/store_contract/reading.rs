//! What was committed comes back as it was, P0 first, and what can't be read is named.

use super::home::{Home, case, clocks, episode, incident, keeping, kept, report_key};
use crate::kit::minute;
use std::collections::BTreeMap;
use tocsin::core::calendar::Interval;
use tocsin::core::case::Conclusion;
use tocsin::core::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey, Subject};
use tocsin::core::incident::IncidentKind;
use tocsin::core::plan::{KeptCase, Plan};
use tocsin::core::policy::Priority;
use tocsin::store::{Store, StoreError};

super::on_both! {
    a_case_with_a_clock_in_every_state_comes_back_as_it_was,
    unsettled_cases_are_loaded_with_p0_first_and_settled_ones_are_not,
    more_cases_than_one_read_holds_are_all_loaded_and_come_in_parts,
    open_incidents_are_loaded_and_resolved_ones_are_not,
    every_episode_of_a_case_is_recalled_in_order_settled_or_not,
    any_number_of_cases_is_recalled_at_once,
    a_nul_character_in_an_id_or_a_name_is_kept,
    a_state_that_cannot_be_read_is_named_by_table_and_key,
}

async fn a_case_with_a_clock_in_every_state_comes_back_as_it_was(home: Home) {
    let mut led = home.lead().await;
    let key = CaseKey::Subject { source: "reports".into(), subject: Subject([7; 16]) };
    let mut whole = case(EpisodeKey { case: key, episode: 2 }, Priority::P0);
    whole.clocks = clocks();
    whole.pauses = vec![Interval { from: minute(1), until: minute(2) }];
    whole.incident = Some(IncidentNo(3));
    whole.ended = Some((minute(40), Conclusion::NoViolation));
    for id in [ReportId::Uuid([9; 16]), ReportId::Text("5".into()), ReportId::Int(5)] {
        let report = whole.reports[&report_key(1)].clone();
        whole.reports.insert(ReportKey { id, ..report_key(1) }, report);
    }
    led.commit(&keeping([whole.clone()])).await.unwrap();
    drop(led);
    let stored = home.open().await.load().await.unwrap();
    assert_eq!(stored.cases, [whole]);
    assert_eq!((stored.sequence, stored.next_incident), (1, 9));
}

async fn unsettled_cases_are_loaded_with_p0_first_and_settled_ones_are_not(home: Home) {
    let mut led = home.lead().await;
    let order = [Priority::P4, Priority::P0, Priority::P2, Priority::P0, Priority::P1];
    let cases = (1..).zip(order).map(|(id, priority)| kept(case(episode(id), priority)));
    let settled = KeptCase { case: Box::new(case(episode(9), Priority::P0)), settled: true };
    let plan = Plan { kept: cases.chain([settled]).collect(), ..Plan::default() };
    led.commit(&plan).await.unwrap();
    let loaded: Vec<_> = led.store.load().await.unwrap().cases.iter().map(|case| case.priority).collect();
    assert_eq!(loaded, [Priority::P0, Priority::P0, Priority::P1, Priority::P2, Priority::P4]);
}

async fn more_cases_than_one_read_holds_are_all_loaded_and_come_in_parts(home: Home) {
    let mut led = home.lead().await;
    let priority = |id| if id % 2 == 0 { Priority::P0 } else { Priority::P3 };
    led.commit(&keeping((0..2_001).map(|id| case(episode(id), priority(id))))).await.unwrap();
    let loaded = led.store.load().await.unwrap().cases;
    assert_eq!(loaded.len(), 2_001);
    assert!(loaded.is_sorted_by_key(|case| case.priority));
    let mut parts = Vec::new();
    let stored = led.store.load_in_parts(|part| parts.push(part)).await.unwrap();
    assert_eq!((parts.iter().map(Vec::len).collect::<Vec<_>>(), stored.cases.len()), (vec![1_000, 1_000, 1], 0));
    assert_eq!(parts.concat(), loaded);
}

async fn open_incidents_are_loaded_and_resolved_ones_are_not(home: Home) {
    let mut led = home.lead().await;
    let group = incident(1, IncidentKind::Group { category: "spam".into() });
    let single = incident(2, IncidentKind::Episode(episode(1)));
    let bundle = incident(3, IncidentKind::Bundle { members: vec![IncidentNo(2)] });
    let numbered = |list: &[&tocsin::core::incident::Incident]| -> BTreeMap<_, _> {
        list.iter().map(|incident| (incident.no, (*incident).clone())).collect()
    };
    let plan = Plan { incidents: numbered(&[&group, &single, &bundle]), ..Plan::default() };
    led.commit(&plan).await.unwrap();
    assert_eq!(led.store.load().await.unwrap().incidents, [group.clone(), single.clone(), bundle.clone()]);

    let mut resolved = single;
    resolved.resolve(minute(9));
    led.commit(&Plan { incidents: numbered(&[&resolved]), ..Plan::default() }).await.unwrap();
    assert_eq!(led.store.load().await.unwrap().incidents, [group, bundle]);
}

async fn every_episode_of_a_case_is_recalled_in_order_settled_or_not(home: Home) {
    let mut led = home.lead().await;
    let at = |id, number| case(EpisodeKey { episode: number, ..episode(id) }, Priority::P0);
    let mut plan = keeping([at(1, 0), at(1, 1), at(2, 0), at(1, 10)]);
    plan.kept[3].settled = true;
    led.commit(&plan).await.unwrap();
    let keys = [episode(1).case, episode(2).case, episode(3).case];
    let recalled: Vec<_> = led.store.recall(&keys).await.unwrap().into_iter().map(|case| case.key).collect();
    let of_first = [0, 1, 10].map(|number| EpisodeKey { episode: number, ..episode(1) });
    assert_eq!(recalled, [&of_first[..], &[episode(2)]].concat());
    assert!(led.store.recall(&[]).await.unwrap().is_empty());
}

async fn any_number_of_cases_is_recalled_at_once(home: Home) {
    let mut led = home.lead().await;
    led.commit(&keeping((0..1_300).map(|id| case(episode(id), Priority::P1)))).await.unwrap();
    let keys: Vec<_> = (0..1_300).map(|id| episode(id).case).collect();
    for many in [1, 3, 512, 513, 1_300] {
        assert_eq!(led.store.recall(&keys[..many]).await.unwrap().len(), many);
    }
}

async fn a_nul_character_in_an_id_or_a_name_is_kept(home: Home) {
    let mut led = home.lead().await;
    let odd: Vec<Name> = vec!["a\0b".into(), "a\u{1b}0b".into(), "ab".into()];
    let key = |text: &Name| ReportKey { id: ReportId::Text((**text).into()), ..report_key(1) };
    let cases = odd.iter().map(|text| {
        let mut odd = case(EpisodeKey { case: CaseKey::Report(key(text)), episode: 0 }, Priority::P0);
        odd.category = text.clone();
        odd
    });
    let cases: Vec<_> = cases.collect();
    led.commit(&keeping(cases.clone())).await.unwrap();
    assert_eq!(led.store.load().await.unwrap().cases.len(), 3);
    for case in cases {
        assert_eq!(led.store.recall(std::slice::from_ref(&case.key.case)).await.unwrap(), [case]);
    }
}

async fn a_state_that_cannot_be_read_is_named_by_table_and_key(home: Home) {
    let mut led = home.lead().await;
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    home.run("UPDATE cases SET state = '{\"secret\":1}'").await;
    let error = led.store.load().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("row 0/reports#0:1 of cases") && !message.contains("secret"), "{message}");
}
