//! Owns what a snapshot sees of all versions in a range, from both ends: of each key the newest version at or below the snapshot's
//! sequence number, unless that is a deletion. It keeps one cursor for both directions; when the direction changes, it
//! seeks.

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::iter::bounds::{Edge, EdgeKind, Edges};
use crate::key::{self, Kind, LAST_SEQUENCE, Sequence};

/// So many versions of one key are passed step by step before it seeks. A step is some ten times cheaper, so that no
/// number of versions costs more than about twice what the better choice had.
const STEPS: usize = 12;
/// The trailer before those of all versions of a key, and the one behind them.
const NEWEST: (Sequence, Kind) = (LAST_SEQUENCE, Kind::Put);
const OLDEST: (Sequence, Kind) = (0, Kind::Delete);

/// Where the cursor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It does not matter: it must be placed first.
    Anywhere,
    /// At the entry shown last at the front, or behind it.
    Front,
    /// Before the versions shown last at the back, or still among the newer ones of that key.
    Back,
    /// There was an error, so there is nothing more.
    Failed,
}

/// The entries of a range at a snapshot, lent one at a time from either end.
///
/// An error is given once; from then on there are no entries.
pub(crate) struct SnapshotCursor<C, S> {
    cursor: C,
    skip: S,
    snapshot: Sequence,
    whole: Edges,
    /// What has been shown at neither end.
    left: Edges,
    standing: Standing,
    /// Where it seeks to.
    target: Vec<u8>,
    /// The value shown at the back; its key is the upper edge.
    value: Vec<u8>,
}

impl<C: Cursor, S: Fn(&[u8], Sequence) -> bool> SnapshotCursor<C, S> {
    /// The entries of `range` as of `snapshot`. A key whose version is one that `skip` names is not shown, as if that were a deletion;
    /// so it must name all older versions too, and none that a snapshot saw before the range was dropped.
    pub(crate) fn new(cursor: C, snapshot: Sequence, range: Edges, skip: S) -> Self {
        let (target, value) = (Vec::new(), Vec::new());
        Self { cursor, skip, snapshot, left: range.clone(), whole: range, standing: Standing::Anywhere, target, value }
    }

    /// The next entry from the front, until the ends meet.
    pub(crate) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        match self.advance() {
            Ok(true) => Ok(self.cursor.entry().map(|(internal, value)| (key::split(internal).0, value))),
            Ok(false) => Ok(None),
            Err(error) => self.fail(error),
        }
    }

    /// The next entry from the back, until the ends meet.
    pub(crate) fn next_back(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        match self.retreat() {
            Ok(true) => Ok(Some((&self.left.upper.key, &self.value))),
            Ok(false) => Ok(None),
            Err(error) => self.fail(error),
        }
    }

    /// Lets the front go on with the first key of the range at or behind this one, wherever it was before. What has been
    /// shown at the back stays shown.
    pub(crate) fn seek(&mut self, user_key: &[u8]) {
        if self.whole.is_above_lower(user_key) {
            self.left.lower.set(user_key, EdgeKind::Included);
        } else {
            self.left.lower.clone_from(&self.whole.lower);
        }
        self.forget_place();
    }

    /// Lets the back go on with the last key of the range at or before this one, wherever it was before. What has been
    /// shown at the front stays shown.
    pub(crate) fn seek_back(&mut self, user_key: &[u8]) {
        if self.whole.is_below_upper(user_key) {
            self.left.upper.set(user_key, EdgeKind::Included);
        } else {
            self.left.upper.clone_from(&self.whole.upper);
        }
        self.forget_place();
    }

    fn forget_place(&mut self) {
        if self.standing != Standing::Failed {
            self.standing = Standing::Anywhere;
        }
    }

    fn fail<T>(&mut self, error: Error) -> Result<T> {
        self.standing = Standing::Failed;
        Err(error)
    }

    /// Goes to the next entry to be shown at the front.
    fn advance(&mut self) -> Result<bool> {
        match self.standing {
            Standing::Failed => return Ok(false),
            Standing::Front => {}
            Standing::Anywhere | Standing::Back => self.place_front()?,
        }
        let mut steps = 0;
        while let Some((internal, _)) = self.cursor.entry() {
            let (user_key, trailer) = key::split(internal);
            let (sequence, kind) = parse(trailer)?;
            // Where to go on: behind a key that has been decided, or at the newest version that the snapshot sees.
            let behind = if !self.left.is_above_lower(user_key) {
                OLDEST
            } else if !self.left.is_below_upper(user_key) {
                return Ok(false);
            } else if sequence > self.snapshot {
                (self.snapshot, Kind::Put)
            } else {
                self.left.lower.set(user_key, EdgeKind::Excluded);
                steps = 0;
                if kind == Kind::Put && !(self.skip)(user_key, sequence) {
                    return Ok(true);
                }
                OLDEST
            };
            if steps < STEPS {
                steps += 1;
                self.cursor.next()?;
            } else {
                steps = 0;
                encode(user_key, behind, &mut self.target);
                self.cursor.seek(&self.target)?;
            }
        }
        Ok(false)
    }

    /// Finds the next entry to be shown at the back.
    fn retreat(&mut self) -> Result<bool> {
        match self.standing {
            Standing::Failed => return Ok(false),
            Standing::Back => {}
            Standing::Anywhere | Standing::Front => self.place_back()?,
        }
        let mut steps = 0;
        while let Some((internal, _)) = self.cursor.entry() {
            let (user_key, _) = key::split(internal);
            if !self.left.is_below_upper(user_key) {
                // A newer version of the key that has been decided.
                if steps < STEPS {
                    steps += 1;
                    self.cursor.prev()?;
                } else {
                    self.place_back()?;
                }
                continue;
            }
            if !self.left.is_above_lower(user_key) {
                return Ok(false);
            }
            self.left.upper.set(user_key, EdgeKind::Excluded);
            steps = 0;
            if let Some((sequence, Kind::Put)) = self.newest_visible()?
                && !(self.skip)(&self.left.upper.key, sequence)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// From the oldest version of the upper edge's key to the newest that the snapshot sees; keeps that one's value.
    fn newest_visible(&mut self) -> Result<Option<(Sequence, Kind)>> {
        let Edge { key, .. } = &self.left.upper;
        let mut newest = None;
        for _ in 0..STEPS {
            let Some((internal, value)) = self.cursor.entry() else { return Ok(newest) };
            let (user_key, trailer) = key::split(internal);
            let (sequence, kind) = parse(trailer)?;
            if user_key != key || sequence > self.snapshot {
                return Ok(newest);
            }
            newest = Some((sequence, kind));
            self.value.clear();
            self.value.extend_from_slice(value);
            self.cursor.prev()?;
        }
        encode(key, (self.snapshot, Kind::Put), &mut self.target);
        self.cursor.seek(&self.target)?;
        if let Some((internal, value)) = self.cursor.entry()
            && let (user_key, trailer) = key::split(internal)
            && user_key == key
        {
            newest = Some(parse(trailer)?);
            self.value.clear();
            self.value.extend_from_slice(value);
        }
        self.place_back()?;
        Ok(newest)
    }

    fn place_front(&mut self) -> Result<()> {
        self.standing = Standing::Front;
        let Edge { key, kind } = &self.left.lower;
        let trailer = match kind {
            EdgeKind::Open => return self.cursor.first(),
            EdgeKind::Included => (self.snapshot, Kind::Put),
            EdgeKind::Excluded => OLDEST,
        };
        encode(key, trailer, &mut self.target);
        self.cursor.seek(&self.target)
    }

    fn place_back(&mut self) -> Result<()> {
        self.standing = Standing::Back;
        let Edge { key, kind } = &self.left.upper;
        let trailer = match kind {
            EdgeKind::Open => return self.cursor.last(),
            EdgeKind::Included => OLDEST,
            EdgeKind::Excluded => NEWEST,
        };
        encode(key, trailer, &mut self.target);
        self.cursor.seek_before(&self.target)
    }
}

fn encode(user_key: &[u8], (sequence, kind): (Sequence, Kind), target: &mut Vec<u8>) {
    target.clear();
    key::encode(user_key, sequence, kind, target);
}

/// Takes a trailer apart. Its block's checksum was right, so another kind would be one that this version does not know.
fn parse(trailer: u64) -> Result<(Sequence, Kind)> {
    let kind = Kind::from_byte(trailer as u8)
        .ok_or(Error::Invalid("an entry is of a kind that this version does not know"))?;
    Ok((trailer >> 8, kind))
}
