//! From a deadline to a phone and back to silence: over both report databases and both stores, without a word of what
//! was reported.

use super::platform::Base;
use super::rig::{Rig, cases};
use super::{eventually, hold, now, secs, throughout};
use tocsin::core::plan::PageKind;
use tocsin::store::PageRow;

#[tokio::test]
async fn a_missed_deadline_rings_once_and_resolves_from_sqlite_with_a_sqlite_store() {
    rings_once_and_resolves("page_lite_lite", Base::Sqlite, Base::Sqlite).await;
}

#[tokio::test]
async fn a_missed_deadline_rings_once_and_resolves_from_sqlite_with_a_postgres_store() {
    rings_once_and_resolves("page_lite_pg", Base::Sqlite, Base::Postgres).await;
}

#[tokio::test]
async fn a_missed_deadline_rings_once_and_resolves_from_postgres_with_a_sqlite_store() {
    rings_once_and_resolves("page_pg_lite", Base::Postgres, Base::Sqlite).await;
}

#[tokio::test]
async fn a_missed_deadline_rings_once_and_resolves_from_postgres_with_a_postgres_store() {
    rings_once_and_resolves("page_pg_pg", Base::Postgres, Base::Postgres).await;
}

#[tokio::test]
async fn a_missed_deadline_rings_once_and_resolves_from_mysql_with_a_sqlite_store() {
    rings_once_and_resolves("page_my_lite", Base::Mysql, Base::Sqlite).await;
}

#[tokio::test]
async fn a_missed_deadline_rings_once_and_resolves_from_mysql_with_a_postgres_store() {
    rings_once_and_resolves("page_my_pg", Base::Mysql, Base::Postgres).await;
}

/// Everything in the row that a page, a log line or a metric must not hold.
const CANARIES: [&str; 7] = [
    "item-canary",
    "mod-canary-answers",
    "mod-canary-closes",
    "canary-state",
    "canary-body",
    "canary-mail",
    "canary-url",
];

async fn rings_once_and_resolves(hint: &str, source: Base, store: Base) {
    let rig = Rig::new(hint, source, store).await;
    let monitor = rig.start();
    rig.is_ready().await;
    let received = now();
    for (id, reason) in [("canary-p0", "csam"), ("canary-p1", "threat")] {
        rig.platform.file(id, reason, received).await;
    }
    rig.platform
        .sql(
            "update reports set state = 'canary-state', body = 'canary-body', reporter_mail = 'canary-mail', \
             item_url = 'canary-url'",
        )
        .await;

    let p0 = rig.rang(15, &rig.p0_reference("canary-p0")).await;
    let p1 = rig.rang(15, &rig.reference("canary-p1")).await;
    assert!(now() >= received.plus(secs(3)), "it rang before the deadline");
    assert_eq!((&p0["category"], &p0["priority"], &p0["presumed"]), (&"csam".into(), &"P0".into(), &false.into()));
    assert_eq!((&p1["category"], &p1["priority"], &p1["target"]), (&"threat".into(), &"P1".into(), &"closed".into()));
    for case in [&p0, &p1] {
        assert_eq!((&case["unverified"], &case["inherited"]), (&false.into(), &false.into()), "{case}");
    }
    throughout("nothing rings again", secs(3), async || hold(rig.receiver.rings() == 2, || "more rings".to_owned()))
        .await;

    let at = tocsin::zone::rfc3339(now());
    rig.platform
        .sql(&format!(
            "update reports set responded_at = '{at}', responded_by = 'mod-canary-answers', resolved_at = '{at}', \
             resolved_by = 'mod-canary-closes', resolution = 'removed'"
        ))
        .await;
    let pages = everything_resolves(&rig).await;
    requests_are_what_the_store_holds(&rig, &pages);
    nothing_reported_is_told(&rig, &monitor.log()).await;
}

async fn everything_resolves(rig: &Rig) -> Vec<PageRow> {
    eventually("both incidents are resolved and every page accepted", secs(15), async || {
        let pages = rig.pages().await;
        let firing = pages.iter().filter(|row| rig.receiver.is_firing(&row.page.alert_key)).count();
        let accepted = pages.iter().filter(|row| row.state == "accepted").count();
        hold((pages.len(), accepted, firing) == (4, 4, 0), || {
            format!("{} pages, {accepted} accepted, {firing} firing", pages.len())
        })?;
        Ok(pages)
    })
    .await
}

fn requests_are_what_the_store_holds(rig: &Rig, pages: &[PageRow]) {
    let requests = rig.receiver.requests();
    assert_eq!((requests.len(), rig.receiver.rings(), rig.receiver.bad_signatures()), (4, 2, 0));
    for row in pages {
        let page = &row.page;
        assert_eq!(page.alert_key, rig.keys.alert(page.incident, page.round));
        let delivery = rig.keys.delivery(page.incident, page.round, page.step, &page.channel, page.kind);
        assert_eq!(page.delivery_key, delivery);
        let request = requests.iter().find(|request| request.id == delivery).expect("the page was sent under its key");
        assert_eq!(request.body["data"]["alert_key"], *page.alert_key);
        let kind = if page.kind == PageKind::Ring { "incident.ring" } else { "incident.resolved" };
        assert_eq!(request.kind(), kind);
        assert_eq!(cases(request).len(), usize::from(page.kind == PageKind::Ring));
    }
}

/// Ids stand in the log and on the board, which belong to the people who answer reports; never in a page or a metric.
async fn nothing_reported_is_told(rig: &Rig, log: &str) {
    for request in rig.receiver.requests() {
        let text = format!("{:?} {}", request.headers, String::from_utf8(request.bytes).unwrap());
        assert!(!text.contains("canary"), "{text}");
    }
    let (status, metrics) = rig.get("/metrics").await;
    assert!(status == 200 && metrics.contains("tocsin_") && !metrics.contains("canary"), "{metrics}");
    for path in ["/", "/api/v1/queue", "/api/v1/status", "/readyz"] {
        let (status, body) = rig.get(path).await;
        assert_eq!(status, 200, "{path}");
        for canary in CANARIES {
            assert!(!body.contains(canary), "{path} holds {canary}");
        }
    }
    assert!(log.contains("leading the store"), "the log is another's: {log}");
    for canary in CANARIES {
        assert!(!log.contains(canary), "the log holds {canary}");
    }
}

#[tokio::test]
async fn shadow_mode_decides_and_records_and_pages_only_the_log() {
    let mut rig = Rig::new("shadow", Base::Sqlite, Base::Sqlite).await;
    rig.settings.mode = "shadow";
    rig.platform.file("watched", "csam", now()).await;
    let monitor = rig.start();
    let line = monitor.says(20, &["tocsin::page", "P0 minor safety overdue", &rig.p0_reference("watched")]).await;
    assert!(line.contains("ERROR"), "{line}");
    rig.platform.respond("watched", now()).await;
    monitor.says(20, &["tocsin::page", "kind=\"resolve\""]).await;
    let pages = rig.pages().await;
    assert!(pages.iter().all(|row| (&*row.page.channel, row.state.as_str()) == ("log", "accepted")), "{pages:?}");
    assert_eq!(pages.len(), 2);
    assert_eq!(rig.receiver.connections(), 0);
}
