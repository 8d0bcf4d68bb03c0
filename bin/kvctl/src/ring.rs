//! `kvctl ring`.

use std::ffi::OsString;

use kvorum_client::{Place, Ring, Share};
use serde::Serialize;

use crate::args;
use crate::exit::{Exit, Failure, one_line};
use crate::output::{Align, Cell, Table, print, print_json, quoted};
use crate::target::Target;

#[derive(Debug, Serialize)]
struct JsonPlace {
    /// Sixteen hexadecimal digits.
    token: String,
    partition: u32,
    replicas: Vec<String>,
    fallbacks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct JsonBalance {
    epoch: u64,
    partitions: u32,
    replication: String,
    shares: Vec<JsonShare>,
}

#[derive(Debug, Serialize)]
struct JsonShare {
    name: String,
    dc: String,
    rack: String,
    weight: u32,
    partitions: u32,
    /// For how many of them it is the first replica.
    first: u32,
}

pub(crate) async fn run(target: &Target, key: Option<OsString>) -> Result<(), Failure> {
    match key.map(args::bytes) {
        Some(key) => one_key(target, &key).await,
        None => balance(target).await,
    }
}

async fn one_key(target: &Target, key: &[u8]) -> Result<(), Failure> {
    let ring = target.client.ring(Some(key)).await;
    let ring = ring.map_err(|error| Failure::of(&target.doing("place", key, "through"), &error))?;
    let Some(place) = ring.place else {
        let message = format!(
            "cannot place {} through {}: the cluster has no layout yet; see kvctl status",
            quoted(key),
            target.endpoints
        );
        return Err(Failure::new(Exit::Unavailable, message));
    };
    if target.wants_json() { print_json(&json_place(place)) } else { print(place_text(&place).as_bytes()) }
}

async fn balance(target: &Target) -> Result<(), Failure> {
    let ring = target.client.ring(None).await;
    let what = format!("get the layout from {}", target.endpoints);
    let ring = ring.map_err(|error| Failure::of(&what, &error))?;
    if target.wants_json() { print_json(&json_balance(ring)) } else { print(balance_text(&ring).as_bytes()) }
}

fn json_place(place: Place) -> JsonPlace {
    JsonPlace {
        token: place.token.to_string(),
        partition: place.partition,
        replicas: place.replicas,
        fallbacks: place.fallbacks,
    }
}

fn place_text(place: &Place) -> String {
    let names = |names: &[String]| {
        if names.is_empty() { "none".to_owned() } else { one_line(&names.join(" ")) }
    };
    format!(
        "token      {}\npartition  {}\nreplicas   {}\nfallbacks  {}\n",
        place.token,
        place.partition,
        names(&place.replicas),
        names(&place.fallbacks)
    )
}

fn json_balance(ring: Ring) -> JsonBalance {
    let share = |share: Share| JsonShare {
        name: share.name,
        dc: share.dc,
        rack: share.rack,
        weight: share.weight,
        partitions: share.partitions,
        first: share.first,
    };
    JsonBalance {
        epoch: ring.epoch,
        partitions: ring.partitions,
        replication: ring.replication,
        shares: ring.shares.into_iter().map(share).collect(),
    }
}

fn balance_text(ring: &Ring) -> String {
    if ring.epoch == 0 {
        return "no layout yet\n".into();
    }
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("DC", Align::Left),
        ("RACK", Align::Left),
        ("WEIGHT", Align::Right),
        ("PARTITIONS", Align::Right),
        ("SHARE", Align::Right),
        ("FAIR", Align::Right),
        ("FIRST", Align::Right),
    ]);
    for share in &ring.shares {
        // Copies are counted per data centre, so a fair share is one of its own centre.
        let total = |of: fn(&Share) -> u32| -> u64 {
            let there = ring.shares.iter().filter(|other| other.dc == share.dc);
            there.map(|other| u64::from(of(other))).sum()
        };
        table.row([
            Cell::from(&share.name),
            Cell::from(&share.dc),
            Cell::from(&share.rack),
            Cell::from(share.weight),
            Cell::from(share.partitions),
            Cell::from(percent(share.partitions, total(|share| share.partitions))),
            Cell::from(percent(share.weight, total(|share| share.weight))),
            Cell::from(share.first),
        ]);
    }
    let head = format!("epoch {}, {} partitions, replication {}", ring.epoch, ring.partitions, ring.replication);
    format!("{}\n{}", one_line(&head), table.render(false))
}

fn percent(part: u32, whole: u64) -> String {
    if whole == 0 { "-".into() } else { format!("{:.1}%", f64::from(part) * 100.0 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use kvorum_client::Token;

    use super::*;

    fn ring() -> Ring {
        let share = |name: &str, dc: &str, weight, partitions| Share {
            name: name.into(),
            dc: dc.into(),
            rack: "rack1".into(),
            weight,
            partitions,
            first: 1,
        };
        Ring {
            place: None,
            shares: vec![share("n1", "dc1", 1, 64), share("n2", "dc1", 3, 192), share("n3", "dc2", 1, 256)],
            partitions: 256,
            epoch: 4,
            replication: "1".into(),
        }
    }

    fn place() -> Place {
        let replicas = vec!["n1".into(), "n2".into()];
        Place { token: Token(0xab), partition: 7, replicas, fallbacks: Vec::new() }
    }

    #[test]
    fn shares_are_told_within_their_data_centre() {
        let text = balance_text(&ring());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "epoch 4, 256 partitions, replication 1");
        assert!(lines[2].contains("64   25.0%   25.0%"), "{text}");
        assert!(lines[4].contains("256  100.0%  100.0%"), "{text}");
    }

    #[test]
    fn a_place_is_told_in_the_words_of_the_contract() {
        let text = serde_json::to_string(&json_place(place())).unwrap();
        assert_eq!(text, r#"{"token":"00000000000000ab","partition":7,"replicas":["n1","n2"],"fallbacks":[]}"#);
    }

    #[test]
    fn people_see_names_in_a_line() {
        let text = place_text(&place());
        assert!(text.ends_with("partition  7\nreplicas   n1 n2\nfallbacks  none\n"), "{text}");
    }
}
