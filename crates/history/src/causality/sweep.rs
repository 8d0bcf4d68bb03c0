//! The judgement of the reads of one key, in the order of their invocations. What lies in whose past is told by
//! [`super::past`]; what is excused is decided above.

use std::collections::{BTreeMap, BTreeSet};

use super::anomaly::{Anomaly, Kind};
use super::past::{Pasts, Search};
use crate::contradiction::{Impossible, Read};
use crate::{History, Moment, Operation};

/// Adds the anomalies of the reads of one key, which are in the order of invocation.
pub(super) fn sweep<K: Ord + Clone>(
    history: &History<K>,
    operations: &[&Operation<K>],
    reads: &[Read<'_, K>],
    found: &mut Vec<Anomaly<K>>,
) {
    let pasts = Pasts::new(history, operations);
    let sessions = Sessions::new(&pasts, operations);
    let mut required = Required::new(&pasts);
    let mut search = Search::new(&pasts);
    let mut seen_again = BTreeSet::new();
    for read in reads {
        let mut report = |kind| found.push(Anomaly { read: read.operation.clone(), kind });
        let Some(values) = values(history, &pasts, *read, &mut report) else { continue };
        let invoked = read.operation.invoked;
        required.advance(&pasts, invoked);
        let missing = required.without(&pasts, &values, read.completed);
        if let Some(lowest) = values.iter().chain(&missing).min() {
            search.run(&pasts, &values, *lowest, invoked);
        }
        let operation = |place| pasts.get(place).operation.clone();
        for place in values {
            let value = pasts.get(place);
            let kind = if let Some(by) = value.replaced_before(invoked) {
                Kind::Resurrected { value: operation(place), by: operation(by) }
            } else if let Some(by) = search.origin(place) {
                Kind::Overwritten { value: operation(place), by: operation(by) }
            } else {
                continue;
            };
            if seen_again.insert(place) {
                report(kind);
            }
        }
        for place in missing {
            if search.origin(place).is_none() {
                report(sessions.missing(&pasts, *read, place));
                required.forget(place);
            }
        }
    }
}

/// The places of the possible values that a read returned, ascending; it reports the others. None if nobody knows what
/// the read returned.
fn values<K: Ord + Clone>(
    history: &History<K>,
    pasts: &Pasts<'_, K>,
    read: Read<'_, K>,
    report: &mut impl FnMut(Kind<K>),
) -> Option<Vec<usize>> {
    let Some(seen) = read.seen else {
        report(Kind::Impossible { value: None, why: Impossible::Unknown });
        return None;
    };
    let mut values = BTreeSet::new();
    for id in seen {
        let put = history.get(*id);
        if let Some(why) = Impossible::of(put, read) {
            report(Kind::Impossible { value: put.cloned(), why });
        } else if let (Some(place), Some(put)) = (pasts.place_of(*id), put)
            && !values.insert(place)
        {
            report(Kind::Duplicate(put.clone()));
        }
    }
    Some(values.into_iter().collect())
}

/// The acknowledged writes that the reads from some moment on have to return, or something instead of them. A write
/// with a later acknowledged one in whose past it lies is not among them: that one is, or what explains that one
/// explains both.
struct Required {
    /// What was acknowledged, by completion, the last first.
    later: Vec<(Moment, usize)>,
    now: BTreeSet<usize>,
}

impl Required {
    fn new<K>(pasts: &Pasts<'_, K>) -> Self {
        let mut later: Vec<_> =
            pasts.writes().filter_map(|(place, write)| Some((write.acknowledged?, place))).collect();
        later.sort_unstable();
        later.reverse();
        Self { later, now: BTreeSet::new() }
    }

    /// Turns to the reads invoked at `invoked`, which is not before that of an earlier call.
    fn advance<K>(&mut self, pasts: &Pasts<'_, K>, invoked: Moment) {
        while let Some((_, place)) = self.later.pop_if(|(completed, _)| *completed < invoked) {
            self.now.insert(place);
        }
        let is_required = |place: &usize| {
            let write = pasts.get(*place);
            write.replaced_before(invoked).is_none() && !write.may_be_absent(invoked)
        };
        self.now.retain(is_required);
    }

    /// Those that are not among the values, and for which no tombstone stands up to the read's completion.
    fn without<K>(&self, pasts: &Pasts<'_, K>, values: &[usize], completed: Moment) -> Vec<usize> {
        let is_missing =
            |place: &usize| values.binary_search(place).is_err() && !pasts.get(*place).may_be_absent(completed);
        self.now.iter().copied().filter(is_missing).collect()
    }

    fn forget(&mut self, place: usize) {
        self.now.remove(&place);
    }
}

/// Which process saw which write first, and in which read.
struct Sessions<'a, K>(BTreeMap<(u64, usize), Read<'a, K>>);

impl<'a, K: Clone> Sessions<'a, K> {
    fn new(pasts: &Pasts<'_, K>, operations: &[&'a Operation<K>]) -> Self {
        let mut first: BTreeMap<_, Read<'a, K>> = BTreeMap::new();
        for read in operations.iter().filter_map(|operation| Read::of(operation)) {
            for place in read.seen.unwrap_or_default().iter().filter_map(|id| pasts.place_of(*id)) {
                let first = first.entry((read.operation.process, place)).or_insert(read);
                if read.completed < first.completed {
                    *first = read;
                }
            }
        }
        Self(first)
    }

    /// The strongest word for a write that a read misses.
    fn missing(&self, pasts: &Pasts<'_, K>, read: Read<'_, K>, place: usize) -> Kind<K> {
        let write = pasts.get(place).operation;
        let process = read.operation.process;
        let seen = self.0.get(&(process, place)).filter(|seen| seen.completed <= read.operation.invoked);
        match seen {
            _ if write.process == process => Kind::ReadYourWrites(write.clone()),
            Some(seen) => Kind::MonotonicReads { write: write.clone(), seen: seen.operation.clone() },
            None => Kind::Lost(write.clone()),
        }
    }
}
