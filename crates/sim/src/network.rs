//! The network between hosts: what becomes of each message. It knows cuts, the weather, and which connections are
//! known to be broken; it does not know what messages say, and delivers nothing itself.
//!
//! It is meaner than the streams that nodes really use: it loses single messages, repeats and reorders them, and
//! delivers some to a process that started after they were sent.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::config::MOST_NODES;
use crate::event::HostIndex;
use crate::random::Random;

/// Some hosts, as bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostSet(u128);

impl fmt::Debug for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = (0..MOST_NODES).filter(|host| self.contains(*host)).map(|host| format!("n{host}"));
        f.write_str(&names.collect::<Vec<_>>().join(" "))
    }
}

impl HostSet {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn single(host: HostIndex) -> Self {
        Self(1 << host)
    }

    /// So many, from host 0 on.
    pub(crate) fn first(hosts: usize) -> Self {
        (0..hosts).fold(Self::EMPTY, Self::with)
    }

    pub(crate) fn with(self, host: HostIndex) -> Self {
        Self(self.0 | 1 << host)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the host is one of them.
    #[must_use]
    pub fn contains(self, host: usize) -> bool {
        host < MOST_NODES && self.0 >> host & 1 == 1
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Messages between two groups of hosts do not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Messages from these
    pub from: HostSet,
    /// to these are lost.
    pub to: HostSet,
    /// So are those the other way.
    pub both_ways: bool,
    /// Connections break and cannot be made again, so senders know; otherwise messages vanish in silence.
    pub reset: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.both_ways || self.reset { "<->" } else { "->" };
        let how = if self.reset { "connections break" } else { "in silence" };
        write!(f, "cut {:?} {arrow} {:?}, {how}", self.from, self.to)
    }
}

impl Cut {
    fn covers(&self, from: HostIndex, to: HostIndex) -> bool {
        self.from.contains(from) && self.to.contains(to)
    }

    fn blocks(&self, from: HostIndex, to: HostIndex) -> bool {
        self.covers(from, to) || ((self.both_ways || self.reset) && self.covers(to, from))
    }
}

/// How bad the network is, each in a thousand messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Lost.
    pub drop: u16,
    /// Delivered twice.
    pub repeat: u16,
    /// Very late: up to one and a half seconds.
    pub late: u16,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It vanishes, and nobody is told.
    Lost,
    /// There is no connection: the sender knows at once.
    Unsent,
    /// It arrives after so long, and perhaps once more.
    Arrives { after: Duration, again: Option<Duration> },
}

pub(crate) struct Network {
    random: Random,
    cuts: BTreeMap<u32, Cut>,
    storms: BTreeMap<u32, Weather>,
    /// The worst of all storms.
    weather: Weather,
    /// In a thousand.
    lost_clients: u16,
    /// Of each host: those whose processes it knows to be gone.
    refused: Vec<HostSet>,
}

impl Network {
    pub(crate) fn new(random: Random, hosts: usize, lost_clients: u16) -> Self {
        Self {
            random,
            cuts: BTreeMap::new(),
            storms: BTreeMap::new(),
            weather: Weather::default(),
            lost_clients,
            refused: vec![HostSet::EMPTY; hosts],
        }
    }

    /// Decides about a message. `may_repeat` is not set for what a stream never repeats and no receiver could tell.
    pub(crate) fn fate(&mut self, from: HostIndex, to: HostIndex, may_repeat: bool) -> Fate {
        let resets = |cut: &Cut| cut.reset && cut.blocks(from, to);
        if self.refused[from].contains(to) || self.cuts.values().any(resets) {
            return Fate::Unsent;
        }
        if self.cuts.values().any(|cut| cut.blocks(from, to)) || self.random.permille(self.weather.drop) {
            return Fate::Lost;
        }
        let again = (may_repeat && self.random.permille(self.weather.repeat)).then(|| self.delay());
        Fate::Arrives { after: self.delay(), again }
    }

    fn delay(&mut self) -> Duration {
        if self.random.permille(self.weather.late) {
            self.random.millis(20, 1500)
        } else if self.random.permille(20) {
            self.random.millis(2, 30)
        } else {
            self.random.micros(80, 2000)
        }
    }

    /// How long it takes between a client and a node.
    pub(crate) fn client_delay(&mut self) -> Duration {
        self.random.micros(50, 500)
    }

    /// Whether a client's request or answer is lost, and its connection with it.
    pub(crate) fn loses_client(&mut self) -> bool {
        self.random.permille(self.lost_clients)
    }

    /// Whether a message that was under way when one of its ends died is lost with it.
    pub(crate) fn dies_with_its_connection(&mut self) -> bool {
        self.random.permille(600)
    }

    /// After how long the other end of a connection notices that a process died.
    pub(crate) fn until_noticed(&mut self) -> Duration {
        if self.random.permille(700) { self.random.millis(0, 5) } else { self.random.millis(5, 800) }
    }

    /// Begins a cut: the pairs whose connections break.
    pub(crate) fn cut(&mut self, id: u32, cut: Cut) -> Vec<(HostIndex, HostIndex)> {
        self.cuts.insert(id, cut);
        let hosts = self.refused.len();
        let pairs = (0..hosts).flat_map(|a| (0..hosts).map(move |b| (a, b)));
        pairs.filter(|(a, b)| a != b && cut.reset && cut.blocks(*a, *b)).collect()
    }

    pub(crate) fn mend(&mut self, id: u32) {
        self.cuts.remove(&id);
    }

    pub(crate) fn storm(&mut self, id: u32, weather: Weather) {
        self.storms.insert(id, weather);
        self.feel_weather();
    }

    pub(crate) fn end_storm(&mut self, id: u32) {
        self.storms.remove(&id);
        self.feel_weather();
    }

    fn feel_weather(&mut self) {
        let worst = |a: Weather, b: &Weather| Weather {
            drop: a.drop.max(b.drop),
            repeat: a.repeat.max(b.repeat),
            late: a.late.max(b.late),
        };
        self.weather = self.storms.values().fold(Weather::default(), worst);
    }

    /// A host has noticed that another's process is gone: until that one is back, sending to it fails at once.
    pub(crate) fn refuse(&mut self, at: HostIndex, gone: HostIndex) {
        self.refused[at] = self.refused[at].with(gone);
    }

    /// A process has started on a host; `down` are those without one.
    pub(crate) fn started(&mut self, host: HostIndex, down: HostSet) {
        for refused in &mut self.refused {
            *refused = refused.without(HostSet::single(host));
        }
        self.refused[host] = down;
    }

    /// Nothing is wrong any more, except what hosts that are down bring about.
    pub(crate) fn calm(&mut self) {
        self.cuts.clear();
        self.storms.clear();
        self.feel_weather();
        self.lost_clients = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn network() -> Network {
        Network::new(Random::stream(1, Purpose::Network), 3, 0)
    }

    fn arrivals(network: &mut Network, from: HostIndex, to: HostIndex) -> usize {
        (0..100).filter(|_| matches!(network.fate(from, to, true), Fate::Arrives { .. })).count()
    }

    #[test]
    fn a_one_way_cut_loses_what_goes_one_way_in_silence() {
        let mut network = network();
        let cut = Cut { from: HostSet::single(0), to: HostSet::single(1), both_ways: false, reset: false };
        assert!(network.cut(1, cut).is_empty());
        assert_eq!(network.fate(0, 1, true), Fate::Lost);
        assert_eq!((arrivals(&mut network, 1, 0), arrivals(&mut network, 0, 2)), (100, 100));
        network.mend(1);
        assert_eq!(arrivals(&mut network, 0, 1), 100);
    }

    #[test]
    fn a_reset_cut_breaks_connections_and_senders_know() {
        let mut network = network();
        let cut = Cut {
            from: HostSet::single(0),
            to: HostSet::first(3).without(HostSet::single(0)),
            both_ways: true,
            reset: true,
        };
        assert_eq!(network.cut(1, cut), [(0, 1), (0, 2), (1, 0), (2, 0)]);
        assert_eq!((network.fate(0, 1, true), network.fate(2, 0, true)), (Fate::Unsent, Fate::Unsent));
        network.calm();
        assert_eq!(arrivals(&mut network, 2, 0), 100);
    }

    #[test]
    fn a_dead_process_is_refused_until_it_is_back() {
        let mut network = network();
        network.refuse(0, 2);
        assert_eq!(network.fate(0, 2, true), Fate::Unsent);
        assert_eq!(arrivals(&mut network, 1, 2), 100, "another has not noticed yet");
        network.started(2, HostSet::single(1));
        assert_eq!(arrivals(&mut network, 0, 2), 100);
        assert_eq!(network.fate(2, 1, true), Fate::Unsent);
    }

    #[test]
    fn a_storm_loses_and_repeats() {
        let mut network = network();
        network.storm(1, Weather { drop: 300, repeat: 100, late: 100 });
        network.storm(2, Weather { drop: 0, repeat: 300, late: 0 });
        let fates: Vec<Fate> = (0..1000).map(|_| network.fate(0, 1, true)).collect();
        assert!(fates.contains(&Fate::Lost));
        assert!(fates.iter().any(|fate| matches!(fate, Fate::Arrives { again: Some(_), .. })));
        assert!((0..1000).all(|_| !matches!(network.fate(0, 1, false), Fate::Arrives { again: Some(_), .. })));
        network.end_storm(1);
        assert!((0..1000).all(|_| network.fate(0, 1, true) != Fate::Lost), "the other storm loses nothing");
    }
}
