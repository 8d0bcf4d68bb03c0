//! A log that crashes at every call, fails at every call, and runs on a disk that lies.

use std::collections::BTreeMap;
use std::io;

use super::*;
use crate::disk::sim::Operation;

/// What somebody who uses the log remembers of it, and what he was told.
#[derive(Default)]
struct User {
    batches: Vec<Batch>,
    /// The last sequence number that was said to be durable.
    acknowledged: Sequence,
    /// The first sequence number of each segment. Those before `oldest` are obsolete, durably so.
    segments: BTreeMap<u64, Sequence>,
    oldest: u64,
    error: Option<Error>,
}

fn path(number: u64) -> PathBuf {
    PathBuf::from(format!("db/{number}"))
}

impl User {
    /// A random workload until it ends or something fails.
    fn run(disk: &SimDisk, seed: u64) -> Self {
        let mut user = Self::default();
        user.error = user.work(disk, &mut Random::new(seed, 7)).err();
        user
    }

    fn work(&mut self, disk: &SimDisk, random: &mut Random) -> Result<()> {
        let io = |error| Error::io("prepare", Path::new("db"), error);
        disk.create_dir(Path::new("db")).map_err(io)?;
        disk.sync_dir(Path::new("")).map_err(io)?;
        let room = [64, 700, 2000][random.index(3)];
        let (mut number, mut next, mut obsolete) = (1, 1, Vec::new());
        self.oldest = 1;
        self.segments.insert(1, 1);
        let mut writer = Writer::create(disk, Segment { room, ..segment(&path(1), 1) }, 1)?;
        for _ in 0..15 {
            match random.below(10) {
                0..5 => {
                    let most = if random.below(5) == 0 { 6000 } else { 200 };
                    let group: Vec<Batch> = (0..=random.below(4)).map(|_| random_batch(random, most)).collect();
                    self.batches.extend(group.iter().cloned());
                    next = writer.append(next, &group)? + 1;
                }
                5..8 => self.acknowledged = writer.sync()?,
                _ => {
                    number += 1;
                    self.segments.insert(number, next);
                    let old = obsolete.pop().map(path);
                    let (path, recycle) = (path(number), old.as_deref());
                    writer.rotate(disk, Segment { path: &path, number, recycle, room })?;
                    if random.below(3) == 0 {
                        obsolete.extend((self.oldest..number).filter(|number| !writer.older().take_out(*number)));
                        self.oldest = number;
                    }
                }
            }
        }
        if random.coin() {
            writer.seal()?;
            self.acknowledged = next - 1;
        }
        Ok(())
    }

    /// What is found is what was written, from the oldest segment that counts up to somewhere, all that was acknowledged
    /// included.
    fn check(&self, disk: &SimDisk) -> std::result::Result<(), String> {
        let all = numbered(1, &self.batches);
        let Some(base) = self.segments.get(&self.oldest) else { return Ok(()) };
        let mut found = Vec::new();
        let mut last = base - 1;
        let newest = self.segments.keys().last().copied().unwrap_or(0);
        let there: Vec<u64> = (self.oldest..=newest).filter(|number| disk.open(&path(*number)).is_ok()).collect();
        let begins = |number: &u64| beginning(disk, &path(*number), *number);
        let begins = there.iter().map(begins).collect::<Result<Vec<_>>>().map_err(|error| error.to_string())?;
        for (at, number) in there.iter().enumerate() {
            if begins[at].is_some_and(|begins| begins.is_used && begins.first > last + 1) {
                for number in &there[at..] {
                    let traces = traces(disk, &path(*number), *number).map_err(|error| error.to_string())?;
                    if traces.durable > last {
                        return Err(format!("segment {number} says that {} was durable, after {last}", traces.durable));
                    }
                }
                break;
            }
            let claims = begins[at + 1..].iter().flatten().filter(|begins| begins.is_used);
            let claimed = claims.map(|begins| begins.synced_upto).max().unwrap_or(0);
            let before_next = begins.get(at + 1).copied().flatten().map_or(0, |next| next.first - 1);
            let synced = Some(claimed.min(before_next)).filter(|synced| *synced > last).unwrap_or(0);
            let (batches, recovered) =
                read(disk, &path(*number), *number, synced).map_err(|error| error.to_string())?;
            if begins[at].is_some_and(|begins| begins.is_used && begins.first != last + 1) {
                return Err(format!("segment {number} begins at {:?}, after {last}", recovered.first_sequence));
            }
            last = last.max(if batches.is_empty() { 0 } else { recovered.last_sequence });
            found.extend(batches);
        }
        let expected: Vec<_> = all.into_iter().skip_while(|(first, _)| first < base).collect();
        if !expected.starts_with(&found) {
            return Err("something else was found than was written".to_owned());
        }
        if last < self.acknowledged {
            return Err(format!("{last} is the last, {} was acknowledged", self.acknowledged));
        }
        Ok(())
    }
}

/// Crashes workloads at every call; how often something was wrong, and how often there was a crash.
fn crash_everywhere(seeds: core::ops::Range<u64>, mutate: impl Fn(&SimDisk)) -> (Vec<String>, u64) {
    let (mut wrong, mut crashes) = (Vec::new(), 0);
    for seed in seeds {
        let disk = SimDisk::new(seed);
        let user = User::run(&disk, seed);
        assert!(user.error.is_none(), "seed {seed}: {:?}", user.error);
        for call in 1..=disk.calls() + 1 {
            let disk = SimDisk::new(seed);
            mutate(&disk);
            disk.crash_at(call);
            let user = User::run(&disk, seed);
            for crash in (0..4).map(|crash| 4 * call + crash) {
                crashes += 1;
                let check = user.check(&disk.crash(crash));
                wrong.extend(check.err().map(|why| format!("seed {seed}, call {call}, crash {crash}: {why}")));
            }
        }
    }
    (wrong, crashes)
}

#[test]
fn a_crash_at_any_call_keeps_all_that_was_acknowledged() {
    let (wrong, crashes) = crash_everywhere(0..120, |_| {});
    assert_eq!(wrong.first(), None, "of {crashes} crashes {} went wrong", wrong.len());
    assert!(crashes > 10_000, "{crashes}");
}

#[test]
fn a_file_sync_that_is_left_out_is_noticed() {
    let (wrong, _) = crash_everywhere(0..20, |disk| disk.ignore_syncs(|sync| sync.operation == Operation::Sync));
    assert!(!wrong.is_empty());
}

#[test]
fn a_directory_sync_that_is_left_out_is_noticed() {
    let mutate = |disk: &SimDisk| {
        disk.ignore_syncs(|sync| sync.operation == Operation::SyncDir && sync.path == Path::new("db"));
    };
    let (wrong, _) = crash_everywhere(0..20, mutate);
    assert!(!wrong.is_empty());
}

#[test]
fn any_single_sync_that_is_left_out_is_noticed_somewhere() {
    // The first five: of the directory's name, then of the first segment, its name, and of what is appended.
    for left_out in 0..5 {
        let (wrong, _) = crash_everywhere(0..60, |disk| disk.ignore_syncs(move |sync| sync.number == left_out));
        assert!(!wrong.is_empty(), "nobody needs sync {left_out}");
    }
}

/// Runs workloads with one failure at each place; checks that it is told, and that nothing acknowledged is lost, whether
/// the log is read again at once or after a crash.
fn fail_everywhere(operation: Operation, kind: io::ErrorKind) {
    let mut failures = 0;
    for seed in 0..40 {
        for after in 0.. {
            let disk = SimDisk::new(seed);
            disk.fail(operation, after, kind);
            let user = User::run(&disk, seed);
            let Some(error) = &user.error else { break };
            failures += 1;
            assert!(matches!(error, Error::Io { source, .. } if source.kind() == kind), "{error}");
            user.check(&disk).unwrap_or_else(|why| panic!("seed {seed}, {operation:?} {after}: {why}"));
            for crash in 0..6 {
                let check = user.check(&disk.crash(crash));
                check.unwrap_or_else(|why| panic!("seed {seed}, {operation:?} {after}, crash {crash}: {why}"));
            }
        }
    }
    assert!(failures > 40, "{failures} of {operation:?}");
}

#[test]
fn a_failed_sync_is_told_and_loses_nothing_that_was_acknowledged() {
    fail_everywhere(Operation::Sync, io::ErrorKind::Other);
}

#[test]
fn a_failed_write_is_told_and_loses_nothing_that_was_acknowledged() {
    fail_everywhere(Operation::Write, io::ErrorKind::StorageFull);
    fail_everywhere(Operation::Allocate, io::ErrorKind::StorageFull);
}

#[test]
fn a_full_disk_is_told_and_loses_nothing_that_was_acknowledged() {
    for seed in 0..40 {
        for bytes in (0..20_000).step_by(700) {
            let disk = SimDisk::new(seed);
            disk.fill_after(bytes);
            let user = User::run(&disk, seed);
            let Some(error) = &user.error else { break };
            let full = matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull);
            assert!(full, "{error}");
            user.check(&disk).unwrap_or_else(|why| panic!("seed {seed}, {bytes} bytes: {why}"));
            user.check(&disk.crash(seed)).unwrap_or_else(|why| panic!("seed {seed}, {bytes} bytes, crash: {why}"));
        }
    }
}

#[test]
fn after_a_failure_nothing_more_is_written() {
    for operation in [Operation::Write, Operation::Sync, Operation::Allocate, Operation::Create] {
        let (disk, path) = (SimDisk::new(1), Path::new("log"));
        let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
        writer.append(1, [&put(b"k", b"v")]).unwrap();
        writer.sync().unwrap();
        disk.fail(operation, 0, io::ErrorKind::Other);
        let error = match operation {
            Operation::Create => writer.rotate(&disk, segment(Path::new("next"), 2)).unwrap_err(),
            _ => writer.append(2, [&put(b"k", &[7; 5000])]).and_then(|_| writer.sync()).unwrap_err(),
        };
        let calls = disk.calls();
        let poisoned = |result: Result<()>| {
            let Err(Error::Poisoned(why)) = result else { panic!("it goes on after a failed {operation:?}") };
            assert_eq!(*why, error.to_string());
        };
        poisoned(writer.append(writer.last_sequence() + 1, [&put(b"k", b"w")]).map(drop));
        poisoned(writer.sync().map(drop));
        poisoned(writer.seal());
        poisoned(writer.rotate(&disk, segment(Path::new("next"), 2)));
        assert_eq!((disk.calls(), writer.synced_upto()), (calls, 1));
    }
}
