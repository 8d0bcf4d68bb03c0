//! What one machine does when it is told this or that.

use super::*;
use crate::Evidence;

fn changed(id: u32, from: State, to: State) -> Event<u32, u32> {
    Event::StateChanged { id, from, to }
}

#[test]
fn the_first_round_is_due_at_once_and_goes_to_the_seeds() {
    let mut node = node(1, 1, &[1, 2]);
    assert_eq!(node.next_timeout(), Some(ms(0)));
    let out = run_to(&mut node, 0);
    let [(2, syn)] = &sent(&out)[..] else { panic!("to the other seed alone: {out:?}") };
    assert_eq!(syn.kind, MessageKind::Syn);
    assert_eq!((syn.sender.id, syn.sender.heartbeat, syn.address), (1, 1, address(1)));
    let next = node.next_timeout().unwrap();
    assert!((ms(180)..=ms(220)).contains(&next), "{next:?}");
    node.handle_timeout(ms(100), &mut Vec::new());
    assert_eq!(node.next_timeout(), Some(next), "too early a call does nothing");
}

#[test]
fn every_syn_is_answered_and_nothing_is_answered_for_ever() {
    let mut node = node(1, 1, &[]);
    let mut answer = |kind| {
        let mut out = Vec::new();
        node.handle(ms(0), Input::Message(message(kind, vec![])), &mut out);
        sent(&out).iter().map(|(to, message)| (*to, message.kind)).collect::<Vec<_>>()
    };
    assert_eq!(answer(MessageKind::Syn), [(99, MessageKind::Ack)]);
    assert_eq!(answer(MessageKind::Ack), []);
    assert_eq!(answer(MessageKind::Ack2), []);
    let mut out = Vec::new();
    let wanted = vec![digest(1, 0, 0, 0), digest(7, 0, 0, 0)];
    node.handle(ms(0), Input::Message(Message { wanted, ..message(MessageKind::Ack2, vec![]) }), &mut out);
    let [(99, reply)] = &sent(&out)[..] else { panic!("what was wanted: {out:?}") };
    assert_eq!((reply.kind, reply.deltas.len(), reply.wanted.len()), (MessageKind::Ack2, 1, 0));
}

#[test]
fn what_is_older_here_is_wanted_and_what_is_older_there_is_told() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, vec![delta(2, 1, 10, 4), delta(3, 2, 10, 4), delta(4, 1, 10, 4), delta(5, 1, 10, 4)]);
    let digests =
        vec![digest(2, 1, 11, 5), digest(3, 1, 99, 9), digest(4, 1, 10, 3), digest(5, 1, 10, 4), digest(6, 1, 1, 1)];
    let mut out = Vec::new();
    // As an answer it is answered with nothing else.
    node.handle(ms(0), Input::Message(Message { digests, ..message(MessageKind::Ack, vec![]) }), &mut out);
    let [(99, reply)] = &sent(&out)[..] else { panic!("{out:?}") };
    let wanted = |id| digest(id, 0, 0, 0);
    assert_eq!(reply.wanted, [digest(2, 1, 11, 4), wanted(6)], "the counter was taken at its word");
    let told: Vec<_> = reply.deltas.iter().map(|it| (*it.id(), it.after(), it.upto())).collect();
    assert_eq!(told[..2], [(3, 0, 4), (4, 3, 4)]);
}

#[test]
fn a_part_that_would_leave_a_gap_is_asked_for() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, vec![delta(2, 1, 10, 3)]);
    let ask = |node: &mut Node, delta: Delta<u32, u32>| {
        let mut out = Vec::new();
        node.handle(ms(0), Input::Message(message(MessageKind::Ack, vec![delta])), &mut out);
        sent(&out).iter().flat_map(|(_, message)| message.wanted.clone()).collect::<Vec<_>>()
    };
    let part = |id, incarnation, after| Delta { after, whole: false, ..delta(id, incarnation, 12, 9) };
    assert_eq!(ask(&mut node, part(2, 1, 4)), [digest(2, 1, 12, 3)]);
    assert_eq!(node.member(&2).unwrap().record().version(), 3);
    assert_eq!(ask(&mut node, part(2, 2, 4)), [digest(2, 1, 12, 3)], "a new life from its middle");
    assert_eq!(ask(&mut node, part(8, 1, 4)), [digest(8, 0, 0, 0)]);
    assert_eq!(ask(&mut node, part(2, 1, 2)), []);
    assert_eq!(node.member(&2).unwrap().record().version(), 9);
}

#[test]
fn metadata_are_set_removed_and_told_by_key() {
    let mut node = node(1, 1, &[]);
    assert_eq!(node.set("rack", *b"r1"), Ok(true));
    assert_eq!(node.set("rack", *b"r1"), Ok(false), "it was so already");
    assert_eq!(node.set("dc", *b"x"), Ok(true));
    assert!(node.remove("rack") && !node.remove("rack"));
    assert_eq!(node.set("name", *b"n"), Ok(true));
    let me = node.member(&1).unwrap();
    let mut all: Vec<_> = me.metadata().collect();
    all.sort_unstable();
    assert_eq!(all, [("dc", &b"x"[..]), ("name", b"n")]);
    assert_eq!((me.get("dc"), me.get("rack")), (Some(&b"x"[..]), None));
    assert_eq!(me.record().slots.len(), 2, "what was freed is used again");

    let mut other = super::node(2, 1, &[]);
    let whole = delta_of(1, 1, (**me.record()).clone());
    assert_eq!(told(&mut other, 0, vec![whole]), [Event::Joined { id: 1 }]);
    node.set("dc", *b"y").unwrap();
    node.remove("name");
    node.set_address(7).unwrap();
    let later = Delta { after: 5, ..delta_of(1, 1, (**node.member(&1).unwrap().record()).clone()) };
    let keys = vec!["dc".into(), "name".into()];
    assert_eq!(told(&mut other, 0, vec![later]), [Event::AddressChanged { id: 1 }, Event::MetaChanged { id: 1, keys }]);
    let seen = other.member(&1).unwrap();
    assert_eq!((seen.get("dc"), seen.get("name"), *seen.address()), (Some(&b"y"[..]), None, 7));
}

#[test]
fn what_is_too_long_is_refused_and_changes_nothing() {
    let mut node = node(1, 1, &[]);
    let before = node.member(&1).unwrap().record().clone();
    let error = node.set("k".repeat(129), *b"").unwrap_err();
    assert_eq!(std::format!("{error}"), "a key takes at most 128 bytes, not 129");
    let error = node.set("k", vec![0; 513]).unwrap_err();
    assert_eq!(std::format!("{error}"), "a value takes at most 512 bytes, not 513");
    assert_eq!(*node.member(&1).unwrap().record(), before);
    for key in 0..64 {
        assert_eq!(node.set(std::format!("{key}"), *b""), Ok(true));
    }
    let error = node.set("one more", *b"").unwrap_err();
    assert_eq!(std::format!("{error}"), "a member has at most 64 keys");
    assert_eq!(node.set("7", *b"x"), Ok(true), "those that are there can still change");
    let setup = Setup::new("i".repeat(64), address(1));
    assert!(Gossip::<std::string::String, u32>::new(Config::default(), setup, ms(0)).is_err());
}

#[test]
fn the_longest_entry_fits_the_smallest_message_whatever_is_around_it() {
    let config = Config { message_bytes: 1200, ..Config::default() };
    let setup = Setup { incarnation: Incarnation(u64::MAX), ..Setup::new([7; 64], [8; 128]) };
    let mut node = Gossip::<[u8; 64], [u8; 128]>::new(config, setup, ms(0)).unwrap();
    node.set("k".repeat(128), vec![9; 512]).unwrap();
    let mut out = Vec::new();
    node.handle(ms(0), Input::Contact([9; 128]), &mut out);
    let Some(Effect::Send { message, .. }) = out.pop() else { panic!("it opens an exchange") };
    assert_eq!(message.deltas[0].upto(), 2, "all of it");
    let sealed = crate::Envelope::new(crate::ClusterTag::from(1)).with_key([1; 32]).seal(&message);
    assert!(sealed.len() <= 1200, "{} bytes", sealed.len());
}

#[test]
fn news_is_told_to_all_and_then_no_more() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, (2..100).map(|id| delta(id, 1, 1, 1)).collect());
    let about_5 = |out: &Effects| sent(out).iter().filter(|(_, it)| it.deltas.iter().any(|it| it.id == 5)).count();
    let mut times = 0;
    for round in 1..30 {
        times += about_5(&run_to(&mut node, round * 200));
    }
    assert_eq!(times, node.enough() as usize, "a fixed number of times");
    told(&mut node, 6000, vec![delta(5, 1, 1, 2)]);
    assert!(about_5(&run_to(&mut node, 6400)) > 0, "until it changes again");
}

#[test]
fn a_silent_member_is_suspected_and_down_with_a_second_witness() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, (2..6).map(|id| delta(id, 1, 10, 1)).collect());
    for at in (0..1800).step_by(200) {
        run_to(&mut node, at);
        [2, 4, 5].into_iter().for_each(|id| drop(heard(&mut node, at, id, 11 + at / 200)));
    }
    assert_eq!((state(&node, 3), suspects(&node)), (Some(State::Up), vec![]));
    let mut out = run_to(&mut node, 2000);
    [2, 4, 5].into_iter().for_each(|id| drop(heard(&mut node, 2000, id, 30)));
    out.extend(run_to(&mut node, 2200));
    assert_eq!(events(&out), [changed(3, State::Up, State::Suspect)]);
    assert_eq!(suspects(&node), [3]);
    assert_eq!(told(&mut node, 2200, vec![accuser(2, 40, &[(3, 1, 10)])]), [changed(3, State::Suspect, State::Down)]);
    // It ends by a counter that rose well above, whatever the witness says now.
    assert_eq!(told(&mut node, 2300, vec![accuser(2, 50, &[])]), []);
    assert_eq!(told(&mut node, 2300, vec![delta(3, 1, 14, 1)]), [], "that may have been before it died");
    assert_eq!(told(&mut node, 2300, vec![delta(3, 1, 15, 1)]), [changed(3, State::Down, State::Up)]);
    assert_eq!(suspects(&node), []);
}

/// Found with four hundred nodes, whose halves met again while news of older charges was still on its way.
#[test]
fn who_is_found_down_a_second_time_still_comes_back() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, vec![delta(2, 1, 10, 1), delta(3, 1, 10, 1), delta(4, 1, 10, 1)]);
    let accuse = |at| vec![accuser(2, at, &[(3, 1, at)]), accuser(4, at, &[(3, 1, at)])];
    told(&mut node, 0, accuse(10));
    assert_eq!(state(&node, 3), Some(State::Down));
    // One message brings proof of life, and later charges that outweigh it.
    let mut all = vec![delta(3, 1, 20, 1)];
    all.extend(accuse(30));
    assert_eq!(told(&mut node, 0, all), []);
    told(&mut node, 0, vec![accuser(2, 40, &[]), accuser(4, 40, &[])]);
    assert_eq!(state(&node, 3), Some(State::Down), "that its witnesses fall silent is no sign of life");
    assert_eq!(told(&mut node, 0, vec![delta(3, 1, 35, 1)]), [changed(3, State::Down, State::Up)]);
}

#[test]
fn a_suspicion_is_void_for_another_life_and_for_a_higher_counter() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, vec![delta(2, 1, 10, 1), delta(3, 2, 10, 1), delta(4, 1, 10, 1)]);
    let mut accuse = |heartbeat, charge| {
        told(&mut node, 0, vec![accuser(2, heartbeat, &[charge]), accuser(4, heartbeat, &[charge])]);
        state(&node, 3)
    };
    assert_eq!(accuse(20, (3, 1, 10)), Some(State::Up));
    assert_eq!(accuse(30, (3, 3, 10)), Some(State::Up));
    assert_eq!(accuse(40, (3, 2, 5)), Some(State::Up));
    assert_eq!(accuse(50, (3, 2, 6)), Some(State::Down));
}

#[test]
fn a_restart_is_up_at_once_and_begins_anew() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, vec![delta(2, 1, 10, 1), delta(3, 1, 10, 6), delta(4, 1, 10, 1)]);
    told(&mut node, 0, vec![accuser(2, 20, &[(3, 1, 10)]), accuser(4, 20, &[(3, 1, 10)])]);
    assert_eq!(state(&node, 3), Some(State::Down));
    let back = [Event::Restarted { id: 3 }, changed(3, State::Down, State::Up)];
    assert_eq!(told(&mut node, 100, vec![delta(3, 2, 0, 2)]), back);
    let member = node.member(&3).unwrap();
    assert_eq!((member.metadata().count(), member.heartbeat(), member.record().version()), (1, 0, 2));
    assert_eq!(told(&mut node, 100, vec![delta(3, 1, 99, 9)]), [], "the old life is over");
}

#[test]
fn a_farewell_is_said_at_once_and_final() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, (2..30).map(|id| delta(id, 1, 1, 1)).collect());
    let mut out = Vec::new();
    node.handle(ms(0), Input::Leave, &mut out);
    assert_eq!(events(&out), [changed(1, State::Up, State::Left)]);
    assert_eq!(sent(&out).len(), 9);
    assert!(sent(&out).iter().all(|(_, it)| it.deltas[0].id == 1 && it.deltas[0].record.left));
    let heartbeat = node.member(&1).unwrap().heartbeat();
    assert!(!sent(&run_to(&mut node, 1000)).is_empty(), "it goes on spreading the word");
    assert_eq!(node.member(&1).unwrap().heartbeat(), heartbeat);
    out.clear();
    node.handle(ms(1000), Input::Leave, &mut out);
    assert_eq!(out, []);
    let of_successor = vec![delta(1, 2, 1, 1), accuser(2, 5, &[(1, 1, 99)])];
    assert_eq!(told(&mut node, 1000, of_successor), [], "it contradicts neither its successor nor who suspects it");
}

#[test]
fn failed_requests_make_it_look_at_once_and_lose_patience_soon() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, (2..200).map(|id| delta(id, 1, 1, 1)).collect());
    run_to(&mut node, 1000);
    let target = (2..200).find(|id| !node.watched().any(|it| it == id)).unwrap();
    let fail = |node: &mut Node, at, evidence| {
        let mut out = Vec::new();
        node.handle(ms(at), Input::Evidence { id: target, evidence }, &mut out);
        sent(&out).iter().map(|(to, message)| (*to, message.kind)).collect::<Vec<_>>()
    };
    assert_eq!(fail(&mut node, 1000, Evidence::Failed), [(target, MessageKind::Syn)]);
    assert_eq!(fail(&mut node, 1100, Evidence::Failed), [], "once");
    // Everybody else goes on being heard.
    let mut at = 1000;
    while at < 1900 {
        at += 100;
        let others: Vec<u32> = node.watched().copied().filter(|id| *id != target).collect();
        others.into_iter().for_each(|id| drop(heard(&mut node, at, id, at)));
        let out = run_to(&mut node, at);
        assert!(at % 200 > 0 || sent(&out).iter().any(|(to, _)| *to == target), "watched at {at}");
        if at <= 1400 {
            assert_eq!(state(&node, target), Some(State::Up));
        }
    }
    assert_eq!((state(&node, target), suspects(&node)), (Some(State::Suspect), vec![target]));
    heard(&mut node, at, target, 99);
    assert_eq!((state(&node, target), suspects(&node)), (Some(State::Up), vec![]));
    fail(&mut node, at, Evidence::Failed);
    fail(&mut node, at, Evidence::Answered);
    run_to(&mut node, at + 700);
    assert_eq!(state(&node, target), Some(State::Up), "an answer takes the failures back");
}

#[test]
fn a_late_round_gives_everybody_the_time_it_missed() {
    let mut node = node(1, 1, &[]);
    run_to(&mut node, 1000);
    told(&mut node, 1000, vec![delta(2, 1, 10, 1)]);
    run_to(&mut node, 1400);
    let mut out = Vec::new();
    node.handle_timeout(ms(61_000), &mut out);
    assert_eq!(events(&out), []);
    run_to(&mut node, 62_000);
    assert_eq!(state(&node, 2), Some(State::Up), "it was not listening");
    run_to(&mut node, 70_000);
    assert_eq!(state(&node, 2), Some(State::Unreachable), "but not for ever");
}

#[test]
fn who_hears_nobody_is_isolated_and_takes_nothing_amiss() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, (2..50).map(|id| delta(id, 1, 10, 1)).collect());
    run_to(&mut node, 3000);
    assert!(node.is_isolated());
    assert!((2..50).all(|id| state(&node, id) == Some(State::Unreachable)));
    assert_eq!(suspects(&node), [], "it has nothing to say that would be worth hearing");
    heard(&mut node, 3000, 7, 11);
    assert!(!node.is_isolated());
    assert!((2..50).all(|id| state(&node, id) == Some(State::Up)));
    run_to(&mut node, 4000);
    assert_eq!(suspects(&node), []);
}
