//! Categories, minor safety, rules and escalations. The minor-safety law is held here, each breach of it
//! refused at its place: P0 has no door but the list, and no rule, calendar or duplicate opens another.

use super::facts::predicate;
use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, Text, nearest};
use super::targets::{TargetRead, TargetTerms, Whose, undefined};
use crate::compile::vocabulary::{self, Vocabulary};
use crate::core::bulk::BulkBound;
use crate::core::facts::{FactType, FactTypes, Predicate};
use crate::core::id::Name;
use crate::core::policy::{
    Categories, CategoryClass, Escalation, MINOR_SAFETY_RULE, NO_RULE, Priority, Spread, Step, Warn,
};
use crate::core::time::Span;
use std::collections::{BTreeMap, BTreeSet};

/// Both lists, with the place of each category.
#[derive(Default)]
pub struct CategoriesRead {
    pub classes: BTreeMap<Name, (CategoryClass, Place)>,
    /// Where the list of minor safety stands.
    pub minor_safety: Place,
    pub minor_when: Option<Predicate>,
    pub raised_when: Option<Predicate>,
}

pub fn categories(r: &Reader, root: &Table, facts: &FactTypes) -> CategoriesRead {
    const EXAMPLE: &str = "[categories] with minor_safety = [\"csam\"] and other = [\"spam\"]";
    let mut read = CategoriesRead::default();
    let table = root.require(r, "categories", EXAMPLE).and_then(|entry| {
        let known = ["minor_safety", "other", "minor_when", "raised_when", "unsorted"];
        entry.table(r, "[categories]", &known, EXAMPLE)
    });
    let Some(table) = table else { return read };
    read.minor_when = table.get("minor_when").and_then(|entry| predicate(r, &entry, facts));
    read.raised_when = table.get("raised_when").and_then(|entry| predicate(r, &entry, facts));
    if let Some(entry) = table.get("unsorted") {
        refuse_unsorted(r, &entry);
    }
    let lists = [("minor_safety", CategoryClass::MinorSafety, "csam"), ("other", CategoryClass::Other, "spam")];
    for (key, class, sample) in lists {
        let example = format!("{key} = [\"{sample}\"]");
        let Some(entry) = table.require(r, key, &format!("{example}, or {key} = []")) else { continue };
        if class == CategoryClass::MinorSafety {
            read.minor_safety = entry.key.place.clone();
        }
        for text in entry.texts(r, Empty::Allowed, &example) {
            if let Some(name) = text.value.strip_prefix(vocabulary::PREFIX) {
                add_vocabulary(r, &text, name, class, &mut read);
            } else if text.value == "*" {
                let what = "\"*\" is not a category: a code that no list names is presumed to be minor safety";
                r.refuse(&text.place, what, "list the codes that the sources write");
            } else if read.classes.get(text.value).is_some_and(|(held, _)| *held != class) {
                let what = format!("\"{}\" is in both lists", text.value);
                r.refuse(&text.place, what, "remove it from `other` if it concerns minors, else from `minor_safety`");
            } else {
                // A code that a vocabulary brought already may be spelled out as well.
                read.classes.insert(text.name(), (class, text.place));
            }
        }
    }
    read
}

/// Adds the codes of a vocabulary. One that is about minors can stand nowhere but under minor safety.
fn add_vocabulary(r: &Reader, text: &Text, name: &str, class: CategoryClass, read: &mut CategoriesRead) {
    let Some(found) = vocabulary(r, text, name) else { return };
    if found.minor_safety && class == CategoryClass::Other {
        let what = format!("every code of the vocabulary \"{name}\" is about minors");
        r.refuse(&text.place, what, "move it to `minor_safety`");
        return;
    }
    for code in found.codes {
        match read.classes.get(*code) {
            Some((held, _)) if *held != class => {
                let what = format!("\"{code}\" of the vocabulary \"{name}\" is in both lists");
                r.refuse(
                    &text.place,
                    what,
                    "remove it from `other` if it concerns minors, else name single codes here",
                );
            }
            Some(_) => {}
            None => {
                read.classes.insert((*code).into(), (class, text.place.clone()));
            }
        }
    }
}

fn vocabulary(r: &Reader, text: &Text, name: &str) -> Option<&'static Vocabulary> {
    let found = vocabulary::named(name);
    if found.is_none() {
        let known = vocabulary::ALL.iter().map(|known| known.name);
        let advice = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean \"{}{near}\"?", vocabulary::PREFIX),
            None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
        };
        r.refuse(&text.place, format!("no vocabulary is named \"{name}\""), advice);
    }
    found
}

/// What `init` found and nobody has sorted yet: nothing but a person may say what doesn't concern minors.
fn refuse_unsorted(r: &Reader, entry: &Entry) {
    let unsorted = entry.texts(r, Empty::Allowed, "unsorted = []");
    if unsorted.is_empty() {
        return;
    }
    let what = match unsorted.len() {
        1 => format!("the category \"{}\" is not sorted yet", unsorted[0].value),
        count => format!("{count} categories are not sorted yet"),
    };
    let advice = "move each to `minor_safety` if it can concern a minor, else to `other`; then remove `unsorted`";
    r.refuse(&entry.key.place, what, advice);
}

/// What rules and minor safety may refer to.
pub struct Terms<'t> {
    pub targets: TargetTerms<'t>,
    pub escalations: BTreeSet<&'t str>,
    pub facts: &'t FactTypes,
}

pub struct MinorSafetyRead {
    pub targets: Vec<TargetRead>,
    pub escalation: Option<Name>,
    pub spread: Option<Spread>,
    pub bulk: BulkBound,
}

pub fn minor_safety(r: &Reader, root: &Table, terms: &Terms) -> Option<MinorSafetyRead> {
    const EXAMPLE: &str =
        "[minor_safety] with targets = { first_response = \"15m\", closed = \"1h\" } and escalation = \"minor-safety\"";
    let Some(entry) = root.get("minor_safety") else {
        if root.has_misspelt("minor_safety") {
            return None;
        }
        r.refuse(
            &root.place,
            "[minor_safety] is missing: P0 has no deadlines and nobody to page",
            format!("add: {EXAMPLE}"),
        );
        return None;
    };
    let table = entry.table(r, "[minor_safety]", &["targets", "escalation", "spread", "bulk_closures"], EXAMPLE)?;
    let targets = table
        .require(r, "targets", "targets = { first_response = \"15m\", closed = \"1h\" }")
        .map(|entry| super::targets::read(r, &entry, Whose::MinorSafety, &terms.targets));
    let escalation = table
        .require(r, "escalation", "escalation = \"minor-safety\"")
        .and_then(|entry| escalation_name(r, &entry, terms));
    let spread = table.get("spread").and_then(|entry| spread(r, &entry, terms.facts));
    let bulk = table.get("bulk_closures").and_then(|entry| bulk_closures(r, &entry)).unwrap_or_default();
    Some(MinorSafetyRead { targets: targets.unwrap_or_default(), escalation, spread, bulk })
}

/// What one account may close before its closures wait for a second review: the law's bound or less.
fn bulk_closures(r: &Reader, entry: &Entry) -> Option<BulkBound> {
    const EXAMPLE: &str = "bulk_closures = { cases = 10, within = \"1m\" }";
    let law = BulkBound::default();
    let table = entry.table(r, "`bulk_closures`", &["cases", "within"], EXAMPLE)?;
    let cases = table
        .require(r, "cases", "cases = 10")
        .and_then(|entry| Some((entry.whole_number(r, "cases = 10")?, entry.place)));
    let within = table
        .require(r, "within", "within = \"1m\"")
        .and_then(|entry| Some((entry.duration(r, "within = \"1m\"")?.span, entry.place)));
    let ((cases, cases_place), (within, within_place)) = (cases?, within?);
    if cases == 0 || cases > u64::from(law.cases_max) {
        let what = format!(
            "{cases} cases can't be the bound for bulk closures of minor safety: the law has {} and can only be made stricter",
            law.cases_max
        );
        r.refuse(&cases_place, what, format!("write a number from 1 to {}", law.cases_max));
        return None;
    }
    if within < law.within {
        let what =
            format!("{within} is shorter than the {} of the law, so more closures would pass unnoticed", law.within);
        r.refuse(&within_place, what, format!("write within = \"{}\", or longer", law.within));
        return None;
    }
    Some(BulkBound { cases_max: u32::try_from(cases).unwrap_or(law.cases_max), within })
}

fn spread(r: &Reader, entry: &Entry, facts: &FactTypes) -> Option<Spread> {
    const EXAMPLE: &str = "spread = { fact = \"views\", per_hour = 1000, within = \"15m\" }";
    let table = entry.table(r, "`spread`", &["fact", "per_hour", "within"], EXAMPLE)?;
    let fact = table.require(r, "fact", "fact = \"views\"").and_then(|entry| entry.text(r, "fact = \"views\""));
    let per_hour = table.require(r, "per_hour", "per_hour = 1000").and_then(|entry| {
        let number = entry.whole_number(r, "per_hour = 1000")?;
        if number == 0 {
            r.refuse(
                &entry.place,
                "`per_hour` must be at least 1: everything spreads faster than 0",
                "write: per_hour = 1000",
            );
        }
        Some(number)
    });
    let within = table.require(r, "within", "within = \"15m\"").and_then(|entry| entry.duration(r, "within = \"15m\""));
    let fact = fact.filter(|text| match facts.get(text.value) {
        Some(FactType::Int | FactType::Float) => true,
        Some(kind) => {
            let what = format!("the fact `{}` is a {kind}, which doesn't grow", text.value);
            r.refuse(&text.place, what, "name a fact whose type is \"int\" or \"float\"");
            false
        }
        None => {
            let numbers = facts.iter().filter(|(_, kind)| matches!(kind, FactType::Int | FactType::Float));
            let add = format!("[sources.facts] with {} = {{ column = \"view_count\", type = \"int\" }}", text.value);
            undefined(r, text, "fact", numbers.map(|(name, _)| &**name), &add);
            false
        }
    });
    Some(Spread { fact: fact?.name(), per_hour: per_hour?, within: within?.span })
}

/// An escalation that is defined.
pub fn escalation_name(r: &Reader, entry: &Entry, terms: &Terms) -> Option<Name> {
    let text = entry.text(r, "escalation = \"on-call\"")?;
    if terms.escalations.contains(text.value) {
        return Some(text.name());
    }
    let add = format!("[[escalations]] with name = \"{}\" and steps", text.value);
    undefined(r, &text, "escalation", terms.escalations.iter().copied(), &add);
    None
}

pub struct RuleRead {
    pub name: Name,
    /// Where the name stands.
    pub place: Place,
    pub categories: Categories,
    pub when: Option<Predicate>,
    pub priority: Option<Priority>,
    pub targets: Vec<TargetRead>,
    pub escalation: Option<Name>,
}

pub fn rules(r: &Reader, root: &Table, categories: &CategoriesRead, terms: &Terms) -> Vec<RuleRead> {
    const EXAMPLE: &str = "[[rules]] with name, categories, priority and targets";
    const KEYS: &[&str] = &["name", "categories", "when", "priority", "targets", "escalation"];
    let Some(entry) = root.get("rules") else { return Vec::new() };
    let mut read: Vec<RuleRead> = Vec::new();
    for table in entry.tables(r, "[[rules]]", KEYS, EXAMPLE) {
        let name = table.require(r, "name", "name = \"spam\"").and_then(|entry| entry.text(r, "name = \"spam\""));
        let place = name.as_ref().map_or(table.place.clone(), |name| name.place.clone());
        if let Some(name) = &name {
            judge_rule_name(r, name, &read);
        }
        let listed = table
            .require(r, "categories", "categories = [\"spam\"], or categories = [\"*\"] for all under `other`")
            .map(|entry| rule_categories(r, &entry, categories));
        let priority = table.require(r, "priority", "priority = \"P2\"").and_then(|entry| priority(r, &entry));
        let targets = table
            .require(r, "targets", "targets = { first_response = \"1h\", closed = \"4h\" }")
            .map(|entry| super::targets::read(r, &entry, Whose::Rule, &terms.targets));
        let escalation = table.get("escalation").and_then(|entry| escalation_name(r, &entry, terms));
        read.push(RuleRead {
            name: name.map_or("".into(), |name| name.name()),
            place,
            categories: listed.unwrap_or(Categories::Listed(BTreeSet::new())),
            when: table.get("when").and_then(|entry| predicate(r, &entry, terms.facts)),
            priority,
            targets: targets.unwrap_or_default(),
            escalation,
        });
    }
    read
}

fn judge_rule_name(r: &Reader, name: &Text, before: &[RuleRead]) {
    if name.value == MINOR_SAFETY_RULE {
        let what = format!("no rule can be named \"{MINOR_SAFETY_RULE}\": that is P0, which needs no rule");
        r.refuse(&name.place, what, "put its categories and targets under [categories] and [minor_safety]");
    } else if name.value == NO_RULE {
        let what = format!("no rule can be named \"{NO_RULE}\": that is what a report without one is shown under");
        r.refuse(&name.place, what, "write what the rule is about, such as \"spam\"");
    } else if before.iter().any(|rule| &*rule.name == name.value) {
        let what = format!("two rules are named \"{}\"", name.value);
        r.refuse(&name.place, what, "give each rule a name of its own: breaches and metrics carry it");
    }
}

fn rule_categories(r: &Reader, entry: &Entry, known: &CategoriesRead) -> Categories {
    let texts = entry.texts(r, Empty::Refused, "categories = [\"spam\"]");
    if let [only] = texts.as_slice()
        && only.value == "*"
    {
        return Categories::AllNamed;
    }
    let mut listed = BTreeSet::new();
    for text in texts {
        if text.value == "*" {
            let what = "\"*\" stands beside other categories, but already means all that are listed under `other`";
            r.refuse(&text.place, what, "write categories = [\"*\"] alone, or names alone");
            continue;
        }
        if let Some(name) = text.value.strip_prefix(vocabulary::PREFIX) {
            listed.extend(rule_vocabulary(r, &text, name, known));
            continue;
        }
        match known.classes.get(text.value) {
            Some((CategoryClass::Other, _)) => {
                listed.insert(text.name());
            }
            Some((CategoryClass::MinorSafety, _)) => {
                let what = format!("\"{}\" is minor safety, which no rule can rank or time", text.value);
                r.refuse(&text.place, what, "remove it here: [minor_safety] already holds for it");
            }
            None => {
                let others = known.classes.iter().filter(|(_, (class, _))| *class == CategoryClass::Other);
                let others = others.map(|(name, _)| &**name);
                undefined(r, &text, "category", others, &format!("\"{}\" to `other` in [categories]", text.value));
            }
        }
    }
    Categories::Listed(listed)
}

/// The codes of a vocabulary that a rule names.
fn rule_vocabulary(r: &Reader, text: &Text, name: &str, known: &CategoriesRead) -> Vec<Name> {
    let Some(found) = vocabulary(r, text, name) else { return Vec::new() };
    let is_other = |code: &&&str| matches!(known.classes.get(**code), Some((CategoryClass::Other, _)));
    let codes: Vec<Name> = found.codes.iter().filter(is_other).map(|code| (*code).into()).collect();
    if codes.is_empty() {
        let what = format!("no code of the vocabulary \"{name}\" is under `other`");
        let advice = match found.minor_safety {
            true => "remove it here: it is minor safety, which no rule can rank or time".to_owned(),
            false => format!("add \"{}{name}\" to `other` in [categories]", vocabulary::PREFIX),
        };
        r.refuse(&text.place, what, advice);
    }
    codes
}

fn priority(r: &Reader, entry: &Entry) -> Option<Priority> {
    let text = entry.text(r, "priority = \"P2\"")?;
    let found = Priority::ALL.into_iter().find(|priority| priority.as_str() == text.value);
    match found {
        Some(Priority::P0) => {
            let what = "no rule can have the priority P0: that is minor safety and nothing else";
            r.refuse(&text.place, what, "write \"P1\" to \"P4\", or list its categories under `minor_safety`");
            None
        }
        Some(priority) => Some(priority),
        None => {
            let what = format!("there is no priority \"{}\"", text.value);
            r.refuse(&text.place, what, "write \"P1\", \"P2\", \"P3\" or \"P4\"; P1 is the most urgent");
            None
        }
    }
}

/// An escalation, with the place of its name.
pub struct EscalationRead<'t> {
    pub name: Text<'t>,
    pub escalation: Escalation,
}

const ESCALATION_EXAMPLE: &str = "steps = [{ at = \"0m\", notify = [\"log\"] }]";

pub fn escalations<'t>(r: &Reader, root: &Table<'t>, channels: &BTreeSet<&str>) -> Vec<EscalationRead<'t>> {
    let Some(entry) = root.get("escalations") else { return Vec::new() };
    let mut read: Vec<EscalationRead> = Vec::new();
    for table in entry.tables(
        r,
        "[[escalations]]",
        &["name", "steps", "repeat", "act_within", "warn"],
        "[[escalations]] with name and steps",
    ) {
        let name = table.require(r, "name", "name = \"on-call\"").and_then(|entry| entry.text(r, "name = \"on-call\""));
        let steps = table.require(r, "steps", ESCALATION_EXAMPLE).map(|entry| steps(r, &entry, channels));
        let length = |key: &str, example: &str| {
            let entry = table.get(key)?;
            let span = entry.duration(r, example)?.span;
            if span == Span::ZERO {
                r.refuse(
                    &entry.place,
                    format!("`{key}` is zero, so it would ring without end"),
                    format!("write: {example}"),
                );
                return None;
            }
            Some(span)
        };
        let repeat = length("repeat", "repeat = \"10m\"");
        let act_within = length("act_within", "act_within = \"15m\"");
        let warn = table.get("warn").and_then(|entry| warn(r, &entry, channels));
        let Some(name) = name else { continue };
        if read.iter().any(|known| known.name.value == name.value) {
            let what = format!("two escalations are named \"{}\"", name.value);
            r.refuse(&name.place, what, "give each a name of its own, or join their `notify`");
        }
        let steps = steps.unwrap_or_default();
        read.push(EscalationRead { name, escalation: Escalation { steps, repeat, act_within, warn } });
    }
    read
}

fn steps(r: &Reader, entry: &Entry, channels: &BTreeSet<&str>) -> Vec<Step> {
    let tables = entry.tables(r, "a step", &["at", "notify"], ESCALATION_EXAMPLE);
    if tables.is_empty() {
        r.refuse(
            &entry.place,
            "the escalation has no step, so it would page nobody",
            format!("write: {ESCALATION_EXAMPLE}"),
        );
    }
    let mut steps: Vec<Step> = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        let at = table.require(r, "at", "at = \"0m\"");
        let at = at.and_then(|entry| Some((entry.duration(r, "at = \"0m\"")?.span, entry.place)));
        if let Some((_, place)) = at.as_ref().filter(|(at, _)| i == 0 && *at != Span::ZERO) {
            r.refuse(place, "the first step must ring at once", "write: at = \"0m\"");
        }
        if let (Some((at, place)), Some(before)) = (&at, steps.last())
            && *at <= before.at
        {
            let what = format!("this step comes at {at}, but the one before it at {}", before.at);
            r.refuse(place, what, "write the steps in the order in which they ring, each later than the one before");
        }
        let notify = table.require(r, "notify", "notify = [\"log\"]").map(|entry| notify(r, &entry, channels));
        if let (Some((at, _)), Some(notify)) = (at, notify) {
            steps.push(Step { at, notify });
        }
    }
    steps
}

/// What rings before a deadline: how long before, on which channels, or both.
fn warn(r: &Reader, entry: &Entry, channels: &BTreeSet<&str>) -> Option<Warn> {
    const EXAMPLE: &str = "warn = { before = \"5m\", notify = [\"log\"] }";
    let table = entry.table(r, "`warn`", &["before", "notify"], EXAMPLE)?;
    let before = match table.get("before") {
        Some(entry) => Some(entry.duration(r, "before = \"5m\"")?.span),
        None => None,
    };
    if before == Some(Span::ZERO) {
        let what = "`before` is zero, so it would warn of what is late already";
        r.refuse(&entry.place, what, "write: before = \"5m\"");
        return None;
    }
    let notify = table.get("notify").map(|entry| notify(r, &entry, channels));
    if before.is_none() && notify.is_none() {
        r.refuse(&entry.place, "`warn` says neither when nor whom to warn", format!("write: {EXAMPLE}"));
        return None;
    }
    Some(Warn { before, notify: notify.unwrap_or_default() })
}

fn notify(r: &Reader, entry: &Entry, channels: &BTreeSet<&str>) -> Vec<Name> {
    let mut names = Vec::new();
    for text in entry.texts(r, Empty::Refused, "notify = [\"log\"]") {
        if channels.contains(text.value) {
            names.push(text.name());
            continue;
        }
        let add = format!("{} = {{ kind = \"webhook\", .. }} to [channels]", text.value);
        undefined(r, &text, "channel", channels.iter().copied(), &add);
    }
    names
}
