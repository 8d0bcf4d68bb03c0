use super::*;
use crate::contradiction::script::Random;

type Register = ExplicitRegister<u32>;

#[test]
fn a_write_replaces_what_its_context_contains_and_nothing_else() {
    let mut register = Register::default();
    register.write(1, &CausalHistory::default());
    let (_, context) = register.read();
    register.write(2, &CausalHistory::default());
    assert_eq!(register.read().0, [1, 2]);
    let version = register.write(3, &context);
    assert_eq!(version.past.iter().collect::<Vec<_>>(), [&1]);
    assert_eq!(register.read().0, [2, 3]);
}

#[test]
fn a_replaced_version_that_arrives_late_stays_away_even_if_it_was_never_here() {
    let (mut here, mut there) = (Register::default(), Register::default());
    let first = there.write(1, &CausalHistory::default());
    let second = there.write(2, &there.read().1);
    let third = there.write(3, &there.read().1);
    here.insert(third);
    here.insert(second);
    here.insert(first);
    assert_eq!(here, there);
    assert_eq!(here.read().0, [3]);
}

#[test]
fn a_context_stands_for_replaced_versions_too() {
    let mut register = Register::default();
    register.write(1, &CausalHistory::default());
    let (_, early) = register.read();
    register.write(2, &early);
    let (_, context) = register.read();
    assert!(context.contains(&1) && context.contains(&2) && early.is_within(&context));
    assert!(!context.is_within(&early));
}

#[test]
#[should_panic(expected = "a number names one write")]
fn a_number_is_not_used_twice() {
    let mut register = Register::default();
    register.write(1, &CausalHistory::default());
    register.write(2, &register.read().1);
    register.write(1, &CausalHistory::default());
}

/// Some registers that have seen some of the same writes, and beside each all versions that ever reached it.
fn draw(random: &mut Random) -> Vec<(Register, Vec<ExplicitVersion<u32>>)> {
    let mut replicas = vec![(Register::default(), Vec::new()); 3];
    let mut context = CausalHistory::default();
    for id in 0..12 {
        let at = random.index(3);
        match random.below(4) {
            0 => context = replicas[at].0.read().1,
            1 => {
                let (other, seen) = replicas[random.index(3)].clone();
                replicas[at].0.merge(&other);
                replicas[at].1.extend(seen);
            }
            blind => {
                let context = if blind == 2 { CausalHistory::default() } else { context.clone() };
                let version = replicas[at].0.write(id, &context);
                replicas[at].1.push(version);
            }
        }
    }
    replicas
}

#[test]
fn a_register_holds_the_maximal_ones_of_all_versions_that_reached_it() {
    let mut random = Random(3);
    for _ in 0..2000 {
        for (register, seen) in draw(&mut random) {
            let maximal = |version: &&ExplicitVersion<u32>| !seen.iter().any(|other| other.past.contains(&version.id));
            let expected: BTreeSet<u32> = seen.iter().filter(maximal).map(|version| version.id).collect();
            assert_eq!(register.read().0, Vec::from_iter(expected), "{seen:?}");
        }
    }
}

#[test]
fn merging_commutes_associates_and_is_idempotent() {
    let mut random = Random(4);
    let merged = |a: &Register, b: &Register| {
        let mut merged = a.clone();
        merged.merge(b);
        merged
    };
    for _ in 0..2000 {
        let replicas = draw(&mut random);
        let [a, b, c] = [0, 1, 2].map(|at| &replicas[at].0);
        assert_eq!(merged(a, b), merged(b, a));
        assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)));
        assert_eq!(merged(a, a), *a);
    }
}
