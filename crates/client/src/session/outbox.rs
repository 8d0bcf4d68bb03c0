//! Owns the requests that wait to leave: how many there may be, and how many leave in one message.
//! It knows no lock and no stream.

use std::collections::VecDeque;

use kvorum_wire::v1::Request;
use kvorum_wire::v1::request::Operation;

use super::calls::Calls;

/// No message is longer, unless a single request is.
pub(super) const MESSAGE_BYTES: usize = 256 * 1024;
/// Nothing is taken in while this much is queued.
pub(super) const OUTBOX_BYTES: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    requests: VecDeque<Request>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= OUTBOX_BYTES
    }

    /// Queues a request; the last one may go beyond the bound.
    pub(super) fn push(&mut self, id: u64, operation: Operation) {
        assert!(!self.is_full(), "a full outbox is not pushed to");
        self.bytes += weight(&operation);
        self.requests.push_back(Request { id, operation: Some(operation) });
    }

    /// The next message's requests: all that is queued, up to a message's length. Those that were
    /// given up are left away, the others are marked as sent.
    pub(super) fn take(&mut self, calls: &mut Calls) -> Vec<Request> {
        let mut taken = Vec::with_capacity(self.requests.len().min(1024));
        let mut bytes = 0;
        while let Some(request) = self.requests.pop_front() {
            let weight = request.operation.as_ref().map_or(0, weight);
            if bytes > 0 && bytes + weight > MESSAGE_BYTES {
                self.requests.push_front(request);
                break;
            }
            self.bytes -= weight;
            if calls.mark_sent(request.id) {
                bytes += weight;
                taken.push(request);
            }
        }
        taken
    }
}

/// Tags, lengths, ids, and the settings of a request; or the cursor's partition.
pub(super) const FRAME_BYTES: usize = 96;

/// About how many bytes a request is on the wire, never fewer.
fn weight(operation: &Operation) -> usize {
    let content = match operation {
        Operation::Get(get) => get.keyspace.len() + get.key.len(),
        Operation::Put(put) => put.keyspace.len() + put.key.len() + put.value.len() + put.context.len(),
        Operation::Delete(delete) => delete.keyspace.len() + delete.key.len() + delete.context.len(),
        Operation::Scan(scan) => {
            let after = scan.cursor.as_ref().and_then(|cursor| cursor.after.as_ref());
            scan.keyspace.len() + scan.prefix.len() + after.map_or(0, bytes::Bytes::len)
        }
    };
    FRAME_BYTES + content
}
