//! `[blind]`: who hears that the monitor itself can't see, after how long without a read, and which
//! categories must speak within which span of time.

use super::read::{Empty, Entry, Reader, Table, within_bounds};
use super::rules::{CategoriesRead, Terms, escalation_name};
use super::sources::SourceRead;
use super::targets::undefined;
use crate::core::id::Name;
use crate::core::policy::{Expect, SourcePolicy};
use crate::core::time::Span;
use crate::source::settings::Settings;
use std::collections::BTreeMap;

const EXPECT: &str = "expect = [{ categories = [\"csam\"], every = \"24h\" }]";

/// `[blind]` as far as it could be read.
#[derive(Default)]
pub struct BlindRead {
    pub operators: Option<Name>,
    stale_after: Option<Span>,
    /// By source.
    expect: BTreeMap<Name, Vec<Expect>>,
}

pub fn read(r: &Reader, root: &Table, terms: &Terms, sources: &[SourceRead], categories: &CategoriesRead) -> BlindRead {
    const EXAMPLE: &str = "escalation = \"operators\"";
    let Some(entry) = root.get("blind") else { return BlindRead::default() };
    let known = ["escalation", "stale_after", "expect"];
    let Some(table) = entry.table(r, "[blind]", &known, EXAMPLE) else { return BlindRead::default() };
    let operators = table.require(r, "escalation", EXAMPLE).and_then(|entry| escalation_name(r, &entry, terms));
    let stale_after = table.get("stale_after").and_then(|entry| stale_after(r, &entry, sources));
    let expect = table.get("expect").map(|entry| expect(r, &entry, sources, categories)).unwrap_or_default();
    BlindRead { operators, stale_after, expect }
}

fn stale_after(r: &Reader, entry: &Entry, sources: &[SourceRead]) -> Option<Span> {
    let span = entry.duration(r, "stale_after = \"1m\"")?.span;
    let (least, most) = (Span::from_secs(2), Span::from_hours(24));
    if !within_bounds(r, entry, span, "2s", "24h", (least, most)) {
        return None;
    }
    for settings in sources.iter().filter_map(|source| source.settings.as_ref()) {
        if span < settings.poll.plus(settings.poll) {
            let what = format!("a source that is polled every {} would be blind between two polls", settings.poll);
            r.refuse(&entry.place, what, "give it at least two polls, as in: stale_after = \"1m\"");
            return None;
        }
    }
    Some(span)
}

fn expect(
    r: &Reader,
    entry: &Entry,
    sources: &[SourceRead],
    categories: &CategoriesRead,
) -> BTreeMap<Name, Vec<Expect>> {
    let mut read: BTreeMap<Name, Vec<Expect>> = BTreeMap::new();
    let names: Vec<&str> = sources.iter().filter_map(|source| Some(source.name.as_ref()?.value)).collect();
    for table in entry.tables(r, "an expectation", &["categories", "every", "source"], EXPECT) {
        let every = table.require(r, "every", "every = \"24h\"").and_then(|entry| {
            let span = entry.duration(r, "every = \"24h\"")?.span;
            within_bounds(r, &entry, span, "1m", "90d", (Span::from_mins(1), Span::from_hours(90 * 24))).then_some(span)
        });
        let listed = table.require(r, "categories", "categories = [\"csam\"]");
        let listed = listed.map(|entry| entry.texts(r, Empty::Refused, "categories = [\"csam\"]")).unwrap_or_default();
        for text in &listed {
            if !categories.classes.contains_key(text.value) {
                let known = categories.classes.keys().map(|name| &**name);
                undefined(r, text, "category", known, "it to one of the lists of [categories]");
            }
        }
        let source = match (table.get("source"), names.as_slice()) {
            (Some(entry), _) => entry.text(r, "source = \"reports\"").and_then(|text| {
                let known = names.contains(&text.value);
                if !known {
                    undefined(r, &text, "source", names.iter().copied(), "a [[sources]] of that name");
                }
                known.then(|| text.name())
            }),
            (None, [only]) => Some(Name::from(*only)),
            (None, []) => None,
            (None, _) => {
                let what = "several sources are configured: whose silence is this?";
                r.refuse(&table.place, what, format!("add: source = \"{}\"", names[0]));
                None
            }
        };
        if let (Some(source), Some(every)) = (source, every) {
            let categories = listed.iter().map(|text| text.name()).collect();
            read.entry(source).or_default().push(Expect { categories, every });
        }
    }
    read
}

impl BlindRead {
    /// What the core must know of a source.
    pub fn source_policy(&self, source: &Settings) -> SourcePolicy {
        SourcePolicy {
            deleted_means: source.states.deleted_means,
            blind_after: Some(self.stale_after.unwrap_or(source.stale_after())),
            expect: self.expect.get(&source.name).cloned().unwrap_or_default(),
        }
    }
}
