//! The bytes of records, owned and viewed.

use super::*;

proptest! {
    #[test]
    fn encoding_round_trips_and_borrows(record in records()) {
        let mut bytes = vec![];
        record.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), record.encoded_len());
        let borrowed = Siblings::<u64, &[u8]>::decode(&bytes).unwrap();
        prop_assert_eq!(borrowed.try_map(|_, value| Ok::<_, Infallible>(value.to_vec())), Ok(record.clone()));
        prop_assert_eq!(Siblings::<u64, Vec<u8>>::decode(&bytes), Ok(record));
        for end in 0..bytes.len() {
            prop_assert!(Siblings::<u64, &[u8]>::decode(&bytes[..end]).is_err(), "a part of an encoding is not one");
        }
    }

    #[test]
    fn a_view_reads_what_the_record_says(record in records()) {
        let mut bytes = vec![];
        record.encode(&mut bytes);
        let view = SiblingsView::parse(&bytes).unwrap();
        prop_assert_eq!((view.len(), view.is_empty()), (record.len(), record.is_empty()));
        prop_assert_eq!(view.context(), record.context());
        let values: Vec<_> = record.values().map(|(dot, value)| (dot, value.as_slice())).collect();
        prop_assert_eq!(view.values().collect::<Vec<_>>(), values.clone());
        prop_assert_eq!(view.ranges().map(|(dot, range)| (dot, &bytes[range])).collect::<Vec<_>>(), values);
        let discards: Vec<_> = record.discards().map(|(actor, time)| (*actor, time)).collect();
        prop_assert_eq!(view.discards().collect::<Vec<_>>(), discards);
        prop_assert_eq!(view.as_bytes(), bytes.as_slice());
    }

    /// Values are bytes of any content, and times of any size.
    #[test]
    fn extreme_dots_and_values_round_trip(actor: u64, discard in 0..u64::MAX, above in 1_u64..=u64::MAX, value: Vec<u8>) {
        let mut record = Siblings::new();
        record.put(&Context::from_iter([(actor, t(discard))]), Dot { actor, time: t(discard.saturating_add(above)) }, value).unwrap();
        let mut bytes = vec![];
        record.encode(&mut bytes);
        prop_assert_eq!(Siblings::<u64, Vec<u8>>::decode(&bytes), Ok(record));
    }
}
