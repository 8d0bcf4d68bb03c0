//! `kvctl get`.

use kvorum_client::{GetOptions, Got};
use serde::Serialize;

use crate::args::{self, GetArgs};
use crate::exit::{Exit, Failure, complain};
use crate::output::{JsonKey, JsonReplicas, JsonValue, note_stand_in, print, print_json, quoted, unix_ms};
use crate::target::Target;
use crate::token;

#[derive(Debug, Serialize)]
struct JsonGot {
    #[serde(flatten)]
    key: JsonKey,
    found: bool,
    values: Vec<JsonValue>,
    /// For the write that replaces these values; null from a node that knows no contexts.
    context: Option<String>,
    replicas: JsonReplicas,
}

pub(crate) async fn run(target: &Target, get: GetArgs) -> Result<(), Failure> {
    let key = args::bytes(get.key);
    let options = GetOptions::new().level(get.read).consistency(get.counting.consistency());
    let got = target.client.get_with(key.clone(), &options).await;
    let got = got.map_err(|error| Failure::of(&target.doing("get", &key, "from"), &error))?;
    if get.show_context {
        let none = || format!("cannot show the context of {}: the node knows none yet; try again", quoted(&key));
        let context = token::encode(&got.context).ok_or_else(|| Failure::new(Exit::Unavailable, none()))?;
        return print(format!("{context}\n").as_bytes());
    }
    let found = !got.versions.is_empty();
    if target.wants_json() {
        print_json(&json(&key, got, unix_ms()))?;
    } else {
        print(&lines(&got))?;
        note_stand_in(&got.replicas);
        if got.versions.len() > 1 {
            let (count, context) = (got.versions.len(), token::encode(&got.context).unwrap_or_default());
            complain(&format!(
                "{} has {count} concurrent values, the newest first; put one with --context {context} to replace them",
                quoted(&key)
            ));
        }
    }
    if found {
        return Ok(());
    }
    let message = format!("cannot find {} through {}; is the key right?", quoted(&key), target.endpoints);
    Err(Failure::new(Exit::NotFound, message))
}

/// Each value and a newline.
fn lines(got: &Got) -> Vec<u8> {
    let mut lines = Vec::new();
    for version in &got.versions {
        lines.extend_from_slice(&version.value);
        lines.push(b'\n');
    }
    lines
}

fn json(key: &[u8], got: Got, unix_ms: u64) -> JsonGot {
    JsonGot {
        key: JsonKey::of(key),
        found: !got.versions.is_empty(),
        values: got.versions.iter().map(|version| JsonValue::of(version, unix_ms)).collect(),
        context: token::encode(&got.context),
        replicas: got.replicas.into(),
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::{Replicas, Timestamp, Version};

    use super::*;

    fn got(values: &[&'static [u8]]) -> Got {
        let version = |value: &&'static [u8]| Version {
            value: (*value).into(),
            actor: 0xab,
            timestamp: Timestamp(7 << 16 | 2),
            expires_at_ms: None,
        };
        let replicas = Replicas { wanted: 2, answered: 2, agreed: 1, sloppy: false };
        let context = if values.is_empty() { &b""[..] } else { b"\xff\xfe" };
        Got { versions: values.iter().map(version).collect(), context: context.into(), replicas }
    }

    #[test]
    fn the_json_is_that_of_the_contract() {
        let text = |key: &[u8], values| serde_json::to_string(&json(key, got(values), 0)).unwrap();
        let replicas = r#""replicas":{"wanted":2,"answered":2,"agreed":1,"sloppy":false}}"#;
        let rest =
            r#""actor":"00000000000000ab","timestamp":"7.2","expires_at":null,"expires_in_ms":null}],"context":"__4","#;
        assert_eq!(
            text(b"k", &[b"v"]),
            format!(r#"{{"key":"k","found":true,"values":[{{"value":"v","encoding":"utf8",{rest}{replicas}"#)
        );
        assert_eq!(
            text(b"\xff", &[b"\xfe"]),
            format!(
                r#"{{"key":"/w==","key_encoding":"base64","found":true,"values":[{{"value":"/g==","encoding":"base64",{rest}{replicas}"#
            )
        );
        assert_eq!(text(b"k", &[]), format!(r#"{{"key":"k","found":false,"values":[],"context":null,{replicas}"#));
    }

    #[test]
    fn values_are_printed_as_they_are() {
        assert_eq!(lines(&got(&[b"a\xff", b""])), b"a\xff\n\n");
    }
}
