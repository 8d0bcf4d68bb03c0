//! A cluster with a key: who has it gets in, who has another or none is told why not, on both sides.

use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Node, binary, finish, wait_for};

fn key_file(directory: &Path, name: &str, key: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    std::fs::write(&path, format!("{key}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn with(file: &Path) -> [&str; 4] {
    ["--engine", "memory", "--cluster-key-file", file.to_str().unwrap()]
}

/// A node that wants to join and is not let in.
fn stranger(cluster: &Cluster, name: &str, flags: &[&str]) -> Node {
    let seed = cluster.node("n1").peer.clone();
    let mut node = Node::unready(&cluster.path(name), name, &[&["--seeds", &seed][..], flags].concat());
    node.launch();
    node
}

#[test]
fn only_nodes_with_the_same_key_get_in_and_the_others_are_told_why() {
    let directory = tempfile::tempdir().unwrap();
    let ours = key_file(directory.path(), "ours", &"4f".repeat(32));
    let theirs = key_file(directory.path(), "theirs", &"5e".repeat(32));
    let cluster = Cluster::start(3, &with(&ours));
    cluster.run("n1", &["put", "k", "v", "-w", "all"]);
    assert_eq!(cluster.run("n3", &["get", "k", "-r", "all"]), "v\n");
    assert_eq!(cluster.node("n1").figure("kvorum_peer_refusals_total"), 0.0);
    assert!(!cluster.node("n1").log().contains(&"4f".repeat(8)), "the key is in no log");

    let with_other = stranger(&cluster, "other", &with(&theirs));
    let with_none = stranger(&cluster, "none", &["--engine", "memory"]);
    for (node, reason, told) in
        [(&with_other, "other_key", "another cluster key"), (&with_none, "unsealed", "this cluster has a key")]
    {
        wait_for(&format!("{} says why it is not let in", node.name), || {
            let log = node.log();
            (log.contains("the peer does not listen to this node") && log.contains(told)).then_some(())
        });
        let counted = || cluster.node("n1").figure_of("kvorum_peer_refusals_total", reason);
        wait_for(&format!("refusals for {reason} are counted"), || (counted()? > 0.0).then_some(()));
    }
    let log =
        wait_for("a member says so, too", || Some(cluster.node("n1").log()).filter(|log| log.contains("is refused")));
    assert!(log.contains(&with_other.peer) || log.contains(&with_none.peer), "it says who: {log}");
    assert!(log.matches("a control message is refused").count() < 20, "now and then, not each time: {log}");
    let members = cluster.states("n1").unwrap();
    assert_eq!(members.len(), 3, "{members:?}");
}

#[test]
fn a_node_with_a_key_is_told_that_a_cluster_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let key = key_file(directory.path(), "key", &"4f".repeat(32));
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    let node = stranger(&cluster, "keyed", &with(&key));
    wait_for("it says why it is not let in", || {
        node.log().contains("the sender has a cluster key, and the receiver has none").then_some(())
    });
}

#[test]
fn a_key_file_that_is_none_is_a_usage_error_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let short = key_file(directory.path(), "short", "4f4f");
    let missing = directory.path().join("missing");
    for (file, told) in [(&short, "only 4 digits"), (&missing, "cannot read the cluster key")] {
        let mut command = binary("kvnode");
        command.args([
            "run",
            "--listen",
            "127.0.0.1:0",
            "--peer-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
        ]);
        command.arg("--data-dir").arg(directory.path().join("data")).args(with(file));
        let output = finish(command);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        let line = message.lines().find(|line| line.starts_with("kvnode: ")).unwrap_or_default();
        assert!(line.contains(told) && line.contains(file.to_str().unwrap()), "{message}");
    }
}
