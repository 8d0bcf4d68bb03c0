//! Repetition: does a write take effect once? A client that does not know what became of its write may ask for it again; if
//! each of its requests is carried out, the value comes back after others have replaced it. It owns that question alone:
//! whether a read misses an acknowledged write is that of [`crate::quorum`] and [`crate::causality`].
//!
//! # The rule
//!
//! A write `v` has taken effect twice if three reads of its key, each begun after the one before had ended, returned `v`,
//! then another write `w` that replaced it, and then `v` again. Since each write has its own value, only `v` itself can
//! bring it back. Which `w` replaces `v` depends on what the store keeps ([`Keeps`]).
//!
//! It holds for reads that leave what they return in so many replicas that every later read and every later write meet it.
//! Comparisons are strict: what touches counts as concurrent. A store whose coordinators may give a write a second version
//! by themselves breaks the rule without any request that came twice; such writes are for the caller to leave out.

use core::fmt;
use std::collections::BTreeMap;

use crate::contradiction::{Read, by_key, judged_reads};
use crate::{History, Moment, OpId, Operation};

/// What a store keeps of the writes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// One version: a write replaces what had been read before it was invoked.
    One,
    /// Concurrent versions: a write replaces what the read had returned whose context it carries.
    Siblings,
}

/// A write that has taken effect twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repetition<K> {
    /// It.
    pub write: Operation<K>,
    /// A read that returned it.
    pub first: Operation<K>,
    /// What replaced it.
    pub by: Operation<K>,
    /// A later read, which returned that.
    pub between: Operation<K>,
    /// A read later still, which returned it again: the first that did.
    pub again: Operation<K>,
}

/// Finds the writes that took effect twice, according to the reads to be judged: each once, by the numbers of the reads that
/// show it. O(n log n) for n operations and values returned.
///
/// ```
/// use kvorum_history::repetition::{Keeps, repetitions};
/// use kvorum_history::{Action, History, Moment, Outcome};
///
/// let mut history = History::default();
/// let mut now = 0;
/// let mut next = || { now += 10; Moment(now) };
/// let old = history.begin(1, "cart", Action::Put { expiry: None }, None, next());
/// let mut new = None;
/// for round in 0..3 {
///     let get = history.begin(2, "cart", Action::Get, None, next());
///     history.end(get, Outcome::Read(vec![if round == 1 { new.unwrap() } else { old }]), next());
///     new.get_or_insert_with(|| history.begin(3, "cart", Action::Put { expiry: None }, None, next()));
/// }
///
/// let found = repetitions(&history, Keeps::One, |_| true);
/// assert!(found[0].write.id == old && found[0].by.id == new.unwrap());
/// ```
#[must_use]
pub fn repetitions<K: Ord + Clone>(
    history: &History<K>,
    keeps: Keeps,
    judged: impl Fn(&Operation<K>) -> bool,
) -> Vec<Repetition<K>> {
    let mut found = Vec::new();
    for operations in by_key(history).values() {
        let reads = Reads::of(judged_reads(operations, &judged));
        match keeps {
            Keeps::One => replaced_by_later_ones(history, &reads, &mut found),
            Keeps::Siblings => replaced_by_contexts(history, operations, &reads, &mut found),
        }
    }
    found.sort_by_key(|repetition| (repetition.again.id, repetition.write.id));
    found
}

/// The judged reads of a key, by what they returned.
struct Reads<'a, K> {
    /// Of each value, those that returned it, by invocation.
    of: BTreeMap<OpId, Vec<Read<'a, K>>>,
}

impl<'a, K> Reads<'a, K> {
    fn of(reads: Vec<Read<'a, K>>) -> Self {
        let mut of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for read in reads {
            for value in read.seen.unwrap_or_default() {
                of.entry(*value).or_default().push(read);
            }
        }
        Self { of }
    }

    /// The one of a value that ended first.
    fn first(&self, value: OpId) -> Option<Read<'a, K>> {
        self.of.get(&value)?.iter().min_by_key(|read| read.completed).copied()
    }

    /// The first of a value that began after that.
    fn begun_after(&self, value: OpId, moment: Moment) -> Option<Read<'a, K>> {
        let reads = self.of.get(&value)?;
        reads.get(reads.partition_point(|read| read.operation.invoked <= moment)).copied()
    }
}

fn replaced_by_later_ones<K: Clone>(history: &History<K>, reads: &Reads<'_, K>, found: &mut Vec<Repetition<K>>) {
    // A read of a later write, by the earlier of when it and that write began; and from there on, the one that ended first.
    let mut shown: Vec<(Moment, OpId, Read<'_, K>)> = Vec::new();
    for (value, reads) in &reads.of {
        let Some(write) = history.get(*value).filter(|write| write.is_write()) else { continue };
        shown.extend(reads.iter().map(|read| (read.operation.invoked.min(write.invoked), *value, *read)));
    }
    shown.sort_by_key(|(begun, value, read)| (*begun, *value, read.operation.id));
    let mut first_to_end = shown.clone();
    for at in (1..first_to_end.len()).rev() {
        if first_to_end[at].2.completed < first_to_end[at - 1].2.completed {
            first_to_end[at - 1] = first_to_end[at];
        }
    }
    for value in reads.of.keys() {
        let (Some(write), Some(first)) = (history.get(*value), reads.first(*value)) else { continue };
        let after = shown.partition_point(|(begun, ..)| *begun <= first.completed);
        let others = first_to_end.get(after).filter(|(_, other, _)| other != value);
        let Some((_, by, between)) = others else { continue };
        if let Some(again) = reads.begun_after(*value, between.completed) {
            report(history, write, (first, *by, *between, again), found);
        }
    }
}

fn replaced_by_contexts<K: Clone>(
    history: &History<K>,
    operations: &[&Operation<K>],
    reads: &Reads<'_, K>,
    found: &mut Vec<Repetition<K>>,
) {
    // What lies deeper in a past needs no look: whoever replaced it was seen as well, and by an earlier read.
    let mut shown: BTreeMap<OpId, (Read<'_, K>, OpId, Read<'_, K>)> = BTreeMap::new();
    for write in operations.iter().filter(|operation| operation.is_write()) {
        let context = write.context.and_then(|read| Read::of(history.get(read)?));
        let (Some(context), Some(between)) = (context, reads.first(write.id)) else { continue };
        for replaced in context.seen.unwrap_or_default() {
            let earliest = shown.entry(*replaced).or_insert((context, write.id, between));
            if between.completed < earliest.2.completed {
                *earliest = (context, write.id, between);
            }
        }
    }
    for (value, (first, by, between)) in shown {
        let Some(write) = history.get(value) else { continue };
        if let Some(again) = reads.begun_after(value, between.completed) {
            report(history, write, (first, by, between, again), found);
        }
    }
}

fn report<K: Clone>(
    history: &History<K>,
    write: &Operation<K>,
    (first, by, between, again): (Read<'_, K>, OpId, Read<'_, K>, Read<'_, K>),
    found: &mut Vec<Repetition<K>>,
) {
    if let Some(by) = history.get(by).cloned() {
        let operation = |read: Read<'_, K>| read.operation.clone();
        let (first, between, again) = (operation(first), operation(between), operation(again));
        found.push(Repetition { write: write.clone(), first, by, between, again });
    }
}

impl<K> Repetition<K> {
    /// The operations that show it: what came back, what had replaced it, and the three reads.
    #[must_use]
    pub fn witnesses(&self) -> Vec<OpId> {
        [&self.write, &self.by, &self.first, &self.between, &self.again].map(|operation| operation.id).to_vec()
    }
}

impl<K: fmt::Display> fmt::Display for Repetition<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { write, first, by, between, again } = self;
        writeln!(f, "the write     {write}")?;
        writeln!(f, "  seen by     {first}")?;
        writeln!(f, "  replaced by {by}")?;
        writeln!(f, "  as seen by  {between}")?;
        write!(f, "  came back   {again}")
    }
}

#[cfg(test)]
mod tests;
