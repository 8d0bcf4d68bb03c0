//! Trouble, carried out: processes die and start again, connections break, disks and clocks misbehave. What happens
//! when was drawn by `faults`.

use super::{Host, World};
use crate::event::{Event, HostIndex};
use crate::faults::{Fault, Trouble};
use crate::network::HostSet;
use crate::process::Process;

impl World {
    pub(super) fn begin(&mut self, Trouble { id, lasts, fault, .. }: Trouble) {
        self.env.trace.record(self.env.now, format_args!("{fault:?} begins"));
        let stats = &mut self.env.stats;
        match fault {
            Fault::Crash(hosts) => self.each_of(hosts, Self::take_down),
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
            Fault::FailedSync(host) => self.hosts[host].disk.fail_next_sync(),
            Fault::LostDisk(host) => {
                self.take_down(host);
                self.env.stats.lost_disks += 1;
                self.env.stats.lost_appends += self.hosts[host].disk.lose();
            }
            Fault::RestoredDisk(host) => self.hosts[host].disk.back_up(id),
        }
    }

    pub(super) fn end(&mut self, Trouble { id, fault, .. }: Trouble) {
        self.env.trace.record(self.env.now, format_args!("{fault:?} ends"));
        match fault {
            Fault::Crash(hosts) => self.each_of(hosts, Self::let_up),
            Fault::Cut(_) => self.env.network.mend(id),
            Fault::Storm(_) => self.env.network.end_storm(id),
            Fault::Pause(hosts) => self.each_of(hosts, |world, host| world.env.resume(host)),
            Fault::ClockJump { host, .. } => self.env.clock(host).undo(id),
            Fault::SlowDisk(host) => self.hosts[host].disk.set_slow(false),
            Fault::FullDisk(host) => {
                self.hosts[host].disk.set_full(false);
                self.restart_if_failed(host);
            }
            Fault::FailedSync(host) => {
                self.hosts[host].disk.sync_again();
                self.restart_if_failed(host);
            }
            Fault::LostDisk(host) => self.let_up(host),
            Fault::RestoredDisk(host) => {
                self.take_down(host);
                self.env.stats.restored_disks += 1;
                self.hosts[host].disk.restore(id);
                self.let_up(host);
            }
        }
    }

    /// Kills a process, and keeps it from starting until that is over.
    fn take_down(&mut self, host: HostIndex) {
        self.env.hold_down(host, true);
        self.crash(host);
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

    fn start(&mut self, host: HostIndex) {
        if self.env.is_up(host) {
            return;
        }
        self.env.next_life(host);
        self.env.trace.record(self.env.now, format_args!("n{host} starts"));
        let down: HostSet = self.env.down();
        self.env.network.started(host, down);
        let Host { settings, disk, process } = &mut self.hosts[host];
        *process = Some(Process::start(settings, disk, &mut self.env));
    }

    fn crash(&mut self, host: HostIndex) {
        if !self.env.is_up(host) {
            return;
        }
        self.env.next_life(host);
        self.env.stats.crashes += 1;
        self.env.trace.record(self.env.now, format_args!("n{host} dies"));
        let Host { disk, process, .. } = &mut self.hosts[host];
        *process = None;
        self.env.stats.lost_appends += disk.crash(&mut self.env.disk_random);
        self.clients.disconnect(host, &mut self.env);
        for at in 0..self.hosts.len() {
            self.break_connection(at, host);
        }
    }

    /// A process whose log has failed goes on only when it is started again, by whoever keeps it running.
    pub(super) fn restart_if_failed(&mut self, host: HostIndex) {
        if self.hosts[host].process.as_ref().is_some_and(Process::has_failed) {
            self.crash(host);
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
