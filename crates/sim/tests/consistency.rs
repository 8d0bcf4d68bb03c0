//! What clients that insist on replicas are promised, and what those get that do not: stale reads exactly where levels leave
//! room for them, and in a cut, service on one side or on both.

mod common;

use core::ops::Range;
use core::time::Duration;
use std::sync::Arc;

use kvorum_history::quorum::stale_reads;
use kvorum_history::{Operation, Outcome};
use kvorum_node::{Consistency, Mode};
use kvorum_quorum::Level;
use kvorum_sim::{Fault, Levels, Report, Sabotage, Scenario, SimConfig, Stats, run};

use common::{assert_clean, is_found_out, lie};

/// Three replicas, a level of each kind.
const THREE: [Level; 3] = [Level::One, Level::Two, Level::All];

/// How many stale reads some runs with these levels show.
fn stale_reads_with(read: Level, write: Level, seeds: Range<u64>) -> usize {
    let config = |seed| SimConfig::from_seed(seed).with_mode(Mode::Lww).with_consistency(Consistency::Strict);
    let config = |seed| config(seed).with_replication(3, 3).with_levels(Levels { read, write });
    seeds.map(|seed| stale_reads(&run(config(seed)).history, |_| true).len()).sum()
}

#[test]
fn reads_are_stale_exactly_where_levels_leave_room_for_it() {
    for (r, read) in (1..).zip(THREE) {
        for (w, write) in (1..).zip(THREE) {
            let found = stale_reads_with(read, write, 0..12);
            match (r + w > 3, w + w > 3) {
                (true, true) => assert_eq!(found, 0, "R = {read}, W = {write} leaves no room for stale reads"),
                (false, _) => assert!(found > 0, "R = {read}, W = {write} leaves room for stale reads"),
                // A read meets every write, but which of two blind ones is the later, clocks say.
                (true, false) => {}
            }
        }
    }
}

#[test]
fn clients_that_do_not_get_the_replicas_they_insist_on_are_found_out() {
    is_found_out(200, &["quorum", "durability", "causality"], lie(Sabotage::StrictIgnored));
}

#[test]
fn replicas_that_stay_behind_are_found_out() {
    is_found_out(300, &["convergence"], lie(Sabotage::RepairSkipped));
}

/// Who was served through the cut-off nodes 3 and 4, and had asked when the cut was a while old: how often where these hold a
/// majority of the replicas, one of them, and none.
#[derive(Debug, Default)]
struct Minority {
    majority: usize,
    one: usize,
    none: usize,
}

impl Minority {
    fn count(&mut self, report: &Report) {
        let is_cut = |fault: &Fault| matches!(fault, Fault::Cut(_));
        let cut = report.schedule.iter().find(|trouble| is_cut(&trouble.fault)).expect("there is a cut");
        let lasts = cut.at..cut.at + cut.lasts;
        let is_served = |operation: &&Operation<Arc<str>>| {
            let began = Duration::from_nanos(operation.invoked.0);
            let ended = operation.completed.map(|completed| Duration::from_nanos(completed.0));
            let succeeded = matches!(operation.outcome, Outcome::Written { .. } | Outcome::Read(_));
            succeeded && lasts.contains(&began) && ended.is_some_and(|ended| lasts.contains(&ended))
        };
        for operation in report.history.operations().iter().filter(is_served) {
            if report.asked[operation.id.0] >= 3 {
                let here = report.replicas[&operation.key].iter().filter(|host| **host >= 3).count();
                let count = [&mut self.none, &mut self.one, &mut self.majority];
                *count.into_iter().nth(here).expect("two nodes hold at most two replicas") += 1;
            }
        }
    }
}

/// Runs of the bank that is cut in two, which keep every promise; and who was served in the smaller part.
fn bank(consistency: Consistency) -> (Minority, Stats) {
    let (mut minority, mut total) = (Minority::default(), Stats::default());
    for seed in 0..20 {
        let report = run(SimConfig::from_seed(seed).with_consistency(consistency).with_scenario(Scenario::Bank));
        // That all replicas are equal as soon as hints are delivered, and none lacks an acknowledged write, belongs to that.
        assert_clean(&report);
        minority.count(&report);
        total.add(&report.stats);
    }
    (minority, total)
}

#[test]
fn who_insists_on_replicas_is_served_where_they_are() {
    let (minority, total) = bank(Consistency::Strict);
    assert_eq!((minority.one, minority.none), (0, 0), "{minority:?}");
    assert!(minority.majority > 300 && total.rejected > 300, "{minority:?} {total}");
}

#[test]
fn who_does_not_insist_on_replicas_is_served_on_either_side_and_loses_nothing() {
    let (minority, total) = bank(Consistency::Sloppy);
    assert!(minority.majority > 300 && minority.one > 300 && minority.none > 300, "{minority:?} {total}");
}
