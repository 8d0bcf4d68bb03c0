//! Coordinating a read: asks just enough replicas - this node first, then the fastest - and one more whenever one fails or
//! is slow; merges what they durably hold, and judges expiry only then.
//!
//! A replica is told what this node holds, if that is known at once, so that one that holds the same need not send it.
//! Those that turn out to be behind are repaired: in the background, or, if the client insists on replicas (`strict`),
//! before it is answered, so that no later read finds less (the second phase of a read by Attiya, Bar-Noy and Dolev).

mod repair;
mod stand_in;

use core::time::Duration;

use bytes::Bytes;
use kvorum_quorum::{self as quorum, Level, Outcome, ReplicaSet, Requirement};

use super::put::{enough_are_up, stand_in_count};
use super::stand_ins::StandIns;
use super::{AfterDurable, Effect, Origin, Pending, Preference, Report, Shard, StoreError, emit};
use crate::{
    Consistency, Failure, FailureKind, KeyspaceId, Message, NodeId, Now, Op, Record, Replicas, Response, StoredKey,
    context, record,
};

/// A record this small is sent rather than compared.
const SMALL: usize = 64;
/// What a node is taken to need that was not heard of: it is tried.
const FIRST_LATENCY: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Get {
    origin: Origin,
    pub(super) place: Preference,
    key: StoredKey,
    tally: quorum::Read,
    asked_at: Duration,
    deadline: Duration,
    /// When it is looked at next.
    wake: Duration,
    newest: Option<Record>,
    /// The replicas that hold exactly `newest`, and those that hold less.
    holders: ReplicaSet,
    behind: ReplicaSet,
    /// How many entries of contexts were pruned in merging.
    pruned: usize,
    own: Own,
    /// Who is asked as soon as it is known whether this node knows what it holds.
    deferred: ReplicaSet,
    stand_ins: StandIns,
    /// What must hold what is returned, if the client insists on replicas.
    strict: Option<Box<Requirement>>,
    repair: Option<Box<quorum::Repair>>,
}

/// What this node knows of its own copy.
#[derive(Debug)]
enum Own {
    /// Nothing, or not yet.
    Unknown,
    /// It is found out at this moment.
    Reading,
    /// That, durable or about to be.
    Known(Option<Record>),
}

impl Get {
    fn new(
        now: Now,
        origin: Origin,
        place: Preference,
        key: StoredKey,
        tally: quorum::Read,
        deadline: Duration,
        strict: Option<Requirement>,
    ) -> Self {
        Self {
            origin,
            place,
            key,
            tally,
            asked_at: now.elapsed,
            deadline,
            wake: Duration::MAX,
            newest: None,
            holders: ReplicaSet::EMPTY,
            behind: ReplicaSet::EMPTY,
            pruned: 0,
            own: Own::Unknown,
            deferred: ReplicaSet::EMPTY,
            stand_ins: StandIns::default(),
            strict: strict.map(Box::new),
            repair: None,
        }
    }

    /// Whether something was sent to that node and not answered.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        if let Some(repair) = &self.repair {
            return self.place.position_of(node).is_some_and(|replica| repair.open().contains(replica));
        }
        self.stand_ins.is_open(node) || is_waiting(&self.place, &self.tally, node)
    }

    fn replicas(&self) -> Replicas {
        let agreed = self.repair.as_ref().map_or(self.holders, |repair| repair.answered());
        read_replicas(&self.tally, agreed.len())
    }

    /// Merges the word of a replica, or of a stand-in, which has no place of its own.
    fn merge(&mut self, replica: Option<usize>, record: Option<Record>) {
        let (merged, pruned) = record::merge_counting(self.newest.clone(), record.clone());
        self.pruned += pruned;
        if merged != self.newest {
            // Nobody who answered before holds this.
            self.behind = self.behind.union(self.holders);
            self.holders = ReplicaSet::EMPTY;
        }
        if let Some(replica) = replica {
            if merged == record {
                self.holders.insert(replica)
            } else {
                self.behind.insert(replica)
            };
        }
        self.newest = merged;
    }
}

impl Shard {
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, taken apart where it entered")]
    pub(super) fn get(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        key: StoredKey,
        (level, consistency): (Option<Level>, Option<Consistency>),
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let consistency = self.consistency_of(key.keyspace(), consistency);
        let stand_ins = stand_in_count(&place, consistency);
        let strict = match self.strict_requirement(&place, key.keyspace(), consistency) {
            Ok(strict) => strict,
            Err(failure) => return self.answer(origin, Response::Failed(failure), out),
        };
        let (tally, decisions) = match self.start_read(now, &place, key.keyspace(), level, stand_ins, deadline) {
            Ok(started) => started,
            Err(failure) => return self.answer(origin, Response::Failed(failure), out),
        };
        let get = Get::new(now, origin, place, key, tally, deadline, strict);
        let op = self.ops.insert(Pending::Get(get));
        self.carry_out_get(now, op, decisions, out);
    }

    /// Reads for a write that may be asked for again: so many must answer, and so many hold what is found, if that must last.
    #[expect(clippy::too_many_arguments, reason = "the parts of one read")]
    pub(super) fn read_for_write(
        &mut self,
        now: Now,
        write: Op,
        place: Preference,
        key: StoredKey,
        (read, hold): (Requirement, Option<Requirement>),
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        match self.start_tally(now, &place, read, 0, deadline) {
            Ok((tally, decisions)) => {
                let get = Get::new(now, Origin::Write(write), place, key, tally, deadline, hold);
                let op = self.ops.insert(Pending::Get(get));
                self.carry_out_get(now, op, decisions, out);
            }
            Err(failure) => self.told_for_write(now, write, Err(failure), out),
        }
    }

    /// How many replicas must hold what a strict read returns: as many as a write needs.
    fn strict_requirement(
        &self,
        place: &Preference,
        keyspace: KeyspaceId,
        consistency: Consistency,
    ) -> Result<Option<Requirement>, Failure> {
        let settings = self.view.keyspace(keyspace).map(|keyspace| keyspace.settings).unwrap_or_default();
        match consistency {
            Consistency::Sloppy => Ok(None),
            Consistency::Strict => place.requirement(None, settings.write, settings.min_write).map(Some),
        }
    }

    /// Resolves a read's level and begins its tally; also for scans.
    pub(super) fn start_read(
        &mut self,
        now: Now,
        place: &Preference,
        keyspace: KeyspaceId,
        level: Option<Level>,
        stand_ins: usize,
        deadline: Duration,
    ) -> Result<(quorum::Read, Vec<quorum::Effect>), Failure> {
        let settings = self.view.keyspace(keyspace).map(|keyspace| keyspace.settings).unwrap_or_default();
        let requirement = place.requirement(level, settings.read, settings.min_read)?;
        self.start_tally(now, place, requirement, stand_ins, deadline)
    }

    fn start_tally(
        &mut self,
        now: Now,
        place: &Preference,
        requirement: Requirement,
        stand_ins: usize,
        deadline: Duration,
    ) -> Result<(quorum::Read, Vec<quorum::Effect>), Failure> {
        enough_are_up("read", place, &requirement, stand_ins)?;
        // The slowest of those that are asked first.
        let slowest = (0..requirement.minimum().min(place.len())).filter(|position| !place.is_me(*position));
        let early = slowest
            .filter_map(|position| self.latencies.get(&place.replica(position).id))
            .map(quorum::Latency::p95)
            .max();
        let hedge =
            quorum::Hedge { early: early.unwrap_or(self.hedge_after).min(self.hedge_after), late: self.hedge_after };
        let config = quorum::ReadConfig {
            requirement,
            replicas: place.all(),
            down: place.unreadable(),
            stand_ins,
            deadline,
            hedge: Some(hedge),
        };
        self.hedges.earn();
        let mut decisions = core::mem::take(&mut self.decisions);
        let tally = quorum::Read::start(now.elapsed, config, &mut decisions);
        Ok((tally, decisions))
    }

    fn carry_out_get(&mut self, now: Now, op: Op, mut decisions: Vec<quorum::Effect>, out: &mut impl Extend<Effect>) {
        // Who is repaired is, even if the read need not wait for that.
        decisions.sort_by_key(|decision| matches!(decision, quorum::Effect::Done(_)));
        for decision in decisions.drain(..) {
            match decision {
                quorum::Effect::Send { replica } => self.send_get(now, op, replica, out),
                quorum::Effect::StandIn { replica } => self.ask_stand_in_to_read(now, op, replica, out),
                quorum::Effect::Repair { replica } => self.send_repair(now, op, replica, out),
                quorum::Effect::Done(outcome) => self.finish_get(now, op, outcome, out),
                quorum::Effect::Hint { .. } => unreachable!("a read leaves no hints"),
            }
        }
        self.decisions = decisions;
        if let Some(Pending::Get(get)) = self.ops.get_mut(op) {
            let next = get.repair.as_ref().map_or_else(|| get.tally.next_timeout(), |repair| repair.next_timeout());
            self.deadlines.watch(now.elapsed, next, &mut get.wake, op);
        }
    }

    fn send_get(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let (key, until) = (get.key.clone(), get.deadline);
        if get.place.is_me(replica) && self.view.fitness().in_doubt {
            self.get_store_failed(now, op, out);
        } else if get.place.is_me(replica) {
            get.own = match self.overlay.newest(&key) {
                Some((record, _)) => Own::Known(record.cloned()),
                None => Own::Reading,
            };
            self.read_here(now, op, key, until, out);
        } else if matches!(get.own, Own::Reading) {
            get.deferred.insert(replica);
        } else {
            self.ask_to_read(op, replica, out);
        }
    }

    fn ask_to_read(&mut self, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let known = match &get.own {
            Own::Known(Some(record)) if record.as_bytes().len() > SMALL => Some(record.digest()),
            _ => None,
        };
        let (key, (node, tag), until) = (get.key.clone(), get.place.address(replica), get.deadline);
        self.ask(node, tag, until, Message::Read { op, key, known, stand_in_for: None }, out);
    }

    /// This node's own copy takes a while to be read: others are asked meanwhile.
    pub(super) fn get_waits(&mut self, op: Op, out: &mut impl Extend<Effect>) {
        if let Some(Pending::Get(get)) = self.ops.get_mut(op) {
            if matches!(get.own, Own::Reading) {
                get.own = Own::Unknown;
            }
            let deferred = core::mem::replace(&mut get.deferred, ReplicaSet::EMPTY);
            for replica in deferred.iter() {
                self.ask_to_read(op, replica, out);
            }
        }
    }

    /// Has this node's own copy read, as far as it is durable: [`Shard::local_read`] follows.
    pub(super) fn read_here(
        &mut self,
        now: Now,
        op: Op,
        key: StoredKey,
        until: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        match (self.overlay.newest(&key), self.log.failure()) {
            (Some(_), Some(error)) => {
                let error = error.clone();
                self.local_read(now, op, Err(error), out);
            }
            (Some((Some(record), seq)), None) => {
                let record = record.clone();
                self.when_durable(seq, AfterDurable::LocalRead { op, record });
            }
            (Some((None, _)) | None, _) => emit(out, Effect::Load { op, key, until }),
        }
    }

    /// This node's own copy has been read, or cannot be.
    pub(super) fn local_read(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        match (self.ops.get_mut(op), result) {
            (Some(Pending::Why(_)), result) => {
                self.why_answered(op, 0, result.map_err(|error| error.to_string()), out);
            }
            (Some(Pending::HintLookup(_)), result) => self.hint_looked_up(now, op, result, out),
            (Some(Pending::StandInRead(read)), Ok(record)) => {
                read.found = record::merge(read.found.take(), record);
                self.stand_in_reads_on(now, op, out);
            }
            (Some(Pending::StandInRead(_)), Err(error)) => self.stand_in_told(now, op, Some(error), out),
            (Some(Pending::Get(get)), Ok(record)) => {
                if matches!(get.own, Own::Reading) {
                    get.own = Own::Known(record.clone());
                }
                self.get_waits(op, out);
                self.get_answered(now, op, 0, record, out);
            }
            (_, Ok(_)) => {}
            (_, Err(_)) => {
                self.get_waits(op, out);
                self.get_store_failed(now, op, out);
            }
        }
    }

    /// This node's own copy cannot be read.
    pub(super) fn get_store_failed(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        self.get_voted(now, op, quorum::Input::Error { replica: 0 }, out);
    }

    /// A replica holds what this node holds.
    pub(super) fn read_same(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        if let Some(Pending::Get(Get { own: Own::Known(record), .. })) = self.ops.get_mut(op) {
            let record = record.clone();
            self.read_reply(now, node, op, record, out);
        }
    }

    /// A replica tells what it holds.
    pub(super) fn read_reply(
        &mut self,
        now: Now,
        node: NodeId,
        op: Op,
        record: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let get = match self.ops.get_mut(op) {
            Some(Pending::Get(get)) => get,
            Some(Pending::Why(_)) => return self.why_reply(node, op, record, out),
            _ => return,
        };
        match get.place.position_of(node) {
            Some(replica) => {
                if get.tally.open().contains(replica) && !get.tally.hedged().contains(replica) {
                    let took = now.elapsed.saturating_sub(get.asked_at);
                    self.latency_of(node).sample(took);
                }
                self.get_answered(now, op, replica, record, out);
            }
            None => self.stood_in_to_read(now, op, node, record, out),
        }
    }

    pub(super) fn get_answered(
        &mut self,
        now: Now,
        op: Op,
        replica: usize,
        record: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        if get.tally.answered().contains(replica) || get.repair.is_some() {
            return;
        }
        get.merge(Some(replica), record);
        self.get_voted(now, op, quorum::Input::Answer { replica }, out);
    }

    pub(super) fn get_failed(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        match get.place.position_of(node) {
            Some(replica) if get.repair.is_some() => {
                self.repair_voted(now, op, quorum::Input::Error { replica }, out);
            }
            Some(replica) => self.get_voted(now, op, quorum::Input::Error { replica }, out),
            None => self.stood_in_to_read(now, op, node, None, out),
        }
    }

    fn get_voted(&mut self, now: Now, op: Op, vote: quorum::Input, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let mut decisions = core::mem::take(&mut self.decisions);
        get.tally.handle(now.elapsed, vote, &mut decisions);
        self.carry_out_get(now, op, decisions, out);
    }

    pub(super) fn get_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        self.get_waits(op, out);
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        get.wake = Duration::MAX;
        let mut decisions = core::mem::take(&mut self.decisions);
        match &mut get.repair {
            Some(repair) => repair.handle_timeout(now.elapsed, &mut decisions),
            None => get.tally.handle_timeout(now.elapsed, &mut self.hedges, &mut decisions),
        }
        self.carry_out_get(now, op, decisions, out);
    }

    /// The tally of a read, or then the repair before its answer, is done.
    fn finish_get(&mut self, now: Now, op: Op, outcome: Outcome, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { unreachable!("a tally is done once") };
        if outcome == Outcome::Reached
            && get.repair.is_none()
            && get.newest.is_some()
            && let Some(requirement) = get.strict.take()
        {
            get.wake = Duration::MAX;
            let mut decisions = core::mem::take(&mut self.decisions);
            let (all, down) = (get.place.all(), get.place.down());
            let (holders, behind, until) = (get.holders, get.behind, get.deadline);
            get.repair = Some(Box::new(quorum::Repair::start(
                now.elapsed,
                *requirement,
                all,
                holders,
                behind,
                down,
                until,
                &mut decisions,
            )));
            // What still answers the read says nothing of the repair.
            let op = self.ops.rename(op);
            return self.carry_out_get(now, op, decisions, out);
        }
        let Some(Pending::Get(get)) = self.ops.remove(op) else { unreachable!("it was just found") };
        self.notice_silence(now, &get);
        let response = match outcome {
            Outcome::Reached => {
                if get.pruned > 0 {
                    emit(out, Effect::Report(Report::Pruned { entries: get.pruned }));
                }
                self.repair_behind(now, op, &get, out);
                if let Origin::Write(write) = get.origin {
                    let replicas = get.replicas();
                    return self.told_for_write(now, write, Ok((get.newest, replicas)), out);
                }
                let record = get.newest.clone().filter(|record| record.is_live(now.unix_ms));
                if record.is_none() && get.tally.answered().is_empty() {
                    let message = "unavailable: only stand-ins could be asked, and that a key is absent only a replica \
                                   of it knows; retry";
                    Response::Failed(Failure::new(FailureKind::Rejected, message))
                } else {
                    let context = self.seal_context(&get.key, get.newest.as_ref());
                    Response::Value { record, context, as_of_ms: now.unix_ms, replicas: get.replicas() }
                }
            }
            Outcome::Impossible | Outcome::TimedOut => match &get.repair {
                Some(repair) => self.repair_failure(&get.place, repair, outcome),
                None => self.read_failure(now, &get.place, &get.tally, outcome, out),
            },
        };
        if let (Origin::Write(write), Response::Failed(failure)) = (get.origin, &response) {
            return self.told_for_write(now, write, Err(failure.clone()), out);
        }
        self.answer(get.origin, response, out);
    }

    /// Who was asked in the first place and has not answered is at least so slow.
    fn notice_silence(&mut self, now: Now, get: &Get) {
        let waited = now.elapsed.saturating_sub(get.asked_at);
        for replica in get.tally.open().difference(get.tally.hedged()).iter() {
            if !get.place.is_me(replica) {
                let node = get.place.replica(replica).id;
                self.latency_of(node).waited(waited);
            }
        }
    }

    pub(super) fn latency_of(&mut self, node: NodeId) -> &mut quorum::Latency {
        self.latencies.entry(node).or_insert_with(|| quorum::Latency::new(FIRST_LATENCY))
    }

    /// What a reader of the record has seen, as clients hold it; to have found nothing is something too. Empty while the
    /// cluster's secret is not known here.
    fn seal_context(&self, key: &StoredKey, record: Option<&Record>) -> Bytes {
        let Some(charter) = self.view.catalog.charter() else { return Bytes::new() };
        let seen = record.map(Record::context).unwrap_or_default();
        context::seal(&charter.secret, key, &seen)
    }

    /// What a read or scan says when too few replicas answered.
    pub(super) fn read_failure(
        &mut self,
        now: Now,
        place: &Preference,
        tally: &quorum::Read,
        outcome: Outcome,
        out: &mut impl Extend<Effect>,
    ) -> Response {
        self.report_silent(now, place, tally.open().intersection(tally.asked()), outcome, out);
        let (kind, when) = match outcome {
            Outcome::TimedOut => (FailureKind::TimedOut, " in time"),
            _ => (FailureKind::Rejected, ""),
        };
        let message = format!(
            "unavailable: the read needs {} of {} replicas, {} answered{when}: {}; retry, or ask for a lower level",
            tally.requirement().minimum(),
            place.len(),
            tally.answered().len(),
            place.account(tally.answered(), tally.failed(), outcome),
        );
        Response::Failed(Failure::new(kind, message))
    }
}

/// Whether a read sent something to that node that is not answered.
pub(super) fn is_waiting(place: &Preference, tally: &quorum::Read, node: NodeId) -> bool {
    let waiting = tally.asked().intersection(tally.open());
    place.position_of(node).is_some_and(|replica| waiting.contains(replica))
}

pub(super) fn read_replicas(tally: &quorum::Read, agreed: usize) -> Replicas {
    let count = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let wanted = count(tally.requirement().minimum());
    let answered = tally.answered().union(tally.stood_in()).len().max(agreed);
    Replicas { wanted, answered: count(answered), agreed: count(agreed), sloppy: tally.is_sloppy() }
}
