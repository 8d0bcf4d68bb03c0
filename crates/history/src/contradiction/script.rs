//! Histories for tests: written by hand, a line for each operation, or drawn from a seed.

use crate::{Action, Expiry, History, Moment, OpId, Outcome, Version};

pub(crate) const PUT: Action = Action::Put { expiry: None };
pub(crate) const WRITTEN: Outcome = Outcome::Written { version: None };

pub(crate) fn put_until(earliest: u64, latest: u64) -> Action {
    Action::Put { expiry: Some(Expiry { earliest: Moment(earliest), latest: Moment(latest) }) }
}

pub(crate) fn written(version: u128) -> Outcome {
    Outcome::Written { version: Some(Version(version)) }
}

/// Writes histories down, by default of key 7.
#[derive(Default)]
pub(crate) struct Script(pub(crate) History<u8>);

impl Script {
    pub(crate) fn add(
        &mut self,
        (process, key): (u64, u8),
        action: Action,
        context: Option<OpId>,
        (from, to): (u64, u64),
        outcome: Outcome,
    ) -> OpId {
        let id = self.0.begin(process, key, action, context, Moment(from));
        if outcome != Outcome::Pending {
            self.0.end(id, outcome, Moment(to));
        }
        id
    }

    pub(crate) fn write(&mut self, action: Action, from: u64, to: u64, outcome: Outcome) -> OpId {
        self.add((0, 7), action, None, (from, to), outcome)
    }

    pub(crate) fn put(&mut self, from: u64, to: u64) -> OpId {
        self.write(PUT, from, to, WRITTEN)
    }

    pub(crate) fn read(&mut self, from: u64, to: u64, seen: &[OpId]) -> OpId {
        self.add((0, 7), Action::Get, None, (from, to), Outcome::Read(seen.to_vec()))
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("it is below a usize")
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
