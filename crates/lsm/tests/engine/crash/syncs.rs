//! Each sync of the engine is there for a reason: without it some crash loses something, and the test of crashes notices. Here each is left
//! out for itself, wherever it is done; the table names the place in the source.

use kvorum_lsm::disk::sim::Operation;

use super::trial::{Observer, trial};
use super::watch::{Activity, Lie, SyncAt};
use super::workload::DIR;

/// In so many trials a missing sync is noticed.
const TRIALS: u64 = 40;

fn is_found_out(syncs: &[(&str, Lie)]) {
    let silent: Observer = std::sync::Arc::new(|_| {});
    for (what, lie) in syncs {
        let noticed = (1..=TRIALS).find_map(|seed| trial(seed, Some(*lie), &silent).err());
        let noticed = noticed.unwrap_or_else(|| panic!("nobody noticed that {what} is not synced"));
        println!("{what}: {noticed}");
    }
}

fn is_log(at: &SyncAt<'_>) -> bool {
    at.path.ends_with(".log")
}

fn is_table(at: &SyncAt<'_>) -> bool {
    at.path.ends_with(".table")
}

fn is_manifest(at: &SyncAt<'_>) -> bool {
    at.path.contains("/MANIFEST-")
}

fn in_db(at: &SyncAt<'_>) -> bool {
    at.path.starts_with(DIR)
}

/// A log is synced right after frames were written to it, or else because a later one is to be synced or somebody asked for it.
fn right_after_writing(at: &SyncAt<'_>) -> bool {
    at.before == Some((Operation::Write, at.path))
}

/// After the one that is being written: an earlier log that was left behind without a sync.
fn right_after_writing_another(at: &SyncAt<'_>) -> bool {
    at.before
        .is_some_and(|(operation, path)| operation == Operation::Write && path.ends_with(".log") && path != at.path)
}

/// Right after an earlier one.
fn after_another(at: &SyncAt<'_>) -> bool {
    at.before.is_some_and(|(operation, path)| operation == Operation::Sync && path.ends_with(".log") && path != at.path)
}

#[test]
fn syncs_of_logs_are_needed() {
    is_found_out(&[
        ("the header of a new log (log/writer, create)", |at| is_log(at) && at.first && at.activity != Activity::Open),
        ("the header of the log of a database that opens", |at| {
            is_log(at) && right_after_writing(at) && at.activity == Activity::Open
        }),
        ("the name of a new log", |at| at.dir && at.synced_before.ends_with(".log") && at.activity != Activity::Open),
        ("a group that asks for it (db/commit, commit_group)", |at| {
            is_log(at) && !at.first && at.activity == Activity::Write && right_after_writing(at)
        }),
        ("an earlier log that nobody has synced (log/older, sync)", |at| {
            is_log(at) && !at.first && at.activity == Activity::Write && right_after_writing_another(at)
        }),
        ("the log behind an earlier one", |at| is_log(at) && !at.first && after_another(at)),
        ("what somebody asks to sync (db/commit, sync_log)", |at| is_log(at) && at.activity == Activity::Sync),
        ("what is to be synced later", |at| {
            is_log(at) && !at.first && at.activity == Activity::Work && !right_after_writing(at)
        }),
        ("the log of a database that closes (log/writer, seal)", |at| is_log(at) && at.activity == Activity::Close),
    ]);
}

#[test]
fn syncs_of_tables_are_needed() {
    is_found_out(&[
        ("a flushed table (table/builder, finish)", |at| is_table(at) && !at.merging && at.activity == Activity::Flush),
        ("a compacted table", |at| is_table(at) && at.merging && at.activity != Activity::Ingest),
        ("an ingested table", |at| is_table(at) && at.activity == Activity::Ingest),
        ("a recovered table", |at| is_table(at) && at.activity == Activity::Open),
        ("the names of new tables (db/install)", |at| at.dir && in_db(at) && at.synced_before.ends_with(".table")),
    ]);
}

#[test]
fn syncs_of_manifests_are_needed() {
    is_found_out(&[
        ("an edit (version/manifest, append)", |at| is_manifest(at) && !at.first),
        ("the manifest of a database that opens (version/manifest, create)", |at| {
            is_manifest(at) && at.first && at.activity == Activity::Open
        }),
        ("a manifest that is written anew", |at| {
            is_manifest(at) && at.first && in_db(at) && at.activity != Activity::Open
        }),
        ("the name of a manifest, before it is in force", |at| {
            at.dir && in_db(at) && at.synced_before.contains("/MANIFEST-")
        }),
        ("CURRENT (version/manifest, put_in_force)", |at| in_db(at) && at.path.ends_with("/CURRENT.new")),
        ("the new name of CURRENT", |at| at.dir && in_db(at) && at.synced_before.ends_with("/CURRENT.new")),
    ]);
}

#[test]
fn syncs_of_directories_and_copies_are_needed() {
    is_found_out(&[
        ("the name of the directory (db/open, lock_dir)", |at| {
            at.dir && at.path.is_empty() && at.activity == Activity::Open
        }),
        ("the name of a copy's directory (db/checkpoint)", |at| {
            at.dir && at.path.is_empty() && at.activity == Activity::Checkpoint
        }),
        ("the names of a copy's tables", |at| {
            at.dir && at.path.starts_with("copy") && at.synced_before.contains("/MANIFEST-")
        }),
        ("a copy's manifest", |at| is_manifest(at) && at.path.starts_with("copy")),
        ("a copy's CURRENT", |at| at.path.starts_with("copy") && at.path.ends_with("/CURRENT.new")),
        ("the name of a copy's CURRENT", |at| {
            at.dir && at.path.starts_with("copy") && at.synced_before.ends_with("/CURRENT.new")
        }),
    ]);
}
