//! The `Admin` service: what operators ask. Nothing here is on a request's path.

use std::collections::BTreeMap;

use kvorum_node::{Layout, View};
use kvorum_ring::Token;
use kvorum_wire::v1;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::clock::Clock;
use crate::control_loop::{ControlEvent, Snapshot};
use crate::watch_status;
use crate::why::why;

#[derive(Clone)]
pub(crate) struct AdminService {
    pub(crate) name: String,
    pub(crate) control: mpsc::Sender<ControlEvent>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) clock: Clock,
    /// What an operator should know of this node itself.
    pub(crate) warnings: Vec<String>,
    /// The number of the last event of a member.
    pub(crate) last_event: watch::Receiver<u64>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl AdminService {
    /// Asks the control part.
    pub(crate) async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> ControlEvent) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let stopping = || Status::unavailable("rejected: the node is stopping");
        self.control.send(question(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// The cluster as this node sees it, and the number of the last event that this is the outcome of.
    pub(crate) async fn told_status(&self) -> Result<(v1::StatusResponse, u64), Status> {
        let status = self.ask(ControlEvent::Status).await?;
        let members = status.members.into_iter().map(|member| v1::Member {
            name: member.name,
            id: member.id.to_string(),
            client: member.client.to_string(),
            peer: member.peer.to_string(),
            dc: member.dc,
            rack: member.rack,
            weight: member.weight,
            state: member.state.to_string(),
            partitions: u32::try_from(member.partitions).unwrap_or(u32::MAX),
            bytes: member.bytes,
            heartbeat_age_ms: member.heartbeat_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            in_doubt: member.in_doubt,
            pulled: member.pulled,
            to_pull: member.to_pull,
        });
        // Once: who holds one look at it and waits for another may wait for a writer that waits for the first.
        let Snapshot { view, ready, .. } = self.snapshot.borrow().clone();
        let told = v1::StatusResponse {
            cluster: status.cluster.map(|cluster| cluster.to_string()).unwrap_or_default(),
            epoch: status.epoch,
            phase: status.phase.to_string(),
            partitions: status.partitions,
            members: members.collect(),
            warnings: status.warnings.into_iter().chain(self.warnings.iter().cloned()).collect(),
            answered_by: self.name.clone(),
            pair_bytes: view.layout.as_ref().map_or(0, |layout| layout.pair_bytes()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready,
        };
        Ok((told, status.last_event))
    }
}

/// The layout of a view.
fn layout(view: &View) -> Result<&Layout, Status> {
    view.layout
        .as_deref()
        .ok_or_else(|| Status::unavailable(format!("rejected: not ready: {}", view.not_ready_because())))
}

/// Where a key lives.
fn place(layout: &Layout, key: &[u8]) -> v1::KeyPlace {
    let names = |row: &[u16]| row.iter().map(|index| layout.members()[usize::from(*index)].name.to_string()).collect();
    let token = Token::of(key);
    let partition = layout.partitions().of(token);
    v1::KeyPlace {
        token: token.0,
        partition: partition.0.into(),
        replicas: names(layout.table().replicas(partition)),
        fallbacks: names(layout.table().fallbacks(partition)),
    }
}

#[tonic::async_trait]
impl v1::admin_server::Admin for AdminService {
    type WatchStatusStream = ReceiverStream<Result<v1::WatchStatusResponse, Status>>;

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(self.told_status().await?.0))
    }

    async fn watch_status(
        &self,
        _: Request<v1::WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        Ok(Response::new(watch_status::start(self.clone())))
    }

    async fn hints(&self, _: Request<v1::HintsRequest>) -> Result<Response<v1::HintsResponse>, Status> {
        let view = self.snapshot.borrow().view.clone();
        let now_ms = self.clock.now().unix_ms;
        let queues = self.ask(ControlEvent::Hints).await?;
        let queues = queues.into_iter().map(|queue| v1::HintQueue {
            target: view.name_of(queue.target),
            count: queue.count,
            bytes: queue.bytes,
            owed: queue.owed,
            oldest_age_ms: now_ms.saturating_sub(queue.oldest_unix_ms),
        });
        Ok(Response::new(v1::HintsResponse { holder: self.name.clone(), queues: queues.collect() }))
    }

    async fn ring(&self, request: Request<v1::RingRequest>) -> Result<Response<v1::RingResponse>, Status> {
        let view = self.snapshot.borrow().view.clone();
        let layout = layout(&view)?;
        let place = request.into_inner().key.map(|key| place(layout, &key));
        let mut first: BTreeMap<u16, u32> = BTreeMap::new();
        for (_, row) in layout.table().rows() {
            if let Some(index) = row.first() {
                *first.entry(*index).or_default() += 1;
            }
        }
        let shares = (0..).zip(layout.members()).map(|(index, member)| v1::Share {
            name: member.name.to_string(),
            dc: member.dc.to_string(),
            rack: member.rack.to_string(),
            weight: member.weight,
            partitions: u32::try_from(layout.share(member.id)).unwrap_or(u32::MAX),
            first: first.get(&index).copied().unwrap_or(0),
        });
        let mut shares: Vec<_> = shares.collect();
        shares.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Response::new(v1::RingResponse {
            place,
            shares,
            partitions: layout.partitions().count(),
            epoch: layout.epoch(),
            replication: layout.replication().to_string(),
        }))
    }

    async fn why(&self, request: Request<v1::WhyRequest>) -> Result<Response<v1::WhyResponse>, Status> {
        let view = self.snapshot.borrow().view.clone();
        let request = request.into_inner();
        let place = place(layout(&view)?, &request.key);
        why(&view, self.clock, request, place).await.map(Response::new)
    }

    async fn list_keyspaces(
        &self,
        _: Request<v1::ListKeyspacesRequest>,
    ) -> Result<Response<v1::ListKeyspacesResponse>, Status> {
        Ok(Response::new(self.listed_keyspaces()))
    }

    async fn create_keyspace(
        &self,
        request: Request<v1::CreateKeyspaceRequest>,
    ) -> Result<Response<v1::Keyspace>, Status> {
        self.created_keyspace(request.into_inner()).await.map(Response::new)
    }

    async fn alter_keyspace(
        &self,
        request: Request<v1::AlterKeyspaceRequest>,
    ) -> Result<Response<v1::Keyspace>, Status> {
        self.altered_keyspace(request.into_inner()).await.map(Response::new)
    }

    async fn drop_keyspace(
        &self,
        request: Request<v1::DropKeyspaceRequest>,
    ) -> Result<Response<v1::DropKeyspaceResponse>, Status> {
        self.dropped_keyspace(request.into_inner()).await?;
        Ok(Response::new(v1::DropKeyspaceResponse {}))
    }

    async fn topology(&self, _: Request<v1::TopologyRequest>) -> Result<Response<v1::TopologyResponse>, Status> {
        let view = self.snapshot.borrow().view.clone();
        let layout = layout(&view)?;
        let nodes = layout.members().iter().map(|placed| {
            let member = view.members.get(&placed.id);
            v1::TopologyNode {
                name: placed.name.to_string(),
                client: member.map(|member| member.client.to_string()).unwrap_or_default(),
                dc: placed.dc.to_string(),
                up: member.is_some_and(kvorum_node::ViewMember::is_usable),
            }
        });
        let rows = layout
            .table()
            .rows()
            .map(|(_, row)| v1::TopologyRow { nodes: row.iter().map(|index| u32::from(*index)).collect() });
        Ok(Response::new(v1::TopologyResponse {
            epoch: layout.epoch(),
            partitions: layout.partitions().count(),
            nodes: nodes.collect(),
            rows: rows.collect(),
        }))
    }
}
