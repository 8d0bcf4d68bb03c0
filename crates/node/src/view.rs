//! The view: what a shard knows of the cluster. The control part publishes a new one whenever something
//! changes; a shard is handed it as an input and never sees it change underneath.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_gossip::State;
use kvorum_quorum::Level;
use kvorum_ring::{PartitionId, Token};

use crate::layout::MemberIndex;
use crate::{ActorId, Address, Catalog, ClusterId, EpochPhase, Fitness, Keyspace, KeyspaceId, Layout, NodeId};

/// An immutable picture of the cluster.
#[derive(Clone, Debug)]
pub struct View {
    /// This node.
    pub me: NodeId,
    /// The cluster, once this node belongs to one.
    pub cluster: Option<ClusterId>,
    /// The placement, once there is one.
    pub layout: Option<Arc<Layout>>,
    /// The keyspaces.
    pub catalog: Arc<Catalog>,
    /// Every member this node knows of, those of the layout included.
    pub members: BTreeMap<NodeId, ViewMember>,
    /// Of each member of the layout, in the layout's order: its data centre's number and whether it is usable.
    standing: Vec<Standing>,
    local_centre: u8,
    centres: usize,
    waiting_for: Option<(usize, usize)>,
    fitness: Fitness,
}

/// A member, as far as requests are concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewMember {
    /// Its name.
    pub name: Arc<str>,
    /// Where peers reach it.
    pub peer: Address,
    /// Where clients reach it.
    pub client: Address,
    /// The tenure its dots carry, as far as is known; 0 otherwise.
    pub actor: ActorId,
    /// Its data centre.
    pub dc: Arc<str>,
    /// Whether it is thought to be up.
    pub state: State,
    /// The version of its catalog; 0 while it has none.
    pub catalog: u64,
    /// Whether it may have lost acknowledged writes; then it answers no reads.
    pub in_doubt: bool,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    id: NodeId,
    centre: u8,
    up: bool,
    in_doubt: bool,
}

/// One replica of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The node.
    pub id: NodeId,
    /// The number of its data centre.
    pub centre: u8,
    /// Whether it is thought to be up; suspects are.
    pub up: bool,
    /// Whether it may have lost acknowledged writes; then it answers no reads.
    pub in_doubt: bool,
}

impl Standing {
    fn replica(self) -> Replica {
        let Self { id, centre, up, in_doubt } = self;
        Replica { id, centre, up, in_doubt }
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.me == other.me && self.same_as(other)
    }
}

impl View {
    /// Composes a view. `waiting_for` is (present, needed) while the founding nodes are gathering.
    #[must_use]
    pub fn new(
        me: NodeId,
        cluster: Option<ClusterId>,
        layout: Option<Arc<Layout>>,
        catalog: Arc<Catalog>,
        members: BTreeMap<NodeId, ViewMember>,
        local_dc: &str,
        waiting_for: Option<(usize, usize)>,
    ) -> Self {
        let placed = layout.as_deref().map(Layout::members).unwrap_or_default();
        let mut centres: Vec<&str> = placed.iter().map(|member| &*member.dc).collect();
        centres.sort_unstable();
        centres.dedup();
        let number = |dc: &str| {
            centres.iter().position(|centre| *centre == dc).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
        };
        let standing = placed
            .iter()
            .map(|member| Standing {
                id: member.id,
                centre: number(&member.dc),
                up: is_up(me, &members, member.id),
                in_doubt: members.get(&member.id).is_some_and(|member| member.in_doubt),
            })
            .collect();
        let local_centre = number(local_dc);
        let centres = centres.len();
        let fitness = Fitness::default();
        Self { me, cluster, layout, catalog, members, standing, local_centre, centres, waiting_for, fitness }
    }

    /// Whether nothing in it differs, so that it need not be published again.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let same_layout = match (&self.layout, &other.layout) {
            (Some(a), Some(b)) => a.epoch() == b.epoch(),
            (a, b) => a.is_none() && b.is_none(),
        };
        same_layout
            && self.catalog.version() == other.catalog.version()
            && self.cluster == other.cluster
            && self.members == other.members
            && self.waiting_for == other.waiting_for
            && self.fitness == other.fitness
    }

    /// The same view of a node that must hold back from this.
    #[must_use]
    pub fn with_fitness(mut self, fitness: Fitness) -> Self {
        self.fitness = fitness;
        for standing in self.standing.iter_mut().filter(|standing| standing.id == self.me) {
            standing.in_doubt = fitness.in_doubt;
        }
        self
    }

    /// What this node must hold back from.
    #[must_use]
    pub fn fitness(&self) -> Fitness {
        self.fitness
    }

    /// What data messages are tagged with.
    #[must_use]
    pub fn tag(&self) -> EpochPhase {
        self.layout.as_ref().map_or(EpochPhase { epoch: 0, phase: crate::Phase::Stable }, |layout| layout.tag())
    }

    /// The partition of a key, once there is a layout.
    #[must_use]
    pub fn partition_of(&self, key: &[u8]) -> Option<PartitionId> {
        Some(self.layout.as_ref()?.partitions().of(Token::of(key)))
    }

    /// The replicas of a partition in the layout's order; none without a layout or beyond its partitions.
    pub fn replicas(&self, partition: PartitionId) -> impl Iterator<Item = Replica> + Clone {
        let row: &[MemberIndex] = match &self.layout {
            Some(layout) if layout.partitions().contains(partition) => layout.table().replicas(partition),
            _ => &[],
        };
        row.iter().map(|index| self.standing[usize::from(*index)].replica())
    }

    /// The nodes that may stand in for absent replicas of a partition, clockwise.
    pub(crate) fn fallbacks(&self, partition: PartitionId) -> impl Iterator<Item = Replica> + Clone {
        let row: &[MemberIndex] = match &self.layout {
            Some(layout) if layout.partitions().contains(partition) => layout.table().fallbacks(partition),
            _ => &[],
        };
        row.iter().map(|index| self.standing[usize::from(*index)].replica())
    }

    /// How a member of the layout stands.
    pub(crate) fn standing_of(&self, id: NodeId) -> Option<Replica> {
        self.standing.iter().find(|standing| standing.id == id).map(|standing| standing.replica())
    }

    /// Whether a node is worth asking: not known to be down or gone. This node always is.
    pub(crate) fn is_up(&self, id: NodeId) -> bool {
        is_up(self.me, &self.members, id)
    }

    /// The number of this node's data centre.
    #[must_use]
    pub fn local_centre(&self) -> u8 {
        self.local_centre
    }

    /// R and W of a keyspace that names none: a majority; with several data centres a majority of the local one.
    #[must_use]
    pub fn default_level(&self) -> Level {
        if self.centres > 1 { Level::LocalQuorum } else { Level::Quorum }
    }

    /// A node's name, for messages to people.
    #[must_use]
    pub fn name_of(&self, id: NodeId) -> String {
        let placed = || {
            self.layout.as_ref()?.members().iter().find(|member| member.id == id).map(|member| member.name.to_string())
        };
        self.members.get(&id).map(|member| member.name.to_string()).or_else(placed).unwrap_or_else(|| id.to_string())
    }

    /// Looks a keyspace up by its id.
    #[must_use]
    pub fn keyspace(&self, id: KeyspaceId) -> Option<&Keyspace> {
        self.catalog.by_id(id)
    }

    /// Why requests are not served yet.
    #[must_use]
    pub fn not_ready_because(&self) -> String {
        if let Some(bar) = self.fitness.bar.filter(|_| self.layout.is_some()) {
            return bar.to_string();
        }
        match self.waiting_for {
            Some((present, needed)) => {
                format!("the cluster is still being founded: {present} of {needed} nodes are present")
            }
            None => "this node has not yet learned the cluster's layout from its seeds".to_owned(),
        }
    }
}

fn is_up(me: NodeId, members: &BTreeMap<NodeId, ViewMember>, id: NodeId) -> bool {
    id == me || members.get(&id).is_none_or(ViewMember::is_usable)
}

impl ViewMember {
    /// Whether requests are sent to it. A suspect is not yet given up.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.state, State::Up | State::Suspect)
    }
}
