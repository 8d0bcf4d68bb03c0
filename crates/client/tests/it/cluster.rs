//! Questions about the cluster itself.

use kvorum_client::{Client, Config, Error, Route, Watched};
use kvorum_wire::v1;
use tonic::Status;

use crate::fake::{Fake, nobody};

fn client<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Client {
    Client::lazy(Config::new(endpoints).route(Route::Endpoints)).unwrap()
}

#[tokio::test]
async fn status_is_asked_of_the_first_endpoint_that_answers() {
    let fake = Fake::willing().await;
    let member = v1::Member { name: "n1".into(), heartbeat_age_ms: Some(3), ..Default::default() };
    fake.status(Ok(v1::StatusResponse { epoch: 5, members: vec![member], ..Default::default() }));
    let status = client([&nobody().await, &fake.address]).status().await.unwrap();
    assert_eq!((status.epoch, status.members[0].name.as_str()), (5, "n1"));
    assert_eq!(status.members[0].heartbeat_age_ms, Some(3));
}

#[tokio::test]
async fn who_watches_is_told_what_happens_until_the_node_goes_away() {
    use v1::watch_status_response::Update;
    let fake = Fake::willing().await;
    let told = |update, missed| v1::WatchStatusResponse { update, missed };
    let event = v1::MemberEvent {
        at_ms: 7,
        name: "n3".into(),
        id: "9f".into(),
        kind: "joined".into(),
        to: "up".into(),
        seen_by: "n1".into(),
        ..Default::default()
    };
    let status = v1::StatusResponse { epoch: 5, ..Default::default() };
    // The empty one is what a later version tells.
    let updates = [(Some(Update::Present(status)), 2), (None, 0), (Some(Update::Event(event)), 0)];
    fake.watched(updates.map(|(update, missed)| told(update, missed)).to_vec());
    let mut watch = client([&nobody().await, &fake.address]).watch_status().await.unwrap();
    assert_eq!(watch.endpoint(), fake.address);
    let first = watch.next().await.unwrap();
    assert!(matches!(first, Watched::Present { status, missed: 2 } if status.epoch == 5));
    let Watched::Event(event) = watch.next().await.unwrap() else { panic!("an event") };
    assert_eq!((event.at_ms, event.name.as_str(), event.kind.as_str()), (7, "n3", "joined"));
    assert_eq!((event.from, event.to.as_deref(), event.seen_by.as_str()), (None, Some("up"), "n1"));
    let over = watch.next().await.unwrap_err();
    assert!(matches!(&over, Error::Connect { .. }) && over.to_string().contains(&fake.address), "{over}");
}

#[tokio::test]
async fn a_ring_is_asked_for_with_and_without_a_key() {
    let fake = Fake::willing().await;
    let client = client([&fake.address]);
    let place = client.ring(Some(b"abc")).await.unwrap().place.unwrap();
    assert_eq!((place.token.0, place.partition), (3, 3));
    assert_eq!((place.replicas, place.fallbacks), (vec!["n1".into()], vec!["n2".to_owned()]));
    let balance = client.ring(None).await.unwrap();
    assert_eq!((balance.place, balance.partitions, balance.epoch), (None, 8, 2));
}

#[tokio::test]
async fn a_status_code_becomes_its_error() {
    let fake = Fake::willing().await;
    let client = client([&fake.address]);
    let mut rejected = Status::unavailable("rejected: no layout yet");
    rejected.metadata_mut().insert("kvorum-outcome", "rejected".parse().unwrap());
    fake.status(Err(rejected));
    let error = client.status().await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { message, .. } if message == "no layout yet"), "{error}");
    fake.status(Err(Status::unavailable("gone")));
    let error = client.status().await.unwrap_err();
    assert!(matches!(&error, Error::Connect { .. }) && error.to_string().contains("gone"), "{error}");
    fake.status(Err(Status::invalid_argument("odd")));
    assert!(matches!(client.status().await, Err(Error::Invalid { .. })));
    fake.status(Err(Status::resource_exhausted("busy")));
    assert!(matches!(client.status().await, Err(Error::Overloaded { .. })));
}

#[tokio::test]
async fn nobody_to_ask_is_an_error_that_names_everybody() {
    let (a, b) = (nobody().await, nobody().await);
    let error = client([&a, &b]).status().await.unwrap_err().to_string();
    assert!(error.contains(&a) && error.contains(&b), "{error}");
}
