//! Owns what goes into a message, which is never larger than it may be.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Address, Gossip, Id};
use crate::codec::{Codec, digest_len, fit};
use crate::member::{Incarnation, State};
use crate::message::{Digest, Message, MessageKind, Range};

/// So many counters of other members go along with each exchange with a random partner; in a cluster so small that they
/// are all of them, with every exchange.
const COUNTERS: usize = 16;
const SMALL: usize = 24;
/// So many members that are or were suspected are mentioned in every message.
const SUSPECTS: usize = 16;
/// The counts of the lists may take so many bytes more than those of empty ones.
const COUNTS: usize = 8;
/// Less space than this is not worth looking for what fits into it.
const SCRAP: usize = 24;
/// So many records that do not fit are passed over in search of one that does.
const MISSES: usize = 8;
/// So much that was asked for is prepared; no message holds more.
pub(super) const MAX_ANSWERS: usize = 256;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// To one that is watched: news, and who is suspected.
    Brief,
    /// To a random partner: also counters of others, or a part of the list.
    Full,
    /// An answer to an answer: only what was asked.
    Answer,
}

/// What is to be said in answer to a message.
#[derive(Clone, Debug)]
pub(super) struct Exchange<I> {
    /// What the other side lacks: all that is newer than this version.
    pub(super) answers: BTreeMap<I, u64>,
    /// What this side lacks.
    pub(super) wanted: BTreeSet<I>,
    /// The lists of both sides differ, and are to be compared.
    pub(super) compare: bool,
}

impl<I: Ord> Exchange<I> {
    pub(super) fn new() -> Self {
        Self { answers: BTreeMap::new(), wanted: BTreeSet::new(), compare: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.wanted.is_empty()
    }

    pub(super) fn answer(&mut self, id: I, after: u64) {
        if self.answers.len() < MAX_ANSWERS {
            let least = self.answers.entry(id).or_insert(after);
            *least = after.min(*least);
        }
    }
}

impl<I: Id, A: Address> Gossip<I, A> {
    pub(super) fn compose(&mut self, kind: MessageKind, detail: Detail, exchange: &Exchange<I>) -> Message<I, A> {
        let own = self.own_place();
        let mut message = Message {
            kind,
            sender: self.roster.digest(own),
            address: self.roster.slot(own).record.address.clone(),
            members: self.roster.counted(),
            list: self.roster.sum(),
            deltas: Vec::new(),
            digests: Vec::new(),
            range: None,
            wanted: Vec::new(),
        };
        let mut space = self.body_bytes() - message.encoded_len() - COUNTS;
        self.want(&mut message, exchange, &mut space);
        if detail != Detail::Answer {
            self.mention_suspects(&mut message, &mut space);
        }
        self.tell(&mut message, exchange, &mut space);
        if detail == Detail::Full && exchange.compare {
            self.compare(&mut message, &mut space);
        } else if detail == Detail::Full || detail == Detail::Brief && self.roster.len() <= SMALL {
            self.mention_others(&mut message, &mut space);
        }
        debug_assert!(message.encoded_len() <= self.body_bytes(), "a message is never too long");
        message
    }

    fn want(&self, message: &mut Message<I, A>, exchange: &Exchange<I>, space: &mut usize) {
        let mut budget = *space / 2;
        for id in &exchange.wanted {
            let held = self.roster.place(id).filter(|_| *id != self.me).map(|place| self.roster.digest(place));
            // Of what is not known, or said in this node's own name, everything is wanted.
            let unknown = || Digest { id: id.clone(), incarnation: Incarnation(0), heartbeat: 0, version: 0 };
            let digest = held.unwrap_or_else(unknown);
            let len = digest_len(&digest);
            if len > budget {
                break;
            }
            budget -= len;
            *space -= len;
            message.wanted.push(digest);
        }
    }

    /// Counters of those that are suspected, so that their accusers know within a few rounds if they still rise.
    fn mention_suspects(&mut self, message: &mut Message<I, A>, space: &mut usize) {
        self.turn = self.turn.wrapping_add(1);
        let skip = self.turn.checked_rem(self.suspects.len()).unwrap_or(0);
        let suspects = self.suspects.iter().cycle().skip(skip).take(self.suspects.len().min(SUSPECTS));
        let rest = SUSPECTS - self.suspects.len().min(SUSPECTS);
        let acquitted: Vec<I> = self.acquitted.keys().take(rest).cloned().collect();
        for id in suspects.chain(&acquitted) {
            if let Some(place) = self.roster.place(id) {
                self.mention(place, &mut message.digests, space);
            }
        }
        for id in acquitted {
            if let Some(left) = self.acquitted.get_mut(&id) {
                *left -= 1;
                if *left == 0 {
                    self.acquitted.remove(&id);
                }
            }
        }
    }

    fn mention(&self, place: usize, digests: &mut Vec<Digest<I>>, space: &mut usize) -> bool {
        let digest = self.roster.digest(place);
        let Some(less) = space.checked_sub(digest_len(&digest)) else { return false };
        *space = less;
        digests.push(digest);
        true
    }

    /// What the other side lacks, then what everybody may lack, the least told first.
    fn tell(&mut self, message: &mut Message<I, A>, exchange: &Exchange<I>, space: &mut usize) {
        let enough = self.enough();
        let mut told = Vec::new();
        let mut misses = 0;
        let answers = exchange.answers.iter().map(|(id, after)| (id, *after, false));
        let news = self.news.iter().map(|(id, after)| (id, after, true));
        for (id, after, is_news) in answers.chain(news) {
            if *space < SCRAP || misses >= MISSES {
                break;
            }
            if is_news && exchange.answers.contains_key(id) {
                continue;
            }
            let Some(place) = self.roster.place(id) else { continue };
            let mut delta = self.roster.delta(place, after);
            match fit(&mut delta, *space) {
                Some(len) => {
                    *space -= len;
                    message.deltas.push(delta);
                    if is_news {
                        told.push(id.clone());
                    }
                }
                None => misses += 1,
            }
        }
        told.iter().for_each(|id| self.news.told(id, enough));
    }

    /// A few counters, of all that are live by chance.
    fn mention_others(&mut self, message: &mut Message<I, A>, space: &mut usize) {
        self.roster.renew_lists(&self.me);
        let live = &self.roster.lists().live;
        let count = if live.len() <= SMALL { live.len() } else { COUNTERS };
        for place in self.random.sample(live, count) {
            if !self.mention(place as usize, &mut message.digests, space) {
                break;
            }
        }
    }

    /// The next part of the list.
    fn compare(&mut self, message: &mut Message<I, A>, space: &mut usize) {
        // Two flags, and the count of the digests.
        let head = 4 + self.cursor.as_ref().map_or(0, Codec::encoded_len);
        let Some(less) = space.checked_sub(head) else { return };
        *space = less;
        let after = self.cursor.take();
        let first = after.as_ref().map_or(0, |id| self.roster.place_after(id));
        let mut digests = Vec::new();
        let mut end = first;
        // The dead and gone are passed over: who has forgotten them is not to learn them again.
        while end < self.roster.len() && (!self.roster.slot(end).is_counted() || self.mention(end, &mut digests, space))
        {
            end += 1;
        }
        let to_end = end == self.roster.len();
        self.cursor = digests.last().filter(|_| !to_end).map(|digest| digest.id.clone());
        message.range = Some(Range { after, digests, to_end });
    }

    /// What a peer lacks of a part of the list; who is down only if it lacks so much that it must have come just now. It is looked for from a random place on, so that several peers that are
    /// asked at once do not all say the same.
    pub(super) fn answer_range(&mut self, range: &Range<I>, sender: &I, is_new: bool, exchange: &mut Exchange<I>) {
        let first = range.after.as_ref().map_or(0, |id| self.roster.place_after(id));
        let last = range.digests.last().map_or(first, |digest| self.roster.place_after(&digest.id));
        let end = if range.to_end { self.roster.len() } else { last };
        if first >= end || !range.digests.is_sorted_by(|a, b| a.id < b.id) {
            return;
        }
        let len = end - first;
        let start = self.random.below(len as u64) as usize;
        for place in (0..len).map(|step| first + (start + step) % len) {
            let (id, slot) = (self.roster.id(place), self.roster.slot(place));
            let is_listed = range.digests.binary_search_by(|digest| digest.id.cmp(id)).is_ok();
            let is_old_news = slot.state == State::Left || slot.state == State::Down && !is_new;
            if is_listed || id == sender || is_old_news {
                continue;
            }
            exchange.answer(id.clone(), 0);
            if exchange.answers.len() >= MAX_ANSWERS {
                break;
            }
        }
    }
}
