//! The command line: it reads arguments, loads the configuration, and prints. Everything else is the
//! library's.

mod check;
mod demo;
mod explain;
mod init;
mod queue;
mod replay;
mod serve;

use crate::config::Config;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit code for a configuration that can't be used, as sysexits.h has it.
const EX_CONFIG: u8 = 78;

#[derive(Debug, Parser)]
#[command(name = "tocsin", version, about = "Report-queue SLA monitor for trust-and-safety teams")]
struct Arguments {
    /// How the log is written.
    #[arg(long, global = true, value_enum, default_value = "text", env = "TOCSIN_LOG_FORMAT")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A synthetic platform with the real monitor over it, on this machine only.
    Demo(demo::Args),
    /// Watch the configured report databases.
    Run(serve::Args),
    /// Say whether a configuration can be used, and what it means.
    Check(check::Args),
    /// Write a commented configuration to start from.
    Init(init::Args),
    /// Print the ranked queue of the running monitor.
    Queue(queue::Args),
    /// Play a source's history through a configuration.
    Replay(replay::Args),
    /// Say why a report's deadlines are what they are.
    Explain(explain::Args),
}

/// What a command ends with when it doesn't succeed. Each says what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Already printed with its places.
    #[error("the configuration {0} can't be used")]
    Config(PathBuf),
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    Monitor(#[from] crate::run::monitor::MonitorError),
    #[error(transparent)]
    Channel(#[from] crate::pager::ChannelError),
    #[error("write {path}: {cause}")]
    Write { path: PathBuf, cause: std::io::Error },
    #[error("{flag} \"{text}\": not a time; write 2026-11-23T08:00:00Z, or a local time of the source's zone")]
    Time { flag: &'static str, text: String },
    #[error("{operation}: {cause}")]
    Failed { operation: &'static str, cause: String },
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let demo = matches!(arguments.command, Command::Demo(_));
    start_log(arguments.log_format, demo);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&CliError::Failed { operation: "start the runtime", cause: error.to_string() }),
    };
    match runtime.block_on(dispatch(arguments.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn dispatch(command: Command) -> Result<(), CliError> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Run(args) => serve::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Init(args) => init::run(args).await,
        Command::Queue(args) => queue::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Explain(args) => explain::run(args).await,
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn fail(error: &CliError) -> ExitCode {
    eprintln!("tocsin: {error}");
    match error {
        CliError::Config(_) => ExitCode::from(EX_CONFIG),
        _ => ExitCode::FAILURE,
    }
}

/// Text for people, JSON for machines, both on standard error. RUST_LOG overrides what is logged.
fn start_log(format: LogFormat, demo: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match (format, demo) {
        (LogFormat::Json, _) => log.json().flatten_event(true).init(),
        (LogFormat::Text, true) => log.with_target(false).compact().init(),
        (LogFormat::Text, false) => log.init(),
    }
}

/// Loads a configuration, or prints everything that is wrong with it.
fn load_config(path: &Path) -> Result<Config, CliError> {
    Config::load(path, &|name| std::env::var(name).ok()).map_err(|errors| {
        check::print_problems(&errors);
        CliError::Config(path.to_owned())
    })
}
