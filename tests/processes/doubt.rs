//! Nodes whose data was lost, set back or exchanged: they are noticed, take writes, answer no reads from what they hold,
//! pull what they may have lost from the others, and then count again. Whoever insists on replicas misses no write meanwhile.

mod readers;

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Cluster, assert_success, block_on, client, kvctl, scan_one, wait_for};

use readers::Readers;

/// Written once and read all the time.
const KEYS: usize = 300;
/// What makes pulling last.
const BALLAST: usize = 3000;

fn put_all(cluster: &Cluster, node: &str, value: &str) {
    let pairs: String = (0..KEYS).map(|n| format!("k{n}\t{value}\n")).collect();
    assert_success(&kvctl(&cluster.node(node).client, &["import", "-"], pairs.as_bytes()), "import");
}

fn put_ballast(cluster: &Cluster) {
    let value = "b".repeat(3000);
    let pairs: String = (0..BALLAST).map(|n| format!("ballast{n}\t{value}\n")).collect();
    assert_success(&kvctl(&cluster.node("n1").client, &["import", "-"], pairs.as_bytes()), "import");
}

/// What a node says of a member.
fn member(cluster: &Cluster, witness: &str, name: &str) -> Value {
    let status: Value = serde_json::from_str(&cluster.run(witness, &["-o", "json", "status"])).expect("it is JSON");
    let members = status["members"].as_array().unwrap();
    let named: Vec<_> = members.iter().filter(|member| member["name"] == name).collect();
    assert_eq!(named.len(), 1, "{status}");
    named[0].clone()
}

/// Waits until a node's doubt has ended, and everybody knows; tells the progress that was seen.
fn wait_until_it_knows(cluster: &Cluster, name: &str) {
    let mut progress = Vec::new();
    wait_for("its doubt ends", || {
        let member = member(cluster, name, name);
        let (pulled, to_pull) = (member["pulled"].as_u64().unwrap(), member["to_pull"].as_u64().unwrap());
        if to_pull > 0 && progress.last() != Some(&(pulled, to_pull)) {
            progress.push((pulled, to_pull));
        }
        (member["in_doubt"] == false).then_some(())
    });
    eprintln!("{name} has pulled; progress seen: {progress:?}");
    assert!(progress.is_sorted(), "{progress:?}");
    assert_eq!(cluster.node(name).figure("kvorum_in_doubt"), 0.0);
    let log = cluster.node(name).log();
    assert!(log.contains("no longer in doubt: what may have been lost is here"), "{log}");
    for witness in ["n1", "n2", "n3"] {
        wait_for("everybody knows", || (member(cluster, witness, name)["in_doubt"] == false).then_some(()));
    }
    assert!(!cluster.run("n1", &["status"]).contains("in doubt"));
    // All count: this needs every one of them to answer.
    assert_eq!(cluster.run("n1", &["export", "-r", "all"]).lines().filter(|line| line.starts_with('k')).count(), KEYS);
}

/// With all others gone, a node at level one has nobody to ask but itself.
fn assert_holds_all_itself(cluster: &mut Cluster, name: &str, value: &str) {
    for other in cluster.nodes.iter_mut().filter(|node| node.name != name) {
        other.kill();
    }
    let found = block_on(async { scan_one(&client(cluster, &[name])).await });
    let right = found.iter().filter(|(key, found)| key.starts_with('k') && found == value).count();
    assert_eq!(right, KEYS, "{name} lacks something that it held");
}

#[test]
fn a_node_whose_store_was_deleted_pulls_and_counts_again_and_no_acknowledged_write_is_missed_meanwhile() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "v");
    put_ballast(&cluster);
    assert_eq!(member(&cluster, "n1", "n2")["in_doubt"], false);
    let readers = Readers::start(&cluster, &["n1", "n3"], "v");
    let node = cluster.node_mut("n2");
    node.kill();
    fs::remove_dir_all(node.data().join("lsm")).unwrap();
    node.restart();
    // It serves all the same, through others.
    let through_it = Readers::start(&cluster, &["n2"], "v");
    wait_until_it_knows(&cluster, "n2");
    for (readers, which) in [(readers, "n1 and n3"), (through_it, "n2")] {
        let (answered, refused) = readers.end();
        eprintln!("{answered} reads through {which}, refused: {refused:?}");
        assert!(answered > 0, "nothing was read through {which}");
        assert!(refused.is_empty(), "two replicas were there all the time: {refused:?}");
    }
    assert!(cluster.node("n2").log().contains("in doubt: "), "{}", cluster.node("n2").log());
    cluster.wait_until_up(3);
    assert_holds_all_itself(&mut cluster, "n2", "v");
}

#[test]
fn a_node_set_back_to_an_old_copy_of_its_directory_pulls_what_it_has_forgotten() {
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
    let readers = Readers::start(&cluster, &["n1", "n3"], "new");
    let node = cluster.node_mut("n2");
    node.kill();
    fs::remove_dir_all(node.data()).unwrap();
    fs::rename(&copy, node.data()).unwrap();
    node.restart();
    assert!(cluster.node("n2").log().contains("its data directory is an older copy"));
    let through_it = Readers::start(&cluster, &["n2"], "new");
    wait_until_it_knows(&cluster, "n2");
    let ((answered, refused), (through_it, _)) = (readers.end(), through_it.end());
    eprintln!("{answered} reads through n1 and n3, {through_it} through n2, refused: {refused:?}");
    assert!(answered > 0 && through_it > 0 && refused.is_empty());
    cluster.wait_until_up(3);
    assert_holds_all_itself(&mut cluster, "n2", "new");
}

#[test]
fn while_a_node_that_may_hold_what_it_lost_is_away_a_node_stays_in_doubt_and_answers_no_reads() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "v");
    for name in ["n2", "n3"] {
        cluster.node_mut(name).kill();
    }
    let node = cluster.node_mut("n2");
    fs::remove_dir_all(node.data().join("lsm")).unwrap();
    // Over a restart, too.
    for _ in 0..2 {
        cluster.node_mut("n2").restart();
        wait_for("n1 knows that it is in doubt and has all to pull", || {
            let member = member(&cluster, "n1", "n2");
            (member["in_doubt"] == true && member["pulled"] == 0 && member["to_pull"] == 256).then_some(())
        });
        assert_eq!(cluster.node("n2").figure("kvorum_in_doubt"), 1.0);
        let status = cluster.run("n1", &["status"]);
        assert!(status.contains("warning: n2 is in doubt: ") && status.contains("pulled 0 of 256"), "{status}");
        for node in ["n1", "n2"] {
            wait_for("nobody waits for n3 any more", || {
                let states = cluster.states(node)?;
                states.iter().any(|(name, state)| name == "n3" && state == "down").then_some(())
            });
            // There is one replica whose word counts.
            for counting in ["--strict", "--sloppy"] {
                let refused = cluster.kvctl(node, &["--timeout", "1s", "get", "k7", counting]);
                let message = String::from_utf8(refused.stderr).unwrap();
                assert!(refused.status.code() == Some(3) && message.contains("n2 is in doubt"), "{message}");
            }
            assert_eq!(cluster.run(node, &["get", "k8", "-r", "one"]), "v\n");
            // A write is as safe on it as anywhere. One that has just started beside too few peers to judge its clock by may
            // need some seconds before it coordinates any.
            wait_for("it takes writes", || {
                cluster.kvctl(node, &["put", "meanwhile", node, "-w", "two"]).status.success().then_some(())
            });
        }
        cluster.node_mut("n2").kill();
    }
    cluster.node_mut("n2").restart();
    cluster.node_mut("n3").restart();
    wait_until_it_knows(&cluster, "n2");
    assert_eq!(cluster.run("n3", &["get", "meanwhile", "--strict"]), "n2\n");
    cluster.wait_until_up(3);
    assert_holds_all_itself(&mut cluster, "n2", "v");
}

#[test]
fn what_was_on_a_lost_store_and_on_a_node_that_hangs_is_not_said_to_be_absent() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "v");
    cluster.node_mut("n3").kill();
    cluster.run("n1", &["put", "fresh", "v", "-w", "two"]);
    let node = cluster.node_mut("n2");
    node.kill();
    fs::remove_dir_all(node.data().join("lsm")).unwrap();
    // It keeps the hint for n3, and does not get to deliver it.
    cluster.node_mut("n1").process().signal(Signal::STOP);
    for name in ["n2", "n3"] {
        cluster.node_mut(name).launch();
    }
    for name in ["n2", "n3"] {
        cluster.node_mut(name).wait_until_ready();
    }
    let refused = |node: &str| {
        for counting in ["--strict", "--sloppy"] {
            let output = cluster.kvctl(node, &["--timeout", "1s", "get", "fresh", counting]);
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "n2 knows nothing, and n3 has missed it: {message}");
            if !message.contains("n2 is in doubt") {
                return None;
            }
        }
        Some(())
    };
    for node in ["n2", "n3"] {
        wait_for("the reason is known", || refused(node));
    }
    cluster.node_mut("n1").process().signal(Signal::CONT);
    wait_until_it_knows(&cluster, "n2");
    for node in ["n1", "n2", "n3"] {
        assert_eq!(cluster.run(node, &["get", "fresh", "--strict"]), "v\n");
    }
}

#[test]
fn a_node_that_lost_its_whole_directory_takes_its_own_place_and_pulls_all() {
    let mut cluster = Cluster::start(3, &[]);
    put_all(&cluster, "n1", "v");
    let before = member(&cluster, "n1", "n3")["id"].clone();
    let readers = Readers::start(&cluster, &["n1", "n2"], "v");
    let node = cluster.node_mut("n3");
    node.kill();
    fs::remove_dir_all(node.data()).unwrap();
    // It waits until the others have found out that the member of its name is down.
    node.restart();
    assert!(cluster.node("n3").log().contains("takes its place"), "{}", cluster.node("n3").log());
    wait_until_it_knows(&cluster, "n3");
    let (answered, refused) = readers.end();
    assert!(answered > 0 && refused.is_empty(), "{answered} reads were answered, refused: {refused:?}");
    assert_eq!(member(&cluster, "n1", "n3")["id"], before, "the layout stays as it was");
    cluster.wait_until_up(3);
    assert_holds_all_itself(&mut cluster, "n3", "v");
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
        // One that has heard the others out before it knows that all have lost theirs has pulled what they hold: nothing.
        let log = cluster.node(name).log();
        assert!(log.contains("may be lost on every member") || log.contains("no longer in doubt"), "{log}");
    }
    cluster.run("n2", &["put", "k", "v", "-w", "all"]);
    assert_eq!(cluster.run("n3", &["get", "k", "-r", "all"]), "v\n");
}
