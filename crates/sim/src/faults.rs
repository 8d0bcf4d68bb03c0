//! The fault schedule: what goes wrong, when, and when it ends, drawn before the run begins. It says what happens;
//! the world makes it so.

use core::time::Duration;

use crate::config::SimConfig;
use crate::event::HostIndex;
use crate::network::{Cut, HostSet, Weather};
use crate::random::Random;

/// One step of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The processes of these hosts die at once. Nothing happens to those that are down already.
    Crash(HostSet),
    /// Those of these hosts that are down start again.
    Restart(HostSet),
    /// A cut begins.
    Cut {
        /// Its number.
        id: u32,
        /// What it does.
        cut: Cut,
    },
    /// A cut ends.
    Mend {
        /// Its number.
        id: u32,
    },
    /// The network gets worse, or better.
    Weather(Weather),
}

#[derive(Clone, Copy)]
enum Kind {
    Crash,
    PowerFailure,
    Cut,
    Storm,
}

/// Draws what goes wrong between two moments. What begins in that time may end after it.
pub(crate) fn schedule(
    config: &SimConfig,
    random: &mut Random,
    from: Duration,
    until: Duration,
) -> Vec<(Duration, Fault)> {
    let rates = &config.faults;
    let kinds = [
        (Kind::Crash, rates.crash),
        (Kind::PowerFailure, rates.power_failure),
        (Kind::Cut, rates.cut),
        (Kind::Storm, rates.storm),
    ];
    let total: u64 = kinds.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut schedule = Vec::new();
    let mut at = from;
    let mean = u64::try_from(rates.mean_gap.as_micros()).unwrap_or(u64::MAX / 4).max(1);
    for id in 0.. {
        at += random.micros(0, 2 * mean);
        if total == 0 || at >= until {
            break;
        }
        let mut ticket = random.below(total);
        let drawn = kinds.iter().find(|(_, weight)| {
            let hit = ticket < u64::from(*weight);
            ticket = ticket.saturating_sub(u64::from(*weight));
            hit
        });
        let (kind, _) = drawn.expect("the ticket is below the sum of the weights");
        let (begin, end, lasts) = draw(*kind, id, config.nodes, random);
        schedule.push((at, begin));
        schedule.push((at + lasts, end));
    }
    schedule.sort_by_key(|(at, _)| *at);
    schedule
}

fn draw(kind: Kind, id: u32, hosts: usize, random: &mut Random) -> (Fault, Fault, Duration) {
    // Most troubles pass quickly; some last until failure detection has taken note of them.
    let lasts = if random.permille(800) { random.millis(1, 500) } else { random.millis(500, 4000) };
    match kind {
        Kind::Crash => {
            let host = HostSet::single(random.index(hosts));
            (Fault::Crash(host), Fault::Restart(host), lasts)
        }
        Kind::PowerFailure => {
            let all = HostSet::first(hosts);
            (Fault::Crash(all), Fault::Restart(all), lasts / 2)
        }
        Kind::Cut => (Fault::Cut { id, cut: draw_cut(hosts, random) }, Fault::Mend { id }, lasts),
        Kind::Storm => {
            let weather = Weather {
                drop: random.below(250) as u16,
                repeat: random.below(250) as u16,
                late: random.below(150) as u16,
            };
            (Fault::Weather(weather), Fault::Weather(Weather::default()), lasts)
        }
    }
}

fn draw_cut(hosts: usize, random: &mut Random) -> Cut {
    let (both_ways, reset) = (random.permille(500), random.permille(350));
    if hosts < 2 {
        return Cut { from: HostSet(0), to: HostSet(0), both_ways, reset };
    }
    let all = HostSet::first(hosts);
    let victim: HostIndex = random.index(hosts);
    let other = (victim + 1 + random.index(hosts - 1)) % hosts;
    let (side, rest) = match random.index(4) {
        // One against one,
        0 => (HostSet::single(victim), HostSet::single(other)),
        // any split,
        1 => {
            let side = HostSet(random.next() & all.0 & !HostSet::single(other).0 | HostSet::single(victim).0);
            (side, HostSet(all.0 & !side.0))
        }
        // or one against all.
        _ => (HostSet::single(victim), HostSet(all.0 & !HostSet::single(victim).0)),
    };
    if random.permille(500) {
        Cut { from: side, to: rest, both_ways, reset }
    } else {
        Cut { from: rest, to: side, both_ways, reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FaultRates;
    use crate::random::Purpose;

    fn drawn(seed: u64, faults: FaultRates) -> Vec<(Duration, Fault)> {
        let config = SimConfig { faults, ..SimConfig::from_seed(seed) };
        schedule(&config, &mut Random::stream(seed, Purpose::Fault), Duration::from_secs(1), Duration::from_secs(60))
    }

    #[test]
    fn every_kind_of_trouble_comes_and_whatever_begins_ends() {
        let schedule = drawn(1, FaultRates::default());
        let count = |wanted: fn(&Fault) -> bool| schedule.iter().filter(|(_, fault)| wanted(fault)).count();
        let crashes = count(|fault| matches!(fault, Fault::Crash(_)));
        let cuts = count(|fault| matches!(fault, Fault::Cut { .. }));
        assert!(crashes > 10 && cuts > 10 && count(|fault| matches!(fault, Fault::Weather(_))) > 10);
        assert_eq!(count(|fault| matches!(fault, Fault::Restart(_))), crashes);
        assert_eq!(count(|fault| matches!(fault, Fault::Mend { .. })), cuts);
        assert!(schedule.is_sorted_by_key(|(at, _)| *at));
        assert!(schedule.iter().any(|(_, fault)| matches!(fault, Fault::Crash(hosts) if hosts.0.count_ones() > 1)));
    }

    #[test]
    fn cuts_part_hosts_that_there_are() {
        for hosts in 2..6 {
            let mut random = Random::stream(hosts as u64, Purpose::Fault);
            for _ in 0..200 {
                let cut = draw_cut(hosts, &mut random);
                assert!(cut.from.0 != 0 && cut.to.0 != 0 && cut.from.0 & cut.to.0 == 0, "{cut:?}");
                assert_eq!((cut.from.0 | cut.to.0) & !HostSet::first(hosts).0, 0, "{cut:?}");
            }
        }
    }

    #[test]
    fn a_calm_run_has_no_faults() {
        assert_eq!(drawn(1, FaultRates::NONE), []);
    }
}
