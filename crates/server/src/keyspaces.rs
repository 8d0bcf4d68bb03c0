//! Keyspaces as operators ask for them: what the `Admin` service answers, and who waits for the outcome of a change.
//! What a change means, and who decides about it, is in `kvorum-node`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kvorum_gossip::State;
use kvorum_node::control::{ChangeError, ChangeErrorKind, ChangeOutcome, Changed};
use kvorum_node::{CatalogChange, Keyspace, Layout, View};
use kvorum_ring::Replication;
use kvorum_wire::v1;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::metadata::MetadataValue;

use crate::admin_service::AdminService;
use crate::control_loop::ControlEvent;
use crate::peer::catalog_codec::{BadCatalog, alteration_from_wire, creation_from_wire, keyspace_to_wire};

/// How long a change is tried when the request does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it is tried at most.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a change that was made is kept back until every member that is up has it, so that the keyspace can be
/// used through any node as soon as its creation is answered. Who has it later refuses it until then.
const SPREADING: Duration = Duration::from_secs(2);
/// What this node's own part has to answer, once it has given up on the founder.
const GRACE: Duration = Duration::from_millis(250);

/// Who waits for the outcome of a change, by its ticket.
#[derive(Debug)]
pub(crate) struct Changes {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<ChangeOutcome>>,
}

impl Changes {
    /// Tickets are drawn from a random first one on, so that no two processes of a node have the same.
    pub(crate) fn new(first: u64) -> Self {
        Self { next: first, waiting: BTreeMap::new() }
    }

    pub(crate) fn begin(&mut self, reply: oneshot::Sender<ChangeOutcome>) -> u64 {
        let ticket = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(ticket, reply);
        ticket
    }

    pub(crate) fn end(&mut self, ticket: u64, outcome: ChangeOutcome) {
        if let Some(reply) = self.waiting.remove(&ticket) {
            // Who asked may have gone.
            let _ = reply.send(outcome);
        }
    }
}

impl AdminService {
    pub(crate) fn listed_keyspaces(&self) -> v1::ListKeyspacesResponse {
        let view = self.snapshot.borrow().view.clone();
        let keyspaces = view.catalog.keyspaces().iter().map(|keyspace| shown(&view, keyspace)).collect();
        v1::ListKeyspacesResponse { keyspaces, version: view.catalog.version() }
    }

    pub(crate) async fn created_keyspace(&self, request: v1::CreateKeyspaceRequest) -> Result<v1::Keyspace, Status> {
        let keyspace = request.keyspace.unwrap_or_default();
        if keyspace.mode == "strong" {
            return Err(invalid(
                "this version has no strong keyspaces (linearizable, with compare-and-set); use lww or causal",
            ));
        }
        self.check_replication(&keyspace.replication)?;
        let change = creation_from_wire(keyspace).map_err(|bad| misunderstood(&bad))?;
        self.change(change, request.timeout_ms).await
    }

    pub(crate) async fn altered_keyspace(&self, request: v1::AlterKeyspaceRequest) -> Result<v1::Keyspace, Status> {
        if request.fields.is_empty() {
            return Err(invalid("there is nothing to alter: name at least one of the fields"));
        }
        let keyspace = request.keyspace.unwrap_or_default();
        let change = alteration_from_wire(keyspace, &request.fields).map_err(|bad| misunderstood(&bad))?;
        self.change(change, request.timeout_ms).await
    }

    pub(crate) async fn dropped_keyspace(&self, request: v1::DropKeyspaceRequest) -> Result<(), Status> {
        let change = CatalogChange::Drop { name: request.name.into() };
        self.change(change, request.timeout_ms).await.map(|_| ())
    }

    async fn change(&self, change: CatalogChange, timeout_ms: u32) -> Result<v1::Keyspace, Status> {
        let timeout = match timeout_ms {
            0 => DEFAULT_TIMEOUT,
            ms => Duration::from_millis(ms.into()).min(LONGEST_TIMEOUT),
        };
        let deadline = Instant::now() + timeout;
        let rejected =
            |message: &str| refused(ChangeError { kind: ChangeErrorKind::Rejected, message: message.into() });
        let unknown = |message: &str| {
            let message = format!("{message}, so that the change may or may not have been made");
            refused(ChangeError { kind: ChangeErrorKind::Indeterminate, message })
        };
        let (reply, outcome) = oneshot::channel();
        let event = ControlEvent::ChangeCatalog { change, timeout, reply };
        self.control.send(event).await.map_err(|_| rejected("this node is stopping"))?;
        let changed = match timeout_at(deadline + GRACE, outcome).await {
            Ok(Ok(outcome)) => outcome.map_err(refused)?,
            Ok(Err(_)) => return Err(unknown("this node is stopping")),
            Err(_) => return Err(unknown("this node could not save it in time")),
        };
        let Changed { keyspace, version } = changed;
        self.wait_until_known(version, deadline).await;
        let view = self.snapshot.borrow().view.clone();
        Ok(shown(&view, &keyspace))
    }

    /// Waits until this node, and every member that is up, has at least this version of the catalog; not for long.
    async fn wait_until_known(&self, version: u64, deadline: Instant) {
        let known = |view: &View| {
            let lagging = |state: State, has: u64| state == State::Up && has < version;
            view.catalog.version() >= version
                && !view.members.values().any(|member| lagging(member.state, member.catalog))
        };
        let mut snapshot = self.snapshot.clone();
        let until = deadline.min(Instant::now() + SPREADING);
        // Whoever does not know it by then will learn it; the change is made all the same.
        let _ = timeout_at(until, snapshot.wait_for(|snapshot| known(&snapshot.view))).await;
    }

    /// A keyspace has the cluster's replication, which belongs to the layout.
    fn check_replication(&self, wanted: &str) -> Result<(), Status> {
        if wanted.is_empty() {
            return Ok(());
        }
        let replication: Replication =
            wanted.parse().map_err(|error: kvorum_ring::Error| invalid(&error.to_string()))?;
        let view = self.snapshot.borrow().view.clone();
        match view.layout.as_deref() {
            Some(layout) if !keeps_as_many(layout, &replication) => Err(invalid(&format!(
                "the cluster keeps {} replicas, and a keyspace with a replication of its own needs layout changes, which this version does not have; leave --replication away",
                layout.replication()
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a layout keeps as many replicas in each data centre.
fn keeps_as_many(layout: &Layout, wanted: &Replication) -> bool {
    let mut centres: BTreeSet<&str> = layout.members().iter().map(|member| &*member.dc).collect();
    if let Replication::Centres(factors) = wanted {
        centres.extend(factors.keys().map(String::as_str));
    }
    centres.into_iter().all(|dc| layout.replication().factor(dc) == wanted.factor(dc))
}

fn shown(view: &View, keyspace: &Keyspace) -> v1::Keyspace {
    let replication = view.layout.as_ref().map(|layout| layout.replication().to_string()).unwrap_or_default();
    v1::Keyspace { replication, ..keyspace_to_wire(keyspace) }
}

fn invalid(message: &str) -> Status {
    refused(ChangeError { kind: ChangeErrorKind::Invalid, message: message.to_owned() })
}

fn misunderstood(bad: &BadCatalog) -> Status {
    invalid(&bad.to_string())
}

/// What a change that was not made is as a gRPC status. Its detail says whether it may have been made all the same.
fn refused(error: ChangeError) -> Status {
    let ChangeError { kind, message } = error;
    let (mut status, outcome) = match kind {
        ChangeErrorKind::Invalid => (Status::invalid_argument(message), "rejected"),
        ChangeErrorKind::Exists => (Status::already_exists(message), "rejected"),
        ChangeErrorKind::Missing => (Status::not_found(message), "rejected"),
        ChangeErrorKind::Refused => (Status::failed_precondition(message), "rejected"),
        ChangeErrorKind::Rejected => (Status::unavailable(message), "rejected"),
        ChangeErrorKind::Indeterminate => (Status::unknown(message), "indeterminate"),
    };
    status.metadata_mut().insert("kvorum-outcome", MetadataValue::from_static(outcome));
    status
}

#[cfg(test)]
mod tests {
    use kvorum_node::{LayoutMember, NodeId};
    use kvorum_ring::Partitions;
    use tonic::Code;

    use super::*;

    #[test]
    fn every_refusal_says_whether_the_change_may_have_been_made() {
        for (kind, code, outcome) in [
            (ChangeErrorKind::Invalid, Code::InvalidArgument, "rejected"),
            (ChangeErrorKind::Exists, Code::AlreadyExists, "rejected"),
            (ChangeErrorKind::Missing, Code::NotFound, "rejected"),
            (ChangeErrorKind::Refused, Code::FailedPrecondition, "rejected"),
            (ChangeErrorKind::Rejected, Code::Unavailable, "rejected"),
            (ChangeErrorKind::Indeterminate, Code::Unknown, "indeterminate"),
        ] {
            let status = refused(ChangeError { kind, message: "because".to_owned() });
            assert_eq!((status.code(), status.message()), (code, "because"));
            assert_eq!(status.metadata().get("kvorum-outcome").unwrap(), outcome);
        }
    }

    #[test]
    fn an_outcome_finds_who_waits_for_it() {
        let mut changes = Changes::new(u64::MAX);
        let (first, mut of_first) = oneshot::channel();
        let (second, mut of_second) = oneshot::channel();
        let tickets = [changes.begin(first), changes.begin(second)];
        assert_eq!(tickets, [u64::MAX, 0]);
        let outcome = Err(ChangeError { kind: ChangeErrorKind::Missing, message: "no".to_owned() });
        changes.end(0, outcome.clone());
        changes.end(0, outcome.clone());
        assert_eq!(of_second.try_recv(), Ok(outcome));
        assert!(of_first.try_recv().is_err());
    }

    #[test]
    fn a_replication_is_that_of_the_cluster_however_it_is_written() {
        let member = |(id, dc): (u64, &str)| LayoutMember {
            id: NodeId(id),
            name: format!("n{id}").into(),
            dc: dc.into(),
            rack: "rack1".into(),
            weight: 1,
        };
        let members = [(1, "a"), (2, "a"), (3, "b"), (4, "b")].map(member).into();
        let layout = Layout::found(Partitions::new(4).unwrap(), &Replication::PerCentre(2), members).unwrap();
        let same = |text: &str| keeps_as_many(&layout, &text.parse().unwrap());
        assert!(same("2") && same("a=2,b=2"));
        assert!(!same("3") && !same("a=2") && !same("a=2,b=3"));
    }
}
