//! Histories as lines of JSON: one event on each line, in the order in which they happened.
//!
//! It owns the format and the way from lines to [calls](crate::linearizability::Call), one history for each key; the
//! verdict on them is [`linearizability`](crate::linearizability)'s. Input comes through [`BufRead`]: opening files is
//! the caller's.
//!
//! # The format
//!
//! ```json
//! {"process":3,"type":"invoke","f":"write","key":"k","value":7}
//! {"process":4,"type":"invoke","f":"read","key":"k"}
//! {"process":3,"type":"ok","f":"write"}
//! {"process":4,"type":"ok","f":"read","value":7}
//! ```
//!
//! - `process`: a number from 0. A process does one thing at a time.
//! - `type`: `invoke`, and how it ended: `ok`; `fail`, certainly without effect; `info`, nobody knows. An operation without
//!   such an end is of unknown outcome too, and so is, for good, one whose process invokes the next before it ended.
//! - `f`: what the [`Object`] can do.
//!   - A *register* holds `null` at first. `write` a `value`, `read`, `cas` a `value` that is `[old, new]`; its `ok` has
//!     `"swapped": true`, or false if the register did not hold `old`.
//!   - A *set* is empty at first. `add` an element, `read` an array of all, in any order. An array that shows an element
//!     twice fits no set.
//!   - A *string* is `""` at first. `write` it, `append` to it, `read` all of it.
//! - `key`: a string or a number; `"1"` and `1` are different keys. The end of an operation may leave it out.
//! - `value`: what is written, in `invoke`; what was read, in `ok`. The `invoke` of a read may leave it out or give `null`. The
//!   end of anything but a read may leave it out or repeat it; `fail` and `info` may also give `null`. What a read
//!   gives with `fail` or `info` is ignored.
//! - Other fields are ignored, and so are blank lines.
//!
//! The order of the lines is the order in time: an operation that ended on one line precedes what is invoked on the next.
//!
//! # What counts as equal
//!
//! The values of a register and the elements of a set are any JSON, and equal if they are written alike, apart from blanks
//! and from the ways to escape a character. So `1`, `1.0` and `1e0` are three values, and so are two objects with their
//! members in different order: numbers of any size keep their digits, and nothing is rounded.

mod event;
mod recording;
mod value;

use std::io::BufRead;

pub use recording::{KeyHistory, Line, Recording};

/// The longest line, in bytes.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// What each key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A [`Register`](crate::model::Register) of any JSON.
    Register,
    /// A [`Set`](crate::model::Set) of any JSON.
    Set,
    /// A [`Text`](crate::model::Text).
    String,
}

/// Why lines are no history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source failed.
    #[error("cannot read line {line}: {source}")]
    Io {
        /// On which line, from 1.
        line: usize,
        /// How.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },
}

/// Reads a history, line by line, to its end.
///
/// ```
/// use kvorum_history::jsonl::{Object, read};
///
/// let lines = r#"
///     {"process":0,"type":"invoke","f":"add","key":"k","value":1}
///     {"process":0,"type":"ok","f":"add"}
///     {"process":1,"type":"invoke","f":"read","key":"k"}
///     {"process":1,"type":"ok","f":"read","value":[]}
/// "#;
/// let recording = read(lines.as_bytes(), Object::Set).unwrap();
/// assert_eq!((recording.operations(), recording.keys().len()), (2, 1));
/// let found = recording.keys()[0].check().unwrap_err();
/// assert_eq!(recording.keys()[0].line(found.stuck().unwrap().call).completed, Some(5));
/// ```
///
/// # Errors
/// If the source fails, or a line is not as the [format](self) says.
pub fn read(mut source: impl BufRead, object: Object) -> Result<Recording, Error> {
    let mut recording = recording::Recorder::new(object);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        // One more than a line may have, and its end.
        let mut limited = std::io::Read::take(&mut source, LONGEST_LINE as u64 + 1);
        if limited.read_until(b'\n', &mut line).map_err(|source| Error::Io { line: number, source })? == 0 {
            break;
        }
        let problem = |problem| Error::Line { line: number, problem };
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > LONGEST_LINE {
            return Err(problem(format!("expected at most {LONGEST_LINE} bytes")));
        }
        let text = str::from_utf8(&line).map_err(|error| problem(format!("expected UTF-8: {error}")))?;
        if !text.trim().is_empty() {
            let event = event::parse(text, object).map_err(problem)?;
            recording.add(number, event).map_err(problem)?;
        }
    }
    Ok(recording.finish())
}

#[cfg(test)]
mod tests;
