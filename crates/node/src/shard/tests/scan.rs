//! Coordinating a page of a scan.

use bytes::Bytes;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use super::bench::*;
use crate::request::Scan;
use crate::{FailureKind, Message, Op, Operation, Record, Response, StoredKey};

fn scan(prefix: &'static str, after: Option<&'static str>, limit_bytes: u32) -> Operation {
    Operation::Scan(Scan {
        partition: PARTITION,
        prefix: Bytes::from_static(prefix.as_bytes()),
        after: after.map(|after| Bytes::from_static(after.as_bytes())),
        limit_bytes,
        limit_rows: None,
        keys_only: false,
        level: Some(Level::Quorum),
    })
}

fn row(name: &str, record: &Record) -> (StoredKey, Record) {
    (key(name), record.clone())
}

fn page(op: Op, rows: &[(StoredKey, Record)], more: bool) -> Message {
    Message::ScanReply { op, rows: rows.to_vec(), more, digest: None }
}

fn found(response: &Response) -> (Vec<String>, Option<String>) {
    let Response::Page { rows, next, .. } = response else { panic!("expected a page, not {response:?}") };
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let shown = |(key, record): &(Bytes, Record)| format!("{}={}", text(key), text(&value_of(record).unwrap()));
    (rows.iter().map(shown).collect(), next.as_ref().map(text))
}

#[test]
fn the_pages_of_the_replicas_are_merged() {
    let mut bench = Bench::node(1);
    let (old, new, gone) = (record(-50, "old"), record(-20, "new"), Record::lww(dot(-10), None, None));
    bench.store.extend([row("a", &old), row("b", &old), row("c", &old)]);
    bench.ask(scan("", None, 4096));
    let (to, op) = bench.asked();
    assert_eq!(to, [2]);
    bench.peer(2, page(op, &[row("b", &new), row("c", &gone), row("d", &new)], false));
    assert_eq!(found(&bench.reply()), (vec!["a=old".into(), "b=new".into(), "d=new".into()], None));
    bench.assert_idle();
}

#[test]
fn any_node_coordinates_a_scan_and_asks_the_next_in_place_of_one_that_fails() {
    let mut bench = Bench::node(4);
    bench.ask(scan("", None, 4096));
    let (to, op) = bench.asked();
    assert_eq!(to, [1, 2]);
    bench.peer(1, page(op, &[], false));
    bench.refuse(2, op);
    assert_eq!(bench.asked(), (vec![3], op));
    bench.peer(3, page(op, &[row("a", &record(0, "v"))], false));
    assert_eq!(found(&bench.reply()), (vec!["a=v".into()], None));
    bench.assert_idle();
}

#[test]
fn pages_follow_each_other_until_every_key_was_told_once() {
    let mut bench = Bench::node(1);
    let names: Vec<String> = (0..40).map(|n| format!("k{n:02}")).collect();
    let mut peer = Bench::node(2);
    for (n, name) in names.iter().enumerate() {
        // Each key is on one of the replicas at least.
        if n % 3 != 0 {
            bench.store.insert(key(name), record(-1, "v"));
        }
        if n % 3 != 1 {
            peer.store.insert(key(name), record(-1, "v"));
        }
    }
    let (mut told, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let Operation::Scan(mut request) = scan("k", None, 200) else { unreachable!() };
        request.after = after;
        bench.ask(Operation::Scan(request));
        for (_, message) in bench.sent() {
            peer.peer(1, message);
        }
        for (_, message) in peer.sent() {
            bench.peer(2, message);
        }
        let Response::Page { rows, next, .. } = bench.reply() else { panic!("a page") };
        let bytes: usize = rows
            .iter()
            .map(|(name, record)| crate::row_weight(&StoredKey::new(crate::DEFAULT_KEYSPACE, PARTITION, name), record))
            .sum();
        assert!(bytes < 200 + 64, "a page of {bytes} bytes");
        told.extend(rows.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()));
        pages += 1;
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(told, names);
    assert!(pages > 5, "{pages} pages");
}

#[test]
fn a_page_ends_after_as_many_rows_as_asked_for() {
    let mut bench = Bench::node(1);
    bench.store.extend(["a", "b", "c"].map(|name| row(name, &record(-1, "v"))));
    for (limit, next) in [(0, Some("a")), (2, Some("b")), (3, None), (9, None)] {
        let Operation::Scan(mut request) = scan("", None, 4096) else { unreachable!() };
        (request.limit_rows, request.level) = (Some(limit), Some(Level::One));
        bench.ask(Operation::Scan(request));
        assert_eq!(found(&bench.reply()).1.as_deref(), next);
    }
}

#[test]
fn a_page_that_says_there_is_more_but_not_from_where_is_no_answer() {
    let mut bench = Bench::node(1);
    bench.ask(scan("b", None, 4096));
    let (_, op) = bench.asked();
    bench.peer(2, page(op, &[row("a", &record(0, "outside"))], true));
    assert_eq!(bench.asked().0, [3], "another is asked");
    bench.peer(3, page(op, &[row("a", &record(0, "outside")), row("b", &record(0, "v"))], false));
    assert_eq!(found(&bench.reply()), (vec!["b=v".into()], None));
}

#[test]
fn a_cursor_beyond_the_prefix_finds_nothing() {
    let mut bench = Bench::node(1);
    bench.store.extend(["a", "b", "c"].map(|name| row(name, &record(-1, "v"))));
    let Operation::Scan(mut request) = scan("a", Some("b"), 4096) else { unreachable!() };
    request.level = Some(Level::One);
    bench.ask(Operation::Scan(request));
    assert_eq!(found(&bench.reply()), (vec![], None));
}

#[test]
fn a_partition_that_does_not_exist_is_invalid() {
    let mut bench = Bench::node(1);
    for partition in [1, u16::MAX] {
        let Operation::Scan(mut request) = scan("", None, 4096) else { unreachable!() };
        request.partition = PartitionId(partition);
        bench.ask(Operation::Scan(request));
        assert_eq!(failure(&bench.reply()).kind, FailureKind::Invalid);
    }
    bench.assert_idle();
}

#[test]
fn a_scan_that_too_few_answer_ends() {
    let mut bench = Bench::node(1);
    bench.ask(scan("", None, 4096));
    bench.sent();
    bench.wait(ms(1010));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::TimedOut);
    assert_eq!(bench.reports().len(), 1);
    bench.assert_idle();
}
