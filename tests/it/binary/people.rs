//! Taking incidents and keeping them quiet with the program itself: by the link of a page, by PagerDuty's
//! webhook, by the API and by the command line; and who is told of trouble.

use super::platform::Base;
use super::process::run;
use super::rig::{Rig, post};
use super::{eventually, hold, now, secs, throughout};
use crate::delivery::receiver::{Reply, Request};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tocsin::core::time::Span;
use tocsin::keys::hex;
use tocsin::zone::rfc3339;

const WEBHOOK_SECRET: &str = "the secret of a subscription";

/// Waits until the board says so, at most two seconds.
async fn board_says(rig: &Rig, said: &str) {
    eventually(&format!("the board says {said}"), secs(3), async || {
        let (_, html) = rig.get("/?refresh=off").await;
        hold(html.contains(said), || "it doesn't".to_owned())
    })
    .await;
}

/// The incident that the last ring told of, and what that page said.
async fn ringing(rig: &Rig, reference: &str) -> serde_json::Value {
    rig.rang(20, reference).await;
    let requests = rig.receiver.requests();
    let told = requests.iter().rev().find(|request| {
        let cases = request.body["data"]["cases"].as_array().cloned().unwrap_or_default();
        cases.iter().any(|case| case["case"] == reference)
    });
    told.expect("it rang").body["data"].clone()
}

#[tokio::test]
async fn an_incident_is_taken_by_link_by_pagerduty_and_by_the_api_and_the_board_says_so_at_once() {
    let mut rig = Rig::new("people_take", Base::Sqlite, Base::Sqlite).await;
    rig.settings.web = "public_url = \"https://tocsin.example.org\"\npagerduty_webhook_secrets_env = [\"TEST_PD\"]";
    rig.settings.variables = vec![("TEST_PD", WEBHOOK_SECRET.to_owned())];
    let _monitor = rig.start();
    rig.is_ready().await;

    rig.platform.file("one", "csam", now()).await;
    let page = ringing(&rig, &rig.p0_reference("one")).await;
    let url = page["acknowledge"].as_str().expect("the page carries a link");
    let path = url.strip_prefix("https://tocsin.example.org").expect("it leads to the board").to_owned();
    let (status, html) = rig.get(&path).await;
    assert!(status == 200 && html.contains("Your name"), "{html}");
    board_says(&rig, "<bdi>nobody</bdi>").await;
    let form = "application/x-www-form-urlencoded";
    assert_eq!(post(&rig.address(), &path, form, &[], "name=Ada").await.0, 200);
    board_says(&rig, "<bdi>Ada</bdi>, <time").await;

    rig.platform.file("two", "csam", now()).await;
    let page = ringing(&rig, &rig.p0_reference("two")).await;
    let event = serde_json::json!({ "event": {
        "id": "01E", "event_type": "incident.acknowledged", "resource_type": "incident", "occurred_at": rfc3339(now()),
        "agent": { "id": "P1", "summary": "Grace", "type": "user_reference" },
        "data": { "type": "incident", "incident_key": page["alert_key"] },
    } })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(event.as_bytes());
    let signature = format!("v1={}", hex(&mac.finalize().into_bytes()));
    let signed = [("x-pagerduty-signature", signature.as_str())];
    let json = "application/json";
    assert_eq!(post(&rig.address(), "/webhooks/pagerduty", json, &[], &event).await.0, 401);
    assert_eq!(post(&rig.address(), "/webhooks/pagerduty", json, &signed, &event).await.0, 202);
    assert_eq!(post(&rig.address(), "/webhooks/pagerduty", json, &signed, &event).await.0, 200);
    board_says(&rig, "<bdi>Grace (PagerDuty)</bdi>, <time").await;

    rig.platform.file("three", "threat", now()).await;
    let page = ringing(&rig, &rig.reference("three")).await;
    let path = format!("/api/v1/incidents/{}/acknowledge", page["incident"].as_str().unwrap());
    assert_eq!(post(&rig.address(), &path, json, &[], "{\"by\":\"Joan\"}").await.0, 202);
    board_says(&rig, "<bdi>Joan</bdi>, <time").await;
}

#[tokio::test]
async fn a_window_of_the_command_line_holds_what_is_not_p0_until_its_end_and_survives_a_restart() {
    let mut rig = Rig::new("people_window", Base::Sqlite, Base::Postgres).await;
    rig.settings.within = "2s";
    let mut monitor = rig.start();
    rig.is_ready().await;
    let command = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--config", "tocsin.toml"]).collect();
        let variables = rig.variables();
        run(rig.scratch.path(), &all, &variables)
    };
    let until = rfc3339(now().plus(Span::from_secs(25)));
    let asked = ["--by", "ada", "--reason", "moving the queue", "--until", &until];
    let of = |scope: [&'static str; 2]| -> Vec<&str> { ["window"].into_iter().chain(scope).chain(asked).collect() };
    let (code, said, _) = command(&of(["--category", "threat"]));
    assert!(code == 0 && said.contains("P0 at once"), "{said}");
    for (scope, why) in [
        (["--category", "csam"], "minor safety (P0)"),
        (["--category", "never_seen"], "presumed minor safety"),
        (["--escalation", "minor-safety"], "minor safety (P0)"),
    ] {
        let (code, _, told) = command(&of(scope));
        assert!(code == 1 && told.contains(why), "{told}");
    }
    board_says(&rig, "moving the queue").await;
    monitor.kill();
    let _monitor = rig.start();
    rig.is_ready().await;
    assert!(command(&["window"]).1.contains("category threat"), "it is listed");
    rig.platform.file("held", "threat", now()).await;
    rig.platform.file("rings", "csam", now()).await;
    rig.rang(15, &rig.p0_reference("rings")).await;
    let held = rig.reference("held");
    throughout("the window holds", secs(4), async || hold(!rig.rings().contains_key(&held), || "it rang".to_owned()))
        .await;
    rig.rang(40, &held).await;
    let rang =
        rig.pages().await.into_iter().find(|row| &*row.page.channel == "hook" && row.page.payload.contains(&held));
    assert!(rfc3339(rang.expect("its page").page.created_at) >= until);
}

#[tokio::test]
async fn a_category_that_nobody_named_and_a_channel_that_refuses_page_the_operators() {
    let rig = Rig::scripted("people_trouble", Base::Sqlite, Base::Sqlite, [Reply::Status(400, "")]).await;
    let _monitor = rig.start();
    rig.is_ready().await;
    // The first page is refused for good.
    rig.platform.file("refused", "threat", now()).await;
    eventually("a page is parked", secs(20), async || {
        hold(rig.pages().await.iter().any(|row| row.state == "parked"), || "none".to_owned())
    })
    .await;
    eventually("the operators hear that the channel refuses", secs(30), async || {
        let parked = |request: &Request| request.body["data"]["notice"]["what"] == "pages_parked";
        hold(rig.receiver.requests().iter().any(parked), || "nothing".to_owned())
    })
    .await;
    rig.platform.file("unnamed", "brand_new", now()).await;
    eventually("the operators hear of the category", secs(15), async || {
        let told = rig.receiver.requests().iter().any(|request| {
            request.body["data"]["notice"]["what"] == "presumed_categories"
                && request.body["data"]["notice"]["names"][0] == "brand_new"
        });
        hold(told, || format!("{} requests", rig.receiver.requests().len()))
    })
    .await;
    board_says(&rig, "categories of reports that nobody has named: brand_new").await;
    board_says(&rig, "pages that hook refuses for good").await;
}
