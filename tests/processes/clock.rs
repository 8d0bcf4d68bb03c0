//! A node whose wall clock is far from its peers'.

use crate::harness::{Cluster, wait_for};

#[test]
fn a_node_whose_clock_is_far_ahead_coordinates_no_writes_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.run("n1", &["put", "k", "before", "-w", "all"]);
    let wrong = cluster.node_mut("n2");
    wrong.kill();
    wrong.variables = vec![("KVORUM_TEST_CLOCK_OFFSET_MS", "60000".to_owned())];
    wrong.restart();

    wait_for("n2 says that its clock is wrong", || {
        let refused = cluster.kvctl("n2", &["put", "k", "from the future"]);
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(3), "no write is ever coordinated: {message}");
        message.contains("n2's clock is 60.").then_some(())
    });
    cluster.wait_until_up(3);
    cluster.run("n1", &["put", "k", "meanwhile"]);
    assert_eq!(cluster.run("n2", &["get", "k"]), "meanwhile\n", "it serves reads");
    assert_eq!(cluster.run("n3", &["get", "k", "-r", "all"]), "meanwhile\n");
    cluster.run("n3", &["put", "everywhere", "v", "-w", "all"]);
    assert!(cluster.run("n2", &["status"]).contains("n2's clock is 60."), "and warns");
    assert!(cluster.node("n2").figure("kvorum_clock_refusals_total") >= 1.0);
    let offset = cluster.node("n2").figure("kvorum_clock_offset_ms");
    assert!((55_000.0..65_000.0).contains(&offset), "{offset}");

    let mended = cluster.node_mut("n2");
    mended.kill();
    mended.variables.clear();
    mended.restart();
    // Nothing that it did in the meantime keeps it from coordinating now.
    cluster.run("n2", &["put", "k", "after"]);
    for node in ["n1", "n2", "n3"] {
        assert_eq!(cluster.run(node, &["get", "k"]), "after\n");
    }
}
