//! What a node answers when others are wrong about it, or somebody else speaks in its name.

use super::*;

fn heartbeat(node: &Node) -> u64 {
    node.member(node.me()).unwrap().heartbeat()
}

#[test]
fn a_suspicion_is_contradicted_by_a_leap_and_no_new_life() {
    let mut node = node(1, 4, &[]);
    run_to(&mut node, 1000);
    let before = heartbeat(&node);
    assert_eq!(told(&mut node, 1000, vec![accuser(2, 5, &[(1, 4, before - 1)])]), [Event::Joined { id: 2 }]);
    assert_eq!((heartbeat(&node), node.incarnation()), (before + 5, Incarnation(4)));
    assert_eq!(told(&mut node, 1000, vec![accuser(2, 6, &[(1, 4, before - 1)])]), []);
    assert_eq!(heartbeat(&node), before + 5, "what was contradicted needs no answer");
    told(&mut node, 1000, vec![accuser(2, 7, &[(1, 3, 99)])]);
    assert_eq!(heartbeat(&node), before + 5, "an earlier life is nobody's concern");
}

#[test]
fn who_is_taken_for_forgotten_begins_a_new_life_once_a_round() {
    let mut node = node(1, 4, &[]);
    run_to(&mut node, 1000);
    let refuted = |incarnation| Event::Refuted { incarnation: Incarnation(incarnation) };
    let accused = vec![accuser(2, 5, &[(1, 4, u64::MAX)])];
    assert_eq!(told(&mut node, 1000, accused), [Event::Joined { id: 2 }, refuted(5)]);
    assert_eq!(told(&mut node, 1000, vec![accuser(2, 6, &[(1, 5, u64::MAX)])]), [], "not as fast as messages travel");
    assert_eq!(node.incarnation(), Incarnation(5));
    assert_eq!(events(&run_to(&mut node, 1400)), [refuted(6)]);
}

#[test]
fn whoever_speaks_in_its_name_is_outranked() {
    let left = Record { left: true, ..record(1, 4, 1) };
    let foreign =
        [(delta(1, 9, 0, 1), 10), (delta(1, 4, 1000, 1), 5), (delta(1, 4, 0, 50), 5), (delta_of(1, 0, left), 5)];
    for (delta, above) in foreign {
        let mut node = node(1, 4, &[]);
        run_to(&mut node, 1000);
        let (incarnation, record) = (delta.record.incarnation, Some(delta.record.clone()));
        assert_eq!(told(&mut node, 1000, vec![delta]), [Event::Superseded { incarnation, record }]);
        assert_eq!(node.incarnation(), Incarnation(above));
        assert_eq!(*node.member(&1).unwrap().address(), address(1));
    }
    let mut node = node(1, 4, &[]);
    run_to(&mut node, 1000);
    assert_eq!(told(&mut node, 1000, vec![delta(1, 4, 0, 1), delta(1, 3, 900, 9)]), [], "its own, and its past");
}

#[test]
fn a_digest_in_its_name_is_asked_about_before_it_is_outranked() {
    let mut node = node(1, 4, &[]);
    let mut out = Vec::new();
    let mention = |digest| Message { digests: vec![digest], ..message(MessageKind::Ack, vec![]) };
    node.handle(ms(0), Input::Message(mention(digest(1, 9, 3, 2))), &mut out);
    let [(99, asked)] = &sent(&out)[..] else { panic!("{out:?}") };
    assert_eq!(asked.wanted, [digest(1, 0, 0, 0)]);
    assert_eq!(node.incarnation(), Incarnation(4));
    let Event::Superseded { incarnation, record } = told(&mut node, 0, vec![delta(1, 9, 3, 2)]).remove(0) else {
        panic!("it is told");
    };
    assert_eq!((incarnation, node.incarnation()), (Incarnation(9), Incarnation(10)));
    assert_eq!(record.unwrap().get("key 2").map(|it| it.to_vec()), Some(vec![2]));
    // Nobody knows more of it.
    out.clear();
    node.handle(ms(0), Input::Message(mention(digest(1, 20, 3, 0))), &mut out);
    assert_eq!(events(&out), [Event::Superseded { incarnation: Incarnation(20), record: None }]);
    assert_eq!(node.incarnation(), Incarnation(21));
}

#[test]
fn a_twin_is_answered_and_its_own_echo_is_not() {
    let mut node = node(1, 4, &[]);
    run_to(&mut node, 0);
    let from = |at, sender| Message { sender, address: at, ..message(MessageKind::Syn, vec![]) };
    let mut out = Vec::new();
    node.handle(ms(0), Input::Message(from(address(1), digest(1, 4, 1, 1))), &mut out);
    assert_eq!(out, []);
    node.handle(ms(0), Input::Message(from(77, digest(1, 4, 500, 1))), &mut out);
    let [Effect::Send { to: 77, message }] = &out[..] else { panic!("{out:?}") };
    assert_eq!((message.kind, message.wanted.len()), (MessageKind::Ack, 1));
}

#[test]
fn an_incarnation_is_raised_and_never_lowered() {
    let mut node = node(1, 4, &[]);
    node.set("key", *b"value").unwrap();
    node.raise(Incarnation(1000));
    node.raise(Incarnation(7));
    assert_eq!(node.incarnation(), Incarnation(1000));
    assert_eq!(node.member(&1).unwrap().get("key"), Some(&b"value"[..]), "it goes on saying what it said");
}

#[test]
fn what_it_says_twice_at_once_is_one_suspicion() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, vec![accuser(2, 1, &[(3, 1, 1), (3, 1, 1), (3, 2, 1)]), delta(3, 1, 1, 1), delta(4, 1, 1, 1)]);
    assert_ne!(state(&node, 3), Some(State::Down), "one liar repeating itself is still one witness");
}
