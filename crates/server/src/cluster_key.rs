//! The cluster's key: 32 bytes that all members share, read from a file. What it seals is `peer/seal.rs`.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// In hexadecimal digits.
const DIGITS: usize = 64;

/// A key that every member of a cluster must have.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey(pub(crate) [u8; 32]);

impl fmt::Debug for ClusterKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(secret)")
    }
}

/// Why a cluster key file is none. What it holds is never told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterKeyError {
    /// It cannot be read.
    #[error("cannot read the cluster key {path} (--cluster-key-file): {source}; `openssl rand -hex 32` makes a key")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why. It stands in the message.
        source: std::io::Error,
    },
    /// It has too few digits, or too many.
    #[error(
        "the cluster key {path} has {found}: it must be {DIGITS} hexadecimal digits in one line, as `openssl rand -hex 32` makes them"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
    },
    /// It has something else.
    #[error(
        "the cluster key {path} has something at place {place} that is no hexadecimal digit: it must be {DIGITS} of them in one line, as `openssl rand -hex 32` makes them"
    )]
    Digit {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        place: usize,
    },
}

impl ClusterKey {
    /// Reads a key, and a warning if others may read it too.
    ///
    /// # Errors
    /// When it cannot be read, or is no key.
    pub fn read(path: &Path) -> Result<(Self, Option<String>), ClusterKeyError> {
        let unreadable = |source| ClusterKeyError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        let mut text = Vec::new();
        // A file that is no key may be of any size.
        file.take(4 * DIGITS as u64).read_to_end(&mut text).map_err(unreadable)?;
        let key = Self::parse(path, &text)?;
        let warning = (mode & 0o077 != 0).then(|| {
            let (path, mode) = (path.display(), mode & 0o777);
            format!("others than its owner may read the cluster key {path} (mode {mode:03o}): chmod 600 {path}")
        });
        Ok((key, warning))
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self, ClusterKeyError> {
        let path = || path.to_owned();
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let digits = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(at) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
            return Err(ClusterKeyError::Digit { path: path(), place: at + 1 });
        }
        let found = match digits.len() {
            DIGITS => None,
            0 => Some("no digits".to_owned()),
            few if few < DIGITS => Some(format!("only {few} digits")),
            _ => Some("more digits".to_owned()),
        };
        if let Some(found) = found {
            return Err(ClusterKeyError::Length { path: path(), found });
        }
        let value = |digit: u8| (char::from(digit).to_digit(16).unwrap_or(0)) as u8;
        let mut key = [0; DIGITS / 2];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<[u8; 32], String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, text).unwrap();
        let told = |error: ClusterKeyError| error.to_string().replace(path.to_str().unwrap(), "FILE");
        ClusterKey::read(&path).map(|(key, _)| key.0).map_err(told)
    }

    #[test]
    fn sixty_four_digits_are_a_key_with_or_without_the_end_of_the_line() {
        let digits = "000102030405060708090a0B0c0D0e0f101112131415161718191a1b1c1d1eff";
        let mut key: [u8; 32] = std::array::from_fn(|n| n as u8);
        key[31] = 0xff;
        for end in ["", "\n", "\r\n"] {
            assert_eq!(read(format!("{digits}{end}").as_bytes()), Ok(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_is_wrong() {
        for (text, told) in [
            (vec![], "FILE has no digits"),
            (b"\n".to_vec(), "FILE has no digits"),
            (b"abc123\n".to_vec(), "FILE has only 6 digits"),
            (vec![b'a'; 65], "FILE has more digits"),
            (vec![b'a'; 100_000], "FILE has more digits"),
            ([&[b'a'; 63][..], b"x"].concat(), "FILE has something at place 64"),
            ([&[b'a'; 64][..], b"\n\n"].concat(), "FILE has something at place 65"),
            (vec![0xff; 32], "FILE has something at place 1"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(told) && error.contains("64"), "{error}");
        }
        let error = ClusterKey::read(Path::new("/nowhere/key")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the cluster key /nowhere/key (--cluster-key-file): No such"), "{error}");
        let error = ClusterKey::read(Path::new("/")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the cluster key / "), "{error}");
    }

    #[test]
    fn a_key_that_others_may_read_is_warned_of_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "ab".repeat(32)).unwrap();
        let warning = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            ClusterKey::read(&path).unwrap().1
        };
        assert_eq!(warning(0o600), None);
        assert!(warning(0o640).unwrap().contains("(mode 640): chmod 600 "));
        assert!(!format!("{:?}", ClusterKey([0xab; 32])).contains("ab"));
    }
}
