//! Owns which libraries are compared, with which settings.

use std::num::NonZeroU32;
use std::time::Duration;

use ::chitchat::FailureDetectorConfig;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::peers::{chitchat, foca, kvorum};
use crate::scenarios::{self, Cell, Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Variant {
    /// kvorum-gossip as it is: a round every 200 ms
    Kvorum,
    /// kvorum-gossip, all its times five times as long
    #[value(name = "kvorum-1s")]
    #[serde(rename = "kvorum-1s")]
    Kvorum1s,
    /// foca's `new_lan`, which gossips every 200 ms and probes every second; metadata are broadcast
    Foca,
    /// The same with the metadata in the identity
    FocaIdentity,
    /// foca's `new_lan`, its probes and suspicions five times as fast
    #[value(name = "foca-200ms")]
    #[serde(rename = "foca-200ms")]
    Foca200ms,
    /// chitchat's defaults, a round every second
    Chitchat,
    /// chitchat, a round every 200 ms
    #[value(name = "chitchat-200ms")]
    #[serde(rename = "chitchat-200ms")]
    Chitchat200ms,
}

impl Variant {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Kvorum => "kvorum",
            Self::Kvorum1s => "kvorum-1s",
            Self::Foca => "foca",
            Self::FocaIdentity => "foca-identity",
            Self::Foca200ms => "foca-200ms",
            Self::Chitchat => "chitchat",
            Self::Chitchat200ms => "chitchat-200ms",
        }
    }

    /// How often it gossips.
    pub(crate) fn period(self) -> Duration {
        let slow = matches!(self, Self::Kvorum1s | Self::Chitchat);
        Duration::from_millis(if slow { 1000 } else { 200 })
    }

    /// Runs one cell with it.
    pub(crate) fn run(self, cell: &Cell) -> Result<Outcome> {
        match self {
            Self::Kvorum | Self::Kvorum1s => scenarios::run::<kvorum::Kvorum>(self.kvorum(), cell),
            Self::Foca | Self::FocaIdentity | Self::Foca200ms => {
                scenarios::run::<foca::FocaPeer>(self.foca(cell.nodes)?, cell)
            }
            Self::Chitchat | Self::Chitchat200ms => scenarios::run::<chitchat::Chitchat>(self.chitchat(), cell),
        }
    }

    pub(crate) fn kvorum(self) -> kvorum_gossip::Config {
        let config = kvorum_gossip::Config::default();
        match self {
            Self::Kvorum1s => kvorum_gossip::Config {
                round_interval: config.round_interval * 5,
                suspect_after_min: config.suspect_after_min * 5,
                suspect_after_max: config.suspect_after_max * 5,
                ..config
            },
            _ => config,
        }
    }

    pub(crate) fn foca(self, nodes: usize) -> Result<foca::Settings> {
        let nodes = u32::try_from(nodes).ok().and_then(NonZeroU32::new).context("a cluster has nodes")?;
        let mut config = ::foca::Config::new_lan(nodes);
        if self == Self::Foca200ms {
            config.probe_period /= 5;
            config.probe_rtt /= 5;
            config.suspect_to_down_after /= 5;
        }
        Ok(foca::Settings { config, in_identity: self == Self::FocaIdentity })
    }

    pub(crate) fn chitchat(self) -> chitchat::Settings {
        let (gossip_interval, mut failure_detector) = (self.period(), FailureDetectorConfig::default());
        if self == Self::Chitchat200ms {
            // Its own tests do so with short intervals.
            failure_detector.initial_interval = gossip_interval;
        }
        chitchat::Settings { gossip_interval, failure_detector }
    }
}
