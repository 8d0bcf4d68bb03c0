//! The stores below a node: which one it uses, and what it says when its disk fails it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kvorum_client::{Client, Config, Outcome, Route};
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::harness::{Cluster, SmallDisk, assert_success, kvctl, wait_for};
use crate::mistakes::{OTHER, assert_node_refuses, node};

/// The files of a store whose names end so, oldest first.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.to_str().unwrap().ends_with(end)).collect();
    paths.sort();
    paths
}

#[test]
fn a_node_keeps_its_data_in_lsm_without_a_warning_unless_told_otherwise() {
    let cluster = Cluster::start(1, &[]);
    cluster.run("n1", &["put", "k", "v"]);
    let node = cluster.node("n1");
    assert!(node.data().join("lsm/CURRENT").exists());
    assert!(std::fs::read_to_string(node.data().join("identity.toml")).unwrap().contains("engine = \"lsm\""));
    assert!(!node.log().contains("WARN"), "{}", node.log());
    let status = cluster.run("n1", &["status"]);
    assert!(!status.contains("engine") && !status.contains("durability"), "{status}");

    let other = Cluster::start(1, &["--durability", "interval"]);
    assert!(other.node("n1").log().contains("durability interval"), "{}", other.node("n1").log());
}

#[test]
fn data_of_another_engine_are_not_touched_and_it_is_said_how_to_reach_them() {
    let mut cluster = Cluster::start(1, &["--engine", "sled"]);
    cluster.run("n1", &["put", "k", "v"]);
    cluster.node_mut("n1").process().signal(Signal::TERM);
    assert!(cluster.node_mut("n1").process().wait().success());
    let directory = cluster.node("n1").data().to_owned();
    // As somebody starts it who never chose an engine.
    assert_node_refuses(node(&directory, &["--engine", "lsm"]), OTHER, &["--engine sled", "--data-dir"]);
    assert!(!directory.join("lsm").exists());
    cluster.node_mut("n1").restart();
    assert_eq!(cluster.run("n1", &["get", "k"]), "v\n");
}

#[test]
fn a_damaged_store_is_not_opened_and_the_place_is_told() {
    let mut cluster = Cluster::start(1, &["--memory", "64MiB"]);
    let lines: String = (0..500).map(|n| format!("k{n}\t{}\n", "v".repeat(5000))).collect();
    assert_success(&kvctl(&cluster.node("n1").client, &["import", "-"], lines.as_bytes()), "import");
    cluster.node_mut("n1").process().signal(Signal::TERM);
    assert!(cluster.node_mut("n1").process().wait().success());
    let directory = cluster.node("n1").data().to_owned();
    let store = directory.join("lsm");
    for (end, at) in [(".log", 100), ("", 30)] {
        let path = match end {
            "" => {
                store.join(std::fs::read_to_string(store.join("CURRENT")).unwrap().split_whitespace().next().unwrap())
            }
            end => files(&store, end).pop().unwrap(),
        };
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, &damaged).unwrap();
        let words = [path.to_str().unwrap(), "at byte", "restore"];
        assert_node_refuses(node(&directory, &["--engine", "lsm", "--memory", "64MiB"]), OTHER, &words);
        std::fs::write(&path, &whole).unwrap();
    }
    cluster.node_mut("n1").restart();
    assert_eq!(cluster.run("n1", &["get", "k499"]).len(), 5001);
}

#[test]
fn a_node_whose_disk_fills_up_says_so_acknowledges_nothing_more_and_has_lost_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(temp.path(), 24 << 10) else {
        println!("skipped: this process may not mount a small file system");
        return;
    };
    let mut cluster = Cluster::alone_in(temp.path(), &["--memory", "64MiB"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config =
        Config::new([cluster.node("n1").client.clone()]).route(Route::Endpoints).timeout(Duration::from_secs(5));
    let value = |n: usize| format!("{n:08} {}", "value ".repeat(1000));
    let (acknowledged, failures) = runtime.block_on(async {
        let client = Client::connect(config).await.unwrap();
        let mut writers = JoinSet::new();
        for writer in 0..16 {
            let client = client.clone();
            writers.spawn(async move {
                let mut acknowledged = Vec::new();
                // It ends, for the disk has room for some 4000.
                for n in (writer..1_000_000).step_by(16) {
                    match client.put(format!("k{n}"), value(n)).await {
                        Ok(_) => acknowledged.push(n),
                        Err(error) => return (acknowledged, error),
                    }
                }
                panic!("a disk of 24 MiB took everything");
            });
        }
        let (mut acknowledged, mut failures) = (Vec::new(), Vec::new());
        while let Some(ended) = writers.join_next().await {
            let (mut of_writer, error) = ended.unwrap();
            acknowledged.append(&mut of_writer);
            failures.push(error);
        }
        (acknowledged, failures)
    });
    println!("{} writes were acknowledged before {}", acknowledged.len(), failures[0]);
    assert!(acknowledged.len() > 500);
    // Those under way when it happened; nobody knows what became of them.
    assert!(failures.iter().any(|error| error.outcome() == Outcome::Unknown), "{failures:?}");
    let refused = kvctl(&cluster.node("n1").client, &["put", "one", "more", "--timeout", "2s"], b"");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("No space left") && said.contains("restart"), "{said}");
    wait_for("the node is not ready any more", || {
        cluster.node("n1").http("/readyz").contains("the node's store has failed").then_some(())
    });
    assert_eq!(cluster.node("n1").figure("kvorum_store_failed"), 1.0);
    assert!(cluster.node("n1").log().contains("No space left"), "{}", cluster.node("n1").log());

    cluster.node_mut("n1").kill();
    disk.resize(96 << 10);
    cluster.node_mut("n1").restart();
    let exported = cluster.run("n1", &["export"]);
    let mut stored: std::collections::HashMap<&str, &str> =
        exported.lines().map(|line| line.split_once('\t').unwrap()).collect();
    for n in acknowledged {
        assert_eq!(stored.remove(format!("k{n}").as_str()), Some(value(n).as_str()), "k{n} was acknowledged");
    }
    assert!(stored.keys().all(|key| key.starts_with('k')), "nothing that was rejected is there");
    cluster.run("n1", &["put", "one", "more"]);
    assert_eq!(cluster.run("n1", &["get", "one"]), "more\n");
    // Its files must be closed before their disk goes.
    drop(cluster);
    drop(disk);
}
