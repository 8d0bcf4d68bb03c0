//! The sweep: dropping spare hints that are too old while their target cannot be sent to. It reads only
//! partitions that may have such, and of these only the rows that are old enough.

use alloc::vec::Vec;

use super::{Open, Reading, State, Target, Wanted};
use crate::{Config, Kind, Seq};

impl<P: Ord + Clone> Target<P> {
    /// Asks for a sweep of everything before `end`.
    pub(crate) fn begin_sweep(&mut self, end: Seq) {
        if self.sums.spare() > 0 {
            self.sweep = Some(end);
        }
    }

    /// The next hint to be dropped by a sweep, which is in flight from now on.
    pub(crate) fn next_drop(&mut self) -> Option<(P, Seq)> {
        let end = self.sweep?;
        if self.waiting == 0 {
            return None;
        }
        let mut old = self
            .open
            .iter_mut()
            .filter(|((_, seq), open)| open.state == State::Waiting && open.kind == Kind::Spare && *seq < end);
        let ((partition, seq), open) = old.next()?;
        open.state = State::Dropping;
        self.waiting -= 1;
        Some((partition.clone(), *seq))
    }

    /// The next read of the sweep, which is outstanding from now on. The sweep is over when there is none.
    pub(super) fn next_sweep(&mut self, config: &Config) -> Option<Wanted<P>> {
        let end = self.sweep?;
        // What a sweep holds takes the place of the page.
        self.drop_page();
        let room = (config.in_flight.saturating_add(config.page)).saturating_sub(self.open.len() + self.ahead.len());
        if self.reading.is_some() || room == 0 {
            return None;
        }
        let may_have = self.partitions.iter().find(|(_, it)| {
            it.sums.spare() > 0 && it.sums.unread() && Seq::after(it.looked.max(it.swept).max(it.cursor)) < end
        });
        let Some((partition, it)) = may_have else {
            self.sweep = None;
            return None;
        };
        let (partition, after) = (partition.clone(), it.swept.max(it.cursor));
        let wanted = Wanted { partition, after, limit: room.min(config.page) };
        self.reads(&wanted, true);
        Some(wanted)
    }

    pub(super) fn swept(&mut self, reading: &Reading<P>, rows: Vec<(Seq, u32, Kind)>, more: bool) {
        let Some(end) = self.sweep else { return };
        let partition = &reading.partition;
        let (mut swept, mut looked) = (reading.after, if more { None } else { end.before() });
        for (seq, bytes, kind) in rows {
            let newest = reading.newest(seq, bytes, kind);
            if seq >= end {
                looked = seq.before();
                break;
            }
            // A row that does not show yet that its hint is owed could be taken for a dropped one later.
            if newest.1 != kind {
                looked = end.before();
                break;
            }
            if kind == Kind::Spare && !self.open.contains_key(&(partition.clone(), seq)) {
                let (bytes, kind) = newest;
                self.change(partition, |it| it.hold(bytes, kind));
                self.open.insert((partition.clone(), seq), Open { bytes, kind, state: State::Waiting });
                self.waiting += 1;
            }
            swept = Some(seq);
        }
        self.change(partition, |it| {
            it.swept = it.swept.max(swept);
            it.looked = it.looked.max(looked);
        });
    }
}
