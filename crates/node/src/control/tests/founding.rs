//! Founding a cluster, joining it, and learning its layout.

use super::super::*;
use super::bench::*;

#[test]
fn the_cluster_is_founded_when_enough_nodes_are_present_and_not_earlier() {
    let mut bench = Bench::default();
    bench.start(founder(1, 3));
    bench.start(newcomer(2));
    bench.run(seconds(10));
    for n in 1..=2 {
        let process = bench.at(n);
        assert_eq!((process.control.epoch(), process.control.is_ready()), (0, false));
        assert!(process.control.is_serving(), "it can say why it serves no data");
        assert!(process.view().not_ready_because().contains("2 of 3"), "{}", process.view().not_ready_because());
    }
    bench.start(newcomer(3));
    bench.run(seconds(5));
    for n in 1..=3 {
        let process = bench.at(n);
        assert_eq!((process.control.epoch(), process.control.is_ready()), (1, true));
        let view = process.view();
        assert_eq!(view.cluster, Some(CLUSTER));
        assert_eq!(view.replicas(kvorum_ring::PartitionId(7)).filter(|replica| replica.up).count(), 3);
        let adopted = Note::LayoutAdopted { epoch: 1, partitions: 8, share: 8 };
        assert_eq!(process.notes().iter().filter(|note| **note == adopted).count(), 1);
    }
    let layouts: Vec<_> = (1..=3).map(|n| bench.at(n).disk.layout.clone().unwrap()).collect();
    assert!(layouts.iter().all(|layout| *layout == layouts[0]));
    assert_eq!(bench.at(2).disk.cluster, Some(CLUSTER));
    assert_eq!(bench.at(2).disk.known.keys().copied().collect::<Vec<_>>(), [NodeId(1), NodeId(3)]);
}

#[test]
fn members_without_a_share_and_second_ones_of_a_name_do_not_found() {
    let mut bench = Bench::default();
    bench.start(founder(9, 3));
    let seeking = |n| ControlConfig { seeds: vec![address(9)], ..newcomer(n) };
    let weightless = seeking(2);
    bench.start(ControlConfig { meta: MemberMeta { weight: 0, ..weightless.meta.clone() }, ..weightless });
    // It has the founder's name, and the smaller id.
    let double = seeking(3);
    bench.start(ControlConfig { meta: MemberMeta { name: "n9".into(), ..double.meta.clone() }, ..double });
    bench.start(seeking(4));
    bench.run(seconds(5));
    assert_eq!(bench.at(9).control.epoch(), 0);
    bench.start(seeking(5));
    bench.run(seconds(5));
    let layout = bench.at(9).disk.layout.clone().unwrap();
    let members: Vec<_> = layout.members().iter().map(|member| member.id.0).collect();
    assert_eq!(members, [4, 5, 9], "the founder is one of them");
    let address_of_double = address(3);
    let complaint = Note::NameTaken { name: "n9".into(), by: NodeId(9), address: address(9) };
    assert!(bench.at(3).notes().contains(&complaint));
    let taken = |note: &Note| matches!(note, Note::NameTaken { address, .. } if *address == address_of_double);
    let complaints = bench.at(9).notes().into_iter().filter(taken).count();
    assert!((1..=3).contains(&complaints), "told seldom, and no more once it is in the layout: {complaints}");
}

#[test]
fn a_layout_is_saved_before_it_is_used_published_or_told() {
    let mut bench = Bench::default();
    bench.start_with(founder(1, 2), true);
    bench.finish_saves(1);
    bench.start(newcomer(2));
    bench.run(seconds(1));
    while bench.at(1).saves.iter().all(|(_, state)| state.layout.is_none()) {
        assert!(bench.elapsed < seconds(20), "the founding layout is asked to be saved");
        if let Some((version, state)) = bench.at(1).saves.pop_front() {
            bench.at(1).disk = state;
            bench.tell(1, ControlInput::Saved { version });
        }
        bench.run(Duration::from_millis(50));
    }
    bench.run(seconds(3));
    let founder = bench.at(1);
    assert_eq!((founder.control.epoch(), founder.control.is_ready()), (0, false));
    assert!(founder.views.iter().all(|view| view.layout.is_none()));
    assert_eq!(founder.control.status(seconds(4)).epoch, 0);
    assert_eq!(founder.disk.layout, None);
    bench.wire.clear();
    bench.say(1, 2, Some(CLUSTER), ControlBody::FetchLayout { have: 0 });
    assert!(bench.wire.iter().all(|(_, _, message)| !matches!(message.body, ControlBody::Layout(_))));
    assert!(bench.wire.iter().all(|(from, ..)| *from == address(1)), "nobody asks for it, for nobody was told");
    assert_eq!(bench.at(2).control.epoch(), 0);

    bench.finish_saves(1);
    assert!(bench.at(1).control.is_ready());
    assert!(bench.at(1).view().layout.is_some());
    bench.at(1).hold_saves = false;
    bench.run(seconds(3));
    assert!(bench.at(2).control.is_ready());
}

#[test]
fn a_joiner_adopts_the_cluster_and_fetches_and_saves_its_layout() {
    let mut bench = founded();
    bench.start_with(newcomer(4), true);
    assert!(!bench.at(4).control.is_serving(), "it belongs nowhere yet");
    bench.run(seconds(5));
    assert!(bench.at(4).notes().contains(&Note::Joined { cluster: CLUSTER }));
    assert_eq!(bench.at(4).control.epoch(), 0, "it is not saved");
    assert!(!bench.at(4).control.is_serving(), "there is a layout, but not here");
    bench.at(4).hold_saves = false;
    bench.finish_saves(4);
    bench.run(seconds(5));
    let joiner = bench.at(4);
    assert!(joiner.control.is_ready());
    assert_eq!((joiner.disk.cluster, joiner.disk.layout.as_ref().unwrap().epoch()), (Some(CLUSTER), 1));
    assert!(joiner.notes().contains(&Note::LayoutAdopted { epoch: 1, partitions: 8, share: 0 }));
    assert!(bench.at(1).notes().contains(&Note::MemberJoined { name: "n4".into(), id: NodeId(4) }));
}

#[test]
fn a_layout_is_told_only_to_who_has_an_older_one() {
    let mut bench = founded();
    for (have, answers) in [(0, 1), (1, 0), (u64::MAX, 0)] {
        bench.wire.clear();
        bench.say(1, 77, Some(CLUSTER), ControlBody::FetchLayout { have });
        let layouts = bench.wire.iter().filter(|(_, to, message)| {
            *to == address(77) && matches!(&message.body, ControlBody::Layout(layout) if layout.epoch() == 1)
        });
        assert_eq!(layouts.count(), answers);
    }
    // An equal or older one is not adopted, nor one from who belongs to no cluster.
    let layout = bench.at(1).disk.layout.clone().unwrap();
    let found = Layout::from_parts(
        2,
        layout.replication().clone(),
        layout.members().to_vec(),
        layout.partitions(),
        layout.table().rows().map(|(_, row)| row.to_vec()).collect(),
        vec![vec![]; 8],
    );
    let newer = Arc::new(found.unwrap());
    bench.say(1, 2, Some(CLUSTER), ControlBody::Layout(layout));
    bench.say(1, 4, None, ControlBody::Layout(Arc::clone(&newer)));
    assert_eq!(bench.at(1).control.epoch(), 1);
    bench.say(1, 2, Some(CLUSTER), ControlBody::Layout(newer));
    assert_eq!(bench.at(1).control.epoch(), 2);
}

#[test]
fn a_layout_is_asked_for_until_somebody_answers() {
    let mut bench = founded();
    // The first that could be asked is known only from what the others tell.
    bench.cut(4, 1);
    bench.start(ControlConfig { seeds: vec![address(2), address(3)], ..newcomer(4) });
    bench.run(seconds(10));
    assert!(bench.at(4).control.is_ready(), "it was asked of another");
}

#[test]
fn nodes_of_another_cluster_are_not_listened_to() {
    let mut bench = founded();
    let theirs = ClusterId(0xbad);
    let layout = bench.at(1).disk.layout.clone().unwrap();
    for _ in 0..50 {
        bench.say(1, 66, Some(theirs), ControlBody::FetchLayout { have: 0 });
        bench.say(1, 66, Some(theirs), ControlBody::Layout(Arc::clone(&layout)));
    }
    let notes = bench.at(1).notes();
    assert_eq!(notes, [Note::ForeignCluster { address: address(66), theirs }], "told once a second");
    bench.wire.clear();
    bench.start(ControlConfig { saved: SavedState { cluster: Some(theirs), ..SavedState::default() }, ..newcomer(66) });
    bench.run(seconds(3));
    assert!(bench.wire.iter().all(|(_, to, _)| *to != address(66)), "they get no answer");
    assert!(bench.at(1).view().members.keys().all(|id| id.0 != 66));
    assert!(!bench.at(66).control.is_ready());
}

#[test]
fn newcomers_do_not_let_each_other_in() {
    let mut bench = Bench::default();
    bench.start(newcomer(1));
    bench.start(newcomer(2));
    bench.run(seconds(5));
    for n in 1..=2 {
        let process = bench.at(n);
        assert_eq!((process.control.is_serving(), process.view().members.len()), (false, 1));
    }
}

#[test]
fn a_founder_that_lost_its_memory_does_not_found_twice() {
    let mut bench = founded();
    let before = bench.at(2).disk.layout.clone();
    bench.kill(1);
    bench.kill(3);
    bench.start(ControlConfig { seeds: vec![address(2)], ..newcomer(4) });
    bench.run(seconds(20));
    // Three are present again, but not the same three.
    bench.start(ControlConfig { boot: 2, seeds: vec![address(2)], ..founder(1, 3) });
    bench.run(seconds(5));
    assert!(bench.at(1).control.is_ready());
    assert_eq!(bench.at(1).disk.layout, before);
    assert_eq!(bench.at(4).disk.layout, before);
}

#[test]
fn a_layout_that_cannot_be_made_is_told_once() {
    let mut bench = Bench::default();
    let mut config = founder(1, 1);
    let elsewhere = BTreeMap::from([("elsewhere".to_owned(), 3)]);
    config.founding.as_mut().unwrap().replication = Replication::Centres(elsewhere);
    bench.start(config);
    bench.run(seconds(5));
    let bad = bench.at(1).notes().into_iter().filter(|note| matches!(note, Note::BadLayout { .. })).count();
    assert_eq!((bad, bench.at(1).control.is_ready()), (1, false));
}
