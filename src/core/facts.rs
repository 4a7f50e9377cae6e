//! Facts of a report, and predicates over them. A fact is typed when it is decoded; a predicate is compiled
//! elsewhere and known here by its text alone, so that a policy stays comparable and has a hash.

use super::id::Name;
use super::observation::Row;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The fact that every row has; no declared one can have its name.
pub const CATEGORY: &str = "category";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactType {
    Int,
    Float,
    Bool,
    String,
}

impl FactType {
    pub const ALL: [FactType; 4] = [FactType::Int, FactType::Float, FactType::Bool, FactType::String];

    pub const fn as_str(self) -> &'static str {
        match self {
            FactType::Int => "int",
            FactType::Float => "float",
            FactType::Bool => "bool",
            FactType::String => "string",
        }
    }

    pub fn parse(text: &str) -> Option<FactType> {
        FactType::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What NULL says, and what a source that doesn't map the fact says.
    pub fn zero(self) -> Fact {
        match self {
            FactType::Int => Fact::Int(0),
            FactType::Float => Fact::Float(Real(0.0)),
            FactType::Bool => Fact::Bool(false),
            FactType::String => Fact::String("".into()),
        }
    }

    /// A fact as people write it on a command line. Surrounding blanks are not part of a number.
    pub fn read(self, text: &str) -> Option<Fact> {
        match self {
            FactType::Int => text.trim().parse().ok().map(Fact::Int),
            FactType::Float => text.trim().parse().ok().and_then(Real::new).map(Fact::Float),
            FactType::Bool => text.trim().parse().ok().map(Fact::Bool),
            FactType::String => Some(Fact::String(text.into())),
        }
    }
}

impl fmt::Display for FactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A finite number, so that facts compare.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Real(f64);

impl Eq for Real {}

impl Real {
    /// `None` for what is no number or infinite.
    pub fn new(value: f64) -> Option<Real> {
        value.is_finite().then_some(Real(value))
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Real {
    type Error = &'static str;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        Real::new(value).ok_or("a fact must be a finite number")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Int(i64),
    Float(Real),
    Bool(bool),
    String(Name),
    /// The cell could not be read. It counts as its type's zero, but no predicate over it is decided.
    Unreadable,
}

impl Fact {
    /// As a count that grows, such as views; `None` for what is no number. Never negative.
    pub fn count(&self) -> Option<u64> {
        match self {
            Fact::Int(value) => u64::try_from(*value).ok(),
            Fact::Float(value) if value.get() >= 0.0 => Some(value.get() as u64),
            Fact::Float(_) | Fact::Bool(_) | Fact::String(_) | Fact::Unreadable => None,
        }
    }
}

/// What a row's source maps, in the order of its mapping; a fact that is absent is its type's zero.
pub type Facts = Vec<(Name, Fact)>;

/// The declared types of all sources' facts, one namespace.
pub type FactTypes = BTreeMap<Name, FactType>;

/// A compiled predicate.
pub trait Evaluate: fmt::Debug + Send + Sync {
    /// `None` when it can't be decided: a fact is unreadable, or a number ran over.
    fn evaluate(&self, row: &Row) -> Option<bool>;
}

/// A predicate over a row's facts. Two are equal, and serialize alike, by their text: its meaning is that
/// of the text under the policy's declared types.
#[derive(Clone)]
pub struct Predicate {
    text: Name,
    compiled: Arc<dyn Evaluate>,
}

impl Predicate {
    pub fn new(text: &str, compiled: Arc<dyn Evaluate>) -> Self {
        Predicate { text: text.into(), compiled }
    }

    pub fn text(&self) -> &Name {
        &self.text
    }

    /// `None` when it can't be decided; the caller takes the stricter side.
    pub fn evaluate(&self, row: &Row) -> Option<bool> {
        self.compiled.evaluate(row)
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Predicate({:?})", self.text)
    }
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Predicate {}

impl Serialize for Predicate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}
