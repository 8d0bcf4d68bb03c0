//! Owns the simulated network: how long a datagram takes, whether it arrives, and how many there were. All libraries get
//! the same one.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::peer::Micros;

/// Every datagram takes at least this, and an exponentially distributed time on top, up to the limit.
const LEAST: Micros = 200;
const MEAN_ABOVE: f64 = 300.0;
const MOST_ABOVE: f64 = 20_000.0;

/// What was handed to the network, whether it arrived or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) largest: usize,
}

#[derive(Debug)]
pub(crate) struct Network {
    random: SmallRng,
    /// How probable it is that a datagram is lost, whatever its size.
    loss: f64,
    /// Nodes below and from this one on do not reach each other.
    cut: Option<usize>,
    pub(crate) traffic: Traffic,
}

impl Network {
    pub(crate) fn new(seed: u64, loss: f64) -> Self {
        Self { random: SmallRng::seed_from_u64(seed), loss, cut: None, traffic: Traffic::default() }
    }

    pub(crate) fn cut(&mut self, at: Option<usize>) {
        self.cut = at;
    }

    /// Takes a datagram, and says after what time it arrives, if it does.
    pub(crate) fn carry(&mut self, from: usize, to: usize, bytes: usize) -> Option<Micros> {
        let traffic = &mut self.traffic;
        traffic.messages += 1;
        traffic.bytes += bytes as u64;
        traffic.largest = traffic.largest.max(bytes);
        let (lost, above) = (self.random.random::<f64>() < self.loss, self.random.random::<f64>());
        if lost || self.cut.is_some_and(|cut| (from < cut) != (to < cut)) {
            return None;
        }
        let above = (-(1.0 - above).ln() * MEAN_ABOVE).min(MOST_ABOVE);
        Some(LEAST + above as Micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_loses_and_delays_as_it_should() {
        let mut network = Network::new(1, 0.2);
        let delays: Vec<Micros> = (0..100_000).filter_map(|_| network.carry(0, 1, 10)).collect();
        assert!((79_000..81_000).contains(&delays.len()), "{}", delays.len());
        assert_eq!(network.traffic, Traffic { messages: 100_000, bytes: 1_000_000, largest: 10 });
        let mean = delays.iter().sum::<Micros>() / delays.len() as Micros;
        assert!((490..510).contains(&mean) && delays.iter().all(|delay| *delay >= LEAST), "{mean}");
    }

    #[test]
    fn a_cut_parts_two_sides_only() {
        let mut network = Network::new(1, 0.0);
        network.cut(Some(2));
        assert!(network.carry(0, 2, 1).is_none() && network.carry(3, 1, 1).is_none());
        assert!(network.carry(0, 1, 1).is_some() && network.carry(3, 2, 1).is_some());
        network.cut(None);
        assert!(network.carry(0, 2, 1).is_some());
    }
}
