//! A store of sessions that expire: each value begins with the second at which it ends, readers check that, and compaction removes
//! what has ended. Also shows a snapshot, a copy, and the figures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kvorum_lsm::{Db, Decision, Result};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn has_ended(value: &[u8]) -> bool {
    value.first_chunk().is_some_and(|end| u64::from_be_bytes(*end) <= now())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let filter = |_: &[u8], value: &[u8]| if has_ended(value) { Decision::Remove } else { Decision::Keep };
    let db = Db::at(dir.path().join("sessions")).compaction_filter(filter).open()?;

    for user in 0..10_u64 {
        let end = if user < 5 { now() } else { now() + 3600 };
        db.put(format!("session/{user}"), [&end.to_be_bytes()[..], b"some state"].concat())?;
    }
    let snapshot = db.snapshot();
    db.delete("session/9")?;

    db.compact_range::<str>(..)?;
    println!("now: {}, in the snapshot: {}", db.prefix("session/").count(), snapshot.prefix("session/").count());
    drop(snapshot);
    db.compact_range::<str>(..)?;
    println!("once nobody looks at them any more: {}", db.prefix("session/").count());

    db.checkpoint(dir.path().join("copy"))?;
    let metrics = db.metrics();
    println!(
        "{} entries were filtered, {} compactions, {} bytes",
        metrics.filtered,
        metrics.compactions,
        metrics.table_bytes()
    );
    db.close()?;
    Ok(())
}
