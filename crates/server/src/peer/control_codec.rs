//! Between the messages of control parts, the saved state, and their protobuf forms.

use std::sync::Arc;

use kvorum_gossip::{self as gossip, Incarnation, Profile};
use kvorum_node::control::{Remembered, SavedState};
use kvorum_node::{ActorId, Address, ClusterId, ControlBody, ControlMessage, Layout, LayoutMember, MemberMeta, NodeId};
use kvorum_ring::{Partitions, Replication};
use kvorum_vclock::Timestamp;
use kvorum_wire::v1;
use v1::control_frame::Body as Wire;

use crate::peer::catalog_codec::{
    BadCatalog, catalog_from_wire, catalog_to_wire, change_from_wire, change_to_wire, outcome_from_wire,
    outcome_to_wire,
};

/// What makes a control frame or a saved state no such thing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadControl {
    /// A part is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// The layout does not hold together.
    #[error("its layout: {0}")]
    Layout(#[from] kvorum_node::LayoutError),
    /// The layout's numbers make no sense.
    #[error("its layout: {0}")]
    Ring(#[from] kvorum_ring::Error),
    /// A layout names a member by a number that is too large.
    #[error("its layout names member {0}")]
    MemberIndex(u32),
    /// The keyspaces make no sense.
    #[error("its keyspaces: {0}")]
    Catalog(#[from] BadCatalog),
}

pub(crate) fn control_frame(message: ControlMessage) -> v1::ControlFrame {
    let body = match message.body {
        ControlBody::Gossip(gossip::Message::Syn { from, digests }) => Wire::Syn(v1::GossipSyn {
            from: from.to_string(),
            digests: digests.into_iter().map(digest_to_wire).collect(),
        }),
        ControlBody::Gossip(gossip::Message::Ack { from, updates, wanted }) => Wire::Ack(v1::GossipAck {
            from: from.to_string(),
            updates: updates.into_iter().map(update_to_wire).collect(),
            wanted: wanted.into_iter().map(|id| id.0).collect(),
        }),
        ControlBody::Gossip(gossip::Message::Ack2 { updates }) => {
            Wire::Ack2(v1::GossipAck2 { updates: updates.into_iter().map(update_to_wire).collect() })
        }
        ControlBody::FetchLayout { have } => Wire::FetchLayout(v1::FetchLayout { have }),
        ControlBody::Layout(layout) => Wire::Layout(layout_to_wire(&layout)),
        ControlBody::Recall { actor } => Wire::Recall(v1::Recall { actor: actor.0 }),
        ControlBody::Recalled(Remembered { by, ceiling, silent_ms }) => {
            Wire::Recalled(v1::Recalled { actor: by.0, ceiling: ceiling.map(Timestamp::to_bits), silent_ms })
        }
        ControlBody::FetchCatalog { have } => Wire::FetchCatalog(v1::FetchCatalog { have }),
        ControlBody::Catalog(catalog) => Wire::Catalog(catalog_to_wire(&catalog)),
        ControlBody::ChangeCatalog { ticket, change } => Wire::ChangeCatalog(change_to_wire(ticket, &change)),
        ControlBody::CatalogChanged { ticket, outcome } => Wire::CatalogChanged(outcome_to_wire(ticket, &outcome)),
    };
    v1::ControlFrame {
        cluster: message.cluster.map(|cluster| cluster.0),
        from: message.from.0,
        reply_to: message.reply_to.to_string(),
        clock_ms: message.clock_ms,
        body: Some(body),
    }
}

pub(crate) fn control_message(frame: v1::ControlFrame) -> Result<ControlMessage, BadControl> {
    let body = match frame.body.ok_or(BadControl::Missing("body of a kind this version knows"))? {
        Wire::Syn(syn) => ControlBody::Gossip(gossip::Message::Syn {
            from: syn.from.into(),
            digests: syn.digests.into_iter().map(digest_from_wire).collect(),
        }),
        Wire::Ack(ack) => ControlBody::Gossip(gossip::Message::Ack {
            from: ack.from.into(),
            updates: ack.updates.into_iter().map(update_from_wire).collect::<Result<_, _>>()?,
            wanted: ack.wanted.into_iter().map(NodeId).collect(),
        }),
        Wire::Ack2(ack) => ControlBody::Gossip(gossip::Message::Ack2 {
            updates: ack.updates.into_iter().map(update_from_wire).collect::<Result<_, _>>()?,
        }),
        Wire::FetchLayout(fetch) => ControlBody::FetchLayout { have: fetch.have },
        Wire::Layout(layout) => ControlBody::Layout(Arc::new(layout_from_wire(layout)?)),
        Wire::Recall(recall) => ControlBody::Recall { actor: ActorId(recall.actor) },
        Wire::Recalled(recalled) => ControlBody::Recalled(Remembered {
            by: ActorId(recalled.actor),
            ceiling: recalled.ceiling.map(Timestamp::from_bits),
            silent_ms: recalled.silent_ms,
        }),
        Wire::FetchCatalog(fetch) => ControlBody::FetchCatalog { have: fetch.have },
        Wire::Catalog(catalog) => ControlBody::Catalog(Arc::new(catalog_from_wire(catalog)?)),
        Wire::ChangeCatalog(change) => {
            ControlBody::ChangeCatalog { ticket: change.ticket, change: change_from_wire(change)? }
        }
        Wire::CatalogChanged(changed) => {
            ControlBody::CatalogChanged { ticket: changed.ticket, outcome: outcome_from_wire(changed)? }
        }
    };
    let cluster = frame.cluster.map(ClusterId);
    let (from, clock_ms) = (NodeId(frame.from), frame.clock_ms);
    Ok(ControlMessage { cluster, from, reply_to: frame.reply_to.into(), clock_ms, body })
}

fn digest_to_wire(digest: gossip::Digest<NodeId>) -> v1::GossipDigest {
    v1::GossipDigest {
        id: digest.id.0,
        incarnation: digest.incarnation.0,
        heartbeat: digest.heartbeat,
        version: digest.version,
    }
}

fn digest_from_wire(digest: v1::GossipDigest) -> gossip::Digest<NodeId> {
    gossip::Digest {
        id: NodeId(digest.id),
        incarnation: Incarnation(digest.incarnation),
        heartbeat: digest.heartbeat,
        version: digest.version,
    }
}

fn update_to_wire(update: gossip::Update<NodeId, Address, MemberMeta>) -> v1::GossipUpdate {
    let details = update.details.map(|details| {
        let Profile { address, meta } = details.profile;
        let suspects =
            details.suspects.iter().map(|(id, incarnation)| v1::Suspicion { id: id.0, incarnation: incarnation.0 });
        v1::GossipDetails {
            version: details.version,
            address: address.to_string(),
            suspects: suspects.collect(),
            meta: Some(v1::MemberMeta {
                name: meta.name.to_string(),
                client: meta.client.to_string(),
                dc: meta.dc.to_string(),
                rack: meta.rack.to_string(),
                weight: meta.weight,
                actor: meta.actor.0,
                epoch: meta.epoch,
                catalog: meta.catalog,
                pulled: meta.pulled,
                to_pull: meta.to_pull,
                bytes: meta.bytes,
                founding: meta.founding,
                since_ms: meta.since_ms,
                ceiling: meta.ceiling.to_bits(),
                in_doubt: meta.in_doubt.map(|why| why.to_string()),
            }),
        }
    });
    v1::GossipUpdate {
        id: update.id.0,
        incarnation: update.incarnation.0,
        heartbeat: update.heartbeat,
        left: update.left,
        details,
    }
}

fn update_from_wire(update: v1::GossipUpdate) -> Result<gossip::Update<NodeId, Address, MemberMeta>, BadControl> {
    let details = update.details.map(|details| {
        let meta = details.meta.ok_or(BadControl::Missing("metadata of a member"))?;
        let meta = MemberMeta {
            name: meta.name.into(),
            client: meta.client.into(),
            dc: meta.dc.into(),
            rack: meta.rack.into(),
            weight: meta.weight,
            actor: ActorId(meta.actor),
            epoch: meta.epoch,
            catalog: meta.catalog,
            pulled: meta.pulled,
            to_pull: meta.to_pull,
            bytes: meta.bytes,
            founding: meta.founding,
            since_ms: meta.since_ms,
            ceiling: Timestamp::from_bits(meta.ceiling),
            in_doubt: meta.in_doubt.map(Into::into),
        };
        let suspects =
            details.suspects.into_iter().map(|suspicion| (NodeId(suspicion.id), Incarnation(suspicion.incarnation)));
        let profile = Profile { address: details.address.into(), meta };
        Ok::<_, BadControl>(gossip::Details { version: details.version, profile, suspects: suspects.collect() })
    });
    Ok(gossip::Update {
        id: NodeId(update.id),
        incarnation: Incarnation(update.incarnation),
        heartbeat: update.heartbeat,
        left: update.left,
        details: details.transpose()?,
    })
}

pub(crate) fn layout_to_wire(layout: &Layout) -> v1::Layout {
    let indexes = |row: &[u16]| row.iter().map(|index| u32::from(*index)).collect();
    v1::Layout {
        epoch: layout.epoch(),
        replication: layout.replication().to_string(),
        partitions: layout.partitions().count(),
        pair_bytes: layout.pair_bytes(),
        members: layout
            .members()
            .iter()
            .map(|member| v1::LayoutMember {
                id: member.id.0,
                name: member.name.to_string(),
                dc: member.dc.to_string(),
                rack: member.rack.to_string(),
                weight: member.weight,
            })
            .collect(),
        rows: layout
            .table()
            .rows()
            .map(|(partition, replicas)| v1::LayoutRow {
                replicas: indexes(replicas),
                fallbacks: indexes(layout.table().fallbacks(partition)),
            })
            .collect(),
    }
}

fn layout_from_wire(layout: v1::Layout) -> Result<Layout, BadControl> {
    let member = |member: v1::LayoutMember| LayoutMember {
        id: NodeId(member.id),
        name: member.name.into(),
        dc: member.dc.into(),
        rack: member.rack.into(),
        weight: member.weight,
    };
    let indexes = |row: Vec<u32>| {
        row.into_iter()
            .map(|index| u16::try_from(index).map_err(|_| BadControl::MemberIndex(index)))
            .collect::<Result<Vec<_>, _>>()
    };
    let partitions = Partitions::new(layout.partitions)?;
    let replication: Replication = layout.replication.parse()?;
    let (replicas, fallbacks): (Vec<_>, Vec<_>) =
        layout.rows.into_iter().map(|row| (row.replicas, row.fallbacks)).unzip();
    let rows = replicas.into_iter().map(indexes).collect::<Result<_, _>>()?;
    let fallbacks = fallbacks.into_iter().map(indexes).collect::<Result<_, _>>()?;
    let members = layout.members.into_iter().map(member).collect();
    let found = Layout::from_parts(layout.epoch, replication, members, partitions, rows, fallbacks)?;
    Ok(found.with_pair_bytes(layout.pair_bytes)?)
}

pub(crate) fn saved_state_to_wire(state: &SavedState) -> v1::SavedState {
    v1::SavedState {
        cluster: state.cluster.map(|cluster| cluster.0),
        layout: state.layout.as_deref().map(layout_to_wire),
        catalog: state.catalog.as_deref().map(catalog_to_wire),
        known: state
            .known
            .iter()
            .map(|(id, address)| v1::KnownMember { id: id.0, address: address.to_string() })
            .collect(),
    }
}

pub(crate) fn saved_state_from_wire(state: v1::SavedState) -> Result<SavedState, BadControl> {
    Ok(SavedState {
        cluster: state.cluster.map(ClusterId),
        layout: state.layout.map(layout_from_wire).transpose()?.map(Arc::new),
        catalog: state.catalog.map(catalog_from_wire).transpose()?.map(Arc::new),
        known: state.known.into_iter().map(|member| (NodeId(member.id), member.address.into())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use kvorum_node::control::{ChangeError, ChangeErrorKind};
    use kvorum_node::{Catalog, CatalogChange, Charter, Secret};

    use super::*;

    fn catalog() -> Catalog {
        Catalog::found(Charter { founder: NodeId(3), secret: Secret([4; 32]) })
    }

    fn layout() -> Layout {
        let member = |id: u64| LayoutMember {
            id: NodeId(id),
            name: format!("n{id}").into(),
            dc: "dc1".into(),
            rack: "rack1".into(),
            weight: 2,
        };
        let members = (1..=4).map(member).collect();
        Layout::found(Partitions::new(16).unwrap(), &Replication::PerCentre(3), members)
            .and_then(|layout| layout.with_pair_bytes(65_536))
            .unwrap()
    }

    #[test]
    fn every_control_message_survives_its_way() {
        let meta = MemberMeta {
            name: "n1".into(),
            client: "c:1".into(),
            dc: "dc1".into(),
            rack: "r1".into(),
            weight: 3,
            actor: ActorId(4),
            epoch: 5,
            catalog: 11,
            pulled: 15,
            to_pull: 16,
            bytes: 6,
            founding: 7,
            since_ms: 12,
            ceiling: Timestamp::from_bits(13),
            in_doubt: Some("why".into()),
        };
        let details = gossip::Details {
            version: 8,
            profile: Profile { address: "p:1".into(), meta },
            suspects: vec![(NodeId(9), Incarnation(10))],
        };
        let update = gossip::Update {
            id: NodeId(1),
            incarnation: Incarnation(2),
            heartbeat: 3,
            left: true,
            details: Some(details),
        };
        let plain = gossip::Update { details: None, ..update.clone() };
        let digest = gossip::Digest { id: NodeId(1), incarnation: Incarnation(2), heartbeat: 3, version: 4 };
        for body in [
            ControlBody::Gossip(gossip::Message::Syn { from: "p:1".into(), digests: vec![digest] }),
            ControlBody::Gossip(gossip::Message::Ack {
                from: "p:1".into(),
                updates: vec![update, plain.clone()],
                wanted: vec![NodeId(1)],
            }),
            ControlBody::Gossip(gossip::Message::Ack2 { updates: vec![plain] }),
            ControlBody::FetchLayout { have: 3 },
            ControlBody::Layout(Arc::new(layout())),
            ControlBody::Recall { actor: ActorId(5) },
            ControlBody::Recalled(Remembered {
                by: ActorId(3),
                ceiling: Some(Timestamp::from_bits(6)),
                silent_ms: Some(7),
            }),
            ControlBody::Recalled(Remembered { by: ActorId(3), ceiling: None, silent_ms: None }),
            ControlBody::FetchCatalog { have: 4 },
            ControlBody::Catalog(Arc::new(catalog())),
            ControlBody::ChangeCatalog { ticket: 5, change: CatalogChange::Drop { name: "carts".into() } },
            ControlBody::CatalogChanged {
                ticket: 6,
                outcome: Err(ChangeError { kind: ChangeErrorKind::Missing, message: "no".to_owned() }),
            },
        ] {
            for cluster in [None, Some(ClusterId(1))] {
                let (from, reply_to, body) = (NodeId(2), "p:2".into(), body.clone());
                let message = ControlMessage { cluster, from, reply_to, clock_ms: 99, body };
                assert_eq!(control_message(control_frame(message.clone())).unwrap(), message);
            }
        }
    }

    #[test]
    fn a_saved_state_is_found_again_and_a_damaged_layout_refused() {
        let state = SavedState {
            cluster: Some(ClusterId(1)),
            layout: Some(Arc::new(layout())),
            catalog: Some(Arc::new(catalog())),
            known: [(NodeId(2), "p:2".into())].into(),
        };
        let mut wire = saved_state_to_wire(&state);
        assert_eq!(saved_state_from_wire(wire.clone()).unwrap(), state);
        wire.layout.as_mut().unwrap().rows[0].replicas[0] = 70_000;
        assert!(matches!(saved_state_from_wire(wire), Err(BadControl::MemberIndex(70_000))));
    }
}
