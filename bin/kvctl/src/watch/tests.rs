//! What is shown of what happens, and what of what another node tells.

use kvorum_client::Member;

use super::*;

fn event(kind: &str, from: Option<&str>, to: Option<&str>) -> MemberEvent {
    MemberEvent {
        at_ms: (12 * 3600 + 1) * 1000 + 999,
        name: "n3".into(),
        id: "9f".into(),
        kind: kind.into(),
        from: from.map(Into::into),
        to: to.map(Into::into),
        seen_by: "n1".into(),
    }
}

fn status(by: &str, members: &[(&str, &str)]) -> Status {
    let member = |&(name, state): &(&str, &str)| Member {
        name: name.into(),
        id: format!("id-{name}"),
        client: format!("{name}:7400"),
        peer: String::new(),
        dc: String::new(),
        rack: String::new(),
        weight: 1,
        state: state.into(),
        partitions: 0,
        bytes: 0,
        heartbeat_age_ms: None,
        in_doubt: false,
        pulled: 0,
        to_pull: 0,
    };
    Status {
        cluster: "c".into(),
        epoch: 1,
        phase: "stable".into(),
        partitions: 8,
        members: members.iter().map(member).collect(),
        warnings: vec![],
        answered_by: by.into(),
        version: String::new(),
        ready: true,
    }
}

#[test]
fn a_line_tells_when_who_what_and_who_saw_it() {
    assert_eq!(line(&event("changed", Some("up"), Some("suspect"))), "12:00:01 n3 up -> suspect (seen by n1)");
    assert_eq!(line(&event("present", None, Some("up"))), "12:00:01 n3 is up (seen by n1)");
    for kind in ["joined", "restarted", "forgotten"] {
        assert_eq!(line(&event(kind, None, None)), format!("12:00:01 n3 {kind} (seen by n1)"));
    }
}

#[test]
fn the_json_is_that_of_the_contract() {
    let text = serde_json::to_string(&json(&event("changed", Some("up"), Some("down")))).unwrap();
    let expected = r#"{"at":43201999,"event":"changed","name":"n3","id":"9f","from":"up","to":"down","seen_by":"n1"}"#;
    assert_eq!(text, expected);
    let value = serde_json::to_value(json(&event("joined", None, Some("up")))).unwrap();
    assert_eq!(value["from"], serde_json::Value::Null);
}

#[test]
fn what_another_node_tells_is_shown_as_far_as_it_is_news() {
    let mut known = Known::default();
    let told = known.differences(&status("n1", &[("n1", "joining"), ("n2", "up"), ("n3", "up")]));
    assert!(told.iter().all(|event| event.kind == "joined" && event.from.is_none()) && told.len() == 3);
    assert_eq!(known.clients, ["n1:7400", "n2:7400", "n3:7400"]);
    let told = known.differences(&status("n2", &[("n1", "up"), ("n2", "up"), ("n3", "up")]));
    assert_eq!(told, [], "that there is a layout now is no change of a member");
    let told = known.differences(&status("n2", &[("n1", "down"), ("n2", "up"), ("n4", "up")]));
    let told: Vec<_> = told.iter().map(|it| (&*it.name, &*it.kind, it.from.as_deref(), it.to.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("n1", "changed", Some("up"), Some("down")),
            ("n4", "joined", None, Some("up")),
            ("n3", "forgotten", Some("up"), None)
        ]
    );
}

#[test]
fn what_happens_is_remembered_for_the_next_node() {
    let mut known = Known::default();
    known.differences(&status("n1", &[("n1", "up"), ("n3", "up")]));
    let down = MemberEvent { id: "id-n3".into(), ..event("changed", Some("up"), Some("down")) };
    happened(Style::Json, &mut known, down).unwrap();
    assert_eq!(known.differences(&status("n2", &[("n1", "up"), ("n3", "down")])), []);
}
