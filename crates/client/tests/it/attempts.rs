//! Writes that are asked for again although they may be applied already.

use std::time::{Duration, Instant};

use kvorum_client::{Client, Config, Error, Outcome, Retry, Route};
use kvorum_wire::v1;
use kvorum_wire::v1::error::Kind;
use kvorum_wire::v1::request::Operation;

use crate::fake::{Fake, Reply, done, error, nobody};
use crate::retries::first;

fn config<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Config {
    Config::new(endpoints).route(Route::Endpoints).retry_indeterminate(true)
}

fn client<'a>(endpoints: impl IntoIterator<Item = &'a String>) -> Client {
    Client::lazy(config(endpoints)).unwrap()
}

/// What the writes that a node saw carried.
fn attempts(fake: &Fake) -> Vec<Option<v1::Attempt>> {
    let attempt = |operation: &Operation| match operation {
        Operation::Put(put) => Some(put.attempt),
        Operation::Delete(delete) => Some(delete.attempt),
        Operation::Get(_) | Operation::Scan(_) => None,
    };
    fake.log().operations().filter_map(attempt).collect()
}

/// The ids, and how long ago the first attempt began.
fn ids_and_ages(fake: &Fake) -> (Vec<u64>, Vec<Option<u64>>) {
    attempts(fake).into_iter().flatten().map(|attempt| (attempt.id, attempt.retried_after_ms)).unzip()
}

#[tokio::test]
async fn a_write_in_doubt_is_asked_for_again_under_the_same_id_with_its_age() {
    let in_doubt = || [error(Kind::Indeterminate), Reply::Break, error(Kind::TimedOut), error(Kind::Indeterminate)];
    for delete in [false, true] {
        let fake = first(in_doubt()).await;
        let client = client([&fake.address]);
        let begin = Instant::now();
        if delete {
            client.delete("key").await.unwrap()
        } else {
            client.put("key", "value").await.unwrap()
        };
        let took_ms = u64::try_from(begin.elapsed().as_millis()).unwrap() + 1;
        let (ids, ages) = ids_and_ages(&fake);
        assert_eq!(ids, [ids[0]; 5]);
        assert_eq!(ages[0], None);
        let ages: Vec<u64> = ages[1..].iter().map(|age| age.unwrap()).collect();
        assert!(ages[0] >= 1 && ages.is_sorted() && ages[3] <= took_ms, "{ages:?} in {took_ms} ms");
    }
}

#[tokio::test]
async fn it_is_asked_for_elsewhere_at_once() {
    for reply in [error(Kind::Indeterminate), Reply::Break] {
        let (fake, other) = (first([reply]).await, Fake::willing().await);
        client([&fake.address, &other.address]).put("key", "value").await.unwrap();
        assert_eq!(ids_and_ages(&fake).0, ids_and_ages(&other).0);
        assert!(attempts(&other)[0].unwrap().retried_after_ms.is_some());
    }
}

/// Of each write that a node saw: which process was asked first.
fn first_asked(fake: &Fake) -> Vec<Option<u64>> {
    attempts(fake).into_iter().map(|attempt| attempt.unwrap().first_asked).collect()
}

#[tokio::test]
async fn retries_name_the_process_that_may_have_begun_it() {
    let refusing = Fake::start(|_| error(Kind::Rejected)).await;
    let (begun, other) =
        (first([error(Kind::Indeterminate), Reply::Break]).await, first([error(Kind::Rejected)]).await);
    for (fake, process) in [(&refusing, 1), (&begun, u64::MAX), (&other, 3)] {
        fake.process(process);
    }
    client([&refusing.address, &begun.address, &other.address]).put("key", "value").await.unwrap();
    let all: Vec<Option<u64>> = [&refusing, &begun, &other].iter().flat_map(|fake| first_asked(fake)).collect();
    assert_eq!(all.iter().filter(|asked| asked.is_none()).count(), 2, "those that may begin it: {all:?}");
    assert_eq!(all.iter().filter(|asked| **asked == Some(u64::MAX)).count(), all.len() - 2, "{all:?}");
    assert!(first_asked(&begun).len() > 1 || first_asked(&other).len() > 1, "{all:?}");
}

#[tokio::test]
async fn a_node_that_does_not_tell_its_process_is_not_named() {
    let fake = first([error(Kind::Indeterminate), Reply::Break]).await;
    client([&fake.address]).put("key", "value").await.unwrap();
    assert_eq!(first_asked(&fake), [None; 3]);
}

#[tokio::test]
async fn a_silent_node_leaves_time_for_another() {
    let (silent, other) = (Fake::start(|_| Reply::Silence).await, Fake::willing().await);
    let config = config([&silent.address, &other.address]).timeout(Duration::from_millis(800));
    Client::lazy(config).unwrap().put("key", "value").await.unwrap();
    let (ids, ages) = ids_and_ages(&other);
    assert_eq!((&ids, attempts(&silent)), (&ids_and_ages(&silent).0, vec![Some(attempt(ids[0], None))]));
    assert!((400..800).contains(&ages[0].unwrap()), "{ages:?}");
    let told = |fake: &Fake| match fake.log().operations().next() {
        Some(Operation::Put(put)) => put.timeout_ms,
        other => panic!("{other:?}"),
    };
    // The silent one had until shortly before the client turned away.
    assert_eq!(told(&silent), 300);
    assert!((1..=400).contains(&told(&other)), "{}", told(&other));
}

fn attempt(id: u64, retried_after_ms: Option<u64>) -> v1::Attempt {
    v1::Attempt { id, retried_after_ms, first_asked: None }
}

#[tokio::test]
async fn without_the_option_no_id_is_sent() {
    let fake = first([error(Kind::Rejected)]).await;
    let client = Client::lazy(Config::new([&fake.address]).route(Route::Endpoints)).unwrap();
    client.put("key", "value").await.unwrap();
    client.delete("key").await.unwrap();
    assert_eq!(attempts(&fake), [None; 3]);
}

#[tokio::test]
async fn each_write_has_an_id_of_its_own() {
    let fake = Fake::willing().await;
    let client = client([&fake.address]);
    for _ in 0..10 {
        client.put("key", "value").await.unwrap();
    }
    let (mut ids, ages) = ids_and_ages(&fake);
    assert_eq!(ages, [None; 10]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn what_was_certainly_not_applied_keeps_its_id_and_has_no_age() {
    let fake = first([error(Kind::Rejected), error(Kind::Overloaded), error(Kind::Indeterminate)]).await;
    client([&nobody().await, &fake.address]).put("key", "value").await.unwrap();
    let (ids, ages) = ids_and_ages(&fake);
    assert_eq!(ids, [ids[0]; 4]);
    assert_eq!(ages[..3], [None; 3]);
    assert!(ages[3].is_some());
}

#[tokio::test]
async fn what_stays_in_doubt_is_told_so_at_the_deadline_whatever_was_said_last() {
    let mut asked = 0;
    let fake = Fake::start(move |_| {
        asked += 1;
        error(if asked == 1 { Kind::Indeterminate } else { Kind::Rejected })
    })
    .await;
    let begin = Instant::now();
    let config = config([&fake.address]).timeout(Duration::from_millis(300));
    let error = Client::lazy(config).unwrap().put("key", "value").await.unwrap_err();
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(fake.log().count() > 2, "{}", fake.log().count());
}

#[tokio::test]
async fn a_refusal_ends_it_and_does_not_undo_the_doubt() {
    for kind in [Kind::Invalid, Kind::Precondition, Kind::DataLoss] {
        let fake = first([error(Kind::Indeterminate), error(kind)]).await;
        let error = client([&fake.address]).put("key", "value").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
        assert_eq!(fake.log().count(), 2, "{kind:?}");
    }
}

#[tokio::test]
async fn somebody_in_front_of_a_screen_waits_for_a_write_in_doubt_too() {
    let fake = first([error(Kind::Indeterminate), error(Kind::Rejected), error(Kind::Rejected)]).await;
    let once = || Client::lazy(config([&fake.address]).retry(Retry::OnceAround)).unwrap();
    once().put("key", "value").await.unwrap();
    assert_eq!(fake.log().count(), 4);
    fake.script(|_| error(Kind::Rejected));
    assert!(matches!(once().put("key", "value").await, Err(Error::Rejected { .. })));
    assert_eq!(fake.log().count(), 5, "no doubt, no second round");
}

#[tokio::test]
async fn a_delete_that_must_read_first_is_another_write_afterwards() {
    let mut deletes = 0;
    let fake = Fake::start(move |operation| {
        deletes += usize::from(matches!(operation, Operation::Delete(_)));
        if deletes == 1 && !matches!(operation, Operation::Get(_)) {
            error(Kind::Precondition)
        } else {
            Reply::Answer(done(operation))
        }
    })
    .await;
    client([&fake.address]).delete("key").await.unwrap();
    let (ids, ages) = ids_and_ages(&fake);
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    assert_eq!(ages, [None, None]);
}
