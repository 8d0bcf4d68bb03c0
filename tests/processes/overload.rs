//! A node that is asked for more than it can carry: it refuses the rest at once, and serves as ever when that is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kvorum_wire::v1;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use v1::kv_client::KvClient;
use v1::request::Operation;

use crate::harness::{Cluster, block_on};

/// More than a node with the least memory takes on at once: what is reserved for its process, in pairs of the largest size,
/// is some 4 000.
const REQUESTS: u64 = 12_000;
const REQUESTS_OF_MESSAGE: u64 = 500;
const SESSIONS: u64 = 3;

/// Asks for a put that every replica must hold, so that one that hangs keeps it under way.
fn put(id: u64) -> v1::Request {
    let all = v1::Level { level: Some(v1::level::Level::Number(3)) };
    let key = format!("key-{id}").into();
    let put = v1::PutRequest {
        key,
        value: vec![b'v'; 100].into(),
        level: Some(all),
        timeout_ms: 30_000,
        ..Default::default()
    };
    v1::Request { id, operation: Some(Operation::Put(put)) }
}

#[test]
fn what_a_node_cannot_carry_is_refused_at_once_and_others_are_served_when_it_is_over() {
    let mut cluster = Cluster::start(3, &["--memory", "64MiB"]);
    cluster.run("n1", &["put", "k", "v", "-w", "all"]);
    cluster.node_mut("n3").process().signal(Signal::STOP);
    let address = format!("http://{}", cluster.node("n1").client);
    block_on(async {
        let mut sessions = Vec::new();
        for session in 0..SESSIONS {
            let channel = Endpoint::from_shared(address.clone()).unwrap().connect().await.unwrap();
            let (requests, stream) = mpsc::channel(64);
            let answers = KvClient::new(channel).session(ReceiverStream::new(stream)).await.unwrap().into_inner();
            let share = REQUESTS / SESSIONS;
            for first in (session * share..(session + 1) * share).step_by(REQUESTS_OF_MESSAGE as usize) {
                let asked = (first..first + REQUESTS_OF_MESSAGE).map(put).collect();
                requests.send(v1::SessionRequest { requests: asked }).await.unwrap();
            }
            sessions.push((requests, answers));
        }
        let asked = Instant::now();
        let mut answered: BTreeMap<u64, Option<v1::error::Kind>> = BTreeMap::new();
        let mut refused_within = None;
        let mut is_held = true;
        while answered.len() < REQUESTS as usize {
            for (_, answers) in &mut sessions {
                // A session with nothing to say must not keep the others from being heard.
                let said = tokio::time::timeout(Duration::from_millis(20), answers.message()).await;
                let Ok(message) = said else { continue };
                for response in message.unwrap().expect("the session goes on").responses {
                    let kind = match response.result.unwrap() {
                        v1::response::Result::Error(error) => Some(error.kind()),
                        _ => None,
                    };
                    assert!(answered.insert(response.id, kind).is_none(), "{} was answered twice", response.id);
                    if kind == Some(v1::error::Kind::Overloaded) {
                        refused_within.get_or_insert(asked.elapsed());
                    }
                }
            }
            assert!(asked.elapsed() < Duration::from_secs(50), "{} of {REQUESTS} were answered", answered.len());
            let refused = answered.values().filter(|kind| **kind == Some(v1::error::Kind::Overloaded)).count();
            if is_held && refused as u64 > REQUESTS / 4 {
                eprintln!("{refused} were refused within {:?}, the first within {refused_within:?}", asked.elapsed());
                assert!(asked.elapsed() < Duration::from_secs(10), "it refused only after {:?}", asked.elapsed());
                cluster.node_mut("n3").process().signal(Signal::CONT);
                is_held = false;
            }
        }
        let mut counts = BTreeMap::new();
        for kind in answered.values() {
            *counts.entry(kind.map_or("done", |kind| kind.as_str_name())).or_insert(0) += 1;
        }
        eprintln!("all were answered within {:?}: {counts:?}", asked.elapsed());
        assert!(!is_held, "it took on all of them: {counts:?}");
    });
    // Nothing is left of it.
    let began = Instant::now();
    for node in ["n1", "n2", "n3"] {
        assert_eq!(cluster.run(node, &["get", "k"]), "v\n");
        cluster.run(node, &["put", "k", "v"]);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "others were served after {:?}", began.elapsed());
}
