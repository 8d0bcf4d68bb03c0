//! A cluster of five that is cut in two: those who insist on replicas are refused on one side of each key and never told
//! two things; those who do not are served on both sides, and when the sides meet again, every replica is the same.

use kvorum_client::{Client, Consistency, Error, GetOptions, Place, PutOptions, Retry};

use crate::harness::{Cluster, Network, assert_equal_replicas, block_on, config, hints, wait_for, wait_until_no_hints};

const MAJORITY: [&str; 3] = ["n1", "n2", "n3"];
const MINORITY: [&str; 2] = ["n4", "n5"];
const KEYS: usize = 60;

/// A client of one node that takes its first word.
fn client(cluster: &Cluster, node: &str, keyspace: &str) -> Client {
    Client::lazy(config(cluster, &[node]).keyspace(keyspace).retry(Retry::OnceAround)).unwrap()
}

fn account(n: usize) -> String {
    format!("account-{n}")
}

fn strictly() -> (PutOptions, GetOptions) {
    (PutOptions::new().consistency(Consistency::Strict), GetOptions::new().consistency(Consistency::Strict))
}

/// How many replicas of a key stand on the lesser side.
fn beyond(place: &Place) -> usize {
    place.replicas.iter().filter(|replica| MINORITY.contains(&replica.as_str())).count()
}

async fn place(client: &Client, n: usize) -> Place {
    client.ring(Some(account(n).as_bytes())).await.unwrap().place.unwrap()
}

/// What a client that insists on replicas is told; none if it is refused, as it must be at once and for the right reason.
async fn told(client: &Client, n: usize) -> Option<String> {
    match client.get_with(account(n), &strictly().1).await {
        Ok(got) => Some(String::from_utf8(got.value().unwrap().to_vec()).unwrap()),
        Err(Error::Rejected { message, .. } | Error::TimedOut { message, .. }) => {
            assert!(message.contains("is down"), "{message}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Cuts the cluster, and waits until each side has given up the other.
fn cut(cluster: &Cluster, network: &Network) {
    network.cut(&MAJORITY, &MINORITY);
    for (side, other) in [(&MAJORITY[..], &MINORITY[..]), (&MINORITY, &MAJORITY)] {
        for witness in side {
            wait_for(&format!("{witness} gives up {other:?}"), || {
                let states = cluster.states(witness)?;
                let is_down = |name: &&str| states.contains(&((*name).to_owned(), "down".to_owned()));
                other.iter().all(is_down).then_some(())
            });
        }
    }
}

/// Heals it, and waits until the sides have told each other all they have kept.
fn heal(cluster: &Cluster, network: &Network) {
    network.heal();
    cluster.wait_until_up(5);
    block_on(async { wait_until_no_hints(&client(cluster, "n1", "default")).await });
}

#[test]
fn in_a_cluster_cut_in_two_each_account_is_kept_on_one_side_by_those_who_insist_on_replicas() {
    let network = Network::new();
    let cluster = Cluster::behind(&network, 5, &[]);
    block_on(async {
        let through = client(&cluster, "n4", "default");
        for n in 0..KEYS {
            through.put_with(account(n), "before", &strictly().0).await.unwrap();
        }
    });
    cut(&cluster, &network);
    let refused = block_on(async {
        let sides = [client(&cluster, "n1", "default"), client(&cluster, "n5", "default")];
        let mut refused = Vec::new();
        for n in 0..KEYS {
            let beyond = beyond(&place(&sides[0], n).await);
            let keeper = usize::from(beyond >= 2);
            for (side, through) in sides.iter().enumerate() {
                let value = format!("side {side}");
                match through.put_with(account(n), value, &strictly().0).await {
                    Ok(written) => assert!(side == keeper && !written.replicas.sloppy, "{}: {written:?}", account(n)),
                    Err(Error::Rejected { message, .. }) => assert!(side != keeper && message.contains("is down")),
                    Err(error) => panic!("{}: {error}", account(n)),
                }
            }
            // Whoever asks is told what was acknowledged, or nothing.
            for (side, through) in sides.iter().enumerate() {
                let expected = (side == keeper).then(|| format!("side {keeper}"));
                assert_eq!(told(through, n).await, expected, "{} on side {side}", account(n));
            }
            if keeper == 0 {
                refused.push((n, beyond));
            }
        }
        refused
    });
    assert!(refused.len() > KEYS / 4 && refused.len() < KEYS, "both sides keep some: {}", refused.len());
    for (here, words) in [(0, "no replica of that key is up"), (1, "2 of 3 replicas, 1 is up")] {
        let (n, _) = refused.iter().find(|(_, beyond)| *beyond == here).expect("some keys lie so");
        let key = account(*n);
        for request in [&["put", &key, "v", "--strict"][..], &["get", &key, "--strict"], &["del", &key, "--strict"]] {
            let output = cluster.kvctl("n4", request);
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "{request:?}: {message}");
            assert!(message.contains(words) && message.contains("is down"), "{request:?}: {message}");
            assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        }
    }
    heal(&cluster, &network);
    block_on(async {
        let through = client(&cluster, "n4", "default");
        for n in 0..KEYS {
            let keeper = usize::from(refused.iter().all(|(refused, _)| *refused != n));
            assert_eq!(told(&through, n).await, Some(format!("side {keeper}")), "{}", account(n));
            assert_equal_replicas(&account(n), &through.why(account(n)).await.unwrap(), 3);
        }
    });
}

#[test]
fn in_a_cluster_cut_in_two_both_sides_take_every_write_of_those_who_do_not_insist_and_agree_afterwards() {
    let network = Network::new();
    let cluster = Cluster::behind(&network, 5, &[]);
    cluster.run("n1", &["keyspace", "create", "carts", "--mode", "causal"]);
    cut(&cluster, &network);
    block_on(async {
        let of_side = |node: &str| [client(&cluster, node, "default"), client(&cluster, node, "carts")];
        let sides = [of_side("n2"), of_side("n5")];
        let mut with_no_replica_here = 0;
        for n in 0..KEYS {
            let beyond = beyond(&place(&sides[0][0], n).await);
            with_no_replica_here += usize::from(beyond == 0);
            for (side, clients) in sides.iter().enumerate() {
                let here = if side == 0 { 3 - beyond } else { beyond };
                for client in clients {
                    let value = format!("side {side}");
                    let written = client.put(account(n), value.clone()).await.unwrap();
                    assert_eq!(written.replicas.sloppy, here < 2, "{}: {written:?}", account(n));
                    let got = client.get(account(n)).await.unwrap();
                    assert_eq!(got.value().map(|found| &found[..]), Some(value.as_bytes()), "{} on {side}", account(n));
                }
            }
        }
        assert!(with_no_replica_here > 0, "some keys have no replica on the lesser side");
        let kept = hints(&sides[1][0]).await.unwrap();
        let holds = |name: &str| kept.queues.iter().any(|queue| queue.holder == name && queue.owed > 0);
        assert!(holds("n4") && holds("n5"), "both stand in: {kept:?}");
    });
    heal(&cluster, &network);
    block_on(async {
        let [accounts, carts] = [client(&cluster, "n3", "default"), client(&cluster, "n4", "carts")];
        for n in 0..KEYS {
            let why = accounts.why(account(n)).await.unwrap();
            assert_equal_replicas(&account(n), &why, 3);
            assert_eq!(why.replicas[0].versions.len(), 1, "one has won: {why:?}");
            // The clocks of all are one machine's, and the lesser side wrote later.
            let got = accounts.get(account(n)).await.unwrap();
            assert_eq!(got.value().map(|value| &value[..]), Some(&b"side 1"[..]), "{}", account(n));

            let why = carts.why(account(n)).await.unwrap();
            assert_equal_replicas(&account(n), &why, 3);
            assert_eq!(why.replicas[0].versions.len(), 2, "{why:?}");
            let got = carts.get(account(n)).await.unwrap();
            let mut siblings: Vec<_> = got.versions.iter().map(|version| version.value.clone()).collect();
            siblings.sort_unstable();
            assert_eq!(siblings, ["side 0", "side 1"], "{}: nothing is lost", account(n));
        }
    });
}
