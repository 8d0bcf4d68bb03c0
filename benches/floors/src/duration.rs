//! Owns how a duration is written: a whole number and its unit.

use std::time::Duration;

/// `500ms 30s 5m 2h 7d`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => 0,
    };
    let number = number.parse().ok().filter(|_| milliseconds > 0);
    number
        .and_then(|number: u64| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| "a duration is a number and ms, s, m, h or d, such as 500ms or 5m".into())
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
    fn a_duration_is_a_number_and_a_unit() {
        let cases =
            [("0ms", 0), ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 604_800_000)];
        for (text, milliseconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for text in
            ["", "5", "s", "-5s", "+5s", "5 s", "1.5s", "5S", "5sec", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_positive("0s").is_err());
        assert!(parse_positive("1ms").is_ok());
    }
}
