//! How tables of each level are written.

use super::engine::Engine;
use crate::options::{LAST_LEVEL, Options};
use crate::table::TableOptions;
use crate::version::Version;

/// How a table for a level is written.
pub(super) fn table_options(options: &Options, version: &Version, level: usize) -> TableOptions {
    let targets = options.level_targets(version.bytes(LAST_LEVEL));
    TableOptions {
        block_bytes: options.block_bytes,
        restart_interval: options.restart_interval,
        compression: options.level_compression(level, &targets),
        filter_bits: options.level_filter_bits(&targets)[level],
    }
}

impl Engine {
    pub(crate) fn table_options(&self, version: &Version, level: usize) -> TableOptions {
        table_options(&self.options, version, level)
    }
}
