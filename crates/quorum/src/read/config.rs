//! [`ReadConfig`]: what the caller asks a read to do.
//!
//! It owns no behaviour. Every time in it is the caller's to choose.

use core::time::Duration;

use crate::{ReplicaSet, Requirement};

/// What a [`Read`](crate::Read) is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadConfig {
    /// How many answers the read needs.
    pub requirement: Requirement,
    /// All replicas that may be asked, the most preferred at the lowest positions.
    pub replicas: ReplicaSet,
    /// Those known to be down: asked last.
    pub down: ReplicaSet,
    /// How many stand-ins the caller can find; 0 for a strict read.
    pub stand_ins: usize,
    /// When the read has failed if it is not done. Absolute, in the epoch of `now`.
    pub deadline: Duration,
    /// When one more replica is asked because an answer is slow; `None` never asks one for that.
    pub hedge: Option<Hedge>,
}

/// When one more replica is asked because an answer is slow (Dean and Barroso, "The Tail at Scale",
/// 2013). Both are counted from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hedge {
    /// The 95th percentile of those asked, as [`Latency::p95`](crate::Latency::p95) estimates it:
    /// then one more is asked, once, and only within the [`HedgeBudget`](crate::HedgeBudget).
    pub early: Duration,
    /// So late that it counts as a failure to answer: then always, and again each time it passes.
    /// Counted anew from each hedge. When it is less than `early` there is no early hedge.
    pub late: Duration,
}
