use super::*;
use crate::random::Purpose;

fn drawn(seed: u64, faults: FaultRates) -> Vec<Trouble> {
    let config = SimConfig { faults, racks: 2, ..SimConfig::from_seed(seed).with_nodes(5) };
    schedule(&config, &mut Random::stream(seed, Purpose::Fault), Duration::from_secs(1), Duration::from_secs(300))
}

fn everything() -> FaultRates {
    FaultRates {
        power_failure: 10,
        rack_failure: 10,
        rack_cut: 10,
        pause: 10,
        slow_disk: 10,
        full_disk: 10,
        failed_sync: 10,
        failed_write: 10,
        lost_disk: 10,
        losable_disks: LosableDisks { known: 2, unknown: 2 },
        ..FaultRates::ORDINARY
    }
}

#[test]
fn every_kind_of_trouble_comes() {
    let schedule = drawn(1, everything());
    let count = |wanted: fn(&Fault) -> bool| schedule.iter().filter(|trouble| wanted(&trouble.fault)).count();
    assert!(count(|fault| matches!(fault, Fault::Crash(hosts) if hosts.len() == 1)) > 10);
    assert!(count(|fault| matches!(fault, Fault::Crash(hosts) if hosts.len() == 5)) > 5);
    assert!(count(|fault| matches!(fault, Fault::Cut(_))) > 10 && count(|fault| matches!(fault, Fault::Storm(_))) > 10);
    assert!(
        count(|fault| matches!(fault, Fault::Pause(_))) > 5 && count(|fault| matches!(fault, Fault::SlowDisk(_))) > 5
    );
    assert!(count(|fault| matches!(fault, Fault::FullDisk(_))) > 5);
    assert!(count(|fault| matches!(fault, Fault::FailedSync(_))) > 5);
    assert!(count(|fault| matches!(fault, Fault::FailedWrite(_))) > 5);
    assert!(count(|fault| matches!(fault, Fault::LostDisk(_))) > 5);
    assert!(count(|fault| matches!(fault, Fault::RestoredDisk(_))) > 5);
    assert!(schedule.is_sorted_by_key(|trouble| trouble.at));
}

#[test]
fn cuts_part_hosts_that_there_are() {
    for hosts in 2..6 {
        let mut random = Random::stream(hosts as u64, Purpose::Fault);
        for _ in 0..200 {
            let cut = draw_cut(hosts, &mut random);
            assert!(!cut.from.is_empty() && !cut.to.is_empty(), "{cut:?}");
            assert_eq!(cut.from.without(cut.to), cut.from, "{cut:?}");
            assert!(cut.from.without(HostSet::first(hosts)).is_empty(), "{cut:?}");
            assert!(cut.to.without(HostSet::first(hosts)).is_empty(), "{cut:?}");
        }
    }
}

#[test]
fn a_calm_run_has_no_faults() {
    assert_eq!(drawn(1, FaultRates::NONE), []);
}

#[test]
fn no_old_copy_comes_where_a_node_that_does_not_know_of_it_cannot_be_spared() {
    let known = LosableDisks { known: 2, unknown: 0 };
    let schedule = drawn(1, FaultRates { losable_disks: known, ..everything() });
    assert!(schedule.iter().any(|trouble| matches!(trouble.fault, Fault::LostDisk(_))));
    assert!(!schedule.iter().any(|trouble| matches!(trouble.fault, Fault::RestoredDisk(_))));
}

#[test]
fn some_faults_can_be_picked_and_keep_their_moments() {
    let all = drawn(1, everything());
    let config = SimConfig {
        faults: everything(),
        racks: 2,
        only_faults: Some(vec![all[3].id, all[7].id]),
        ..SimConfig::from_seed(1).with_nodes(5)
    };
    let mut random = Random::stream(1, Purpose::Fault);
    let some = schedule(&config, &mut random, Duration::from_secs(1), Duration::from_secs(300));
    assert_eq!(some, [all[3], all[7]]);
}
