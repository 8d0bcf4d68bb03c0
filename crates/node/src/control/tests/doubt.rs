//! Nodes that may have lost something.

use super::super::*;
use super::bench::*;

/// A shard's word of how far it is with pulling four partitions.
fn pulled(shard: u16, pulled: u32) -> ControlInput {
    let progress = PullProgress { pulled, of: 4, bytes: 0 };
    ControlInput::Reported(Report::Pull { shard: ShardIndex(shard), progress })
}

fn doubtful(n: u64, left: &Process) -> ControlConfig {
    ControlConfig { in_doubt: Some("its store is gone".into()), ..again(n, left) }
}

fn is_in_doubt(bench: &mut Bench, n: u64) -> bool {
    bench.at(n).view().fitness().in_doubt
}

#[test]
fn doubt_is_told_shown_and_ends_when_what_was_lost_has_been_pulled() {
    let mut bench = founded();
    let left = bench.kill(2);
    bench.start(doubtful(2, &left));
    bench.run(seconds(10));
    assert!(is_in_doubt(&mut bench, 2));
    assert!(bench.at(2).control.is_ready(), "it takes writes");
    assert!(bench.at(1).view().members[&NodeId(2)].in_doubt);
    assert!(bench.at(1).view().replicas(kvorum_ring::PartitionId(0)).any(|replica| replica.in_doubt));
    let status = bench.at(3).control.status(seconds(15));
    assert_eq!(status.members.iter().map(|member| member.in_doubt).collect::<Vec<_>>(), [false, true, false]);
    assert!(status.warnings.iter().any(|warning| warning.starts_with("n2 is in doubt: its store is gone")));
    bench.tell(2, pulled(0, 4));
    bench.tell(2, pulled(1, 3));
    assert!(is_in_doubt(&mut bench, 2), "the other shard has something left to pull");
    bench.run(seconds(2));
    let status = bench.at(3).control.status(seconds(15));
    assert_eq!((status.members[1].pulled, status.members[1].to_pull), (7, 8), "everybody knows how far it is");
    assert!(status.warnings.iter().any(|warning| warning.ends_with("7 of 8 partitions are done")), "{status:?}");
    bench.tell(2, pulled(1, 4));
    assert!(!is_in_doubt(&mut bench, 2));
    assert_eq!(bench.at(2).disk_identity.1, None);
    assert!(bench.at(2).notes().contains(&Note::DoubtEnded { how: DoubtEnd::Pulled }));
    bench.run(seconds(2));
    assert!(!bench.at(1).view().members[&NodeId(2)].in_doubt);
}

#[test]
fn doubt_outlives_a_restart_and_a_failed_save() {
    let mut bench = founded();
    let old = bench.kill(2);
    bench.start(again(2, &old));
    bench.run(seconds(12));
    let left = bench.kill(2);
    let mut config = again(2, &left);
    config.clock_floor = old.disk_ceiling;
    bench.start_with(config, true);
    bench.run(seconds(2));
    assert!(is_in_doubt(&mut bench, 2));
    bench.at(2).identity_saves.clear();
    bench.tell(2, ControlInput::IdentitySaved(Err("no space".to_owned())));
    assert!(bench.at(2).identity_saves.is_empty(), "not at once");
    bench.run(seconds(1));
    bench.finish_saves(2);
    let left = bench.kill(2);
    assert!(left.disk_identity.1.is_some());
    bench.start(again(2, &left));
    bench.run(seconds(2));
    assert!(is_in_doubt(&mut bench, 2));
}

#[test]
fn a_node_alone_has_nobody_to_ask_and_goes_on() {
    let mut bench = Bench::default();
    bench.start(founder(1, 1));
    bench.run(seconds(1));
    let left = bench.kill(1);
    bench.start(doubtful(1, &left));
    assert!(bench.at(1).control.is_ready());
    assert!(!is_in_doubt(&mut bench, 1));
    assert!(bench.at(1).notes().contains(&Note::DoubtEnded { how: DoubtEnd::Alone }));
    assert_eq!(bench.at(1).disk_identity.1, None);
}
