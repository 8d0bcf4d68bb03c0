//! When two JSON values are one: a spelling that is the same for both, and a number for each spelling. It compares texts
//! and computes with none of them.

use std::sync::Arc;

use foldhash::fast::FixedState;
use serde_json::value::RawValue;

/// A value, spelled in the one way: without blanks, each string escaped as little as JSON allows.
pub(super) fn spell(value: &RawValue) -> Result<String, String> {
    let text = value.get();
    let mut spelled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', ' ', '\t', '\r', '\n']) {
        spelled.push_str(&rest[..at]);
        if rest.as_bytes()[at] != b'"' {
            rest = &rest[at + 1..];
            continue;
        }
        let end = at + 1 + closing_quote(&rest[at + 1..]) + 1;
        let string = &rest[at..end];
        if string.contains('\\') {
            let plain: String =
                serde_json::from_str(string).map_err(|_| "broken JSON: a string with half a surrogate pair")?;
            spelled.push_str(&serde_json::to_string(&plain).map_err(|error| error.to_string())?);
        } else {
            spelled.push_str(string);
        }
        rest = &rest[end..];
    }
    spelled.push_str(rest);
    Ok(spelled)
}

/// Where a string ends, of a text that begins inside of it.
fn closing_quote(text: &str) -> usize {
    let mut is_escaped = false;
    let is_closing = |byte: u8| {
        let closes = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        closes
    };
    text.bytes().position(is_closing).expect("a parsed JSON text closes its strings")
}

#[expect(clippy::disallowed_types, reason = "its hasher is fixed, and nothing iterates it")]
type Numbers = std::collections::HashMap<Arc<str>, usize, FixedState>;

/// Values by number.
#[derive(Debug, Default)]
pub(super) struct Values {
    numbers: Numbers,
    spellings: Vec<Arc<str>>,
}

impl Values {
    pub(super) fn number(&mut self, spelling: String) -> usize {
        if let Some(number) = self.numbers.get(&*spelling) {
            return *number;
        }
        let number = self.spellings.len();
        let spelling: Arc<str> = spelling.into();
        self.spellings.push(spelling.clone());
        self.numbers.insert(spelling, number);
        number
    }

    pub(super) fn into_spellings(self) -> Arc<[Arc<str>]> {
        self.spellings.into()
    }
}
