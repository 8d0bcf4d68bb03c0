//! Fuzzes `kvorum_lsm::fuzz::block`, which says what the bytes are.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    kvorum_lsm::fuzz::block(bytes);
});
