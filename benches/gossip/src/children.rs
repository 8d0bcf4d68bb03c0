//! Owns the processes in which the cells run, one each: so the memory of one is not the next one's, and one that takes too
//! long can be ended.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::scenarios::{Cell, Outcome};

/// Runs all cells, a few at a time, and gives what came of each in their order.
pub(crate) fn run(cells: &[Cell], jobs: usize, patience: Duration) -> Vec<Result<Outcome>> {
    let (next, results) = (Mutex::new(0), Mutex::new(Vec::new()));
    let take = || {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *next;
        *next += 1;
        cells.get(number).map(|cell| (number, cell))
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                // The signal at a parent's death is sent when the thread ends that started the child, and that outlives it.
                while let Some((number, cell)) = take() {
                    let result = run_one(cell, patience);
                    report(number, cells.len(), cell, &result);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

fn report(number: usize, all: usize, cell: &Cell, result: &Result<Outcome>) {
    let end = result.as_ref().map_or_else(|error| format!("FAILED: {error:#}"), |_| "done".to_owned());
    let Cell { variant, nodes, loss_percent, part, seed, .. } = cell;
    eprintln!("{}/{all} {} n={nodes} loss={loss_percent}% {part:?} seed={seed}: {end}", number + 1, variant.text());
}

fn run_one(cell: &Cell, patience: Duration) -> Result<Outcome> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .args(["--cell", &serde_json::to_string(cell)?])
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
    reader.join().ok().context("reading its output failed")?;
    let Ok(text) = text else { bail!("not finished after {} s", patience.as_secs()) };
    if !status.success() {
        bail!("the process failed: {status}");
    }
    serde_json::from_str(&text.context("its output is no text")?).context("its output is not understood")
}

/// Lets this process end when the one that started it does.
pub(crate) fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask for a signal")
}
