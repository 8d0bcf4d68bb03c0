//! What a node can tell an operator of the cluster.

use core::time::Duration;
use std::collections::BTreeMap;

use kvorum_gossip as gossip;

use super::members::Member;
use super::{Control, MemberMeta};
use crate::{Address, ClusterId, HintQueue, NodeId, Phase};

/// The cluster as one node sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The cluster, once this node belongs to one.
    pub cluster: Option<ClusterId>,
    /// The layout's epoch; 0 while there is none.
    pub epoch: u64,
    /// Where a layout change stands.
    pub phase: Phase,
    /// Q; 0 while there is no layout.
    pub partitions: u32,
    /// The members, by name.
    pub members: Vec<MemberStatus>,
    /// What an operator should know, in sentences.
    pub warnings: Vec<String>,
    /// The number of the last event of a member that this is the outcome of.
    pub last_event: u64,
}

/// One member in a [`Status`].
#[derive(Clone, Debug, PartialEq)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// The node.
    pub id: NodeId,
    /// Where clients reach it.
    pub client: Address,
    /// Where peers reach it.
    pub peer: Address,
    /// Its data centre.
    pub dc: String,
    /// Its rack.
    pub rack: String,
    /// Its share relative to the others'.
    pub weight: u32,
    /// How it is.
    pub state: MemberState,
    /// In how many partitions' rows it stands.
    pub partitions: usize,
    /// The bytes its store takes, as it last said.
    pub bytes: u64,
    /// How long ago its heartbeat last rose here; none when it never has since this node started.
    pub heartbeat_age: Option<Duration>,
    /// Whether it may have lost acknowledged writes, and so answers no reads.
    pub in_doubt: bool,
    /// While it is in doubt: of how many partitions it has pulled what it may have lost, and of how many it must.
    pub pulled: u32,
    /// See [`MemberStatus::pulled`].
    pub to_pull: u32,
}

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// Present before there is a layout.
    Joining,
    /// As failure detection sees it.
    Detected(gossip::State),
}

impl core::fmt::Display for MemberState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Joining => f.write_str("joining"),
            Self::Detected(state) => state.fmt(f),
        }
    }
}

impl Control {
    /// The cluster as this node sees it now.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        let layout = self.layout.as_deref();
        let mut members: Vec<MemberStatus> = self
            .members()
            .filter(|(member, meta)| !self.is_name_tag(*member, meta))
            .map(|(member, meta)| self.member_status(now, member, meta))
            .collect();
        for placed in layout.map(crate::Layout::members).unwrap_or_default() {
            if self.gossip.member(&placed.id).is_none() {
                let unknown = Address::from("?");
                let (peer, state) = self.unheard(placed.id, now);
                members.push(MemberStatus {
                    name: placed.name.to_string(),
                    id: placed.id,
                    client: Address::clone(&unknown),
                    peer: peer.unwrap_or(unknown),
                    dc: placed.dc.to_string(),
                    rack: placed.rack.to_string(),
                    weight: placed.weight,
                    state: MemberState::Detected(state),
                    partitions: layout.map_or(0, |layout| layout.share(placed.id)),
                    bytes: 0,
                    heartbeat_age: None,
                    in_doubt: false,
                    pulled: 0,
                    to_pull: 0,
                });
            }
        }
        members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        Status {
            cluster: self.cluster,
            epoch: self.epoch(),
            phase: Phase::Stable,
            partitions: layout.map_or(0, |layout| layout.partitions().count()),
            warnings: self.warnings(&members),
            last_event: self.events.last(),
            members,
        }
    }

    /// Whether it came with a new id and the name of a member, and left when it took that one's place.
    fn is_name_tag(&self, member: Member<'_>, meta: &MemberMeta) -> bool {
        let named = |layout: &crate::Layout| {
            layout.index_of(*member.id()).is_none() && layout.members().iter().any(|placed| placed.name == meta.name)
        };
        member.state() == gossip::State::Left && self.layout.as_deref().is_some_and(named)
    }

    fn member_status(&self, now: Duration, member: Member<'_>, meta: &MemberMeta) -> MemberStatus {
        let state = match member.state() {
            gossip::State::Up if self.layout.is_none() => MemberState::Joining,
            state => MemberState::Detected(state),
        };
        MemberStatus {
            name: meta.name.to_string(),
            id: *member.id(),
            client: Address::clone(&meta.client),
            peer: Address::clone(member.address()),
            dc: meta.dc.to_string(),
            rack: meta.rack.to_string(),
            weight: meta.weight,
            state,
            partitions: self.layout.as_ref().map_or(0, |layout| layout.share(*member.id())),
            bytes: meta.bytes,
            heartbeat_age: Some(member.heartbeat_age(now)),
            in_doubt: meta.in_doubt.is_some(),
            pulled: meta.pulled,
            to_pull: meta.to_pull,
        }
    }

    /// What this node keeps for others, one entry for each, and how many hints it has refused or dropped.
    #[must_use]
    pub fn hints(&self) -> (Vec<HintQueue>, u64) {
        let mut queues: BTreeMap<NodeId, HintQueue> = BTreeMap::new();
        for queue in self.hints.values().flatten() {
            queues
                .entry(queue.target)
                .and_modify(|sum| {
                    let oldest_unix_ms = sum.oldest_unix_ms.min(queue.oldest_unix_ms);
                    let (count, bytes, owed) =
                        (sum.count + queue.count, sum.bytes + queue.bytes, sum.owed + queue.owed);
                    *sum = HintQueue { target: sum.target, count, bytes, owed, oldest_unix_ms };
                })
                .or_insert(*queue);
        }
        (queues.into_values().collect(), self.hints_dropped)
    }

    fn warnings(&self, members: &[MemberStatus]) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(error) = &self.store_failed {
            warnings.push(format!("{} serves no data: {error}; look at its log, then restart it", self.meta.name));
        }
        if let Some(bar) = self.fitness().bar.filter(|_| self.layout.is_some()) {
            warnings.push(format!("{} serves nothing: {bar}", self.meta.name));
        }
        if let Some(fault) = self.clock_fault {
            warnings.push(fault.account(&self.meta.name));
        }
        for (_, meta) in self.members() {
            if let Some(why) = &meta.in_doubt {
                let progress = match (meta.pulled, meta.to_pull) {
                    (_, 0) => String::new(),
                    (pulled, to_pull) => {
                        format!(" until it has pulled them: {pulled} of {to_pull} partitions are done")
                    }
                };
                warnings.push(format!(
                    "{} is in doubt: {why}; it takes writes and answers no reads, for it may have lost acknowledged writes{progress}",
                    meta.name
                ));
            }
        }
        let mut lacking: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (target, _) in &self.dirty {
            *lacking.entry(*target).or_default() += 1;
        }
        for (target, partitions) in lacking {
            warnings.push(format!(
                "{} lacks writes of {partitions} partitions that {} could not keep for it: they come when their keys are read",
                self.name_of(target),
                self.meta.name
            ));
        }
        match self.layout.as_deref() {
            None => warnings.push(format!("not ready: {}", self.view(Duration::ZERO).not_ready_because())),
            Some(layout) => {
                let factor: usize = {
                    let mut centres: Vec<&str> = layout.members().iter().map(|member| &*member.dc).collect();
                    centres.sort_unstable();
                    centres.dedup();
                    centres.iter().map(|dc| usize::from(layout.replication().factor(dc))).sum()
                };
                let thinnest = layout.table().rows().map(|(_, row)| row.len()).min().unwrap_or(0);
                if thinnest < factor {
                    warnings.push(format!(
                        "partitions have {thinnest} replicas, fewer than the replication factor {factor}: the cluster was founded with too few nodes"
                    ));
                }
                for member in members.iter().filter(|member| member.partitions == 0 && member.weight > 0) {
                    if matches!(member.state, MemberState::Detected(gossip::State::Up)) {
                        warnings.push(format!(
                            "{} holds no partitions: it came after the layout was made, and forwards requests",
                            member.name
                        ));
                    }
                }
            }
        }
        warnings
    }
}
