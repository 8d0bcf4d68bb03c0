//! Command lines that are understood, and those that are refused.

use kvorum_client::{Consistency, Level};

use super::*;

fn parse(line: &str) -> Result<Args, clap::Error> {
    super::parse(line.split(' ').map(OsString::from))
}

#[test]
fn the_definition_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    let flags = "-e a:1,b:2 -k sessions -o json --timeout 300ms";
    for line in [format!("kvctl {flags} get key"), format!("kvctl get key {flags}")] {
        let global = parse(&line).unwrap().global;
        assert_eq!(global.endpoints, ["a:1", "b:2"]);
        assert_eq!((global.keyspace.as_str(), global.output), ("sessions", Output::Json));
        assert_eq!(global.timeout, Duration::from_millis(300));
    }
}

#[test]
fn values_may_be_negative_numbers_or_a_dash() {
    for value in ["-5", "-", "-1.5"] {
        let args = parse(&format!("kvctl put key {value} -w all")).unwrap();
        let Command::Put(put) = args.command else { panic!("{args:?}") };
        assert_eq!((put.value, put.write), (value.into(), Some(Level::All)));
    }
}

#[test]
fn a_status_is_watched_when_asked_for() {
    for (line, watches, interval) in
        [("kvctl status", false, None), ("kvctl status --watch --interval 2s", true, Some(Duration::from_secs(2)))]
    {
        let Command::Status(status) = parse(line).unwrap().command else { panic!("{line}") };
        assert_eq!((status.watch, status.interval), (watches, interval));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "kvctl",
        "kvctl frob",
        "kvctl status --interval 2s",
        "kvctl status --watch --interval 0s",
        "kvctl get",
        "kvctl get a b",
        "kvctl get a -r most",
        "kvctl get a -r 65",
        "kvctl put a b --ttl 0s",
        "kvctl put a b --ttl 5",
        "kvctl status --timeout 5x",
        "kvctl import f --from-line 0",
        "kvctl import f --format csv",
        "kvctl export --resume",
        "kvctl scan prefix",
        "kvctl scan --limit 0",
        "kvctl scan --limit -1",
        "kvctl scan -r most",
        "kvctl get a --strict --sloppy",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn strict_or_sloppy_is_asked_for_and_otherwise_left_to_the_keyspace() {
    let cases = [("", None), (" --strict", Some(Consistency::Strict)), (" --sloppy", Some(Consistency::Sloppy))];
    for command in ["put a b", "get a", "del a"] {
        for (flag, consistency) in cases {
            let counting = match parse(&format!("kvctl {command}{flag}")).unwrap().command {
                Command::Put(PutArgs { counting, .. })
                | Command::Get(GetArgs { counting, .. })
                | Command::Del(DelArgs { counting, .. }) => counting,
                other => panic!("{other:?}"),
            };
            assert_eq!(counting.consistency(), consistency, "{command}{flag}");
        }
        assert!(parse(&format!("kvctl {command} --strict --sloppy")).is_err(), "{command}");
    }
    assert!(parse("kvctl scan --sloppy").is_err());
}

#[test]
fn only_a_write_is_asked_for_again_and_only_if_told_so() {
    for command in ["put a b", "del a"] {
        assert!(!parse(&format!("kvctl {command}")).unwrap().command.retry_indeterminate(), "{command}");
        assert!(parse(&format!("kvctl {command} --retry")).unwrap().command.retry_indeterminate(), "{command}");
    }
    assert!(parse("kvctl get a --retry").is_err());
}

#[test]
fn a_prefix_may_be_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let line = ["kvctl", "scan", "--prefix"].map(OsString::from).into_iter();
    let args = super::parse(line.chain([OsString::from_vec(b"\xff\n".to_vec())])).unwrap();
    let Command::Scan(scan) = args.command else { panic!("{args:?}") };
    assert_eq!(bytes(scan.prefix.unwrap()), b"\xff\n"[..]);
}
