//! What a file system may do to a write, and what each call promises, on a directory of the test's own.

use super::*;

fn parts_of(bytes: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = bytes;
    let mut parts: Vec<Vec<u8>> = lengths
        .iter()
        .map(|length| {
            let (part, behind) = rest.split_at((*length).min(rest.len()));
            rest = behind;
            part.to_vec()
        })
        .collect();
    parts.push(rest.to_vec());
    parts
}

#[test]
fn a_write_that_stops_anywhere_goes_on_there() {
    let bytes: Vec<u8> = (0..5000u32).map(|number| (number * 7 % 251) as u8).collect();
    for at_most in [1, 2, 3, 7, 64, 999, 5000] {
        let parts = parts_of(&bytes, &[0, 1, 0, 0, 2, 5, 1000, 0, 64, 1, 1, 1, 3000, 0]);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let (mut written, mut calls): (Vec<u8>, _) = (Vec::new(), 0);
        write_all(&parts, 100, |slices, offset| {
            calls += 1;
            if calls % 3 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            assert_eq!(offset, 100 + written.len() as u64);
            assert!(slices.len() <= PARTS_PER_CALL);
            let before = written.len();
            written.extend(slices.iter().flat_map(|slice| slice.iter()).take(at_most));
            Ok(written.len() - before)
        })
        .unwrap();
        assert_eq!(written, bytes, "at most {at_most} bytes in a call");
    }
}

#[test]
fn a_write_of_more_parts_than_a_call_takes_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = RealDisk.create(&dir.path().join("file")).unwrap();
    let bytes: Vec<u8> = (0..1000u32).map(|number| number as u8).collect();
    let parts: Vec<&[u8]> = bytes.chunks(3).collect();
    file.write_all_at(&parts, 11).unwrap();
    file.sync().unwrap();
    let mut read = vec![0; 1011];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!((&read[..11], &read[11..]), (&[0; 11][..], &bytes[..]));
}

#[test]
fn a_write_that_gets_nowhere_is_an_error() {
    let error = write_all(&[b"x"], 0, |_, _| Ok(0)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    write_all(&[b"", b""], 0, |_, _| unreachable!("there is nothing to write")).unwrap();
}

#[test]
fn allocated_room_reads_zeros_and_never_shrinks_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = RealDisk.create(&dir.path().join("file")).unwrap();
    file.write_all_at(&[b"head"], 0).unwrap();
    file.allocate(10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    file.allocate(10).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    let mut read = vec![1; 10_000];
    file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!(&read[..4], b"head");
    assert!(read[4..].iter().all(|byte| *byte == 0));
    file.truncate(2).unwrap();
    assert_eq!(file.len().unwrap(), 2);
    assert_eq!(file.read_exact_at(&mut [0; 3], 0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn names_are_created_once_moved_linked_and_listed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    RealDisk.create(&at("b")).unwrap().write_all_at(&[b"of b"], 0).unwrap();
    assert_eq!(RealDisk.create(&at("b")).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(RealDisk.open(&at("none")).err().unwrap().kind(), io::ErrorKind::NotFound);
    RealDisk.create(&at("c")).unwrap();
    RealDisk.rename(&at("b"), &at("c")).unwrap();
    RealDisk.link(&at("c"), &at("a")).unwrap();
    assert_eq!(RealDisk.link(&at("c"), &at("a")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    RealDisk.create_dir(&at("d")).unwrap();
    RealDisk.create_dir(&at("d")).unwrap();
    assert_eq!(RealDisk.create_dir(&at("c")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    RealDisk.sync_dir(dir.path()).unwrap();
    assert_eq!(RealDisk.list(dir.path()).unwrap(), ["a", "c", "d"]);
    assert_eq!(RealDisk.open(&at("a")).unwrap().len().unwrap(), 4);
    RealDisk.remove(&at("a")).unwrap();
    assert_eq!(RealDisk.remove(&at("a")).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(RealDisk.list(dir.path()).unwrap(), ["c", "d"]);
    assert_eq!(RealDisk.list(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_lock_keeps_others_out_while_its_guard_lives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let guard = RealDisk.lock(&path).unwrap();
    assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    drop(guard);
    RealDisk.lock(&path).unwrap();
}
