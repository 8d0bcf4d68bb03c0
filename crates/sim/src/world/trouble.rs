//! Trouble, carried out: processes die and start again, connections break, disks and clocks misbehave. What happens
//! when was drawn by `faults`.

use super::{Host, World};
use crate::disk::Lack;
use crate::disk::store::Death;
use crate::event::{Event, HostIndex};
use crate::faults::{Fault, Trouble};
use crate::network::HostSet;
use crate::process::Process;

impl World {
    pub(super) fn begin(&mut self, Trouble { id, lasts, fault, .. }: Trouble) {
        self.env.trace.record(self.env.now, format_args!("{fault:?} begins"));
        let stats = &mut self.env.stats;
        match fault {
            Fault::Crash(hosts) => {
                let is_killed = hosts.len() == 1 && self.env.disk_random.permille(500);
                let death = if is_killed { Death::Killed } else { Death::PowerLost };
                self.each_of(hosts, |world, host| world.take_down(host, death));
            }
            Fault::Cut(cut) => {
                stats.cuts += 1;
                for (at, of) in self.env.network.cut(id, cut) {
                    self.break_connection(at, of);
                }
            }
            Fault::Storm(weather) => self.env.network.storm(id, weather),
            Fault::Pause(hosts) => {
                let until = self.env.now + lasts;
                self.each_of(hosts, |world, host| world.env.pause(host, until));
            }
            Fault::ClockJump { host, by_ms } => {
                stats.clock_jumps += 1;
                self.env.clock(host).jump(id, by_ms);
            }
            Fault::SlowDisk(host) => self.hosts[host].disk.set_slow(true),
            Fault::FullDisk(host) => self.hosts[host].disk.set_full(true),
            Fault::FailedSync(host) => self.hosts[host].disk.store.fail_sync(),
            Fault::FailedWrite(host) => self.hosts[host].disk.store.fail_write(),
            Fault::LostDisk(host) if self.can_spare(host, Lack::Lost) => {
                self.take_down(host, Death::PowerLost);
                self.env.stats.lost_disks += 1;
                self.hosts[host].disk.lose();
            }
            Fault::LostDisk(_) => drop(self.spared.insert(id)),
            Fault::RestoredDisk(host) => self.hosts[host].disk.back_up(id),
        }
    }

    pub(super) fn end(&mut self, Trouble { id, fault, .. }: Trouble) {
        self.env.trace.record(self.env.now, format_args!("{fault:?} ends"));
        match fault {
            Fault::Crash(hosts) => self.each_of(hosts, Self::let_up),
            Fault::Cut(_) => {
                self.env.network.mend(id);
                self.clients.ask_at_once(&mut self.env);
            }
            Fault::Storm(_) => self.env.network.end_storm(id),
            Fault::Pause(hosts) => self.each_of(hosts, |world, host| world.env.resume(host)),
            Fault::ClockJump { host, .. } => self.env.clock(host).undo(id),
            Fault::SlowDisk(host) => self.hosts[host].disk.set_slow(false),
            Fault::FullDisk(host) => {
                self.hosts[host].disk.set_full(false);
                self.restart_if_failed(host);
            }
            Fault::FailedSync(host) | Fault::FailedWrite(host) => {
                self.hosts[host].disk.store.withdraw();
                self.restart_if_failed(host);
            }
            Fault::LostDisk(_) if self.spared.remove(&id) => {}
            Fault::LostDisk(host) => self.let_up(host),
            Fault::RestoredDisk(host) if self.can_spare(host, Lack::SetBack) => {
                self.take_down(host, Death::PowerLost);
                self.env.stats.restored_disks += 1;
                self.hosts[host].disk.restore(id);
                self.let_up(host);
            }
            Fault::RestoredDisk(_) => {}
        }
    }

    /// Whether, with this one, not more disks than may lack something at a time.
    fn can_spare(&self, host: HostIndex, lack: Lack) -> bool {
        let lacks = |other: HostIndex| if other == host { Some(lack) } else { self.hosts[other].disk.lack() };
        let lacking = (0..self.hosts.len()).filter_map(lacks);
        let (mut known, mut unknown) = (0, 0);
        for lack in lacking {
            known += 1;
            unknown += u32::from(lack == Lack::SetBack);
        }
        let most = self.config.faults.losable_disks;
        known <= most.known && unknown <= most.unknown
    }

    /// Kills a process, and keeps it from starting until that is over.
    fn take_down(&mut self, host: HostIndex, death: Death) {
        self.env.hold_down(host, true);
        self.crash(host, death);
    }

    /// One trouble less keeps a host down; after the last it starts.
    fn let_up(&mut self, host: HostIndex) {
        if !self.env.hold_down(host, false) {
            self.start(host);
        }
    }

    fn each_of(&mut self, hosts: HostSet, act: impl Fn(&mut Self, HostIndex)) {
        for host in (0..self.hosts.len()).filter(|host| hosts.contains(*host)) {
            act(self, host);
        }
    }

    pub(super) fn start_all(&mut self) {
        self.each_of(HostSet::first(self.hosts.len()), Self::start);
    }

    /// Starts a process, unless its store cannot be opened; then that is tried again when the trouble is over.
    fn start(&mut self, host: HostIndex) {
        if self.env.is_up(host) {
            return;
        }
        if let Err(error) = self.hosts[host].disk.store.open() {
            self.env.stats.failed_starts += 1;
            self.env.trace.record(self.env.now, format_args!("n{host} cannot start: {error}"));
            return;
        }
        self.env.next_life(host);
        self.env.trace.record(self.env.now, format_args!("n{host} starts"));
        let down: HostSet = self.env.down();
        self.env.network.started(host, down);
        let Host { settings, disk, process } = &mut self.hosts[host];
        *process = Some(Process::start(settings, disk, &mut self.env));
    }

    /// A process dies; or, if there is none, no more than the power goes.
    pub(super) fn crash(&mut self, host: HostIndex, death: Death) {
        let Host { disk, process, .. } = &mut self.hosts[host];
        let (calls, bytes) = disk.store.calls();
        let undurable = disk.crash(death, &mut self.env.disk_random);
        if !self.env.is_up(host) {
            return;
        }
        *process = None;
        self.env.next_life(host);
        self.env.stats.crashes += 1;
        self.env.stats.power_losses += u64::from(death == Death::PowerLost);
        self.env.stats.undurable_appends += undurable;
        let line = format_args!("n{host} dies: {death:?}, after {calls} calls to its disk and {bytes} bytes written");
        self.env.trace.record(self.env.now, line);
        self.clients.disconnect(host, &mut self.env);
        for at in 0..self.hosts.len() {
            self.break_connection(at, host);
        }
    }

    /// A process whose log has failed goes on only when it is started again, by whoever keeps it running; and so does one that
    /// could not start.
    pub(super) fn restart_if_failed(&mut self, host: HostIndex) {
        if self.hosts[host].process.as_ref().is_some_and(Process::has_failed) {
            let death = if self.env.disk_random.permille(500) { Death::Killed } else { Death::PowerLost };
            self.crash(host, death);
        }
        if !self.env.is_held_down(host) {
            self.start(host);
        }
    }

    /// A host will notice that its connection to another is broken.
    fn break_connection(&mut self, at: HostIndex, of: HostIndex) {
        if at != of && self.env.is_up(at) {
            let life = self.env.life(at);
            let delay = self.env.network.until_noticed();
            self.env.after(delay, Event::Broken { at, life, of });
        }
    }
}
