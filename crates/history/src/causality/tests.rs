mod cluster;
mod naive;

use std::collections::BTreeSet;

use cluster::Fault;

use super::*;
use crate::contradiction::script::{PUT, Random, Script, WRITTEN, put_until};
use crate::{Action, OpId, Outcome};

const SOMEONE: (u64, u8) = (0, 7);
const READER: (u64, u8) = (1, 7);

impl Script {
    /// A write that knows of what a read returned.
    fn after(&mut self, read: OpId, action: Action, from: u64, to: u64, outcome: Outcome) -> OpId {
        self.add(SOMEONE, action, Some(read), (from, to), outcome)
    }

    /// A read of a process that neither wrote nor read before.
    fn fresh_read(&mut self, from: u64, to: u64, seen: &[OpId]) -> OpId {
        let process = 100 + self.0.operations().len() as u64;
        self.add((process, 7), Action::Get, None, (from, to), Outcome::Read(seen.to_vec()))
    }
}

/// What is found, shortly: the word and the witnesses.
fn verdict(script: &Script) -> Vec<(&'static str, Vec<usize>)> {
    let short = |anomaly: &Anomaly<u8>| {
        let word = match anomaly.kind {
            Kind::Impossible { .. } => "impossible",
            Kind::Duplicate(_) => "duplicate",
            Kind::Overwritten { .. } => "overwritten",
            Kind::Resurrected { .. } => "resurrected",
            Kind::Lost(_) => "lost",
            Kind::ReadYourWrites(_) => "read your writes",
            Kind::MonotonicReads { .. } => "monotonic reads",
        };
        (word, anomaly.witnesses().iter().map(|id| id.0).collect())
    };
    anomalies(&script.0, |_| true, 0).iter().map(short).collect()
}

#[test]
fn concurrent_writes_are_siblings_and_a_context_replaces_them() {
    let mut script = Script::default();
    let (a, b) = (script.put(0, 10), script.put(20, 30));
    let both = script.fresh_read(40, 50, &[b, a]);
    let c = script.after(both, PUT, 60, 70, WRITTEN);
    script.fresh_read(80, 90, &[c]);
    assert_eq!(verdict(&script), []);
}

#[test]
fn a_dropped_sibling_is_lost() {
    let mut script = Script::default();
    let (a, b) = (script.put(0, 10), script.put(20, 30));
    let read = script.fresh_read(40, 50, &[b]);
    assert_eq!(verdict(&script), [("lost", vec![read.0, a.0])]);
}

#[test]
fn a_lost_write_is_reported_once_however_many_reads_miss_it() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let late = script.fresh_read(50, 60, &[]);
    let first = script.fresh_read(20, 30, &[]);
    assert!(late < first);
    assert_eq!(verdict(&script), [("lost", vec![first.0, a.0])]);
}

#[test]
fn a_write_concurrent_with_the_read_or_touching_it_may_be_missing() {
    let mut script = Script::default();
    script.put(0, 20);
    script.fresh_read(20, 30, &[]);
    assert_eq!(verdict(&script), []);
}

#[test]
fn a_write_may_hide_behind_an_open_one_that_knew_of_it_if_that_is_returned() {
    for open in [Outcome::Pending, Outcome::Indeterminate] {
        let mut script = Script::default();
        let a = script.put(0, 10);
        let seen = script.fresh_read(20, 30, &[a]);
        let b = script.after(seen, PUT, 40, 50, open);
        script.fresh_read(60, 70, &[b]);
        script.fresh_read(60, 70, &[a]);
        assert_eq!(verdict(&script), [], "it may have taken effect, or not yet");
        let read = script.fresh_read(80, 90, &[]);
        assert_eq!(verdict(&script), [("lost", vec![read.0, a.0])]);
    }
}

#[test]
fn a_value_beside_the_open_one_that_replaced_it_is_overwritten() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.fresh_read(20, 30, &[a]);
    let b = script.after(seen, PUT, 40, 50, Outcome::Indeterminate);
    let c_seen = script.fresh_read(60, 70, &[b]);
    let c = script.after(c_seen, PUT, 80, 90, Outcome::Indeterminate);
    let read = script.fresh_read(100, 110, &[a, c]);
    assert_eq!(verdict(&script), [("overwritten", vec![read.0, a.0, c.0])], "by way of what is not returned");
}

#[test]
fn a_value_that_an_acknowledged_write_knew_of_does_not_come_back() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.fresh_read(20, 30, &[a]);
    let b = script.after(seen, PUT, 40, 50, WRITTEN);
    let beside = script.fresh_read(60, 70, &[a, b]);
    assert_eq!(verdict(&script), [("resurrected", vec![beside.0, a.0, b.0])]);
}

#[test]
fn a_deleted_value_does_not_come_back_and_a_delete_explains_absence() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.fresh_read(20, 30, &[a]);
    let delete = script.after(seen, Action::Delete, 40, 50, WRITTEN);
    script.fresh_read(60, 70, &[]);
    assert_eq!(verdict(&script), []);
    let read = script.fresh_read(80, 90, &[a]);
    assert_eq!(verdict(&script), [("resurrected", vec![read.0, a.0, delete.0])]);
}

#[test]
fn an_open_delete_may_hide_what_it_knew_of_from_its_invocation_on() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.fresh_read(20, 30, &[a]);
    script.after(seen, Action::Delete, 40, 50, Outcome::Indeterminate);
    script.fresh_read(35, 40, &[]);
    script.fresh_read(60, 70, &[]);
    script.fresh_read(80, 90, &[a]);
    assert_eq!(verdict(&script), []);
    let early = script.fresh_read(31, 39, &[]);
    assert_eq!(verdict(&script), [("lost", vec![early.0, a.0])]);
}

#[test]
fn a_delete_without_a_context_and_one_that_was_rejected_hide_nothing() {
    for (context, outcome) in [(false, WRITTEN), (true, Outcome::Rejected)] {
        let mut script = Script::default();
        let a = script.put(0, 10);
        let seen = script.fresh_read(20, 30, &[a]);
        script.add(SOMEONE, Action::Delete, context.then_some(seen), (40, 50), outcome);
        let read = script.fresh_read(60, 70, &[]);
        assert_eq!(verdict(&script), [("lost", vec![read.0, a.0])]);
    }
}

#[test]
fn a_context_that_is_not_carried_or_is_of_another_key_replaces_nothing() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let elsewhere = script.add((9, 8), Action::Get, None, (20, 30), Outcome::Read(vec![]));
    script.fresh_read(20, 30, &[a]);
    let b = script.after(elsewhere, PUT, 40, 50, WRITTEN);
    let read = script.fresh_read(60, 70, &[b]);
    assert_eq!(verdict(&script), [("lost", vec![read.0, a.0])]);
}

#[test]
fn an_expired_put_may_be_missing_hides_what_it_knew_of_and_must_go_in_the_end() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.fresh_read(11, 12, &[a]);
    let b = script.after(seen, put_until(50, 60), 20, 30, WRITTEN);
    script.fresh_read(40, 45, &[b]);
    script.fresh_read(40, 50, &[]);
    script.fresh_read(60, 70, &[b]);
    assert_eq!(verdict(&script), []);
    let early = script.fresh_read(40, 49, &[]);
    let late = script.fresh_read(61, 70, &[b]);
    assert_eq!(verdict(&script), [("lost", vec![early.0, b.0]), ("impossible", vec![late.0, b.0])]);
}

#[test]
fn impossible_and_repeated_values_are_found() {
    let mut script = Script::default();
    let rejected = script.write(PUT, 0, 10, Outcome::Rejected);
    let good = script.put(0, 10);
    let other = script.add((0, 8), PUT, None, (0, 10), WRITTEN);
    let late = script.put(50, 60);
    let delete = script.write(Action::Delete, 0, 10, WRITTEN);
    let read = script.fresh_read(20, 30, &[rejected, good, other, late, delete, OpId(99), good]);
    let unknown = script.add(READER, Action::Get, None, (20, 30), Outcome::ReadUnknown);
    let impossible = |ids: &[OpId]| ("impossible", ids.iter().map(|id| id.0).collect());
    let expected = [
        impossible(&[read, rejected]),
        impossible(&[read, other]),
        impossible(&[read, late]),
        impossible(&[read, delete]),
        impossible(&[read]),
        ("duplicate", vec![read.0, good.0]),
        impossible(&[unknown]),
    ];
    assert_eq!(verdict(&script), expected);
}

#[test]
fn a_process_reads_its_own_writes() {
    let mut script = Script::default();
    let a = script.add(READER, PUT, None, (0, 10), WRITTEN);
    let read = script.add(READER, Action::Get, None, (20, 30), Outcome::Read(vec![]));
    assert_eq!(verdict(&script), [("read your writes", vec![read.0, a.0])]);
}

#[test]
fn what_a_process_saw_it_sees_again_and_an_open_write_once_what_it_wrote_upon_it_is_acknowledged() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.add(READER, Action::Get, None, (20, 30), Outcome::Read(vec![a]));
    let read = script.add(READER, Action::Get, None, (40, 50), Outcome::Read(vec![]));
    assert_eq!(verdict(&script), [("monotonic reads", vec![read.0, a.0, seen.0])]);

    let mut script = Script::default();
    let open = script.write(PUT, 0, 10, Outcome::Indeterminate);
    let seen = script.add(READER, Action::Get, None, (20, 30), Outcome::Read(vec![open]));
    script.add(READER, Action::Get, None, (40, 50), Outcome::Read(vec![]));
    assert_eq!(verdict(&script), [], "an open write binds nobody");
    let upon = script.add(READER, PUT, Some(seen), (60, 70), WRITTEN);
    let read = script.add(READER, Action::Get, None, (80, 90), Outcome::Read(vec![open]));
    let expected = [("resurrected", vec![read.0, open.0, upon.0]), ("read your writes", vec![read.0, upon.0])];
    assert_eq!(verdict(&script), expected, "until an acknowledged one carried its context");
}

#[test]
fn pruned_contexts_excuse_as_many_replaced_values_and_no_loss() {
    let mut script = Script::default();
    let (a, b) = (script.put(0, 10), script.put(0, 10));
    let seen = script.fresh_read(20, 30, &[a, b]);
    let c = script.after(seen, PUT, 40, 50, WRITTEN);
    let first = script.fresh_read(60, 70, &[a, c]);
    script.fresh_read(80, 90, &[a, c]);
    let last = script.fresh_read(100, 110, &[a, b]);
    let counts = |pruned| {
        let findings = examine(&script.0, |_| true, pruned);
        let reads = |found: &[Anomaly<u8>]| found.iter().map(|anomaly| anomaly.read.id).collect::<Vec<_>>();
        (reads(&findings.excused), reads(&findings.anomalies))
    };
    assert_eq!(counts(0), (vec![], vec![first, last, last]), "a is back, b is back and c is lost");
    assert_eq!(counts(1), (vec![first], vec![last, last]));
    assert_eq!(counts(9), (vec![first, last], vec![last]));
}

#[test]
fn reads_that_are_not_judged_still_make_contexts() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let b = script.put(0, 10);
    let weak = script.fresh_read(20, 30, &[a]);
    let c = script.after(weak, PUT, 40, 50, WRITTEN);
    script.fresh_read(60, 70, &[b, c]);
    assert_eq!(anomalies(&script.0, |read| read.id != weak, 0), []);
    assert_eq!(verdict(&script), [("lost", vec![weak.0, b.0])]);
}

#[test]
fn contexts_that_know_the_future_are_judged_without_an_end_or_a_panic() {
    let mut script = Script::default();
    let first = script.read(0, 90, &[OpId(2), OpId(3)]);
    let second = script.read(0, 90, &[OpId(2), OpId(3)]);
    script.after(first, PUT, 10, 5, WRITTEN);
    script.after(second, PUT, 10, 20, WRITTEN);
    script.read(50, 40, &[OpId(2), OpId(3)]);
    assert_eq!(verdict(&script), [("overwritten", vec![0, 2, 3])]);
}

#[test]
fn a_finding_prints_the_operations_that_show_it() {
    let mut script = Script::default();
    let a = script.put(0, 10);
    let seen = script.fresh_read(20, 30, &[a]);
    script.after(seen, PUT, 40, 50, WRITTEN);
    script.fresh_read(60, 70, &[a, OpId(2)]);
    assert_eq!(
        anomalies(&script.0, |_| true, 0)[0].to_string(),
        "the read      #3 get 7 by 103 from 60 to 70: read #0 #2\n  returned    #0 put 7 by 0 from 0 to 10: written\n  \
         despite     #2 put 7 by 0 from 40 to 50: written\n  that knew of it"
    );
}

/// A chain of writes, each upon a read of the one before, with a sibling from the start that nobody replaces.
#[test]
fn long_chains_of_acknowledged_and_of_open_writes_are_judged_in_time() {
    for (outcome, length) in [(WRITTEN, 50_000), (Outcome::Indeterminate, 10_000)] {
        let mut script = Script::default();
        let (lasting, mut last) = (script.put(0, 1), script.put(0, 1));
        for at in 1..length {
            let read = script.fresh_read(10 * at, 10 * at + 1, &[lasting, last]);
            // The context leaves the lasting one out: it is carried from a weaker read.
            let weak = script.fresh_read(10 * at + 2, 10 * at + 3, &[last]);
            last = script.after(weak, PUT, 10 * at + 4, 10 * at + 5, outcome.clone());
            assert!(read < weak);
        }
        let judged = |read: &Operation<u8>| read.invoked.0.is_multiple_of(10);
        assert_eq!(anomalies(&script.0, judged, 0), []);
        script.fresh_read(10 * length, 10 * length + 1, &[lasting, last, OpId(1)]);
        assert_eq!(anomalies(&script.0, judged, 0).len(), 1);
    }
}

/// The verdict as the oracle tells it.
fn told(history: &History<u8>) -> BTreeSet<naive::Finding> {
    let found = anomalies(history, |_| true, 0);
    let told: BTreeSet<_> = found.iter().map(naive::Finding::of).collect();
    assert!(found.iter().all(|anomaly| anomaly.witnesses()[0] == anomaly.read.id && !anomaly.to_string().is_empty()));
    told
}

#[test]
fn what_a_store_of_explicit_histories_does_is_free_of_anomalies() {
    let mut reads = 0;
    for seed in 0..400 {
        let history = cluster::run(seed, Fault::None);
        assert_eq!(anomalies(&history, |_| true, 0), [], "seed {seed}");
        assert!(naive::examine(&history).is_empty(), "the oracle agrees with the store, seed {seed}");
        reads +=
            history.operations().iter().filter(|read| matches!(&read.outcome, Outcome::Read(s) if s.len() > 1)).count();
    }
    assert!(reads > 1000, "there are siblings: {reads}");
}

#[test]
fn every_fault_of_the_store_is_found_and_the_verdict_is_that_of_the_oracle() {
    for fault in Fault::ALL {
        let mut caught = 0;
        for seed in 0..100 {
            let history = cluster::run(seed, fault);
            let told = told(&history);
            assert_eq!(told, naive::examine(&history), "{fault:?}, seed {seed}");
            caught += usize::from(!told.is_empty());
        }
        assert!(caught >= 20, "{fault:?} shows in many runs: {caught}");
    }
}

#[test]
fn the_verdict_on_a_mutated_history_is_that_of_the_oracle() {
    let mut random = Random(11);
    let mut words = BTreeSet::new();
    let mut bad = 0;
    for seed in 0..600 {
        let history = cluster::mutated(&cluster::run(seed, Fault::None), &mut random);
        let told = told(&history);
        assert_eq!(told, naive::examine(&history), "seed {seed}: {history:#?}");
        words.extend(told.iter().map(|finding| finding.word));
        bad += usize::from(!told.is_empty());
    }
    assert!(bad > 200, "mutations show: {bad}");
    assert_eq!(words.len(), 10, "every word was needed: {words:?}");
}

/// After the calm every replica holds everything, so each of these mutations of the last read is certainly an anomaly.
#[test]
fn a_mutated_last_read_is_always_found() {
    let mut mutations = 0;
    for seed in 0..300 {
        let history = cluster::run(seed, Fault::None);
        let last = history.operations().last().expect("it ends with a read");
        let Outcome::Read(seen) = &last.outcome else { panic!("it ends with a read") };
        for dropped in seen {
            // Open writes bind nobody, and a value that may expire may be gone.
            let put = history.get(*dropped).expect("it was put");
            if put.is_acknowledged() && put.action == PUT && !naive::is_hidden_by_an_open_delete(&history, *dropped) {
                let rest = seen.iter().copied().filter(|id| id != dropped).collect();
                assert!(!told(&cluster::with_outcome(&history, last.id, Outcome::Read(rest))).is_empty(), "{seed}");
                mutations += 1;
            }
        }
        for replaced in naive::replaced(&history, last.id) {
            let more = seen.iter().copied().chain([replaced]).collect();
            assert!(!told(&cluster::with_outcome(&history, last.id, Outcome::Read(more))).is_empty(), "{seed}");
            mutations += 1;
        }
    }
    assert!(mutations > 1000, "{mutations}");
}
