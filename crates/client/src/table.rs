//! Owns a topology made usable: for each partition the nodes that hold it. Where it comes from is in
//! `refresh.rs`, how a request uses it in `route.rs`.

use std::sync::Arc;

use kvorum_ring::{Partitions, Token};
use kvorum_wire::v1::TopologyResponse;

use crate::node::Node;

/// The nodes of a cluster, and who holds what.
#[derive(Debug)]
pub(crate) struct Table {
    partitions: Partitions,
    pub(crate) nodes: Vec<Listed>,
    /// For each partition the holders, as indexes into `nodes`, the best to ask first.
    rows: Vec<Box<[u32]>>,
}

#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) node: Arc<Node>,
    pub(crate) up: bool,
    local: bool,
}

impl Table {
    /// The table of a topology; `node` finds or makes the node of an address. Nothing if the topology
    /// is of a cluster that has no layout yet, or makes no sense.
    pub(crate) fn new(
        topology: TopologyResponse,
        dc: Option<&str>,
        mut node: impl FnMut(&str) -> Option<Arc<Node>>,
    ) -> Option<Table> {
        let partitions = Partitions::new(topology.partitions).ok()?;
        if topology.rows.len() != partitions.count() as usize {
            return None;
        }
        let listed = topology.nodes.iter().map(|listed| {
            let local = dc.is_none_or(|dc| dc == listed.dc);
            Some(Listed { node: node(&listed.client)?, up: listed.up, local })
        });
        let nodes: Vec<Listed> = listed.collect::<Option<_>>()?;
        let row = |row: kvorum_wire::v1::TopologyRow| {
            let mut row = row.nodes;
            let known = row.iter().all(|&index| (index as usize) < nodes.len());
            known.then(|| {
                // Stable: among equals the layout's order of preference stays.
                row.sort_by_key(|&index| {
                    let listed = &nodes[index as usize];
                    (!listed.up, !listed.local)
                });
                row.into_boxed_slice()
            })
        };
        let rows = topology.rows.into_iter().map(row).collect::<Option<_>>()?;
        Some(Table { partitions, nodes, rows })
    }

    pub(crate) fn partition_of(&self, key: &[u8]) -> u32 {
        u32::from(self.partitions.of(Token::of(key)).0)
    }

    /// Who holds a partition, the best to ask first; nobody for a number past the last.
    pub(crate) fn holders(&self, partition: u32) -> impl Iterator<Item = &Listed> {
        let row = self.rows.get(partition as usize).map_or(&[][..], |row| row);
        row.iter().map(|&index| &self.nodes[index as usize])
    }

    /// The node of this address, if it is listed.
    pub(crate) fn find(&self, address: &str) -> Option<&Arc<Node>> {
        self.nodes.iter().map(|listed| &listed.node).find(|node| node.address() == address)
    }
}

#[cfg(test)]
mod tests {
    use kvorum_wire::v1::{TopologyNode, TopologyRow};
    use tokio::sync::Notify;

    use super::*;

    fn topology() -> TopologyResponse {
        let node = |client: &str, dc: &str, up| TopologyNode {
            client: client.into(),
            dc: dc.into(),
            up,
            ..Default::default()
        };
        TopologyResponse {
            epoch: 1,
            partitions: 2,
            nodes: vec![node("a:1", "dc1", true), node("b:1", "dc2", true), node("c:1", "dc2", false)],
            rows: vec![TopologyRow { nodes: vec![2, 0, 1] }, TopologyRow { nodes: vec![1] }],
        }
    }

    fn table(topology: TopologyResponse, dc: Option<&str>) -> Option<Table> {
        Table::new(topology, dc, |address| Node::new(address, 1, Arc::new(Notify::new())).ok().map(Arc::new))
    }

    fn holders(table: &Table, partition: u32) -> Vec<&str> {
        table.holders(partition).map(|listed| listed.node.address()).collect()
    }

    #[tokio::test]
    async fn holders_that_are_up_and_near_come_first() {
        let anywhere = table(topology(), None).unwrap();
        assert_eq!(holders(&anywhere, 0), ["a:1", "b:1", "c:1"]);
        assert_eq!(holders(&anywhere, 1), ["b:1"]);
        assert_eq!(holders(&anywhere, 2), Vec::<&str>::new());
        let near = table(topology(), Some("dc2")).unwrap();
        assert_eq!(holders(&near, 0), ["b:1", "a:1", "c:1"]);
    }

    #[tokio::test]
    async fn the_partition_of_a_key_is_its_tokens() {
        let table = table(topology(), None).unwrap();
        let expected = |key: &[u8]| u32::from(Token::of(key).0 >= 1 << 63);
        for key in ["a", "b", "c", "d", "{a}e"] {
            assert_eq!(table.partition_of(key.as_bytes()), expected(key.as_bytes()), "{key}");
        }
    }

    #[tokio::test]
    async fn a_topology_that_makes_no_sense_gives_no_table() {
        let broken = |change: fn(&mut TopologyResponse)| {
            let mut topology = topology();
            change(&mut topology);
            table(topology, None).is_none()
        };
        assert!(!broken(|_| ()));
        assert!(broken(|it| it.partitions = 0));
        assert!(broken(|it| it.partitions = 3));
        assert!(broken(|it| it.partitions = 4));
        assert!(broken(|it| it.rows[1].nodes.push(3)));
        assert!(broken(|it| it.nodes[0].client = "no address".into()));
    }
}
