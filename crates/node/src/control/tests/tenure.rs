//! Whether a process may speak for its node: notes, copies, twins, and who takes the place of whom.

use super::super::*;
use super::bench::*;
use crate::fitness::Bar;

fn bar(bench: &mut Bench, n: u64) -> Option<Bar> {
    bench.at(n).view().fitness().bar
}

/// A second process of node 2, at another address.
fn copy_of_2(left: &Process, since_ms: u64) -> ControlConfig {
    let copy = again(2, left);
    let meta = MemberMeta { since_ms, actor: ActorId(0xc0_0000_0000), ..copy.meta };
    ControlConfig { peer: address(22), meta, ..copy }
}

fn what_2_leaves(bench: &mut Bench) -> Process {
    let left = bench.kill(2);
    let disk = left.disk.clone();
    let (disk_ceiling, disk_identity) = (left.disk_ceiling, left.disk_identity.clone());
    bench.resume(2, left);
    let mut copy = bench.blank(22);
    (copy.disk, copy.disk_ceiling, copy.disk_identity) = (disk, disk_ceiling, disk_identity);
    copy
}

#[test]
fn a_copy_of_a_running_node_gives_way_and_the_original_goes_on() {
    let mut bench = founded();
    let left = what_2_leaves(&mut bench);
    bench.start(copy_of_2(&left, WALL + 9_000));
    for _ in 0..50 {
        bench.run(Duration::from_millis(100));
        assert!(bench.at(2).control.is_ready(), "the original is never disturbed");
        assert!(!bench.at(22).control.is_ready(), "and the copy never serves");
        for n in [1, 3] {
            assert!(
                bench
                    .at(n)
                    .views
                    .iter()
                    .all(|view| view.members.get(&NodeId(2)).is_none_or(|it| it.peer == address(2))),
                "nor is asked"
            );
        }
    }
    assert_eq!(bar(&mut bench, 22), Some(Bar::Twin));
    assert_eq!(bench.at(22).control.next_timeout(), None);
    let notes = bench.at(22).notes();
    assert!(notes.contains(&Note::Twin { address: address(2) }), "{notes:?}");
    assert!(bench.at(2).notes().contains(&Note::Contested { address: address(22) }));
    for n in [1, 3] {
        assert_eq!(bench.at(n).view().members[&NodeId(2)].peer, address(2));
        assert_eq!(bench.at(n).view().members[&NodeId(2)].state, State::Up);
    }
    assert!(!bench.at(2).view().fitness().in_doubt);
    assert!(bench.at(2).disk_identity.0 >= 2, "its next process must begin above what the copy has said");
    // It has nothing more to say, whatever it is told.
    bench.wire.clear();
    bench.say(22, 1, Some(CLUSTER), ControlBody::FetchLayout { have: 0 });
    bench.run(seconds(5));
    assert!(bench.wire.iter().all(|(from, ..)| *from != address(22)));
    let status = bench.at(22).control.status(seconds(9));
    assert!(status.warnings.iter().any(|warning| warning.contains("copy of its data directory")), "{status:?}");
}

#[test]
fn the_original_starts_again_without_doubt_after_it_has_outranked_a_copy() {
    let mut bench = founded();
    let left = what_2_leaves(&mut bench);
    bench.start(copy_of_2(&left, WALL + 9_000));
    bench.run(seconds(5));
    bench.kill(22);
    let left = bench.kill(2);
    bench.start(again(2, &left));
    bench.run(seconds(2));
    assert!(bench.at(2).control.is_ready());
    assert!(!bench.at(2).view().fitness().in_doubt);
}

#[test]
fn an_older_boot_than_its_peers_remember_is_claimed_above_and_in_doubt() {
    let mut bench = founded();
    let old = what_2_leaves(&mut bench);
    // The node starts twice more, and dies.
    for _ in 0..2 {
        let left = bench.kill(2);
        bench.start(again(2, &left));
        bench.run(seconds(2));
    }
    bench.kill(2);
    bench.run(seconds(5));
    let copy = again(2, &old);
    bench.start(ControlConfig { meta: MemberMeta { since_ms: WALL + 60_000, ..copy.meta }, ..copy });
    bench.run(seconds(1));
    assert_eq!(bar(&mut bench, 2), Some(Bar::Claiming));
    bench.run(seconds(3));
    assert!(bench.at(2).control.is_ready());
    assert!(bench.at(2).view().fitness().in_doubt);
    let (boot, in_doubt) = bench.at(2).disk_identity.clone();
    assert!(boot > 3 && in_doubt.is_some(), "{boot}");
    assert!(bench.at(1).view().members[&NodeId(2)].in_doubt, "the others know");
}

#[test]
fn a_copy_older_than_the_clock_ceiling_that_peers_remember_is_in_doubt() {
    let mut bench = founded();
    let old = what_2_leaves(&mut bench);
    bench.run(seconds(12));
    bench.kill(2);
    bench.run(seconds(1));
    bench.start(again(2, &old));
    bench.run(seconds(2));
    assert!(bench.at(2).control.is_ready());
    assert!(bench.at(2).view().fitness().in_doubt, "its number of starts would not have told");
}

#[test]
fn an_answer_to_a_process_that_is_no_more_says_nothing() {
    let mut bench = founded();
    let left = bench.kill(2);
    bench.start(again(2, &left));
    bench.run(seconds(1));
    let mine = bench.at(2).disk_ceiling;
    let late = Remembered { by: ActorId(2), ceiling: Some(mine), silent_ms: None };
    bench.say(2, 1, Some(CLUSTER), ControlBody::Recalled(late));
    assert!(!bench.at(2).view().fitness().in_doubt);
}

#[test]
fn a_node_whose_peers_are_all_down_serves_when_it_has_waited_long_enough() {
    let mut bench = founded();
    let left = bench.kill(2);
    bench.kill(1);
    bench.kill(3);
    bench.start(again(2, &left));
    bench.run(Duration::from_millis(2_900));
    assert_eq!(bar(&mut bench, 2), Some(Bar::ComparingNotes));
    assert!(bench.at(2).view().not_ready_because().contains("comparing notes"));
    bench.run(Duration::from_millis(400));
    assert_eq!(bar(&mut bench, 2), None);
}

#[test]
fn nodes_that_all_start_again_do_not_wait_for_a_memory_that_nobody_has() {
    let mut bench = founded();
    let left: Vec<Process> = (1..=3).map(|n| bench.kill(n)).collect();
    for (n, left) in (1..).zip(&left) {
        bench.start(again(n, left));
    }
    bench.run(Duration::from_millis(500));
    for n in 1..=3 {
        assert!(bench.at(n).control.is_ready(), "node {n}");
        assert!(!bench.at(n).view().fitness().in_doubt);
    }
}

#[test]
fn a_new_node_with_the_name_of_one_that_is_down_takes_its_place() {
    let mut bench = founded();
    bench.kill(2);
    let named_2 = || ControlConfig { meta: MemberMeta { name: "n2".into(), ..newcomer(7).meta }, ..newcomer(7) };
    bench.start(named_2());
    bench.run(Duration::from_millis(1_500));
    assert_eq!(bench.at(7).taken_over, None, "it is not down yet");
    assert_eq!(bar(&mut bench, 7), Some(Bar::NameTaken));
    bench.run(seconds(8));
    assert_eq!(bench.at(7).taken_over, Some((NodeId(2), 1)));
    assert_eq!(bench.at(1).view().members[&NodeId(7)].state, State::Left, "its own id was a name tag");
    let shown = bench.at(1).control.status(seconds(20)).members;
    assert_eq!(shown.iter().map(|member| member.id.0).collect::<Vec<_>>(), [1, 2, 3]);

    // It starts anew as that node.
    let left = bench.kill(7);
    let new =
        ControlConfig { me: NodeId(2), boot: 2, saved: left.disk.clone(), in_doubt: Some("lost".into()), ..named_2() };
    bench.start(ControlConfig { meta: MemberMeta { actor: ActorId(0xaa_0000_0000), ..new.meta }, ..new });
    bench.run(seconds(3));
    assert!(bench.at(7).control.is_ready() && bench.at(7).view().fitness().in_doubt);
    let member = bench.at(1).view().members[&NodeId(2)].clone();
    assert_eq!((member.peer, member.state, member.in_doubt), (address(7), State::Up, true));
}

#[test]
fn with_the_name_of_one_that_is_not_down_it_waits() {
    let mut bench = founded();
    let named_2 = ControlConfig { meta: MemberMeta { name: "n2".into(), ..newcomer(7).meta }, ..newcomer(7) };
    bench.start(named_2);
    bench.run(seconds(20));
    assert_eq!(bench.at(7).taken_over, None);
    assert!(!bench.at(7).control.is_ready() && !bench.at(7).control.is_serving());
}

#[test]
fn an_older_copy_whose_peers_could_not_be_reached_at_its_start_is_in_doubt_when_they_can() {
    let mut bench = founded();
    let old = what_2_leaves(&mut bench);
    bench.run(seconds(12));
    bench.kill(2);
    for n in [1, 3] {
        bench.cut(2, n);
        bench.cut(n, 2);
    }
    bench.run(seconds(1));
    bench.start(again(2, &old));
    bench.run(seconds(4));
    assert!(bench.at(2).control.is_ready(), "nobody could be asked");
    for n in [1, 3] {
        bench.mend(2, n);
        bench.mend(n, 2);
    }
    bench.run(seconds(20));
    assert!(bench.at(2).view().fitness().in_doubt, "it would serve reads from an older copy");
}

#[test]
fn a_process_that_has_not_compared_raises_no_ceiling() {
    let mut bench = founded();
    let left = bench.kill(2);
    for n in [1, 3] {
        bench.cut(2, n);
        bench.cut(n, 2);
    }
    bench.run(seconds(30));
    let before = left.disk_ceiling;
    bench.start(again(2, &left));
    for _ in 0..28 {
        bench.run(Duration::from_millis(100));
        let process = bench.at(2);
        assert!(process.control.is_ready() || process.disk_ceiling == before, "what its peers remember may be higher");
    }
    bench.run(seconds(2));
    assert!(bench.at(2).control.is_ready() && bench.at(2).disk_ceiling > before);
}
