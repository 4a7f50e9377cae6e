//! Warnings about promises that contradict each other: a target that outlasts the law over the same events,
//! a step that comes too late, a condition that can't come true, a breach that nobody hears of.

use super::cases::sample;
use super::lints::Parts;
use super::obligations::ObligationRead;
use super::problem::Place;
use super::read::Reader;
use super::rules::{EscalationRead, RuleRead};
use super::targets::TargetRead;
use crate::core::calendar::Calendar;
use crate::core::facts::{Fact, FactTypes, Predicate};
use crate::core::id::Name;
use crate::core::observation::{EventName, Row};
use crate::core::policy::{Categories, CategoryClass, Due, MINOR_SAFETY_RULE, Target};
use crate::core::time::{Span, Timestamp};
use std::collections::BTreeSet;

/// A Monday. A calendar's week from here shows how long its open hours can take.
const A_WEEK_FROM: Timestamp = Timestamp::from_secs(1_780_272_000);

pub fn warn(r: &Reader, parts: &Parts, facts: &FactTypes) {
    for rule in parts.rules {
        warn_of_when(r, parts, rule, facts);
        let names: Vec<&Name> = categories_of(parts, rule).into_iter().collect();
        let told = (&rule.name, &rule.targets[..], &names[..]);
        warn_of_longer_targets(r, parts, told);
        warn_of_late_steps(r, parts, rule.escalation.as_ref(), &rule.name, &rule.targets);
    }
    let listed = parts.categories.classes.iter().filter(|(_, (class, _))| *class == CategoryClass::MinorSafety);
    let minors: Vec<&Name> = listed.map(|(name, _)| name).collect();
    let (rule, targets) = (Name::from(MINOR_SAFETY_RULE), &parts.minor_safety.targets);
    warn_of_longer_targets(r, parts, (&rule, targets, &minors));
    warn_of_late_steps(r, parts, parts.minor_safety.escalation.as_ref(), &rule, targets);
    for read in parts.obligations {
        warn_of_obligation(r, parts, read, facts);
    }
}

fn categories_of<'p>(parts: &'p Parts, rule: &'p RuleRead) -> BTreeSet<&'p Name> {
    let all = parts.categories.classes.iter().filter(|(_, (class, _))| *class == CategoryClass::Other);
    match &rule.categories {
        Categories::AllNamed => all.map(|(name, _)| name).collect(),
        Categories::Listed(listed) => listed.iter().collect(),
    }
}

/// A report of which only the category is known: what is false of it is false of every such report.
fn unknown(category: &Name, facts: &FactTypes) -> Row {
    let facts = facts.keys().map(|name| (name.clone(), Fact::Unreadable)).collect();
    Row { facts, ..sample(category) }
}

fn is_never_true(when: &Predicate, category: &Name, facts: &FactTypes) -> bool {
    when.evaluate(&unknown(category, facts)) == Some(false)
}

fn warn_of_when(r: &Reader, parts: &Parts, rule: &RuleRead, facts: &FactTypes) {
    let Some(when) = &rule.when else { return };
    let wanted = categories_of(parts, rule);
    let never: Vec<&Name> = wanted.iter().copied().filter(|name| is_never_true(when, name, facts)).collect();
    if never.is_empty() {
        return;
    }
    let (what, advice) = if never.len() == wanted.len() {
        let what =
            format!("the rule \"{}\" can never match: of its categories `{}` is never true", rule.name, when.text());
        (what, "name the categories that its `when` means, or drop the category from the `when`")
    } else {
        let names = listed(&never);
        let what = format!("the rule \"{}\" never matches {names}: `{}` is never true of it", rule.name, when.text());
        (what, "remove it from the rule's categories, or the condition on it from the `when`")
    };
    r.warn(&rule.place, what, advice);
}

/// A promise that is kept although the law is broken.
fn warn_of_longer_targets(r: &Reader, parts: &Parts, (rule, targets, names): (&Name, &[TargetRead], &[&Name])) {
    for read in targets {
        for obligation in parts.obligations.iter().map(|read| &read.obligation) {
            let (target, law) = (&read.target, &obligation.target);
            let (Some(longest), Due::Within { span, .. }) = (longest(target, parts), &law.due) else { continue };
            let both = names.iter().any(|name| obligation.matches(&sample(name)) == Some(true));
            if (target.from, target.until) != (law.from, law.until) || longest <= *span || !both {
                continue;
            }
            let what = format!(
                "`{}` of \"{rule}\" can take {longest}, but the obligation \"{}\" over the same events has {span}",
                target.name, law.name
            );
            r.warn(
                &read.key,
                what,
                format!("write at most {span}, so that its warning comes before the law is broken"),
            );
        }
    }
}

/// The longest that a target can take on wall time, whatever pauses.
fn longest(target: &Target, parts: &Parts) -> Option<Span> {
    let Due::Within { span, calendar } = &target.due else { return None };
    let Some(name) = calendar else { return Some(*span) };
    let calendar: &Calendar = parts.calendars.compiled.get(name)?;
    let hours = (0..24 * 7).map(|hour| A_WEEK_FROM.plus(Span::from_hours(hour)));
    hours.filter_map(|from| Some(calendar.due(from, *span)?.since(from))).max()
}

/// A step that is meant for what nobody answered, but comes when the next promise is broken too.
fn warn_of_late_steps(r: &Reader, parts: &Parts, escalation: Option<&Name>, rule: &Name, targets: &[TargetRead]) {
    let Some(name) = escalation else { return };
    let Some(read) = parts.escalations.iter().find(|read| *read.name.value == **name) else { return };
    let mut dues: Vec<(Span, &Name)> = targets.iter().filter_map(|read| from_received(&read.target)).collect();
    dues.sort();
    let [(first, _), rest @ ..] = &dues[..] else { return };
    let Some((next, target)) = rest.iter().find(|(due, _)| due > first) else { return };
    let left = next.minus(*first);
    if let Some((no, step)) = (1..).zip(&read.escalation.steps).find(|(_, step)| step.at >= left) {
        let what = format!(
            "step {no} of \"{name}\" rings {} after the first breach of \"{rule}\", but `{target}` is due {left} after it",
            step.at
        );
        r.warn(
            &step_place(read),
            what,
            format!("let it ring before that: at = \"{}m\"", (left.secs() / 60 - 1).max(1)),
        );
    }
}

fn step_place(read: &EscalationRead) -> Place {
    read.name.place.clone()
}

fn from_received(target: &Target) -> Option<(Span, &Name)> {
    match &target.due {
        Due::Within { span, calendar: None } if target.from == EventName::Received => Some((*span, &target.name)),
        Due::Within { .. } | Due::Stated { .. } => None,
    }
}

fn warn_of_obligation(r: &Reader, parts: &Parts, read: &ObligationRead, facts: &FactTypes) {
    let (obligation, classes) = (&read.obligation, &parts.categories.classes);
    let name = obligation.name();
    let unnamed = Name::from("");
    let never =
        |when: &Predicate| classes.keys().chain([&unnamed]).all(|category| is_never_true(when, category, facts));
    if let Some(when) = obligation.when.as_ref().filter(|when| never(when)) {
        let what =
            format!("the obligation \"{name}\" can never apply: `{}` is true of no listed category", when.text());
        r.warn(&read.place, what, "write the category as [categories] lists it");
        return;
    }
    let concerns = |category: &Name| obligation.when.as_ref().is_none_or(|when| !is_never_true(when, category, facts));
    let silent = parts.rules.iter().filter(|rule| rule.escalation.is_none());
    let silent = silent.map(|rule| (rule, categories_of(parts, rule)));
    let silent: Vec<&Name> =
        silent.filter(|(_, names)| names.iter().any(|name| concerns(name))).map(|(rule, _)| &rule.name).collect();
    if obligation.escalation.is_none() && !silent.is_empty() {
        let what = format!("a breach of \"{name}\" would page nobody under {}: it has no escalation", listed(&silent));
        r.warn(&read.place, what, "give the obligation an escalation: escalation = \"on-call\"");
    }
}

/// "a", "b" and 3 more.
pub fn listed(names: &[&Name]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect();
    match (&shown[..], names.len().saturating_sub(SHOWN)) {
        ([], _) => "nothing".to_owned(),
        ([only], 0) => only.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
