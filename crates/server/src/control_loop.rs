//! The control thread's loop: the whole shell of a node's control part. Gossip, layout and the clock's ceiling live on
//! a runtime of their own, so that a busy shard never makes a node look dead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kvorum_gossip::State;
use kvorum_node::control::{ChangeOutcome, DoubtEnd, Figures, MemberEvent, Note, Status};
use kvorum_node::{CatalogChange, Control, ControlEffect, ControlInput, HintQueue, Input, NodeId, View};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::data_dir::{DataDir, DataDirError};
use crate::dropped_data::DroppedData;
use crate::engine::Engine;
use crate::keyspaces::Changes;
use crate::mailbox::{Mail, Mailbox};
use crate::peer::control_lane::Lanes;
use crate::peer::seal::Seal;
use crate::peer::traffic::Traffic;

const STORE_SIZE_INTERVAL: Duration = Duration::from_secs(2);
/// Saving is tried many times a second; that it fails is said this often.
const SAVE_FAILURE_INTERVAL: Duration = Duration::from_secs(10);

/// What the control thread is told.
#[derive(Debug)]
pub(crate) enum ControlEvent {
    Input(ControlInput),
    /// An operator asks for the status.
    Status(oneshot::Sender<Status>),
    /// An operator asks what has become of the members after the event with this number.
    Events {
        after: u64,
        reply: oneshot::Sender<Result<Vec<MemberEvent>, u64>>,
    },
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
    /// The number of the last event of a member.
    pub(crate) last_event: watch::Sender<u64>,
    pub(crate) seal: Seal,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) took_over: watch::Sender<bool>,
    pub(crate) changes: Changes,
    pub(crate) dropped_data: DroppedData,
    /// When it was last said that saving fails.
    pub(crate) save_failure_told: Option<Instant>,
}

impl ControlLoop {
    /// Runs until every sender of events is gone, which is when the node has stopped.
    pub(crate) async fn run(mut self, mut control: Control, first: Vec<ControlEffect>) {
        let mut lanes = Lanes::new(self.me, self.own.clone(), self.seal.clone(), Arc::clone(&self.traffic));
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
                    Some(ControlEvent::Events { after, reply }) => drop(reply.send(control.events().after(after))),
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
                ControlEffect::Send { to, message } => lanes.send(&to, message),
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
        let last = control.events().last();
        self.last_event.send_if_modified(|told| std::mem::replace(told, last) != last);
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
        Note::Refuted => tracing::info!("this node was taken for dead by others, and has contradicted"),
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
