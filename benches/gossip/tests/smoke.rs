//! The program as people run it, with clusters so small that it takes seconds.

use std::process::{Command, Output};

use serde_json::Value;

fn gossip(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gossip")).args(arguments).output().expect("the program starts")
}

#[test]
fn a_short_comparison_takes_every_library_through_everything() {
    let file = std::env::temp_dir().join(format!("gossip-smoke-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let variants = "kvorum,foca,foca-identity,chitchat";
    let output = gossip(&["--short", "--nodes", "8", "--variants", variants, "--jobs", "2", "--json", path]);
    let (text, progress) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let json: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "{text}\n{progress}");
    assert_eq!((json["runs"].as_array().unwrap().len(), progress.lines().count()), (16, 16));
    for row in json["rows"].as_array().unwrap() {
        assert!(row["starts"]["median"].as_f64().unwrap() > 0.0, "not all found each other: {row}");
        assert!(row["largest_message"].as_u64().unwrap() > 0 && row["failed"] == 0, "{row}");
        match row["part"].as_str().unwrap() {
            "life" => {
                let (rest, loss) = (&row["rest"], row["loss_percent"].as_u64().unwrap());
                assert!(rest["messages_per_node_second"].as_f64().unwrap() > 1.0, "{row}");
                assert!(rest["cpu_us_per_node_second"].as_f64().unwrap() > 0.0, "{row}");
                for (times, count) in [("changes", 3), ("newcomers", 1), ("both_ways", 1), ("crashes", 1)] {
                    assert_eq!(row[times]["count"], count, "{row}");
                    assert!(loss > 0 || row[times]["median"].as_f64().unwrap() > 0.0, "{times}: {row}");
                }
                assert!(loss > 0 || row["mistakes"]["views"] == 0, "nobody failed, nothing was lost: {row}");
            }
            "pauses" => assert_eq!(row["watched_node_seconds"], 480.0, "{row}"),
            "heal" => assert_eq!(row["heals"]["count"], 1, "{row}"),
            other => panic!("a part that nobody asked for: {other}"),
        }
    }
    assert!(text.contains("mass start") && text.contains("foca-identity") && text.contains("heal"), "{text}");
}

#[test]
fn a_simulation_that_takes_too_long_is_ended_and_named() {
    let output =
        gossip(&["--nodes", "100", "--variants", "chitchat", "--parts", "heal", "--seeds", "1", "--patience", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("chitchat n=100 loss=0% Heal seed=1: not finished"));
}
