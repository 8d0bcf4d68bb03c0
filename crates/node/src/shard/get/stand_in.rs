//! Asking those who stand in for absent replicas what they keep for them.

use kvorum_quorum as quorum;

use crate::shard::hints::{StandInRead, StandInReader};
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
        let until = get.deadline;
        get.stand_ins.ask(node, replica);
        if node == self.me.node {
            self.stand_in_read(now, StandInReader::Mine(op), &key, until, out);
        } else {
            let message = Message::Read { op, key, known: None, stand_in_for: Some(target) };
            self.ask(node, tag, until, message, out);
        }
    }

    /// What this node keeps for absent replicas was looked up, or could not be.
    pub(in crate::shard) fn stand_in_told(
        &mut self,
        now: Now,
        op: Op,
        error: Option<StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::StandInRead(StandInRead { reader, found, .. })) = self.ops.remove(op) else { return };
        match (reader, error) {
            (StandInReader::Peer(from, op), None) => self.send(from, Message::ReadReply { op, record: found }, out),
            (StandInReader::Peer(from, op), Some(error)) => {
                self.refuse(from, op, error.kind(), &error.to_string(), out);
            }
            (StandInReader::Mine(op), error) => {
                self.stood_in_to_read(now, op, self.me.node, found.filter(|_| error.is_none()), out);
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
