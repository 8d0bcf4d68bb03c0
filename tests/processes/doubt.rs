//! Nodes whose data was lost, set back or exchanged: they take writes and answer no reads.

use std::fs;

use crate::harness::{Cluster, assert_success, kvctl, wait_for};

const KEYS: usize = 200;

fn put_all(cluster: &Cluster, node: &str, value: &str) {
    let pairs: String = (0..KEYS).map(|n| format!("k{n}\t{value}\n")).collect();
    assert_success(&kvctl(&cluster.node(node).client, &["import", "-"], pairs.as_bytes()), "import");
}

/// Whether a member is in doubt, as another sees it.
fn in_doubt(cluster: &Cluster, witness: &str, name: &str) -> bool {
    let status: serde_json::Value =
        serde_json::from_str(&cluster.run(witness, &["-o", "json", "status"])).expect("it is JSON");
    let members = status["members"].as_array().unwrap();
    let named: Vec<_> = members.iter().filter(|member| member["name"] == name).collect();
    assert_eq!(named.len(), 1, "{status}");
    named[0]["in_doubt"].as_bool().unwrap()
}

/// It answers no reads from what it holds, those of quorums are right, and it takes writes.
fn assert_in_doubt(cluster: &Cluster, name: &str, value: &str) {
    wait_for("the others know that it is in doubt", || in_doubt(cluster, "n1", name).then_some(()));
    assert_eq!(cluster.node(name).figure("kvorum_in_doubt"), 1.0);
    for node in ["n1", name] {
        let exported = cluster.run(node, &["export", "-r", "one"]);
        let right = exported.lines().filter(|line| line.ends_with(&format!("\t{value}"))).count();
        assert_eq!(right, KEYS, "through {node}:\n{exported}");
        assert_eq!(cluster.run(node, &["get", "k7"]), format!("{value}\n"));
        assert_eq!(cluster.run(node, &["get", "k8", "-r", "one"]), format!("{value}\n"));
    }
    let refused = cluster.kvctl("n1", &["get", "k7", "-r", "all"]);
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(3) && message.contains("is in doubt"), "{message}");
    cluster.run(name, &["put", "everywhere", "yes", "-w", "all"]);
    assert!(cluster.run("n1", &["status"]).contains(&format!("warning: {name} is in doubt: ")));
}

#[test]
fn a_node_whose_store_was_deleted_is_in_doubt_and_stays_so() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "v");
    assert!(!in_doubt(&cluster, "n1", "n2"));
    let node = cluster.node_mut("n2");
    node.kill();
    fs::remove_dir_all(node.data().join("lsm")).unwrap();
    node.restart();
    cluster.wait_until_up(3);
    assert_in_doubt(&cluster, "n2", "v");
    let node = cluster.node_mut("n2");
    node.kill();
    node.restart();
    cluster.wait_until_up(3);
    assert_in_doubt(&cluster, "n2", "v");
}

#[test]
fn a_node_set_back_to_an_old_copy_of_its_directory_is_in_doubt() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "old");
    let copy = cluster.path("copy");
    cluster.node("n2").copy_data(&copy);
    let ceiling = |cluster: &Cluster| fs::read(cluster.node("n2").data().join("clock.ceiling")).unwrap();
    put_all(&cluster, "n2", "new");
    // Its clock goes on, and its peers hear of it: of the first step at the latest when the second is made.
    for _ in 0..2 {
        let before = ceiling(&cluster);
        wait_for("the clock's ceiling rises", || (ceiling(&cluster) != before).then_some(()));
    }
    let node = cluster.node_mut("n2");
    node.kill();
    fs::remove_dir_all(node.data()).unwrap();
    fs::rename(&copy, node.data()).unwrap();
    node.restart();
    cluster.wait_until_up(3);
    assert_in_doubt(&cluster, "n2", "new");
    assert!(cluster.node("n2").log().contains("its data directory is an older copy"));
}

#[test]
fn a_node_that_lost_its_whole_directory_takes_its_own_place_in_doubt() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "v");
    let id = |cluster: &Cluster| {
        let status: serde_json::Value =
            serde_json::from_str(&cluster.run("n1", &["-o", "json", "status"])).expect("it is JSON");
        let members = status["members"].as_array().unwrap();
        members.iter().find(|member| member["name"] == "n3").unwrap()["id"].as_str().unwrap().to_owned()
    };
    let before = id(&cluster);
    let node = cluster.node_mut("n3");
    node.kill();
    fs::remove_dir_all(node.data()).unwrap();
    // It waits until the others have found out that the member of its name is down.
    node.restart();
    cluster.wait_until_up(3);
    assert_eq!(id(&cluster), before, "the layout stays as it was");
    assert_in_doubt(&cluster, "n3", "v");
    assert!(cluster.node("n3").log().contains("takes its place"), "{}", cluster.node("n3").log());
}

#[test]
fn when_every_node_has_lost_its_memory_the_cluster_goes_on_with_nothing() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    put_all(&cluster, "n1", "v");
    for node in &mut cluster.nodes {
        node.kill();
    }
    for name in ["n1", "n2", "n3"] {
        cluster.node_mut(name).restart();
    }
    cluster.wait_until_up(3);
    for name in ["n1", "n2", "n3"] {
        wait_for("its doubt ends", || (cluster.node(name).figure("kvorum_in_doubt") == 0.0).then_some(()));
        assert!(cluster.node(name).log().contains("may be lost on every member"), "{}", cluster.node(name).log());
    }
    cluster.run("n2", &["put", "k", "v", "-w", "all"]);
    assert_eq!(cluster.run("n3", &["get", "k", "-r", "all"]), "v\n");
}
