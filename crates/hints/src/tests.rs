//! Behaviour of the whole machine: examples for every rule, and random runs against a model store.

mod admission;
mod counting;
mod hostile;
mod model;
mod replay;
mod sweep;
mod world;

use core::time::Duration;
use std::vec::Vec;

use crate::{Config, Effect, Hints, Input, Kind, Seq, Taken};

type Effects = Vec<Effect<char, u8>>;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A machine whose clocks agree: its time is the wall clock's.
struct Bench {
    hints: Hints<char, u8>,
    now: u64,
}

impl Bench {
    fn new(config: Config) -> Self {
        Self { hints: Hints::new(config), now: 1 }
    }

    fn take(&mut self, target: char, partition: u8, bytes: u32, kind: Kind) -> Seq {
        match self.hints.take(self.now, target, partition, bytes, kind) {
            Taken::New(seq) => seq,
            Taken::Refused => panic!("there is room for a hint for {target:?}"),
        }
    }

    /// Takes so many owed hints of ten bytes.
    fn owed(&mut self, target: char, partition: u8, count: usize) -> Vec<Seq> {
        (0..count).map(|_| self.take(target, partition, 10, Kind::Owed)).collect()
    }

    fn tell(&mut self, input: Input<char, u8>) -> Effects {
        let mut out = Vec::new();
        self.hints.handle(ms(self.now), self.now, input, &mut out);
        self.hints.assert_consistent();
        out
    }

    fn wait_until(&mut self, now: u64) -> Effects {
        self.now = now;
        let mut out = Vec::new();
        self.hints.handle_timeout(ms(now), now, &mut out);
        self.hints.assert_consistent();
        out
    }

    /// Answers a read with owed hints of ten bytes.
    fn rows(&mut self, target: char, partition: u8, seqs: &[Seq], more: bool) -> Effects {
        let rows = seqs.iter().map(|seq| (*seq, 10, Kind::Owed)).collect();
        self.tell(Input::Page { target, partition, rows, more })
    }

    fn delivered(&mut self, target: char, partition: u8, seq: Seq) -> Effects {
        self.tell(Input::Delivered { target, partition, seq })
    }

    fn failed(&mut self, target: char, partition: u8, seq: Seq) -> Effects {
        self.tell(Input::Failed { target, partition, seq })
    }

    fn next(&self) -> Option<Duration> {
        self.hints.next_timeout()
    }
}

fn read(target: char, partition: u8, after: Option<Seq>, limit: usize) -> Effect<char, u8> {
    Effect::Read { target, partition, after, limit }
}

fn send(target: char, partition: u8, seq: Seq) -> Effect<char, u8> {
    Effect::Send { target, partition, seq }
}

fn drop(target: char, partition: u8, seq: Seq) -> Effect<char, u8> {
    Effect::Drop { target, partition, seq }
}

fn sends(target: char, partition: u8, seqs: &[Seq]) -> Effects {
    seqs.iter().map(|seq| send(target, partition, *seq)).collect()
}
