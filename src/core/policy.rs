//! What rules, targets and escalations mean. The configuration compiles into a `Policy`; from then on
//! the minor-safety law is a property of these types: P0 has one door (`Policy::assess`), its targets
//! carry no calendar, and no rule can name P0.

use super::calendar::Calendar;
use super::id::Name;
use super::observation::{EventName, Row};
use super::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

/// P0 is minor safety, known or presumed, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    P0,
    P1,
    P2,
    P3,
    P4,
}

impl Priority {
    pub const ALL: [Priority; 5] = [Priority::P0, Priority::P1, Priority::P2, Priority::P3, Priority::P4];

    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::P0 => "P0",
            Priority::P1 => "P1",
            Priority::P2 => "P2",
            Priority::P3 => "P3",
            Priority::P4 => "P4",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a case came to its priority. Known minor safety ranks before presumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The configuration names the category.
    Known,
    /// The category is in no list: presumed minor safety until somebody names it.
    Presumed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryClass {
    MinorSafety,
    Other,
}

/// When a target is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// So long after `from`: on wall time, or on the named calendar's open hours.
    Within { span: Span, calendar: Option<Name> },
    /// At the time this column of the source states.
    Stated { column: Name },
}

/// A promise: from one event, until another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub name: Name,
    pub from: EventName,
    pub until: EventName,
    pub due: Due,
    /// How long before the deadline it warns; without a breach, and once for each deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Categories {
    /// `["*"]`: every category that the lists name as other. Never one in neither list.
    AllNamed,
    Listed(BTreeSet<Name>),
}

/// A rule for what is not minor safety. The first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub name: Name,
    pub categories: Categories,
    pub priority: Priority,
    pub targets: Vec<Target>,
    /// Without one, a breach is recorded and counted, and nobody is paged.
    pub escalation: Option<Name>,
}

/// What the whole of P0 gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinorSafety {
    pub targets: Vec<Target>,
    pub escalation: Name,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Counted from the opening of the incident.
    pub at: Span,
    pub notify: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// In order of `at`; the first is at zero.
    pub steps: Vec<Step>,
    /// How often the last step rings again until somebody acknowledges.
    pub repeat: Option<Span>,
    /// How long an acknowledgement is believed without an action of a reviewer.
    pub act_within: Option<Span>,
}

/// What a report that is gone from its table while open means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletedMeans {
    #[default]
    Vanished,
    /// Deletion is how this platform resolves. Never for P0: there a named person must say so.
    Closed,
}

/// What the core must know of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePolicy {
    pub deleted_means: DeletedMeans,
    /// Two reads further apart than this saw nothing of what was between them, so no pause is credited
    /// there. `None` only where reads don't follow a rhythm, as in a replay.
    pub blind_after: Option<Span>,
}

/// A compiled configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// SHA-256 of everything below, in hex: kept with each breach, so that "by which rules?" has an
    /// answer a year later.
    pub hash: Name,
    pub categories: BTreeMap<Name, CategoryClass>,
    pub minor_safety: MinorSafety,
    pub rules: Vec<Rule>,
    pub escalations: BTreeMap<Name, Escalation>,
    /// Who hears that the monitor itself is in trouble; `None` leaves it to the log and the board.
    pub operators: Option<Name>,
    pub sources: BTreeMap<Name, SourcePolicy>,
    pub calendars: BTreeMap<Name, Arc<Calendar>>,
}

/// What the policy says of one row.
#[derive(Clone, Copy, Debug)]
pub struct Assessment<'p> {
    pub priority: Priority,
    pub standing: Standing,
    /// "minor safety" for P0, else the rule's name; "no rule" where none matched.
    pub rule: &'p Name,
    pub targets: &'p [Target],
    pub escalation: Option<&'p Name>,
}

/// The name under which P0 stands wherever a rule is named.
pub const MINOR_SAFETY_RULE: &str = "minor safety";
/// The name for a named category that no rule matches; `check` warns of it.
pub const NO_RULE: &str = "no rule";

/// The same as names that cases share.
static MINOR_SAFETY_NAME: LazyLock<Name> = LazyLock::new(|| MINOR_SAFETY_RULE.into());
static NO_RULE_NAME: LazyLock<Name> = LazyLock::new(|| NO_RULE.into());

impl Policy {
    /// The only way a row gets a priority. A category in neither list is presumed P0.
    pub fn assess(&self, row: &Row) -> Assessment<'_> {
        match self.categories.get(&row.category) {
            Some(CategoryClass::MinorSafety) => self.assess_p0(Standing::Known),
            None => self.assess_p0(Standing::Presumed),
            Some(CategoryClass::Other) => self.assess_lesser(&row.category),
        }
    }

    /// P0 as such, for a case that is latched whatever its rows say now.
    pub fn assess_p0(&self, standing: Standing) -> Assessment<'_> {
        Assessment {
            priority: Priority::P0,
            standing,
            rule: &MINOR_SAFETY_NAME,
            targets: &self.minor_safety.targets,
            escalation: Some(&self.minor_safety.escalation),
        }
    }

    /// The targets of a rule by its name, as cases carry it.
    pub fn targets_of(&self, priority: Priority, rule: &str) -> &[Target] {
        if priority == Priority::P0 {
            return &self.minor_safety.targets;
        }
        self.rules.iter().find(|candidate| &*candidate.name == rule).map_or(&[], |rule| &rule.targets)
    }

    fn assess_lesser(&self, category: &Name) -> Assessment<'_> {
        let rule = self.rules.iter().find(|rule| match &rule.categories {
            Categories::AllNamed => true,
            Categories::Listed(listed) => listed.contains(category),
        });
        match rule {
            Some(rule) => Assessment {
                priority: rule.priority,
                standing: Standing::Known,
                rule: &rule.name,
                targets: &rule.targets,
                escalation: rule.escalation.as_ref(),
            },
            None => Assessment {
                priority: Priority::P4,
                standing: Standing::Known,
                rule: &NO_RULE_NAME,
                targets: &[],
                escalation: None,
            },
        }
    }
}
