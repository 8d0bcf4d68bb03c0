use super::*;
use crate::random::Purpose;
use kvorum_node::{ActorId, KeyspaceId};
use kvorum_ring::PartitionId;
use kvorum_vclock::Dot;

fn key(name: &str) -> StoredKey {
    StoredKey::new(KeyspaceId(1), PartitionId(0), name.as_bytes())
}

fn record(time: u64) -> Record {
    Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(1) }, Some(b"value"), None)
}

fn disk(sabotage: Option<Sabotage>) -> Disk {
    Disk::new(SavedState::default(), 1, sabotage)
}

fn append(disk: &mut Disk, seqs: core::ops::RangeInclusive<u64>) {
    for seq in seqs {
        disk.append(0, LogSeq(seq), key(&format!("k{seq}")), record(seq));
    }
}

#[test]
fn what_is_queued_while_a_group_is_written_waits_for_the_next() {
    let mut disk = disk(None);
    append(&mut disk, 1..=2);
    assert!(disk.begin_flush(0));
    append(&mut disk, 3..=3);
    assert!(!disk.begin_flush(0), "one group at a time");
    assert_eq!(disk.load(&key("k1")), None, "not durable yet");
    assert_eq!(disk.end_flush(0, Duration::ZERO), Ok(LogSeq(2)));
    assert_eq!((disk.load(&key("k2")), disk.load(&key("k3"))), (Some(record(2)), None));
    assert!(disk.begin_flush(0));
    assert_eq!(disk.end_flush(0, Duration::ZERO), Ok(LogSeq(3)));
    assert!(!disk.begin_flush(0));
}

#[test]
fn a_crash_keeps_what_was_durable_and_a_prefix_of_the_rest() {
    let mut random = Random::stream(3, Purpose::Disk);
    let mut survivors = Vec::new();
    for _ in 0..100 {
        let mut disk = disk(None);
        append(&mut disk, 1..=1);
        assert!(disk.begin_flush(0));
        disk.end_flush(0, Duration::ZERO).unwrap();
        append(&mut disk, 2..=4);
        let lost = disk.crash(&mut random);
        let held: Vec<u64> = (1..=4).filter(|seq| disk.load(&key(&format!("k{seq}"))).is_some()).collect();
        assert_eq!(held, (1..=4 - lost).collect::<Vec<_>>(), "a prefix, and the durable record in it");
        survivors.push(held.len());
        append(&mut disk, 1..=1);
    }
    assert!((1..=4).all(|count| survivors.contains(&count)));
}

#[test]
fn without_sync_a_crash_takes_back_what_was_reported_durable() {
    let mut disk = disk(Some(Sabotage::DurableTooEarly));
    disk.append(0, LogSeq(1), key("k"), record(1));
    assert!(disk.begin_flush(0));
    disk.end_flush(0, SYNC_EVERY).unwrap();
    disk.append(0, LogSeq(2), key("k"), record(2));
    assert!(disk.begin_flush(0));
    disk.end_flush(0, SYNC_EVERY).unwrap();
    assert_eq!(disk.load(&key("k")), Some(record(2)));
    disk.crash(&mut Random::stream(1, Purpose::Disk));
    assert_eq!(disk.load(&key("k")), Some(record(1)), "what the last real sync covered stays");
}

#[test]
fn a_page_ends_at_its_limit_and_says_that_there_is_more() {
    let mut disk = disk(None);
    append(&mut disk, 1..=3);
    assert!(disk.begin_flush(0));
    disk.end_flush(0, Duration::ZERO).unwrap();
    let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(0), b"", None);
    let names = |page: &Page| page.rows.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let page = disk.scan(&range, 1);
    assert_eq!((names(&page), page.more), (vec![key("k1")], true));
    let page = disk.scan(&range, 1000);
    assert_eq!((names(&page), page.more), (vec![key("k1"), key("k2"), key("k3")], false));
}

#[test]
fn state_files_are_written_in_order_and_a_failed_one_changes_nothing() {
    let mut disk = disk(None);
    let ceiling = Timestamp::from_parts(5, 0);
    assert!(disk.begin_file(File::Ceiling(ceiling)));
    assert!(!disk.begin_file(File::State { version: 1, state: SavedState::default() }));
    assert!(matches!(disk.end_file(Saving::Failed), (ControlInput::SaveFailed { .. }, true)));
    assert_eq!(disk.ceiling, Timestamp::MIN);
    assert!(matches!(disk.end_file(Saving::Done), (ControlInput::Saved { version: 1 }, false)));
}

#[test]
fn a_state_file_may_be_there_although_writing_it_is_said_to_have_failed() {
    let mut disk = disk(None);
    let ceiling = Timestamp::from_parts(5, 0);
    disk.begin_file(File::Ceiling(ceiling));
    assert!(matches!(disk.end_file(Saving::DoneAllTheSame), (ControlInput::SaveFailed { .. }, false)));
    assert_eq!(disk.ceiling, ceiling);
}

#[test]
fn a_log_that_cannot_be_written_fails_for_good_and_may_leave_a_prefix() {
    for full in [false, true] {
        let mut held = Vec::new();
        for seed in 0..50 {
            let mut disk = disk(None);
            append(&mut disk, 1..=1);
            assert!(disk.begin_flush(0));
            if full {
                disk.set_full(true);
            } else {
                disk.fail_next_sync();
            }
            assert!(matches!(disk.end_flush(0, Duration::ZERO), Err(StoreError::Io(_))));
            assert_eq!(disk.load(&key("k1")), None);
            assert!(!disk.begin_flush(0));
            disk.calm();
            disk.crash(&mut Random::stream(seed, Purpose::Disk));
            held.push(disk.load(&key("k1")).is_some());
            append(&mut disk, 1..=1);
            assert!(disk.begin_flush(0) && disk.end_flush(0, Duration::ZERO).is_ok(), "the next process writes again");
        }
        assert!(held.contains(&true) && held.contains(&false));
    }
}

#[test]
fn a_lost_disk_holds_nothing_and_a_restored_one_what_it_held() {
    let mut disk = disk(None);
    let write = |disk: &mut Disk, seq| {
        append(disk, seq..=seq);
        assert!(disk.begin_flush(0));
        disk.end_flush(0, Duration::ZERO).unwrap();
    };
    write(&mut disk, 1);
    disk.back_up(7);
    write(&mut disk, 2);
    disk.restore(7);
    assert_eq!((disk.load(&key("k1")), disk.load(&key("k2"))), (Some(record(1)), None));
    assert_eq!((disk.lose(), disk.load(&key("k1"))), (1, None));
}

#[test]
fn the_newest_record_of_a_key_is_the_one_appended_last() {
    let mut disk = disk(None);
    assert_eq!(disk.newest(0, &key("k")), None);
    disk.append(0, LogSeq(1), key("k"), record(1));
    disk.append(0, LogSeq(2), key("k"), record(2));
    assert_eq!(disk.newest(0, &key("k")), Some(&record(2)));
    assert!(disk.begin_flush(0));
    disk.end_flush(0, Duration::ZERO).unwrap();
    assert_eq!(disk.newest(0, &key("k")), Some(&record(2)));
}
