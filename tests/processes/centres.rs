//! Two data centres of three nodes: one of them goes on alone when the other is gone, and gives it all that it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kvorum_client::{GetOptions, Level, PutOptions};
use tokio::task::JoinSet;

use crate::harness::{
    Cluster, assert_equal_replicas, block_on, client, for_each, hints, wait_for, wait_until_no_hints,
};

const HERE: [&str; 3] = ["n1", "n2", "n3"];
const THERE: [&str; 3] = ["n4", "n5", "n6"];
const TASKS: usize = 8;
/// Each task writes its own.
const KEYS_OF_TASK: usize = 60;

fn key(task: usize, n: usize) -> String {
    format!("key-{task}-{}", n % KEYS_OF_TASK)
}

/// Refused as unavailable, by whom, and whose absence is told.
fn assert_refused_for_lack_of(cluster: &Cluster, request: &[&str], missing: &[&str]) {
    let output = cluster.kvctl("n1", request);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{request:?}: {message}");
    let account = missing.iter().all(|name| message.contains(&format!("{name} is down")));
    assert!(account && message.trim_end().lines().count() == 1, "{request:?}: {message}");
}

#[test]
fn a_data_centre_goes_on_alone_while_the_other_is_gone_which_gets_what_it_missed() {
    let (here, there) = (&["--dc", "dc1"][..], &["--dc", "dc2"][..]);
    let mut cluster = Cluster::of(&[here, here, here, there, there, there], &["--replication", "dc1=3,dc2=3"], None);
    // What a client who asks for no level gets: a quorum of its own centre.
    let told: serde_json::Value =
        serde_json::from_str(&cluster.run("n5", &["-o", "json", "put", "k", "v"])).expect("it is JSON");
    assert_eq!(told["replicas"]["wanted"], 2, "{told}");
    for (r, wanted) in [("local_quorum", 2), ("each_quorum", 4), ("all", 6)] {
        let told = cluster.run("n2", &["-o", "json", "get", "k", "-r", r]);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["replicas"]["wanted"], wanted, "{told}");
    }

    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let lost_at = block_on(async {
        let through = client(&cluster, &HERE);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (client, over, written) = (through.clone(), Arc::clone(&over), Arc::clone(&written));
            tasks.spawn(async move {
                let put = PutOptions::new().level(Level::LocalQuorum);
                let get = GetOptions::new().level(Level::LocalQuorum);
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    client.put_with(key(task, n), n.to_string(), &put).await.unwrap();
                    let got = client.get_with(key(task, n), &get).await.unwrap();
                    assert_eq!(got.value().map(|value| &value[..]), Some(n.to_string().as_bytes()));
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let until_written = async |count: usize| {
            while written.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        until_written(TASKS * KEYS_OF_TASK).await;
        for name in THERE {
            cluster.node_mut(name).kill();
        }
        let lost_at = written.load(Ordering::Relaxed);
        until_written(lost_at + TASKS * KEYS_OF_TASK).await;
        over.store(true, Ordering::Relaxed);
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        lost_at
    });
    eprintln!("{lost_at} writes with both centres, {} in all", written.load(Ordering::Relaxed));
    wait_for("n1 gives up the other centre", || {
        let states = cluster.states("n1")?;
        THERE.iter().all(|name| states.contains(&((*name).to_owned(), "down".to_owned()))).then_some(())
    });
    for node in HERE {
        cluster.run(node, &["put", "alone", node, "-w", "local_quorum"]);
        assert_eq!(cluster.run(node, &["get", "alone", "-r", "local_quorum", "--strict"]), format!("{node}\n"));
    }
    assert_refused_for_lack_of(&cluster, &["put", "k", "w", "-w", "each_quorum"], &THERE);
    assert_refused_for_lack_of(&cluster, &["put", "k", "w", "-w", "each_quorum", "--strict"], &THERE);
    assert_refused_for_lack_of(&cluster, &["get", "k", "-r", "each_quorum"], &THERE);
    let kept = block_on(async { hints(&client(&cluster, &["n1"])).await }).unwrap();
    let is_kept = |name: &&str| kept.queues.iter().any(|queue| queue.target == *name && queue.count > 0);
    assert!(THERE.iter().all(is_kept), "{kept:?}");

    for name in THERE {
        cluster.node_mut(name).restart();
    }
    cluster.wait_until_up(6);
    block_on(async {
        let through = client(&cluster, &["n4"]);
        wait_until_no_hints(&through).await;
        for_each(0..TASKS * KEYS_OF_TASK, 16, |n| {
            let (client, key) = (through.clone(), key(n / KEYS_OF_TASK, n));
            async move { assert_equal_replicas(&key, &client.why(key.clone()).await.unwrap(), 6) }
        })
        .await;
    });
    cluster.run("n6", &["put", "k", "again", "-w", "each_quorum"]);
    assert_eq!(cluster.run("n1", &["get", "k", "-r", "each_quorum"]), "again\n");
}
