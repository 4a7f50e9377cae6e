//! One process of the program under test: its output in files, signals by its own id, and an end with the test.

use super::{eventually, secs};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Lines of the log that are shown when a test fails.
const LOG_LINES_SHOWN: usize = 40;

pub struct Process {
    child: Child,
    log: PathBuf,
    output: PathBuf,
}

impl Process {
    /// Starts the program in `directory`. Its log and its output are appended to `name.log` and `name.out` there.
    pub fn start(directory: &Path, name: &str, arguments: &[&str], variables: &[(&str, impl AsRef<OsStr>)]) -> Process {
        let (log, output) = (directory.join(format!("{name}.log")), directory.join(format!("{name}.out")));
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tocsin"))
            .args(arguments)
            .current_dir(directory)
            .env_remove("TOCSIN_SOURCE_URL")
            .env("RUST_LOG", "info,tocsin=debug,sqlx=debug")
            .env("NO_COLOR", "1")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(open(&output))
            .stderr(open(&log))
            .spawn()
            .unwrap_or_else(|e| panic!("start the program: {e}"));
        Process { child, log, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    /// Sends a signal, such as "TERM", to this process alone.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Ends it at once, as a machine that fails does.
    pub fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the process had ended before it was killed");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end that it comes to by itself.
    pub async fn ends(&mut self, within_secs: i64) -> ExitStatus {
        let child = &mut self.child;
        eventually("the process ends", secs(within_secs), async || {
            child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned())
        })
        .await
    }

    /// Waits until the log holds all of these in one line.
    pub async fn says(&self, within_secs: i64, words: &[&str]) -> String {
        eventually(&format!("the log says {words:?}"), secs(within_secs), async || {
            let log = self.log();
            let line = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned).ok_or_else(|| format!("{} lines of other things", log.lines().count()))
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("sqlx::query")).collect();
            let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
            println!("the last lines of {}:\n{}", self.log.display(), lines[from..].join("\n"));
        }
    }
}

/// For a command that needs none.
pub const NO_VARIABLES: &[(&str, &str)] = &[];

/// Runs the program to its end: exit code, output and what it told the person.
pub fn run(directory: &Path, arguments: &[&str], variables: &[(&str, impl AsRef<OsStr>)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tocsin"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("TOCSIN_SOURCE_URL")
        .env("NO_COLOR", "1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("run the program: {e}"));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}
