//! Hints over real processes: what a killed node has missed is on its own disk again without anybody having read it, also
//! when the node that keeps the hints is killed in the middle of the delivery.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kvorum_client::{Client, GetOptions, Level, Token};
use rustix::process::Signal;

use crate::harness::{
    Cluster, assert_success, block_on, client, for_each, hints, kvctl, scan_one, wait_for, wait_until_no_hints,
};

const PAIRS: usize = 50_000;
/// As many as are delivered while a holder can be killed.
const FEWER_PAIRS: usize = 20_000;

fn key(n: usize) -> String {
    format!("key-{n:05}")
}

/// 20 to 100 bytes.
fn value(n: usize) -> String {
    format!("{n:020}{}", "-".repeat(n * 7 % 81))
}

fn import(cluster: &Cluster, node: &str, pairs: usize) {
    let lines: String = (0..pairs).map(|n| format!("{}\t{}\n", key(n), value(n))).collect();
    assert_success(&kvctl(&cluster.node(node).client, &["import", "-"], lines.as_bytes()), "import");
}

/// How many hints are kept, and their bytes; none while a node that is up does not say.
async fn kept(client: &Client) -> Option<(u64, u64)> {
    let queues = hints(client).await?.queues;
    Some((queues.iter().map(|queue| queue.count).sum(), queues.iter().map(|queue| queue.bytes).sum()))
}

/// Waits until so many hints are kept: a write is acknowledged before those that missed it are given up. Gives their bytes.
fn wait_until_kept(cluster: &Cluster, node: &str, count: usize) -> u64 {
    wait_for(&format!("{count} hints are kept"), || {
        let (kept, bytes) = block_on(kept(&client(cluster, &[node])))?;
        assert!(kept <= count as u64, "{kept} hints are kept of {count}");
        (kept == count as u64).then_some(bytes)
    })
}

/// Restarts nodes and waits until nobody keeps hints.
fn restart_and_deliver(cluster: &mut Cluster, names: &[&str]) -> Duration {
    for name in names {
        cluster.node_mut(name).restart();
    }
    let began = Instant::now();
    block_on(wait_until_no_hints(&client(cluster, &["n1"])));
    began.elapsed()
}

/// Asserts that a node holds exactly these pairs: with all others gone, at level one it has nobody to ask but itself.
fn assert_holds_all_itself(cluster: &mut Cluster, name: &str, pairs: usize) {
    for other in cluster.nodes.iter_mut().filter(|node| node.name != name) {
        other.kill();
    }
    let expected: BTreeMap<_, _> = (0..pairs).map(|n| (key(n), value(n))).collect();
    let found = block_on(async { scan_one(&client(cluster, &[name])).await });
    assert_eq!(found.len(), pairs);
    assert!(BTreeMap::from_iter(found) == expected, "every value is the one that was written");
}

#[test]
fn of_three_nodes_one_that_was_killed_gets_every_write_that_it_missed_without_a_read() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.node_mut("n3").kill();
    let began = Instant::now();
    import(&cluster, "n1", PAIRS);
    let written = began.elapsed();
    let bytes = wait_until_kept(&cluster, "n1", PAIRS);
    let delivered = restart_and_deliver(&mut cluster, &["n3"]);
    eprintln!(
        "{PAIRS} pairs written in {written:?}; {bytes} bytes of hints delivered {delivered:?} after n3 was ready"
    );
    assert_holds_all_itself(&mut cluster, "n3", PAIRS);
}

/// The replicas of every key; one key of each partition is asked for.
async fn replicas_of_all(client: &Client) -> Vec<Vec<String>> {
    let partition = |n: usize| (Token::of(key(n).as_bytes()).0 >> 56) as usize;
    let mut replicas: Vec<Option<Vec<String>>> = vec![None; 256];
    let mut of_all = Vec::with_capacity(PAIRS);
    for n in 0..PAIRS {
        if replicas[partition(n)].is_none() {
            let place = client.ring(Some(key(n).as_bytes())).await.unwrap().place.unwrap();
            assert_eq!(
                place.partition as usize,
                partition(n),
                "a cluster has 256 partitions unless it is told otherwise"
            );
            replicas[partition(n)] = Some(place.replicas);
        }
        of_all.extend(replicas[partition(n)].clone());
    }
    of_all
}

#[test]
fn of_five_nodes_two_that_were_killed_get_every_write_that_they_missed_without_a_read() {
    let mut cluster = Cluster::start(5, &[]);
    let replicas = block_on(replicas_of_all(&client(&cluster, &["n1"])));
    let share = |name: &str| -> Vec<usize> {
        (0..PAIRS).filter(|n| replicas[*n].iter().any(|replica| replica == name)).collect()
    };
    let returning = ["n4", "n5"];
    let shares = returning.map(share);
    for name in returning {
        cluster.node_mut(name).kill();
    }
    import(&cluster, "n2", PAIRS);
    let missed = shares.iter().map(Vec::len).sum();
    let bytes = wait_until_kept(&cluster, "n2", missed);
    let delivered = restart_and_deliver(&mut cluster, &returning);
    eprintln!("{missed} hints of {bytes} bytes delivered {delivered:?} after n4 and n5 were ready");
    for name in ["n1", "n2", "n3"] {
        cluster.node_mut(name).kill();
    }
    // Each alone: at level one it has nobody to ask but itself.
    for ([name, other], share) in [["n4", "n5"], ["n5", "n4"]].iter().zip(shares) {
        cluster.node_mut(other).process().signal(Signal::STOP);
        block_on(async {
            let through = client(&cluster, &[name]);
            for_each(0..share.len(), 128, |at| {
                let (client, n) = (through.clone(), share[at]);
                async move {
                    let got = client.get_with(key(n), &GetOptions::new().level(Level::One)).await.unwrap();
                    assert!(got.value().is_some_and(|found| *found == value(n).as_bytes()), "{name} lacks {}", key(n));
                }
            })
            .await;
        });
        cluster.node_mut(other).process().signal(Signal::CONT);
    }
}

#[test]
fn a_holder_killed_in_the_middle_of_the_delivery_loses_no_hint() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.node_mut("n3").kill();
    import(&cluster, "n1", FEWER_PAIRS);
    wait_until_kept(&cluster, "n1", FEWER_PAIRS);
    cluster.node_mut("n3").restart();
    let left = wait_for("the delivery has begun", || {
        let (left, _) = block_on(kept(&client(&cluster, &["n2"])))?;
        (left < FEWER_PAIRS as u64).then_some(left)
    });
    cluster.node_mut("n1").kill();
    eprintln!("the holder was killed when {left} of {FEWER_PAIRS} hints were left");
    assert!(left > 0, "the delivery was over before the holder was killed");
    cluster.node_mut("n1").restart();
    block_on(wait_until_no_hints(&client(&cluster, &["n2"])));
    assert_holds_all_itself(&mut cluster, "n3", FEWER_PAIRS);
}
