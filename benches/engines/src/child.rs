//! Owns other processes of this program: they are started, heard out, and ended when they take too long.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

/// Runs this program with arguments. Gives what it printed, if it ended as it should: by itself, or killed.
pub(crate) fn output(arguments: &[String], killed: bool, patience: Duration) -> Result<String> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg("--die-with-parent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a process")?;
    let mut stdout = child.stdout.take().context("the process has no output")?;
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        // Nobody listens any more if it took too long.
        let _ = sender.send(stdout.read_to_string(&mut text).map(|_| text));
    });
    let text = receiver.recv_timeout(patience);
    if text.is_err() {
        child.kill().context("cannot end a process")?;
    }
    let status = child.wait().context("cannot wait for a process")?;
    // A process that it started itself may hold the pipe for a moment longer; there is nothing to be read from it.
    let Ok(text) = text else { bail!("it took longer than {} s and was ended", patience.as_secs()) };
    reader.join().ok().context("reading its output failed")?;
    expect(status, killed)?;
    text.context("its output is no text")
}

fn expect(status: ExitStatus, killed: bool) -> Result<()> {
    match (status.success(), status.signal()) {
        (true, _) if !killed => Ok(()),
        (_, Some(signal)) if killed && signal == Signal::KILL.as_raw() => Ok(()),
        _ => bail!("the process failed: {status}"),
    }
}

/// Lets this process end when the one that started it does.
pub(crate) fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask for a signal")
}

/// Ends this process as a crash would: nothing is closed or flushed.
pub(crate) fn crash() -> Result<()> {
    rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).context("cannot end this process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_must_end_as_it_is_expected_to() {
        let (good, failed, killed) = (ExitStatus::from_raw(0), ExitStatus::from_raw(1 << 8), ExitStatus::from_raw(9));
        assert!(expect(good, false).is_ok() && expect(killed, true).is_ok());
        for (status, wanted) in
            [(good, true), (failed, false), (failed, true), (killed, false), (ExitStatus::from_raw(6), true)]
        {
            assert!(expect(status, wanted).is_err(), "{status} {wanted}");
        }
    }
}
