//! Owns what is new and has not been told often enough.

use alloc::collections::{BTreeMap, BTreeSet};

/// Records that have changed, each with how often it was told. The least told go first.
#[derive(Clone, Debug)]
pub(crate) struct News<I> {
    items: BTreeMap<I, Item>,
    order: BTreeSet<(u32, I)>,
    /// How many peers in a row have come with the same list, since the last change.
    agreements: u32,
}

/// When so many peers in a row knew it all already, nobody needs to be told any more (Demers et al. 1987, section 1.4: who
/// meets those that know loses interest). The few that do not are found when lists are compared.
const AGREEMENTS: u32 = 8;

#[derive(Clone, Copy, Debug)]
struct Item {
    /// Everybody had this version before, as far as this node can tell.
    after: u64,
    told: u32,
}

impl<I: Ord + Clone> News<I> {
    pub(crate) fn new() -> Self {
        Self { items: BTreeMap::new(), order: BTreeSet::new(), agreements: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The record of `id` has changed since this version.
    pub(crate) fn add(&mut self, id: &I, after: u64) {
        self.agreements = 0;
        let mut item = Item { after, told: 0 };
        if let Some(old) = self.items.get(id) {
            self.order.remove(&(old.told, id.clone()));
            item.after = after.min(old.after);
        }
        self.items.insert(id.clone(), item);
        self.order.insert((0, id.clone()));
    }

    /// The least told first, each with the version after which it is news.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&I, u64)> {
        self.order.iter().filter_map(|(_, id)| self.items.get(id).map(|item| (id, item.after)))
    }

    /// It was told once more, and is no news any longer after so many times.
    pub(crate) fn told(&mut self, id: &I, enough: u32) {
        let Some(item) = self.items.get_mut(id) else { return };
        self.order.remove(&(item.told, id.clone()));
        item.told += 1;
        if item.told >= enough {
            self.items.remove(id);
        } else {
            self.order.insert((item.told, id.clone()));
        }
    }

    /// A peer has come by itself, with the same list or another.
    pub(crate) fn compared(&mut self, equal: bool) {
        self.agreements = if equal { self.agreements.saturating_add(1) } else { 0 };
        if self.agreements >= AGREEMENTS {
            self.items.clear();
            self.order.clear();
        }
    }

    pub(crate) fn remove(&mut self, id: &I) {
        if let Some(item) = self.items.remove(id) {
            self.order.remove(&(item.told, id.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn the_least_told_go_first_until_all_were_told_often_enough() {
        let mut news = News::new();
        news.add(&'a', 3);
        news.add(&'b', 0);
        news.told(&'a', 3);
        assert_eq!(news.iter().collect::<Vec<_>>(), vec![(&'b', 0), (&'a', 3)]);
        news.told(&'a', 3);
        news.told(&'b', 3);
        // A further change of the same record is told from where the first began.
        news.add(&'a', 5);
        assert_eq!(news.iter().collect::<Vec<_>>(), vec![(&'a', 3), (&'b', 0)]);
        (0..3).for_each(|_| news.told(&'a', 3));
        assert_eq!(news.iter().collect::<Vec<_>>(), vec![(&'b', 0)]);
        news.remove(&'b');
        news.told(&'b', 3);
        assert!(news.is_empty() && news.order.is_empty());
    }

    #[test]
    fn what_everybody_knows_is_no_news() {
        let mut news = News::new();
        news.add(&'a', 3);
        (1..AGREEMENTS).for_each(|_| news.compared(true));
        news.compared(false);
        (1..AGREEMENTS).for_each(|_| news.compared(true));
        assert!(!news.is_empty(), "one in a row did not agree");
        news.add(&'b', 3);
        news.compared(true);
        assert!(!news.is_empty(), "nobody can agree about the latest yet");
        (1..AGREEMENTS).for_each(|_| news.compared(true));
        assert!(news.is_empty() && news.order.is_empty());
    }
}
