//! What a bench is set up with, and what its engine answers to a scan.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_vclock::Timestamp;

use super::super::super::*;
use super::catalog;
use crate::{Catalog, KeyRange, Layout};

/// What a bench is set up with: five nodes, of which the first three hold all keys, unless a layout is given.
pub(in super::super) struct Setup {
    pub(in super::super) me: u64,
    pub(in super::super) replicas: u16,
    /// Whether the others may stand in for them.
    pub(in super::super) fallbacks: bool,
    pub(in super::super) layout: Option<Arc<Layout>>,
    pub(in super::super) catalog: Arc<Catalog>,
    pub(in super::super) down: Vec<u64>,
    pub(in super::super) in_doubt: Vec<u64>,
    pub(in super::super) limits: Limits,
    pub(in super::super) hedge_after: Duration,
    pub(in super::super) clock_floor: Timestamp,
    pub(in super::super) ceiling: Timestamp,
    /// Which of how many shards it is.
    pub(in super::super) shard: (u16, usize),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            me: 1,
            replicas: 3,
            fallbacks: false,
            layout: None,
            catalog: catalog(),
            down: Vec::new(),
            in_doubt: Vec::new(),
            limits: Limits::default(),
            hedge_after: Duration::from_secs(60),
            clock_floor: Timestamp::MIN,
            ceiling: Timestamp::MAX,
            shard: (0, 1),
        }
    }
}

/// A page of what an engine holds.
pub(in super::super) fn page(store: &BTreeMap<StoredKey, Record>, range: &KeyRange, limit_bytes: u32) -> Page {
    let mut page = Page::default();
    let mut bytes = 0;
    for (key, record) in store.iter().filter(|(key, _)| range.contains(key.as_bytes())) {
        if bytes >= limit_bytes as usize {
            page.more = true;
            break;
        }
        bytes += crate::row_weight(key, record);
        page.rows.push((key.clone(), record.clone()));
    }
    page
}
