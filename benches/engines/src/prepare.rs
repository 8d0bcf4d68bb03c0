//! Owns databases that are made before they are measured, in a process of their own: loaded and settled, or left behind by a crash.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::child;
use crate::data;
use crate::engines::Durability;
use crate::workloads::{Setting, put_all, settle};

/// How the process that prepares ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// All keys are in their place, and the database is closed
    Settled,
    /// Keys are in memtables and the log, and the process is killed
    Killed,
}

/// What it printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub(crate) acknowledged: u64,
    pub(crate) settled: bool,
}

/// Prepares a database in another process.
pub(crate) fn elsewhere(setting: Setting<'_>, end: End) -> Result<Prepared> {
    let Setting { name, dir, sizes } = setting;
    let mut arguments = vec!["prepare".into(), format!("--engine={}", name.text())];
    arguments.push(format!("--dir={}", dir.to_str().context("the directory's name is no text")?));
    arguments.push(format!("--end={}", if end == End::Settled { "settled" } else { "killed" }));
    arguments.push(format!("--sizes={}", serde_json::to_string(sizes)?));
    let text = child::output(&arguments, end == End::Killed, sizes.patience()).context("preparing the data failed")?;
    serde_json::from_str(&text).context("preparing the data printed something else")
}

/// Prepares a database in this process, which does not survive it if it is to be killed.
pub(crate) fn prepare(setting: Setting<'_>, end: End) -> Result<()> {
    let Setting { name, dir, sizes } = setting;
    match end {
        End::Settled => {
            let engine = name.open(dir, sizes.memory())?;
            engine.load(&mut (0..sizes.keys).map(|number| (data::key(number), data::value(number, 0))))?;
            let settled = settle(&*engine, sizes)?;
            engine.close()?;
            print(Prepared { acknowledged: sizes.keys, settled })
        }
        End::Killed => {
            let engine = name.open(dir, sizes.log_memory())?;
            let until = Instant::now() + sizes.limit();
            let acknowledged = put_all(&*engine, 0..sizes.log_keys(), 0, Durability::Buffered, until)?;
            print(Prepared { acknowledged, settled: false })?;
            child::crash()
        }
    }
}

fn print(prepared: Prepared) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&prepared)?)?;
    Ok(out.flush()?)
}
