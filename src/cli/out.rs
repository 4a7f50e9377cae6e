//! Where a command's words go: its answer to standard output, what people are told beside it to standard error.
//! Whoever reads may have had enough, as `head` has: the rest is dropped, and the command does its work and ends as
//! it would have. Any other failure to write fails the command.

use super::CliError;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

/// Why the answer can't be written on; nothing more is written then.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line of the answer, as `println!` takes it.
macro_rules! say {
    () => { $crate::cli::out::answer(format_args!("\n")) };
    ($($text:tt)+) => { $crate::cli::out::answer(format_args!("{}\n", format_args!($($text)+))) };
}

/// A line beside the answer, as `eprintln!` takes it.
macro_rules! aside {
    ($($text:tt)+) => { $crate::cli::out::beside(format_args!("{}\n", format_args!($($text)+))) };
}

pub(super) use {aside, say};

/// A part of the answer, as it is.
pub fn answer(text: fmt::Arguments<'_>) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = io::stdout().lock().write_fmt(text).err();
    }
}

/// Where standard error is closed nobody is there to be told.
pub fn beside(text: fmt::Arguments<'_>) {
    let _nobody_reads = io::stderr().lock().write_fmt(text);
}

/// The answer is complete.
///
/// # Errors
/// Where it could not be written, though somebody would have read it.
pub fn end() -> Result<(), CliError> {
    answer(format_args!(""));
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    match failed.take().or_else(|| io::stdout().flush().err()) {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Failed { operation: "write to standard output", cause: error.to_string() })
        }
        _ => Ok(()),
    }
}
