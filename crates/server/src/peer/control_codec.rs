//! Between the messages of control parts, the saved state, and their protobuf forms.

use std::sync::Arc;

use kvorum_gossip::{self as gossip, DecodeError};
use kvorum_node::control::{Remembered, SavedState};
use kvorum_node::{ActorId, ClusterId, ControlBody, ControlMessage, Layout, LayoutMember, NodeId};
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
    /// The gossip makes no sense.
    #[error("its gossip: {0}")]
    Gossip(#[from] DecodeError),
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

/// What a frame, its seal and the heads of both add to a message of gossip, but for the sender's address.
const FRAME_BYTES: usize = 96;
/// What a message of gossip may take when it has left, its frame included.
const LEAVING_BYTES: usize = 1400;

/// The settings of gossip for a node that is reached at an address of this length.
pub(crate) fn gossip_config(address_len: usize) -> gossip::Config {
    const LEAST: usize = 1200;
    gossip::Config {
        message_bytes: (LEAVING_BYTES - FRAME_BYTES - address_len).max(LEAST),
        ..gossip::Config::default()
    }
}

pub(crate) fn control_frame(message: ControlMessage) -> v1::ControlFrame {
    let body = match message.body {
        ControlBody::Gossip(message) => {
            let mut bytes = Vec::with_capacity(message.encoded_len());
            message.encode(&mut bytes);
            Wire::Gossip(bytes.into())
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
        Wire::Gossip(bytes) => ControlBody::Gossip(gossip::Message::decode(&bytes)?),
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

    /// What a node says to its seed when it is asked to, and what both have to say of themselves.
    fn gossip(metadata: usize) -> gossip::Message<NodeId, kvorum_node::Address> {
        let address = kvorum_node::Address::from("127.0.0.1:65535");
        let setup = gossip::Setup::new(NodeId(u64::MAX), address.clone());
        let mut node = gossip::Gossip::new(gossip_config(address.len()), setup, Default::default()).unwrap();
        for key in 0..metadata {
            node.set(format!("key-{key}"), vec![7; 200]).unwrap();
        }
        let mut effects = Vec::new();
        node.handle(Default::default(), gossip::Input::Contact("127.0.0.1:2".into()), &mut effects);
        match effects.pop() {
            Some(gossip::Effect::Send { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_control_message_survives_its_way() {
        for body in [
            ControlBody::Gossip(gossip(3)),
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
    fn a_full_message_of_gossip_fits_its_limit_when_it_leaves_sealed() {
        let message = gossip(60);
        let body = message.encoded_len();
        assert!(body > 1000, "it is full: {body} bytes");
        let (from, reply_to) = (NodeId(u64::MAX), "127.0.0.1:65535".into());
        let body = ControlBody::Gossip(message);
        let message = ControlMessage { cluster: Some(ClusterId(u64::MAX)), from, reply_to, clock_ms: 1 << 62, body };
        let sealed = crate::peer::seal::Seal::new(Some(&crate::cluster_key::ClusterKey([7; 32])));
        let frames = v1::ControlFrames { frames: vec![sealed.seal(&control_frame(message))] };
        let bytes = prost::Message::encoded_len(&frames);
        assert!(bytes <= LEAVING_BYTES, "{bytes} bytes");
    }

    #[test]
    fn gossip_that_makes_no_sense_is_refused() {
        for bytes in [&[][..], &[0xff; 3], &[1; 2000]] {
            let body = Some(Wire::Gossip(bytes.to_vec().into()));
            let frame = v1::ControlFrame { body, ..v1::ControlFrame::default() };
            assert!(matches!(control_message(frame), Err(BadControl::Gossip(_))), "{bytes:?}");
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
