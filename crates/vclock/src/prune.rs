//! Owns the choice of what to forget when a clock has grown too long. Does not own the forgetting.

use alloc::vec::Vec;

/// The positions, ascending, of all but the `keep` largest of `keys`. Among equal keys the earlier position goes
/// first, so every replica that holds the same entries chooses the same ones. O(n log n).
pub(crate) fn oldest<K: Ord>(keys: impl IntoIterator<Item = K>, keep: usize) -> Vec<usize> {
    let mut ranked: Vec<(K, usize)> = keys.into_iter().zip(0..).collect();
    let excess = ranked.len().saturating_sub(keep);
    if excess == 0 {
        return Vec::new();
    }
    ranked.sort_unstable();
    let mut doomed: Vec<usize> = ranked.into_iter().take(excess).map(|(_, position)| position).collect();
    doomed.sort_unstable();
    doomed
}
