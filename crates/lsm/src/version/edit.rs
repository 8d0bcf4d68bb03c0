//! Owns the difference between one version and the next, and how it is written to the manifest. Whether an edit makes sense
//! is for [`Version::apply`](super::Version::apply) to say.
//!
//! ```text
//! edit    = next file number, log number, flushed sequence: 8 bytes each
//!           removed: count, then level: 1 byte, number: 8 bytes
//!           added: count, then level: 1 byte, table
//!           dropped ranges: 0, or 1, count, and the whole new list
//! table   = number, size, entries, tombstones, oldest and newest sequence, cleaned: 8 bytes each, smallest and largest internal key
//! range   = id, sequence: 8 bytes each, start key, 0 | 1 and end key
//! key     = length: 4 bytes, bytes;   count = 4 bytes;   all numbers are little-endian
//! ```

use super::FileMeta;
use super::dropped::Dropped;
use crate::key::{LAST_SEQUENCE, Sequence, TRAILER};
use crate::names::END_OF_NUMBERS;
use crate::options::LEVELS;

/// What changes from one version to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// No file has this number or a higher one.
    pub(crate) next_file: u64,
    /// What logs with lower numbers held is in tables.
    pub(crate) log_number: u64,
    /// All up to this sequence is in tables.
    pub(crate) flushed: Sequence,
    pub(crate) removed: Vec<(usize, u64)>,
    pub(crate) added: Vec<(usize, FileMeta)>,
    /// All dropped ranges there are from now on, if that changes.
    pub(crate) dropped: Option<Vec<Dropped>>,
}

impl Edit {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [self.next_file, self.log_number, self.flushed] {
            out.extend(number.to_le_bytes());
        }
        push_count(&mut out, self.removed.len());
        for (level, number) in &self.removed {
            out.push(*level as u8);
            out.extend(number.to_le_bytes());
        }
        push_count(&mut out, self.added.len());
        for (level, meta) in &self.added {
            out.push(*level as u8);
            for number in
                [meta.number, meta.size, meta.entries, meta.tombstones, meta.oldest, meta.newest, meta.cleaned]
            {
                out.extend(number.to_le_bytes());
            }
            push_key(&mut out, &meta.smallest);
            push_key(&mut out, &meta.largest);
        }
        out.push(u8::from(self.dropped.is_some()));
        if let Some(dropped) = &self.dropped {
            push_count(&mut out, dropped.len());
            for range in dropped {
                out.extend(range.id.to_le_bytes());
                out.extend(range.upto.to_le_bytes());
                push_key(&mut out, &range.start);
                out.push(u8::from(range.end.is_some()));
                if let Some(end) = &range.end {
                    push_key(&mut out, end);
                }
            }
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote; anything else gives none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        let (next_file, log_number, flushed) = (input.number()?, input.number()?, input.number()?);
        let removed = input.list(|input| Some((input.level()?, input.number()?)))?;
        let added = input.list(|input| Some((input.level()?, input.table()?)))?;
        let dropped = if input.flag()? { Some(input.list(Input::range)?) } else { None };
        let sound = next_file <= END_OF_NUMBERS && log_number < END_OF_NUMBERS && flushed < LAST_SEQUENCE;
        (sound && input.0.is_empty()).then_some(Self { next_file, log_number, flushed, removed, added, dropped })
    }
}

fn push_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).expect("an edit names fewer than 2^32 things").to_le_bytes());
}

fn push_key(out: &mut Vec<u8>, key: &[u8]) {
    push_count(out, key.len());
    out.extend_from_slice(key);
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        self.take(4)?.try_into().ok().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn level(&mut self) -> Option<usize> {
        self.byte().map(usize::from).filter(|level| *level < LEVELS)
    }

    fn key(&mut self) -> Option<Box<[u8]>> {
        let len = self.count()?;
        self.take(len).map(Into::into)
    }

    /// The list grows as it is read, so a wrong count allocates nothing.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(item(self)?);
        }
        Some(list)
    }

    fn table(&mut self) -> Option<FileMeta> {
        let [number, size, entries, tombstones, oldest, newest, cleaned] = [
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
        ];
        let (smallest, largest) = (self.key()?, self.key()?);
        let sane = smallest.len() >= TRAILER && largest.len() >= TRAILER && oldest <= newest;
        sane.then_some(FileMeta { number, size, entries, tombstones, oldest, newest, cleaned, smallest, largest })
    }

    fn range(&mut self) -> Option<Dropped> {
        let (id, upto) = (self.number()?, self.number()?);
        let start = self.key()?;
        let end = if self.flag()? { Some(self.key()?) } else { None };
        Some(Dropped { id, start, end, upto })
    }
}
