//! Keys that the configuration will have and that mean nothing yet. Each is refused at its place with what
//! to do instead: a key that is ignored is a promise that nobody keeps.

/// What to do without the key, if it is one that is not built yet in the table of this title.
pub fn advice(title: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(tables, name, _)| *name == key && tables.contains(&title)).map(|(_, _, advice)| *advice)
}

const RULES: &[&str] = &["[[rules]]"];
const TARGETS: &[&str] = &["a target", "a target of [minor_safety]"];
const ROOT: &[&str] = &["the configuration"];
const SOURCES: &[&str] = &["[[sources]]"];

const LATER: &[(&[&str], &str, &str)] = &[
    (ROOT, "packs", "write what the law asks as targets of your own rules for now"),
    (ROOT, "obligations", "write them as targets of your rules for now"),
    (ROOT, "heartbeat", "watch /healthz from outside for now"),
    (SOURCES, "preset", "spell out `table`, `columns` and `events`"),
    (SOURCES, "history", "map what has a column of its own under [sources.events]"),
    (SOURCES, "verify_url", "deadlines are verified on the source's own url for now"),
    (SOURCES, "verify_url_env", "deadlines are verified on the source's own url for now"),
    (SOURCES, "verify_url_file", "deadlines are verified on the source's own url for now"),
    (&["[sources.columns]"], "updated", "every poll reads all open rows for now"),
    (RULES, "obligations", "write them as targets for now"),
    (RULES, "raised_when", "write it under [categories], for all rules at once"),
    (RULES, "spread", "give `targets` the shortest time that you need"),
    (TARGETS, "repeat", "a target runs once an episode for now"),
];
