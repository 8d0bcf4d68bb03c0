//! What the machines of a process want, done: this is the place that the real shell fills with sockets, an engine and
//! threads.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use kvorum_node::control::{DoubtEnd, Note};
use kvorum_node::{
    ControlEffect, ControlInput, Effect, Fitness, HINTS_KEYSPACE, Input, KeyRange, Lane, Message, Page, PeerShard,
    PullProgress, Record, Report, ShardIndex, StoreError, StoredKey, View, ViewMember,
};

use super::Process;
use crate::disk::{Disk, File};
use crate::environment::Environment;
use crate::event::Local;
use crate::sabotage::Sabotage;

impl Process {
    /// `merges`: the effects come of another coordinator's write.
    pub(super) fn perform(
        &mut self,
        shard: usize,
        merges: bool,
        effects: &mut Vec<Effect>,
        inputs: &mut VecDeque<Input>,
        disk: &mut Disk,
        env: &mut Environment,
    ) {
        for effect in effects.drain(..) {
            env.trace.record(env.now, format_args!("n{}.{shard} -> {effect:?}", self.host));
            match effect {
                Effect::Reply { to, response } => env.reply(to, response),
                // Hints are delivered on another lane.
                Effect::Send {
                    to,
                    lane: Lane::Requests,
                    tag,
                    message: Message::Write { op, record, minted: None, stand_in_for: None, .. },
                    ..
                } if env.sabotage == Some(Sabotage::RepairSkipped) => {
                    let message = Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() };
                    inputs.push_back(Input::Peer { from: to, tag, until: Duration::MAX, message });
                }
                Effect::Send { to, lane: _, tag, until, message } => {
                    if let Message::Write { record, .. } = &message {
                        env.watch.versions_of(record);
                    }
                    let from = PeerShard { node: env.id(self.host), shard: ShardIndex(shard as u16) };
                    let timeout = until.saturating_sub(self.now(env).elapsed);
                    if !env.send(from, to, tag, timeout, &message) && message.is_request() {
                        inputs.push_back(Input::Unsent { to: to.node, op: message.op() });
                    }
                }
                Effect::Append { seq, key, record } => {
                    // Hints repeat what others, or this node, wrote elsewhere.
                    if key.keyspace() != HINTS_KEYSPACE {
                        env.watch.versions_of(&record);
                        env.watch.append(self.actor, &key, &record, || disk.newest(&key));
                    }
                    disk.append(shard, seq, key, Some(record));
                }
                Effect::Erase { seq, key } => disk.append(shard, seq, key, None),
                Effect::Load { op, .. } if merges && env.sabotage == Some(Sabotage::Overwrite) => {
                    inputs.push_back(Input::Loaded { op, result: Ok(None) });
                }
                Effect::Load { op, key, until } => match self.disk_delay(env) {
                    None => inputs.push_back(Input::Loaded { op, result: self.load(&key, disk, env) }),
                    // The engine looks at some moment between the question and the answer.
                    Some(delay) if env.disk_random.permille(500) => {
                        inputs.push_back(Input::Loading { op });
                        let input = Input::Loaded { op, result: self.load(&key, disk, env) };
                        env.local(self.host, delay, Local::Shard { shard, input });
                    }
                    Some(delay) => {
                        inputs.push_back(Input::Loading { op });
                        env.local(self.host, delay, Local::Load { shard, op, key, until });
                    }
                },
                Effect::Scan { op, range, limit_bytes, until } => match self.disk_delay(env) {
                    None => {
                        let result = self.scan(&range, limit_bytes, disk, env);
                        inputs.push_back(Input::Scanned { op, result });
                    }
                    Some(delay) => env.local(self.host, delay, Local::Scan { shard, op, range, limit_bytes, until }),
                },
                Effect::Report(mut report) => {
                    match &mut report {
                        Report::Pruned { entries } => env.stats.pruned += *entries as u64,
                        Report::Pull { progress, .. } if env.sabotage == Some(Sabotage::PullSkipped) => {
                            *progress = PullProgress { pulled: progress.of, ..*progress };
                        }
                        _ => {}
                    }
                    env.local(self.host, self.hop, Local::Control(ControlInput::Reported(report)));
                }
            }
        }
    }

    pub(super) fn load(
        &self,
        key: &StoredKey,
        disk: &mut Disk,
        env: &mut Environment,
    ) -> Result<Option<Record>, StoreError> {
        if env.fails_load() { Err(unreadable()) } else { disk.store.load(key) }
    }

    pub(super) fn scan(
        &self,
        range: &KeyRange,
        limit_bytes: u32,
        disk: &mut Disk,
        env: &mut Environment,
    ) -> Result<Page, StoreError> {
        if env.fails_load() { Err(unreadable()) } else { disk.store.scan(range, limit_bytes) }
    }

    /// How long the engine takes to find something; none for what it has in memory.
    fn disk_delay(&self, env: &mut Environment) -> Option<Duration> {
        match env.disk_random.below(100) {
            0..60 => None,
            60..97 => Some(env.disk_random.micros(50, 2000)),
            _ => Some(env.disk_random.millis(5, 80)),
        }
    }

    pub(super) fn perform_control(&mut self, effects: Vec<ControlEffect>, disk: &mut Disk, env: &mut Environment) {
        for effect in effects {
            env.trace.record(env.now, format_args!("n{} -> {effect:?}", self.host));
            match effect {
                ControlEffect::Send { to, message } => env.send_control(self.host, &to, &message),
                ControlEffect::Save { version, state } => self.save(File::State { version, state }, disk, env),
                ControlEffect::SaveCeiling(ceiling) => self.save(File::Ceiling(ceiling), disk, env),
                ControlEffect::Publish(view) => {
                    let view = match env.sabotage {
                        Some(Sabotage::DoubtIgnored) => {
                            let fitness = Fitness { in_doubt: false, ..view.fitness() };
                            Arc::new(View::clone(&view).with_fitness(fitness))
                        }
                        Some(Sabotage::DoubtHidden) => Arc::new(without_others_doubt(&view)),
                        _ => view,
                    };
                    self.tell_shards(|| Input::View(Arc::clone(&view)), env);
                }
                ControlEffect::Ceiling(ceiling) => self.tell_shards(|| Input::ClockCeiling(ceiling), env),
                ControlEffect::SaveIdentity { boot, in_doubt } => {
                    self.save(File::Identity { boot, in_doubt }, disk, env);
                }
                // Every node keeps its identity here, whatever else it loses.
                ControlEffect::TakeOver { .. } => {}
                ControlEffect::Note(Note::InDoubt { .. }) => env.stats.doubts += 1,
                ControlEffect::Note(Note::DoubtEnded { how: DoubtEnd::Pulled }) => env.stats.pulled += 1,
                // No client of the simulation changes keyspaces.
                ControlEffect::CatalogChanged { .. } | ControlEffect::Note(_) => {}
            }
        }
    }

    fn save(&self, file: File, disk: &mut Disk, env: &mut Environment) {
        if disk.begin_file(file) {
            self.write_file(env);
        }
    }

    pub(super) fn write_file(&self, env: &mut Environment) {
        let latency = env.disk_random.millis(1, 20);
        env.local(self.host, latency, Local::FileWritten);
    }

    fn tell_shards(&self, input: impl Fn() -> Input, env: &mut Environment) {
        for shard in 0..self.shards.len() {
            env.local(self.host, self.hop, Local::Shard { shard, input: input() });
        }
    }
}

fn unreadable() -> StoreError {
    StoreError::Io("the disk could not read".to_owned())
}

/// A view that tells of no other node that it is in doubt.
fn without_others_doubt(view: &View) -> View {
    let trusting = |member: &ViewMember| ViewMember { in_doubt: false, ..member.clone() };
    let members = view.members.iter().map(|(id, member)| (*id, trusting(member))).collect();
    let (layout, catalog) = (view.layout.clone(), Arc::clone(&view.catalog));
    View::new(view.me, view.cluster, layout, catalog, members, "dc1", None).with_fitness(view.fitness())
}
