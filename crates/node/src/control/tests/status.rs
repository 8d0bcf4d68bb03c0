//! What an operator is told.

use super::super::*;
use super::bench::*;

#[test]
fn before_there_is_a_layout_members_are_joining() {
    let mut bench = Bench::default();
    bench.start(founder(1, 3));
    bench.start(newcomer(2));
    bench.run(seconds(3));
    let now = bench.elapsed;
    let status = bench.at(1).control.status(now);
    assert_eq!((status.cluster, status.epoch, status.partitions), (Some(CLUSTER), 0, 0));
    let members: Vec<_> = status.members.iter().map(|member| (member.name.as_str(), member.state)).collect();
    assert_eq!(members, [("n1", MemberState::Joining), ("n2", MemberState::Joining)]);
    assert_eq!(status.warnings, ["not ready: the cluster is still being founded: 2 of 3 nodes are present"]);
}

#[test]
fn members_are_shown_with_what_they_say_of_themselves() {
    let mut bench = founded();
    bench.tell(2, ControlInput::StoreSize(4711));
    bench.run(seconds(3));
    let now = bench.elapsed;
    let status = bench.at(1).control.status(now);
    assert_eq!((status.epoch, status.partitions), (1, 8));
    assert_eq!(status.warnings, [""; 0]);
    let second = &status.members[1];
    assert_eq!((second.name.as_str(), second.id, second.weight), ("n2", NodeId(2), 1));
    assert_eq!((&*second.peer, &*second.client), ("host2:1", "host2:2"));
    assert_eq!((second.dc.as_str(), second.rack.as_str()), ("dc", "rack"));
    assert_eq!((second.partitions, second.bytes), (8, 4711));
    assert_eq!((second.state, second.state.to_string()), (MemberState::Detected(State::Up), "up".to_owned()));
    assert!(second.heartbeat_age.is_some_and(|age| age < seconds(2)));
}

#[test]
fn too_few_replicas_and_members_without_a_share_are_warned_of() {
    let mut bench = Bench::default();
    bench.start(founder(1, 2));
    bench.start(newcomer(2));
    bench.run(seconds(5));
    bench.start(newcomer(3));
    bench.run(seconds(5));
    let now = bench.elapsed;
    let warnings = bench.at(2).control.status(now).warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("have 2 replicas, fewer than the replication factor 3"), "{warnings:?}");
    assert!(warnings[1].contains("n3 holds no partitions"), "{warnings:?}");
}

#[test]
fn a_node_whose_store_failed_is_not_ready_and_says_so() {
    let mut bench = founded();
    let error = StoreError::Io("no space left".to_owned());
    bench.tell(1, ControlInput::Reported(Report::StoreFailed(error.clone())));
    assert_eq!(bench.at(1).notes(), [Note::StoreFailed { error }]);
    let control = &bench.at(1).control;
    assert_eq!((control.is_ready(), control.is_serving(), control.epoch()), (false, false, 1));
    let warnings = control.status(seconds(0)).warnings;
    assert!(warnings[0].contains("n1 serves no data: the store failed: no space left"), "{warnings:?}");
    assert!(bench.at(2).control.is_ready());
}

#[test]
fn a_drifting_clock_is_told_once_a_second() {
    let mut bench = founded();
    for _ in 0..100 {
        bench.tell(1, ControlInput::Reported(Report::ClockDrift { from: NodeId(3), ahead_ms: 700 }));
    }
    let drift = Note::ClockDrift { name: "n3".into(), ahead_ms: 700 };
    assert_eq!(bench.at(1).notes(), core::slice::from_ref(&drift));
    bench.run(seconds(1));
    bench.tell(1, ControlInput::Reported(Report::ClockDrift { from: NodeId(3), ahead_ms: 700 }));
    assert!(bench.at(1).notes().contains(&drift));
}

#[test]
fn a_taken_name_is_told_even_while_foreigners_knock() {
    let mut bench = founded();
    let double = newcomer(4);
    bench.start(ControlConfig { meta: MemberMeta { name: "n2".into(), ..double.meta.clone() }, ..double });
    let mut told = 0;
    for _ in 0..100 {
        bench.run(Duration::from_millis(100));
        bench.say(4, 66, Some(ClusterId(0xbad)), ControlBody::FetchLayout { have: 0 });
        let taken = Note::NameTaken { name: "n2".into(), by: NodeId(2), address: address(2) };
        told += bench.at(4).notes().iter().filter(|note| **note == taken).count();
    }
    assert!((2..=3).contains(&told), "every five seconds, not {told} times in ten");
    assert!(!bench.at(2).notes().iter().any(|note| matches!(note, Note::NameTaken { .. })), "whose name it is");
}
