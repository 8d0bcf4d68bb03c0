//! What the simulated shell does wrong on purpose, one thing at a time, to show that the checkers notice. Nothing of it
//! can reach a real node: the state machines are as they are, only what they are told is a lie.

use clap::ValueEnum;

/// A lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The log is reported durable, and read, before it is: it is synced only now and then, and a loss of power takes the
    /// rest.
    DurableTooEarly,
    /// A process that starts again keeps the actor of the one before, so that one actor is more than one tenure.
    SameActor,
    /// A replica that is to merge another coordinator's write is told that it holds nothing, and so overwrites.
    Overwrite,
    /// A node is handed writes as if their client had asked for one replica.
    AckAfterOne,
    /// Each answer to a write comes twice, once as if another node had sent it, so that telling repetitions by their
    /// sender does not help.
    CountTwice,
    /// The network repeats requests that one node forwards to another, so some are coordinated twice. Real streams
    /// never do; should they, an old value comes back under a new dot.
    RepeatForwards,
    /// A node that starts again finds its data gone, more often than the quorums can spare, and does not know.
    WipedAtRestart,
    /// A node whose log failed is told that all is durable.
    FailureHidden,
    /// Of ten records that are said to be durable, the store forgets one.
    ForgottenRecords,
    /// The disk says that it has synced what was appended to a log, and has not.
    UnsyncedLog,
    /// A node that may have lost acknowledged writes answers reads all the same.
    DoubtIgnored,
    /// Nodes are told that their peers' clocks show what their own does, so that none finds out that its own is wrong.
    ClockUnchecked,
    /// Nodes are not told that others are in doubt.
    DoubtHidden,
    /// The store keeps no hints, and says that it does.
    HintsForgotten,
    /// What a strict read sends to replicas that are behind does not arrive, and the read is told that it did.
    RepairSkipped,
    /// A node in doubt is told that it has pulled everything as soon as it begins.
    PullSkipped,
    /// Nodes are handed requests of clients that insist on replicas as if they did not.
    StrictIgnored,
    /// Nodes are not told the names of writes, so that a write that is asked for again is one more.
    AttemptsForgotten,
    /// Nodes are told of every retry that their process was asked first, so that each may begin the write.
    RetriesBegun,
    /// Nodes are not told of the narrow limits that they are held to.
    Unlimited,
}

impl Sabotage {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
