//! `Admin.WatchStatus`: the status, then what becomes of the members as it happens. The control part keeps the last events;
//! a watcher asks it for those after the last one it has sent, so a slow reader holds up nobody and takes no memory: what is
//! not kept any more it has missed, and is told so with the status anew.

use kvorum_node::control::{MemberChange, MemberEvent};
use kvorum_wire::v1;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use v1::watch_status_response::Update;

use crate::admin_service::AdminService;
use crate::control_loop::ControlEvent;

/// What waits for the transport: events after that wait where they are kept.
const QUEUE: usize = 8;

type Sender = mpsc::Sender<Result<v1::WatchStatusResponse, Status>>;

pub(crate) fn start(admin: AdminService) -> ReceiverStream<Result<v1::WatchStatusResponse, Status>> {
    let (out, told) = mpsc::channel(QUEUE);
    tokio::spawn(feed(admin, out));
    ReceiverStream::new(told)
}

/// Feeds a watcher until it goes away or the node stops.
async fn feed(admin: AdminService, out: Sender) {
    let mut stopped = admin.stopped.clone();
    let stopping = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    tokio::select! {
        () = stopping => {}
        () = out.closed() => {}
        ended = tell(&admin, &out) => if let Err(status) = ended {
            // Who has gone away needs no word of it.
            let _ = out.send(Err(status)).await;
        },
    }
}

async fn tell(admin: &AdminService, out: &Sender) -> Result<(), Status> {
    let mut last_event: watch::Receiver<u64> = admin.last_event.clone();
    let mut told = present(admin, 0, out).await?;
    loop {
        let after = told;
        match admin.ask(|reply| ControlEvent::Events { after, reply }).await? {
            Ok(events) => {
                for event in events {
                    told = event.number;
                    send(out, Update::Event(event_to_wire(event, &admin.name)), 0).await?;
                }
            }
            Err(missed) => told = present(admin, missed, out).await?,
        }
        let news = last_event.wait_for(|last| *last > told).await;
        news.map_err(|_| Status::unavailable("rejected: the node is stopping"))?;
    }
}

/// Tells the status; the number of the last event that it shows the outcome of.
async fn present(admin: &AdminService, missed: u64, out: &Sender) -> Result<u64, Status> {
    let (status, last) = admin.told_status().await?;
    send(out, Update::Present(status), missed).await?;
    Ok(last)
}

async fn send(out: &Sender, update: Update, missed: u64) -> Result<(), Status> {
    let response = v1::WatchStatusResponse { update: Some(update), missed };
    out.send(Ok(response)).await.map_err(|_| Status::cancelled("the reader has gone away"))
}

fn event_to_wire(event: MemberEvent, seen_by: &str) -> v1::MemberEvent {
    let MemberEvent { at_ms, id, name, change, .. } = event;
    let none = String::new;
    let (kind, from, to) = match change {
        MemberChange::Joined => ("joined", none(), "up".to_owned()),
        MemberChange::Restarted => ("restarted", none(), none()),
        MemberChange::State { from, to } => ("changed", from.to_string(), to.to_string()),
        MemberChange::Forgotten => ("forgotten", none(), none()),
    };
    let (name, id, kind) = (name.to_string(), id.to_string(), kind.to_owned());
    v1::MemberEvent { at_ms, name, id, kind, from, to, seen_by: seen_by.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use kvorum_gossip::State;
    use kvorum_node::control::{Figures, Status as NodeStatus};
    use kvorum_node::{NodeId, Phase, View};

    use super::*;
    use crate::clock::Clock;
    use crate::control_loop::Snapshot;

    /// A control part that has so many events and keeps the last three.
    struct Control {
        events: mpsc::Receiver<ControlEvent>,
        last: watch::Sender<u64>,
        stop: watch::Sender<bool>,
        _snapshot: watch::Sender<Snapshot>,
    }

    fn event(number: u64) -> MemberEvent {
        let change = MemberChange::State { from: State::Up, to: State::Down };
        MemberEvent { number, at_ms: 1_000 + number, id: NodeId(3), name: "n3".into(), change }
    }

    fn setup() -> (AdminService, Control) {
        let view = Arc::new(View::new(NodeId(1), None, None, Arc::default(), Default::default(), "dc", None));
        let figures = Figures::default();
        let (_snapshot, snapshot) = watch::channel(Snapshot { view, serving: true, ready: true, figures });
        let (control, events) = mpsc::channel(16);
        let ((last, last_event), (stop, stopped)) = (watch::channel(0), watch::channel(false));
        let name = "n1".to_owned();
        let admin =
            AdminService { name, control, snapshot, clock: Clock::start(), warnings: vec![], last_event, stopped };
        (admin, Control { events, last, stop, _snapshot })
    }

    impl Control {
        /// Answers one question.
        async fn answer(&mut self) {
            let last = *self.last.borrow();
            match self.events.recv().await.unwrap() {
                ControlEvent::Status(reply) => {
                    let status = NodeStatus {
                        cluster: None,
                        epoch: 0,
                        phase: Phase::Stable,
                        partitions: 0,
                        members: vec![],
                        warnings: vec![],
                        last_event: last,
                    };
                    reply.send(status).unwrap();
                }
                ControlEvent::Events { after, reply } => {
                    let kept = last.saturating_sub(2).max(1);
                    let events = match kept.saturating_sub(after + 1) {
                        0 => Ok((after + 1..=last).map(event).collect()),
                        missed => Err(missed),
                    };
                    reply.send(events).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn next(from: &mut mpsc::Receiver<Result<v1::WatchStatusResponse, Status>>) -> (Option<Update>, u64) {
        let told = tokio::time::timeout(Duration::from_secs(5), from.recv()).await;
        let told = told.expect("it comes at once").expect("it is not over").unwrap();
        (told.update, told.missed)
    }

    #[tokio::test]
    async fn who_watches_sees_the_status_and_then_each_event_once() {
        let (admin, mut control) = setup();
        control.last.send_replace(2);
        let (out, mut told) = mpsc::channel(QUEUE);
        let task = tokio::spawn(feed(admin, out));
        control.answer().await;
        assert!(matches!(next(&mut told).await, (Some(Update::Present(_)), 0)));
        control.answer().await; // Nothing new.
        control.last.send_replace(4);
        control.answer().await;
        for number in [3, 4] {
            let (Some(Update::Event(event)), 0) = next(&mut told).await else { panic!("an event") };
            assert_eq!((event.at_ms, event.name.as_str(), event.seen_by.as_str()), (1_000 + number, "n3", "n1"));
            assert_eq!((event.kind.as_str(), event.from.as_str(), event.to.as_str()), ("changed", "up", "down"));
        }
        control.stop.send_replace(true);
        task.await.unwrap();
        assert!(told.recv().await.is_none(), "the stream ends with the node");
    }

    #[tokio::test]
    async fn who_reads_too_slowly_is_told_what_it_missed_and_sees_the_status_anew() {
        let (admin, mut control) = setup();
        let (out, mut told) = mpsc::channel(1);
        let task = tokio::spawn(feed(admin, out));
        control.answer().await;
        next(&mut told).await;
        control.answer().await;
        control.last.send_replace(2);
        control.answer().await;
        // Two events wait for the reader while many more happen.
        control.last.send_replace(50);
        for _ in 0..2 {
            assert!(matches!(next(&mut told).await, (Some(Update::Event(_)), 0)));
        }
        control.answer().await;
        control.answer().await;
        assert!(matches!(next(&mut told).await, (Some(Update::Present(_)), 45)), "events 3 to 47 are not kept");
        drop(told);
        tokio::time::timeout(Duration::from_secs(5), task).await.expect("it ends with its reader").unwrap();
    }
}
