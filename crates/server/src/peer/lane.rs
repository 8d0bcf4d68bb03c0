//! An outbound lane: the connection that carries one outbox to one peer. Each lane is an HTTP/2 connection of its own,
//! since streams of one connection share its window; answers come on the peer's own lanes, so the only thing a lane
//! hears is its end.

use std::sync::Arc;
use std::time::Duration;

use kvorum_node::{Address, ClusterId, Lane, NodeId, ShardIndex};
use kvorum_wire::{PEER_PROTOCOL, v1};
use tokio::task::JoinHandle;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use v1::peer_client::PeerClient;

use crate::clock::Clock;
use crate::outbox::Outbox;
use crate::peer::codec;
use crate::peer::seal::Seal;
use crate::shard_loop;

/// What may wait for a peer, in bytes, on the lane of reads and writes and on the one of scans.
const REQUESTS_LIMIT: usize = 16 << 20;
const BULK_LIMIT: usize = 16 << 20;
/// A node that does not accept a connection for so long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// The same for who is there, and has not heard of this node yet.
const STRANGERS_BACKOFF: Duration = Duration::from_millis(100);

/// Frames and messages up to this size pass between nodes.
pub(crate) const MAX_MESSAGE: usize = 8 << 20;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// What every call on the peer port carries.
pub(crate) fn peer_metadata(seal: &Seal, cluster: Option<ClusterId>, node: NodeId, shard: ShardIndex) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("kvorum-protocol", MetadataValue::from(PEER_PROTOCOL));
    metadata.insert("kvorum-shard", MetadataValue::from(u32::from(shard.0)));
    let mut hexadecimal = |key, id: String| {
        metadata.insert(key, id.parse().expect("hexadecimal digits are metadata"));
    };
    hexadecimal("kvorum-node", node.to_string());
    if let Some(cluster) = cluster {
        hexadecimal("kvorum-cluster", cluster.to_string());
    }
    if let Some(seal) = seal.of_lane(cluster, node, shard) {
        hexadecimal("kvorum-seal", seal);
    }
    metadata
}

/// Connects to a peer's port.
pub(crate) async fn connect(address: &str) -> Result<PeerClient<Channel>, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let channel = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(|error| describe(&error))?;
    Ok(PeerClient::new(channel).max_encoding_message_size(MAX_MESSAGE).max_decoding_message_size(MAX_MESSAGE))
}

/// An error with its causes: a transport error alone says only that there was one.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = causes.map(ToString::to_string).collect();
    said.dedup();
    said.join(": ")
}

/// The delay before the next attempt.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(FIRST_BACKOFF)
    }

    pub(crate) fn reset(&mut self) {
        self.0 = FIRST_BACKOFF;
    }

    fn at_most(&mut self, delay: Duration) {
        self.0 = self.0.min(delay);
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LAST_BACKOFF);
    }
}

/// What waits to leave, and when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) until: Duration,
    pub(crate) frame: v1::Frame,
}

impl Outgoing {
    pub(crate) fn is_request(&self) -> bool {
        codec::is_request(&self.frame)
    }

    /// The frame as it leaves now; none if that is too late.
    fn leave(self, now: Duration) -> Option<v1::Frame> {
        let left = self.until.checked_sub(now).filter(|left| !left.is_zero())?;
        // Rounded up, for 0 is nothing; what is longer than a number can say is for ever.
        let timeout_ms = u32::try_from(left.as_nanos().div_ceil(1_000_000)).ok();
        Some(v1::Frame { timeout_ms, ..self.frame })
    }
}

/// The lanes of one shard thread to one peer. Dropping them ends their connections.
pub(crate) struct PeerLanes {
    address: Address,
    requests: (Arc<Outbox<Outgoing>>, JoinHandle<()>),
    bulk: (Arc<Outbox<Outgoing>>, JoinHandle<()>),
}

impl PeerLanes {
    pub(crate) fn start(node: NodeId, address: Address, metadata: MetadataMap, clock: Clock) -> Self {
        let start = |lane, limit| {
            // Answers wait for a connection: who asked is there. What is asked is better asked elsewhere.
            let outbox = Outbox::with_waiting(limit, |it: &Outgoing| !it.is_request());
            let (address, metadata) = (Arc::clone(&address), metadata.clone());
            let task = tokio::spawn(keep_connected(node, lane, address, metadata, Arc::clone(&outbox), clock));
            (outbox, task)
        };
        let (requests, bulk) = (start(Lane::Requests, REQUESTS_LIMIT), start(Lane::Bulk, BULK_LIMIT));
        Self { address, requests, bulk }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn outbox(&self, lane: Lane) -> &Arc<Outbox<Outgoing>> {
        if lane == Lane::Bulk { &self.bulk.0 } else { &self.requests.0 }
    }
}

impl Drop for PeerLanes {
    fn drop(&mut self) {
        self.requests.1.abort();
        self.bulk.1.abort();
    }
}

/// Keeps one lane connected for as long as its peer is a member.
async fn keep_connected(
    node: NodeId,
    lane: Lane,
    address: Address,
    metadata: MetadataMap,
    outbox: Arc<Outbox<Outgoing>>,
    clock: Clock,
) {
    let mut backoff = Backoff::new();
    let mut told = false;
    loop {
        match connect(&address).await {
            Ok(client) => {
                outbox.open();
                let ended = carry(client, &metadata, &outbox, clock, &mut backoff).await;
                tracing::debug!(peer = %address, ?lane, ?ended, "the lane ended");
                if matches!(&ended, Err(status) if status.code() == tonic::Code::Unavailable) {
                    backoff.at_most(STRANGERS_BACKOFF);
                }
                if let Err(status) = &ended
                    && status.code() == tonic::Code::FailedPrecondition
                    && !told
                {
                    told = true;
                    tracing::error!(peer = %address, "the peer refuses this node: {}", status.message());
                }
            }
            Err(error) => tracing::debug!(peer = %address, ?lane, error, "cannot connect"),
        }
        let unsent = outbox.close();
        shard_loop::with(|shard_loop| shard_loop.lane_lost(node, lane, unsent));
        backoff.wait().await;
    }
}

/// Lets the outbox stream out until the connection ends.
async fn carry(
    mut client: PeerClient<Channel>,
    metadata: &MetadataMap,
    outbox: &Arc<Outbox<Outgoing>>,
    clock: Clock,
    backoff: &mut Backoff,
) -> Result<(), Status> {
    let leave = move |waiting: Vec<Outgoing>| {
        let now = clock.now().elapsed;
        v1::Frames { frames: waiting.into_iter().filter_map(|it| it.leave(now)).collect() }
    };
    let mut request = Request::new(outbox.stream(leave));
    *request.metadata_mut() = metadata.clone();
    let mut nothing = client.lane(request).await?.into_inner();
    outbox.accept();
    backoff.reset();
    while nothing.message().await?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_any_more_does_not_leave_and_the_rest_says_how_long_it_is_waited_for() {
        let ms = Duration::from_millis;
        let leave = |until, now| Outgoing { until, frame: v1::Frame { op: 7, ..Default::default() } }.leave(now);
        assert_eq!(leave(ms(50), ms(50)), None);
        assert_eq!(leave(ms(50), ms(51)), None);
        let left = |until, now| leave(until, now).map(|frame| (frame.op, frame.timeout_ms));
        assert_eq!(left(ms(50), ms(20)), Some((7, Some(30))));
        assert_eq!(left(ms(50), ms(50) - Duration::from_nanos(1)), Some((7, Some(1))), "rounded up");
        assert_eq!(left(Duration::MAX, ms(50)), Some((7, None)));
    }
}
