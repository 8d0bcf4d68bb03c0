//! Telling which hints of a key this node keeps, for each of the key's replicas. A coordinator asks that is to show it to an
//! operator; it may be this node itself. Unlike a read from stand-ins nothing is merged, and spare hints are told of too.

use core::time::Duration;

use kvorum_hints::Kind;

use super::content_key;
use crate::shard::{Effect, Pending, Shard, StoreError};
use crate::{KeptHint, Message, NodeId, Now, Op, Outline, PeerShard, Record, StoredKey};

/// The hints of one key are being looked up.
#[derive(Debug)]
pub(in crate::shard) struct Lookup {
    /// Who asked; none if it was this node.
    asker: Option<PeerShard>,
    /// The asker's operation.
    op: Op,
    key: StoredKey,
    /// How long the asker waits.
    until: Duration,
    /// What there may be and was not looked at; the last is being read.
    left: Vec<(NodeId, Kind)>,
    found: Vec<KeptHint>,
}

impl Shard {
    /// Answers with all that is durably kept. What this node cannot serve as a replica, being in doubt, it may tell all the same.
    pub(in crate::shard) fn look_up_hints(
        &mut self,
        now: Now,
        asker: Option<PeerShard>,
        op: Op,
        key: &StoredKey,
        until: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let targets = self.view.replicas(key.partition()).map(|replica| replica.id).filter(|id| *id != self.me.node);
        let left = targets.flat_map(|target| [(target, Kind::Spare), (target, Kind::Owed)]).collect();
        let lookup = Lookup { asker, op, key: key.detached(), until, left, found: Vec::new() };
        let mine = self.ops.insert(Pending::HintLookup(lookup));
        self.look_up_next_hint(now, mine, out);
    }

    fn look_up_next_hint(&mut self, now: Now, mine: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::HintLookup(lookup)) = self.ops.get_mut(mine) else { return };
        match lookup.left.last() {
            Some((target, kind)) => {
                let (content, until) = (content_key(*target, *kind, &lookup.key), lookup.until);
                self.read_here(now, mine, content, until, out);
            }
            None => self.hints_looked_up(mine, None, out),
        }
    }

    /// One that there may be was read, or cannot be.
    pub(in crate::shard) fn hint_looked_up(
        &mut self,
        now: Now,
        mine: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::HintLookup(lookup)) = self.ops.get_mut(mine) else { return };
        let record = match result {
            Ok(record) => record,
            Err(error) => return self.hints_looked_up(mine, Some(error), out),
        };
        if let (Some((target, kind)), Some(record)) = (lookup.left.pop(), record) {
            let versions = record.versions().map(Outline::from).collect();
            lookup.found.push(KeptHint { target, owed: kind == Kind::Owed, versions });
        }
        self.look_up_next_hint(now, mine, out);
    }

    fn hints_looked_up(&mut self, mine: Op, error: Option<StoreError>, out: &mut impl Extend<Effect>) {
        let Some(Pending::HintLookup(Lookup { asker, op, found, .. })) = self.ops.remove(mine) else { return };
        match (asker, error) {
            (Some(from), None) => self.send(from, Message::HintsReply { op, hints: found }, out),
            (Some(from), Some(error)) => self.refuse(from, op, error.kind(), &error.to_string(), out),
            (None, None) => self.why_hints_told(op, self.me.node, found, out),
            (None, Some(_)) => self.why_hints_failed(op, self.me.node, out),
        }
    }
}
