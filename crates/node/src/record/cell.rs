//! A cell: the value of one version or its deletion, with its absolute expiry. Which version it belongs to is not its
//! business.
//!
//! Expiry is part of the cell, so that a later write that names no lifetime does not inherit one.

use bytes::{Buf, BufMut, Bytes};
use kvorum_vclock::Dot;

use super::{BadRecord, Version};
use crate::ActorId;

pub(super) const TOMBSTONE: u8 = 1;
pub(super) const EXPIRES: u8 = 2;

#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    /// `None` is a tombstone.
    pub(super) value: Option<&'a [u8]>,
    pub(super) expires_at_ms: Option<u64>,
}

impl<'a> Cell<'a> {
    pub(super) fn flags(&self) -> u8 {
        let tombstone = if self.value.is_none() { TOMBSTONE } else { 0 };
        let expires = if self.expires_at_ms.is_some() { EXPIRES } else { 0 };
        tombstone | expires
    }

    /// What follows the flags.
    pub(super) fn put_content(&self, out: &mut impl BufMut) {
        if let Some(at) = self.expires_at_ms {
            out.put_u64(at);
        }
        out.put_slice(self.value.unwrap_or_default());
    }

    /// How many bytes flags and content take.
    pub(super) fn len(&self) -> usize {
        1 + if self.expires_at_ms.is_some() { 8 } else { 0 } + self.value.map_or(0, <[u8]>::len)
    }

    pub(super) fn parse(flags: u8, mut content: &'a [u8]) -> Result<Self, BadRecord> {
        let expires_at_ms = if flags & EXPIRES == 0 {
            None
        } else {
            let at = content.try_get_u64().map_err(|_| BadRecord::Truncated { len: content.len() })?;
            Some(at)
        };
        let is_tombstone = flags & TOMBSTONE != 0;
        if flags & !(TOMBSTONE | EXPIRES) != 0 || (is_tombstone && !content.is_empty()) {
            return Err(BadRecord::BadFlags { flags });
        }
        Ok(Self { value: (!is_tombstone).then_some(content), expires_at_ms })
    }

    /// The version it makes under a dot; its value is a slice of the record it was found in.
    pub(super) fn version(&self, dot: Dot<ActorId>, record: &Bytes) -> Version {
        let value = self.value.map(|value| if value.is_empty() { Bytes::new() } else { record.slice_ref(value) });
        Version { dot, value, expires_at_ms: self.expires_at_ms }
    }
}
