//! Owns what processes have cost so far: this one, and others.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this process, in user and kernel mode.
pub(crate) fn own() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Of other processes together, from `utime` and `stime` in `/proc/PID/stat` (proc(5)): exact to a clock tick of each.
pub(crate) fn of(processes: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for process in processes {
        let path = format!("/proc/{process}/stat");
        let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        ticks += self::ticks(&stat).with_context(|| format!("{path} looks unlike proc(5)"))?;
    }
    Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
}

/// The processes whose parent this is.
pub(crate) fn children(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry.context("cannot read /proc")?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        if field(&stat, 4) == Some(u64::from(parent)) {
            children.push(process);
        }
    }
    Ok(children)
}

fn ticks(stat: &str) -> Option<u64> {
    Some(field(stat, 14)? + field(stat, 15)?)
}

/// A field by its number in proc(5), after the name, which may hold blanks and parentheses.
fn field(stat: &str, number: usize) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(number - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "17 (a) b) (c) S 4 17 17 0 -1 4194304 1 2 3 4 250 50 7 8 20 0 1 0 99";
        assert_eq!((field(stat, 4), ticks(stat)), (Some(4), Some(300)));
        assert_eq!(ticks("17 (a"), None);
    }

    #[test]
    fn a_process_knows_its_own_cost_and_children() {
        let before = own();
        while own() - before < Duration::from_millis(30) {}
        assert!(of(&[std::process::id()]).unwrap() >= Duration::from_millis(20));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children(std::process::id()).unwrap().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
