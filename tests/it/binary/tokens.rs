//! Tokens with the program itself: made and revoked by the command line, asked for by the board and the API, sent by the
//! commands, and written down with what was done by whom and from where.

use super::platform::Base;
use super::process::run;
use super::rig::{Rig, post};
use super::{eventually, hold, now, secs};

async fn ask(rig: &Rig, path: &str, token: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let request = crate::web_page::client().get(format!("http://{}{path}", rig.address()));
    let answer = request.header("authorization", bearer).send().await.expect("the monitor answers");
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_token_opens_what_its_role_allows_until_it_is_revoked_and_the_audit_log_says_who_did_what_from_where() {
    let mut rig = Rig::new("tokens", Base::Sqlite, Base::Sqlite).await;
    rig.settings.web = "access = \"tokens\"";
    let _monitor = rig.start();
    let command = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--config", "tocsin.toml"]).collect();
        run(rig.scratch.path(), &all, &rig.variables())
    };
    eventually("the monitor answers", secs(30), async || {
        let (status, _) = rig.get("/healthz").await;
        hold(status == 200, || format!("{status}"))
    })
    .await;
    assert_eq!(rig.get("/api/v1/queue").await.0, 401);
    let make = |role: &str| {
        let (code, token, told) =
            command(&["token", "create", "--name", role, "--role", role, "--expires", "1d", "--by", "root"]);
        assert!(code == 0 && told.contains("shown this once"), "{told}");
        token.trim().to_owned()
    };
    let (responder, admin) = (make("responder"), make("admin"));
    assert!(responder.starts_with("tocsin_") && responder.len() == 50, "{responder}");
    eventually("the token opens the queue", secs(10), async || {
        let (status, _) = ask(&rig, "/api/v1/queue", &responder).await;
        hold(status == 200, || format!("{status}"))
    })
    .await;
    assert_eq!(ask(&rig, "/api/v1/audit", &responder).await.0, 403);

    rig.platform.file("one", "csam", now()).await;
    let page = rig.rang(20, &rig.p0_reference("one")).await;
    assert!(page["case"].is_string());
    let (_, incidents) = ask(&rig, "/api/v1/incidents", &responder).await;
    let incidents: serde_json::Value = serde_json::from_str(&incidents).unwrap();
    let path = format!("/api/v1/incidents/{}/acknowledge", incidents["incidents"][0]["no"].as_str().unwrap());
    let bearer = format!("Bearer {responder}");
    let signed = [("authorization", bearer.as_str())];
    assert_eq!(post(&rig.address(), &path, "application/json", &[], "{}").await.0, 401);
    assert_eq!(post(&rig.address(), &path, "application/json", &signed, "{}").await.0, 202);
    eventually("the audit log has the deed", secs(10), async || {
        let (_, audit) = ask(&rig, "/api/v1/audit", &admin).await;
        let said = audit.contains("\"kind\":\"acknowledge\"") && audit.contains("\"origin\":\"API 127.0.0.1\"");
        hold(said && audit.contains("\"kind\":\"token_create\""), || audit.clone())
    })
    .await;

    let (code, said, told) = command(&["token", "list"]);
    assert!(
        code == 0 && said.contains("responder  responder  in force until") && !said.contains(&responder),
        "{said}{told}"
    );
    let (code, _, told) = command(&["token", "revoke", "1", "--by", "root"]);
    assert_eq!(code, 0, "{told}");
    eventually("a revoked token opens nothing", secs(10), async || {
        let (status, _) = ask(&rig, "/api/v1/queue", &responder).await;
        hold(status == 401, || format!("{status}"))
    })
    .await;
    let (code, _, told) = command(&["token", "revoke", "1"]);
    assert!(code == 1 && told.contains("is no token that is in force"), "{told}");
    for (expires, why) in [("2y", "unknown unit"), ("400d", "a year at most"), ("0s", "must lie ahead")] {
        let (code, _, told) = command(&["token", "create", "--name", "x", "--role", "viewer", "--expires", expires]);
        assert!(code == 1 && (told.contains(why) || told.contains("write 12h")), "{expires}: {told}");
    }
}
