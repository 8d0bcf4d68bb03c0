//! What is saved, when, and what happens when it cannot be.

use super::super::*;
use super::bench::*;

fn needed(millis: u64) -> ControlInput {
    ControlInput::Reported(Report::CeilingNeeded(Timestamp::from_parts(millis, 0)))
}

#[test]
fn a_ceiling_is_handed_out_when_it_is_durable_and_not_earlier() {
    let mut bench = Bench::default();
    bench.start_with(founder(1, 1), true);
    assert_eq!((bench.at(1).ceiling_saves.len(), bench.at(1).ceilings.len()), (1, 0));
    bench.finish_saves(1);
    let process = bench.at(1);
    assert_eq!(process.ceilings, [process.disk_ceiling]);
    assert!(process.disk_ceiling.millis() > WALL);
}

#[test]
fn the_ceiling_stays_ahead_of_the_wall_clock() {
    let mut bench = Bench::default();
    bench.start(founder(1, 1));
    for _ in 0..60 {
        bench.run(seconds(1));
        let wall = bench.now().unix_ms;
        let process = bench.at(1);
        let ahead = process.disk_ceiling.millis() - wall;
        assert!((4_000..=11_000).contains(&ahead), "{ahead} ms ahead");
        assert_eq!(process.ceilings.last(), Some(&process.disk_ceiling));
    }
    assert!(bench.at(1).ceilings.len() < 20, "it is not saved all the time");
}

#[test]
fn a_shard_that_needs_more_gets_it() {
    let mut bench = Bench::default();
    bench.start(founder(1, 1));
    bench.tell(1, needed(WALL + 30_000));
    assert!(bench.at(1).ceilings.last().unwrap().millis() > WALL + 30_000);
}

#[test]
fn a_ceiling_on_disk_never_falls_below_one_that_was_handed_out() {
    let mut bench = Bench::default();
    bench.start(founder(1, 1));
    bench.at(1).hold_saves = true;
    bench.tell(1, needed(WALL + 60_000));
    // Something else could not be saved, and the same is asked for again while the first is on its way.
    bench.tell(1, ControlInput::SaveFailed { version: None, error: "no space".to_owned() });
    bench.run(seconds(8));
    assert!(bench.at(1).ceiling_saves.len() > 1);
    bench.finish_saves(1);
    let handed_out = bench.at(1).ceilings.iter().max().copied().unwrap();
    assert!(bench.at(1).disk_ceiling >= handed_out);
}

#[test]
fn what_could_not_be_saved_is_tried_again() {
    let mut bench = Bench::default();
    bench.start_with(founder(1, 1), true);
    for try_number in 1..=3 {
        bench.at(1).saves.clear();
        bench.at(1).ceiling_saves.clear();
        bench.at(1).notes();
        for version in [None, Some(try_number)] {
            bench.tell(1, ControlInput::SaveFailed { version, error: "no space".to_owned() });
            assert_eq!(bench.at(1).notes(), [Note::SaveFailed { error: "no space".to_owned() }]);
        }
        assert!(bench.at(1).saves.is_empty(), "not at once: the disk may be full for a while");
        bench.run(seconds(1));
        assert_eq!((bench.at(1).saves.len(), bench.at(1).ceiling_saves.len()), (1, 1));
        assert!(!bench.at(1).control.is_ready());
    }
    bench.finish_saves(1);
    assert!(bench.at(1).control.is_ready());
    assert!(bench.at(1).disk.layout.is_some());
    assert_eq!(bench.at(1).ceilings.len(), 1);
}

#[test]
fn an_older_save_says_nothing_of_a_layout_that_came_later() {
    let mut bench = founded();
    let layout = bench.at(1).disk.layout.clone().unwrap();
    let newcomer = ControlConfig { seeds: vec![], ..newcomer(4) };
    bench.start_with(newcomer, true);
    bench.say(4, 1, Some(CLUSTER), ControlBody::FetchLayout { have: 9 });
    let (first, state) = bench.at(4).saves.pop_front().expect("the cluster is to be saved");
    assert_eq!(state.layout, None);
    bench.say(4, 1, Some(CLUSTER), ControlBody::Layout(layout));
    bench.tell(4, ControlInput::Saved { version: first });
    assert!(!bench.at(4).control.is_ready(), "that save did not hold the layout");
    let (second, state) = bench.at(4).saves.pop_front().expect("now it is to be saved");
    assert!(second > first && state.layout.is_some());
    bench.tell(4, ControlInput::Saved { version: second });
    assert!(bench.at(4).control.is_ready());
}

#[test]
fn the_id_of_a_cluster_that_is_being_founded_is_saved() {
    let mut bench = Bench::default();
    bench.start_with(founder(1, 3), true);
    let saved = bench.at(1).saves.front().map(|(_, state)| state.cluster);
    assert_eq!(saved, Some(Some(CLUSTER)));
}

#[test]
fn nothing_is_saved_or_published_again_while_nothing_changes() {
    let mut bench = founded();
    bench.run(seconds(5));
    bench.at(1).hold_saves = true;
    let views = bench.at(1).views.len();
    bench.run(seconds(30));
    assert_eq!((bench.at(1).saves.len(), bench.at(1).views.len()), (0, views));
}
