//! Owns a scan: its pages, its place, and the text form of a place. How a page is asked for and
//! tried again is in `perform.rs`.

use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use kvorum_wire::v1;

use crate::convert::timeout_ms;
use crate::level;
use crate::route::Target;
use crate::{Client, Error, Replicas, ScanOptions, Version};

/// A scan in progress, made by [`Client::scan`]. Keys come partition by partition, in key order
/// within each. It is no snapshot: writes made meanwhile may or may not be seen.
#[derive(Debug)]
pub struct Scan {
    client: Client,
    options: ScanOptions,
    complete: bool,
}

/// One page of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Keys and their versions; may be empty in the middle of a scan.
    pub rows: Vec<Row>,
    /// Where the next page begins; absent when this is the last one.
    pub next: Option<Cursor>,
    /// How the page came about.
    pub replicas: Replicas,
}

/// One key of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Bytes,
    /// Its versions, newest first; their values are empty in a scan of keys only.
    pub versions: Vec<Version>,
}

/// A place in a scan, valid in later processes too. Its text form is `PARTITION` or
/// `PARTITION.KEY`, the key in hexadecimal.
///
/// ```
/// use kvorum_client::Cursor;
///
/// let cursor: Cursor = "17.6b6579".parse()?;
/// assert_eq!(cursor, Cursor { partition: 17, after: Some("key".into()) });
/// assert_eq!(cursor.to_string(), "17.6b6579");
/// # Ok::<(), kvorum_client::UnknownCursor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The partition to go on with.
    pub partition: u32,
    /// The last key seen in it; absent: from its start.
    pub after: Option<Bytes>,
}

/// The text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a place in a scan")]
pub struct UnknownCursor(pub String);

impl Scan {
    pub(crate) fn new(client: Client, options: ScanOptions) -> Scan {
        Scan { client, options, complete: false }
    }

    /// The next page; nothing when the scan is complete. After an error the scan stands where it
    /// stood, and may be asked again.
    ///
    /// # Errors
    /// As for a get: any but [`Error::Indeterminate`].
    pub async fn next_page(&mut self) -> Result<Option<Page>, Error> {
        if self.complete || self.options.limit == Some(0) {
            return Ok(None);
        }
        let options = &self.options;
        let target = Target::Partition(options.from.as_ref().map_or(0, |cursor| cursor.partition));
        let timeout = self.client.timeout_of(options.timeout)?;
        let request = v1::ScanRequest {
            keyspace: self.client.keyspace(),
            prefix: options.prefix.clone(),
            cursor: options.from.clone().map(v1::Cursor::from),
            limit: options.limit.unwrap_or(0),
            keys_only: options.keys_only,
            level: options.level.map(level::to_wire),
            timeout_ms: timeout_ms(timeout),
        };
        let page: Page = self.client.page(target, request, timeout).await?.into();
        if let Some(limit) = &mut self.options.limit {
            *limit = limit.saturating_sub(page.rows.len() as u64);
        }
        self.complete = page.next.is_none();
        if page.next.is_some() {
            self.options.from.clone_from(&page.next);
        }
        Ok(Some(page))
    }

    /// Where the next page begins; absent before the first page and after the last.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.options.from.as_ref().filter(|_| !self.complete)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.partition)?;
        let Some(after) = &self.after else { return Ok(()) };
        f.write_str(".")?;
        after.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = UnknownCursor;

    fn from_str(text: &str) -> Result<Cursor, UnknownCursor> {
        let unknown = || UnknownCursor(text.into());
        let (partition, after) = match text.split_once('.') {
            None => (text, None),
            Some((partition, key)) => (partition, Some(unhex(key).ok_or_else(unknown)?)),
        };
        let digits = partition.bytes().all(|byte| byte.is_ascii_digit());
        let partition = partition.parse().ok().filter(|_| digits).ok_or_else(unknown)?;
        Ok(Cursor { partition, after: after.map(Bytes::from) })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_parsed_from_what_it_shows() {
        let every_byte: Vec<u8> = (0..=255).collect();
        for after in [None, Some(Bytes::new()), Some(Bytes::from(every_byte))] {
            for partition in [0, 7, u32::MAX] {
                let cursor = Cursor { partition, after: after.clone() };
                assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }

    #[test]
    fn other_texts_are_no_cursor() {
        for text in ["", ".", "x", "+1", "-1", "1.f", "1.zz", "1.00.00", "4294967296", "1.+f"] {
            assert_eq!(text.parse::<Cursor>(), Err(UnknownCursor(text.into())));
        }
    }
}
