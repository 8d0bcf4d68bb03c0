//! Clients that insist on replicas, and read and write all the time while nodes lose their data: they notice any acknowledged
//! write that is missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kvorum_client::{Client, Consistency, Error, GetOptions, PutOptions};

use super::KEYS;
use crate::harness::{Cluster, block_on, client};

/// Each reader writes some keys of its own, again and again.
const OWN_KEYS: usize = 20;

/// Reads and writes all the time through some nodes, and insists on replicas: nothing that was acknowledged may be missed.
pub(super) struct Readers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Readers {
    /// One reader through each node. Each reads `k0`, `k1` and so on, which all hold this value.
    pub(super) fn start(cluster: &Cluster, through: &[&'static str], value: &'static str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let start = |node: &&'static str| {
            let (client, over, node) = (client(cluster, &[node]), Arc::clone(&over), *node);
            std::thread::spawn(move || block_on(read_until(client, over, node, value)))
        };
        let threads = through.iter().map(start).collect();
        Self { over, threads }
    }

    /// Ends them. Gives how many reads were answered, and what the refusals said.
    pub(super) fn end(self) -> (usize, Vec<String>) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.threads.into_iter().map(|thread| thread.join().unwrap());
        ended.reduce(|one, other| (one.0 + other.0, [one.1, other.1].concat())).unwrap()
    }
}

/// See [`Readers`].
async fn read_until(client: Client, over: Arc<AtomicBool>, node: &str, value: &str) -> (usize, Vec<String>) {
    let (get, put) = (GetOptions::new().consistency(Consistency::Strict), PutOptions::new());
    let put = put.consistency(Consistency::Strict);
    let (mut answered, mut refused) = (0, Vec::new());
    // Of each of its own keys what was acknowledged last, and what was written last.
    let mut own = [(0, 0); OWN_KEYS];
    for round in 1_u64.. {
        for n in 0..KEYS {
            if over.load(Ordering::Relaxed) {
                return (answered, refused);
            }
            match client.get_with(format!("k{n}"), &get).await {
                Ok(got) => {
                    let found = got.value().map(|found| &found[..]);
                    assert_eq!(found, Some(value.as_bytes()), "k{n} through {node} in round {round}");
                    answered += 1;
                }
                Err(error) => refused.push(refusal(&error)),
            }
            let (key, (acknowledged, written)) = (format!("{node}-{}", n % OWN_KEYS), &mut own[n % OWN_KEYS]);
            *written += 1;
            match client.put_with(key.clone(), written.to_string(), &put).await {
                Ok(_) => *acknowledged = *written,
                Err(error) => refused.push(refusal(&error)),
            }
            match client.get_with(key.clone(), &get).await {
                Ok(got) => {
                    let found: u64 = got.value().map_or(0, |found| str::from_utf8(found).unwrap().parse().unwrap());
                    assert!(
                        (*acknowledged..=*written).contains(&found),
                        "{key}: {found}, not {acknowledged}..={written}"
                    );
                    *acknowledged = found;
                    answered += 1;
                }
                Err(error) => refused.push(refusal(&error)),
            }
        }
    }
    unreachable!("rounds do not end")
}

/// Where too few replicas can answer, nothing is told.
fn refusal(error: &Error) -> String {
    let fits = matches!(error, Error::Rejected { .. } | Error::TimedOut { .. } | Error::Indeterminate { .. });
    assert!(fits, "{error}");
    error.to_string()
}
