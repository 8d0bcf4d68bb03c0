//! Owns the push-pull exchange: what a message asks, and what it is answered. What the records in it change is `merge.rs`.

use super::compose::{Detail, Exchange};
use super::{Address, Gossip, Id};
use crate::io::Effect;
use crate::message::{Digest, Message, MessageKind};
use crate::roster::MAX_MEMBERS;

/// Lists that differ in length by more than one part in so many are compared at any rate.
const FAR_APART: u32 = 16;

impl<I: Id, A: Address> Gossip<I, A> {
    pub(super) fn on_message(&mut self, now: u64, message: Message<I, A>, out: &mut impl Extend<Effect<I, A>>) {
        let Message { kind, sender, address, members, list, deltas, digests, range, wanted } = message;
        if sender.id == self.me && address == self.own_record().address {
            return; // Its own, by way of a seed that is this node itself.
        }
        let mut exchange = Exchange::new();
        if sender.id != self.me {
            self.rejoin(now);
        }
        if kind == MessageKind::Ack {
            self.health.answered();
        }
        let is_refused = self.hear(now, &sender, true, &mut exchange, out);
        for delta in deltas {
            self.merge(now, delta, &mut exchange, out);
        }
        for digest in digests.iter().chain(&wanted) {
            self.hear(now, digest, false, &mut exchange, out);
        }
        if let Some(range) = &range {
            for digest in &range.digests {
                self.hear(now, digest, false, &mut exchange, out);
            }
            self.answer_range(range, &sender.id, self.is_far_from(members), &mut exchange);
        }
        // What its own message brought need not be asked for.
        let held = self.roster.get(&sender.id).map(|slot| (slot.record.incarnation, slot.record.version));
        if sender.id != self.me && held >= Some((sender.incarnation, sender.version)) {
            exchange.wanted.remove(&sender.id);
        }
        self.settle(now, out);
        if is_refused {
            // It must hear from somebody that it is taken for dead.
            exchange.answer(self.me.clone(), 0);
        }
        let is_full = range.is_some() || !digests.is_empty();
        let differs = list != self.roster.sum();
        if kind == MessageKind::Syn {
            self.news.compared(!differs);
        }
        if is_full {
            self.differs = differs && self.may_compare(members);
        }
        let (kind, detail) = match kind {
            MessageKind::Syn => (MessageKind::Ack, if is_full { Detail::Full } else { Detail::Brief }),
            // An answer to an answer to an answer asks for nothing, so there is an end to it.
            MessageKind::Ack2 if exchange.answers.is_empty() => return,
            MessageKind::Ack2 => {
                exchange.wanted.clear();
                (MessageKind::Ack2, Detail::Answer)
            }
            MessageKind::Ack if exchange.is_empty() => return,
            MessageKind::Ack => (MessageKind::Ack2, Detail::Answer),
        };
        if address == self.own_record().address {
            return; // Nobody else can be there.
        }
        exchange.compare = differs && is_full && self.may_compare(members);
        self.ranges = self.ranges.saturating_sub(u32::from(exchange.compare));
        let message = self.compose(kind, detail, &exchange);
        out.extend([Effect::Send { to: address, message }]);
    }

    /// Whether it is worth comparing lists with a peer that knows so many members: while news is on its way lists differ
    /// anyhow, and it is enough to do it now and then.
    fn may_compare(&self, members: u32) -> bool {
        self.news.is_empty() || self.ranges > 0 || self.is_far_from(members)
    }

    fn is_far_from(&self, members: u32) -> bool {
        let own = self.roster.counted();
        own.abs_diff(members) > own.max(members) / FAR_APART
    }

    /// Takes a digest's heartbeat at its word, and notes what there is to ask or to answer. True if it is that of a member
    /// that has been forgotten and is not believed.
    fn hear(
        &mut self,
        now: u64,
        digest: &Digest<I>,
        first_hand: bool,
        exchange: &mut Exchange<I>,
        out: &mut impl Extend<Effect<I, A>>,
    ) -> bool {
        let Digest { ref id, incarnation, heartbeat, version } = *digest;
        if *id == self.me && self.hear_own_name(now, digest, out) {
            exchange.wanted.insert(id.clone());
            return false;
        }
        let Some(place) = self.roster.place(id) else {
            if self.zombies.refuses(id, incarnation, now) {
                self.testify_against_zombie(id, incarnation, first_hand);
                return true;
            }
            if version > 0 && self.roster.len() < MAX_MEMBERS {
                exchange.wanted.insert(id.clone());
            }
            return false;
        };
        let held = &self.roster.slot(place).record;
        let (held_incarnation, held_version) = (held.incarnation, held.version);
        if incarnation == held_incarnation && *id != self.me {
            self.sign_of_life(place, heartbeat, first_hand, now);
        }
        if (incarnation, version) > (held_incarnation, held_version) && *id != self.me {
            exchange.wanted.insert(id.clone());
        } else if (incarnation, version) < (held_incarnation, held_version) {
            exchange.answer(id.clone(), if incarnation == held_incarnation { version } else { 0 });
        }
        false
    }
}
