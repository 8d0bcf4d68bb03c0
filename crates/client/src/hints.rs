//! Owns what operators are told of hints: what each member keeps for others that were away. Only a member itself knows, so
//! every one is asked.

use core::time::Duration;
use std::sync::Arc;

use kvorum_wire::v1;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Core;
use crate::node::Node;
use crate::{Client, Error, Member, admin};

/// What the members keep for others that were away, and have not been able to deliver yet.
#[derive(Debug, Clone)]
pub struct Hints {
    /// By holder, in the order of [`Status::members`](crate::Status::members).
    pub queues: Vec<HintQueue>,
    /// How many members told what they keep.
    pub answered: usize,
    /// The members that did not, in the same order.
    pub unanswered: Vec<Unanswered>,
}

/// What one member keeps for one other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HintQueue {
    /// The name of the member that keeps the hints.
    pub holder: String,
    /// The name of the node they are for.
    pub target: String,
    /// How many there are.
    pub count: u64,
    /// Their size.
    pub bytes: u64,
    /// How many of them stand in for a replica in a write that counted them. They are never dropped.
    pub owed: u64,
    /// How long the oldest has been kept.
    pub oldest_age: Duration,
}

/// A member that did not tell what it keeps.
#[derive(Debug, Clone)]
pub struct Unanswered {
    /// Its name.
    pub name: String,
    /// Its state, as [`Member::state`].
    pub state: String,
    /// Why it did not.
    pub error: Error,
}

impl Client {
    /// The hints that all members keep: every member that one of the endpoints lists and that has not left is asked, at the
    /// same time, at the address it gives to clients, and within one timeout.
    ///
    /// # Errors
    /// As [`Client::status`], when there is no list of members. That a member does not answer is no error but said in
    /// [`Hints::unanswered`].
    pub async fn hints(&self) -> Result<Hints, Error> {
        let deadline = Instant::now() + self.core().config.timeout;
        let mut members = self.status().await?.members;
        members.retain(|member| member.state != "left");
        let mut asked = JoinSet::new();
        for (index, member) in members.iter().enumerate() {
            let (node, name) = (self.node_of(member), member.name.clone());
            asked.spawn(async move {
                let told = match node {
                    Ok(node) => ask(&node, name, deadline).await,
                    Err(error) => Err(error),
                };
                (index, told)
            });
        }
        let mut told = asked.join_all().await;
        told.sort_by_key(|(index, _)| *index);
        let mut hints = Hints { queues: Vec::new(), answered: 0, unanswered: Vec::new() };
        for (Member { name, state, .. }, (_, told)) in members.into_iter().zip(told) {
            match told {
                Ok(queues) => {
                    hints.queues.extend(queues);
                    hints.answered += 1;
                }
                Err(error) => hints.unanswered.push(Unanswered { name, state, error }),
            }
        }
        Ok(hints)
    }

    /// The node of a member, at the address it gives to clients.
    fn node_of(&self, member: &Member) -> Result<Arc<Node>, Error> {
        let Core { config, routes, .. } = self.core();
        match routes.find(&member.client) {
            Some(node) => Ok(node),
            None => Node::new(&member.client, config.connections, Arc::clone(&routes.ended)).map(Arc::new),
        }
    }
}

/// What the member of this name keeps.
async fn ask(node: &Node, name: String, deadline: Instant) -> Result<Vec<HintQueue>, Error> {
    let v1::HintsResponse { holder, queues } = admin::hints(node, deadline).await?;
    if holder != name {
        // What it keeps would be told twice, and what the other keeps not at all.
        let message =
            format!("{holder} answers there, not {name}; see to it that each advertises an address of its own");
        return Err(Error::Protocol { endpoint: node.address().to_owned(), message });
    }
    let queue = |queue: v1::HintQueue| HintQueue {
        holder: name.clone(),
        target: queue.target,
        count: queue.count,
        bytes: queue.bytes,
        owed: queue.owed,
        oldest_age: Duration::from_millis(queue.oldest_age_ms),
    };
    Ok(queues.into_iter().map(queue).collect())
}
