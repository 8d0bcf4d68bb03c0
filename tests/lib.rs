//! Tests of Kvorum over real processes: `kvnode` and `kvctl` as a user runs them, killed, paused and started again.
//! They are all in the one test binary `processes`; this library is empty.
