//! Asking the members of the cluster what they keep as hints of one key, for its replicas. Anybody may: whoever coordinated a
//! write that a replica missed, and whoever stood in for it.
//!
//! This is an operation of its own beside the one that asks the replicas, so that a refusal, or what was not sent, says which
//! of the two questions is meant. One question goes to each member, and at most [`MOST_ASKED`] in all.

use core::iter;
use core::time::Duration;
use std::collections::BTreeSet;

use crate::shard::{Effect, Pending, Preference, Shard};
use crate::{KeptHint, Message, NodeId, Now, Op, StoredKey};

/// The most members that are sent a question. In larger clusters those are left out that are the least likely to keep
/// anything.
const MOST_ASKED: usize = 64;

/// The members, and what they said.
#[derive(Debug)]
pub(in crate::shard) struct Asked {
    /// The operation that asks the replicas, and answers.
    why: Op,
    /// The likeliest first.
    members: Vec<(NodeId, Word)>,
    /// How many more there are that could have been asked.
    unasked: usize,
}

/// What a member said.
#[derive(Debug)]
enum Word {
    /// Nothing yet.
    Awaited,
    Told(Vec<KeptHint>),
    /// It will not answer, or it is away and was not asked.
    Silent,
}

impl Asked {
    /// Whether it waits for that node.
    pub(in crate::shard) fn waits_for(&self, node: NodeId) -> bool {
        self.members.iter().any(|(id, word)| *id == node && matches!(word, Word::Awaited))
    }

    pub(super) fn is_complete(&self) -> bool {
        !self.members.iter().any(|(_, word)| matches!(word, Word::Awaited))
    }

    pub(super) fn unasked(&self) -> usize {
        self.unasked
    }

    /// What is kept for a replica, and by whom.
    pub(super) fn kept_for(&self, target: NodeId) -> Vec<(NodeId, KeptHint)> {
        let told = self.members.iter().filter_map(|(holder, word)| match word {
            Word::Told(hints) => Some((*holder, hints)),
            Word::Awaited | Word::Silent => None,
        });
        let each = told.flat_map(|(holder, hints)| hints.iter().map(move |hint| (holder, hint)));
        each.filter(|(_, hint)| hint.target == target).map(|(holder, hint)| (holder, hint.clone())).collect()
    }

    /// Who has not told.
    pub(super) fn silent(&self) -> Vec<NodeId> {
        self.members.iter().filter(|(_, word)| !matches!(word, Word::Told(_))).map(|(id, _)| *id).collect()
    }
}

impl Shard {
    /// Asks every member that is up, this node among them, and the replicas in any case. Returns the operation.
    pub(super) fn ask_for_hints(
        &mut self,
        now: Now,
        why: Op,
        place: &Preference,
        key: &StoredKey,
        until: Duration,
        out: &mut impl Extend<Effect>,
    ) -> Op {
        let (mut members, mut asked, mut unasked) = (Vec::new(), Vec::new(), 0);
        for node in self.likely_holders(place) {
            let is_me = node == self.me.node;
            if !is_me && !self.view.is_up(node) && place.position_of(node).is_none() {
                members.push((node, Word::Silent));
            } else if is_me || asked.len() < MOST_ASKED {
                members.push((node, Word::Awaited));
                asked.extend((!is_me).then_some(node));
            } else {
                unasked += 1;
            }
        }
        let op = self.ops.insert(Pending::WhyHints(Asked { why, members, unasked }));
        for node in asked {
            self.ask(node, self.view.tag(), until, Message::ReadHints { op, key: key.clone() }, out);
        }
        self.look_up_hints(now, None, op, key, until, out);
        op
    }

    /// All members: this node, the replicas, who may stand in for them - first whoever is the first to do so for one of them -
    /// and the others.
    fn likely_holders(&self, place: &Preference) -> Vec<NodeId> {
        let positions = 0..place.len();
        let stand_ins: Vec<Vec<NodeId>> = positions.clone().map(|at| place.stand_ins(at).collect()).collect();
        let turns = 0..place.stand_in_count();
        let stand_ins = turns.flat_map(|turn| stand_ins.iter().filter_map(move |nodes| nodes.get(turn).copied()));
        let replicas = positions.map(|at| place.replica(at).id);
        let all = iter::once(self.me.node).chain(replicas).chain(stand_ins).chain(self.view.members.keys().copied());
        let mut seen = BTreeSet::new();
        all.filter(|node| seen.insert(*node)).collect()
    }

    /// A member tells what it keeps.
    pub(in crate::shard) fn why_hints_told(
        &mut self,
        op: Op,
        node: NodeId,
        hints: Vec<KeptHint>,
        out: &mut impl Extend<Effect>,
    ) {
        self.why_hints_said(op, node, Word::Told(hints), out);
    }

    /// A member will not tell.
    pub(in crate::shard) fn why_hints_failed(&mut self, op: Op, node: NodeId, out: &mut impl Extend<Effect>) {
        self.why_hints_said(op, node, Word::Silent, out);
    }

    fn why_hints_said(&mut self, op: Op, node: NodeId, said: Word, out: &mut impl Extend<Effect>) {
        let Some(Pending::WhyHints(asked)) = self.ops.get_mut(op) else { return };
        // The first word counts.
        let awaited = |(id, word): &&mut (NodeId, Word)| *id == node && matches!(word, Word::Awaited);
        let Some((_, word)) = asked.members.iter_mut().find(awaited) else { return };
        *word = said;
        let why = asked.why;
        self.why_finish_if_complete(why, out);
    }
}
