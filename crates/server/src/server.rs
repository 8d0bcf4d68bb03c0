//! One node, put together and run: opens the data directory, starts the engine, the shard threads and the control
//! thread, binds the ports, and takes all of it down again.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kvorum_gossip::MAX_ADDRESS_BYTES;
use kvorum_node::control::{Figures, Founding, SavedState};
use kvorum_node::{
    ActorId, ClusterId, Control, ControlConfig, HintsConfig, Input, Limits, MAX_DRIFT, MemberMeta, NodeId, Secret,
    Shard, ShardConfig, ShardIndex, StoreError, View,
};
use kvorum_wire::v1;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server as TonicServer;
use v1::admin_server::AdminServer;
use v1::kv_server::KvServer;
use v1::peer_server::PeerServer;

use crate::accept::{Accepted, Connection, accept};
use crate::admin_service::AdminService;
use crate::clock::Clock;
use crate::cluster_key::{ClusterKey, ClusterKeyError};
use crate::config::{Config, default_hints};
use crate::control_loop::{ControlEvent, ControlLoop, Snapshot};
use crate::data_dir::{DataDir, DataDirError, FoundingIdentity, Identity};
use crate::disk_pool::DiskPool;
use crate::doubt::{self, Circumstances};
use crate::dropped_data::DroppedData;
use crate::engine::{Completions, Durability, EngineKind, Expiry, Opening};
use crate::keyspaces::Changes;
use crate::kv_service::KvService;
use crate::mailbox::{Mail, Mailbox};
use crate::memory::Shares;
use crate::metrics::{Metrics, Sources};
use crate::peer::control_codec::gossip_config;
use crate::peer::inbound::PeerService;
use crate::peer::lane::MAX_MESSAGE;
use crate::peer::seal::Seal;
use crate::peer::traffic::Traffic;
use crate::shard_loop::{self, Shared};

/// How long a read waits for the replicas it asked before it asks one more.
const HEDGE_AFTER: Duration = Duration::from_millis(50);
/// How long a stopping node lets requests finish.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const DISK_THREADS: usize = 4;
/// Connections a shard thread has been handed and not yet taken up.
const ACCEPT_QUEUE: usize = 64;
/// Connections at a time: of clients, and of other nodes (each has three lanes, and one more while it reconnects).
const MAX_CLIENTS: usize = 4096;
const MAX_PEERS: usize = 4096;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
const MAX_CLIENT_MESSAGE: usize = 4 << 20;
/// The largest that leaves: a record merged from siblings of several replicas may be larger than any that was written.
const MAX_CLIENT_ANSWER: usize = 16 << 20;
const STREAMS_PER_CONNECTION: u32 = 256;

/// Why a node cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The cluster key cannot be used.
    #[error(transparent)]
    ClusterKey(#[from] ClusterKeyError),
    /// Other nodes cannot be told so long an address.
    #[error(
        "the address for other nodes, {address}, is longer than {MAX_ADDRESS_BYTES} bytes: set a shorter --peer-advertise"
    )]
    AddressTooLong {
        /// The address.
        address: String,
    },
    /// A port cannot be opened.
    /// The cause follows as its source.
    #[error("cannot listen on {address} (--{flag}; is another process using it? choose another address)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be opened, or could not be closed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system refuses a thread, a runtime or randomness.
    #[error("the operating system refuses {what}: {why}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// A node that serves, and where.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The node's name.
    pub name: String,
    /// The node.
    pub id: NodeId,
    /// Where clients reach it.
    pub client: SocketAddr,
    /// Where peers reach it.
    pub peer: SocketAddr,
    /// Where it answers `/livez`, `/readyz` and `/metrics`.
    pub http: SocketAddr,
}

/// Runs a node until `stop` completes. `ready` is called once, when it serves.
///
/// # Errors
/// When it cannot start, or its store could not be closed.
pub fn run(config: Config, ready: impl FnOnce(&Ready), stop: impl Future<Output = ()>) -> Result<(), ServerError> {
    let runtime = runtime("kvorum-control")?;
    runtime.block_on(async {
        let data_dir = Arc::new(DataDir::open(&config.data_dir)?);
        tokio::pin!(stop);
        let mut ready = Some(ready);
        loop {
            let mut told = |it: &Ready| ready.take().into_iter().for_each(|ready| ready(it));
            match serve(&config, Arc::clone(&data_dir), &mut told, stop.as_mut()).await? {
                Ended::Stopped => return Ok(()),
                Ended::TookOver => tracing::info!("starting anew"),
            }
        }
    })
}

/// Why a node serves no more.
enum Ended {
    /// It was told to stop.
    Stopped,
    /// It has taken the place of another, and starts anew as that one.
    TookOver,
}

/// So many tasks run before sockets are looked at again. A shard that is loaded always has some that are ready, and each may
/// take a millisecond: what has come meanwhile, and is to be refused, must not wait for many of them.
const EVENT_INTERVAL: u32 = 8;

fn runtime(name: &str) -> Result<tokio::runtime::Runtime, ServerError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .thread_name(name)
        .build()
        .map_err(|error| ServerError::System { what: "a runtime", why: error.to_string() })
}

fn random() -> Result<u64, ServerError> {
    getrandom::u64().map_err(|error| ServerError::System { what: "random numbers", why: error.to_string() })
}

/// A secret for a cluster that is still to be founded.
fn random_secret() -> Result<Secret, ServerError> {
    let mut secret = [0; 32];
    let filled = getrandom::fill(&mut secret);
    filled.map_err(|error| ServerError::System { what: "random numbers", why: error.to_string() })?;
    Ok(Secret(secret))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), ServerError> {
    let refused = |source| ServerError::Listen { address, flag, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Reports of the log thread, as mail to the shards.
struct PostCompletions {
    mailboxes: Arc<[Arc<Mailbox>]>,
    store_failed: Arc<AtomicBool>,
}

impl Completions for PostCompletions {
    fn durable(&self, shard: ShardIndex, seq: kvorum_node::LogSeq) {
        self.mailboxes[usize::from(shard.0)].post([Mail::Input(Input::Durable(seq))]);
    }

    fn failed(&self, error: &StoreError) {
        self.store_failed.store(true, Ordering::Relaxed);
        for mailbox in self.mailboxes.iter() {
            mailbox.post([Mail::Input(Input::LogFailed(error.clone()))]);
        }
    }
}

async fn serve(
    config: &Config,
    data_dir: Arc<DataDir>,
    ready: &mut dyn FnMut(&Ready),
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Ended, ServerError> {
    let (client_listener, client) = bind(config.listen, "listen").await?;
    let (peer_listener, peer) = bind(config.peer_listen, "peer-listen").await?;
    let (http_listener, http) = bind(config.http_listen, "http-listen").await?;

    let (cluster_key, key_warning) = config.cluster_key_file.as_deref().map(ClusterKey::read).transpose()?.unzip();
    let seal = Seal::new(cluster_key.as_ref());
    let address = config.peer_advertise.clone().unwrap_or_else(|| peer.to_string());
    if address.len() > MAX_ADDRESS_BYTES {
        return Err(ServerError::AddressTooLong { address });
    }
    let traffic = Arc::new(Traffic::default());

    let mut saved = data_dir.state()?;
    let identity = take_identity(&data_dir, config, saved.layout.is_some())?;
    let (me, clock) = (identity.node(), Clock::start());
    let actor = ActorId(random()?);
    let founding = founding(&data_dir, &identity, &mut saved)?;
    let clock_floor = data_dir.ceiling()?;
    let warnings: Vec<String> = warnings(config).into_iter().chain(key_warning.flatten()).collect();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }

    let mailboxes: Arc<[Arc<Mailbox>]> = (0..config.shards).map(|_| Arc::new(Mailbox::default())).collect();
    let store_failed = Arc::new(AtomicBool::new(false));
    let completions = PostCompletions { mailboxes: Arc::clone(&mailboxes), store_failed: Arc::clone(&store_failed) };
    let memory = Shares::of(config.memory);
    let opening = Opening {
        directory: data_dir.path(),
        durability: config.durability,
        memory,
        expiry: Expiry { unix_ms: Arc::new(move || clock.now().unix_ms), grace_ms: 2 * millis(MAX_DRIFT) },
        completions: Arc::new(completions),
    };
    let engine = config.engine.open(opening)?;
    let disks = DiskPool::start(&engine, clock, DISK_THREADS)
        .map_err(|error| ServerError::System { what: "a thread", why: error.to_string() })?;

    let (events, control_events) = mpsc::channel(4096);
    let control_config = ControlConfig {
        me,
        boot: identity.boot,
        shards: config.shards,
        gossip: gossip_config(address.len()),
        peer: address.into(),
        meta: MemberMeta {
            name: config.name.as_str().into(),
            client: config.advertise.clone().unwrap_or_else(|| client.to_string()).into(),
            dc: config.dc.as_str().into(),
            rack: config.rack.as_str().into(),
            weight: config.weight,
            actor,
            // A copy of a running node on a machine whose clock is behind is not the older of the two.
            since_ms: clock.now().unix_ms.max(clock_floor.millis()),
            epoch: 0,
            catalog: 0,
            pulled: 0,
            to_pull: 0,
            bytes: 0,
            founding: 0,
            ceiling: clock_floor,
            in_doubt: None,
        },
        in_doubt: identity.in_doubt.as_deref().map(Into::into),
        seeds: config.seeds.iter().map(|seed| seed.as_str().into()).collect(),
        saved,
        clock_floor,
        founding,
        seed: random()?,
    };
    let mut first_effects = Vec::new();
    let control = Control::new(control_config, clock.now(), &mut first_effects);
    let unpublished =
        Arc::new(View::new(me, None, None, Arc::default(), std::collections::BTreeMap::new(), &config.dc, None));
    let first_snapshot =
        Snapshot { view: Arc::clone(&unpublished), serving: false, ready: false, figures: Figures::default() };
    let (snapshot, mut snapshots) = watch::channel(first_snapshot);
    let (taking_over, mut took_over) = watch::channel(false);
    let (last_event, events_told) = watch::channel(0);
    let control_loop = ControlLoop {
        me,
        clock,
        data_dir: Arc::clone(&data_dir),
        engine: Arc::clone(&engine),
        mailboxes: Arc::clone(&mailboxes),
        events: control_events,
        own: events.clone(),
        snapshot,
        last_event,
        seal: seal.clone(),
        traffic: Arc::clone(&traffic),
        took_over: taking_over,
        changes: Changes::new(random()?),
        dropped_data: DroppedData::new(Arc::clone(&engine)),
        save_failure_told: None,
    };

    let shared = Shared {
        me,
        clock,
        engine: Arc::clone(&engine),
        disks: Arc::new(disks),
        mailboxes: Arc::clone(&mailboxes),
        control: events.clone(),
        seal: seal.clone(),
    };
    let (stopping, stopped) = watch::channel(false);
    let services = Services {
        name: config.name.clone(),
        process: actor,
        control: events.clone(),
        snapshot: snapshots.clone(),
        clock,
        warnings,
        last_event: events_told,
        seal,
        traffic: Arc::clone(&traffic),
        stopped: stopped.clone(),
    };
    let parts = config.shards.max(1) as u64;
    let hints = default_hints();
    let hints = HintsConfig {
        bytes: config.hint_bytes / parts,
        max_age: config.hint_age,
        bytes_per_second: hints.bytes_per_second / parts,
        ..hints
    };
    let mut threads = Vec::new();
    for index in (0..).map(ShardIndex).take(config.shards) {
        let shard_config = ShardConfig {
            index,
            shards: config.shards,
            actor,
            clock_floor,
            max_drift_ms: millis(MAX_DRIFT),
            hedge_after: HEDGE_AFTER,
            limits: Limits { hints, ..memory.limits(config.shards) },
            seed: random()?,
        };
        let shard = Shard::new(shard_config, Arc::clone(&unpublished));
        threads.push(ShardThread::start(index, shard, shared.clone(), services.clone())?);
    }
    drop((shared, services));

    let control_task = tokio::spawn(control_loop.run(control, first_effects));
    let queues = threads.iter().map(|thread| (thread.clients.clone(), thread.peers.clone()));
    let (client_queues, peer_queues) = queues.unzip();
    let clients = tokio::spawn(accept(client_listener, client_queues, MAX_CLIENTS));
    let peers = tokio::spawn(accept(peer_listener, peer_queues, MAX_PEERS));
    let metrics = Metrics::new(Sources {
        node: [
            ("name", config.name.clone()),
            ("id", me.to_string()),
            ("engine", config.engine.to_string()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ],
        engine: Arc::clone(&engine),
        store_failed,
        memory,
        snapshot: snapshots.clone(),
        traffic,
    });
    let http_router = crate::http::router(snapshots.clone(), stopped.clone(), Arc::new(metrics));
    let http_listener = crate::http::Bounded::new(http_listener);
    let http_task = tokio::spawn(async move { axum::serve(http_listener, http_router).await });

    let serves = async {
        // The sender lives as long as the control loop, which outlives this.
        let _ = snapshots.wait_for(|snapshot| snapshot.serving).await;
    };
    let takes_over = async {
        let _ = took_over.wait_for(|took_over| *took_over).await;
    };
    tokio::pin!(takes_over);
    let ended_early = tokio::select! {
        () = serves => None,
        () = &mut stop => Some(Ended::Stopped),
        () = &mut takes_over => Some(Ended::TookOver),
    };
    let ended = match ended_early {
        Some(ended) => ended,
        None => {
            ready(&Ready { name: config.name.clone(), id: me, client, peer, http });
            tokio::select! {
                () = &mut stop => Ended::Stopped,
                () = &mut takes_over => Ended::TookOver,
            }
        }
    };

    tracing::info!("stopping: finishing what is under way");
    let _ = stopping.send(true);
    clients.abort();
    peers.abort();
    for mailbox in mailboxes.iter() {
        mailbox.post([Mail::Drain]);
    }
    let threads: Vec<_> = threads.into_iter().map(|thread| thread.thread).collect();
    let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok())).await;
    if !joined.unwrap_or(false) {
        tracing::error!("a shard thread panicked");
    }
    control_task.abort();
    http_task.abort();
    // What they hold, ports above all, is free when they are gone.
    let _ = tokio::join!(control_task, http_task, clients, peers);
    let closed = tokio::task::spawn_blocking(move || engine.close()).await;
    closed.map_err(|error| ServerError::System { what: "to close the store", why: error.to_string() })??;
    data_dir.change_identity(|identity| identity.stopped_cleanly = true)?;
    tracing::info!("stopped");
    Ok(ended)
}

/// Finds the node's identity or draws a new one, and counts this start before anything else is done with it.
fn take_identity(data_dir: &DataDir, config: &Config, has_layout: bool) -> Result<Identity, ServerError> {
    let engine = config.engine.to_string();
    let mut identity = match data_dir.identity()? {
        Some(identity) => identity,
        None => {
            let founding = config.seeds.is_empty().then(|| {
                let founding = &config.founding;
                let (nodes, partitions) = (founding.nodes, founding.partitions.count());
                random().map(|cluster| {
                    FoundingIdentity::new(
                        ClusterId(cluster),
                        nodes,
                        partitions,
                        founding.replication.to_string(),
                        founding.pair_bytes,
                    )
                })
            });
            DataDir::new_identity(NodeId(random()?), engine.clone(), founding.transpose()?)
        }
    };
    if identity.engine != engine {
        return Err(DataDirError::Engine { path: data_dir.path().to_owned(), made: identity.engine }.into());
    }
    identity.boot += 1;
    let store = data_dir.path().join(&engine);
    let circumstances = Circumstances {
        engine: config.engine,
        durability: config.durability,
        store: &store,
        has_layout,
        new_id: random()?,
        machine: doubt::machine(),
    };
    doubt::judge(&mut identity, &circumstances);
    data_dir.save_identity(&identity)?;
    if config.engine != EngineKind::Memory {
        doubt::mark_store(&identity, &store)?;
    }
    Ok(identity)
}

/// What the founder has still to do. A founder belongs to its cluster from the start.
fn founding(data_dir: &DataDir, identity: &Identity, saved: &mut SavedState) -> Result<Option<Founding>, ServerError> {
    let Some(founding) = &identity.founding else { return Ok(None) };
    let damaged = |error: kvorum_ring::Error| DataDirError::Damaged {
        path: data_dir.path().join("identity.toml"),
        why: error.to_string(),
    };
    saved.cluster.get_or_insert(founding.cluster());
    Ok(Some(Founding {
        nodes: founding.nodes,
        partitions: kvorum_ring::Partitions::new(founding.partitions).map_err(damaged)?,
        replication: founding.replication.parse().map_err(damaged)?,
        pair_bytes: founding.pair_bytes,
        secret: random_secret()?,
    }))
}

/// What an operator should know of this configuration.
fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let name = &config.name;
    match (config.engine, config.durability) {
        (EngineKind::Lsm, Durability::Always) => {}
        (EngineKind::Memory, _) => warnings.push(format!("{name} runs on engine memory: it keeps nothing over a restart")),
        (EngineKind::Sled, Durability::Always) => warnings.push(format!(
            "{name} runs on engine sled, whose flush is weaker than fsync: its durability is `interval`; a write that was acknowledged may be lost if the machine itself goes down"
        )),
        (EngineKind::Lsm | EngineKind::Sled, Durability::Interval) => warnings.push(format!(
            "{name} has durability interval: writes of the last half second are lost if the machine itself goes down"
        )),
        (EngineKind::Lsm, Durability::Never) => {
            warnings.push(format!("{name} has durability never: recent writes are lost if the machine itself goes down"));
        }
        (EngineKind::Sled, Durability::Never) => {
            warnings.push(format!("{name} has durability never: recent writes are lost if the process or the machine goes down"));
        }
    }
    warnings
}

/// What the services of a shard thread need.
#[derive(Clone)]
struct Services {
    name: String,
    process: ActorId,
    control: mpsc::Sender<ControlEvent>,
    snapshot: watch::Receiver<Snapshot>,
    clock: Clock,
    warnings: Vec<String>,
    last_event: watch::Receiver<u64>,
    seal: Seal,
    traffic: Arc<Traffic>,
    stopped: watch::Receiver<bool>,
}

struct ShardThread {
    thread: JoinHandle<()>,
    clients: mpsc::Sender<Accepted>,
    peers: mpsc::Sender<Accepted>,
}

impl ShardThread {
    fn start(index: ShardIndex, shard: Shard, shared: Shared, services: Services) -> Result<Self, ServerError> {
        let (clients, client_connections) = mpsc::channel(ACCEPT_QUEUE);
        let (peers, peer_connections) = mpsc::channel(ACCEPT_QUEUE);
        let runtime = runtime("kvorum-shard")?;
        let thread = std::thread::Builder::new()
            .name(format!("kvorum-shard-{}", index.0))
            .spawn(move || {
                runtime.block_on(async {
                    shard_loop::install(index, shard, shared);
                    run_services(services, client_connections, peer_connections).await;
                });
                // Connections that are still open end here, and tell the loop.
                drop(runtime);
                shard_loop::uninstall();
            })
            .map_err(|error| ServerError::System { what: "a thread", why: error.to_string() })?;
        Ok(Self { thread, clients, peers })
    }
}

type Connections = mpsc::Receiver<Accepted>;

/// Serves the connections of one shard thread until the node stops and what was under way is done.
async fn run_services(services: Services, clients: Connections, peers: Connections) {
    let Services { name, process, control, mut snapshot, clock, warnings, last_event, seal, traffic, mut stopped } =
        services;
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(kvorum_wire::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were compiled with this crate");
    let admin = AdminService {
        name,
        control: control.clone(),
        snapshot: snapshot.clone(),
        clock,
        warnings,
        last_event,
        stopped: stopped.clone(),
    };
    let kv = KvServer::new(KvService::new(process))
        .max_decoding_message_size(MAX_CLIENT_MESSAGE)
        .max_encoding_message_size(MAX_CLIENT_ANSWER);
    let client_server = builder()
        .add_service(kv)
        .add_service(AdminServer::new(admin))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(incoming(clients), until(stopped.clone()));
    let peer_service = PeerService { control, snapshot: snapshot.clone(), seal, traffic };
    let peer_service =
        PeerServer::new(peer_service).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
    let peer_server = builder().add_service(peer_service).serve_with_incoming(incoming(peers));
    let peers_task = tokio::spawn(peer_server);
    let mut stopping = stopped.clone();
    let health_task = tokio::spawn(async move {
        loop {
            let ready = snapshot.borrow_and_update().ready && !*stopping.borrow_and_update();
            if ready {
                health.set_serving::<KvServer<KvService>>().await;
            } else {
                health.set_not_serving::<KvServer<KvService>>().await;
            }
            let changed = tokio::select! {
                changed = snapshot.changed() => changed,
                changed = stopping.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    });
    let clients_task = tokio::spawn(client_server);
    let _ = stopped.wait_for(|stopped| *stopped).await;
    // Peers are listened to until the last request of a client here is answered.
    let drained = async {
        while shard_loop::with(|shard_loop| shard_loop.in_flight()) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = clients_task.await;
    };
    if tokio::time::timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::warn!("some clients did not end their connections in time");
    }
    peers_task.abort();
    health_task.abort();
}

fn builder() -> TonicServer {
    TonicServer::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
}

fn incoming(connections: Connections) -> impl tokio_stream::Stream<Item = std::io::Result<Connection>> {
    use tokio_stream::StreamExt;
    ReceiverStream::new(connections).map(Connection::open)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
