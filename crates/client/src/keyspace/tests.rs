//! Keyspaces on the wire. How changes are asked for is tested in `tests/it/keyspaces.rs`.

use super::*;

#[test]
fn an_alteration_names_what_it_sets_and_nothing_else() {
    assert!(KeyspaceAlteration::new().is_empty());
    let alteration = KeyspaceAlteration::new().ttl(None).write(Level::All).min_read(2).consistency(Consistency::Strict);
    assert_eq!(alteration.fields, ["ttl_ms", "write", "min_read", "consistency"]);
    assert_eq!(alteration.keyspace.consistency(), v1::Consistency::Strict);
    assert_eq!((alteration.keyspace.ttl_ms, alteration.keyspace.min_read), (None, 2));
    assert_eq!(alteration.keyspace.write.and_then(level::from_wire), Some(Level::All));
}

#[test]
fn a_keyspace_is_understood() {
    let new = NewKeyspace::new("carts").mode("causal").read(Level::One).min_write(2).ttl(Duration::from_nanos(1));
    let keyspace = Keyspace::from(v1::Keyspace { id: 7, replication: "3".into(), ..new.keyspace });
    let expected = Keyspace {
        name: "carts".into(),
        id: 7,
        mode: "causal".into(),
        replication: "3".into(),
        read: Some(Level::One),
        write: None,
        min_read: 1,
        min_write: 2,
        ttl: Some(Duration::from_millis(1)),
        consistency: Consistency::Sloppy,
    };
    assert_eq!(keyspace, expected);
    let strict = NewKeyspace::new("carts").consistency(Consistency::Strict);
    assert_eq!(Keyspace::from(strict.keyspace).consistency, Consistency::Strict);
}
