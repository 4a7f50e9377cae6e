//! Lines by the reports that they are of: by source, and within it by id.

use super::Slot;
use super::shelves::{Key, Shelves};
use super::slab::Slab;
use crate::core::id::{Name, ReportId};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

#[derive(Debug, Default)]
pub struct ById {
    sources: Vec<(Name, OfSource)>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug, Default)]
struct OfSource {
    /// Ids that are numbers: most come in their order, and what lies in order is found without a look at the lines.
    numbers: Shelves,
    /// All others.
    others: HashTable<Slot>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number(i64);

impl Key for Number {
    #[inline]
    fn number(&self) -> i64 {
        self.0
    }
}

impl ById {
    #[inline]
    pub fn slot(&self, source: &Name, id: &ReportId, slab: &Slab) -> Option<Slot> {
        let (_, of) = self.sources.iter().find(|(held, _)| held == source)?;
        if let ReportId::Int(id) = id {
            return of.numbers.of_number(*id, number_of(slab));
        }
        of.others.find(self.hasher.hash_one(id), |slot| slab.other_id(*slot) == Some(id)).copied()
    }

    /// Makes room for lines of a source that are to be laid down. A table that is full is built anew in the order in which
    /// the lines lie, because what it would do itself visits them in no order at all.
    pub fn make_room(&mut self, source: &Name, further: usize, slab: &Slab) {
        let (of, hasher) = (of_source(&mut self.sources, source), &self.hasher);
        let lines = of.others.len() + further;
        if of.others.is_empty() || lines <= of.others.capacity() {
            return;
        }
        of.others = HashTable::with_capacity(lines + lines / 8);
        for (slot, _, kind) in slab.lines_from(0) {
            if kind.source == *source && slab.other_id(slot).is_some() {
                let hash = |slot: &Slot| hash(*slot, slab, hasher);
                of.others.insert_unique(hash(&slot), slot, hash);
            }
        }
    }

    /// Makes a line that was laid down known by its report.
    pub fn insert(&mut self, slot: Slot, slab: &Slab) {
        let Some(source) = slab.kind(slot).map(|kind| &kind.source) else { return };
        let (of, hasher) = (of_source(&mut self.sources, source), &self.hasher);
        if slab.other_id(slot).is_some() {
            let hash = |slot: &Slot| hash(*slot, slab, hasher);
            of.others.insert_unique(hash(&slot), slot, hash);
        } else {
            of.numbers.insert_now(slot, number_of(slab));
        }
    }

    /// Before the line goes.
    pub fn remove(&mut self, slot: Slot, slab: &Slab) {
        let Some(source) = slab.kind(slot).map(|kind| &kind.source) else { return };
        let Some((_, of)) = self.sources.iter_mut().find(|(held, _)| held == source) else { return };
        if slab.other_id(slot).is_none() {
            of.numbers.remove(slot, number_of(slab));
        } else if let Ok(entry) = of.others.find_entry(hash(slot, slab, &self.hasher), |held| *held == slot) {
            entry.remove();
        }
    }
}

fn of_source<'s>(sources: &'s mut Vec<(Name, OfSource)>, source: &Name) -> &'s mut OfSource {
    let place = sources.iter().position(|(held, _)| held == source).unwrap_or_else(|| {
        sources.push((source.clone(), OfSource::default()));
        sources.len() - 1
    });
    &mut sources[place].1
}

fn hash(slot: Slot, slab: &Slab, hasher: &DefaultHashBuilder) -> u64 {
    slab.other_id(slot).map_or(0, |id| hasher.hash_one(id))
}

fn number_of(slab: &Slab) -> impl Fn(Slot) -> Option<Number> + Copy {
    |slot| slab.line(slot).map(|line| Number(line.id))
}
