//! `kvbench check` on recorded histories: its verdicts, its exit codes, and what it tells.

use std::io::Write;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{binaries, binary, finish};

/// `kvbench check FILE` of these lines.
fn check(model: &str, lines: &str, flags: &[&str]) -> Output {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    let mut command = binary("kvbench");
    command.arg("check").arg(file.path()).args(["--model", model]).args(flags);
    finish(command)
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn assert_says(output: &Output, exit: i32, words: &[&str]) {
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(exit), "{said}{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    for word in words {
        assert!(said.contains(word), "nothing of {word:?} in:\n{said}");
    }
}

fn assert_unreadable(output: &Output, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(said.starts_with("kvbench: ") && said.lines().count() == 1, "{said}");
    for word in words {
        assert!(said.contains(word), "nothing of {word:?} in: {said}");
    }
}

/// A write of `1`, and a read after it that finds this.
fn write_then_read(found: &str) -> String {
    format!(
        r#"{{"process":0,"type":"invoke","f":"write","key":"k","value":1}}
{{"process":0,"type":"ok","f":"write","key":"k","value":1}}
{{"process":1,"type":"invoke","f":"read","key":"k","value":null}}
{{"process":1,"type":"ok","f":"read","key":"k","value":{found}}}
"#
    )
}

#[test]
fn a_linearizable_history_is_told_with_its_counts() {
    let output = check("register", &write_then_read("1"), &[]);
    assert_says(&output, 0, &["2 operations, 1 key, 2 processes, 0 of unknown outcome", "\nlinearizable\n"]);
    assert_says(&check("set", "", &[]), 0, &["0 operations, 0 keys", "\nlinearizable\n"]);
}

#[test]
fn a_stale_read_is_told_with_its_key_its_line_and_what_came_before() {
    let output = check("register", &write_then_read("null"), &[]);
    assert_says(
        &output,
        1,
        &["not linearizable: 1 key has", r#"key "k""#, "line 4", "process 1 read -> null", "1 - 2", "write 1", "> "],
    );
    let output = check("register", &write_then_read("null"), &["-o", "json"]);
    assert_says(&output, 1, &[]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["linearizable"], &report["stuck_keys"]), (&false.into(), &1.into()));
    assert_eq!((&report["stuck"]["line"], &report["stuck"]["operation"]["asked"]), (&4.into(), &"read".into()));
    assert_eq!(report["stuck"]["prefix"].as_array().unwrap().len(), 2);
}

#[test]
fn a_long_prefix_loses_its_middle_and_says_how_much() {
    let mut lines = String::new();
    for value in 0..1000 {
        for kind in ["invoke", "ok"] {
            lines += &format!(r#"{{"process":0,"type":"{kind}","f":"append","key":7,"value":"{value},"}}"#);
            lines.push('\n');
        }
    }
    lines += r#"{"process":1,"type":"invoke","f":"read","key":7}
{"process":1,"type":"ok","f":"read","value":"0,1,"}
"#;
    let output = check("string", &lines, &[]);
    assert_says(&output, 1, &["key 7", "line 2002", "more operations ...", r#"read -> "0,1,""#, r#"append "999,""#]);
    assert!(output.stdout.len() < 10_000, "{}", text(&output.stdout));
}

#[test]
fn the_models_differ() {
    let set = r#"{"process":0,"type":"invoke","f":"add","key":"k","value":{"a": 1}}
{"process":0,"type":"info","f":"add"}
{"process":1,"type":"invoke","f":"read","key":"k"}
{"process":1,"type":"ok","f":"read","value":[{"a":1}]}
"#;
    assert_says(&check("set", set, &[]), 0, &["1 of unknown outcome"]);
    assert_unreadable(&check("register", set, &[]), &["line 1", "\"add\"", "read, write, cas"]);
    let cas = r#"{"process":0,"type":"invoke","f":"cas","key":"k","value":[null,2]}
{"process":0,"type":"ok","f":"cas","swapped":true}
{"process":0,"type":"invoke","f":"cas","key":"k","value":[null,3]}
{"process":0,"type":"ok","f":"cas","swapped":false}
"#;
    assert_says(&check("register", cas, &[]), 0, &["linearizable"]);
    assert_says(&check("register", &cas.replace("false", "true"), &[]), 1, &["cas [null,3] -> swapped"]);
}

#[test]
fn standard_input_is_read_too() {
    let mut command = binary("kvbench");
    command.args(["check", "-", "--model", "register"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(write_then_read("1").as_bytes()).unwrap();
    assert_says(&child.wait_with_output().unwrap(), 0, &["2 operations"]);
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    for (lines, words) in [
        ("{", &["line 1", "broken JSON"][..]),
        ("\n\n[]", &["line 3", "expected a JSON object"]),
        (r#"{"process":0,"type":"ok","f":"read","value":1}"#, &["line 1", "process 0"]),
        (r#"{"process":0,"type":"begin","f":"read","key":1}"#, &["line 1", "\"begin\"", "invoke, ok, fail or info"]),
        (r#"{"process":0,"type":"invoke","f":"read"}"#, &["line 1", "key"]),
    ] {
        assert_unreadable(&check("register", lines, &[]), words);
    }
    let mut command = binary("kvbench");
    command.args(["check", "/does/not/exist", "--model", "set"]);
    assert_unreadable(&finish(command), &["/does/not/exist"]);
    let mut command = binary("kvbench");
    command.args(["check", "/"]);
    assert_unreadable(&finish(command), &["--model"]);
    let mut command = binary("kvbench");
    command.args(["check", "/", "--model", "set"]);
    assert_unreadable(&finish(command), &["cannot read /"]);
}

#[test]
fn a_hundred_thousand_operations_on_many_keys_take_seconds() {
    let mut lines = String::new();
    for operation in 0..100_000_u32 {
        let (process, key) = (operation % 10, operation % 1000);
        lines += &format!(r#"{{"process":{process},"type":"invoke","f":"write","key":"k{key}","value":{operation}}}"#);
        lines += &format!("\n{{\"process\":{process},\"type\":\"ok\",\"f\":\"write\"}}\n");
    }
    binaries();
    let start = Instant::now();
    assert_says(&check("register", &lines, &[]), 0, &["100 000 operations, 1 000 keys"]);
    // Unoptimized; the release takes a fraction of a second.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn help_shows_the_format() {
    let mut command = binary("kvbench");
    command.args(["check", "--help"]);
    assert_says(&finish(command), 0, &["Examples:", "\"type\":\"invoke\"", "swapped", "Exit codes: 0 linearizable"]);
}
