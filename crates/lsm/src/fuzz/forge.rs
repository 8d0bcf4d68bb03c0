//! Files with valid checksums around arbitrary bytes. It encodes by itself what it needs of the formats, since the engine's own encoders
//! write nothing that is wrong.

/// What a block may be: its stored bytes, its length before compression, its codec.
type Stored = (Vec<u8>, u32, u8);

fn number(bytes: &mut &[u8], len: usize) -> u64 {
    let len = len.min(bytes.len());
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn some<'a>(bytes: &mut &'a [u8], len: u64) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(bytes.len().min(len as usize));
    *bytes = rest;
    taken
}

/// Two segments of a log. The bytes are those of the first, behind their length, and those of the second.
pub(super) fn logs(logs: [u64; 2], mut bytes: &[u8]) -> [Vec<u8>; 2] {
    let len = number(&mut bytes, 1);
    let first = some(&mut bytes, len);
    [log(logs[0], first), log(logs[1], bytes)]
}

/// A segment of a log. Its first number and what is durable, and of each frame the first number, what is durable, the count, the length and the
/// operations come from the bytes.
pub(super) fn log(log: u64, mut bytes: &[u8]) -> Vec<u8> {
    let mut file = b"kvlsmlog\x02\0\0\0\0\0\0\0".to_vec();
    file.extend(log.to_le_bytes());
    file.extend((1 + number(&mut bytes, 1) % 8).to_le_bytes());
    file.extend((number(&mut bytes, 1) % 8).to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&file[..12]);
    hasher.update(&file[16..]);
    file[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    while !bytes.is_empty() {
        let at = file.len() as u64;
        let (first, synced, count) = (number(&mut bytes, 1), number(&mut bytes, 1), number(&mut bytes, 1) as u32);
        let claimed = number(&mut bytes, 1) as u32;
        let operations = some(&mut bytes, u64::from(claimed));
        // Now and then the length is not that of the operations.
        let len = if claimed == 255 { u32::MAX - count } else { operations.len() as u32 };
        let mut padded = operations.to_vec();
        padded.resize(padded.len().next_multiple_of(8), 0);
        let mut header = [0; 40];
        header[4..8].copy_from_slice(&crc32fast::hash(&padded).to_le_bytes());
        header[8..16].copy_from_slice(&log.to_le_bytes());
        header[16..24].copy_from_slice(&first.to_le_bytes());
        header[24..32].copy_from_slice(&synced.to_le_bytes());
        header[32..36].copy_from_slice(&len.to_le_bytes());
        header[36..].copy_from_slice(&count.to_le_bytes());
        let checksum = crc32fast::hash(&header[4..]) ^ at as u32 ^ (at >> 32) as u32;
        header[..4].copy_from_slice(&checksum.to_le_bytes());
        file.extend(header);
        file.extend(padded);
    }
    file
}

/// A manifest. The bytes are edits, each behind its length.
pub(super) fn manifest(manifest: u64, mut bytes: &[u8]) -> Vec<u8> {
    let mut file = b"kvlsmMF1".to_vec();
    file.extend(manifest.to_le_bytes());
    while !bytes.is_empty() {
        let at = file.len() as u64;
        let len = number(&mut bytes, 2);
        let edit = some(&mut bytes, len);
        let len = (edit.len() as u32).to_le_bytes();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&manifest.to_le_bytes());
        hasher.update(&at.to_le_bytes());
        hasher.update(&len);
        hasher.update(edit);
        file.extend(hasher.finalize().to_le_bytes());
        file.extend(len);
        file.extend(edit);
        file.resize(file.len().next_multiple_of(8), 0);
    }
    file
}

/// The parts of a table with one partition of one block.
pub(super) struct Parts {
    pub(super) block: Stored,
    pub(super) filter: Vec<u8>,
    /// If there are none, those that fit the block.
    pub(super) index: Option<Vec<u8>>,
    pub(super) directory: Option<Vec<u8>>,
    pub(super) properties: Vec<u8>,
}

impl Parts {
    /// With one entry.
    pub(super) fn small() -> Self {
        let mut block = b"value".to_vec();
        block.extend(b"\x00\x03\x05key");
        // The restart: where key and value begin. The tail: end of the values, entries, smallest tag, tag width, interval, buckets.
        block.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        block.extend([5, 0, 0, 0, 1, 0, 0, 0]);
        block.extend((5_u64 << 2 | 1).to_le_bytes());
        block.extend([0, 1, 0, 0, 0]);
        let internal = b"key\x01\x05\0\0\0\0\0\0";
        let mut properties = vec![1, 0, 5, 5, internal.len() as u8, 5, 1];
        for _ in 0..2 {
            properties.push(internal.len() as u8);
            properties.extend(internal);
        }
        let mut filter = vec![1];
        filter.resize(65, 0xff);
        let length = block.len() as u32;
        Self { block: (block, length, 0), filter, index: None, directory: None, properties }
    }

    pub(super) fn index(&self) -> Vec<u8> {
        self.index.clone().unwrap_or_else(|| separators(&[self.block.0.len() as u64]))
    }

    pub(super) fn directory(&self) -> Vec<u8> {
        let (block, filter, index) = (self.block.0.len() + 9, self.filter.len(), self.index().len());
        self.directory.clone().unwrap_or_else(|| separators(&[block as u64, filter as u64, index as u64]))
    }

    /// The file.
    pub(super) fn table(&self, table: u64) -> Vec<u8> {
        let mut file = Vec::new();
        frame(table, &mut file, &self.block);
        let data_end = file.len() as u64;
        let plain = |bytes: &[u8]| (bytes.to_vec(), bytes.len() as u32, 0);
        frame(table, &mut file, &plain(&self.filter));
        let index = self.index();
        frame(table, &mut file, &plain(&index));
        let directory = self.directory();
        let directory_at = file.len() as u64;
        frame(table, &mut file, &plain(&directory));
        let properties_at = file.len() as u64;
        frame(table, &mut file, &plain(&self.properties));
        let mut end = data_end.to_le_bytes().to_vec();
        for (offset, part) in [(directory_at, &directory), (properties_at, &self.properties)] {
            end.extend(offset.to_le_bytes());
            end.extend((part.len() as u32).to_le_bytes());
        }
        let offset = file.len() as u64;
        file.extend(sealed_footer(table, offset, &end));
        file
    }
}

/// One separator, behind most keys, with numbers beside it.
fn separators(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = b"\x01\x00\x02\xff\xff\x00".to_vec();
    numbers.iter().for_each(|number| varint(*number, &mut bytes));
    bytes
}

/// A file that ends with a footer of these bytes: what it says of the sections, behind what is said to be there.
pub(super) fn footer(table: u64, bytes: &[u8]) -> Vec<u8> {
    let (rest, end) = bytes.split_at(bytes.len() - bytes.len().min(32));
    let mut file = rest.to_vec();
    let offset = rest.len().saturating_sub(1) as u64;
    file.extend(sealed_footer(table, offset, end));
    file
}

fn sealed_footer(table: u64, offset: u64, sections: &[u8]) -> Vec<u8> {
    let mut footer = sections.to_vec();
    footer.resize(36, 0);
    footer.extend([1, 0, 0, 0]);
    footer.extend(b"kvtable\n");
    let checksum = salted(&footer, table, offset);
    footer[32..36].copy_from_slice(&checksum.to_le_bytes());
    footer
}

fn frame(table: u64, file: &mut Vec<u8>, (stored, length, codec): &Stored) {
    let at = file.len();
    file.extend(stored);
    file.extend(length.to_le_bytes());
    file.push(*codec);
    let checksum = salted(&file[at..], table, at as u64);
    file.extend(checksum.to_le_bytes());
}

fn salted(covered: &[u8], table: u64, offset: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(&table.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.finalize()
}

fn varint(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}
