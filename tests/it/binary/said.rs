//! What people say at the command line: it reaches the running monitor, takes effect, and stays in the audit log; and
//! a breach is explained when its row is long gone.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use serde_json::Value;
use tocsin::zone::rfc3339;

#[tokio::test]
async fn a_vanished_p0_that_somebody_looked_into_resolves_and_is_explained_later_with_sqlite() {
    is_looked_into("people_lite", Base::Sqlite).await;
}

#[tokio::test]
async fn a_vanished_p0_that_somebody_looked_into_resolves_and_is_explained_later_with_postgres() {
    is_looked_into("people_pg", Base::Postgres).await;
}

async fn is_looked_into(hint: &str, store: Base) {
    let rig = Rig::new(hint, Base::Sqlite, store).await;
    let monitor = rig.start();
    rig.is_ready().await;
    rig.platform.file("child", "csam", now()).await;
    rig.rang(15, &rig.p0_reference("child")).await;
    rig.platform.sql("delete from reports").await;

    let refused = [("mod-ada", "closed"), ("automod", "looked_into"), ("eve", "looked_into"), ("mod-ada", "danced")];
    for (by, name) in refused {
        let (code, _, told) = rig.run(&["event", "child", name, "--by", by, "--at", &rfc3339(now())]);
        assert!(code != 0 && !told.is_empty(), "{name} by {by}: {told}");
    }
    eventually("the incident resolves", secs(15), async || {
        let (code, _, told) = rig.run(&["event", "child", "looked_into", "--by", "mod-ada", "--at", &rfc3339(now())]);
        assert_eq!(code, 0, "{told}");
        let resolved = rig.pages().await.iter().any(|row| row.page.kind == tocsin::core::plan::PageKind::Resolve);
        hold(resolved, || "no resolve".to_owned())
    })
    .await;

    let (code, text, told) = rig.run(&["audit", "--json"]);
    assert_eq!(code, 0, "{told}");
    let lines: Vec<Value> = serde_json::from_str(&text).unwrap();
    let done: Vec<&Value> = lines.iter().filter(|line| line["effect"] == "done").collect();
    assert_eq!(done.len(), 1, "{text}");
    assert_eq!((&done[0]["by"], &done[0]["said"]), (&"mod-ada".into(), &"looked_into".into()));
    assert_eq!((&done[0]["subject"], &done[0]["integration"]), (&"reports:child".into(), &false.into()));

    let (code, text, told) = rig.run(&["explain", "child", "--json"]);
    assert_eq!(code, 0, "{told}");
    let explained: Value = serde_json::from_str(&text).unwrap();
    let then = &explained["known_then"][0];
    assert_eq!((&then["target"], &then["status"]), (&"first_response".into(), &"verified".into()), "{text}");
    assert_eq!(then["policy"].as_str().map(str::len), Some(64), "{text}");
    assert_eq!((then["walk"].as_array().map(Vec::len), then["reports"].as_array().map(Vec::len)), (Some(1), Some(1)));
    let (_, text, _) = rig.run(&["explain", "child"]);
    assert!(text.contains("KNOWN NOW") && text.contains("KNOWN THEN: 1 breach"), "{text}");
    drop(monitor);
}
