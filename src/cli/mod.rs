//! The command line: it reads arguments, loads the configuration, and prints. Everything else is the
//! library's.

mod ack;
mod audit;
pub mod check;
mod demo;
mod deployment;
mod doctor;
mod event;
mod explain;
pub mod init;
mod inspect;
mod out;
mod packs;
mod page;
mod preset;
pub mod queue;
mod quiet;
mod rejects;
mod reload;
mod replay;
pub mod serve;
pub mod status;
mod store;
mod token;
mod watch;
mod weekly;

use crate::cli::out::aside;
use crate::config::{Config, Drawing, Need};
use crate::run::clock::{Clock, SystemClock};
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The configuration is at fault; EX_CONFIG of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;
/// The command itself failed, such as on a file that can't be written.
pub const EXIT_FAILED: u8 = 1;

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
    Check(check::CheckArgs),
    /// List the obligations by law that a configuration can switch on, and the vocabularies it can name.
    Packs,
    /// Write a commented configuration to start from.
    Init(init::InitArgs),
    /// Take an incident, by name.
    Ack(ack::Args),
    /// What became of pages, and a test of the way that they take.
    Page(page::Args),
    /// Keep an incident or a case below P0 from ringing until an instant.
    Snooze(quiet::SnoozeArgs),
    /// Keep a category or an escalation below P0 from ringing for a while; alone, list what is kept quiet.
    Window(quiet::WindowArgs),
    /// Say what happened to a report that its database can't tell.
    Event(event::Args),
    /// Print who did what, and what became of it.
    Audit(audit::Args),
    /// Print the ranked queue of the running monitor.
    Queue(queue::Args),
    /// Say how the running monitor sees, writes and pages.
    Status(status::Args),
    /// List what could not be read in the reports' rows.
    Rejects(rejects::Args),
    /// Connect to everything and say what would hurt at night.
    Doctor(doctor::Args),
    /// Play a source's history through a configuration.
    Replay(replay::Args),
    /// Say why a report's deadlines are what they are.
    Explain(explain::Args),
    /// Back the store up, restore, move or adopt it.
    Store(store::Args),
    /// Write the SLA report of a week.
    Weekly(weekly::Args),
    /// Say what the next shift must know.
    Handover(weekly::HandoverArgs),
    /// Make, list and revoke the tokens of the board and the API.
    Token(token::Args),
    /// Print the completions of a shell.
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// What a command ends with when it doesn't succeed. Each says what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Already printed with its places.
    #[error("{} was refused: {problems}", file.display())]
    Config { file: PathBuf, problems: String },
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    #[error(transparent)]
    Claim(#[from] crate::store::ClaimError),
    #[error(transparent)]
    Backup(#[from] crate::store::BackupError),
    #[error(transparent)]
    Move(#[from] crate::store::MoveError),
    #[error(transparent)]
    Queue(#[from] queue::QueueError),
    #[error(transparent)]
    Monitor(#[from] crate::run::monitor::MonitorError),
    #[error(transparent)]
    Channel(#[from] crate::pager::ChannelError),
    #[error("write {}: {cause}", path.display())]
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
    let done = runtime.block_on(dispatch(arguments.command));
    match done.and_then(|code| out::end().map(|()| code)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

async fn dispatch(command: Command) -> Result<ExitCode, CliError> {
    let done = match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Run(args) => serve::run(args).await,
        Command::Check(args) => return check::check(&args, inspect::inspect).await,
        Command::Packs => {
            packs::print();
            Ok(())
        }
        Command::Init(args) => return init::init(&args).await,
        Command::Ack(args) => ack::run(args).await,
        Command::Page(args) => page::run(args).await,
        Command::Snooze(args) => quiet::snooze(args).await,
        Command::Window(args) => quiet::window(args).await,
        Command::Event(args) => event::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Queue(args) => queue::run(args).await,
        Command::Status(args) => return status::run(args).await,
        Command::Rejects(args) => rejects::run(args).await,
        Command::Doctor(args) => return doctor::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Store(args) => store::run(args).await,
        Command::Weekly(args) => weekly::run(args).await,
        Command::Handover(args) => weekly::handover(args).await,
        Command::Token(args) => token::run(args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tocsin", &mut script);
            out::answer(format_args!("{}", String::from_utf8_lossy(&script)));
            Ok(())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn fail(error: &CliError) -> ExitCode {
    aside!("tocsin: {error}");
    error.exit_code()
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Config { .. } => ExitCode::from(EXIT_CONFIG),
            _ => ExitCode::from(EXIT_FAILED),
        }
    }
}

/// sqlx would log each slow statement; what is slow shows in the metrics.
const DEFAULT_LOG: &str = "info,sqlx=error";

/// Text for people, JSON for machines, both on standard error. RUST_LOG overrides what is logged.
fn start_log(format: LogFormat, demo: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    let colours = drawing(&std::io::stderr()) == Drawing::Terminal;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    match (format, demo) {
        (LogFormat::Json, _) => log.json().flatten_event(true).init(),
        (LogFormat::Text, true) => log.with_target(false).compact().init(),
        (LogFormat::Text, false) => log.init(),
    }
}

/// Loads the configuration in the process's own environment; when it is refused, prints every reason.
fn load_config(file: &Path, need: Need) -> Result<Config, CliError> {
    Config::load_for(file, &|name| std::env::var(name).ok(), need, SystemClock.now()).map_err(|errors| {
        aside!("{}\n", errors.0.render(drawing(&std::io::stderr())));
        let problems = match errors.0.problems().len() {
            1 => "1 problem".to_owned(),
            count => format!("{count} problems"),
        };
        CliError::Config { file: file.to_owned(), problems }
    })
}

/// Colours and lines for a terminal, unless NO_COLOR asks for none.
fn drawing(stream: &impl std::io::IsTerminal) -> Drawing {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !no_color { Drawing::Terminal } else { Drawing::Plain }
}
