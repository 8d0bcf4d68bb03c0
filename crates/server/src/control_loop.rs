//! The control thread's loop: the whole shell of a node's control part. Gossip, layout and the clock's ceiling live on
//! a runtime of their own, so that a busy shard never makes a node look dead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_gossip::State;
use kvorum_node::control::{ChangeOutcome, DoubtEnd, Figures, Note, Status};
use kvorum_node::{
    Address, CatalogChange, Control, ControlEffect, ControlInput, ControlMessage, HintQueue, Input, NodeId, ShardIndex,
    View,
};
use kvorum_wire::v1;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::clock::Clock;
use crate::data_dir::{DataDir, DataDirError};
use crate::dropped_data::DroppedData;
use crate::engine::Engine;
use crate::keyspaces::Changes;
use crate::mailbox::{Mail, Mailbox};
use crate::outbox::Outbox;
use crate::peer::control_codec;
use crate::peer::lane::{Backoff, connect, peer_metadata};

/// What may wait for one address on its control lane, in bytes.
const CONTROL_LIMIT: usize = 4 << 20;
/// A control connection that has had nothing to say for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
const STORE_SIZE_INTERVAL: Duration = Duration::from_secs(2);
/// Saving is tried many times a second; that it fails is said this often.
const SAVE_FAILURE_INTERVAL: Duration = Duration::from_secs(10);

/// What the control thread is told.
#[derive(Debug)]
pub(crate) enum ControlEvent {
    Input(ControlInput),
    /// An operator asks for the status.
    Status(oneshot::Sender<Status>),
    /// An operator asks what is kept for others.
    Hints(oneshot::Sender<Vec<HintQueue>>),
    /// An operator asks for a change of the keyspaces.
    ChangeCatalog {
        change: CatalogChange,
        timeout: Duration,
        reply: oneshot::Sender<ChangeOutcome>,
    },
}

/// What the rest of the node may know of the control part at any time.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) view: Arc<View>,
    /// Requests are answered, if only by saying what is missing.
    pub(crate) serving: bool,
    /// Data is served.
    pub(crate) ready: bool,
    pub(crate) figures: Figures,
}

pub(crate) struct ControlLoop {
    pub(crate) me: NodeId,
    pub(crate) clock: Clock,
    pub(crate) data_dir: Arc<DataDir>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) mailboxes: Arc<[Arc<Mailbox>]>,
    pub(crate) events: mpsc::Receiver<ControlEvent>,
    /// To itself: completed saves.
    pub(crate) own: mpsc::Sender<ControlEvent>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) took_over: watch::Sender<bool>,
    pub(crate) changes: Changes,
    pub(crate) dropped_data: DroppedData,
    /// When it was last said that saving fails.
    pub(crate) save_failure_told: Option<Instant>,
}

impl ControlLoop {
    /// Runs until every sender of events is gone, which is when the node has stopped.
    pub(crate) async fn run(mut self, mut control: Control, first: Vec<ControlEffect>) {
        let mut lanes = Lanes::default();
        self.perform(first, &mut lanes);
        self.tell(&control);
        let mut store_size = tokio::time::interval(STORE_SIZE_INTERVAL);
        let mut effects = Vec::new();
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(ControlEvent::Input(input)) => control.handle(self.clock.now(), input, &mut effects),
                    Some(ControlEvent::ChangeCatalog { change, timeout, reply }) => {
                        let ticket = self.changes.begin(reply);
                        let input = ControlInput::ChangeCatalog { ticket, change, timeout };
                        control.handle(self.clock.now(), input, &mut effects);
                    }
                    Some(ControlEvent::Hints(reply)) => drop(reply.send(control.hints().0)),
                    Some(ControlEvent::Status(reply)) => drop(reply.send(control.status(self.clock.now().elapsed))),
                    None => return,
                },
                () = self.clock.sleep_until(control.next_timeout()) => control.handle_timeout(self.clock.now(), &mut effects),
                _ = store_size.tick() => self.measure_store(),
            }
            if !effects.is_empty() {
                self.perform(std::mem::take(&mut effects), &mut lanes);
            }
            self.tell(&control);
        }
    }

    fn perform(&mut self, effects: Vec<ControlEffect>, lanes: &mut Lanes) {
        for effect in effects {
            match effect {
                ControlEffect::Send { to, message } => lanes.send(self.me, &to, message),
                ControlEffect::Save { version, state } => {
                    let data_dir = Arc::clone(&self.data_dir);
                    self.save(Some(version), move || {
                        data_dir.save_state(&state).map(|()| ControlInput::Saved { version })
                    });
                }
                ControlEffect::SaveCeiling(ceiling) => {
                    let data_dir = Arc::clone(&self.data_dir);
                    self.save(None, move || {
                        data_dir.save_ceiling(ceiling).map(|()| ControlInput::CeilingSaved(ceiling))
                    });
                }
                // The identity is another's by now.
                ControlEffect::SaveIdentity { .. } if *self.took_over.borrow() => {}
                ControlEffect::SaveIdentity { boot, in_doubt } => {
                    let data_dir = Arc::clone(&self.data_dir);
                    self.save_identity(move || {
                        data_dir.change_identity(|identity| {
                            identity.boot = identity.boot.max(boot);
                            identity.in_doubt = in_doubt.map(|why| why.to_string());
                        })
                    });
                }
                ControlEffect::TakeOver { id, boot } => self.take_over(id, boot),
                ControlEffect::Publish(view) => {
                    self.post(|| Input::View(Arc::clone(&view)));
                    self.dropped_data.look(&view.catalog);
                    self.snapshot.send_modify(|snapshot| snapshot.view = view);
                }
                ControlEffect::CatalogChanged { ticket, outcome } => self.changes.end(ticket, outcome),
                ControlEffect::Ceiling(ceiling) => self.post(|| Input::ClockCeiling(ceiling)),
                ControlEffect::Note(note @ Note::SaveFailed { .. }) => {
                    if self.save_failure_told.is_none_or(|told| told.elapsed() > SAVE_FAILURE_INTERVAL) {
                        self.save_failure_told = Some(Instant::now());
                        log(&note);
                    }
                }
                ControlEffect::Note(note) => log(&note),
            }
        }
    }

    fn post(&self, input: impl Fn() -> Input) {
        for mailbox in self.mailboxes.iter() {
            mailbox.post([Mail::Input(input())]);
        }
    }

    /// Writes where waiting for a disk disturbs no gossip. `version` is that of a state.
    fn save(&self, version: Option<u64>, write: impl FnOnce() -> std::io::Result<ControlInput> + Send + 'static) {
        let own = self.own.clone();
        tokio::task::spawn_blocking(move || {
            let failed = |error: std::io::Error| ControlInput::SaveFailed { version, error: error.to_string() };
            let input = write().unwrap_or_else(failed);
            // The loop has gone when the node has stopped.
            let _ = own.blocking_send(ControlEvent::Input(input));
        });
    }

    fn save_identity(&self, write: impl FnOnce() -> Result<(), DataDirError> + Send + 'static) {
        let own = self.own.clone();
        tokio::task::spawn_blocking(move || {
            let saved = write().map_err(|error| error.to_string());
            let _ = own.blocking_send(ControlEvent::Input(ControlInput::IdentitySaved(saved)));
        });
    }

    /// Keeps the id of the member whose place is taken; the process then starts anew as that one.
    fn take_over(&self, id: NodeId, boot: u64) {
        match self.data_dir.change_identity(|identity| identity.take_over(id, boot)) {
            Ok(()) => {
                tracing::warn!(%id, "a member of this name is down and its data directory is lost, or not here: this node takes its place, in doubt, and starts anew");
                self.took_over.send_replace(true);
            }
            Err(error) => {
                tracing::error!("cannot take the place of member {id}: {error}; mend the cause and restart this node");
            }
        }
    }

    fn measure_store(&self) {
        let (engine, own) = (Arc::clone(&self.engine), self.own.clone());
        tokio::task::spawn_blocking(move || {
            let _ = own.blocking_send(ControlEvent::Input(ControlInput::StoreSize(engine.size_bytes())));
        });
    }

    fn tell(&self, control: &Control) {
        self.snapshot.send_if_modified(|snapshot| {
            let (serving, ready) = (control.is_serving(), control.is_ready());
            let changed = (snapshot.serving, snapshot.ready) != (serving, ready);
            (snapshot.serving, snapshot.ready) = (serving, ready);
            snapshot.figures = control.figures();
            changed
        });
    }
}

/// The control lanes, by address: a seed's id is not known before it answers.
#[derive(Default)]
struct Lanes {
    lanes: BTreeMap<Address, ControlLane>,
}

struct ControlLane {
    outbox: Arc<Outbox<v1::ControlFrame>>,
    task: JoinHandle<()>,
}

impl Lanes {
    fn send(&mut self, me: NodeId, to: &Address, message: ControlMessage) {
        let metadata = peer_metadata(message.cluster, me, ShardIndex::default());
        let lane = self.lanes.entry(Arc::clone(to)).and_modify(|lane| {
            if lane.task.is_finished() {
                *lane = ControlLane::start(to, metadata.clone());
            }
        });
        let lane = lane.or_insert_with(|| ControlLane::start(to, metadata));
        let frame = control_codec::control_frame(message);
        let weight = prost::Message::encoded_len(&frame);
        // What finds no room, or no connection, is lost: gossip says it again.
        drop(lane.outbox.push([(weight, frame)]));
        self.lanes.retain(|address, lane| address == to || !lane.task.is_finished());
    }
}

impl ControlLane {
    fn start(to: &Address, metadata: MetadataMap) -> Self {
        let outbox = Outbox::new(CONTROL_LIMIT);
        let task = tokio::spawn(keep_connected(Arc::clone(to), metadata, Arc::clone(&outbox)));
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
async fn keep_connected(address: Address, metadata: MetadataMap, outbox: Arc<Outbox<v1::ControlFrame>>) {
    let mut backoff = Backoff::new();
    let mut last_used = tokio::time::Instant::now();
    loop {
        match connect(&address).await {
            Ok(mut client) => {
                outbox.open();
                let mut request = Request::new(outbox.stream(|frames| v1::ControlFrames { frames }));
                *request.metadata_mut() = metadata.clone();
                let ended = match client.control(request).await {
                    Ok(response) => {
                        backoff.reset();
                        last_used = tokio::time::Instant::now();
                        let mut nothing = response.into_inner();
                        loop {
                            match nothing.message().await {
                                Ok(Some(_)) => {}
                                Ok(None) => break Ok(()),
                                Err(status) => break Err(status),
                            }
                        }
                    }
                    Err(status) => Err(status),
                };
                tracing::debug!(peer = %address, ?ended, "the control lane ended");
            }
            Err(error) => tracing::debug!(peer = %address, error, "cannot connect"),
        }
        drop(outbox.close());
        if last_used.elapsed() > IDLE {
            return;
        }
        backoff.wait().await;
        outbox.open();
    }
}

/// Tells the operator.
fn log(note: &Note) {
    match note {
        Note::MemberJoined { name, id } => tracing::info!(member = name, %id, "member is present"),
        Note::MemberChanged { name, from, to } => match to {
            State::Up => tracing::info!(member = name, %from, "member is up"),
            State::Suspect => tracing::info!(member = name, "member is suspected: its heartbeat has stalled"),
            State::Unreachable | State::Down => tracing::warn!(member = name, "member is {to}"),
            State::Left => tracing::info!(member = name, "member has left"),
        },
        Note::Joined { cluster } => tracing::info!(%cluster, "joined the cluster"),
        Note::LayoutAdopted { epoch, partitions, share } => {
            tracing::info!(
                epoch,
                partitions,
                share,
                "layout adopted: this node holds {share} of {partitions} partitions"
            );
        }
        Note::CatalogAdopted { version, keyspaces } => tracing::info!(version, keyspaces, "the keyspaces have changed"),
        Note::ForeignCatalog { from } => {
            tracing::error!(
                member = from,
                "a member tells of keyspaces that were never this cluster's; they are ignored: was its data directory copied from another cluster?"
            );
        }
        Note::ForeignCluster { address, theirs } => {
            tracing::error!(%address, cluster = %theirs, "a node of another cluster spoke to this one; it is ignored: check the seeds of both");
        }
        Note::NameTaken { name, by, address } => {
            tracing::error!(name, %by, %address, "another member has this node's name and is not down; give this node another --name");
        }
        Note::Refuted => tracing::info!("this node was suspected by others, and has contradicted"),
        Note::Contested { address } => {
            tracing::error!(%address, "a process that was started later speaks with this node's identity, or did; it was contradicted: is a copy of this node's data directory in use?");
        }
        Note::Twin { address } => {
            tracing::error!(%address, "another process that was started earlier runs with this node's identity; this one serves nothing more: stop it, and start it with a --data-dir of its own");
        }
        Note::InDoubt { why } => {
            tracing::error!(
                "in doubt: {why}; this node takes writes and answers no reads, for it may have lost acknowledged writes"
            );
        }
        Note::DoubtEnded { how: DoubtEnd::Pulled } => {
            tracing::info!("no longer in doubt: what may have been lost is here");
        }
        Note::DoubtEnded { how: DoubtEnd::Alone } => {
            tracing::warn!(
                "acknowledged writes may be lost, and no other node holds what this one holds: going on with what is left"
            );
        }
        Note::ClockOff(fault) => tracing::error!("{}", fault.account("this node")),
        Note::ClockMended => tracing::info!("this node's clock agrees with its peers'; it coordinates writes again"),
        Note::SaveFailed { error } => tracing::error!(
            "cannot save this node's state: {error}; trying again: check the data directory and the free space"
        ),
        Note::ClockDrift { name, ahead_ms } => {
            tracing::error!(
                member = name,
                ahead_ms,
                "refused a write from the future: the clock of this node or of that member is wrong"
            );
        }
        Note::StoreFailed { error } => {
            tracing::error!("{error}; this node serves no more data: mend the cause and restart it");
        }
        Note::BadLayout { error } => tracing::error!("the layout cannot be made: {error}"),
    }
}
