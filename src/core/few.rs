//! A set that nearly always holds one thing: it lies in the set itself, where the smallest node of a tree has room for
//! eleven. In order, like the tree that it becomes with a second.

use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T>(Held<T>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held<T> {
    One(T),
    /// Of any number, none included.
    Many(BTreeSet<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Held::Many(BTreeSet::new()))
    }
}

impl<T: Ord> Few<T> {
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::One(_) => 1,
            Held::Many(many) => many.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, item: &T) -> bool {
        match &self.0 {
            Held::One(one) => one == item,
            Held::Many(many) => many.contains(item),
        }
    }

    pub fn insert(&mut self, item: T) {
        match std::mem::take(self).0 {
            Held::Many(many) if many.is_empty() => self.0 = Held::One(item),
            Held::Many(mut many) => {
                many.insert(item);
                self.0 = Held::Many(many);
            }
            Held::One(one) => self.0 = if one == item { Held::One(one) } else { Held::Many([one, item].into()) },
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, item: &T) -> bool {
        match &mut self.0 {
            Held::One(one) if one == item => {
                *self = Few::default();
                true
            }
            Held::One(_) => false,
            Held::Many(many) => many.remove(item),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (one, many) = match &self.0 {
            Held::One(one) => (Some(one), None),
            Held::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_a_tree_is(steps in proptest::collection::vec((any::<bool>(), 0..4_u8), 0..24)) {
            let (mut few, mut model) = (Few::default(), BTreeSet::new());
            for (comes, item) in steps {
                if comes {
                    few.insert(item);
                    model.insert(item);
                } else {
                    prop_assert_eq!(few.remove(&item), model.remove(&item));
                }
                prop_assert_eq!((few.len(), few.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(few.iter().eq(&model));
                prop_assert!((0..4).all(|item| few.contains(&item) == model.contains(&item)));
            }
        }
    }
}
