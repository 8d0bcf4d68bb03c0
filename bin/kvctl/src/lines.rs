//! Owns cutting an input into numbered lines, none longer than a bound. What a line means is in
//! `format.rs`.

use std::io::{self, BufRead, Read};

/// No pair that a cluster takes needs a longer line, whatever is escaped in it.
const LONGEST: usize = 16 * 1024 * 1024;

/// The lines of an input.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    number: u64,
    longest: usize,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// How many bytes of the input it is, its end included.
    pub(crate) length: u64,
    /// Nothing if it is too long.
    pub(crate) text: Option<Vec<u8>>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Lines<R> {
        Lines { input, number: 0, longest: LONGEST }
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let bound = self.longest as u64 + 2;
        let mut length = self.input.by_ref().take(bound).read_until(b'\n', &mut text)? as u64;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let is_whole = text.last() == Some(&b'\n') || length < bound;
        if !is_whole {
            length += self.input.skip_until(b'\n')? as u64;
        }
        if text.last() == Some(&b'\n') {
            text.pop();
            // A carriage return within a value is escaped, so this one came with the line's end.
            if text.last() == Some(&b'\r') {
                text.pop();
            }
        }
        let fits = is_whole && text.len() <= self.longest;
        Ok(Some(Line { number: self.number, length, text: fits.then_some(text) }))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<io::Result<Line>> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, u64, Option<Vec<u8>>)> {
        let lines = Lines { input, number: 0, longest: 4 };
        lines.map(|line| line.map(|line| (line.number, line.length, line.text)).unwrap()).collect()
    }

    #[test]
    fn lines_end_with_a_newline_a_carriage_return_and_a_newline_or_the_input() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"a"), [(1, 1, text("a"))]);
        assert_eq!(lines(b"a\n"), [(1, 2, text("a"))]);
        assert_eq!(lines(b"a\r\n\nb\r"), [(1, 3, text("a")), (2, 1, text("")), (3, 2, text("b\r"))]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(lines(b"abcd\r\nabcde\nx\n"), [(1, 6, text("abcd")), (2, 6, None), (3, 2, text("x"))]);
        assert_eq!(lines(b"abcdefghijk\nx"), [(1, 12, None), (2, 1, text("x"))]);
        assert_eq!(lines(b"abcdefghijk"), [(1, 11, None)]);
        assert_eq!(lines(b"abcde"), [(1, 5, None)]);
        assert_eq!(lines(b"abcd"), [(1, 4, text("abcd"))]);
    }
}
