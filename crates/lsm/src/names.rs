//! Owns how the files of a database are called. It opens none of them.
//!
//! ```text
//! CURRENT            which manifest is in force
//! MANIFEST-000007    which tables and logs make up the database
//! 000012.log         a segment of the write-ahead log
//! 000013.table       a sorted table
//! LOCK               keeps others out
//! *.new              being written; worth nothing after a crash
//! ```
//!
//! One counter numbers logs, tables and manifests, and never gives a number twice.

use std::path::{Path, PathBuf};

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileName {
    Current,
    Lock,
    Manifest(u64),
    Log(u64),
    Table(u64),
    /// Being written when its writer stopped.
    Unfinished,
}

impl FileName {
    /// None for what is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name == "CURRENT" {
            return Some(Self::Current);
        }
        if name == "LOCK" {
            return Some(Self::Lock);
        }
        if let Some(stem) = name.strip_suffix(".new") {
            return Self::parse(stem).map(|_| Self::Unfinished);
        }
        if let Some(number) = name.strip_prefix("MANIFEST-") {
            return parse_number(number).map(Self::Manifest);
        }
        let (number, kind) = name.split_once('.')?;
        match kind {
            "log" => parse_number(number).map(Self::Log),
            "table" => parse_number(number).map(Self::Table),
            _ => None,
        }
    }

    /// The number of a log, table or manifest.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Manifest(number) | Self::Log(number) | Self::Table(number) => Some(number),
            Self::Current | Self::Lock | Self::Unfinished => None,
        }
    }
}

/// No file gets this number or a higher one: counting from one on, nobody comes that far. What bears such a number is not ours.
pub(crate) const END_OF_NUMBERS: u64 = 1 << 62;

/// Digits alone, at least six of them, so that a number has one spelling.
fn parse_number(digits: &str) -> Option<u64> {
    let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| digits.parse().ok())??;
    (format!("{number:06}") == digits && number < END_OF_NUMBERS).then_some(number)
}

pub(crate) fn current(dir: &Path) -> PathBuf {
    dir.join("CURRENT")
}

pub(crate) fn current_new(dir: &Path) -> PathBuf {
    dir.join("CURRENT.new")
}

pub(crate) fn lock(dir: &Path) -> PathBuf {
    dir.join("LOCK")
}

pub(crate) fn manifest(dir: &Path, number: u64) -> PathBuf {
    dir.join(manifest_name(number))
}

pub(crate) fn manifest_name(number: u64) -> String {
    format!("MANIFEST-{number:06}")
}

pub(crate) fn log(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.log"))
}

pub(crate) fn table(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_file_is() {
        let dir = Path::new("");
        for number in [1, 999_999, 1_000_000, END_OF_NUMBERS - 1] {
            let name = |path: PathBuf| FileName::parse(path.to_str().unwrap());
            assert_eq!(name(log(dir, number)), Some(FileName::Log(number)));
            assert_eq!(name(table(dir, number)), Some(FileName::Table(number)));
            assert_eq!(name(manifest(dir, number)), Some(FileName::Manifest(number)));
        }
        assert_eq!(FileName::parse("CURRENT.new"), Some(FileName::Unfinished));
        for strange in [
            "",
            "1.log",
            "0000001.log",
            "+00001.log",
            "000001.sst",
            "MANIFEST-",
            "notes.new",
            "000001.log.new.txt",
            "18446744073709551615.log",
        ] {
            assert_eq!(FileName::parse(strange), None, "{strange}");
        }
    }
}
