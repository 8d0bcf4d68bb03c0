//! Who is there, as real processes see each other: failures noticed in time, returns noticed at once, and `kvctl status
//! --watch`. Measured in debug builds, which are slower than what is promised of release builds, hence the two sets of bars.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Cluster, Process, binary, wait_for};

/// A failure is noticed within this.
const NOTICED: Duration = Duration::from_secs(5);
/// How many nodes make a large cluster here, and what holds of it: within what time they form one view, and what share
/// of a core each takes when nobody asks for anything.
const MANY: usize = 30;
#[cfg(debug_assertions)]
const MANY_BARS: (Duration, f64) = (Duration::from_secs(60), 0.25);
#[cfg(not(debug_assertions))]
const MANY_BARS: (Duration, f64) = (Duration::from_secs(15), 0.05);

/// How long it takes until all of `witnesses` see a node in this state.
fn until(cluster: &Cluster, witnesses: &[&str], node: &str, state: &str) -> Duration {
    let start = Instant::now();
    let wanted = (node.to_owned(), state.to_owned());
    for witness in witnesses {
        wait_for(&format!("{witness} sees {node} {state}"), || {
            cluster.states(witness)?.contains(&wanted).then_some(())
        });
    }
    start.elapsed()
}

fn watch(cluster: &Cluster, nodes: &[&str], flags: &[&str]) -> Process {
    let endpoints: Vec<&str> = nodes.iter().map(|name| cluster.node(name).client.as_str()).collect();
    let mut command = binary("kvctl");
    command.args(["-e", &endpoints.join(","), "status", "--watch"]).args(flags);
    Process::start("kvctl", command)
}

#[test]
fn a_killed_node_is_down_for_all_within_seconds_and_up_at_once_when_it_is_back() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    cluster.node_mut("n3").kill();
    let took = until(&cluster, &["n1", "n2"], "n3", "down");
    eprintln!("kill -9: down for all after {took:?}");
    assert!(took < NOTICED, "{took:?}");
    cluster.node_mut("n3").restart();
    let took = until(&cluster, &["n1", "n2", "n3"], "n3", "up");
    eprintln!("restart: up for all {took:?} after it was ready");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(cluster.node("n1").figure("kvorum_member_events_total") >= 4.0, "joined twice, down, restarted, up");
    assert!(cluster.node("n1").figure("kvorum_gossip_bytes_total") > 0.0);
    assert_eq!(cluster.node("n1").figure("kvorum_members"), 3.0);
    assert_eq!(cluster.node("n1").figure("kvorum_peer_refusals_total"), 0.0);
}

#[test]
fn a_node_that_hangs_is_down_for_all_within_seconds_and_up_again_when_it_goes_on() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    cluster.node_mut("n3").process().signal(Signal::STOP);
    let took = until(&cluster, &["n1", "n2"], "n3", "down");
    eprintln!("SIGSTOP: down for all after {took:?}");
    assert!(took < NOTICED, "{took:?}");
    cluster.node_mut("n3").process().signal(Signal::CONT);
    let took = until(&cluster, &["n1", "n2"], "n3", "up");
    eprintln!("SIGCONT: up for all after {took:?}");
    assert!(took < NOTICED, "{took:?}");
}

#[test]
fn a_node_that_is_stopped_has_not_left_and_the_others_go_on() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    cluster.node_mut("n3").process().signal(Signal::TERM);
    assert!(cluster.node_mut("n3").process().wait().success());
    cluster.node_mut("n3").process = None;
    for n in 0..10 {
        cluster.run("n1", &["put", &format!("k{n}"), "v"]);
        cluster.run("n2", &["get", &format!("k{n}")]);
    }
    until(&cluster, &["n1", "n2"], "n3", "down");
    cluster.node_mut("n3").restart();
    cluster.wait_until_up(3);
}

#[test]
fn who_watches_sees_a_member_die_and_return_and_goes_on_when_its_own_node_dies() {
    let mut cluster = Cluster::start(3, &["--engine", "memory"]);
    let json = watch(&cluster, &["n1", "n2"], &["-o", "json"]);
    let lines = watch(&cluster, &["n1"], &[]);
    let mut present: Vec<serde_json::Value> = (0..3).map(|_| serde_json::from_str(&json.line("{")).unwrap()).collect();
    present.sort_by_key(|event| event["name"].to_string());
    for (event, name) in present.iter().zip(["n1", "n2", "n3"]) {
        assert_eq!((&event["name"], &event["event"], &event["to"]), (&name.into(), &"present".into(), &"up".into()));
        assert!(event["at"].is_u64() && event["from"].is_null() && event["id"].is_string(), "{event}");
        assert_eq!(event["seen_by"], "n1");
    }
    // One event after the other, until the one that is waited for.
    let next = |name: &str, to: &str| {
        wait_for(&format!("{name} {to} is told"), || {
            let event: serde_json::Value = serde_json::from_str(&json.line("{")).unwrap();
            (event["name"] == name && event["to"] == to).then_some(event)
        })
    };
    cluster.node_mut("n3").kill();
    let down = next("n3", "down");
    assert_eq!((&down["event"], &down["seen_by"]), (&"changed".into(), &"n1".into()));
    cluster.node_mut("n3").restart();
    assert_eq!(next("n3", "up")["from"], "down");
    // Its own node dies; another tells so.
    cluster.node_mut("n1").kill();
    assert_eq!(next("n1", "down")["seen_by"], "n2");
    cluster.node_mut("n1").restart();
    next("n1", "up");
    assert_eq!(json.interrupt(), Some(0), "Ctrl-C is how it ends");

    let told = |part: &str| {
        wait_for(&format!("{part} is told"), || {
            let line = lines.line("");
            assert!(line.is_char_boundary(8) && line[..8].bytes().filter(|byte| *byte == b':').count() == 2, "{line}");
            line.contains(part).then_some(())
        });
    };
    told(" n3 is up (seen by n1)");
    told("-> down (seen by n1)");
    told(" n3 down -> up (seen by n1)");
    // Only one endpoint was named, and its node died: the members that it knew of were asked.
    told(" n1 ");
    assert_eq!(lines.interrupt(), Some(0));
}

#[test]
fn many_nodes_form_one_view_in_time_and_cost_little_at_rest() {
    let flags = ["--engine", "memory", "--memory", "64MiB", "--shards", "1"];
    let start = Instant::now();
    let mut cluster = Cluster::at_once(MANY, &flags);
    wait_for("all are up for all", || {
        let seen = |node: &crate::harness::Node| node.figure_of("kvorum_members", "state=\"up\"");
        cluster.nodes.iter().all(|node| seen(node) == Some(MANY as f64)).then_some(())
    });
    let formed = start.elapsed();
    cluster.wait_until_up(MANY);
    let ready = start.elapsed();
    // What it costs is measured over a time, after a time of rest.
    std::thread::sleep(Duration::from_secs(10));
    let used = |cluster: &mut Cluster| -> Vec<Duration> {
        cluster.nodes.iter_mut().map(|node| node.process().cpu_time()).collect()
    };
    let gossip = |cluster: &Cluster| -> f64 {
        cluster.nodes.iter().filter_map(|node| node.figure_of("kvorum_gossip_bytes_total", "way=\"sent\"")).sum()
    };
    let (before, sent_before, began) = (used(&mut cluster), gossip(&cluster), Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    let (after, sent, span) = (used(&mut cluster), gossip(&cluster), began.elapsed());
    let shares: Vec<f64> =
        after.iter().zip(before).map(|(after, before)| (*after - before).as_secs_f64() / span.as_secs_f64()).collect();
    let (most, mean) = (shares.iter().copied().fold(0.0, f64::max), shares.iter().sum::<f64>() / MANY as f64);
    let bytes = (sent - sent_before) / span.as_secs_f64() / MANY as f64;
    eprintln!(
        "{MANY} nodes: one view after {formed:.1?}, all ready after {ready:.1?}; at rest {:.2} % of a core each, the most {:.2} %; {bytes:.0} bytes of gossip a second each",
        100.0 * mean,
        100.0 * most
    );
    assert!(formed < MANY_BARS.0, "{formed:?}");
    assert!(most < MANY_BARS.1, "{shares:?}");
}
