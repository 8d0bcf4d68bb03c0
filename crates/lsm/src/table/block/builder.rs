//! Makes data blocks.

use super::{AMBIGUOUS, EMPTY, MAX_INDEXED_RESTARTS, RESTART, TAIL, common_prefix, tag};
use crate::table::{hash, varint};

/// Collects entries until they are a block, then begins the next; its memory is used again.
pub(in crate::table) struct BlockBuilder {
    interval: usize,
    /// The values, and at last the whole block.
    bytes: Vec<u8>,
    keys: Vec<u8>,
    tags: Vec<u64>,
    /// Where the key begins, among the keys, and where the value does.
    restarts: Vec<(u32, u32)>,
    /// Of each user key: its hash and the restart of its first entry here; and, if it goes on, that of its last one.
    hashes: Vec<(u64, u32)>,
    last_key: Vec<u8>,
}

impl BlockBuilder {
    pub(in crate::table) fn new(interval: usize) -> Self {
        assert!(
            (1..=usize::from(u16::MAX)).contains(&interval),
            "options are validated: a restart interval fits 16 bits"
        );
        Self {
            interval,
            bytes: Vec::new(),
            keys: Vec::new(),
            tags: Vec::new(),
            restarts: Vec::new(),
            hashes: Vec::new(),
            last_key: Vec::new(),
        }
    }

    pub(in crate::table) fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Bytes of keys and values.
    pub(in crate::table) fn size(&self) -> usize {
        self.bytes.len() + self.keys.len()
    }

    /// The bytes the block would have with one more entry, or a little less than that many.
    pub(in crate::table) fn size_with(&self, user_key: &[u8], value: &[u8]) -> usize {
        // Tags of three bytes, and four buckets for three keys.
        let (entries, keys) = (self.tags.len() + 1, self.hashes.len() + 1);
        let columns = entries * 3 + keys * 4 / 3 + self.restarts.len() * RESTART;
        self.size() + 4 + user_key.len() + value.len() + columns + TAIL
    }

    /// Adds an entry, which is behind all others. `same_key` says that the entry before has the same user key.
    pub(in crate::table) fn add(&mut self, user_key: &[u8], hash: u64, trailer: u64, value: &[u8], same_key: bool) {
        let shared = if self.tags.len().is_multiple_of(self.interval) {
            let place = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a block has less than 4 GiB");
            self.restarts.push((place(&self.keys), place(&self.bytes)));
            0
        } else if same_key {
            user_key.len()
        } else {
            common_prefix(&self.last_key, user_key)
        };
        let restart = self.restarts.len() as u32 - 1;
        if self.hashes.last() != Some(&(hash, restart)) {
            self.hashes.push((hash, restart));
        }
        self.tags.push(tag(trailer));
        varint::put(shared as u64, &mut self.keys);
        varint::put((user_key.len() - shared) as u64, &mut self.keys);
        varint::put(value.len() as u64, &mut self.keys);
        self.keys.extend_from_slice(&user_key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&user_key[shared..]);
    }

    /// Completes the block, which is then [`bytes`](Self::bytes).
    pub(in crate::table) fn finish(&mut self) {
        assert!(!self.is_empty(), "a block has entries");
        let (count, smallest) = (self.tags.len() as u32, self.tags.iter().copied().min().unwrap_or(0));
        let spread = self.tags.iter().map(|tag| tag - smallest).max().unwrap_or(0);
        let keys_at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&self.keys);
        let width = 8 - spread.leading_zeros() as usize / 8;
        for tag in &self.tags {
            self.bytes.extend_from_slice(&(tag - smallest).to_le_bytes()[..width]);
        }
        let buckets = self.add_buckets();
        for (key, value) in &self.restarts {
            self.bytes.extend_from_slice(&(keys_at + key).to_le_bytes());
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        self.bytes.extend_from_slice(&keys_at.to_le_bytes());
        self.bytes.extend_from_slice(&count.to_le_bytes());
        self.bytes.extend_from_slice(&smallest.to_le_bytes());
        self.bytes.push(width as u8);
        self.bytes.extend_from_slice(&(self.interval as u16).to_le_bytes());
        self.bytes.extend_from_slice(&buckets.to_le_bytes());
        assert!(u32::try_from(self.bytes.len()).is_ok(), "keys and values are limited, so a block has less than 4 GiB");
    }

    /// What was completed.
    pub(in crate::table) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins the next block.
    pub(in crate::table) fn clear(&mut self) {
        self.bytes.clear();
        self.keys.clear();
        self.tags.clear();
        self.restarts.clear();
        self.hashes.clear();
        self.last_key.clear();
    }

    /// Appends the buckets and gives their number. A block of one restart has none: there is nothing to choose.
    fn add_buckets(&mut self) -> u16 {
        let wanted = self.hashes.len() * 4 / 3 + 1;
        let Ok(count) = u16::try_from(wanted) else { return 0 };
        if !(2..=MAX_INDEXED_RESTARTS).contains(&self.restarts.len()) {
            return 0;
        }
        let start = self.bytes.len();
        self.bytes.resize(start + wanted, EMPTY);
        for (hash, restart) in &self.hashes {
            let bucket = &mut self.bytes[start + hash::reduce(*hash as u32, u32::from(count)) as usize];
            let restart = *restart as u8;
            *bucket = if *bucket == EMPTY || *bucket == restart { restart } else { AMBIGUOUS };
        }
        count
    }
}
