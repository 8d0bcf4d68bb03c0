//! Nodes that die, hang and come back.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, assert_success, kvctl, wait_for};

fn put_many(cluster: &Cluster, node: &str, prefix: &str, count: usize) {
    let pairs: String = (0..count).map(|n| format!("{prefix}{n}\tvalue of {prefix}{n}\n")).collect();
    assert_success(&kvctl(&cluster.node(node).client, &["import", "-"], pairs.as_bytes()), prefix);
}

fn assert_all(cluster: &Cluster, node: &str, prefix: &str, count: usize, level: &str) {
    let exported = cluster.run(node, &["export", "-r", level]);
    let found = exported.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(found, count, "keys {prefix}* through {node} at level {level}");
    let (key, value) = (format!("{prefix}{}", count - 1), format!("value of {prefix}{}\n", count - 1));
    assert_eq!(cluster.run(node, &["get", &key, "-r", level]), value);
}

fn wait_for_state(cluster: &Cluster, witness: &str, node: &str, state: &str) {
    let wanted = (node.to_owned(), state.to_owned());
    wait_for(&format!("{witness} sees {node} {state}"), || cluster.states(witness)?.contains(&wanted).then_some(()));
}

#[test]
fn with_one_of_three_nodes_killed_every_operation_goes_on_and_its_data_is_there_when_it_returns() {
    let mut cluster = Cluster::start(3, &[]);
    put_many(&cluster, "n1", "before-", 300);
    // At level all every replica, n2 too, holds it.
    cluster.run("n1", &["put", "everywhere", "yes", "-w", "all"]);
    cluster.node_mut("n2").kill();

    // At once, before anybody has noticed, and through both that are left.
    for node in ["n1", "n3"] {
        let key = format!("during-{node}");
        cluster.run(node, &["put", &key, "v1"]);
        assert_eq!(cluster.run(node, &["get", &key]), "v1\n");
        cluster.run(node, &["del", &key]);
        assert_eq!(cluster.kvctl(node, &["get", &key]).status.code(), Some(1));
    }
    put_many(&cluster, "n3", "during-", 300);
    wait_for_state(&cluster, "n1", "n2", "down");
    wait_for_state(&cluster, "n3", "n2", "down");
    cluster.run("n1", &["put", "after-notice", "v"]);
    assert_all(&cluster, "n1", "before-", 300, "quorum");

    cluster.node_mut("n2").restart();
    cluster.wait_until_up(3);
    // Level one asks the node itself first: this is its own data.
    assert_eq!(cluster.run("n2", &["get", "everywhere", "-r", "one"]), "yes\n");
    assert_all(&cluster, "n2", "during-", 300, "quorum");
}

#[test]
fn a_hung_node_delays_nobody_and_is_noticed() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    cluster.node_mut("n3").process().signal(Signal::STOP);
    for n in 0..20 {
        let key = format!("k{n}");
        cluster.run("n1", &["put", &key, "v", "--timeout", "2s"]);
        assert_eq!(cluster.run("n2", &["get", &key, "--timeout", "2s"]), "v\n");
    }
    wait_for_state(&cluster, "n1", "n3", "down");
    cluster.node_mut("n3").process().signal(Signal::CONT);
    cluster.wait_until_up(3);
    assert_eq!(cluster.run("n3", &["get", "k0"]), "v\n");
}

#[test]
fn without_a_quorum_requests_fail_in_time_and_say_how_many_answered_and_who_did_not() {
    let mut cluster = Cluster::start(3, &[]);
    for n in 0..4 {
        cluster.run("n1", &["put", &format!("k{n}"), "v", "-w", "all"]);
    }
    cluster.node_mut("n2").kill();
    cluster.node_mut("n3").kill();
    // Before anybody has noticed, and after.
    for noticed in [false, true] {
        if noticed {
            // Alone it cannot know that they are down: that takes two witnesses.
            wait_for("n1 is alone", || {
                let states = cluster.states("n1")?;
                (states.iter().filter(|(_, state)| state == "unreachable" || state == "down").count() == 2)
                    .then_some(())
            });
        }
        for request in [&["get", "k1"][..], &["put", "k2", "w"], &["del", "k3"], &["get", "k1", "-r", "two"]] {
            let start = Instant::now();
            let refused = cluster.kvctl("n1", &[request, &["--timeout", "1s"]].concat());
            let message = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(3), "{request:?}: {message}");
            assert!(start.elapsed() < Duration::from_secs(3), "{request:?} took {:?}", start.elapsed());
            assert!(message.contains("n2") && message.contains("n3"), "{request:?}: {message}");
            // A node that has lost both others need not even wait for itself.
            let told = ["0 answered", "1 answered", "1 is up"].iter().any(|count| message.contains(count));
            assert!(told && message.contains("2 of 3 replicas"), "{request:?} does not say how many: {message}");
            assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        }
        // A key that no failed write has touched.
        assert_eq!(cluster.run("n1", &["get", "k0", "-r", "one"]), "v\n");
        // What the failed put and delete were meant to do may or may not show.
        for key in ["k2", "k3"] {
            let read = cluster.kvctl("n1", &["get", key, "-r", "one"]);
            assert!(matches!(read.status.code(), Some(0 | 1)), "level one still reads");
        }
        assert_eq!(
            cluster.run("n1", &["export", "-r", "one"]).lines().filter(|line| line.starts_with("k0\t")).count(),
            1
        );
    }
}

#[test]
fn all_nodes_killed_at_once_have_lost_nothing_that_was_acknowledged() {
    for engine in ["lsm", "sled"] {
        kill_all_nodes_at_once(engine);
    }
}

fn kill_all_nodes_at_once(engine: &str) {
    let mut cluster = Cluster::start(3, &["--engine", engine]);
    put_many(&cluster, "n1", "a-", 500);
    put_many(&cluster, "n3", "b-", 500);
    cluster.run("n2", &["del", "a-0"]);
    for node in &mut cluster.nodes {
        node.kill();
    }
    for name in ["n3", "n1", "n2"] {
        cluster.node_mut(name).restart();
    }
    cluster.wait_until_up(3);
    assert_all(&cluster, "n2", "b-", 500, "quorum");
    assert_eq!(cluster.kvctl("n3", &["get", "a-0"]).status.code(), Some(1), "what was deleted stays deleted");
    assert_eq!(cluster.run("n3", &["get", "a-1"]), "value of a-1\n");
    let exported = cluster.run("n1", &["export"]);
    assert_eq!(exported.lines().count(), 999);
}

#[test]
fn an_engine_that_keeps_nothing_says_so_at_start() {
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    assert!(cluster.node("n1").log().contains("keeps nothing over a restart"), "{}", cluster.node("n1").log());
}
