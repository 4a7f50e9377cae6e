//! Things by slot, in chunks that stay where they are: a vector that grows is copied whole, and what it leaves behind is
//! as large as all it had before.

use super::Slot;

const CHUNK: usize = 4_096;

/// What was laid down last is in the last chunk; all before it are full, if only of places that hold nothing.
#[derive(Debug)]
pub struct Chunks<T>(Vec<Vec<Option<T>>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks(Vec::new())
    }
}

impl<T> Chunks<T> {
    /// One more than the last slot that ever held something.
    pub fn end(&self) -> Slot {
        let places = self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len());
        Slot::try_from(places).unwrap_or(Slot::MAX)
    }

    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.0.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.place(slot)?.as_mut()
    }

    /// Lays something down, or nothing where there was something.
    pub fn lay(&mut self, slot: Slot, thing: Option<T>) {
        while thing.is_some() && self.end() <= slot {
            match self.0.last_mut().filter(|last| last.len() < CHUNK) {
                Some(last) => last.push(None),
                None => self.0.push(Vec::with_capacity(CHUNK)),
            }
        }
        if let Some(place) = self.place(slot) {
            *place = thing;
        }
    }

    pub fn take(&mut self, slot: Slot) -> Option<T> {
        self.place(slot)?.take()
    }

    /// What there is from a slot on.
    pub fn from(&self, slot: Slot) -> impl Iterator<Item = (Slot, &T)> {
        let (chunk, place) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let first = self.0.get(chunk).and_then(|chunk| chunk.get(place..)).unwrap_or_default();
        let further = self.0.get(chunk + 1..).unwrap_or_default().iter().flatten();
        (slot..).zip(first.iter().chain(further)).filter_map(|(slot, thing)| Some((slot, thing.as_ref()?)))
    }

    fn place(&mut self, slot: Slot) -> Option<&mut Option<T>> {
        self.0.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_laid_down_is_there_and_walked_in_order_across_chunks() {
        let mut chunks = Chunks::default();
        let slots: Vec<Slot> = vec![0, 5, 4_095, 4_096, 9_000];
        slots.iter().for_each(|slot| chunks.lay(*slot, Some(*slot)));
        chunks.lay(20_000, None);
        assert_eq!(
            (chunks.end(), chunks.get(4_096), chunks.get(4_097), chunks.get(20_000)),
            (9_001, Some(&4_096), None, None)
        );
        for from in [0, 1, 4_096, 4_097, 9_000, 9_001, 50_000] {
            let further = slots.iter().filter(|slot| **slot >= from).map(|slot| (*slot, slot));
            assert_eq!(chunks.from(from).collect::<Vec<_>>(), further.collect::<Vec<_>>(), "from {from}");
        }
        assert_eq!((chunks.take(5), chunks.take(5), chunks.get(5)), (Some(5), None, None));
    }
}
