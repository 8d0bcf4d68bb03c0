//! Keyspaces: a change is made once, or the caller is told that nobody knows.

use std::time::{Duration, Instant};

use kvorum_client::{Client, Config, Error, KeyspaceAlteration, NewKeyspace, Outcome, Route};
use kvorum_wire::v1;
use tonic::{Code, Status};

use crate::fake::{Fake, nobody};

fn client<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Client {
    let config = Config::new(endpoints).route(Route::Endpoints).timeout(Duration::from_secs(3));
    Client::lazy(config).unwrap()
}

fn said(code: Code, outcome: &str) -> Status {
    let mut status = Status::new(code, "because");
    status.metadata_mut().insert("kvorum-outcome", outcome.parse().unwrap());
    status
}

#[tokio::test]
async fn keyspaces_are_made_altered_dropped_and_listed() {
    let fake = Fake::willing().await;
    let client = client([&nobody().await, &fake.address]);
    fake.change(Ok(v1::Keyspace { name: "carts".into(), id: 2, mode: "causal".into(), ..Default::default() }));
    let made = client.create_keyspace(&NewKeyspace::new("carts").mode("causal")).await.unwrap();
    assert_eq!((made.name.as_str(), made.id, made.mode.as_str(), made.min_read), ("carts", 2, "causal", 1));
    assert_eq!(client.alter_keyspace("users", &KeyspaceAlteration::new().ttl(None)).await.unwrap(), made);
    client.drop_keyspace("gone").await.unwrap();
    let all = client.keyspaces().await.unwrap();
    assert_eq!((all.keyspaces, all.version), (vec![made], 9));
    let log = fake.log();
    let names: Vec<&str> = log.changes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["carts", "users", "gone"]);
    assert!(log.changes.iter().all(|(_, timeout_ms)| (1..=3000).contains(timeout_ms)), "{:?}", log.changes);
}

#[tokio::test]
async fn a_change_that_was_certainly_not_made_is_asked_for_elsewhere() {
    let (away, willing) = (Fake::willing().await, Fake::willing().await);
    away.change(Err(said(Code::Unavailable, "rejected")));
    client([&away.address, &willing.address]).drop_keyspace("carts").await.unwrap();
    assert_eq!((away.log().changes.len(), willing.log().changes.len()), (1, 1));
    let error = client([&away.address]).drop_keyspace("carts").await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { message, .. } if message == "because"), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn a_change_that_may_have_been_made_is_not_asked_for_again() {
    let (first, second) = (Fake::willing().await, Fake::willing().await);
    for status in [said(Code::Unknown, "indeterminate"), Status::unavailable("the connection broke")] {
        first.change(Err(status));
        // A client begins with its first endpoint.
        let error = client([&first.address, &second.address]).drop_keyspace("carts").await.unwrap_err();
        assert!(matches!(&error, Error::Indeterminate { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::Unknown);
    }
    assert!(second.log().changes.is_empty());
}

#[tokio::test]
async fn a_node_that_says_nothing_leaves_it_open_and_in_time() {
    let (silent, second) = (Fake::willing().await, Fake::willing().await);
    silent.change(None);
    let client = client([&silent.address, &second.address]);
    let start = Instant::now();
    let error = client.create_keyspace(&NewKeyspace::new("carts")).await.unwrap_err();
    assert!(matches!(&error, Error::Indeterminate { .. }), "{error}");
    assert!((3..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(second.log().changes.is_empty());
}

#[tokio::test]
async fn a_refusal_becomes_its_error() {
    let (fake, second) = (Fake::willing().await, Fake::willing().await);
    let drop = async || client([&fake.address, &second.address]).drop_keyspace("carts").await;
    for code in [Code::InvalidArgument, Code::AlreadyExists, Code::FailedPrecondition] {
        fake.change(Err(said(code, "rejected")));
        assert!(matches!(drop().await, Err(Error::Invalid { .. })), "{code:?}");
    }
    fake.change(Err(said(Code::NotFound, "rejected")));
    let error = drop().await.unwrap_err();
    assert!(matches!(&error, Error::NotFound { message, .. } if message == "because"), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    fake.change(Err(Status::unimplemented("")));
    assert!(matches!(drop().await, Err(Error::Protocol { .. })));
    assert!(second.log().changes.is_empty());
}
