use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;

/// Counts instead of writing.
#[derive(Default)]
struct Counting {
    next: AtomicU64,
    groups: Mutex<Vec<usize>>,
    running: AtomicU64,
    fail: bool,
}

impl Commit for Counting {
    fn commit(&self, group: &[Request]) -> Result<Sequence> {
        assert_eq!(self.running.fetch_add(1, Ordering::SeqCst), 0, "one group is written at a time");
        let operations: u64 = group.iter().map(|request| request.batch.len() as u64).sum();
        let before = self.next.fetch_add(operations, Ordering::SeqCst);
        self.groups.lock().unwrap().push(group.len());
        std::thread::yield_now();
        self.running.fetch_sub(1, Ordering::SeqCst);
        if self.fail { Err(Error::Poisoned("it is meant to".into())) } else { Ok(before) }
    }

    fn tick(&self) -> Option<Duration> {
        None
    }
}

fn batch(operations: usize) -> Batch {
    let mut batch = Batch::new();
    (0..operations).for_each(|_| batch.put(b"key", b"value").unwrap());
    batch
}

#[test]
fn a_lone_writer_writes_itself() {
    let (queue, commit) = (Queue::default(), Counting::default());
    assert_eq!(queue.write(&commit, batch(3), Durability::Always).unwrap(), 3);
    assert_eq!(queue.write(&commit, batch(2), Durability::Never).unwrap(), 5);
    assert_eq!(*commit.groups.lock().unwrap(), [1, 1]);
}

#[test]
fn what_was_submitted_goes_with_the_next_group() {
    let (queue, commit) = (Queue::default(), Counting::default());
    let first = queue.submit(batch(1), Durability::Never, None).unwrap();
    let second = queue.submit(batch(4), Durability::Never, None).unwrap();
    assert!(first.result().is_none());
    assert_eq!(queue.write(&commit, batch(1), Durability::Never).unwrap(), 6);
    assert_eq!((first.result().unwrap().unwrap(), second.result().unwrap().unwrap()), (1, 5));
    assert_eq!(*commit.groups.lock().unwrap(), [3]);
    assert!(!queue.serve_once(&commit));
}

#[test]
fn a_failure_is_told_to_the_whole_group() {
    let (queue, commit) = (Queue::default(), Counting { fail: true, ..Counting::default() });
    let told = Arc::new(AtomicU64::new(0));
    let count = told.clone();
    let callback: Callback = Box::new(move |outcome| {
        count.fetch_add(u64::from(outcome.is_err()), Ordering::SeqCst);
    });
    let submitted = queue.submit(batch(1), Durability::Never, Some(callback)).unwrap();
    assert!(queue.write(&commit, batch(1), Durability::Never).is_err());
    assert!(submitted.result().unwrap().is_err());
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn many_writers_are_all_served_once_and_in_order() {
    let (queue, commit) = (Queue::default(), Counting::default());
    let numbers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let log = scope.spawn(|| queue.serve_all(&commit));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (queue, commit, numbers) = (&queue, &commit, &numbers);
                scope.spawn(move || {
                    for round in 0..500 {
                        let durability = if (round + writer) % 7 == 0 { Durability::Always } else { Durability::Never };
                        let number = match (round + writer) % 3 {
                            0 => {
                                let done = queue.submit(batch(1), durability, None).unwrap();
                                queue.wait(commit, &done, false)
                            }
                            _ => queue.write(commit, batch(1), durability),
                        };
                        numbers.lock().unwrap().push(number.unwrap());
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        queue.close();
        log.join().unwrap();
    });
    let mut numbers = numbers.into_inner().unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=4_000).collect::<Vec<_>>());
    assert!(queue.write(&commit, batch(1), Durability::Never).is_err());
}

#[test]
fn the_log_thread_serves_those_who_do_not_wait() {
    let (queue, commit) = (Queue::default(), Counting::default());
    let (told, outcomes) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let log = scope.spawn(|| queue.serve_all(&commit));
        for _ in 0..1_000 {
            let told = told.clone();
            let callback: Callback = Box::new(move |outcome| told.send(outcome.unwrap()).unwrap());
            queue.submit(batch(1), Durability::Never, Some(callback)).unwrap();
        }
        assert!(outcomes.iter().take(1_000).is_sorted());
        queue.close();
        log.join().unwrap();
    });
}
