//! Owns the order in which nodes are asked for one request. It knows nothing of what the request is
//! or what became of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::node::Node;
use crate::table::Table;
use crate::{Config, Error};

/// At most so many nodes that neither hold the key nor are endpoints are asked for one request.
const BYSTANDERS: usize = 3;

/// The nodes a client knows.
#[derive(Debug)]
pub(crate) struct Routes {
    endpoints: Vec<Arc<Node>>,
    /// Absent while there is no topology, and always when only the endpoints are to be used.
    table: RwLock<Option<Arc<Table>>>,
    turn: AtomicUsize,
    /// Told whenever a session with any node is over.
    pub(crate) ended: Arc<Notify>,
}

/// What a request is about, as far as its way depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    Key(&'a [u8]),
    Partition(u32),
    Anything,
}

/// One walk over the nodes for one request, each once.
pub(crate) struct Tour<'a> {
    routes: &'a Routes,
    table: Option<Arc<Table>>,
    partition: Option<u32>,
    turn: usize,
    /// The node handed out first.
    first: Option<Arc<Node>>,
    /// Those after it. Most requests need no second node, so they are listed only when asked for.
    rest: Option<std::vec::IntoIter<Arc<Node>>>,
}

impl Routes {
    pub(crate) fn new(config: &Config) -> Result<Routes, Error> {
        let ended = Arc::new(Notify::new());
        let node = |address: &String| Node::new(address, config.connections, Arc::clone(&ended)).map(Arc::new);
        let mut endpoints: Vec<Arc<Node>> = Vec::new();
        for address in &config.endpoints {
            if !endpoints.iter().any(|node| node.address() == address) {
                endpoints.push(node(address)?);
            }
        }
        Ok(Routes { endpoints, table: RwLock::default(), turn: AtomicUsize::new(0), ended })
    }

    pub(crate) fn tour(&self, target: Target<'_>) -> Tour<'_> {
        let table = self.table();
        let partition = table.as_ref().and_then(|table| match target {
            Target::Key(key) => Some(table.partition_of(key)),
            Target::Partition(partition) => Some(partition),
            Target::Anything => None,
        });
        // A key that has a place needs no turn.
        let turn = if partition.is_some() { 0 } else { self.turn.fetch_add(1, Ordering::Relaxed) };
        Tour { routes: self, table, partition, turn, first: None, rest: None }
    }

    /// The node of an address, if it is known.
    pub(crate) fn find(&self, address: &str) -> Option<Arc<Node>> {
        let endpoint = self.endpoints.iter().find(|node| node.address() == address).cloned();
        endpoint.or_else(|| self.table()?.find(address).cloned())
    }

    pub(crate) fn endpoints(&self) -> &[Arc<Node>] {
        &self.endpoints
    }

    pub(crate) fn has_table(&self) -> bool {
        self.table().is_some()
    }

    pub(crate) fn install(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table));
    }

    fn table(&self) -> Option<Arc<Table>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tour<'_> {
    /// The next node to ask.
    pub(crate) fn next(&mut self) -> Option<Arc<Node>> {
        let Some(first) = &self.first else {
            let first = self.favourite().or_else(|| self.all().into_iter().next());
            self.first.clone_from(&first);
            return first;
        };
        if self.rest.is_none() {
            let mut all = self.all();
            all.retain(|node| !Arc::ptr_eq(first, node));
            self.rest = Some(all.into_iter());
        }
        self.rest.as_mut().and_then(Iterator::next)
    }

    /// Whether there is another node after those handed out.
    pub(crate) fn has_next(&self) -> bool {
        let listed = self.table.as_ref().map_or(0, |table| table.nodes.len());
        match &self.rest {
            Some(rest) => !rest.as_slice().is_empty(),
            None => listed.max(self.routes.endpoints.len()) > 1,
        }
    }

    /// The first node of `all`, when it can be told without making the list.
    fn favourite(&self) -> Option<Arc<Node>> {
        let endpoints = &self.routes.endpoints;
        let node = match (&self.table, self.partition) {
            (Some(table), Some(partition)) => &table.holders(partition).next().filter(|it| it.up)?.node,
            _ => &endpoints[self.turn % endpoints.len()],
        };
        (!node.is_avoided()).then(|| Arc::clone(node))
    }

    /// Every node worth asking, once: those that hold the key, some others, the endpoints, those that
    /// are down. Whoever was silent lately comes last.
    fn all(&self) -> Vec<Arc<Node>> {
        let endpoints = &self.routes.endpoints;
        let in_turn = (0..endpoints.len()).map(|i| &endpoints[(self.turn + i) % endpoints.len()]);
        let mut nodes: Vec<&Arc<Node>> = Vec::new();
        if let (Some(table), Some(partition)) = (&self.table, self.partition) {
            let (up, down): (Vec<_>, Vec<_>) = table.holders(partition).partition(|it| it.up);
            let start = partition as usize % table.nodes.len().max(1);
            let others = table.nodes[start..].iter().chain(&table.nodes[..start]);
            let others = others.filter(|it| it.up && !up.iter().any(|held| Arc::ptr_eq(&held.node, &it.node)));
            nodes.extend(up.iter().copied().chain(others.take(BYSTANDERS)).map(|it| &it.node));
            nodes.extend(in_turn);
            nodes.extend(down.iter().map(|it| &it.node));
        } else {
            nodes.extend(in_turn);
            let listed = self.table.iter().flat_map(|table| &table.nodes);
            nodes.extend(listed.filter(|it| it.up).take(BYSTANDERS).map(|it| &it.node));
        }
        let mut once: Vec<Arc<Node>> = Vec::with_capacity(nodes.len());
        for node in nodes {
            if !once.iter().any(|earlier| Arc::ptr_eq(earlier, node)) {
                once.push(Arc::clone(node));
            }
        }
        once.sort_by_key(|node| node.is_avoided());
        once
    }
}

#[cfg(test)]
mod tests {
    use kvorum_wire::v1::{TopologyNode, TopologyResponse, TopologyRow};

    use super::*;

    fn routes(endpoints: &[&str]) -> Routes {
        Routes::new(&Config::new(endpoints.iter().copied())).unwrap()
    }

    fn tour(routes: &Routes, target: Target<'_>) -> Vec<String> {
        let mut tour = routes.tour(target);
        let mut order = Vec::new();
        while let Some(node) = tour.next() {
            order.push(node.address().to_owned());
        }
        assert!(!tour.has_next());
        order
    }

    /// Nodes a to e, of which b is down; one partition, held by b, c and d.
    fn install(routes: &Routes) {
        let node = |name: &str| TopologyNode { client: format!("{name}:1"), up: name != "b", ..Default::default() };
        let topology = TopologyResponse {
            epoch: 1,
            partitions: 1,
            nodes: ["a", "b", "c", "d", "e"].map(node).into(),
            rows: vec![TopologyRow { nodes: vec![1, 2, 3] }],
        };
        let find = |address: &str| {
            let new = || Node::new(address, 1, Arc::clone(&routes.ended)).ok().map(Arc::new);
            routes.find(address).or_else(new)
        };
        routes.install(Table::new(topology, None, find).unwrap());
    }

    #[tokio::test]
    async fn endpoints_are_asked_in_turn_each_call_beginning_at_the_next() {
        let routes = routes(&["a:1", "b:1", "c:1", "a:1"]);
        assert_eq!(tour(&routes, Target::Key(b"k")), ["a:1", "b:1", "c:1"]);
        assert_eq!(tour(&routes, Target::Key(b"k")), ["b:1", "c:1", "a:1"]);
        assert_eq!(tour(&routes, Target::Anything), ["c:1", "a:1", "b:1"]);
    }

    #[tokio::test]
    async fn replicas_that_are_up_come_first_and_those_down_last() {
        let routes = routes(&["e:1", "z:1"]);
        install(&routes);
        let order = tour(&routes, Target::Key(b"k"));
        assert_eq!(order, ["c:1", "d:1", "a:1", "e:1", "z:1", "b:1"]);
        assert_eq!(tour(&routes, Target::Partition(0)), order);
        assert_eq!(tour(&routes, Target::Anything)[..2], ["e:1", "z:1"]);
    }

    #[tokio::test]
    async fn a_node_that_was_silent_is_asked_last_for_a_while() {
        let routes = routes(&["e:1"]);
        install(&routes);
        routes.find("c:1").unwrap().avoid();
        assert_eq!(tour(&routes, Target::Key(b"k")), ["d:1", "a:1", "e:1", "b:1", "c:1"]);
    }
}
