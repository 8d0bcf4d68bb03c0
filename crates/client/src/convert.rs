//! Owns the way from the protocol's messages to this crate's types. It decides nothing.

use core::cmp::Reverse;
use core::time::Duration;

use kvorum_ring::Token;
use kvorum_wire::v1;

use crate::{Cursor, Got, Member, Page, Place, Replicas, Ring, Row, Share, Status, Timestamp, Version, Written};

/// A duration in whole milliseconds, upwards, so that something short never becomes nothing.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A timeout as the wire says it; 0 would mean "the node's default".
pub(crate) fn timeout_ms(timeout: Duration) -> u32 {
    u32::try_from(millis(timeout)).unwrap_or(u32::MAX).max(1)
}

impl From<v1::GetResponse> for Got {
    fn from(get: v1::GetResponse) -> Got {
        Got {
            versions: newest_first(get.versions),
            context: get.context,
            replicas: get.replicas.map(Replicas::from).unwrap_or_default(),
        }
    }
}

impl From<v1::PutResponse> for Written {
    fn from(put: v1::PutResponse) -> Written {
        Written {
            actor: put.actor,
            timestamp: Timestamp(put.timestamp),
            expires_at_ms: put.expires_at,
            replicas: put.replicas.map(Replicas::from).unwrap_or_default(),
        }
    }
}

impl From<v1::DeleteResponse> for Written {
    fn from(delete: v1::DeleteResponse) -> Written {
        Written {
            actor: delete.actor,
            timestamp: Timestamp(delete.timestamp),
            expires_at_ms: None,
            replicas: delete.replicas.map(Replicas::from).unwrap_or_default(),
        }
    }
}

impl From<v1::ScanResponse> for Page {
    fn from(scan: v1::ScanResponse) -> Page {
        let row = |row: v1::Row| Row { key: row.key, versions: newest_first(row.versions) };
        Page {
            rows: scan.rows.into_iter().map(row).collect(),
            next: scan.next.map(Cursor::from),
            replicas: scan.replicas.map(Replicas::from).unwrap_or_default(),
        }
    }
}

impl From<v1::Cursor> for Cursor {
    fn from(cursor: v1::Cursor) -> Cursor {
        Cursor { partition: cursor.partition, after: cursor.after }
    }
}

impl From<Cursor> for v1::Cursor {
    fn from(cursor: Cursor) -> v1::Cursor {
        v1::Cursor { partition: cursor.partition, after: cursor.after }
    }
}

impl From<v1::Replicas> for Replicas {
    fn from(replicas: v1::Replicas) -> Replicas {
        let v1::Replicas { wanted, answered, agreed, sloppy } = replicas;
        Replicas { wanted, answered, agreed, sloppy }
    }
}

impl From<v1::StatusResponse> for Status {
    fn from(status: v1::StatusResponse) -> Status {
        Status {
            cluster: status.cluster,
            epoch: status.epoch,
            phase: status.phase,
            partitions: status.partitions,
            members: status.members.into_iter().map(Member::from).collect(),
            warnings: status.warnings,
            answered_by: status.answered_by,
            version: status.version,
            ready: status.ready,
        }
    }
}

impl From<v1::Member> for Member {
    fn from(member: v1::Member) -> Member {
        Member {
            name: member.name,
            id: member.id,
            client: member.client,
            peer: member.peer,
            dc: member.dc,
            rack: member.rack,
            weight: member.weight,
            state: member.state,
            partitions: member.partitions,
            bytes: member.bytes,
            heartbeat_age_ms: member.heartbeat_age_ms,
            in_doubt: member.in_doubt,
            pulled: member.pulled,
            to_pull: member.to_pull,
        }
    }
}

impl From<v1::KeyPlace> for Place {
    fn from(place: v1::KeyPlace) -> Place {
        Place {
            token: Token(place.token),
            partition: place.partition,
            replicas: place.replicas,
            fallbacks: place.fallbacks,
        }
    }
}

impl From<v1::RingResponse> for Ring {
    fn from(ring: v1::RingResponse) -> Ring {
        let share = |share: v1::Share| Share {
            name: share.name,
            dc: share.dc,
            rack: share.rack,
            weight: share.weight,
            partitions: share.partitions,
            first: share.first,
        };
        Ring {
            place: ring.place.map(Place::from),
            shares: ring.shares.into_iter().map(share).collect(),
            partitions: ring.partitions,
            epoch: ring.epoch,
            replication: ring.replication,
        }
    }
}

fn newest_first(versions: Vec<v1::Version>) -> Vec<Version> {
    let version = |version: v1::Version| Version {
        value: version.value,
        actor: version.actor,
        timestamp: Timestamp(version.timestamp),
        expires_at_ms: version.expires_at,
    };
    let mut versions: Vec<Version> = versions.into_iter().map(version).collect();
    versions.sort_by_key(|version| Reverse((version.timestamp, version.actor)));
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_to_a_millisecond() {
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(timeout_ms(Duration::ZERO), 1);
        assert_eq!(timeout_ms(Duration::MAX), u32::MAX);
    }

    #[test]
    fn the_newest_of_several_versions_comes_first() {
        let version = |timestamp, actor| v1::Version { timestamp, actor, ..Default::default() };
        let versions = vec![version(1, 9), version(2, 1), version(2, 5)];
        let got = Got::from(v1::GetResponse { versions, ..Default::default() });
        let order: Vec<_> = got.versions.iter().map(|one| (one.timestamp.0, one.actor)).collect();
        assert_eq!(order, [(2, 5), (2, 1), (1, 9)]);
    }
}
