//! A replica that hangs (SIGSTOP) under a steady load: the others go on, hold bounded memory, and give it all it missed when
//! it goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvorum_client::{Client, Level, PutOptions};
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::harness::{Cluster, assert_equal_replicas, block_on, client, for_each, hints, memory, wait_until_no_hints};

const TASKS: u64 = 16;
/// Each task does an operation that often, whatever the others took: the load is the same with a node that hangs.
const PACE: Duration = Duration::from_millis(20);
const BEFORE: Duration = Duration::from_secs(3);
const PAUSED: Duration = Duration::from_secs(6);
const KEYS: u64 = 1000;

/// When each operation began, and what it took from then.
type Book = Arc<Mutex<Vec<(Instant, Duration)>>>;

/// Writes a key and reads one, in turn, at quorum, until the time is over.
async fn work(client: Client, task: u64, until: Instant, book: Book) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let quorum = PutOptions::new().level(Level::Quorum);
    for n in (task..).step_by(TASKS as usize) {
        let due = pace.tick().await;
        if due >= until {
            return;
        }
        let key = format!("key-{}", n % KEYS);
        if (n / TASKS).is_multiple_of(2) {
            client.put_with(key, vec![b'v'; 100], &quorum).await.unwrap();
        } else {
            client.get(key).await.unwrap();
        }
        // From when it was due: what waited because another was slow has been slow itself.
        book.lock().unwrap().push((due, due.elapsed()));
    }
}

/// The operations due in a stretch of time: how many, and the latency that 99 of 100 did not exceed.
fn p99(book: &Book, from: Instant, until: Instant) -> (usize, Duration) {
    let book = book.lock().unwrap();
    let mut taken: Vec<Duration> =
        book.iter().filter(|(due, _)| (from..until).contains(due)).map(|(_, took)| *took).collect();
    taken.sort_unstable();
    (taken.len(), taken[taken.len() * 99 / 100])
}

#[test]
fn a_replica_that_hangs_under_load_delays_nobody_for_long_and_gets_what_it_missed() {
    let mut cluster = Cluster::start(3, &[]);
    let others = ["n1", "n2"].map(|name| cluster.node_mut(name).process().id());
    let held = || others.map(|process| memory(process, "VmRSS"));
    let book = Book::default();
    let (growth, before, first, after) = block_on(async {
        let through = client(&cluster, &["n1", "n2"]);
        let began = Instant::now();
        let (paused, over) = (began + BEFORE, began + BEFORE + PAUSED);
        let mut workers = JoinSet::new();
        for task in 0..TASKS {
            workers.spawn(work(through.clone(), task, over, Arc::clone(&book)));
        }
        tokio::time::sleep_until(paused).await;
        let at_pause = held();
        cluster.node_mut("n3").process().signal(Signal::STOP);
        let stopped = Instant::now();
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
        let growth = std::array::from_fn::<u64, 2, _>(|node| held()[node].saturating_sub(at_pause[node]));
        let second = stopped + Duration::from_secs(1);
        (growth, p99(&book, began, paused), p99(&book, stopped, second), p99(&book, second, over))
    });
    eprintln!("p99 before, in the first second and after it: {before:?} {first:?} {after:?} (operations, latency)");
    eprintln!("n1 and n2 have grown by {growth:?} bytes");
    assert!(after.0 > 1000, "the load went on");
    // On a busy machine everything is slow before, too.
    let bound = Duration::from_millis(500).max(4 * before.1);
    assert!(after.1 < bound, "it delays everybody: {after:?} after {before:?}");
    assert!(
        growth.iter().max() < Some(&(200 << 20)),
        "what the hung node should have got is in memory: {growth:?} bytes"
    );
    let kept = block_on(async { hints(&client(&cluster, &["n1"])).await }).unwrap();
    eprintln!("kept for it: {:?}", kept.queues);
    assert!(kept.queues.iter().any(|queue| queue.target == "n3" && queue.count > 0), "{kept:?}");
    cluster.node_mut("n3").process().signal(Signal::CONT);
    cluster.wait_until_up(3);
    block_on(async {
        let through = client(&cluster, &["n1"]);
        wait_until_no_hints(&through).await;
        for_each(0..KEYS as usize, 16, |n| {
            let (client, key) = (through.clone(), format!("key-{n}"));
            async move {
                let why = client.why(key.clone()).await.unwrap();
                if why.replicas.iter().any(|replica| replica.found) {
                    assert_equal_replicas(&key, &why, 3);
                }
            }
        })
        .await;
    });
}
