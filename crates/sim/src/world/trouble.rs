//! Trouble, carried out: processes die and start again, connections break, the network changes. What happens when was
//! drawn by `faults`.

use super::{Host, World};
use crate::event::{Event, HostIndex};
use crate::faults::Fault;
use crate::network::HostSet;
use crate::process::Process;

impl World {
    pub(super) fn trouble(&mut self, fault: Fault) {
        self.env.trace.record(self.env.now, format_args!("{fault:?}"));
        match fault {
            Fault::Crash(hosts) => self.each_of(hosts, Self::crash),
            Fault::Restart(hosts) => self.each_of(hosts, Self::start),
            Fault::Cut { id, cut } => {
                self.env.stats.cuts += 1;
                for (at, of) in self.env.network.cut(id, cut) {
                    self.break_connection(at, of);
                }
            }
            Fault::Mend { id } => self.env.network.mend(id),
            Fault::Weather(weather) => self.env.network.set_weather(weather),
        }
    }

    fn each_of(&mut self, hosts: HostSet, act: fn(&mut Self, HostIndex)) {
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

    /// A host will notice that its connection to another is broken.
    fn break_connection(&mut self, at: HostIndex, of: HostIndex) {
        if at != of && self.env.is_up(at) {
            let life = self.env.life(at);
            let delay = self.env.network.until_noticed();
            self.env.after(delay, Event::Broken { at, life, of });
        }
    }
}
