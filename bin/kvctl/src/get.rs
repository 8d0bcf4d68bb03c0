//! `kvctl get`.

use kvorum_client::{GetOptions, Got};
use serde::Serialize;

use crate::args::{self, GetArgs};
use crate::exit::{Exit, Failure, complain};
use crate::output::{JsonKey, JsonReplicas, JsonValue, print, print_json, quoted};
use crate::target::Target;

#[derive(Debug, Serialize)]
struct JsonGot {
    #[serde(flatten)]
    key: JsonKey,
    found: bool,
    values: Vec<JsonValue>,
    /// Clusters hand out none yet.
    context: Option<String>,
    replicas: JsonReplicas,
}

pub(crate) async fn run(target: &Target, get: GetArgs) -> Result<(), Failure> {
    let key = args::bytes(get.key);
    let options = GetOptions::new().level(get.read);
    let got = target.client.get_with(key.clone(), &options).await;
    let got = got.map_err(|error| Failure::of(&target.doing("get", &key, "from"), &error))?;
    let found = !got.versions.is_empty();
    if target.wants_json() {
        print_json(&json(&key, got))?;
    } else if found {
        print(&lines(&got))?;
        if got.versions.len() > 1 {
            let count = got.versions.len();
            complain(&format!("{} has {count} concurrent values, the newest first", quoted(&key)));
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

fn json(key: &[u8], got: Got) -> JsonGot {
    JsonGot {
        key: JsonKey::of(key),
        found: !got.versions.is_empty(),
        values: got.versions.iter().map(JsonValue::of).collect(),
        context: None,
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
        Got { versions: values.iter().map(version).collect(), replicas }
    }

    #[test]
    fn the_json_is_that_of_the_contract() {
        let text = |key: &[u8], values| serde_json::to_string(&json(key, got(values))).unwrap();
        let replicas = r#""context":null,"replicas":{"wanted":2,"answered":2,"agreed":1,"sloppy":false}}"#;
        let rest = r#""actor":"00000000000000ab","timestamp":"7.2","expires_at":null}],"#;
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
        assert_eq!(text(b"k", &[]), format!(r#"{{"key":"k","found":false,"values":[],{replicas}"#));
    }

    #[test]
    fn values_are_printed_as_they_are() {
        assert_eq!(lines(&got(&[b"a\xff", b""])), b"a\xff\n\n");
    }
}
