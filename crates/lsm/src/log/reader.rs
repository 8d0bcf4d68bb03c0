//! Reading the log back after a crash or a stop: every batch that is whole, in order, and then whether the log ends there or
//! is damaged there. It changes nothing and keeps no more than a frame in memory.

use std::path::Path;
use std::sync::Arc;

use super::frame::{ALIGNMENT, FRAME_HEADER, FrameHeader, NUMBER_AT};
use super::{BadHeader, HEADER, Header, u64_at};
use crate::batch::BatchView;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::key::Sequence;

/// How much is read at once, in bytes.
const CHUNK: u64 = 256 << 10;
/// The least that an operation takes: a delete of one byte.
const LEAST_OPERATION: u64 = 3;

/// What was found in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// The sequence number that its first operation has or would have had; none if the crash came before the segment was
    /// ready, in which case it is empty.
    pub(crate) first_sequence: Option<Sequence>,
    /// That of the last operation; that before `first_sequence` if there is none, and 0 if that is not known either.
    pub(crate) last_sequence: Sequence,
    /// Everything up to this one is durable, as the log itself says; 0 if there is no frame.
    pub(crate) durable: Sequence,
    /// Where its last whole frame ends.
    pub(crate) upto: u64,
    /// How it ends.
    pub(crate) end: End,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Behind its last frame there is nothing of this log.
    Clean,
    /// Behind its last whole frame there are remains of writes that were never durable.
    TornTail {
        /// Where they begin.
        offset: u64,
        /// How far they reach, up to the last that is recognised.
        dropped_bytes: u64,
    },
}

/// Reads a log and hands each batch on with the sequence number of its first operation.
///
/// `synced` is what is known from elsewhere to be durable of this segment, or 0.
///
/// # Errors
/// [`Error::Corruption`] if anything that was durable is damaged; batches before it have been handed on. Also whatever
/// `each` says. If the segment is of interest to nobody any more it is better not read: it may be on its way to another
/// number.
pub(crate) fn recover(
    disk: &dyn Disk,
    path: &Path,
    number: u64,
    synced: Sequence,
    mut each: impl FnMut(Sequence, BatchView<'_>) -> Result<()>,
) -> Result<Recovered> {
    let mut window = Window::open(disk, path)?;
    let Some(header) = window.header(number)? else {
        return window.unfinished(number, synced);
    };
    let (mut at, mut next) = (HEADER as u64, header.first);
    let mut claimed = header.synced_upto;
    while let Some(frame) = window.frame(at, number)? {
        if frame.first != next {
            return Err(window.corruption(at, "a frame's sequence number does not follow the one before"));
        }
        if frame.synced_upto < claimed {
            return Err(window.corruption(at, "a frame calls less durable than the one before"));
        }
        let Some(operations) = window.operations(at, frame)? else { break };
        let batch = BatchView::decode(&operations[..frame.len as usize], frame.count).map_err(|malformed| {
            Error::corruption(path, at + FRAME_HEADER as u64 + malformed.offset as u64, malformed.what)
        })?;
        if frame.count > 0 {
            each(frame.first, batch)?;
        }
        (at, next, claimed) = (at + frame_len(frame), frame.next(), frame.synced_upto);
    }
    let remains = window.remains(at, next, number)?;
    if remains.durable {
        return Err(window.corruption(at, "a frame that a later one calls durable is damaged"));
    }
    if next <= synced {
        return Err(window.corruption(at, "the log ends before what is known to be durable"));
    }
    let end = match remains.upto {
        Some(upto) => End::TornTail { offset: at, dropped_bytes: upto - at },
        None => End::Clean,
    };
    let is_used = at > HEADER as u64 || remains.upto.is_some();
    let durable = if is_used { claimed } else { 0 };
    Ok(Recovered { first_sequence: Some(header.first), last_sequence: next - 1, durable, upto: at, end })
}

/// How a log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The sequence number of its first operation.
    pub(crate) first: Sequence,
    /// Everything up to this one is durable, as its header says, if it is used.
    pub(crate) synced_upto: Sequence,
    /// Whether it has a frame. If not, it may be that a crash interrupted the opening of the database, and that what was to be
    /// durable by then is not.
    pub(crate) is_used: bool,
}

/// How a log begins; none if its segment was not ready when the machine crashed.
pub(crate) fn beginning(disk: &dyn Disk, path: &Path, number: u64) -> Result<Option<Beginning>> {
    let mut window = Window::open(disk, path)?;
    let Some(Header { first, synced_upto, .. }) = window.header(number)? else { return Ok(None) };
    // The first frame may be lost, and a later one not.
    let is_used = window.search(HEADER as u64, number, |at, frame| can_be_at(at, frame, first))?;
    Ok(Some(Beginning { first, synced_upto, is_used }))
}

/// What there is of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// Everything up to this one is durable, as its frames say; 0 if there is none.
    pub(crate) durable: Sequence,
    /// How many bytes they reach.
    pub(crate) bytes: u64,
}

/// What there is of a log that begins behind a gap: frames wherever they lie, and what they claim.
pub(crate) fn traces(disk: &dyn Disk, path: &Path, number: u64) -> Result<Traces> {
    let mut window = Window::open(disk, path)?;
    let Some(header) = window.header(number)? else {
        return window.unfinished(number, 0).map(|_| Traces::default());
    };
    let (len, mut traces) = (window.len, Traces::default());
    window.search(HEADER as u64, number, |at, frame| {
        if can_be_at(at, frame, header.first) {
            // What the header claims, each frame does.
            traces.durable = traces.durable.max(frame.synced_upto);
            traces.bytes = traces.bytes.max((at + frame_len(frame)).min(len) - HEADER as u64);
        }
        false
    })?;
    Ok(traces)
}

/// Whether a frame can lie there in a log that begins with a sequence number: those before it have room for no more operations
/// than that. It keeps out what only looks like a frame.
fn can_be_at(at: u64, frame: FrameHeader, first: Sequence) -> bool {
    frame.first >= first && frame.first - first <= (at - HEADER as u64) / LEAST_OPERATION
}

fn frame_len(frame: FrameHeader) -> u64 {
    (FRAME_HEADER + frame.padded_len()) as u64
}

/// What lies behind the last whole frame.
struct Remains {
    /// Whether the next operation was durable, as a later frame says.
    durable: bool,
    /// How far what is recognised reaches.
    upto: Option<u64>,
}

/// A file, and the piece of it that was read last.
struct Window<'a> {
    path: &'a Path,
    file: Arc<dyn DiskFile>,
    len: u64,
    start: u64,
    /// How much of the buffer is filled.
    filled: usize,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    fn open(disk: &dyn Disk, path: &'a Path) -> Result<Self> {
        let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
        let len = file.len().map_err(|error| Error::io("read", path, error))?;
        Ok(Self { path, file, len, start: 0, filled: 0, buffer: Vec::new() })
    }

    fn corruption(&self, offset: u64, what: &'static str) -> Error {
        Error::corruption(self.path, offset, what)
    }

    /// So many bytes of the file; none if it ends before.
    fn get(&mut self, at: u64, len: usize) -> Result<Option<&[u8]>> {
        if at.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let inside = at >= self.start && at - self.start + len as u64 <= self.filled as u64;
        if !inside {
            let fill = (self.len - at).min(CHUNK.max(len as u64)) as usize;
            if self.buffer.len() < fill {
                self.buffer.resize(fill, 0);
            }
            self.filled = 0;
            let read = self.file.read_exact_at(&mut self.buffer[..fill], at);
            read.map_err(|error| Error::io("read", self.path, error))?;
            (self.start, self.filled) = (at, fill);
        }
        let from = (at - self.start) as usize;
        Ok(Some(&self.buffer[from..from + len]))
    }

    /// The header of the segment, if it was written for this log.
    fn header(&mut self, number: u64) -> Result<Option<Header>> {
        let Some(bytes) = self.get(0, HEADER)? else { return Ok(None) };
        match Header::decode(bytes.try_into().expect("it has that length"), number) {
            Ok(header) => Ok(Some(header)),
            Err(BadHeader::NotOurs) => Ok(None),
            Err(BadHeader::UnknownVersion) => Err(self.corruption(8, "the log is of an unknown version")),
        }
    }

    /// The header of the frame there, if there is one.
    fn frame(&mut self, at: u64, number: u64) -> Result<Option<FrameHeader>> {
        let bytes = self.get(at, FRAME_HEADER)?;
        Ok(bytes.and_then(|bytes| FrameHeader::decode(bytes.try_into().expect("it has that length"), at, number)))
    }

    /// The operations of a frame with their padding, if they are what was written.
    fn operations(&mut self, at: u64, frame: FrameHeader) -> Result<Option<&[u8]>> {
        let bytes = self.get(at + FRAME_HEADER as u64, frame.padded_len())?;
        Ok(bytes.filter(|bytes| crc32fast::hash(bytes) == frame.checksum))
    }

    /// A segment without a header is one whose making was interrupted, unless there is more in it.
    fn unfinished(&mut self, number: u64, synced: Sequence) -> Result<Recovered> {
        let first_frame = self.search(HEADER as u64, number, |_, _| true)?;
        if first_frame || synced > 0 {
            return Err(self.corruption(0, "the header of the log is damaged"));
        }
        Ok(Recovered { first_sequence: None, last_sequence: 0, durable: 0, upto: 0, end: End::Clean })
    }

    /// Looks at everything from the end of the last whole frame on, `next` being the number of the operation that should
    /// follow.
    fn remains(&mut self, from: u64, next: Sequence, number: u64) -> Result<Remains> {
        let len = self.len;
        let mut remains = Remains { durable: false, upto: None };
        self.search(from, number, |at, frame| {
            // Frames in between have room for no more operations than that. It keeps out what only looks like a frame.
            if frame.first >= next && frame.first - next <= (at - from) / LEAST_OPERATION {
                remains.upto = remains.upto.max(Some((at + frame_len(frame)).min(len)));
                remains.durable |= frame.synced_upto >= next;
            }
            remains.durable
        })?;
        Ok(remains)
    }

    /// Looks for frame headers of this log at every place where one can be, until one is what was looked for.
    fn search(&mut self, from: u64, number: u64, mut is_it: impl FnMut(u64, FrameHeader) -> bool) -> Result<bool> {
        let mut at = from;
        while at.saturating_add(FRAME_HEADER as u64) <= self.len {
            let step = (self.len - at).min(CHUNK) as usize;
            let Some(bytes) = self.get(at, step)? else { break };
            // Headers that reach into the next chunk are looked at from there.
            let places = (step - FRAME_HEADER) / ALIGNMENT + 1;
            let numbers = bytes[NUMBER_AT..].chunks_exact(ALIGNMENT).take(places);
            for (place, candidate) in numbers.enumerate() {
                if u64_at(candidate, 0) == number {
                    let bytes = &bytes[place * ALIGNMENT..][..FRAME_HEADER];
                    let offset = at + (place * ALIGNMENT) as u64;
                    let frame = FrameHeader::decode(bytes.try_into().expect("it has that length"), offset, number);
                    if frame.is_some_and(|frame| is_it(offset, frame)) {
                        return Ok(true);
                    }
                }
            }
            at += (places * ALIGNMENT) as u64;
        }
        Ok(false)
    }
}
