//! Nodes that come later, and nodes that should not.

use crate::harness::{Cluster, wait_for};

#[test]
fn a_node_without_a_share_answers_by_forwarding() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    cluster.join(&["--engine", "memory"]);
    // It is ready as soon as it says so.
    cluster.run("n4", &["put", "k", "v"]);
    assert_eq!(cluster.run("n1", &["get", "k"]), "v\n");
    assert_eq!(cluster.run("n4", &["get", "k"]), "v\n");
    assert_eq!(cluster.run("n4", &["export"]), "k\tv\n");
    cluster.run("n4", &["del", "k"]);
    assert_eq!(cluster.kvctl("n4", &["get", "k"]).status.code(), Some(1));

    cluster.wait_until_up(4);
    // With a replica gone it forwards to another.
    cluster.node_mut("n1").kill();
    for n in 0..20 {
        let key = format!("k{n}");
        wait_for("the forwarding node asks a replica that lives", || {
            cluster.kvctl("n4", &["put", &key, "v"]).status.success().then_some(())
        });
        assert_eq!(cluster.run("n4", &["get", &key]), "v\n");
    }
}

#[test]
fn before_the_founding_nodes_are_present_requests_are_refused_with_the_reason() {
    // Alone, the founder of a cluster of two serves, but no data.
    let directory = tempfile::tempdir().unwrap();
    let mut command = crate::harness::binary("kvnode");
    command.args([
        "run",
        "--name",
        "n1",
        "--initial-nodes",
        "2",
        "--listen",
        "127.0.0.1:0",
        "--peer-listen",
        "127.0.0.1:0",
    ]);
    command.args(["--http-listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path());
    let process = crate::harness::Process::start("n1", command);
    let ready = process.line("ready ");
    let client = ready.split_whitespace().find_map(|word| word.strip_prefix("client=")).unwrap();
    let refused = crate::harness::kvctl(client, &["put", "k", "v", "--timeout", "500ms"], b"");
    assert_eq!(refused.status.code(), Some(3));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("1 of 2 nodes"), "{message}");
}
