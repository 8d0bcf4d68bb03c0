//! Owns one node of a memtable's tree: a few sorted slots, to which one writer adds while others read. Its place in the tree, and what
//! happens when it is full, is [`tree`](super::tree)'s business.
//!
//! A node is 256 bytes. Two cache lines hold all that a search in it needs, the two others where the slots point to:
//!
//! ```text
//! order | common, level | 14 prefixes      14 slots | low | high
//! ```
//!
//! Slots are filled from the first to the last, and then never change, except that an inner node's child may be replaced by
//! its own left part. They are not sorted: `order` says in which order they are to be read, 4 bits for each, and how many there
//! are. It is one word, so an insertion becomes visible by one store, and a reader that has loaded it once sees a consistent node
//! (Mao, Kohler, Morris: Cache Craftiness for Fast Multicore Key-Value Storage, 2012, section 4.6).
//!
//! All keys of a node lie between its bounds, so they begin with whatever these two have in common. That part is skipped, and the 8
//! bytes behind it stand in the node as a number. Keys themselves are looked at only where these are equal.

use std::cmp::Ordering::{Greater, Less};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use super::record::Record;

/// Slots of a node. Their numbers and their count fit into 60 bits.
pub(super) const SLOTS: usize = 14;
const COUNT_AT: u32 = 4 * SLOTS as u32;

/// An internal key, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Target<'k> {
    pub(super) key: &'k [u8],
    pub(super) trailer: u64,
}

impl Target<'_> {
    /// The place right behind this key: "before that" means "at or before this".
    pub(super) fn after(self) -> Self {
        Self { trailer: self.trailer.saturating_sub(1), ..self }
    }

    /// Whether an entry is before this place, in the order of internal keys.
    pub(super) fn is_behind(self, record: Record<'_>) -> bool {
        self.compare(record) == Greater
    }

    /// Whether an entry is behind this place.
    pub(super) fn is_before(self, record: Record<'_>) -> bool {
        self.compare(record) == Less
    }

    fn compare(self, record: Record<'_>) -> core::cmp::Ordering {
        let (key, trailer) = record.key();
        self.key.cmp(key).then(trailer.cmp(&self.trailer))
    }
}

/// The slots of a node in the order of their keys, as of some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Order(u64);

impl Order {
    pub(super) fn count(self) -> usize {
        (self.0 >> COUNT_AT) as usize
    }

    fn slot(self, position: usize) -> usize {
        debug_assert!(position < self.count());
        (self.0 >> (4 * position)) as usize & 15
    }

    /// The order with the next free slot put in at a position.
    fn inserted(self, position: usize) -> Self {
        let count = self.count();
        assert!(position <= count && count < SLOTS, "a slot is put into a node that has room");
        let slots = self.0 & ((1 << COUNT_AT) - 1);
        let (before, behind) = (slots & ((1 << (4 * position)) - 1), slots >> (4 * position) << (4 * position));
        Self(before | (count as u64) << (4 * position) | behind << 4 | (count as u64 + 1) << COUNT_AT)
    }
}

/// What a slot holds.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    Record(Record<'a>),
    Child(&'a Node<'a>),
}

impl<'a> Item<'a> {
    /// The least key in it; none for a child that may hold any smaller key.
    pub(super) fn low(self) -> Option<Record<'a>> {
        match self {
            Self::Record(record) => Some(record),
            Self::Child(node) => node.low,
        }
    }

    fn as_ptr(self) -> *mut u8 {
        match self {
            Self::Record(record) => record.as_ptr().cast(),
            Self::Child(node) => std::ptr::from_ref(node).cast_mut().cast(),
        }
    }
}

/// A node whose tree lives at least as long as `'a`.
#[repr(C, align(64))]
pub(super) struct Node<'a> {
    order: AtomicU64,
    /// How many bytes all its keys have in common at least.
    common: u32,
    /// 0 for a leaf, whose slots are records; the slots of others are children of one level less.
    level: u32,
    prefixes: [AtomicU64; SLOTS],
    slots: [AtomicPtr<u8>; SLOTS],
    /// Its keys are at or behind `low` and before `high`; where one is missing, there is no such bound. Both are entries of the
    /// tree, since nothing is ever removed: `low` the first below this node, `high` the first behind it.
    low: Option<Record<'a>>,
    high: Option<Record<'a>>,
}

impl<'a> Node<'a> {
    /// A node of these items, which are in order.
    pub(super) fn new(level: u32, items: &[Item<'a>], low: Option<Record<'a>>, high: Option<Record<'a>>) -> Self {
        let common = low.zip(high).map_or(0, |(low, high)| common_len(low.key().0, high.key().0));
        let mut order = Order(0);
        let mut node = Self {
            order: AtomicU64::new(0),
            common: u32::try_from(common).expect("a key is at most 64 KiB long"),
            level,
            prefixes: [const { AtomicU64::new(0) }; SLOTS],
            slots: [const { AtomicPtr::new(std::ptr::null_mut()) }; SLOTS],
            low,
            high,
        };
        for (position, item) in items.iter().enumerate() {
            node.prefixes[position] = AtomicU64::new(node.prefix_of(*item));
            node.slots[position] = AtomicPtr::new(item.as_ptr());
            order = order.inserted(position);
        }
        node.order = AtomicU64::new(order.0);
        node
    }

    pub(super) fn order(&self) -> Order {
        Order(self.order.load(Ordering::Acquire))
    }

    /// Loads a word of each cache line that a search in this node will need last, so that all its lines are fetched at once. (It
    /// makes reads of a large tree 8 % faster.)
    pub(super) fn touch(&self) {
        for slot in [0, SLOTS - 1] {
            std::hint::black_box(self.slots[slot].load(Ordering::Relaxed));
        }
    }

    pub(super) fn level(&self) -> u32 {
        self.level
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.level == 0
    }

    pub(super) fn low(&self) -> Option<Record<'a>> {
        self.low
    }

    pub(super) fn high(&self) -> Option<Record<'a>> {
        self.high
    }

    /// How many of its items begin before the target, which lies between the node's bounds.
    pub(super) fn before(&self, order: Order, target: Target<'_>) -> usize {
        let prefix = prefix(&target.key[self.common as usize..]);
        let count = order.count();
        // All slots are compared, in the order they lie there: no jump depends on the outcome, and no load on another.
        let (mut less, mut equal) = (0, 0);
        for (slot, its) in self.prefixes.iter().enumerate() {
            let its = its.load(Ordering::Relaxed);
            less += usize::from((its < prefix) & (slot < count));
            equal += usize::from((its == prefix) & (slot < count));
        }
        while equal > 0 {
            let middle = less + equal / 2;
            if self.item(order, middle).low().is_none_or(|low| target.is_behind(low)) {
                equal -= middle + 1 - less;
                less = middle + 1;
            } else {
                equal = middle - less;
            }
        }
        less
    }

    /// The item at a position of an order of this node.
    pub(super) fn item(&self, order: Order, position: usize) -> Item<'a> {
        let slot = self.slots[order.slot(position)].load(Ordering::Acquire);
        // SAFETY: slots are filled by `new` and `insert` with what `Item::as_ptr` gives of records in a leaf and nodes of
        // the level below in others, both living for `'a`; those below the order's count are filled, and what they point
        // to was complete before: the order that names them, or the new child, was stored with `Release`.
        #[expect(unsafe_code, reason = "readers see the slot of a shared node")]
        unsafe {
            match self.level {
                0 => Item::Record(Record::from_ptr(slot.cast()).expect("a slot in use is filled")),
                _ => Item::Child(slot.cast::<Node<'a>>().as_ref().expect("a slot in use is filled")),
            }
        }
    }

    fn prefix_of(&self, item: Item<'a>) -> u64 {
        assert!(matches!(item, Item::Record(_)) == self.is_leaf(), "leaves hold records, and only they");
        item.low().map_or(0, |low| prefix(&low.key().0[self.common as usize..]))
    }
}

/// Only the writer changes nodes. It knows them as living as long as their arena.
impl Node<'static> {
    /// Puts an item into the next free slot, for readers to find from now on. Only the writer does, and only while there
    /// is room.
    pub(super) fn insert(&self, position: usize, item: Item<'static>) {
        let order = self.order();
        let inserted = order.inserted(position);
        self.prefixes[order.count()].store(self.prefix_of(item), Ordering::Relaxed);
        self.slots[order.count()].store(item.as_ptr(), Ordering::Relaxed);
        self.order.store(inserted.0, Ordering::Release);
    }

    /// Puts a child's left part in its place, when the rest of it has been inserted behind.
    pub(super) fn replace(&self, position: usize, child: &'static Node<'static>) {
        assert!(self.level == child.level + 1, "children are one level below");
        let slot = &self.slots[self.order().slot(position)];
        slot.store(Item::Child(child).as_ptr(), Ordering::Release);
    }
}

/// The first 8 bytes as a number, with zeros behind a shorter rest: where two prefixes differ, the keys differ alike.
fn prefix(rest: &[u8]) -> u64 {
    match rest.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(first)
        }
    }
}

fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
