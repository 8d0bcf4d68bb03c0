//! How a key is found, and a range: in the memtables, then level by level downward, until the first version that the reader may see.

use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use super::cursors;
use super::engine::Engine;
use super::views::View;
use crate::error::Result;
use crate::iter::{EdgeKind, Edges, MergeCursor, Range};
use crate::key::{Kind, Sequence};
use crate::table::{self, Lookup, Reach};
use crate::version::dropped::covered;

/// The value of a key. It keeps in memory what it was found in: keep it no longer than needed, or copy it.
#[derive(Clone)]
pub struct Value(Found);

#[derive(Clone)]
enum Found {
    Copied(Box<[u8]>),
    Block(table::Value),
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Found::Copied(bytes) => bytes,
            Found::Block(value) => value,
        }
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<B: AsRef<[u8]> + ?Sized> PartialEq<B> for Value {
    fn eq(&self, other: &B) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<Value> for Vec<u8> {
    fn from(value: Value) -> Self {
        match value.0 {
            Found::Copied(bytes) => bytes.into(),
            Found::Block(value) => value.to_vec(),
        }
    }
}

/// What [`Db::try_get`](crate::Db::try_get) found without reading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryGet {
    /// The key's value.
    Found(Value),
    /// The key has no value.
    Absent,
    /// A file must be read to know: [`Db::get`](crate::Db::get) does so.
    WouldRead,
}

impl Engine {
    /// What a key has at a moment, or now.
    pub(crate) fn get(&self, key: &[u8], snapshot: Option<Sequence>) -> Result<Option<Value>> {
        let view = self.views.load();
        // After the view: it has everything up to some moment, and of that the reader sees what is visible.
        let at = snapshot.unwrap_or_else(|| self.snapshots.visible());
        match find(&view, key, at, Reach::Disk)? {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent => Ok(None),
            Lookup::OnDisk => unreachable!("the disk may be read"),
        }
    }

    /// What a key has now, as far as memory tells.
    pub(crate) fn try_get(&self, key: &[u8]) -> Result<TryGet> {
        let view = self.views.load();
        Ok(match find(&view, key, self.snapshots.visible(), Reach::Memory)? {
            Lookup::Found(value) => TryGet::Found(value),
            Lookup::Absent => TryGet::Absent,
            Lookup::OnDisk => TryGet::WouldRead,
        })
    }

    pub(crate) fn multi_get<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        snapshot: Option<Sequence>,
    ) -> Result<Vec<Option<Value>>> {
        let view = self.views.load();
        let at = snapshot.unwrap_or_else(|| self.snapshots.visible());
        let get = |key: &K| match find(&view, key.as_ref(), at, Reach::Disk)? {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent => Ok(None),
            Lookup::OnDisk => unreachable!("the disk may be read"),
        };
        keys.iter().map(get).collect()
    }

    /// The entries of a range at a moment, or now.
    pub(crate) fn range(&self, edges: Edges, snapshot: Option<Sequence>) -> Range {
        let view = self.views.load();
        let at = snapshot.unwrap_or_else(|| self.snapshots.visible());
        let begins = |key: &[u8]| edges.lower.kind == EdgeKind::Open || key >= edges.lower.key.as_slice();
        let ends = |key: &[u8]| edges.upper.kind == EdgeKind::Open || key <= edges.upper.key.as_slice();
        let cursor = MergeCursor::new(cursors::sources(&view, |first, last| begins(last) && ends(first)));
        let dropped = view.version.dropped.clone();
        let skip = move |key: &[u8], sequence| covered(&dropped, key, sequence);
        Range::new(Box::new(cursor), at, edges, Box::new(skip))
    }
}

/// Tables that are searched side by side: those of level 0, if compaction keeps up, and one of each of some levels.
const BEGUN_TOGETHER: usize = 8;

/// Goes from what is newest to what is oldest; the first version found is the one.
fn find(view: &View, key: &[u8], at: Sequence, reach: Reach) -> Result<Lookup<Value>> {
    let memtables = std::iter::once(&view.memtable).chain(view.sealed.iter().map(|sealed| &sealed.memtable));
    for memtable in memtables {
        if let Some((_, kind, value)) = memtable.get(key, at) {
            return Ok(match kind {
                Kind::Put => Lookup::Found(Value(Found::Copied(value.into()))),
                Kind::Delete => Lookup::Absent,
            });
        }
    }
    let (version, hash) = (&*view.version, table::hash(key));
    let flushed = version.levels[0].iter().filter(|file| file.meta.overlaps(key, key)).map(|file| &**file);
    let mut files = flushed.chain((1..version.levels.len()).filter_map(|level| version.holding(level, key)));
    // An absent key is looked for in all of them: the searches begin together, so that memory is waited for once.
    let begun: [_; BEGUN_TOGETHER] = std::array::from_fn(|_| {
        let file = files.next()?;
        Some((file, file.opened().map(|table| table.search(key, hash, at))))
    });
    for (file, begun) in begun.into_iter().flatten().chain(files.map(|file| (file, None))) {
        let search = match begun {
            Some(search) => search,
            None if reach == Reach::Memory && file.opened().is_none() => return Ok(Lookup::OnDisk),
            None => file.table()?.search(key, hash, at),
        };
        match search.finish(reach)? {
            Lookup::Found((sequence, Kind::Put, value)) if !covered(&version.dropped, key, sequence) => {
                return Ok(Lookup::Found(Value(Found::Block(value))));
            }
            Lookup::Found(_) => return Ok(Lookup::Absent),
            Lookup::OnDisk => return Ok(Lookup::OnDisk),
            Lookup::Absent => {}
        }
    }
    Ok(Lookup::Absent)
}

/// The database as it was at one moment, for as long as this lives. Cheap to make. Compactions keep what it sees, so one that is kept for
/// long costs room on the disk. What [`Db::drop_range`](crate::Db::drop_range) drops, snapshots no longer see either.
pub struct Snapshot {
    engine: Arc<Engine>,
    sequence: Sequence,
}

impl Snapshot {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone(), sequence: engine.snapshots.hold() }
    }

    /// The number of the last write that it sees.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The value that a key had.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.engine.get(key.as_ref(), Some(self.sequence))
    }

    /// The values that several keys had.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        self.engine.multi_get(keys, Some(self.sequence))
    }

    /// The entries that a range of keys had.
    pub fn range<K: AsRef<[u8]> + ?Sized>(&self, range: impl core::ops::RangeBounds<K>) -> Range {
        self.engine.range(Edges::new(&range), Some(self.sequence))
    }

    /// The entries that there were of all keys that begin with this.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Range {
        self.engine.range(Edges::prefix(prefix.as_ref()), Some(self.sequence))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.engine.snapshots.release(self.sequence);
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
