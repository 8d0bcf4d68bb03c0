//! A node that is killed again and again while it writes: what it has acknowledged is there, and what it has not is old or new.
//!
//! The memory it may use is the least there is, so that memtables fill, and are flushed and compacted, all the time; it dies in the middle of
//! all that. `KVORUM_TEST_KILLS` sets the number of rounds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvorum_client::{Client, Config, Route, ScanOptions};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::harness::Cluster;

const ROUNDS: u32 = 200;
/// After so many rounds everything is scanned.
const ROUNDS_BETWEEN_SCANS: u32 = 20;
/// Connections, tasks that write on each, keys of each task.
const CONNECTIONS: usize = 4;
const WRITERS: usize = 8;
const KEYS: usize = 16;
/// When the node is killed, after it was ready and what it holds was looked at.
const LIFE_MS: std::ops::RangeInclusive<u64> = 10..=150;

/// Numbers without much of a pattern (Steele, Lea, Flood: splitmix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a key holds in its nth version: nothing in every ninth, which is a deletion, else up to 9 KB that do not compress.
fn value(key: usize, version: u64) -> Option<Vec<u8>> {
    if version.is_multiple_of(9) {
        return None;
    }
    let seed = mix(key as u64) ^ version;
    let words = 64 + mix(seed) % 1024;
    Some((0..words).flat_map(|word| mix(seed.wrapping_mul(31).wrapping_add(word)).to_le_bytes()).collect())
}

/// What is known of a key.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Acknowledged, or seen.
    surely: u64,
    /// Written, whether or not that was acknowledged.
    perhaps: u64,
    /// Versions are never used twice.
    next: u64,
    touched: bool,
}

impl Known {
    /// Takes what was read into account. Gives the versions it should have been if it was none of them.
    fn observe(&mut self, key: usize, found: Option<&[u8]>) -> Result<(), String> {
        let fits = |version: &u64| value(key, *version).as_deref() == found;
        let Some(version) = (self.surely..=self.perhaps).rev().find(fits) else {
            let found = found.map_or("nothing".to_owned(), |found| format!("{} other bytes", found.len()));
            return Err(format!("key {key} holds {found}, and not one of {}..={}", self.surely, self.perhaps));
        };
        (self.surely, self.perhaps, self.touched) = (version, version, false);
        Ok(())
    }
}

type Book = Arc<Mutex<Vec<Known>>>;

fn name(key: usize) -> String {
    format!("key-{key:05}")
}

/// Overwrites its keys, one after the other, until the node is no more.
async fn write(client: Client, book: Book, first: usize) {
    for key in (first..first + KEYS).cycle() {
        let version = {
            let mut book = book.lock().unwrap();
            let known = &mut book[key];
            (known.next, known.touched) = (known.next + 1, true);
            known.perhaps = known.next;
            known.next
        };
        let written = match value(key, version) {
            Some(value) => client.put(name(key), value).await,
            None => client.delete(name(key)).await,
        };
        if written.is_err() {
            return;
        }
        book.lock().unwrap()[key].surely = version;
    }
}

async fn connect(endpoint: &str) -> Client {
    let config = Config::new([endpoint]).route(Route::Endpoints).timeout(Duration::from_secs(20));
    Client::connect(config).await.unwrap()
}

/// Looks at all keys that were written since they were last looked at.
async fn check_touched(client: &Client, book: &Book) -> usize {
    let touched: Vec<usize> =
        (0..).zip(&*book.lock().unwrap()).filter(|(_, known)| known.touched).map(|(key, _)| key).collect();
    let mut reads = JoinSet::new();
    for key in &touched {
        let (client, key) = (client.clone(), *key);
        reads.spawn(async move { (key, client.get(name(key)).await.unwrap()) });
    }
    while let Some(read) = reads.join_next().await {
        let (key, got) = read.unwrap();
        let found = got.value().map(|value| value.to_vec());
        book.lock().unwrap()[key].observe(key, found.as_deref()).unwrap();
    }
    touched.len()
}

/// Looks at everything there is.
async fn check_all(client: &Client, book: &Book) {
    let mut found = vec![None; book.lock().unwrap().len()];
    let mut scan = client.scan(ScanOptions::new());
    while let Some(page) = scan.next_page().await.unwrap() {
        for row in page.rows {
            let key: usize = str::from_utf8(&row.key).unwrap().strip_prefix("key-").unwrap().parse().unwrap();
            assert!(found[key].is_none(), "key {key} was scanned twice");
            found[key] = Some(row.versions[0].value.to_vec());
        }
    }
    for (key, (known, found)) in book.lock().unwrap().iter_mut().zip(found).enumerate() {
        known.observe(key, found.as_deref()).unwrap();
    }
}

fn rounds() -> u32 {
    std::env::var("KVORUM_TEST_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

#[test]
fn a_node_killed_again_and_again_keeps_every_write_that_it_acknowledged() {
    let mut cluster = Cluster::start(1, &["--memory", "64MiB", "--durability", "always"]);
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let book: Book = Arc::new(Mutex::new(vec![Known::default(); CONNECTIONS * WRITERS * KEYS]));
    let (mut looked_at, rounds) = (0, rounds());
    for round in 1..=rounds {
        let endpoint = cluster.node("n1").client.clone();
        let node = cluster.node_mut("n1");
        runtime.block_on(async {
            let mut writers = JoinSet::new();
            for connection in 0..CONNECTIONS {
                let client = connect(&endpoint).await;
                for writer in 0..WRITERS {
                    let first = (connection * WRITERS + writer) * KEYS;
                    writers.spawn(write(client.clone(), Arc::clone(&book), first));
                }
            }
            let life = LIFE_MS.start() + mix(round.into()) % (LIFE_MS.end() - LIFE_MS.start() + 1);
            tokio::time::sleep(Duration::from_millis(life)).await;
            node.kill();
        });
        node.restart();
        let endpoint = node.client.clone();
        runtime.block_on(async {
            let client = connect(&endpoint).await;
            looked_at += check_touched(&client, &book).await;
            if round % ROUNDS_BETWEEN_SCANS == 0 || round == rounds {
                check_all(&client, &book).await;
            }
        });
    }
    let written: u64 = book.lock().unwrap().iter().map(|known| known.next).sum();
    println!("{rounds} rounds, {written} writes, {looked_at} reads of keys that had been written");
    assert!(looked_at > rounds as usize * 10, "hardly anything was written");
    let tables = cluster.node("n1").http("/metrics");
    let below = tables.lines().filter(|line| line.starts_with("kvorum_lsm_level_tables{") && !line.contains("\"0\""));
    let compacted: u32 = below.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
    assert!(rounds < ROUNDS || compacted > 0, "nothing was ever compacted:\n{tables}");
}

#[test]
fn a_lost_or_wrong_value_is_noticed() {
    let known = Known { surely: 4, perhaps: 6, next: 6, touched: true };
    for version in 4..=6 {
        let mut known = known;
        assert_eq!(known.observe(1, value(1, version).as_deref()), Ok(()));
        assert_eq!((known.surely, known.perhaps, known.touched), (version, version, false));
    }
    for found in [value(1, 3), value(1, 7), value(2, 5), None, Some(Vec::new())] {
        assert!({ known }.observe(1, found.as_deref()).is_err());
    }
    let mut flipped = value(1, 5).unwrap();
    flipped[100] ^= 1;
    assert!({ known }.observe(1, Some(&flipped)).is_err());
    // A key that was never acknowledged may be absent; a deletion that was must be seen.
    assert_eq!(Known { surely: 0, perhaps: 2, next: 2, touched: true }.observe(1, None), Ok(()));
    let deleted = Known { surely: 9, perhaps: 9, next: 9, touched: true };
    assert_eq!({ deleted }.observe(1, None), Ok(()));
    assert!({ deleted }.observe(1, value(1, 8).as_deref()).is_err());
}
