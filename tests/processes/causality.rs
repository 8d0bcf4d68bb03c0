//! Keyspaces that keep concurrent versions, end to end: siblings, contexts, deletions around a node that was away, and
//! values that expire.

use std::time::Duration;

use kvorum_client::{Client, Config, DeleteOptions, Error, GetOptions, Got, PutOptions};
use serde_json::Value;

use crate::harness::{Cluster, wait_for};

const CARTS: [&str; 2] = ["-k", "carts"];

fn cluster() -> Cluster {
    let cluster = Cluster::start(3, &[]);
    cluster.run("n2", &["keyspace", "create", "carts", "--mode", "causal"]);
    cluster
}

fn carts<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&CARTS, arguments].concat()
}

/// What `get -o json` tells of a key through a node.
fn read(cluster: &Cluster, node: &str, key: &str, flags: &[&str]) -> Value {
    let output = cluster.kvctl(node, &carts(&[&["-o", "json", "get", key][..], flags].concat()));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn values(read: &Value) -> Vec<&str> {
    read["values"].as_array().unwrap().iter().map(|value| value["value"].as_str().unwrap()).collect()
}

fn context(read: &Value) -> &str {
    read["context"].as_str().unwrap()
}

/// What `why -o json` tells of each replica.
fn why(cluster: &Cluster, key: &str) -> Vec<Value> {
    let why: Value = serde_json::from_str(&cluster.run("n1", &carts(&["-o", "json", "why", key]))).unwrap();
    assert_eq!(why["mode"], "causal");
    why["replicas"].as_array().unwrap().clone()
}

/// Whose tenures wrote the versions of a replica, or stand in its causal past.
fn nodes(replica: &Value, part: &str) -> Vec<String> {
    let entries = replica[part].as_array().unwrap().iter();
    let mut nodes: Vec<String> = entries.map(|entry| entry["node"].as_str().unwrap().to_owned()).collect();
    nodes.sort_unstable();
    nodes
}

/// The example of the Dynamo paper, section 4.4 and figure 3, with n1, n2 and n3 as its Sx, Sy and Sz.
#[test]
fn the_history_of_the_dynamo_paper() {
    let cluster = cluster();
    let put = |node: &str, value: &str, context: &str| {
        cluster.run(node, &carts(&["put", "cart", value, "-w", "all", "--context", context]));
    };
    // A client writes D1 and then D2, both handled by Sx.
    cluster.run("n1", &carts(&["put", "cart", "D1", "-w", "all"]));
    let d1 = read(&cluster, "n1", "cart", &[]);
    put("n1", "D2", context(&d1));
    let d2 = read(&cluster, "n1", "cart", &["-r", "all"]);
    assert_eq!(values(&d2), ["D2"], "D2 descends from D1");
    for replica in why(&cluster, "cart") {
        assert_eq!((nodes(&replica, "versions"), nodes(&replica, "context")), (vec!["n1".into()], vec!["n1".into()]));
    }
    // The same client updates again, handled by Sy: D3. Another one has read D2 and writes D4, handled by Sz.
    put("n2", "D3", context(&d2));
    put("n3", "D4", context(&d2));
    let both = read(&cluster, "n1", "cart", &["-r", "all"]);
    let mut siblings = values(&both);
    siblings.sort_unstable();
    assert_eq!(siblings, ["D3", "D4"], "neither descends from the other; both descend from D2");
    for replica in why(&cluster, "cart") {
        assert_eq!(nodes(&replica, "versions"), ["n2", "n3"]);
        assert_eq!(nodes(&replica, "context"), ["n1", "n2", "n3"]);
    }
    let shown = cluster.kvctl("n1", &carts(&["get", "cart"]));
    let note = String::from_utf8(shown.stderr).unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap().lines().count(), 2);
    assert!(note.contains("2 concurrent values") && note.contains("--context"), "{note}");
    // A client reads both, reconciles them, and writes D5, handled by Sx.
    put("n1", "D5", context(&both));
    let d5 = read(&cluster, "n3", "cart", &["-r", "all"]);
    assert_eq!(values(&d5), ["D5"]);
    for replica in why(&cluster, "cart") {
        assert_eq!(nodes(&replica, "versions"), ["n1"]);
        assert_eq!(nodes(&replica, "context"), ["n1", "n2", "n3"]);
    }
    let told = cluster.run("n2", &carts(&["why", "cart"]));
    assert!(
        told.starts_with("mode causal, partition ") && told.contains("a value") && told.contains("replaced"),
        "{told}"
    );
}

fn client(cluster: &Cluster, node: &str, keyspace: &str) -> Client {
    let config = Config::new([cluster.node(node).client.clone()]).keyspace(keyspace).timeout(Duration::from_secs(20));
    Client::lazy(config).unwrap()
}

fn in_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn clients_that_write_with_their_own_latest_context_do_not_make_siblings_explode() {
    let cluster = cluster();
    in_runtime(async {
        let clients = [client(&cluster, "n1", "carts"), client(&cluster, "n2", "carts")];
        let mut latest: [Option<Got>; 2] = [None, None];
        for round in 0..200 {
            for (who, client) in clients.iter().enumerate() {
                let seen = latest[who].as_ref().map(|got| got.context.clone()).unwrap_or_default();
                client.put_with("cart", format!("{who}-{round}"), &PutOptions::new().context(seen)).await.unwrap();
            }
            // Each has now written over what it had read before the other wrote.
            for (who, client) in clients.iter().enumerate() {
                let got = client.get("cart").await.unwrap();
                assert!((1..=2).contains(&got.versions.len()), "{got:?}");
                latest[who] = Some(got);
            }
        }
    });
}

#[test]
fn blind_writes_end_in_a_typed_error_where_siblings_are_kept_and_in_one_version_elsewhere() {
    let cluster = cluster();
    in_runtime(async {
        let (causal, lww) = (client(&cluster, "n1", "carts"), client(&cluster, "n1", "default"));
        let (mut stored, mut refused) = (0, 0);
        for n in 0..1000 {
            match causal.put("cart", format!("{n}")).await {
                Ok(_) => stored += 1,
                Err(Error::Precondition { message, .. }) => {
                    assert!(message.contains("100 concurrent versions") && message.contains("read it"), "{message}");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
            lww.put("cart", format!("{n}")).await.unwrap();
        }
        assert_eq!((stored, refused), (100, 900));
        assert_eq!(causal.get("cart").await.unwrap().versions.len(), 100);
        let versions = lww.get("cart").await.unwrap().versions;
        assert_eq!((versions.len(), &versions[0].value[..]), (1, &b"999"[..]));
    });
    let refused = cluster.kvctl("n1", &carts(&["put", "cart", "one more"]));
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    let seen = read(&cluster, "n2", "cart", &[]);
    cluster.run("n3", &carts(&["put", "cart", "merged", "--context", context(&seen)]));
    assert_eq!(values(&read(&cluster, "n1", "cart", &[])), ["merged"]);
}

/// A replica that has missed a deletion and what was written after it must bring the one back as little as it may lose the
/// other (the "doomstone" of Riak's issue lists).
#[test]
fn deletions_and_new_writes_around_a_node_that_was_away_lose_nothing() {
    let mut cluster = cluster();
    cluster.run("n1", &carts(&["put", "cart", "old", "-w", "all"]));
    let old = read(&cluster, "n1", "cart", &[]);
    cluster.node_mut("n3").kill();
    cluster.run("n1", &carts(&["del", "cart", "--context", context(&old)]));
    let gone = read(&cluster, "n2", "cart", &[]);
    assert_eq!((values(&gone), &gone["found"]), (vec![], &Value::Bool(false)));
    cluster.run("n2", &carts(&["put", "cart", "new", "--context", context(&gone)]));
    cluster.node_mut("n3").restart();
    cluster.wait_until_up(3);
    // Its own copy is the old one; what it coordinates now, it has not seen the others' versions.
    wait_for("n3 writes to all", || {
        cluster.kvctl("n3", &carts(&["put", "cart", "late", "-w", "all"])).status.success().then_some(())
    });
    let all = read(&cluster, "n1", "cart", &["-r", "all"]);
    let mut siblings = values(&all);
    siblings.sort_unstable();
    siblings.dedup();
    assert_eq!(siblings, ["late", "new"], "nothing is lost, and what was deleted stays so");
    for node in ["n1", "n2"] {
        assert_eq!(read(&cluster, node, "cart", &["-r", "one"])["found"], true);
    }
    cluster.run("n3", &carts(&["del", "cart", "-w", "all", "--context", context(&all)]));
    assert_eq!(values(&read(&cluster, "n2", "cart", &["-r", "all"])), [""; 0]);
}

#[test]
fn a_context_of_another_key_keyspace_or_cluster_is_refused_and_so_is_a_damaged_one() {
    let cluster = cluster();
    cluster.run("n1", &["keyspace", "create", "wishes", "--mode", "causal"]);
    for keyspace in ["carts", "wishes", "default"] {
        cluster.run("n1", &["-k", keyspace, "put", "k", "v", "-w", "all"]);
    }
    let seen = read(&cluster, "n1", "k", &[]);
    let seen = context(&seen);
    let flipped = if seen[9..].starts_with('A') { "B" } else { "A" };
    let damaged = format!("{}{flipped}{}", &seen[..9], &seen[10..]);
    let refusals = [
        (vec!["-k", "wishes", "put", "k", "w", "--context", seen], "another keyspace"),
        (vec!["-k", "default", "del", "k", "--context", seen], "another keyspace"),
        (vec!["-k", "carts", "put", "other", "w", "--context", seen], "of another key or cluster"),
        (vec!["-k", "carts", "put", "k", "w", "--context", &damaged], "damaged"),
    ];
    for (arguments, words) in refusals {
        let output = cluster.kvctl("n2", &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), message.contains(words)), (Some(4), true), "{arguments:?}: {message}");
    }
    let other = Cluster::start(1, &[]);
    other.run("n1", &["keyspace", "create", "carts", "--mode", "causal"]);
    let output = other.kvctl("n1", &["-k", "carts", "put", "k", "w", "--context", seen]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let output = cluster.kvctl("n1", &["-k", "carts", "put", "k", "w", "--context", "no context"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(values(&read(&cluster, "n1", "k", &["-r", "all"])), ["v"]);
}

#[test]
fn expired_values_are_gone_on_every_replica_and_later_ones_inherit_nothing() {
    let cluster = cluster();
    cluster.run("n1", &["keyspace", "create", "codes", "--ttl", "2s"]);
    cluster.run("n1", &["-k", "codes", "put", "short", "839201", "-w", "all"]);
    cluster.run("n1", &["-k", "codes", "put", "kept", "x", "--no-ttl", "-w", "all"]);
    cluster.run("n1", &carts(&["put", "mixed", "short", "--ttl", "2s", "-w", "all"]));
    cluster.run("n1", &carts(&["put", "mixed", "long", "-w", "all"]));
    let live = cluster.kvctl("n2", &["-k", "codes", "-o", "json", "get", "short"]);
    let live: Value = serde_json::from_slice(&live.stdout).unwrap();
    assert!((1..=2000).contains(&live["values"][0]["expires_in_ms"].as_u64().unwrap()), "{live}");
    let is_gone =
        |node: &str| cluster.kvctl(node, &["-k", "codes", "get", "short", "-r", "one"]).status.code() == Some(1);
    for node in ["n1", "n2", "n3"] {
        wait_for("the code expires", || is_gone(node).then_some(()));
        wait_for("one of two values expires", || {
            (values(&read(&cluster, node, "mixed", &["-r", "one"])) == ["long"]).then_some(())
        });
        assert_eq!(cluster.run(node, &["-k", "codes", "get", "kept", "-r", "one"]), "x\n");
    }
    assert_eq!(cluster.run("n3", &["-k", "codes", "scan", "--keys-only"]), "kept\n");
    let told = cluster.run("n3", &["-k", "codes", "why", "short"]);
    assert_eq!(told.matches("a value that has expired").count(), 3, "{told}");
    cluster.run("n2", &["keyspace", "alter", "codes", "--no-ttl"]);
    cluster.run("n2", &["-k", "codes", "put", "short", "again"]);
    let again = cluster.kvctl("n2", &["-k", "codes", "-o", "json", "get", "short"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["values"][0]["expires_at"], Value::Null, "it does not inherit what came before");
}

#[test]
fn what_was_read_is_deleted_and_what_was_not_stays() {
    let cluster = cluster();
    in_runtime(async {
        let client = client(&cluster, "n1", "carts");
        let absent = client.get("cart").await.unwrap();
        client.put("cart", "unseen").await.unwrap();
        let options = DeleteOptions::new().context(absent.context);
        client.delete_with("cart", &options).await.unwrap();
        assert_eq!(client.get("cart").await.unwrap().versions.len(), 1, "who saw nothing deletes nothing");
        client.delete("cart").await.unwrap();
        let level = "all".parse::<kvorum_client::Level>().unwrap();
        let gone = client.get_with("cart", &GetOptions::new().level(level)).await.unwrap();
        assert_eq!(gone.versions.len(), 0, "it reads first");
    });
}
