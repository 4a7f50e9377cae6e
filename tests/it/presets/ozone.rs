//! Ozone: times as text, a report's row that is younger than the report, activities that tell what was done.

use super::*;
use tocsin::zone::rfc3339;

const REPORT: &str = "tools.ozone.moderation.defs#modEventReport";
const CSAM: &str = "tools.ozone.report.defs#reasonChildSafetyCSAM";
const PRIVACY: &str = "tools.ozone.report.defs#reasonChildSafetyPrivacy";
const SPAM: &str = "com.atproto.moderation.defs#reasonSpam";

const TABLES: &str = r#"
CREATE TABLE moderation_event (id serial PRIMARY KEY, action varchar NOT NULL, "subjectType" varchar NOT NULL, "subjectDid" varchar NOT NULL,
  "subjectUri" varchar, "subjectCid" varchar, comment text, meta jsonb, "createdAt" varchar NOT NULL, "createdBy" varchar NOT NULL,
  "durationInHours" int, "expiresAt" varchar, "createLabelVals" varchar, "negateLabelVals" varchar, "legacyRefId" int);
CREATE INDEX moderation_event_created_at_idx ON moderation_event ("createdAt");
CREATE INDEX moderation_event_created_by_idx ON moderation_event ("createdBy", "createdAt", id);
CREATE INDEX moderation_event_report_id_idx ON moderation_event (id) WHERE action = 'tools.ozone.moderation.defs#modEventReport';
CREATE INDEX moderation_event_subject_did_idx ON moderation_event ("subjectDid");
CREATE TABLE report (id serial PRIMARY KEY, "eventId" int NOT NULL UNIQUE, "queueId" int, "queuedAt" varchar, "actionEventIds" jsonb,
  "actionNote" text, "isMuted" boolean NOT NULL DEFAULT false, status varchar NOT NULL DEFAULT 'open', "reportType" varchar NOT NULL,
  did varchar NOT NULL, "recordPath" varchar NOT NULL DEFAULT '', "subjectMessageId" varchar, "subjectConvoId" varchar,
  "createdAt" varchar NOT NULL, "updatedAt" varchar NOT NULL, "assignedTo" varchar, "assignedAt" varchar, "closedAt" varchar,
  "isAutomated" boolean NOT NULL DEFAULT false);
CREATE INDEX ON report (status, "createdAt" DESC, id DESC) WHERE status <> 'closed';
CREATE INDEX ON report ("createdAt", "reportType");
CREATE TABLE report_activity (id serial PRIMARY KEY, "reportId" int NOT NULL, "activityType" varchar NOT NULL, "previousStatus" varchar,
  "internalNote" text, "publicNote" text, meta jsonb, "isAutomated" boolean NOT NULL DEFAULT false, "createdBy" text NOT NULL,
  "createdAt" varchar NOT NULL);
CREATE INDEX idx_report_activity_report_created ON report_activity ("reportId", "createdAt", id);
CREATE INDEX idx_report_activity_created ON report_activity ("createdAt", id);
"#;

/// A report as the event tells it, before any router has seen it.
fn event(id: u32, kind: &str, at: Timestamp) -> String {
    format!(
        "INSERT INTO moderation_event (id, action, \"subjectType\", \"subjectDid\", \"subjectUri\", comment, meta, \"createdAt\", \"createdBy\") \
         VALUES ({id}, '{REPORT}', 'com.atproto.repo.strongRef', 'did:plc:target', 'at://did:plc:target/app.bsky.feed.post/1', 'words', \
         '{{\"reportType\": \"{kind}\"}}', '{}', 'did:plc:reporter{id}')",
        rfc3339(at)
    )
}

/// The router's row for it.
fn routed(id: u32, kind: &str, at: Timestamp) -> String {
    let at = rfc3339(at);
    format!(
        "INSERT INTO report (id, \"eventId\", \"reportType\", did, \"createdAt\", \"updatedAt\", status) \
         VALUES ({}, {id}, '{kind}', 'did:plc:target', '{at}', '{at}', 'open')",
        id + 100
    )
}

fn activity(kind: &str, by: &str, is_automated: bool, at: Timestamp) -> String {
    format!(
        "INSERT INTO report_activity (\"reportId\", \"activityType\", \"createdBy\", \"isAutomated\", \"createdAt\") \
         VALUES (101, '{kind}', '{by}', {is_automated}, '{}')",
        rfc3339(at)
    )
}

fn now(desk: &Desk) -> Timestamp {
    tocsin::run::clock::Clock::now(&desk.clock)
}

#[tokio::test]
async fn a_report_of_ozone_lives_through_everything_that_can_happen_to_it() {
    let database = Database::with(TABLES).await;
    let config = written("ozone", &database.url()).await;
    let mut desk = watch(&config, "reports");
    desk.poll().await.unwrap();
    database.run(&event(1, CSAM, now(&desk))).await;
    assert_eq!(told(&mut desk, "1").await, [""; 0]);
    assert_eq!(desk.category("1"), Some(CSAM));
    assert!(case_of(&desk, "1").is_p0() && !is_presumed(&case_of(&desk, "1")), "before the router has seen it");
    database.run(&routed(1, CSAM, now(&desk))).await;
    database.run(&activity("noteActivity", "did:plc:labeler", true, now(&desk))).await;
    assert_eq!(told(&mut desk, "1").await, ["first_response by a script"]);
    database.run(&activity("assignmentActivity", "did:plc:mod", false, now(&desk))).await;
    assert_eq!(told(&mut desk, "1").await[1..], ["reviewer_action by did:plc:mod"]);
    database.run(&activity("noteActivity", "did:plc:mod", false, now(&desk))).await;
    assert_eq!(told(&mut desk, "1").await[2..], ["first_response by did:plc:mod"]);

    database.run(&event(2, PRIVACY, now(&desk))).await;
    desk.poll_after(SECOND).await;
    assert_eq!(case_of(&desk, "2").reports.keys().count(), 2, "a repeat by another account joins the case");
    database.run("DELETE FROM moderation_event WHERE id = 2").await;

    // A label closes a report too; only a takedown is a violation.
    let close = |at: Timestamp, actions: &str| {
        format!(
            "UPDATE report SET status = 'closed', \"closedAt\" = '{}', \"actionEventIds\" = '{actions}' WHERE id = 101; {}",
            rfc3339(at),
            activity("closeActivity", "did:plc:mod", false, at)
        )
    };
    database.run(&close(now(&desk), "[3]")).await;
    let closed = told(&mut desk, "1").await;
    assert!(closed.contains(&"closed by did:plc:mod".to_owned()), "{closed:?}");
    assert_eq!(verdict(&desk, "1"), Verdict::NoViolation);
    database
        .run(&format!(
            "UPDATE report SET status = 'open', \"closedAt\" = NULL WHERE id = 101; {}",
            activity("reopenActivity", "did:plc:mod", false, now(&desk))
        ))
        .await;
    let reopened = told(&mut desk, "1").await;
    assert!(reopened.contains(&"reopened by did:plc:mod".to_owned()), "{reopened:?}");
    assert!(!reopened.iter().any(|event| event.starts_with("closed")), "{reopened:?}");
    database.run(&format!("UPDATE report SET \"reportType\" = '{SPAM}' WHERE id = 101")).await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.category("1"), Some(SPAM));
    assert!(case_of(&desk, "1").is_p0(), "another reason lowers no minor's report");
    database
        .run(&format!(
            "INSERT INTO moderation_event (id, action, \"subjectType\", \"subjectDid\", \"createdAt\", \"createdBy\") VALUES \
             (4, 'tools.ozone.moderation.defs#modEventTakedown', 'x', 'did:plc:target', '2026-01-01T00:00:00Z', 'did:plc:mod'); {}",
            close(now(&desk), "[4]")
        ))
        .await;
    told(&mut desk, "1").await;
    assert_eq!(verdict(&desk, "1"), Verdict::Violation);
    database.end().await;
}

#[tokio::test]
async fn l22_a_surge_at_the_router_makes_no_report_look_younger_and_hides_none() {
    let database = Database::with(TABLES).await;
    let config = written("ozone", &database.url()).await;
    let mut desk = watch(&config, "reports");
    let long_ago = now(&desk).minus(Span::from_hours(3));
    for id in 1..=300 {
        database.run(&event(id, if id == 200 { CSAM } else { SPAM }, long_ago)).await;
    }
    desk.poll().await.unwrap();
    assert_eq!(desk.seen.len(), 300, "the router has seen none of them yet");
    let deadlines =
        |desk: &Desk| case_of(desk, "200").clocks.iter().filter_map(|clock| clock.deadline).collect::<Vec<_>>();
    let before = deadlines(&desk);
    assert!(before.iter().all(|deadline| *deadline < now(&desk)), "they count from the event: {before:?}");
    database.run(&routed(200, CSAM, now(&desk))).await;
    desk.poll_after(SECOND).await;
    assert_eq!((received(&desk, "200"), deadlines(&desk)), (long_ago, before));
    database.end().await;
}
