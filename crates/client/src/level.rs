//! Owns the form of a consistency level on the wire. The levels themselves are those of `kvorum-quorum`; how many
//! replicas one means is the node's to say.

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
