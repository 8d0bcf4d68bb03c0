//! The peer port: the streams that other nodes' lanes arrive on. Like a session, a stream is its own task: polled by
//! the transport, it hands on what has come, and never has anything to say.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kvorum_node::{ClusterId, ControlInput, NodeId, PeerShard, ShardIndex};
use kvorum_wire::{PEER_PROTOCOL, v1};
use tokio::sync::{mpsc, watch};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::control_loop::{ControlEvent, Snapshot};
use crate::outbox::ResponseStream;
use crate::peer::control_codec;
use crate::peer::seal::{Refusal, Seal};
use crate::peer::traffic::{Traffic, told_of};
use crate::shard_loop;

/// The `Peer` service.
pub(crate) struct PeerService {
    pub(crate) control: mpsc::Sender<ControlEvent>,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) seal: Seal,
    pub(crate) traffic: Arc<Traffic>,
}

/// Who calls.
struct Caller {
    from: PeerShard,
    cluster: Option<ClusterId>,
}

fn caller(metadata: &MetadataMap) -> Result<Caller, Status> {
    let text = |key: &str| metadata.get(key).and_then(|value| value.to_str().ok());
    let number = |key: &str, radix| text(key).and_then(|text| u64::from_str_radix(text, radix).ok());
    let protocol = number("kvorum-protocol", 10)
        .ok_or_else(|| Status::invalid_argument("this port is for Kvorum nodes; clients use the client port"))?;
    if protocol != u64::from(PEER_PROTOCOL) {
        return Err(Status::failed_precondition(format!(
            "this node speaks peer protocol {PEER_PROTOCOL}, not {protocol}"
        )));
    }
    let node =
        number("kvorum-node", 16).ok_or_else(|| Status::invalid_argument("the metadata kvorum-node is missing"))?;
    let shard = number("kvorum-shard", 10).and_then(|shard| u16::try_from(shard).ok());
    let shard = shard.ok_or_else(|| Status::invalid_argument("the metadata kvorum-shard is missing"))?;
    let cluster = number("kvorum-cluster", 16).map(ClusterId);
    Ok(Caller { from: PeerShard { node: NodeId(node), shard: ShardIndex(shard) }, cluster })
}

#[tonic::async_trait]
impl v1::peer_server::Peer for PeerService {
    type ControlStream = ResponseStream<v1::Nothing>;
    type LaneStream = ResponseStream<v1::Nothing>;

    async fn control(
        &self,
        request: Request<Streaming<v1::ControlFrames>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        caller(request.metadata())?;
        let (control, seal, traffic) = (self.control.clone(), self.seal.clone(), Arc::clone(&self.traffic));
        let deliver = move |message: v1::ControlFrames| {
            for sealed in message.frames {
                let (bytes, told) = (prost::Message::encoded_len(&sealed), sealed.clone());
                let frame = seal.open(sealed).map_err(|refusal| {
                    let (address, cluster) = told_of(&told);
                    traffic.refuse(refusal, "a control message", &address, cluster);
                    // The sender ought to know why nobody listens to it.
                    Status::failed_precondition(refusal.to_string())
                })?;
                traffic.received.count(&frame, bytes);
                let reply_to = frame.reply_to.clone();
                match control_codec::control_message(frame) {
                    // A full queue drops gossip, which is said again and again.
                    Ok(message) => drop(control.try_send(ControlEvent::Input(ControlInput::Message(message)))),
                    Err(bad) => {
                        tracing::debug!("a control frame cannot be understood: {bad}");
                        traffic.refuse(Refusal::Malformed, "a control message", &reply_to, told_of(&told).1);
                    }
                }
            }
            Ok(())
        };
        Ok(Response::new(Box::pin(Inbound { incoming: request.into_inner(), deliver })))
    }

    async fn lane(&self, request: Request<Streaming<v1::Frames>>) -> Result<Response<Self::LaneStream>, Status> {
        let Caller { from, cluster } = caller(request.metadata())?;
        let seal = request.metadata().get("kvorum-seal").and_then(|seal| seal.to_str().ok());
        self.seal.check_lane(cluster, from.node, from.shard, seal).map_err(|refusal| {
            let view = self.snapshot.borrow().view.clone();
            let address = view.members.get(&from.node).map_or("", |member| &*member.peer);
            self.traffic.refuse(refusal, "a lane", address, cluster.map(|cluster| cluster.0));
            Status::failed_precondition(refusal.to_string())
        })?;
        let view = Arc::clone(&self.snapshot.borrow().view);
        let mine = view.cluster;
        if cluster.is_none() || cluster != mine {
            let name =
                |cluster: Option<ClusterId>| cluster.map_or_else(|| "none".to_owned(), |cluster| cluster.to_string());
            let message = format!("this node belongs to cluster {}, the caller to {}", name(mine), name(cluster));
            return Err(Status::failed_precondition(message));
        }
        // Whom the shards have not heard of they cannot answer; it asks another until gossip has introduced it.
        if !view.members.contains_key(&from.node) {
            return Err(Status::unavailable("this node has not heard of the caller yet"));
        }
        let deliver = move |message: v1::Frames| {
            shard_loop::with(|shard_loop| shard_loop.peer_frames(from, message.frames));
            Ok(())
        };
        Ok(Response::new(Box::pin(Inbound { incoming: request.into_inner(), deliver })))
    }
}

struct Inbound<M, D> {
    incoming: Streaming<M>,
    deliver: D,
}

impl<M, D: FnMut(M) -> Result<(), Status> + Unpin> Stream for Inbound<M, D> {
    type Item = Result<v1::Nothing, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match Pin::new(&mut this.incoming).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Err(status) = (this.deliver)(message) {
                        return Poll::Ready(Some(Err(status)));
                    }
                }
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
