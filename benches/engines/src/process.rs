//! Owns what a process costs, as Linux counts it: processor time, memory, and what it made the disk write.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// The process is idle when it takes less processor time than this in a [`WINDOW`].
const IDLE_CPU: Duration = Duration::from_millis(4);
const WINDOW: Duration = Duration::from_millis(150);
/// So many idle windows one after another, so that one sync does not pass for idleness.
const IDLE_WINDOWS: u32 = 3;

/// Processor time of all threads so far, in user and kernel mode.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The largest resident memory since the start, or since [`reset_peak`].
pub(crate) fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let kib = field(&status, "VmHWM:").context("/proc/self/status has no VmHWM")?;
    Ok(kib << 10)
}

/// Lets the peak begin again at what is resident now.
pub(crate) fn reset_peak() -> Result<()> {
    std::fs::write("/proc/self/clear_refs", "5").context("cannot write /proc/self/clear_refs")
}

/// What the process has made the disk write, or will have: a page counts when it becomes dirty, and no longer when it is
/// dropped before it was written.
pub(crate) fn written_bytes() -> Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io").context("cannot read /proc/self/io")?;
    let of = |name| field(&io, name).with_context(|| format!("/proc/self/io has no {name}"));
    Ok(of("write_bytes:")?.saturating_sub(of("cancelled_write_bytes:")?))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Lets the file system write all that is dirty, so that it is the same for all engines what is still to come.
pub(crate) fn sync_files(dir: &Path) -> Result<()> {
    let opened = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
    rustix::fs::syncfs(opened).context("cannot sync the file system")
}

/// Blocks that the file system has allocated to a directory and all below.
pub(crate) fn disk_bytes(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;

    let context = || format!("cannot read {}", dir.display());
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).with_context(context)? {
        let entry = entry.with_context(context)?;
        let metadata = entry.metadata().with_context(context)?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// Waits until the background has nothing more to do, by the one sign that all engines show: the process takes no processor time and
/// dirties no pages. Gives whether that came within the limit.
pub(crate) fn wait_until_idle(limit: Duration) -> Result<bool> {
    let (begun, mut idle) = (Instant::now(), 0);
    while idle < IDLE_WINDOWS {
        if begun.elapsed() > limit {
            return Ok(false);
        }
        let before = (cpu(), written_bytes()?);
        std::thread::sleep(WINDOW);
        let busy = cpu() - before.0 >= IDLE_CPU || written_bytes()? != before.1;
        idle = if busy { 0 } else { idle + 1 };
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let io = "rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 512\n";
        assert_eq!((field(io, "write_bytes:"), field(io, "cancelled_write_bytes:")), (Some(4096), Some(512)));
        assert_eq!(field("VmHWM:\t  1234 kB\n", "VmHWM:"), Some(1234));
        assert_eq!(field(io, "read_bytes:"), None);
    }

    #[test]
    fn a_peak_is_of_the_time_since_it_was_reset() {
        let large = vec![1_u8; 64 << 20];
        assert!(large.iter().all(|byte| *byte == 1));
        drop(large);
        let before = peak_bytes().unwrap();
        assert!(before >= 64 << 20);
        reset_peak().unwrap();
        assert!(peak_bytes().unwrap() < before);
    }

    #[test]
    fn disk_bytes_are_those_of_all_files_below() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        let mut file = File::create(dir.path().join("below/file")).unwrap();
        file.write_all(&[1; 100_000]).unwrap();
        // A hole takes no room.
        File::create(dir.path().join("hole")).unwrap().set_len(10 << 20).unwrap();
        sync_files(dir.path()).unwrap();
        let bytes = disk_bytes(dir.path()).unwrap();
        assert!((100_000..1 << 20).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_busy_process_is_not_idle() {
        use std::sync::atomic::{AtomicBool, Ordering};

        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let idle = wait_until_idle(Duration::from_millis(400));
            stop.store(true, Ordering::Relaxed);
            assert!(!idle.unwrap());
        });
    }
}
