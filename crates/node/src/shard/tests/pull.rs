//! Pulling: what a node in doubt fetches from the others, and when it is told to be done.

use std::collections::BTreeSet;

use kvorum_ring::PartitionId;

use super::bench::*;
use crate::shard::{Input, Page, PullProgress, Report, StoreError};
use crate::{
    ActorId, Alteration, Catalog, CatalogChange, DEFAULT_KEYSPACE, Digest, FailureKind, KeyRange, KeyspaceId, Lane,
    Message, NodeId, Op, Record, ShardIndex, StoredKey,
};

/// The founding catalog, in which any write has to reach so many replicas at least.
fn only_default(min_write: u8) -> std::sync::Arc<Catalog> {
    let before = catalog();
    let drop = |name: &str| CatalogChange::Drop { name: name.into() };
    let alteration = Alteration { min_write: Some(min_write), ..Alteration::default() };
    let alter = CatalogChange::Alter { name: crate::DEFAULT_KEYSPACE_NAME.into(), alteration };
    let changes = [drop("carts"), drop("codes"), alter];
    changes.iter().fold(Catalog::clone(&before), |catalog, change| catalog.changed(change).unwrap().0).into()
}

/// Node 1 in doubt, the others as given.
pub(super) fn doubtful(setup: Setup) -> Bench {
    let mut bench = Bench::new(Setup { in_doubt: [vec![1], setup.in_doubt].concat(), ..setup });
    bench.tell(Input::Started);
    bench
}

pub(super) fn with_default(min_write: u8) -> Setup {
    Setup { catalog: only_default(min_write), ..Setup::default() }
}

/// The page that was asked for.
pub(super) fn page(bench: &mut Bench) -> (u64, Op, KeyRange) {
    let sent = bench.sent_in_lanes();
    let [(node, Lane::Bulk, Message::Scan { op, range, puller: Some(_), .. })] = &sent[..] else {
        panic!("expected one page to be asked for, not {sent:?}")
    };
    (*node, *op, range.clone())
}

fn page_of(op: Op, rows: Vec<(StoredKey, Record)>, more: bool) -> Message {
    let digest = Some(Digest::of_rows(&rows));
    Message::ScanReply { op, rows, more, digest }
}

/// Answers whatever is asked for with nothing, until nothing more is; who was asked about which partitions.
pub(super) fn answer_all(bench: &mut Bench) -> BTreeSet<(u64, u16)> {
    let mut asked = BTreeSet::new();
    loop {
        let sent = bench.sent();
        let Some((node, Message::Scan { op, range, .. })) = sent.first() else { return asked };
        assert_eq!(sent.len(), 1, "one page at a time");
        asked.insert((*node, range.place().unwrap().1.0));
        bench.peer(*node, page_of(*op, vec![], false));
    }
}

pub(super) fn progress(bench: &mut Bench) -> Vec<(u32, u32)> {
    let told = |report| match report {
        Report::Pull { shard: ShardIndex(_), progress: PullProgress { pulled, of, .. } } => Some((pulled, of)),
        _ => None,
    };
    bench.reports().into_iter().filter_map(told).collect()
}

#[test]
fn the_next_page_is_asked_for_when_the_rows_of_the_last_are_durable() {
    let mut bench = doubtful(with_default(3));
    let (node, op, _) = page(&mut bench);
    bench.store.insert(key("b"), record(5, "newer here"));
    let theirs = |name: &str, offset| (key(name), record(offset, "theirs"));
    let rows = vec![theirs("a", 0), theirs("b", 0), theirs("c", 9)];
    bench.store.insert(key("c"), record(5, "older here"));
    bench.peer(node, page_of(op, rows, true));
    assert_eq!((bench.sent(), bench.log.len()), (vec![], 2), "what is older than here changes nothing");
    bench.sync_some(1);
    assert_eq!(bench.sent(), []);
    bench.sync();
    // At its pace.
    bench.wait(ms(1));
    let (again, _, range) = page(&mut bench);
    assert_eq!((again, range), (node, KeyRange::of_partition(DEFAULT_KEYSPACE, PARTITION, &[], Some(b"c"))));
    assert_eq!(bench.store[&key("b")], record(5, "newer here"));
    assert_eq!(bench.store[&key("c")], record(9, "theirs"));
    assert_eq!(progress(&mut bench), [(0, 1)]);
}

#[test]
fn a_page_that_is_damaged_foreign_or_unsorted_is_not_used() {
    let rows = || vec![(key("a"), record(0, "v")), (key("b"), record(0, "v"))];
    let elsewhere = StoredKey::new(KeyspaceId(9), PARTITION, b"a");
    type Spoil<'a> = Box<dyn Fn(Op) -> Message + 'a>;
    let foreign = vec![(elsewhere, record(0, "v"))];
    let pages: [Spoil<'_>; 6] = [
        Box::new(|op| Message::ScanReply { op, rows: rows(), more: false, digest: Some(Digest([0; 16])) }),
        Box::new(|op| Message::ScanReply { op, rows: rows(), more: false, digest: None }),
        Box::new(|op| page_of(op, foreign.clone(), false)),
        Box::new(|op| page_of(op, rows().into_iter().rev().collect(), false)),
        Box::new(|op| page_of(op, [rows(), rows()].concat(), false)),
        Box::new(|op| page_of(op, vec![], true)),
    ];
    for spoilt in &pages {
        let mut bench = doubtful(with_default(3));
        let (node, op, range) = page(&mut bench);
        bench.peer(node, spoilt(op));
        assert_eq!((bench.log.len(), bench.sent()), (0, vec![]));
        bench.wait(ms(1001));
        let (again, op, same) = page(&mut bench);
        assert_eq!((again, same), (node, range), "it is asked for again");
        bench.peer(node, page_of(op, rows(), false));
        bench.sync();
        assert_eq!(bench.pairs(), rows());
    }
}

#[test]
fn an_answer_of_somebody_else_or_a_second_one_is_not_used() {
    let mut bench = doubtful(with_default(3));
    let (node, op, _) = page(&mut bench);
    assert_eq!(node, 2);
    let rows = vec![(key("a"), record(0, "v"))];
    bench.peer(3, page_of(op, rows.clone(), false));
    assert_eq!(bench.log.len(), 0);
    bench.peer(2, page_of(op, rows, false));
    bench.peer(2, page_of(op, vec![(key("z"), record(0, "v"))], false));
    bench.sync();
    assert_eq!(bench.pairs().len(), 1);
}

#[test]
fn a_page_that_does_not_come_is_asked_for_again() {
    type Fail = fn(&mut Bench, u64, Op);
    let ways: [Fail; 4] = [
        |bench, node, op| bench.refuse(node, op),
        |bench, node, op| bench.tell(Input::Unsent { to: NodeId(node), op }),
        |bench, node, _| bench.tell(Input::PeerLost(NodeId(node))),
        |bench, _, _| bench.wait(ms(10_000)),
    ];
    for fail in ways {
        let mut bench = doubtful(with_default(3));
        let (node, op, range) = page(&mut bench);
        fail(&mut bench, node, op);
        assert_eq!(bench.sent(), []);
        bench.wait(ms(1010));
        let (again, _, same) = page(&mut bench);
        assert_eq!((again, same), (node, range));
    }
}

#[test]
fn that_it_is_done_is_told_again_and_again_until_the_doubt_is_over() {
    let mut bench = doubtful(with_default(3));
    answer_all(&mut bench);
    progress(&mut bench);
    bench.wait(ms(3100));
    assert_eq!(progress(&mut bench), [(1, 1); 3]);
    bench.sees(|sight| sight.in_doubt.clear());
    progress(&mut bench);
    bench.wait(ms(5000));
    assert_eq!((progress(&mut bench), bench.sent()), (vec![], vec![]));
    assert_eq!(bench.shard.next_timeout(), None);
}

#[test]
fn a_doubt_that_ends_elsewhere_ends_the_pull() {
    let mut bench = doubtful(with_default(3));
    let (node, op, _) = page(&mut bench);
    bench.sees(|sight| sight.in_doubt.clear());
    progress(&mut bench);
    bench.peer(node, page_of(op, vec![(key("a"), record(0, "v"))], true));
    bench.wait(ms(12_000));
    assert_eq!((bench.log.len(), bench.sent(), bench.reports()), (0, vec![], vec![]));
    // A new doubt begins anew.
    bench.sees(|sight| sight.in_doubt = vec![1]);
    assert_eq!(page(&mut bench).0, node);
}

#[test]
fn keyspaces_that_are_learned_of_meanwhile_are_pulled_too() {
    let mut bench = doubtful(with_default(3));
    let (node, op, range) = page(&mut bench);
    assert_eq!(range.place(), Some((DEFAULT_KEYSPACE, PARTITION)));
    // Somebody has a newer catalog: it is not over before this node has it.
    bench.sees(|sight| sight.newest_catalog = sight.catalog.version() + 1);
    bench.peer(node, page_of(op, vec![], false));
    bench.wait(ms(2100));
    assert!(progress(&mut bench).iter().all(|told| *told == (0, 1)));
    let settings = crate::Settings { min_write: 3, ..crate::Settings::default() };
    let create = CatalogChange::Create { name: "new".into(), mode: crate::Mode::Lww, settings };
    bench.sees(|sight| sight.catalog = sight.catalog.changed(&create).unwrap().0.into());
    bench.wait(ms(1010));
    let mut pulled = BTreeSet::new();
    while let Some((node, Message::Scan { op, range, .. })) = bench.sent().first().cloned() {
        pulled.insert(range.place().unwrap().0);
        bench.peer(node, page_of(op, vec![], false));
    }
    assert!(pulled.contains(&KeyspaceId(5)), "{pulled:?}");
    assert_eq!(progress(&mut bench).last(), Some(&(1, 1)));
}

#[test]
fn it_keeps_to_its_pace() {
    let limits = crate::Limits { pull_bytes_per_second: 1000, ..crate::Limits::default() };
    let mut bench = doubtful(Setup { limits, ..with_default(3) });
    let (node, op, _) = page(&mut bench);
    let row = (key("a"), record(0, &"x".repeat(1000)));
    bench.peer(node, page_of(op, vec![row], true));
    bench.sync();
    bench.wait(ms(1000));
    assert_eq!(bench.sent(), []);
    bench.wait(ms(100));
    page(&mut bench);
}

#[test]
fn a_row_that_cannot_be_merged_here_is_pulled_again() {
    let mut bench = doubtful(with_default(3));
    let (node, op, range) = page(&mut bench);
    bench.hold_reads = true;
    let rows = vec![(key("a"), record(0, "v")), (key("b"), record(0, "v"))];
    bench.peer(node, page_of(op, rows.clone(), false));
    bench.fail_load(StoreError::Corruption("bad block".into()));
    bench.release();
    bench.sync();
    assert_eq!(bench.sent(), []);
    bench.wait(ms(1010));
    let (_, op, same) = page(&mut bench);
    assert_eq!(same, range);
    bench.peer(node, page_of(op, rows.clone(), false));
    while !bench.held.is_empty() {
        bench.release();
    }
    bench.sync();
    assert_eq!(bench.pairs(), rows);
    bench.wait(ms(1000));
    assert_eq!(progress(&mut bench).last(), Some(&(1, 1)));
}

#[test]
fn who_pulls_is_told_all_there_is_even_by_a_node_in_doubt() {
    let range = KeyRange::of_partition(DEFAULT_KEYSPACE, PartitionId(0), &[], None);
    let mut bench = doubtful(with_default(3));
    bench.sent();
    bench.store.insert(key("a"), record(0, "v"));
    let scan = |puller| Message::Scan { op: their_op(1), range: range.clone(), limit_bytes: 1000, puller };
    bench.peer(2, scan(Some(ActorId(77))));
    let Page { rows, more } = Page { rows: vec![(key("a"), record(0, "v"))], more: false };
    let digest = Some(Digest::of_rows(&rows));
    assert_eq!(bench.sent(), [(2, Message::ScanReply { op: their_op(1), rows, more, digest })]);
    bench.peer(2, scan(None));
    let sent = bench.sent();
    let [(2, Message::Refused { failure, .. })] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(failure.kind, FailureKind::Rejected);
}
