//! `tocsin page`: a test that rings for real and stands in no figure, and what became of each page.

use super::platform::Base;
use super::process::run;
use super::rig::Rig;
use super::secs;
use crate::delivery::receiver::Reply;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_page_rings_through_the_real_outbox_marked_and_out_of_every_figure() {
    let script = [Reply::Status(503, ""), Reply::Status(200, "")];
    let rig = Rig::scripted("page_test", Base::Sqlite, Base::Sqlite, script).await;
    let monitor = rig.start();
    rig.is_ready().await;
    let variables = rig.variables();
    let page = |arguments: &[&str]| {
        let arguments = [&["page"], arguments, &["--config", "tocsin.toml"]].concat();
        run(rig.scratch.path(), &arguments, &variables)
    };
    let (code, said, told) = page(&["test", "--escalation", "minor-safety", "--by", "ada"]);
    assert_eq!(code, 0, "{said}{told}");
    assert!(said.contains("P0  I-1 round 0 step 0  ring  hook  accepted after 2 attempts: 200  TEST"), "{said}");

    let requests = rig.receiver.requests();
    assert_eq!((requests.len(), rig.receiver.rings()), (2, 1));
    assert_eq!(requests[0].body["data"]["title"], "TEST I-1 of tocsin's pages: nothing is overdue");
    assert_eq!(requests[0].body["data"]["is_test"], true);
    let (_, metrics) = rig.get("/metrics").await;
    for figure in ["tocsin_open_incidents{priority=\"P0\"} 0", "tocsin_pages{channel=\"hook\",state=\"accepted\"} 0"] {
        assert!(metrics.contains(figure), "{figure}: {metrics}");
    }
    monitor.says(5, &["a test of pages", "ada"]).await;

    let (code, list, _) = page(&["list", "--state", "accepted", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((code, list["pages"].as_array().unwrap().len()), (0, 1));
    assert_eq!((&list["pages"][0]["state"], &list["pages"][0]["is_test"]), (&"accepted".into(), &true.into()));
    assert!(page(&["list", "--state", "parked"]).1.contains("no pages"));
    let id = list["pages"][0]["id"].to_string();
    let (code, shown, _) = page(&["show", &id]);
    assert!(code == 0 && shown.contains("1  ") && shown.contains("retry: 503") && shown.contains("accepted: 200"));

    let (code, _, told) = page(&["test", "--escalation", "nobody"]);
    assert!(code == 1 && told.contains("there are: minor-safety, on-call, operators"), "{told}");
    let (code, _, told) = page(&["show", "4711"]);
    assert!(code == 1 && told.contains("there is no page 4711"), "{told}");
    let (code, _, told) = page(&["list", "--state", "lost"]);
    assert!(code == 2 && told.contains("the states are queued, sending"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_page_that_nobody_takes_up_or_accepts_fails() {
    let mut rig = Rig::scripted("page_untested", Base::Sqlite, Base::Sqlite, vec![Reply::Status(400, ""); 9]).await;
    rig.settings.within = "1h";
    let mut monitor = rig.start();
    rig.is_ready().await;
    let variables = rig.variables();
    let test = |wait| {
        let arguments = ["page", "test", "--escalation", "on-call", "--wait", wait, "--config", "tocsin.toml"];
        run(rig.scratch.path(), &arguments, &variables)
    };
    let (code, said, told) = test("20");
    assert!(code == 1 && told.contains("no channel accepted it") && said.contains("parked"), "{said}{told}");
    monitor.signal("TERM");
    assert!(monitor.ends(secs(20).secs()).await.success());
    let (code, _, told) = test("1");
    assert!(code == 1 && told.contains("does one run?"), "{told}");
}
