//! `--memory` holds: with far more data than that, the process stays within five quarters of it, whatever it does.
//!
//! Normally a node with the least memory gets three times as much data. `KVORUM_TEST_MEMORY` sets the memory in MiB, and then it is eight
//! times as much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kvorum_client::{Client, Config, Route, ScanOptions};
use tokio::task::JoinSet;

use crate::harness::{Cluster, memory};

const MIB: u64 = 1 << 20;
/// The least that a node takes.
const BUDGET_MIB: u64 = 64;
/// So many times the budget are stored; and if it was chosen.
const TIMES: u64 = 3;
const CHOSEN_TIMES: u64 = 8;
const VALUE_BYTES: usize = 4000;
/// Operations under way, on so many connections.
const WORKERS: u64 = 256;
const CONNECTIONS: u64 = 4;

/// Watches a process: the most memory that it has held since it was last asked.
struct Watch {
    most: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    limit: u64,
    began: Instant,
}

impl Watch {
    fn start(process: u32, limit: u64) -> Self {
        let (most, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (theirs, ended) = (Arc::clone(&most), Arc::clone(&done));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                theirs.fetch_max(memory(process, "VmRSS"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { most, done, thread: Some(thread), limit, began: Instant::now() }
    }

    /// The phase that ends here has kept to the limit.
    fn assert_kept(&self, phase: &str) {
        let most = self.most.swap(0, Ordering::Relaxed);
        println!("{:6.1} s: {phase}: at most {:.1} MiB", self.began.elapsed().as_secs_f64(), most as f64 / MIB as f64);
        assert!(most > 0 && most <= self.limit, "{phase}: {} MiB of {}", most / MIB, self.limit / MIB);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Half of it can be compressed.
fn value(record: u64) -> Vec<u8> {
    let mut state = record.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut value = vec![b'.'; VALUE_BYTES];
    for word in value[..VALUE_BYTES / 2].chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    value
}

/// Does something with every record once, in an order that is as good as random.
async fn each<F, T>(endpoint: &str, records: u64, act: F)
where
    F: Fn(Client, u64) -> T + Clone + Send + 'static,
    T: Future<Output = ()> + Send,
{
    let config = Config::new([endpoint]).route(Route::Endpoints).timeout(Duration::from_secs(60));
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(config.clone()).await.unwrap());
    }
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (client, act) = (clients[(worker % CONNECTIONS) as usize].clone(), act.clone());
        workers.spawn(async move {
            for turn in (worker..records).step_by(WORKERS as usize) {
                // A prime that does not divide the number of records: every record has its turn.
                act(client.clone(), turn * 1_000_003 % records).await;
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}

#[test]
fn with_far_more_data_a_node_stays_within_five_quarters_of_its_memory() {
    let chosen = std::env::var("KVORUM_TEST_MEMORY").ok().map(|mebibytes| mebibytes.parse::<u64>().unwrap() * MIB);
    let (budget, times) = chosen.map_or((BUDGET_MIB * MIB, TIMES), |budget| (budget, CHOSEN_TIMES));
    let records = times * budget / VALUE_BYTES as u64;
    assert!(!records.is_multiple_of(1_000_003));
    let mut cluster = Cluster::start(1, &["--memory", &format!("{}MiB", budget / MIB)]);
    let watch = Watch::start(cluster.node_mut("n1").process().id(), budget / 4 * 5);
    let node = cluster.node("n1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let key = |record: u64| format!("record-{record:012}");

    runtime.block_on(each(&node.client, records, move |client, record| async move {
        client.put(key(record), value(record)).await.unwrap();
    }));
    watch.assert_kept("loaded");
    println!("{} MiB on disk", node.figure("kvorum_store_bytes") as u64 / MIB);
    let phases = ["read at random", "read at random again"];
    for phase in &phases[..if chosen.is_some() { 2 } else { 1 }] {
        runtime.block_on(each(&node.client, records, move |client, record| async move {
            let got = client.get(key(record)).await.unwrap();
            assert!(got.value().is_some_and(|found| *found == value(record)), "record {record}");
        }));
        watch.assert_kept(phase);
    }
    // A part is read often while the rest is overwritten.
    runtime.block_on(each(&node.client, records / 2, move |client, record| async move {
        client.put(key(record), value(record)).await.unwrap();
        let hot = record % 1000;
        assert!(client.get(key(hot)).await.unwrap().value().is_some_and(|found| *found == value(hot)));
    }));
    watch.assert_kept("half of it overwritten while some is read often");
    let scanned = runtime.block_on(async {
        let client = Client::connect(Config::new([node.client.clone()]).route(Route::Endpoints)).await.unwrap();
        let (mut scan, mut scanned) = (client.scan(ScanOptions::new()), 0);
        while let Some(page) = scan.next_page().await.unwrap() {
            scanned += page.rows.len() as u64;
        }
        scanned
    });
    assert_eq!(scanned, records);
    watch.assert_kept("scanned");
    drop(watch);
}
