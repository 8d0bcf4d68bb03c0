use super::*;
use crate::random::Purpose;
use kvorum_node::{ActorId, KeyRange, KeyspaceId, Page};
use kvorum_ring::PartitionId;
use kvorum_vclock::Dot;

fn key(name: &str) -> StoredKey {
    StoredKey::new(KeyspaceId(1), PartitionId(0), name.as_bytes())
}

fn record(time: u64) -> Record {
    Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(1) }, Some(&[7; 400]), None)
}

/// With two shards, and open.
fn disk(seed: u64, sabotage: Option<Sabotage>) -> Disk {
    let config = SimConfig { shards: 2, sabotage, ..SimConfig::from_seed(seed) };
    let mut disk = Disk::new(SavedState::default(), &config, 0);
    disk.store.open().unwrap();
    disk
}

/// A key is named after shard and sequence.
fn append(disk: &mut Disk, shard: usize, seqs: core::ops::RangeInclusive<u64>) {
    for seq in seqs {
        disk.append(shard, LogSeq(seq), key(&format!("{shard}.{seq}")), Some(record(seq)));
    }
}

fn flush(disk: &mut Disk) -> Result<BTreeMap<usize, LogSeq>, StoreError> {
    assert!(disk.begin_flush());
    disk.end_flush(Duration::ZERO)
}

fn holds(disk: &mut Disk, name: &str) -> bool {
    disk.store.load(&key(name)).unwrap().is_some()
}

#[test]
fn what_is_queued_while_a_group_is_written_waits_for_the_next() {
    let mut disk = disk(1, None);
    append(&mut disk, 0, 1..=2);
    append(&mut disk, 1, 1..=1);
    assert!(disk.begin_flush());
    append(&mut disk, 0, 3..=3);
    assert!(!disk.begin_flush(), "one group at a time");
    assert!(!holds(&mut disk, "0.1"), "not durable yet");
    assert_eq!(disk.end_flush(Duration::ZERO), Ok(BTreeMap::from([(0, LogSeq(2)), (1, LogSeq(1))])));
    assert!(holds(&mut disk, "0.2") && holds(&mut disk, "1.1") && !holds(&mut disk, "0.3"));
    assert_eq!(flush(&mut disk), Ok(BTreeMap::from([(0, LogSeq(3))])));
    assert!(!disk.begin_flush());
}

#[test]
fn a_crash_keeps_what_was_durable_and_of_the_group_under_way_some_first_batches() {
    for death in [Death::Killed, Death::PowerLost] {
        let mut survivors = Vec::new();
        for seed in 0..200 {
            let mut disk = disk(seed, None);
            append(&mut disk, 0, 1..=1);
            flush(&mut disk).unwrap();
            append(&mut disk, 0, 2..=2);
            append(&mut disk, 1, 1..=1);
            append(&mut disk, 0, 3..=3);
            assert!(disk.begin_flush());
            append(&mut disk, 0, 4..=4);
            assert_eq!(disk.crash(death, &mut Random::stream(seed, Purpose::Disk)), 4);
            disk.store.open().unwrap();
            let held = ["0.1", "0.2", "1.1", "0.3", "0.4"].map(|name| holds(&mut disk, name));
            let count = held.iter().filter(|held| **held).count();
            assert!(held[0] && !held[4] && held[..count].iter().all(|held| *held), "seed {seed}: {held:?}");
            survivors.push(count);
            append(&mut disk, 0, 1..=1);
            flush(&mut disk).unwrap();
        }
        let some = survivors.contains(&2) || survivors.contains(&3);
        assert!(some && survivors.contains(&1) && survivors.contains(&4), "{death:?}: {survivors:?}");
    }
}

#[test]
fn without_sync_a_loss_of_power_takes_back_what_was_reported_durable() {
    let is_lost = |seed, death| {
        let mut disk = disk(seed, Some(Sabotage::DurableTooEarly));
        append(&mut disk, 0, 1..=1);
        assert!(disk.begin_flush());
        disk.end_flush(SYNC_EVERY).unwrap();
        append(&mut disk, 0, 2..=2);
        assert!(disk.begin_flush());
        disk.end_flush(SYNC_EVERY).unwrap();
        assert!(holds(&mut disk, "0.2"));
        disk.crash(death, &mut Random::stream(seed, Purpose::Disk));
        disk.store.open().unwrap();
        assert!(holds(&mut disk, "0.1"), "what the last real sync covered stays");
        !holds(&mut disk, "0.2")
    };
    assert!((0..20).any(|seed| is_lost(seed, Death::PowerLost)));
}

#[test]
fn a_page_ends_at_its_limit_and_says_that_there_is_more() {
    let mut disk = disk(1, None);
    append(&mut disk, 0, 1..=3);
    flush(&mut disk).unwrap();
    let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(0), b"", None);
    let names = |page: &Page| page.rows.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let page = disk.store.scan(&range, 1).unwrap();
    assert_eq!((names(&page), page.more), (vec![key("0.1")], true));
    let page = disk.store.scan(&range, 10_000).unwrap();
    assert_eq!((names(&page), page.more), (vec![key("0.1"), key("0.2"), key("0.3")], false));
    let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(0), b"0.", Some(b"0.2"));
    assert_eq!(names(&disk.store.scan(&range, 1000).unwrap()), [key("0.3")]);
}

#[test]
fn state_files_are_written_in_order_and_a_failed_one_changes_nothing() {
    let mut disk = disk(1, None);
    let ceiling = Timestamp::from_parts(5, 0);
    assert!(disk.begin_file(File::Ceiling(ceiling)));
    assert!(!disk.begin_file(File::State { version: 1, state: SavedState::default() }));
    assert!(matches!(disk.end_file(Saving::Failed), (ControlInput::SaveFailed { .. }, true)));
    assert_eq!(disk.ceiling, Timestamp::MIN);
    assert!(matches!(disk.end_file(Saving::Done), (ControlInput::Saved { version: 1 }, false)));
}

#[test]
fn a_state_file_may_be_there_although_writing_it_is_said_to_have_failed() {
    let mut disk = disk(1, None);
    let ceiling = Timestamp::from_parts(5, 0);
    disk.begin_file(File::Ceiling(ceiling));
    assert!(matches!(disk.end_file(Saving::DoneAllTheSame), (ControlInput::SaveFailed { .. }, false)));
    assert_eq!(disk.ceiling, ceiling);
}

#[test]
fn a_log_that_cannot_be_written_fails_for_good_and_what_it_leaves_shows_later() {
    for is_sync in [true, false] {
        let mut held = Vec::new();
        for seed in 0..50 {
            let mut disk = disk(seed, None);
            if is_sync {
                disk.store.fail_sync();
            } else {
                disk.store.fail_write();
            }
            let failed = (1..=10).find(|seq| {
                append(&mut disk, 0, *seq..=*seq);
                flush(&mut disk).is_err()
            });
            // A directory may be synced too seldom to meet its failure.
            let Some(last) = failed else { continue };
            assert!(!disk.begin_flush());
            assert_eq!(disk.work(), Ok(false));
            disk.calm();
            disk.crash(Death::Killed, &mut Random::stream(seed, Purpose::Disk));
            disk.store.open().unwrap();
            assert!((1..last).all(|seq| holds(&mut disk, &format!("0.{seq}"))), "what was durable stays");
            held.push(holds(&mut disk, &format!("0.{last}")));
            append(&mut disk, 0, 1..=1);
            assert_eq!(flush(&mut disk), Ok(BTreeMap::from([(0, LogSeq(1))])), "the next process writes again");
        }
        assert!(held.contains(&false) && held.contains(&true) == is_sync, "{held:?}");
    }
}

#[test]
fn a_lost_disk_holds_nothing_and_a_restored_one_what_it_held() {
    let mut disk = disk(1, None);
    let crash = |disk: &mut Disk| disk.crash(Death::PowerLost, &mut Random::stream(1, Purpose::Disk));
    append(&mut disk, 0, 1..=1);
    flush(&mut disk).unwrap();
    disk.back_up(7);
    append(&mut disk, 0, 2..=2);
    flush(&mut disk).unwrap();
    crash(&mut disk);
    disk.restore(7);
    disk.store.open().unwrap();
    assert!(holds(&mut disk, "0.1") && !holds(&mut disk, "0.2"));
    crash(&mut disk);
    disk.lose();
    disk.store.open().unwrap();
    assert!(!holds(&mut disk, "0.1"));
}

#[test]
fn the_newest_record_of_a_key_is_the_one_appended_last() {
    let mut disk = disk(1, None);
    assert_eq!(disk.newest(&key("k")), None);
    disk.append(0, LogSeq(1), key("k"), Some(record(1)));
    disk.append(0, LogSeq(2), key("k"), Some(record(2)));
    assert_eq!(disk.newest(&key("k")), Some(record(2)));
    flush(&mut disk).unwrap();
    assert_eq!(disk.newest(&key("k")), Some(record(2)));
}

#[test]
fn an_old_copy_lacks_something_until_its_node_has_pulled() {
    let mut disk = disk(1, None);
    disk.back_up(7);
    assert_eq!(disk.lack(), None);
    disk.crash(Death::PowerLost, &mut Random::stream(1, Purpose::Disk));
    disk.restore(7);
    disk.lose();
    assert_eq!(disk.lack(), Some(Lack::SetBack), "a node without a layout holds nothing that could be lost");
    for (in_doubt, lack) in [(None, Some(Lack::SetBack)), (Some("old".into()), Some(Lack::SetBack)), (None, None)] {
        disk.begin_file(File::Identity { boot: 1, in_doubt });
        assert!(matches!(disk.end_file(Saving::Done), (ControlInput::IdentitySaved(Ok(())), false)));
        assert_eq!(disk.lack(), lack);
    }
}
