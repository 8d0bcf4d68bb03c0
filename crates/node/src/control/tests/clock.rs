//! Wrong wall clocks.

use super::super::*;
use super::bench::*;

fn fault(bench: &mut Bench, n: u64) -> Option<ClockFault> {
    bench.at(n).view().fitness().clock
}

#[test]
fn a_clock_beyond_the_bound_is_noticed_told_and_mended() {
    let mut bench = founded();
    bench.skews.insert(address(2), 60_000);
    let before = bench.at(2).disk_ceiling;
    bench.run(seconds(1));
    assert!(matches!(fault(&mut bench, 2), Some(ClockFault::Off { by_ms: 59_000..61_000 })));
    assert_eq!((fault(&mut bench, 1), fault(&mut bench, 3)), (None, None));
    let notes = bench.at(2).notes();
    assert!(matches!(notes[..], [Note::ClockOff(ClockFault::Off { .. })]), "told once: {notes:?}");
    let figures = bench.at(2).control.figures();
    assert!(figures.clock_offset_ms.is_some_and(|offset| (59_000..61_000).contains(&offset)), "{figures:?}");
    let warnings = bench.at(2).control.status(seconds(7)).warnings;
    assert!(warnings[0].starts_with("n2's clock is 60.0 s ahead of its peers' median"), "{warnings:?}");
    // Whatever a shard says it needs, the ceiling does not follow the wrong clock.
    let needed = Timestamp::from_parts(bench.now().unix_ms + 60_000, 0);
    bench.tell(2, ControlInput::Reported(Report::CeilingNeeded(needed)));
    bench.run(seconds(30));
    assert_eq!(bench.at(2).disk_ceiling, before);
    bench.tell(2, ControlInput::Reported(Report::WriteRefused));
    assert_eq!(bench.at(2).control.figures().clock_refusals, 1);

    bench.skews.clear();
    bench.run(seconds(1));
    assert_eq!(fault(&mut bench, 2), None);
    assert!(bench.at(2).notes().contains(&Note::ClockMended));
    let now = bench.now().unix_ms;
    assert!((now..now + 11_000).contains(&bench.at(2).disk_ceiling.millis()), "and the ceiling is right again");
}

#[test]
fn a_node_that_starts_with_a_wrong_clock_never_raises_its_ceiling_after_it() {
    let mut bench = founded();
    let left = bench.kill(2);
    bench.skews.insert(address(2), 60_000);
    let before = left.disk_ceiling;
    bench.start(again(2, &left));
    bench.run(seconds(20));
    assert!(fault(&mut bench, 2).is_some());
    assert_eq!(bench.at(2).disk_ceiling, before);
    assert!(bench.at(2).control.is_ready(), "it still serves reads");
}

#[test]
fn a_ceiling_that_was_raised_after_a_wrong_clock_is_waited_for() {
    let mut bench = founded();
    let left = bench.kill(2);
    let ahead = Timestamp::from_parts(bench.now().unix_ms + 40_000, 0);
    bench.start(ControlConfig { clock_floor: ahead, ..again(2, &left) });
    bench.run(seconds(2));
    assert!(matches!(fault(&mut bench, 2), Some(ClockFault::FloorAhead { by_ms: 35_000..41_000 })));
    bench.run(seconds(24));
    assert_eq!(fault(&mut bench, 2), None);
}

#[test]
fn with_two_nodes_nobody_can_tell_whose_clock_is_wrong() {
    let mut bench = Bench::default();
    bench.start(founder(1, 2));
    bench.start(newcomer(2));
    bench.run(seconds(5));
    bench.skews.insert(address(2), 60_000);
    bench.run(seconds(20));
    assert_eq!((fault(&mut bench, 1), fault(&mut bench, 2)), (None, None));
}
