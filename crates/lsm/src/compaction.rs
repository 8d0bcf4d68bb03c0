//! Owns compaction: merging tables downward, so that a read has few tables to look at and what is superseded gives its room back.
//! `pick` chooses, `busy` keeps those that run apart, `survivors` decides what of the entries stays, `outputs` writes the new tables; here
//! they are put together. The new version is made by the database, which also says when to compact.

pub(crate) mod busy;
pub(crate) mod filter;
pub(crate) mod outputs;
pub(crate) mod pick;
mod survivors;
#[cfg(test)]
mod tests;

pub(crate) use survivors::{Gone, Rules, survivors};
