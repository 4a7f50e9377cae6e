//! Things of which there are few, each kept once and called by a number.

use std::cmp::Ordering;
use std::num::NonZeroU32;

pub type Number = NonZeroU32;

#[derive(Debug)]
pub struct Table<T> {
    all: Vec<T>,
    /// Their numbers, in the order of the things.
    ordered: Vec<Number>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { all: Vec::new(), ordered: Vec::new() }
    }
}

impl<T: Ord> Table<T> {
    /// The number of such a thing, from now on if it had none.
    pub fn number_of(&mut self, thing: T) -> Number {
        let place = match self.place(|held| held.cmp(&thing)) {
            Ok(place) => return self.ordered[place],
            Err(place) => place,
        };
        self.all.push(thing);
        // Memory ends long before the numbers do.
        let number = u32::try_from(self.all.len()).ok().and_then(Number::new).unwrap_or(Number::MAX);
        self.ordered.insert(place, number);
        number
    }

    /// The number of the thing that this says is equal, where there is one; of every other it says on which side it lies.
    pub fn find(&self, beside: impl Fn(&T) -> Ordering) -> Option<Number> {
        self.place(beside).ok().map(|place| self.ordered[place])
    }

    #[inline]
    pub fn get(&self, number: Number) -> Option<&T> {
        self.all.get(place_of(number))
    }

    /// In the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter()
    }

    fn place(&self, beside: impl Fn(&T) -> Ordering) -> Result<usize, usize> {
        self.ordered.binary_search_by(|number| self.get(*number).map_or(Ordering::Less, &beside))
    }
}

/// Where something lies of which there is one for each number.
pub fn place_of(number: Number) -> usize {
    number.get() as usize - 1
}
