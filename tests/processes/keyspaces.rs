//! Keyspaces through every node: made, used, altered, dropped; known to all, kept over kill -9, decided by the founder.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Cluster, assert_success, kvctl, wait_for};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What `kvctl keyspace` prints as JSON.
fn keyspace(cluster: &Cluster, node: &str, arguments: &[&str]) -> Value {
    json(&cluster.run(node, &[&["-o", "json", "keyspace"], arguments].concat()))
}

/// The keyspaces as a node lists them.
fn listed(cluster: &Cluster, node: &str) -> Value {
    keyspace(cluster, node, &["list"])
}

fn names(cluster: &Cluster, node: &str) -> Vec<String> {
    let list = listed(cluster, node);
    let keyspaces = list["keyspaces"].as_array().unwrap();
    keyspaces.iter().map(|keyspace| keyspace["name"].as_str().unwrap().to_owned()).collect()
}

fn refused(output: &Output, code: i32, words: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(message.contains(words) && message.trim_end().lines().count() == 1, "{message}");
}

#[test]
fn a_keyspace_is_used_through_any_node_as_soon_as_it_is_made_and_outlives_the_death_of_all() {
    let mut cluster = Cluster::start(3, &[]);
    let made = keyspace(&cluster, "n2", &["create", "sessions", "--ttl", "30m", "-w", "all"]);
    let expected = r#"{"name":"sessions","id":2,"mode":"lww","replication":"3","read":null,"write":"all","min_read":1,"min_write":1,"ttl_ms":1800000,"consistency":"sloppy"}"#;
    assert_eq!(made, json(expected));
    cluster.run("n3", &["-k", "sessions", "put", "user:1", "token"]);
    assert_eq!(cluster.run("n1", &["-k", "sessions", "get", "user:1"]), "token\n");
    assert_eq!(cluster.kvctl("n1", &["get", "user:1"]).status.code(), Some(1), "keyspaces share no keys");

    let carts = keyspace(&cluster, "n3", &["create", "carts", "--mode", "causal", "--strict"]);
    assert_eq!(carts["consistency"], "strict");
    cluster.run("n1", &["-k", "carts", "put", "ada", "milk"]);
    assert_eq!(cluster.run("n2", &["-k", "carts", "get", "ada"]), "milk\n");

    let altered = keyspace(&cluster, "n1", &["alter", "sessions", "--no-ttl", "-w", "default", "--min-w", "2"]);
    assert_eq!((&altered["ttl_ms"], &altered["write"], &altered["min_write"]), (&Value::Null, &Value::Null, &2.into()));
    let list = listed(&cluster, "n1");
    assert_eq!(list["keyspaces"].as_array().unwrap().len(), 3);
    for node in ["n2", "n3"] {
        assert_eq!(listed(&cluster, node), list);
        assert_eq!(keyspace(&cluster, node, &["show", "sessions"]), altered);
    }
    assert!(cluster.run("n2", &["keyspace", "list"]).contains("carts      3  causal  3"));

    for node in &mut cluster.nodes {
        node.kill();
    }
    for name in ["n3", "n2", "n1"] {
        cluster.node_mut(name).restart();
    }
    cluster.wait_until_up(3);
    for node in ["n1", "n2", "n3"] {
        assert_eq!(listed(&cluster, node), list, "{node} has forgotten");
        assert_eq!(cluster.run(node, &["-k", "sessions", "get", "user:1"]), "token\n");
        assert_eq!(cluster.run(node, &["-k", "carts", "get", "ada"]), "milk\n");
    }
    cluster.join(&[]);
    wait_for("a newcomer knows the keyspaces", || (listed(&cluster, "n4") == list).then_some(()));
    assert_eq!(keyspace(&cluster, "n4", &["create", "more"])["id"], 4);
    assert_eq!(cluster.run("n4", &["-k", "sessions", "get", "user:1"]), "token\n");
}

#[test]
fn a_dropped_keyspace_takes_its_data_with_it_and_nothing_else() {
    for engine in ["lsm", "sled", "memory"] {
        let mut cluster = Cluster::start(3, &["--engine", engine]);
        for name in ["before", "dropped", "after"] {
            cluster.run("n1", &["keyspace", "create", name]);
            let pairs: String = (0..300).map(|n| format!("k{n}\t{name} {n}\n")).collect();
            let imported =
                kvctl(&cluster.node("n2").client, &["-k", name, "import", "-", "-w", "all"], pairs.as_bytes());
            assert_success(&imported, name);
        }
        // It is read once more, so that it is in whatever caches there are.
        assert_eq!(cluster.run("n1", &["-k", "dropped", "export"]).lines().count(), 300);
        assert_eq!(keyspace(&cluster, "n3", &["drop", "dropped"]), json(r#"{"dropped":"dropped"}"#));
        for node in ["n1", "n2", "n3"] {
            refused(&cluster.kvctl(node, &["-k", "dropped", "get", "k1"]), 4, "see `kvctl keyspace list`");
            let removed = || cluster.node(node).log().contains("removed the data of a dropped keyspace").then_some(());
            wait_for("the data is removed", removed);
        }
        refused(&cluster.kvctl("n3", &["keyspace", "drop", "dropped"]), 1, "there is no keyspace `dropped`");
        if engine != "memory" {
            for node in &mut cluster.nodes {
                node.kill();
                node.restart();
            }
            cluster.wait_until_up(3);
        }
        let made_again = keyspace(&cluster, "n2", &["create", "dropped"]);
        assert_eq!(made_again["id"], 5, "a number is never used again");
        assert_eq!(cluster.run("n1", &["-k", "dropped", "export", "-r", "all"]), "");
        for name in ["before", "after"] {
            let exported = cluster.run("n3", &["-k", name, "export", "-r", "all"]);
            assert_eq!(exported.lines().count(), 300, "{name} on {engine}");
            assert_eq!(cluster.run("n3", &["-k", name, "get", "k7"]), format!("{name} 7\n"));
        }
    }
}

#[test]
fn while_the_founder_is_down_keyspaces_are_used_as_ever_and_cannot_be_changed() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.run("n2", &["keyspace", "create", "carts"]);
    cluster.node_mut("n1").kill();
    // Before anybody has noticed, nobody can tell whether it was made.
    let asked = cluster.kvctl("n2", &["keyspace", "create", "early", "--timeout", "300ms"]);
    refused(&asked, 3, "may or may not");
    wait_for("n3 sees that n1 is down", || {
        cluster.states("n3")?.contains(&("n1".to_owned(), "down".to_owned())).then_some(())
    });
    for change in [&["create", "later"][..], &["alter", "carts", "--ttl", "5m"], &["drop", "carts"]] {
        let output = cluster.kvctl("n3", &[&["keyspace"], change].concat());
        refused(
            &output,
            3,
            "nothing changed: the keyspaces cannot be changed now: n1, which decides about them, is down",
        );
    }
    cluster.run("n3", &["-k", "carts", "put", "ada", "milk"]);
    assert_eq!(cluster.run("n2", &["-k", "carts", "get", "ada"]), "milk\n");

    cluster.node_mut("n1").restart();
    cluster.wait_until_up(3);
    assert_eq!(names(&cluster, "n1"), ["default", "carts"]);
    cluster.run("n3", &["keyspace", "create", "later"]);
    for node in ["n1", "n2", "n3"] {
        assert_eq!(names(&cluster, node), ["default", "carts", "later"]);
    }
    assert_eq!(cluster.run("n1", &["-k", "carts", "get", "ada"]), "milk\n");
}

#[test]
fn two_creations_at_the_same_time_end_in_one_keyspace_or_in_a_clear_error() {
    let cluster = Cluster::start(3, &[]);
    let [n2, n3] = ["n2", "n3"].map(|name| cluster.node(name).client.as_str());
    let create = |endpoint, arguments: &[&str]| {
        kvctl(endpoint, &[&["-o", "json", "keyspace", "create"], arguments].concat(), b"")
    };
    let both = |first: &[&str], second: &[&str]| {
        std::thread::scope(|scope| {
            let first = scope.spawn(|| create(n2, first));
            let second = create(n3, second);
            [first.join().unwrap(), second]
        })
    };
    for round in 0..5 {
        let same = format!("same-{round}");
        let [first, second] = both(&[&same], &[&same]);
        assert_success(&first, &same);
        assert_success(&second, &same);
        assert_eq!(first.stdout, second.stdout);

        let other = format!("other-{round}");
        let outputs = both(&[&other, "--mode", "causal"], &[&other, "--mode", "lww"]);
        let won = outputs.iter().position(|output| output.status.success()).expect("one of them is made");
        refused(&outputs[1 - won], 4, &format!("the keyspace `{other}` exists already, with other settings"));
        let made = keyspace(&cluster, "n1", &["show", &other]);
        assert_eq!(made["mode"], ["causal", "lww"][won]);
    }
    let list = listed(&cluster, "n1");
    assert_eq!((list["keyspaces"].as_array().unwrap().len(), &list["version"]), (11, &11.into()));
}

#[test]
fn what_makes_no_sense_is_refused_and_says_why() {
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    for (arguments, code, words) in [
        (&["create", "a b"][..], 4, "`a b` is no name for a keyspace"),
        (&["create", "a\nb"], 4, "is no name for a keyspace"),
        (&["create", &"x".repeat(100_000)], 4, "is no name for a keyspace"),
        (&["create", "default", "--mode", "causal"], 4, "exists already"),
        (&["create", "a", "--mode", "strong"], 4, "use lww or causal"),
        (&["create", "a", "--mode", "loose"], 2, "possible values"),
        (&["create", "a", "--replication", "1"], 4, "leave --replication away"),
        (&["create", "a", "--replication", "many"], 4, "many"),
        (&["create", "a", "--min-w", "2"], 4, "min_w 2 is more than the 1 replicas"),
        (&["create", "a", "-r", "3"], 4, "the default r cannot be met"),
        (&["alter", "default"], 2, "required"),
        (&["alter", "a", "--no-ttl"], 1, "there is no keyspace `a`"),
        (&["drop", "default"], 4, "cannot be dropped"),
        (&["drop", "a"], 1, "there is no keyspace `a`"),
        (&["show", "a"], 1, "see kvctl keyspace list"),
    ] {
        refused(&cluster.kvctl("n1", &[&["keyspace"], arguments].concat()), code, words);
    }
    assert_eq!(names(&cluster, "n1"), ["default"]);
    cluster.run("n1", &["keyspace", "create", "a", "--replication", "3"]);
    refused(&cluster.kvctl("n1", &["-k", "b", "put", "k", "v"]), 4, "kvctl keyspace list");
}
