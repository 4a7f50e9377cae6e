//! `packs`: obligations by law, switched on by name. What a law leaves open, such as which of a platform's
//! categories it is about, the configuration must say; how well each figure is known, it is told.

use super::obligations::{ObligationRead, Scope, scope, warning};
use super::problem::Place;
use super::read::{Entry, Reader, Table, Text};
use super::rules::Terms;
use super::sources::SourceRead;
use super::targets::undefined;
use crate::compile::packs::{self, Evidence, Figure, NOT_ADVICE, Pack};
use crate::core::policy::{Due, Target};
use crate::core::time::Span;
use toml::de::DeValue;

const EXAMPLE: &str =
    "packs = [\"us-take-it-down\"], or packs = [{ name = \"us-take-it-down\", escalation = \"on-call\" }]";
const KEYS: &[&str] = &["name", "when", "sources", "escalation", "assume", "warn", "accept_unverified"];

pub fn read(r: &Reader, root: &Table, terms: &Terms, sources: &[SourceRead]) -> Vec<ObligationRead> {
    let Some(entry) = root.get("packs") else { return Vec::new() };
    let DeValue::Array(items) = entry.value else {
        entry.refuse_type(r, "a list", EXAMPLE);
        return Vec::new();
    };
    let entries = items.iter().map(|item| Entry { key: entry.key.clone(), value: item.get_ref(), place: item.span() });
    entries.flat_map(|entry| read_one(r, &entry, terms, sources).unwrap_or_default()).collect()
}

fn read_one(r: &Reader, entry: &Entry, terms: &Terms, sources: &[SourceRead]) -> Option<Vec<ObligationRead>> {
    let (name, scope, warn, accepted) = match entry.value {
        DeValue::String(_) => (entry.text(r, EXAMPLE)?, Scope::default(), None, false),
        _ => {
            let table = entry.table(r, "a pack", KEYS, EXAMPLE)?;
            let name = table.require(r, "name", "name = \"us-take-it-down\"");
            let name = name.and_then(|entry| entry.text(r, "name = \"us-take-it-down\""));
            let warn = table.get("warn").map(|entry| (entry.duration(r, "warn = \"6h\""), entry.place));
            let accepted = table.get("accept_unverified").map(|entry| yes(r, &entry));
            (name?, scope(r, &table, terms, sources)?, warn, accepted.unwrap_or(Some(false))?)
        }
    };
    let warn = warn.map_or(Some(None), |(span, place)| Some(Some((span?.span, place))))?;
    let pack = find(r, &name)?;
    judge(r, &name, pack, &scope, accepted)?;
    note(r, &name, pack);
    Some(obligations(r, &name, pack, scope, warn, sources))
}

fn yes(r: &Reader, entry: &Entry) -> Option<bool> {
    match entry.value {
        DeValue::Boolean(value) => Some(*value),
        _ => {
            entry.refuse_type(r, "true or false", "accept_unverified = true");
            None
        }
    }
}

fn find(r: &Reader, name: &Text) -> Option<&'static Pack> {
    let found = packs::named(name.value);
    if found.is_none() {
        let known = packs::all().iter().map(|pack| pack.name.as_str());
        undefined(r, name, "pack", known, "[[obligations]] with your own words; `tocsin packs` lists those shipped");
    }
    found
}

/// Refuses a pack that can't be switched on as it is written.
fn judge(r: &Reader, name: &Text, pack: &Pack, scope: &Scope, accepted: bool) -> Option<()> {
    if let Some(why) = &pack.refused {
        let what = format!("the pack \"{}\" can't be switched on: {why}", pack.name);
        r.refuse(&name.place, what, "remove it, or write [[obligations]] of your own");
        return None;
    }
    if let Some(why) = pack.needs_acceptance().filter(|_| !accepted) {
        let what = format!("the pack \"{}\" is off: {why}", pack.name);
        let advice =
            format!("once counsel has confirmed it, write: {{ name = \"{}\", accept_unverified = true }}", pack.name);
        r.refuse(&name.place, what, advice);
        return None;
    }
    if let Some(sample) = pack.needs_when.as_ref().filter(|_| scope.when.is_none()) {
        let what = format!("the pack \"{}\" doesn't know which of your reports it is about: {}", pack.name, pack.scope);
        r.refuse(&name.place, what, format!("write: {{ name = \"{}\", when = \"{sample}\" }}", pack.name));
        return None;
    }
    Some(())
}

/// Tells how well the figures are known.
fn note(r: &Reader, name: &Text, pack: &Pack) {
    let weakest = pack.evidence().filter(|evidence| *evidence != Evidence::Text);
    if let Some(evidence) = weakest {
        r.warn(&name.place, format!("the figures of the pack \"{}\" were {evidence}", pack.name), NOT_ADVICE);
    }
    for internal in pack.obligations.iter().filter(|obligation| obligation.figure == Figure::Internal) {
        let target = &internal.target;
        let within = match &target.due {
            Due::Within { span, .. } => span.to_string(),
            Due::Stated { column } => column.to_string(),
        };
        let what = format!("{within} of \"{}\" is an internal target: the law gives no such number", target.name);
        r.warn(&name.place, what, format!("write [[obligations]] of your own where you need another; {NOT_ADVICE}"));
    }
}

fn obligations(
    r: &Reader,
    name: &Text,
    pack: &Pack,
    scope: Scope,
    warn: Option<(Span, Place)>,
    sources: &[SourceRead],
) -> Vec<ObligationRead> {
    let asked = pack.obligations.iter().map(|asked| {
        let within = match &asked.target.due {
            Due::Within { span, .. } => *span,
            Due::Stated { .. } => Span::ZERO,
        };
        let warn = warn.as_ref().and_then(|(span, place)| warning(r, place, *span, within));
        let target = Target { warn, ..asked.target.clone() };
        let obligation = scope.clone().obligation(r, &name.place, Some(name.value), target, asked.in_force, sources);
        ObligationRead { obligation, place: name.place.clone() }
    });
    asked.collect()
}
