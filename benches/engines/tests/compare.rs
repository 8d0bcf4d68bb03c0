//! The program as people run it: every engine and every workload, with data so small that it takes seconds.

use std::process::{Command, Output};

use serde_json::Value;

const TINY: [&str; 6] =
    ["--short", "--keys=3000", "--cache-kib=256", "--buffer-kib=128", "--log-kib=128", "--seconds=0.1"];

fn engines(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_engines")).args(arguments).output().expect("the program starts")
}

#[test]
fn a_comparison_runs_every_engine_through_every_workload() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().to_str().unwrap(), dir.path().join("all.json"));
    let arguments = ["compare", "--dir", path, "--json", file.to_str().unwrap()];
    let output = engines(&[&arguments, &TINY[..]].concat());
    let (text, progress) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{text}\n{progress}");
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let runs = json["runs"].as_array().unwrap();
    assert_eq!(
        (runs.len(), progress.lines().count()),
        (40, 40),
        "a process for each engine and group, and a line for each"
    );
    let measured: Vec<&Value> =
        runs.iter().flat_map(|run| run["outcome"]["run"]["measured"].as_array().unwrap()).collect();
    assert_eq!(measured.len(), 60, "five engines, twelve workloads");
    for one in measured {
        assert!(one["checks"]["checked"].as_u64().unwrap() > 0, "nothing was checked: {one}");
        assert_eq!((&one["checks"]["wrong"], &one["checks"]["missing"]), (&0.into(), &0.into()), "{one}");
        assert!(one["figures"].as_object().unwrap().values().all(|figure| figure.as_f64().unwrap() > 0.0), "{one}");
        assert!(one["peak_bytes"].as_u64().unwrap() > 1 << 20, "{one}");
    }
    let crashed = runs.iter().filter(|run| run["workloads"][0] == "recover");
    for run in crashed.filter(|run| run["engine"] != "sled" && run["engine"] != "redb") {
        let checks = &run["outcome"]["run"]["measured"][0]["checks"];
        assert_eq!((&checks["lost"], &checks["checked"]), (&0.into(), &911.into()), "{run}");
    }
    assert_eq!(json["bars"].as_array().unwrap().len(), 22, "eleven bars for each of two engines");
    assert!(text.contains("reads-during-paced-fill") && text.contains("bars:"), "{text}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["all.json"], "the data are gone");
}

#[test]
fn a_run_prints_one_object_and_spares_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let arguments = ["run", "--engine=redb", "--workload=absent,scan100", "--dir", path.to_str().unwrap()];
    let arguments = [&arguments, &TINY[..]].concat();
    let output = engines(&arguments);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let workloads: Vec<&Value> = json["measured"].as_array().unwrap().iter().map(|one| &one["workload"]).collect();
    assert_eq!(workloads, ["absent", "scan100"]);
    let again = engines(&arguments);
    assert!(!again.status.success() && String::from_utf8(again.stderr).unwrap().contains("not empty"));
}

#[test]
fn workloads_that_change_the_data_do_not_share_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let output = engines(&["run", "--engine=lsm", "--workload=fill1,get1", "--dir", dir.path().to_str().unwrap()]);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("one process runs one workload"));
}

#[test]
fn an_engine_that_fails_is_reported_and_the_exit_code_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // Files of a few blocks at most: no engine gets far.
    let limited = ["-c", "ulimit -f 8 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_engines")];
    let arguments = ["compare", "--engines=redb", "--workloads=fill1", "--dir", dir.path().to_str().unwrap()];
    let output = Command::new("sh").args([&limited, &arguments[..], &TINY].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.contains("redb: fill1 FAILED"), "{progress}");
}
