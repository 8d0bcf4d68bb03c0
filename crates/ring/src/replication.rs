//! Owns how many copies each data centre is to hold, and its text form. Which nodes hold them is
//! decided elsewhere.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use crate::Error;

/// How many copies of every key each data centre holds: Dynamo's N (2007, section 4.3), given per
/// data centre as in Cassandra's `NetworkTopologyStrategy`.
///
/// In text either one number for every data centre there is, or a list that names them; blanks
/// around names and numbers are skipped. What was parsed and is shown again parses to the same
/// value.
///
/// ```
/// # use kvorum_ring::Replication;
/// let everywhere: Replication = "3".parse()?;
/// assert_eq!(everywhere.factor("any"), 3);
///
/// let listed: Replication = "paris=3, oslo=2".parse()?;
/// assert_eq!((listed.factor("oslo"), listed.factor("rome")), (2, 0));
/// assert_eq!(listed.to_string(), "oslo=2,paris=3");
/// # Ok::<(), kvorum_ring::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Replication {
    /// This many copies in every data centre that has members.
    PerCentre(u8),
    /// This many copies in each data centre named, none elsewhere. Names are not empty, hold no `,`
    /// and no `=` and neither start nor end with a blank; others would not survive the way through
    /// text.
    Centres(BTreeMap<String, u8>),
}

impl Replication {
    /// How many copies this data centre is to hold; 0 if none.
    #[must_use]
    pub fn factor(&self, dc: &str) -> u8 {
        match self {
            Replication::PerCentre(factor) => *factor,
            Replication::Centres(factors) => factors.get(dc).copied().unwrap_or(0),
        }
    }

    /// Refuses a replication that stores nothing anywhere.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let stores_something = match self {
            Replication::PerCentre(factor) => *factor > 0,
            Replication::Centres(factors) => factors.values().any(|&factor| factor > 0),
        };
        if stores_something { Ok(()) } else { Err(Error::NoReplica) }
    }
}

/// `3`, or `dc1=3,dc2=2` with the names in order.
impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Replication::PerCentre(factor) => factor.fmt(f),
            Replication::Centres(factors) => {
                let mut separator = "";
                for (name, factor) in factors {
                    write!(f, "{separator}{name}={factor}")?;
                    separator = ",";
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Replication {
    type Err = Error;

    /// # Errors
    /// [`Error::Factor`], [`Error::CentreName`] and [`Error::DuplicateCentre`] for text that is not
    /// of this form, and [`Error::NoReplica`] if every factor is 0.
    fn from_str(text: &str) -> Result<Self, Error> {
        let replication = if text.contains(['=', ',']) {
            Replication::Centres(parse_centres(text)?)
        } else {
            Replication::PerCentre(parse_factor(text)?)
        };
        replication.check()?;
        Ok(replication)
    }
}

fn parse_centres(text: &str) -> Result<BTreeMap<String, u8>, Error> {
    let mut factors = BTreeMap::new();
    for entry in text.split(',') {
        let no_name = || Error::CentreName { text: entry.trim().to_owned() };
        let (name, factor) = entry.split_once('=').ok_or_else(no_name)?;
        let name = name.trim();
        if name.is_empty() {
            return Err(no_name());
        }
        if factors.insert(name.to_owned(), parse_factor(factor)?).is_some() {
            return Err(Error::DuplicateCentre { name: name.to_owned() });
        }
    }
    Ok(factors)
}

fn parse_factor(text: &str) -> Result<u8, Error> {
    let text = text.trim();
    let invalid = || Error::Factor { text: text.to_owned() };
    // `u8::from_str` would take a leading plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Replication, Error> {
        text.parse()
    }

    fn factor_error(text: &str) -> Result<Replication, Error> {
        Err(Error::Factor { text: text.into() })
    }

    fn name_error(text: &str) -> Result<Replication, Error> {
        Err(Error::CentreName { text: text.into() })
    }

    #[test]
    fn one_number_counts_for_every_centre() {
        assert_eq!(parse("3"), Ok(Replication::PerCentre(3)));
        assert_eq!(parse(" 255 "), Ok(Replication::PerCentre(255)));
    }

    #[test]
    fn a_list_counts_for_the_centres_named() {
        let expected = BTreeMap::from([("dc1".into(), 3), ("dc2".into(), 0)]);
        assert_eq!(parse("dc1=3,dc2=0"), Ok(Replication::Centres(expected.clone())));
        assert_eq!(parse(" dc2 = 0 , dc1 = 3 "), Ok(Replication::Centres(expected)));
    }

    #[test]
    fn a_wrong_factor_is_named() {
        for text in ["", "x", "-1", "+1", "256", "1.5", "dc1"] {
            assert_eq!(parse(text), factor_error(text));
        }
        assert_eq!(parse("dc1="), factor_error(""));
        assert_eq!(parse("dc1=x"), factor_error("x"));
        assert_eq!(parse("dc1=2=3"), factor_error("2=3"));
        assert_eq!(parse("dc1=2,dc2=256"), factor_error("256"));
    }

    #[test]
    fn an_entry_without_a_name_is_named() {
        assert_eq!(parse("=3"), name_error("=3"));
        assert_eq!(parse("dc1=3,"), name_error(""));
        assert_eq!(parse(",dc1=3"), name_error(""));
        assert_eq!(parse("dc1=3, 2"), name_error("2"));
    }

    #[test]
    fn a_centre_named_twice_is_refused() {
        assert_eq!(parse("dc1=3, dc1=3"), Err(Error::DuplicateCentre { name: "dc1".into() }));
    }

    #[test]
    fn a_replication_without_a_copy_is_refused() {
        assert_eq!(parse("0"), Err(Error::NoReplica));
        assert_eq!(parse("dc1=0,dc2=0"), Err(Error::NoReplica));
        assert_eq!(Replication::Centres(BTreeMap::new()).check(), Err(Error::NoReplica));
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_to_the_same(
            factors in prop::collection::btree_map("[^=,\\s]([^=,]{0,6}[^=,\\s])?", 0..=255u8, 1..5),
            everywhere in 1..=255u8,
        ) {
            let everywhere = Replication::PerCentre(everywhere);
            prop_assert_eq!(parse(&everywhere.to_string()), Ok(everywhere));
            let listed = Replication::Centres(factors);
            prop_assert_eq!(parse(&listed.to_string()), listed.check().map(|()| listed));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "[a-c0-9=, +-]{0,12}|.{0,12}") {
            if let Ok(replication) = parse(&text) {
                prop_assert_eq!(parse(&replication.to_string()), Ok(replication));
            }
        }
    }
}
