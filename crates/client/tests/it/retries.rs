//! What is tried again, and what is not.

use std::time::{Duration, Instant};

use kvorum_client::{Client, Config, Error, Level, Outcome, PutOptions, Retry, Route, ScanOptions};
use kvorum_wire::v1;
use kvorum_wire::v1::error::Kind;
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;
use tokio::net::TcpListener;

use crate::fake::{Door, Fake, Reply, done, error, found, nobody};

fn client<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Client {
    Client::lazy(Config::new(endpoints).route(Route::Endpoints)).unwrap()
}

/// A node whose first answers are these, and that is willing afterwards.
pub(crate) async fn first(replies: impl IntoIterator<Item = Reply>) -> Fake {
    let mut replies = replies.into_iter().collect::<Vec<_>>().into_iter();
    Fake::start(move |operation| replies.next().unwrap_or_else(|| Reply::Answer(done(operation)))).await
}

#[tokio::test]
async fn a_put_that_was_rejected_or_met_overload_is_tried_again() {
    for kind in [Kind::Rejected, Kind::Overloaded] {
        let fake = first([error(kind), error(kind)]).await;
        client([&fake.address]).put("key", "value").await.unwrap();
        assert_eq!(fake.log().count(), 3, "{kind:?}");
    }
}

#[tokio::test]
async fn a_put_that_may_be_applied_is_not_tried_again() {
    for kind in [Kind::Indeterminate, Kind::TimedOut, Kind::DataLoss, Kind::Unspecified] {
        let (fake, other) = (first([error(kind)]).await, Fake::willing().await);
        let client = client([&fake.address, &other.address]);
        let error = client.put("key", "value").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert_eq!((fake.log().count(), other.log().count()), (1, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn a_put_answered_with_something_else_may_be_applied() {
    let fake = first([Reply::Answer(Answer::Get(found("x".into())))]).await;
    let error = client([&fake.address]).put("key", "value").await.unwrap_err();
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
}

#[tokio::test]
async fn what_breaks_a_limit_is_not_tried_again() {
    let (fake, other) = (first([error(Kind::Invalid)]).await, Fake::willing().await);
    let client = client([&fake.address, &other.address]);
    let error = client.put("key", "value").await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { message, .. } if message == "by script"), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!((fake.log().count(), other.log().count()), (1, 0));
}

#[tokio::test]
async fn a_read_is_tried_elsewhere_whatever_was_wrong() {
    let kinds =
        [Kind::Rejected, Kind::Overloaded, Kind::Indeterminate, Kind::TimedOut, Kind::DataLoss, Kind::Unspecified];
    let wrong = kinds.map(error).into_iter().chain([Reply::Break, Reply::Answer(done(&put()))]);
    for reply in wrong {
        let (fake, other) = (first([reply]).await, Fake::willing().await);
        let got = client([&fake.address, &other.address]).get("key").await.unwrap();
        assert_eq!(got.value().unwrap(), "key");
        assert_eq!((fake.log().count(), other.log().count()), (1, 1));
    }
}

fn put() -> Operation {
    Operation::Put(Default::default())
}

#[tokio::test]
async fn a_broken_session_leaves_writes_open_that_were_sent() {
    let (fake, other) = (first([Reply::Break]).await, Fake::willing().await);
    let client = client([&fake.address, &other.address]);
    let error = client.put("key", "value").await.unwrap_err();
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
    assert_eq!((fake.log().count(), other.log().count()), (1, 0));
    client.put("key", "value").await.unwrap();
    client.put("key", "value").await.unwrap();
    assert_eq!(fake.log().sessions, 2, "the session is replaced");
}

#[tokio::test]
async fn a_write_whose_session_is_refused_goes_elsewhere() {
    let (refusing, willing) = (Fake::willing().await, Fake::willing().await);
    refusing.door(Door::Refusing);
    client([&refusing.address, &willing.address]).delete("key").await.unwrap();
    assert_eq!((refusing.log().count(), willing.log().count()), (0, 1));
}

#[tokio::test]
async fn a_write_to_nobody_goes_elsewhere() {
    let willing = Fake::willing().await;
    client([&nobody().await, &willing.address]).put("key", "value").await.unwrap();
    assert_eq!(willing.log().count(), 1);
}

#[tokio::test]
async fn a_stopped_node_whose_kernel_accepts_connections_has_seen_nothing() {
    let stopped = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let willing = Fake::willing().await;
    let client = client([&stopped.local_addr().unwrap().to_string(), &willing.address]);
    client.put("key", "value").await.unwrap();
    assert_eq!(willing.log().count(), 1);
}

#[tokio::test]
async fn a_node_that_comes_back_within_the_timeout_is_reached() {
    let fake = Fake::willing().await;
    fake.door(Door::Refusing);
    let client = client([&fake.address]);
    let put = tokio::spawn(async move { client.put("key", "value").await });
    fake.until("a refused session", |log| log.refused > 1).await;
    fake.door(Door::Open);
    put.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_write_without_an_answer_is_open_when_its_time_is_up() {
    let (silent, other) = (Fake::start(|_| Reply::Silence).await, Fake::willing().await);
    let client = client([&silent.address, &other.address]);
    let options = PutOptions::new().timeout(Duration::from_millis(100)).level(Level::All);
    let begin = Instant::now();
    let error = client.put_with("key", "value", &options).await.unwrap_err();
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(other.log().count(), 0);
    let log = silent.log();
    let Some(Operation::Put(put)) = log.operations().next() else { panic!("{log:?}") };
    assert_eq!(put.timeout_ms, 100);
    let all = v1::Level { level: Some(v1::level::Level::Name(v1::level::Name::All.into())) };
    assert_eq!(put.level, Some(all));
}

#[tokio::test]
async fn a_read_without_an_answer_has_time_left_for_another_node() {
    let (silent, other) = (Fake::start(|_| Reply::Silence).await, Fake::willing().await);
    let config = Config::new([&silent.address, &other.address]).route(Route::Endpoints);
    let client = Client::lazy(config.timeout(Duration::from_millis(400))).unwrap();
    assert_eq!(client.get("key").await.unwrap().value().unwrap(), "key");
    assert_eq!(silent.log().count(), 1);
    // The silent one is left alone for a while, although it would be its turn.
    for _ in 0..4 {
        client.get("key").await.unwrap();
    }
    assert_eq!((silent.log().count(), other.log().count()), (1, 5));
}

#[tokio::test]
async fn a_read_that_nobody_answers_times_out() {
    let silent = Fake::start(|_| Reply::Silence).await;
    let config = Config::new([&silent.address]).route(Route::Endpoints);
    let client = Client::lazy(config.timeout(Duration::from_millis(100))).unwrap();
    let error = client.get("key").await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[tokio::test]
async fn a_write_that_never_left_in_time_is_certainly_not_applied() {
    let fake = Fake::willing().await;
    fake.door(Door::Shut);
    let config = Config::new([&fake.address]).route(Route::Endpoints);
    let client = Client::lazy(config.timeout(Duration::from_millis(50))).unwrap();
    let error = client.put("key", "value").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    fake.door(Door::Open);
    client.get("key").await.unwrap();
    assert_eq!(fake.log().count(), 1, "the put did not leave later");
}

#[tokio::test]
async fn once_around_names_every_endpoint_that_failed() {
    let (a, b) = (nobody().await, nobody().await);
    let config = Config::new([&a, &b]).route(Route::Endpoints).retry(Retry::OnceAround);
    let client = Client::lazy(config.clone()).unwrap();
    let error = client.get("key").await.unwrap_err();
    let Error::Connect { attempts, .. } = &error else { panic!("{error}") };
    let tried: Vec<_> = attempts.iter().map(|attempt| attempt.endpoint.clone()).collect();
    assert_eq!(tried, [a, b]);
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    assert!(matches!(Client::connect(config).await, Err(Error::Connect { attempts, .. }) if attempts.len() == 2));
}

#[tokio::test]
async fn every_call_once_around_passes_over_endpoints_that_cannot_be_reached() {
    let (refusing, willing) = (Fake::willing().await, Fake::willing().await);
    refusing.door(Door::Refusing);
    refusing.status(Err(tonic::Status::unavailable("not yet")));
    let endpoints = [nobody().await, refusing.address.clone(), willing.address.clone()];
    // A client for each call: none has learnt from an earlier one whom to leave alone.
    let client = || {
        let config = Config::new(&endpoints).route(Route::Endpoints).retry(Retry::OnceAround);
        Client::lazy(config).unwrap()
    };
    client().put("key", "value").await.unwrap();
    client().get("key").await.unwrap();
    client().delete("key").await.unwrap();
    client().scan(ScanOptions::new()).next_page().await.unwrap();
    assert_eq!((refusing.log().count(), willing.log().count()), (0, 4));
    client().status().await.unwrap();
    client().ring(None).await.unwrap();
}

#[tokio::test]
async fn once_around_asks_a_rejecting_node_once_but_an_overloaded_one_again() {
    let config = |fake: &Fake| Config::new([&fake.address]).route(Route::Endpoints).retry(Retry::OnceAround);
    let rejecting = first([error(Kind::Rejected)]).await;
    let refused = Client::lazy(config(&rejecting)).unwrap().put("key", "value").await.unwrap_err();
    assert!(matches!(refused, Error::Rejected { .. }), "{refused}");
    let overloaded = first([error(Kind::Overloaded), error(Kind::Overloaded)]).await;
    Client::lazy(config(&overloaded)).unwrap().put("key", "value").await.unwrap();
}

#[tokio::test]
async fn retries_end_with_the_timeout() {
    let fake = Fake::start(|_| error(Kind::Rejected)).await;
    let config = Config::new([&fake.address]).route(Route::Endpoints);
    let client = Client::lazy(config.timeout(Duration::from_millis(200))).unwrap();
    let begin = Instant::now();
    let error = client.put("key", "value").await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(fake.log().count() > 1);
}
