//! What changes of a catalog mean, and which parts are none.

use super::*;

fn founded() -> Catalog {
    Catalog::found(Charter { founder: NodeId(1), secret: Secret([7; 32]) })
}

fn create(name: &str, mode: Mode) -> CatalogChange {
    CatalogChange::Create { name: name.into(), mode, settings: Settings::default() }
}

fn drop(name: &str) -> CatalogChange {
    CatalogChange::Drop { name: name.into() }
}

#[test]
fn a_name_that_is_dropped_and_created_again_gets_another_id() {
    let (catalog, first) = founded().changed(&create("carts", Mode::Causal)).unwrap();
    assert_eq!((catalog.version(), first.id, first.mode), (2, KeyspaceId(2), Mode::Causal));
    let (catalog, gone) = catalog.changed(&drop("carts")).unwrap();
    assert_eq!((catalog.by_id(gone.id), catalog.by_name("carts"), catalog.next_id()), (None, None, 3));
    let (catalog, second) = catalog.changed(&create("carts", Mode::Lww)).unwrap();
    assert_eq!((second.id, second.mode), (KeyspaceId(3), Mode::Lww));
    assert_eq!(catalog.by_name("carts"), catalog.by_id(KeyspaceId(3)));
}

#[test]
fn creating_what_exists_changes_nothing_or_is_refused() {
    let (catalog, first) = founded().changed(&create("carts", Mode::Causal)).unwrap();
    assert_eq!(catalog.changed(&create("carts", Mode::Causal)).unwrap(), (catalog.clone(), first));
    let exists = CatalogError::Exists { name: "carts".to_owned() };
    assert_eq!(catalog.changed(&create("carts", Mode::Lww)), Err(exists));
}

#[test]
fn an_alteration_changes_what_it_names_and_never_the_mode() {
    let (catalog, before) = founded().changed(&create("carts", Mode::Causal)).unwrap();
    let alter = |alteration| CatalogChange::Alter { name: "carts".into(), alteration };
    let alteration = Alteration { ttl_ms: Some(Some(5)), min_write: Some(2), ..Alteration::default() };
    let (catalog, after) = catalog.changed(&alter(alteration)).unwrap();
    let settings = Settings { ttl_ms: Some(5), min_write: 2, ..before.settings };
    assert_eq!(after, Keyspace { settings, ..before });
    assert_eq!(catalog.changed(&alter(alteration)).unwrap().0.version(), catalog.version());
    let none = Alteration { ttl_ms: Some(None), ..Alteration::default() };
    assert_eq!(catalog.changed(&alter(none)).unwrap().1.settings.ttl_ms, None);
    let zero = Alteration { ttl_ms: Some(Some(0)), ..Alteration::default() };
    assert_eq!(catalog.changed(&alter(zero)), Err(CatalogError::NoLifetime));
}

#[test]
fn every_keyspace_is_found_by_name_whatever_came_and_went() {
    let mut catalog = founded();
    for n in 0..MAX_KEYSPACES as u64 - 1 {
        // In no order of their names.
        catalog = catalog.changed(&create(&format!("k{}", n * 7919 % 999), Mode::Lww)).unwrap().0;
    }
    assert_eq!(catalog.changed(&create("one-more", Mode::Lww)), Err(CatalogError::TooMany));
    for n in (0..500).step_by(3) {
        catalog = catalog.changed(&drop(&format!("k{n}"))).unwrap().0;
    }
    for keyspace in catalog.keyspaces() {
        assert_eq!(catalog.by_name(&keyspace.name), Some(keyspace));
    }
    assert_eq!(catalog.by_name(""), catalog.by_name("default"));
    assert!(["k0", "k498", "k", "zz", "one-more"].iter().all(|name| catalog.by_name(name).is_none()));
    let parts = (catalog.version(), catalog.charter().copied(), catalog.next_id(), catalog.keyspaces().to_vec());
    assert_eq!(Catalog::from_parts(parts.0, parts.1, parts.2, parts.3), Ok(catalog));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for name in ["", "-x", "a b", "ä", &"x".repeat(65)] {
        assert!(matches!(founded().changed(&create(name, Mode::Lww)), Err(CatalogError::BadName { .. })), "{name}");
    }
    assert_eq!(founded().changed(&drop("default")), Err(CatalogError::Permanent));
    assert!(matches!(founded().changed(&drop("carts")), Err(CatalogError::Missing { .. })));
    assert!(matches!("strong".parse::<Mode>(), Err(CatalogError::UnknownMode { .. })));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let (catalog, carts) = founded().changed(&create("carts", Mode::Causal)).unwrap();
    let default = catalog.keyspaces()[0].clone();
    let build = |next_id, keyspaces| Catalog::from_parts(2, catalog.charter().copied(), next_id, keyspaces);
    assert_eq!(build(3, vec![default.clone(), carts.clone()]), Ok(catalog.clone()));
    let twin = Keyspace { id: KeyspaceId(3), ..carts.clone() };
    for (next_id, keyspaces) in [
        (2, vec![default.clone(), carts.clone()]),
        (3, vec![carts.clone()]),
        (3, vec![carts.clone(), default.clone()]),
        (4, vec![default, carts, twin]),
    ] {
        assert!(matches!(build(next_id, keyspaces), Err(CatalogError::Unfit { .. })));
    }
}
