//! Owns the manifest: the file of edits whose sum is the current version, and the `CURRENT` file that says which manifest is in
//! force. One edit is appended and synced at a time; when the edits have become large, a new manifest begins with the whole.
//!
//! ```text
//! manifest = magic: 8 bytes, number: 8 bytes, frame*
//! frame    = crc32: 4 bytes, length: 4 bytes, edit, zeros up to a multiple of 8
//! CURRENT  = "MANIFEST-000007 1a2b3c4d\n", the crc32 of the name in hexadecimal digits
//! ```
//!
//! The checksum covers the manifest's number, the frame's place in the file, the length and the edit. After an edit is synced,
//! an empty frame is appended, without a sync: it says that all before it was durable. So of a bad frame with a valid one behind it
//! one knows that it was damaged; a bad frame at the end is an edit that was never acknowledged. A manifest that was read is not
//! appended to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Edit;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::names::{self, FileName};

const MAGIC: &[u8; 8] = b"kvlsmMF1";
const HEADER: usize = 16;
const FRAME_HEADER: usize = 8;
/// A longer manifest is not ours.
const LONGEST: u64 = 1 << 30;

/// The manifest in force, to which edits are appended.
pub(crate) struct Manifest {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    end: u64,
    /// Past this length it is rewritten.
    limit: u64,
}

/// What a manifest says.
pub(crate) struct Edits {
    pub(crate) path: PathBuf,
    /// Where in the file each is, and the edit.
    pub(crate) edits: Vec<(u64, Edit)>,
}

impl Manifest {
    /// Writes a new manifest that begins with the whole of a version, and puts it in force. Durable when this returns. It is large
    /// when what is appended takes as much as that, and `room` bytes.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, number: u64, whole: &Edit, room: u64) -> Result<Self> {
        let path = names::manifest(dir, number);
        let file = disk.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..].copy_from_slice(&number.to_le_bytes());
        let first = frame(number, HEADER as u64, &whole.encode());
        file.write_all_at(&[&header, &first], 0).map_err(|error| Error::io("write", &path, error))?;
        file.sync().map_err(|error| Error::io("sync", &path, error))?;
        disk.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))?;
        put_in_force(disk, dir, number)?;
        let end = (HEADER + first.len()) as u64;
        Ok(Self { file, path, number, end, limit: 2 * end + room })
    }

    /// Appends an edit. Durable when this returns.
    ///
    /// # Errors
    /// Then nobody knows whether the edit will be found again, so nothing may be built on either.
    pub(crate) fn append(&mut self, edit: &Edit) -> Result<()> {
        self.write(&edit.encode())?;
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))?;
        self.write(&[])
    }

    /// Makes it durable that the last edit was: damage to it is noticed from then on.
    pub(crate) fn seal(&self) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))
    }

    fn write(&mut self, payload: &[u8]) -> Result<()> {
        let frame = frame(self.number, self.end, payload);
        self.file.write_all_at(&[&frame], self.end).map_err(|error| Error::io("write", &self.path, error))?;
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Whether it should be rewritten.
    pub(crate) fn is_large(&self) -> bool {
        self.end > self.limit
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// Reads the manifest in force; none if there is no `CURRENT` file.
///
/// # Errors
/// If a file is damaged or cannot be read.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Edits>> {
    let path = names::current(dir);
    let Some(current) = read_file(disk, &path, 4096)? else { return Ok(None) };
    let number = parse_current(&current).ok_or_else(|| Error::corruption(&path, 0, "it does not name a manifest"))?;
    let path = names::manifest(dir, number);
    let bytes = read_file(disk, &path, LONGEST)?;
    let bytes = bytes.ok_or_else(|| Error::corruption(&path, 0, "the manifest that CURRENT names is missing"))?;
    let corruption = |offset: usize, what| Error::corruption(&path, offset as u64, what);
    if bytes.len() < HEADER || bytes[..8] != *MAGIC {
        return Err(corruption(0, "it is not a manifest"));
    }
    if bytes[8..HEADER] != number.to_le_bytes() {
        return Err(corruption(8, "it is another manifest"));
    }
    let (mut edits, mut at) = (Vec::new(), HEADER);
    while at < bytes.len() {
        let Some((payload, end)) = parse_frame(number, &bytes, at) else {
            // Where an empty frame was, the edit behind it may have reached the disk first: both were on their way at the same time.
            if parse_frame(number, &bytes, at + FRAME_HEADER).is_some_and(|(payload, _)| !payload.is_empty()) {
                at += FRAME_HEADER;
                continue;
            }
            let later = (at + 8..bytes.len()).step_by(8).find(|later| parse_frame(number, &bytes, *later).is_some());
            if edits.is_empty() || later.is_some() {
                return Err(corruption(at, "an edit does not have its checksum"));
            }
            break;
        };
        if !payload.is_empty() {
            let edit = Edit::decode(payload).ok_or_else(|| corruption(at, "an edit is malformed"))?;
            edits.push((at as u64, edit));
        }
        at = end;
    }
    if edits.is_empty() {
        return Err(corruption(HEADER, "there is no edit"));
    }
    Ok(Some(Edits { path, edits }))
}

/// The whole of a file, if there is one.
fn read_file(disk: &dyn Disk, path: &Path, longest: u64) -> Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let len = file.len().map_err(|error| Error::io("read", path, error))?;
    if len > longest {
        return Err(Error::corruption(path, longest, "it is too long"));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|error| Error::io("read", path, error))?;
    Ok(Some(bytes))
}

/// Switches to another manifest, by a rename.
fn put_in_force(disk: &dyn Disk, dir: &Path, number: u64) -> Result<()> {
    let (new, current) = (names::current_new(dir), names::current(dir));
    match disk.remove(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", &new, error)),
        _ => {}
    }
    let file = disk.create(&new).map_err(|error| Error::io("create", &new, error))?;
    let name = names::manifest_name(number);
    let line = format!("{name} {:08x}\n", crc32fast::hash(name.as_bytes()));
    file.write_all_at(&[line.as_bytes()], 0).map_err(|error| Error::io("write", &new, error))?;
    file.sync().map_err(|error| Error::io("sync", &new, error))?;
    disk.rename(&new, &current).map_err(|error| Error::io("rename", &new, error))?;
    disk.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
}

fn parse_current(bytes: &[u8]) -> Option<u64> {
    let (name, crc) = str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once(' ')?;
    let FileName::Manifest(number) = FileName::parse(name)? else { return None };
    (format!("{:08x}", crc32fast::hash(name.as_bytes())) == crc).then_some(number)
}

fn frame(number: u64, at: u64, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("an edit is shorter than 4 GiB").to_le_bytes();
    let mut frame = checksum(number, at, &len, payload).to_le_bytes().to_vec();
    frame.extend(len);
    frame.extend(payload);
    frame.resize(frame.len().next_multiple_of(8), 0);
    frame
}

/// The payload of the frame there and where it ends, if it is a valid one.
fn parse_frame(number: u64, bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (header, rest) = bytes.get(at..)?.split_first_chunk::<FRAME_HEADER>()?;
    let (crc, len) = header.split_at(4);
    let payload = rest.get(..u32::from_le_bytes(len.try_into().ok()?) as usize)?;
    let end = (at + FRAME_HEADER + payload.len()).next_multiple_of(8);
    let valid = end <= bytes.len() && checksum(number, at as u64, len, payload).to_le_bytes() == crc;
    valid.then_some((payload, end))
}

fn checksum(number: u64, at: u64, len: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&number.to_le_bytes());
    crc.update(&at.to_le_bytes());
    crc.update(len);
    crc.update(payload);
    crc.finalize()
}
