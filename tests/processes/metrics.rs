//! `/metrics`: what Prometheus reads of a node.

use std::collections::BTreeMap;

use crate::harness::{Cluster, assert_success, kvctl};

/// Families by name: type, help, and samples with their labels.
struct Family {
    kind: String,
    help: String,
    samples: Vec<(String, f64)>,
}

/// Reads the text as strictly as the format is (OpenMetrics 1.0): each family is described before its samples, once, and
/// the text has an end.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut lines = text.lines();
    assert_eq!(lines.next_back(), Some("# EOF"));
    for line in lines {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let family = Family { kind: String::new(), help: help.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} is described twice");
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current, "{line}");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(name == current && name.ends_with(&format!("_{unit}")), "{line}");
        } else {
            let (name, number) = line.rsplit_once(' ').unwrap();
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line} is not described"));
            let suffix = match family.kind.as_str() {
                "counter" => "_total",
                "info" => "_info",
                "gauge" => "",
                other => panic!("{current} is a {other}"),
            };
            assert_eq!(name, format!("{current}{suffix}"), "{line}");
            family.samples.push((labels.to_owned(), number.parse().unwrap()));
        }
    }
    families
}

#[test]
fn the_figures_of_the_store_are_told_in_prometheus_text_and_follow_what_happens() {
    let mut cluster = Cluster::start(1, &["--memory", "64MiB"]);
    let scrape = |cluster: &Cluster| {
        let answer = cluster.node("n1").http("/metrics");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
        parse(body)
    };
    let sum = |families: &BTreeMap<String, Family>, name: &str| -> f64 {
        let family = families.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        family.samples.iter().map(|(_, number)| number).sum()
    };
    let before = scrape(&cluster);
    for (name, family) in &before {
        assert!(name.starts_with("kvorum_") && family.help.len() > 10 && !family.samples.is_empty(), "{name}");
    }
    assert!(before["kvorum_node"].samples[0].0.contains("engine=\"lsm\""));
    assert_eq!(before["kvorum_lsm_level_tables"].samples.len(), 7);
    assert_eq!(sum(&before, "kvorum_store_failed"), 0.0);
    assert_eq!(sum(&before, "kvorum_memory_budget_bytes"), 64.0 * f64::from(1 << 20));
    assert!(sum(&before, "kvorum_memory_resident_bytes") > 1e6);

    let value = "v".repeat(5000);
    let lines: String = (0..2000).map(|n| format!("k{n}\t{value}\n")).collect();
    assert_success(&kvctl(&cluster.node("n1").client, &["import", "-"], lines.as_bytes()), "import");
    let loaded = scrape(&cluster);
    assert!(sum(&loaded, "kvorum_lsm_operations") >= 2000.0);
    assert!(sum(&loaded, "kvorum_lsm_user_bytes") >= 2000.0 * 5000.0);
    let groups = sum(&loaded, "kvorum_lsm_log_groups");
    assert!((1.0..=sum(&loaded, "kvorum_lsm_batches")).contains(&groups), "{groups} groups");
    assert!(sum(&loaded, "kvorum_lsm_log_syncs") >= 1.0);
    assert!(sum(&loaded, "kvorum_lsm_flushes") >= 1.0);
    assert!(sum(&loaded, "kvorum_lsm_level_written_bytes") > 0.0);
    assert!(sum(&loaded, "kvorum_store_bytes") > 0.0);

    // A new process reads from its disk, once.
    let node = cluster.node_mut("n1");
    node.kill();
    node.restart();
    for _ in 0..3 {
        assert_eq!(cluster.run("n1", &["get", "k7"]).len(), 5001);
    }
    let read = scrape(&cluster);
    assert!(sum(&read, "kvorum_lsm_block_reads") >= 1.0);
    assert!(sum(&read, "kvorum_hot_records_misses") >= 1.0);
    assert!(sum(&read, "kvorum_lsm_cache_bytes") > 0.0);
    assert!(sum(&read, "kvorum_hot_records_misses") <= 2.0, "what was read once is in memory");
}

#[test]
fn an_engine_without_figures_tells_the_common_ones() {
    let cluster = Cluster::start(1, &["--engine", "memory"]);
    cluster.run("n1", &["put", "k", "v"]);
    let answer = cluster.node("n1").http("/metrics");
    let families = parse(answer.split_once("\r\n\r\n").unwrap().1);
    assert!(families["kvorum_store_bytes"].samples[0].1 > 0.0);
    assert!(!families.contains_key("kvorum_lsm_batches"));
}
