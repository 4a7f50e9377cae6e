//! The first minute with the program: `tocsin demo` on a machine that has nothing else.

use super::process::Process;
use super::rig::{get, post};
use super::{eventually, hold, secs};
use crate::support::ScratchDir;
use std::path::PathBuf;

/// Starts the demo, and waits for its address; its files go into a directory of their own.
async fn started(scratch: &ScratchDir) -> (Process, String, PathBuf) {
    let temporary = scratch.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let variables = [("TMPDIR", temporary.to_str().unwrap()), ("RUST_LOG", "info")];
    let demo = Process::start(scratch.path(), "demo", &["demo", "--port", "0"], &variables);
    let address = eventually("the address is told", secs(10), async || {
        let output = demo.output();
        let address = output.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.map(str::to_owned).ok_or(output)
    })
    .await;
    (demo, address, temporary)
}

#[tokio::test]
async fn the_demo_tells_its_address_pages_within_30_seconds_and_leaves_nothing_behind() {
    let scratch = ScratchDir::new("demo");
    let (mut demo, address, temporary) = started(&scratch).await;
    assert!(demo.output().contains("synthetic"));
    demo.says(30, &["P0", "minor safety overdue"]).await;
    eventually("the page lists the queue and the pages", secs(10), async || {
        let (status, body) = get(&address, "/").await;
        let listed = ["C-", "I-1", "synthetic"].iter().all(|word| body.contains(word));
        let kinds = ["csam", "grooming", "self_harm", "ncii", "harassment", "spam"];
        let listed = listed && kinds.iter().filter(|kind| body.contains(**kind)).count() >= 3;
        hold(status == 200 && listed, || format!("{status}, {} bytes", body.len()))
    })
    .await;
    assert_eq!(get(&address, "/readyz").await.0, 200);
    let its_own = temporary.join(format!("tocsin-demo-{}", demo.id()));
    assert!(its_own.is_dir(), "{}", its_own.display());

    demo.signal("INT");
    assert_eq!(demo.ends(10).await.code(), Some(0));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the demo left something behind");
}

/// Presses a button of the board as its form does.
async fn press(address: &str, button: &str) {
    let (_, board) = get(address, "/").await;
    let form = board.split(&format!("action=\"{button}\"")).nth(1).expect("the board has this button");
    let proof = form.split("name=\"proof\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let kind = "application/x-www-form-urlencoded";
    let (status, body) = post(address, button, kind, &[], &format!("proof={proof}")).await;
    assert_eq!(status, 303, "{button}: {body}");
    let (status, _) = post(address, button, kind, &[], "proof=made-up").await;
    assert_eq!(status, 403, "{button} is pressed by this board's own forms alone");
}

#[tokio::test]
async fn the_demos_buttons_bring_a_storm_and_blindness_and_its_weekly_report_says_that_it_is_synthetic() {
    let scratch = ScratchDir::new("demo_buttons");
    let (demo, address, _) = started(&scratch).await;
    let open = async || {
        let (_, scraped) = get(&address, "/metrics").await;
        let counts = scraped.lines().filter(|line| line.starts_with("tocsin_open_cases{"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    eventually("the demo has its backlog", secs(15), async || {
        let count = open().await;
        hold((1.0..200.0).contains(&count), || format!("{count} open"))
    })
    .await;
    press(&address, "/demo/storm").await;
    eventually("the storm's 400 reports are open, as far as nobody has answered them", secs(15), async || {
        let count = open().await;
        hold(count > 300.0, || format!("{count} open"))
    })
    .await;
    press(&address, "/demo/blind").await;
    eventually("the board says that the source can't be seen", secs(40), async || {
        let (ready, reasons) = get(&address, "/readyz").await;
        hold(ready == 503 && reasons.contains("there is no table reports"), || format!("{ready} {reasons}"))
    })
    .await;
    let (status, week) = get(&address, "/demo/week").await;
    assert!(status == 200 && week.contains("ynthetic"), "{status}");
    drop(demo);
}
