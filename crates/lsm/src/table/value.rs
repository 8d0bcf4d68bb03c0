//! A value as it stands in a block, without a copy.

use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use super::block::Block;

/// The bytes of a value. It keeps the whole block in memory for as long as it lives.
#[derive(Clone)]
pub(crate) struct Value {
    block: Arc<Block>,
    start: u32,
    end: u32,
}

impl Value {
    pub(super) fn new(block: Arc<Block>, (start, end): (u32, u32)) -> Self {
        debug_assert!(start <= end && end as usize <= block.bytes().len(), "a value lies in its block");
        Self { block, start, end }
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.block.bytes()[self.start as usize..self.end as usize]
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
