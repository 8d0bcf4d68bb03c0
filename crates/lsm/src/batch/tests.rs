//! Batches against the list of what was put in, and the decoder against damaged bytes.

use proptest::prelude::*;

use super::*;

/// A key, and a value if it is a put.
type Written = (Vec<u8>, Option<Vec<u8>>);

fn batch_of(written: &[Written]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in written {
        match value {
            Some(value) => batch.put(key, value).unwrap(),
            None => batch.delete(key).unwrap(),
        }
    }
    batch
}

fn listed(batch: &Batch) -> Vec<Written> {
    let list = batch.iter().map(|operation| match operation {
        Operation::Put { key, value } => (key.to_vec(), Some(value.to_vec())),
        Operation::Delete { key } => (key.to_vec(), None),
    });
    list.collect()
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let bytes = |range| prop::collection::vec(any::<u8>(), range);
    prop::collection::vec((bytes(1..300), prop::option::of(bytes(0..400))), 0..20)
}

proptest! {
    #[test]
    fn what_is_put_in_comes_out_in_order(written in written()) {
        let batch = batch_of(&written);
        prop_assert_eq!(listed(&batch), &written[..]);
        prop_assert_eq!((batch.len(), batch.is_empty()), (written.len(), written.is_empty()));
        let view = BatchView::decode(batch.view().bytes(), batch.len() as u32).unwrap();
        prop_assert_eq!(view.ops().collect::<Vec<_>>(), batch.view().ops().collect::<Vec<_>>());
        prop_assert_eq!(view.bytes().len(), batch.bytes());
    }

    #[test]
    fn any_bytes_decode_to_that_many_operations_or_to_an_error(bytes in prop::collection::vec(0..6u8, 0..40), len in 0..6u32) {
        match BatchView::decode(&bytes, len) {
            Ok(view) => {
                prop_assert_eq!(view.ops().count(), len as usize);
                prop_assert!(view.ops().all(|(_, key, _)| !key.is_empty()));
            }
            Err(malformed) => prop_assert!(malformed.offset <= bytes.len()),
        }
    }
}

#[test]
fn the_encoding_stays_what_it_is() {
    let mut batch = Batch::with_capacity(100);
    batch.put(b"key", &[7; 200]).unwrap();
    batch.delete(b"k").unwrap();
    let mut expected = vec![1, 3, 0xc8, 0x01];
    expected.extend(b"key");
    expected.extend([7; 200]);
    expected.extend([0, 1, b'k']);
    assert_eq!(batch.view().bytes(), expected);
    batch.clear();
    assert_eq!((batch.len(), batch.bytes(), batch), (0, 0, Batch::new()));
}

#[test]
fn the_limits_hold_and_leave_the_batch_as_it_was() {
    let mut batch = Batch::new();
    batch.put(&[1; MAX_KEY], b"").unwrap();
    batch.delete(&[1; MAX_KEY]).unwrap();
    let before = batch.clone();
    let invalid = |result: Result<()>| matches!(result, Err(Error::Invalid(_)));
    assert!(invalid(batch.put(b"", b"value")) && invalid(batch.delete(b"")));
    assert!(invalid(batch.put(&[1; MAX_KEY + 1], b"value")) && invalid(batch.delete(&[1; MAX_KEY + 1])));
    assert_eq!(batch, before);
    assert_eq!(listed(&batch)[0], (vec![1; MAX_KEY], Some(Vec::new())));
    BatchView::decode(batch.view().bytes(), 2).unwrap();
}

#[test]
#[ignore = "takes 2 GiB of memory"]
fn the_largest_values_are_taken_and_larger_ones_are_not() {
    let value = vec![0; MAX_VALUE + 1];
    let mut batch = Batch::new();
    assert!(matches!(batch.put(b"key", &value), Err(Error::Invalid("a value is at most 1 GiB long"))));
    assert!(matches!(batch.put(b"key", &value[..MAX_VALUE]), Err(Error::Invalid("a batch is at most 1 GiB long"))));
    batch.put(b"key", &value[..MAX_VALUE - 20]).unwrap();
    assert!(batch.put(b"key", b"other").is_err());
    assert_eq!(batch.len(), 1);
}

#[test]
fn malformed_operations_name_their_first_byte() {
    let decode =
        |bytes: &[u8], len| BatchView::decode(bytes, len).map(|_| ()).map_err(|wrong| (wrong.offset, wrong.what));
    assert_eq!(decode(b"", 0), Ok(()));
    assert_eq!(decode(b"", 1), Err((0, "a batch ends before its last operation")));
    assert_eq!(decode(&[0, 1, 9, 2, 1, 9], 2), Err((3, "an operation is of no known kind")));
    assert_eq!(decode(&[0, 1, 9, 0, 0], 2), Err((3, "a key is empty or too long")));
    assert_eq!(decode(&[0, 0x81, 0x80, 0x04], 1), Err((0, "a key is empty or too long")));
    assert_eq!(decode(&[0, 2, 9], 1), Err((0, "a key ends behind its batch")));
    assert_eq!(decode(&[1, 1, 2, 9, 9], 1), Err((0, "a value ends behind its batch")));
    assert_eq!(decode(&[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 9], 1), Err((0, "a value ends behind its batch")));
    assert_eq!(decode(&[1, 1, 0xff, 0xff, 0xff, 0xff, 0x10, 9], 1), Err((0, "a length does not fit 32 bits")));
    assert_eq!(decode(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0], 1), Err((0, "a length has no end")));
    assert_eq!(decode(&[0, 0x80], 1), Err((0, "a length has no end")));
    assert_eq!(decode(&[0, 1, 9, 0, 1, 9], 1), Err((3, "a batch goes on behind its last operation")));
}
