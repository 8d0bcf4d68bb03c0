//! Owns chitchat's part in the comparison. Its state machine is private, so its server runs as it is, each node in a
//! runtime of its own whose clock stands still but when the simulation moves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use chitchat::transport::RecvOutcome;
use chitchat::{
    ChitchatConfig, ChitchatEnvelope, ChitchatHandle, ChitchatId, FailureDetectorConfig, ListenerHandle, NodeState,
    ProtocolVersion, spawn_chitchat,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::yield_now;

use super::port::Port;
use crate::peer::{Change, Micros, Outbox, Peer, Sent, Start, address, at, metadata, name, version_of};

const KEY: &str = "meta";

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) gossip_interval: Duration,
    pub(crate) failure_detector: FailureDetectorConfig,
}

/// A message that has been encoded and decoded, with its length in between.
pub(crate) type Packet = (ChitchatEnvelope, usize);

pub(crate) struct Chitchat {
    handle: ChitchatHandle,
    live: watch::Receiver<BTreeMap<ChitchatId, NodeState>>,
    seen: BTreeSet<usize>,
    news: Arc<Mutex<Vec<Change>>>,
    port: Port,
    runtime: Runtime,
    interval: Micros,
    next_round: Micros,
    now: Micros,
    me: usize,
    _listener: ListenerHandle,
}

impl Peer for Chitchat {
    type Packet = Packet;
    type Settings = Settings;

    fn start(settings: &Settings, start: &Start, out: &mut Outbox<Packet>) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let (port, news) = (Port::default(), Arc::new(Mutex::new(Vec::new())));
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(name(start.index), 0, address(start.index)),
            cluster_id: "benchmark".to_owned(),
            gossip_interval: settings.gossip_interval,
            listen_addr: address(start.index),
            seed_nodes: start.seeds.iter().map(|seed| address(*seed).to_string()).collect(),
            failure_detector_config: settings.failure_detector.clone(),
            marked_for_deletion_grace_period: Duration::from_secs(15 * 60),
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        };
        let entries = vec![(KEY.to_owned(), metadata(start.index, 1))];
        let told = Arc::clone(&news);
        let started = async {
            let handle = spawn_chitchat(config, entries, &port).await?;
            let (live, listener) = handle
                .with_chitchat(|chitchat| {
                    let told = Arc::clone(&told);
                    let listener = chitchat.subscribe_event(KEY, move |event| {
                        let member = at(event.node.gossip_advertise_addr);
                        if let Some(version) = version_of(event.value.as_bytes()) {
                            told.lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .push(Change::Version { member, version });
                        }
                    });
                    (chitchat.live_nodes_watcher(), listener)
                })
                .await;
            anyhow::Ok((handle, live, listener))
        };
        let (handle, live, listener) = runtime.block_on(started)?;
        let mut peer = Self {
            handle,
            live,
            seen: BTreeSet::new(),
            news,
            port,
            runtime,
            interval: settings.gossip_interval.as_micros() as Micros,
            next_round: start.now,
            now: start.now,
            me: start.index,
            _listener: listener,
        };
        peer.run(start.now, out);
        Ok(peer)
    }

    fn next_timeout(&self) -> Micros {
        self.next_round
    }

    fn handle_timeout(&mut self, now: Micros, out: &mut Outbox<Packet>) -> Result<()> {
        self.run(now, out);
        Ok(())
    }

    fn handle_packet(&mut self, now: Micros, from: usize, packet: Packet, out: &mut Outbox<Packet>) -> Result<()> {
        let (envelope, num_bytes_received) = packet;
        self.port.put(RecvOutcome { from_addr: address(from), envelope, num_bytes_received });
        self.run(now, out);
        Ok(())
    }

    fn set_version(&mut self, now: Micros, version: u32, out: &mut Outbox<Packet>) -> Result<()> {
        self.run(now, out);
        let text = metadata(self.me, version);
        self.runtime.block_on(self.handle.with_chitchat(|chitchat| chitchat.self_node_state().set(KEY, text.clone())));
        anyhow::ensure!(self.port.rests(), "the server has stopped");
        Ok(())
    }

    #[cfg(test)]
    fn live(&self) -> BTreeSet<usize> {
        let of = |chitchat: &mut chitchat::Chitchat| -> BTreeSet<usize> {
            chitchat.live_nodes().map(|id| at(id.gossip_advertise_addr)).filter(|member| *member != self.me).collect()
        };
        self.runtime.block_on(self.handle.with_chitchat(of))
    }
}

impl Chitchat {
    /// Lets time pass up to now and the server do all that there is to do.
    fn run(&mut self, now: Micros, out: &mut Outbox<Packet>) {
        let passed = Duration::from_micros(now.saturating_sub(self.now));
        self.now = now;
        self.runtime.block_on(async {
            if !passed.is_zero() {
                tokio::time::advance(passed).await;
            }
            // The first turn looks at the clock, the second lets the server see what is due.
            yield_now().await;
            yield_now().await;
            while !self.port.rests() {
                yield_now().await;
            }
        });
        while self.next_round <= now {
            self.next_round += self.interval;
        }
        for leaving in self.port.fetch() {
            out.sent.push(Sent { to: at(leaving.to), bytes: leaving.bytes, packet: (leaving.envelope, leaving.bytes) });
        }
        self.compare(out);
        out.changes.append(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Finds out who is new among the live, and who is not there any more.
    fn compare(&mut self, out: &mut Outbox<Packet>) {
        if !self.live.has_changed().unwrap_or(false) {
            return;
        }
        let live = self.live.borrow_and_update();
        let live: BTreeSet<usize> = live.keys().map(|id| at(id.gossip_advertise_addr)).collect();
        out.changes.extend(live.difference(&self.seen).map(|member| Change::Live(*member)));
        let gone = self.seen.difference(&live).map(|member| Change::Gone { member: *member, sure: true });
        out.changes.extend(gone);
        self.seen = live;
    }
}
