//! Owns what a member says of itself and others, and the order in which records of it replace each other.
//!
//! A record is a list of *slots*. Each holds one statement (a metadata entry, or a suspicion) and the version at which the
//! member put it there; the record's version grows with every change. So what changed since a version is what lies in
//! slots with a higher one, and can be told in pieces, in the order of versions. What is taken back leaves an empty slot,
//! which the next statement uses: there are no tombstones to collect, and a record never grows beyond the most that was
//! said at once.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::SetError;
use crate::member::Incarnation;
use crate::message::Delta;

/// The longest key of a metadata entry, in bytes.
pub const MAX_KEY_BYTES: usize = 128;
/// The longest value of a metadata entry, in bytes.
pub const MAX_VALUE_BYTES: usize = 512;
/// The most metadata entries of a member.
pub const MAX_KEYS: usize = 64;
/// The most suspicions that a member tells at once.
pub(crate) const MAX_SUSPICIONS: usize = 128;
/// The most slots of a record: their numbers take a byte.
pub(crate) const MAX_SLOTS: usize = MAX_KEYS + MAX_SUSPICIONS;

/// What a member says: where it is, what else it wants known, and whom it suspects. It alone changes this; all others
/// repeat it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<I, A> {
    pub(crate) incarnation: Incarnation,
    pub(crate) version: u64,
    pub(crate) left: bool,
    pub(crate) address: A,
    pub(crate) address_version: u64,
    pub(crate) slots: Vec<Slot<I>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot<I> {
    /// When the content came here; 0 if it never did.
    pub(crate) version: u64,
    pub(crate) content: Content<I>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content<I> {
    Empty,
    Meta { key: Arc<str>, value: Arc<[u8]> },
    Suspicion(Suspicion<I>),
}

/// A member says that it has waited for another one in vain, at first hand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Suspicion<I> {
    pub(crate) target: I,
    pub(crate) incarnation: Incarnation,
    /// The counter at which it stood still. A counter well above it is proof of life. `u64::MAX` says that the member was
    /// forgotten, and only a new incarnation is believed.
    pub(crate) heartbeat: u64,
}

impl<I> Content<I> {
    fn key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Meta { key, .. } => Some(key),
            Self::Empty | Self::Suspicion(_) => None,
        }
    }
}

impl<I, A> Record<I, A> {
    /// The incarnation that says it.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// How many changes it has seen.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the member receives gossip.
    pub fn address(&self) -> &A {
        &self.address
    }

    /// The value of a metadata entry.
    pub fn get(&self, key: &str) -> Option<&Arc<[u8]>> {
        self.entries().filter(|(_, it, _)| &***it == key).max_by_key(|(version, ..)| *version).map(|(.., value)| value)
    }

    /// All metadata entries, in no particular order. Takes O(entries^2), of which there are at most [`MAX_KEYS`].
    pub fn metadata(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<[u8]>)> {
        // While a record arrives in pieces, a key may for a moment stand in two slots: the later one counts.
        let is_newest =
            |version: u64, key: &Arc<str>| !self.entries().any(|(other, it, _)| other > version && it == key);
        self.entries().filter(move |(version, key, _)| is_newest(*version, key)).map(|(_, key, value)| (key, value))
    }

    fn entries(&self) -> impl Iterator<Item = (u64, &Arc<str>, &Arc<[u8]>)> {
        self.slots.iter().filter_map(|slot| match &slot.content {
            Content::Meta { key, value } => Some((slot.version, key, value)),
            Content::Empty | Content::Suspicion(_) => None,
        })
    }

    pub(crate) fn suspicions(&self) -> impl Iterator<Item = &Suspicion<I>> {
        self.slots.iter().filter_map(|slot| match &slot.content {
            Content::Suspicion(suspicion) => Some(suspicion),
            Content::Empty | Content::Meta { .. } => None,
        })
    }

    /// The slots that changed between two versions, with their numbers, in the order of their numbers.
    pub(crate) fn between(&self, after: u64, upto: u64) -> impl Iterator<Item = (usize, &Slot<I>)> {
        self.slots.iter().enumerate().filter(move |(_, slot)| slot.version > after && slot.version <= upto)
    }

    pub(crate) fn new(incarnation: Incarnation, address: A) -> Self {
        Self { incarnation, version: 1, left: false, address, address_version: 1, slots: Vec::new() }
    }

    /// Puts a content into this slot, as a change of its own.
    pub(crate) fn put(&mut self, slot: usize, content: Content<I>) {
        self.version = self.version.saturating_add(1);
        self.place(slot, Slot { version: self.version, content });
    }

    pub(crate) fn place(&mut self, number: usize, slot: Slot<I>) {
        while self.slots.len() <= number {
            self.slots.push(Slot { version: 0, content: Content::Empty });
        }
        self.slots[number] = slot;
    }

    /// A slot for something new, if there is room.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        let empty = self.slots.iter().position(|slot| matches!(slot.content, Content::Empty));
        empty.or_else(|| (self.slots.len() < MAX_SLOTS).then_some(self.slots.len()))
    }

    /// Where a key is to be set; none if it has this value already.
    pub(crate) fn slot_for(&self, key: &str, value: &[u8]) -> Result<Option<usize>, SetError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(SetError::KeyTooLong { len: key.len(), limit: MAX_KEY_BYTES });
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(SetError::ValueTooLong { len: value.len(), limit: MAX_VALUE_BYTES });
        }
        if let Some(slot) = self.slot_of(key) {
            let same = matches!(&self.slots[slot].content, Content::Meta { value: held, .. } if **held == *value);
            return Ok((!same).then_some(slot));
        }
        if self.entries().count() >= MAX_KEYS {
            return Err(SetError::TooManyKeys { limit: MAX_KEYS });
        }
        self.free_slot().map(Some).ok_or(SetError::TooManyKeys { limit: MAX_KEYS })
    }

    /// Where a key stands in this node's own record, which has each but once.
    pub(crate) fn slot_of(&self, key: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.content.key().is_some_and(|it| **it == *key))
    }
}

/// What a delta changed in a record.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) keys: Vec<Arc<str>>,
    pub(crate) address: bool,
    pub(crate) left: bool,
}

impl<I: Clone + PartialEq, A: Clone + PartialEq> Record<I, A> {
    /// Joins a delta of the same incarnation that begins at or below this record's version.
    pub(crate) fn join(self: &mut Arc<Self>, delta: &Delta<I, A>) -> Changes {
        assert!(delta.record.incarnation == self.incarnation && delta.after <= self.version, "no gap is left open");
        let mut changes = Changes { left: delta.record.left && !self.left, ..Changes::default() };
        let moved = delta.record.address_version > self.address_version;
        changes.address = moved && delta.record.address != self.address;
        let from = self.version;
        for (number, slot) in delta.record.between(from, delta.upto) {
            let before = self.slots.get(number).map(|slot| &slot.content);
            if before != Some(&slot.content) {
                changes.keys.extend(before.into_iter().chain([&slot.content]).filter_map(Content::key).cloned());
            }
        }
        changes.keys.sort_unstable();
        changes.keys.dedup();
        if delta.upto <= from && !moved && !changes.left {
            return changes;
        }
        let takes_nothing_back = delta.record.left >= self.left && delta.record.address_version >= self.address_version;
        if delta.whole && delta.upto >= delta.record.version && delta.upto >= from && takes_nothing_back {
            *self = Arc::clone(&delta.record);
            return changes;
        }
        let record = Arc::make_mut(self);
        record.left |= delta.record.left;
        if moved {
            record.address_version = delta.record.address_version;
            record.address = delta.record.address.clone();
        }
        for (number, slot) in delta.record.between(from, delta.upto) {
            record.place(number, slot.clone());
        }
        record.version = from.max(delta.upto);
        changes
    }

    /// What a delta says of a new incarnation, by itself.
    pub(crate) fn begin(delta: &Delta<I, A>) -> Option<Arc<Self>> {
        if delta.after > 0 || delta.upto == 0 {
            return None;
        }
        if delta.whole && delta.upto >= delta.record.version {
            return Some(Arc::clone(&delta.record));
        }
        let Self { incarnation, left, ref address, address_version, .. } = *delta.record;
        let (version, address) = (delta.upto, address.clone());
        let mut record = Self { incarnation, version, left, address, address_version, slots: Vec::new() };
        for (number, slot) in delta.record.between(0, delta.upto) {
            record.place(number, slot.clone());
        }
        Some(Arc::new(record))
    }
}
