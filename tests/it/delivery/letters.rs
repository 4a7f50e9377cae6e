//! Letters, such as a week's report: each channel's own form of it, under the same key in every attempt; and
//! what rings people takes none.

use super::mail::Sink;
use super::receiver::{Receiver, Reply};
use super::service::{Fault, Product, Service};
use super::{NOW, SECRET};
use std::collections::BTreeMap;
use tocsin::pager::letter::{Enclosure, Letter, Post};
use tocsin::pager::{Answer, AnswerVerdict, ChannelKind, Channels};
use tocsin::secret::Secret;

fn letter() -> Letter {
    let file = |name: &str, media_type, text: &str| Enclosure { name: name.into(), media_type, text: text.into() };
    Letter {
        key: "a1b2".to_owned(),
        kind: "report.weekly",
        title: "SLA report 2026-W46".to_owned(),
        summary: "SLA report 2026-W46 (2026-11-09 to 2026-11-15)\nP0: deadlines kept 3 of 4 & <1> open\n".to_owned(),
        url: Some("https://tocsin.example.org/weekly/2026-W46".to_owned()),
        written_at: NOW,
        html: "<!DOCTYPE html>\n<title>SLA report</title>\n".to_owned(),
        files: vec![
            file("tocsin-2026-W46.html", "text/html; charset=utf-8", "<!DOCTYPE html>\n"),
            file("tocsin-2026-W46.csv", "text/csv; charset=utf-8", "week\r\n2026-W46\r\n"),
        ],
    }
}

async fn post(kind: ChannelKind) -> Answer {
    let channels = Channels::new(BTreeMap::from([("a".into(), kind.into())]), None).unwrap();
    channels.post(&"a".into(), &letter(), NOW).await
}

#[tokio::test]
async fn a_report_arrives_as_mail_with_text_page_and_files_and_again_under_its_message_id() {
    let mut sink = Sink::start(&["451"]);
    let url = Secret::new(format!("smtp://127.0.0.1:{}?tls=none", sink.port));
    let kind = ChannelKind::Email { smtp_url: url, from: None, to: vec!["leads@example.org".to_owned()] };
    let channels = Channels::new(BTreeMap::from([("a".into(), kind.into())]), None).unwrap();
    assert!(matches!(channels.post(&"a".into(), &letter(), NOW).await.verdict, AnswerVerdict::Retry { .. }));
    assert_eq!(channels.post(&"a".into(), &letter(), NOW).await, Answer::accepted("250"));
    let (first, second) = (sink.message(), sink.message());
    assert_eq!(second["headers"]["message-id"], "<a1b2@example.org>");
    assert_eq!(first["headers"]["message-id"], second["headers"]["message-id"]);
    assert_eq!(second["headers"]["subject"], "SLA report 2026-W46");
    let text = second["text"].as_str().unwrap();
    assert!(text.contains("kept 3 of 4") && text.contains("https://tocsin.example.org/weekly/2026-W46"), "{text}");
    assert_eq!(second["html"], true);
    assert_eq!(second["files"], serde_json::json!(["tocsin-2026-W46.html", "tocsin-2026-W46.csv"]));
}

#[tokio::test]
async fn a_report_is_a_signed_webhook_with_its_summary_and_where_it_is() {
    let receiver = Receiver::start(SECRET, [Reply::Status(503, ""), Reply::Status(202, "")]).await;
    let kind = ChannelKind::Webhook { url: Secret::new(receiver.url.clone()), secrets: vec![Secret::new(SECRET)] };
    assert!(matches!(post(kind.clone()).await.verdict, AnswerVerdict::Retry { .. }));
    assert_eq!(post(kind).await, Answer::accepted("202"));
    let requests = receiver.requests();
    assert_eq!((receiver.bad_signatures(), requests[0].id.as_str(), requests[1].id.as_str()), (0, "a1b2", "a1b2"));
    let body = &requests[1].body;
    assert_eq!((&body["type"], &body["data"]["title"]), (&"report.weekly".into(), &"SLA report 2026-W46".into()));
    assert_eq!(body["data"]["url"], "https://tocsin.example.org/weekly/2026-W46");
    assert!(body["data"]["summary"].as_str().unwrap().contains("kept 3 of 4"));
}

#[tokio::test]
async fn a_report_comes_to_slack_as_its_summary_and_a_link_and_without_its_files() {
    let service = Service::start(Product::Slack, [Fault::Refuses(429, Some("30"))]).await;
    let kind = ChannelKind::Slack { url: Secret::new(format!("{}/services/T0/B0/token", service.base)) };
    assert!(matches!(post(kind.clone()).await.verdict, AnswerVerdict::Retry { .. }));
    assert_eq!(post(kind).await, Answer::accepted("200"));
    let inside = service.inside();
    assert_eq!((inside.rings, inside.uris[1].as_str()), (1, "/services/T0/B0/token"));
    let section = inside.bodies[1]["blocks"][1]["text"]["text"].as_str().unwrap();
    let link = "\n<https://tocsin.example.org/weekly/2026-W46|Read the report>";
    assert!(section.contains("kept 3 of 4 &amp; &lt;1&gt; open") && section.ends_with(link), "{section}");
    assert!(!inside.bodies[1].to_string().contains("DOCTYPE"));
}

#[tokio::test]
async fn what_rings_people_takes_no_letter() {
    let routing_key = Secret::new("0123456789abcdef0123456789abcdef");
    let kind = ChannelKind::PagerDuty { base: Some(Secret::new("http://127.0.0.1:9")), routing_key };
    assert_eq!(post(kind).await.verdict, AnswerVerdict::Permanent);
    assert_eq!(post(ChannelKind::Log).await, Answer::accepted("logged"));
}
