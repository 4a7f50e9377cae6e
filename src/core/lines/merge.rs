//! Ordered walks as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Two ordered walks as one.
pub fn merge<T: Ord>(one: impl Iterator<Item = T>, other: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if b < a => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

/// Any number of ordered walks as one.
pub fn merge_all<W: Iterator<Item = T>, T: Ord>(mut walks: Vec<W>) -> impl Iterator<Item = T> {
    let first = |(at, walk): (usize, &mut W)| walk.next().map(|first| Reverse((first, at)));
    let mut heads: BinaryHeap<Reverse<(T, usize)>> = walks.iter_mut().enumerate().filter_map(first).collect();
    std::iter::from_fn(move || {
        let mut head = heads.peek_mut()?;
        let at = head.0.1;
        let Reverse((first, _)) = match walks[at].next() {
            Some(next) => std::mem::replace(&mut *head, Reverse((next, at))),
            None => PeekMut::pop(head),
        };
        Some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_ordered_walks_are_one_ordered_walk() {
        let walks = [vec![], vec![1, 4, 4, 9], vec![2], vec![0, 4, 10]];
        let merged: Vec<i32> = merge_all(walks.into_iter().map(Vec::into_iter).collect()).collect();
        assert_eq!(merged, [0, 1, 2, 4, 4, 4, 9, 10]);
        assert_eq!(merge_all(Vec::<std::vec::IntoIter<i32>>::new()).next(), None);
    }
}
