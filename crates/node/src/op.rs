//! Operations in flight, by slot and generation: a completion that arrives after its operation has ended finds
//! the slot's generation changed and is ignored.

/// Names one operation of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Op {
    /// Where it stands.
    pub slot: u32,
    /// How many operations stood there before.
    pub generation: u32,
}

impl Op {
    /// Both parts in one word, as it travels.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// The reverse of [`Op::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, generation: bits as u32 }
    }
}

/// A slab whose keys tell a reused slot from the old one.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Option<T>,
}

impl<T> Slab<T> {
    /// `first_generation` differs from process to process (the shell draws it), so that an answer meant for an
    /// earlier process of this node does not fit an operation of this one.
    pub(crate) fn new(first_generation: u32) -> Self {
        Self { slots: vec![Slot { generation: first_generation, content: None }], free: vec![0] }
    }

    fn first_generation(&self) -> u32 {
        self.slots[0].generation
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, content: T) -> Op {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.slots.len()).expect("admission bounds the operations far below 2^32");
            self.slots.push(Slot { generation: self.first_generation(), content: None });
            slot
        });
        let place = &mut self.slots[slot as usize];
        assert!(place.content.is_none(), "a free slot is empty");
        place.content = Some(content);
        Op { slot, generation: place.generation }
    }

    pub(crate) fn get_mut(&mut self, op: Op) -> Option<&mut T> {
        let place = self.slots.get_mut(op.slot as usize)?;
        if place.generation == op.generation { place.content.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, op: Op) -> Option<T> {
        let place = self.slots.get_mut(op.slot as usize)?;
        if place.generation != op.generation {
            return None;
        }
        let content = place.content.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(op.slot);
        Some(content)
    }

    /// Gives an operation a new name, so that whatever still answers the old one is ignored.
    pub(crate) fn rename(&mut self, op: Op) -> Op {
        let place = &mut self.slots[op.slot as usize];
        assert!(place.generation == op.generation && place.content.is_some(), "only a live operation is renamed");
        place.generation = place.generation.wrapping_add(1);
        Op { slot: op.slot, generation: place.generation }
    }

    pub(crate) fn ops(&self) -> impl Iterator<Item = (Op, &T)> {
        (0..).zip(&self.slots).filter_map(|(slot, place)| {
            place.content.as_ref().map(|content| (Op { slot, generation: place.generation }, content))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_name_finds_nothing() {
        let mut slab = Slab::new(7);
        let a = slab.insert("a");
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.insert("b");
        assert_eq!(b.slot, a.slot);
        assert_eq!(slab.get_mut(a), None);
        assert_eq!(slab.remove(a), None);
        let renamed = slab.rename(b);
        assert_eq!(slab.get_mut(b), None);
        assert_eq!(slab.get_mut(renamed), Some(&mut "b"));
        assert_eq!(slab.len(), 1);
        assert_eq!(Op::from_bits(renamed.to_bits()), renamed);
    }
}
