//! How many retries a client makes in all.

use std::time::Duration;

use kvorum_client::{Client, Config, Error, Route};
use kvorum_wire::v1::error::Kind;

use crate::fake::{Fake, error, nobody};

fn client<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Client {
    // Longer than all pauses of one call together.
    let config = Config::new(endpoints).timeout(Duration::from_secs(20)).retry_reserve(10);
    Client::lazy(config.route(Route::Endpoints)).unwrap()
}

#[tokio::test]
async fn a_node_that_is_always_overloaded_gets_ten_retries_and_one_for_ten_calls() {
    let fake = Fake::start(|_| error(Kind::Overloaded)).await;
    let client = client([&fake.address]);
    for call in 0..100 {
        let failed = client.clone().put("key", "value").await.unwrap_err();
        assert!(matches!(failed, Error::Overloaded { .. }), "{failed}");
        if call == 0 {
            assert_eq!(fake.log().count(), 1 + 10, "the reserve");
        }
    }
    // The first call earned nothing, for the bucket was full.
    assert_eq!(fake.log().count(), 100 + 10 + 9);
}

#[tokio::test]
async fn retries_elsewhere_are_paid_for_too_and_reads_as_writes() {
    let fakes = [Fake::start(|_| error(Kind::Rejected)).await, Fake::start(|_| error(Kind::Rejected)).await];
    let client = client(fakes.iter().map(|fake| &fake.address));
    for _ in 0..10 {
        client.put("key", "value").await.unwrap_err();
        client.get("key").await.unwrap_err();
    }
    let asked: usize = fakes.iter().map(|fake| fake.log().count()).sum();
    assert_eq!(asked, 20 + 10 + 1);
}

#[tokio::test]
async fn another_client_has_a_budget_of_its_own() {
    let fake = Fake::start(|_| error(Kind::Overloaded)).await;
    for client in [client([&fake.address]), client([&fake.address])] {
        client.put("key", "value").await.unwrap_err();
    }
    assert_eq!(fake.log().count(), 2 * (1 + 10));
}

#[tokio::test]
async fn nodes_that_cannot_be_reached_cost_nothing() {
    let fake = Fake::willing().await;
    let dead = [nobody().await, nobody().await, nobody().await];
    let client = client(dead.iter().chain([&fake.address]));
    for _ in 0..50 {
        client.put("key", "value").await.unwrap();
    }
    fake.script(|_| error(Kind::Overloaded));
    client.put("key", "value").await.unwrap_err();
    assert_eq!(fake.log().count(), 50 + 1 + 10, "the budget was whole");
}
