//! Keyspaces: who decides about them, how everybody learns them, and what is answered when something is lost.

use super::super::*;
use super::bench::*;
use crate::{Alteration, Charter, KeyspaceId, Mode, Settings};

fn create(name: &str, mode: Mode) -> CatalogChange {
    CatalogChange::Create { name: name.into(), mode, settings: Settings::default() }
}

fn drop_of(name: &str) -> CatalogChange {
    CatalogChange::Drop { name: name.into() }
}

fn ask(bench: &mut Bench, n: u64, ticket: u64, change: CatalogChange) {
    bench.tell(n, ControlInput::ChangeCatalog { ticket, change, timeout: seconds(5) });
}

fn outcome(bench: &mut Bench, n: u64, ticket: u64) -> Option<ChangeOutcome> {
    bench.at(n).outcomes.get(&ticket).cloned()
}

fn kind(bench: &mut Bench, n: u64, ticket: u64) -> Option<ChangeErrorKind> {
    outcome(bench, n, ticket).and_then(Result::err).map(|error| error.kind)
}

fn id_of(bench: &mut Bench, n: u64, ticket: u64) -> u32 {
    outcome(bench, n, ticket).expect("it was answered").expect("it was made").keyspace.id.0
}

/// The names of the keyspaces in force at a node.
fn names(bench: &mut Bench, n: u64) -> Vec<String> {
    bench.at(n).view().catalog.keyspaces().iter().map(|keyspace| keyspace.name.to_string()).collect()
}

fn again(n: u64, left: &Process) -> ControlConfig {
    ControlConfig { boot: 2, seeds: vec![], saved: left.disk.clone(), clock_floor: left.disk_ceiling, ..newcomer(n) }
}

/// Changes that somebody sent to somebody.
fn questions(bench: &Bench, from: u64, to: u64) -> usize {
    let asked = |body: &ControlBody| matches!(body, ControlBody::ChangeCatalog { .. });
    let sent = bench.wire.iter().filter(|(sender, receiver, _)| (sender, receiver) == (&address(from), &address(to)));
    sent.filter(|(_, _, message)| asked(&message.body)).count()
}

#[test]
fn the_founder_decides_and_everybody_learns_it_and_keeps_it() {
    let mut bench = founded();
    let charter = Charter { founder: NodeId(1), secret: SECRET };
    for n in 1..=3 {
        assert_eq!(bench.at(n).view().catalog.charter(), Some(&charter));
        assert_eq!(names(&mut bench, n), ["default"]);
    }
    ask(&mut bench, 1, 7, create("carts", Mode::Causal));
    let made = outcome(&mut bench, 1, 7).unwrap().unwrap();
    assert_eq!((made.version, made.keyspace.id, made.keyspace.mode), (2, KeyspaceId(2), Mode::Causal));
    bench.run(seconds(3));
    for n in 1..=3 {
        assert_eq!(names(&mut bench, n), ["default", "carts"]);
        let process = bench.at(n);
        assert_eq!(process.disk.catalog, Some(Arc::clone(&process.view().catalog)));
        assert!(process.view().members.values().all(|member| member.catalog == 2), "everybody says that it has it");
        let adopted = Note::CatalogAdopted { version: 2, keyspaces: 2 };
        assert_eq!(process.notes().iter().filter(|note| **note == adopted).count(), 1);
    }
}

#[test]
fn a_change_through_another_node_is_decided_by_the_founder() {
    let mut bench = founded();
    ask(&mut bench, 3, 1, create("carts", Mode::Lww));
    assert_eq!(id_of(&mut bench, 3, 1), 2);
    let alteration = Alteration { ttl_ms: Some(Some(5)), ..Alteration::default() };
    ask(&mut bench, 2, 1, CatalogChange::Alter { name: "carts".into(), alteration });
    assert_eq!(outcome(&mut bench, 2, 1).unwrap().unwrap().keyspace.settings.ttl_ms, Some(5));
    ask(&mut bench, 2, 2, drop_of("default"));
    assert_eq!(kind(&mut bench, 2, 2), Some(ChangeErrorKind::Refused));
    ask(&mut bench, 2, 3, drop_of("nobody"));
    assert_eq!(kind(&mut bench, 2, 3), Some(ChangeErrorKind::Missing));
    bench.run(seconds(3));
    for n in 1..=3 {
        assert_eq!(bench.at(n).view().catalog.by_name("carts").unwrap().settings.ttl_ms, Some(5));
    }
}

#[test]
fn what_the_replicas_cannot_keep_is_refused_by_the_founder() {
    let mut bench = founded();
    let settings = Settings { min_write: 4, ..Settings::default() };
    let change = CatalogChange::Create { name: "carts".into(), mode: Mode::Lww, settings };
    ask(&mut bench, 2, 1, change);
    let error = outcome(&mut bench, 2, 1).unwrap().unwrap_err();
    assert_eq!(error.kind, ChangeErrorKind::Invalid);
    assert!(error.message.contains("min_w 4 is more than the 3 replicas"), "{}", error.message);
    // Each of two alterations would be right by itself.
    ask(&mut bench, 2, 2, create("carts", Mode::Lww));
    let alter = |alteration| CatalogChange::Alter { name: "carts".into(), alteration };
    ask(&mut bench, 2, 3, alter(Alteration { write: Some(Some("one".parse().unwrap())), ..Alteration::default() }));
    ask(&mut bench, 3, 3, alter(Alteration { min_write: Some(2), ..Alteration::default() }));
    assert!(outcome(&mut bench, 2, 3).unwrap().is_ok());
    assert_eq!(kind(&mut bench, 3, 3), Some(ChangeErrorKind::Invalid));
}

#[test]
fn a_catalog_is_saved_before_it_is_used_told_or_answered_for() {
    let mut bench = founded();
    bench.at(1).hold_saves = true;
    ask(&mut bench, 1, 1, create("carts", Mode::Lww));
    ask(&mut bench, 2, 1, create("users", Mode::Lww));
    bench.wire.clear();
    bench.run(seconds(2));
    bench.say(1, 3, Some(CLUSTER), ControlBody::FetchCatalog { have: 1 });
    assert_eq!((outcome(&mut bench, 1, 1), outcome(&mut bench, 2, 1)), (None, None));
    assert_eq!(names(&mut bench, 1), ["default"]);
    assert!(bench.wire.iter().all(|(_, _, message)| !matches!(message.body, ControlBody::Catalog(_))));
    assert_eq!(bench.at(1).saves.len(), 1, "one after the other");
    bench.finish_saves(1);
    assert_eq!((id_of(&mut bench, 1, 1), id_of(&mut bench, 2, 1)), (2, 3), "each on the newest");
    assert_eq!(names(&mut bench, 1), ["default", "carts", "users"]);
}

#[test]
fn without_the_founder_a_change_is_refused_and_says_who_must_be_started() {
    let mut bench = founded();
    let left = bench.kill(1);
    bench.run(seconds(10));
    bench.wire.clear();
    ask(&mut bench, 2, 1, create("carts", Mode::Lww));
    let error = outcome(&mut bench, 2, 1).expect("at once").unwrap_err();
    assert_eq!(error.kind, ChangeErrorKind::Rejected);
    assert!(error.message.contains("n1, which decides about them, is down; start it"), "{}", error.message);
    assert_eq!(questions(&bench, 2, 1), 0, "certainly not made: nobody was asked");
    bench.start(again(1, &left));
    bench.run(seconds(3));
    ask(&mut bench, 2, 2, create("carts", Mode::Lww));
    assert_eq!(id_of(&mut bench, 2, 2), 2);
}

#[test]
fn without_an_answer_nobody_knows_whether_it_was_made() {
    let mut bench = founded();
    bench.cut(2, 1);
    let change = create("carts", Mode::Lww);
    bench.tell(2, ControlInput::ChangeCatalog { ticket: 1, change, timeout: Duration::from_millis(1700) });
    bench.run(Duration::from_millis(1690));
    assert_eq!(outcome(&mut bench, 2, 1), None);
    assert_eq!(questions(&bench, 2, 1), 4, "it is asked again and again");
    bench.run(Duration::from_millis(10));
    let error = outcome(&mut bench, 2, 1).unwrap().unwrap_err();
    assert_eq!(error.kind, ChangeErrorKind::Indeterminate);
    assert!(error.message.starts_with("no answer from n1 in time"), "{}", error.message);
}

#[test]
fn a_change_whose_messages_are_lost_is_made_once_and_answered_as_the_first_time() {
    let mut bench = founded();
    ask(&mut bench, 2, 1, create("carts", Mode::Lww));
    // The question arrives, the answer does not: asked again, the founder knows no such keyspace any more.
    bench.cut(1, 2);
    ask(&mut bench, 2, 2, drop_of("carts"));
    bench.run(Duration::from_millis(100));
    assert_eq!((names(&mut bench, 1), outcome(&mut bench, 2, 2)), (vec!["default".to_owned()], None));
    bench.mend(1, 2);
    bench.run(seconds(1));
    assert_eq!(id_of(&mut bench, 2, 2), 2);
    // Another drop is another question.
    ask(&mut bench, 2, 3, drop_of("carts"));
    assert_eq!(kind(&mut bench, 2, 3), Some(ChangeErrorKind::Missing));
    // The question is lost at first.
    bench.cut(3, 1);
    ask(&mut bench, 3, 1, create("users", Mode::Lww));
    bench.run(Duration::from_millis(700));
    assert_eq!(outcome(&mut bench, 3, 1), None);
    bench.mend(3, 1);
    bench.run(seconds(1));
    assert_eq!(id_of(&mut bench, 3, 1), 3);
    assert_eq!(bench.at(1).view().catalog.version(), 4, "create, drop, create: nothing was done twice");
}

#[test]
fn two_creations_of_one_name_end_in_one_keyspace_or_in_a_clear_error() {
    let mut bench = founded();
    bench.at(1).hold_saves = true;
    ask(&mut bench, 2, 1, create("same", Mode::Causal));
    ask(&mut bench, 3, 1, create("same", Mode::Causal));
    ask(&mut bench, 2, 2, create("other", Mode::Causal));
    ask(&mut bench, 3, 2, create("other", Mode::Lww));
    bench.at(1).hold_saves = false;
    bench.finish_saves(1);
    assert_eq!((id_of(&mut bench, 2, 1), id_of(&mut bench, 3, 1)), (2, 2));
    assert_eq!((id_of(&mut bench, 2, 2), kind(&mut bench, 3, 2)), (3, Some(ChangeErrorKind::Exists)));
    bench.run(seconds(3));
    for n in 1..=3 {
        assert_eq!(names(&mut bench, n), ["default", "same", "other"]);
        assert_eq!(bench.at(n).view().catalog.by_name("other").unwrap().mode, Mode::Causal);
    }
}

#[test]
fn keyspaces_survive_the_death_of_all_and_numbers_are_not_given_away_again() {
    let mut bench = founded();
    ask(&mut bench, 1, 1, create("carts", Mode::Causal));
    ask(&mut bench, 1, 2, create("users", Mode::Lww));
    ask(&mut bench, 1, 3, drop_of("users"));
    bench.run(seconds(3));
    let left: Vec<_> = (1..=3).map(|n| bench.kill(n)).collect();
    for (n, left) in (1..).zip(&left) {
        bench.start(again(n, left));
        assert_eq!(names(&mut bench, n), ["default", "carts"], "in the first view");
    }
    bench.run(seconds(3));
    ask(&mut bench, 2, 4, create("users", Mode::Lww));
    assert_eq!(id_of(&mut bench, 2, 4), 4);
}

#[test]
fn an_older_catalog_never_replaces_a_newer_one() {
    let mut bench = founded();
    ask(&mut bench, 1, 1, create("carts", Mode::Causal));
    bench.run(seconds(3));
    let newest = Arc::clone(&bench.at(1).view().catalog);
    let founding = Catalog::found(*newest.charter().unwrap());
    let other = founding.changed(&create("others", Mode::Lww)).unwrap().0;
    for stale in [founding, other] {
        bench.say(2, 3, Some(CLUSTER), ControlBody::Catalog(Arc::new(stale)));
        bench.run(seconds(1));
        assert_eq!(bench.at(2).view().catalog, newest);
        assert_eq!(bench.at(2).disk.catalog, Some(Arc::clone(&newest)));
    }
}

#[test]
fn a_catalog_with_another_charter_is_never_adopted() {
    let mut bench = founded();
    ask(&mut bench, 1, 1, create("carts", Mode::Causal));
    bench.run(seconds(3));
    for charter in
        [Charter { founder: NodeId(2), secret: SECRET }, Charter { founder: NodeId(1), secret: Secret([1; 32]) }]
    {
        let mut foreign = Catalog::found(charter);
        for n in 0..9 {
            foreign = foreign.changed(&create(&format!("k{n}"), Mode::Lww)).unwrap().0;
        }
        bench.at(2).notes();
        bench.say(2, 3, Some(CLUSTER), ControlBody::Catalog(Arc::new(foreign)));
        assert_eq!(bench.at(2).notes(), [Note::ForeignCatalog { from: "n3".to_owned() }]);
        bench.run(seconds(11));
        assert_eq!(names(&mut bench, 2), ["default", "carts"]);
    }
    let nobodys = Catalog::from_parts(99, None, 2, Catalog::default().keyspaces().to_vec()).unwrap();
    bench.say(2, 3, Some(CLUSTER), ControlBody::Catalog(Arc::new(nobodys)));
    assert_eq!(names(&mut bench, 2), ["default", "carts"]);
}

#[test]
fn strangers_get_no_secret_and_change_nothing() {
    let mut bench = founded();
    bench.wire.clear();
    bench.say(1, 66, None, ControlBody::FetchCatalog { have: 0 });
    bench.say(1, 66, None, ControlBody::ChangeCatalog { ticket: 1, change: create("carts", Mode::Lww) });
    bench.say(1, 66, Some(ClusterId(0xbad)), ControlBody::FetchCatalog { have: 0 });
    assert!(bench.wire.iter().all(|(_, to, _)| *to != address(66)));
    assert_eq!(names(&mut bench, 1), ["default"]);
    // Nobody but the founder answers for it.
    bench.cut(2, 1);
    ask(&mut bench, 2, 1, create("carts", Mode::Lww));
    let outcome_of_nobody = Err(ChangeError { kind: ChangeErrorKind::Missing, message: "no".to_owned() });
    bench.say(2, 3, Some(CLUSTER), ControlBody::CatalogChanged { ticket: 1, outcome: outcome_of_nobody });
    assert_eq!(outcome(&mut bench, 2, 1), None);
    // And who does not decide says so.
    bench.wire.clear();
    bench.say(2, 3, Some(CLUSTER), ControlBody::ChangeCatalog { ticket: 9, change: create("carts", Mode::Lww) });
    let refused = bench.wire.iter().any(|(_, to, message)| {
        *to == address(3) && matches!(&message.body, ControlBody::CatalogChanged { ticket: 9, outcome: Err(_) })
    });
    assert!(refused);
}

#[test]
fn a_change_that_cannot_be_saved_is_not_in_force_and_may_be_asked_for_again() {
    let mut bench = founded();
    bench.at(1).hold_saves = true;
    ask(&mut bench, 2, 1, create("carts", Mode::Lww));
    let (version, state) = bench.at(1).saves.pop_front().unwrap();
    assert_eq!(state.catalog.unwrap().version(), 2);
    bench.tell(1, ControlInput::SaveFailed { version: Some(version), error: "no space".to_owned() });
    let error = outcome(&mut bench, 2, 1).unwrap().unwrap_err();
    assert_eq!(error.kind, ChangeErrorKind::Indeterminate, "the disk may have it all the same");
    assert!(error.message.contains("n1 cannot save the change (no space)"), "{}", error.message);
    bench.run(seconds(1));
    let (_, state) = bench.at(1).saves.front().expect("what is in force is saved again");
    assert_eq!(state.catalog.as_ref().unwrap().version(), 1);
    assert_eq!(names(&mut bench, 1), ["default"]);
    bench.at(1).hold_saves = false;
    bench.finish_saves(1);
    ask(&mut bench, 2, 2, create("users", Mode::Lww));
    bench.run(seconds(3));
    assert_eq!(names(&mut bench, 3), ["default", "users"]);
}

#[test]
fn the_failure_of_an_earlier_save_does_not_undo_a_decision() {
    let mut bench = founded();
    bench.at(1).hold_saves = true;
    // A newcomer's address is to be remembered.
    bench.start(newcomer(4));
    bench.run(seconds(1));
    let (version, state) = bench.at(1).saves.pop_front().unwrap();
    assert_eq!(state.catalog.unwrap().version(), 1);
    ask(&mut bench, 1, 1, create("carts", Mode::Lww));
    bench.tell(1, ControlInput::SaveFailed { version: Some(version), error: "no space".to_owned() });
    bench.at(1).hold_saves = false;
    bench.run(seconds(1));
    assert_eq!(id_of(&mut bench, 1, 1), 2);
}

#[test]
fn what_was_learned_and_could_not_be_saved_is_saved_again() {
    let mut bench = founded();
    bench.at(3).hold_saves = true;
    ask(&mut bench, 1, 1, create("carts", Mode::Lww));
    bench.run(seconds(2));
    let (version, state) = bench.at(3).saves.pop_front().unwrap();
    assert_eq!(state.catalog.unwrap().version(), 2);
    bench.tell(3, ControlInput::SaveFailed { version: Some(version), error: "no space".to_owned() });
    bench.at(3).hold_saves = false;
    bench.run(seconds(1));
    assert_eq!(names(&mut bench, 3), ["default", "carts"]);
}

#[test]
fn a_founder_with_an_older_copy_of_its_data_learns_before_it_decides() {
    let mut bench = founded();
    let older = bench.at(1).disk.clone();
    ask(&mut bench, 1, 1, create("carts", Mode::Causal));
    bench.run(seconds(3));
    let left = bench.kill(1);
    bench.start(ControlConfig { saved: older, ..again(1, &left) });
    ask(&mut bench, 1, 2, create("users", Mode::Lww));
    assert_eq!(outcome(&mut bench, 1, 2), None, "it has heard of nobody yet");
    bench.run(seconds(3));
    assert_eq!(id_of(&mut bench, 1, 2), 3);
    bench.run(seconds(3));
    for n in 1..=3 {
        assert_eq!(names(&mut bench, n), ["default", "carts", "users"]);
    }
}

#[test]
fn a_founder_that_hears_of_no_majority_does_not_decide() {
    let mut bench = founded();
    let left = bench.kill(1);
    bench.kill(2);
    bench.kill(3);
    bench.start(again(1, &left));
    ask(&mut bench, 1, 1, create("carts", Mode::Lww));
    bench.run(Duration::from_millis(2900));
    assert_eq!(outcome(&mut bench, 1, 1), None);
    bench.run(seconds(5));
    assert_eq!(kind(&mut bench, 1, 1), Some(ChangeErrorKind::Rejected), "it may run on an older copy of its data");
}

#[test]
fn what_waited_too_long_is_refused_and_not_made_by_a_late_repeat() {
    let mut bench = founded();
    bench.at(1).hold_saves = true;
    ask(&mut bench, 1, 1, create("carts", Mode::Lww));
    ask(&mut bench, 1, 2, create("users", Mode::Lww));
    let change = ControlBody::ChangeCatalog { ticket: 3, change: create("late", Mode::Lww) };
    bench.say(1, 3, Some(CLUSTER), change.clone());
    bench.run(seconds(5));
    assert_eq!(outcome(&mut bench, 1, 1), None, "it is being saved: nobody knows");
    assert_eq!(kind(&mut bench, 1, 2), Some(ChangeErrorKind::Rejected));
    bench.at(1).hold_saves = false;
    bench.finish_saves(1);
    bench.say(1, 3, Some(CLUSTER), change);
    bench.run(seconds(1));
    assert_eq!(id_of(&mut bench, 1, 1), 2);
    assert_eq!(names(&mut bench, 1), ["default", "carts"]);
}

#[test]
fn a_cluster_that_was_founded_without_a_charter_says_so() {
    let mut bench = founded();
    let left: Vec<_> = (1..=3).map(|n| bench.kill(n)).collect();
    for (n, left) in (1..).zip(&left) {
        let config = again(n, left);
        bench.start(ControlConfig { saved: SavedState { catalog: None, ..config.saved.clone() }, ..config });
    }
    bench.run(seconds(3));
    ask(&mut bench, 2, 1, create("carts", Mode::Lww));
    assert_eq!(kind(&mut bench, 2, 1), Some(ChangeErrorKind::Refused));
    assert!(bench.at(2).control.is_ready(), "the default keyspace is served as ever");
}

#[test]
fn before_there_is_a_layout_nothing_can_be_changed() {
    let mut bench = Bench::default();
    bench.start(founder(1, 3));
    bench.start(newcomer(2));
    bench.run(seconds(3));
    for n in 1..=2 {
        ask(&mut bench, n, 1, create("carts", Mode::Lww));
        assert_eq!(kind(&mut bench, n, 1), Some(ChangeErrorKind::Rejected));
    }
}

#[test]
fn a_newcomer_has_the_default_keyspace_until_it_learns_the_others() {
    let mut bench = founded();
    ask(&mut bench, 1, 1, create("carts", Mode::Lww));
    bench.run(seconds(3));
    bench.start_with(newcomer(4), true);
    bench.run(seconds(3));
    assert_eq!(names(&mut bench, 4), ["default"], "it is not saved");
    bench.at(4).hold_saves = false;
    bench.finish_saves(4);
    bench.run(seconds(3));
    assert_eq!(names(&mut bench, 4), ["default", "carts"]);
    ask(&mut bench, 4, 1, create("users", Mode::Lww));
    assert_eq!(id_of(&mut bench, 4, 1), 3);
}

#[test]
fn only_so_many_changes_may_be_under_way() {
    let mut bench = founded();
    bench.cut(2, 1);
    for ticket in 0..64 {
        ask(&mut bench, 2, ticket, create(&format!("k{ticket}"), Mode::Lww));
    }
    assert!(bench.at(2).outcomes.is_empty());
    ask(&mut bench, 2, 64, create("k64", Mode::Lww));
    assert_eq!(kind(&mut bench, 2, 64), Some(ChangeErrorKind::Rejected));
    // At the founder there is a limit for all of them together.
    bench.at(1).hold_saves = true;
    bench.wire.clear();
    for ticket in 0..300 {
        let change = create(&format!("m{ticket}"), Mode::Lww);
        bench.say(1, 3, Some(CLUSTER), ControlBody::ChangeCatalog { ticket, change });
    }
    let refused = bench.wire.iter().filter(|(_, to, message)| {
        *to == address(3) && matches!(&message.body, ControlBody::CatalogChanged { outcome: Err(_), .. })
    });
    assert_eq!(refused.count(), 300 - 1 - 256);
}

#[test]
fn a_founder_with_an_older_copy_that_starts_before_the_others_gives_no_number_twice() {
    let mut bench = founded();
    let left = bench.kill(1);
    let (old, old_ceiling) = (left.disk.clone(), left.disk_ceiling);
    bench.resume(1, left);
    ask(&mut bench, 1, 1, create("carts", Mode::Causal));
    bench.run(seconds(3));
    bench.kill(1);
    let (two, three) = (bench.kill(2), bench.kill(3));
    let config = ControlConfig { saved: old, clock_floor: old_ceiling, ..newcomer(1) };
    bench.start(ControlConfig { boot: 2, seeds: vec![], ..config });
    bench.run(seconds(5));
    ask(&mut bench, 1, 11, create("orders", Mode::Lww));
    bench.run(seconds(1));
    assert_eq!(outcome(&mut bench, 1, 11), None, "it is alone");
    bench.start(again(2, &two));
    bench.start(again(3, &three));
    bench.run(seconds(10));
    for n in 1..=3 {
        let catalog = std::sync::Arc::clone(&bench.at(n).view().catalog);
        assert_eq!(catalog.by_name("carts").map(|carts| (carts.id, carts.mode)), Some((KeyspaceId(2), Mode::Causal)));
        assert!(catalog.by_name("orders").is_none_or(|orders| orders.id == KeyspaceId(3)), "n{n}");
    }
}
