//! The client library against nodes under test, and what is asked through it again and again.

use std::time::Duration;

use kvorum_client::{Client, Config, Hints, Route, ScanOptions, Why};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::{Cluster, PATIENCE};

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A client that sends its requests to these nodes alone, in turn.
pub(crate) fn client(cluster: &Cluster, nodes: &[&str]) -> Client {
    client_of(cluster, nodes, "default")
}

/// The same, of another keyspace.
pub(crate) fn client_of(cluster: &Cluster, nodes: &[&str], keyspace: &str) -> Client {
    let addresses = nodes.iter().map(|node| cluster.node(node).client.clone());
    let config = Config::new(addresses).keyspace(keyspace).route(Route::Endpoints);
    Client::lazy(config.timeout(Duration::from_secs(20))).unwrap()
}

/// Does something with every number of a range, so many at a time.
pub(crate) async fn for_each<T>(numbers: std::ops::Range<usize>, at_once: usize, act: impl Fn(usize) -> T)
where
    T: Future<Output = ()> + 'static,
{
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for number in numbers {
        if tasks.len() == at_once {
            local.run_until(tasks.join_next()).await.unwrap().unwrap();
        }
        tasks.spawn_local_on(act(number), &local);
    }
    while let Some(ended) = local.run_until(tasks.join_next()).await {
        ended.unwrap();
    }
}

/// The hints that all members keep; none when one of them did not say, though it should.
pub(crate) async fn hints(client: &Client) -> Option<Hints> {
    let hints = client.hints().await.ok()?;
    hints.unanswered.iter().all(|member| member.state == "down" || member.state == "unreachable").then_some(hints)
}

/// Waits until every member says that it keeps no hints.
pub(crate) async fn wait_until_no_hints(client: &Client) {
    let began = Instant::now();
    loop {
        let hints = client.hints().await;
        if hints.as_ref().is_ok_and(|hints| hints.queues.is_empty() && hints.unanswered.is_empty()) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "hints are still kept: {hints:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asserts that all replicas of a key hold the same, and something.
pub(crate) fn assert_equal_replicas(key: &str, why: &Why, replicas: usize) {
    assert_eq!(why.replicas.len(), replicas, "{key}: {why:#?}");
    let first = &why.replicas[0];
    for replica in &why.replicas {
        assert!(replica.error.is_none() && replica.found, "{key}: {why:#?}");
        assert_eq!(replica.versions, first.versions, "{key}: {why:#?}");
        assert_eq!(replica.context, first.context, "{key}: {why:#?}");
    }
}

/// Every pair that a node holds itself, if all others are gone; else what it and others hold.
pub(crate) async fn scan_one(client: &Client) -> Vec<(String, String)> {
    let mut scan = client.scan(ScanOptions::new().level(kvorum_client::Level::One));
    let mut pairs = Vec::new();
    while let Some(page) = scan.next_page().await.unwrap() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        pairs.extend(page.rows.iter().map(|row| (text(&row.key), text(&row.versions[0].value))));
    }
    pairs
}
