//! A store that can't be trusted isn't opened, and the message says what to do.

use super::home::{FINGERPRINT, Home, case, episode, keeping};
use crate::support::ScratchDir;
use tocsin::core::policy::Priority;
use tocsin::secret::Secret;
use tocsin::store::{OpenError, SqlStore, Store};

super::on_both! {
    another_deployments_store_is_refused,
    a_store_of_a_newer_schema_is_refused,
    a_store_can_be_opened_again_and_again,
}

async fn refusal(url: &str) -> String {
    SqlStore::open(&Secret::new(url), FINGERPRINT).await.unwrap_err().to_string()
}

async fn another_deployments_store_is_refused(home: Home) {
    home.open().await;
    let error = SqlStore::open(&home.url(), "a clone").await.unwrap_err();
    assert!(matches!(error, OpenError::OtherDeployment { .. }), "{error}");
    assert!(error.to_string().contains("give the secret that this store was made with"), "{error}");
    home.open().await;
}

async fn a_store_of_a_newer_schema_is_refused(home: Home) {
    home.open().await;
    home.run("UPDATE deployment SET schema_version = 8").await;
    let error = SqlStore::open(&home.url(), FINGERPRINT).await.unwrap_err();
    assert!(matches!(error, OpenError::NewerSchema { theirs: 8, .. }), "{error}");
    // Behind our newest or, where a sister version made it, between ours.
    for version in [7001, 2] {
        home.run(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT {version}, 'theirs', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1"
        ))
        .await;
        let error = SqlStore::open(&home.url(), FINGERPRINT).await.unwrap_err();
        assert!(matches!(error, OpenError::NewerSchema { theirs, .. } if theirs == version), "{error}");
        assert!(error.to_string().contains("start the newer tocsin"), "{error}");
        home.run(&format!("DELETE FROM _sqlx_migrations WHERE version = {version}")).await;
    }
}

async fn a_store_can_be_opened_again_and_again(home: Home) {
    let mut led = home.lead().await;
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    led.store.close().await;
    for token in 2..4 {
        let again = home.lead().await;
        assert_eq!(again.token, token);
        assert_eq!(again.store.load().await.unwrap().sequence, 1);
    }
}

#[tokio::test]
async fn a_url_that_names_no_store_is_explained() {
    for (url, says) in [
        ("mysql://root:hunter2@localhost/db", "neither sqlite nor postgres"),
        ("tocsin.db", "neither sqlite nor postgres"),
        ("sqlite::memory:", "in memory forgets"),
        ("sqlite:", "in memory forgets"),
        ("postgres://u:hunter2@host:notaport/db", "can't be read"),
    ] {
        let message = refusal(url).await;
        assert!(message.contains(says) && !message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let scratch = ScratchDir::new("no_directory");
    let missing = scratch.path().join("missing");
    let message = refusal(&format!("sqlite:{}/tocsin.db", missing.display())).await;
    assert!(message.contains(&format!("the directory {} doesn't exist", missing.display())), "{message}");
    assert!(!missing.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn what_sqlite_writes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::sqlite("private");
    let mut led = home.lead().await;
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    let directory = home.directory.as_ref().unwrap().path();
    let modes = std::fs::read_dir(directory).unwrap().map(|file| {
        let file = file.unwrap();
        (file.file_name().into_string().unwrap(), file.metadata().unwrap().permissions().mode() & 0o777)
    });
    let modes: std::collections::BTreeMap<_, _> = modes.collect();
    assert!(modes.contains_key("tocsin.db") && modes.contains_key("tocsin.db-wal"), "{modes:?}");
    assert!(modes.values().all(|mode| *mode == 0o600), "{modes:?}");
}

#[tokio::test]
async fn a_server_that_refuses_is_named_with_the_cause_and_without_the_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let message = refusal(&format!("postgres://ada:hunter2@127.0.0.1:{port}/store")).await;
    assert!(message.contains(&format!("postgres://127.0.0.1:{port}/store")), "{message}");
    assert!(message.to_lowercase().contains("refused") && !message.contains("hunter2"), "{message}");

    let home = Home::postgres("wrong_password").await;
    let (scheme, rest) = home.url.split_once("://").unwrap();
    let (_, server) = rest.rsplit_once('@').unwrap();
    let message = refusal(&format!("{scheme}://nobody_here:hunter2@{server}")).await;
    assert!(message.contains("authentication failed") && !message.contains("hunter2"), "{message}");
}

/// The database's own default may be to forget: a trigger watches what a commit really runs under.
#[tokio::test]
async fn a_commit_to_postgres_is_synchronous_whatever_the_databases_default() {
    let home = Home::postgres("synchronous").await;
    let (_, name) = home.url.rsplit_once('/').unwrap();
    home.run(&format!("ALTER DATABASE \"{name}\" SET synchronous_commit = off")).await;
    let mut led = home.lead().await;
    home.run(
        "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('synchronous_commit') <> 'on' OR current_setting('statement_timeout') <> '5s' \
         OR current_setting('idle_in_transaction_session_timeout') <> '2s' \
         OR current_setting('application_name') <> 'tocsin' THEN RAISE 'not as promised'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER watch BEFORE INSERT ON cases FOR EACH ROW EXECUTE FUNCTION watch()",
    )
    .await;
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused() {
    let home = Home::postgres("latin1").await;
    let (server, name) = home.url.rsplit_once('/').unwrap();
    home.run(&format!("CREATE DATABASE {name}_l ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")).await;
    let message = refusal(&format!("{server}/{name}_l")).await;
    assert!(message.contains("server_encoding is LATIN1, and must be UTF8"), "{message}");
}
