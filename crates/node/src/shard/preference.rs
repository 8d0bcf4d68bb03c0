//! The preference list of one operation: the replicas of its partition by position - this node first if it is one, then
//! those of its data centre, the faster before the slower - and behind them the fallbacks that may stand in for them.
//! It keeps the view it began with, so a position means the same replica for as long as the operation lives.

use std::sync::Arc;

use kvorum_quorum::{self as quorum, Level, Outcome, QuorumSet, ReplicaSet, Requirement};
use kvorum_ring::PartitionId;

use crate::view::Replica;
use crate::{EpochPhase, Failure, FailureKind, NodeId, View};

/// The most replicas that a row may have for its order to be chosen; longer ones keep the row's.
const ORDERED: usize = 16;

#[derive(Clone, Debug)]
pub(super) struct Preference {
    view: Arc<View>,
    partition: PartitionId,
    len: usize,
    /// The row's index of position 0, where the order is not chosen.
    first: usize,
    /// The row's index of each position.
    order: [u8; ORDERED],
    contains_me: bool,
}

impl Preference {
    /// `spread` chooses where a node that is no replica starts, so that its requests do not all meet the same one.
    /// `slowness` ranks the others: the lower the better, equals stay in the order of the row.
    pub(super) fn new(
        view: Arc<View>,
        partition: PartitionId,
        spread: usize,
        slowness: impl Fn(NodeId) -> u32,
    ) -> Self {
        let len = view.replicas(partition).count();
        let mine = view.replicas(partition).position(|replica| replica.id == view.me);
        let first = mine.unwrap_or(spread % len.max(1));
        let mut order = [0; ORDERED];
        if len <= ORDERED {
            let mut ranked = [(false, false, 0, 0, 0); ORDERED];
            for (index, replica) in view.replicas(partition).enumerate() {
                let turn = (index + len - first) % len;
                let (is_other, is_far) = (replica.id != view.me, replica.centre != view.local_centre());
                let slow = if is_other { slowness(replica.id) } else { 0 };
                ranked[index] = (is_other, is_far, slow, turn, index as u8);
            }
            ranked[..len].sort_unstable();
            for (place, (.., index)) in order.iter_mut().zip(&ranked[..len]) {
                *place = *index;
            }
        }
        Self { view, partition, len, first, order, contains_me: mine.is_some() }
    }

    /// The row's index of a position.
    fn index(&self, position: usize) -> usize {
        if self.len <= ORDERED { usize::from(self.order[position]) } else { (self.first + position) % self.len }
    }

    pub(super) fn partition(&self) -> PartitionId {
        self.partition
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether this node is a replica; its position is then 0.
    pub(super) fn contains_me(&self) -> bool {
        self.contains_me
    }

    pub(super) fn is_me(&self, position: usize) -> bool {
        self.contains_me && position == 0
    }

    pub(super) fn replica(&self, position: usize) -> Replica {
        assert!(position < self.len, "a position lies within the preference list");
        self.view.replicas(self.partition).nth(self.index(position)).expect("the row does not change")
    }

    /// Where a request to it goes, and under which layout it is sent: the one that made it a replica.
    pub(super) fn address(&self, position: usize) -> (NodeId, EpochPhase) {
        (self.replica(position).id, self.view.tag())
    }

    /// Takes over who is up by now. Another layout changes nothing here: positions keep their meaning.
    pub(super) fn refresh(&mut self, view: &Arc<View>) {
        let row = |view: &Arc<View>| view.replicas(self.partition).map(|replica| replica.id).collect::<Vec<_>>();
        if view.tag() == self.view.tag() && row(view) == row(&self.view) {
            self.view = Arc::clone(view);
        }
    }

    pub(super) fn position_of(&self, node: NodeId) -> Option<usize> {
        (0..self.len).find(|position| self.replica(*position).id == node)
    }

    /// Those that may stand in for a replica: this node if it holds none itself, then the fallbacks, clockwise, that are
    /// up; those in the replica's data centre first.
    pub(super) fn stand_ins(&self, position: usize) -> impl Iterator<Item = NodeId> + '_ {
        let centre = self.replica(position).centre;
        let near = self.candidates().filter(move |candidate| candidate.centre == centre);
        near.chain(self.candidates().filter(move |candidate| candidate.centre != centre)).map(|candidate| candidate.id)
    }

    /// How many may stand in.
    pub(super) fn stand_in_count(&self) -> usize {
        self.candidates().count()
    }

    fn candidates(&self) -> impl Iterator<Item = Replica> + '_ {
        let usable = |candidate: &Replica| {
            candidate.up && !candidate.in_doubt && (candidate.id != self.view.me || !self.contains_me)
        };
        // A node that coordinates what it holds no replica of is the nearest that there is.
        let me = (!self.contains_me).then(|| self.view.standing_of(self.view.me)).flatten();
        let others = self.view.fallbacks(self.partition).filter(|candidate| candidate.id != self.view.me);
        me.into_iter().chain(others).filter(usable)
    }

    /// The centres' replicas that are not in this node's centre, one set for each centre.
    pub(super) fn remote_centres(&self) -> Vec<ReplicaSet> {
        let mut centres: Vec<(u8, ReplicaSet)> = Vec::new();
        for position in 0..self.len {
            let centre = self.replica(position).centre;
            if centre == self.view.local_centre() {
                continue;
            }
            match centres.iter_mut().find(|(known, _)| *known == centre) {
                Some((_, members)) => drop(members.insert(position)),
                None => centres.push((centre, ReplicaSet::single(position))),
            }
        }
        centres.into_iter().map(|(_, members)| members).collect()
    }

    pub(super) fn all(&self) -> ReplicaSet {
        ReplicaSet::first(self.len)
    }

    pub(super) fn down(&self) -> ReplicaSet {
        (0..self.len).filter(|position| !self.replica(*position).up).collect()
    }

    /// Who is asked for no read while others suffice.
    pub(super) fn unreadable(&self) -> ReplicaSet {
        let is_readable = |replica: Replica| replica.up && !replica.in_doubt;
        (0..self.len).filter(|position| !is_readable(self.replica(*position))).collect()
    }

    /// What a level asks of these replicas; without one, the keyspace's own, or a majority. `minimum` is the least that
    /// the keyspace allows.
    pub(super) fn requirement(
        &self,
        level: Option<Level>,
        own: Option<Level>,
        minimum: u8,
    ) -> Result<Requirement, Failure> {
        let level = level.or(own).unwrap_or_else(|| self.view.default_level());
        let mut centres = [0; 64];
        let len = self.len.min(centres.len());
        for (position, centre) in centres.iter_mut().enumerate().take(len) {
            *centre = self.replica(position).centre;
        }
        let requirement = Requirement::resolve(level, &centres[..len], self.view.local_centre());
        let requirement = requirement.map_err(|error| match error {
            quorum::Error::TooFewReplicas { .. } => {
                Failure::new(FailureKind::Invalid, format!("{error}; ask for less"))
            }
            error => Failure::new(FailureKind::Invalid, error.to_string()),
        })?;
        if requirement.minimum() < usize::from(minimum) {
            let message = format!(
                "the level {level} asks {} replicas, but the keyspace demands at least {minimum}; ask for more",
                requirement.minimum()
            );
            return Err(Failure::new(FailureKind::Invalid, message));
        }
        Ok(requirement)
    }

    /// The requirement of a write that must not lose against a version which was acknowledged before: as many answers as
    /// it asks for must come from replicas that know what they held. One in doubt stores the write, but its word on
    /// what is newest is worth nothing. Who is down is not waited for; and where two writes need not meet (W + W <= N),
    /// nobody's word is.
    pub(super) fn with_knowing(&self, requirement: Requirement) -> Requirement {
        let (down, unreadable) = (self.down(), self.unreadable());
        if unreadable == down {
            return requirement;
        }
        let known = requirement.sets().iter().filter_map(|set| {
            let members = set.members.difference(unreadable);
            let need = set.need.min(u8::try_from(members.len()).unwrap_or(u8::MAX));
            let writes_meet = 2 * usize::from(set.need) > set.members.len();
            (writes_meet && need > 0 && members != set.members).then_some(QuorumSet { members, need })
        });
        let sets: Vec<QuorumSet> = requirement.sets().iter().copied().chain(known).collect();
        Requirement::from_sets(&sets).unwrap_or(requirement)
    }

    /// Who is up, for an error message: `n1 is up, n2 is down`.
    pub(super) fn account_of_liveness(&self) -> String {
        let each = (0..self.len).map(|position| self.replica(position));
        let each = each
            .map(|Replica { id, up, .. }| format!("{} is {}", self.view.name_of(id), if up { "up" } else { "down" }));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Where each replica stands, for an error message: `n1 answered, n2 is down, n3 did not answer`.
    pub(super) fn account(&self, answered: ReplicaSet, failed: ReplicaSet, outcome: Outcome) -> String {
        // Those that are left when the others have failed had no time to answer.
        let silent = if outcome == Outcome::TimedOut { "did not answer" } else { "was not waited for" };
        let each = (0..self.len).map(|position| {
            let replica = self.replica(position);
            let name = self.view.name_of(replica.id);
            match () {
                () if answered.contains(position) => format!("{name} answered"),
                () if !replica.up => format!("{name} is down"),
                () if failed.contains(position) && replica.in_doubt => format!("{name} is in doubt"),
                () if failed.contains(position) => format!("{name} failed"),
                () => format!("{name} {silent}"),
            }
        });
        each.collect::<Vec<_>>().join(", ")
    }
}
