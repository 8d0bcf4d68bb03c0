//! The search for an order. It owns the configurations and which of them need not be examined; the object's answers
//! come from an [`Abstraction`].
//!
//! A configuration stands before some return and says which calls have taken effect, and what the object holds then. To
//! *pass* the return, the returning call must have taken effect, after any calls under way that it needs; other calls
//! wait ("just in time", Lowe 2017, section 4). The configurations before each return form a layer. Layers have no
//! cycles and no recursion: the search takes one configuration after the other, the farthest first, for an
//! order is found soonest that way.
//!
//! A configuration or a way to go on is left out when another does at least as well. In each case an order found
//! through the one can be rewritten into an order through the other:
//!
//! 1. *Eager calls.* A call that the abstraction calls eager takes effect at once.
//! 2. *Classes.* Of interchangeable calls under way the one that returns first goes first: in an order in which they go
//!    the other way round they change places. Calls that never return come last, by invocation.
//! 3. *Thrift.* An open call need never take effect. So a configuration in which the same other calls have taken effect
//!    and the object holds the same, but more open calls were spent, is worse.
//! 4. *Reasons.* An open call takes effect only right before a call that fits another way than it would without, and
//!    never where it changes nothing. From an order of fewest open calls none can be struck out.

use core::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::FixedState;

use super::Undecided;
use super::timeline::Timeline;
use crate::model::Abstraction;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// How many configurations are kept at most, beside some for each layer.
    pub(super) most: usize,
    /// When so many are kept, again beside some for each layer, the nearest layer comes first: when it is done it is
    /// forgotten.
    pub(super) many: usize,
    /// How many are examined at most.
    pub(super) longest: usize,
    /// Whether open calls may take effect any number of times. Then a configuration need not know which of them did, so
    /// there are few; but only the verdict that there is no order can be believed.
    pub(super) reuses_open: bool,
}

/// First in depth, for a while: what has an order mostly shows it at once.
pub(super) const SHORT: Reach = Reach { most: 1 << 15, many: usize::MAX, longest: usize::MAX, reuses_open: false };

/// Then with less to tell apart, to see that there is none.
pub(super) const LENIENT: Reach = Reach { many: 1 << 18, reuses_open: true, ..LONG };

/// At last as far as memory goes, and patience.
pub(super) const LONG: Reach = Reach { most: 1 << 23, many: 1 << 20, longest: 1 << 25, reuses_open: false };

/// Kept for each layer beside the limits, so that long histories are not taken for hard ones.
const EACH_LAYER: usize = 8;

/// What the search found. Calls go by number in the timeline.
pub(super) enum Verdict {
    Linearized(Vec<usize>),
    /// So many returns could be passed, as far as the search knows, and not the next one.
    Stuck {
        after: usize,
    },
    Undecided(Undecided),
}

/// Looks for an order of the calls.
pub(super) fn search<A: Abstraction>(abstraction: &A, timeline: &Timeline, reach: Reach) -> Verdict {
    let mut search = Search::new(abstraction, timeline, reach);
    let initial = Configuration { state: abstraction.initial(), done: vec![0; search.words].into(), order: None };
    search.open_layer(0);
    if let Some(order) = search.arrive(0, initial) {
        return Verdict::Linearized(order);
    }
    loop {
        if search.is_exhausted() {
            return Verdict::Undecided(Undecided { configurations: search.examined });
        }
        let Some(at) = search.choose() else { return Verdict::Stuck { after: search.farthest } };
        let Some(configuration) = search.layers[at].as_mut().expect("a chosen layer is kept").take() else { continue };
        search.examined += 1;
        for (call, state) in search.ways_on(at, &configuration) {
            let next = search.effect(&configuration, call, state);
            if let Some(order) = search.arrive(at, next) {
                return Verdict::Linearized(order);
            }
        }
    }
}

/// Bits, one for each slot. First come the slots of calls that return, each lent to one call after the other, then those
/// of open calls.
type Slots = Box<[u64]>;

fn is_set(slots: &Slots, slot: usize) -> bool {
    slots[slot / 64] & 1 << (slot % 64) != 0
}

#[derive(Clone)]
struct Configuration<S> {
    state: S,
    /// Which calls have taken effect: of those that have not returned.
    done: Slots,
    order: Option<Rc<Effect>>,
}

/// The last call that took effect, and those before it.
struct Effect {
    call: usize,
    before: Option<Rc<Effect>>,
}

impl Drop for Effect {
    /// One after the other: left to itself this would recurse over the length of the order.
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(effect) = next {
            next = Rc::into_inner(effect).and_then(|mut effect| effect.before.take());
        }
    }
}

fn order(last: Option<&Rc<Effect>>) -> Vec<usize> {
    let mut order: Vec<_> =
        core::iter::successors(last, |effect| effect.before.as_ref()).map(|effect| effect.call).collect();
    order.reverse();
    order
}

#[expect(clippy::disallowed_types, reason = "its hasher is fixed, and nothing iterates it")]
type ByHash = std::collections::HashMap<u64, Vec<usize>, FixedState>;

/// The configurations before one return.
struct Layer<S> {
    /// The calls under way that return, by their return: the first is the one to be passed.
    pending: Vec<usize>,
    /// How many open calls have been invoked.
    open: usize,
    /// Those that came here; what is left of them serves to recognise them.
    seen: Vec<Seen<S>>,
    /// Which of them have a state and calls with this hash.
    by_hash: ByHash,
    /// How many have been examined, of those seen.
    examined: usize,
}

struct Seen<S> {
    configuration: Configuration<S>,
    /// A better one has come since.
    is_worse: bool,
}

impl<S: Clone> Layer<S> {
    fn has_more(&self) -> bool {
        self.examined < self.seen.len()
    }

    /// The next to be examined, unless a better one has come since.
    fn take(&mut self) -> Option<Configuration<S>> {
        let seen = &mut self.seen[self.examined];
        self.examined += 1;
        let order = seen.configuration.order.take();
        (!seen.is_worse).then(|| Configuration { order, ..seen.configuration.clone() })
    }
}

struct Search<'a, A: Abstraction> {
    abstraction: &'a A,
    /// The calls that return, by their return.
    returning: Vec<usize>,
    /// Those of them that are invoked between two returns: after so many.
    invoked: Vec<Vec<usize>>,
    /// The open calls that may be of use, by invocation.
    open: Vec<usize>,
    /// How many of them are invoked before each return.
    open_before: Vec<usize>,
    /// Each open call's predecessor in its class.
    predecessor: Vec<Option<usize>>,
    /// When each call returns, in returns before it.
    returned: Vec<Option<usize>>,
    slots: Vec<usize>,
    classes: Vec<Option<usize>>,
    /// Words of slots: of calls that return, and of all.
    pending_words: usize,
    words: usize,
    /// Layers by the return they stand before; those behind are forgotten.
    layers: Vec<Option<Layer<A::State>>>,
    /// Every layer before this one has been forgotten, and none after that one has been reached.
    nearest: usize,
    farthest: usize,
    /// No layer after this one has any left to be examined.
    latest: usize,
    reach: Reach,
    kept: usize,
    examined: usize,
    hasher: FixedState,
}

impl<'a, A: Abstraction> Search<'a, A> {
    fn new(abstraction: &'a A, timeline: &Timeline, reach: Reach) -> Self {
        let (spans, returns) = (timeline.spans(), timeline.returns());
        let mut returning = vec![0; returns];
        let mut invoked = vec![Vec::new(); returns];
        let mut open = Vec::new();
        let mut open_before = vec![0; returns];
        let classes: Vec<_> = (0..spans.len()).map(|call| abstraction.class(call)).collect();
        for (call, span) in spans.iter().enumerate() {
            if let Some(number) = span.returned {
                returning[number] = call;
                invoked[span.after].push(call);
            } else if span.after < returns && classes[call].is_some() {
                open.push(call);
                open_before[span.after] += 1;
            }
        }
        for at in 1..returns {
            open_before[at] += open_before[at - 1];
        }
        let mut slots = vec![0; spans.len()];
        let mut lent: usize = 0;
        let mut free = Vec::new();
        for at in 0..returns {
            for call in &invoked[at] {
                slots[*call] = free.pop().unwrap_or(lent);
                lent = lent.max(slots[*call] + 1);
            }
            free.push(slots[returning[at]]);
        }
        let pending_words = lent.div_ceil(64);
        let mut last_of_class = std::collections::BTreeMap::new();
        let mut predecessor = vec![None; spans.len()];
        for (number, call) in open.iter().enumerate() {
            slots[*call] = 64 * pending_words + number;
            predecessor[*call] = last_of_class.insert(classes[*call], *call);
        }
        let words = pending_words + open.len().div_ceil(64);
        let layers = (0..=returns).map(|_| None).collect();
        Self {
            abstraction,
            returning,
            invoked,
            open,
            open_before,
            predecessor,
            returned: spans.iter().map(|span| span.returned).collect(),
            slots,
            classes,
            pending_words,
            words,
            layers,
            nearest: 0,
            farthest: 0,
            latest: 0,
            reach,
            kept: 0,
            examined: 0,
            hasher: FixedState::default(),
        }
    }

    fn exceeds(&self, limit: usize) -> bool {
        self.kept > limit.saturating_add(EACH_LAYER * (self.farthest - self.nearest))
    }

    fn is_exhausted(&self) -> bool {
        self.exceeds(self.reach.most) || self.examined > self.reach.longest
    }

    /// The layer to take the next configuration from, if any is left.
    fn choose(&mut self) -> Option<usize> {
        let has_more = |layer: &Option<Layer<A::State>>| layer.as_ref().is_some_and(Layer::has_more);
        if self.exceeds(self.reach.many) {
            while self.nearest < self.farthest && !has_more(&self.layers[self.nearest]) {
                if let Some(layer) = self.layers[self.nearest].take() {
                    self.kept -= layer.seen.len();
                }
                self.nearest += 1;
            }
            return has_more(&self.layers[self.nearest]).then_some(self.nearest);
        }
        self.latest = (self.nearest..=self.latest).rev().find(|at| has_more(&self.layers[*at]))?;
        Some(self.latest)
    }

    /// Makes a layer, from the one before it.
    fn open_layer(&mut self, at: usize) {
        let Some(invoked) = self.invoked.get(at) else { return };
        let before = at.checked_sub(1).and_then(|before| self.layers[before].as_ref());
        let passed = before.map_or(&[][..], |before| &before.pending[1..]);
        let mut pending = [passed, invoked].concat();
        pending.sort_unstable_by_key(|call| self.returned[*call]);
        assert_eq!(pending.first(), Some(&self.returning[at]), "the first to return is the one to be passed");
        let by_hash = ByHash::with_hasher(self.hasher.clone());
        self.layers[at] = Some(Layer { pending, open: self.open_before[at], seen: Vec::new(), by_hash, examined: 0 });
        self.farthest = self.farthest.max(at);
    }

    fn layer(&self, at: usize) -> &Layer<A::State> {
        self.layers[at].as_ref().expect("no configuration stands in a layer that is done")
    }

    /// A configuration with one more call in effect.
    fn effect(&self, before: &Configuration<A::State>, call: usize, state: A::State) -> Configuration<A::State> {
        let mut done = before.done.clone();
        let slot = self.slots[call];
        assert!(!is_set(&done, slot), "a call takes effect once");
        if !(self.reach.reuses_open && self.is_open(call)) {
            done[slot / 64] |= 1 << (slot % 64);
        }
        Configuration { state, done, order: Some(Rc::new(Effect { call, before: before.order.clone() })) }
    }

    fn is_done(&self, configuration: &Configuration<A::State>, call: usize) -> bool {
        is_set(&configuration.done, self.slots[call])
    }

    /// The calls that may take effect next: under way, not in effect, first of their class.
    fn candidates<'b>(
        &'b self,
        layer: &'b Layer<A::State>,
        configuration: &'b Configuration<A::State>,
    ) -> impl Iterator<Item = usize> + 'b {
        let pending = &layer.pending;
        let waits = |call: &usize| !self.is_done(configuration, *call);
        let is_first =
            move |class, before: &[usize]| !before.iter().any(|other| self.classes[*other] == class && waits(other));
        let returning = pending
            .iter()
            .enumerate()
            .filter(move |(index, call)| waits(call) && is_first(self.classes[**call], &pending[..*index]));
        let open = self.open[..layer.open].iter().filter(move |call| {
            waits(call)
                && self.predecessor[**call].is_none_or(|other| self.is_done(configuration, other))
                && is_first(self.classes[**call], pending)
        });
        returning.map(|(_, call)| *call).chain(open.copied())
    }

    fn is_open(&self, call: usize) -> bool {
        self.slots[call] >= 64 * self.pending_words
    }

    /// Which calls may take effect in a configuration, and what the object holds then.
    fn ways_on(&self, at: usize, configuration: &Configuration<A::State>) -> Vec<(usize, A::State)> {
        let layer = self.layer(at);
        let candidates: Vec<_> = self.candidates(layer, configuration).collect();
        let state = &configuration.state;
        let step = |call: &usize| Some((*call, self.abstraction.step(state, *call)?));
        // What a call does here. Blind calls do the same anywhere.
        let effects = candidates.iter().filter(|call| !self.abstraction.is_blind(**call));
        let effects: Vec<_> = effects.map(|call| (*call, self.abstraction.step(state, *call))).collect();
        let serves = |after: &A::State, (other, here): &(usize, Option<A::State>)| {
            let there = self.abstraction.step(after, *other);
            there.is_some() && there != *here
        };
        // The next of its class waits behind the call itself, and stands for it here.
        let has_reason = |(call, after): &(usize, A::State)| {
            !self.is_open(*call) || (after != state && effects.iter().any(|effect| serves(after, effect)))
        };
        candidates.iter().filter_map(step).filter(has_reason).collect()
    }

    /// Puts a configuration where it belongs: after all eager calls, past all returns that it can pass, and nowhere if
    /// another does as well. If nothing is left to pass, its order explains everything.
    fn arrive(&mut self, mut at: usize, mut configuration: Configuration<A::State>) -> Option<Vec<usize>> {
        loop {
            let Some(returning) = self.returning.get(at).copied() else {
                return Some(order(configuration.order.as_ref()));
            };
            if self.layers[at].is_none() {
                self.open_layer(at);
            }
            while let Some((call, state)) = self.eager(at, &configuration) {
                configuration = self.effect(&configuration, call, state);
            }
            if !self.is_done(&configuration, returning) {
                break;
            }
            // Its slot is free for another.
            let slot = self.slots[returning];
            configuration.done[slot / 64] &= !(1 << (slot % 64));
            at += 1;
        }
        self.keep(at, configuration);
        None
    }

    fn eager(&self, at: usize, configuration: &Configuration<A::State>) -> Option<(usize, A::State)> {
        let state = &configuration.state;
        self.candidates(self.layer(at), configuration)
            .filter(|call| self.abstraction.is_eager(state, *call))
            .filter_map(|call| Some((call, self.abstraction.step(state, call)?)))
            // An open call that changes nothing is spent in vain.
            .find(|(call, after)| !self.is_open(*call) || after != state)
    }

    fn keep(&mut self, at: usize, configuration: Configuration<A::State>) {
        let (pending, open) = configuration.done.split_at(self.pending_words);
        let hash = self.hasher.hash_one((&configuration.state, pending));
        let layer = self.layers[at].as_mut().expect("a configuration arrives in a layer that is kept");
        let alike = layer.by_hash.entry(hash).or_default();
        let spends_no_more = |one: &[u64], other: &[u64]| one.iter().zip(other).all(|(one, other)| one & !other == 0);
        for index in alike.iter() {
            let Seen { configuration: other, is_worse } = &mut layer.seen[*index];
            let (other_pending, other_open) = other.done.split_at(self.pending_words);
            if other.state != configuration.state || other_pending != pending {
                continue;
            }
            if spends_no_more(other_open, open) {
                return;
            }
            *is_worse |= spends_no_more(open, other_open);
        }
        alike.retain(|index| !layer.seen[*index].is_worse);
        alike.push(layer.seen.len());
        layer.seen.push(Seen { configuration, is_worse: false });
        self.kept += 1;
        self.latest = self.latest.max(at);
    }
}
