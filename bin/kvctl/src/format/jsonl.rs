//! One JSON object to a line. It carries any bytes, expiry and concurrent values.

use kvorum_client::{Row, Version};
use serde::{Deserialize, Serialize};

use super::{BadLine, Loss, Pair};
use crate::output::Text;

/// A line. With one value its fields stand beside the key, with several in `values`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    key: String,
    #[serde(default, skip_serializing_if = "Encoding::is_utf8")]
    key_encoding: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Value>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    value: String,
    #[serde(default, skip_serializing_if = "Encoding::is_utf8")]
    encoding: Encoding,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Utf8,
    Base64,
}

pub(super) fn parse(line: &[u8]) -> Result<Pair, BadLine> {
    let object: Object = serde_json::from_slice(line).map_err(|error| BadLine(reason(&error)))?;
    let key = bytes("key", object.key, object.key_encoding)?;
    let value = match (object.value, object.values) {
        (Some(value), None) => {
            let encoding = object.encoding.unwrap_or_default();
            Value { value, encoding, expires_at: object.expires_at }
        }
        (None, Some(values)) if object.encoding.is_none() && object.expires_at.is_none() => {
            let [value] = <[Value; 1]>::try_from(values).map_err(|values| several(values.len()))?;
            value
        }
        (None, None) => return Err(BadLine("there is no \"value\"".into())),
        (_, Some(_)) => return Err(BadLine("\"values\" and the fields of one value exclude each other".into())),
    };
    let expires_at_ms = value.expires_at;
    Ok(Pair { key, value: bytes("value", value.value, value.encoding)?, expires_at_ms })
}

/// Nothing for a key without any value. Nothing is left away.
pub(super) fn write(row: &Row, out: &mut Vec<u8>) -> Loss {
    let (key, key_encoding) = text(&row.key);
    let mut object = Object { key, key_encoding, value: None, encoding: None, expires_at: None, values: None };
    match row.versions.as_slice() {
        [] => return Loss::default(),
        [version] => {
            let value = Value::of(version);
            object.value = Some(value.value);
            object.encoding = Some(value.encoding).filter(|encoding| !encoding.is_utf8());
            object.expires_at = value.expires_at;
        }
        versions => object.values = Some(versions.iter().map(Value::of).collect()),
    }
    serde_json::to_writer(&mut *out, &object).expect("texts and numbers always make JSON");
    out.push(b'\n');
    Loss::default()
}

impl Value {
    fn of(version: &Version) -> Value {
        let (value, encoding) = text(&version.value);
        Value { value, encoding, expires_at: version.expires_at_ms }
    }
}

impl Encoding {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_utf8(&self) -> bool {
        *self == Encoding::Utf8
    }
}

fn text(bytes: &[u8]) -> (String, Encoding) {
    let Text { text, is_base64 } = Text::of(bytes);
    (text, if is_base64 { Encoding::Base64 } else { Encoding::Utf8 })
}

fn bytes(what: &str, text: String, encoding: Encoding) -> Result<kvorum_client::Bytes, BadLine> {
    let text = Text { text, is_base64: encoding == Encoding::Base64 };
    let bytes = text.into_bytes().ok_or_else(|| BadLine(format!("the {what} is no base64")))?;
    Ok(bytes.into())
}

/// Without the place, which names the line as 1.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    format!("column {}: {}", error.column(), text.strip_suffix(&place).unwrap_or(&text))
}

fn several(count: usize) -> BadLine {
    BadLine(format!("it has {count} concurrent values, and a put stores one: choose"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::row;
    use super::*;

    fn line(key: &[u8], values: &[(&[u8], Option<u64>)]) -> String {
        let mut line = Vec::new();
        assert_eq!(write(&row(key, values), &mut line), Loss::default());
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_line_says_no_more_than_needed() {
        assert_eq!(line(b"k", &[(b"v", None)]), "{\"key\":\"k\",\"value\":\"v\"}\n");
        assert_eq!(
            line(b"\xff\x00", &[(b"\xff", Some(5))]),
            "{\"key\":\"/wA=\",\"key_encoding\":\"base64\",\"value\":\"/w==\",\"encoding\":\"base64\",\"expires_at\":5}\n"
        );
        assert_eq!(
            line(b"k", &[(b"a", Some(5)), (b"\xff", None)]),
            "{\"key\":\"k\",\"values\":[{\"value\":\"a\",\"expires_at\":5},{\"value\":\"/w==\",\"encoding\":\"base64\"}]}\n"
        );
        assert_eq!(line(b"k", &[]), "");
    }

    #[test]
    fn one_value_may_stand_in_an_array_and_several_cannot_be_stored_yet() {
        let one = parse(br#"{"key":"k","values":[{"value":"v","expires_at":7}]}"#).unwrap();
        assert_eq!((&one.value[..], one.expires_at_ms), (&b"v"[..], Some(7)));
        let two = parse(br#"{"key":"k","values":[{"value":"v"},{"value":"w"}]}"#).unwrap_err();
        assert!(two.0.contains("2 concurrent"), "{two:?}");
        assert!(parse(br#"{"key":"k","values":[]}"#).is_err());
    }

    #[test]
    fn what_is_no_pair_is_told() {
        for (line, told) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("[]", "expected"),
            (r#"{"value":"v"}"#, "missing field `key`"),
            (r#"{"key":"k"}"#, "no \"value\""),
            (r#"{"key":"k","value":1}"#, "invalid type"),
            (r#"{"key":"k","value":"v","expires_in":1}"#, "unknown field `expires_in`"),
            (r#"{"key":"k","value":"v","encoding":"hex"}"#, "unknown variant"),
            (r#"{"key":"k","value":"v?","encoding":"base64"}"#, "no base64"),
            (r#"{"key":"k","value":"v","values":[]}"#, "exclude"),
            (r#"{"key":"k","value":"v"} x"#, "trailing"),
            (r#"{"key":"k","value":"v","expires_at":-1}"#, "invalid value"),
        ] {
            let error = parse(line.as_bytes()).unwrap_err().0;
            assert!(error.contains(told) && !error.contains("at line"), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_and_expiry_come_back(key: Vec<u8>, value: Vec<u8>, expires_at_ms: Option<u64>) {
            let line = line(&key, &[(&value, expires_at_ms)]);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let pair = parse(line.trim_end().as_bytes()).unwrap();
            prop_assert_eq!(pair, Pair { key: key.into(), value: value.into(), expires_at_ms });
        }
    }
}
