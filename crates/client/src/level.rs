//! Owns the form of a consistency level on the wire, both ways. The levels themselves are those of `kvorum-quorum`; how many
//! replicas one means is the node's to say.

use core::num::NonZeroU8;

use kvorum_quorum::Level;
use kvorum_wire::v1;

pub(crate) fn to_wire(level: Level) -> v1::Level {
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

/// None for a level of a later version, which this one could not show.
pub(crate) fn from_wire(level: v1::Level) -> Option<Level> {
    use v1::level::{Level as Wire, Name};
    Some(match level.level? {
        Wire::Number(number) => Level::Number(u8::try_from(number).ok().and_then(NonZeroU8::new)?),
        Wire::Name(name) => match Name::try_from(name).ok()? {
            Name::One => Level::One,
            Name::Two => Level::Two,
            Name::Three => Level::Three,
            Name::Quorum => Level::Quorum,
            Name::All => Level::All,
            Name::LocalQuorum => Level::LocalQuorum,
            Name::EachQuorum => Level::EachQuorum,
            Name::Unspecified => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_its_way() {
        for name in ["one", "two", "three", "quorum", "all", "local_quorum", "each_quorum", "1", "5", "64"] {
            let level: Level = name.parse().unwrap();
            assert_eq!(from_wire(to_wire(level)), Some(level), "{name}");
        }
        let number = |number| v1::Level { level: Some(v1::level::Level::Number(number)) };
        let name = |name| v1::Level { level: Some(v1::level::Level::Name(name)) };
        for unknown in [number(0), number(256), name(0), name(99), v1::Level { level: None }] {
            assert_eq!(from_wire(unknown), None);
        }
    }
}
