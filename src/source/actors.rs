//! Who did something, by the patterns of the configuration. Whoever matches no pattern is unknown,
//! which on P0 counts as automated: nobody is taken for a person by default.

use super::settings::Actors;
use crate::core::id::Name;
use crate::core::observation::Actor;
use std::collections::BTreeMap;

/// Actors remembered at most; the next ones are classified anew each time.
const REMEMBERED_MAX: usize = 4_096;

#[derive(Clone, Debug)]
pub struct Classifier {
    patterns: Actors,
    known: BTreeMap<Name, Actor>,
}

impl Classifier {
    pub fn new(patterns: Actors) -> Self {
        Classifier { patterns, known: BTreeMap::new() }
    }

    /// Automated wins over a person's pattern: the stricter reading of an actor that matches both.
    pub fn classify(&mut self, actor: &str) -> Actor {
        if let Some(known) = self.known.get(actor) {
            return known.clone();
        }
        let any = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, actor));
        let name: Name = actor.into();
        let class = if actor.is_empty() {
            Actor::Unknown
        } else if any(&self.patterns.automated) {
            Actor::Automated
        } else if any(&self.patterns.people) {
            Actor::Person(name.clone())
        } else {
            Actor::Unknown
        };
        if self.known.len() < REMEMBERED_MAX {
            self.known.insert(name, class.clone());
        }
        class
    }
}

/// Whether a text matches a pattern in which `*` stands for any run of characters, the empty one too.
/// Takes at most pattern length times text length steps.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters_and_nothing_else_is_special() {
        assert!(glob("bot-*", "bot-7") && glob("*", "") && glob("a*b*c", "a--b-b-c") && glob("mod-?", "mod-?"));
        assert!(!glob("bot-*", "robot-7") && !glob("mod-?", "mod-1") && !glob("a*b", "a-b-c") && !glob("", "x"));
        assert!(glob("*ü*", "grün"));
    }

    #[test]
    fn an_actor_is_a_person_only_by_a_pattern_and_automated_when_it_matches_both() {
        let patterns = Actors { automated: vec!["bot-*".into(), "automod".into()], people: vec!["*mod*".into()] };
        let mut classifier = Classifier::new(patterns);
        assert_eq!(classifier.classify("mod-kim"), Actor::Person("mod-kim".into()));
        assert_eq!(classifier.classify("automod"), Actor::Automated);
        assert_eq!(classifier.classify("automod"), Actor::Automated);
        assert_eq!(classifier.classify("intern"), Actor::Unknown);
        assert_eq!(classifier.classify(""), Actor::Unknown);
        assert_eq!(Classifier::new(Actors::default()).classify("kim"), Actor::Unknown);
    }
}
