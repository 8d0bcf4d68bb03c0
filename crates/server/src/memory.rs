//! How the memory that a node is allowed is divided. The budget is meant for the whole process, so a part of it is given to nobody:
//! what the process needs besides its stores of data, and what an allocator loses between blocks of many sizes.

use kvorum_node::Limits;

/// The least budget. Below it so little would be left for data that a node would do nothing but read and write its disk.
pub const MIN_MEMORY: u64 = 64 << 20;

/// Code, stacks, connections with their windows, requests under way: what a busy node holds before it holds any data.
const PROCESS_BYTES: u64 = 32 << 20;
/// The part of the budget that covers what grows with it but is counted nowhere: the allocator's gaps, what compactions have in their
/// hands, the directories of open tables. One part in so many.
const SLACK_PART: u64 = 8;
/// More memory than this makes flushes no cheaper, and recovery slower.
const MOST_MEMTABLE_BYTES: u64 = 64 << 20;
/// One memtable takes writes, two may be on their way to the disk.
const MEMTABLES: u64 = 3;

/// Of a shard's part of what is reserved for the process, writes that are not durable yet may hold one part in so many.
const UNDURABLE_PART: usize = 4;

/// Who gets what of a node's memory, in bytes.
///
/// Of the budget `M`, 32 MiB and an eighth of `M` are reserved for the process itself. Three tenths of the rest go to memtables (at most 3 of
/// 64 MiB), a fifth of what is left then to the cache of hot records, and the others to the cache of blocks.
///
/// ```
/// let shares = kvorum_server::memory::Shares::of(1 << 30);
/// assert_eq!(shares.total(), 1 << 30);
/// assert_eq!(shares.memtable_bytes(), 64 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Reserved for everything that is not below.
    pub process: u64,
    /// All memtables together.
    pub memtables: u64,
    /// Blocks, indexes and filters of tables.
    pub blocks: u64,
    /// Records that are read often.
    pub records: u64,
}

impl Shares {
    /// Divides a budget; one below [`MIN_MEMORY`] counts as that.
    #[must_use]
    pub fn of(budget: u64) -> Self {
        let budget = budget.max(MIN_MEMORY);
        let process = PROCESS_BYTES + budget / SLACK_PART;
        let rest = budget - process;
        let memtables = (rest / 10 * 3).min(MEMTABLES * MOST_MEMTABLE_BYTES);
        let caches = rest - memtables;
        let records = caches / 5;
        Self { process, memtables, blocks: caches - records, records }
    }

    /// The budget that was divided.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.process + self.memtables + self.blocks + self.records
    }

    /// What each of so many shards may take on at once: no more than fits into what is reserved for the process.
    pub(crate) fn limits(&self, shards: usize) -> Limits {
        let most = Limits::default();
        let part = usize::try_from(self.process).unwrap_or(usize::MAX) / shards.max(1);
        Limits {
            operation_bytes: most.operation_bytes.min(part),
            undurable_bytes: most.undurable_bytes.min(part / UNDURABLE_PART),
            ..most
        }
    }

    /// Of how many memtables [`Self::memtables`] is made.
    #[must_use]
    pub fn memtable_count(&self) -> usize {
        MEMTABLES as usize
    }

    /// How large one memtable may become.
    #[must_use]
    pub fn memtable_bytes(&self) -> u64 {
        self.memtables / MEMTABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_given_away_once_and_everybody_gets_something() {
        for budget in [MIN_MEMORY, MIN_MEMORY + 1, 100_000_007, 128 << 20, 256 << 20, 1 << 30, 64 << 30, 3 << 40] {
            let shares = Shares::of(budget);
            assert_eq!(shares.total(), budget);
            assert!(shares.process >= PROCESS_BYTES && shares.process < budget * 2 / 3, "{shares:?}");
            assert!((2 << 20..=MOST_MEMTABLE_BYTES).contains(&shares.memtable_bytes()), "{shares:?}");
            assert!(shares.blocks >= 12 << 20 && shares.records >= 3 << 20, "{shares:?}");
            assert!(shares.blocks > shares.records, "{shares:?}");
        }
    }

    #[test]
    fn more_memory_is_more_for_everybody_until_the_memtables_are_large_enough() {
        let budgets: Vec<Shares> = (26..40).map(|bits| Shares::of(1 << bits)).collect();
        for pair in budgets.windows(2) {
            assert!(pair[0].blocks < pair[1].blocks && pair[0].records < pair[1].records, "{pair:?}");
            assert!(pair[0].memtables < pair[1].memtables || pair[1].memtable_bytes() == MOST_MEMTABLE_BYTES);
        }
        assert_eq!(Shares::of(1 << 40).memtable_bytes(), MOST_MEMTABLE_BYTES);
    }

    #[test]
    fn what_is_under_way_fits_into_what_is_reserved() {
        for (budget, shards) in [(MIN_MEMORY, 1), (MIN_MEMORY, 256), (256 << 20, 2), (16 << 30, 4)] {
            let shares = Shares::of(budget);
            let limits = shares.limits(shards);
            assert!((limits.operation_bytes * shards) as u64 <= shares.process, "{limits:?}");
            assert!(limits.undurable_bytes > 0 && limits.undurable_bytes < limits.operation_bytes, "{limits:?}");
        }
        assert_eq!(Shares::of(16 << 30).limits(1).operation_bytes, Limits::default().operation_bytes);
    }

    #[test]
    fn less_than_the_least_counts_as_the_least() {
        assert_eq!(Shares::of(0), Shares::of(MIN_MEMORY));
    }
}
