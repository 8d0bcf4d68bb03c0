//! The rules of causality word by word: pasts as sets, every pair looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Anomaly, Impossible, Kind};
use crate::{Action, History, Moment, OpId, Operation, Outcome};

/// An anomaly without its proof: the read, the word for it and the value or missing write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    read: OpId,
    pub(super) word: &'static str,
    value: Option<OpId>,
}

impl Finding {
    pub(super) fn of(anomaly: &Anomaly<u8>) -> Self {
        let (word, value) = match &anomaly.kind {
            Kind::Impossible { value, why } => (word(*why), value.as_ref()),
            Kind::Duplicate(value) => ("duplicate", Some(value)),
            Kind::Overwritten { value, .. } => ("overwritten", Some(value)),
            Kind::Resurrected { value, .. } => ("resurrected", Some(value)),
            Kind::Lost(write) => ("lost", Some(write)),
            Kind::ReadYourWrites(write) => ("read your writes", Some(write)),
            Kind::MonotonicReads { write, .. } => ("monotonic reads", Some(write)),
        };
        Self { read: anomaly.read.id, word, value: value.map(|value| value.id) }
    }
}

fn word(why: Impossible) -> &'static str {
    match why {
        Impossible::Unknown => "unknown",
        Impossible::NotWrittenYet => "not written yet",
        Impossible::Rejected => "rejected",
        Impossible::Expired => "expired",
    }
}

type Pasts = BTreeMap<OpId, BTreeSet<OpId>>;

fn pasts(history: &History<u8>) -> Pasts {
    let mut writes: Vec<_> = history.operations().iter().filter(|operation| operation.is_write()).collect();
    writes.sort_by_key(|write| (write.invoked, write.id));
    let mut pasts = Pasts::new();
    for write in writes {
        let mut past = BTreeSet::new();
        if let Some(Outcome::Read(seen)) = write.context.map(|read| &history.operations()[read.0].outcome) {
            for id in seen {
                let put =
                    history.get(*id).filter(|put| put.key == write.key && matches!(put.action, Action::Put { .. }));
                if let (Some(_), Some(before)) = (put, pasts.get(id)) {
                    past.insert(*id);
                    past.extend(before);
                }
            }
        }
        pasts.insert(write.id, past);
    }
    pasts
}

fn is_tombstone(write: &Operation<u8>, read: &Operation<u8>) -> bool {
    write.outcome != Outcome::Rejected
        && Some(write.invoked) <= read.completed
        && match write.action {
            Action::Delete => true,
            Action::Put { expiry } => expiry.is_some_and(|expiry| Some(expiry.earliest) <= read.completed),
            Action::Get => false,
        }
}

/// Everything that is wrong, each missing and each replaced value in the first read that shows it.
pub(super) fn examine(history: &History<u8>) -> BTreeSet<Finding> {
    let pasts = pasts(history);
    let mut reads: Vec<_> = history.operations().iter().filter(|operation| !operation.is_write()).collect();
    reads.sort_by_key(|read| (read.invoked, read.id));
    let (mut found, mut missed, mut seen_again) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for read in reads {
        let mut report = |word, value| found.insert(Finding { read: read.id, word, value });
        let seen = match &read.outcome {
            Outcome::Read(seen) => seen,
            Outcome::ReadUnknown => {
                report("unknown", None);
                continue;
            }
            _ => continue,
        };
        let mut values = BTreeSet::new();
        for id in seen {
            let put = history.get(*id);
            let why = match put.map(|put| (put, put.action)) {
                Some((put, Action::Put { expiry })) => {
                    if put.key != read.key || Some(put.invoked) > read.completed {
                        Some("not written yet")
                    } else if put.outcome == Outcome::Rejected {
                        Some("rejected")
                    } else {
                        expiry.filter(|expiry| expiry.latest < read.invoked).map(|_| "expired")
                    }
                }
                _ => Some("unknown"),
            };
            match why {
                Some(why) => _ = report(why, put.map(|put| put.id)),
                None if values.insert(*id) => {}
                None => _ = report("duplicate", Some(*id)),
            }
        }
        let before = |write: &Operation<u8>| write.is_acknowledged() && write.completed < Some(read.invoked);
        let of_key = || history.operations().iter().filter(|write| write.is_write() && write.key == read.key);
        let replaced = |id: &OpId| of_key().any(|y| before(y) && pasts[&y.id].contains(id));
        for id in &values {
            let word = if replaced(id) {
                "resurrected"
            } else if values.iter().any(|other| pasts[other].contains(id)) {
                "overwritten"
            } else {
                continue;
            };
            if seen_again.insert(*id) {
                report(word, Some(*id));
            }
        }
        let explains =
            |y: &Operation<u8>| y.outcome != Outcome::Rejected && (values.contains(&y.id) || is_tombstone(y, read));
        let is_missing = |x: &&Operation<u8>| {
            before(x)
                && !values.contains(&x.id)
                && !is_tombstone(x, read)
                && !of_key().any(|y| pasts[&y.id].contains(&x.id) && explains(y))
        };
        let missing: Vec<_> = of_key().filter(is_missing).collect();
        let maximal: Vec<_> = missing.iter().filter(|x| !replaced(&x.id)).collect();
        assert_eq!(missing.is_empty(), maximal.is_empty(), "if any is missing, one that is in no other's past is");
        for x in maximal {
            let saw = |earlier: &Operation<u8>| {
                earlier.process == read.process
                    && earlier.key == read.key
                    && earlier.completed.is_some_and(|completed| completed <= read.invoked)
                    && matches!(&earlier.outcome, Outcome::Read(seen) if seen.contains(&x.id))
            };
            let word = match x.process == read.process {
                true => "read your writes",
                false if history.operations().iter().any(saw) => "monotonic reads",
                false => "lost",
            };
            if missed.insert(x.id) {
                report(word, Some(x.id));
            }
        }
    }
    found
}

/// The puts that an acknowledged write which was over before that read has in its past, and that have not expired.
pub(super) fn replaced(history: &History<u8>, read: OpId) -> Vec<OpId> {
    let pasts = pasts(history);
    let read = &history.operations()[read.0];
    let before = |write: &&Operation<u8>| {
        write.key == read.key && write.is_acknowledged() && write.completed < Some(read.invoked)
    };
    history.operations().iter().filter(before).flat_map(|write| pasts[&write.id].clone()).collect()
}

/// Whether a delete or an expiring put that may still take effect has it in its past.
pub(super) fn is_hidden_by_an_open_delete(history: &History<u8>, put: OpId) -> bool {
    let end = Operation { completed: Some(Moment(u64::MAX)), ..history.operations()[put.0].clone() };
    let pasts = pasts(history);
    history.operations().iter().any(|y| y.is_write() && is_tombstone(y, &end) && pasts[&y.id].contains(&put))
}
