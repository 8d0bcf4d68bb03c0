//! What the node counts, as Prometheus reads it (OpenMetrics text). Figures are gathered when somebody asks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvorum_node::control::{EVENT_KINDS, Figures, STATES};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use crate::control_loop::Snapshot;
use crate::engine::{Engine, Figure, FigureKind, Number, Unit as FigureUnit};
use crate::memory::Shares;
use crate::peer::traffic::Traffic;

/// What the answer is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything there is to tell.
pub(crate) struct Metrics {
    registry: Registry,
}

/// What tells of itself when it is asked.
pub(crate) struct Sources {
    pub(crate) node: [(&'static str, String); 4],
    pub(crate) engine: Arc<dyn Engine>,
    /// The log has failed: the node serves no data.
    pub(crate) store_failed: Arc<AtomicBool>,
    pub(crate) memory: Shares,
    pub(crate) snapshot: watch::Receiver<Snapshot>,
    pub(crate) traffic: Arc<Traffic>,
}

impl Metrics {
    pub(crate) fn new(sources: Sources) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(sources));
        Self { registry }
    }

    /// All of it, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("a string takes whatever is written to it");
        text
    }
}

impl Sources {
    fn figures(&self) -> Vec<Figure> {
        let Shares { process, memtables, blocks, records } = self.memory;
        let budget = [("process", process), ("memtables", memtables), ("blocks", blocks), ("records", records)];
        let budget = budget.map(|(name, bytes)| (name.to_owned(), bytes));
        let mut figures = vec![
            Figure::gauge(
                "kvorum_store_failed",
                "Whether the store has failed, so that this node serves no data",
                self.store_failed.load(Ordering::Relaxed).into(),
            ),
            Figure::gauge("kvorum_store", "Size of the stored data", self.engine.size_bytes()).of(FigureUnit::Bytes),
            Figure::gauge("kvorum_memory_budget", "How --memory is divided", 0).of(FigureUnit::Bytes).by("use", budget),
        ];
        if let Some(bytes) = resident_bytes() {
            figures
                .push(Figure::gauge("kvorum_memory_resident", "Memory of this process", bytes).of(FigureUnit::Bytes));
        }
        let told = self.snapshot.borrow().figures;
        let Figures {
            clock_refusals,
            clock_drifts,
            clock_offset_ms,
            in_doubt,
            pulled,
            to_pull,
            hints,
            hint_bytes,
            owed_hints,
            dropped_hints,
            ..
        } = told;
        figures.extend([
            Figure::counter(
                "kvorum_clock_refusals",
                "Writes that this node did not coordinate because its clock is too far from its peers'",
                clock_refusals,
            ),
            Figure::counter(
                "kvorum_clock_drift_refusals",
                "Writes of other coordinators that this node refused because their timestamps lay too far ahead",
                clock_drifts,
            ),
            Figure::gauge(
                "kvorum_in_doubt",
                "Whether this node may have lost acknowledged writes, so that it answers no reads",
                in_doubt.into(),
            ),
            Figure::gauge(
                "kvorum_pulled_partitions",
                "Of how many partitions this node has pulled what it may have lost, while it is in doubt",
                pulled.into(),
            ),
            Figure::gauge("kvorum_partitions_to_pull", "Of how many partitions it must", to_pull.into()),
            Figure::gauge("kvorum_hints", "Writes kept for nodes that are away", hints),
            Figure::gauge("kvorum_hint", "Size of the writes kept for nodes that are away", hint_bytes)
                .of(FigureUnit::Bytes),
            Figure::gauge(
                "kvorum_hints_owed",
                "Writes kept in the place of a replica, which are never dropped",
                owed_hints,
            ),
            Figure::counter(
                "kvorum_hints_dropped",
                "Writes for nodes that are away that were not kept, or not for so long: only comparing replicas finds them",
                dropped_hints,
            ),
        ]);
        figures.extend(self.membership(&told));
        if let Some(offset_ms) = clock_offset_ms {
            figures.push(
                Figure::gauge(
                    "kvorum_clock_offset_ms",
                    "How far the clock is ahead of its peers' median, in milliseconds",
                    0,
                )
                .measured(offset_ms as f64),
            );
        }
        figures.extend(self.engine.figures());
        figures
    }
}

impl Sources {
    /// Who is there, what became of them, and what that costs.
    fn membership(&self, figures: &Figures) -> Vec<Figure> {
        let Traffic { sent, received, .. } = &*self.traffic;
        let members = STATES.iter().zip(figures.members).map(|(state, count)| (state.to_string(), count));
        let events = EVENT_KINDS.iter().zip(figures.events).map(|(kind, count)| ((*kind).to_owned(), count));
        let refused = self.traffic.refused().chain([("other_cluster", figures.foreign_messages)]);
        let refused = refused.map(|(reason, count)| (reason.to_owned(), count));
        let ways = |sent, received| [("sent".to_owned(), sent), ("received".to_owned(), received)];
        vec![
            Figure::gauge("kvorum_members", "Members as this node sees them, itself included", 0).by("state", members),
            Figure::counter("kvorum_member_events", "What has become of members, as this node saw it", 0)
                .by("kind", events),
            Figure::gauge(
                "kvorum_isolated",
                "Whether this node hears nobody, and takes all others for unreachable",
                figures.isolated.into(),
            ),
            Figure::counter("kvorum_gossip_messages", "Messages of gossip", 0)
                .by("way", ways(sent.messages(), received.messages())),
            Figure::counter("kvorum_gossip", "Size of the messages of gossip with their seals", 0)
                .of(FigureUnit::Bytes)
                .by("way", ways(sent.bytes(), received.bytes())),
            Figure::counter("kvorum_peer_refusals", "What was not listened to on the peer port", 0)
                .by("reason", refused),
        ]
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut info = encoder.encode_descriptor("kvorum_node", "Which node this is", None, MetricType::Info)?;
        info.encode_info(&self.node)?;
        for Figure { name, help, unit, kind, numbers } in self.figures() {
            let unit = unit.map(|unit| match unit {
                FigureUnit::Bytes => Unit::Bytes,
                FigureUnit::Seconds => Unit::Seconds,
            });
            let metric_type = match kind {
                FigureKind::Counter => MetricType::Counter,
                FigureKind::Gauge => MetricType::Gauge,
            };
            let mut figure = encoder.encode_descriptor(name, help, unit.as_ref(), metric_type)?;
            for (part, number) in numbers {
                match part {
                    None => encode(&mut figure, kind, number)?,
                    Some(part) => encode(&mut figure.encode_family(&[part])?, kind, number)?,
                }
            }
        }
        Ok(())
    }
}

fn encode(figure: &mut MetricEncoder<'_>, kind: FigureKind, number: Number) -> fmt::Result {
    const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;
    match (kind, number) {
        (FigureKind::Counter, Number::Whole(number)) => figure.encode_counter(&number, NO_EXEMPLAR),
        (FigureKind::Counter, Number::Real(number)) => figure.encode_counter(&number, NO_EXEMPLAR),
        // Whole gauges are signed in the library.
        (FigureKind::Gauge, Number::Whole(number)) => figure.encode_gauge(&i64::try_from(number).unwrap_or(i64::MAX)),
        (FigureKind::Gauge, Number::Real(number)) => figure.encode_gauge(&number),
    }
}

/// What the system counts for this process; none where it does not tell.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kibibytes.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("node", &self.node).finish_non_exhaustive()
    }
}
