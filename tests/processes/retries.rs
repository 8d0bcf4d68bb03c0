//! Writes that are asked for again when nobody knows what became of them, while their nodes are killed and hang: each takes
//! effect once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvorum_client::{Client, Consistency, Got, Level, Outcome, PutOptions};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::harness::{Cluster, assert_equal_replicas, block_on, config, wait_until_no_hints};

const TASKS: usize = 12;
const KEYS: usize = 4;
/// A key holds a bounded number of siblings, so each round has keys of its own.
const ROUNDS: usize = 40;

/// Of each key, the values that were acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

fn client(cluster: &Cluster) -> Client {
    let config = config(cluster, &["n1", "n2", "n3"]).timeout(Duration::from_secs(6)).keyspace("carts");
    Client::lazy(config.retry_indeterminate(true).retry_reserve(1000)).unwrap()
}

/// Adds a value to one key of each round: blindly, so that no value replaces another.
async fn work(client: Client, task: usize, acknowledged: Acknowledged, doubtful: Arc<Mutex<usize>>) {
    let strict = PutOptions::new().level(Level::Quorum).consistency(Consistency::Strict);
    for round in 0..ROUNDS {
        let (key, value) = (format!("cart-{round}-{}", task % KEYS), format!("{task}"));
        match client.put_with(key.clone(), value.clone(), &strict).await {
            Ok(_) => acknowledged.lock().unwrap().entry(key).or_default().push(value),
            Err(error) if error.outcome() == Outcome::Unknown => *doubtful.lock().unwrap() += 1,
            Err(_) => {}
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn what_is_asked_for_again_while_nodes_die_and_hang_takes_effect_once() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.run("n2", &["keyspace", "create", "carts", "--mode", "causal", "--strict"]);
    let (acknowledged, doubtful) = (Acknowledged::default(), Arc::new(Mutex::new(0)));
    block_on(async {
        let through = client(&cluster);
        let mut workers = JoinSet::new();
        for task in 0..TASKS {
            workers.spawn(work(through.clone(), task, Arc::clone(&acknowledged), Arc::clone(&doubtful)));
        }
        for name in ["n1", "n2", "n3"] {
            sleep(Duration::from_millis(300)).await;
            cluster.node_mut(name).kill();
            sleep(Duration::from_millis(500)).await;
            cluster.node_mut(name).launch();
            sleep(Duration::from_millis(700)).await;
            cluster.node_mut(name).process().signal(Signal::STOP);
            sleep(Duration::from_millis(800)).await;
            cluster.node_mut(name).process().signal(Signal::CONT);
        }
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
    });
    for name in ["n1", "n2", "n3"] {
        cluster.node_mut(name).wait_until_ready();
    }
    cluster.wait_until_up(3);
    let acknowledged = acknowledged.lock().unwrap();
    let count: usize = acknowledged.values().map(Vec::len).sum();
    eprintln!("{count} acknowledged, {} in doubt", doubtful.lock().unwrap());
    assert!(count > TASKS * ROUNDS / 2, "hardly anything was acknowledged: {count}");
    block_on(async {
        let client = client(&cluster);
        wait_until_no_hints(&client).await;
        for (key, values) in acknowledged.iter() {
            let Got { versions: held, .. } = client.get(key.clone()).await.unwrap();
            let mut held: Vec<String> = held.iter().map(|it| String::from_utf8(it.value.to_vec()).unwrap()).collect();
            held.sort_unstable();
            let mut once = held.clone();
            once.dedup();
            assert_eq!(held, once, "a write of {key} has taken effect twice");
            assert!(
                values.iter().all(|value| held.contains(value)),
                "{key} holds {held:?}, and {values:?} were promised"
            );
            assert_equal_replicas(key, &client.why(key.clone()).await.unwrap(), 3);
        }
    });
}
