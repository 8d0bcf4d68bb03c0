//! The sum over the list, and the rings.

use super::*;
use alloc::collections::BTreeSet;
use std::vec;

fn roster(ids: impl IntoIterator<Item = u32>) -> Roster<u32, u32> {
    let mut roster = Roster::new();
    ids.into_iter().for_each(|id| roster.insert(id, Arc::new(Record::new(Incarnation(1), id)), 0, 0));
    roster
}

fn watched(roster: &mut Roster<u32, u32>, me: u32, rings: usize) -> BTreeSet<u32> {
    // Here one roster serves many nodes.
    roster.lists_stale = true;
    roster.renew_lists(&me);
    let places = roster.ring(&me, rings);
    places.into_iter().map(|place| *roster.id(place as usize)).collect()
}

#[test]
fn equal_lists_have_equal_sums_whatever_led_to_them() {
    let mut a = roster([5, 1, 9]);
    let mut b = roster([9, 3, 5, 1]);
    assert_ne!(a.sum(), b.sum());
    let place = b.place(&3).unwrap();
    b.remove(place);
    assert_eq!((a.sum(), a.counted()), (b.sum(), 3));
    let place = a.place(&5).unwrap();
    a.change(place, |slot| Arc::make_mut(&mut slot.record).version = 2);
    assert_ne!(a.sum(), b.sum());
    b.change(place, |slot| Arc::make_mut(&mut slot.record).version = 2);
    assert_eq!(a.sum(), b.sum());
    a.beat(place, 100, 7);
    assert_eq!(a.sum(), b.sum(), "counters always differ");
    a.change(place, |slot| slot.state = State::Down);
    assert_eq!((a.sum(), a.counted()), (roster([1, 9]).sum(), 2), "the dead are not compared");
}

#[test]
fn those_who_may_testify_are_counted() {
    let mut roster = roster(0..5);
    assert_eq!(roster.present(), 5);
    roster.change(1, |slot| slot.stalled = true);
    roster.change(2, |slot| (slot.has_fallen, slot.stalled) = (true, true));
    roster.change(3, |slot| Arc::make_mut(&mut slot.record).left = true);
    assert_eq!(roster.present(), 2);
    roster.remove(2);
    roster.change(1, |slot| slot.stalled = false);
    assert_eq!(roster.present(), 3);
}

#[test]
fn every_member_has_its_watchers_in_clusters_of_any_size() {
    for n in [2, 5, 9, 10, 30, 300] {
        let mut roster = roster(0..n);
        let mut watchers = vec![0; n as usize];
        for me in 0..n {
            let watched = watched(&mut roster, me, 4);
            assert!(!watched.contains(&me));
            assert!(watched.len() <= 8);
            watched.into_iter().for_each(|id| watchers[id as usize] += 1);
        }
        let (least, sum) = (*watchers.iter().min().unwrap(), watchers.iter().sum::<u32>());
        if n <= 9 {
            assert!(watchers.iter().all(|it| *it == n - 1), "everybody watches everybody");
        } else {
            // Two rings may give the same watcher.
            assert!(least >= 2, "of {n} one has {least} watchers");
            assert!(f64::from(sum) / f64::from(n) > 3.4, "of {n}: {sum}");
        }
    }
}

#[test]
fn who_watches_the_dead_also_watches_the_next_one() {
    let mut roster = roster(0..200);
    let first = watched(&mut roster, 7, 4);
    assert_eq!(first.len(), 4);
    for id in &first {
        let place = roster.place(id).unwrap();
        roster.change(place, |slot| slot.state = State::Down);
    }
    let second = watched(&mut roster, 7, 4);
    assert!(second.is_superset(&first) && second.len() == 8, "{first:?} {second:?}");
    let stalled = *second.difference(&first).next().unwrap();
    let place = roster.place(&stalled).unwrap();
    roster.change(place, |slot| slot.stalled = true);
    assert_eq!(watched(&mut roster, 7, 4).len(), 9, "and if it suspects that one, the one before");
}

#[test]
fn a_node_cut_off_from_all_does_not_watch_them_all() {
    let mut roster = roster(0..2000);
    for place in 1..2000 {
        roster.change(place, |slot| slot.state = State::Unreachable);
    }
    assert!(watched(&mut roster, 0, 4).len() <= 4 * MAX_LOST);
}

impl<I: Ord + Clone + Codec, A> Roster<I, A> {
    /// Whether what is kept along the way is what counting from scratch finds.
    pub(crate) fn sums_are_right(&self) -> bool {
        let counted = || self.slots.iter().filter(|slot| slot.is_counted());
        self.sum == counted().fold(0, |sum, slot| sum.wrapping_add(slot.term()))
            && self.counted as usize == counted().count()
            && self.absent == self.slots.iter().filter(|slot| slot.is_absent()).count()
            && self.ids.is_sorted_by(|a, b| a < b)
    }
}
