//! `kvctl why` over real processes: what waits for a replica that was killed is told with who keeps it, until that one is back
//! and holds the version itself.

use serde_json::{Value, json};

use crate::harness::{Cluster, wait_for};

/// What `why -o json` tells through a node.
fn why(cluster: &Cluster, node: &str, key: &str) -> Value {
    serde_json::from_str(&cluster.run(node, &["-o", "json", "why", key])).unwrap()
}

/// What it tells of one replica.
fn replica<'a>(why: &'a Value, name: &str) -> &'a Value {
    why["replicas"].as_array().unwrap().iter().find(|replica| replica["name"] == name).unwrap()
}

fn hints(why: &Value) -> Vec<(&str, &Value)> {
    let of = |replica: &Value| replica["hints"].as_array().unwrap().len();
    let replicas = why["replicas"].as_array().unwrap().iter().filter(|replica| of(replica) > 0);
    replicas.map(|replica| (replica["name"].as_str().unwrap(), &replica["hints"])).collect()
}

#[test]
fn a_hint_for_a_killed_replica_is_shown_at_its_holder_until_the_replica_is_back() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.run("n1", &["put", "k", "before", "-w", "all"]);
    let told = why(&cluster, "n2", "k");
    assert_eq!((hints(&told), &told["silent"], &told["unasked"]), (vec![], &json!([]), &json!(0)));

    cluster.node_mut("n3").kill();
    cluster.run("n1", &["put", "k", "after", "-w", "two"]);
    let told = wait_for("the hint is kept", || Some(why(&cluster, "n2", "k")).filter(|told| !hints(told).is_empty()));
    let holders = hints(&told);
    let [("n3", kept)] = holders[..] else { panic!("{told}") };
    let [hint] = &kept.as_array().unwrap()[..] else { panic!("one coordinated the write: {told}") };
    let holder = hint["holder"].as_str().unwrap();
    assert!(["n1", "n2"].contains(&holder), "{told}");
    assert_eq!(hint["owed"], false, "enough replicas hold the write");
    assert_eq!(hint["versions"], replica(&told, holder)["versions"], "it is the version that the others hold");
    assert_eq!(hint["versions"][0]["bytes"], 5);
    assert_eq!(told["silent"], json!(["n3"]), "what it keeps itself nobody knows");
    for node in ["n1", "n2"] {
        let output = cluster.kvctl(node, &["why", "k"]);
        let (shown, note) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let row = shown.lines().find(|line| line.contains("a hint at")).unwrap_or_else(|| panic!("{shown}"));
        assert!(row.starts_with("n3 ") && row.contains(&format!("a hint at {holder}: a value ")), "{shown}");
        assert!(output.status.success() && note.contains("no word of hints from `n3`"), "{note}");
    }

    cluster.node_mut("n3").restart();
    wait_for("the hint is delivered", || {
        let told = why(&cluster, "n1", "k");
        let is_over = hints(&told).is_empty() && told["silent"] == json!([]);
        (is_over && replica(&told, "n3")["versions"] == hint["versions"]).then_some(())
    });
}
