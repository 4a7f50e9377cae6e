//! Every preset loads, and takes the generation that a database has.

use super::*;
use crate::config::Config;
use crate::core::time::Timestamp;

fn load(text: &str, name: &str) -> Config {
    let file = std::env::temp_dir().join(format!("tocsin-preset-{name}-{}.toml", std::process::id()));
    std::fs::write(&file, text).expect("a temporary file");
    let loaded = Config::load(&file, &|_| None, Timestamp::from_secs(1_795_000_000));
    std::fs::remove_file(&file).expect("the test's own file");
    loaded.unwrap_or_else(|error| panic!("{name}: {error}\n{text}"))
}

#[test]
fn every_preset_is_read_loads_in_shadow_mode_and_says_what_it_could_not_know() {
    for name in names() {
        let preset = named(name).unwrap_or_else(|| panic!("the preset {name} can't be read"));
        let fitted = preset.newest(&preset.example);
        let config = load(&fitted.text, name);
        assert!(matches!(config.mode, crate::config::Mode::Shadow));
        assert!(!fitted.unknown.is_empty() && fitted.unknown.iter().all(|line| fitted.text.contains(line)), "{name}");
        assert!(fitted.text.contains("GRANT SELECT ("), "{name}");
    }
    assert!(named("myspace").is_none());
}

fn tables(found: &[(&str, &[&str])]) -> Tables {
    let owned = |(table, columns): &(&str, &[&str])| {
        ((*table).to_owned(), columns.iter().map(|column| (*column).to_owned()).collect())
    };
    found.iter().map(owned).collect()
}

#[test]
fn the_generation_is_the_first_whose_columns_are_there_and_a_missing_column_is_named() {
    let preset = named("lemmy").expect("a preset");
    let old = ["id", "post_id", "comment_id", "resolved", "resolver_id", "published", "updated"];
    let person: &[&str] = &["id", "bot_account"];
    let post: &[&str] = &["id", "community_id"];
    let found = tables(&[("post_report", &old), ("comment_report", &old), ("person", person), ("post", post)]);
    let fitted = preset.fit(&found, "postgres://host/lemmy").expect("the older generation");
    assert!(fitted.text.contains("r.published as received") && !fitted.text.contains("published_at"));
    assert_eq!(fitted.left_out, ["private_message_report", "community_report"]);
    load(&fitted.text, "lemmy-old");

    let without = tables(&[("post_report", &old[..6]), ("comment_report", &old), ("person", person), ("post", post)]);
    let misfit = preset.fit(&without, "postgres://host/lemmy").expect_err("a column is missing");
    assert_eq!(misfit.missing, tables(&[("post_report", &["updated"])]));
}
