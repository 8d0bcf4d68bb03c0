//! Owns operations of logs on their way into a memtable. A few megabytes of them are sorted first: going through a tree from one end to
//! the other costs a few cache misses for each leaf, going through it at random for each entry.

use crate::batch::BatchView;
use crate::key::{Kind, Sequence};
use crate::memtable::Memtable;

/// More than this is not sorted at once; it takes as much memory besides the memtable.
const MOST_BYTES: usize = 16 << 20;

/// Operations that have been read.
pub(super) struct Gathered {
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
    operations: Vec<Gathering>,
    room: usize,
}

/// One of them.
struct Gathering {
    /// The first bytes of the key, which decide most comparisons.
    prefix: u64,
    sequence: Sequence,
    kind: Kind,
    /// Where the key begins, behind which the value stands.
    at: usize,
    key_len: u32,
    value_len: u32,
}

impl Gathered {
    /// Room for so many bytes, or fewer.
    pub(super) fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), operations: Vec::new(), room: room.min(MOST_BYTES) }
    }

    /// Whether another batch fits in. In an empty one any does.
    pub(super) fn has_room_for(&self, batch: BatchView<'_>) -> bool {
        self.bytes.is_empty() || self.bytes.len() + batch.bytes().len() <= self.room
    }

    /// Takes the operations of a batch in whose sequence numbers are behind one.
    pub(super) fn add(&mut self, first: Sequence, batch: BatchView<'_>, behind: Sequence) {
        for (sequence, (kind, key, value)) in (first..).zip(batch.ops()) {
            if sequence > behind {
                let mut prefix = [0; 8];
                let len = key.len().min(8);
                prefix[..len].copy_from_slice(&key[..len]);
                let (at, key_len, value_len) = (self.bytes.len(), key.len() as u32, value.len() as u32);
                self.bytes.extend_from_slice(key);
                self.bytes.extend_from_slice(value);
                let prefix = u64::from_be_bytes(prefix);
                self.operations.push(Gathering { prefix, sequence, kind, at, key_len, value_len });
            }
        }
    }

    /// Inserts all of them, and has none any more.
    pub(super) fn insert_into(&mut self, memtable: &Memtable) {
        let Self { bytes, operations, .. } = self;
        let key = |of: &Gathering| &bytes[of.at..][..of.key_len as usize];
        // In the order of internal keys: of several versions of a key the newest comes first.
        operations.sort_unstable_by(|a, b| {
            let keys = a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b)));
            keys.then_with(|| b.sequence.cmp(&a.sequence))
        });
        let mut writer = memtable.writer();
        for (at, operation) in operations.iter().enumerate() {
            let Gathering { sequence, kind, .. } = *operation;
            let value = &bytes[operation.at + operation.key_len as usize..][..operation.value_len as usize];
            match at {
                0 => writer.insert(key(operation), sequence, kind, value),
                _ => writer.insert_behind(key(operation), sequence, kind, value),
            }
        }
        bytes.clear();
        operations.clear();
    }
}
