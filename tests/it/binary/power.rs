//! A machine that loses its power drops whatever wasn't synced. A library of our own, loaded into the monitor, keeps
//! each file as it was at its last sync; after a kill the files are put back to that.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use crate::support::{PrivatePostgres, data_file};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A library to be loaded into the program, built from its source under tests/data/power.
pub fn library(rig: &Rig, name: &str) -> String {
    let library = rig.scratch.path().join(format!("{name}.so"));
    let source = data_file(&format!("power/{name}.c"));
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    assert!(built.expect("this test needs a C compiler: run tests/run").success());
    library.display().to_string()
}

/// Loads the library into what the rig starts, for the files of one directory; gives where it keeps them.
fn watch_syncs(rig: &mut Rig, of: &Path) -> PathBuf {
    let library = library(rig, "synced");
    let into = rig.scratch.path().join("synced");
    std::fs::create_dir(&into).unwrap();
    let text = |path: &Path| path.display().to_string();
    rig.settings.variables.extend([("LD_PRELOAD", library), ("SYNCED_OF", text(of)), ("SYNCED_INTO", text(&into))]);
    into
}

/// The files are what was synced of them, and nothing else is left. A file stays the same file: it isn't a copy.
fn lose_power(of: &Path, kept: &Path) {
    for file in std::fs::read_dir(of).unwrap() {
        let file = file.unwrap();
        match std::fs::read(kept.join(file.file_name())) {
            Ok(synced) => std::fs::write(file.path(), synced).unwrap(),
            Err(_) => std::fs::remove_file(file.path()).unwrap(),
        }
    }
}

#[tokio::test]
async fn what_rang_is_in_a_store_that_has_lost_everything_unsynced() {
    let mut rig = Rig::new("power", Base::Sqlite, Base::Sqlite).await;
    let disk = rig.scratch.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    rig.settings.store_url = format!("sqlite:{}", disk.join("tocsin.db").display());
    let kept = watch_syncs(&mut rig, &disk);
    for round in 0..3 {
        let mut monitor = rig.start();
        rig.is_ready().await;
        for n in 0..3 {
            rig.platform.file(&format!("r{round}{n}"), "csam", now()).await;
        }
        for n in 0..3 {
            rig.rang(20, &rig.p0_reference(&format!("r{round}{n}"))).await;
        }
        monitor.kill();
        assert!(kept.join("tocsin.db-wal").metadata().unwrap().len() > 0);
        lose_power(&disk, &kept);
        let pages: Vec<String> = rig.pages().await.into_iter().map(|row| row.page.delivery_key).collect();
        let requests = rig.receiver.requests();
        let unknown: Vec<&str> =
            requests.iter().map(|request| &*request.id).filter(|id| !pages.iter().any(|key| key == id)).collect();
        assert!(unknown.is_empty(), "{unknown:?} rang and the store knows nothing of it");
    }
    assert!(rig.rings().values().all(|keys| keys.len() == 1), "{:?}", rig.rings());
}

#[tokio::test]
async fn what_rang_in_an_emergency_is_in_a_spool_that_has_lost_everything_unsynced() {
    let server = PrivatePostgres::start().await;
    let mut rig = Rig::new("power_spool", Base::Sqlite, Base::Sqlite).await;
    rig.settings.store_url = server.database("tocsin").await;
    let of = rig.scratch.path().join("tocsin.toml.spool");
    let kept = watch_syncs(&mut rig, &of).join("tocsin.toml.spool");
    let mut monitor = rig.start();
    rig.is_ready().await;
    server.stop("immediate");
    rig.platform.file("r0", "csam", now()).await;
    rig.rang(15, &rig.p0_reference("r0")).await;
    monitor.kill();
    let rang: Vec<String> = rig.rings().remove(&rig.p0_reference("r0")).unwrap().into_iter().collect();
    let spool = std::fs::read_to_string(&kept).unwrap();
    assert!(rang.iter().all(|key| spool.contains(key.as_str())), "{rang:?} in {spool}");
    std::fs::copy(&kept, &of).unwrap();

    server.start_again();
    let _again = rig.start();
    rig.is_ready().await;
    eventually("it rings anew, in the round after", secs(20), async || {
        let pages = rig.pages().await;
        hold(pages.iter().any(|row| row.page.round == 1 && row.state == "accepted"), || format!("{pages:?}"))
    })
    .await;
}
