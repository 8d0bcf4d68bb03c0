//! Asking those who stand in for absent replicas what they keep for them.

use kvorum_quorum as quorum;

use crate::shard::hints::StandInReader;
use crate::shard::{Effect, Pending, Shard, StoreError};
use crate::{Message, NodeId, Now, Op, Record};

impl Shard {
    /// Has the next node that may stand in for a replica tell what it keeps for it.
    pub(super) fn ask_stand_in_to_read(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let Some(node) = get.place.stand_ins(replica).find(|node| !get.stand_ins.was_asked(*node)) else {
            return self.get_voted(now, op, quorum::Input::NoStandIn { replica }, out);
        };
        let (key, (target, tag)) = (get.key.clone(), get.place.address(replica));
        get.stand_ins.ask(node, replica);
        if node == self.me.node {
            self.stand_in_read(StandInReader::Mine(op), target, &key, out);
        } else {
            self.ask(node, tag, Message::Read { op, key, known: None, stand_in_for: Some(target) }, out);
        }
    }

    /// What this node keeps for an absent replica was looked up.
    pub(super) fn stand_in_told(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::StandInRead(reader)) = self.ops.remove(op) else { return };
        match (reader, result) {
            (StandInReader::Peer(from, op), Ok(record)) => self.send(from, Message::ReadReply { op, record }, out),
            (StandInReader::Peer(from, op), Err(error)) => {
                self.refuse(from, op, error.kind(), &error.to_string(), out);
            }
            (StandInReader::Mine(op), result) => {
                self.stood_in_to_read(now, op, self.me.node, result.unwrap_or_default(), out);
            }
        }
    }

    /// A stand-in tells what it keeps for a replica, or that it keeps nothing, or nothing at all.
    pub(super) fn stood_in_to_read(
        &mut self,
        now: Now,
        op: Op,
        node: NodeId,
        record: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let Some(replica) = get.stand_ins.close(node) else { return };
        match record {
            Some(record) => {
                get.merge(None, Some(record));
                self.get_voted(now, op, quorum::Input::StoodIn { replica }, out);
            }
            None => self.ask_stand_in_to_read(now, op, replica, out),
        }
    }
}
