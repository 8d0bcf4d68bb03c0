//! Owns the form of what travels. Between clients and servers: the payload's length in four bytes, little-endian, and
//! the payload. Between servers: the same with the frame's number between length and payload; an acknowledgement is the
//! number alone.

use bytes::{Buf, BytesMut};

/// Numbers take eight bytes.
pub(crate) const NUMBER: usize = 8;
const LENGTH: usize = 4;
/// Longer frames are somebody's mistake.
const LONGEST: usize = 1024 * 1024;

/// A frame as a client sends it.
pub(crate) fn encode(payload: &[u8]) -> Vec<u8> {
    let mut frame = length(payload).to_vec();
    frame.extend_from_slice(payload);
    frame
}

/// The whole next frame, length and payload; nothing while it is incomplete.
pub(crate) fn next(received: &mut BytesMut) -> Result<Option<BytesMut>, TooLong> {
    let total = match received.first_chunk::<LENGTH>() {
        Some(length) => LENGTH + u32::from_le_bytes(*length) as usize,
        None => return Ok(None),
    };
    if total > LONGEST {
        return Err(TooLong);
    }
    Ok((received.len() >= total).then(|| received.split_to(total)))
}

/// Appends the copy of a frame that a peer gets.
pub(crate) fn append_copy(outbox: &mut Vec<u8>, frame: &[u8], number: u64) {
    let (length, payload) = frame.split_at(LENGTH);
    outbox.extend_from_slice(length);
    outbox.extend_from_slice(&number.to_le_bytes());
    outbox.extend_from_slice(payload);
}

/// Takes the complete copies and appends their acknowledgements.
pub(crate) fn acknowledge(received: &mut BytesMut, acknowledgements: &mut Vec<u8>) -> Result<(), TooLong> {
    while let Some(length) = received.first_chunk::<LENGTH>() {
        let total = LENGTH + NUMBER + u32::from_le_bytes(*length) as usize;
        if total > LONGEST + NUMBER {
            return Err(TooLong);
        }
        let Some(copy) = received.get(..total) else { break };
        acknowledgements.extend_from_slice(&copy[LENGTH..LENGTH + NUMBER]);
        received.advance(total);
    }
    Ok(())
}

/// The other end does not speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl From<TooLong> for std::io::Error {
    fn from(_: TooLong) -> std::io::Error {
        std::io::Error::other("a frame of more than a mebibyte")
    }
}

fn length(payload: &[u8]) -> [u8; LENGTH] {
    u32::try_from(payload.len()).expect("payloads are short").to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_whole_however_they_arrive() {
        let sent = [encode(b"first"), encode(b""), encode(&[7; 300])].concat();
        for piece in [1, 2, 3, 7, sent.len()] {
            let (mut received, mut frames) = (BytesMut::new(), Vec::new());
            for part in sent.chunks(piece) {
                received.extend_from_slice(part);
                while let Some(frame) = next(&mut received).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!((frames.concat(), frames.len(), received.len()), (sent.clone(), 3, 0), "{piece}");
        }
    }

    #[test]
    fn copies_are_acknowledged_by_number_in_order() {
        let mut outbox = Vec::new();
        append_copy(&mut outbox, &encode(b"payload"), 42);
        append_copy(&mut outbox, &encode(b""), u64::MAX);
        let (mut received, mut acknowledgements) = (BytesMut::new(), Vec::new());
        for byte in outbox {
            received.extend_from_slice(&[byte]);
            acknowledge(&mut received, &mut acknowledgements).unwrap();
        }
        assert_eq!(acknowledgements, [42u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat());
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert_eq!(next(&mut BytesMut::from(&[0xff; 4][..])), Err(TooLong));
        assert_eq!(acknowledge(&mut BytesMut::from(&[0xff; 4][..]), &mut Vec::new()), Err(TooLong));
    }
}
