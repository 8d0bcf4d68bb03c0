//! Owns the list of libraries under test. Each file below makes one of them a [`Peer`](crate::peer::Peer).

pub(crate) mod chitchat;
pub(crate) mod foca;
pub(crate) mod kvorum;
mod port;
