//! Configurations that don't load, each with the whole message that a person gets. A message that changes
//! shows in a diff: read it aloud, would a tired person know what to change? `UPDATE_SNAPSHOTS=1` writes
//! the messages anew.

use crate::kit::minute;
use std::path::{Path, PathBuf};
use tocsin::config::{Config, ConfigErrors, Drawing, Need};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn env(name: &str) -> Option<String> {
    match name {
        "REPORTS_DATABASE_URL" => Some("postgres://tocsin@localhost/reports".into()),
        "TOCSIN_SECRET" => Some("0123456789abcdef".into()),
        "SHORT" => Some("whsec_c2hvcnQ=".into()),
        "SMTP_URL" => Some("smtps://tocsin:password@mail.example.org".into()),
        name if name.starts_with("PAGERDUTY_") => Some("0123456789abcdef0123456789abcdef".into()),
        "HEALTHCHECKS_URL" => Some("https://hc-ping.com/4711".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn refused(path: &Path) -> ConfigErrors {
    match Config::load(path, &env, minute(0)) {
        Ok(_) => panic!("{} must be refused, but loads", path.display()),
        Err(errors) => errors,
    }
}

/// The message with the file's name alone, the same wherever the project lies.
fn message(path: &Path) -> String {
    let directory = format!("{}/", path.parent().expect("a file has a directory").display());
    refused(path).0.render(Drawing::Plain).replace(&directory, "") + "\n"
}

/// Holds every configuration of a directory to the message beside it.
fn hold(directory: &str, at_least: usize, message: fn(&Path) -> String) {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let directory = data().join("config").join(directory);
    let listing = std::fs::read_dir(&directory).expect("the directory of configurations is there");
    let mut files: Vec<PathBuf> = listing.map(|entry| entry.expect("an entry can be read").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= at_least, "only {} configurations were found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let (now, kept) = (message(&file), file.with_extension("txt"));
        if update {
            std::fs::write(&kept, &now).expect("a snapshot can be written");
        }
        let before = std::fs::read_to_string(&kept).unwrap_or_default();
        if before != now {
            wrong.push(format!("{}\nexpected:\n{before}\ngot:\n{now}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_refused_configuration_says_where_and_what_would_be_right() {
    hold("refused", 40, message);
}

#[test]
fn each_configuration_that_would_hurt_at_night_loads_and_says_where_and_what_would_be_right() {
    hold("warned", 12, |path| match Config::load(path, &env, minute(0)) {
        Ok(config) => {
            assert!(!config.warnings.problems().is_empty(), "{} warns of nothing", path.display());
            let directory = format!("{}/", path.parent().expect("a file has a directory").display());
            config.warnings.render(Drawing::Plain).replace(&directory, "") + "\n"
        }
        Err(errors) => panic!("{} must load:\n{errors}", path.display()),
    });
}

#[test]
fn the_whole_sketch_is_built_and_loads() {
    let file = data().join("config/sketch.toml");
    Config::load(&file, &env, minute(0)).unwrap_or_else(|errors| panic!("{}:\n{errors}", file.display()));
}

#[test]
fn the_configurations_of_the_real_records_load() {
    for records in ["boston311", "urlhaus"] {
        let file = data().join(records).join("tocsin.toml");
        if let Err(errors) = Config::load_for(&file, &env, Need::Sources, minute(0)) {
            panic!("{} is refused:\n{errors}", file.display());
        }
    }
}

#[test]
fn what_init_writes_loads_with_any_url_that_a_database_can_have() {
    let directory = tempdir();
    for url in [None, Some("postgres://tocsin@h/db?sslmode=require"), Some("sqlite:/var/lib/a \"b\".db")] {
        let file = directory.join("tocsin.toml");
        std::fs::write(&file, tocsin::cli::init::template(url)).expect("a temporary file can be written");
        let config =
            Config::load(&file, &env, minute(0)).unwrap_or_else(|errors| panic!("{url:?} is refused:\n{errors}"));
        if let Some(url) = url {
            assert_eq!(config.sources[0].url.expose(), url);
        }
        assert!(tocsin::cli::check::summary(&config).contains("P0  minor safety -> minor-safety"));
    }
}

fn tempdir() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("config-refused-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory can be made");
    directory
}
