//! F21: a store knows whose it is. What was cloned, restored or fed from elsewhere pages once a person says so.

use super::home::{FINGERPRINT, Home, case, episode, keeping, take_the_lead};
use crate::kit::minute;
use std::os::unix::fs::PermissionsExt;
use tocsin::core::policy::Priority;
use tocsin::secret::Secret;
use tocsin::store::{BackupError, Claim, SqlStore, Store, backup};

super::on_both! {
    f21_a_new_store_is_ours_and_stays_it,
    f21_a_store_fed_from_another_database_is_refused_until_it_is_adopted,
    f21_a_store_that_has_gone_back_is_refused_and_numbers_its_incidents_anew_once_adopted,
    f21_a_store_that_fell_back_with_its_database_goes_on_under_new_numbers,
    f21_a_store_whose_secret_is_lost_is_adopted_under_another,
}

fn claim(mark: Option<u64>) -> Claim {
    let sources = vec![("reports".into(), "here".to_owned())];
    Claim { fingerprint: FINGERPRINT.to_owned(), sources, mark }
}

async fn refusal(store: &SqlStore, claim: &Claim) -> String {
    let refused = store.claim(claim, minute(1)).await.unwrap_err().to_string();
    assert!(refused.contains("tocsin store adopt --by"), "{refused}");
    refused
}

async fn next_incident(store: &SqlStore) -> u64 {
    store.load().await.unwrap().next_incident
}

async fn f21_a_new_store_is_ours_and_stays_it(home: Home) {
    for mark in [None, Some(0), None] {
        let store = home.open().await;
        store.claim(&claim(mark), minute(1)).await.unwrap();
        let more =
            Claim { sources: vec![("reports".into(), "here".into()), ("more".into(), "there".into())], ..claim(mark) };
        store.claim(&more, minute(2)).await.unwrap();
        assert_eq!(next_incident(&store).await, 1);
        assert!(store.adopt(&claim(mark), "ada", minute(3)).await.unwrap().is_empty());
    }
    assert_eq!(home.number("SELECT COUNT(*) FROM adoptions").await, 0);
}

async fn f21_a_store_fed_from_another_database_is_refused_until_it_is_adopted(home: Home) {
    let store = home.open().await;
    store.claim(&claim(None), minute(1)).await.unwrap();
    let staging = Claim { sources: vec![("reports".into(), "staging".into())], ..claim(None) };
    let refused = refusal(&store, &staging).await;
    assert!(refused.contains("another database than that of the source reports"), "{refused}");
    assert_eq!(store.adopt(&staging, "ada", minute(2)).await.unwrap().len(), 1);
    store.claim(&staging, minute(3)).await.unwrap();
    assert!(refusal(&store, &claim(None)).await.contains("another database"));
    assert_eq!(home.number("SELECT COUNT(*) FROM adoptions WHERE by_whom = 'ada'").await, 1);
}

async fn f21_a_store_that_has_gone_back_is_refused_and_numbers_its_incidents_anew_once_adopted(home: Home) {
    let mut led = home.lead().await;
    led.store.claim(&claim(None), minute(1)).await.unwrap();
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    led.store.hand_over(led.token).await.unwrap();
    led.store.claim(&claim(Some(1)), minute(1)).await.unwrap();
    let refused = refusal(&led.store, &claim(Some(43))).await;
    assert!(refused.contains("gone back by 42 plans"), "{refused}");
    led.store.adopt(&claim(Some(43)), "ada", minute(2)).await.unwrap();
    led.store.claim(&claim(None), minute(3)).await.unwrap();
    assert_eq!(next_incident(&led.store).await, 1_000_001);
    let old = led.commit(&keeping([case(episode(2), Priority::P0)])).await;
    assert!(old.is_err(), "whoever led before the adoption is fenced");
    assert_eq!(led.store.load().await.unwrap().cases.len(), 1);
}

async fn f21_a_store_that_fell_back_with_its_database_goes_on_under_new_numbers(home: Home) {
    let led = home.lead().await;
    led.store.claim(&claim(Some(7)), minute(1)).await.unwrap();
    assert_eq!(next_incident(&led.store).await, 1_000_001);
    led.store.claim(&claim(Some(7)), minute(1)).await.unwrap();
    assert_eq!(next_incident(&led.store).await, 2_000_001);
}

async fn f21_a_store_whose_secret_is_lost_is_adopted_under_another(home: Home) {
    let mut led = home.lead().await;
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    let new = Claim { fingerprint: "a new one".to_owned(), ..claim(None) };
    assert!(SqlStore::open(&home.url(), "a new one").await.unwrap_err().to_string().contains("tocsin store adopt"));
    let (store, theirs) = SqlStore::open_of_any(&home.url(), "a new one").await.unwrap();
    assert_eq!(theirs, FINGERPRINT);
    let why = store.adopt(&new, "ada", minute(2)).await.unwrap();
    assert_eq!(why, ["it was made with another deployment secret"]);
    let store = SqlStore::open(&home.url(), "a new one").await.unwrap();
    store.claim(&new, minute(3)).await.unwrap();
    take_the_lead(&store, "new").await;
    assert_eq!(store.load().await.unwrap().cases.len(), 1);
    assert!(SqlStore::open(&home.url(), FINGERPRINT).await.is_err());
}

#[tokio::test]
async fn f21_a_clone_of_a_database_is_refused() {
    let home = Home::postgres("cloned").await;
    let store = home.open().await;
    store.claim(&claim(None), minute(1)).await.unwrap();
    store.close().await;
    let (server, name) = home.url.rsplit_once('/').unwrap();
    let admin = Home { url: crate::support::postgres_admin_url(), directory: None };
    admin.run(&format!("CREATE DATABASE {name}_c TEMPLATE {name}")).await;
    let clone = SqlStore::open(&Secret::new(format!("{server}/{name}_c")), FINGERPRINT).await.unwrap();
    assert!(refusal(&clone, &claim(None)).await.contains("it is a copy"));
    home.open().await.claim(&claim(None), minute(1)).await.unwrap();
}

#[tokio::test]
async fn f21_a_copied_file_is_refused() {
    let home = Home::sqlite("copied");
    let store = home.open().await;
    store.claim(&claim(None), minute(1)).await.unwrap();
    store.close().await;
    let directory = home.directory.as_ref().unwrap().path();
    std::fs::copy(directory.join("tocsin.db"), directory.join("clone.db")).unwrap();
    let url = Secret::new(format!("sqlite:{}", directory.join("clone.db").display()));
    let clone = SqlStore::open(&url, FINGERPRINT).await.unwrap();
    assert!(refusal(&clone, &claim(None)).await.contains("it is a copy"));
}

#[tokio::test]
async fn f21_a_backup_taken_under_writes_holds_everything_and_says_that_it_is_one() {
    let home = Home::sqlite("backup");
    let mut led = home.lead().await;
    led.store.claim(&claim(None), minute(1)).await.unwrap();
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    let directory = home.directory.as_ref().unwrap().path();
    let copy = directory.join("it's.backup");
    led.store.backup(&copy, "it is a backup of a minute").await.unwrap();
    let again = led.store.backup(&copy, "").await;
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    led.commit(&keeping([case(episode(2), Priority::P0)])).await.unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(directory.join("it's.backup.secret"), "a secret").unwrap();
    let target = directory.join("restored.db");
    backup::restore(&copy, &target).unwrap();
    for file in [target.clone(), directory.join("restored.db.secret")] {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    assert!(matches!(backup::restore(&copy, &target), Err(BackupError::Exists(_))));
    let url = Secret::new(format!("sqlite:{}", target.display()));
    let restored = SqlStore::open(&url, FINGERPRINT).await.unwrap();
    assert!(refusal(&restored, &claim(None)).await.contains("it is a backup of a minute"));
    restored.adopt(&claim(None), "ada", minute(9)).await.unwrap();
    restored.claim(&claim(None), minute(9)).await.unwrap();
    let stored = restored.load().await.unwrap();
    assert_eq!((stored.sequence, stored.cases.len(), stored.next_incident), (1, 1, 1_000_001));
}

#[tokio::test]
async fn a_restore_never_replaces_a_store_or_another_secret() {
    let home = Home::sqlite("no_overwrite");
    home.open().await.close().await;
    let directory = home.directory.as_ref().unwrap().path();
    let (from, to) = (directory.join("tocsin.db"), directory.join("new.db"));
    std::fs::write(directory.join("new.db-wal"), "left over").unwrap();
    assert!(matches!(backup::restore(&from, &to), Err(BackupError::Exists(_))));
    std::fs::remove_file(directory.join("new.db-wal")).unwrap();
    std::fs::write(directory.join("tocsin.db.secret"), "one").unwrap();
    std::fs::write(directory.join("new.db.secret"), "another").unwrap();
    assert!(matches!(backup::restore(&from, &to), Err(BackupError::OtherSecret(_))));
    assert!(!to.exists());
}
