//! `kvctl why`.

use std::ffi::OsString;

use kvorum_client::{Why, WhyEntry, WhyHint, WhyReplica, WhyVersion};
use serde::Serialize;

use crate::args;
use crate::exit::{Failure, complain, one_line};
use crate::output::{Align, Cell, JsonKey, Table, actor, age, print, print_json, quoted, unix_ms};
use crate::target::Target;

#[derive(Debug, Serialize)]
struct JsonWhy {
    #[serde(flatten)]
    key: JsonKey,
    mode: String,
    partition: Option<u32>,
    replicas: Vec<JsonReplica>,
    /// The members that did not tell which hints they keep.
    silent: Vec<String>,
    /// How many more were not asked.
    unasked: u32,
}

#[derive(Debug, Serialize)]
struct JsonReplica {
    name: String,
    /// Why it did not answer, if it did not.
    error: Option<String>,
    found: bool,
    versions: Vec<JsonVersion>,
    context: Vec<JsonEntry>,
    bytes: u64,
    hints: Vec<JsonHint>,
}

#[derive(Debug, Serialize)]
struct JsonHint {
    holder: String,
    versions: Vec<JsonVersion>,
    /// Whether it is never dropped, since a write counted it.
    owed: bool,
}

#[derive(Debug, Serialize)]
struct JsonVersion {
    actor: String,
    timestamp: String,
    /// Whose tenure the actor is, while that is known.
    node: Option<String>,
    tombstone: bool,
    expires_at: Option<u64>,
    expired: bool,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct JsonEntry {
    actor: String,
    timestamp: String,
    node: Option<String>,
}

pub(crate) async fn run(target: &Target, key: OsString) -> Result<(), Failure> {
    let key = args::bytes(key);
    let why = target.client.why(key.clone()).await;
    let why = why.map_err(|error| Failure::of(&target.doing("explain", &key, "through"), &error))?;
    if target.wants_json() {
        return print_json(&json(&key, why));
    }
    for note in missing(&why) {
        complain(&note);
    }
    print(text(&why, unix_ms()).as_bytes())
}

fn json(key: &[u8], why: Why) -> JsonWhy {
    let version = |version: WhyVersion| JsonVersion {
        actor: actor(version.actor),
        timestamp: version.timestamp.to_string(),
        node: version.node,
        tombstone: version.tombstone,
        expires_at: version.expires_at_ms,
        expired: version.expired,
        bytes: version.bytes,
    };
    let entry = |entry: WhyEntry| JsonEntry {
        actor: actor(entry.actor),
        timestamp: entry.timestamp.to_string(),
        node: entry.node,
    };
    let hint = |hint: WhyHint| JsonHint {
        holder: hint.holder,
        versions: hint.versions.into_iter().map(version).collect(),
        owed: hint.owed,
    };
    let replica = |replica: WhyReplica| JsonReplica {
        name: replica.name,
        error: replica.error,
        found: replica.found,
        versions: replica.versions.into_iter().map(version).collect(),
        context: replica.context.into_iter().map(entry).collect(),
        bytes: replica.bytes,
        hints: replica.hints.into_iter().map(hint).collect(),
    };
    JsonWhy {
        key: JsonKey::of(key),
        mode: why.mode,
        partition: why.place.map(|place| place.partition),
        replicas: why.replicas.into_iter().map(replica).collect(),
        silent: why.silent,
        unasked: why.unasked,
    }
}

fn text(why: &Why, unix_ms: u64) -> String {
    let mut table = Table::new([
        ("REPLICA", Align::Left),
        ("HOLDS", Align::Left),
        ("BYTES", Align::Right),
        ("WRITTEN BY", Align::Left),
        ("AT", Align::Left),
    ]);
    for replica in &why.replicas {
        let plain = |what: &str| [Cell::from(&replica.name), Cell::from(what), "".into(), "".into(), "".into()];
        match (&replica.error, replica.found) {
            (Some(error), _) => table.row(plain(&format!("no answer: {error}"))),
            (None, false) => table.row(plain("nothing")),
            (None, true) => {}
        }
        let row = |what: String, version: &WhyVersion| {
            [
                Cell::from(&replica.name),
                Cell::from(what),
                Cell::from(version.bytes),
                Cell::from(writer(version.actor, version.node.as_deref())),
                Cell::from(version.timestamp),
            ]
        };
        for version in &replica.versions {
            table.row(row(holds(version, unix_ms), version));
        }
        for entry in covered(replica) {
            table.row([
                Cell::from(&replica.name),
                Cell::from("replaced"),
                Cell::from(""),
                Cell::from(writer(entry.actor, entry.node.as_deref())),
                Cell::from(format!("up to {}", entry.timestamp)),
            ]);
        }
        for WhyHint { holder, versions, .. } in &replica.hints {
            if versions.is_empty() {
                table.row(plain(&format!("a hint at {holder}: nothing")));
            }
            for version in versions {
                table.row(row(format!("a hint at {holder}: {}", holds(version, unix_ms)), version));
            }
        }
    }
    let partition = why.place.as_ref().map_or_else(|| "?".to_owned(), |place| place.partition.to_string());
    format!("{}\n{}", one_line(&format!("mode {}, partition {partition}", why.mode)), table.render(false))
}

/// Whose hints are not in the table.
fn missing(why: &Why) -> Vec<String> {
    let names: Vec<String> = why.silent.iter().map(|name| quoted(name.as_bytes())).collect();
    let silent = format!("note: no word of hints from {}: there may be more than are shown", names.join(", "));
    let unasked = format!("note: {} more members were not asked for hints; see kvctl hints", why.unasked);
    let notes = [(!names.is_empty()).then_some(silent), (why.unasked > 0).then_some(unasked)];
    notes.into_iter().flatten().collect()
}

/// The entries of the causal past that no version in the record stands for.
fn covered(replica: &WhyReplica) -> impl Iterator<Item = &WhyEntry> {
    let stands = |entry: &WhyEntry| {
        replica.versions.iter().any(|version| (version.actor, version.timestamp) == (entry.actor, entry.timestamp))
    };
    replica.context.iter().filter(move |entry| !stands(entry))
}

fn holds(version: &WhyVersion, unix_ms: u64) -> String {
    match (version.tombstone, version.expired, version.expires_at_ms) {
        (_, true, _) => "a value that has expired".to_owned(),
        (true, ..) => "a deletion".to_owned(),
        (_, _, Some(at)) => format!("a value for {} more", age(at.saturating_sub(unix_ms))),
        _ => "a value".to_owned(),
    }
}

fn writer(tenure: u64, node: Option<&str>) -> String {
    match node {
        Some(node) => format!("{node} ({})", actor(tenure)),
        None => actor(tenure),
    }
}

#[cfg(test)]
mod tests {
    use kvorum_client::Timestamp;

    use super::*;

    fn why() -> Why {
        let version = |tombstone, expires_at_ms, expired| WhyVersion {
            actor: 0xab,
            timestamp: Timestamp(7 << 16),
            node: Some("n1".into()),
            tombstone,
            expires_at_ms,
            expired,
            bytes: 5,
        };
        let entry = |actor, timestamp: u64| WhyEntry { actor, timestamp: Timestamp(timestamp << 16), node: None };
        let replica = |name: &str| WhyReplica {
            name: name.into(),
            error: None,
            found: false,
            versions: Vec::new(),
            context: Vec::new(),
            bytes: 0,
            hints: Vec::new(),
        };
        let held = WhyReplica {
            found: true,
            versions: vec![version(false, Some(3000), false), version(true, None, false)],
            context: vec![entry(0xab, 7), entry(0xcd, 3)],
            bytes: 40,
            ..replica("n1")
        };
        let hint = |holder: &str, versions, owed| WhyHint { holder: holder.into(), versions, owed };
        let hints = vec![
            hint("n1", vec![version(false, None, false), version(true, None, false)], true),
            hint("n2", vec![version(false, Some(3000), false)], false),
        ];
        let silent = WhyReplica { error: Some("it did not answer in time".into()), hints, ..replica("n3") };
        Why {
            place: None,
            mode: "causal".into(),
            replicas: vec![held, replica("n2"), silent],
            silent: vec!["n3".into(), "n4".into()],
            unasked: 2,
        }
    }

    #[test]
    fn people_see_what_each_replica_holds_and_what_it_has_replaced() {
        let text = text(&why(), 1000);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "mode causal, partition ?");
        assert!(lines[2].starts_with("n1       a value for 2.0 s more"), "{text}");
        assert!(lines[2].contains("n1 (00000000000000ab)  7.0"), "{text}");
        assert!(lines[3].contains("a deletion"), "{text}");
        assert!(lines[4].contains("replaced") && lines[4].ends_with("00000000000000cd       up to 3.0"), "{text}");
        assert!(lines[5].contains("nothing") && lines[6].contains("no answer: it did not answer in time"), "{text}");
        assert_eq!(lines.len(), 10, "{text}");
    }

    #[test]
    fn people_see_what_waits_for_a_replica_and_whose_hints_are_not_known() {
        let told = why();
        let text = text(&told, 1000);
        let waiting: Vec<&str> =
            text.lines().filter(|line| line.starts_with("n3  ") && line.contains(" hint ")).collect();
        let [value, deletion, short_lived] = waiting[..] else { panic!("{text}") };
        assert!(value.contains("a hint at n1: a value  ") && value.contains(" 5  n1 (00000000000000ab)"), "{text}");
        assert!(value.ends_with("  7.0") && deletion.contains("a hint at n1: a deletion"), "{text}");
        assert!(short_lived.contains("a hint at n2: a value for 2.0 s more"), "{text}");
        let notes = missing(&told);
        assert!(notes[0].contains("from `n3`, `n4`:") && notes[1].contains("2 more members"), "{notes:?}");
        let none: Vec<String> = Vec::new();
        assert_eq!(missing(&Why { silent: Vec::new(), unasked: 0, ..told }), none);
    }

    #[test]
    fn the_json_has_all_of_it() {
        let value = serde_json::to_value(json(b"k", why())).unwrap();
        assert_eq!(value["key"], "k");
        assert_eq!(value["replicas"][0]["versions"][0]["expires_at"], 3000);
        assert_eq!(value["replicas"][0]["context"][1]["timestamp"], "3.0");
        assert_eq!(value["replicas"][2]["error"], "it did not answer in time");
        assert_eq!(value["replicas"][0]["hints"], serde_json::json!([]));
        let hints = &value["replicas"][2]["hints"];
        assert_eq!((&hints[0]["holder"], &hints[1]["holder"]), (&"n1".into(), &"n2".into()));
        assert_eq!((&hints[0]["owed"], &hints[1]["owed"]), (&true.into(), &false.into()));
        assert_eq!(hints[0]["versions"][1], value["replicas"][0]["versions"][1], "a version is told as elsewhere");
        assert_eq!((&value["silent"], &value["unasked"]), (&serde_json::json!(["n3", "n4"]), &2.into()));
    }
}
