//! One node of a Kvorum cluster, composed of pure state machines; no I/O.
