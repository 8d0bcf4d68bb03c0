//! Quorum coordination of replicated reads and writes (N, R, W) as pure state machines.
