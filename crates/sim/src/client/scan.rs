//! How clients scan: one page from somewhere, a whole set, a whole partition; and what a page tells of.

use core::time::Duration;

use bytes::Bytes;
use kvorum_history::{Action, Moment};
use kvorum_node::request::Scan;
use kvorum_node::{Operation, Record, Response};
use kvorum_quorum::Level;
use kvorum_ring::{PartitionId, Token};

use super::outcome::{check_replicas, outcome_of};
use super::{Asked, Clients};
use crate::config::Levels;
use crate::environment::Environment;
use crate::event::HostIndex;
use crate::watch::moment;
use crate::workload::{KeyIndex, set_prefix};

impl Clients {
    /// One page, from somewhere.
    pub(super) fn scan(
        &mut self,
        session: usize,
        host: HostIndex,
        key: KeyIndex,
        timeout: Duration,
        env: &mut Environment,
    ) {
        let after = self.random.permille(200).then(|| self.name(key));
        let limit_bytes = self.random.below(120) as u32;
        let limit_rows = self.random.permille(250).then(|| 1 + self.random.below(2) as u32);
        let scan = Scan {
            partition: self.partition_of(self.keys.name(key)),
            prefix: Bytes::new(),
            after,
            limit_bytes,
            limit_rows,
            keys_only: false,
            level: Some(self.levels.read),
        };
        self.ask_scan(session, host, scan, false, timeout, env);
    }

    /// All elements of a set, page by page.
    pub(super) fn list(
        &mut self,
        session: usize,
        host: HostIndex,
        set: usize,
        timeout: Duration,
        env: &mut Environment,
    ) {
        let prefix = set_prefix(set);
        let scan = Scan {
            partition: self.partition_of(&prefix),
            prefix: prefix.into(),
            after: None,
            limit_bytes: 50 + self.random.below(400) as u32,
            limit_rows: None,
            keys_only: false,
            level: Some(self.levels.read),
        };
        self.ask_scan(session, host, scan, true, timeout, env);
    }

    pub(super) fn ask_scan(
        &mut self,
        session: usize,
        host: HostIndex,
        scan: Scan,
        to_the_end: bool,
        timeout: Duration,
        env: &mut Environment,
    ) {
        let asked = Asked::Scan { scan: scan.clone(), invoked: moment(env.now), to_the_end };
        self.send(session, host, asked, Operation::Scan(scan), timeout, env);
    }

    /// Somebody who asks only this: scans a partition to its end in all replicas, through a node. Gives who it is, for
    /// [`Clients::has_scanned`].
    pub(crate) fn scan_once(
        &mut self,
        host: HostIndex,
        partition: PartitionId,
        level: Level,
        timeout: Duration,
        env: &mut Environment,
    ) -> usize {
        let session = self.newcomer();
        let scan = Scan {
            partition,
            prefix: Bytes::new(),
            after: None,
            limit_bytes: 4096,
            limit_rows: None,
            keys_only: false,
            level: Some(level),
        };
        self.ask_scan(session, host, scan, true, timeout, env);
        session
    }

    /// Whether somebody's last scan succeeded, if it has ended.
    pub(crate) fn has_scanned(&self, session: usize) -> Option<bool> {
        self.sessions[session].scanned
    }

    pub(super) fn scan_ended(&mut self, session: usize, succeeded: bool, env: &mut Environment) {
        env.stats.failed_reads += u64::from(!succeeded);
        self.sessions[session].scanned = Some(succeeded);
    }

    /// A page tells of every key it covers, of those it leaves out too. Gives where the next one begins.
    pub(super) fn scanned(
        &mut self,
        session: usize,
        host: HostIndex,
        scan: &Scan,
        invoked: Moment,
        response: &Response,
        env: &mut Environment,
    ) -> Option<Bytes> {
        let (rows, next, as_of_ms) = match response {
            Response::Page { partition, rows, as_of_ms, next, replicas } => {
                assert_eq!(*partition, scan.partition, "a page is of the partition that was asked for");
                let advances = next.as_ref().is_none_or(|next| scan.after.as_ref() < Some(next));
                assert!(advances, "a page goes on behind the one before, not at {next:?}");
                let level = scan.level.expect("clients name their levels");
                check_replicas(*replicas, Levels::count(level, self.replication) as u8);
                (rows, next.clone(), *as_of_ms)
            }
            Response::Failed(_) => {
                self.scan_ended(session, false, env);
                return None;
            }
            other => panic!("a scan is answered with a page, not {other:?}"),
        };
        for key in 0..self.keys.names().len() {
            let name = self.keys.name(key);
            let covered = self.partition_of(name) == scan.partition && covers(scan, next.as_ref(), name.as_bytes());
            let row = |(row, _): &&(Bytes, Record)| row == name.as_bytes();
            let found = rows.iter().find(row).map(|(_, record)| record);
            assert!(covered || found.is_none(), "a page holds only what was asked for");
            if covered {
                let id = self.begin(session, host, key, Action::Get, None, invoked);
                self.scanned.insert(id);
                let (outcome, saw) = outcome_of(found, as_of_ms, self.mode);
                if let Some(saw) = saw {
                    self.history.saw(id, saw);
                }
                self.end(id, outcome, env);
            }
        }
        if next.is_none() {
            self.scan_ended(session, true, env);
        }
        next
    }

    fn partition_of(&self, key: &str) -> PartitionId {
        self.partitions.of(Token::of(key.as_bytes()))
    }
}

/// Whether a page that ends where `next` goes on tells of a key.
fn covers(scan: &Scan, next: Option<&Bytes>, key: &[u8]) -> bool {
    let after = scan.after.as_ref().is_none_or(|after| key > after);
    key.starts_with(&scan.prefix) && after && next.is_none_or(|next| key <= next)
}
