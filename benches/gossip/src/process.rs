//! Owns what this process costs, as Linux counts it.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads so far.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Memory that is resident now.
pub(crate) fn resident_bytes() -> Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").context("cannot read /proc/self/statm")?;
    let pages: u64 = pages.split_whitespace().nth(1).context("/proc/self/statm is short")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_seen() {
        let before = (cpu(), resident_bytes().unwrap());
        let large: Vec<u64> = (1..(8 << 20)).collect();
        assert!(large.iter().all(|number| *number > 0));
        assert!(cpu() > before.0 && resident_bytes().unwrap() >= before.1 + (60 << 20));
    }
}
