//! What each replica of a key durably holds and what hints wait for it, asked for by an operator. Every replica is asked once,
//! whether it is thought to be up or not, and members what they keep as hints (`why/hints.rs`); the answer tells what came
//! within the time given. Any node may ask.

mod hints;

use core::time::Duration;

use super::{Effect, Origin, Pending, Preference, Shard};
use crate::{Explanation, Holding, Message, NodeId, Now, Op, Record, Response, StoredKey};

pub(super) use hints::Asked;

/// What one replica said.
type Answer = Result<Option<Record>, String>;

#[derive(Debug)]
pub(super) struct Why {
    origin: Origin,
    place: Preference,
    key: StoredKey,
    /// How long who is silent is waited for.
    until: Duration,
    /// By position; none while it is waited for.
    answers: Vec<Option<Answer>>,
    /// The operation that asks for hints, as soon as it has begun.
    hints: Option<Op>,
}

impl Why {
    /// Whether it waits for that node.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        self.place.position_of(node).is_some_and(|replica| self.answers[replica].is_none())
    }
}

impl Shard {
    pub(super) fn why(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        key: StoredKey,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let replicas = place.len();
        // The others' silence must not cost the answer of those who spoke.
        let until = now.elapsed.saturating_add(deadline.saturating_sub(now.elapsed) / 2);
        let why =
            Why { origin, place: place.clone(), key: key.clone(), until, answers: vec![None; replicas], hints: None };
        let op = self.ops.insert(Pending::Why(why));
        self.deadlines.add(now.elapsed, until, op);
        for replica in 0..replicas {
            self.send_why(now, op, replica, out);
        }
        let asked = self.ask_for_hints(now, op, &place, &key, until, out);
        if let Some(Pending::Why(why)) = self.ops.get_mut(op) {
            why.hints = Some(asked);
        }
        self.why_finish_if_complete(op, out);
    }

    fn send_why(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(why)) = self.ops.get_mut(op) else { return };
        let (key, until) = (why.key.clone(), why.until);
        if !why.place.is_me(replica) {
            let (node, tag) = why.place.address(replica);
            return self.ask(node, tag, until, Message::Read { op, key, known: None, stand_in_for: None }, out);
        }
        self.read_here(now, op, key, until, out);
    }

    pub(super) fn why_reply(&mut self, node: NodeId, op: Op, record: Option<Record>, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(why)) = self.ops.get_mut(op) else { return };
        let Some(replica) = why.place.position_of(node) else { return };
        self.why_answered(op, replica, Ok(record), out);
    }

    pub(super) fn why_failed(&mut self, node: NodeId, op: Op, why_not: String, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(why)) = self.ops.get_mut(op) else { return };
        let Some(replica) = why.place.position_of(node) else { return };
        self.why_answered(op, replica, Err(why_not), out);
    }

    pub(super) fn why_answered(&mut self, op: Op, replica: usize, answer: Answer, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(why)) = self.ops.get_mut(op) else { return };
        why.answers[replica].get_or_insert(answer);
        self.why_finish_if_complete(op, out);
    }

    fn why_finish_if_complete(&mut self, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(why)) = self.ops.get_mut(op) else { return };
        let Some(hints) = why.hints.filter(|_| why.answers.iter().all(Option::is_some)) else { return };
        if let Some(Pending::WhyHints(asked)) = self.ops.get_mut(hints)
            && asked.is_complete()
        {
            self.why_finish(op, out);
        }
    }

    pub(super) fn why_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(why)) = self.ops.get_mut(op) else { return };
        if now.elapsed < why.until {
            self.deadlines.add(now.elapsed, why.until, op);
        } else {
            self.why_finish(op, out);
        }
    }

    /// Answers with what is known by now.
    fn why_finish(&mut self, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Why(Why { origin, place, answers, hints, .. })) = self.ops.remove(op) else { return };
        let Some(Pending::WhyHints(asked)) = hints.and_then(|hints| self.ops.remove(hints)) else {
            unreachable!("both halves begin and end together")
        };
        let holdings = answers.into_iter().enumerate().map(|(position, answer)| {
            let silent = || Err("it did not answer in time".to_owned());
            let node = place.replica(position).id;
            Holding { node, held: answer.unwrap_or_else(silent), hints: asked.kept_for(node) }
        });
        let replicas = holdings.collect();
        let told = Explanation { replicas, silent: asked.silent(), unasked: asked.unasked() };
        self.answer(origin, Response::Why(told), out);
    }
}
