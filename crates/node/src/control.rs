//! The control part of a node: who is in the cluster, which layout holds, how high the clock may go. It tells the
//! shards by publishing views; it never touches a key.
//!
//! What is known of the members is `control/members.rs`, the making and fetching of layouts `control/layout.rs`, the
//! keyspaces `control/catalog.rs`, whether this process may speak for its node `control/tenure.rs`.
//!
//! Until layout epochs are agreed upon, the founder computes one layout when the configured number of nodes is
//! present; everybody learns it by asking a member whose gossiped epoch is higher, saves it, and only then uses it.

mod catalog;
mod ceiling;
mod clock;
mod doubt;
mod events;
mod io;
mod layout;
mod members;
mod meta;
mod note;
mod status;
mod tenure;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kvorum_gossip::{self as gossip, Gossip, Setup, State};
use kvorum_ring::PartitionId;

pub use catalog::{ChangeError, ChangeErrorKind, ChangeOutcome, Changed};
pub use clock::Figures;
pub use doubt::DoubtEnd;
pub use events::{EVENT_KINDS, EventLog, MemberChange, MemberEvent};
pub use io::{ControlConfig, ControlEffect, ControlInput, Founding, MemberMeta, SavedState};
pub use members::STATES;
pub use note::Note;
pub use status::{MemberState, MemberStatus, Status};
pub use tenure::Remembered;

use crate::{
    ActorId, Address, ClockFault, ClusterId, ControlBody, ControlMessage, HintQueue, Layout, NodeId, Now, PullProgress,
    Report, ShardIndex, StoreError, View, ViewMember,
};
use catalog::Keeper;
use ceiling::Ceiling;
use clock::PeerClocks;
use members::Members;
use tenure::Tenure;

/// How long a member of the layout that was never heard of since the start is given the benefit of the doubt.
const UNHEARD_GRACE: Duration = Duration::from_secs(3);
/// How often a layout is asked for, and a standing trouble told.
const PATIENCE: Duration = Duration::from_secs(1);

/// The control half of a node, see the module's documentation.
#[derive(Debug)]
pub struct Control {
    me: NodeId,
    peer: Address,
    meta: MemberMeta,
    gossip: Gossip<NodeId, Address>,
    members: Members,
    events: EventLog,
    cluster: Option<ClusterId>,
    layout: Option<Arc<Layout>>,
    keeper: Keeper,
    known: BTreeMap<NodeId, Address>,
    founding: Option<Founding>,
    ceiling: Ceiling,
    /// A layout that is being saved, and the version of that save.
    adopting: Option<(Arc<Layout>, u64)>,
    save_version: u64,
    /// What was last asked to be saved differs from what should be.
    unsaved: bool,
    saving: bool,
    started: Duration,
    last_fetch: Option<Duration>,
    /// How often a layout was asked for: each time of the next member that has a newer one.
    fetches: usize,
    last_foreigner: Option<Duration>,
    last_name_taken: Option<Duration>,
    last_drift: Option<Duration>,
    published: Option<Arc<View>>,
    /// Something has changed that a view shows. Members are many, and most inputs change nothing.
    view_is_stale: bool,
    in_grace: bool,
    store_failed: Option<StoreError>,
    /// The time of the input at hand.
    now: Now,
    clocks: PeerClocks,
    clock_fault: Option<ClockFault>,
    tenure: Tenure,
    /// The highest boot that this node's incarnation has come to.
    boot: u64,
    shards: usize,
    /// How far each shard is with pulling, while this node is in doubt.
    pulls: BTreeMap<ShardIndex, PullProgress>,
    /// What each shard keeps for absent nodes.
    hints: BTreeMap<ShardIndex, Vec<HintQueue>>,
    hints_dropped: u64,
    /// Partitions of members that miss writes which nobody keeps for them any more: to be compared first.
    dirty: BTreeSet<(NodeId, PartitionId)>,
    identity_unsaved: bool,
    identity_saving: bool,
    taken_over: bool,
    clock_refusals: u64,
    clock_drifts: u64,
    /// How many messages of other clusters came.
    foreign_messages: u64,
    /// How many entries of contexts were pruned since the start.
    pruned: u64,
}

impl Control {
    /// A control part; the first view and ceiling come out at once.
    ///
    /// # Panics
    /// If the settings of gossip do not hold their limits, or the address of this node takes more than
    /// [`MAX_ADDRESS_BYTES`](gossip::MAX_ADDRESS_BYTES): the shell sees to that.
    pub fn new(config: ControlConfig, now: Now, out: &mut impl Extend<ControlEffect>) -> Self {
        let ControlConfig {
            me,
            boot,
            shards,
            peer,
            mut meta,
            seeds,
            saved,
            in_doubt,
            clock_floor,
            founding,
            gossip: gossip_config,
            seed,
        } = config;
        meta.ceiling = clock_floor;
        meta.in_doubt = in_doubt;
        (meta.pulled, meta.to_pull) = (0, 0);
        meta.epoch = saved.layout.as_ref().map_or(0, |layout| layout.epoch());
        meta.catalog = saved.catalog.as_ref().map_or(0, |catalog| catalog.version());
        meta.founding = match (&founding, &saved.layout) {
            (Some(founding), None) => founding.nodes,
            _ => 0,
        };
        let known: Vec<_> = saved.known.iter().map(|(id, address)| (*id, Address::clone(address))).collect();
        // Refutations raise the incarnation within one boot; the next boot begins above them all.
        let incarnation = tenure::claim(boot, meta.actor);
        let setup = Setup { id: me, address: Address::clone(&peer), incarnation, seeds, known, random_seed: seed };
        let gossip = Gossip::new(gossip_config, setup, now.elapsed)
            .expect("the shell hands in settings and an address that gossip can work with");
        // The id of a cluster that is being founded may be new.
        let unsaved = saved.cluster.is_some() && saved.layout.is_none() && founding.is_some();
        let mut control = Self {
            me,
            peer,
            meta,
            gossip,
            members: Members::default(),
            events: EventLog::default(),
            cluster: saved.cluster,
            layout: saved.layout,
            keeper: Keeper::new(saved.catalog),
            known: saved.known,
            founding,
            ceiling: Ceiling::new(clock_floor),
            adopting: None,
            save_version: 0,
            unsaved,
            saving: false,
            started: now.elapsed,
            last_fetch: None,
            fetches: 0,
            last_foreigner: None,
            last_name_taken: None,
            last_drift: None,
            published: None,
            view_is_stale: true,
            in_grace: true,
            store_failed: None,
            now,
            clocks: PeerClocks::new(clock_floor),
            clock_fault: None,
            tenure: Tenure::new(boot <= 1, incarnation, clock_floor, now.elapsed),
            boot,
            shards,
            pulls: BTreeMap::new(),
            hints: BTreeMap::new(),
            hints_dropped: 0,
            dirty: BTreeSet::new(),
            identity_unsaved: false,
            identity_saving: false,
            taken_over: false,
            clock_refusals: 0,
            clock_drifts: 0,
            foreign_messages: 0,
            pruned: 0,
        };
        control.tell_meta();
        control.keep_layout_members();
        control.ask_what_is_remembered(out);
        control.settle(now, out);
        control
    }

    /// Takes one input; what is to be done about it is added to `out`.
    pub fn handle(&mut self, now: Now, input: ControlInput, out: &mut impl Extend<ControlEffect>) {
        self.now = now;
        match input {
            ControlInput::Message(_) if self.tenure.is_twin() => return,
            ControlInput::Message(message) => self.message(now, message, out),
            ControlInput::Saved { version } => self.saved(version, out),
            ControlInput::SaveFailed { version: Some(version), error } => {
                self.saving = false;
                self.unsaved = true;
                self.catalog_save_failed(version, &error, out);
                note(out, Note::SaveFailed { error });
                return; // It is tried again at the next timeout, not at once: the disk may be full for a while.
            }
            ControlInput::SaveFailed { version: None, error } => {
                self.ceiling.save_failed();
                note(out, Note::SaveFailed { error });
                return;
            }
            ControlInput::CeilingSaved(ceiling) => {
                let durable = self.ceiling.saved(ceiling);
                self.meta.ceiling = durable;
                self.tell_meta();
                emit(out, ControlEffect::Ceiling(durable));
            }
            ControlInput::IdentitySaved(saved) => {
                self.identity_saving = false;
                if let Err(error) = saved {
                    self.identity_unsaved = true;
                    note(out, Note::SaveFailed { error });
                    return;
                }
            }
            ControlInput::Reported(report) => self.reported(now, report, out),
            ControlInput::StoreSize(bytes) => self.measured(bytes),
            ControlInput::LaneUp(address) => self.lane(&address, true, out),
            ControlInput::LaneDown(address) => self.lane(&address, false, out),
            ControlInput::ChangeCatalog { ticket, change, timeout } => {
                self.change_catalog(now, ticket, change, timeout, out);
            }
        }
        self.settle(now, out);
    }

    /// When [`Control::handle_timeout`] must be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.tenure.is_twin() {
            return None; // It has nothing to say any more.
        }
        self.gossip.next_timeout().into_iter().chain(self.keeper.next_timeout()).min()
    }

    /// Gossips, and does what falls due with time.
    pub fn handle_timeout(&mut self, now: Now, out: &mut impl Extend<ControlEffect>) {
        self.now = now;
        self.ask_what_is_remembered(out);
        let mut effects = Vec::new();
        if !self.tenure.is_twin() {
            self.gossip.handle_timeout(now.elapsed, &mut effects);
        }
        self.carry_out(effects, out);
        self.settle(now, out);
    }

    /// Whether this node can answer requests, if only by saying that the cluster is still being founded.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        let founder_waits = || self.members().any(|(_, meta)| meta.founding > 0);
        let layout_exists = || self.members().any(|(_, meta)| meta.epoch > 0);
        let being_founded = || self.cluster.is_some() && founder_waits() && !layout_exists();
        self.is_ready() || self.store_failed.is_none() && self.layout.is_none() && being_founded()
    }

    /// How many entries of contexts this node has pruned since it started.
    #[must_use]
    pub fn pruned(&self) -> u64 {
        self.pruned
    }

    /// Whether this node serves data: it has the layout and the keyspaces, and its store works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_placed = self.layout.is_some() && !self.lacks_catalog();
        is_placed && self.store_failed.is_none() && self.fitness().bar.is_none()
    }

    /// The epoch of the layout; 0 while there is none.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.layout.as_ref().map_or(0, |layout| layout.epoch())
    }

    /// This node is going away for good: tells the others, so that it is not taken for failed.
    pub fn leave(&mut self, now: Now, out: &mut impl Extend<ControlEffect>) {
        self.now = now;
        self.gossips(gossip::Input::Leave, out);
    }

    fn message(&mut self, now: Now, message: ControlMessage, out: &mut impl Extend<ControlEffect>) {
        let ControlMessage { cluster, from, reply_to, clock_ms, body } = message;
        match (cluster, self.cluster) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                self.foreign_messages += 1;
                if due(&mut self.last_foreigner, now.elapsed, PATIENCE) {
                    note(out, Note::ForeignCluster { address: reply_to, theirs });
                }
                return;
            }
            // Two newcomers cannot let each other in.
            (None, None) => return,
            (Some(theirs), None) => {
                self.cluster = Some(theirs);
                self.view_is_stale = true;
                self.unsaved = true;
                note(out, Note::Joined { cluster: theirs });
            }
            // A newcomer, or a member of the same cluster.
            (None, Some(_)) | (Some(_), Some(_)) => {}
        }
        if from != self.me {
            self.clocks.hear(from, clock_ms, now);
        }
        match body {
            ControlBody::Gossip(message) => self.gossips(gossip::Input::Message(message), out),
            ControlBody::FetchLayout { have } => {
                if let Some(layout) = self.layout.as_ref().filter(|layout| layout.epoch() > have) {
                    let body = ControlBody::Layout(Arc::clone(layout));
                    self.send(reply_to, body, out);
                }
            }
            // Who belongs to no cluster has no layout of this one.
            ControlBody::Layout(layout) if cluster.is_some() => self.adopt(layout),
            ControlBody::Layout(_) => {}
            // A catalog holds the cluster's secret, and a change is made for members alone.
            _ if cluster.is_none() => {}
            ControlBody::Recall { actor } => {
                let body = ControlBody::Recalled(self.recall(from, actor, now));
                self.send(reply_to, body, out);
            }
            ControlBody::Recalled(remembered) => self.recalled(from, remembered, out),
            ControlBody::FetchCatalog { have } => {
                if self.keeper.held.version() > have {
                    let body = ControlBody::Catalog(Arc::clone(&self.keeper.held));
                    self.send(reply_to, body, out);
                }
            }
            ControlBody::Catalog(catalog) => self.catalog_told(now, from, catalog, out),
            ControlBody::ChangeCatalog { ticket, change } => {
                self.change_catalog_for(now, from, reply_to, ticket, change, out);
            }
            ControlBody::CatalogChanged { ticket, outcome } => self.catalog_changed(from, ticket, outcome, out),
        }
    }

    fn reported(&mut self, now: Now, report: Report, out: &mut impl Extend<ControlEffect>) {
        match report {
            Report::CeilingNeeded(needed) => {
                self.judge_clock(now, out);
                if self.may_lease(now)
                    && let Some(ceiling) = self.ceiling.raise(needed, now.unix_ms)
                {
                    emit(out, ControlEffect::SaveCeiling(ceiling));
                }
            }
            Report::WriteRefused => self.clock_refusals += 1,
            Report::ClockDrift { from, ahead_ms } => {
                self.clock_drifts += 1;
                if due(&mut self.last_drift, now.elapsed, PATIENCE) {
                    note(out, Note::ClockDrift { name: self.name_of(from), ahead_ms });
                }
            }
            Report::Hints { shard, queues } => drop(self.hints.insert(shard, queues)),
            Report::HintDropped { target, partition } => {
                self.hints_dropped += 1;
                self.dirty.insert((target, partition));
            }
            Report::Pull { shard, progress } => self.pulled(shard, progress, out),
            Report::Pruned { entries } => self.pruned = self.pruned.saturating_add(entries as u64),
            Report::PeerFailed(id) => {
                self.gossips(gossip::Input::Evidence { id, evidence: gossip::Evidence::Failed }, out);
            }
            Report::StoreFailed(error) => {
                self.store_failed = Some(error.clone());
                note(out, Note::StoreFailed { error });
            }
        }
    }

    fn saved(&mut self, version: u64, out: &mut impl Extend<ControlEffect>) {
        self.saving = false;
        self.catalog_saved(version, out);
        self.layout_saved(version, out);
    }

    /// What follows from the state as it now is: the founding layout, fetches, saves, the published view.
    fn settle(&mut self, now: Now, out: &mut impl Extend<ControlEffect>) {
        self.found(out);
        self.fetch_layout(now.elapsed, out);
        self.settle_catalog(now, out);
        self.complain_of_taken_name(now.elapsed, out);
        self.settle_tenure(now.elapsed);
        self.take_over(now, out);
        self.settle_doubt(out);
        self.save_identity(out);
        self.judge_clock(now, out);
        if self.may_lease(now)
            && let Some(ceiling) = self.ceiling.due(now.unix_ms)
        {
            emit(out, ControlEffect::SaveCeiling(ceiling));
        }
        if self.unsaved && !self.saving {
            self.unsaved = false;
            self.saving = true;
            self.save_version += 1;
            let layout = self.adopting.as_ref().map(|(layout, _)| layout).or(self.layout.as_ref()).cloned();
            let state =
                SavedState { cluster: self.cluster, layout, catalog: self.keeper.to_save(), known: self.known.clone() };
            emit(out, ControlEffect::Save { version: self.save_version, state });
        }
        self.publish(now.elapsed, out);
    }

    /// Hands out the view, if it differs from the one before.
    fn publish(&mut self, now: Duration, out: &mut impl Extend<ControlEffect>) {
        let in_grace = self.is_in_grace(now);
        let grace_ended = core::mem::replace(&mut self.in_grace, in_grace) != in_grace;
        if !core::mem::take(&mut self.view_is_stale) && !grace_ended {
            return;
        }
        let view = self.view(now);
        if self.published.as_deref().is_none_or(|published| !published.same_as(&view)) {
            let view = Arc::new(view);
            self.published = Some(Arc::clone(&view));
            emit(out, ControlEffect::Publish(view));
        }
    }

    fn complain_of_taken_name(&mut self, now: Duration, out: &mut impl Extend<ControlEffect>) {
        let mine = self.layout.as_ref().is_some_and(|layout| layout.index_of(self.me).is_some());
        let taken = self.members().find(|(member, meta)| {
            let down = matches!(member.state(), State::Down | State::Left);
            *member.id() != self.me && !down && meta.name == self.meta.name
        });
        if let Some((other, _)) = taken.filter(|_| !mine) {
            let complaint = Note::NameTaken {
                name: self.meta.name.to_string(),
                by: *other.id(),
                address: Address::clone(other.address()),
            };
            if due(&mut self.last_name_taken, now, 5 * PATIENCE) {
                note(out, complaint);
            }
        }
    }

    /// A member of the layout that was not heard of since the start: where it was last reached, and how it is taken
    /// to be.
    fn unheard(&self, id: NodeId, now: Duration) -> (Option<Address>, State) {
        let address = self.known.get(&id).cloned();
        let state = if self.is_in_grace(now) && address.is_some() { State::Up } else { State::Down };
        (address, state)
    }

    /// Whether members that were not heard of yet are still taken to be up.
    fn is_in_grace(&self, now: Duration) -> bool {
        now.saturating_sub(self.started) < UNHEARD_GRACE
    }

    fn view(&self, now: Duration) -> View {
        let mut members: BTreeMap<NodeId, ViewMember> =
            self.members().map(|(member, meta)| (*member.id(), members::view_member(member, meta))).collect();
        for (id, (peer, client)) in self.tenure.held() {
            if let Some(member) = members.get_mut(&id) {
                (member.peer, member.client) = (Address::clone(peer), Address::clone(client));
            }
        }
        for placed in self.layout.as_deref().map(Layout::members).unwrap_or_default() {
            members.entry(placed.id).or_insert_with(|| {
                let (peer, state) = self.unheard(placed.id, now);
                ViewMember {
                    name: Arc::clone(&placed.name),
                    peer: peer.unwrap_or_default(),
                    client: Address::default(),
                    actor: ActorId(0),
                    dc: Arc::clone(&placed.dc),
                    state,
                    catalog: 0,
                    in_doubt: false,
                }
            });
        }
        let waiting_for = self.members().map(|(_, meta)| meta.founding).find(|nodes| *nodes > 0);
        let waiting_for =
            waiting_for.map(|nodes| (self.founders().len(), nodes as usize)).filter(|_| self.layout.is_none());
        View::new(
            self.me,
            self.cluster,
            self.layout.clone(),
            Arc::clone(&self.keeper.held),
            members,
            &self.meta.dc,
            waiting_for,
        )
        .with_fitness(self.fitness())
    }

    fn send(&self, to: Address, body: ControlBody, out: &mut impl Extend<ControlEffect>) {
        if self.tenure.is_twin() {
            return;
        }
        let (reply_to, clock_ms) = (Address::clone(&self.peer), self.now.unix_ms);
        let message = ControlMessage { cluster: self.cluster, from: self.me, reply_to, clock_ms, body };
        emit(out, ControlEffect::Send { to, message });
    }
}

/// Whether `every` has passed since the last time this said so.
fn due(last: &mut Option<Duration>, now: Duration, every: Duration) -> bool {
    let due = last.is_none_or(|last| now.saturating_sub(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}

fn emit(out: &mut impl Extend<ControlEffect>, effect: ControlEffect) {
    out.extend(core::iter::once(effect));
}

fn note(out: &mut impl Extend<ControlEffect>, note: Note) {
    emit(out, ControlEffect::Note(note));
}
