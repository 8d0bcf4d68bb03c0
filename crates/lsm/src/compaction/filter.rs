//! What a user may decide during compaction.

/// Decides, while tables are compacted, which entries have outlived their use: for example those that have expired.
///
/// It is asked about a value only if no snapshot that is held sees that, so a long-lived snapshot keeps entries alive. It may be asked
/// at any time, by several threads, never, or twice, and then about what it has made of an entry; so it must answer by key and value,
/// and an entry that was to go once must be so for ever. Until an entry is compacted readers still see it as it was.
pub trait CompactionFilter: Send + Sync + 'static {
    /// Says what becomes of an entry.
    fn decide(&self, key: &[u8], value: &[u8]) -> Decision;
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It stays.
    Keep,
    /// It goes, and no older version of the key comes back.
    Remove,
    /// It stays with this value, of at most [`MAX_VALUE`](crate::MAX_VALUE) bytes. Readers may see either for some time.
    Replace(Vec<u8>),
}

impl<F: Fn(&[u8], &[u8]) -> Decision + Send + Sync + 'static> CompactionFilter for F {
    fn decide(&self, key: &[u8], value: &[u8]) -> Decision {
        self(key, value)
    }
}
