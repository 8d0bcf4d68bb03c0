//! Frames: how blocks of any kind stand in the file. A frame is its bytes, compressed if that saves enough, and a trailer:
//!
//! ```text
//! length before compression (u32) | codec (u8) | checksum (u32)
//! ```
//!
//! The checksum is the CRC-32 of the stored bytes, the length, the codec, the file's number and the frame's offset. What the bytes mean
//! is not its business.

use super::damage::{Checked, Damage};
use crate::options::Compression;

/// Bytes behind the stored ones.
pub(super) const TRAILER: usize = 9;
/// The format's worst ratio of LZ4, and for other codecs what a writer makes use of. So what a reader must allocate is bounded by
/// what it has read.
const MAX_RATIO: usize = 255;

const NONE: u8 = 0;
const LZ4: u8 = 1;
const ZSTD: u8 = 2;

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) offset: u64,
    /// Stored bytes, without the trailer.
    pub(super) len: u32,
}

impl Handle {
    /// Where the next frame begins.
    pub(super) fn end(self) -> u64 {
        self.offset + self.frame_bytes() as u64
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_bytes(self) -> usize {
        self.len as usize + TRAILER
    }
}

/// Makes frames of one file.
pub(super) struct Framer {
    file: u64,
    compression: Compression,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Framer {
    pub(super) fn new(file: u64, compression: Compression) -> Self {
        Self {
            file,
            compression,
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// Appends the frame of some bytes, which will stand at an offset of the file. Gives how many bytes are stored.
    pub(super) fn append(&mut self, raw: &[u8], offset: u64, into: &mut Vec<u8>) -> u32 {
        let raw_len =
            u32::try_from(raw.len()).expect("keys and values are so limited that a block has less than 4 GiB");
        let start = into.len();
        let codec = self.compress(raw, into).unwrap_or_else(|| {
            into.truncate(start);
            into.extend_from_slice(raw);
            NONE
        });
        let stored = into.len() - start;
        into.extend_from_slice(&raw_len.to_le_bytes());
        into.push(codec);
        let checksum = checksum(&into[start..], self.file, offset);
        into.extend_from_slice(&checksum.to_le_bytes());
        stored as u32
    }

    /// Appends the compressed bytes and gives the codec; none if it is not worth it, with anything appended.
    fn compress(&mut self, raw: &[u8], into: &mut Vec<u8>) -> Option<u8> {
        let start = into.len();
        let (codec, stored) = match self.compression {
            Compression::None => return None,
            Compression::Lz4 => {
                into.resize(start + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
                (LZ4, lz4_flex::block::compress_into(raw, &mut into[start..]).ok()?)
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                into.resize(start + zstd::zstd_safe::compress_bound(raw.len()), 0);
                let compressor = match &mut self.zstd {
                    Some(compressor) => compressor,
                    none => none.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok()?),
                };
                (ZSTD, compressor.compress_to_buffer(raw, &mut into[start..]).ok()?)
            }
        };
        into.truncate(start + stored);
        // Less than 12 % saved does not pay for decompressing it at every read.
        let worth = stored as u64 * 100 <= raw.len() as u64 * 88 && raw.len() <= stored * MAX_RATIO;
        worth.then_some(codec)
    }
}

/// The library's default: beyond it, writing slows down more than blocks of some KiB shrink.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;

/// Checks a frame that was read from an offset of a file, trailer included, and gives what was framed.
pub(super) fn open(mut frame: Vec<u8>, file: u64, offset: u64) -> Checked<Vec<u8>> {
    let (covered, stored_checksum) = frame.split_last_chunk::<4>().ok_or(Damage("a frame is too short"))?;
    if checksum(covered, file, offset) != u32::from_le_bytes(*stored_checksum) {
        return Err(Damage("the checksum of a block does not match"));
    }
    let (rest, codec) = covered.split_last_chunk::<1>().ok_or(Damage("a frame is too short"))?;
    let (stored, raw_len) = rest.split_last_chunk::<4>().ok_or(Damage("a frame is too short"))?;
    let raw_len = u32::from_le_bytes(*raw_len) as usize;
    if codec[0] == NONE {
        if raw_len != stored.len() {
            return Err(Damage("the length of a block does not match"));
        }
        frame.truncate(raw_len);
        return Ok(frame);
    }
    if raw_len > stored.len().saturating_mul(MAX_RATIO) {
        return Err(Damage("the length of a compressed block is impossible"));
    }
    let mut raw = vec![0; raw_len];
    let decompressed = match codec[0] {
        LZ4 => lz4_flex::block::decompress_into(stored, &mut raw).ok(),
        #[cfg(feature = "zstd")]
        ZSTD => decompress_zstd(stored, &mut raw),
        #[cfg(not(feature = "zstd"))]
        ZSTD => return Err(Damage("a block is compressed with zstd, which this build does not have")),
        _ => return Err(Damage("the codec of a block is unknown")),
    };
    if decompressed != Some(raw_len) {
        return Err(Damage("a compressed block cannot be decompressed"));
    }
    Ok(raw)
}

/// Decompresses with the tables of this thread; to make them takes longer than to decompress a block of some KiB.
#[cfg(feature = "zstd")]
fn decompress_zstd(stored: &[u8], raw: &mut [u8]) -> Option<usize> {
    use std::cell::RefCell;

    use zstd::bulk::Decompressor;

    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().ok()?),
        };
        decompressor.decompress_to_buffer(stored, raw).ok()
    })
}

/// The offset stands for the place, the file's number for the file: the same bytes elsewhere have another checksum.
pub(super) fn checksum(covered: &[u8], file: u64, offset: u64) -> u32 {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&file.to_le_bytes());
    salt[8..].copy_from_slice(&offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(&salt);
    hasher.finalize()
}
