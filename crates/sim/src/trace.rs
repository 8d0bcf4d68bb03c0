//! The trace: everything that is delivered to a machine and everything it wants, as text, folded into a digest by
//! which two runs are compared. It does not decide what is worth recording.

use core::fmt::{self, Write};
use core::time::Duration;

/// Takes the lines of a trace.
pub type TraceSink = Box<dyn FnMut(&str)>;

/// The digest of a run so far, and who is shown its lines.
pub(crate) struct Trace {
    /// Whether anybody wants to know.
    on: bool,
    digest: Fnv,
    lines: u64,
    sink: Option<TraceSink>,
}

/// FNV-1a, eight bytes at a time: it only has to tell runs apart.
struct Fnv(u64);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut chunks = text.as_bytes().chunks_exact(8);
        for chunk in &mut chunks {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.fold(word);
        }
        for byte in chunks.remainder() {
            self.fold(u64::from(*byte));
        }
        Ok(())
    }
}

impl Fnv {
    fn fold(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }
}

impl Trace {
    /// A trace that is not `on` records nothing, unless somebody is shown it.
    pub(crate) fn new(on: bool, sink: Option<TraceSink>) -> Self {
        Self { on: on || sink.is_some(), digest: Fnv(0xcbf2_9ce4_8422_2325), lines: 0, sink }
    }

    /// Records one line at a moment of virtual time.
    pub(crate) fn record(&mut self, now: Duration, line: fmt::Arguments<'_>) {
        if !self.on {
            return;
        }
        self.lines += 1;
        self.digest.fold(now.as_nanos() as u64);
        self.digest.write_fmt(line).expect("hashing cannot fail, and nor does a Debug implementation");
        if let Some(sink) = &mut self.sink {
            sink(&format!("{:>12.6} {line}", now.as_secs_f64()));
        }
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.0
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn digest(lines: &[(u64, &str)]) -> u64 {
        let mut trace = Trace::new(true, None);
        for (at, line) in lines {
            trace.record(Duration::from_millis(*at), format_args!("{line}"));
        }
        trace.digest()
    }

    #[test]
    fn a_trace_depends_on_every_line_its_time_and_the_order() {
        let base = digest(&[(1, "a line of text"), (2, "b")]);
        assert_eq!(base, digest(&[(1, "a line of text"), (2, "b")]));
        assert_ne!(base, digest(&[(2, "b"), (1, "a line of text")]));
        assert_ne!(base, digest(&[(1, "a line of text"), (3, "b")]));
        assert_ne!(base, digest(&[(1, "a line of texT"), (2, "b")]));
    }

    #[test]
    fn a_sink_is_shown_the_lines() {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&lines);
        let mut trace = Trace::new(false, Some(Box::new(move |line: &str| seen.borrow_mut().push(line.to_owned()))));
        trace.record(Duration::from_millis(1500), format_args!("n{} wakes", 0));
        assert_eq!(*lines.borrow(), ["    1.500000 n0 wakes"]);
    }
}
