//! What the settings of a keyspace must keep to, given where replicas lie: a minimum that no request can reach, or a
//! default that every request would be refused for, is refused when it is set and not when it is used.

use std::collections::BTreeSet;

use kvorum_quorum::{Level, Requirement};

use super::{CatalogError, Settings};
use crate::Layout;

impl Settings {
    /// Checks the levels against the replicas of every partition.
    ///
    /// # Errors
    /// When a minimum exceeds the number of replicas, or a default level cannot be met or lies below its minimum.
    pub fn check(&self, layout: &Layout) -> Result<(), CatalogError> {
        let mut centres: Vec<&str> = layout.members().iter().map(|member| &*member.dc).collect();
        centres.sort_unstable();
        centres.dedup();
        let centre_of = |index: &u16| {
            let dc = &*layout.members()[usize::from(*index)].dc;
            centres.binary_search(&dc).ok().and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
        };
        let default = if centres.len() > 1 { Level::LocalQuorum } else { Level::Quorum };
        // There are many partitions, and few ways in which their replicas lie.
        let rows: BTreeSet<Vec<u8>> =
            layout.table().rows().map(|(_, row)| row.iter().map(centre_of).collect()).collect();
        for row in rows {
            check_level("r", self.read.unwrap_or(default), self.min_read, &row)?;
            check_level("w", self.write.unwrap_or(default), self.min_write, &row)?;
        }
        Ok(())
    }
}

/// Checks the level of one kind of request, `r` or `w`, for one partition, whose replicas lie in these data centres.
fn check_level(kind: &'static str, level: Level, minimum: u8, centres: &[u8]) -> Result<(), CatalogError> {
    let replicas = centres.len();
    if usize::from(minimum) > replicas {
        return Err(CatalogError::MinimumTooHigh { kind, minimum, replicas });
    }
    // A local quorum is as large as the coordinator's own data centre makes it.
    let mut locals = centres.to_vec();
    locals.sort_unstable();
    locals.dedup();
    for local in locals {
        let requirement = Requirement::resolve(level, centres, local);
        let requirement = requirement.map_err(|error| CatalogError::LevelUnmet { kind, why: error.to_string() })?;
        let answers = requirement.minimum();
        if answers < usize::from(minimum) {
            return Err(CatalogError::DefaultTooLow { kind, level, answers, replicas, minimum });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kvorum_ring::{Partitions, Replication};

    use super::*;
    use crate::{LayoutMember, NodeId};

    /// A layout of nodes that stand in these data centres, as many replicas in each.
    fn layout(centres: &[&str]) -> Layout {
        let member = |(id, dc): (u64, &&str)| LayoutMember {
            id: NodeId(id),
            name: format!("n{id}").into(),
            dc: (*dc).into(),
            rack: "rack1".into(),
            weight: 1,
        };
        let members = (1..).zip(centres).map(member).collect();
        Layout::found(Partitions::new(8).unwrap(), &Replication::PerCentre(3), members).unwrap()
    }

    fn settings(read: &str, min_read: u8, write: &str, min_write: u8) -> Settings {
        let level = |name: &str| (name != "-").then(|| name.parse().unwrap());
        Settings { read: level(read), min_read, write: level(write), min_write, ..Settings::default() }
    }

    #[test]
    fn levels_that_replicas_can_meet_are_taken() {
        let one = layout(&["a"]);
        let three = layout(&["a", "a", "a"]);
        let two_centres = layout(&["a", "a", "a", "b", "b"]);
        for (layout, settings) in [
            (&one, settings("all", 1, "-", 1)),
            (&three, settings("-", 0, "-", 2)),
            (&three, settings("all", 3, "three", 3)),
            (&two_centres, settings("-", 2, "each_quorum", 4)),
        ] {
            assert_eq!(settings.check(layout), Ok(()), "{settings:?}");
        }
    }

    #[test]
    fn a_minimum_above_the_replicas_is_refused() {
        let too_high = Err(CatalogError::MinimumTooHigh { kind: "w", minimum: 2, replicas: 1 });
        assert_eq!(settings("-", 0, "all", 2).check(&layout(&["a"])), too_high);
        let too_high = Err(CatalogError::MinimumTooHigh { kind: "r", minimum: 255, replicas: 3 });
        assert_eq!(settings("all", 255, "-", 0).check(&layout(&["a"; 3])), too_high);
    }

    #[test]
    fn a_default_that_would_always_be_refused_is_refused_at_once() {
        let three = layout(&["a"; 3]);
        // The default of the default is a majority.
        let low = CatalogError::DefaultTooLow { kind: "r", level: Level::Quorum, answers: 2, replicas: 3, minimum: 3 };
        assert_eq!(settings("-", 3, "-", 0).check(&three), Err(low));
        let low = CatalogError::DefaultTooLow { kind: "w", level: Level::One, answers: 1, replicas: 3, minimum: 2 };
        assert_eq!(settings("-", 0, "one", 2).check(&three), Err(low));
        assert!(matches!(settings("5", 0, "-", 0).check(&three), Err(CatalogError::LevelUnmet { kind: "r", .. })));
        // In the smaller centre a local quorum is two of two, in the larger two of three.
        let two_centres = layout(&["a", "a", "a", "b", "b"]);
        assert!(matches!(settings("-", 3, "-", 0).check(&two_centres), Err(CatalogError::DefaultTooLow { .. })));
    }
}
