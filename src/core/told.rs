//! What people say of a report that its table can't: a filing that lives elsewhere, a second review, that a
//! vanished P0 was looked into, that a P0 is none. It is kept with the report and is evidence beside its own
//! events.

use super::id::Name;
use super::observation::{Actor, Event, EventName};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What can be said of a report, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Name", into = "Name")]
pub enum Word {
    /// That this happened. Never `received`, `closed` or `reopened`: of those the report's own row tells.
    Event(EventName),
    /// A P0 that vanished was looked into: nothing is owed for it any more.
    LookedInto,
    /// A known P0 is none. Once two different people say so, what its row says decides again.
    Released,
}

/// People who must say so before a known P0 is released.
pub const RELEASED_BY: usize = 2;

impl Word {
    pub const fn as_str(self) -> &'static str {
        match self {
            Word::Event(name) => name.as_str(),
            Word::LookedInto => "looked_into",
            Word::Released => "released",
        }
    }

    pub fn parse(text: &str) -> Option<Word> {
        match text {
            "looked_into" => Some(Word::LookedInto),
            "released" => Some(Word::Released),
            _ => EventName::parse(text).filter(|name| is_told(*name)).map(Word::Event),
        }
    }

    /// Every word, in the order in which a command lists them.
    pub fn all() -> impl Iterator<Item = Word> {
        let events = EventName::ALL.into_iter().filter(|name| is_told(*name)).map(Word::Event);
        events.chain([Word::LookedInto, Word::Released])
    }
}

fn is_told(name: EventName) -> bool {
    !matches!(name, EventName::Received | EventName::Closed | EventName::Reopened)
}

impl TryFrom<Name> for Word {
    type Error = &'static str;

    fn try_from(text: Name) -> Result<Self, Self::Error> {
        Word::parse(&text).ok_or("nothing of that name can be said of a report")
    }
}

impl From<Word> for Name {
    fn from(word: Word) -> Self {
        word.as_str().into()
    }
}

/// One thing that a person said of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Event(Event),
    LookedInto { at: Timestamp, by: Name },
    Released { at: Timestamp, by: Name },
}

impl Told {
    pub fn new(word: Word, at: Timestamp, by: Name) -> Self {
        match word {
            Word::Event(name) => Told::Event(Event { at, name, by: Actor::Person(by) }),
            Word::LookedInto => Told::LookedInto { at, by },
            Word::Released => Told::Released { at, by },
        }
    }

    pub fn event(&self) -> Option<&Event> {
        match self {
            Told::Event(event) => Some(event),
            Told::LookedInto { .. } | Told::Released { .. } => None,
        }
    }

    pub fn at(&self) -> Timestamp {
        match self {
            Told::Event(event) => event.at,
            Told::LookedInto { at, .. } | Told::Released { at, .. } => *at,
        }
    }
}

/// When somebody said first that they looked into it.
pub fn looked_into(told: &[Told]) -> Option<Timestamp> {
    let at = |told: &Told| match told {
        Told::LookedInto { at, .. } => Some(*at),
        Told::Event(_) | Told::Released { .. } => None,
    };
    told.iter().filter_map(at).min()
}

/// Whether enough different people said that it is no P0.
pub fn is_released(told: &[Told]) -> bool {
    let by = |told: &Told| match told {
        Told::Released { by, .. } => Some(by.clone()),
        Told::Event(_) | Told::LookedInto { .. } => None,
    };
    told.iter().filter_map(by).collect::<BTreeSet<Name>>().len() >= RELEASED_BY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written_and_a_row_tells_of_its_own_closure() {
        for word in Word::all() {
            assert_eq!(Word::parse(word.as_str()), Some(word));
            assert_eq!(Word::try_from(Name::from(word)), Ok(word));
        }
        for refused in ["closed", "received", "reopened", "danced", ""] {
            assert_eq!(Word::parse(refused), None, "{refused}");
        }
    }

    #[test]
    fn the_same_person_twice_is_one_person() {
        let released = |by: &str| Told::new(Word::Released, Timestamp::from_secs(1), by.into());
        assert!(!is_released(&[released("ada"), released("ada")]));
        assert!(is_released(&[released("ada"), released("grace")]));
    }
}
