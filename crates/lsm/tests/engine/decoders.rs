//! What the fuzz targets do, for a moment, in every run of the tests: valid bytes, valid bytes with a few changes, and bytes of no meaning.

use kvorum_lsm::fuzz::{TARGETS, samples};

use crate::support::Random;

/// So many changed inputs for each target; and of any bytes, as many again.
const INPUTS: u64 = 1_500;

/// Bytes that are more interesting than others.
const SPECIAL: [u8; 8] = [0, 1, 7, 0x7f, 0x80, 0xfe, 0xff, b'k'];

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() as u64 + 1) as usize;
    let len = random.below(12) as usize;
    let end = (at + len).min(bytes.len());
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, (0..len).map(|_| random.next() as u8))),
        3 => bytes[at..end].fill(SPECIAL[random.below(8) as usize]),
        4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        _ if at < bytes.len() => bytes[at] = SPECIAL[random.below(8) as usize],
        _ => bytes.push(random.next() as u8),
    }
}

#[test]
fn valid_bytes_are_taken() {
    let samples = samples();
    for (name, target) in TARGETS {
        let of_target = samples.iter().filter(|(of, _)| *of == name);
        assert!(of_target.clone().count() > 0, "{name} has samples");
        for (number, (_, bytes)) in of_target.enumerate() {
            assert!(target(bytes), "sample {number} of {name} is valid");
        }
    }
}

#[test]
fn no_bytes_are_too_much_for_a_decoder() {
    let samples = samples();
    for (name, target) in TARGETS {
        let of_target: Vec<_> = samples.iter().filter(|(of, _)| *of == name).collect();
        let mut refused = 0;
        for seed in 0..INPUTS {
            let random = &mut Random(seed);
            let (_, sample) = of_target[random.below(of_target.len() as u64) as usize];
            let mut bytes = sample.clone();
            (0..1 + random.below(4)).for_each(|_| change(&mut bytes, random));
            let decoded = std::panic::catch_unwind(|| target(&bytes));
            refused += u64::from(!decoded.unwrap_or_else(|_| panic!("{name}, seed {seed}: {bytes:02x?}")));
            let any: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
            let decoded = std::panic::catch_unwind(|| target(&any));
            decoded.unwrap_or_else(|_| panic!("{name}, any bytes of seed {seed}: {any:02x?}"));
        }
        assert!(refused > INPUTS / 20, "{name} refuses {refused} of {INPUTS} changed inputs");
    }
}
