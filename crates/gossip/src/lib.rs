//! Cluster membership and failure detection by gossiped heartbeats, as a pure state machine.
