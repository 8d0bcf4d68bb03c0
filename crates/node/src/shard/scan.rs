//! Coordinating one page of a scan: the same range is read at R replicas and merged key by key, as far as every
//! page reaches. Any node may coordinate it, replica or not.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use kvorum_quorum::{self as quorum, Outcome};

use super::get::{is_waiting, read_replicas};
use super::{Effect, Origin, Page, Pending, Preference, Shard, StoreError, emit};
use crate::{KeyRange, KeyspaceId, Message, NodeId, Now, Op, Record, Response, StoredKey, record, request, row_weight};

/// The most bytes a page may be asked to hold, so that it fits a message however it is asked.
pub(super) const PAGE_BYTES: u32 = 256 << 10;

#[derive(Debug)]
pub(super) struct Scan {
    origin: Origin,
    pub(super) place: Preference,
    range: KeyRange,
    deadline: Duration,
    limit_bytes: u32,
    limit_rows: Option<u32>,
    keys_only: bool,
    tally: quorum::Read,
    /// When it is looked at next.
    wake: Duration,
    pages: Vec<Page>,
}

impl Scan {
    /// Whether something was sent to that node and not answered.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        is_waiting(&self.place, &self.tally, node)
    }
}

impl Shard {
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, taken apart where it entered")]
    pub(super) fn scan(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        keyspace: KeyspaceId,
        scan: request::Scan,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let (tally, decisions) = match self.start_read(now, &place, keyspace, scan.level, 0, deadline) {
            Ok(started) => started,
            Err(failure) => return self.answer(origin, Response::Failed(failure), out),
        };
        let range = KeyRange::of_partition(keyspace, scan.partition, &scan.prefix, scan.after.as_deref());
        let limit_bytes = scan.limit_bytes.clamp(1, PAGE_BYTES);
        let op = self.ops.insert(Pending::Scan(Scan {
            origin,
            place,
            range,
            deadline,
            limit_bytes,
            limit_rows: scan.limit_rows,
            keys_only: scan.keys_only,
            tally,
            wake: Duration::MAX,
            pages: Vec::new(),
        }));
        self.carry_out_scan(now, op, decisions, out);
    }

    fn carry_out_scan(&mut self, now: Now, op: Op, mut decisions: Vec<quorum::Effect>, out: &mut impl Extend<Effect>) {
        for decision in decisions.drain(..) {
            match decision {
                quorum::Effect::Send { replica } => self.send_scan(now, op, replica, out),
                quorum::Effect::Done(outcome) => self.finish_scan(now, op, outcome, out),
                quorum::Effect::StandIn { .. } | quorum::Effect::Hint { .. } | quorum::Effect::Repair { .. } => {
                    unreachable!("a scan asks replicas and changes nothing")
                }
            }
        }
        self.decisions = decisions;
        if let Some(Pending::Scan(scan)) = self.ops.get_mut(op) {
            self.deadlines.watch(now.elapsed, scan.tally.next_timeout(), &mut scan.wake, op);
        }
    }

    fn send_scan(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.get_mut(op) else { return };
        let (range, limit_bytes, until) = (scan.range.clone(), scan.limit_bytes, scan.deadline);
        if scan.place.is_me(replica) && self.view.fitness().in_doubt {
            self.scan_voted(now, op, quorum::Input::Error { replica }, out);
        } else if scan.place.is_me(replica) {
            emit(out, Effect::Scan { op, range, limit_bytes, until });
        } else {
            let (node, tag) = scan.place.address(replica);
            self.ask(node, tag, until, Message::Scan { op, range, limit_bytes, puller: None }, out);
        }
    }

    pub(super) fn scan_scanned(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Page, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        match result {
            Ok(page) => self.scan_answered(now, op, 0, page, out),
            Err(_) => self.scan_voted(now, op, quorum::Input::Error { replica: 0 }, out),
        }
    }

    pub(super) fn scan_reply(&mut self, now: Now, node: NodeId, op: Op, page: Page, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.get_mut(op) else { return };
        let Some(replica) = scan.place.position_of(node) else { return };
        self.scan_answered(now, op, replica, page, out);
    }

    fn scan_answered(&mut self, now: Now, op: Op, replica: usize, mut page: Page, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.get_mut(op) else { return };
        if scan.tally.answered().contains(replica) {
            return;
        }
        page.rows.retain(|(key, _)| scan.range.contains(key.as_bytes()));
        if page.more && page.rows.is_empty() {
            // It says that there is more, but not from where on: nothing can be concluded from that.
            return self.scan_voted(now, op, quorum::Input::Error { replica }, out);
        }
        scan.pages.push(page);
        self.scan_voted(now, op, quorum::Input::Answer { replica }, out);
    }

    pub(super) fn scan_failed(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.get_mut(op) else { return };
        let Some(replica) = scan.place.position_of(node) else { return };
        self.scan_voted(now, op, quorum::Input::Error { replica }, out);
    }

    fn scan_voted(&mut self, now: Now, op: Op, vote: quorum::Input, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.get_mut(op) else { return };
        let mut decisions = core::mem::take(&mut self.decisions);
        scan.tally.handle(now.elapsed, vote, &mut decisions);
        self.carry_out_scan(now, op, decisions, out);
    }

    pub(super) fn scan_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.get_mut(op) else { return };
        scan.wake = Duration::MAX;
        let mut decisions = core::mem::take(&mut self.decisions);
        scan.tally.handle_timeout(now.elapsed, &mut self.hedges, &mut decisions);
        self.carry_out_scan(now, op, decisions, out);
    }

    fn finish_scan(&mut self, now: Now, op: Op, outcome: Outcome, out: &mut impl Extend<Effect>) {
        let Some(Pending::Scan(scan)) = self.ops.remove(op) else { unreachable!("a tally is done once") };
        let response = match outcome {
            Outcome::Reached => {
                let replicas = read_replicas(&scan.tally, scan.pages.len());
                let limits = (scan.limit_bytes as usize, scan.limit_rows.map_or(usize::MAX, |rows| rows as usize));
                let (rows, next) = merge_pages(scan.pages, now.unix_ms, scan.keys_only, limits);
                let partition = scan.place.partition();
                Response::Page { partition, rows, as_of_ms: now.unix_ms, next, replicas }
            }
            Outcome::Impossible | Outcome::TimedOut => self.read_failure(now, &scan.place, &scan.tally, outcome, out),
        };
        self.answer(scan.origin, response, out);
    }
}

/// Merges the replicas' pages, up to so many bytes and rows. Beyond the shortest page's last key that replica's word
/// is missing, so nothing there may be told yet: the next page begins behind it.
fn merge_pages(
    pages: Vec<Page>,
    unix_ms: u64,
    keys_only: bool,
    (limit_bytes, limit_rows): (usize, usize),
) -> (Vec<(Bytes, Record)>, Option<Bytes>) {
    let reach = pages.iter().filter(|page| page.more).filter_map(|page| page.rows.last()).map(|(key, _)| key).min();
    let reach = reach.cloned();
    let mut merged: BTreeMap<StoredKey, Record> = BTreeMap::new();
    for (key, found) in pages.into_iter().flat_map(|page| page.rows) {
        if reach.as_ref().is_none_or(|reach| key <= *reach) {
            let known = merged.remove(&key);
            if let Some(newest) = record::merge(known, Some(found)) {
                merged.insert(key, newest);
            }
        }
    }
    let live = merged.into_iter().filter(|(_, record)| record.is_live(unix_ms));
    let mut live = live.map(|(key, record)| (key, if keys_only { record.without_values() } else { record })).peekable();
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some((key, record)) = live.next() {
        bytes += row_weight(&key, &record);
        rows.push((key.key(), record));
        if live.peek().is_some() && (bytes >= limit_bytes || rows.len() >= limit_rows) {
            return (rows, Some(key.key()));
        }
    }
    (rows, reach.map(|key| key.key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ActorId;
    use kvorum_ring::PartitionId;
    use kvorum_vclock::{Dot, Timestamp};

    fn row(key: &str, time: u64, value: Option<&str>) -> (StoredKey, Record) {
        let dot = Dot { time: Timestamp::from_bits(time), actor: ActorId(1) };
        (
            StoredKey::new(KeyspaceId(1), PartitionId(0), key.as_bytes()),
            Record::lww(dot, value.map(str::as_bytes), None),
        )
    }

    fn merged(pages: Vec<Page>) -> (Vec<String>, Option<Bytes>) {
        let (rows, next) = merge_pages(pages, 0, false, (usize::MAX, usize::MAX));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            rows.iter()
                .map(|(key, record)| {
                    format!("{}={}", text(key), text(&record.versions().next().unwrap().value.unwrap()))
                })
                .collect(),
            next,
        )
    }

    #[test]
    fn the_newest_version_of_each_key_wins_and_deleted_ones_are_left_out() {
        let (rows, next) = merged(vec![
            Page { rows: vec![row("a", 1, Some("old")), row("b", 1, Some("b")), row("c", 1, Some("c"))], more: false },
            Page { rows: vec![row("a", 2, Some("new")), row("c", 2, None)], more: false },
        ]);
        assert_eq!(rows, ["a=new", "b=b"]);
        assert_eq!(next, None);
    }

    #[test]
    fn nothing_is_told_beyond_the_shortest_page() {
        // The second replica has a newer `c`, but its page ends before it.
        let (rows, next) = merged(vec![
            Page { rows: vec![row("a", 1, Some("a")), row("c", 1, Some("old"))], more: false },
            Page { rows: vec![row("a", 1, Some("a")), row("b", 2, None)], more: true },
        ]);
        assert_eq!(rows, ["a=a"]);
        assert_eq!(next.as_deref(), Some(&b"b"[..]));
    }
}
