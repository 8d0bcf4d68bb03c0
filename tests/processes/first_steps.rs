//! What a newcomer does first: put, get, delete, look around, and move data in and out.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::harness::{Cluster, assert_success, kvctl};

/// Pairs of many sizes, with what the tsv format escapes, as it writes it: a backslash that could not be mistaken stands
/// alone.
fn pairs(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        writeln!(text, "key-{n:06}\t{}", format!("value {n} with \\t, \\n, \\\\n and \\; é ").repeat(1 + n % 7))
            .unwrap();
        text
    })
}

fn lines(bytes: &[u8]) -> BTreeSet<&[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_value_put_through_one_node_is_read_and_deleted_through_the_others() {
    let cluster = Cluster::start(3, &["--engine", "memory"]);
    cluster.run("n1", &["put", "greeting", "hello"]);
    assert_eq!(cluster.run("n2", &["get", "greeting"]), "hello\n");
    cluster.run("n3", &["del", "greeting"]);
    let absent = cluster.kvctl("n1", &["get", "greeting"]);
    assert_eq!(absent.status.code(), Some(1), "a deleted key is not found");
    assert!(absent.stdout.is_empty());

    let ring: serde_json::Value =
        serde_json::from_str(&cluster.run("n2", &["-o", "json", "ring", "greeting"])).unwrap();
    let replicas: BTreeSet<&str> =
        ring["replicas"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(replicas, BTreeSet::from(["n1", "n2", "n3"]));
}

#[test]
fn what_is_imported_through_one_node_is_exported_through_another_byte_for_byte() {
    // Two shards a node: requests and frames for the other shard's partitions hop between threads.
    let cluster = Cluster::start(3, &["--shards", "2"]);
    let pairs = pairs(10_000);
    let imported = kvctl(&cluster.node("n1").client, &["import", "-"], pairs.as_bytes());
    assert_success(&imported, "import");
    let exported = cluster.kvctl("n3", &["export"]);
    assert_success(&exported, "export");
    assert!(lines(&exported.stdout) == lines(pairs.as_bytes()), "the export differs from the import");
}

#[test]
fn a_value_with_a_time_to_live_is_gone_afterwards() {
    let cluster = Cluster::start(1, &[]);
    cluster.run("n1", &["put", "code", "1234", "--ttl", "300ms"]);
    crate::harness::wait_for("the value expires", || {
        (cluster.kvctl("n1", &["get", "code"]).status.code() == Some(1)).then_some(())
    });
    cluster.run("n1", &["put", "code", "5678", "--ttl", "5m"]);
    assert_eq!(cluster.run("n1", &["get", "code"]), "5678\n");
}
