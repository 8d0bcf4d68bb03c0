//! Owns what a node knows of one member, and the order in which records of it replace each other.
//! It judges nobody: see `judgement.rs`.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::message::{Details, Digest, MAX_ENTRIES, Update};

/// Which life of a node a record speaks of.
///
/// A node's next process must start with a higher one than any before: a counter on disk, raised at
/// every start and whenever [`Event::Refuted`](crate::Event::Refuted) says so, will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a member says of itself. It alone changes this; all others repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile<A, M> {
    /// Where it receives gossip.
    pub address: A,
    /// Whatever else the others should know: labels, load, other ports.
    pub meta: M,
}

/// What a node believes of a member's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody who counts as a witness suspects it.
    Up,
    /// A witness suspects it, and a second one could but does not. Go on using it.
    Suspect,
    /// The only possible witness, mostly this node itself, suspects it. It may be the member that
    /// failed or this node that is cut off: there is nobody to ask.
    Unreachable,
    /// At least two witnesses suspect it.
    Down,
    /// It said goodbye. That is no failure.
    Left,
}

impl State {
    /// Whether the member is worth talking to: `Up` or `Suspect`.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Up | Self::Suspect)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Unreachable => "unreachable",
            Self::Down => "down",
            Self::Left => "left",
        })
    }
}

/// One node of the cluster, as this node knows it.
#[derive(Clone, Debug)]
pub struct Member<I, A, M> {
    pub(crate) id: I,
    pub(crate) incarnation: Incarnation,
    pub(crate) heartbeat: u64,
    pub(crate) left: bool,
    /// Of the details below, within this incarnation; 0 if they are those of an earlier one.
    pub(crate) version: u64,
    pub(crate) profile: Profile<A, M>,
    /// Sorted and without repetition: each member has one voice against each other.
    pub(crate) suspects: Vec<(I, Incarnation)>,
    /// The judgement, and when it last changed.
    pub(crate) state: State,
    pub(crate) since: Duration,
    /// When the heartbeat last rose; nothing for this node itself, which need not listen to itself.
    pub(crate) last_rise: Option<Duration>,
    /// The first failure seen at first hand since then.
    pub(crate) failed_at: Option<Duration>,
    /// This node itself suspects it.
    pub(crate) stalled: bool,
}

impl<I, A, M> Member<I, A, M> {
    /// Its node id.
    pub fn id(&self) -> &I {
        &self.id
    }

    /// Its highest incarnation known.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The highest heartbeat known of that incarnation, in rounds since its first.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat
    }

    /// What this node believes of its health.
    pub fn state(&self) -> State {
        self.state
    }

    /// What it says of itself, the newest version known. Just after a restart that may for a moment
    /// be that of its earlier incarnation.
    pub fn profile(&self) -> &Profile<A, M> {
        &self.profile
    }

    /// Time since its heartbeat last rose here; zero for this node itself.
    pub fn heartbeat_age(&self, now: Duration) -> Duration {
        self.last_rise.map_or(Duration::ZERO, |rise| now.saturating_sub(rise))
    }
}

impl<I: Ord + Clone, A: Clone + PartialEq, M: Clone + PartialEq> Member<I, A, M> {
    /// A member heard of for the first time.
    pub(crate) fn heard(update: Update<I, A, M>, details: Details<I, A, M>, now: Duration) -> Self {
        Self {
            id: update.id,
            incarnation: update.incarnation,
            heartbeat: update.heartbeat,
            left: update.left,
            version: details.version,
            profile: details.profile,
            suspects: one_voice_each(details.suspects),
            state: State::Up,
            since: now,
            last_rise: Some(now),
            failed_at: None,
            stalled: false,
        }
    }

    /// A higher incarnation: whatever was held against the earlier one is void.
    pub(crate) fn begin_life(&mut self, incarnation: Incarnation, heartbeat: u64, now: Duration) {
        assert!(incarnation > self.incarnation, "lives follow each other upwards");
        self.incarnation = incarnation;
        self.left = false;
        self.version = 0;
        self.suspects.clear();
        self.rise(heartbeat, now);
    }

    /// A higher heartbeat of this incarnation: it is alive. True if that ends a suspicion.
    pub(crate) fn rise(&mut self, heartbeat: u64, now: Duration) -> bool {
        self.heartbeat = heartbeat;
        self.last_rise = Some(now);
        self.failed_at = None;
        core::mem::take(&mut self.stalled)
    }

    /// Newer details of this incarnation. Tells what changed: (profile, suspects).
    pub(crate) fn adopt(&mut self, details: Details<I, A, M>) -> (bool, bool) {
        assert!(details.version > self.version, "only newer details replace older");
        let suspects = one_voice_each(details.suspects);
        let changed = (self.profile != details.profile, self.suspects != suspects);
        self.version = details.version;
        self.profile = details.profile;
        self.suspects = suspects;
        changed
    }

    /// When this node will have waited long enough for a heartbeat.
    pub(crate) fn suspicion_due(&self, suspect_after: Duration) -> Duration {
        let stalls = self.last_rise.map(|at| at.saturating_add(suspect_after));
        let failed = self.failed_at.map(|at| at.saturating_add(suspect_after / 4));
        let either = [stalls, failed].into_iter().flatten();
        either.min().unwrap_or(Duration::MAX)
    }

    /// `span` passed in which this node could not listen: it is not held against the member.
    pub(crate) fn excuse(&mut self, span: Duration, now: Duration) {
        for at in [&mut self.last_rise, &mut self.failed_at].into_iter().flatten() {
            *at = now.min(at.saturating_add(span));
        }
    }

    pub(crate) fn digest(&self) -> Digest<I> {
        Digest { id: self.id.clone(), incarnation: self.incarnation, heartbeat: self.heartbeat, version: self.version }
    }

    /// This record for a peer, with the details if it wants them and they are those of this life.
    pub(crate) fn update(&self, with_details: bool) -> Update<I, A, M> {
        Update {
            id: self.id.clone(),
            incarnation: self.incarnation,
            heartbeat: self.heartbeat,
            left: self.left,
            details: (with_details && self.version > 0).then(|| Details {
                version: self.version,
                profile: self.profile.clone(),
                suspects: self.suspects.clone(),
            }),
        }
    }
}

/// Sorted, without repetition, and not too long: a list from outside may be anything.
pub(crate) fn one_voice_each<I: Ord>(mut suspects: Vec<(I, Incarnation)>) -> Vec<(I, Incarnation)> {
    suspects.truncate(MAX_ENTRIES);
    suspects.sort_unstable();
    suspects.dedup();
    suspects
}
