//! Owns the sorted entries of a memtable: a B+ tree in an arena, for one writer and any number of readers, who take no lock and wait for
//! nobody. Nothing is ever removed or overwritten; everything goes at once with the tree. It knows order, not visibility.
//!
//! A cache miss is what costs time here, and a search in a skip list has one per step, some 18 of them. A tree of small nodes
//! that hold short prefixes has one for the leaf and one for the entry; the upper nodes stay in the cache.
//!
//! # Why readers see a consistent tree
//!
//! A node with room takes a new slot by one store (see [`node`](super::node)). A full one is never changed: two new nodes are made
//! of its slots. The right one is then inserted into the parent, and only then is the left one put in the place of the old.
//! Before the first store readers find the full node; between the two, keys of the left half are still found in it and
//! those of the right half in the new node; a reader that has chosen by the parent's old order and then meets the new left child
//! notices that the order has changed, and chooses again. Whoever is in the old node already goes on there: it holds all
//! that was there when the reader came. Nodes left behind in this way stay in the arena. A random load leaves as many behind as it
//! goes on to use, some 25 bytes per entry of each.

use std::alloc::Layout;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::arena::Arena;
use super::node::{Item, Node, Order, SLOTS, Target};
use super::record::Record;

/// More levels than there is memory for: a node is split after it has taken in 7 at least, so each level takes 7 times as many
/// entries as the one below.
const LEVELS: usize = 16;

/// An entry's place.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    leaf: &'a Node<'a>,
    order: Order,
    position: usize,
}

impl<'a> Place<'a> {
    /// The entry here.
    pub(super) fn record(self) -> Record<'a> {
        match self.leaf.item(self.order, self.position) {
            Item::Record(record) => record,
            Item::Child(_) => unreachable!("a place is in a leaf"),
        }
    }

    /// The same place without the tree's lifetime.
    ///
    /// # Safety
    /// The tree must outlive what is returned, and everything read through it.
    #[expect(unsafe_code, reason = "lets a cursor own its place together with the tree")]
    pub(super) unsafe fn detached(self) -> Place<'static> {
        // SAFETY: only the lifetime differs, and for that the caller vouches.
        unsafe { std::mem::transmute::<Place<'a>, Place<'static>>(self) }
    }
}

/// The tree. Keys are internal keys (`key::compare`), each there once.
pub(super) struct Tree {
    /// `'static` stands for the life of the arena, which is the tree's: nothing is handed out for longer than a borrow of it.
    root: AtomicPtr<Node<'static>>,
    writer: Mutex<Writer>,
}

/// What only the writer needs.
struct Writer {
    arena: Arena,
    last: Option<Last>,
}

/// The last insertion. In an ascending load the next one belongs right behind it and is not searched for.
#[derive(Clone, Copy)]
struct Last {
    record: Record<'static>,
    /// Where it is, unless it has split nodes.
    spot: Option<Spot>,
    /// Whether it came right behind the one before.
    ascending: bool,
}

/// The place of an insertion.
#[derive(Clone, Copy)]
struct Spot {
    path: Path,
    leaf: &'static Node<'static>,
    position: usize,
}

/// For each level above the leaves the node that was passed, and the position of the child that was chosen.
type Path = [Option<(&'static Node<'static>, usize)>; LEVELS];

/// The right to insert: one at a time.
pub(super) struct Insert<'a> {
    root: &'a AtomicPtr<Node<'static>>,
    writer: MutexGuard<'a, Writer>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut arena = Arena::new();
        let root = allocate(&mut arena, Node::new(0, &[], None, None));
        let root = AtomicPtr::new(std::ptr::from_ref(root).cast_mut());
        Self { root, writer: Mutex::new(Writer { arena, last: None }) }
    }

    /// Takes the right to insert.
    ///
    /// # Panics
    /// If another has it: callers take turns. (The lock makes that certain, it is not for waiting.)
    pub(super) fn insert(&self) -> Insert<'_> {
        Insert { root: &self.root, writer: self.writer.try_lock().expect("a memtable has one writer at a time") }
    }

    pub(super) fn first(&self) -> Option<Place<'_>> {
        let leaf = self.leaf(|_, _| 0);
        let order = leaf.order();
        (order.count() > 0).then_some(Place { leaf, order, position: 0 })
    }

    pub(super) fn last(&self) -> Option<Place<'_>> {
        let leaf = self.leaf(|_, order| order.count() - 1);
        let order = leaf.order();
        Some(Place { leaf, order, position: order.count().checked_sub(1)? })
    }

    /// The first entry at or behind an internal key.
    pub(super) fn seek(&self, target: Target<'_>) -> Option<Place<'_>> {
        let leaf = self.leaf(|node, order| child_before(node, order, target.after()));
        let order = leaf.order();
        let position = leaf.before(order, target);
        if position < order.count() {
            return Some(Place { leaf, order, position });
        }
        self.at_high(leaf)
    }

    /// As [`seek`](Self::seek), where only the entry matters.
    pub(super) fn find(&self, target: Target<'_>) -> Option<Record<'_>> {
        let leaf = self.leaf(|node, order| child_before(node, order, target.after()));
        let order = leaf.order();
        let position = leaf.before(order, target);
        if position < order.count() {
            return Some(Place { leaf, order, position }.record());
        }
        leaf.high()
    }

    /// The last entry before an internal key.
    pub(super) fn seek_before(&self, target: Target<'_>) -> Option<Place<'_>> {
        let leaf = self.leaf(|node, order| child_before(node, order, target));
        let order = leaf.order();
        Some(Place { leaf, order, position: leaf.before(order, target).checked_sub(1)? })
    }

    /// The place behind this one.
    pub(super) fn next<'a>(&'a self, place: Place<'a>) -> Option<Place<'a>> {
        if place.position + 1 < place.order.count() {
            return Some(Place { position: place.position + 1, ..place });
        }
        self.at_high(place.leaf)
    }

    /// The place before this one.
    pub(super) fn prev<'a>(&'a self, place: Place<'a>) -> Option<Place<'a>> {
        if place.position > 0 {
            return Some(Place { position: place.position - 1, ..place });
        }
        let (key, trailer) = place.leaf.low()?.key();
        self.seek_before(Target { key, trailer })
    }

    /// The first entry behind a leaf.
    fn at_high<'a>(&'a self, leaf: &Node<'a>) -> Option<Place<'a>> {
        let (key, trailer) = leaf.high()?.key();
        self.seek(Target { key, trailer })
    }

    /// Goes down to a leaf, at each node to the child at a position.
    fn leaf<'a>(&'a self, position: impl Fn(&Node<'a>, Order) -> usize) -> &'a Node<'a> {
        // SAFETY: the tree is borrowed for `'a`.
        #[expect(unsafe_code, reason = "nothing found in the tree outlives this borrow of it")]
        let mut node: &'a Node<'a> = unsafe { load(&self.root) };
        while !node.is_leaf() {
            let order = node.order();
            let Item::Child(child) = node.item(order, position(node, order)) else { unreachable!("not a leaf") };
            child.touch();
            // The child may be the left part of what the order meant; then the order has changed first.
            if node.order() == order {
                node = child;
            }
        }
        node
    }
}

impl Insert<'_> {
    /// Puts an entry in, in O(log n).
    pub(super) fn entry(&mut self, key: &[u8], trailer: u64, value: &[u8]) {
        let target = Target { key, trailer };
        let last = self.writer.last;
        let expected =
            last.filter(|last| last.ascending).and_then(|last| last.spot).and_then(|spot| spot.behind(target));
        self.put(expected.unwrap_or_else(|| Spot::find(self.root, target)), target, value);
    }

    /// Puts an entry in that is behind the last one. If not far behind, it is in the same leaf.
    pub(super) fn entry_behind(&mut self, key: &[u8], trailer: u64, value: &[u8]) {
        let target = Target { key, trailer };
        let last = self.writer.last;
        debug_assert!(last.is_none_or(|last| target.is_behind(last.record)), "entries come in ascending order");
        let near = last.and_then(|last| last.spot).and_then(|spot| spot.in_leaf(target));
        self.put(near.unwrap_or_else(|| Spot::find(self.root, target)), target, value);
    }

    fn put(&mut self, spot: Spot, Target { key, trailer }: Target<'_>, value: &[u8]) {
        let Spot { path, leaf, position } = spot;
        let Writer { arena, last } = &mut *self.writer;
        let ascending = last.is_some_and(|last| spot.is_behind(last.record));

        // SAFETY: the record lies in the tree's own arena and is used as long as that only.
        #[expect(unsafe_code, reason = "the tree borrows from its own arena")]
        let record = unsafe { Record::new(arena, key, trailer, value) };
        *last = Some(Last { record, spot: Some(spot), ascending });
        let (mut node, mut position, mut item, mut left) = (leaf, position, Item::Record(record), None);
        loop {
            if node.order().count() < SLOTS {
                node.insert(position, item);
                if let Some(left) = left {
                    node.replace(position - 1, left);
                }
                return;
            }
            *last = Some(Last { record, spot: None, ascending });
            let (new_left, right) = split(arena, node, left, position, item, ascending);
            let Some((parent, child)) = path[node.level() as usize + 1] else {
                let items = [Item::Child(new_left), Item::Child(right)];
                let root = allocate(arena, Node::new(node.level() + 1, &items, None, None));
                self.root.store(std::ptr::from_ref(root).cast_mut(), Ordering::Release);
                return;
            };
            (node, position, item, left) = (parent, child + 1, Item::Child(right), Some(new_left));
        }
    }

    /// What the tree holds of the system's memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.writer.arena.bytes()
    }
}

impl Spot {
    /// Where a new entry belongs.
    fn find(root: &AtomicPtr<Node<'static>>, target: Target<'_>) -> Self {
        // SAFETY: what is found here goes back into the tree, and nowhere else.
        #[expect(unsafe_code, reason = "the tree borrows from its own arena")]
        let mut leaf: &'static Node<'static> = unsafe { load(root) };
        let mut path = [None; LEVELS];
        while !leaf.is_leaf() {
            let order = leaf.order();
            let position = child_before(leaf, order, target.after());
            path[leaf.level() as usize] = Some((leaf, position));
            let Item::Child(child) = leaf.item(order, position) else { unreachable!("not a leaf") };
            leaf = child;
        }
        let spot = Self { path, leaf, position: leaf.before(leaf.order(), target) };
        debug_assert!(spot.at(0).is_none_or(|next| target.is_before(next)), "an internal key is inserted once");
        spot
    }

    /// The spot behind this one, if a new entry belongs there.
    fn behind(self, target: Target<'_>) -> Option<Self> {
        let fits = self.at(0).is_some_and(|here| target.is_behind(here))
            && self.at(1).is_none_or(|next| target.is_before(next));
        fits.then_some(Self { position: self.position + 1, ..self })
    }

    /// The spot of something behind this one, if that belongs into the same leaf.
    fn in_leaf(self, target: Target<'_>) -> Option<Self> {
        let Self { path, leaf, .. } = self;
        if leaf.high().is_some_and(|high| !target.is_before(high)) {
            return None;
        }
        Some(Self { path, leaf, position: leaf.before(leaf.order(), target) })
    }

    /// Whether it is behind this very entry.
    fn is_behind(self, record: Record<'_>) -> bool {
        let before = self.position.checked_sub(1).map(|before| self.leaf.item(self.leaf.order(), before).low());
        before.flatten().is_some_and(|before| before.as_ptr() == record.as_ptr())
    }

    /// The entry that is now so many positions further.
    fn at(self, further: usize) -> Option<Record<'static>> {
        let (order, position) = (self.leaf.order(), self.position + further);
        if position < order.count() { self.leaf.item(order, position).low() } else { self.leaf.high() }
    }
}

/// The position of the child in which an entry right before the target lies, or would lie.
fn child_before(node: &Node<'_>, order: Order, target: Target<'_>) -> usize {
    node.before(order, target).saturating_sub(1)
}

/// Makes two nodes of a full one and an item to be put in at a position, where the child before it may have shrunk to `left`.
fn split(
    arena: &mut Arena,
    full: &'static Node<'static>,
    left: Option<&'static Node<'static>>,
    position: usize,
    item: Item<'static>,
    ascending: bool,
) -> (&'static Node<'static>, &'static Node<'static>) {
    let order = full.order();
    let items: [Item<'static>; SLOTS + 1] = std::array::from_fn(|at| match left {
        _ if at == position => item,
        Some(left) if at + 1 == position => Item::Child(left),
        _ => full.item(order, at - usize::from(at > position)),
    });
    // An ascending load would leave nothing but half-filled nodes behind it.
    let cut = if ascending && position == SLOTS { SLOTS } else { SLOTS.div_ceil(2) };
    let middle = items[cut].low();
    let left = Node::new(full.level(), &items[..cut], full.low(), middle);
    let right = Node::new(full.level(), &items[cut..], middle, full.high());
    (allocate(arena, left), allocate(arena, right))
}

/// # Safety
/// The tree that the root is of must outlive `'a`.
#[expect(unsafe_code, reason = "the root is loaded from an atomic pointer")]
unsafe fn load<'a>(root: &AtomicPtr<Node<'static>>) -> &'a Node<'a> {
    // SAFETY: it always points to a node in the tree's arena, which was complete before it was stored with `Release`.
    unsafe { &*root.load(Ordering::Acquire) }
}

/// Moves a node into the arena. The reference must not outlive the arena, which is the tree's.
fn allocate(arena: &mut Arena, node: Node<'static>) -> &'static Node<'static> {
    const { assert!(size_of::<Node<'_>>() == 256) };
    let piece = arena.allocate(Layout::new::<Node<'static>>()).cast::<Node<'static>>();
    // SAFETY: the piece has the node's layout and is ours alone; from here on it is only shared.
    #[expect(unsafe_code, reason = "the tree borrows from its own arena")]
    unsafe {
        piece.write(node);
        piece.as_ref()
    }
}
