//! Between keyspaces, catalogs and changes of them, and their protobuf forms: for peers, for the saved state, and for
//! the `Admin` service, which has the same messages.

use kvorum_node::control::{ChangeError, ChangeErrorKind, ChangeOutcome, Changed};
use kvorum_node::{
    Alteration, Catalog, CatalogChange, CatalogError, Charter, Keyspace, KeyspaceId, Mode, NodeId, Secret, Settings,
};
use kvorum_wire::v1;

use crate::client_codec::{consistency_from_wire, consistency_to_wire, level_from_wire, level_to_wire};

/// What makes a message no keyspace, no catalog, or no change of one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadCatalog {
    /// A part is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A level or a consistency that does not exist.
    #[error("{0}")]
    Level(String),
    /// A minimum that no number of replicas reaches.
    #[error("min_{kind} {minimum} is more than the replicas there can be; ask for less")]
    Minimum { kind: &'static str, minimum: u32 },
    /// An alteration names a field that cannot be altered.
    #[error("`{0}` cannot be altered; `read`, `write`, `min_read`, `min_write`, `ttl_ms` and `consistency` can")]
    Field(String),
    /// The secret has another length.
    #[error("its secret has {0} bytes, not 32")]
    Secret(usize),
    /// The parts do not fit together.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A keyspace without its replication, which is the layout's.
pub(crate) fn keyspace_to_wire(keyspace: &Keyspace) -> v1::Keyspace {
    let Keyspace { id, name, mode, settings } = keyspace;
    v1::Keyspace { id: id.0, mode: mode.to_string(), ..settings_to_wire(name, settings) }
}

fn keyspace_from_wire(keyspace: v1::Keyspace) -> Result<Keyspace, BadCatalog> {
    Ok(Keyspace {
        id: KeyspaceId(keyspace.id),
        mode: keyspace.mode.parse()?,
        settings: settings_from_wire(&keyspace)?,
        name: keyspace.name.into(),
    })
}

fn settings_to_wire(name: &str, settings: &Settings) -> v1::Keyspace {
    v1::Keyspace {
        name: name.to_owned(),
        read: settings.read.map(level_to_wire),
        write: settings.write.map(level_to_wire),
        min_read: settings.min_read.into(),
        min_write: settings.min_write.into(),
        ttl_ms: settings.ttl_ms,
        consistency: consistency_to_wire(Some(settings.consistency)),
        ..v1::Keyspace::default()
    }
}

fn settings_from_wire(keyspace: &v1::Keyspace) -> Result<Settings, BadCatalog> {
    let level = |level| level_from_wire(level).map_err(|failure| BadCatalog::Level(failure.message));
    let consistency = consistency_from_wire(keyspace.consistency);
    let consistency = consistency.map_err(|failure| BadCatalog::Level(failure.message))?.unwrap_or_default();
    let minimum = |kind, minimum: u32| u8::try_from(minimum).map_err(|_| BadCatalog::Minimum { kind, minimum });
    Ok(Settings {
        read: level(keyspace.read)?,
        write: level(keyspace.write)?,
        min_read: minimum("r", keyspace.min_read)?,
        min_write: minimum("w", keyspace.min_write)?,
        ttl_ms: keyspace.ttl_ms,
        consistency,
    })
}

/// The creation of a keyspace; without a mode it is the default one.
pub(crate) fn creation_from_wire(keyspace: v1::Keyspace) -> Result<CatalogChange, BadCatalog> {
    let mode = if keyspace.mode.is_empty() { Mode::default() } else { keyspace.mode.parse()? };
    let settings = settings_from_wire(&keyspace)?;
    Ok(CatalogChange::Create { name: keyspace.name.into(), mode, settings })
}

/// The alteration of a keyspace in these fields.
pub(crate) fn alteration_from_wire(keyspace: v1::Keyspace, fields: &[String]) -> Result<CatalogChange, BadCatalog> {
    let settings = settings_from_wire(&keyspace)?;
    let mut alteration = Alteration::default();
    for field in fields {
        match field.as_str() {
            "read" => alteration.read = Some(settings.read),
            "write" => alteration.write = Some(settings.write),
            "min_read" => alteration.min_read = Some(settings.min_read),
            "min_write" => alteration.min_write = Some(settings.min_write),
            "ttl_ms" => alteration.ttl_ms = Some(settings.ttl_ms),
            "consistency" => alteration.consistency = Some(settings.consistency),
            _ => return Err(BadCatalog::Field(field.chars().take(64).collect())),
        }
    }
    Ok(CatalogChange::Alter { name: keyspace.name.into(), alteration })
}

fn alteration_to_wire(name: &str, alteration: &Alteration) -> v1::CatalogAlteration {
    let Alteration { read, write, min_read, min_write, ttl_ms, consistency } = *alteration;
    let settings = Settings {
        read: read.flatten(),
        write: write.flatten(),
        min_read: min_read.unwrap_or_default(),
        min_write: min_write.unwrap_or_default(),
        ttl_ms: ttl_ms.flatten(),
        consistency: consistency.unwrap_or_default(),
    };
    let fields = [
        ("read", read.is_some()),
        ("write", write.is_some()),
        ("min_read", min_read.is_some()),
        ("min_write", min_write.is_some()),
        ("ttl_ms", ttl_ms.is_some()),
        ("consistency", consistency.is_some()),
    ];
    let fields = fields.into_iter().filter(|(_, given)| *given).map(|(field, _)| field.to_owned()).collect();
    v1::CatalogAlteration { keyspace: Some(settings_to_wire(name, &settings)), fields }
}

pub(crate) fn change_to_wire(ticket: u64, change: &CatalogChange) -> v1::ChangeCatalog {
    use v1::change_catalog::Change;
    let change = match change {
        CatalogChange::Create { name, mode, settings } => {
            Change::Create(v1::Keyspace { mode: mode.to_string(), ..settings_to_wire(name, settings) })
        }
        CatalogChange::Alter { name, alteration } => Change::Alter(alteration_to_wire(name, alteration)),
        CatalogChange::Drop { name } => Change::Drop(name.to_string()),
    };
    v1::ChangeCatalog { ticket, change: Some(change) }
}

pub(crate) fn change_from_wire(change: v1::ChangeCatalog) -> Result<CatalogChange, BadCatalog> {
    use v1::change_catalog::Change;
    match change.change.ok_or(BadCatalog::Missing("change of a kind this version knows"))? {
        Change::Create(keyspace) => creation_from_wire(keyspace),
        Change::Alter(alteration) => {
            let keyspace = alteration.keyspace.ok_or(BadCatalog::Missing("keyspace"))?;
            alteration_from_wire(keyspace, &alteration.fields)
        }
        Change::Drop(name) => Ok(CatalogChange::Drop { name: name.into() }),
    }
}

pub(crate) fn outcome_to_wire(ticket: u64, outcome: &ChangeOutcome) -> v1::CatalogChanged {
    use v1::catalog_changed::Outcome;
    use v1::catalog_refusal::Kind;
    let outcome = match outcome {
        Ok(Changed { keyspace, version }) => {
            Outcome::Changed(v1::CatalogChange { keyspace: Some(keyspace_to_wire(keyspace)), version: *version })
        }
        Err(ChangeError { kind, message }) => {
            let kind = match kind {
                ChangeErrorKind::Invalid => Kind::Invalid,
                ChangeErrorKind::Exists => Kind::Exists,
                ChangeErrorKind::Missing => Kind::Missing,
                ChangeErrorKind::Refused => Kind::Refused,
                ChangeErrorKind::Rejected => Kind::Rejected,
                ChangeErrorKind::Indeterminate => Kind::Indeterminate,
            };
            Outcome::Refused(v1::CatalogRefusal { kind: kind.into(), message: message.clone() })
        }
    };
    v1::CatalogChanged { ticket, outcome: Some(outcome) }
}

pub(crate) fn outcome_from_wire(changed: v1::CatalogChanged) -> Result<ChangeOutcome, BadCatalog> {
    use v1::catalog_changed::Outcome;
    use v1::catalog_refusal::Kind;
    Ok(match changed.outcome.ok_or(BadCatalog::Missing("outcome of a kind this version knows"))? {
        Outcome::Changed(v1::CatalogChange { keyspace, version }) => {
            let keyspace = keyspace_from_wire(keyspace.ok_or(BadCatalog::Missing("keyspace"))?)?;
            Ok(Changed { keyspace, version })
        }
        Outcome::Refused(refusal) => {
            let kind = match refusal.kind() {
                Kind::Invalid => ChangeErrorKind::Invalid,
                Kind::Exists => ChangeErrorKind::Exists,
                Kind::Missing => ChangeErrorKind::Missing,
                Kind::Refused => ChangeErrorKind::Refused,
                Kind::Rejected => ChangeErrorKind::Rejected,
                // What a newer founder means cannot be known: no more is promised than is certain.
                Kind::Indeterminate | Kind::Unspecified => ChangeErrorKind::Indeterminate,
            };
            Err(ChangeError { kind, message: refusal.message })
        }
    })
}

pub(crate) fn catalog_to_wire(catalog: &Catalog) -> v1::Catalog {
    v1::Catalog {
        version: catalog.version(),
        charter: catalog
            .charter()
            .map(|charter| v1::Charter { founder: charter.founder.0, secret: charter.secret.0.to_vec().into() }),
        next_id: catalog.next_id(),
        keyspaces: catalog.keyspaces().iter().map(keyspace_to_wire).collect(),
    }
}

pub(crate) fn catalog_from_wire(catalog: v1::Catalog) -> Result<Catalog, BadCatalog> {
    let v1::Charter { founder, secret } = catalog.charter.ok_or(BadCatalog::Missing("charter"))?;
    let secret = <[u8; 32]>::try_from(&secret[..]).map_err(|_| BadCatalog::Secret(secret.len()))?;
    let charter = Charter { founder: NodeId(founder), secret: Secret(secret) };
    let keyspaces = catalog.keyspaces.into_iter().map(keyspace_from_wire).collect::<Result<_, _>>()?;
    Ok(Catalog::from_parts(catalog.version, Some(charter), catalog.next_id, keyspaces)?)
}

#[cfg(test)]
mod tests {
    use kvorum_quorum::Level;
    use prost::Message;

    use kvorum_node::Consistency;

    use super::*;

    fn settings() -> Settings {
        Settings {
            read: Some(Level::One),
            write: Some(Level::EachQuorum),
            min_read: 1,
            min_write: 2,
            ttl_ms: Some(9),
            consistency: Consistency::Strict,
        }
    }

    fn catalog() -> Catalog {
        let founded = Catalog::found(Charter { founder: NodeId(7), secret: Secret([8; 32]) });
        let create = |name: &str, mode, settings| CatalogChange::Create { name: name.into(), mode, settings };
        let (catalog, _) = founded.changed(&create("plain", Mode::Lww, Settings::default())).unwrap();
        let (catalog, _) = catalog.changed(&create("carts", Mode::Causal, settings())).unwrap();
        catalog.changed(&CatalogChange::Drop { name: "plain".into() }).unwrap().0
    }

    #[test]
    fn a_catalog_survives_its_way() {
        let bytes = catalog_to_wire(&catalog()).encode_to_vec();
        assert_eq!(catalog_from_wire(v1::Catalog::decode(&bytes[..]).unwrap()).unwrap(), catalog());
    }

    #[test]
    fn every_change_survives_its_way() {
        let alter = |alteration| CatalogChange::Alter { name: "carts".into(), alteration };
        let all = Settings { read: None, ..settings() };
        let every_field = Alteration {
            read: Some(all.read),
            write: Some(all.write),
            min_read: Some(all.min_read),
            min_write: Some(all.min_write),
            ttl_ms: Some(all.ttl_ms),
            consistency: Some(all.consistency),
        };
        for change in [
            CatalogChange::Create { name: "carts".into(), mode: Mode::Causal, settings: settings() },
            CatalogChange::Create { name: "plain".into(), mode: Mode::Lww, settings: Settings::default() },
            alter(every_field),
            alter(Alteration { ttl_ms: Some(None), ..Alteration::default() }),
            alter(Alteration { min_read: Some(0), ..Alteration::default() }),
            alter(Alteration::default()),
            CatalogChange::Drop { name: "carts".into() },
        ] {
            let bytes = change_to_wire(3, &change).encode_to_vec();
            let wire = v1::ChangeCatalog::decode(&bytes[..]).unwrap();
            assert_eq!((wire.ticket, change_from_wire(wire).unwrap()), (3, change));
        }
    }

    #[test]
    fn every_outcome_survives_its_way() {
        use ChangeErrorKind::{Exists, Indeterminate, Invalid, Missing, Refused, Rejected};
        let keyspace = catalog().by_name("carts").unwrap().clone();
        let errors = [Invalid, Exists, Missing, Refused, Rejected, Indeterminate];
        let errors = errors.map(|kind| Err(ChangeError { kind, message: "because".to_owned() }));
        for outcome in errors.into_iter().chain([Ok(Changed { keyspace, version: 4 })]) {
            let bytes = outcome_to_wire(3, &outcome).encode_to_vec();
            let wire = v1::CatalogChanged::decode(&bytes[..]).unwrap();
            assert_eq!((wire.ticket, outcome_from_wire(wire).unwrap()), (3, outcome));
        }
    }

    #[test]
    fn hostile_catalogs_are_refused() {
        let broken = |spoil: fn(&mut v1::Catalog)| {
            let mut wire = catalog_to_wire(&catalog());
            spoil(&mut wire);
            catalog_from_wire(wire).unwrap_err()
        };
        assert!(matches!(broken(|wire| wire.charter = None), BadCatalog::Missing("charter")));
        let short = |wire: &mut v1::Catalog| wire.charter.as_mut().unwrap().secret = vec![1; 31].into();
        assert!(matches!(broken(short), BadCatalog::Secret(31)));
        for spoil in [
            |wire: &mut v1::Catalog| wire.next_id = 3,
            |wire: &mut v1::Catalog| wire.keyspaces.reverse(),
            |wire: &mut v1::Catalog| wire.keyspaces.clear(),
            |wire: &mut v1::Catalog| wire.keyspaces[1].name = "default".to_owned(),
            |wire: &mut v1::Catalog| wire.keyspaces[1].name = "a/b".to_owned(),
            |wire: &mut v1::Catalog| wire.keyspaces[1].mode = "strong".to_owned(),
            |wire: &mut v1::Catalog| wire.keyspaces = vec![wire.keyspaces[0].clone(); 1001],
        ] {
            assert!(matches!(broken(spoil), BadCatalog::Catalog(_)));
        }
        let too_many = |wire: &mut v1::Catalog| wire.keyspaces[1].min_read = 256;
        assert!(matches!(broken(too_many), BadCatalog::Minimum { kind: "r", minimum: 256 }));
        let level = v1::Level { level: Some(v1::level::Level::Name(99)) };
        let mut wire = catalog_to_wire(&catalog());
        wire.keyspaces[1].read = Some(level);
        assert!(matches!(catalog_from_wire(wire), Err(BadCatalog::Level(_))));
    }

    #[test]
    fn hostile_changes_and_outcomes_are_refused() {
        let keyspace = v1::Keyspace { name: "carts".to_owned(), ..v1::Keyspace::default() };
        let mode = alteration_from_wire(keyspace.clone(), &["mode".to_owned()]);
        assert!(matches!(mode, Err(BadCatalog::Field(field)) if field == "mode"));
        let strong = v1::Keyspace { mode: "strong".to_owned(), ..keyspace };
        assert!(matches!(creation_from_wire(strong), Err(BadCatalog::Catalog(_))));
        let nothing = v1::ChangeCatalog { ticket: 1, change: None };
        assert!(matches!(change_from_wire(nothing), Err(BadCatalog::Missing(_))));
        let nothing = v1::CatalogChanged { ticket: 1, outcome: None };
        assert!(matches!(outcome_from_wire(nothing), Err(BadCatalog::Missing(_))));
        let unknown = v1::CatalogRefusal { kind: 99, message: "?".to_owned() };
        let outcome = Some(v1::catalog_changed::Outcome::Refused(unknown));
        let outcome = outcome_from_wire(v1::CatalogChanged { ticket: 1, outcome }).unwrap();
        assert_eq!(outcome.unwrap_err().kind, ChangeErrorKind::Indeterminate);
    }
}
