//! What the board and the API ask of a store: tokens, the audit log with where a deed came from, cases by their keys, and
//! the counts of a week.

use super::home::{Home, breach, case, episode, incident, keeping};
use crate::kit::minute;
use tocsin::core::act::{Audited, Deed, Effect};
use tocsin::core::id::IncidentNo;
use tocsin::core::incident::IncidentKind;
use tocsin::core::plan::{BreachStatus, Plan};
use tocsin::core::policy::Priority;
use tocsin::core::time::Span;
use tocsin::store::{NewToken, Noted, OfDay, Store};
use tocsin::web::desk::{Desk, Signed};

super::on_both! {
    a_token_is_in_force_until_it_ends_or_is_revoked_once,
    a_deed_is_exported_with_where_it_came_from_and_so_is_what_is_no_deed,
    a_case_is_found_by_what_its_key_is_called_and_its_breaches_with_it,
    a_week_is_counted_by_day_and_priority_without_what_happened_before,
}

async fn a_token_is_in_force_until_it_ends_or_is_revoked_once(home: Home) {
    let store = home.open().await;
    let token = |name: &'static str, hash: &'static str, hours: i64| NewToken {
        name,
        role: "responder",
        hash,
        created_at: minute(0),
        created_by: "root",
        expires_at: minute(60 * hours),
    };
    let ada = store.put_token(&token("ada", "a1", 2)).await.unwrap();
    let bob = store.put_token(&token("bob", "b2", 9)).await.unwrap();
    assert!(store.put_token(&token("eve", "a1", 9)).await.is_err(), "a hash is of one token");
    let names = async |at| {
        let tokens = store.tokens_in_force(at).await.unwrap();
        tokens.into_iter().map(|token| token.name).collect::<Vec<_>>()
    };
    assert_eq!(names(minute(1)).await, ["bob", "ada"]);
    assert_eq!(names(minute(120)).await, ["bob"], "at its very end it is over");
    assert!(store.revoke_token(bob, "root", minute(3)).await.unwrap());
    assert!(!store.revoke_token(bob, "eve", minute(4)).await.unwrap(), "once");
    assert_eq!(names(minute(5)).await, ["ada"]);
    let all = store.tokens().await.unwrap();
    let revoked = all.iter().find(|token| token.id == bob).unwrap();
    assert_eq!((revoked.revoked_at, revoked.revoked_by.as_deref()), (Some(minute(3)), Some("root")));
    assert_eq!((all.len(), all[1].id, all[1].hash.as_str()), (2, ada, "a1"));
}

async fn a_deed_is_exported_with_where_it_came_from_and_so_is_what_is_no_deed(home: Home) {
    let mut led = home.lead().await;
    let deed = Deed::Acknowledge { incident: IncidentNo(12) };
    let signed = Signed { by: "ada", from: "board 10.0.0.7", at: minute(1) };
    Desk::put(&led.store, &deed, signed).await.unwrap();
    let entry = Store::inbox(&led.store).await.unwrap().remove(0);
    assert_eq!(serde_json::from_str::<Deed>(&entry.body).unwrap(), deed, "the core reads it as ever");
    let line = Audited {
        taken_at: minute(2),
        done_at: minute(1),
        by: "ada".into(),
        integration: false,
        kind: "acknowledge".into(),
        subject: "I-12".into(),
        said: None,
        effect: Effect::Done,
    };
    led.commit(&Plan { audited: Some(line), taken_up: Some(entry.id), ..Plan::default() }).await.unwrap();
    let noted = Noted {
        at: minute(3),
        by: "root",
        kind: "token_create",
        subject: "1 ada, viewer",
        effect: "done",
        origin: "command line",
    };
    led.store.note(&noted).await.unwrap();
    let lines = led.store.audit_before(i64::MAX, 9).await.unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line.kind.as_str(), line.by.as_str(), line.origin.as_deref())).collect();
    let expected = [("token_create", "root", Some("command line")), ("acknowledge", "ada", Some("board 10.0.0.7"))];
    assert_eq!(told, expected);
    assert_eq!(led.store.audit_before(lines[0].id, 9).await.unwrap(), lines[1..]);
}

async fn a_case_is_found_by_what_its_key_is_called_and_its_breaches_with_it(home: Home) {
    let mut led = home.lead().await;
    led.commit(&keeping([case(episode(1), Priority::P0), case(episode(2), Priority::P1)])).await.unwrap();
    let mut missed = breach(1, BreachStatus::Verified);
    missed.episode = episode(2);
    led.commit(&Plan { breaches: vec![missed.clone()], ..Plan::default() }).await.unwrap();
    let wanted = episode(2).case.to_string();
    let found = led.store.case_by(|key| key == wanted).await.unwrap().unwrap();
    assert_eq!(found.key, episode(2));
    assert_eq!(led.store.case_by(|_| false).await.unwrap(), None);
    assert_eq!(led.store.breaches_of_episode(&episode(2)).await.unwrap(), [missed]);
    assert_eq!(led.store.breaches_of_episode(&episode(1)).await.unwrap(), []);
    let group = incident(5, IncidentKind::Group { category: "spam".into() });
    led.commit(&Plan { incidents: [(group.no, group.clone())].into(), ..Plan::default() }).await.unwrap();
    assert_eq!(led.store.incident(IncidentNo(5)).await.unwrap(), Some(group));
    assert_eq!(led.store.incident(IncidentNo(6)).await.unwrap(), None);
}

async fn a_week_is_counted_by_day_and_priority_without_what_happened_before(home: Home) {
    let mut led = home.lead().await;
    let begin = minute(0);
    let of = |id: i64, day: i64, change: fn(&mut tocsin::core::plan::BreachRecord)| {
        let mut record = breach(1, BreachStatus::Verified);
        record.episode = episode(id);
        record.detected_at = begin.plus(Span::from_hours(24 * day + 1));
        (record.priority, record.inherited) = (Priority::P0, false);
        change(&mut record);
        record
    };
    let breaches = vec![
        of(1, 0, |_| {}),
        of(2, 0, |_| {}),
        of(3, 2, |record| record.priority = Priority::P4),
        of(4, 2, |record| record.inherited = true),
        of(5, 2, |record| record.status = BreachStatus::Withdrawn),
        of(6, -1, |_| {}),
    ];
    led.commit(&Plan { breaches, ..Plan::default() }).await.unwrap();
    let mut days = led.store.days(begin).await.unwrap();
    days.breaches.sort_by_key(|of_day| of_day.day);
    let expected =
        [OfDay { priority: Priority::P0, day: 0, count: 2 }, OfDay { priority: Priority::P4, day: 2, count: 1 }];
    assert_eq!((days.breaches.as_slice(), days.ended.len()), (expected.as_slice(), 0));
}
