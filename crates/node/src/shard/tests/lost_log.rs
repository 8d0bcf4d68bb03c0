//! The log fails at any step of a node's life with hints, stand-ins, repairs and retries: nothing panics, and whoever waits
//! is told.

use std::collections::BTreeSet;

use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Input, StoreError};
use crate::{Message, NodeId, Record};

/// A bench, and what it owes: answers to clients and to other coordinators.
struct Life {
    bench: Bench,
    requests: BTreeSet<u64>,
    theirs: BTreeSet<u32>,
    /// Requests of it that are not answered.
    outbox: Vec<(u64, Message)>,
    has_failed: bool,
}

impl Life {
    fn new(setup: Setup, hold_reads: bool) -> Self {
        let mut bench = Bench::new(setup);
        bench.store.insert(key("old"), record(-50, "old"));
        bench.tell(Input::Started);
        bench.hold_reads = hold_reads;
        let (requests, theirs) = (BTreeSet::new(), BTreeSet::new());
        Self { bench, requests, theirs, outbox: Vec::new(), has_failed: false }
    }

    fn ask(&mut self, operation: crate::Operation) {
        let request = self.bench.ask(operation);
        self.requests.insert(request);
    }

    /// Another coordinator has this node keep a write for node 3, or tell what it keeps.
    fn stand_in(&mut self, slot: u32, record: Option<Record>) {
        self.theirs.insert(slot);
        let (op, key, stand_in_for) = (their_op(slot), key("b"), Some(NodeId(3)));
        let message = match record {
            Some(record) => {
                let minted = Some(record.time());
                Message::Write { op, key, record, minted, stand_in_for, relay: vec![] }
            }
            None => Message::Read { op, key, known: None, stand_in_for },
        };
        self.bench.peer(2, message);
    }

    fn release_all(&mut self) {
        while !self.bench.held.is_empty() {
            self.bench.release();
        }
    }

    fn sync(&mut self) {
        if !self.has_failed {
            self.bench.sync();
        }
    }

    /// What was sent is looked at; the others answer what they were asked.
    fn hear(&mut self, answers: bool) {
        for (node, message) in self.bench.sent() {
            if message.is_request() {
                self.outbox.push((node, message));
            } else if message.op().generation == their_op(0).generation {
                assert!(self.theirs.remove(&message.op().slot), "{message:?} answers what was answered");
            }
        }
        if answers {
            for (node, message) in core::mem::take(&mut self.outbox) {
                match message {
                    Message::Write { op, record, .. } => {
                        self.bench.peer(node, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
                    }
                    Message::Read { op, .. } => self.bench.peer(node, Message::ReadReply { op, record: None }),
                    message => self.bench.tell(Input::Unsent { to: NodeId(node), op: message.op() }),
                }
            }
        }
        for (request, _) in self.bench.replies() {
            assert!(self.requests.remove(&request), "request {request} was answered before");
        }
    }

    fn step(&mut self, step: usize) {
        match step {
            0 => self.ask(put("a", "v", Level::Quorum)),
            1 => self.release_all(),
            2 => self.ask(put("a", "w", Level::Quorum)),
            3 => self.stand_in(1, Some(record(0, "theirs"))),
            4 => self.release_all(),
            5 => self.stand_in(2, Some(record(1, "theirs, newer"))),
            6 => self.stand_in(3, None),
            7 => self.ask(get("a", Level::Quorum)),
            8 => self.release_all(),
            9 => self.sync(),
            10 => self.bench.down(&[]),
            11..=13 => self.release_all(),
            14 => self.hear(false),
            15 => self.stand_in(4, Some(record(2, "theirs, still newer"))),
            16 => self.hear(true),
            17 => self.release_all(),
            18 => self.ask(strict(get("old", Level::Quorum))),
            19 => self.release_all(),
            20 => self.hear(true),
            21 => self.stand_in(5, None),
            22 => self.sync(),
            23 => self.ask(put("c", "silent", Level::One)),
            24 => self.bench.wait(ms(300)),
            25 => self.release_all(),
            26 => self.bench.wait(ms(400)),
            27 => self.hear(true),
            _ => self.release_all(),
        }
    }

    fn fail(&mut self) {
        self.has_failed = true;
        self.bench.tell(Input::LogFailed(StoreError::Io("no space left".into())));
    }

    /// Lets everything come to its end.
    fn end(&mut self) {
        for _ in 0..20 {
            self.release_all();
            self.sync();
            self.hear(true);
            self.bench.wait(ms(200));
        }
        assert_eq!(self.bench.shard.operations(), 0, "operations are left");
        assert_eq!((&self.requests, &self.theirs), (&BTreeSet::new(), &BTreeSet::new()), "who waits was told");
    }
}

const STEPS: usize = 29;

fn setups() -> Vec<Setup> {
    let replica = |down: &[u64]| Setup { fallbacks: true, down: down.to_vec(), ..Setup::default() };
    vec![replica(&[3]), replica(&[2, 3]), Setup { me: 4, ..replica(&[1, 2, 3]) }, Setup { me: 4, ..replica(&[]) }]
}

#[test]
fn whenever_the_log_fails_whoever_waits_is_told() {
    for hold_reads in [false, true] {
        for setup in 0..setups().len() {
            for failing in 0..=STEPS {
                println!("setup {setup}, reads are held: {hold_reads}, the log fails before step {failing}");
                let mut life = Life::new(setups().remove(setup), hold_reads);
                for step in 0..STEPS {
                    if step == failing {
                        life.fail();
                    }
                    life.step(step);
                }
                life.end();
            }
        }
    }
}

#[test]
fn that_life_without_any_failure_keeps_and_delivers_hints() {
    let mut life = Life::new(setups().remove(0), false);
    let mut most = 0;
    for step in 0..STEPS {
        life.step(step);
        most = most.max(life.bench.hint_rows());
    }
    life.end();
    assert!(most >= 4, "{most} rows");
    assert_eq!(life.bench.hint_rows(), 0);
}
