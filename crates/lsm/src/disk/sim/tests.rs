//! Each rule of the simulated disk, and that it replays.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// Enough seeds to see what happens once in four times, and then once in four again.
const SEEDS: u64 = 200;

fn path(name: &str) -> &Path {
    Path::new(name)
}

/// A disk with one durable file.
fn disk_with(name: &str, bytes: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new(1);
    let file = disk.create(path(name)).unwrap();
    file.write_all_at(&[bytes], 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(path("")).unwrap();
    (disk, file)
}

/// What is found of a file over many seeds.
fn found(disk: &SimDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..SEEDS).map(|seed| disk.crash(seed).read(path(name)).ok()).collect()
}

fn listings(disk: &SimDisk) -> BTreeSet<Vec<String>> {
    (0..SEEDS).map(|seed| disk.crash(seed).list(path("")).unwrap()).collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_is_synced_survives_every_crash() {
    let (disk, file) = disk_with("f", &[7; 3000]);
    assert_eq!(found(&disk, "f"), [Some(vec![7; 3000])].into());
    file.write_all_at(&[&[8; 100]], 1000).unwrap();
    file.sync().unwrap();
    let mut expected = vec![7; 3000];
    expected[1000..1100].fill(8);
    assert_eq!(found(&disk, "f"), [Some(expected)].into());
}

#[test]
fn unsynced_sectors_survive_each_for_itself() {
    let (disk, file) = disk_with("f", &[1; 3 * 512]);
    file.write_all_at(&[&[2; 512], &[2; 1024]], 0).unwrap();
    let mut now = vec![0; 3 * 512];
    file.read_exact_at(&mut now, 0).unwrap();
    assert_eq!(now, [2; 3 * 512]);
    let found = found(&disk, "f");
    for bytes in found.iter().flatten() {
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a sector is not torn");
    }
    assert_eq!(found.len(), 8, "each of the three sectors is old or new");
}

#[test]
fn a_sector_written_twice_is_found_in_any_of_its_states() {
    let (disk, file) = disk_with("f", &[1; 512]);
    file.write_all_at(&[&[2; 512]], 0).unwrap();
    file.write_all_at(&[&[3; 512]], 0).unwrap();
    assert_eq!(found(&disk, "f"), [1, 2, 3].map(|byte| Some(vec![byte; 512])).into());
    for byte in 4..100 {
        file.write_all_at(&[&[byte; 512]], 0).unwrap();
    }
    let found = found(&disk, "f");
    assert!(found.contains(&Some(vec![1; 512])) && found.contains(&Some(vec![99; 512])));
}

#[test]
fn a_length_is_durable_only_with_a_sync() {
    let (disk, file) = disk_with("f", &[1; 100]);
    file.write_all_at(&[&[2; 50]], 600).unwrap();
    let found = found(&disk, "f");
    let lengths: BTreeSet<usize> = found.iter().flatten().map(Vec::len).collect();
    assert_eq!(lengths, [100, 650].into());
    for bytes in found.iter().flatten() {
        assert_eq!(&bytes[..100], [1; 100]);
        assert!(bytes[100..].iter().take(500).all(|byte| *byte == 0));
        assert!(bytes.len() == 100 || bytes[600..] == [2; 50] || bytes[600..] == [0; 50]);
    }
    assert!(found.iter().flatten().any(|bytes| bytes.ends_with(&[0; 50])), "the length may survive without the bytes");
    file.sync().unwrap();
    assert_eq!(disk.crash(3).read(path("f")).unwrap().len(), 650);
}

#[test]
fn a_lost_end_does_not_come_back_when_the_file_grows_again() {
    let (disk, file) = disk_with("f", b"");
    file.write_all_at(&[&[9; 2000]], 0).unwrap();
    for seed in 0..SEEDS {
        let disk = disk.crash(seed);
        let file = disk.open(path("f")).unwrap();
        if file.len().unwrap() == 0 {
            file.allocate(2000).unwrap();
            assert_eq!(disk.read(path("f")).unwrap(), [0; 2000]);
        }
    }
}

#[test]
fn truncation_zeroes_what_it_cuts_and_is_undone_by_a_crash() {
    let (disk, file) = disk_with("f", &[1; 1500]);
    file.truncate(700).unwrap();
    file.allocate(1500).unwrap();
    let mut now = vec![9; 1500];
    file.read_exact_at(&mut now, 0).unwrap();
    assert!(now[..700].iter().all(|byte| *byte == 1) && now[700..].iter().all(|byte| *byte == 0));
    let found = found(&disk, "f");
    assert!(found.contains(&Some(vec![1; 1500])) && found.contains(&Some(now.clone())));
    assert!(found.iter().flatten().any(|bytes| bytes.len() == 700));
    file.sync().unwrap();
    assert_eq!(disk.crash(5).read(path("f")).unwrap(), now);
}

#[test]
fn allocated_room_reads_zeros() {
    let (disk, file) = disk_with("f", b"x");
    file.allocate(5000).unwrap();
    file.allocate(10).unwrap();
    assert_eq!(file.len().unwrap(), 5000);
    assert!(disk.read(path("f")).unwrap()[1..].iter().all(|byte| *byte == 0));
    assert_eq!(file.read_exact_at(&mut [0; 2], 4999).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(file.read_exact_at(&mut [0; 2], u64::MAX).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn names_survive_each_for_itself_until_their_directory_is_synced() {
    let (disk, _) = disk_with("a", b"");
    disk.create(path("b")).unwrap().sync().unwrap();
    disk.remove(path("a")).unwrap();
    assert_eq!(listings(&disk), [names(&[]), names(&["a"]), names(&["b"]), names(&["a", "b"])].into());
    disk.sync_dir(path("/")).unwrap();
    assert_eq!(listings(&disk), [names(&["b"])].into());
}

#[test]
fn changes_of_one_name_survive_in_their_order() {
    let (disk, file) = disk_with("a", b"old");
    disk.remove(path("a")).unwrap();
    disk.create(path("a")).unwrap().write_all_at(&[b"new"], 0).unwrap();
    disk.remove(path("a")).unwrap();
    drop(file);
    let found = found(&disk, "a");
    // The last two: the new file with and without its unsynced bytes.
    let states = [Some(b"old".to_vec()), None, Some(b"new".to_vec()), Some(b"\0\0\0".to_vec()), Some(Vec::new())];
    assert_eq!(found, states.into());
}

#[test]
fn a_rename_leaves_the_old_or_the_new_target() {
    let (disk, _) = disk_with("target", b"old");
    let file = disk.create(path("temporary")).unwrap();
    file.write_all_at(&[b"new"], 0).unwrap();
    file.sync().unwrap();
    disk.sync_dir(path("")).unwrap();
    disk.rename(path("temporary"), path("target")).unwrap();
    assert_eq!(disk.list(path("")).unwrap(), ["target"]);
    for seed in 0..SEEDS {
        let after = disk.crash(seed);
        match after.read(path("target")).unwrap().as_slice() {
            b"old" => assert_eq!(after.read(path("temporary")).unwrap(), b"new"),
            b"new" => assert!(after.read(path("temporary")).is_err()),
            other => panic!("{other:?} under seed {seed}"),
        }
    }
    assert_eq!(found(&disk, "target").len(), 2);
}

#[test]
fn a_name_taken_over_from_another_directory_stays_whole() {
    let (disk, _) = disk_with("f", b"x");
    disk.create_dir(path("/d")).unwrap();
    disk.create_dir(path("d")).unwrap();
    disk.sync_dir(path("")).unwrap();
    disk.rename(path("f"), path("d/f")).unwrap();
    disk.create(path("f")).unwrap();
    let places = |disk: &SimDisk| (disk.read(path("f")).ok(), disk.read(path("d/f")).ok());
    let (x, empty) = (Some(b"x".to_vec()), Some(Vec::new()));
    let all: BTreeSet<_> = (0..SEEDS).map(|seed| places(&disk.crash(seed))).collect();
    assert_eq!(all, [(x.clone(), None), (None, x.clone()), (empty.clone(), x.clone())].into());
    disk.sync_dir(path("d")).unwrap();
    let all: BTreeSet<_> = (0..SEEDS).map(|seed| places(&disk.crash(seed))).collect();
    assert_eq!(all, [(None, x.clone()), (empty, x)].into());
}

#[test]
fn what_lies_in_a_directory_that_is_lost_is_lost() {
    let disk = SimDisk::new(1);
    disk.create_dir(path("d")).unwrap();
    disk.create(path("d/f")).unwrap();
    disk.sync_dir(path("d")).unwrap();
    assert_eq!(found(&disk, "d/f"), [None, Some(Vec::new())].into());
    disk.sync_dir(path("")).unwrap();
    assert_eq!(found(&disk, "d/f"), [Some(Vec::new())].into());
    assert_eq!(disk.list(path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.create(path("none/f")).err().unwrap().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_second_name_is_the_same_file() {
    let (disk, file) = disk_with("a", b"one");
    disk.link(path("a"), path("b")).unwrap();
    assert_eq!(disk.link(path("a"), path("b")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    disk.sync_dir(path("")).unwrap();
    file.write_all_at(&[b"two"], 0).unwrap();
    assert_eq!(disk.used(), 3);
    for seed in 0..SEEDS {
        let after = disk.crash(seed);
        assert_eq!(after.read(path("a")).unwrap(), after.read(path("b")).unwrap());
        after.remove(path("a")).unwrap();
        assert_eq!(after.open(path("b")).unwrap().len().unwrap(), 3);
    }
}

#[test]
fn a_crash_at_a_call_stops_it_and_all_that_follow() {
    let (disk, file) = disk_with("f", &[1; 1024]);
    let calls = disk.calls();
    assert_eq!(calls, 4);
    disk.crash_at(calls + 2);
    file.write_all_at(&[&[2; 10]], 0).unwrap();
    file.len().unwrap();
    assert!(!disk.crashed());
    assert!(file.write_all_at(&[&[3; 1024]], 0).is_err());
    assert!(disk.crashed());
    assert!(file.sync().is_err() && file.len().is_err() && file.read_exact_at(&mut [0], 0).is_err());
    assert!(disk.list(path("")).is_err() && disk.create(path("g")).is_err() && disk.sync_dir(path("")).is_err());
    assert_eq!(disk.calls(), calls + 2);
    let found = found(&disk, "f");
    assert!(found.contains(&Some(vec![3; 1024])), "the torn write may have been whole");
    assert!(found.iter().flatten().any(|bytes| bytes[..512] == [1; 512] && bytes[512..] == [3; 512]));
    let after = disk.crash(1);
    assert!(!after.crashed());
    assert_eq!(after.calls(), 0);
}

#[test]
fn a_crash_in_a_sync_loses_all_part_or_nothing() {
    let (disk, file) = disk_with("f", &[1; 1024]);
    file.write_all_at(&[&[2; 1024]], 0).unwrap();
    disk.crash_at(0);
    file.sync().unwrap_err();
    let found = found(&disk, "f");
    assert_eq!(found.len(), 4);

    let (disk, _) = disk_with("a", b"");
    disk.rename(path("a"), path("b")).unwrap();
    disk.crash_at(disk.calls() + 1);
    disk.sync_dir(path("")).unwrap_err();
    assert_eq!(listings(&disk), [names(&["a"]), names(&["b"])].into());
}

#[test]
fn a_failed_sync_is_not_made_good_by_a_later_one() {
    let mut dropped = 0;
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let file = disk.create(path("f")).unwrap();
        file.write_all_at(&[&[1; 512]], 0).unwrap();
        file.sync().unwrap();
        disk.sync_dir(path("")).unwrap();
        disk.fail(Operation::Sync, 0, io::ErrorKind::Other);
        file.write_all_at(&[&[2; 512]], 0).unwrap();
        file.sync().unwrap_err();
        file.sync().unwrap();
        let seen = disk.read(path("f")).unwrap();
        if seen == [1; 512] {
            dropped += 1;
            assert_eq!(found(&disk, "f"), [Some(vec![1; 512])].into());
        } else {
            assert_eq!(found(&disk, "f").len(), 2, "nobody knows, with seed {seed}");
            file.write_all_at(&[&[2; 1]], 0).unwrap();
            file.sync().unwrap();
            assert_eq!(found(&disk, "f"), [Some(vec![2; 512])].into(), "written again, it is synced again");
        }
    }
    assert!((SEEDS / 4..SEEDS * 3 / 4).contains(&dropped));
}

#[test]
fn a_planned_failure_happens_once_and_then_no_more() {
    let (disk, file) = disk_with("f", b"");
    disk.fail(Operation::Write, 1, io::ErrorKind::Interrupted);
    file.write_all_at(&[b"abc"], 0).unwrap();
    let kind = file.write_all_at(&[b"defghi"], 0).unwrap_err().kind();
    assert_eq!(kind, io::ErrorKind::Interrupted);
    let bytes = disk.read(path("f")).unwrap();
    assert!((0..=6).any(|len| bytes.starts_with(&b"defghi"[..len]) && (len >= 3 || bytes[len..] == b"abc"[len..])));
    file.write_all_at(&[b"xyz"], 0).unwrap();
    disk.fail(Operation::Read, 0, io::ErrorKind::Other);
    file.read_exact_at(&mut [0], 0).unwrap_err();
    file.read_exact_at(&mut [0], 0).unwrap();
    disk.fail(Operation::Rename, 0, io::ErrorKind::Other);
    disk.rename(path("f"), path("g")).unwrap_err();
    assert_eq!(disk.list(path("")).unwrap(), ["f"]);
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else() {
    let (disk, file) = disk_with("f", &[1; 100]);
    assert_eq!(disk.used(), 100);
    disk.fill_after(50);
    assert_eq!(file.allocate(151).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 100);
    file.allocate(120).unwrap();
    file.write_all_at(&[&[2; 120]], 0).unwrap();
    assert_eq!(file.write_all_at(&[&[3; 100]], 100).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 150, "it took what there was room for");
    let other = disk.create(path("g")).unwrap();
    assert_eq!(other.write_all_at(&[b"x"], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    drop(file);
    disk.remove(path("f")).unwrap();
    assert_eq!(other.write_all_at(&[b"x"], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.sync_dir(path("")).unwrap();
    other.write_all_at(&[b"x"], 0).unwrap();
    assert_eq!(disk.used(), 1);
    disk.make_room();
    other.write_all_at(&[&[1; 1000]], 0).unwrap();
}

#[test]
fn an_ignored_sync_does_nothing_and_says_nothing() {
    let (disk, file) = disk_with("f", &[1; 512]);
    disk.ignore_syncs(|sync| sync.operation == Operation::Sync && sync.path == Path::new("f"));
    file.write_all_at(&[&[2; 512]], 0).unwrap();
    disk.create(path("g")).unwrap();
    file.sync().unwrap();
    disk.sync_dir(path("")).unwrap();
    assert_eq!(found(&disk, "f").len(), 2);
    assert_eq!(listings(&disk), [names(&["f", "g"])].into());
    assert_eq!(disk.syncs(), 4);
}

#[test]
fn a_flipped_bit_is_flipped_for_good() {
    let (disk, file) = disk_with("f", &[0; 600]);
    file.write_all_at(&[b"\0"], 599).unwrap();
    disk.flip_bit(path("f"), 599, 3).unwrap();
    assert_eq!(disk.read(path("f")).unwrap()[599], 8);
    for seed in 0..SEEDS {
        assert_eq!(disk.crash(seed).read(path("f")).unwrap()[599], 8);
    }
    assert!(disk.flip_bit(path("none"), 0, 0).is_err());
}

#[test]
fn a_lock_is_free_after_its_guard_and_after_a_crash() {
    let disk = SimDisk::new(1);
    let guard = disk.lock(path("LOCK")).unwrap();
    assert_eq!(disk.lock(path("LOCK")).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    disk.crash(1).lock(path("LOCK")).unwrap();
    drop(guard);
    disk.lock(path("LOCK")).unwrap();
}

#[test]
fn counters_and_the_list_of_calls_tell_what_happened() {
    let disk = SimDisk::new(1);
    disk.record_calls();
    let file = disk.create(path("f")).unwrap();
    file.write_all_at(&[b"ab", b"cd"], 10).unwrap();
    file.read_exact_at(&mut [0; 3], 1).unwrap();
    file.sync().unwrap();
    assert_eq!((disk.calls(), disk.bytes_written(), disk.syncs()), (3, 4, 1));
    let calls: Vec<String> = disk.recorded_calls().iter().map(Call::to_string).collect();
    let expected =
        ["1 Create f at 0, 0 bytes", "2 Write f at 10, 4 bytes", "2 Read f at 1, 3 bytes", "3 Sync f at 0, 0 bytes"];
    assert_eq!(calls, expected);
}

/// Random calls on a few files; what each gave, so that two runs can be compared.
fn random_calls(disk: &SimDisk, random: &mut Random, calls: u64) -> Vec<String> {
    let mut results = Vec::new();
    for _ in 0..calls {
        let names = ["a", "b", "c", "d/a", "d/b"].map(Path::new);
        let (name, other) = (names[random.index(names.len())], names[random.index(names.len())]);
        let (offset, len) = (random.below(4000), random.below(2000));
        let file = disk.open(name);
        let result = match (random.below(12), file) {
            (0, _) => disk.create_dir(Path::new("d")).map_err(|error| error.kind()),
            (1 | 2, _) => disk.create(name).map(drop).map_err(|error| error.kind()),
            (3, _) => disk.rename(name, other).map_err(|error| error.kind()),
            (4, _) => disk.link(name, other).map_err(|error| error.kind()),
            (5, _) => disk.remove(name).map_err(|error| error.kind()),
            (6, _) => disk.sync_dir(name.parent().unwrap()).map_err(|error| error.kind()),
            (7, Ok(file)) => file.truncate(offset).map_err(|error| error.kind()),
            (8, Ok(file)) => file.allocate(offset).map_err(|error| error.kind()),
            (9, Ok(file)) => file.sync().map_err(|error| error.kind()),
            (_, Ok(file)) => {
                file.write_all_at(&[&vec![random.next() as u8; len as usize]], offset).map_err(|error| error.kind())
            }
            (_, Err(error)) => Err(error.kind()),
        };
        results.push(format!("{result:?}"));
    }
    results
}

/// Everything on a disk.
fn everything(disk: &SimDisk) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for dir in ["", "d"] {
        for name in disk.list(Path::new(dir)).unwrap_or_default() {
            let path = Path::new(dir).join(name);
            all.push((path.display().to_string(), disk.read(&path).ok()));
        }
    }
    all
}

#[test]
fn the_same_seed_finds_the_same_disk() {
    for seed in 0..100 {
        let run = || {
            let (disk, mut random) = (SimDisk::new(seed), Random::new(seed, 0));
            disk.fail(Operation::Sync, 3, io::ErrorKind::Other);
            disk.fail(Operation::Write, 9, io::ErrorKind::Other);
            disk.fill_after(9000);
            disk.crash_at(150);
            let results = random_calls(&disk, &mut random, 300);
            (results, disk)
        };
        let ((results, disk), (again, disk_again)) = (run(), run());
        assert_eq!(results, again, "seed {seed}");
        for crash in 0..5 {
            assert_eq!(everything(&disk.crash(crash)), everything(&disk_again.crash(crash)), "seed {seed}");
        }
    }
}

#[test]
fn used_space_is_what_the_files_are_long_together() {
    for seed in 0..100 {
        let (disk, mut random) = (SimDisk::new(seed), Random::new(seed, 0));
        random_calls(&disk, &mut random, 300);
        let after = disk.crash(seed);
        for disk in [&disk, &after] {
            disk.sync_dir(Path::new("")).unwrap();
            let _ = disk.sync_dir(Path::new("d"));
        }
        let mut files = BTreeSet::new();
        let mut total = 0;
        for (path, _) in everything(&after) {
            let machine = after.machine();
            if let Ok(inode) = machine.names.file(Path::new(&path))
                && files.insert(inode.id)
            {
                total += inode.body().content.len();
            }
        }
        // Files in a directory that was lost are not seen, but they are few.
        if after.list(Path::new("d")).is_ok() {
            assert_eq!(after.used(), total, "seed {seed}");
        }
    }
}
