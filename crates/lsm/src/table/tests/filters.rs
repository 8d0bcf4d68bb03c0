//! Filters know all their keys, and hardly any other.

use super::*;
use crate::table::filter::{Filter, false_positive_rate};
use crate::table::hash;

fn hashes(from: u64, count: u64) -> Vec<u64> {
    (from..from + count).map(|number| hash(&number.to_be_bytes())).collect()
}

fn measured_rate(bits: u8, probes: &[u64], keys: &[u64]) -> f64 {
    let filter = Filter::build(keys, bits);
    assert!(keys.iter().all(|hash| filter.may_contain(*hash)));
    let wrong = probes.iter().filter(|hash| filter.may_contain(**hash)).count();
    wrong as f64 / probes.len() as f64
}

#[test]
fn false_positives_are_as_rare_as_they_should_be() {
    let (keys, absent) = (hashes(0, 50_000), hashes(1 << 40, 1_000_000));
    for bits in [4, 8, 10, 16, 20] {
        let best = (1..=16).map(|probes| false_positive_rate(f64::from(bits), probes)).fold(1.0, f64::min);
        let (rate, unblocked) = (measured_rate(bits, &absent, &keys), 0.6185_f64.powi(i32::from(bits)));
        println!("{bits} bits: {rate:.6}, in theory {best:.6}, without cache lines {unblocked:.6}");
        assert!(rate < best * 1.3, "{bits} bits");
    }
    // The price of cache lines at the usual size.
    assert!(measured_rate(10, &absent, &keys) < 1.3 * 0.6185_f64.powi(10));
}

#[test]
fn filters_survive_encoding() {
    for count in [0, 1, 2, 100, 5000] {
        for bits in [1, 10, 20] {
            let keys = hashes(7, count);
            let encoded = Filter::build(&keys, bits).encode();
            let decoded = Filter::decode(&encoded).unwrap();
            assert!(keys.iter().all(|hash| decoded.may_contain(*hash)));
            assert_eq!(decoded.encode(), encoded);
            assert!(Filter::decode(&encoded[..encoded.len() - 1]).is_err());
        }
    }
    assert!(Filter::decode(&[]).is_err());
    assert!(Filter::decode(&[7]).is_err());
}

#[test]
fn reads_are_counted() {
    let disk = MemoryDisk::default();
    let key = |number: u64| number.to_be_bytes();
    let entries: Entries = (0..5000).map(|number| (internal(&key(number * 2), 1, Kind::Put), vec![])).collect();
    write(&disk, &entries, SMALL);
    let table = open(&disk, SMALL.number, pinning_cache()).unwrap();
    for number in 0..9998 {
        assert_eq!(table.get(&key(number), 1).unwrap().is_some(), number % 2 == 0);
    }
    let reads = table.reads();
    assert_eq!((reads.found, reads.filtered + reads.false_positives), (4999, 4999));
    assert!((1..150).contains(&reads.false_positives), "{reads:?}");
    // The last block has only the last key, or else is asked for too.
    assert!(reads.blocks <= table.properties().blocks && reads.blocks + 1 >= table.properties().blocks);
}
