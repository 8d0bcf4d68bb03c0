//! The threads of a process's storage engine: the one that writes its log, and the one that works in the background.

use kvorum_node::{Input, StoreError};

use super::Process;
use crate::disk::Disk;
use crate::environment::Environment;
use crate::event::Local;

impl Process {
    /// The group under way is durable, or never will be.
    pub(super) fn log_flushed(&mut self, disk: &mut Disk, env: &mut Environment) {
        match disk.end_flush(env.now) {
            Ok(durable) => {
                for (shard, seq) in durable {
                    self.turn(shard, Input::Durable(seq), disk, env);
                }
                self.let_engine_work(disk, env);
            }
            Err(error) => self.fail(&error, disk, env),
        }
    }

    /// The engine does a piece of background work, and the next one later.
    pub(super) fn engine_works(&mut self, disk: &mut Disk, env: &mut Environment) {
        self.engine_is_due = false;
        match disk.work() {
            Ok(true) => self.let_engine_work(disk, env),
            Ok(false) => {}
            Err(error) => self.fail(&error, disk, env),
        }
    }

    /// The engine takes in no more; all shards are told, for they share its log.
    fn fail(&mut self, error: &StoreError, disk: &mut Disk, env: &mut Environment) {
        env.stats.failed_logs += 1;
        self.log_failed = true;
        for shard in 0..self.shards.len() {
            self.turn(shard, Input::LogFailed(error.clone()), disk, env);
        }
    }

    pub(super) fn let_engine_work(&mut self, disk: &Disk, env: &mut Environment) {
        if !self.engine_is_due {
            self.engine_is_due = true;
            let delay = env.until_engine_works(disk.is_slow());
            env.local(self.host, delay, Local::EngineWorks);
        }
    }
}
