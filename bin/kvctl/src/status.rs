//! `kvctl status`.

use kvorum_client::{Member, Status};
use serde::Serialize;

use crate::exit::{Failure, one_line};
use crate::output::{Align, Cell, Colour, Table, age, print, print_json, size, takes_colour};
use crate::target::Target;

#[derive(Debug, Serialize)]
struct JsonStatus {
    cluster: String,
    epoch: u64,
    phase: String,
    partitions: u32,
    members: Vec<JsonMember>,
    warnings: Vec<String>,
    answered_by: String,
    version: String,
}

#[derive(Debug, Serialize)]
struct JsonMember {
    name: String,
    id: String,
    client: String,
    peer: String,
    dc: String,
    rack: String,
    weight: u32,
    state: String,
    partitions: u32,
    bytes: u64,
    heartbeat_age_ms: Option<u64>,
    in_doubt: bool,
    pulled: u32,
    to_pull: u32,
}

pub(crate) async fn run(target: &Target) -> Result<(), Failure> {
    let status = target.client.status().await;
    let what = format!("get the status from {}", target.endpoints);
    let status = status.map_err(|error| Failure::of(&what, &error))?;
    if target.wants_json() { print_json(&json(status)) } else { print(text(&status, takes_colour()).as_bytes()) }
}

fn json(status: Status) -> JsonStatus {
    let member = |member: Member| JsonMember {
        name: member.name,
        id: member.id,
        client: member.client,
        peer: member.peer,
        dc: member.dc,
        rack: member.rack,
        weight: member.weight,
        state: member.state,
        partitions: member.partitions,
        bytes: member.bytes,
        heartbeat_age_ms: member.heartbeat_age_ms,
        in_doubt: member.in_doubt,
        pulled: member.pulled,
        to_pull: member.to_pull,
    };
    JsonStatus {
        cluster: status.cluster,
        epoch: status.epoch,
        phase: status.phase,
        partitions: status.partitions,
        members: status.members.into_iter().map(member).collect(),
        warnings: status.warnings,
        answered_by: status.answered_by,
        version: status.version,
    }
}

/// A table, with a line about the cluster above it.
pub(crate) fn text(status: &Status, in_colour: bool) -> String {
    let cluster = if status.cluster.is_empty() { "none yet" } else { &status.cluster };
    let layout = if status.epoch == 0 {
        "no layout yet".to_owned()
    } else {
        format!("epoch {} ({}), {} partitions", status.epoch, status.phase, status.partitions)
    };
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("DC", Align::Left),
        ("RACK", Align::Left),
        ("WEIGHT", Align::Right),
        ("PARTITIONS", Align::Right),
        ("DATA", Align::Right),
        ("HEARTBEAT", Align::Right),
        ("CLIENT", Align::Left),
        ("PEER", Align::Left),
        ("ID", Align::Left),
    ]);
    for member in &status.members {
        let heartbeat = member.heartbeat_age_ms.map_or_else(|| "never".to_owned(), age);
        table.row([
            Cell::from(&member.name),
            Cell::coloured(&member.state, colour(&member.state)),
            Cell::from(&member.dc),
            Cell::from(&member.rack),
            Cell::from(member.weight),
            Cell::from(member.partitions),
            Cell::from(size(member.bytes)),
            Cell::from(heartbeat),
            Cell::from(&member.client),
            Cell::from(&member.peer),
            Cell::from(&member.id),
        ]);
    }
    let node = format!("as {} sees it, version {}", status.answered_by, status.version);
    let mut text =
        format!("{}\n{}", one_line(&format!("cluster {cluster}, {layout}, {node}")), table.render(in_colour));
    for member in status.members.iter().filter(|member| member.in_doubt && member.to_pull > 0) {
        let Member { name, pulled, to_pull, .. } = member;
        text += &format!("{} in doubt, pulled {pulled} of {to_pull} partitions\n", one_line(name));
    }
    for warning in &status.warnings {
        text += &format!("warning: {}\n", one_line(warning));
    }
    text
}

fn colour(state: &str) -> Colour {
    match state {
        "up" => Colour::Green,
        "unreachable" | "down" | "left" => Colour::Red,
        _ => Colour::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let member = |name: &str, state: &str, heartbeat_age_ms| Member {
            name: name.into(),
            id: "9f".into(),
            client: "127.0.0.1:7400".into(),
            peer: "127.0.0.1:7401".into(),
            dc: "dc1".into(),
            rack: "rack1".into(),
            weight: 1,
            state: state.into(),
            partitions: 256,
            bytes: 13_585_385,
            heartbeat_age_ms,
            in_doubt: name == "n2",
            pulled: 0,
            to_pull: 0,
        };
        Status {
            cluster: "c0ffee".into(),
            epoch: 1,
            phase: "stable".into(),
            partitions: 256,
            members: vec![member("n1", "up", Some(120)), member("n2", "down", None)],
            warnings: vec!["partition 3 has 1 replica of 2".into()],
            answered_by: "n1".into(),
            version: "0.1.0".into(),
            ready: true,
        }
    }

    #[test]
    fn the_json_has_the_fields_of_the_contract() {
        let value = serde_json::to_value(json(status())).unwrap();
        for field in ["cluster", "epoch", "phase", "partitions", "members", "warnings"] {
            assert!(value.get(field).is_some(), "{field}");
        }
        let member = value["members"][1].as_object().unwrap();
        let fields =
            "name id client peer dc rack weight state partitions bytes heartbeat_age_ms in_doubt pulled to_pull";
        for field in fields.split(' ') {
            assert!(member.contains_key(field), "{field}");
        }
        assert_eq!(value["members"][0]["heartbeat_age_ms"], 120);
        assert_eq!(value["members"][1]["in_doubt"], true);
        assert_eq!(value["members"][1]["heartbeat_age_ms"], serde_json::Value::Null);
    }

    #[test]
    fn people_see_a_line_about_the_cluster_a_row_for_each_member_and_the_warnings() {
        let text = text(&status(), false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!(lines[0], "cluster c0ffee, epoch 1 (stable), 256 partitions, as n1 sees it, version 0.1.0");
        assert!(lines[2].starts_with("n1    up") && lines[2].contains("13.6 MB     120 ms"), "{text}");
        assert!(lines[3].contains("never"), "{text}");
        assert_eq!(lines[4], "warning: partition 3 has 1 replica of 2");
    }

    #[test]
    fn how_far_a_member_in_doubt_has_come_is_shown_and_only_then() {
        let mut status = status();
        for member in &mut status.members {
            (member.pulled, member.to_pull) = (37, 256);
        }
        let text = text(&status, false);
        let told: Vec<&str> = text.lines().filter(|line| line.contains("pulled")).collect();
        assert_eq!(told, ["n2 in doubt, pulled 37 of 256 partitions"]);
        let value = serde_json::to_value(json(status)).unwrap();
        assert_eq!((&value["members"][1]["pulled"], &value["members"][1]["to_pull"]), (&37.into(), &256.into()));
    }
}
