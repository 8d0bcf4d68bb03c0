//! The levels of reads and writes: each of the nine pairs of R and W that three replicas allow, through every node, with
//! all of them there and with one of them killed.

use kvorum_client::{Consistency, GetOptions, Got, Level, PutOptions};
use serde_json::Value;

use crate::harness::{Cluster, block_on, client, wait_for};

const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// So many writes of each key.
const VERSIONS: usize = 4;

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    (1..=3).flat_map(|r| (1..=3).map(move |w| (r, w)))
}

fn level(replicas: u32) -> Level {
    replicas.to_string().parse().unwrap()
}

fn strict_put(w: u32) -> PutOptions {
    PutOptions::new().level(level(w)).consistency(Consistency::Strict)
}

fn strict_get(r: u32) -> GetOptions {
    GetOptions::new().level(level(r)).consistency(Consistency::Strict)
}

/// The version that was found; none if nothing was.
fn version(got: &Got) -> Option<usize> {
    got.value().map(|value| str::from_utf8(value).unwrap().parse().unwrap())
}

#[test]
fn every_pair_of_levels_is_answered_as_asked_and_those_that_overlap_find_what_was_written_whoever_is_asked() {
    let cluster = Cluster::start(3, &[]);
    block_on(async {
        let clients = NODES.map(|node| client(&cluster, &[node]));
        for (r, w) in pairs() {
            for (writer, name) in clients.iter().zip(NODES) {
                let key = format!("{r}-{w}-{name}");
                for written in 1..=VERSIONS {
                    let told =
                        writer.put_with(key.clone(), written.to_string(), &strict_put(w)).await.unwrap().replicas;
                    assert_eq!((told.wanted, told.sloppy), (w, false), "{key}: {told:?}");
                    assert!((w..=3).contains(&told.answered) && (w..=told.answered).contains(&told.agreed), "{told:?}");
                    for (reader, asked) in clients.iter().zip(NODES) {
                        let got = reader.get_with(key.clone(), &strict_get(r)).await.unwrap();
                        let told = got.replicas;
                        assert_eq!((told.wanted, told.sloppy), (r, false), "{key} through {asked}: {told:?}");
                        assert!((r..=3).contains(&told.answered), "{key} through {asked}: {told:?}");
                        assert!((1..=told.answered).contains(&told.agreed), "{key} through {asked}: {told:?}");
                        let found = version(&got);
                        let is_right = if r + w > 3 { found == Some(written) } else { found <= Some(written) };
                        assert!(is_right, "{key} through {asked}: {written} was acknowledged, {found:?} is found");
                    }
                }
            }
        }
    });
    // The same as the command line tells it.
    for (r, w) in pairs() {
        let (r, w, key) = (r.to_string(), w.to_string(), format!("shell-{r}-{w}"));
        let told = |node: &str, arguments: &[&str]| {
            let printed = cluster.run(node, &[&["-o", "json"], arguments].concat());
            serde_json::from_str::<Value>(&printed).unwrap()
        };
        let put = told("n1", &["put", &key, "v", "-w", &w, "--strict"]);
        assert_eq!(put["replicas"]["wanted"].to_string(), w, "{put}");
        let got = told("n3", &["get", &key, "-r", &r]);
        let replicas = &got["replicas"];
        assert_eq!(replicas["wanted"].to_string(), r, "{got}");
        assert!(replicas["answered"].as_u64() >= r.parse().ok() && !replicas["sloppy"].as_bool().unwrap(), "{got}");
    }
}

/// Every pair through both nodes that are left: what needs three replicas is refused and says who is missing, the rest goes on.
fn assert_two_suffice_where_two_are_asked(cluster: &Cluster, when: &str) {
    let refused = |node: &str, arguments: &[&str]| {
        let output = cluster.kvctl(node, &[&["--timeout", "1s"], arguments].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{when}, {arguments:?}: {message}");
        assert!(message.contains("n2") && message.contains("3 of 3 replicas"), "{when}, {arguments:?}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    };
    for counting in ["--sloppy", "--strict"] {
        for (r, w) in pairs() {
            let (level_r, level_w) = (r.to_string(), w.to_string());
            for (writer, reader) in [("n1", "n3"), ("n3", "n1")] {
                let key = format!("{when}-{counting}-{r}-{w}-{writer}");
                let put = ["put", "--", &key, "v"];
                let put = [&["put", counting, "-w", &level_w][..], &put[1..]].concat();
                if w == 3 {
                    refused(writer, &put);
                } else {
                    cluster.run(writer, &put);
                }
                let get = ["get", counting, "-r", &level_r, "--", &key];
                if r == 3 {
                    refused(reader, &get);
                } else if r + w > 3 && w < 3 {
                    assert_eq!(cluster.run(reader, &get), "v\n");
                } else {
                    // It may be found or not, but it is answered.
                    let code = cluster.kvctl(reader, &get).status.code();
                    assert!(matches!(code, Some(0 | 1)), "{when}, {key}: {code:?}");
                }
            }
        }
    }
}

#[test]
fn with_a_node_killed_pairs_that_need_three_replicas_are_refused_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, &[]);
    let (mut latest, key) = (0, "counted");
    let count_on = |cluster: &Cluster, latest: &mut usize, through: &[&str]| {
        block_on(async {
            let clients: Vec<_> = through.iter().map(|node| client(cluster, &[node])).collect();
            for round in 0..40 {
                *latest += 1;
                let writer = &clients[round % clients.len()];
                writer.put_with(key, latest.to_string(), &strict_put(2)).await.unwrap();
                for reader in &clients {
                    let got = reader.get_with(key, &strict_get(2)).await.unwrap();
                    assert_eq!(version(&got), Some(*latest), "round {round}");
                }
            }
        });
    };
    count_on(&cluster, &mut latest, &NODES);
    cluster.node_mut("n2").kill();
    // At once, before anybody has noticed.
    count_on(&cluster, &mut latest, &["n1", "n3"]);
    assert_two_suffice_where_two_are_asked(&cluster, "unnoticed");
    for witness in ["n1", "n3"] {
        let down = ("n2".to_owned(), "down".to_owned());
        wait_for("n2 is down", || cluster.states(witness)?.contains(&down).then_some(()));
    }
    count_on(&cluster, &mut latest, &["n3", "n1"]);
    assert_two_suffice_where_two_are_asked(&cluster, "noticed");
    cluster.node_mut("n2").restart();
    // It is asked at once, though it has missed the latest writes.
    count_on(&cluster, &mut latest, &["n2", "n1", "n3"]);
    cluster.wait_until_up(3);
    cluster.run("n2", &["put", "everywhere", "v", "-w", "3"]);
    assert_eq!(cluster.run("n3", &["get", "everywhere", "-r", "3"]), "v\n");
}
