//! The way between peers: outbound lanes, inbound streams, and the encoding of both.

pub(crate) mod catalog_codec;
pub(crate) mod codec;
pub(crate) mod control_codec;
pub(crate) mod control_lane;
pub(crate) mod inbound;
pub(crate) mod lane;
pub(crate) mod seal;
pub(crate) mod traffic;
