//! Owns whose answers count, and how that is said on the wire, both ways. What it means for one request is the node's to
//! say.

use core::fmt;

use kvorum_wire::v1;

/// Whose answers count towards R and W.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Consistency {
    /// Where too few replicas can be reached, other nodes stand in for them: they take writes and keep hints, and tell what
    /// they keep. Writes are taken whatever fails, and what R + W > N promises does not hold meanwhile (DeCandia et al.,
    /// "Dynamo", 2007, section 4.6). [`Replicas::sloppy`](crate::Replicas::sloppy) tells when that was so.
    #[default]
    Sloppy,
    /// Only replicas count, and a read returns only what as many replicas as a write needs durably hold. Where too few can
    /// be reached, the call fails.
    Strict,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Consistency::Sloppy => "sloppy",
            Consistency::Strict => "strict",
        })
    }
}

/// None is left to the keyspace.
pub(crate) fn to_wire(consistency: Option<Consistency>) -> i32 {
    let consistency = match consistency {
        None => v1::Consistency::Unspecified,
        Some(Consistency::Sloppy) => v1::Consistency::Sloppy,
        Some(Consistency::Strict) => v1::Consistency::Strict,
    };
    consistency.into()
}

/// Of a keyspace. What it does not say, or says in the words of a later version, is taken for what promises least.
pub(crate) fn from_wire(consistency: i32) -> Consistency {
    match v1::Consistency::try_from(consistency) {
        Ok(v1::Consistency::Strict) => Consistency::Strict,
        Ok(v1::Consistency::Sloppy | v1::Consistency::Unspecified) | Err(_) => Consistency::Sloppy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_survive_their_way_and_what_is_not_known_promises_least() {
        for consistency in [Consistency::Sloppy, Consistency::Strict] {
            assert_eq!(from_wire(to_wire(Some(consistency))), consistency);
        }
        assert_eq!(to_wire(None), 0);
        assert_eq!((from_wire(0), from_wire(99)), (Consistency::Sloppy, Consistency::Sloppy));
        assert_eq!(format!("{:>7}{}", Consistency::Strict, Consistency::Sloppy), " strictsloppy");
    }
}
