//! Nodes that are asked to stop.

use std::time::{Duration, Instant};

use kvorum_client::{Client, Config, Route};
use rustix::process::Signal;

use crate::harness::Cluster;

#[test]
fn a_node_asked_to_stop_finishes_and_ends_within_ten_seconds_though_a_client_stays_connected() {
    let mut cluster = Cluster::start(3, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config::new([cluster.node("n2").client.clone()]).route(Route::Endpoints);
    let client = runtime.block_on(Client::connect(config)).unwrap();
    runtime.block_on(client.put("k", "v")).unwrap();

    let start = Instant::now();
    cluster.node_mut("n2").process().signal(Signal::TERM);
    let status = cluster.node_mut("n2").process().wait();
    assert!(status.success(), "{status}: {}", cluster.node("n2").log());
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());

    cluster.node_mut("n2").restart();
    assert_eq!(cluster.run("n2", &["get", "k", "-r", "one"]), "v\n");
}
