//! `[[tests]]`: reports that the configuration itself says how to judge, so that a change of rules which
//! wasn't meant is seen before it is live. `tocsin check` runs them.

use super::read::{Empty, Entry, Reader, Table, nearest};
use crate::core::facts::{CATEGORY, Fact, FactType, FactTypes, Real};
use crate::core::id::Name;
use crate::core::obligation::Obligation;
use crate::core::observation::{Received, Row};
use crate::core::policy::{Assessment, Categories, CategoryClass, Due, Policy, Priority, Standing, Target};
use crate::core::time::Span;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

const GIVEN: &str = "given = { category = \"spam\", views = 3 }";
const EXPECT: &str = "expect = { priority = \"P2\", targets = { first_response = \"1h\" } }";

/// A report and what the policy must say of it; what isn't expected may be anything.
#[derive(Clone, Debug)]
pub struct RuleTest {
    pub given: Row,
    pub priority: Option<Priority>,
    pub rule: Option<Name>,
    /// Obligations are among them by their names.
    pub targets: BTreeMap<Name, ExpectedDue>,
    /// Exactly the obligations that apply, whatever the source and the date.
    pub obligations: Option<BTreeSet<Name>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedDue {
    Within(Span),
    /// The name of a due date that the source states.
    Stated(Name),
}

pub fn read(r: &Reader, root: &Table, facts: &FactTypes) -> Vec<RuleTest> {
    let Some(entry) = root.get("tests") else { return Vec::new() };
    let tables = entry.tables(r, "[[tests]]", &["given", "expect"], "[[tests]] with given and expect");
    tables.iter().filter_map(|table| read_one(r, table, facts)).collect()
}

fn read_one(r: &Reader, table: &Table, facts: &FactTypes) -> Option<RuleTest> {
    let given = table.require(r, "given", GIVEN).and_then(|entry| given(r, &entry, facts));
    let expect = table.require(r, "expect", EXPECT)?;
    let expect = expect.table(r, "`expect`", &["priority", "rule", "targets", "obligations"], EXPECT)?;
    let priority = expect.get("priority").and_then(|entry| {
        let text = entry.text(r, "priority = \"P2\"")?;
        let found = Priority::ALL.into_iter().find(|priority| priority.as_str() == text.value);
        if found.is_none() {
            r.refuse(&text.place, format!("there is no priority \"{}\"", text.value), "write \"P0\" to \"P4\"");
        }
        found
    });
    let rule = expect.get("rule").and_then(|entry| entry.text(r, "rule = \"spam\"")).map(|text| text.name());
    let targets = expect.get("targets").and_then(|entry| entry.free_table(r, "`targets` of `expect`", EXPECT));
    let targets = targets.iter().flat_map(Table::entries).filter_map(|entry| {
        let example = format!("{} = \"1h\"", entry.key.value);
        let text = entry.text(r, &example)?;
        let named = || text.value.starts_with(|c: char| c.is_alphabetic());
        let due = if named() {
            ExpectedDue::Stated(text.name())
        } else {
            ExpectedDue::Within(entry.duration(r, &example)?.span)
        };
        Some((entry.key.name(), due))
    });
    let targets = targets.collect();
    let obligations = expect.get("obligations").map(|entry| {
        let texts = entry.texts(r, Empty::Allowed, "obligations = [\"us-take-it-down\"]");
        texts.iter().map(|text| text.name()).collect()
    });
    Some(RuleTest { given: given?, priority, rule, targets, obligations })
}

fn given(r: &Reader, entry: &Entry, facts: &FactTypes) -> Option<Row> {
    let table = entry.free_table(r, "`given`", GIVEN)?;
    let category =
        table.require(r, CATEGORY, "category = \"spam\"").and_then(|entry| entry.text(r, "category = \"spam\""));
    let mut row = sample(&category?.name());
    for entry in table.entries().filter(|entry| entry.key.value != CATEGORY) {
        let name = entry.key.value;
        let Some(kind) = facts.get(name) else {
            let advice = match nearest(name, facts.keys().map(|known| &**known)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add to [sources.facts]: {name} = {{ column = \"column\", type = \"int\" }}"),
            };
            r.refuse(&entry.key.place, format!("no fact is named `{name}`"), advice);
            continue;
        };
        match fact(entry.value, *kind) {
            Some(fact) => row.facts.push((entry.key.name(), fact)),
            None => {
                r.refuse(&entry.place, format!("the fact `{name}` is declared as {kind}"), "write a value of that type")
            }
        }
    }
    Some(row)
}

fn fact(value: &DeValue, kind: FactType) -> Option<Fact> {
    match (value, kind) {
        (DeValue::Integer(number), FactType::Int) => {
            i64::from_str_radix(&plain(number.as_str()), number.radix()).ok().map(Fact::Int)
        }
        (DeValue::Integer(number), FactType::Float) => {
            plain(number.as_str()).parse().ok().and_then(Real::new).map(Fact::Float)
        }
        (DeValue::Float(number), FactType::Float) => {
            plain(number.as_str()).parse().ok().and_then(Real::new).map(Fact::Float)
        }
        (DeValue::Boolean(value), FactType::Bool) => Some(Fact::Bool(*value)),
        (DeValue::String(text), FactType::String) => Some(Fact::String(text.as_ref().into())),
        _ => None,
    }
}

fn plain(digits: &str) -> String {
    digits.replace('_', "")
}

/// A report of which nothing is known but its category.
pub fn sample(category: &Name) -> Row {
    Row::bare(Received::Unreadable, category.clone())
}

impl RuleTest {
    /// What is expected against what the policy says, the rule that matched, and why the others did not;
    /// `None` when it is as expected.
    pub fn failure(&self, policy: &Policy) -> Option<String> {
        let got = policy.assess(&self.given);
        let mut wrong = Vec::new();
        if let Some(priority) = self.priority.filter(|priority| *priority != got.priority) {
            wrong.push(format!("expected the priority {priority}, got {}", got.priority));
        }
        if let Some(rule) = self.rule.as_ref().filter(|rule| ***rule != **got.rule) {
            wrong.push(format!("expected the rule \"{rule}\", got \"{}\"", got.rule));
        }
        for (name, expected) in &self.targets {
            let imposed = owed(policy, &got).map(|obligation| &obligation.target);
            let found = got.targets.iter().chain(imposed).find(|target| target.name == *name);
            if !found.is_some_and(|target| is_due(target, expected)) {
                let found = found.map_or_else(|| "no such target".to_owned(), due);
                wrong.push(format!("expected the target {name} {}, got {found}", spoken(expected)));
            }
        }
        let applies: BTreeSet<Name> = owed(policy, &got).map(|obligation| obligation.name().clone()).collect();
        if let Some(expected) = self.obligations.as_ref().filter(|expected| **expected != applies) {
            wrong.push(format!("expected the obligations {}, got {}", listed(expected), listed(&applies)));
            wrong.extend(self.unmatched(policy, expected.difference(&applies)));
        }
        if wrong.is_empty() {
            return None;
        }
        wrong.push(format!("it matched \"{}\"{}", got.rule, standing(&got)));
        wrong.extend(self.passed_over(policy, &got));
        let facts = self.given.facts.iter().map(|(name, fact)| format!(", {name} = {}", value(fact)));
        let given = format!("given category = \"{}\"{}", self.given.category, facts.collect::<String>());
        Some(format!("{given}\n  {}", wrong.join("\n  ")))
    }

    /// Why the obligations that were expected don't apply.
    fn unmatched<'n>(&self, policy: &Policy, missing: impl Iterator<Item = &'n Name>) -> Vec<String> {
        let why = |name: &'n Name| match policy.obligation(name).map(|obligation| &obligation.when) {
            None => format!("not \"{name}\": no obligation has that name"),
            Some(None) => format!("not \"{name}\""),
            Some(Some(when)) => format!("not \"{name}\": {} is false", when.text()),
        };
        missing.map(why).collect()
    }

    fn passed_over(&self, policy: &Policy, got: &Assessment<'_>) -> Vec<String> {
        if got.priority == Priority::P0 {
            return vec!["minor safety comes before every rule".to_owned()];
        }
        let class = policy.categories.get(&self.given.category);
        let mut matched = false;
        let reasons = policy.rules.iter().filter_map(|rule| {
            if *rule.name == **got.rule {
                matched = true;
                return None;
            }
            let named = match &rule.categories {
                Categories::AllNamed => class == Some(&CategoryClass::Other),
                Categories::Listed(listed) => listed.contains(&self.given.category),
            };
            let why = match (named, matched, &rule.when) {
                (_, true, _) => "an earlier rule matched".to_owned(),
                (false, ..) => "it doesn't name the category".to_owned(),
                (true, _, Some(when)) if when.evaluate(&self.given).is_some() => format!("{} is false", when.text()),
                (true, _, Some(when)) => format!("{} can't be decided", when.text()),
                (true, _, None) => "a stricter one matched".to_owned(),
            };
            Some(format!("not \"{}\": {why}", rule.name))
        });
        reasons.collect()
    }
}

/// The obligations that apply to it.
fn owed<'p>(policy: &'p Policy, got: &Assessment<'_>) -> impl Iterator<Item = &'p Obligation> {
    let matched = got.obligations;
    let all = policy.obligations.iter().enumerate();
    all.filter(move |(place, _)| matched.contains(*place)).map(|(_, obligation)| obligation)
}

fn listed(names: &BTreeSet<Name>) -> String {
    match names.len() {
        0 => "none".to_owned(),
        _ => names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
    }
}

fn standing(got: &Assessment<'_>) -> &'static str {
    match (got.priority, got.standing) {
        (Priority::P0, Standing::Presumed) => ", presumed",
        _ => "",
    }
}

fn is_due(target: &Target, expected: &ExpectedDue) -> bool {
    match (&target.due, expected) {
        (Due::Within { span, .. }, ExpectedDue::Within(expected)) => span == expected,
        (Due::Stated { column }, ExpectedDue::Stated(expected)) => column == expected,
        _ => false,
    }
}

fn due(target: &Target) -> String {
    match &target.due {
        Due::Within { span, .. } => format!("within {span}"),
        Due::Stated { column } => format!("by {column}"),
    }
}

fn spoken(expected: &ExpectedDue) -> String {
    match expected {
        ExpectedDue::Within(span) => format!("within {span}"),
        ExpectedDue::Stated(column) => format!("by {column}"),
    }
}

/// A value that stands in the configuration itself, never one of a report.
fn value(fact: &Fact) -> String {
    match fact {
        Fact::Int(value) => value.to_string(),
        Fact::Float(value) => value.get().to_string(),
        Fact::Bool(value) => value.to_string(),
        Fact::String(text) => format!("\"{text}\""),
        Fact::Unreadable => "?".to_owned(),
    }
}
