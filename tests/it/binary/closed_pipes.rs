//! Whoever reads a command may have had enough, as `head` has, or be gone, as a terminal is: the command does what it
//! was asked and ends as it would have.

use super::process::{NO_VARIABLES, run};
use crate::support::ScratchDir;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

/// The writing end of a pipe that nobody reads.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// The code that the program ends with, and what it wrote to a pipe that is read.
fn ends(directory: &Path, arguments: &[&str], output: Stdio, errors: Stdio) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tocsin"));
    command.args(arguments).current_dir(directory).env_remove("TOCSIN_SOURCE_URL").env("RUST_LOG", "trace");
    let ended = command.stdin(Stdio::null()).stdout(output).stderr(errors).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_reader_who_has_had_enough_changes_nothing_of_how_a_command_ends() {
    let scratch = ScratchDir::new("closed-output");
    let at = scratch.path();
    assert_eq!(run(at, &["init", "--output", "tocsin.toml"], NO_VARIABLES).0, 0);
    for arguments in [&["packs"] as &[&str], &["completions", "bash"], &["check", "--offline"], &["init"], &["--help"]]
    {
        let (code, told) = ends(at, arguments, nobody(), Stdio::piped());
        assert_eq!(code, Some(0), "{arguments:?}: {told}");
        assert!(!told.contains("panicked") && !told.contains("pipe"), "{arguments:?}: {told}");
    }
    std::fs::write(at.join("bad.toml"), "mode = 1").unwrap();
    assert_eq!(ends(at, &["check", "--config", "bad.toml"], nobody(), nobody()).0, Some(78), "nobody hears why");
    assert_eq!(ends(at, &["init", "--output", "tocsin.toml"], nobody(), nobody()).0, Some(1), "it is there already");
}

#[test]
fn an_answer_that_finds_no_room_fails_and_says_so() {
    let scratch = ScratchDir::new("full-output");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, told) = ends(scratch.path(), &["packs"], full.into(), Stdio::piped());
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("write to standard output: ") && !told.contains("panicked"), "{told}");
}
