//! Things of which there are few, each kept once and called by a number.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

pub type Number = NonZeroU32;

#[derive(Debug)]
pub struct Table<T> {
    all: Vec<T>,
    numbers: BTreeMap<T, Number>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { all: Vec::new(), numbers: BTreeMap::new() }
    }
}

impl<T: Ord + Clone> Table<T> {
    /// The number of such a thing, from now on if it had none.
    pub fn number_of(&mut self, thing: T) -> Number {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        self.all.push(thing.clone());
        // Memory ends long before the numbers do.
        let number = u32::try_from(self.all.len()).ok().and_then(Number::new).unwrap_or(Number::MAX);
        self.numbers.insert(thing, number);
        number
    }

    pub fn get(&self, number: Number) -> Option<&T> {
        self.all.get(number.get() as usize - 1)
    }
}
