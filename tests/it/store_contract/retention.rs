//! What is over is forgotten when its time has come, and nothing that is open ever is.

use super::home::{Home, breach, case, episode, incident, ring};
use crate::kit::minute;
use tocsin::core::clock::Ending;
use tocsin::core::id::IncidentNo;
use tocsin::core::incident::IncidentKind;
use tocsin::core::plan::{BreachRecord, BreachStatus, KeptCase, Plan};
use tocsin::core::policy::Priority;
use tocsin::core::time::Span;
use tocsin::store::{Attempt, Delivery, Lane, Store};

super::on_both! {
    l19_what_is_over_is_forgotten_and_nothing_that_is_open,
}

/// Two of each: the first is over, the second is as old and open.
async fn l19_what_is_over_is_forgotten_and_nothing_that_is_open(home: Home) {
    let mut led = home.lead().await;
    let over = BreachRecord { ended: Some(Ending::Met { at: minute(20) }), ..breach(1, BreachStatus::Verified) };
    let mut resolved = incident(1, IncidentKind::Episode(episode(1)));
    resolved.resolved_at = Some(minute(20));
    let open = incident(2, IncidentKind::Episode(episode(2)));
    let plan = Plan {
        kept: vec![
            KeptCase { case: Box::new(case(episode(1), Priority::P0)), settled: true },
            KeptCase { case: Box::new(case(episode(2), Priority::P0)), settled: false },
        ],
        breaches: vec![over, breach(2, BreachStatus::Verified)],
        incidents: [(IncidentNo(1), resolved), (IncidentNo(2), open)].into(),
        ..Plan::default()
    };
    led.commit_with(&plan, vec![ring(1, "pager", Priority::P0, 1), ring(2, "pager", Priority::P0, 1)]).await.unwrap();
    home.run(
        "INSERT INTO outcomes (episode, source, category, rule, priority, standing, received, ended_at, conclusion, \
         reports, reopenings, targets) SELECT episode, source, 'csam', 'r', 'P0', 'known', 0, 1, 'closed', 1, 0, '[]' \
         FROM cases WHERE settled = 1",
    )
    .await;
    home.run(
        "INSERT INTO observations (source, report, incarnation, seen_at) VALUES ('s', 'over', 0, 1), ('s', 'over', 0, 2), \
         ('s', 'changed', 0, 1), ('s', 'changed', 0, 4102444800000000)",
    )
    .await;
    home.run("INSERT INTO stretches (source, began, ended) VALUES ('s', 1, 2), ('s', 3, 4102444800000000)").await;
    for page in led.store.lease_pages(Lane::P0, minute(2), minute(3), 9, &[]).await.unwrap() {
        let (began, ended) = (minute(2), minute(2));
        let answer = "202".to_owned();
        let attempt =
            Attempt { page: page.id, began, ended, delivery: Delivery::Accepted, answer, fallbacks: Vec::new() };
        led.store.record(&attempt).await.unwrap();
    }
    assert_eq!(led.store.forget(minute(10).minus(Span::from_hours(1_000_000))).await.unwrap(), 0, "not yet");
    assert!(led.store.forget(minute(1_000)).await.unwrap() >= 4);
    while led.store.forget(minute(1_000)).await.unwrap() > 0 {}
    for (table, left) in [
        ("cases", 1),
        ("outcomes", 0),
        ("breaches", 1),
        ("pages", 1),
        ("attempts", 1),
        ("incidents", 1),
        ("observations", 2),
        ("stretches", 1),
    ] {
        assert_eq!(home.number(&format!("SELECT COUNT(*) FROM {table}")).await, left, "{table}");
    }
    let stored = led.store.load().await.unwrap();
    assert_eq!((stored.cases.len(), stored.cases[0].key.clone(), stored.incidents.len()), (1, episode(2), 1));
    assert_eq!(led.store.pages(9).await.unwrap()[0].page.incident, IncidentNo(2));
}
