//! What integration tests share: databases of their own, scratch directories and the real records of tests/data.
//! Whatever is missing on the machine is a failure that says what to run, never a skipped test.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, PgConnection, QueryBuilder, Sqlite};

/// Rows in one INSERT: with SQLite's limit of 32,766 parameters a table may have 65 columns.
const ROWS_PER_INSERT: usize = 500;

/// The URL of the PostgreSQL server that `tests/run` started, as its superuser.
///
/// # Panics
/// When no server was started for the tests.
pub fn postgres_admin_url() -> String {
    std::env::var("TOCSIN_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!(
            "this test needs a PostgreSQL server and TOCSIN_TEST_POSTGRES is not set: run tests/run, which starts one"
        )
    })
}

/// Creates an empty PostgreSQL database of a name that nothing else has and returns its URL. It is not dropped: it goes
/// with the server.
pub async fn fresh_postgres_database(name_hint: &str) -> String {
    let admin_url = postgres_admin_url();
    let (server, _) = admin_url.rsplit_once('/').expect("TOCSIN_TEST_POSTGRES ends in /database");
    let hint: String = name_hint
        .chars()
        .take(30)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let name = format!("{hint}_{:016x}", random());

    let mut admin = PgConnection::connect(&admin_url).await.expect("connect to the server of TOCSIN_TEST_POSTGRES");
    admin.execute(AssertSqlSafe(format!("create database {}", quoted(&name)))).await.expect("create a database");
    admin.close().await.expect("close the connection");
    format!("{server}/{name}")
}

/// A PostgreSQL server of one test's own, which may be stopped and started; it ends with the test.
pub struct PrivatePostgres {
    home: PathBuf,
    bin: PathBuf,
    port: u16,
}

impl PrivatePostgres {
    /// # Panics
    /// Where PostgreSQL isn't installed: tests/run installs it.
    pub async fn start() -> Self {
        let server = Self::placed();
        server.run("initdb", &["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        server.control("start", "fast");
        server
    }

    /// A streaming replica of it, a server of its own.
    pub fn replica(&self) -> Self {
        let replica = Self::placed();
        let port = self.port.to_string();
        let primary = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        replica.run("pg_basebackup", &[&primary[..], &["-R", "-X", "stream", "-c", "fast", "--no-sync"]].concat());
        replica.control("start", "fast");
        replica
    }

    /// From now on it takes writes.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-s", "-t", "60"]);
    }

    pub fn restart(&self, how: &str) {
        self.control("restart", how);
    }

    pub fn stop(&self, how: &str) {
        self.control("stop", how);
    }

    pub fn start_again(&self) {
        self.control("start", "fast");
    }

    /// A directory and a port for a server that isn't there yet.
    fn placed() -> Self {
        let home = std::env::temp_dir().join(format!("tocsin-postgres-{:016x}", random()));
        std::fs::create_dir(&home).expect("create a directory");
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&home).status().expect("chown").success());
        }
        Self { bin: postgres_bin(), port: free_port(), home }
    }

    /// The URL of a new database.
    pub async fn database(&self, name: &str) -> String {
        let mut admin = PgConnection::connect(&self.url("postgres")).await.expect("connect");
        admin.execute(AssertSqlSafe(format!("create database {}", quoted(name)))).await.expect("create a database");
        self.url(name)
    }

    /// The URL of a database of it, as its superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn control(&self, what: &str, how: &str) {
        let options = format!("-p {} -h 127.0.0.1 -k {}", self.port, self.home.display());
        let log = self.home.join("log").display().to_string();
        let arguments = [what, "-w", "-s", "-t", "60", "-m", how, "-l", &log, "-o", &options];
        let arguments = if what == "stop" { &arguments[..7] } else { &arguments[..] };
        self.run("pg_ctl", arguments);
    }

    /// PostgreSQL refuses to run as root; root hands it to an unprivileged user.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if is_root() { Command::new("runuser") } else { Command::new(&program) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        let data = self.home.join("data");
        let command = command.args(arguments).arg("-D").arg(data).current_dir("/").stdout(Stdio::null());
        assert!(command.status().expect("run a program of PostgreSQL").success(), "{}", program.display());
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if !self.home.join("data/postmaster.pid").exists() {
            // The test has stopped it.
        } else if !std::thread::panicking() {
            self.control("stop", "immediate");
        } else {
            // The test has failed already; a server that stays ends with the machine.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.control("stop", "immediate")));
        }
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").expect("this process").uid() == 0
}

pub fn postgres_bin() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|bin| bin.join("pg_ctl").exists());
    found.sort();
    let on_path =
        || std::env::split_paths(&std::env::var_os("PATH")?).find(|directory| directory.join("pg_ctl").exists());
    found.pop().or_else(on_path).expect("this test needs a PostgreSQL server: run tests/run, which installs one")
}

/// The URL of the MariaDB server that `tests/run` started, as a user who may do everything.
///
/// # Panics
/// When no server was started for the tests.
pub fn mysql_admin_url() -> String {
    std::env::var("TOCSIN_TEST_MYSQL").unwrap_or_else(|_| {
        panic!("this test needs a MariaDB server and TOCSIN_TEST_MYSQL is not set: run tests/run, which starts one")
    })
}

/// Creates an empty MySQL database of a name that nothing else has and returns its URL. It goes with the server.
pub async fn fresh_mysql_database(name_hint: &str) -> String {
    let admin_url = mysql_admin_url();
    let (server, _) = admin_url.rsplit_once('/').expect("TOCSIN_TEST_MYSQL ends in /database");
    let name = format!("{name_hint}_{:012x}", random() >> 16);
    let mut admin = MySqlConnection::connect(&admin_url).await.expect("connect to the server of TOCSIN_TEST_MYSQL");
    let create = format!("create database {name} character set utf8mb4");
    admin.execute(AssertSqlSafe(create)).await.expect("create a database");
    admin.close().await.expect("close the connection");
    format!("{server}/{name}")
}

/// An empty directory of a test's own under the target directory, removed when the value is dropped.
pub struct ScratchDir(PathBuf);

impl ScratchDir {
    pub fn new(name_hint: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name_hint}-{:016x}", random()));
        std::fs::create_dir_all(&path).expect("create a scratch directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The URL of an SQLite database in this directory. The file need not exist.
    pub fn sqlite_url(&self, file: &str) -> String {
        format!("sqlite:{}", self.path().join(file).display())
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // A directory that can't be removed costs space, not a verdict.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The path of a file under tests/data, such as `boston311/reports.csv.gz`.
pub fn data_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Creates `table` in the SQLite database at `sqlite_url` with the columns of a gzipped CSV, all of them TEXT, inserts
/// all rows in one transaction and returns their number. The database is created where it doesn't exist.
///
/// An empty string stays one and doesn't become NULL: to a monitor both mean "missing", and the empty string is the
/// harder case.
pub async fn load_csv_into_sqlite(csv_gz: &Path, sqlite_url: &str, table: &str) -> u64 {
    let file = File::open(csv_gz).unwrap_or_else(|e| panic!("open {}: {e}", csv_gz.display()));
    let mut csv = csv::Reader::from_reader(GzDecoder::new(file));
    let columns: Vec<String> = csv.headers().expect("read the header row").iter().map(quoted).collect();
    assert_eq!(columns.iter().collect::<BTreeSet<_>>().len(), columns.len(), "two columns of one name");
    let records: Vec<csv::StringRecord> = csv.records().collect::<Result<_, _>>().expect("read every row");

    let mut sqlite = open_sqlite(sqlite_url).await;
    let mut transaction = sqlite.begin().await.expect("begin");
    let table = quoted(table);
    transaction
        .execute(AssertSqlSafe(format!("create table {table} ({} text)", columns.join(" text, "))))
        .await
        .expect("create the table");
    for rows in records.chunks(ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::<Sqlite>::new(format!("insert into {table} "));
        insert.push_values(rows, |mut values, row| {
            for cell in row {
                values.push_bind(cell);
            }
        });
        insert.build().execute(&mut *transaction).await.expect("insert rows");
    }
    transaction.commit().await.expect("commit");
    sqlite.close().await.expect("close the database");
    records.len() as u64
}

/// Opens an SQLite database, created where it doesn't exist.
pub async fn open_sqlite(url: &str) -> SqliteConnection {
    let options: SqliteConnectOptions = url.parse().expect("an SQLite URL");
    options.create_if_missing(true).connect().await.unwrap_or_else(|e| panic!("open {url}: {e}"))
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn random() -> u64 {
    getrandom::u64().expect("the system's randomness")
}
