//! Owns which durations are accepted on the command line: `500ms 30s 5m 2h`, and what else humantime reads.

use std::time::Duration;

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 500ms or 5m"))?;
    // Timeouts and expiry travel as whole milliseconds.
    if duration.subsec_nanos() % 1_000_000 == 0 { Ok(duration) } else { Err("1ms is the smallest unit".into()) }
}

/// The same, but something.
pub(crate) fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() { Err("it must be longer than nothing".into()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_are_whole_milliseconds() {
        for (text, milliseconds) in [("0ms", 0), ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5us", "99999999999999999999s"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_positive("0s").is_err());
        assert!(parse_positive("1ms").is_ok());
    }
}
