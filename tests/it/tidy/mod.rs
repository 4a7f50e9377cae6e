//! The rules of the source tree that no compiler holds: which way imports point, sizes, headers, licences, and what may
//! lie at the top. Each failure names the file and the line.

mod imports;
mod licences;
mod rust_text;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rust_text::{code_only, functions, line_of, without_tests};

/// A file over 500 lines is a question to answer; over this many it must be split.
const FILE_LINES_MAX: usize = 700;

/// A function over 70 lines is a question to answer; over this many it must be split.
const FUNCTION_LINES_MAX: usize = 100;

/// All that may lie at the top: the card's entries and what tools demand.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "clippy.toml",
    "dashboards",
    "deny.toml",
    "deploy",
    "migrations",
    "rustfmt.toml",
    "src",
    "tests",
];

/// Paths and tools of the machines that the project is built on. In pieces, so that this file doesn't hold them.
const MACHINE_WORDS: &[&str] = &[concat!("/wo", "rk/"), concat!("fa", "rm-")];

/// What stands for unfinished or careless code outside tests.
const UNFINISHED: &[&str] = &[".unwrap()", "todo!(", "unimplemented!(", "dbg!("];

#[test]
fn imports_point_one_way() {
    let dependencies = imports::dependencies(&read("Cargo.toml"));
    hold("imports point one way (the table is in tests/it/tidy/imports.rs)", |path, text| {
        if path.starts_with("src/") { imports::offences(path, text, &dependencies) } else { Vec::new() }
    });
}

#[test]
fn every_source_file_opens_with_its_job() {
    hold("a source file opens with //!", |path, text| {
        let opens = text.starts_with("//! ");
        if opens { Vec::new() } else { vec![format!("{path}:1: say in one to three sentences what the file is for")] }
    });
}

#[test]
fn no_file_is_too_long() {
    hold("files are short", |path, text| {
        let lines = text.lines().count();
        if lines <= FILE_LINES_MAX {
            return Vec::new();
        }
        vec![format!("{path}:{lines}: {lines} lines, at most {FILE_LINES_MAX}: split it by meaning")]
    });
}

#[test]
fn no_function_is_too_long() {
    hold("functions are short", too_long_functions);
}

fn too_long_functions(path: &str, text: &str) -> Vec<String> {
    functions(&code_only(text))
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES_MAX)
        .map(|f| format!("{path}:{}: fn {} has {} lines, at most {FUNCTION_LINES_MAX}", f.line, f.name, f.lines))
        .collect()
}

#[test]
fn a_function_of_101_lines_is_found_and_one_of_100_is_not() {
    let of_lines = |lines: usize| format!("impl A {{\n    fn long(&self) {{{}    }}\n}}\n", "\n".repeat(lines - 1));
    assert_eq!(too_long_functions("src/a.rs", &of_lines(100)), Vec::<String>::new());
    assert_eq!(too_long_functions("src/a.rs", &of_lines(101)), ["src/a.rs:2: fn long has 101 lines, at most 100"]);
}

#[test]
fn nothing_outside_tests_unwraps_or_is_left_to_do() {
    hold("src is finished", |path, text| if path.starts_with("src/") { unfinished(path, text) } else { Vec::new() });
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    if path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let code = without_tests(&code_only(text));
    let found = UNFINISHED.iter().flat_map(|word| code.match_indices(word));
    found.map(|(at, word)| format!("{path}:{}: {word}", line_of(&code, at))).collect()
}

#[test]
fn an_unwrap_is_found_in_code_but_not_in_its_tests_or_comments() {
    let text =
        "fn a() {\n    b().unwrap();\n}\n// c.unwrap()\n#[cfg(test)]\nmod tests {\n    fn d() { e.unwrap() }\n}\n";
    assert_eq!(unfinished("src/a.rs", text), ["src/a.rs:2: .unwrap()"]);
}

/// F1 to F21 and lessons 1 to 23 of what no system before it did: from the list to the test and back.
#[test]
fn each_behaviour_and_each_lesson_has_a_test_that_bears_its_name() {
    let sources = committed_files().into_iter().filter(|path| path.ends_with(".rs"));
    let names: Vec<String> =
        sources.flat_map(|path| functions(&code_only(&read(&path)))).map(|function| function.name).collect();
    let wanted = (1..=21).map(|no| format!("f{no:02}_")).chain((1..=23).map(|no| format!("l{no:02}_")));
    let missing = wanted.filter(|wanted| !names.iter().any(|name| name.starts_with(wanted.as_str())));
    assert_none("each behaviour and each lesson has a test that bears its name", missing.collect());
}

#[test]
fn the_top_level_holds_nothing_undocumented() {
    let found: BTreeSet<String> =
        committed_files().iter().filter_map(|path| path.split('/').next()).map(str::to_owned).collect();
    let undocumented: Vec<String> = found.into_iter().filter(|entry| !TOP_LEVEL.contains(&entry.as_str())).collect();
    assert_none("the top level holds the documented entries only", undocumented);
}

#[test]
fn no_committed_file_names_the_machine_that_it_was_written_on() {
    let home = std::env::var("HOME").ok().filter(|home| home.matches('/').count() > 1);
    let words: Vec<&str> = MACHINE_WORDS.iter().copied().chain(home.as_deref()).collect();
    let mut offences = Vec::new();
    for path in committed_files() {
        let bytes = std::fs::read(root().join(&path)).unwrap_or_else(|e| panic!("read {path}: {e}"));
        let text = String::from_utf8_lossy(&bytes);
        for word in &words {
            offences.extend(text.match_indices(word).map(|(at, _)| format!("{path}:{}: {word}", line_of(&text, at))));
        }
    }
    assert_none("no committed file names this machine's paths or tools", offences);
}

#[test]
fn every_licence_in_the_tree_is_allowed_and_no_banned_crate_is_in_it() {
    let rules = licences::Rules::parse(&read("deny.toml"));
    let packages = cargo_metadata()["packages"].as_array().expect("cargo metadata lists packages").clone();
    assert!(packages.len() > 100, "cargo metadata lists only {} packages", packages.len());
    let offences = packages.iter().filter_map(|package| {
        let name = package["name"].as_str().expect("a package has a name");
        rules.offence(name, package["license"].as_str())
    });
    assert_none("deny.toml allows every crate in the tree", offences.collect());
}

fn cargo_metadata() -> serde_json::Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("start cargo metadata");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed; tests/run fetches what it needs: {complaint}");
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Applies a check to every Rust file in the tree.
fn hold(rule: &str, check: impl Fn(&str, &str) -> Vec<String>) {
    let paths: Vec<String> = committed_files().into_iter().filter(|path| path.ends_with(".rs")).collect();
    assert!(paths.iter().any(|path| path == "src/lib.rs"), "the list of files holds no src/lib.rs");
    assert_none(rule, paths.iter().flat_map(|path| check(path, &read(path))).collect());
}

fn assert_none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// The files that git has or would add, so that an offence shows before it is committed.
fn committed_files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("start git, which lists the files");
    assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
    // A file deleted and not yet committed is listed all the same.
    listed.split_terminator('\0').filter(|path| root().join(path).is_file()).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("read {path}: {e}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
