//! Prints the measured figures of `ALGORITHM.md`.
//!
//! ```text
//! cargo run --release -p kvorum-gossip --example tables -- WHAT [nodes] [loss %] [seeds, node-rounds or minutes]
//! ```
//!
//! where WHAT is one of `spread`, `detect`, `false`, `pauses`, `split`, `rest`, `busy`, `memory`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the machine needs no clock, a measurement does"
)]

#[path = "../tests/cluster/network.rs"]
#[expect(dead_code, reason = "the tests use more of it than the tables")]
mod network;

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use kvorum_gossip::{Config, Effect, Event, Gossip, Input, Message, Setup, State};
use network::{Network, id, index};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let numbers: Vec<u64> = arguments.filter_map(|it| it.parse().ok()).collect();
    let [n, loss, seeds] = [(0, 1000), (1, 0), (2, 5)].map(|(at, usual)| numbers.get(at).copied().unwrap_or(usual));
    match what.as_str() {
        "spread" => spread(n as usize, loss, seeds),
        "detect" => detect(n as usize, loss, seeds),
        "false" => false_alarms(n as usize, loss, seeds),
        "pauses" => pauses(n as usize, loss, seeds),
        "rest" => rest(n as usize),
        "busy" => busy(n as usize),
        "split" => split(n as usize, loss, seeds),
        "memory" => memory(n as usize),
        _ => eprintln!("one of: spread, detect, false, pauses, split, rest, busy, memory"),
    }
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

fn print(name: &str, n: usize, loss: u64, mut samples: Vec<f64>) {
    samples.sort_by(f64::total_cmp);
    let [p50, p99, max] = [50, 99, 100].map(|it| percentile(&samples, it));
    println!("| {name} | {n} | {loss} % | {p50:.1} | {p99:.1} | {max:.1} | {} |", samples.len());
}

/// Rounds from a change of one member until each other member knows it.
fn spread(n: usize, loss: u64, seeds: u64) {
    let mut samples = Vec::new();
    for seed in 0..seeds {
        let mut network = Network::settled(seed, n, Config::default());
        network.loss_percent = loss;
        network.run_rounds(20);
        // Changes one after the other, by different members, each at rest.
        for step in 0..5_usize {
            let who = (step * 7919 + seed as usize) % n;
            let value = [step as u8];
            assert_eq!(network.node_mut(who).set("key", value.to_vec()), Ok(true));
            let start = network.now;
            let knows = |network: &Network, node: usize| {
                network.node(node).member(&id(who)).and_then(|it| it.get("key")) == Some(&value[..])
            };
            let mut ignorant: Vec<usize> = (0..n).filter(|node| *node != who).collect();
            while !ignorant.is_empty() {
                network.run_for(network.config.round_interval / 10);
                let rounds = (network.now - start).as_secs_f64() / network.config.round_interval.as_secs_f64();
                assert!(rounds < 500.0, "seed {seed}: {} of {n} do not know it", ignorant.len());
                ignorant.retain(|node| {
                    let knows = knows(&network, *node);
                    samples.extend(knows.then_some(rounds));
                    !knows
                });
            }
            network.run_rounds(15);
        }
    }
    print("a change is known", n, loss, samples);
}

/// Rounds from a crash until each other member takes it for down.
fn detect(n: usize, loss: u64, seeds: u64) {
    let mut samples = Vec::new();
    for seed in 0..seeds {
        let mut network = Network::settled(seed, n, Config::default());
        network.loss_percent = loss;
        network.run_rounds(100);
        for step in 0..4_usize {
            let victim = (step * 7919 + seed as usize) % n;
            network.log.clear();
            network.kill(victim);
            let start = network.now;
            network.run_until(Duration::from_secs(60), "it is down", |network| {
                network.all_others_see(victim, Some(State::Down))
            });
            let mut last = vec![0.0; n];
            for (at, node, event) in &network.log {
                if matches!(event, Event::StateChanged { id, to: State::Down, .. } if index(*id) == victim) {
                    last[*node] = (*at - start).as_secs_f64() / network.config.round_interval.as_secs_f64();
                }
            }
            samples.extend(last.into_iter().filter(|rounds| *rounds > 0.0));
            network.start(victim, &[0, n / 2]);
            network.run_until(Duration::from_secs(60), "it is back", Network::all_see_all_up);
            network.run_rounds(60);
        }
    }
    print("a crash is down", n, loss, samples);
}

/// How often a live member is suspected or found down although nothing but loss happens.
fn false_alarms(n: usize, loss: u64, rounds: u64) {
    let mut network = Network::settled(1, n, Config::default());
    network.loss_percent = loss;
    network.rounds = 0;
    let (mut suspected, mut down) = (0, 0);
    let step = (rounds / n as u64 / 20).max(1) as u32;
    while network.rounds < rounds {
        network.log.clear();
        network.run_rounds(step);
        suspected += network.verdicts(State::Suspect).len();
        down += network.verdicts(State::Down).len();
        eprintln!("{} node-rounds: {suspected} suspect, {down} down", network.rounds);
    }
    println!(
        "| no failure at all | {n} | {loss} % | {} node-rounds | {suspected} suspect | {down} down |",
        network.rounds
    );
}

/// How often a healthy member is found down while a tenth of all members stop for some seconds now and then.
fn pauses(n: usize, loss: u64, minutes: u64) {
    let plain = Config { witnesses: 1, lifeguard: false, ..Config::default() };
    let variants = [
        ("everything", Config::default()),
        ("without Lifeguard", Config { lifeguard: false, ..Config::default() }),
        ("one witness", Config { witnesses: 1, ..Config::default() }),
        ("neither", plain),
    ];
    for (name, config) in variants {
        let mut network = Network::settled(1, n, config);
        network.loss_percent = loss;
        network.run_rounds(100);
        let mut script = network.random.clone();
        let (mut down_healthy, mut down_paused) = (0, 0);
        for _ in 0..minutes * 60 {
            network.log.clear();
            // The first tenth of the members: each stops every ten seconds on average, for one to eight seconds.
            for node in 0..n / 10 {
                if script.below(10) == 0 {
                    let span = Duration::from_millis(1000 + script.below(7000));
                    network.pause(node, span);
                }
            }
            network.run_for(Duration::from_secs(1));
            for (_, target) in network.verdicts(State::Down) {
                if target < n / 10 {
                    down_paused += 1;
                } else {
                    down_healthy += 1;
                }
            }
        }
        println!("| {name} | {n} | {loss} % | {minutes} min | {down_healthy} of healthy | {down_paused} of paused |");
    }
}

/// What a cluster costs at rest.
fn rest(n: usize) {
    let mut network = Network::settled(1, n, Config::default());
    network.counts_traffic = true;
    network.run_rounds(10);
    network.traffic = network::Traffic::default();
    network.run_rounds(50);
    let (seconds, nodes) = (10.0, n as f64);
    let [bytes, messages] = [network.traffic.bytes, network.traffic.messages].map(|it| it as f64 / seconds / nodes);
    println!(
        "| traffic at rest | {n} | {bytes:.0} bytes/s | {messages:.1} messages/s | {:.0} bytes each |",
        bytes / messages
    );
    network.counts_traffic = false;
    network.rounds = 0;
    network.stopwatch = Some(stopwatch);
    network.run_rounds(50);
    let micros = network.spent.as_secs_f64() * 1e6 / network.rounds as f64;
    println!("| CPU at rest | {n} | {micros:.1} us a round of one node, with the messages it handles |");
    println!("| a process with all of them | {n} | {} kB |", resident());
}

/// What a cluster costs in which every member changes an entry every ten seconds.
fn busy(n: usize) {
    let mut network = Network::settled(1, n, Config::default());
    let mut turn = 0;
    let mut change = |network: &mut Network, seconds: u64| {
        for _ in 0..seconds * 10 {
            for _ in 0..n.div_ceil(100) {
                network.node_mut(turn % n).set("load", turn.to_le_bytes().to_vec()).expect("it is short");
                turn += 7919;
            }
            network.run_for(Duration::from_millis(100));
        }
    };
    change(&mut network, 5);
    network.counts_traffic = true;
    change(&mut network, 10);
    let bytes = network.traffic.bytes as f64 / 10.0 / n as f64;
    println!("| traffic while all change every 10 s | {n} | {bytes:.0} bytes/s |");
}

/// How long the halves of a cluster take to condemn each other when they are cut apart, and to become one again.
fn split(n: usize, loss: u64, seeds: u64) {
    for seed in 0..seeds {
        let mut network = Network::settled(seed, n, Config::default());
        network.loss_percent = loss;
        (n / 2..n).for_each(|node| network.sides[node] = 1);
        let apart = |network: &Network| {
            let half = |at: usize| at < n / 2;
            (0..n).all(|a| {
                network.node(a).members().all(|it| {
                    let expected = if half(index(*it.id())) == half(a) { State::Up } else { State::Down };
                    it.state() == expected
                })
            })
        };
        let condemned = network.run_until(Duration::from_secs(120), "each half condemns the other", apart);
        network.run_rounds(100);
        network.mend();
        let one = network.run_until(Duration::from_secs(120), "they are one", Network::all_see_all_up);
        println!("| a split in half | {n} | {loss} % | condemned after {condemned:?} | one again after {one:?} |");
    }
}

/// What one node takes for so many others with a dozen entries each, as they are read from messages.
fn memory(n: usize) {
    let none = Duration::ZERO;
    let node =
        |it: usize| Gossip::<u64, SocketAddr>::new(Config::default(), Setup::new(id(it), network::address(it)), none);
    let messages = (1..=n).map(|it| {
        let mut node = node(it).expect("the configuration is valid");
        for key in [
            "name", "client", "dc", "rack", "weight", "actor", "since", "ceiling", "epoch", "catalog", "bytes",
            "founding",
        ] {
            node.set(key, format!("{key} of {it}").into_bytes()).expect("it is short");
        }
        let mut out = Vec::new();
        node.handle(none, Input::Contact(network::address(0)), &mut out);
        let Some(Effect::Send { message, .. }) = out.pop() else { panic!("it opens an exchange") };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    });
    let messages: Vec<Vec<u8>> = messages.collect();
    let mut observer = node(0).expect("the configuration is valid");
    let mut out = Vec::new();
    let before = resident();
    for bytes in &messages {
        out.clear();
        observer.handle(none, Input::Message(Message::decode(bytes).expect("it is one")), &mut out);
    }
    let (after, entries) = (resident(), messages[n / 2].len());
    assert_eq!(observer.members().count(), n + 1);
    let each = (after - before) as f64 * 1024.0 / n as f64;
    println!("| memory of a node | {n} | {each:.0} bytes per member with 12 entries ({entries} bytes in a message) |");
}

fn stopwatch() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// What the process takes in kB, as the operating system says.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
