//! A file system that is small enough to be full.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this process may not mount.
    pub(crate) fn mount(at: &Path, kibibytes: usize) -> Option<Self> {
        let size = format!("size={kibibytes}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    /// Gives it another size.
    pub(crate) fn resize(&self, kibibytes: usize) {
        let size = format!("remount,size={kibibytes}k");
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }

    /// Fills it but for so many KiB.
    pub(crate) fn fill(&self, but: usize) {
        let ballast = self.0.join("ballast");
        let mut bytes = vec![1; 64 << 20];
        while std::fs::write(&ballast, &bytes).is_err() {
            let written = std::fs::metadata(&ballast).unwrap().len() as usize;
            bytes.truncate(written);
        }
        bytes.truncate(bytes.len() - but * 1024);
        std::fs::write(&ballast, &bytes).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.0).status().unwrap().success(), "{} stays mounted", self.0.display());
    }
}
