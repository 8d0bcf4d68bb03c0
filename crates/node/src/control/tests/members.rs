//! What is known of the members, what becomes of them, and what that must not touch.

use super::super::*;
use super::bench::*;

fn changes(bench: &mut Bench, n: u64, of: u64) -> Vec<MemberChange> {
    let events = bench.at(n).control.events().after(0).unwrap();
    events.into_iter().filter(|event| event.id == NodeId(of)).map(|event| event.change).collect()
}

fn count(bench: &mut Bench, n: u64, kind: &str) -> u64 {
    let events = bench.at(n).control.figures().events;
    EVENT_KINDS.iter().zip(events).find(|(it, _)| **it == kind).unwrap().1
}

fn in_state(bench: &mut Bench, n: u64, state: State) -> u64 {
    let members = bench.at(n).control.figures().members;
    STATES.iter().zip(members).find(|(it, _)| **it == state).unwrap().1
}

/// How long it takes until a node sees another in this state, in steps of 50 ms.
fn until(bench: &mut Bench, n: u64, other: u64, state: State) -> Duration {
    let start = bench.elapsed;
    while bench.at(n).view().members[&NodeId(other)].state != state {
        bench.run(Duration::from_millis(50));
        assert!(bench.elapsed - start < seconds(10), "{n} never sees {other} {state}");
    }
    bench.elapsed - start
}

#[test]
fn what_becomes_of_a_member_is_logged_in_order_and_counted() {
    let mut bench = founded();
    let left = bench.kill(3);
    until(&mut bench, 1, 3, State::Down);
    assert_eq!((in_state(&mut bench, 1, State::Up), in_state(&mut bench, 1, State::Down)), (2, 1));
    let down = changes(&mut bench, 1, 3);
    assert_eq!(down[0], MemberChange::Joined);
    assert!(matches!(down[down.len() - 1], MemberChange::State { to: State::Down, .. }), "{down:?}");
    bench.start(again(3, &left));
    until(&mut bench, 1, 3, State::Up);
    let back: Vec<_> = changes(&mut bench, 1, 3).split_off(down.len());
    assert!(back.contains(&MemberChange::Restarted), "{back:?}");
    assert!(back.contains(&MemberChange::State { from: State::Down, to: State::Up }), "{back:?}");
    for (kind, times) in [("joined", 2), ("restarted", 1), ("down", 1), ("left", 0), ("forgotten", 0)] {
        assert_eq!(count(&mut bench, 1, kind), times, "{kind}");
    }
    let now = bench.elapsed;
    let control = &bench.at(1).control;
    let last = control.events().after(0).unwrap().pop().unwrap();
    assert_eq!((last.number, control.status(now).last_event), (control.events().last(), last.number));
    assert_eq!(&*last.name, "n3");
    assert!((WALL..=WALL + 60_000).contains(&last.at_ms));
}

#[test]
fn a_restart_is_up_at_once() {
    let mut bench = founded();
    let left = bench.kill(3);
    until(&mut bench, 1, 3, State::Down);
    bench.start(again(3, &left));
    assert!(until(&mut bench, 1, 3, State::Up) <= Duration::from_millis(300));
}

#[test]
fn failures_change_no_layout_and_forget_no_member_of_it() {
    let config = gossip::Config { forget_after: seconds(20), ..gossip::Config::default() };
    let with = |it: ControlConfig| ControlConfig { gossip: config.clone(), ..it };
    let mut bench = Bench::default();
    bench.start(with(founder(1, 3)));
    (2..=3).for_each(|n| bench.start(with(newcomer(n))));
    bench.run(seconds(5));
    // It came later, and has no place in the layout.
    bench.start(with(newcomer(4)));
    bench.run(seconds(3));
    let layout = bench.at(1).view().layout.clone();
    bench.kill(3);
    bench.kill(4);
    bench.run(seconds(60));
    for n in [1, 2] {
        assert_eq!(bench.at(n).view().layout, layout);
        assert_eq!(bench.at(n).view().members[&NodeId(3)].state, State::Down, "it is kept");
        assert!(!bench.at(n).view().members.contains_key(&NodeId(4)), "who has no place is forgotten");
        assert_eq!(changes(&mut bench, n, 4).last(), Some(&MemberChange::Forgotten));
        assert!(!bench.at(n).disk.known.contains_key(&NodeId(4)));
    }
}

#[test]
fn a_broken_lane_hastens_the_verdict() {
    let waited = [false, true].map(|is_told| {
        let mut bench = founded();
        bench.kill(3);
        for n in [1, 2] {
            if is_told {
                bench.tell(n, ControlInput::LaneDown(address(3)));
            }
        }
        until(&mut bench, 1, 3, State::Down)
    });
    assert!(waited[1] < waited[0] && waited[1] < seconds(2), "{waited:?}");
}

#[test]
fn a_lane_that_breaks_though_its_member_lives_condemns_nobody() {
    let mut bench = founded();
    for _ in 0..50 {
        for n in [1, 2] {
            bench.tell(n, ControlInput::LaneDown(address(3)));
            bench.tell(n, ControlInput::LaneUp(address(3)));
        }
        bench.run(Duration::from_millis(100));
    }
    assert_eq!(count(&mut bench, 1, "down") + count(&mut bench, 2, "down"), 0);
    assert_eq!(bench.at(1).view().members[&NodeId(3)].state, State::Up);
}

#[test]
fn a_member_that_was_down_is_contacted_at_once_when_its_lane_is_there_again() {
    let mut bench = founded();
    bench.kill(3);
    until(&mut bench, 1, 3, State::Down);
    for (lane, contacts) in [(address(2), 0), (address(77), 0), (address(3), 1)] {
        bench.wire.clear();
        bench.tell(1, ControlInput::LaneUp(lane));
        let to_3 = bench.wire.iter().filter(|(_, to, _)| *to == address(3)).count();
        assert_eq!(to_3, contacts, "only who was down is news");
    }
}

#[test]
fn a_store_that_grows_a_little_is_not_told_each_time() {
    let mut bench = founded();
    let told = |bench: &mut Bench| {
        bench.run(seconds(2));
        let now = bench.elapsed;
        bench.at(1).control.status(now).members[1].bytes
    };
    bench.tell(2, ControlInput::StoreSize(1_000_000));
    assert_eq!(told(&mut bench), 1_000_000);
    bench.tell(2, ControlInput::StoreSize(1_020_000));
    assert_eq!(told(&mut bench), 1_000_000);
    bench.tell(2, ControlInput::StoreSize(1_100_000));
    assert_eq!(told(&mut bench), 1_100_000);
}

#[test]
fn messages_of_another_cluster_are_counted() {
    let mut bench = founded();
    for _ in 0..5 {
        bench.say(1, 66, Some(ClusterId(0xbad)), ControlBody::FetchLayout { have: 0 });
    }
    assert_eq!(bench.at(1).control.figures().foreign_messages, 5);
    assert_eq!(bench.at(1).notes().len(), 1, "and told now and then");
}
