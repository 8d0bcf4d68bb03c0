//! Linearizability of a [`History`]: each key is a register.

use std::collections::BTreeMap;

use super::{Call, Unexplained, check};
use crate::model::register::{Input, Output, Register};
use crate::operation::{Action, History, OpId, Operation, Outcome};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Cell {
    Absent,
    /// What this put wrote.
    Of(OpId),
    /// What no register ever holds: several values, or one that nobody wrote.
    Impossible,
}

type CellCall = Call<Input<Cell>, Output<Cell>>;

/// The first key (in the keys' order) whose operations have no order, and why; the calls go by their numbers. A key that
/// could not be decided is named only if no key is known to have none.
///
/// Each key is a register that is absent at first. A put writes its own number, a delete writes that the key is absent.
/// Rejected writes and failed reads are left out. A read that saw several siblings, or what nobody wrote, never fits.
///
/// # Errors
/// If a key is not linearizable, or undecided; see [`check`](super::check()).
///
/// # Panics
/// If a put has an expiry: a value that ends by itself is none of a register's.
pub fn check_history<K: Ord + Clone>(history: &History<K>) -> Result<(), StuckKey<K>> {
    let mut keys: BTreeMap<&K, (Vec<OpId>, Vec<CellCall>)> = BTreeMap::new();
    for operation in history.operations() {
        if let Some(call) = call(operation) {
            let (ids, calls) = keys.entry(&operation.key).or_default();
            ids.push(operation.id);
            calls.push(call);
        }
    }
    let mut undecided = None;
    for (key, (ids, calls)) in keys {
        match check(&Register { initial: Cell::Absent }, &calls) {
            Ok(_) => {}
            Err(Unexplained::Stuck(stuck)) => {
                let reason = Unexplained::Stuck(stuck.map(|index| ids[index]));
                return Err(StuckKey { key: key.clone(), reason });
            }
            Err(Unexplained::Undecided(reason)) => undecided = undecided.or(Some((key, reason))),
        }
    }
    undecided.map_or(Ok(()), |(key, reason)| Err(StuckKey { key: key.clone(), reason: reason.into() }))
}

/// A key whose operations have no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {key:?}: {reason}")]
pub struct StuckKey<K> {
    /// The key.
    pub key: K,
    /// Why.
    pub reason: Unexplained<OpId>,
}

fn call<K>(operation: &Operation<K>) -> Option<CellCall> {
    let input = match operation.action {
        Action::Put { expiry } => {
            assert!(expiry.is_none(), "a value that expires is none of a register's");
            Input::Write(Cell::Of(operation.id))
        }
        Action::Delete => Input::Write(Cell::Absent),
        Action::Get => Input::Read,
    };
    let output = match &operation.outcome {
        Outcome::Rejected | Outcome::Failed => return None,
        Outcome::Pending | Outcome::Indeterminate => None,
        Outcome::Written { .. } => Some(Output::Written),
        Outcome::Read(seen) => Some(Output::Value(match seen[..] {
            [] => Cell::Absent,
            [one] => Cell::Of(one),
            _ => Cell::Impossible,
        })),
        Outcome::ReadUnknown => Some(Output::Value(Cell::Impossible)),
    };
    let returned = operation.completed.zip(output);
    Some(Call { process: operation.process, input, invoked: operation.invoked, returned })
}
