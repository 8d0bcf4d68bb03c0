//! Writes a table, from its first entry to its last, in large chunks. It keeps what the end of the file will need: indexes, filters and
//! the hashes of one partition's keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TableOptions;
use super::block::BlockBuilder;
use super::directory::Directory;
use super::filter::Filter;
use super::footer::{FOOTER, Footer};
use super::frame::{Framer, Handle, TRAILER};
use super::hash::hash;
use super::properties::Properties;
use super::separators::{SeparatorEncoder, separate};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::key::{self, Sequence};
use crate::options::Compression;

/// So many bytes are written at once.
const CHUNK: usize = 256 << 10;
/// An index of so many bytes ends its partition: some 1000 blocks of 4 KiB.
const PARTITION_BYTES: usize = 16 << 10;

/// A table that is being written. Dropped before it is finished, it leaves part of a file.
pub(crate) struct TableBuilder {
    output: Output,
    framer: Framer,
    options: TableOptions,
    partition_bytes: usize,
    block: BlockBuilder,
    /// The last entry's internal key; empty before the first. And the hash of its user key.
    last: Vec<u8>,
    last_hash: u64,
    index: SeparatorEncoder,
    /// Of each user key of the partition.
    hashes: Vec<u64>,
    partition_start: u64,
    partitions: Vec<Closed>,
    separator: Vec<u8>,
    properties: Properties,
}

/// A partition whose blocks are written.
struct Closed {
    separator: Vec<u8>,
    trailer: u64,
    data: u64,
    filter: Option<Vec<u8>>,
    index: Vec<u8>,
}

/// What a finished table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableMeta {
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(crate) entries: u64,
    /// Entries that are deletions.
    pub(crate) tombstones: u64,
    pub(crate) smallest_sequence: Sequence,
    pub(crate) largest_sequence: Sequence,
    /// The first and the last internal key.
    pub(crate) smallest: Vec<u8>,
    pub(crate) largest: Vec<u8>,
}

impl TableBuilder {
    /// Creates the file. Its number must be one that no file of the database ever had: it salts checksums, and names blocks in caches.
    ///
    /// # Errors
    /// Of the disk; also if the file exists.
    pub(crate) fn new(disk: &dyn Disk, path: &Path, number: u64, options: TableOptions) -> Result<Self> {
        Ok(Self {
            output: Output::create(disk, path, number)?,
            framer: Framer::new(number, options.compression),
            options,
            partition_bytes: PARTITION_BYTES,
            block: BlockBuilder::new(options.restart_interval),
            last: Vec::new(),
            last_hash: 0,
            index: SeparatorEncoder::default(),
            hashes: Vec::new(),
            partition_start: 0,
            partitions: Vec::new(),
            separator: Vec::new(),
            properties: Properties::empty(),
        })
    }

    /// Ends partitions at indexes of so many bytes, so that tests need no large table to have several.
    #[cfg(test)]
    pub(super) fn with_partitions_of(mut self, bytes: usize) -> Self {
        self.partition_bytes = bytes;
        self
    }

    /// Adds an entry; internal keys come in strictly ascending order.
    ///
    /// # Errors
    /// Of the disk; then the table is lost.
    pub(crate) fn add(&mut self, internal: &[u8], value: &[u8]) -> Result<()> {
        let (user_key, trailer) = key::split(internal);
        let mut same_key = false;
        if self.properties.entries > 0 {
            let (last_key, last_trailer) = key::split(&self.last);
            same_key = last_key == user_key;
            let ascending = if same_key { trailer < last_trailer } else { last_key < user_key };
            assert!(ascending, "entries are added to a table in strictly ascending order");
        } else {
            self.properties.smallest.extend_from_slice(internal);
        }
        if !self.block.is_empty() && self.block.size_with(user_key, value) > self.options.block_bytes {
            self.end_block(Some(user_key))?;
        }
        if !same_key {
            self.last_hash = hash(user_key);
        }
        // A user key may go on in the next partition, whose filter must know it too.
        if self.options.filter_bits > 0 && (!same_key || self.hashes.is_empty()) {
            self.hashes.push(self.last_hash);
        }
        self.block.add(user_key, self.last_hash, trailer, value, same_key && !self.block.is_empty());
        self.properties.add(internal, trailer, value);
        self.last.clear();
        self.last.extend_from_slice(internal);
        Ok(())
    }

    /// Bytes of the data so far, the open block as if not compressed.
    pub(crate) fn size(&self) -> u64 {
        self.output.position() + self.block.size() as u64
    }

    /// Writes the rest and syncs the file. The directory is the caller's to sync.
    ///
    /// # Errors
    /// Of the disk; then the table is lost.
    pub(crate) fn finish(mut self) -> Result<TableMeta> {
        assert!(self.properties.entries > 0, "a table has entries");
        self.end_block(None)?;
        if self.index.bytes() > 0 {
            self.end_partition(0);
        }
        self.properties.largest = core::mem::take(&mut self.last);

        let data_end = self.output.position();
        let mut directory = SeparatorEncoder::default();
        // What is probed at random bits does not shrink.
        let mut plain = Framer::new(self.output.number, Compression::None);
        for partition in core::mem::take(&mut self.partitions) {
            let filter = match &partition.filter {
                Some(filter) => self.output.frame(&mut plain, filter)?.len,
                None => 0,
            };
            let index = self.output.frame(&mut self.framer, &partition.index)?.len;
            let separator = (&*partition.separator, partition.trailer);
            Directory::push(&mut directory, separator, partition.data, filter, index);
        }
        let directory = self.output.frame(&mut self.framer, &directory.finish())?;
        let properties = self.output.frame(&mut plain, &self.properties.encode())?;
        let footer = Footer { data_end, directory, properties };
        let size = self.output.finish(&footer)?;

        let Properties { entries, tombstones, smallest_sequence, largest_sequence, smallest, largest, .. } =
            self.properties;
        Ok(TableMeta { size, entries, tombstones, smallest_sequence, largest_sequence, smallest, largest })
    }

    /// Writes the open block, which lies before a user key, or is the last one.
    fn end_block(&mut self, next: Option<&[u8]>) -> Result<()> {
        self.block.finish();
        let handle = self.output.frame(&mut self.framer, self.block.bytes())?;
        self.block.clear();
        self.properties.blocks += 1;
        self.separator.clear();
        let last = key::split(&self.last);
        let trailer = match next {
            Some(next) => separate(last, next, &mut self.separator),
            None => {
                self.separator.extend_from_slice(last.0);
                0
            }
        };
        self.index.push(&self.separator, trailer, &[u64::from(handle.len)]);
        if self.index.bytes() >= self.partition_bytes {
            self.end_partition(trailer);
        }
        Ok(())
    }

    /// Ends a partition at the current separator.
    fn end_partition(&mut self, trailer: u64) {
        let filter =
            (self.options.filter_bits > 0).then(|| Filter::build(&self.hashes, self.options.filter_bits).encode());
        self.hashes.clear();
        let end = self.output.position();
        self.partitions.push(Closed {
            separator: self.separator.clone(),
            trailer,
            data: end - self.partition_start,
            filter,
            index: self.index.finish(),
        });
        self.partition_start = end;
    }
}

/// The file, and what was not yet written to it.
struct Output {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    written: u64,
    buffer: Vec<u8>,
}

impl Output {
    fn create(disk: &dyn Disk, path: &Path, number: u64) -> Result<Self> {
        let file = disk.create(path).map_err(|error| Error::io("create", path, error))?;
        Ok(Self { file, path: path.to_owned(), number, written: 0, buffer: Vec::new() })
    }

    /// Where the next frame begins.
    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn frame(&mut self, framer: &mut Framer, raw: &[u8]) -> Result<Handle> {
        let offset = self.position();
        let len = framer.append(raw, offset, &mut self.buffer);
        let handle = Handle { offset, len };
        assert_eq!(handle.end(), self.position(), "a frame is what was stored and a trailer of {TRAILER} bytes");
        if self.buffer.len() >= CHUNK {
            self.write()?;
        }
        Ok(handle)
    }

    fn write(&mut self) -> Result<()> {
        let written = self.file.write_all_at(&[&self.buffer], self.written);
        written.map_err(|error| Error::io("write", &self.path, error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the footer and all that is left, and syncs. Gives the length of the file.
    fn finish(&mut self, footer: &Footer) -> Result<u64> {
        let footer = footer.encode(self.number, self.position());
        debug_assert_eq!(footer.len(), FOOTER);
        self.buffer.extend_from_slice(&footer);
        self.write()?;
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))?;
        Ok(self.written)
    }
}
