//! Two live processes with one identity.

use std::time::{Duration, Instant};

use crate::harness::{Cluster, kvctl};

#[test]
fn a_copy_of_a_running_node_refuses_to_serve_and_the_original_goes_on() {
    let cluster = Cluster::start(3, &[]);
    cluster.run("n1", &["put", "k", "v"]);
    let (original, place) = (cluster.node("n2"), tempfile::tempdir().unwrap());
    let data = place.path().join("copy");
    original.copy_data(&data);
    let copy = original.twin(data);
    let began = Instant::now();
    let (mut round, mut gave_way) = (0, None);
    while gave_way.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(2)) {
        round += 1;
        let key = format!("k{round}");
        for node in ["n1", "n2", "n3"] {
            cluster.run(node, &["put", &key, node]);
            assert_eq!(cluster.run(node, &["get", &key]), format!("{node}\n"));
        }
        // The copy's port may not be open yet; once it is, it refuses.
        let served = kvctl(&copy.client, &["get", "k", "-r", "one", "--timeout", "1s"], b"");
        assert_eq!(served.status.code(), Some(3), "{}", String::from_utf8_lossy(&served.stderr));
        if gave_way.is_none() && copy.log().contains("this one serves nothing more") {
            gave_way = Some(Instant::now());
        }
        assert!(gave_way.is_some() || began.elapsed() < Duration::from_secs(30), "{}", copy.log());
    }
    assert!(original.log().contains("a process that was started later speaks with this node's identity"));
    assert!(copy.http("/readyz").starts_with("HTTP/1.1 503"));
    let refused = kvctl(&copy.client, &["put", "k", "x"], b"");
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("another process that was started earlier"), "{message}");
    cluster.wait_until_up(3);
    assert_eq!(cluster.node("n2").figure("kvorum_in_doubt"), 0.0);
}
