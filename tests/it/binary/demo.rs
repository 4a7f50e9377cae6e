//! The first minute with the program: `tocsin demo` on a machine that has nothing else.

use super::process::Process;
use super::rig::get;
use super::{eventually, hold, secs};
use crate::support::ScratchDir;

#[tokio::test]
async fn the_demo_tells_its_address_pages_within_30_seconds_and_leaves_nothing_behind() {
    let scratch = ScratchDir::new("demo");
    let temporary = scratch.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let variables = [("TMPDIR", temporary.to_str().unwrap()), ("RUST_LOG", "info")];
    let mut demo = Process::start(scratch.path(), "demo", &["demo", "--port", "0"], &variables);
    let address = eventually("the address is told", secs(10), async || {
        let output = demo.output();
        let address = output.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        address.map(str::to_owned).ok_or(output)
    })
    .await;
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
