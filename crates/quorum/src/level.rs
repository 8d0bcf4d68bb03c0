//! [`Level`]: the consistency level as users write it.
//!
//! It owns the names. How many answers a level means depends on the replicas at hand and is decided
//! by [`Requirement::resolve`](crate::Requirement::resolve).

use core::fmt;
use core::num::NonZeroU8;
use core::str::FromStr;

use crate::Error;

/// How many replicas must answer, in words. The names are those of Apache Cassandra's consistency
/// levels, in lower case.
///
/// Parsed from and shown as `one two three quorum all local_quorum each_quorum` or a number from 1
/// to 64.
///
/// ```
/// use kvorum_quorum::Level;
///
/// assert_eq!("local_quorum".parse(), Ok(Level::LocalQuorum));
/// assert_eq!("5".parse::<Level>()?.to_string(), "5");
/// assert!("most".parse::<Level>().is_err());
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// One replica, wherever it is.
    One,
    /// Two replicas, wherever they are.
    Two,
    /// Three replicas, wherever they are.
    Three,
    /// A majority of all replicas.
    Quorum,
    /// Every replica.
    All,
    /// A majority of the replicas in the coordinator's own data centre.
    LocalQuorum,
    /// A majority of the replicas in every data centre that has any.
    EachQuorum,
    /// This many replicas, wherever they are. More than 64 cannot be parsed, and never be resolved.
    Number(NonZeroU8),
}

impl FromStr for Level {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::UnknownLevel`], which names what is allowed.
    fn from_str(text: &str) -> Result<Level, Error> {
        match text {
            "one" => Ok(Level::One),
            "two" => Ok(Level::Two),
            "three" => Ok(Level::Three),
            "quorum" => Ok(Level::Quorum),
            "all" => Ok(Level::All),
            "local_quorum" => Ok(Level::LocalQuorum),
            "each_quorum" => Ok(Level::EachQuorum),
            // The number parser alone would also take a sign.
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text
                .parse()
                .ok()
                .filter(|number: &NonZeroU8| number.get() <= 64)
                .map(Level::Number)
                .ok_or(Error::UnknownLevel),
            _ => Err(Error::UnknownLevel),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::One => "one",
            Level::Two => "two",
            Level::Three => "three",
            Level::Quorum => "quorum",
            Level::All => "all",
            Level::LocalQuorum => "local_quorum",
            Level::EachQuorum => "each_quorum",
            Level::Number(number) => return number.fmt(f),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    const NAMED: [(&str, Level); 7] = [
        ("one", Level::One),
        ("two", Level::Two),
        ("three", Level::Three),
        ("quorum", Level::Quorum),
        ("all", Level::All),
        ("local_quorum", Level::LocalQuorum),
        ("each_quorum", Level::EachQuorum),
    ];

    #[test]
    fn every_name_is_read_and_shown_alike() {
        for (name, level) in NAMED {
            assert_eq!(name.parse(), Ok(level));
            assert_eq!(level.to_string(), name);
        }
    }

    #[test]
    fn every_number_from_1_to_64_is_read_and_shown_alike() {
        for number in 1..=64 {
            let level = Level::Number(NonZeroU8::new(number).unwrap());
            assert_eq!(number.to_string().parse(), Ok(level));
            assert_eq!(level.to_string(), number.to_string());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "0", "65", "255", "256", "99999999999", "-1", "+1", " 1", "1.0", "ONE", "one ", "local-quorum"]
        {
            assert_eq!(text.parse::<Level>(), Err(Error::UnknownLevel), "{text:?}");
        }
    }

    #[test]
    fn the_error_names_every_allowed_value() {
        let message = Error::UnknownLevel.to_string();
        for (name, _) in NAMED {
            assert!(message.contains(name), "{message:?} does not name {name}");
        }
        assert!(message.contains("1 to 64"), "{message:?} does not give the range");
    }

    #[test]
    fn a_level_is_padded_like_text() {
        assert_eq!(format!("{:>7}|{:<4}|", Level::One, Level::Number(NonZeroU8::MIN)), "    one|1   |");
    }
}
