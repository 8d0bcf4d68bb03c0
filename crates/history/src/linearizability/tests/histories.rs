//! Histories of keys as registers.

use crate::linearizability::{Unexplained, check_history};
use crate::operation::{Action, Expiry, History, Moment, OpId, Outcome};

const PUT: Action = Action::Put { expiry: None };
const WRITTEN: Outcome = Outcome::Written { version: None };

/// One operation after the other: key, action, outcome.
fn history(operations: Vec<(&'static str, Action, Outcome)>) -> History<&'static str> {
    let mut history = History::default();
    for (at, (key, action, outcome)) in operations.into_iter().enumerate() {
        let id = history.begin(0, key, action, None, Moment(2 * at as u64));
        if outcome != Outcome::Pending {
            history.end(id, outcome, Moment(2 * at as u64 + 1));
        }
    }
    history
}

fn read(ids: &[usize]) -> Outcome {
    Outcome::Read(ids.iter().map(|id| OpId(*id)).collect())
}

/// The operation that is stuck, with its key.
fn stuck(operations: Vec<(&'static str, Action, Outcome)>) -> Option<(&'static str, usize)> {
    let stuck = check_history(&history(operations)).err()?;
    match stuck.reason {
        Unexplained::Stuck(reason) => Some((stuck.key, reason.call.0)),
        Unexplained::Undecided(undecided) => panic!("{undecided}"),
    }
}

#[test]
fn a_key_is_absent_until_it_is_put_and_after_it_is_deleted() {
    assert_eq!(
        stuck(vec![
            ("a", Action::Get, read(&[])),
            ("a", PUT, WRITTEN),
            ("a", Action::Get, read(&[1])),
            ("a", Action::Delete, WRITTEN),
            ("a", Action::Get, read(&[])),
        ]),
        None
    );
    assert_eq!(stuck(vec![("a", PUT, WRITTEN), ("a", Action::Get, read(&[]))]), Some(("a", 1)));
    let resurrected =
        vec![("a", PUT, WRITTEN), ("a", Action::Delete, WRITTEN), ("a", Action::Get, read(&[0])), ("a", PUT, WRITTEN)];
    assert_eq!(stuck(resurrected), Some(("a", 2)));
}

#[test]
fn each_key_is_judged_alone_and_the_first_that_is_stuck_is_named() {
    let operations = vec![
        ("b", PUT, WRITTEN),
        ("c", Action::Get, read(&[0])),
        ("b", Action::Get, read(&[])),
        ("a", Action::Get, read(&[])),
    ];
    assert_eq!(stuck(operations), Some(("b", 2)));
}

#[test]
fn rejected_writes_never_took_place_and_open_ones_may_have() {
    for (outcome, fits) in [(Outcome::Rejected, false), (Outcome::Indeterminate, true), (Outcome::Pending, true)] {
        let operations = vec![("a", PUT, outcome), ("a", Action::Get, read(&[])), ("a", Action::Get, read(&[0]))];
        assert_eq!(stuck(operations).is_none(), fits);
    }
    assert_eq!(stuck(vec![("a", PUT, WRITTEN), ("a", Action::Get, Outcome::Failed)]), None);
}

#[test]
fn siblings_and_unknown_values_never_fit() {
    let operations =
        vec![("a", PUT, Outcome::Pending), ("a", PUT, Outcome::Pending), ("a", Action::Get, read(&[0, 1]))];
    assert_eq!(stuck(operations), Some(("a", 2)));
    assert_eq!(stuck(vec![("a", Action::Get, Outcome::ReadUnknown)]), Some(("a", 0)));
}

#[test]
#[should_panic(expected = "a value that expires is none of a register's")]
fn a_put_that_expires_is_the_callers_mistake() {
    let expiry = Some(Expiry { earliest: Moment(1), latest: Moment(2) });
    let _ = stuck(vec![("a", Action::Put { expiry }, WRITTEN)]);
}
