//! `[[obligations]]`: what a law or an authority asks, in the configuration's own words. What the shipped
//! packs ask comes through here too, and is held to the same: an event that no source shows is refused.

use super::facts::predicate;
use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table};
use super::rules::{MinorSafetyRead, RuleRead, Terms, escalation_name};
use super::sources::{SourceRead, event_name};
use super::targets::undefined;
use crate::compile::packs::midnight;
use crate::core::facts::Predicate;
use crate::core::id::Name;
use crate::core::obligation::{InForce, OBLIGATIONS_MAX, Obligation};
use crate::core::observation::EventName;
use crate::core::policy::{Due, Target};
use crate::core::time::{Span, Timestamp};
use crate::zone::Zone;
use std::collections::BTreeSet;

const EXAMPLE: &str =
    "[[obligations]] with name and target = { from = \"valid_request\", until = \"removed\", within = \"24h\" }";
const TARGET: &str = "target = { from = \"valid_request\", until = \"removed\", within = \"24h\", warn = \"6h\" }";
const KEYS: &[&str] = &["name", "when", "sources", "target", "escalation", "assume", "effective", "expires"];

/// An obligation and where it stands: its name, or the pack that it is of.
pub struct ObligationRead {
    pub obligation: Obligation,
    pub place: Place,
}

/// Which reports an obligation is about and who hears of its breach: the same for one's own and for packs.
#[derive(Clone, Default)]
pub struct Scope {
    pub when: Option<Predicate>,
    pub sources: Option<BTreeSet<Name>>,
    pub escalation: Option<Name>,
    assume: Option<Assume>,
}

/// What stands in for an event that a source doesn't map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Assume {
    /// The clock starts when the report came in: never later than it should.
    Received,
    /// People add the event by hand.
    People,
}

pub fn read(r: &Reader, root: &Table, terms: &Terms, sources: &[SourceRead]) -> Vec<ObligationRead> {
    let mut read = super::packs::read(r, root, terms, sources);
    let own = root.get("obligations").map(|entry| entry.tables(r, "[[obligations]]", KEYS, EXAMPLE));
    read.extend(own.unwrap_or_default().iter().filter_map(|table| read_one(r, table, terms, sources)));
    for (at, obligation) in read.iter().enumerate() {
        let name = obligation.obligation.name();
        if read[..at].iter().any(|before| before.obligation.name() == name) {
            let what = format!("two obligations are named \"{name}\"");
            r.refuse(&obligation.place, what, "give each a name of its own: breaches and metrics carry it");
        }
    }
    if let Some(beyond) = read.get(OBLIGATIONS_MAX) {
        let what = format!("there are more than {OBLIGATIONS_MAX} obligations");
        r.refuse(&beyond.place, what, "join those that differ only in whom they are about: when = \"a || b\"");
    }
    read
}

fn read_one(r: &Reader, table: &Table, terms: &Terms, sources: &[SourceRead]) -> Option<ObligationRead> {
    const NAME: &str = "name = \"agreement with the regulator\"";
    let name = table.require(r, "name", NAME).and_then(|entry| entry.text(r, NAME));
    let target = table.require(r, "target", TARGET).and_then(|entry| target(r, &entry));
    let scope = scope(r, table, terms, sources);
    let in_force = in_force(r, table);
    let (name, (from, until, within, warn)) = (name?, target?);
    let due = Due::Within { span: within, calendar: None };
    let target = Target { name: name.name(), from, until, due, warn, repeat: None };
    Some(ObligationRead {
        obligation: scope?.obligation(r, &name.place, None, target, in_force?, sources),
        place: name.place,
    })
}

/// (from, until, within, warn)
fn target(r: &Reader, entry: &Entry) -> Option<(EventName, EventName, Span, Option<Span>)> {
    if let toml::de::DeValue::Table(written) = entry.value
        && let Some(key) = written.keys().find(|key| ["calendar", "due"].contains(&key.get_ref().as_ref()))
    {
        let what = format!("an obligation can't have `{}`: it runs on wall time from an event", key.get_ref());
        r.refuse(&key.span(), what, format!("write: {TARGET}"));
        return None;
    }
    let table = entry.table(r, "`target` of an obligation", &["from", "until", "within", "warn"], TARGET)?;
    let event = |key: &str, example: &str| {
        let entry = table.require(r, key, example)?;
        event_name(r, &entry.text(r, example)?)
    };
    let (from, until) = (event("from", "from = \"valid_request\""), event("until", "until = \"removed\""));
    let within = table.require(r, "within", "within = \"24h\"").and_then(|entry| entry.duration(r, "within = \"24h\""));
    let warn = table.get("warn").map(|entry| (entry.duration(r, "warn = \"6h\""), entry.place));
    let (from, until, within) = (from?, until?, within?.span);
    if from == until || until == EventName::Received {
        let what = format!("no obligation can run from `{from}` until `{until}`: it would take no time");
        r.refuse(&entry.place, what, format!("write: {TARGET}"));
        return None;
    }
    let warn = match warn {
        Some((span, place)) => Some(warning(r, &place, span?.span, within)?),
        None => None,
    };
    Some((from, until, within, warn))
}

/// How long before its deadline an obligation warns: less than it has.
pub fn warning(r: &Reader, place: &Place, warn: Span, within: Span) -> Option<Span> {
    if warn < within {
        return Some(warn);
    }
    let what = format!("it would warn {warn} before its deadline, but has only {within} in all");
    r.refuse(place, what, "write a shorter time under `warn`");
    None
}

fn in_force(r: &Reader, table: &Table) -> Option<InForce> {
    let date = |key: &str| -> Option<Option<Timestamp>> {
        let Some(entry) = table.get(key) else { return Some(None) };
        let example = format!("{key} = \"2026-05-19\"");
        let text = entry.text(r, &example)?;
        let at = midnight(text.value, Zone::UTC);
        if at.is_none() {
            r.refuse(&text.place, format!("\"{}\" is not a date", text.value), format!("write: {example}"));
        }
        at.map(Some)
    };
    let (from, until) = (date("effective"), date("expires"));
    let (from, until) = (from?, until?);
    if let (Some(effective), Some(expires), Some(entry)) = (from, until, table.get("expires"))
        && expires <= effective
    {
        r.refuse(&entry.place, "it expires before it takes effect", "write a date after `effective`");
        return None;
    }
    Some(InForce { from, until })
}

/// The keys that packs and own obligations share.
pub fn scope(r: &Reader, table: &Table, terms: &Terms, sources: &[SourceRead]) -> Option<Scope> {
    let when = table.get("when").map(|entry| predicate(r, &entry, terms.facts));
    let escalation = table.get("escalation").map(|entry| escalation_name(r, &entry, terms));
    let assume = table.get("assume").map(|entry| assume(r, &entry));
    let named = table.get("sources").map(|entry| {
        let texts = entry.texts(r, Empty::Refused, "sources = [\"reports\"]");
        let known = || sources.iter().filter_map(|source| source.name.as_ref()).map(|name| name.value);
        for text in texts.iter().filter(|text| !known().any(|name| name == text.value)) {
            let known: Vec<&str> = known().collect();
            undefined(r, text, "source", known.iter().copied(), "[[sources]] with that name");
        }
        texts.iter().map(|text| text.name()).collect()
    });
    Some(Scope {
        when: when.map_or(Some(None), |when| when.map(Some))?,
        sources: named,
        escalation: escalation.map_or(Some(None), |name| name.map(Some))?,
        assume: assume.map_or(Some(None), |assume| assume.map(Some))?,
    })
}

fn assume(r: &Reader, entry: &Entry) -> Option<Assume> {
    let text = entry.text(r, "assume = \"received\"")?;
    match text.value {
        "received" => Some(Assume::Received),
        "people" => Some(Assume::People),
        other => {
            let advice = "write \"received\" to start the clock when the report came in, or \"people\" where they add \
                          the event with `tocsin event`";
            r.refuse(&text.place, format!("nothing can be assumed as \"{other}\""), advice);
            None
        }
    }
}

impl Scope {
    /// Makes the obligation, and refuses it where a source shows one of its events to nobody.
    pub fn obligation(
        self,
        r: &Reader,
        place: &Place,
        pack: Option<&str>,
        target: Target,
        in_force: InForce,
        sources: &[SourceRead],
    ) -> Obligation {
        let about = |name: &Name| self.sources.as_ref().is_none_or(|sources| sources.contains(name));
        let mut assumed = BTreeSet::new();
        for source in sources {
            let Some(name) = source.name.as_ref().map(|name| name.name()).filter(|name| about(name)) else { continue };
            match self.assume {
                _ if shows(source, target.from) => {}
                Some(Assume::People) => {}
                Some(Assume::Received) => {
                    assumed.insert(name.clone());
                }
                None => refuse_unmapped(r, place, pack, &target, target.from, &name),
            }
            if !shows(source, target.until) && self.assume != Some(Assume::People) {
                refuse_unmapped(r, place, pack, &target, target.until, &name);
            }
        }
        let Scope { when, sources, escalation, .. } = self;
        Obligation { target, when, sources, assumed, escalation, in_force }
    }
}

/// Whether a source shows this event of its reports. A closure that counts is a first response, and one for
/// a violation a confirmation.
fn shows(source: &SourceRead, event: EventName) -> bool {
    let mapped = |event: EventName| source.events.iter().any(|(name, _)| *name == event);
    let outcome = || source.settings.as_ref().is_none_or(|settings| settings.states.outcome.is_some());
    match event {
        EventName::Received => true,
        EventName::FirstResponse => mapped(event) || mapped(EventName::Closed),
        EventName::Confirmed => mapped(event) || mapped(EventName::Closed) && outcome(),
        _ => mapped(event),
    }
}

fn refuse_unmapped(r: &Reader, place: &Place, pack: Option<&str>, target: &Target, event: EventName, source: &Name) {
    let name = &target.name;
    let add = |key: &str| match pack {
        Some(pack) => format!("write {{ name = \"{pack}\", {key} }}"),
        None => format!("add {key}"),
    };
    let map = format!("add to [sources.events] of \"{source}\": {event} = \"column\"");
    if event == target.from {
        let what = format!("\"{name}\" would never start: the source \"{source}\" doesn't map `{event}`");
        let advice =
            format!("{map}; or {}: the clock then starts when the report came in", add("assume = \"received\""));
        r.refuse(place, what, advice);
    } else {
        let what = format!("\"{name}\" could never be met: the source \"{source}\" doesn't map `{event}`");
        let advice = format!("{map}; or {} where people say it by hand", add("assume = \"people\""));
        r.refuse(place, what, advice);
    }
}

/// Refuses an obligation that has the name of a target: a breach is known by that name.
pub fn judge_names(r: &Reader, read: &[ObligationRead], minor_safety: Option<&MinorSafetyRead>, rules: &[RuleRead]) {
    let targets = rules.iter().flat_map(|rule| &rule.targets);
    let targets: BTreeSet<&Name> =
        targets.chain(minor_safety.iter().flat_map(|read| &read.targets)).map(|read| &read.target.name).collect();
    for obligation in read.iter().filter(|read| targets.contains(read.obligation.name())) {
        let what =
            format!("\"{}\" is the name of a target too, and a breach is known by it", obligation.obligation.name());
        r.refuse(&obligation.place, what, "give the obligation the name of what imposes it");
    }
}
