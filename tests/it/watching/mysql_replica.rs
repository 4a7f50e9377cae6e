//! A MariaDB replica is watched: its lag is told, and what its primary wrote while it stood still is seen once it goes on.

use super::{Desk, with_updated};
use crate::support::{free_port, is_root};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tocsin::core::time::Span;
use tocsin::keys::Keys;
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::source::AnySource;

const SECOND: Span = Span::from_secs(1);
const USERS: &str = "SET sql_log_bin = 0;
CREATE USER 'tests'@'%' IDENTIFIED BY 'pw';
GRANT ALL ON *.* TO 'tests'@'%';
";

/// A server of one test's own; it ends with the test.
struct Server {
    home: PathBuf,
    process: Child,
    port: u16,
}

impl Server {
    async fn start(id: u32) -> Server {
        let home = std::env::temp_dir().join(format!("tocsin-mariadb-{:016x}", getrandom::u64().unwrap()));
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join("users.sql"), USERS).unwrap();
        let path = |name: &str| home.join(name).display().to_string();
        let mut options = vec!["--no-defaults".to_owned(), format!("--datadir={}", path("data"))];
        if is_root() {
            assert!(Command::new("chown").args(["-R", "mysql"]).arg(&home).status().unwrap().success());
            options.push("--user=mysql".to_owned());
        }
        let quiet = |command: &mut Command| {
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        };
        let mut install = Command::new("mariadb-install-db");
        install.args(&options).args(["--skip-test-db", "--auth-root-authentication-method=normal"]);
        quiet(&mut install);
        assert!(install.status().expect("this test needs MariaDB: run tests/run").success());
        let port = free_port();
        let mut server = Command::new("mariadbd");
        server.args(&options).args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--log-bin=binlog"]).args([
            format!("--server-id={id}"),
            format!("--port={port}"),
            format!("--socket={}", path("socket")),
            format!("--pid-file={}", path("pid")),
            format!("--init-file={}", path("users.sql")),
        ]);
        quiet(&mut server);
        let process = server.spawn().unwrap();
        let server = Server { home, process, port };
        let until = SystemClock.now().plus(Span::from_secs(60));
        while MySqlConnection::connect(&server.url("mysql")).await.is_err() {
            assert!(SystemClock.now() < until, "the server doesn't start");
            SystemClock.sleep_until(SystemClock.now().plus(Span::from_micros(50_000))).await;
        }
        server
    }

    fn url(&self, database: &str) -> String {
        format!("mysql://tests:pw@127.0.0.1:{}/{database}", self.port)
    }

    async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url("mysql")).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

async fn run(conn: &mut MySqlConnection, sql: &str) {
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())))
        .await
        .unwrap_or_else(|error| panic!("{error}, in: {sql}"));
}

/// The replica shows so many rows.
async fn shows(replica: &mut MySqlConnection, count: i64) {
    let until = SystemClock.now().plus(Span::from_secs(30));
    loop {
        let found =
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM platform.reports").fetch_one(&mut *replica).await;
        if found.as_ref().is_ok_and(|found| *found == count) {
            return;
        }
        assert!(SystemClock.now() < until, "the replica doesn't show {count} rows: {found:?}");
        SystemClock.sleep_until(SystemClock.now().plus(Span::from_micros(20_000))).await;
    }
}

#[tokio::test]
async fn a_mariadb_replica_tells_its_lag_and_shows_what_came_once_it_goes_on() {
    let (primary, replica) = tokio::join!(Server::start(1), Server::start(2));
    let (mut writer, mut reader) = (primary.connect().await, replica.connect().await);
    run(
        &mut reader,
        &format!(
            "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'tests', MASTER_PASSWORD = 'pw', \
             MASTER_LOG_FILE = 'binlog.000001', MASTER_LOG_POS = 4; START SLAVE",
            primary.port
        ),
    )
    .await;
    run(&mut writer, "CREATE DATABASE platform; USE platform; CREATE TABLE reports (id bigint PRIMARY KEY, reason varchar(20), created datetime(6), closed datetime(6), updated datetime(6), KEY (updated, id)); INSERT INTO reports VALUES (1, 'spam', UTC_TIMESTAMP(6), NULL, UTC_TIMESTAMP(6) - INTERVAL 1 HOUR)").await;
    shows(&mut reader, 1).await;

    let settings = with_updated(&replica.url("platform"), SECOND);
    let source = AnySource::open(settings.clone(), Keys::new(b"a secret of a test")).unwrap();
    let lag = source.vitals().await.unwrap().lag.expect("it is a replica");
    assert!(!lag.cut_off && lag.behind <= Span::from_secs(5), "{lag:?}");
    let mut desk = Desk::new(settings);
    desk.poll().await.unwrap();
    let file = |id: i64| {
        format!("INSERT INTO platform.reports VALUES ({id}, 'csam', UTC_TIMESTAMP(6), NULL, UTC_TIMESTAMP(6))")
    };
    run(&mut writer, &file(2)).await;
    shows(&mut reader, 2).await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["2"]);

    run(&mut reader, "STOP SLAVE SQL_THREAD").await;
    run(&mut writer, &file(3)).await;
    let lag = source.vitals().await.unwrap().lag.expect("it is a replica");
    assert!(lag.cut_off, "{lag:?}");
    run(&mut reader, "DO SLEEP(1.1)").await;
    let later = source.vitals().await.unwrap().lag.expect("it is a replica");
    assert!(later.cut_off && later.behind >= SECOND, "it ages: {later:?}");
    desk.poll_after(SECOND).await;
    assert!(desk.came.is_empty(), "{:?}", desk.came);

    run(&mut reader, "START SLAVE SQL_THREAD").await;
    shows(&mut reader, 3).await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["3"]);
    let lag = source.vitals().await.unwrap().lag.expect("it is a replica");
    assert!(!lag.cut_off, "{lag:?}");

    run(&mut reader, "STOP SLAVE; RESET SLAVE ALL").await;
    let alone = source.vitals().await.unwrap();
    assert_eq!((alone.lag, alone.unchecked), (None, None), "it is a primary of its own");
    run(&mut reader, "SET GLOBAL read_only = 1").await;
    let told = source.vitals().await.unwrap().unchecked;
    assert!(told.is_some_and(|what| what.contains("takes no writes and names no primary")), "{told:?}");
}
