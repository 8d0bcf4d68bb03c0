//! Numbers, strings and addresses there and back.

use super::*;
use proptest::prelude::*;
use std::vec;

fn bytes<T: Codec>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    assert_eq!(bytes.len(), value.encoded_len());
    bytes
}

fn back<T: Codec>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    reader.finish().map(|()| value)
}

#[test]
fn the_bytes_are_these() {
    assert_eq!(bytes(&0_u64), [0]);
    assert_eq!(bytes(&127_u32), [127]);
    assert_eq!(bytes(&300_u16), [0xac, 2]);
    assert_eq!(bytes(&u64::MAX), [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    assert_eq!(bytes(&Arc::<str>::from("ab")), [2, b'a', b'b']);
    assert_eq!(bytes(&[1_u8, 2, 3]), [1, 2, 3]);
    assert_eq!(bytes(&SocketAddr::from(([10, 0, 0, 1], 258))), [4, 10, 0, 0, 1, 1, 2]);
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 80));
    assert_eq!(bytes(&six), [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);
}

#[test]
fn what_is_no_value_is_refused() {
    assert_eq!(back::<u64>(&[0x80]), Err(DecodeError::Truncated));
    assert_eq!(back::<u64>(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), Err(DecodeError::NumberTooLarge));
    assert_eq!(back::<u64>(&[0x80; 11]), Err(DecodeError::NumberTooLarge));
    assert_eq!(back::<u16>(&[255, 255, 4]), Err(DecodeError::NumberTooLarge));
    assert_eq!(back::<String>(&[2, 0xc3, 0x28]), Err(DecodeError::NotUtf8));
    assert_eq!(back::<String>(&[0x81, 1, b'a']), Err(DecodeError::TooLong { limit: MAX_ADDRESS_BYTES }));
    assert_eq!(back::<SocketAddr>(&[5, 0]), Err(DecodeError::UnknownTag(5)));
    assert_eq!(back::<[u8; 4]>(&[1, 2, 3]), Err(DecodeError::Truncated));
    assert_eq!(back::<u32>(&[1, 2, 3]), Err(DecodeError::TrailingBytes(2)));
    let long = bytes(&String::from_utf8(vec![b'x'; 100]).unwrap());
    assert_eq!(Reader::new(&long).value::<String>(64), Err(DecodeError::TooLong { limit: 64 }));
}

proptest! {
    #[test]
    fn values_come_back(number in any::<u64>(), shift in 0..64_u32, text in ".{0,30}", ip in any::<core::net::IpAddr>(), port in any::<u16>()) {
        let number = number >> shift;
        prop_assert_eq!(back::<u64>(&bytes(&number)), Ok(number));
        prop_assert_eq!(back::<String>(&bytes(&text)), Ok(text));
        let address = SocketAddr::new(ip, port);
        prop_assert_eq!(back::<SocketAddr>(&bytes(&address)), Ok(address));
    }
}
