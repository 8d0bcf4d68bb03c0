//! Owns what one line of an import or export holds. The two ways to write it are in `format/`.

mod jsonl;
mod tsv;

use std::fmt;
use std::path::Path;

use clap::ValueEnum;
use kvorum_client::{Bytes, Row};

/// How pairs are written, one to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Tsv,
    Jsonl,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires_at_ms: Option<u64>,
}

/// Why a line holds no pair.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadLine(pub(crate) String);

impl Format {
    /// What is asked for, or what the file's name tells.
    pub(crate) fn of(asked: Option<Format>, file: Option<&Path>) -> Format {
        let extension = file.and_then(Path::extension).and_then(|extension| extension.to_str());
        let named = match extension {
            Some("jsonl" | "ndjson") => Format::Jsonl,
            _ => Format::Tsv,
        };
        asked.unwrap_or(named)
    }

    /// Reads a line.
    pub(crate) fn parse(self, line: &[u8]) -> Result<Pair, BadLine> {
        match self {
            Format::Tsv => tsv::parse(line),
            Format::Jsonl => jsonl::parse(line),
        }
    }

    /// Adds a key's line. Returns what the format cannot carry.
    pub(crate) fn write(self, row: &Row, out: &mut Vec<u8>) -> Loss {
        match self {
            Format::Tsv => tsv::write(row, out),
            Format::Jsonl => jsonl::write(row, out),
        }
    }
}

/// A key alone on a line, escaped as tsv has it.
pub(crate) fn write_key(key: &[u8], out: &mut Vec<u8>) {
    tsv::escape(key, out);
    out.push(b'\n');
}

/// What a written line leaves away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) expiry: bool,
    pub(crate) siblings: bool,
}

/// As `--format` takes it.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Tsv => "tsv",
            Format::Jsonl => "jsonl",
        })
    }
}

/// A row as a scan would find it, for the tests of both ways to write it.
#[cfg(test)]
fn row(key: &[u8], values: &[(&[u8], Option<u64>)]) -> Row {
    let version = |&(value, expires_at_ms): &(&[u8], Option<u64>)| kvorum_client::Version {
        value: Bytes::copy_from_slice(value),
        actor: 1,
        timestamp: kvorum_client::Timestamp(1),
        expires_at_ms,
    };
    Row { key: Bytes::copy_from_slice(key), versions: values.iter().map(version).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_its_format_unless_it_is_asked_for() {
        let of = |asked, file: &str| Format::of(asked, Some(Path::new(file)));
        assert_eq!(of(None, "a.jsonl"), Format::Jsonl);
        assert_eq!(of(None, "a.tsv"), Format::Tsv);
        assert_eq!(of(None, "-"), Format::Tsv);
        assert_eq!(of(Some(Format::Tsv), "a.jsonl"), Format::Tsv);
        assert_eq!(Format::of(None, None), Format::Tsv);
    }
}
