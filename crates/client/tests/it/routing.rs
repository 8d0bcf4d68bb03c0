//! Which node is asked.

use kvorum_client::{Client, Config, Route};
use kvorum_ring::Token;
use kvorum_wire::v1;

use crate::fake::{Fake, Reply, nobody};

/// Two partitions: the lower half of the circle is held by `low`, the upper by `high`.
fn halves(low: &str, high: &str) -> v1::TopologyResponse {
    let node = |client: &str| v1::TopologyNode { client: client.into(), up: true, ..Default::default() };
    v1::TopologyResponse {
        epoch: 1,
        partitions: 2,
        nodes: vec![node(low), node(high)],
        rows: vec![v1::TopologyRow { nodes: vec![0] }, v1::TopologyRow { nodes: vec![1] }],
    }
}

fn is_high(key: &str) -> bool {
    Token::of(key.as_bytes()).0 >= 1 << 63
}

fn keys() -> impl Iterator<Item = String> {
    (0..40).map(|number| number.to_string())
}

#[tokio::test]
async fn a_request_goes_to_a_replica_of_its_key() {
    let (low, high) = (Fake::willing().await, Fake::willing().await);
    low.topology(halves(&low.address, &high.address));
    let client = Client::connect(Config::new([&low.address])).await.unwrap();
    for key in keys() {
        client.get(key).await.unwrap();
    }
    let expected = keys().filter(|key| is_high(key)).count();
    assert!(expected > 5);
    assert_eq!((low.log().count(), high.log().count()), (40 - expected, expected));
}

#[tokio::test]
async fn only_the_endpoints_are_used_in_turn_if_so_configured() {
    let (low, high) = (Fake::willing().await, Fake::willing().await);
    low.topology(halves(&high.address, &high.address));
    let config = Config::new([&low.address]).route(Route::Endpoints);
    let client = Client::connect(config).await.unwrap();
    for key in keys() {
        client.get(key).await.unwrap();
    }
    assert_eq!((low.log().count(), high.log().count()), (40, 0));
    assert_eq!(low.log().topologies, 0);
    let both = Config::new([&low.address, &high.address]).route(Route::Endpoints);
    let client = Client::connect(both).await.unwrap();
    for key in keys() {
        client.get(key).await.unwrap();
    }
    assert_eq!((low.log().count(), high.log().count()), (60, 20));
}

#[tokio::test]
async fn another_node_is_asked_when_the_replica_is_gone() {
    let low = Fake::willing().await;
    low.topology(halves(&low.address, &nobody().await));
    let client = Client::connect(Config::new([&low.address])).await.unwrap();
    for key in keys() {
        client.put(key, "value").await.unwrap();
    }
    assert_eq!(low.log().count(), 40);
}

#[tokio::test]
async fn a_broken_session_refreshes_the_topology() {
    let (endpoint, old, new) = (Fake::willing().await, Fake::willing().await, Fake::willing().await);
    endpoint.topology(halves(&old.address, &old.address));
    let client = Client::connect(Config::new([&endpoint.address])).await.unwrap();
    client.get("key").await.unwrap();
    assert_eq!(old.log().count(), 1);
    endpoint.topology(halves(&new.address, &new.address));
    assert_eq!(endpoint.log().topologies, 1);
    old.break_sessions();
    endpoint.until("another question", |log| log.topologies == 2).await;
    // The answer is on its way when the question is logged; the old node never stops answering.
    while new.log().count() == 0 {
        client.get("key").await.unwrap();
    }
}

#[tokio::test]
async fn a_lazy_client_learns_the_topology_by_itself() {
    let (low, high) = (Fake::willing().await, Fake::willing().await);
    low.topology(halves(&high.address, &high.address));
    let client = Client::lazy(Config::new([&low.address])).unwrap();
    while high.log().count() == 0 {
        client.get("key").await.unwrap();
    }
}

#[tokio::test]
async fn a_cluster_without_a_layout_is_reached_through_its_endpoints() {
    let fake = Fake::willing().await;
    let client = Client::connect(Config::new([&fake.address])).await.unwrap();
    client.put("key", "value").await.unwrap();
    assert_eq!(fake.log().count(), 1);
}

#[tokio::test]
async fn sessions_end_with_the_last_clone_of_the_client() {
    let fake = Fake::start(|_| Reply::Silence).await;
    let client = Client::connect(Config::new([&fake.address]).route(Route::Endpoints)).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.get("key").await }
    });
    fake.until("the get", |log| log.count() == 1).await;
    assert_eq!(fake.log().ended, 0);
    drop(client);
    waiting.abort();
    fake.until("the end", |log| log.ended == 1).await;
}
