//! Owns the watching of a cluster: the status, then each change of a member as the node that is asked sees it.

use kvorum_wire::v1;
use tonic::Streaming;
use v1::watch_status_response::Update;

use crate::{Client, Error, Status, admin};

/// What a node tells of its members, as it happens. It comes from one node; when that goes away, watch anew.
#[derive(Debug)]
pub struct StatusWatch {
    endpoint: String,
    stream: Streaming<v1::WatchStatusResponse>,
}

/// One thing that a [`StatusWatch`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Watched {
    /// Who is there: at first, and again when changes were missed.
    Present {
        /// The cluster as the node sees it now.
        status: Status,
        /// How many changes were missed because they were not read in time.
        missed: u64,
    },
    /// Something became of a member.
    Event(MemberEvent),
}

/// Something that became of a member, as one node saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberEvent {
    /// When, by that node's wall clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The member's name.
    pub name: String,
    /// Its identity.
    pub id: String,
    /// `joined`, `changed` (from one state to another), `restarted` or `forgotten`.
    pub kind: String,
    /// Its state before, if that is known.
    pub from: Option<String>,
    /// Its state now, if the event tells it.
    pub to: Option<String>,
    /// The name of the node that saw it.
    pub seen_by: String,
}

impl Client {
    /// Watches the members of the cluster, as one of the endpoints sees them.
    ///
    /// # Errors
    /// As [`Client::status`]. Every endpoint is asked once.
    pub async fn watch_status(&self) -> Result<StatusWatch, Error> {
        let core = self.core();
        let (endpoint, stream) = admin::watch_status(&core.routes, core.config.timeout).await?;
        Ok(StatusWatch { endpoint, stream })
    }
}

impl StatusWatch {
    /// The node that is asked.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What is told next; waits until there is something.
    ///
    /// # Errors
    /// When the node went away, or is going to. The watch is over then.
    pub async fn next(&mut self) -> Result<Watched, Error> {
        loop {
            let told = self.stream.message().await.map_err(|status| admin::lost(&self.endpoint, status))?;
            let Some(v1::WatchStatusResponse { update, missed }) = told else {
                return Err(admin::lost(&self.endpoint, tonic::Status::unavailable("it is stopping")));
            };
            match update {
                Some(Update::Present(status)) => return Ok(Watched::Present { status: status.into(), missed }),
                Some(Update::Event(event)) => return Ok(Watched::Event(event.into())),
                // What a later version tells.
                None => {}
            }
        }
    }
}

impl From<v1::MemberEvent> for MemberEvent {
    fn from(event: v1::MemberEvent) -> MemberEvent {
        let v1::MemberEvent { at_ms, name, id, kind, from, to, seen_by } = event;
        let state = |state: String| (!state.is_empty()).then_some(state);
        MemberEvent { at_ms, name, id, kind, from: state(from), to: state(to), seen_by }
    }
}
