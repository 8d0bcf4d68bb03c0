//! Owns the names of consistency levels and their form on the wire. How many replicas a level means
//! is the node's to say.

use core::fmt;
use core::num::NonZeroU8;
use core::str::FromStr;

use kvorum_wire::v1;

/// How many replicas must answer before the node does.
///
/// Parsed from and shown as `one two three quorum all local_quorum each_quorum`, or a number from 1
/// to 64.
///
/// ```
/// use kvorum_client::Level;
///
/// assert_eq!("local_quorum".parse(), Ok(Level::LocalQuorum));
/// assert_eq!("5".parse::<Level>()?.to_string(), "5");
/// assert!("most".parse::<Level>().is_err());
/// # Ok::<(), kvorum_client::UnknownLevel>(())
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
    /// A majority of the replicas in the answering node's own data centre.
    LocalQuorum,
    /// A majority of the replicas in every data centre that has any.
    EachQuorum,
    /// This many replicas, wherever they are. A node refuses more than 64.
    Number(NonZeroU8),
}

/// The text names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level: use one, two, three, quorum, all, local_quorum, each_quorum or a number from 1 to 64")]
pub struct UnknownLevel(pub String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Level, UnknownLevel> {
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
                .ok_or_else(|| UnknownLevel(text.into())),
            _ => Err(UnknownLevel(text.into())),
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

impl From<Level> for v1::Level {
    fn from(level: Level) -> v1::Level {
        use v1::level::{Level as Wire, Name};
        let level = match level {
            Level::One => Wire::Name(Name::One.into()),
            Level::Two => Wire::Name(Name::Two.into()),
            Level::Three => Wire::Name(Name::Three.into()),
            Level::Quorum => Wire::Name(Name::Quorum.into()),
            Level::All => Wire::Name(Name::All.into()),
            Level::LocalQuorum => Wire::Name(Name::LocalQuorum.into()),
            Level::EachQuorum => Wire::Name(Name::EachQuorum.into()),
            Level::Number(number) => Wire::Number(u32::from(number.get())),
        };
        v1::Level { level: Some(level) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_parsed_from_what_it_shows() {
        let names =
            [Level::One, Level::Two, Level::Three, Level::Quorum, Level::All, Level::LocalQuorum, Level::EachQuorum];
        let numbers = (1..=64).map(|number| Level::Number(NonZeroU8::new(number).unwrap()));
        for level in names.into_iter().chain(numbers) {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
    }

    #[test]
    fn other_words_and_numbers_are_refused() {
        for text in ["", "0", "65", "300", "+3", "-1", "ONE", "most", "1.0", " one"] {
            assert_eq!(text.parse::<Level>(), Err(UnknownLevel(text.into())));
        }
    }
}
