//! `key<TAB>value`, with tab, newline, carriage return and backslash as `\t`, `\n`, `\r` and `\\`, and every other byte as
//! it is. A backslash before anything else is a backslash, and is written as one: so a file of JSON values, say, is read
//! as it is meant, and comes out as it went in.

use kvorum_client::Row;

use super::{BadLine, Loss, Pair};

pub(super) fn parse(line: &[u8]) -> Result<Pair, BadLine> {
    let (key, value) = split(line)?;
    Ok(Pair { key: unescape(key).into(), value: unescape(value).into(), expires_at_ms: None })
}

/// The newest value; nothing for a key without any.
pub(super) fn write(row: &Row, out: &mut Vec<u8>) -> Loss {
    let Some(newest) = row.versions.first() else { return Loss::default() };
    escape(&row.key, out);
    out.push(b'\t');
    escape(&newest.value, out);
    out.push(b'\n');
    Loss { expiry: newest.expires_at_ms.is_some(), siblings: row.versions.len() > 1 }
}

fn split(line: &[u8]) -> Result<(&[u8], &[u8]), BadLine> {
    let tab = line.iter().position(|&byte| byte == b'\t');
    let tab = tab.ok_or_else(|| BadLine("there is no tab between key and value".into()))?;
    Ok((&line[..tab], &line[tab + 1..]))
}

/// The letter that stands for a byte behind a backslash.
fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for (at, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        // A backslash may stand alone unless what follows would make an escape of it.
        let alone = byte == b'\\' && !next.is_some_and(|&next| unescaped(next).is_some() || letter(next).is_some());
        match letter(byte) {
            Some(letter) if !alone => out.extend([b'\\', letter]),
            _ => out.push(byte),
        }
    }
}

/// The byte that a letter behind a backslash stands for.
fn unescaped(letter: u8) -> Option<u8> {
    match letter {
        b't' => Some(b'\t'),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        let escape = behind.first().filter(|_| *byte == b'\\').and_then(|&letter| unescaped(letter));
        bytes.push(escape.unwrap_or(*byte));
        rest = if escape.is_some() { &behind[1..] } else { behind };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::row;
    use super::*;

    /// Bytes among which those that matter are common.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(
            prop_oneof![Just(b'\\'), Just(b't'), Just(b'n'), Just(b'\t'), Just(b'\r'), any::<u8>()],
            0..12,
        )
    }

    fn written(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        assert_eq!(write(&row(key, &[(value, None)]), &mut line), Loss::default());
        line
    }

    #[test]
    fn what_would_break_a_line_is_escaped_and_nothing_else() {
        assert_eq!(written(b"a\tb", b"c\nd\re\\n\"\0\xff"), b"a\\tb\tc\\nd\\re\\\\n\"\0\xff\n");
    }

    #[test]
    fn a_backslash_before_anything_else_is_a_backslash() {
        let value = |line: &[u8]| parse(line).unwrap().value.to_vec();
        assert_eq!(value(br#"k	{"summary":"say \"hello\" \x"}"#), br#"{"summary":"say \"hello\" \x"}"#);
        assert_eq!(value(b"k\tends with \\"), b"ends with \\");
        assert_eq!(value(br"k	\\r and \\\\n"), br"\r and \\n");
        assert!(parse(b"no tab").unwrap_err().0.contains("tab"));
        assert!(parse(b"").is_err());
    }

    #[test]
    fn a_line_of_json_comes_out_as_it_went_in() {
        for line in [&br#"k	{"a":"\"b\" \\n \\r \u00e9"}"#[..], br"k	a\\\\n", br"k\x	\\\t\"] {
            let pair = parse(line).unwrap();
            assert_eq!(written(&pair.key, &pair.value).strip_suffix(b"\n").unwrap(), line);
        }
    }

    #[test]
    fn what_a_line_leaves_away_is_told() {
        let mut line = Vec::new();
        let loss = write(&row(b"k", &[(b"new", Some(1)), (b"old", None)]), &mut line);
        assert_eq!(loss, Loss { expiry: true, siblings: true });
        assert_eq!(line, b"k\tnew\n");
        line.clear();
        write(&row(b"k", &[]), &mut line);
        assert!(line.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(key in bytes(), value in bytes()) {
            let line = written(&key, &value);
            prop_assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            let pair = parse(line.strip_suffix(b"\n").unwrap()).unwrap();
            prop_assert_eq!((&pair.key[..], &pair.value[..]), (&key[..], &value[..]));
        }
    }
}
