//! What passes on the control lanes, counted, and what is refused there, told now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kvorum_wire::v1;
use prost::Message;

use crate::peer::seal::Refusal;

/// How often it is said that messages are refused.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The figures of all control lanes.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: Gossip,
    pub(crate) received: Gossip,
    refused: [AtomicU64; Refusal::ALL.len()],
    told: Mutex<Option<Instant>>,
}

/// Messages of gossip in one direction, and their size.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Gossip {
    /// Counts a frame if it is gossip.
    pub(crate) fn count(&self, frame: &v1::ControlFrame, bytes: usize) {
        if matches!(frame.body, Some(v1::control_frame::Body::Gossip(_))) {
            self.messages.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Traffic {
    /// How much was refused, by reason.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.refused.iter().map(|count| count.load(Ordering::Relaxed));
        Refusal::ALL.iter().map(|refusal| refusal.reason()).zip(counts)
    }

    /// Counts a refusal, and tells the operator unless one was told a moment ago. Where it came from is what the refused
    /// says itself.
    pub(crate) fn refuse(&self, refusal: Refusal, what: &str, address: &str, cluster: Option<u64>) {
        let place = Refusal::ALL.iter().position(|it| *it == refusal);
        let count = place.map_or(1, |place| self.refused[place].fetch_add(1, Ordering::Relaxed) + 1);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            let cluster = cluster.map_or_else(|| "none yet".to_owned(), |cluster| format!("{cluster:016x}"));
            let address: String = address.chars().filter(|c| !c.is_control()).take(255).collect();
            tracing::warn!(address, cluster, reason = refusal.reason(), count, "{what} is refused: {refusal}");
        }
    }
}

/// What can be told of a frame that was refused: where its sender says it is, and its cluster.
pub(crate) fn told_of(sealed: &v1::SealedFrame) -> (String, Option<u64>) {
    v1::ControlFrame::decode(&sealed.frame[..]).map(|frame| (frame.reply_to, frame.cluster)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gossip_alone_is_counted_and_refusals_by_reason() {
        let traffic = Traffic::default();
        let gossip = v1::control_frame::Body::Gossip(vec![1].into());
        let fetch = v1::control_frame::Body::FetchLayout(v1::FetchLayout { have: 0 });
        for (body, bytes) in [(gossip, 100), (fetch, 1000)] {
            traffic.sent.count(&v1::ControlFrame { body: Some(body), ..v1::ControlFrame::default() }, bytes);
        }
        assert_eq!((traffic.sent.messages(), traffic.sent.bytes()), (1, 100));
        (0..3).for_each(|_| traffic.refuse(Refusal::OtherKey, "a message", "p:1", None));
        assert_eq!(traffic.refused().map(|(_, count)| count).collect::<Vec<_>>(), [0, 3, 0, 0]);
        assert_eq!(traffic.refused().nth(1).map(|(reason, _)| reason), Some("other_key"));
    }

    #[test]
    fn of_a_refused_frame_is_told_what_it_says_of_itself() {
        let frame = v1::ControlFrame { cluster: Some(9), reply_to: "p:1".to_owned(), ..v1::ControlFrame::default() };
        let sealed = v1::SealedFrame { frame: frame.encode_to_vec().into(), ..v1::SealedFrame::default() };
        assert_eq!(told_of(&sealed), ("p:1".to_owned(), Some(9)));
        let garbage = v1::SealedFrame { frame: vec![0xff; 9].into(), ..v1::SealedFrame::default() };
        assert_eq!(told_of(&garbage), (String::new(), None));
    }
}
