//! Which module of the crate may use which, as a table, and the check that holds it.

use super::rust_text::{code_only, line_of};

/// Every module at the top of src, in layers. A module may use those of the lines before its own, and none of its
/// own line: adapters never use each other.
const LAYERS: &[&[&str]] = &[
    &["core", "secret"],
    &["zone", "keys", "status"],
    &["compile", "source", "store", "pager", "metrics", "weekly"],
    &["web"],
    &["config"],
    &["run"],
    &["cli"],
];

/// The only crates besides std that the core may use.
const CORE_CRATES: &[&str] = &["hashbrown", "serde", "smol_str"];

/// The crates of `[dependencies]`, as code writes them.
pub fn dependencies(cargo_toml: &str) -> Vec<String> {
    let manifest: toml::Table = cargo_toml.parse().expect("Cargo.toml is TOML");
    let names = manifest["dependencies"].as_table().expect("[dependencies] is a table").keys();
    names.map(|name| name.replace('-', "_")).collect()
}

/// Every import in one file of src that the table doesn't allow.
pub fn offences(path: &str, text: &str, dependencies: &[String]) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let module = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    // The roots of the library and of the program wire everything together.
    if inside == "lib.rs" || inside == "main.rs" {
        return Vec::new();
    }
    let Some(layer) = layer_of(module) else {
        return vec![format!("{path}:1: module `{module}` is not in the table")];
    };
    let may_use = |used: &str| used == module || layer_of(used).is_some_and(|of_used| of_used < layer);

    let code = code_only(text);
    let is_top = inside == format!("{module}.rs") || inside == format!("{module}/mod.rs");
    let mut found = Vec::new();
    for (at, used) in roots_after(&code, "crate::") {
        if !may_use(used) {
            found.push((at, format!("`{module}` may not use `{used}`")));
        }
    }
    for (at, used) in roots_after(&code, "super::") {
        if used == "super" {
            found.push((at, "write `crate::` and the whole path for what is two modules up".into()));
        } else if is_top && layer_of(used).is_some() && !may_use(used) {
            found.push((at, format!("`{module}` may not use `{used}`")));
        }
    }
    if module == "core" {
        for name in dependencies.iter().filter(|name| !CORE_CRATES.contains(&name.as_str())) {
            let uses = roots_after(&code, &format!("{name}::")).into_iter().map(|(at, _)| at);
            found.extend(uses.map(|at| (at, format!("`core` may not use the crate `{name}`"))));
        }
    }
    found.sort();
    found.into_iter().map(|(at, complaint)| format!("{path}:{}: {complaint}", line_of(&code, at))).collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The first names after each `prefix`, such as `crate::`, with their places: one after a plain path, each of a group.
fn roots_after<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut roots = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let continues_a_path = code[..at].ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric());
        if continues_a_path && !code[..at].ends_with("super::") {
            continue;
        }
        let rest = at + prefix.len();
        match code[rest..].strip_prefix('{') {
            Some(group) => roots.extend(group_names(group).into_iter().map(|(offset, name)| (rest + 1 + offset, name))),
            None => roots.push((at, leading_name(&code[rest..]))),
        }
    }
    roots
}

/// The first name of each entry of a `use` group, given the text after its opening brace.
fn group_names(group: &str) -> Vec<(usize, &str)> {
    let (mut depth, mut entry_begins, mut names) = (0_u32, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => entry_begins = true,
            c if entry_begins && !c.is_whitespace() => {
                names.push((at, leading_name(&group[at..])));
                entry_begins = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}

#[test]
fn an_import_against_the_direction_is_found_in_each_way_of_writing_it() {
    let dependencies = ["chrono".to_owned(), "serde".to_owned()];
    let complaint = |path: &str, text: &str| offences(path, text, &dependencies).join("; ");
    for (path, text, expected) in [
        ("src/core/a.rs", "use crate::store::Commit;\n", "src/core/a.rs:1: `core` may not use `store`"),
        ("src/core/a.rs", "\nlet x = crate::run::x();\n", "src/core/a.rs:2: `core` may not use `run`"),
        ("src/core/a.rs", "use chrono::DateTime;\n", "src/core/a.rs:1: `core` may not use the crate `chrono`"),
        ("src/core/mod.rs", "use super::zone::Zone;\n", "src/core/mod.rs:1: `core` may not use `zone`"),
        (
            "src/store/a/b.rs",
            "use crate::{\n    core::{id, time},\n    source::x,\n};\n",
            "src/store/a/b.rs:3: `store` may not use `source`",
        ),
        ("src/zone.rs", "use crate::keys::Key;\n", "src/zone.rs:1: `zone` may not use `keys`"),
        ("src/web/a.rs", "use crate::config::Config;\n", "src/web/a.rs:1: `web` may not use `config`"),
        ("src/run/a.rs", "use crate::cli;\n", "src/run/a.rs:1: `run` may not use `cli`"),
        ("src/new.rs", "", "src/new.rs:1: module `new` is not in the table"),
        (
            "src/core/a/b.rs",
            "use super::super::super::run;\n",
            "src/core/a/b.rs:1: write `crate::` and the whole path for what is two modules up; \
             src/core/a/b.rs:1: write `crate::` and the whole path for what is two modules up",
        ),
    ] {
        assert_eq!(complaint(path, text), expected, "{text}");
    }
}

#[test]
fn an_import_with_the_direction_or_in_a_comment_passes() {
    let dependencies = ["chrono".to_owned()];
    for (path, text) in [
        ("src/core/a.rs", "//! See [`crate::run`].\nuse crate::core::time::Timestamp;\nuse serde::Serialize;\n"),
        ("src/core/a/b.rs", "use super::time::Timestamp;\n"),
        ("src/store/mod.rs", "use crate::{core::id::{Key, run}, zone::Zone};\n"),
        ("src/store/a.rs", "use chrono::DateTime;\nlet x = \"crate::source\";\n"),
        ("src/run/a.rs", "use crate::config::Config;\nuse my_crate::cli;\n"),
        ("src/lib.rs", "pub mod run;\n"),
    ] {
        assert_eq!(offences(path, text, &dependencies), Vec::<String>::new(), "{text}");
    }
}
