//! The files under deploy/: what compose starts loads, and names, paths and ports agree from file to file.

use std::path::Path;
use tocsin::config::{Config, Need};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

#[test]
fn the_configuration_that_compose_starts_loads_and_lets_nobody_in_without_a_token() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose/tocsin.toml");
    let env = |name: &str| match name {
        "TOCSIN_SECRET" => Some("0123456789abcdef".to_owned()),
        "REPORTS_DATABASE_URL" => Some("postgres://tocsin@platform.example.org/platform".to_owned()),
        "TOCSIN_STORE_URL" => Some("postgres://tocsin:secret@store:5432/tocsin".to_owned()),
        _ => None,
    };
    let config = Config::load_for(&file, &env, Need::All, crate::kit::minute(0));
    let config = config.unwrap_or_else(|errors| panic!("it is refused:\n{errors}"));
    assert!(config.web.access_required && !config.web.listen.ip().is_loopback());
}

#[test]
fn every_variable_that_compose_wants_is_in_the_example_and_no_secret_is() {
    let (compose, example) = (read("compose.yml"), read("compose/env.example"));
    let wanted: Vec<&str> = compose.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next()).collect();
    assert!(wanted.len() >= 4, "{wanted:?}");
    for name in wanted {
        assert!(example.contains(&format!("\n{name}=\n")), "{name} has a line without a value in env.example");
    }
}

#[test]
fn every_file_that_compose_mounts_is_there_but_for_the_token_that_is_made_later() {
    let compose = read("compose.yml");
    let mounts = compose.lines().filter_map(|line| line.trim().strip_prefix("- ")).filter(|line| line.starts_with('.'));
    let mut found = 0;
    for source in mounts.filter_map(|mount| mount.split(':').next()) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(source);
        assert!(source.ends_with("prometheus.token") || path.exists(), "{source}");
        found += 1;
    }
    assert!(found >= 8, "only {found} mounts were found");
}

#[test]
fn the_image_starts_and_probes_the_program_as_it_can_be_started() {
    let dockerfile = read("Dockerfile");
    for said in ["\"status\", \"--alive\"", "USER 10001", "STOPSIGNAL SIGTERM", "--locked --release"] {
        assert!(dockerfile.contains(said), "{said}");
    }
    let unit = read("tocsin.service");
    for said in ["Type=notify", "WatchdogSec=", "ProtectSystem=strict", "NoNewPrivileges=yes", "Restart=always"] {
        assert!(unit.contains(said), "{said}");
    }
}
