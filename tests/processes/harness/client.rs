//! The client library against nodes under test, and what is asked through it again and again.

use std::time::Duration;

use kvorum_client::{Client, Config, Hints, Route, ScanOptions, Timestamp, Why, WhyEntry, WhyReplica, WhyVersion};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::{Cluster, PATIENCE};

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What a client is given that sends its requests to these nodes alone, in turn.
pub(crate) fn config(cluster: &Cluster, nodes: &[&str]) -> Config {
    let addresses = nodes.iter().map(|node| cluster.node(node).client.clone());
    Config::new(addresses).route(Route::Endpoints).timeout(Duration::from_secs(20))
}

/// Such a client.
pub(crate) fn client(cluster: &Cluster, nodes: &[&str]) -> Client {
    Client::lazy(config(cluster, nodes)).unwrap()
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
    assert!(are_equal(why, replicas), "the replicas of {key} differ: {why:#?}");
}

fn are_equal(why: &Why, replicas: usize) -> bool {
    let holds_the_first = |replica: &WhyReplica| {
        let first = &why.replicas[0];
        let answered = replica.error.is_none() && replica.found;
        answered && replica.versions == first.versions && replica.context == first.context
    };
    why.replicas.len() == replicas && why.replicas.iter().all(holds_the_first)
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

#[test]
fn replicas_that_differ_are_noticed() {
    let version = |timestamp| WhyVersion {
        actor: 1,
        timestamp: Timestamp(timestamp),
        node: Some("n1".into()),
        tombstone: false,
        expires_at_ms: None,
        expired: false,
        bytes: 3,
    };
    let replica = |name: &str| WhyReplica {
        name: name.into(),
        error: None,
        found: true,
        versions: vec![version(7)],
        context: Vec::new(),
        bytes: 3,
        hints: Vec::new(),
    };
    let equal = || Why {
        place: None,
        mode: "lww".into(),
        replicas: ["n1", "n2", "n3"].map(replica).to_vec(),
        silent: Vec::new(),
        unasked: 0,
    };
    assert!(are_equal(&equal(), 3));
    assert!(!are_equal(&equal(), 6), "some are missing");
    let changes: [fn(&mut WhyReplica); 5] = [
        |replica| replica.error = Some("it is down".into()),
        |replica| replica.found = false,
        |replica| replica.versions.clear(),
        |replica| replica.versions[0].timestamp = Timestamp(8),
        |replica| replica.context = vec![WhyEntry { actor: 1, timestamp: Timestamp(7), node: None }],
    ];
    for change in changes {
        for at in 0..3 {
            let mut why = equal();
            change(&mut why.replicas[at]);
            assert!(!are_equal(&why, 3), "{why:?}");
        }
    }
}
