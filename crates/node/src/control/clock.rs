//! Whether this node's wall clock can be trusted: it is compared with the median of its peers' clocks, which they tell
//! with every message.
//!
//! A replica takes a fresh write whose timestamp lies up to [`MAX_DRIFT`] ahead of its own wall clock. A node that is more
//! than half of that away from the median of its peers coordinates no writes. Then no two nodes that both coordinate are
//! more than the whole apart, if each has heard of all others: suppose `b` were more than 30 s ahead of `a`. With `p` the
//! position of the middle among the clocks of a node's peers (of two middle ones the nearer counts), `a` coordinates only if at least
//! `p` of the nodes other than both show at most 15 s more than `a`; `b` only if fewer than `p` of them do. Who has heard of
//! some only, or of fewer than two, may judge wrongly; the replicas' bound still holds then.
//!
//! What is kept of a peer is its clock against this node's *monotonic* time. So when the own wall clock leaps, all offsets change at
//! once, before any peer has said anything, and before the clock's ceiling is raised after it.

use core::time::Duration;
use std::collections::BTreeMap;

use kvorum_vclock::Timestamp;

use super::{Control, ControlEffect, EVENT_KINDS, Note, STATES, note};
use crate::fitness::{Bar, ClockFault, Fitness, MAX_DRIFT};
use crate::{NodeId, Now};

/// From this offset on a node coordinates no writes.
const BOUND_MS: i64 = MAX_DRIFT.as_millis() as i64 / 2;
/// Below this one it does so again: apart from the other, so that it does not change its mind all the time.
const MENDED_MS: i64 = BOUND_MS / 4 * 3;
/// How long a peer's clock counts that was not heard of again.
const COUNTS_FOR: Duration = Duration::from_secs(10);
/// A message that makes a peer look further behind than one so long ago may only have been delayed.
const DELAY: Duration = Duration::from_secs(2);
/// With one peer there is nobody to say which of the two is wrong.
const LEAST_PEERS: usize = 2;
/// How long a process that starts waits for its peers' clocks before it trusts its own.
const JUDGED_WITHIN: Duration = Duration::from_secs(3);
/// A fault is told anew when it has changed by so much: each time costs a view.
const TOLD_AGAIN_MS: i64 = 1000;

#[derive(Debug)]
pub(super) struct PeerClocks {
    heard: BTreeMap<NodeId, Heard>,
    /// No timestamp at or below it will be minted.
    floor: Timestamp,
    fault: Option<ClockFault>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    /// What its wall clock would have shown when this node's monotonic time was 0, by the least delayed message of late.
    at_zero_ms: i64,
    /// When that one came, and when any did.
    least_delayed: Duration,
    at: Duration,
}

fn at_zero(unix_ms: u64, elapsed: Duration) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    signed(unix_ms).saturating_sub(signed(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)))
}

impl PeerClocks {
    pub(super) fn new(floor: Timestamp) -> Self {
        Self { heard: BTreeMap::new(), floor, fault: None }
    }

    /// A peer's clock showed this when it sent what has arrived now.
    pub(super) fn hear(&mut self, from: NodeId, unix_ms: u64, now: Now) {
        let (at_zero_ms, at) = (at_zero(unix_ms, now.elapsed), now.elapsed);
        let heard = self.heard.entry(from).or_insert(Heard { at_zero_ms, least_delayed: at, at });
        heard.at = at;
        // On its way a message ages, and the clock in it with it: that makes a peer look behind, never ahead.
        if at_zero_ms >= heard.at_zero_ms || at.saturating_sub(heard.least_delayed) > DELAY {
            (heard.at_zero_ms, heard.least_delayed) = (at_zero_ms, at);
        }
    }

    /// How far this node's wall clock is ahead of its peers' median, in milliseconds; none if too few were heard.
    pub(super) fn offset_ms(&self, now: Now) -> Option<i64> {
        let mine = at_zero(now.unix_ms, now.elapsed);
        let counts = |heard: &&Heard| now.elapsed.saturating_sub(heard.at) <= COUNTS_FOR;
        let ahead = self.heard.values().filter(counts).map(|heard| mine.saturating_sub(heard.at_zero_ms));
        let mut ahead: Vec<i64> = ahead.collect();
        if ahead.len() < LEAST_PEERS {
            return None;
        }
        ahead.sort_unstable();
        let (lower, upper) = (ahead[(ahead.len() - 1) / 2], ahead[ahead.len() / 2]);
        Some(if lower.unsigned_abs() <= upper.unsigned_abs() { lower } else { upper })
    }

    /// Whether a peer's clock shows about the same.
    fn agrees_with_one(&self, now: Now) -> bool {
        let mine = at_zero(now.unix_ms, now.elapsed);
        self.heard.values().any(|heard| mine.saturating_sub(heard.at_zero_ms).saturating_abs() <= MENDED_MS)
    }

    /// What is wrong with the clock as things are now.
    pub(super) fn judge(&mut self, now: Now) -> Option<ClockFault> {
        self.heard.retain(|_, heard| now.elapsed.saturating_sub(heard.at) <= COUNTS_FOR);
        let was_off = matches!(self.fault, Some(ClockFault::Off { .. }));
        let bound = if was_off { MENDED_MS } else { BOUND_MS };
        let fault = match self.offset_ms(now) {
            // A node that has lost sight of its peers is no better than it was, unless the one that is left agrees with it.
            None if was_off && self.agrees_with_one(now) => None,
            None => self.fault.filter(|_| was_off),
            Some(by_ms) if by_ms.saturating_abs() > bound => Some(ClockFault::Off { by_ms }),
            Some(by_ms) => {
                let median = i64::try_from(now.unix_ms).unwrap_or(i64::MAX).saturating_sub(by_ms);
                let ahead = i64::try_from(self.floor.millis()).unwrap_or(i64::MAX).saturating_sub(median);
                (ahead > BOUND_MS).then_some(ClockFault::FloorAhead { by_ms: ahead })
            }
        };
        let by = |fault: ClockFault| match fault {
            ClockFault::Off { by_ms } | ClockFault::FloorAhead { by_ms } => by_ms,
        };
        let is_told = match (self.fault, fault) {
            (Some(told), Some(fault)) => {
                let same = core::mem::discriminant(&told) == core::mem::discriminant(&fault);
                same && by(told).abs_diff(by(fault)) < TOLD_AGAIN_MS.unsigned_abs()
            }
            (told, fault) => told.is_none() && fault.is_none(),
        };
        if !is_told {
            self.fault = fault;
        }
        self.fault
    }
}

impl Control {
    pub(super) fn judge_clock(&mut self, now: Now, out: &mut impl Extend<ControlEffect>) {
        let fault = self.clocks.judge(now);
        if fault == self.clock_fault {
            return;
        }
        match fault {
            Some(fault) if self.clock_fault.is_none() => note(out, Note::ClockOff(fault)),
            None => note(out, Note::ClockMended),
            Some(_) => {}
        }
        self.clock_fault = fault;
        self.view_is_stale = true;
    }

    /// Whether the ceiling may be raised after the wall clock. One that is raised after a wrong clock stays: it would keep the
    /// node from coordinating long after its clock was mended. A process that starts among enough peers waits a moment
    /// to hear from them.
    pub(super) fn may_lease(&self, now: Now) -> bool {
        let can_be_judged = self.layout.as_ref().is_some_and(|layout| layout.members().len() > LEAST_PEERS);
        let waits = can_be_judged
            && self.tenure.is_later_boot()
            && now.elapsed.saturating_sub(self.started) < JUDGED_WITHIN
            && self.clocks.offset_ms(now).is_none();
        self.clock_fault.is_none() && !waits && !self.tenure.is_comparing()
    }

    /// What this node must hold back from.
    pub(super) fn fitness(&self) -> Fitness {
        let taken = self.namesake().map(|_| Bar::NameTaken);
        Fitness { bar: self.tenure.bar().or(taken), clock: self.clock_fault, in_doubt: self.meta.in_doubt.is_some() }
    }

    /// What a shell may want to show.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let queues = || self.hints.values().flatten();
        Figures {
            clock_refusals: self.clock_refusals,
            clock_drifts: self.clock_drifts,
            clock_offset_ms: self.clocks.offset_ms(self.now),
            in_doubt: self.meta.in_doubt.is_some(),
            pulled: self.meta.pulled,
            to_pull: self.meta.to_pull,
            hints: queues().map(|queue| queue.count).sum(),
            hint_bytes: queues().map(|queue| queue.bytes).sum(),
            owed_hints: queues().map(|queue| queue.owed).sum(),
            dropped_hints: self.hints_dropped,
            members: self.states(),
            events: self.events.counts(),
            isolated: self.gossip.is_isolated(),
            foreign_messages: self.foreign_messages,
        }
    }
}

/// What a control part counts and measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Writes that this node did not coordinate because of its clock.
    pub clock_refusals: u64,
    /// Writes of others that it refused as a replica because their timestamps lay too far ahead.
    pub clock_drifts: u64,
    /// How far its clock is ahead of its peers' median; none if too few were heard.
    pub clock_offset_ms: Option<i64>,
    /// It may have lost acknowledged writes.
    pub in_doubt: bool,
    /// Of how many partitions it has pulled them, while it is in doubt.
    pub pulled: u32,
    /// And of how many it must.
    pub to_pull: u32,
    /// How many hints it keeps for absent nodes.
    pub hints: u64,
    /// Their size.
    pub hint_bytes: u64,
    /// How many of them stand in for a replica.
    pub owed_hints: u64,
    /// How many it has refused or dropped since it started.
    pub dropped_hints: u64,
    /// How many members there are in each of [`STATES`], this node included.
    pub members: [u64; STATES.len()],
    /// What has become of them since the start, by [kind](EVENT_KINDS).
    pub events: [u64; EVENT_KINDS.len()],
    /// It hears nobody, and takes all others for unreachable.
    pub isolated: bool,
    /// Messages of other clusters, which it does not listen to.
    pub foreign_messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: u64 = 1_000_000;

    fn at(elapsed_ms: u64, unix_ms: u64) -> Now {
        Now { elapsed: Duration::from_millis(elapsed_ms), unix_ms }
    }

    fn heard(offsets: &[i64]) -> PeerClocks {
        let mut clocks = PeerClocks::new(Timestamp::MIN);
        for (id, offset) in (0..).zip(offsets) {
            clocks.hear(NodeId(id), WALL.saturating_add_signed(*offset), at(0, WALL));
        }
        clocks
    }

    #[test]
    fn the_offset_is_from_the_median_and_of_two_middle_ones_from_the_nearer() {
        let offset = |offsets: &[i64]| heard(offsets).offset_ms(at(0, WALL));
        assert_eq!(offset(&[]), None);
        assert_eq!(offset(&[60_000]), None, "nobody can say who is wrong");
        assert_eq!(offset(&[60_000, 5]), Some(-5));
        assert_eq!(offset(&[60_000, -70_000]), Some(-60_000));
        assert_eq!(offset(&[60_000, 4, 5]), Some(-5));
        assert_eq!(offset(&[i64::MAX, i64::MIN, 1, 2]), Some(-1));
    }

    #[test]
    fn a_clock_beyond_the_bound_is_off_until_it_is_well_within() {
        let mut clocks = heard(&[0, 0, 0]);
        assert_eq!(clocks.judge(at(10, WALL + 15_010)), None);
        // The own clock leaps, and nobody has said anything since.
        assert_eq!(clocks.judge(at(10, WALL + 15_011)), Some(ClockFault::Off { by_ms: 15_001 }));
        assert_eq!(clocks.judge(at(10, WALL + 15_500)), Some(ClockFault::Off { by_ms: 15_001 }), "told seldom");
        assert_eq!(clocks.judge(at(10, WALL + 16_011)), Some(ClockFault::Off { by_ms: 16_001 }));
        assert_eq!(clocks.judge(at(10, WALL + 12_000)), Some(ClockFault::Off { by_ms: 11_990 }));
        assert_eq!(clocks.judge(at(10, WALL + 11_000)), None, "well within");
        assert_eq!(clocks.judge(at(10, WALL - 20_000)), Some(ClockFault::Off { by_ms: -20_010 }));
        // It has lost sight of its peers, and nothing tells that its clock was mended.
        assert_eq!(clocks.judge(at(11_000, WALL + 11_000)), Some(ClockFault::Off { by_ms: -20_010 }));
    }

    #[test]
    fn a_delayed_message_does_not_make_a_peer_look_behind() {
        let mut clocks = heard(&[0, 0]);
        let later = at(1_500, WALL + 1_500);
        for id in 0..2 {
            clocks.hear(NodeId(id), WALL, later);
        }
        assert_eq!(clocks.offset_ms(later), Some(0), "sent when it was heard before");
        // If it stays like that, it is the clock.
        let later = at(2_100, WALL + 2_100);
        for id in 0..2 {
            clocks.hear(NodeId(id), WALL + 100, later);
        }
        assert_eq!(clocks.offset_ms(later), Some(2_000));
        for id in 0..2 {
            clocks.hear(NodeId(id), WALL + 2_100, later);
        }
        assert_eq!(clocks.offset_ms(later), Some(0), "a peer that looks less behind is believed at once");
    }

    #[test]
    fn a_floor_far_ahead_is_a_fault_that_ends_with_time() {
        let mut clocks = heard(&[0, 0]);
        clocks.floor = Timestamp::from_parts(WALL + 20_000, 0);
        assert_eq!(clocks.judge(at(0, WALL)), Some(ClockFault::FloorAhead { by_ms: 20_000 }));
        assert_eq!(clocks.judge(at(5_000, WALL + 5_000)), None);
        // Nobody was heard: nobody says that it is ahead.
        let mut alone = PeerClocks::new(Timestamp::from_parts(WALL + 20_000, 0));
        assert_eq!(alone.judge(at(0, WALL)), None);
    }

    /// The rule that the module's documentation reasons about.
    #[test]
    fn no_two_nodes_that_coordinate_are_further_apart_than_replicas_allow() {
        // Clocks of 3 to 5 nodes on a grid of 8 s.
        for nodes in 3..=5u32 {
            for shape in 0..6u64.pow(nodes) {
                let clocks: Vec<i64> = (0..nodes).map(|node| (shape / 6u64.pow(node) % 6) as i64 * 8_000).collect();
                let coordinates = |mine: usize| {
                    let others = clocks.iter().enumerate().filter(|(other, _)| *other != mine);
                    let offsets: Vec<i64> = others.map(|(_, clock)| clock - clocks[mine]).collect();
                    heard(&offsets).judge(at(0, WALL)).is_none()
                };
                let able: Vec<i64> =
                    (0..nodes as usize).filter(|node| coordinates(*node)).map(|node| clocks[node]).collect();
                let apart = able.iter().max().zip(able.iter().min()).map_or(0, |(most, least)| most - least);
                assert!(apart <= 30_000, "{clocks:?}: {able:?}");
            }
        }
    }

    #[test]
    fn with_one_peer_left_a_mended_clock_is_seen_and_a_wrong_one_stays_wrong() {
        for mended in [true, false] {
            let mut clocks = heard(&[0, 0]);
            assert!(clocks.judge(at(10, WALL + 60_000)).is_some());
            for second in 1..60u64 {
                let wrong = if mended && second >= 15 { 0 } else { 60_000 };
                let now = at(second * 1000, WALL + second * 1000 + wrong);
                clocks.hear(NodeId(0), WALL + second * 1000, now);
                clocks.judge(now);
            }
            let wrong = if mended { 0 } else { 60_000 };
            assert_eq!(clocks.judge(at(60_000, WALL + 60_000 + wrong)).is_none(), mended);
        }
    }
}
