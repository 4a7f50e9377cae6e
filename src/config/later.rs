//! Keys that the configuration will have and that mean nothing yet. Each is refused at its place with what
//! to do instead: a key that is ignored is a promise that nobody keeps.

/// What to do without the key, if it is one that is not built yet in the table of this title.
pub fn advice(title: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(tables, name, _)| *name == key && tables.contains(&title)).map(|(_, _, advice)| *advice)
}

const RULES: &[&str] = &["[[rules]]"];
const SOURCES: &[&str] = &["[[sources]]"];

const LATER: &[(&[&str], &str, &str)] = &[
    (SOURCES, "preset", "write it out with: tocsin init --preset NAME --url URL --output tocsin.toml"),
    (RULES, "obligations", "write [[obligations]] beside the rules, with `when`: each that matches applies"),
];
