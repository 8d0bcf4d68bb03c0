//! Many calls on one stream.

use kvorum_client::{
    Client, Config, Consistency, DeleteOptions, GetOptions, Got, PutOptions, Replicas, Route, Timestamp,
};
use kvorum_wire::v1;
use kvorum_wire::v1::request::Operation;
use tokio::task::JoinSet;

use crate::fake::{Door, Fake};

async fn client(fake: &Fake) -> Client {
    Client::lazy(Config::new([&fake.address]).route(Route::Endpoints)).unwrap()
}

/// So many puts of values of this length, begun before the node accepts the session.
async fn queue_puts(fake: &Fake, client: &Client, count: usize, length: usize) -> JoinSet<u64> {
    fake.door(Door::Shut);
    let mut puts = JoinSet::new();
    for number in 0..count {
        let client = client.clone();
        puts.spawn(async move {
            let value = vec![0; length];
            client.put(number.to_string(), value).await.unwrap().timestamp.0
        });
    }
    // On a current-thread runtime every task has run once when this one comes round again.
    tokio::task::yield_now().await;
    puts
}

#[tokio::test]
async fn an_answer_carries_versions_and_replicas() {
    let fake = Fake::willing().await;
    let got: Got = client(&fake).await.get("key").await.unwrap();
    assert_eq!(got.value().unwrap(), "key");
    assert_eq!(got.replicas, Replicas { wanted: 2, answered: 3, agreed: 1, sloppy: true });
    let version = &got.versions[0];
    assert_eq!((version.actor, version.expires_at_ms), (7, Some(9)));
    assert_eq!(version.timestamp, Timestamp(3 << 16 | 1));
}

#[tokio::test]
async fn whose_answers_count_is_said_with_each_request_that_says_it() {
    let fake = Fake::willing().await;
    let client = client(&fake).await;
    for consistency in [None, Some(Consistency::Sloppy), Some(Consistency::Strict)] {
        client.get_with("key", &GetOptions::new().consistency(consistency)).await.unwrap();
        client.put_with("key", "value", &PutOptions::new().consistency(consistency)).await.unwrap();
        client.delete_with("key", &DeleteOptions::new().consistency(consistency)).await.unwrap();
    }
    let log = fake.log();
    let said: Vec<v1::Consistency> = log
        .operations()
        .map(|operation| match operation {
            Operation::Get(get) => get.consistency(),
            Operation::Put(put) => put.consistency(),
            Operation::Delete(delete) => delete.consistency(),
            Operation::Scan(_) => panic!("{log:?}"),
        })
        .collect();
    let thrice = |consistency| [consistency; 3];
    let expected = [v1::Consistency::Unspecified, v1::Consistency::Sloppy, v1::Consistency::Strict].map(thrice);
    assert_eq!(said, expected.as_flattened());
}

#[tokio::test]
async fn what_is_queued_travels_in_one_message() {
    let fake = Fake::willing().await;
    let client = client(&fake).await;
    let mut puts = queue_puts(&fake, &client, 1000, 100).await;
    fake.door(Door::Open);
    while let Some(done) = puts.join_next().await {
        assert_eq!(done.unwrap(), 100);
    }
    let log = fake.log();
    assert_eq!(log.sessions, 1);
    assert_eq!(log.messages.iter().map(Vec::len).collect::<Vec<_>>(), [1000]);
}

#[tokio::test]
async fn a_message_holds_at_most_256_kib_and_callers_wait_when_the_outbox_is_full() {
    let fake = Fake::willing().await;
    let client = client(&fake).await;
    // Four times what the outbox holds.
    let mut puts = queue_puts(&fake, &client, 400, 10_000).await;
    fake.door(Door::Open);
    while let Some(done) = puts.join_next().await {
        assert_eq!(done.unwrap(), 10_000);
    }
    let log = fake.log();
    assert_eq!(log.count(), 400);
    assert!(log.messages.iter().all(|message| message.len() <= 26), "{:?}", log.messages.len());
    assert!(log.messages.len() < 40, "{}", log.messages.len());
}

#[tokio::test]
async fn a_request_longer_than_a_message_travels_alone() {
    let fake = Fake::willing().await;
    let client = client(&fake).await;
    let mut puts = queue_puts(&fake, &client, 3, 600_000).await;
    fake.door(Door::Open);
    while let Some(done) = puts.join_next().await {
        assert_eq!(done.unwrap(), 600_000);
    }
    assert!(fake.log().messages.iter().all(|message| message.len() == 1));
}

#[tokio::test]
async fn answers_in_another_order_reach_their_own_callers() {
    let fake = Fake::willing().await;
    fake.answer_in_reverse();
    let client = client(&fake).await;
    let mut gets = JoinSet::new();
    for number in 0..200 {
        let client = client.clone();
        gets.spawn(async move {
            let key = number.to_string();
            assert_eq!(client.get(key.clone()).await.unwrap().value().unwrap(), &key);
        });
    }
    while let Some(done) = gets.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_call_dropped_before_it_left_never_leaves() {
    let fake = Fake::willing().await;
    let client = client(&fake).await;
    let mut puts = queue_puts(&fake, &client, 1, 1).await;
    puts.shutdown().await;
    fake.door(Door::Open);
    client.delete("after").await.unwrap();
    let log = fake.log();
    assert!(matches!(log.operations().next(), Some(Operation::Delete(_))));
    assert_eq!(log.count(), 1);
}

#[tokio::test]
async fn each_connection_has_a_session() {
    let fake = Fake::willing().await;
    let config = Config::new([&fake.address]).route(Route::Endpoints).connections_per_node(3);
    let client = Client::lazy(config).unwrap();
    for _ in 0..6 {
        client.get("key").await.unwrap();
    }
    assert_eq!(fake.log().sessions, 3);
}
