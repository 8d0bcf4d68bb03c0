//! Both caches hold what they may, and no more.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::table::tests::some_block;

#[test]
fn the_least_recently_used_goes_first() {
    let weight = Cached::Block(some_block(4000)).weight() as u64;
    // An eighth is for what is pinned.
    let cache = LruCache::new(weight * 3 * 8 / 7 + 8);
    (0..3).for_each(|offset| cache.insert(1, offset, Cached::Block(some_block(4000))));
    assert!(cache.get(1, 0).is_some());
    cache.touch(1, 1);
    cache.insert(1, 3, Cached::Block(some_block(4000)));
    assert!(cache.get(1, 2).is_none());
    for offset in [0, 1, 3] {
        assert!(cache.get(1, offset).is_some());
    }
    cache.insert(1, 3, Cached::Block(some_block(4000)));
    assert_eq!(cache.weight(), 3 * weight);
    cache.remove(1, 3);
    assert!(cache.get(1, 3).is_none() && cache.get(2, 0).is_none());
    assert_eq!(cache.weight(), 2 * weight);
}

#[test]
fn what_is_larger_than_the_cache_is_not_held() {
    let cache = LruCache::new(1000);
    cache.insert(1, 0, Cached::Block(some_block(4000)));
    assert_eq!(cache.weight(), 0);
    let cache = QuickCache::new(1000);
    cache.insert(1, 0, Cached::Block(some_block(4000)));
    assert_eq!(cache.weight(), 0);
}

#[test]
fn weights_stay_below_the_capacity() {
    let capacity = 400_000;
    let (lru, quick) = (LruCache::new(capacity), QuickCache::new(capacity));
    let caches: [&dyn BlockCache; 2] = [&lru, &quick];
    for cache in caches {
        assert!(cache.pin(30_000) && !cache.pin(30_000));
        for offset in 0..2000 {
            let _ = cache.get(offset % 7, offset % 500);
            cache.insert(offset % 7, offset, Cached::Block(some_block(100 + offset as usize * 3)));
        }
    }
    for cache in caches {
        assert!(cache.weight() <= capacity && cache.weight() > capacity / 2, "{}", cache.weight());
        cache.unpin(30_000);
        assert!(cache.pin(50_000));
    }
}

#[test]
fn blocks_that_are_evicted_are_freed_and_read_again() {
    let (disk, path) = crate::table::tests::some_table(20_000);
    let cache: Arc<dyn BlockCache> = Arc::new(LruCache::new(600_000));
    let table = crate::table::Table::open(&disk, Path::new(path), 7, cache.clone()).unwrap();
    assert!(table.pinned_bytes() > 0);
    for round in 1..=2 {
        for number in 0..20_000_u64 {
            assert!(table.get(&number.to_be_bytes(), 1).unwrap().is_some());
        }
        assert!(cache.weight() <= 600_000);
        // In turn, so that none is there when it is needed again.
        assert_eq!(table.reads().blocks, round * table.properties().blocks);
    }
    assert_eq!(table.reads().found, 40_000);
}
