//! What rules, targets and escalations mean. The configuration compiles into a `Policy`; from then on
//! the minor-safety law is a property of these types: P0 has one door (`Policy::assess`), its targets
//! carry no calendar, and no rule can name P0.

use super::bulk::BulkBound;
use super::calendar::Calendar;
use super::facts::{FactTypes, Predicate};
use super::id::Name;
use super::obligation::{Matched, Obligation};
use super::observation::{EventName, Row};
use super::time::Span;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

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
    /// F10: met, it is owed again within this time, and so on until the report is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Span>,
}

impl Target {
    /// As [`Policy::warns_before`], beside what [`Policy::warns_of`] says of its escalation.
    pub fn warns_before(&self, of_escalation: Option<Span>) -> Option<Span> {
        let before = self.warn.or(of_escalation)?;
        let whole = match &self.due {
            Due::Within { span, calendar: None } => Some(*span),
            Due::Within { calendar: Some(_), .. } | Due::Stated { .. } => None,
        };
        Some(before).filter(|before| whole.is_none_or(|whole| *before < whole))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Categories {
    /// `["*"]`: every category that the lists name as other. Never one in neither list.
    AllNamed,
    Listed(BTreeSet<Name>),
}

/// A rule for what is not minor safety. The first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    pub name: Name,
    pub categories: Categories,
    /// Beside the category, what must be true of its facts.
    pub when: Option<Predicate>,
    pub priority: Priority,
    pub targets: Vec<Target>,
    /// Without one, a breach is recorded and counted, and nobody is paged.
    pub escalation: Option<Name>,
    /// Puts a report that it matches at the top of its priority, as the policy's own does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_when: Option<Predicate>,
    /// F6 below P0. Its cases are held whole, because how fast they grow follows from no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// What the whole of P0 gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinorSafety {
    pub targets: Vec<Target>,
    pub escalation: Name,
    pub spread: Option<Spread>,
    /// F20: what one account may close before its closures are no evidence by themselves.
    #[serde(default)]
    pub bulk: BulkBound,
}

/// How fast a reported item may spread before every running deadline of its case moves in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// A count that grows, such as views.
    pub fact: Name,
    pub per_hour: u64,
    /// From the crossing.
    pub within: Span,
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
    /// What rings before a deadline; `None` leaves that to targets with a `warn` of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<Warn>,
}

/// What an escalation does when a deadline comes near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warn {
    /// How long before, for targets that don't say so themselves.
    pub before: Option<Span>,
    /// Empty: whom the first step notifies.
    pub notify: Vec<Name>,
}

impl Escalation {
    /// Whom a warning tells: its own channels, else those of the first step.
    pub fn warned(&self) -> &[Name] {
        let own = self.warn.as_ref().map(|warn| &warn.notify[..]).filter(|notify| !notify.is_empty());
        own.unwrap_or_else(|| self.steps.first().map_or(&[], |step| &step.notify))
    }
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
    /// Categories that must speak, each within its span of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expect>,
}

/// Of each of these categories a report comes at least so often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    pub categories: Vec<Name>,
    pub every: Span,
}

/// A compiled configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// SHA-256 of everything below, in hex: kept with each breach, so that "by which rules?" has an
    /// answer a year later.
    pub hash: Name,
    pub categories: BTreeMap<Name, CategoryClass>,
    /// Everything that predicates may read beside the category.
    pub facts: FactTypes,
    /// Makes a report of any category known minor safety.
    pub minor_when: Option<Predicate>,
    /// Puts a report at the top of its priority, never above it.
    pub raised_when: Option<Predicate>,
    pub minor_safety: MinorSafety,
    pub rules: Vec<Rule>,
    /// At most `OBLIGATIONS_MAX`; every one that matches applies.
    pub obligations: Vec<Obligation>,
    pub escalations: BTreeMap<Name, Escalation>,
    /// Who hears that the monitor itself is in trouble; `None` leaves it to the log and the board.
    pub operators: Option<Name>,
    pub sources: BTreeMap<Name, SourcePolicy>,
    pub calendars: BTreeMap<Name, Arc<Calendar>>,
    #[serde(skip)]
    pub index: Index,
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
    /// Whether a `raised_when` holds; `None` when it can't be decided, which ranks as if it did.
    pub raised: Option<bool>,
    /// What moves its deadlines in once it spreads so fast.
    pub spread: Option<&'p Spread>,
    /// The obligations that apply beside the targets.
    pub obligations: Matched,
    /// The first predicate that couldn't be decided; the stricter side was taken.
    pub undecided: Option<&'p Predicate>,
}

/// Each category with its class and the rules that name it, in their order: one look-up a report, however
/// many rules there are. Derived at the first use, empty again in a clone, so it can't outlive what it is of.
#[derive(Debug, Default)]
pub struct Index(OnceLock<HashMap<Name, (CategoryClass, Vec<usize>)>>);

impl Clone for Index {
    fn clone(&self) -> Self {
        Index::default()
    }
}

impl PartialEq for Index {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Index {}

/// The name under which P0 stands wherever a rule is named.
pub const MINOR_SAFETY_RULE: &str = "minor safety";
/// The name for a named category that no rule matches; `check` warns of it.
pub const NO_RULE: &str = "no rule";

/// The same as names that cases share.
static MINOR_SAFETY_NAME: LazyLock<Name> = LazyLock::new(|| MINOR_SAFETY_RULE.into());
static NO_RULE_NAME: LazyLock<Name> = LazyLock::new(|| NO_RULE.into());

impl Policy {
    /// The only way a row gets a priority. A category in neither list is presumed P0, and so is a row of
    /// which nobody can say whether a minor is concerned.
    pub fn assess(&self, row: &Row) -> Assessment<'_> {
        let known = self.index().get(&row.category);
        let minor = match (&self.minor_when, known) {
            (_, Some((CategoryClass::MinorSafety, _))) | (None, _) => Some(false),
            (Some(when), _) => when.evaluate(row),
        };
        let mut assessment = match (known, minor) {
            (Some((CategoryClass::MinorSafety, _)), _) | (_, Some(true)) => self.assess_p0(Standing::Known),
            (_, None) => Assessment { undecided: self.minor_when.as_ref(), ..self.assess_p0(Standing::Presumed) },
            (None, Some(false)) => self.assess_p0(Standing::Presumed),
            (Some((CategoryClass::Other, rules)), Some(false)) => self.assess_lesser(row, rules),
        };
        if let Some(when) = &self.raised_when {
            let raised = when.evaluate(row);
            assessment.raised = either(assessment.raised, raised);
            assessment.undecided = assessment.undecided.or(raised.is_none().then_some(when));
        }
        if !self.obligations.is_empty() {
            let (matched, undecided) = Matched::of(&self.obligations, row);
            assessment.obligations = matched;
            assessment.undecided = assessment.undecided.or(undecided);
        }
        assessment
    }

    /// P0 as such, for a case that is latched whatever its rows say now.
    pub fn assess_p0(&self, standing: Standing) -> Assessment<'_> {
        Assessment {
            priority: Priority::P0,
            standing,
            rule: &MINOR_SAFETY_NAME,
            targets: &self.minor_safety.targets,
            escalation: Some(&self.minor_safety.escalation),
            raised: Some(false),
            spread: self.minor_safety.spread.as_ref(),
            obligations: Matched::default(),
            undecided: None,
        }
    }

    /// The targets of a rule by its name, as cases carry it.
    pub fn targets_of(&self, priority: Priority, rule: &str) -> &[Target] {
        if priority == Priority::P0 {
            return &self.minor_safety.targets;
        }
        self.rules.iter().find(|candidate| &*candidate.name == rule).map_or(&[], |rule| &rule.targets)
    }

    /// What tightens the cases of a rule by its name, as cases carry it.
    pub fn spread_of(&self, priority: Priority, rule: &str) -> Option<&Spread> {
        if priority == Priority::P0 {
            return self.minor_safety.spread.as_ref();
        }
        self.rules.iter().find(|candidate| &*candidate.name == rule)?.spread.as_ref()
    }

    /// An obligation by its name, as clocks carry it.
    pub fn obligation(&self, name: &str) -> Option<&Obligation> {
        self.obligations.iter().find(|obligation| **obligation.name() == *name)
    }

    /// How long before its deadline a target warns: as it says itself, else as its escalation does. One that
    /// has no longer than that in all warns of nothing, or it would at its beginning.
    pub fn warns_before(&self, target: &Target, escalation: Option<&Name>) -> Option<Span> {
        target.warns_before(self.warns_of(escalation))
    }

    /// How long before a deadline an escalation warns where the target doesn't say.
    pub fn warns_of(&self, escalation: Option<&Name>) -> Option<Span> {
        self.escalations.get(escalation?)?.warn.as_ref()?.before
    }

    /// The first rule that matches. One that can't be decided might, so of all such before it and of it the
    /// one with the strictest priority holds.
    fn assess_lesser(&self, row: &Row, rules: &[usize]) -> Assessment<'_> {
        let (mut strictest, mut undecided): (Option<&Rule>, _) = (None, None);
        for rule in rules.iter().filter_map(|at| self.rules.get(*at)) {
            let matches = rule.when.as_ref().map_or(Some(true), |when| when.evaluate(row));
            if matches == Some(false) {
                continue;
            }
            if strictest.is_none_or(|held| rule.priority < held.priority) {
                strictest = Some(rule);
            }
            if matches == Some(true) {
                break;
            }
            undecided = undecided.or(rule.when.as_ref());
        }
        let raises = strictest.and_then(|rule| rule.raised_when.as_ref());
        let raised = raises.map_or(Some(false), |when| when.evaluate(row));
        undecided = undecided.or(raises.filter(|_| raised.is_none()));
        Assessment {
            priority: strictest.map_or(Priority::P4, |rule| rule.priority),
            standing: Standing::Known,
            rule: strictest.map_or(&*NO_RULE_NAME, |rule| &rule.name),
            targets: strictest.map_or(&[], |rule| &rule.targets),
            escalation: strictest.and_then(|rule| rule.escalation.as_ref()),
            raised,
            spread: strictest.and_then(|rule| rule.spread.as_ref()),
            obligations: Matched::default(),
            undecided,
        }
    }

    fn index(&self) -> &HashMap<Name, (CategoryClass, Vec<usize>)> {
        self.index.0.get_or_init(|| {
            let naming = |name: &Name, class: CategoryClass| {
                let names = |rule: &Rule| match &rule.categories {
                    Categories::AllNamed => class == CategoryClass::Other,
                    Categories::Listed(listed) => listed.contains(name),
                };
                self.rules.iter().enumerate().filter(|(_, rule)| names(rule)).map(|(at, _)| at).collect()
            };
            self.categories.iter().map(|(name, class)| (name.clone(), (*class, naming(name, *class)))).collect()
        })
    }
}

/// Whether one of two holds; `None` when neither is known to and one can't be decided.
pub fn either(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, _) | (_, None) => None,
        (Some(false), Some(false)) => Some(false),
    }
}
