//! `tocsin init`: writes a commented configuration that loads. It never overwrites a file.

#![expect(clippy::print_stdout, reason = "without --output the configuration itself is the answer")]
#![expect(clippy::print_stderr, reason = "the command line is where people are told")]

use super::EXIT_FAILED;
use crate::config::TEMPLATE;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Where to write it; standard output without.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The report database, as postgres://user@host/db or sqlite:file.db; a url with a password belongs
    /// into the environment, see `url_env` in what is written.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

pub fn init(args: &InitArgs) -> ExitCode {
    let text = template(args.url.as_deref());
    let Some(output) = &args.output else {
        print!("{text}");
        return ExitCode::SUCCESS;
    };
    match write_new(output, &text) {
        Ok(()) => {
            let file = output.display();
            eprintln!("wrote {file}; fit it to your table, then: tocsin check --config {file}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write {}: {error}; name a file that doesn't exist yet", output.display());
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// The template, with this url in place of its own.
pub fn template(url: Option<&str>) -> String {
    let Some(url) = url else { return TEMPLATE.to_owned() };
    let quoted = toml::Value::String(url.to_owned()).to_string();
    TEMPLATE.replacen("\"sqlite:reports.db\"", &quoted, 1)
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    // It may hold a url with a password.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
