//! The clusters that benches stand in: layouts, keyspaces and views.

use std::sync::Arc;

use kvorum_gossip::State;
use kvorum_ring::{Partitions, Replication};

use super::super::super::*;
use crate::{
    Address, Catalog, CatalogChange, Charter, Fitness, KeyspaceId, Layout, LayoutMember, Mode, Secret, Settings,
    ViewMember,
};

/// A layout of nodes that stand in these data centres; row by row who holds a partition and who may stand in.
fn layout_of(centres: &[&str], rows: Vec<Vec<u16>>, fallbacks: Vec<Vec<u16>>) -> Arc<Layout> {
    let member = |(n, dc): (u64, &&str)| LayoutMember {
        id: NodeId(n),
        name: format!("n{n}").into(),
        dc: (*dc).into(),
        rack: "rack".into(),
        weight: 1,
    };
    let partitions = Partitions::new(rows.len() as u32).unwrap();
    let members = (1..).zip(centres).map(member).collect();
    Arc::new(Layout::from_parts(1, Replication::PerCentre(3), members, partitions, rows, fallbacks).unwrap())
}

/// A layout of five nodes in which the first so many hold the one partition, and the others may stand in for them.
pub(in super::super) fn layout(replicas: u16, fallbacks: bool) -> Arc<Layout> {
    let others = if fallbacks { (replicas..5).collect() } else { Vec::new() };
    layout_of(&["dc"; 5], vec![(0..replicas).collect()], vec![others])
}

/// A layout of so many nodes, of which the first three hold the one partition, and the last may stand in for them.
pub(in super::super) fn large(nodes: u16) -> Arc<Layout> {
    layout_of(&vec!["dc"; usize::from(nodes)], vec![(0..3).collect()], vec![vec![nodes - 1]])
}

/// A layout of two data centres, of which each holds the one partition three times: nodes 1 to 3 in `dc`, 4 to 6 in `far`.
/// A seventh and an eighth node, one in each, may stand in for them.
pub(in super::super) fn two_centres(fallbacks: bool) -> Arc<Layout> {
    let others = if fallbacks { vec![6, 7] } else { Vec::new() };
    layout_of(&["dc", "dc", "dc", "far", "far", "far", "dc", "far"], vec![(0..6).collect()], vec![others])
}

/// Two data centres with three replicas each, as above; in each two nodes may stand in, the one of the higher number first.
pub(in super::super) fn two_centres_that_stand_in() -> Arc<Layout> {
    let centres = ["dc", "dc", "dc", "far", "far", "far", "dc", "far", "dc", "far"];
    layout_of(&centres, vec![(0..6).collect()], vec![vec![8, 6, 9, 7]])
}

/// A layout of four partitions: nodes 1, 2 and 3 hold the first and the third, 1, 4 and 5 the second, and 2, 3 and 4 the
/// last.
pub(in super::super) fn four_partitions() -> Arc<Layout> {
    let rows = vec![vec![0, 1, 2], vec![0, 3, 4], vec![0, 1, 2], vec![1, 2, 3]];
    layout_of(&["dc"; 5], rows, vec![Vec::new(); 4])
}

/// The keyspace whose versions may be concurrent.
pub(in super::super) const CARTS: KeyspaceId = KeyspaceId(3);
/// An `lww` keyspace with settings of its own: values live for 100 ms, reads and writes ask at least two replicas.
pub(in super::super) const CODES: KeyspaceId = KeyspaceId(4);
/// One that was dropped.
pub(in super::super) const DROPPED: KeyspaceId = KeyspaceId(2);
/// One that nobody has heard of.
pub(in super::super) const UNHEARD: KeyspaceId = KeyspaceId(5);
pub(in super::super) const SECRET: Secret = Secret([7; 32]);

/// Beside the default keyspace those above.
pub(in super::super) fn catalog() -> Arc<Catalog> {
    let settings = Settings { ttl_ms: Some(100), min_read: 2, min_write: 2, ..Settings::default() };
    let create = |name: &str, mode, settings| CatalogChange::Create { name: name.into(), mode, settings };
    let changes = [
        create("gone", Mode::Causal, Settings::default()),
        create("carts", Mode::Causal, Settings::default()),
        create("codes", Mode::Lww, settings),
        CatalogChange::Drop { name: "gone".into() },
    ];
    let founded = Catalog::found(Charter { founder: NodeId(1), secret: SECRET });
    Arc::new(changes.iter().fold(founded, |catalog, change| catalog.changed(change).unwrap().0))
}

/// What a node sees of its cluster.
#[derive(Clone)]
pub(in super::super) struct Sight {
    pub(in super::super) me: u64,
    pub(in super::super) layout: Option<Arc<Layout>>,
    pub(in super::super) catalog: Arc<Catalog>,
    /// The version of the newest catalog that another member is said to have.
    pub(in super::super) newest_catalog: u64,
    pub(in super::super) down: Vec<u64>,
    /// Those who may have lost what they acknowledged, this node perhaps among them.
    pub(in super::super) in_doubt: Vec<u64>,
}

impl Sight {
    pub(in super::super) fn view(&self) -> Arc<View> {
        let placed = self.layout.as_deref().map(Layout::members).unwrap_or_default();
        let dc_of =
            |n: u64| placed.iter().find(|member| member.id.0 == n).map_or("dc".into(), |member| member.dc.clone());
        let member = |n: u64| ViewMember {
            name: format!("n{n}").into(),
            peer: Address::from("peer"),
            client: Address::from("client"),
            actor: ActorId(n),
            dc: dc_of(n),
            state: if self.down.contains(&n) { State::Down } else { State::Up },
            catalog: self.newest_catalog,
            in_doubt: self.in_doubt.contains(&n),
        };
        let members = (1..=placed.len().max(5) as u64).map(|n| (NodeId(n), member(n))).collect();
        let (layout, catalog) = (self.layout.clone(), self.catalog.clone());
        let view = View::new(NodeId(self.me), None, layout, catalog, members, &dc_of(self.me), None);
        let in_doubt = self.in_doubt.contains(&self.me);
        Arc::new(view.with_fitness(Fitness { in_doubt, ..Fitness::default() }))
    }
}

/// The view of a node that takes some others for down.
pub(in super::super) fn view(me: u64, layout: Option<Arc<Layout>>, down: &[u64]) -> Arc<View> {
    Sight { me, layout, catalog: catalog(), newest_catalog: 0, down: down.to_vec(), in_doubt: Vec::new() }.view()
}
