//! The control lanes: one connection to each address that the control part speaks to. What leaves is sealed; that a lane is
//! up, broken, or refused is told to the control part, or to the operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_node::{Address, ControlInput, ControlMessage, NodeId, ShardIndex};
use kvorum_wire::v1;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::control_loop::ControlEvent;
use crate::outbox::Outbox;
use crate::peer::control_codec;
use crate::peer::lane::{Backoff, connect, peer_metadata};
use crate::peer::seal::Seal;
use crate::peer::traffic::Traffic;

/// What may wait for one address on its control lane, in bytes.
const CONTROL_LIMIT: usize = 4 << 20;
/// A control connection that has had nothing to say for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// A peer that refuses this node is tried again and again; that it does is said this often.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(30);

/// The control lanes, by address: a seed's id is not known before it answers.
pub(crate) struct Lanes {
    me: NodeId,
    /// To the loop: what becomes of lanes.
    own: mpsc::Sender<ControlEvent>,
    seal: Seal,
    traffic: Arc<Traffic>,
    lanes: BTreeMap<Address, ControlLane>,
}

struct ControlLane {
    outbox: Arc<Outbox<v1::SealedFrame>>,
    task: JoinHandle<()>,
}

impl Lanes {
    pub(crate) fn new(me: NodeId, own: mpsc::Sender<ControlEvent>, seal: Seal, traffic: Arc<Traffic>) -> Self {
        Self { me, own, seal, traffic, lanes: BTreeMap::new() }
    }

    pub(crate) fn send(&mut self, to: &Address, message: ControlMessage) {
        if self.lanes.get(to).is_none_or(|lane| lane.task.is_finished()) {
            let metadata = peer_metadata(&self.seal, message.cluster, self.me, ShardIndex::default());
            self.lanes.insert(Arc::clone(to), ControlLane::start(to, metadata, self.own.clone()));
        }
        let frame = control_codec::control_frame(message);
        let sealed = self.seal.seal(&frame);
        let weight = prost::Message::encoded_len(&sealed);
        self.traffic.sent.count(&frame, weight);
        if let Some(lane) = self.lanes.get(to) {
            // What finds no room, or no connection, is lost: gossip says it again.
            drop(lane.outbox.push([(weight, sealed)]));
        }
        self.lanes.retain(|address, lane| address == to || !lane.task.is_finished());
    }
}

impl ControlLane {
    fn start(to: &Address, metadata: MetadataMap, control: mpsc::Sender<ControlEvent>) -> Self {
        let outbox = Outbox::new(CONTROL_LIMIT);
        let task = tokio::spawn(keep_connected(Arc::clone(to), metadata, Arc::clone(&outbox), control));
        Self { outbox, task }
    }
}

impl Drop for ControlLane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps a control lane connected for as long as there is something to say to the address. Unlike a data lane it
/// holds what waits while it connects: the first word to a seed should not be lost.
async fn keep_connected(
    address: Address,
    metadata: MetadataMap,
    outbox: Arc<Outbox<v1::SealedFrame>>,
    control: mpsc::Sender<ControlEvent>,
) {
    let mut backoff = Backoff::new();
    let mut last_used = tokio::time::Instant::now();
    let mut refusal_told: Option<Instant> = None;
    // Evidence that is lost in a full queue is no loss: gossip finds out by itself.
    let tell = |input: fn(Address) -> ControlInput| {
        drop(control.try_send(ControlEvent::Input(input(Arc::clone(&address)))));
    };
    loop {
        match connect(&address).await {
            Ok(mut client) => {
                outbox.open();
                let mut request = Request::new(outbox.stream(|frames| v1::ControlFrames { frames }));
                *request.metadata_mut() = metadata.clone();
                let ended = match client.control(request).await {
                    Ok(response) => {
                        outbox.accept();
                        tell(ControlInput::LaneUp);
                        last_used = tokio::time::Instant::now();
                        let mut nothing = response.into_inner();
                        let ended = loop {
                            match nothing.message().await {
                                Ok(Some(_)) => {}
                                Ok(None) => break Ok(()),
                                Err(status) => break Err(status),
                            }
                        };
                        // Who refuses what it hears is not pressed.
                        if !is_refusal(&ended) {
                            backoff.reset();
                        }
                        ended
                    }
                    Err(status) => Err(status),
                };
                tracing::debug!(peer = %address, ?ended, "the control lane ended");
                if let Err(status) = &ended
                    && is_refusal(&ended)
                    && refusal_told.is_none_or(|told| told.elapsed() > REFUSAL_INTERVAL)
                {
                    refusal_told = Some(Instant::now());
                    tracing::error!(peer = %address, "the peer does not listen to this node: {}", status.message());
                }
            }
            Err(error) => tracing::debug!(peer = %address, error, "cannot connect"),
        }
        tell(ControlInput::LaneDown);
        drop(outbox.close());
        if last_used.elapsed() > IDLE {
            return;
        }
        backoff.wait().await;
        outbox.open();
    }
}

fn is_refusal(ended: &Result<(), tonic::Status>) -> bool {
    matches!(ended, Err(status) if status.code() == tonic::Code::FailedPrecondition)
}
