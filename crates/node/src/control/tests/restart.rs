//! Starting again with what was saved.

use super::super::*;
use super::bench::*;

#[test]
fn a_node_that_starts_again_serves_soon_and_finds_the_others_where_they_were() {
    let mut bench = founded();
    bench.run(seconds(1));
    let left = bench.kill(2);
    assert!(left.disk_ceiling.millis() > bench.now().unix_ms + 8_000, "it starts ahead of the wall clock");
    bench.wire.clear();
    bench.start(again(2, &left));
    let process = bench.at(2);
    assert!(!process.control.is_ready() && !process.control.is_serving());
    assert!(process.view().layout.is_some(), "the first view is out at once");
    bench.run(seconds(1));
    let process = bench.at(2);
    assert!(process.control.is_ready() && process.control.is_serving());
    assert_eq!(process.ceilings.len(), 1, "and it may write");
    assert!(process.ceilings[0] > left.disk_ceiling, "above whatever was minted before");
    assert_eq!(process.view().fitness(), crate::Fitness::default());
    let reached: BTreeSet<_> =
        bench.wire.iter().filter(|(from, ..)| *from == address(2)).map(|(_, to, _)| to).collect();
    assert!(reached.contains(&address(1)) && reached.contains(&address(3)), "{reached:?}");
    assert!(bench.at(2).view().members.values().all(|member| member.state == State::Up));
    assert_eq!(bench.at(1).control.status(seconds(0)).members[1].state, MemberState::Detected(State::Up));
}

#[test]
fn members_of_the_layout_that_are_not_heard_of_get_a_grace_and_are_then_down() {
    let mut bench = founded();
    let left = bench.kill(2);
    bench.kill(1);
    bench.kill(3);
    // One of them is not even known by address.
    let mut config = again(2, &left);
    config.saved.known.remove(&NodeId(3));
    bench.start(config);
    let state = |bench: &mut Bench, id| bench.at(2).view().members[&NodeId(id)].state;
    let states = |bench: &mut Bench| (state(bench, 1), state(bench, 3));
    assert_eq!(states(&mut bench), (State::Up, State::Down));
    bench.run(Duration::from_millis(2900));
    assert_eq!(states(&mut bench), (State::Up, State::Down));
    bench.run(Duration::from_millis(400));
    assert_eq!(states(&mut bench), (State::Down, State::Down));
    assert!(bench.at(2).control.is_ready(), "it still serves what it can alone");
    let now = bench.elapsed;
    let status = bench.at(2).control.status(now);
    let shown: Vec<_> = status.members.iter().map(|member| (member.name.as_str(), member.state)).collect();
    let down = MemberState::Detected(State::Down);
    assert_eq!(shown, [("n1", down), ("n2", MemberState::Detected(State::Up)), ("n3", down)]);
    assert_eq!(status.members[0].heartbeat_age, None);
    assert_eq!(&*status.members[2].peer, "?");
}

#[test]
fn a_member_that_stops_is_found_down_and_up_again() {
    let mut bench = founded();
    let left = bench.kill(3);
    bench.run(seconds(10));
    for n in 1..=2 {
        assert_eq!(bench.at(n).view().members[&NodeId(3)].state, State::Down);
        let notes = bench.at(n).notes();
        let down = |note: &Note| matches!(note, Note::MemberChanged { name, to: State::Down, .. } if name == "n3");
        assert_eq!(notes.iter().filter(|note| down(note)).count(), 1, "{notes:?}");
    }
    bench.start(again(3, &left));
    bench.run(seconds(5));
    assert_eq!(bench.at(1).view().members[&NodeId(3)].state, State::Up);
}

#[test]
fn a_failed_request_hastens_the_verdict() {
    let down_after = |report: bool| {
        let mut bench = founded();
        bench.kill(3);
        let start = bench.elapsed;
        while bench.at(1).view().members[&NodeId(3)].state != State::Down {
            assert!(bench.elapsed - start < seconds(20));
            if report {
                for n in 1..=2 {
                    bench.tell(n, ControlInput::Reported(Report::PeerFailed(NodeId(3))));
                }
            }
            bench.run(Duration::from_millis(100));
        }
        bench.elapsed - start
    };
    assert!(down_after(true) + Duration::from_millis(500) < down_after(false));
}

#[test]
fn a_node_that_leaves_is_not_taken_for_failed() {
    let mut bench = founded();
    let (now, mut effects) = (bench.now(), Vec::new());
    bench.at(3).control.leave(now, &mut effects);
    for effect in effects {
        if let ControlEffect::Send { to, message } = effect {
            let n = if to == address(1) { 1 } else { 2 };
            bench.tell(n, ControlInput::Message(message));
        }
    }
    bench.kill(3);
    bench.run(seconds(10));
    assert_eq!(bench.at(1).view().members[&NodeId(3)].state, State::Left);
}
