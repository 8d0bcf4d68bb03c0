//! What may be stored, and what is refused: sizes, and bytes of every kind through every command that carries them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Cluster, assert_success, kvctl};

const MEMORY: &[&str] = &["--engine", "memory"];

fn bytes(argument: &[u8]) -> &OsStr {
    OsStr::from_bytes(argument)
}

fn put(cluster: &Cluster, node: &str, key: &[u8], value: &[u8]) -> Output {
    kvctl(&cluster.node(node).client, &[bytes(b"put"), bytes(b"--"), bytes(key), bytes(b"-")], value)
}

fn get(cluster: &Cluster, node: &str, key: &[u8]) -> Output {
    cluster.kvctl(node, &[bytes(b"get"), bytes(b"-r"), bytes(b"one"), bytes(b"--"), bytes(key)])
}

/// Refused as a limit is: exit code 4, one line.
fn assert_refused(output: &Output, why: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains(why), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
}

fn assert_nowhere(cluster: &Cluster, key: &[u8]) {
    for node in &cluster.nodes {
        let found = get(cluster, &node.name, key);
        assert_eq!(found.status.code(), Some(1), "{} holds what was refused", node.name);
    }
}

#[test]
fn a_pair_may_have_10240_bytes_and_not_one_more() {
    let cluster = Cluster::start(3, MEMORY);
    let value = vec![b'v'; 10_240];
    assert_success(&put(&cluster, "n1", b"k", &value[1..]), "a pair of 10 240 bytes");
    for node in ["n1", "n2", "n3"] {
        assert_eq!(cluster.run(node, &["get", "k"]).len(), 10_239 + 1, "through {node}");
    }
    for (node, key) in [("n1", &b"K"[..]), ("n2", b"L"), ("n3", b"M")] {
        let refused = put(&cluster, node, key, &value);
        assert_refused(&refused, "10240");
        assert_nowhere(&cluster, key);
    }
    // The key counts too.
    let key = [b'x'; 1000];
    assert_success(&put(&cluster, "n2", &key, &value[..9240]), "a long key and its value");
    let key = [b'y'; 1000];
    assert_refused(&put(&cluster, "n2", &key, &value[..9241]), "10240");
    assert_nowhere(&cluster, &key);
    // What is replaced stays when its successor is refused.
    assert_refused(&put(&cluster, "n3", b"k", &value), "10240");
    assert_eq!(get(&cluster, "n1", b"k").stdout.len(), 10_239 + 1);
}

#[test]
fn a_key_has_one_to_1024_bytes() {
    let cluster = Cluster::start(3, MEMORY);
    let longest = [b'k'; 1024];
    assert_success(&put(&cluster, "n1", &longest, b"v"), "a key of 1 024 bytes");
    assert_eq!(get(&cluster, "n2", &longest).stdout, b"v\n");
    assert_success(&cluster.kvctl("n3", &[bytes(b"del"), bytes(&longest)]), "its deletion");
    assert_nowhere(&cluster, &longest);
    for key in [&[b'k'; 1025][..], b""] {
        assert_refused(&put(&cluster, "n1", key, b"v"), "key");
        assert_refused(&get(&cluster, "n2", key), "key");
        assert_refused(&cluster.kvctl("n3", &[bytes(b"del"), bytes(key)]), "key");
    }
    let exported = cluster.run("n1", &["export"]);
    assert_eq!(exported, "", "nothing of it is stored");
}

#[test]
fn the_founders_limit_holds_on_every_node_whatever_that_was_given_itself() {
    let mut cluster = Cluster::found(2, &["--max-pair", "20KiB"], MEMORY);
    // One that is there from the start, and one that comes later and forwards, with a wish of its own.
    cluster.join(&["--engine", "memory", "--max-pair", "2KiB"]);
    cluster.wait_until_up(3);
    let value = vec![b'v'; 20 * 1024];
    for node in ["n1", "n2", "n3"] {
        let key = node.as_bytes();
        assert_success(&put(&cluster, node, key, &value[2..]), node);
        assert_eq!(cluster.run("n1", &["get", node]).len(), value.len() - 2 + 1);
        assert_refused(&put(&cluster, node, b"one-more", &value[7..]), "20480");
    }
    assert_nowhere(&cluster, b"one-more");
}

/// Keys and values that something on their way might take for something else. An argument cannot hold NUL.
fn awkward() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let pairs: [(&[u8], &[u8]); 12] = [
        (b"plain", b"value"),
        (b"empty value", b""),
        (b"tab\tin key", b"tab\tin value"),
        (b"new\nline", b"ends with one\n"),
        (b"\n", b"\n"),
        (b"carriage\r", b"\r\n"),
        (b"invalid \xff\xfe", b"\xc3\x28 \xf0\x28\x8c\x28"),
        (b"\\t is no tab", b"\\n \\\\ \\x \\"),
        (b"--prefix", b"-"),
        (b"\"quoted\" {}", b"{\"json\": \"\\u0000\"}"),
        ("é\u{feff}".as_bytes(), "\u{feff}é".as_bytes()),
        (b"every byte", &every_byte),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// With those that no argument can name.
fn most_awkward() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut pairs = awkward();
    pairs.insert(b"nul\0in key".to_vec(), b"\0".to_vec());
    pairs.insert(b"\0".to_vec(), b"nul\0in value".to_vec());
    pairs.insert((1..=255).chain(0..=255).collect(), (0..=255).rev().collect());
    pairs
}

fn jsonl(pairs: &BTreeMap<Vec<u8>, Vec<u8>>) -> String {
    let line = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        let (key, value) = (STANDARD.encode(key), STANDARD.encode(value));
        serde_json::json!({"key": key, "key_encoding": "base64", "value": value, "encoding": "base64"}).to_string()
    };
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn text(object: &serde_json::Value, field: &str, encoding: &str) -> Vec<u8> {
    let text = object[field].as_str().unwrap();
    match object.get(encoding).and_then(serde_json::Value::as_str) {
        Some("base64") => STANDARD.decode(text).unwrap(),
        Some("utf8") | None => text.as_bytes().to_vec(),
        Some(other) => panic!("{other} is no encoding"),
    }
}

fn parse_jsonl(text_of_lines: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let lines = text_of_lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let object: serde_json::Value = serde_json::from_slice(line).unwrap();
            (text(&object, "key", "key_encoding"), text(&object, "value", "encoding"))
        })
        .collect()
}

#[test]
fn any_bytes_that_an_argument_can_name_are_put_read_and_deleted_exactly() {
    let cluster = Cluster::start(1, MEMORY);
    for (key, value) in awkward() {
        assert_success(&put(&cluster, "n1", &key, &value), key.escape_ascii());
        let raw = get(&cluster, "n1", &key);
        assert_success(&raw, key.escape_ascii());
        assert_eq!(raw.stdout.strip_suffix(b"\n"), Some(&value[..]), "{}", key.escape_ascii());

        let json = [bytes(b"-o"), bytes(b"json"), bytes(b"get"), bytes(b"--"), bytes(&key)];
        let answer: serde_json::Value = serde_json::from_slice(&cluster.kvctl("n1", &json).stdout).unwrap();
        assert_eq!(text(&answer, "key", "key_encoding"), key);
        assert_eq!(text(&answer["values"][0], "value", "encoding"), value);

        let ring = [bytes(b"-o"), bytes(b"json"), bytes(b"ring"), bytes(b"--"), bytes(&key)];
        assert_success(&cluster.kvctl("n1", &ring), key.escape_ascii());
        assert_success(&cluster.kvctl("n1", &[bytes(b"del"), bytes(b"--"), bytes(&key)]), key.escape_ascii());
        assert_eq!(get(&cluster, "n1", &key).status.code(), Some(1), "{} was deleted", key.escape_ascii());
    }
}

#[test]
fn any_bytes_go_through_import_and_export_in_both_formats() {
    let pairs = most_awkward();
    let first = Cluster::start(1, MEMORY);
    assert_success(
        &kvctl(&first.node("n1").client, &["import", "-", "--format", "jsonl"], jsonl(&pairs).as_bytes()),
        "jsonl",
    );
    for format in ["jsonl", "tsv"] {
        let exported = first.kvctl("n1", &["export", "--format", format]);
        assert_success(&exported, format);
        let second = Cluster::start(1, MEMORY);
        let imported = kvctl(&second.node("n1").client, &["import", "-", "--format", format], &exported.stdout);
        assert_success(&imported, format);
        let back = second.kvctl("n1", &["export", "--format", "jsonl"]);
        assert!(parse_jsonl(&back.stdout) == pairs, "{format}: {}", String::from_utf8_lossy(&back.stdout));
    }
}

#[test]
fn any_bytes_are_listed_by_a_scan() {
    let pairs = most_awkward();
    let cluster = Cluster::start(1, MEMORY);
    let input = jsonl(&pairs);
    assert_success(
        &kvctl(&cluster.node("n1").client, &["import", "-", "--format", "jsonl"], input.as_bytes()),
        "import",
    );
    let answer: serde_json::Value = serde_json::from_str(&cluster.run("n1", &["-o", "json", "scan"])).unwrap();
    let rows = answer["rows"].as_array().unwrap().iter();
    let found: BTreeMap<Vec<u8>, Vec<u8>> =
        rows.map(|row| (text(row, "key", "key_encoding"), text(&row["values"][0], "value", "encoding"))).collect();
    assert_eq!(found, pairs);
    // As text it is what a tsv export is.
    let (scanned, exported) = (cluster.kvctl("n1", &["scan"]), cluster.kvctl("n1", &["export"]));
    assert_success(&scanned, "scan");
    assert!(scanned.stdout == exported.stdout, "{}", String::from_utf8_lossy(&scanned.stdout));
    for prefix in [&b"nul"[..], b"\xff", b"new\n", b"--"] {
        let flag = [b"--prefix=", prefix].concat();
        let found = cluster.kvctl("n1", &[bytes(b"scan"), bytes(b"--keys-only"), bytes(&flag)]);
        assert_success(&found, prefix.escape_ascii());
        let expected = pairs.keys().filter(|key| key.starts_with(prefix)).count();
        assert_eq!(found.stdout.iter().filter(|byte| **byte == b'\n').count(), expected, "{}", prefix.escape_ascii());
    }
}

/// Imports lines of which some are bad, and checks that exactly those are reported and the others stored.
fn import_with_bad_lines(format: &str, lines: &[(&[u8], bool)]) {
    let cluster = Cluster::start(1, MEMORY);
    let input = lines.iter().map(|(line, _)| *line).collect::<Vec<_>>().join(&b'\n');
    let output = kvctl(&cluster.node("n1").client, &["import", "-", "--format", format], &input);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{message}");
    for (number, (line, good)) in (1..).zip(lines) {
        let reported = message.lines().filter(|said| said.contains(&format!(" line {number}: "))).count();
        assert_eq!(reported, usize::from(!good), "line {number} ({:?}): {message}", line.escape_ascii().to_string());
    }
    let stored = cluster.run("n1", &["export", "--format", "jsonl"]).lines().count();
    assert_eq!(stored, lines.iter().filter(|(_, good)| *good).count(), "{message}");
}

#[test]
fn a_bad_line_of_an_import_is_reported_with_its_number_and_the_rest_goes_in() {
    let too_large = [b"large\t", &[b'v'; 10_240][..]].concat();
    let long_key = [&[b'k'; 1025][..], b"\tv"].concat();
    import_with_bad_lines(
        "tsv",
        &[
            (b"a\t1", true),
            (b"no tab", false),
            (b"b\t2\twith a tab", true),
            (&too_large, false),
            (b"\tempty key", false),
            (b"c\t", true),
            (&long_key, false),
            (b"", false),
            (b"d\t\0\xff", true),
        ],
    );
    let too_large = serde_json::json!({"key": "large", "value": "v".repeat(10_240)}).to_string();
    import_with_bad_lines(
        "jsonl",
        &[
            (br#"{"key":"a","value":"1"}"#, true),
            (b"not json", false),
            (br#"{"key":"a"}"#, false),
            (br#"{"key":"b","value":"*","encoding":"base64"}"#, false),
            (too_large.as_bytes(), false),
            (br#"{"key":"","value":"1"}"#, false),
            (br#"{"key":"c","value":"1","colour":"red"}"#, false),
            (b"{\"key\":\"d\",\"value\":\"\xff\"}", false),
            (b"", false),
            (br#"{"key":"/w==","key_encoding":"base64","value":"\u0000"}"#, true),
        ],
    );
}
