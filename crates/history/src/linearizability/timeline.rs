//! What precedes what: the order of invocations and returns. It knows neither inputs nor answers.

use super::Call;

/// A call between its invocation and its return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its index among all calls.
    pub(super) call: usize,
    /// How many returns came before its invocation.
    pub(super) after: usize,
    /// How many returns came before its own.
    pub(super) returned: Option<usize>,
}

/// The spans by invocation. From here on a call goes by its number in this order.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    spans: Vec<Span>,
    returns: usize,
}

impl Timeline {
    /// What touches is concurrent: at any moment invocations come before returns.
    pub(super) fn new<I, O>(calls: &[Call<I, O>]) -> Self {
        let mut events = Vec::with_capacity(2 * calls.len());
        for (index, call) in calls.iter().enumerate() {
            events.push((call.invoked, false, index));
            if let Some((completed, _)) = call.returned {
                assert!(call.invoked <= completed, "call {index} returned before it was invoked");
                events.push((completed, true, index));
            }
        }
        events.sort_unstable();
        let mut number = vec![0; calls.len()];
        let mut timeline = Self { spans: Vec::with_capacity(calls.len()), returns: 0 };
        for (_, is_return, call) in events {
            if is_return {
                timeline.spans[number[call]].returned = Some(timeline.returns);
                timeline.returns += 1;
            } else {
                number[call] = timeline.spans.len();
                timeline.spans.push(Span { call, after: timeline.returns, returned: None });
            }
        }
        timeline
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    pub(super) fn returns(&self) -> usize {
        self.returns
    }

    /// Only what happened up to that many returns, the last of them included.
    pub(super) fn beginning(&self, returns: usize) -> Self {
        let mut spans = self.spans[..self.spans.partition_point(|span| span.after < returns)].to_vec();
        for span in &mut spans {
            span.returned = span.returned.filter(|number| *number < returns);
        }
        Self { spans, returns }
    }
}
