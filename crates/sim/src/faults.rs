//! The fault schedule: what goes wrong, when, and for how long, drawn before the run begins. It says what happens; the
//! world makes it so.

use core::fmt;
use core::time::Duration;

use crate::config::SimConfig;
use crate::event::HostIndex;
use crate::network::{Cut, HostSet, Weather};
use crate::random::Random;

/// Something that goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its number in the schedule, from 0.
    pub id: u32,
    /// When it begins.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The processes of these hosts die at once; in the end they start again. If it is one, it may be that it was killed,
    /// and the machine goes on; else the power goes, and with it what was not synced.
    Crash(HostSet),
    /// Messages are cut off.
    Cut(Cut),
    /// The network loses, repeats and delays messages.
    Storm(Weather),
    /// Processes stand still, and do then what they would have done.
    Pause(HostSet),
    /// A wall clock is off by this much more.
    ClockJump {
        /// Whose.
        host: HostIndex,
        /// How far.
        by_ms: i64,
    },
    /// The log takes much longer to write, and so does the engine's background work.
    SlowDisk(HostIndex),
    /// The disk is full, or soon is: state files cannot be written, nor can anything that takes more room. In the end there
    /// is some, and a process whose log failed starts again, or one that could not start.
    FullDisk(HostIndex),
    /// One of the next syncs of the engine fails. In the end the process starts again.
    FailedSync(HostIndex),
    /// One of the engine's next writes fails, and has written a part. In the end the process starts again.
    FailedWrite(HostIndex),
    /// The process dies and all data is gone, the clock's ceiling too; identity and layout are kept elsewhere. In the
    /// end it starts again, with nothing.
    LostDisk(HostIndex),
    /// The disk is copied. In the end the process dies, and starts again from the old copy.
    RestoredDisk(HostIndex),
}

/// How often each kind of trouble comes: the weights of the kinds among each other. All zero is a calm run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRates {
    /// The mean time from one fault to the next.
    pub mean_gap: Duration,
    /// One process dies.
    pub crash: u16,
    /// All die at once, as when the power fails.
    pub power_failure: u16,
    /// All of a rack die at once.
    pub rack_failure: u16,
    /// Some nodes are cut off from others, one way or both.
    pub cut: u16,
    /// A rack is cut off from the others.
    pub rack_cut: u16,
    /// The network is bad for a while.
    pub storm: u16,
    /// A process stands still.
    pub pause: u16,
    /// A wall clock jumps.
    pub clock_jump: u16,
    /// A disk is slow.
    pub slow_disk: u16,
    /// A disk is full.
    pub full_disk: u16,
    /// The engine cannot sync something.
    pub failed_sync: u16,
    /// The engine cannot write something.
    pub failed_write: u16,
    /// A disk is lost, or an old copy of it restored, if that can be spared.
    pub lost_disk: u16,
    /// How many nodes at a time may lack what their disks have lost.
    pub losable_disks: LosableDisks,
    /// Of a thousand saves of a state file, so many fail.
    pub failed_saves_permille: u16,
    /// Of a thousand reads of the store, so many fail.
    pub failed_loads_permille: u16,
    /// Of a thousand requests and of a thousand answers of clients, so many are lost, with their connection.
    pub lost_clients_permille: u16,
}

/// How many nodes at a time may lack what their disks have lost, until they have pulled it from others: a disk is lost or set back
/// only if they are no more then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LosableDisks {
    /// In all. The node of a lost disk knows that.
    pub known: u32,
    /// Of these so many may be set back: whether an old copy is found out depends on what peers remember, and no peer may remember enough.
    pub unknown: u32,
}

impl LosableDisks {
    /// No disk is lost.
    pub const NONE: Self = Self { known: 0, unknown: 0 };
    /// As many as nodes can spare.
    pub(crate) const ALL: Self = Self { known: u32::MAX, unknown: u32::MAX };
}

impl FaultRates {
    /// Nothing happens.
    pub const NONE: Self = Self {
        mean_gap: Duration::from_secs(1),
        crash: 0,
        power_failure: 0,
        rack_failure: 0,
        cut: 0,
        rack_cut: 0,
        storm: 0,
        pause: 0,
        clock_jump: 0,
        slow_disk: 0,
        full_disk: 0,
        failed_sync: 0,
        failed_write: 0,
        lost_disk: 0,
        losable_disks: LosableDisks::NONE,
        failed_saves_permille: 0,
        failed_loads_permille: 0,
        lost_clients_permille: 0,
    };

    /// Crashes, cuts and storms as they come on a bad day.
    pub const ORDINARY: Self = Self {
        mean_gap: Duration::from_millis(500),
        crash: 40,
        power_failure: 5,
        cut: 35,
        storm: 20,
        failed_saves_permille: 20,
        ..Self::NONE
    };

    /// Some kinds not at all, others seldom or often.
    pub(crate) fn swarm(random: &mut Random) -> Self {
        let mut weight = |most: u64| if random.permille(500) { 0 } else { 1 + random.below(most) as u16 };
        Self {
            crash: weight(60),
            power_failure: weight(15),
            rack_failure: weight(15),
            cut: weight(60),
            rack_cut: weight(30),
            storm: weight(40),
            pause: weight(40),
            clock_jump: weight(30),
            slow_disk: weight(20),
            full_disk: weight(20),
            failed_sync: weight(20),
            failed_write: weight(20),
            lost_disk: 20,
            losable_disks: LosableDisks::ALL,
            failed_saves_permille: weight(80),
            failed_loads_permille: weight(30),
            lost_clients_permille: weight(40),
            mean_gap: [200, 400, 800, 1600].map(Duration::from_millis)[random.index(4)],
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Crash,
    PowerFailure,
    RackFailure,
    Cut,
    RackCut,
    Storm,
    Pause,
    ClockJump,
    SlowDisk,
    FullDisk,
    FailedSync,
    FailedWrite,
    LostDisk,
}

/// Draws what goes wrong between two moments. What begins in that time may end after it.
pub(crate) fn schedule(config: &SimConfig, random: &mut Random, from: Duration, until: Duration) -> Vec<Trouble> {
    let (rates, alone) = (&config.faults, config.nodes == 1);
    let kinds = [
        (Kind::Crash, rates.crash),
        (Kind::PowerFailure, rates.power_failure),
        (Kind::RackFailure, rates.rack_failure),
        (Kind::Cut, if alone { 0 } else { rates.cut }),
        (Kind::RackCut, if alone || config.racks == 1 { 0 } else { rates.rack_cut }),
        (Kind::Storm, if alone { 0 } else { rates.storm }),
        (Kind::Pause, rates.pause),
        (Kind::ClockJump, if config.clocks.max_jump_ms > 0 { rates.clock_jump } else { 0 }),
        (Kind::SlowDisk, rates.slow_disk),
        (Kind::FullDisk, rates.full_disk),
        (Kind::FailedSync, rates.failed_sync),
        (Kind::FailedWrite, rates.failed_write),
        (Kind::LostDisk, if rates.losable_disks.known > 0 { rates.lost_disk } else { 0 }),
    ];
    let (mut schedule, mut at) = (Vec::new(), from);
    let mean = rates.mean_gap.as_micros() as u64;
    for id in 0.. {
        at += random.micros(0, 2 * mean);
        let Some(kind) = random.weighted(&kinds).filter(|_| at < until) else { break };
        let (fault, lasts) = draw(kind, config, until - at, random);
        // Whether a disk can be spared is seen when the moment has come.
        if rates.losable_disks.unknown > 0 || !matches!(fault, Fault::RestoredDisk(_)) {
            schedule.push(Trouble { id, at, lasts, fault });
        }
    }
    let particular = config.scenario.map(|scenario| scenario.troubles(config, until - from)).unwrap_or_default();
    let next = schedule.last().map_or(0, |last: &Trouble| last.id + 1);
    let particular = particular.into_iter().filter(|(after, ..)| from + *after < until);
    schedule.extend((next..).zip(particular).map(|(id, (after, lasts, fault))| Trouble {
        id,
        at: from + after,
        lasts,
        fault,
    }));
    if let Some(only) = &config.only_faults {
        schedule.retain(|trouble| only.contains(&trouble.id));
    }
    schedule
}

/// `left` is how long the time of faults goes on.
fn draw(kind: Kind, config: &SimConfig, left: Duration, random: &mut Random) -> (Fault, Duration) {
    let hosts = config.nodes;
    // Most troubles pass quickly; some last until failure detection has taken note of them.
    let lasts = if random.permille(800) { random.millis(1, 500) } else { random.millis(500, 4000) };
    let host = random.index(hosts);
    let fault = match kind {
        Kind::Crash => Fault::Crash(HostSet::single(host)),
        Kind::PowerFailure => return (Fault::Crash(HostSet::first(hosts)), lasts / 2),
        Kind::RackFailure => Fault::Crash(rack_of(host, config)),
        Kind::Cut => Fault::Cut(draw_cut(hosts, random)),
        Kind::RackCut => {
            let side = rack_of(host, config);
            let rest = HostSet::first(hosts).without(side);
            Fault::Cut(Cut { from: side, to: rest, both_ways: random.permille(700), reset: random.permille(350) })
        }
        Kind::Storm => Fault::Storm(Weather {
            drop: random.below(250) as u16,
            repeat: random.below(250) as u16,
            late: random.below(150) as u16,
        }),
        Kind::Pause => Fault::Pause(HostSet::single(host)),
        Kind::ClockJump => {
            let most = config.clocks.max_jump_ms;
            Fault::ClockJump { host, by_ms: random.below(2 * most + 1) as i64 - most as i64 }
        }
        Kind::SlowDisk => Fault::SlowDisk(host),
        Kind::FullDisk => Fault::FullDisk(host),
        Kind::FailedSync => Fault::FailedSync(host),
        Kind::FailedWrite => Fault::FailedWrite(host),
        Kind::LostDisk if random.permille(500) => Fault::LostDisk(host),
        // A copy is set back while there are faults, or it would be for nothing.
        Kind::LostDisk => {
            return (Fault::RestoredDisk(host), random.micros(1, left.as_micros() as u64));
        }
    };
    (fault, lasts)
}

fn rack_of(host: HostIndex, config: &SimConfig) -> HostSet {
    (0..config.nodes).filter(|other| other % config.racks == host % config.racks).fold(HostSet::EMPTY, HostSet::with)
}

fn draw_cut(hosts: usize, random: &mut Random) -> Cut {
    let (both_ways, reset) = (random.permille(500), random.permille(350));
    let all = HostSet::first(hosts);
    let victim: HostIndex = random.index(hosts);
    let other = (victim + 1 + random.index(hosts - 1)) % hosts;
    let side = match random.index(4) {
        // One against one,
        0 => return Cut { from: HostSet::single(victim), to: HostSet::single(other), both_ways, reset },
        // any split,
        1 => (0..hosts)
            .filter(|host| *host != other && random.permille(500))
            .fold(HostSet::single(victim), HostSet::with),
        // or one against all.
        _ => HostSet::single(victim),
    };
    let rest = all.without(side);
    let (from, to) = if random.permille(500) { (side, rest) } else { (rest, side) };
    Cut { from, to, both_ways, reset }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.at.as_secs_f64(), (self.at + self.lasts).as_secs_f64());
        write!(f, "fault {:>3}  {from:>9.6} to {to:>9.6} s  ", self.id)?;
        match self.fault {
            Fault::Crash(hosts) => write!(f, "{hosts:?} dead"),
            Fault::Cut(cut) => write!(f, "{cut}"),
            Fault::Storm(Weather { drop, repeat, late }) => {
                write!(f, "storm: of 1000 messages {drop} lost, {repeat} repeated, {late} late")
            }
            Fault::Pause(hosts) => write!(f, "{hosts:?} paused"),
            Fault::ClockJump { host, by_ms } => write!(f, "clock of n{host} off by {by_ms} ms"),
            Fault::SlowDisk(host) => write!(f, "disk of n{host} slow"),
            Fault::FullDisk(host) => write!(f, "disk of n{host} full, then restarted if its log failed"),
            Fault::FailedSync(host) => write!(f, "a sync of n{host} fails, then restarted"),
            Fault::FailedWrite(host) => write!(f, "a write of n{host} fails, then restarted"),
            Fault::LostDisk(host) => write!(f, "n{host} dead, its data lost"),
            Fault::RestoredDisk(host) => write!(f, "n{host} copied, then restarted from that copy"),
        }
    }
}

#[cfg(test)]
mod tests;
