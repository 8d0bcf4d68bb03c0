//! Hints: every member is asked, and those that do not tell are named.

use std::time::{Duration, Instant};

use kvorum_client::{Client, Config, Error, HintQueue, Hints, Route};
use kvorum_wire::v1;
use tonic::Status;

use crate::fake::{Fake, nobody};

const TIMEOUT: Duration = Duration::from_millis(700);

/// The hints, as told through the first of these members (name, state, address).
async fn hints(seen_by: &Fake, members: &[(&str, &str, &String)]) -> Result<Hints, Error> {
    let member = |&(name, state, client): &(&str, &str, &String)| v1::Member {
        name: name.into(),
        state: state.into(),
        client: client.clone(),
        ..Default::default()
    };
    let members = members.iter().map(member).collect();
    seen_by.status(Ok(v1::StatusResponse { members, ..Default::default() }));
    let config = Config::new([&seen_by.address]).route(Route::Endpoints).timeout(TIMEOUT);
    Client::lazy(config).unwrap().hints().await
}

fn keeps(fake: &Fake, holder: &str, targets: &[&str]) {
    let queue = |target: &&str| v1::HintQueue {
        target: (*target).into(),
        count: 3,
        bytes: 300,
        owed: 2,
        oldest_age_ms: 61_000,
    };
    let queues = targets.iter().map(queue).collect();
    fake.hints(Ok(v1::HintsResponse { holder: holder.into(), queues }));
}

fn queue(holder: &str, target: &str) -> HintQueue {
    HintQueue {
        holder: holder.into(),
        target: target.into(),
        count: 3,
        bytes: 300,
        owed: 2,
        oldest_age: Duration::from_secs(61),
    }
}

fn unanswered(hints: &Hints) -> Vec<(&str, &str)> {
    hints.unanswered.iter().map(|member| (member.name.as_str(), member.state.as_str())).collect()
}

#[tokio::test]
async fn every_member_tells_what_it_keeps_and_the_dead_are_named() {
    let (n1, n2, n5) = (Fake::willing().await, Fake::willing().await, Fake::willing().await);
    keeps(&n1, "n1", &["n3", "n4"]);
    keeps(&n2, "n2", &["n3"]);
    keeps(&n5, "n5", &[]);
    let (dead, gone) = (nobody().await, nobody().await);
    let members = [
        ("n1", "up", &n1.address),
        ("n4", "up", &dead),
        ("n2", "suspect", &n2.address),
        ("n3", "down", &dead),
        ("n0", "left", &gone),
        ("n5", "up", &n5.address),
    ];
    let hints = hints(&n1, &members).await.unwrap();
    assert_eq!(hints.queues, [queue("n1", "n3"), queue("n1", "n4"), queue("n2", "n3")]);
    assert_eq!(unanswered(&hints), [("n4", "up"), ("n3", "down")]);
    assert_eq!(hints.answered, 3);
    assert!(hints.unanswered.iter().all(|one| matches!(one.error, Error::Connect { .. })), "{hints:?}");
}

#[tokio::test]
async fn a_silent_member_keeps_no_other_from_being_heard_and_nobody_waits_longer_than_the_timeout() {
    let (n1, silent, n3) = (Fake::willing().await, Fake::willing().await, Fake::willing().await);
    silent.hints(None);
    keeps(&n1, "n1", &["n2"]);
    keeps(&n3, "n3", &["n2"]);
    let begin = Instant::now();
    let members = [("n2", "up", &silent.address), ("n1", "up", &n1.address), ("n3", "up", &n3.address)];
    let hints = hints(&n1, &members).await.unwrap();
    assert!(begin.elapsed() < 3 * TIMEOUT, "{:?}", begin.elapsed());
    assert_eq!(hints.queues, [queue("n1", "n2"), queue("n3", "n2")]);
    assert_eq!(unanswered(&hints), [("n2", "up")]);
    assert!(matches!(hints.unanswered[0].error, Error::TimedOut { .. }), "{hints:?}");
}

#[tokio::test]
async fn what_is_no_answer_of_that_member_counts_as_none() {
    let (n1, old, twin) = (Fake::willing().await, Fake::willing().await, Fake::willing().await);
    keeps(&n1, "n1", &[]);
    old.hints(Err(Status::unimplemented("")));
    keeps(&twin, "n9", &["n1"]);
    let nowhere = String::new();
    let members = [
        ("n1", "up", &n1.address),
        ("n2", "up", &old.address),
        ("n3", "up", &twin.address),
        ("n4", "joining", &nowhere),
    ];
    let hints = hints(&n1, &members).await.unwrap();
    assert!(hints.queues.is_empty(), "{hints:?}");
    assert_eq!(unanswered(&hints), [("n2", "up"), ("n3", "up"), ("n4", "joining")]);
    assert!(hints.unanswered[1].error.to_string().contains("n9 answers there, not n3"), "{hints:?}");
}

#[tokio::test]
async fn without_a_list_of_members_there_is_an_error() {
    let config = Config::new([nobody().await]).route(Route::Endpoints);
    assert!(matches!(Client::lazy(config).unwrap().hints().await, Err(Error::Connect { .. })));
}
