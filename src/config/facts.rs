//! `[sources.facts]` and the expressions over them. Facts of all sources share one namespace, so that a rule
//! reads alike whichever table a report came from.

use super::read::{Entry, Reader, Table, Text, nearest};
use super::sources::SourceRead;
use crate::compile::when::{self, WhenError};
use crate::core::facts::{CATEGORY, FactType, FactTypes, Predicate};
use crate::source::settings::FactColumn;
use std::collections::BTreeMap;
use toml::de::DeValue;

const EXAMPLE: &str = "views = { column = \"view_count\", type = \"int\" }";

/// The facts of one source, each with its key.
pub fn read<'t>(r: &Reader, table: &Table<'t>) -> Vec<(FactColumn, Text<'t>)> {
    let facts = table.get("facts").and_then(|entry| entry.free_table(r, "[sources.facts]", EXAMPLE));
    let Some(facts) = facts else { return Vec::new() };
    facts.entries().filter_map(|entry| Some((read_one(r, &entry)?, entry.key))).collect()
}

fn read_one(r: &Reader, entry: &Entry) -> Option<FactColumn> {
    let name = &entry.key;
    if !when::is_fact_name(name.value) {
        let what = if name.value == CATEGORY {
            format!("no fact can be named `{CATEGORY}`: expressions already read the report's category under it")
        } else {
            format!("no expression can read a fact named \"{}\"", name.value)
        };
        r.refuse(
            &name.place,
            what,
            "use at most 64 letters, digits and '_', and no word of the language, as in `views`",
        );
        return None;
    }
    let example = format!("{} = {{ column = \"view_count\", type = \"int\" }}", name.value);
    let table = entry.table(r, "a fact", &["column", "type"], &example)?;
    let column = table.require(r, "column", "column = \"view_count\"");
    let column = column.and_then(|entry| entry.text(r, "column = \"view_count\""));
    let kind = table.require(r, "type", "type = \"int\"").and_then(|entry| {
        let text = entry.text(r, "type = \"int\"")?;
        let kind = FactType::parse(text.value);
        if kind.is_none() {
            let advice = "write \"int\", \"float\", \"bool\" or \"string\"";
            r.refuse(&text.place, format!("there is no type \"{}\"", text.value), advice);
        }
        kind
    });
    Some(FactColumn { name: name.name(), column: column?.value.to_owned(), kind: kind? })
}

/// All sources' facts. A name has one type wherever it is mapped.
pub fn join(r: &Reader, sources: &[SourceRead]) -> FactTypes {
    let mut types: BTreeMap<_, (FactType, usize)> = BTreeMap::new();
    for (at, source) in sources.iter().enumerate() {
        for (fact, key) in &source.facts {
            let (held, first) = *types.entry(fact.name.clone()).or_insert((fact.kind, at));
            if held != fact.kind {
                let called = sources[first].name.as_ref().map_or("another source", |name| name.value);
                let what = format!("the fact `{}` is {} here, but {held} in \"{called}\"", fact.name, fact.kind);
                r.refuse(&key.place, what, "give both one type, or one of them another name");
            }
        }
    }
    types.into_iter().map(|(name, (kind, _))| (name, kind)).collect()
}

/// An expression that is true or false of every report.
pub fn predicate(r: &Reader, entry: &Entry, types: &FactTypes) -> Option<Predicate> {
    let text = entry.text(r, &format!("{} = \"views > 1000\"", entry.key.value))?;
    match when::compile(text.value, types) {
        Ok(predicate) => Some(predicate),
        Err(error) => {
            let place = place(&text, entry.value, &error);
            let advice = error.unknown.as_deref().map_or(error.advice.clone(), |name| unknown(name, types));
            r.refuse(&place, format!("`{}`: {}", entry.key.value, error.what), advice);
            None
        }
    }
}

/// Within the text where it stands in the file as it is, else the whole of it.
fn place(text: &Text, value: &DeValue, error: &WhenError) -> super::Place {
    let plain = matches!(value, DeValue::String(_)) && text.place.len() == text.value.len() + 2;
    if !plain || error.at.is_empty() {
        return text.place.clone();
    }
    text.place.start + 1 + error.at.start..text.place.start + 1 + error.at.end
}

fn unknown(name: &str, types: &FactTypes) -> String {
    let known: Vec<&str> = types.keys().map(|name| &**name).chain([CATEGORY]).collect();
    let add = format!("add to [sources.facts]: {name} = {{ column = \"column\", type = \"int\" }}");
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? otherwise {add}"),
        None => format!("expressions read {} here; a text stands in quotes; or {add}", known.join(", ")),
    }
}
