//! Warnings: what loads but would hurt at night. Each has its place and what to do about it.

use super::Mode;
use super::calendars::CalendarsRead;
use super::channels::{ChannelsRead, LOG_CHANNEL};
use super::conflicts::listed;
use super::obligations::ObligationRead;
use super::problem::Place;
use super::read::Reader;
use super::rules::{CategoriesRead, EscalationRead, MinorSafetyRead, RuleRead};
use super::sources::SourceRead;
use super::targets::TargetRead;
use super::weekly::WeeklySettings;
use crate::core::id::Name;
use crate::core::observation::EventName;
use crate::core::policy::{Categories, CategoryClass, Due};
use crate::source::settings::{CategoryFrom, Settings};
use std::collections::{BTreeMap, BTreeSet};

/// The parts as they were read, with their places.
pub struct Parts<'p, 't> {
    pub mode: Mode,
    pub has_deployment_secret: bool,
    pub sources: &'p [SourceRead<'t>],
    pub categories: &'p CategoriesRead,
    pub minor_safety: &'p MinorSafetyRead,
    pub rules: &'p [RuleRead],
    pub obligations: &'p [ObligationRead],
    pub escalations: &'p [EscalationRead<'t>],
    pub operators: Option<&'p Name>,
    pub channels: &'p ChannelsRead<'t>,
    pub calendars: &'p CalendarsRead<'t>,
    pub weekly: Option<&'p WeeklySettings>,
}

pub fn warn(r: &Reader, parts: &Parts) {
    warn_of_sources(r, parts);
    warn_of_categories(r, parts);
    warn_of_rules(r, parts);
    let sight = Sight::of(parts.sources);
    for read in &parts.minor_safety.targets {
        warn_of_target(r, read, &sight, true);
    }
    for read in parts.rules.iter().flat_map(|rule| &rule.targets) {
        warn_of_target(r, read, &sight, false);
    }
    warn_of_facts(r, parts);
    warn_of_unused(r, parts);
    if parts.mode == Mode::Live {
        warn_of_live(r, parts);
    }
}

/// What the sources together can show.
struct Sight {
    events: BTreeSet<EventName>,
    actor: bool,
    outcome: bool,
}

impl Sight {
    fn of(sources: &[SourceRead]) -> Sight {
        let settings = || sources.iter().filter_map(|source| source.settings.as_ref());
        Sight {
            events: sources.iter().flat_map(|source| source.events.iter().map(|(name, _)| *name)).collect(),
            actor: settings().any(maps_people),
            outcome: settings().any(|settings| settings.states.outcome.is_some()),
        }
    }

    /// A closure that counts is a response too, and on P0 one for a violation is a confirmation.
    fn shows(&self, event: EventName, p0: bool) -> bool {
        let by_closure = match event {
            EventName::FirstResponse => true,
            EventName::Confirmed => p0 && self.outcome,
            _ => false,
        };
        self.events.contains(&event) || by_closure && self.events.contains(&EventName::Closed)
    }
}

fn maps_people(settings: &Settings) -> bool {
    settings.maps_actors() && !settings.actors.people.is_empty()
}

fn warn_of_sources(r: &Reader, parts: &Parts) {
    for source in parts.sources {
        let Some(settings) = &source.settings else { continue };
        let name = &settings.name;
        let (has_by, has_people) = (settings.maps_actors(), !settings.actors.people.is_empty());
        match (has_by, has_people) {
            (true, true) => {}
            (true, false) => {
                let what = format!("source {name} names no `people`: on P0 everybody counts as automated");
                let advice = "add to [sources.actors]: people = [\"mod-*\"], with the ids of your reviewers";
                r.warn(&source.place, what, advice);
            }
            (false, _) => {
                let what = format!(
                    "source {name} maps no actor: that a script closed a minor's report can't be told from a person"
                );
                let advice = "add `by` to an event and `people` to [sources.actors]: \
                              closed = { column = \"resolved_at\", by = \"resolved_by\" }";
                r.warn(&source.place, what, advice);
            }
        }
        if settings.states.outcome.is_none() {
            let what = format!("source {name} maps no outcome: a closure of P0 as \"no violation\" can't be seen");
            let advice = "add to [sources.states]: outcome = { column = \"resolution\", violation = [\"removed\"] }, \
                 if a column says it";
            r.warn(&source.place, what, advice);
        }
        if !source.events.iter().any(|(event, _)| *event == EventName::Closed) {
            let what = format!("source {name} doesn't map `closed`: a report stays open until its row is gone");
            r.warn(&source.place, what, "add to [sources.events]: closed = \"resolved_at\", if a column says it");
        }
        if let CategoryFrom::Value(category) = &settings.columns.category
            && !parts.categories.classes.contains_key(category)
        {
            let what = format!("every report of source {name} is \"{category}\", which no list names: all are P0");
            r.warn(&source.place, what, format!("add \"{category}\" to a list of [categories]"));
        }
    }
}

fn warn_of_categories(r: &Reader, parts: &Parts) {
    let classes = &parts.categories.classes;
    if !classes.values().any(|(class, _)| *class == CategoryClass::MinorSafety) {
        let what = "no category is listed as minor safety: P0 holds only what no list names";
        let advice = "list here the codes that concern minors, if the sources can write any";
        r.warn(&parts.categories.minor_safety, what, advice);
    }
    // A vocabulary's categories stand at one place and are told of together.
    let mut unmatched: BTreeMap<(usize, bool), (&Place, Vec<&Name>)> = BTreeMap::new();
    for (name, (class, place)) in classes {
        let matched = parts.rules.iter().any(|rule| rule.when.is_none() && names(rule, name));
        if *class == CategoryClass::Other && !matched {
            let named = parts.rules.iter().any(|rule| names(rule, name));
            unmatched.entry((place.start, named)).or_insert((place, Vec::new())).1.push(name);
        }
    }
    for ((_, named), (place, categories)) in unmatched {
        let which = listed(&categories);
        let (its, rank, has) = if categories.len() == 1 { ("its", "ranks", "has") } else { ("their", "rank", "have") };
        let what = match named {
            false => format!("no rule matches {which}: {its} reports rank as P4 and have no deadline"),
            true => format!("where no `when` is true, {which} {rank} as P4 and {has} no deadline"),
        };
        r.warn(place, what, "name it in a rule without `when`, or end with a rule for categories = [\"*\"]");
    }
}

fn names(rule: &RuleRead, category: &Name) -> bool {
    match &rule.categories {
        Categories::AllNamed => true,
        Categories::Listed(listed) => listed.contains(category),
    }
}

fn warn_of_rules(r: &Reader, parts: &Parts) {
    let others = parts.categories.classes.iter().filter(|(_, (class, _))| *class == CategoryClass::Other);
    let others: BTreeSet<&Name> = others.map(|(name, _)| name).collect();
    let mut taken: BTreeMap<&Name, &Name> = BTreeMap::new();
    for rule in parts.rules {
        if rule.targets.is_empty() {
            let what =
                format!("the rule \"{}\" has no target: what it matches has no deadline and rings nobody", rule.name);
            r.warn(&rule.place, what, "add: targets = { closed = \"40h\" }");
        }
        let wanted: BTreeSet<&Name> = match &rule.categories {
            Categories::AllNamed => others.clone(),
            Categories::Listed(listed) => listed.iter().collect(),
        };
        if wanted.iter().all(|category| taken.contains_key(category)) {
            let takers: BTreeSet<&str> =
                wanted.iter().filter_map(|category| taken.get(category)).map(|n| &***n).collect();
            let takers = takers.into_iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" and ");
            let (what, advice) = if wanted.is_empty() {
                (
                    format!("the rule \"{}\" can never match: `other` lists no category", rule.name),
                    "list its categories",
                )
            } else {
                let what = format!("the rule \"{}\" can never match: {takers} already took its categories", rule.name);
                (what, "the first rule that matches decides: move this one up, or remove it")
            };
            r.warn(&rule.place, what, advice);
        }
        // What a `when` leaves goes on to the next rule.
        for category in wanted.into_iter().filter(|_| rule.when.is_none()) {
            taken.entry(category).or_insert(&rule.name);
        }
    }
}

fn warn_of_target(r: &Reader, read: &TargetRead, sight: &Sight, p0: bool) {
    let target = &read.target;
    let (name, from, until) = (&target.name, target.from, target.until);
    if until == EventName::SecondReview && !(sight.actor && sight.outcome) {
        let missing = match (sight.actor, sight.outcome) {
            (false, false) => "no source maps an actor or an outcome",
            (false, true) => "no source maps an actor",
            _ => "no source maps an outcome",
        };
        let what = format!("the target `{name}` can't be enforced: {missing}");
        r.warn(&read.key, what, "map `by`, `people` and `outcome`, or remove the target");
    } else if !sight.shows(from, p0) {
        let what = format!("the target `{name}` never starts: no source maps `{from}`");
        r.warn(&read.key, what, format!("add to [sources.events]: {from} = \"column\", or remove the target"));
        return;
    }
    if !sight.shows(until, p0) {
        let what = format!("every report will breach `{name}`: no source maps `{until}`");
        r.warn(&read.key, what, format!("add to [sources.events]: {until} = \"column\", or remove the target"));
    }
}

fn warn_of_facts(r: &Reader, parts: &Parts) {
    let (categories, rules) = (parts.categories, parts.rules);
    let predicates = rules.iter().flat_map(|rule| rule.when.iter().chain(&rule.raised_when));
    let predicates = predicates.chain(&categories.minor_when).chain(&categories.raised_when);
    let obligations = parts.obligations.iter().filter_map(|read| read.obligation.when.as_ref());
    let mut read: BTreeSet<&str> =
        predicates.chain(obligations).flat_map(|predicate| words(predicate.text())).collect();
    let spreads = rules.iter().filter_map(|rule| rule.spread.as_ref()).chain(&parts.minor_safety.spread);
    read.extend(spreads.map(|spread| &*spread.fact));
    for (fact, key) in parts.sources.iter().flat_map(|source| &source.facts) {
        if !read.contains(&*fact.name) {
            let what = format!("nothing reads the fact `{}`", fact.name);
            r.warn(&key.place, what, "read it in a `when`, or remove it: what isn't mapped is never stored");
        }
    }
}

/// Every name in an expression, and perhaps words of its texts: enough to tell what it can't read.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

fn warn_of_unused(r: &Reader, parts: &Parts) {
    let notified: BTreeSet<&str> = parts
        .escalations
        .iter()
        .flat_map(|escalation| &escalation.escalation.steps)
        .flat_map(|step| step.notify.iter().map(|name| &**name))
        .chain(parts.weekly.iter().flat_map(|weekly| &weekly.deliver).map(|name| &**name))
        .collect();
    for (name, place) in &parts.channels.places {
        if &**name != LOG_CHANNEL && !notified.contains(&**name) {
            r.warn(
                place,
                format!("nothing uses the channel \"{name}\""),
                "add it to a `notify` or to `deliver` of [weekly], or remove it",
            );
        }
    }
    let used: BTreeSet<&Name> = (parts.rules.iter().filter_map(|rule| rule.escalation.as_ref()))
        .chain(&parts.minor_safety.escalation)
        .chain(parts.obligations.iter().filter_map(|read| read.obligation.escalation.as_ref()))
        .chain(parts.operators)
        .collect();
    for escalation in parts.escalations {
        if !used.contains(&escalation.name.name()) {
            let what = format!("nothing uses the escalation \"{}\"", escalation.name.value);
            r.warn(&escalation.name.place, what, "name it in a rule, or remove it");
        }
    }
    let targets = parts.rules.iter().flat_map(|rule| &rule.targets);
    let calendars: BTreeSet<&Name> = targets
        .filter_map(|read| match &read.target.due {
            Due::Within { calendar, .. } => calendar.as_ref(),
            Due::Stated { .. } => None,
        })
        .collect();
    for (name, place) in &parts.calendars.places {
        if !calendars.contains(name) {
            r.warn(place, format!("no target uses the calendar \"{name}\""), "name it in a target, or remove it");
        }
    }
}

fn warn_of_live(r: &Reader, parts: &Parts) {
    if !parts.has_deployment_secret {
        let what = "live without a deployment secret: a copy of the store could page under the same keys";
        r.warn(&(0..0), what, "add: deployment_secret_env = \"TOCSIN_SECRET\"");
    }
    if parts.operators.is_none() {
        let what = "live without [blind]: that the monitor can't see a database is only logged, nobody is paged";
        r.warn(&(0..0), what, "add: [blind] with escalation = \"operators\"");
    }
    for escalation in parts.escalations {
        let mut notified = escalation.escalation.steps.iter().flat_map(|step| &step.notify);
        if notified.all(|name| &**name == LOG_CHANNEL) {
            let what = format!("the escalation \"{}\" notifies only the log: nobody is paged", escalation.name.value);
            r.warn(
                &escalation.name.place,
                what,
                "add a channel of people to its `notify`, such as one of kind \"pagerduty\"",
            );
        }
    }
}
