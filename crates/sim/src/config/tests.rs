use kvorum_quorum::Requirement;

use super::*;

#[test]
fn seeds_draw_every_shape_and_each_the_same_again() {
    let shapes: Vec<_> = (0..100).map(SimConfig::from_seed).collect();
    for (nodes, replication) in [(1, 1), (2, 2), (3, 3), (4, 1), (5, 3), (5, 5)] {
        assert!(shapes.iter().any(|config| (config.nodes, config.replication) == (nodes, replication)));
    }
    let some = |wanted: fn(&SimConfig) -> bool| shapes.iter().any(wanted) && !shapes.iter().all(wanted);
    assert!(some(|config| config.shards == 1) && some(|config| config.rough_start));
    assert!(some(SimConfig::is_strict) && some(|config| config.limits.operations < 100));
    assert!(some(|config| config.faults.losable_disks.known > 0) && some(|config| config.faults.crash > 0));
    assert!(some(|config| config.consistency == Consistency::Sloppy) && some(|config| config.mode == Mode::Causal));
    assert!(some(|config| config.mix.scan > 0) && some(|config| config.clocks.max_jump_ms > 0));
    assert!(some(|config| config.engine.memtable_bytes == 4 << 10) && some(|config| config.engine.cache_bytes == 0));
    assert_eq!(format!("{:?}", SimConfig::from_seed(9)), format!("{:?}", shapes[9]));
    shapes.iter().for_each(SimConfig::check);
}

#[test]
fn a_level_means_as_many_replicas_as_a_coordinator_takes_it_to_mean() {
    for replication in 1..=5 {
        let centres = vec![0; usize::from(replication)];
        for level in [Level::One, Level::Quorum, Level::All] {
            let wanted = Requirement::resolve(level, &centres, 0).unwrap().minimum();
            assert_eq!(Levels::count(level, replication), wanted as i32, "{level} of {replication}");
        }
    }
}

#[test]
fn fewer_nodes_hold_fewer_replicas() {
    let config = SimConfig::from_seed(1).with_nodes(2);
    assert_eq!(config.nodes, 2);
    assert!(config.replication <= 2);
    config.check();
}

#[test]
fn disks_may_be_lost_only_where_others_keep_what_they_held_and_levels_overlap_by_more_than_they_need() {
    let of = |mode| {
        move |read, write, replication| {
            let LosableDisks { known, unknown } = Levels { read, write }.losable_disks(replication, mode);
            (known, unknown)
        }
    };
    let lww = of(Mode::Lww);
    assert_eq!(lww(Level::Quorum, Level::Quorum, 3), (0, 0));
    assert_eq!(lww(Level::Quorum, Level::All, 3), (2, 1));
    assert_eq!(lww(Level::One, Level::All, 3), (2, 0));
    assert_eq!(lww(Level::All, Level::All, 5), (4, 4));
    assert_eq!(lww(Level::All, Level::Quorum, 3), (0, 0), "two writes overlap in one replica only");
    assert_eq!(lww(Level::One, Level::Quorum, 3), (1, 1), "reads may be stale");
    assert_eq!(lww(Level::All, Level::One, 3), (0, 0), "nobody else need have it");
    let causal = of(Mode::Causal);
    assert_eq!(causal(Level::Quorum, Level::Quorum, 3), (1, 0), "no write has to find out which was the newest");
    assert_eq!(causal(Level::All, Level::Quorum, 3), (1, 1));
    assert_eq!(causal(Level::All, Level::One, 3), (0, 0));
}

#[test]
fn who_spares_no_disk_loses_none() {
    let spares = |config: SimConfig| config.faults.losable_disks;
    let drawn = || (0..).map(SimConfig::from_seed).find(|config| spares(config.clone()).known > 1).expect("some do");
    assert_eq!(spares(drawn().with_consistency(Consistency::Sloppy)), LosableDisks::NONE);
    assert_eq!(spares(drawn().with_mode(Mode::Lww).with_levels(Levels::QUORUM).with_nodes(3)), LosableDisks::NONE);
    assert_eq!(spares(drawn().with_nodes(1)), LosableDisks::NONE);
}
