//! The bytes of one file: as programs see them now, and what each sector and the length may be found to be after a crash.
//! It decides nothing about when calls fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::random::{Mercy, Random};

/// What a disk writes whole or not at all, in bytes.
pub(super) const SECTOR: usize = 512;

/// How many states of one sector are kept between two syncs, the durable one included. The others are dropped from the
/// middle; each that is kept could be the one that a write-back in between left on the medium.
const MOST_STATES: usize = 6;

/// `None` is all zeros.
type Sector = Option<Arc<[u8; SECTOR]>>;

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: u64,
    /// Those that are not all zeros, by their number in the file.
    sectors: BTreeMap<u64, Arc<[u8; SECTOR]>>,
    /// Those that may be found in an earlier state.
    unsure: BTreeMap<u64, Earlier<Sector>>,
    unsure_len: Earlier<u64>,
}

/// The states before the present one, the durable one first.
#[derive(Clone, Debug)]
struct Earlier<T> {
    states: Vec<T>,
    /// Whether the next sync covers the present state. After a failed one it does not: the system takes the page for clean.
    dirty: bool,
}

impl<T> Default for Earlier<T> {
    fn default() -> Self {
        Self { states: Vec::new(), dirty: false }
    }
}

impl<T> Earlier<T> {
    fn push(&mut self, state: T) {
        if self.states.len() == MOST_STATES {
            self.states.remove(MOST_STATES / 2);
        }
        self.states.push(state);
        self.dirty = true;
    }
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len);
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, part) in pieces(offset, buffer.len()) {
            match self.sectors.get(&number) {
                Some(sector) => buffer[part].copy_from_slice(&sector[within]),
                None => buffer[part].fill(0),
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        for (number, within, part) in pieces(offset, bytes.len()) {
            let before = self.sectors.get(&number).cloned();
            let mut sector = before.as_deref().copied().unwrap_or([0; SECTOR]);
            sector[within].copy_from_slice(&bytes[part]);
            self.sectors.insert(number, Arc::new(sector));
            self.unsure.entry(number).or_default().push(before);
        }
        if !bytes.is_empty() {
            self.grow(offset + bytes.len() as u64);
        }
    }

    /// Makes it at least that long; the new part reads as zeros.
    pub(super) fn grow(&mut self, len: u64) {
        if len > self.len {
            self.unsure_len.push(self.len);
            self.len = len;
        }
    }

    /// Makes it exactly that long. After a crash the sectors that were given up and the length come back each for itself,
    /// which is harsher than most file systems.
    pub(super) fn truncate(&mut self, len: u64) {
        if len >= self.len {
            return self.grow(len);
        }
        for (number, sector) in cut(&mut self.sectors, len) {
            self.unsure.entry(number).or_default().push(Some(sector));
        }
        self.unsure_len.push(self.len);
        self.len = len;
    }

    /// Everything present is durable, save what an earlier failed sync gave up and nobody wrote again.
    pub(super) fn sync(&mut self) {
        self.unsure.retain(|_, earlier| !earlier.dirty);
        if self.unsure_len.dirty {
            self.unsure_len = Earlier::default();
        }
    }

    /// A sync that fails: of each sector that it should have written, programs see the new state or the durable one from
    /// now on, and either way no later sync writes it.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let sectors = &mut self.sectors;
        self.unsure.retain(|number, earlier| {
            let dropped = earlier.dirty && random.coin();
            if dropped {
                match earlier.states.swap_remove(0) {
                    Some(sector) => sectors.insert(*number, sector),
                    None => sectors.remove(number),
                };
            }
            earlier.dirty = false;
            !dropped
        });
        self.unsure_len.dirty = false;
        // What was dropped may have lain behind the present end.
        cut(&mut self.sectors, self.len);
    }

    /// What a crash leaves of it, all of it durable.
    pub(super) fn survivor(&self, random: &mut Random) -> Self {
        let mercy = Mercy::draw(random);
        let mut sectors = self.sectors.clone();
        for (number, earlier) in &self.unsure {
            match earlier.states.get(mercy.pick(earlier.states.len(), random)) {
                Some(Some(sector)) => drop(sectors.insert(*number, sector.clone())),
                Some(None) => drop(sectors.remove(number)),
                // The present state.
                None => {}
            }
        }
        let lengths = &self.unsure_len.states;
        let len = lengths.get(mercy.pick(lengths.len(), random)).copied().unwrap_or(self.len);
        cut(&mut sectors, len);
        Self { len, sectors, ..Self::default() }
    }

    /// Turns one bit over, on the medium and in memory.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) {
        assert!(offset < self.len && bit < 8, "the bit to flip lies in the file");
        let (number, within) = (offset / SECTOR as u64, (offset % SECTOR as u64) as usize);
        let flip = |sector: &mut Arc<[u8; SECTOR]>| Arc::make_mut(sector)[within] ^= 1 << bit;
        flip(self.sectors.entry(number).or_insert_with(|| Arc::new([0; SECTOR])));
        for state in self.unsure.get_mut(&number).into_iter().flat_map(|earlier| &mut earlier.states) {
            flip(state.get_or_insert_with(|| Arc::new([0; SECTOR])));
        }
    }
}

/// Zeroes what lies behind an end; gives back the sectors that this changed, as they were.
fn cut(sectors: &mut BTreeMap<u64, Arc<[u8; SECTOR]>>, len: u64) -> Vec<(u64, Arc<[u8; SECTOR]>)> {
    let mut changed: Vec<_> = sectors.split_off(&len.div_ceil(SECTOR as u64)).into_iter().collect();
    let within = (len % SECTOR as u64) as usize;
    if let Some(sector) = sectors.get_mut(&(len / SECTOR as u64))
        && within > 0
    {
        changed.push((len / SECTOR as u64, sector.clone()));
        Arc::make_mut(sector)[within..].fill(0);
    }
    changed
}

/// The sectors that a piece of a file touches: number, range within the sector, range within the piece.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, core::ops::Range<usize>, core::ops::Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let from = (at % SECTOR as u64) as usize;
        let step = (SECTOR - from).min(len - done);
        let piece = (at / SECTOR as u64, from..from + step, done..done + step);
        done += step;
        Some(piece)
    })
}
