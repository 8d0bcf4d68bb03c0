//! The rule against an oracle that takes it word by word, over all pairs and triples of operations.

use super::script::{PUT, Random, Script, WRITTEN, put_until, written};
use super::*;

type Op = Operation<u8>;

fn supersedes(x: &Op, w: &Op, order: Order) -> bool {
    match (&x.outcome, &w.outcome) {
        (Outcome::Written { version: Some(x) }, Outcome::Written { version: Some(w) }) if order == Order::Versions => {
            x > w
        }
        (Outcome::Written { .. }, Outcome::Written { .. }) => w.completed < Some(x.invoked),
        _ => false,
    }
}

fn may_be_absence(write: &Op, read: &Op) -> bool {
    Some(write.invoked) <= read.completed
        && write.outcome != Outcome::Rejected
        && match write.action {
            Action::Delete => true,
            Action::Put { expiry: Some(expiry) } => Some(expiry.earliest) <= read.completed,
            _ => false,
        }
}

/// Whether a value may be read, and which parts of the rule forbid it.
fn forbidden(history: &History<u8>, read: &Op, order: Order) -> usize {
    let operations = || history.operations().iter().filter(|other| other.key == read.key && other.is_write());
    let before = || operations().filter(|x| x.is_acknowledged() && x.completed < Some(read.invoked));
    let seen = match &read.outcome {
        Outcome::Read(seen) if seen.is_empty() => {
            // No acknowledged put lacks an explanation.
            let tombstones = || operations().filter(|write| may_be_absence(write, read));
            let explained = |x: &Op| may_be_absence(x, read) || tombstones().any(|t| !supersedes(x, t, order));
            let put_by_put = before().all(explained);
            if order == Order::RealTime {
                // The rule of reads: the initial state or some tombstone is legal.
                let legal = |t: &Op| !before().any(|x| supersedes(x, t, order));
                assert_eq!(before().next().is_none() || tombstones().any(legal), put_by_put);
            }
            return usize::from(!put_by_put);
        }
        Outcome::Read(seen) => seen,
        Outcome::ReadUnknown => return 1,
        _ => return 0,
    };
    let legal = |id: &&OpId| {
        let Some(w) = history.get(**id) else { return false };
        let Action::Put { expiry } = w.action else { return false };
        w.key == read.key
            && Some(w.invoked) <= read.completed
            && w.outcome != Outcome::Rejected
            && expiry.is_none_or(|expiry| read.invoked <= expiry.latest)
            && (seen.len() > 1 || !before().any(|x| supersedes(x, w, order)))
    };
    seen.len() - seen.iter().filter(legal).count()
}

fn draw(random: &mut Random) -> History<u8> {
    let mut script = Script::default();
    let mut reads = Vec::new();
    for number in 0..9 {
        let from = random.below(14);
        let to = from + random.below(4);
        let key = u8::from(random.chance(20));
        // Some puts may have expired before they are invoked.
        let expires = (from + random.below(8)).saturating_sub(2);
        let action = match random.below(7) {
            0 | 1 => PUT,
            2 => put_until(expires, expires + random.below(3)),
            3 => Action::Delete,
            _ => Action::Get,
        };
        let outcome = match (action, random.below(12)) {
            (Action::Get, 0) => Outcome::ReadUnknown,
            (Action::Get, 1) => Outcome::Failed,
            (Action::Get, _) => {
                reads.push(number);
                Outcome::Read(Vec::new())
            }
            (_, 0) => Outcome::Indeterminate,
            (_, 1) => Outcome::Pending,
            (_, 2) => Outcome::Rejected,
            (_, 3..6) => WRITTEN,
            _ => written(u128::from(random.below(9))),
        };
        script.add((0, key), action, None, (from, to), outcome);
    }
    // The reads return some of all puts, in the future as well.
    let mut operations = script.0.operations().to_vec();
    for number in reads {
        let count = [0, 1, 1, 1, 2][random.index(5)];
        let mut seen = Vec::new();
        for _ in 0..count {
            let id = random.index(10);
            if operations.get(id).is_none_or(|put| put.is_write() || random.chance(10)) {
                seen.push(OpId(id));
            }
        }
        operations[number].outcome = Outcome::Read(seen);
    }
    let mut history = History::default();
    for operation in operations {
        let id = history.begin(0, operation.key, operation.action, None, operation.invoked);
        if let Some(completed) = operation.completed {
            history.end(id, operation.outcome, completed);
        }
    }
    history
}

#[test]
fn the_verdict_is_that_of_the_rule_taken_word_by_word() {
    let mut random = Random(5);
    for order in [Order::RealTime, Order::Versions] {
        let (mut reads, mut violations) = (0, 0);
        for _ in 0..30_000 {
            let history = draw(&mut random);
            let found = contradictions(&history, order, |_| true);
            for read in history.operations().iter().filter(|operation| !operation.is_write()) {
                let of_read = found.iter().filter(|contradiction| contradiction.read.id == read.id).count();
                assert_eq!(of_read, forbidden(&history, read, order), "{order:?} {read:?} {history:#?}");
                reads += 1;
                violations += of_read;
            }
            for contradiction in &found {
                if let Reason::Lost(x) | Reason::Resurrected(x) = &contradiction.reason {
                    assert!(x.completed < Some(contradiction.read.invoked) && x.is_acknowledged());
                    let returned = contradiction.returned.as_ref();
                    assert!(returned.is_none_or(|w| supersedes(x, w, order)), "the witness is one");
                }
            }
        }
        assert!(violations * 10 > reads && violations < reads, "{violations} of {reads}: good and bad ones");
    }
}

/// Versions that run against time, so that no write makes another one needless, and then with it.
#[test]
fn a_long_history_of_one_key_is_judged_in_time() {
    for order in [Order::RealTime, Order::Versions] {
        let mut script = Script::default();
        for at in 0..50_000_u64 {
            let version = if at < 25_000 { 50_000 - at } else { 50_000 + at };
            let put = script.write(PUT, 4 * at, 4 * at + 1, written(u128::from(version)));
            let winner = if order == Order::Versions && at < 25_000 { OpId(0) } else { put };
            script.read(4 * at + 2, 4 * at + 3, &[winner]);
        }
        assert_eq!(contradictions(&script.0, order, |_| true), []);
        script.read(300_000, 300_001, &[OpId(2)]);
        assert_eq!(contradictions(&script.0, order, |_| true).len(), 1);
    }
}

#[test]
fn what_was_recorded_wrongly_is_judged_without_a_panic() {
    let mut script = Script::default();
    script.write(PUT, 10, 5, WRITTEN);
    script.write(Action::Delete, u64::MAX, 0, Outcome::Read(vec![OpId(9)]));
    script.write(Action::Get, 3, 4, WRITTEN);
    let read = script.read(u64::MAX, 0, &[OpId(2), OpId(usize::MAX), OpId(3)]);
    let found = contradictions(&script.0, Order::Versions, |_| true);
    assert!(found.iter().all(|contradiction| contradiction.read.id == read && !contradiction.to_string().is_empty()));
    assert_eq!(found.len(), 3);
}
