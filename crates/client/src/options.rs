//! Owns the options of one call each. What holds for all calls is in `config.rs`.
//!
//! A setting takes its value or an `Option` of it, `None` being the default.

use core::time::Duration;

use bytes::Bytes;

use crate::{Consistency, Cursor, Level};

/// How one key is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct GetOptions {
    pub(crate) level: Option<Level>,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) timeout: Option<Duration>,
}

/// How one key is written.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    pub(crate) level: Option<Level>,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) context: Bytes,
    pub(crate) timeout: Option<Duration>,
}

/// How long a value lives, if that is not left to the keyspace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ttl {
    Of(Duration),
    Forever,
}

/// How one key is deleted.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    pub(crate) level: Option<Level>,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) context: Bytes,
    pub(crate) timeout: Option<Duration>,
}

/// What a scan covers, and how it reads.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    pub(crate) prefix: Bytes,
    pub(crate) from: Option<Cursor>,
    pub(crate) limit: Option<u64>,
    pub(crate) keys_only: bool,
    pub(crate) level: Option<Level>,
    pub(crate) timeout: Option<Duration>,
}

impl GetOptions {
    /// The keyspace's own level and consistency, the client's timeout.
    #[must_use]
    pub fn new() -> GetOptions {
        GetOptions::default()
    }

    /// R: how many replicas must answer.
    #[must_use]
    pub fn level(mut self, level: impl Into<Option<Level>>) -> GetOptions {
        self.level = level.into();
        self
    }

    /// Whose answers count towards R; the keyspace's own unless set.
    #[must_use]
    pub fn consistency(mut self, consistency: impl Into<Option<Consistency>>) -> GetOptions {
        self.consistency = consistency.into();
        self
    }

    /// The time this call has, retries included.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> GetOptions {
        self.timeout = timeout.into();
        self
    }
}

impl PutOptions {
    /// The keyspace's own level, consistency and lifetime, the client's timeout.
    #[must_use]
    pub fn new() -> PutOptions {
        PutOptions::default()
    }

    /// W: how many replicas must hold it durably.
    #[must_use]
    pub fn level(mut self, level: impl Into<Option<Level>>) -> PutOptions {
        self.level = level.into();
        self
    }

    /// Whose answers count towards W; the keyspace's own unless set.
    #[must_use]
    pub fn consistency(mut self, consistency: impl Into<Option<Consistency>>) -> PutOptions {
        self.consistency = consistency.into();
        self
    }

    /// How long the value lives, counted by the node that takes it; rounded up to a millisecond.
    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> PutOptions {
        self.ttl = ttl.into().map(Ttl::Of);
        self
    }

    /// The value lives for ever, whatever lifetime the keyspace gives to values without one.
    #[must_use]
    pub fn forever(mut self) -> PutOptions {
        self.ttl = Some(Ttl::Forever);
        self
    }

    /// The context of the read this write rests on ([`Got::context`](crate::Got::context)): it replaces the versions
    /// that read has seen. Without it a write to a `causal` keyspace is blind and adds a concurrent version; in an `lww`
    /// keyspace a write with a context is newer than what was read whatever the nodes' clocks say.
    #[must_use]
    pub fn context(mut self, context: impl Into<Bytes>) -> PutOptions {
        self.context = context.into();
        self
    }

    /// The time this call has, retries included.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> PutOptions {
        self.timeout = timeout.into();
        self
    }
}

impl DeleteOptions {
    /// The keyspace's own level and consistency, the client's timeout.
    #[must_use]
    pub fn new() -> DeleteOptions {
        DeleteOptions::default()
    }

    /// The context of the read this rests on ([`Got::context`](crate::Got::context)): the versions that read has seen are
    /// deleted. Without it, in a `causal` keyspace, the key is read first.
    #[must_use]
    pub fn context(mut self, context: impl Into<Bytes>) -> DeleteOptions {
        self.context = context.into();
        self
    }

    /// W: how many replicas must hold the deletion durably.
    #[must_use]
    pub fn level(mut self, level: impl Into<Option<Level>>) -> DeleteOptions {
        self.level = level.into();
        self
    }

    /// Whose answers count towards W, and, where the key is read first, towards R; the keyspace's own unless
    /// set.
    #[must_use]
    pub fn consistency(mut self, consistency: impl Into<Option<Consistency>>) -> DeleteOptions {
        self.consistency = consistency.into();
        self
    }

    /// The time this call has, retries included.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> DeleteOptions {
        self.timeout = timeout.into();
        self
    }
}

impl ScanOptions {
    /// The whole keyspace, from its start, at the keyspace's own level.
    #[must_use]
    pub fn new() -> ScanOptions {
        ScanOptions::default()
    }

    /// Only keys that begin with this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<Bytes>) -> ScanOptions {
        self.prefix = prefix.into();
        self
    }

    /// Go on where an earlier scan stood; see [`Scan::cursor`](crate::Scan::cursor).
    #[must_use]
    pub fn from(mut self, cursor: impl Into<Option<Cursor>>) -> ScanOptions {
        self.from = cursor.into();
        self
    }

    /// At most so many keys in all.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<u64>>) -> ScanOptions {
        self.limit = limit.into();
        self
    }

    /// Leave the values away.
    #[must_use]
    pub fn keys_only(mut self) -> ScanOptions {
        self.keys_only = true;
        self
    }

    /// R: how many replicas must answer for each partition.
    #[must_use]
    pub fn level(mut self, level: impl Into<Option<Level>>) -> ScanOptions {
        self.level = level.into();
        self
    }

    /// The time each page has, retries included.
    #[must_use]
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> ScanOptions {
        self.timeout = timeout.into();
        self
    }
}
